"""What is promised of words before anything is spent: refused by row and reason, warned of, recorded."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from asset_pipeline import definitions
from asset_pipeline.audit.audit import audit
from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.token_count import token_counts
from asset_pipeline.catalog.product import Photograph, Product, Text
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.policy.wording_checks import Checked, TokenCount, TokenCounts, WordingChecks
from asset_pipeline.prompts.prompt import write_prompts
from asset_pipeline.prompts.records import PROMPT_WARNINGS, WORDING, load_failures, load_prompts, prompts_from
from asset_pipeline.prompts.writing.words import Writer
from asset_pipeline.store.store import Store
from asset_pipeline_tests.small_project import write_project

ROOT = Path(__file__).parent.parent
BRAND = Brand(name="Nordlicht")


def product(sku: str, name: str = "Blue mug", photograph: str = "") -> Product:
    pictures = [
        Photograph(role="base", reference="a.png", sha256=sha, media_type="image/png", width=9, height=9)
        for sha in filter(None, [photograph])
    ]
    return Product(
        sku=sku,
        texts={"en-GB": Text(name=name)},
        photographs=tuple(pictures),
        feed="mugs.csv",
        row=2,
        source_sha256="s",
    )


def check(
    products: list[Product],
    *,
    template: str = "{{ product.name }}",
    variations: dict[str, list[str]] | None = None,
    locales: tuple[str, ...] = ("en-GB",),
    tokens: TokenCounts | None = None,
    overlay: str = "",
) -> Checked:
    kind = AssetType(
        title="Tile",
        width=512,
        height=512,
        template=template,
        overlay=overlay,
        variables={"background": "sand", "light": "soft light"},
    )
    campaign = Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": locales, "variations": variations or {}}
    )
    by_fact = {each.sku: each for each in products}
    checks = WordingChecks(campaign, {"tile": kind}, BRAND, by_fact, None, tokens)
    return checks.check(write_prompts(by_fact, campaign, {"tile": kind}, BRAND))


def test_the_second_of_two_variations_with_the_same_words_is_refused_naming_the_first() -> None:
    varied = {"background": ["sand", "sky"], "light": ["soft light"]}
    checked = check([product("A")], variations=varied)
    (failure,) = checked.failures
    assert [each.variation["background"] for each in checked.prompts] == ["sand"]
    assert failure.variation["background"] == "sky"
    assert failure.code == "duplicate"
    assert failure.reason.startswith(
        "the same words as the variation background: sand; the template does not say background."
    )


def test_variations_that_differ_in_an_overlay_alone_are_two_pictures() -> None:
    varied = {"background": ["sand", "sky"]}
    assert check([product("A")], variations=varied, overlay="{{ background }}").failures == []


def test_the_same_words_for_two_products_are_fine_where_their_photographs_differ() -> None:
    alike = "an empty table"
    differing = check([product("A", photograph="1"), product("B", photograph="2")], template=alike)
    same = check([product("A", photograph="1"), product("B", photograph="1")], template=alike)
    without = check([product("A"), product("B")], template=alike)
    assert differing.failures == []
    assert [each.sku for each in same.failures] == ["B"]
    assert [each.reason.split(";")[0] for each in without.failures] == [
        "SKU A has the same words and the same photographs, or none"
    ]


def test_a_locale_in_the_words_of_another_is_warned_of_and_used() -> None:
    checked = check([product("A")], locales=("en-GB", "en-US"))
    assert len(checked.prompts) == 2
    (warning,) = checked.warnings
    assert (warning.locale, warning.code) == ("en-US", "same_in_locale")
    assert "the words of en-GB too" in warning.reason


def words_as_tokens(_campaign: Campaign, _parameters: Mapping[str, Any]) -> TokenCount:
    return lambda text: (len(text.split()), 4)


def test_a_prompt_with_more_tokens_than_the_model_reads_is_refused_with_both_numbers() -> None:
    products = [product("A", "one two three four"), product("B", "one two three four five")]
    checked = check(products, tokens=words_as_tokens)
    (failure,) = checked.failures
    assert [each.sku for each in checked.prompts] == ["A"]
    assert checked.most_tokens == (4, 4)
    assert (failure.sku, failure.code) == ("B", "too_long")
    assert "has 5 tokens and the text encoder of the profile packshot reads 4" in failure.reason


def test_nothing_is_too_long_where_nobody_counts() -> None:
    checked = check([product("A", "word " * 500)], tokens=lambda _campaign, _parameters: lambda _text: None)
    assert checked.failures == []
    assert checked.most_tokens is None


def asking(profile: str) -> Campaign:
    return Campaign(title="T", asset_types=("tile",), locales=("en-GB",), profile=profile)


@pytest.mark.parametrize("profile", ["scene", "sample-diffusion"])
def test_tokens_are_counted_by_the_tokenizer_of_the_profiles_own_model(profile: str) -> None:
    providers = definitions.providers(Checkpoints(ROOT / "data", {}))
    count = token_counts(ROOT / "data", providers)(asking(profile), {})
    short, long = count("a mug"), count("a mug on a wooden table " * 50)
    assert short is not None
    assert long is not None
    assert short[0] < short[1] < long[0]
    assert short[1] == long[1]


def test_where_profile_or_model_are_not_there_nothing_is_counted() -> None:
    providers = definitions.providers(Checkpoints(ROOT / "data", {}))
    counts = token_counts(ROOT / "data", providers)
    assert counts(asking("nowhere"), {})("a mug") is None
    assert counts(asking("scene"), {"model": "nowhere"})("a mug") is None


def test_counting_for_a_profile_without_a_tokenizer_loads_no_torch() -> None:
    script = (
        "import sys; from pathlib import Path; from asset_pipeline import definitions as d;"
        "from asset_pipeline.candidates.token_count import token_counts;"
        "from asset_pipeline.campaign.brief import Campaign;"
        "c = Campaign(title='T', asset_types=('t',), locales=('en-GB',));"
        "print(token_counts(Path('data'), d.PROVIDERS)(c, {})('a mug'), 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "None False"


CAMPAIGN = """\
title: Boxes
asset_types: [product_tile]
locales: [en-GB]
candidates_per_prompt: 1
approval: gates
"""
POLICY = """\
version: 4
owner: team:legal
rules:
  - {id: numbers, title: Numbers, terms: {any: ["1"]}, message: no numbers}
  - {id: boxes, title: Boxes, level: warn, terms: {any: ["2"]}, message: look at it}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project of three boxes and a policy that forbids the one with the number 1 and warns of 2."""
    folder = write_project(tmp_path, campaigns={"boxes": CAMPAIGN})
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        ephemeral.add_dynamic_partitions("campaigns", ["boxes"])
        yield ephemeral


def materialise(data: Path, instance: dg.DagsterInstance, *assets: str) -> dg.ExecuteInProcessResult:
    environ = {"ASSET_PIPELINE_DATA": str(data)}
    defs = definitions.build(definitions.Places.of(environ), environ)
    keys = [dg.AssetKey(name) for name in assets] or None
    return defs.resolve_job_def("campaign").execute_in_process(
        partition_key="boxes", instance=instance, asset_selection=keys, raise_on_error=False
    )


def store_of(data: Path) -> Store:
    return Store(str(data / "store"))


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_what_breaks_the_policy_is_left_out_recorded_and_warned_of(
    data: Path, instance: dg.DagsterInstance
) -> None:
    result = materialise(data, instance, "catalog", "prompts")
    assert result.success
    store = store_of(data)
    assert [each.sku for each in load_prompts(store, "boxes")] == ["BOX-0000", "BOX-0002"]
    (failure,) = load_failures(store, "boxes")
    assert (failure.sku, failure.rule, failure.feed, failure.row) == (
        "BOX-0001",
        "numbers",
        "products.csv",
        3,
    )
    (warning,) = store.facts.read(PROMPT_WARNINGS, "boxes")
    assert (warning.sku, warning.rule) == ("BOX-0002", "boxes")
    check = checks_of(result)["no_prompt_breaks_the_policy"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["by rule"].value == {"numbers": 1}


def test_no_question_is_planned_for_a_prompt_that_the_policy_refuses(data: Path) -> None:
    (data / "text_models").mkdir()
    shutil.copy(ROOT / "data" / "text_models" / "openai.yaml", data / "text_models")
    writing = "writing: {model: openai, steps: [image_prompt]}\nsensitivity: public\n"
    (data / "campaigns" / "boxes.yaml").write_text(CAMPAIGN + writing)
    products = read_catalog(data / "catalog").products
    writer = Writer(store_of(data), definitions.text_models({}))
    written = prompts_from(products, data, "boxes", writer=writer)
    assert written.words is not None
    assert (len(written.failures), written.words.questions) == (1, 2)


def test_the_ui_shows_failures_warnings_and_what_decided_the_words(
    data: Path, instance: dg.DagsterInstance
) -> None:
    result = materialise(data, instance, "catalog", "prompts")
    (event,) = result.asset_materializations_for_node("prompts")
    shown = {name: str(value.value) for name, value in event.metadata.items()}
    assert "| policy | numbers | 1 |" in shown["failures by reason"]
    assert "BOX-0001 | products.csv row 3" in shown["failures"]
    assert "BOX-0002" in shown["warnings to look at"]
    assert "| policy | 4 | team:legal |" in shown["decided by"]
    assert "asset type product\\_tile" in shown["decided by"]


def test_a_campaign_of_which_nothing_is_left_stops_before_anything_is_made(
    data: Path, instance: dg.DagsterInstance
) -> None:
    (data / "policy.yaml").write_text(POLICY.replace('any: ["1"]', "en: [box]"))
    result = materialise(data, instance)
    check = checks_of(result)["no_prompt_breaks_the_policy"]
    assert not result.success
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert result.asset_materializations_for_node("prompts")
    assert not (data / "store" / "events" / "attempts").is_dir() or not list(
        (data / "store" / "events" / "attempts").glob("campaign=boxes/*")
    )


def test_the_other_checks_say_what_was_not_written_too_long_and_in_other_words(
    data: Path, instance: dg.DagsterInstance
) -> None:
    campaign = CAMPAIGN.replace("[en-GB]", "[en-GB, de-DE]") + "variations: {mood: [calm, bright]}\n"
    tile = (data / "asset_types" / "product_tile.yaml").read_text()
    (data / "asset_types" / "product_tile.yaml").write_text(
        tile.replace("variables:\n", "variables:\n  mood: calm\n")
    )
    (data / "campaigns" / "boxes.yaml").write_text(campaign)
    (data / "policy.yaml").unlink()
    checks = checks_of(materialise(data, instance, "catalog", "prompts"))
    assert checks["no_prompt_breaks_the_policy"].passed
    written = checks["every_prompt_could_be_written"]
    assert not written.passed
    assert written.metadata["by reason"].value == {"duplicate": 6}
    assert checks["every_prompt_is_read_to_its_end"].passed
    own_words = checks["every_locale_has_its_own_words"]
    assert not own_words.passed
    assert "de-DE: product words: en-GB" in str(own_words.metadata["prompts"].value)


def test_what_decided_the_words_is_recorded_each_time_it_changes(
    data: Path, instance: dg.DagsterInstance
) -> None:
    for version in (4, 4, 5):
        (data / "policy.yaml").write_text(POLICY.replace("version: 4", f"version: {version}"))
        materialise(data, instance, "catalog", "prompts")
    store = store_of(data)
    assert len(store.facts.materialisations(WORDING, "boxes")) == 2
    editions = {each.kind: each for each in store.facts.read(WORDING, "boxes")}
    assert editions.keys() == {"asset type", "brand", "policy"}
    assert (editions["policy"].version, editions["policy"].owner) == ("5", "team:legal")
    assert editions["asset type"].sha256 == load_prompts(store, "boxes")[0].template_sha256


def test_a_changed_policy_makes_the_prompts_stale_and_a_changed_owner_does_not(data: Path) -> None:
    def version() -> str:
        return definitions.code_versions(data, {}, [])["prompts"]

    first = version()
    (data / "policy.yaml").write_text(POLICY.replace("team:legal", "team:brand"))
    assert version() == first
    (data / "policy.yaml").write_text(POLICY.replace("level: warn, ", ""))
    assert version() != first


def test_an_audit_names_the_policy_that_a_pictures_prompt_passed(
    data: Path, instance: dg.DagsterInstance
) -> None:
    assert materialise(data, instance).success
    (data / "policy.yaml").write_text(POLICY.replace("version: 4", "version: 5"))
    told = audit(store_of(data), data, data / "exports", definitions.PROVIDERS, "BOX-0000")
    ((story, _),) = told.stories
    (link,) = [each for each in story.links if each.name == "prompt"]
    assert (link.state, link.facts["policy"]["version"]) == ("holds", "4")
    assert link.facts["policy"]["owner"] == "team:legal"
