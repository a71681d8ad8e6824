"""What ``asset-pipeline like`` promises: of a picture's variations nothing differs but what was asked for."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from asset_pipeline.campaign.brief import Campaign, Like, load_campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.likeness import Parent, Wish, differences, name_for
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import record_catalog
from asset_pipeline.commands.like import like, values
from asset_pipeline.commands.variations import Means, Variations, find_picture, vary, write_campaign
from asset_pipeline.definitions import Places
from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.exports.records import load_exported_files
from asset_pipeline.prompts.records import load_prompts
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store
from asset_pipeline_tests.test_audit import AUTUMN, Brush, run_campaign, write_data

LEFT, RIGHT, ABOVE = "light from the left", "light from the right", "light from above"


@dataclass
class Studio:
    """A project whose campaign has pictures of a mug and a lamp on two surfaces."""

    root: Path
    brush: Brush

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def store(self) -> Store:
        return Store(str(self.root / "store"))

    @property
    def means(self) -> Means:
        products = read_catalog(self.data / "catalog").products
        return Means(self.store, self.data, self.root / "exports", {"brush": self.brush}, products)

    def run(self, campaign: str) -> list[Candidate]:
        run_campaign(self.store, self.data, self.root / "exports", campaign, provider=self.brush)
        return load_candidates(self.store, campaign)

    def picture(self, surface: str = "slate", position: int = 1, locale: str = "en-GB") -> Candidate:
        wanted = {
            prompt.prompt_id
            for prompt in load_prompts(self.store, AUTUMN)
            if (prompt.sku, prompt.locale, prompt.variation["surface"]) == ("MUG-1", locale, surface)
        }
        made = load_candidates(self.store, AUTUMN)
        return next(each for each in made if each.prompt_id in wanted and each.position == position)

    def parent(self, **which: Any) -> Parent:
        return find_picture(self.means, self.picture(**which).candidate_id)[0]

    def like(self, wish: Wish, *, allow_changed: bool = False, **which: Any) -> Variations:
        return vary(self.means, self.parent(**which), wish, allow_changed=allow_changed)

    def edit(self, path: str, **fields: Any) -> None:
        content = yaml.safe_load((self.data / path).read_text())
        (self.data / path).write_text(yaml.safe_dump(content | fields))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    studio = Studio(tmp_path_factory.mktemp("like") / "template", Brush())
    write_data(studio.data)
    studio.edit(
        "asset_types/tile.yaml",
        template="{{ product.name }} on {{ surface }}, {{ light }}, for {{ campaign.title }}",
        variables={"surface": "oak", "light": LEFT, "mood": "calm"},
        locales={"de": {"variables": {"light": "Licht von links"}}},
    )
    studio.edit(
        f"campaigns/{AUTUMN}.yaml",
        locales=["en-GB", "de-DE"],
        variations={"surface": ["oak", {"en": "slate", "de": "Schiefer"}]},
        channels=["tile"],
        quotas={"product": 99},
    )
    record_catalog(studio.store, read_catalog(studio.data / "catalog", studio.store.images), run_id="run-1")
    studio.run(AUTUMN)
    return studio.root


@pytest.fixture
def studio(template: Path, tmp_path: Path) -> Studio:
    return Studio(shutil.copytree(template, tmp_path / "studio", symlinks=True), Brush())


def request_of(wanted: Wanted) -> ImageRequest:
    return wanted.asked.request


def unlike(one: ImageRequest, other: ImageRequest) -> set[str]:
    """The fields in which two requests differ."""
    return {name for name in ImageRequest.model_fields if getattr(one, name) != getattr(other, name)}


# What varies, and what does not


def test_with_only_the_light_varied_exactly_the_words_differ_from_plan_to_picture(studio: Studio) -> None:
    picture = studio.picture()
    variations = studio.like(Wish({"light": [RIGHT]}))
    (wanted,) = variations.order.wanted
    assert unlike(request_of(wanted), picture.request) == {"prompt"}
    assert request_of(wanted).prompt == picture.request.prompt.replace(LEFT, RIGHT)
    write_campaign(studio.data, variations)
    (made,) = studio.run(variations.campaign_id)
    assert made.request == request_of(wanted)
    assert made.request.seed == picture.request.seed
    assert made.state == "made"
    assert (made.sku, made.asset_type, made.locale, made.profile) == ("MUG-1", "tile", "en-GB", "brush")


def test_every_combination_is_a_picture_and_all_of_them_have_the_pictures_seed(studio: Studio) -> None:
    wish = Wish({"light": [RIGHT, ABOVE], "surface": ["marble", "oak"]})
    wanted = studio.like(wish).order.wanted
    seen = {(each.prompt.variation["light"], each.prompt.variation["surface"]) for each in wanted}
    assert seen == {(RIGHT, "marble"), (RIGHT, "oak"), (ABOVE, "marble"), (ABOVE, "oak")}
    assert {request_of(each).seed for each in wanted} == {studio.picture().request.seed}
    assert all(unlike(request_of(each), studio.picture().request) == {"prompt"} for each in wanted)


def test_new_seeds_are_all_that_differs_where_nothing_else_varies(studio: Studio) -> None:
    wanted = studio.like(Wish({}, seeds=3)).order.wanted
    picture = studio.picture().request
    assert [unlike(request_of(each), picture) for each in wanted] == [{"seed"}] * 3
    assert len({request_of(each).seed for each in wanted} | {picture.seed}) == 4


def test_combinations_are_drawn_with_the_same_new_seeds_so_that_they_can_be_compared(studio: Studio) -> None:
    wanted = studio.like(Wish({"light": [RIGHT, ABOVE]}, seeds=2)).order.wanted
    by_light: dict[str, set[int]] = {}
    for each in wanted:
        by_light.setdefault(each.prompt.variation["light"], set()).add(request_of(each).seed)
    assert by_light[RIGHT] == by_light[ABOVE]
    assert len(by_light[RIGHT]) == 2


def test_asking_for_more_candidates_later_keeps_those_with_the_pictures_seed(studio: Studio) -> None:
    variations = studio.like(Wish({"light": [RIGHT]}))
    path, _ = write_campaign(studio.data, variations)
    first = studio.run(variations.campaign_id)
    path.write_text(path.read_text() + "candidates_per_prompt: 3\n")
    again = studio.run(variations.campaign_id)
    assert again[0] == first[0]
    assert len({each.request.seed for each in again}) == 3


@pytest.mark.parametrize(
    ("seeds", "count", "expected"),
    [
        (0, 3, [(RIGHT, "oak"), (RIGHT, "marble"), (ABOVE, "oak")]),
        (2, 3, [(RIGHT, "oak")] * 2),
        (2, 4, [(RIGHT, "oak")] * 2 + [(RIGHT, "marble")] * 2),
        (5, 2, [(RIGHT, "oak")] * 2),
        (0, 99, [(RIGHT, "oak"), (RIGHT, "marble"), (ABOVE, "oak"), (ABOVE, "marble")]),
    ],
)
def test_no_more_pictures_are_made_than_asked_for_and_the_first_combinations_count(
    studio: Studio, seeds: int, count: int, expected: list[tuple[str, str]]
) -> None:
    wish = Wish({"light": [RIGHT, ABOVE], "surface": ["oak", "marble"]}, seeds, count)
    wanted = studio.like(wish).order.wanted
    found = [(each.prompt.variation["light"], each.prompt.variation["surface"]) for each in wanted]
    assert sorted(found) == sorted(expected)


def test_in_another_locale_the_words_stay_that_locales(studio: Studio) -> None:
    picture = studio.picture(locale="de-DE")
    assert picture.request.prompt == "Blue mug on Schiefer, Licht von links, for Autumn"
    (wanted,) = studio.like(Wish({"light": ["Gegenlicht"]}), locale="de-DE").order.wanted
    assert request_of(wanted).prompt == "Blue mug on Schiefer, Gegenlicht, for Autumn"
    (wanted,) = studio.like(Wish({"surface": ["slate"]}), locale="de-DE", surface="oak").order.wanted
    assert request_of(wanted).prompt == "Blue mug on Schiefer, Licht von links, for Autumn"


def test_what_a_funnel_had_moved_for_the_picture_stays_moved(studio: Studio) -> None:
    parent = studio.parent()
    moved = parent.candidate.request.model_copy(update={"parameters": {"guidance_scale": 4.5}})
    candidate = parent.candidate.model_copy(update={"request": moved, "candidate_id": moved.candidate_id})
    one = Parent(parent.campaign_id, parent.campaign, candidate, parent.prompt)
    variations = vary(studio.means, one, Wish({"light": [RIGHT]}))
    assert unlike(request_of(variations.order.wanted[0]), moved) == {"prompt"}
    write_campaign(studio.data, variations)
    assert load_campaign(studio.data, variations.campaign_id).like == Like(
        campaign=AUTUMN,
        candidate_id=candidate.candidate_id,
        seed=moved.seed,
        knobs={"guidance_scale": 4.5},
    )


def test_the_differences_are_told_in_words(studio: Studio) -> None:
    parent = studio.parent()
    (wanted,) = studio.like(Wish({"light": [RIGHT]}, seeds=1)).order.wanted
    assert differences(parent, wanted) == [
        f"light: {RIGHT} (was {LEFT})",
        f"seed: {request_of(wanted).seed} (was {parent.candidate.request.seed})",
    ]


# The campaign


def test_the_campaign_is_its_parents_narrowed_to_one_picture(studio: Studio) -> None:
    studio.edit(f"campaigns/{AUTUMN}.yaml", sensitivity="confidential", variables={"word": "x"})
    variations = studio.like(Wish({"light": [RIGHT, ABOVE]}, seeds=2))
    write_campaign(studio.data, variations)
    campaign = load_campaign(studio.data, variations.campaign_id)
    assert campaign == variations.campaign
    own = load_campaign(studio.data, AUTUMN)
    same = ("title", "approval", "sensitivity", "variables", "channels", "targets", "profile")
    assert {name: getattr(campaign, name) for name in same} == {name: getattr(own, name) for name in same}
    assert campaign.products.skus == ("MUG-1",)
    assert (campaign.locales, campaign.candidates_per_prompt, campaign.keep) == (("en-GB",), 2, 2)
    assert campaign.quotas == Campaign.model_validate({**MINIMAL}).quotas


def test_it_may_cost_what_the_plan_says_and_no_more(studio: Studio) -> None:
    studio.edit("profiles/brush.yaml", price={"unit": "image", "usd": 0.25, "source": "a test"})
    wish = Wish({"light": [RIGHT, ABOVE], "surface": ["oak", "marble"]}, seeds=2, count=6)
    variations = studio.like(wish)
    assert len(variations.order.wanted) == 6
    assert variations.campaign.budget_usd == pytest.approx(1.5)


def test_asked_twice_it_writes_the_same_file_once(studio: Studio) -> None:
    first = write_campaign(studio.data, studio.like(Wish({"light": [RIGHT]})))
    text = first[0].read_text()
    assert first[1]
    assert write_campaign(studio.data, studio.like(Wish({"light": [RIGHT]}))) == (first[0], False)
    assert first[0].read_text() == text
    assert text.startswith(f"# Variations of {studio.picture().candidate_id} (MUG-1, tile, en-GB)")


def test_another_wish_has_another_name_and_nothing_is_overwritten(studio: Studio) -> None:
    parent = studio.parent()
    wishes = [
        Wish({"light": [RIGHT]}),
        Wish({"light": [ABOVE]}),
        Wish({"light": [RIGHT]}, seeds=1),
        Wish({"light": [RIGHT]}, count=1),
    ]
    assert len({name_for(parent, wish) for wish in wishes}) == 4
    one, two = (vary(studio.means, parent, wish, name="mine") for wish in wishes[:2])
    write_campaign(studio.data, one)
    with pytest.raises(InvalidFile, match="give another --name"):
        write_campaign(studio.data, two)
    with pytest.raises(InvalidFile, match="cannot name a campaign"):
        write_campaign(studio.data, vary(studio.means, parent, wishes[0], name="../mine"))


def test_a_variation_has_variations_too(studio: Studio) -> None:
    first = studio.like(Wish({"light": [RIGHT]}))
    write_campaign(studio.data, first)
    (made,) = studio.run(first.campaign_id)
    parent, _ = find_picture(studio.means, made.candidate_id)
    (wanted,) = vary(studio.means, parent, Wish({"surface": ["marble"]})).order.wanted
    assert unlike(request_of(wanted), made.request) == {"prompt"}
    assert request_of(wanted).prompt == made.request.prompt.replace("slate", "marble")


# What cannot be


def test_a_variable_that_is_not_declared_is_refused_with_those_that_are(studio: Studio) -> None:
    with pytest.raises(InvalidFile, match=r"no variable sky \(it declares: light, mood, surface\)"):
        studio.like(Wish({"sky": ["grey"]}))


def test_a_variable_that_the_words_do_not_speak_of_would_change_nothing(studio: Studio) -> None:
    with pytest.raises(InvalidFile, match=r"mood: wild \(was calm\).*does not speak of it"):
        studio.like(Wish({"mood": ["wild"]}))
    with pytest.raises(InvalidFile, match="does not speak of it"):
        studio.like(Wish({"mood": ["wild"]}, seeds=2))


@pytest.mark.parametrize(("wish", "words"), [
    (Wish({}), "nothing varies"),
    (Wish({"light": [LEFT]}), "the picture has 'light from the left' already"),
    (Wish({"light": [RIGHT, LEFT]}), "the picture has 'light from the left' already"),
])  # fmt: skip
def test_what_varies_nothing_is_refused(studio: Studio, wish: Wish, words: str) -> None:
    with pytest.raises(InvalidFile, match=words):
        studio.like(wish)


def test_words_that_the_policy_forbids_are_refused_before_anything_is_written(studio: Studio) -> None:
    studio.edit("brand.yaml", never_say=["blood"])
    with pytest.raises(InvalidFile, match="blood"):
        studio.like(Wish({"light": ["blood red light"]}))
    assert sorted(path.stem for path in (studio.data / "campaigns").iterdir()) == [AUTUMN, "spring"]


@pytest.mark.parametrize("option", ["light", "light=", "=words", "light= "])
def test_what_is_not_a_variable_and_its_words_is_refused(option: str) -> None:
    with pytest.raises(InvalidFile, match="--vary light='light from above'"):
        values([option])


def test_values_are_gathered_by_variable() -> None:
    assert values(["light=a = b", "surface=oak", " light = c"]) == {
        "light": ["a = b", "c"],
        "surface": ["oak"],
    }


# What has changed since

CHANGES: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "template": (
        "asset_types/tile.yaml",
        {"template": "{{ product.name }} upon {{ surface }}, {{ light }}, for {{ campaign.title }}"},
        r"the asset type tile is another version.*the words would be 'Blue mug upon",
    ),
    "size": ("asset_types/tile.yaml", {"width": 128}, "the size would be 128 × 64 instead of 96 × 64"),
    "title": (
        f"campaigns/{AUTUMN}.yaml",
        {"title": "Winter"},
        "the words would be 'Blue mug on slate.*Winter'",
    ),
    "profile": ("profiles/brush.yaml", {"parameters": {"size": 4}}, "the profile brush has other parameters"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_since_is_named_and_refused_unless_it_is_allowed(
    studio: Studio, change: str
) -> None:
    path, fields, words = CHANGES[change]
    studio.edit(path, **fields)
    with pytest.raises(InvalidFile, match=words):
        studio.like(Wish({"light": [RIGHT]}))
    allowed = studio.like(Wish({"light": [RIGHT]}), allow_changed=True)
    assert allowed.changed
    assert request_of(allowed.order.wanted[0]).seed == studio.picture().request.seed


def test_another_version_of_the_provider_is_named(studio: Studio) -> None:
    studio.brush = Brush(version="2")
    with pytest.raises(InvalidFile, match="provider brush is version 2, the picture was made by version 1"):
        studio.like(Wish({"light": [RIGHT]}))


def test_another_photograph_of_the_product_is_named(studio: Studio) -> None:
    shutil.copy(studio.data / "catalog/images/lamp.png", studio.data / "catalog/images/mug.png")
    with pytest.raises(InvalidFile, match=r"the product has other photographs \(base\)"):
        studio.like(Wish({"light": [RIGHT]}))


def test_a_price_or_another_product_that_changed_changes_nothing(studio: Studio) -> None:
    feed = studio.data / "catalog/products.csv"
    feed.write_text(feed.read_text().replace("Desk lamp,Northwind", "Floor lamp,Southwind"))
    assert not studio.like(Wish({"light": [RIGHT]})).changed


def test_a_product_that_is_gone_has_no_variations(studio: Studio) -> None:
    feed = studio.data / "catalog/products.csv"
    feed.write_text(feed.read_text().replace("MUG-1", "CUP-1"))
    with pytest.raises(NotFound, match="no longer has the product MUG-1"):
        studio.like(Wish({"light": [RIGHT]}))


# Which picture


def test_a_picture_is_found_by_its_id_its_hash_or_an_exported_file(studio: Studio) -> None:
    picture = next(
        each
        for each in load_candidates(studio.store, AUTUMN)
        if each.candidate_id in {file.candidate_id for file in load_exported_files(studio.store, AUTUMN)}
    )
    file = next(
        each
        for each in load_exported_files(studio.store, AUTUMN)
        if each.candidate_id == picture.candidate_id and each.channel == "tile"
    )
    exported = studio.root / "exports" / AUTUMN / file.export_id / file.path
    for what in (picture.candidate_id, str(picture.image_sha256), str(exported)):
        parent, story = find_picture(studio.means, what)
        assert parent.candidate == picture
        assert story.choice is not None
        assert story.choice.state == "approved"


def test_a_picture_that_was_not_chosen_can_have_variations_and_its_story_says_what_it_is(
    studio: Studio,
) -> None:
    loser = next(each for each in load_choices(studio.store, AUTUMN) if each.state == "not_chosen")
    parent, story = find_picture(studio.means, loser.candidate_id)
    assert story.choice == loser
    assert vary(studio.means, parent, Wish({}, seeds=1)).order.wanted


def test_what_means_several_pictures_or_none_is_refused(studio: Studio) -> None:
    with pytest.raises(NotFound, match="has to mean one picture, and means c"):
        find_picture(studio.means, "MUG-1")
    with pytest.raises(NotFound, match="nothing of that name"):
        find_picture(studio.means, "c" + "0" * 20)
    shutil.copy(studio.data / f"campaigns/{AUTUMN}.yaml", studio.data / "campaigns/twin.yaml")
    studio.run("twin")
    name = studio.picture().candidate_id
    with pytest.raises(NotFound, match=f"{name} of {AUTUMN}, {name} of twin"):
        find_picture(studio.means, name)
    assert find_picture(studio.means, name, "twin")[0].campaign_id == "twin"
    with pytest.raises(NotFound, match="means none"):
        find_picture(studio.means, name, "spring")


# The command


@pytest.fixture
def command(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``asset-pipeline like`` in the studio."""
    places = Places.of({"ASSET_PIPELINE_DATA": str(studio.data)})
    for module in ("like", "terminal"):
        monkeypatch.setattr(f"asset_pipeline.commands.{module}.PLACES", places)
    monkeypatch.setattr("asset_pipeline.commands.like.PROVIDERS", {"brush": studio.brush})
    shutil.copytree(studio.root / "store", studio.data / "store")
    return lambda *arguments: CliRunner().invoke(like, arguments)


def test_the_command_writes_the_campaign_and_says_what_it_makes_of_what_and_for_how_much(
    studio: Studio, command: Callable[..., Result]
) -> None:
    loser = next(each for each in load_choices(studio.store, AUTUMN) if each.state == "not_chosen")
    arguments = (loser.candidate_id, "--vary", f"light={RIGHT}", "--seed", "2", "--name", "mine")
    told = " ".join(command(*arguments).output.split())
    assert f"like {loser.candidate_id} of {AUTUMN}" in told
    assert "note: it is not approved: 1 better one is kept" in told
    assert f"light: {RIGHT} (was {LEFT})" in told
    assert "2 to make with brush for $0.00, 0 are there" in told
    assert "to make them: asset-pipeline run mine" in told
    assert load_campaign(studio.data, "mine").like is not None
    assert "there already" in command(*arguments).output


def test_the_command_writes_nothing_where_it_refuses(studio: Studio, command: Callable[..., Result]) -> None:
    result = command(studio.picture().candidate_id, "--vary", "sky=grey")
    assert isinstance(result.exception, InvalidFile)
    assert sorted(path.stem for path in (studio.data / "campaigns").iterdir()) == [AUTUMN, "spring"]


MINIMAL: Mapping[str, Sequence[str] | str] = {"title": "S", "asset_types": ["tile"], "locales": ["en-GB"]}
