"""Business rules are data: which pictures they speak of, what they say, and what never passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.catalog.product import Product, Text
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import code_versions, scorers
from asset_pipeline.errors import InvalidFile
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scores.business_rules import BusinessRules, Rule
from asset_pipeline.scores.records import JudgedScore, judge_scores, summed_up
from asset_pipeline.scores.requirements import Requirements, load_requirements, measures
from asset_pipeline.scores.score import DetailedScorer, Look, ReferenceLook, Score
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline_tests.small_project import write_project

DATA = Path(__file__).parent.parent / "data"
SCORERS = scorers(Checkpoints(DATA, {}))
RULE: dict[str, Any] = {
    "name": "area",
    "measure": "product_fill.area_percent",
    "at_least": 12,
    "message": "the product covers {value} %",
    "owner": "marketplace team",
}


def candidate(asset_type: str = "tile", locale: str = "de-DE", **changed: Any) -> Candidate:
    request = ImageRequest(prompt="a", width=640, height=480, seed=1, profile_fingerprint="x")
    return Candidate(
        candidate_id="c1",
        prompt_id="p",
        prompt_fact_sha256="f",
        sku="MUG",
        asset_type=asset_type,
        locale=locale,
        position=0,
        profile="packshot",
        provider="packshot",
        provider_version="1",
        request=request,
        state="made",
        attempt=1,
        image_sha256="0" * 64,
        **changed,
    )


def product(**changed: Any) -> Product:
    given = {"brand": "Fjordell", "categories": ("Kitchen", "Mugs"), "attributes": {"colour": "oat"}}
    return Product(
        sku="MUG",
        texts={"en-GB": Text(name="Mug")},
        feed="f.csv",
        row=2,
        source_sha256="s",
        **given | changed,
    )


def fill(value: float | None = 50.0, applies: bool = True, **details: Any) -> Score:  # noqa: FBT002 - as Score has it
    return Score(
        candidate_id="c1",
        image_sha256="0" * 64,
        dimension="product_fill",
        scorer_version="1",
        value=value,
        reason="nobody knows where the product is" if value is None else None,
        applies=applies,
        details=details,
    )


def rule(**changed: Any) -> Rule:
    return Rule.model_validate({name: value for name, value in (RULE | changed).items() if value is not None})


def judged(
    *rules: Rule,
    of: Candidate | None = None,
    scores: tuple[Score, ...] = (fill(area_percent=8.25, margins_px={"left": 20}, side="left"),),
    products: tuple[Product, ...] = (product(),),
    campaign: str = "spring",
) -> list[JudgedScore]:
    """What the rules alone say."""
    known = BusinessRules(rules, campaign, {each.sku: each for each in products})
    return [each for each in judge_scores(of or candidate(), scores, {}, known) if each.level]


def verdict(**changed: Any) -> str:
    (found,) = judged(rule(**changed))
    return found.verdict


def by_width(**comparison: Any) -> str:
    return verdict(**{"measure": "width", "at_least": None} | comparison)


def by_locale(**comparison: Any) -> str:
    return verdict(**{"measure": "locale", "at_least": None} | comparison)


# ------------------------------------------------------------------------------------------- what rules say


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ({"at_least": 640}, "passed"),
        ({"at_least": 641}, "failed"),
        ({"at_most": 640}, "passed"),
        ({"at_most": 639}, "failed"),
        ({"between": [600, 640]}, "passed"),
        ({"between": [641, 700]}, "failed"),
        ({"between": [1, 639]}, "failed"),
        ({"equals": 640}, "passed"),
        ({"equals": 641}, "failed"),
        ({"one_of": [320, 640]}, "passed"),
        ({"one_of": [320, 1280]}, "failed"),
        ({"differs_from": 640}, "failed"),
        ({"differs_from": 641}, "passed"),
    ],
)
def test_a_number_is_compared_as_the_rule_says(comparison: dict[str, Any], expected: str) -> None:
    assert by_width(**comparison) == expected


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ({"equals": "de-DE"}, "passed"),
        ({"equals": "DE-de"}, "passed"),
        ({"equals": "de"}, "failed"),
        ({"one_of": ["fr-FR", "de-DE"]}, "passed"),
        ({"one_of": ["fr-FR"]}, "failed"),
        ({"differs_from": "de-DE"}, "failed"),
        ({"differs_from": "fr-FR"}, "passed"),
    ],
)
def test_a_text_is_compared_as_the_rule_says(comparison: dict[str, Any], expected: str) -> None:
    assert by_locale(**comparison) == expected


def test_a_rule_goes_by_a_dimension_a_detail_or_a_property() -> None:
    costly = candidate(cost_usd=0.75, seconds=3.0)
    for measure, value in (
        ("product_fill", 50.0),
        ("product_fill.area_percent", 8.25),
        ("product_fill.margins_px.left", 20.0),
        ("height", 480.0),
        ("cost_usd", 0.75),
        ("seconds", 3.0),
    ):
        (found,) = judged(rule(measure=measure), of=costly)
        assert found.value == value


def test_a_rule_that_is_not_kept_says_its_message_with_the_value() -> None:
    (found,) = judged(rule())
    assert found.words == "area: the product covers 8.25 %"
    (found,) = judged(rule(measure="locale", at_least=None, equals="en-GB", message="{value} here"))
    assert found.words == "area: de-DE here"


def test_a_rule_that_is_kept_says_by_what_and_gives_no_reason() -> None:
    found = judged(rule(at_least=5), rule(name="words", measure="locale", at_least=None, equals="de-DE"))
    assert [each.words for each in found] == [
        "area: product_fill.area_percent 8.25 is not below 5",
        "words: locale is de-DE",
    ]
    assert summed_up(found).reasons == ()


def test_a_verdict_names_the_rule_its_bounds_its_owner_and_what_was_found() -> None:
    (found,) = judged(rule(at_least=None, between=[12, 80]))
    assert (found.dimension, found.minimum, found.maximum, found.level) == ("rule:area", 12, 80, "block")
    assert found.details == {
        "measure": "product_fill.area_percent",
        "owner": "marketplace team",
        "found": 8.25,
    }


def test_a_verdict_carries_the_versions_of_the_rule_and_of_the_scorer() -> None:
    (found,), (other,) = judged(rule()), judged(rule(at_least=13))
    assert found.scorer_version != other.scorer_version
    assert found.scorer_version.endswith("+1")
    (of_property,) = judged(rule(measure="width"))
    assert "+" not in of_property.scorer_version


# ---------------------------------------------------------------------------------------- whom they speak of


@pytest.mark.parametrize(
    ("where", "speaks"),
    [
        ({}, True),
        ({"campaigns": ["spring", "summer"]}, True),
        ({"campaigns": ["summer"]}, False),
        ({"locales": ["de-DE"]}, True),
        ({"locales": ["de"]}, True),
        ({"locales": ["de-AT"]}, False),
        ({"brands": ["FJORDELL"]}, True),
        ({"brands": ["Fjord"]}, False),
        ({"categories": ["mugs"]}, True),
        ({"categories": ["Chairs"]}, False),
        ({"attributes": {"Colour": ["Oat", "sage"]}}, True),
        ({"attributes": {"colour": ["sage"]}}, False),
        ({"attributes": {"material": ["oak"]}}, False),
        ({"brands": ["Fjordell"], "locales": ["fr"]}, False),
        ({"brands": ["Fjordell"], "attributes": {"colour": ["sage"]}}, False),
    ],
)
def test_a_rule_speaks_of_the_pictures_for_which_every_part_holds(
    where: dict[str, Any], speaks: bool
) -> None:
    assert bool(judged(rule(where=where))) is speaks


def test_a_rule_speaks_of_its_asset_types_or_of_all() -> None:
    for asset_types, speaks in (([], True), (["tile", "hero"], True), (["hero"], False)):
        assert bool(judged(rule(asset_types=asset_types))) is speaks


def test_a_rule_about_a_product_that_is_gone_is_not_passed_over() -> None:
    (found,) = judged(rule(where={"brands": ["Fjordell"]}, at_least=1), products=())
    assert found.verdict == "missing"
    assert "no longer in the catalog" in found.words
    assert judged(rule(at_least=1), products=())[0].verdict == "passed"


# ------------------------------------------------------------------------------------- what has no value


def test_what_was_not_measured_is_missing_and_does_not_pass() -> None:
    for scores in ((), (fill(None),), (fill(),), (fill(area_percent="a lot"),), (fill(area_percent=True),)):
        found = judged(rule(), scores=scores)
        assert [each.verdict for each in found] == ["missing"]
        assert not summed_up(found).passes
        assert summed_up(found).quality is None


def test_the_reason_for_a_missing_value_is_told() -> None:
    (found,) = judged(rule(), scores=(fill(None),))
    assert "product_fill: nobody knows where the product is" in found.words


def test_what_does_not_apply_is_passed_over() -> None:
    found = judged(rule(), scores=(fill(None, applies=False),))
    assert [each.verdict for each in found] == ["not applicable"]
    assert summed_up(found).passes


def test_a_warning_is_told_and_does_not_block() -> None:
    found = judged(rule(level="warn"))
    assert summed_up(found).passes
    assert summed_up(found).reasons == ("area: the product covers 8.25 %",)


# --------------------------------------------------------------------------------- beside the thresholds


def test_rules_and_thresholds_judge_together_under_one_hash() -> None:
    thresholds = {"product_fill": Threshold(min=30)}
    known = BusinessRules((rule(),), "spring", {})
    found = judge_scores(candidate(), (fill(area_percent=8.25),), thresholds, known)
    assert {each.dimension: each.verdict for each in found} == {
        "product_fill": "passed",
        "rule:area": "failed",
    }
    assert len({each.rules_sha256 for each in found}) == 1
    assert not summed_up(found).passes


def test_a_changed_rule_has_another_hash_and_one_that_is_silent_has_none() -> None:
    def sha256(*rules: Rule) -> str:
        found = judge_scores(candidate(), (fill(area_percent=8.25),), {}, BusinessRules(rules))
        return found[0].rules_sha256

    silent = rule(asset_types=["hero"])
    changes: list[dict[str, Any]] = [
        {"at_least": 13},
        {"message": "no"},
        {"level": "warn"},
        {"owner": "someone"},
        {"name": "b"},
    ]
    assert len({sha256(), sha256(rule()), *(sha256(rule(**change)) for change in changes)}) == 7
    assert sha256(silent) == sha256()
    assert sha256(rule(at_least=12.0)) == sha256(rule(at_least=12))


def test_a_changed_rule_makes_the_scores_stale(tmp_path: Path) -> None:
    data = write_project(tmp_path)
    before = code_versions(data, {}, SCORERS)["scores"]
    write(data, RULE)
    with_rule = code_versions(data, {}, SCORERS)["scores"]
    write(data, RULE | {"at_least": 20})
    assert len({before, with_rule, code_versions(data, {}, SCORERS)["scores"]}) == 3


# ---------------------------------------------------------------------------------------------- as a file


def write(data: Path, *rules: dict[str, Any]) -> None:
    (data / "rules.yaml").write_text(yaml.safe_dump({"rules": list(rules)}, sort_keys=False))


def load(data: Path, *rules: dict[str, Any]) -> Requirements:
    write(data, *rules)
    return load_requirements(data, SCORERS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("rules"))


def test_the_shipped_rules_name_nothing_that_is_not_there() -> None:
    assert 3 <= len(load_requirements(DATA, SCORERS).rules) <= 5


def test_a_project_without_rules_has_none(tmp_path: Path) -> None:
    data = write_project(tmp_path)
    assert load_requirements(data, SCORERS).rules == ()
    (data / "rules.yaml").write_text("# none yet\n")
    assert load_requirements(data, SCORERS).rules == ()


def test_an_unknown_measure_is_told_by_line_with_all_there_is(data: Path) -> None:
    for measure in ("product_fil", "product_fill.area", "colour.worst", "widht"):
        with pytest.raises(InvalidFile) as error:
            load(data, RULE, RULE | {"name": "b", "measure": measure})
        assert f"rules.yaml:8: rules.1.measure: there is no measure {measure!r}" in str(error.value)
        assert all(each in str(error.value) for each in measures(SCORERS))
    assert "did you mean width?" in str(error.value)


def test_an_unknown_asset_type_is_told_by_line(data: Path) -> None:
    with pytest.raises(
        InvalidFile, match=r"rules\.yaml:\d+: rules\.0\.asset_types\.1: .*did you mean product_tile"
    ):
        load(data, RULE | {"asset_types": ["landing_hero", "product_tiles"]})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"at_least": None}, "exactly one comparison"),
        ({"at_most": 20}, "exactly one comparison, and this has at_least, at_most"),
        ({"at_least": None, "between": [2, 1]}, "nothing can be"),
        ({"at_least": "much"}, r"rules\.0\.at_least"),
        ({"at_least": float("inf")}, r"rules\.0\.at_least"),
        ({"measure": "locale"}, "locale is a text"),
        ({"measure": "width", "at_least": None, "equals": "wide"}, "width is a number"),
        ({"measure": "product_fill", "at_least": None, "one_of": ["wide"]}, "product_fill is a number"),
        ({"at_least": None, "equals": True}, "write a text or a finite number"),
        ({"at_least": None, "one_of": []}, r"rules\.0\.one_of"),
        ({"at_least": None, "at_lest": 5}, "did you mean at_least"),
        ({"where": {"brand": ["x"]}}, "did you mean brands"),
        ({"where": {"locales": ["German"]}}, r"rules\.0\.where\.locales\.0"),
        ({"message": "{value.__class__}"}, r"only \{value\} can stand"),
        ({"message": ""}, r"rules\.0\.message"),
        ({"owner": None}, r"rules\.0\.owner"),
        ({"level": "fatal"}, r"rules\.0\.level"),
        ({"name": "Not a name"}, r"rules\.0\.name"),
    ],
)
def test_a_rule_that_means_nothing_is_told_by_line(
    data: Path, change: dict[str, Any], complaint: str
) -> None:
    written = {name: value for name, value in (RULE | change).items() if value is not None}
    with pytest.raises(InvalidFile, match=rf"(?s)rules\.yaml:\d+: .*{complaint}"):
        load(data, written)


def test_two_rules_of_one_name_are_refused(data: Path) -> None:
    with pytest.raises(InvalidFile, match="two rules are called area"):
        load(data, RULE, RULE | {"at_least": 3})


def test_a_message_is_never_evaluated() -> None:
    (found,) = judged(rule(message="%s {value} $HOME {{"))
    assert found.words == "area: %s 8.25 $HOME {{"


# --------------------------------------------------------------------------------- what scorers promise


def test_a_detail_that_rules_may_go_by_comes_with_every_value() -> None:
    pixels = np.full((400, 400, 3), 255, np.uint8)
    pixels[100:300, 120:280] = (150, 60, 40)
    pixels[150:200, 120:280] = (40, 60, 150)
    mask = np.zeros((400, 400), np.uint8)
    mask[100:300, 120:280] = 255
    look = Look(
        pixels=pixels,
        mask=mask,
        encoded=lossless_webp(pixels),
        expected_size=(400, 400),
        references=(ReferenceLook(pixels, mask),),
    )
    promising = [each for each in SCORERS if isinstance(each, DetailedScorer)]
    assert {each.dimension for each in promising} >= {"product_fill", "colour"}
    for scorer in promising:
        measured = scorer.measure(look)
        if measured.value is None:
            continue
        score = fill(measured.value, **measured.details).model_copy(update={"dimension": scorer.dimension})
        for detail in scorer.promises:
            found = judged(
                rule(measure=f"{scorer.dimension}.{detail}", at_least=None, differs_from="nothing"),
                scores=(score,),
            )
            assert [each.verdict for each in found] == ["passed"], f"{scorer.dimension}.{detail}"
