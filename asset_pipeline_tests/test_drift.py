"""What counts as drift: another kind of pictures, more rejections than promised, a scorer that says
otherwise."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from asset_pipeline.calibration.cusum import average_run_length, sums
from asset_pipeline.calibration.decided import Decided
from asset_pipeline.calibration.drift import KEPT, kept, population_stability_index, shift, shifts
from asset_pipeline.calibration.golden import changed_scores, golden_set
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.settings import Settings
from asset_pipeline.calibration.watch import Case, recent_values
from asset_pipeline.scores.score import Score
from asset_pipeline_tests.test_calibration import LATER, NOON, decided, picture

RULES = Settings()
RANDOM = np.random.default_rng(3)


def normal(count: int, mean: float = 0.0, spread: float = 1.0) -> list[float]:
    return [float(value) for value in RANDOM.normal(mean, spread, count)]


def test_the_index_is_the_sum_over_the_tenths_of_the_reference() -> None:
    reference = [float(value) for value in range(1000)]
    recent = [float(value) for value in range(500)] * 2
    index, freedom = population_stability_index(reference, recent)
    before, after = 100.5 / 1005, np.array([200.5 / 1005] * 5 + [0.5 / 1005] * 5)
    assert freedom == 9
    assert index == pytest.approx(float(np.sum((after - before) * np.log(after / before))), rel=0.02)


def test_the_same_distribution_is_no_drift_and_another_mean_or_spread_is() -> None:
    decided_values = normal(400)
    same = shift("quality", decided_values, normal(400), 400, RULES)
    assert same is not None
    assert (same.alarms, same.psi < 0.2) == ((), True)
    for other in (normal(400, mean=1.0), normal(400, spread=3.0)):
        found = shift("quality", decided_values, other, 400, RULES)
        assert found is not None
        assert found.psi > found.psi_alarm
        assert len(found.alarms) == 2
        assert all("quality of 400 new pictures" in alarm for alarm in found.alarms)


def test_with_few_pictures_nothing_is_said() -> None:
    assert shift("quality", normal(400), normal(199, mean=9), 400, RULES) is None
    assert shift("quality", [], normal(400), 400, RULES) is None


def test_small_samples_need_a_larger_index_for_an_alarm() -> None:
    few = replace_rules(fewest_compared=20)
    small = shift("quality", normal(60), normal(60), 60, few)
    large = shift("quality", normal(2000), normal(2000), 2000, few)
    assert small is not None
    assert large is not None
    assert small.psi_alarm > 0.9
    assert large.psi_alarm == 0.2


def replace_rules(**changed: float) -> Settings:
    return RULES.model_copy(update=changed)


def test_false_alarms_are_seldom_at_the_smallest_sizes() -> None:
    random = np.random.default_rng(8)
    alarms = 0
    for _ in range(300):
        found = shift("q", random.normal(size=100).tolist(), random.normal(size=200).tolist(), 100, RULES)
        alarms += bool(found and found.alarms)
    assert alarms <= 3


def test_a_value_that_all_decided_pictures_share_is_told_from_any_other() -> None:
    for new in (0.0, 2.0):
        found = shift("file_check", [1.0] * 300, [1.0] * 150 + [new] * 150, 300, RULES)
        assert found is not None
        assert len(found.alarms) == 2
    assert population_stability_index([1.0] * 300, [1.0] * 200)[0] == pytest.approx(0, abs=1e-3)


def test_of_a_large_sample_values_are_kept_that_tell_the_same_distribution() -> None:
    values = normal(5000)
    thinned = kept(values)
    assert len(thinned) == KEPT
    assert list(thinned) == sorted(thinned)
    assert ks_2samp(values, thinned).statistic < 0.005
    assert kept([3.0, 1.0, 2.0]) == (1.0, 2.0, 3.0)


def test_every_value_of_the_reference_is_compared_under_its_name() -> None:
    reference = {"quality": normal(300), "noise": normal(300), "colour": normal(300)}
    recent = {"quality": normal(300), "noise": normal(300, mean=3)}
    found = {each.name: bool(each.alarms) for each in shifts(reference, recent, 300, RULES)}
    assert found == {"quality": False, "noise": True}


@given(
    st.lists(st.floats(-5, 5), min_size=20, max_size=60), st.lists(st.floats(-5, 5), min_size=20, max_size=60)
)
def test_the_index_is_never_negative_and_always_finite(reference: list[float], recent: list[float]) -> None:
    index, _ = population_stability_index(reference, recent)
    assert math.isfinite(index)
    assert index >= -1e-12


def test_new_pictures_are_those_that_automatic_campaigns_offer_and_nobody_had_decided_about() -> None:
    guarantee = Guarantee(asset_type="tile", state="calibrated", words="", made_at=LATER)
    offered = {"approval": "auto", "is_offered": True}
    new, old, later = (picture(number, 0.5, **offered) for number in (1, 2, 3))
    others = [
        picture(4, 0.6, approval="human", is_offered=True),
        picture(5, 0.6, approval="auto"),
        picture(6, 0.6, outdated=("brightness",), **offered),
    ]
    labels = [
        Decided(old, is_rejected=False, at=NOON),
        Decided(later, is_rejected=False, at=LATER + timedelta(days=1)),
    ]
    case = Case("tile", RULES, (new, old, later, *others), tuple(labels), guarantee, None)
    assert recent_values(case, guarantee) == {"quality": [0.5, 0.5], "brightness": [0.5, 0.5]}


def test_of_many_new_pictures_the_newest_are_compared() -> None:
    guarantee = Guarantee(asset_type="tile", state="calibrated", words="", made_at=LATER)
    pictures = [
        picture(
            number, number / 100, approval="auto", is_offered=True, measured_at=NOON + timedelta(days=number)
        )
        for number in range(60)
    ]
    case = Case("tile", replace_rules(most_compared=20), tuple(pictures), (), guarantee, None)
    assert sorted(recent_values(case, guarantee)["quality"]) == [number / 100 for number in range(40, 60)]


# The cumulative sum


def test_a_rejected_audit_adds_the_logarithm_of_its_likelihood_ratio_and_a_kept_one_takes_off() -> None:
    up, down = math.log(2), math.log(0.9 / 0.95)
    assert sums([True, False, True], 0.05) == pytest.approx([up, up + down, 2 * up + down])


def test_the_sum_never_falls_below_nothing_so_that_a_long_good_time_hides_no_bad_one() -> None:
    assert max(sums([False] * 1000, 0.05)) == 0
    assert sums([False] * 1000 + [True] * 5, 0.05)[-1] >= 3


def test_five_rejections_in_a_row_are_an_alarm_and_one_in_twenty_is_none() -> None:
    assert max(sums([True] * 5, 0.05)) >= RULES.cusum
    assert max(sums(([True] + [False] * 19) * 50, 0.05)) < RULES.cusum


def test_twice_the_promised_share_is_found_in_about_a_hundred_audits_and_the_promised_one_seldom_alarms() -> (
    None
):
    random = np.random.default_rng(4)
    assert 90 < average_run_length(0.10, 0.05, RULES.cusum, runs=400, random=random) < 135
    assert average_run_length(0.05, 0.05, RULES.cusum, runs=200, random=random) > 1000


@given(st.floats(0.001, 0.9), st.lists(st.booleans(), max_size=30))
def test_every_promise_has_a_sum(alpha: float, rejected: list[bool]) -> None:
    found = sums(rejected, alpha)
    assert len(found) == len(rejected)
    assert all(each >= 0 and math.isfinite(each) for each in found)


# The golden pictures


def score(number: int, value: float | None = 0.5, version: str = "1", *, applies: bool = True) -> Score:
    return Score(
        candidate_id=f"c{number:04d}",
        image_sha256=f"{number:064x}",
        dimension="noise",
        scorer_version=version,
        value=value,
        reason=None if value is not None else "too small",
        applies=applies,
    )


def test_the_same_pictures_are_golden_whatever_is_decided_later() -> None:
    guarantee = Guarantee(asset_type="tile", state="calibrated", words="", made_at=LATER)
    before = decided(50)
    after = [replace(each, at=LATER.replace(year=2027)) for each in decided(50, first=50)]
    names = [each.candidate.candidate_id for each in golden_set(before, guarantee, 8)]
    assert len(set(names)) == 8
    assert [each.candidate.candidate_id for each in golden_set(after + before[::-1], guarantee, 8)] == names
    assert golden_set(before, guarantee.model_copy(update={"made_at": None}), 8) == []
    assert golden_set(before, guarantee.model_copy(update={"made_at": NOON.replace(year=2020)}), 8) == []


@pytest.mark.parametrize(
    ("again", "is_changed"),
    [
        (score(1, 0.5), False),
        (score(1, 0.5009), False),
        (score(1, 0.5011), True),
        (score(1, 0.4), True),
        (score(1, None), True),
        (score(1, 0.9, "2"), False),
        (score(2, 0.9), False),
    ],
)
def test_a_scorer_has_changed_if_it_says_otherwise_under_the_same_version(
    again: Score, is_changed: bool
) -> None:
    recorded = [replace(picture(1, 0.5), scores={"noise": score(1)})]
    found = changed_scores(recorded, [again], 1e-3)
    assert bool(found) == is_changed
    assert all("changed without its version" in words for words in found.values())


def test_a_reason_in_other_words_is_no_change_and_no_longer_applying_is() -> None:
    recorded = [replace(picture(1, 0.5), scores={"noise": score(1, None)})]
    assert changed_scores(recorded, [score(1, None)], 1e-3) == {}
    assert "noise" in changed_scores(recorded, [score(1, None, applies=False)], 1e-3)


def test_the_greatest_difference_is_the_one_that_is_told() -> None:
    recorded = [replace(picture(number, 0.5), scores={"noise": score(number)}) for number in (1, 2, 3)]
    found = changed_scores(recorded, [score(1, 0.6), score(2, 0.9), score(3, 0.7)], 1e-3)
    assert "0.5 was recorded of c0002, now it is 0.9" in found["noise"]
