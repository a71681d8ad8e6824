"""How thresholds turn scores into verdicts, and what may never pass."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import scorers
from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.scores.requirements import USUAL_PASS_RATE, Requirements, load_requirements
from asset_pipeline.scores.score import Score
from asset_pipeline.scores.verdict import Judgement, Threshold, judge, rules_sha256

DATA = Path(__file__).parent.parent / "data"
SCORERS = scorers(Checkpoints(DATA, {}))
DIMENSIONS = ("blockiness", "colour", "noise", "sharpness")


def scored(dimension: str, value: float | None = None, reason: str | None = None) -> Score:
    return Score(
        candidate_id="c1",
        image_sha256="0" * 64,
        dimension=dimension,
        scorer_version="1",
        value=value,
        reason=reason if value is None else None,
    )


numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    level = draw(st.sampled_from(["block", "warn"]))
    low, high = sorted([draw(numbers), draw(numbers)])
    shape = draw(st.sampled_from([{"min": low}, {"max": high}, {"min": low, "max": high}]))
    return Threshold.model_validate({**shape, "level": level})


rules = st.dictionaries(st.sampled_from(DIMENSIONS), thresholds())


@st.composite
def scores(draw: st.DrawFn) -> list[Score]:
    values = draw(st.dictionaries(st.sampled_from(DIMENSIONS), st.none() | numbers))
    return [scored(dimension, value, "it broke") for dimension, value in values.items()]


def single(value: float | None, **threshold: object) -> Judgement:
    return judge([scored("sharpness", value, "no mask")], {"sharpness": Threshold.model_validate(threshold)})


# ------------------------------------------------------------------------------------------------------ laws


@given(scores(), rules)
@settings(deadline=None)
def test_without_a_value_a_blocking_dimension_never_passes(
    given: list[Score], wanted: dict[str, Threshold]
) -> None:
    known = {score.dimension for score in given if score.value is not None}
    missing = [name for name, each in wanted.items() if each.level == "block" and name not in known]
    judgement = judge(given, wanted)
    assert not (missing and judgement.passes)
    if missing:
        assert judgement.quality is None
        assert all(any(f"{name} was not measured" in said for said in judgement.reasons) for name in missing)


@given(scores(), rules)
@settings(deadline=None)
def test_a_verdict_passes_exactly_when_the_value_is_within_its_bounds(
    given: list[Score], wanted: dict[str, Threshold]
) -> None:
    values = {score.dimension: score.value for score in given}
    for verdict in judge(given, wanted).verdicts:
        value, threshold = values.get(verdict.dimension), wanted[verdict.dimension]
        if value is None:
            assert (verdict.outcome, verdict.margin) == ("missing", None)
            continue
        within = (threshold.min is None or value >= threshold.min) and (
            threshold.max is None or value <= threshold.max
        )
        assert (verdict.outcome == "passed") is within
        assert verdict.margin is not None
        assert (verdict.margin >= 0) is within
        assert -1 <= verdict.margin <= 1


@given(scores(), rules, st.data())
@settings(deadline=None)
def test_tightening_a_threshold_never_turns_a_fail_into_a_pass(
    given: list[Score], wanted: dict[str, Threshold], data: st.DataObject
) -> None:
    tighter = dict(wanted)
    for name, threshold in wanted.items():
        by_low, by_high = data.draw(st.floats(0, 1e6)), data.draw(st.floats(0, 1e6))
        low = None if threshold.min is None else threshold.min + by_low
        high = None if threshold.max is None else threshold.max - by_high
        if (low is None or high is None or low <= high) and all(
            math.isfinite(bound) for bound in (low, high) if bound is not None
        ):
            tighter[name] = Threshold(min=low, max=high, level=threshold.level)
    before, after = judge(given, wanted), judge(given, tighter)
    assert before.passes or not after.passes
    for old, new in zip(before.verdicts, after.verdicts, strict=True):
        assert old.outcome == "passed" or new.outcome != "passed"


@given(scores(), rules, st.data())
@settings(deadline=None)
def test_the_order_of_scores_and_thresholds_does_not_matter(
    given: list[Score], wanted: dict[str, Threshold], data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(wanted.items()))))
    assert judge(data.draw(st.permutations(given)), shuffled) == judge(given, wanted)
    assert rules_sha256(shuffled) == rules_sha256(wanted)


@given(scores(), rules)
@settings(deadline=None)
def test_nothing_is_ever_nan(given: list[Score], wanted: dict[str, Threshold]) -> None:
    judgement = judge(given, wanted)
    margins = [verdict.margin for verdict in judgement.verdicts]
    assert all(math.isfinite(number) for number in (*margins, judgement.quality) if number is not None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_neither_a_score_nor_a_bound_can_be_nan_or_infinite(value: float) -> None:
    with pytest.raises(ValidationError):
        scored("noise", value)
    with pytest.raises(ValidationError):
        Threshold(min=value)
    with pytest.raises(ValidationError):
        Threshold(max=value)


# ------------------------------------------------------------------------------------------------- sentences


def test_a_verdict_says_in_words_what_is_wrong() -> None:
    assert single(0.71, max=0.55).reasons == ("sharpness 0.71 is above 0.55",)
    assert single(71.0, min=85).reasons == ("sharpness 71 is below 85",)
    assert single(None, max=0.55).reasons == ("sharpness was not measured: no mask",)
    assert judge([], {"colour": Threshold(max=5)}).reasons == ("colour was not measured: nothing scored it",)


def test_a_pass_has_words_too_but_is_no_reason() -> None:
    for threshold, words in (
        ({"max": 0.55}, "sharpness 0.3 is not above 0.55"),
        ({"min": 0.1}, "sharpness 0.3 is not below 0.1"),
        ({"min": 0.1, "max": 0.55}, "sharpness 0.3 is within 0.1 to 0.55"),
    ):
        judgement = single(0.3, **threshold)
        assert [verdict.reason for verdict in judgement.verdicts] == [words]
        assert judgement.reasons == ()


def test_a_value_just_beyond_the_bound_is_not_spelled_like_the_bound() -> None:
    assert single(0.550004, max=0.55).reasons == ("sharpness 0.550004 is above 0.55",)
    assert single(84.99999, min=85).reasons == ("sharpness 84.99999 is below 85",)


# -------------------------------------------------------------------------------------------------- blocking


def test_a_value_on_the_bound_passes() -> None:
    assert single(0.55, max=0.55).passes
    assert single(0.55, min=0.55).passes
    assert single(0.55, min=0.55, max=0.55).passes


def test_a_warning_never_blocks_and_is_said() -> None:
    for value in (0.9, None):
        judgement = single(value, max=0.5, level="warn")
        assert judgement.passes
        assert len(judgement.reasons) == 1


def test_scores_that_no_threshold_names_are_not_judged() -> None:
    judgement = judge([scored("noise", 99.0), scored("sharpness", 0.2)], {"sharpness": Threshold(max=0.5)})
    assert judgement.passes
    assert [verdict.dimension for verdict in judgement.verdicts] == ["sharpness"]


def test_two_scores_of_the_same_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match="scored twice"):
        judge([scored("noise", 1.0), scored("noise", 9.0)], {"noise": Threshold(max=5)})


# ------------------------------------------------------------------------------------------- margin, quality


def margin(value: float, **threshold: object) -> float | None:
    return single(value, **threshold).verdicts[0].margin


def test_the_margin_is_the_distance_in_parts_of_the_bound() -> None:
    assert margin(0.11, max=0.55) == pytest.approx(0.8)
    assert margin(0.66, max=0.55) == pytest.approx(-0.2)
    assert margin(93.5, min=85) == pytest.approx(0.1)
    assert margin(0.0, max=0) == 0.0
    assert margin(0.25, max=0) == pytest.approx(-0.25)


def test_a_failure_by_a_hair_has_no_margin_of_a_pass() -> None:
    hair = 5e-324
    assert not single(-hair, min=0, max=1e9).passes
    assert margin(-hair, min=0, max=1e9) == -hair


def test_between_two_bounds_the_middle_has_the_greatest_margin() -> None:
    assert [margin(value, min=80, max=90) for value in (80, 82.5, 85, 90, 95)] == pytest.approx(
        [0, 0.5, 1, 0, -1]
    )


def test_quality_is_the_mean_margin_of_what_blocks() -> None:
    wanted = {
        "sharpness": Threshold(max=0.5),
        "noise": Threshold(max=4),
        "blockiness": Threshold(max=1, level="warn"),
    }
    given = [scored("sharpness", 0.25), scored("noise", 3.0), scored("blockiness", 2.0)]
    assert judge(given, wanted).quality == pytest.approx((0.5 + 0.25) / 2)
    assert judge(given[1:], wanted).quality is None
    assert judge(given[:2], wanted).quality == pytest.approx((0.5 + 0.25) / 2)


def test_where_nothing_blocks_there_is_no_quality() -> None:
    assert judge([scored("noise", 3.0)], {"noise": Threshold(max=4, level="warn")}).quality is None


# ------------------------------------------------------------------------------------------- as people write


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({}, "min, a max or both"),
        ({"level": "block"}, "min, a max or both"),
        ({"min": 2, "max": 1}, "nothing could pass"),
        ({"maximum": 1}, "maximum"),
        ({"max": 1, "level": "fatal"}, "level"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(written: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Threshold.model_validate(written)


def test_the_hash_of_the_rules_is_of_their_meaning() -> None:
    def of(**written: object) -> str:
        return rules_sha256({"sharpness": Threshold.model_validate(written)})

    assert of(max=1) == of(max=1.0) == of(max=1, min=None, level="block")
    assert len({of(max=1), of(max=1.5), of(min=1), of(max=1, level="warn"), rules_sha256({})}) == 5


# -------------------------------------------------------------------------------- as a file, by asset type

HERO = """\
title: Hero
width: 64
height: 64
template: a
"""


def loaded(folder: Path, thresholds: str, *, check_names: bool = True) -> Requirements:
    (folder / "asset_types").mkdir(exist_ok=True)
    (folder / "asset_types" / "hero.yaml").write_text(HERO)
    (folder / "thresholds.yaml").write_text(thresholds)
    return load_requirements(folder, SCORERS if check_names else None)


def test_an_asset_type_says_only_what_differs_from_the_default(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        "default: {noise: {max: 3}, sharpness: {max: 0.5}, colour: {max: 6}}\n"
        "hero: {sharpness: {max: 0.7, level: warn}, noise: off, product_fill: {min: 30}}\n",
    ).thresholds
    assert found["hero"] == {
        "sharpness": Threshold(max=0.7, level="warn"),
        "colour": Threshold(max=6),
        "product_fill": Threshold(min=30),
    }
    assert sorted(found["default"]) == ["colour", "noise", "sharpness"]


def test_another_threshold_takes_the_place_of_the_default_one_as_a_whole(tmp_path: Path) -> None:
    found = loaded(tmp_path, "default: {noise: {min: 1, max: 3, level: warn}}\nhero: {noise: {max: 2}}\n")
    assert found.thresholds["hero"]["noise"] == Threshold(max=2)


def test_off_may_be_in_quotes_and_nothing_at_all_is_told(tmp_path: Path) -> None:
    default = "default: {noise: {max: 3}, colour: {max: 6}}\n"
    assert "noise" not in loaded(tmp_path, default + "hero: {noise: 'off'}\n").thresholds["hero"]
    with pytest.raises(InvalidFile, match=r"thresholds\.yaml:3: hero\.noise: .*or off"):
        loaded(tmp_path, default + "hero:\n  noise:\n")


def test_a_slip_in_a_name_is_told_by_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile) as error:
        loaded(
            tmp_path,
            "default:\n  nois: {max: 3}\nheroes:\n  noise: {max: 3}\nhero:\n  sharpness: off\n",
        )
    told = str(error.value).replace(str(tmp_path) + "/", "").splitlines()
    assert [line.split("; ")[0] for line in told] == [
        "thresholds.yaml:2: default.nois: there is no dimension 'nois'",
        "thresholds.yaml:3: heroes: there is no asset type 'heroes'",
        "thresholds.yaml:6: hero.sharpness: default has none that could be off",
    ]
    assert "did you mean noise? There are: " in told[0]
    assert "did you mean hero? There are: default, hero" in told[1]


@pytest.mark.parametrize(
    ("thresholds", "complaint"),
    [
        ("default:\n  noise: {maxi: 3}\n", r"thresholds\.yaml:2: default\.noise\.maxi: no such field"),
        ("default:\n  noise: 3\n", r"thresholds\.yaml:2: default\.noise: "),
        ("default:\n  noise: {max: 3}\n  pass_rate: 80\n", r"thresholds\.yaml:3: default\.pass_rate: .*less"),
        ("hero: {noise: {max: 3}}\n", "default: the thresholds for every asset type are missing"),
        ("default: {pass_rate: 0.5}\n", "default: the thresholds for every asset type are missing"),
    ],
)
def test_thresholds_that_mean_nothing_are_told_by_line(
    tmp_path: Path, thresholds: str, complaint: str
) -> None:
    with pytest.raises(InvalidFile, match=complaint):
        loaded(tmp_path, thresholds)


def test_the_usual_pass_rate_is_inherited_too(tmp_path: Path) -> None:
    noise = "noise: {max: 3}"
    assert loaded(tmp_path, f"default: {{{noise}}}\nhero: {{{noise}}}\n").pass_rates == {
        "default": USUAL_PASS_RATE,
        "hero": USUAL_PASS_RATE,
    }
    found = loaded(tmp_path, f"default: {{{noise}, pass_rate: 0.0}}\nhero: {{{noise}, pass_rate: 0.9}}\n")
    assert found.pass_rates == {"default": 0.0, "hero": 0.9}


def test_names_are_not_checked_where_nobody_knows_the_scorers(tmp_path: Path) -> None:
    assert "nois" in loaded(tmp_path, "default: {nois: {max: 3}}\n", check_names=False).thresholds["default"]


def test_the_shipped_thresholds_name_what_there_is_and_inherit() -> None:
    found = load_requirements(DATA, SCORERS).thresholds
    assert set(found) <= {"default", *load_asset_types(DATA)}
    for name, thresholds in found.items():
        assert {"file_check", "dimensions", "sharpness", "colour"} <= thresholds.keys(), name
    assert found["lifestyle_scene"]["sharpness"] == Threshold(max=0.65)
    assert found["lifestyle_scene"]["noise"] == found["default"]["noise"]
    assert "background_uniformity" not in found["lifestyle_scene"]
