"""What a campaign may vary: declared words, combinations less those left out, never more than it says."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.variation import count_prompts
from asset_pipeline.yaml_model import read_model
from asset_pipeline_tests.briefs import asset_type, campaign, only_prompt, product, write

MATRIX = {"scene": ["wood", "sand", "snow", "moss"], "angle": ["low", "high"]}


def staged(**fields: object) -> AssetType:
    return asset_type("{{ scene }}, {{ angle }}", variables={"scene": "wood", "angle": "low"}, **fields)


def texts(asked: Campaign, kind: AssetType) -> list[str]:
    return [each.text for each in write(asked, kind) if isinstance(each, Prompt)]


def from_file(folder: Path, variations: str) -> Campaign:
    path = folder / "spring.yaml"
    path.write_text(f"title: Spring\nasset_types: [tile]\nlocales: [en-GB]\n{variations}")
    return read_model(path, Campaign)


# ------------------------------------------------------------------------------------------------ left out


def test_every_combination_is_a_prompt_unless_it_is_left_out() -> None:
    asked = campaign(variations=MATRIX, exclude=[{"scene": "snow", "angle": "high"}, {"scene": "moss"}])
    assert texts(asked, staged()) == ["wood, low", "wood, high", "sand, low", "sand, high", "snow, low"]


def test_what_an_asset_type_says_where_nobody_varies_it_can_be_left_out_too() -> None:
    asked = campaign(variations={"scene": ["wood", "sand"]}, exclude=[{"scene": "sand", "angle": "low"}])
    assert texts(asked, staged()) == ["wood, low"]


def test_an_exclusion_does_not_touch_asset_types_that_declare_no_such_word() -> None:
    asked = campaign(
        asset_types=["tile", "plain"], variations={"angle": ["low", "high"]}, exclude=[{"angle": "high"}]
    )
    answers = write(asked, {"tile": staged(), "plain": asset_type()})
    assert [each.asset_type for each in answers] == ["tile", "plain"]


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        ([{"scene": "snoow"}], "scene: snoow: .*the campaign's values of scene: wood, sand, snow, moss"),
        ([{"tone": "dark"}], r"tone: dark: .*variables: angle, scene"),
        ([{"angle": "low"}, {"angle": "high"}], "nothing is left of the asset type tile"),
    ],
)
def test_an_exclusion_that_cannot_be_meant_is_refused(exclude: list[dict[str, str]], words: str) -> None:
    with pytest.raises(InvalidFile, match=words):
        write(campaign(variations=MATRIX, exclude=exclude), staged())


def test_an_exclusion_without_a_word_would_leave_out_everything_and_is_refused() -> None:
    with pytest.raises(ValidationError, match="would leave out everything"):
        campaign(exclude=[{}])


# ------------------------------------------------------------------------------------------------- counted


def test_the_number_of_prompts_is_known_before_any_is_written_with_its_arithmetic() -> None:
    asked = campaign(locales=["en-GB", "de-DE", "fr-FR"], variations=MATRIX)
    count = count_prompts(120, asked, {"tile": staged(), "hero": staged()})
    assert count.prompts == 5760
    assert count.arithmetic == "120 products × 2 asset types × 3 locales × 4 scenes × 2 angles = 5,760"


def test_asset_types_that_vary_different_words_are_counted_one_by_one() -> None:
    asked = campaign(variations=MATRIX, exclude=[{"scene": "moss", "angle": "low"}])
    count = count_prompts(10, asked, {"tile": staged(), "plain": asset_type()})
    assert count.prompts == 80
    assert count.arithmetic == (
        "tile: 10 products × 1 locale × (4 scenes × 2 angles less 1 excluded) = 70; "
        "plain: 10 products × 1 locale = 10; together 80"
    )


@pytest.mark.parametrize(
    ("fields", "products"),
    [
        ({}, 3),
        ({"variations": MATRIX}, 2),
        ({"variations": MATRIX, "locales": ["en-GB", "de-DE"]}, 2),
        ({"variations": MATRIX, "exclude": [{"scene": "snow"}, {"angle": "low", "scene": "sand"}]}, 3),
    ],
)
def test_the_count_is_the_number_of_prompts_that_are_written(
    fields: dict[str, object], products: int
) -> None:
    asked, catalog = campaign(**fields), [product(f"P{number}") for number in range(products)]
    kinds = {"tile": staged(), "hero": staged(overlay="New")}
    assert count_prompts(products, asked, kinds).prompts == len(write(asked, kinds, *catalog))


def test_a_campaign_beyond_its_maximum_is_refused_with_the_arithmetic_before_anything_is_written() -> None:
    broken = staged().model_copy(update={"template": "{{ product.name.upper( }}"})
    with pytest.raises(InvalidFile, match=r"'Spring' comes to 8 prompts, .* 7: .* 4 scenes × 2 angles = 8\."):
        write(campaign(variations=MATRIX, max_prompts=7), broken)
    assert len(write(campaign(variations=MATRIX, max_prompts=8), staged())) == 8


def test_twenty_thousand_prompts_are_the_most_unless_the_campaign_says_otherwise() -> None:
    assert campaign().max_prompts == 20_000


def test_a_matrix_that_nobody_could_count_is_refused_at_once() -> None:
    names = [f"word{number}" for number in range(30)]
    kind = asset_type(" ".join(f"{{{{ {name} }}}}" for name in names), variables=dict.fromkeys(names, "a"))
    matrix = {name: ["a", "b", "c"] for name in names}
    with pytest.raises(InvalidFile, match="more than its max_prompts"):
        write(campaign(variations=matrix), kind)
    with pytest.raises(InvalidFile, match="varies too much at once"):
        write(campaign(variations=matrix, exclude=[{"word0": "a"}]), kind)


# ---------------------------------------------------------------------------------------- worded by locale


def test_a_value_worded_by_locale_is_the_same_value_in_all_of_them(tmp_path: Path) -> None:
    asked = from_file(tmp_path, "variations: {background: [{en: autumn leaves, de: Herbstlaub}, sand]}")
    asked = asked.model_copy(update={"locales": ("en-GB", "de-DE", "fr-FR")})
    answers = [each for each in write(asked) if isinstance(each, Prompt)]
    assert [each.text for each in answers[:4:2]] == [
        "Blue mug on autumn leaves",
        "Blauer Becher on Herbstlaub",
    ]
    assert {each.variation["background"] for each in answers} == {"autumn leaves", "sand"}
    french = answers[4]
    assert (french.text, french.fallbacks) == (
        "Blue mug on autumn leaves",
        ("product words: en-GB", "variable background: default"),
    )
    assert answers[5].fallbacks == ("product words: en-GB",)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("{en: sea, de: Meer}", "sea"),
        ("{default: sea, en: the sea}", "sea"),
        ("{en-US: ocean, en-GB: sea, de: Meer}", "sea"),
        ("sea", "sea"),
    ],
)
def test_a_value_is_named_by_its_default_or_english_wording(tmp_path: Path, value: str, name: str) -> None:
    asked = from_file(tmp_path, f"variations: {{background: [{value}]}}")
    assert only_prompt(write(asked)).variation == {"background": name}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{de: Meer}", "background.0: a value worded by locale needs a wording for en, or a default"),
        ("{en: sea, german: Meer}", "german"),
        ("{en: 5}", "should be a valid string"),
        ("7", "should be a valid string"),
    ],
)
def test_a_wrong_value_is_told_by_file_and_line(tmp_path: Path, value: str, words: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        from_file(tmp_path, f"variations:\n  background: [{value}]")
    assert "spring.yaml:5: variations" in str(raised.value)
    assert words in str(raised.value)


def test_two_values_of_one_name_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="'background' has a value twice"):
        campaign(variations={"background": ["sea", {"en": "sea", "de": "Meer"}]})


def test_a_campaign_says_the_same_after_it_was_stored() -> None:
    asked = campaign(variations={"background": [{"en": "sea", "de": "Meer"}, "sand"]})
    assert Campaign.model_validate(asked.model_dump(mode="json")) == asked
