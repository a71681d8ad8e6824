"""What calibration promises: people would reject few of what leaves without them, or a person is asked."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from asset_pipeline import definitions
from asset_pipeline.audit.judged import guarantee_links
from asset_pipeline.calibration.acceptance import ACCEPTANCES, Acceptance
from asset_pipeline.calibration.assessment import assess
from asset_pipeline.calibration.decided import Decided, ScoredPicture, decided_pictures, left_out, why_not
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.learn_then_test import fewest_accepted, learn
from asset_pipeline.calibration.records import (
    CALIBRATIONS,
    WHOLE,
    accept,
    load_acceptance,
    load_guarantees,
    load_pictures,
    record_guarantees,
)
from asset_pipeline.calibration.renewal import Sample, counted_since, renewed
from asset_pipeline.calibration.report import calibration_report
from asset_pipeline.calibration.settings import Settings, load_settings, settings_of
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.decisions.decision import Decision, Verdict
from asset_pipeline.decisions.records import decide
from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import Judged, judge_candidates, record_scores
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Expectation, Look, Measured, Scorer
from asset_pipeline.selection.records import choices_for
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store
from asset_pipeline_tests.small_project import CAMPAIGN, write_project

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SETTINGS = Settings()
SCALE = 128


# Learn then test


def learned(qualities: list[float], rejected: list[bool]) -> float | None:
    return learn(qualities, rejected, alpha=0.05, delta=0.1).least_quality


def test_hundred_approvals_without_a_rejection_are_enough_and_the_worst_of_them_is_the_bound() -> None:
    qualities = [place / 100 for place in range(100)]
    assert learned(qualities, [False] * 100) == 0.0


def test_below_the_fewest_decisions_nothing_is_tested_and_the_words_say_how_many_more_it_takes() -> None:
    found = learn([0.5] * 60, [False] * 60, alpha=0.05, delta=0.1)
    assert fewest_accepted(0.05, 0.1) == 99
    assert (found.least_quality, found.steps) == (None, ())
    assert "60 of at least 99 decisions; 39 more" in found.words


def test_one_rejection_among_the_best_99_is_within_the_promise_and_two_are_not() -> None:
    qualities = [place / 99 for place in range(99)]
    one, two = [False] * 98 + [True], [False] * 97 + [True] * 2
    assert learned(qualities, one) == 0.0
    assert learned(qualities, two) is None
    assert binom.cdf(1, 99, 0.05) < 0.1 < binom.cdf(2, 99, 0.05)


def test_where_people_reject_the_worst_the_bound_lies_above_them() -> None:
    qualities = [place / 400 for place in range(400)]
    least = learned(qualities, [quality < 0.5 for quality in qualities])
    assert least is not None
    assert 0.4 < least < 0.6


@pytest.mark.parametrize("errors", [2, 3])
def test_the_first_threshold_that_does_not_hold_ends_it_though_a_looser_one_would_hold(errors: int) -> None:
    quality = np.linspace(1, 0, 2000)
    rejected = np.zeros(2000, bool)
    rejected[:errors] = True
    found = learn(quality, rejected, alpha=0.05, delta=0.1)
    assert found.least_quality is None
    assert len(found.steps) == 1
    assert learn(quality, np.zeros(2000, bool), alpha=0.05, delta=0.1).least_quality == 0.0


def test_the_step_that_is_answered_has_the_exact_binomial_p_value_and_bound() -> None:
    found = learn([place / 99 for place in range(99)], [False] * 98 + [True], alpha=0.05, delta=0.1)
    assert found.last is not None
    assert (found.last.accepted, found.last.errors) == (99, 1)
    assert found.last.p_value == pytest.approx(binom.cdf(1, 99, 0.05))
    assert binom.cdf(1, 99, found.last.upper) == pytest.approx(0.1)


def test_when_quality_does_not_tell_what_people_reject_more_decisions_are_not_asked_for() -> None:
    found = learn([place / 200 for place in range(200)], [True] * 200, alpha=0.05, delta=0.1)
    assert found.least_quality is None
    assert "quality does not tell" in found.words


def test_a_few_rejections_among_the_best_come_with_an_estimate_of_how_many_decisions_would_do() -> None:
    rejected = [place in (150, 160, 170) for place in range(200)]
    words = learn([place / 200 for place in range(200)], rejected, alpha=0.05, delta=0.1).words
    assert "people rejected 3 of the best 99" in words
    assert "more would do" in words


def test_what_cannot_be_ranked_cannot_be_learned_from() -> None:
    with pytest.raises(ValueError, match="finite"):
        learn([float("nan")], [False], alpha=0.05, delta=0.1)
    with pytest.raises(ValueError, match="decision for each"):
        learn([0.1, 0.2], [False], alpha=0.05, delta=0.1)


samples = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4]), st.booleans()), min_size=1, max_size=300
)


@given(samples, st.randoms(use_true_random=False))
def test_neither_the_order_of_the_pictures_nor_of_equal_ones_matters(
    sample: list[tuple[float, bool]], random: object
) -> None:
    shuffled = list(sample)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        learn([quality for quality, _ in each], [bad for _, bad in each], alpha=0.3, delta=0.2)
        for each in (sample, shuffled)
    )
    assert one == other


@given(samples)
def test_equal_qualities_are_accepted_together(sample: list[tuple[float, bool]]) -> None:
    qualities, rejected = [quality for quality, _ in sample], [bad for _, bad in sample]
    for step in learn(qualities, rejected, alpha=0.3, delta=0.2).steps:
        accepted = [bad for quality, bad in sample if quality >= step.least_quality]
        assert (step.accepted, step.errors) == (len(accepted), sum(accepted))


@given(
    st.lists(st.booleans(), min_size=150, max_size=300), st.lists(st.booleans(), min_size=150, max_size=300)
)
def test_which_thresholds_are_tested_does_not_depend_on_what_people_decided(
    one: list[bool], other: list[bool]
) -> None:
    count = min(len(one), len(other))
    qualities = [place / count for place in range(count)]
    first, second = (
        [step.least_quality for step in learn(qualities, each[:count], alpha=0.3, delta=0.2).steps]
        for each in (one, other)
    )
    shared = min(len(first), len(second))
    assert first[:shared] == second[:shared]


def test_the_promise_is_kept_as_often_as_it_says_where_a_roc_curve_breaks_it_more_often() -> None:
    random, trials = np.random.default_rng(5), 200
    population = np.sort(random.beta(3, 3, 50_000))[::-1]
    rejects = 1 / (1 + np.exp(14 * (population - 0.38)))
    truth = np.cumsum(rejects) / np.arange(1, len(population) + 1)

    def is_broken(least: float | None) -> bool:
        accepted = 0 if least is None else int(np.searchsorted(-population, -least, side="right"))
        return accepted > 0 and bool(truth[accepted - 1] > 0.05)

    ours = read_off = found = 0
    for _ in range(trials):
        drawn = random.integers(0, len(population), 400)
        quality, rejected = population[drawn], random.random(400) < rejects[drawn]
        least = learn(quality, rejected, alpha=0.05, delta=0.1).least_quality
        order = np.argsort(-quality)
        rates = np.cumsum(rejected[order]) / np.arange(1, 401)
        found += least is not None
        ours += is_broken(least)
        read_off += is_broken(float(quality[order][np.nonzero(rates <= 0.05)[0][-1]]))
    assert found > trials / 2
    assert ours / trials <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / trials)
    assert read_off / trials > 0.3


# What becomes of a guarantee


def picture(number: int, quality: float | None, **more: Any) -> ScoredPicture:
    candidate = Candidate(
        candidate_id=f"c{number:04d}",
        prompt_id=f"p{number}",
        prompt_fact_sha256="f",
        sku="SKU",
        asset_type="tile",
        locale="en-GB",
        position=0,
        profile="packshot",
        provider="packshot",
        provider_version="1",
        request=ImageRequest(prompt="a", width=64, height=64, seed=number, profile_fingerprint="x"),
        state="made",
        attempt=1,
        image_sha256=f"{number:064x}",
    )
    judged = Judged(
        passes=quality is not None and quality >= 0,
        quality=quality,
        reasons=(),
        scores_sha256="s",
        rules_sha256="r",
        versions={"brightness": "1"},
    )
    made = ScoredPicture("spring", candidate, judged, {}, {"brightness": quality or 0.0})
    return replace(made, **more)


def decided(count: int, *, rejected: int = 0, first: int = 0) -> list[Decided]:
    """Decisions on so many pictures, the worst of which are rejected."""
    return [
        Decided(picture(first + number, number / count), number < rejected, NOON + timedelta(minutes=number))
        for number in range(count)
    ]


def sample(usable: list[Decided], settings: Settings = SETTINGS, since: datetime | None = None) -> Sample:
    return Sample("tile", usable, settings, since)


def acceptance(at: datetime, since: datetime | None = None) -> Event[Acceptance]:
    body = Acceptance(reviewer="anna", decisions_since=since)
    return Event(name="0000", partition="tile", recorded_at=at, body=body, is_intact=True)


LATER, MUCH_LATER = NOON + timedelta(days=1), NOON + timedelta(days=2)


def test_enough_decisions_give_a_guarantee_that_says_what_it_promises_and_rests_on() -> None:
    guarantee = renewed(None, sample(decided(400, rejected=40)), (), None, LATER)
    assert guarantee.state == "calibrated"
    assert guarantee.least_quality is not None
    assert (guarantee.alpha, guarantee.delta, guarantee.decisions) == (0.05, 0.1, 400)
    assert guarantee.share == guarantee.accepted / 400
    assert (guarantee.rules_sha256, guarantee.scorer_versions) == (("r",), {"brightness": "1"})
    assert "at most 0.05 of what is approved without a person" in guarantee.words
    assert "with probability 0.9" in guarantee.words
    assert set(guarantee.reference) == {"quality", "brightness"}


def test_too_few_decisions_leave_it_uncalibrated_with_how_many_more_it_takes() -> None:
    guarantee = renewed(None, sample(decided(30)), (), None, LATER)
    assert (guarantee.state, guarantee.least_quality) == ("uncalibrated", None)
    assert "30 of at least 99" in guarantee.words


def test_a_guarantee_stands_untouched_until_there_are_twice_as_many_decisions() -> None:
    first = renewed(None, sample(decided(200)), (), None, LATER)
    assert renewed(first, sample(decided(399)), (), None, MUCH_LATER) == first
    again = renewed(first, sample(decided(400)), (), None, MUCH_LATER)
    assert (again.made_at, again.decisions) == (MUCH_LATER, 400)


def test_an_attempt_that_came_to_nothing_is_repeated_with_twice_as_many_decisions_and_not_before() -> None:
    hopeless = [replace(each, is_rejected=True) for each in decided(150)]
    first = renewed(None, sample(hopeless), (), None, LATER)
    assert (first.state, first.attempted_with) == ("uncalibrated", 150)
    waiting = renewed(first, sample(decided(299)), (), None, MUCH_LATER)
    assert (waiting.state, waiting.decisions, waiting.attempted_with) == ("uncalibrated", 299, 150)
    assert "now 299 decisions, the next attempt is at 300" in waiting.words
    assert renewed(waiting, sample(decided(300)), (), None, MUCH_LATER).state == "calibrated"


def judged_otherwise(each: Decided, **changed: Any) -> Decided:
    return replace(each, picture=replace(each.picture, judged=replace(each.picture.judged, **changed)))


def test_other_thresholds_another_scorer_or_another_promise_make_it_anew() -> None:
    usable = decided(200)
    first = renewed(None, sample(usable), (), None, LATER)
    other = [judged_otherwise(each, rules_sha256="other") for each in usable]
    versions = [judged_otherwise(each, versions={"brightness": "2"}) for each in usable]
    stricter = Settings(alpha=0.04)
    for now in (sample(other), sample(versions), sample(usable, stricter), sample([])):
        assert renewed(first, now, (), None, MUCH_LATER).made_at != first.made_at
    assert renewed(first, sample([]), (), None, MUCH_LATER).state == "uncalibrated"


def test_an_alarm_freezes_it_with_the_reason_and_only_a_person_who_looked_afterwards_ends_that() -> None:
    first = renewed(None, sample(decided(200)), (), None, LATER)
    frozen = renewed(first, sample(decided(200)), ("quality fell",), None, MUCH_LATER)
    assert (frozen.state, frozen.least_quality, frozen.reasons) == ("frozen", None, ("quality fell",))
    assert "quality fell" in frozen.words
    assert "--accept tile" in frozen.words
    much = sample(decided(4000))
    assert renewed(frozen, much, (), None, MUCH_LATER) == frozen
    assert renewed(frozen, sample([]), (), acceptance(LATER), MUCH_LATER) == frozen
    after = acceptance(MUCH_LATER + timedelta(minutes=1))
    assert renewed(frozen, much, (), after, MUCH_LATER).state == "calibrated"


def test_an_alarm_does_not_freeze_what_was_never_calibrated() -> None:
    first = renewed(None, sample(decided(10)), (), None, LATER)
    assert renewed(first, sample(decided(20)), ("quality fell",), None, MUCH_LATER).state == "uncalibrated"


def test_a_person_who_looked_may_say_from_when_on_decisions_count() -> None:
    frozen = Guarantee(asset_type="tile", state="frozen", words="", frozen_at=NOON)
    assert counted_since(frozen, acceptance(NOON - timedelta(days=1), since=NOON)) is None
    assert counted_since(frozen, acceptance(LATER, since=NOON)) == NOON
    assert why_not(Decided(picture(1, 0.5), is_rejected=False, at=NOON), LATER) is not None
    assert why_not(Decided(picture(1, 0.5), is_rejected=False, at=LATER), LATER) is None


# Which decisions count


def event(
    number: int, verdict: Verdict, minute: int, *, who: str = "anna", image: str | None = None
) -> Event[Decision]:
    body = Decision(
        candidate_id=f"c{number:04d}", image_sha256=image or f"{number:064x}", verdict=verdict, reviewer=who
    )
    return Event(
        f"c{number:04d}.{minute:04d}", "spring", NOON + timedelta(minutes=minute), body, is_intact=True
    )


def test_the_last_decision_about_an_image_is_its_label_and_what_others_said_is_kept() -> None:
    events = [event(1, "reject", 0), event(1, "approve", 1, who="ben"), event(1, "reject", 2, who="cleo")]
    (found,) = decided_pictures([picture(1, 0.5)], {"spring": {"c0001": events}})
    assert (found.is_rejected, found.at) == (True, NOON + timedelta(minutes=2))
    assert found.ratings == {"anna": "reject", "ben": "approve", "cleo": "reject"}
    assert found.is_disputed


def test_a_decision_about_an_earlier_image_of_the_candidate_is_no_label() -> None:
    events = [event(1, "approve", 0, image="e" * 64)]
    assert decided_pictures([picture(1, 0.5)], {"spring": {"c0001": events}}) == []


def test_one_image_of_two_candidates_is_one_label_by_the_later_decision() -> None:
    twin = picture(2, 0.5)
    twin = replace(twin, candidate=twin.candidate.model_copy(update={"image_sha256": f"{1:064x}"}))
    events = {
        "c0001": [event(1, "approve", 5)],
        "c0002": [event(2, "reject", 3, who="ben", image=f"{1:064x}")],
    }
    for pictures in ([picture(1, 0.5), twin], [twin, picture(1, 0.5)]):
        (found,) = decided_pictures(pictures, {"spring": events})
        assert not found.is_rejected
        assert found.ratings == {"anna": "approve", "ben": "reject"}


def test_what_fails_a_gate_or_was_measured_by_another_scorer_is_left_out_and_said() -> None:
    labels = [
        Decided(picture(1, 0.5), is_rejected=False, at=NOON),
        Decided(picture(2, -0.1), is_rejected=False, at=NOON),
        Decided(picture(3, 0.5, outdated=("brightness",)), is_rejected=False, at=NOON),
    ]
    assert [why_not(each, None) is None for each in labels] == [True, False, False]
    assert left_out(labels, None) == {
        "on pictures that fail a gate": 1,
        "on pictures that today's scorers have not measured (brightness)": 1,
    }


# The file


def test_an_asset_types_block_says_only_what_differs_from_default(tmp_path: Path) -> None:
    (tmp_path / "calibration.yaml").write_text("default: {alpha: 0.04, delta: 0.2}\ntile: {delta: 0.1}\n")
    settings = load_settings(tmp_path)
    assert (settings_of("tile", settings).alpha, settings_of("tile", settings).delta) == (0.04, 0.1)
    assert (settings_of("hero", settings).alpha, settings_of("hero", settings).delta) == (0.04, 0.2)


def test_without_a_file_what_ships_holds_and_a_slip_is_an_error_with_its_line(tmp_path: Path) -> None:
    shipped = load_settings(Path(__file__).parent.parent / "data")
    assert settings_of("anything", load_settings(tmp_path)) == settings_of("anything", shipped)
    (tmp_path / "calibration.yaml").write_text("default:\n  alfa: 0.04\n")
    with pytest.raises(InvalidFile, match=r"calibration.yaml:2.*did you mean alpha"):
        load_settings(tmp_path)


# With a store


class Brightness:
    """Measures the mean of the pixels."""

    dimension = "brightness"
    version = "1"
    unit = "levels"
    better = "higher"
    expects: tuple[str, ...] = ()

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def measure(self, look: Look) -> Measured:
        return Measured(value=float(look.pixels.mean()) + self.shift)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    automatic = CAMPAIGN.replace("approval: gates", "approval: auto")
    found = write_project(
        tmp_path, campaigns={"people": CAMPAIGN.replace("gates", "human"), "auto": automatic}
    )
    (found / "thresholds.yaml").write_text(f"default:\n  brightness: {{min: {SCALE}}}\n")
    return found


@pytest.fixture
def store(data: Path) -> Store:
    return Store(str(data / "store"))


def score_pictures(
    store: Store, data: Path, campaign: str, levels: list[int], scorer: Scorer
) -> list[Candidate]:
    """Grey pictures, each of a prompt of its own, measured and judged as the assets do."""
    made = []
    for number, level in enumerate(levels):
        pixels = np.full((64, 64, 3), level, np.uint8)
        pixels[0, 0] = number % 251, number // 251, len(campaign)
        request = ImageRequest(
            prompt=f"{campaign} {number}", width=64, height=64, seed=number, profile_fingerprint="x"
        )
        made.append(
            picture(number, 0.5).candidate.model_copy(
                update={
                    "candidate_id": request.candidate_id,
                    "prompt_id": f"{campaign}-{number}",
                    "asset_type": "product_tile",
                    "request": request,
                    "image_sha256": store.images.put(lossless_webp(pixels), "webp"),
                }
            )
        )
    store.facts.write(CANDIDATES, campaign, made, run_id="r")
    measure(store, data, campaign, made, scorer)
    return made


def measure(store: Store, data: Path, campaign: str, made: list[Candidate], scorer: Scorer) -> None:
    measuring = Measuring(store, [scorer], lambda _: Expectation())
    scores, _ = measure_missing(measuring, campaign, made, run_id="r", report=lambda _: None)
    record_scores(
        store, campaign, judge_candidates(made, scores, load_requirements(data).thresholds), run_id="r"
    )


def decide_about(
    store: Store, campaign: str, candidates: list[Candidate], verdict: Verdict, who: str = "anna"
) -> None:
    for each in candidates:
        decision = Decision(
            candidate_id=each.candidate_id,
            image_sha256=each.image_sha256 or "",
            verdict=verdict,
            reviewer=who,
        )
        decide(store, campaign, decision)


def calibrate(
    store: Store, data: Path, scorer: Scorer | None = None, now: datetime | None = None
) -> Guarantee:
    found = assess(store, data, [scorer or Brightness()], now or datetime.now(UTC))
    record_guarantees(store, [each.guarantee for each in found], run_id="r")
    return load_guarantees(store)["product_tile"]


LEVELS = [140 + number for number in range(100)]


@pytest.fixture
def calibrated(store: Store, data: Path) -> Store:
    """Hundred pictures, all approved by a person; the darkest has level 140."""
    decide_about(store, "people", score_pictures(store, data, "people", LEVELS, Brightness()), "approve")
    assert calibrate(store, data).state == "calibrated"
    return store


def test_decisions_in_one_campaign_let_pictures_of_another_pass_and_the_choice_names_the_guarantee(
    calibrated: Store, data: Path
) -> None:
    bright, dark, failing = score_pictures(calibrated, data, "auto", [200, 135, 90], Brightness())
    choices = {each.candidate_id: each for each in choices_for(calibrated, data, "auto")}
    guarantee = load_guarantees(calibrated)["product_tile"]
    assert choices[bright.candidate_id].state == "approved"
    assert choices[bright.candidate_id].reasons == (guarantee.words,)
    assert choices[bright.candidate_id].guarantee_sha256 == CALIBRATIONS.fact_sha256(guarantee)
    assert choices[dark.candidate_id].state == "pending"
    assert "below the calibrated" in choices[dark.candidate_id].reasons[0]
    assert choices[dark.candidate_id].guarantee_sha256 is None
    assert choices[failing.candidate_id].state == "rejected"


def test_calibrating_again_with_nothing_new_records_nothing(calibrated: Store, data: Path) -> None:
    before = calibrated.facts.materialisations(CALIBRATIONS, WHOLE)
    calibrate(calibrated, data)
    assert calibrated.facts.materialisations(CALIBRATIONS, WHOLE) == before


def test_a_changed_threshold_stops_it_and_calibrating_again_learns_from_the_same_decisions(
    calibrated: Store, data: Path
) -> None:
    made = score_pictures(calibrated, data, "auto", [200], Brightness())
    first = load_guarantees(calibrated)["product_tile"]
    (data / "thresholds.yaml").write_text("default:\n  brightness: {min: 120}\n")
    measure(calibrated, data, "auto", made, Brightness())
    (choice,) = choices_for(calibrated, data, "auto")
    assert choice.state == "pending"
    assert "other thresholds" in choice.reasons[0]
    again = calibrate(calibrated, data)
    assert again.state == "calibrated"
    assert again.rules_sha256 != first.rules_sha256
    assert choices_for(calibrated, data, "auto")[0].state == "approved"


def test_decisions_on_pictures_that_todays_scorers_have_not_measured_do_not_count(
    calibrated: Store, data: Path
) -> None:
    newer = Brightness()
    newer.version = "2"
    guarantee = calibrate(calibrated, data, newer)
    assert guarantee.state == "uncalibrated"
    (found,) = assess(calibrated, data, [newer], datetime.now(UTC))
    assert list(found.left_out) == ["on pictures that today's scorers have not measured (brightness)"]


def test_a_scorer_that_changed_without_its_version_freezes_what_it_judges(
    calibrated: Store, data: Path
) -> None:
    assert calibrate(calibrated, data, Brightness(0.0009)).state == "calibrated"
    frozen = calibrate(calibrated, data, Brightness(0.002))
    assert frozen.state == "frozen"
    assert "brightness changed without its version" in frozen.reasons[0]
    score_pictures(calibrated, data, "auto", [200], Brightness())
    assert "frozen" in choices_for(calibrated, data, "auto")[0].reasons[0]
    assert calibrate(calibrated, data).state == "frozen"


def test_pictures_of_another_kind_freeze_it(calibrated: Store, data: Path) -> None:
    score_pictures(calibrated, data, "auto", [250] * 220, Brightness())
    frozen = calibrate(calibrated, data)
    assert frozen.state == "frozen"
    assert any("lies far from" in reason for reason in frozen.reasons)


def test_pictures_of_the_same_kind_and_a_few_of_another_do_not(calibrated: Store, data: Path) -> None:
    score_pictures(calibrated, data, "auto", LEVELS + LEVELS, Brightness())
    assert calibrate(calibrated, data).state == "calibrated"
    score_pictures(calibrated, data, "auto", [250] * 50, Brightness())
    assert calibrate(calibrated, data).state == "calibrated"


def test_rejections_of_what_it_lets_pass_freeze_it_and_only_those_that_nobody_picked_count(
    calibrated: Store, data: Path
) -> None:
    picked = score_pictures(calibrated, data, "auto", LEVELS, Brightness())
    (data / "calibration.yaml").write_text("default: {audit_share: 0}\n")
    decide_about(calibrated, "auto", picked[10:20], "reject")
    assert calibrate(calibrated, data).state == "calibrated"
    (data / "calibration.yaml").write_text("default: {audit_share: 1}\n")
    frozen = calibrate(calibrated, data)
    assert frozen.state == "frozen"
    assert "people rejected 10 of 10" in frozen.reasons[0]


def test_a_person_calibrates_anew_after_looking_and_that_is_an_event(calibrated: Store, data: Path) -> None:
    with pytest.raises(NotFound, match="not frozen"):
        accept(calibrated, "product_tile", Acceptance(reviewer="anna"))
    calibrate(calibrated, data, Brightness(1))
    accept(calibrated, "product_tile", Acceptance(reviewer="anna", reason="the old library is back"))
    assert calibrate(calibrated, data).state == "calibrated"
    assert calibrated.events.names(ACCEPTANCES, "product_tile") == ["0000"]
    event = load_acceptance(calibrated, "product_tile")
    assert event is not None
    assert event.body.reviewer == "anna"


def test_pictures_are_judged_by_the_thresholds_of_now_and_offered_best_first(
    store: Store, data: Path
) -> None:
    score_pictures(store, data, "auto", [100, 150], Brightness())
    (data / "thresholds.yaml").write_text("default:\n  brightness: {min: 100}\n")
    dark, bright = load_pictures(store, data, [Brightness()])
    assert dark.judged.quality == pytest.approx(0.0, abs=0.05)
    assert dark.judged.passes == (dark.values["brightness"] >= 100)
    assert bright.is_offered
    assert bright.approval == "auto"
    assert bright.measured_at is not None


def test_the_report_is_one_page_the_same_for_the_same_facts_and_holds_what_it_shows(
    calibrated: Store, data: Path
) -> None:
    made = score_pictures(calibrated, data, "auto", [200, 90], Brightness())
    decide_about(calibrated, "auto", made, "reject")
    decide_about(calibrated, "auto", made, "approve", who="<b>ben</b>")
    pages = [calibration_report(assess(calibrated, data, [Brightness()], NOON), NOON) for _ in range(2)]
    assert pages[0] == pages[1]
    assert "<svg" in pages[0]
    assert "product_tile" in pages[0]
    assert "&lt;b&gt;ben&lt;/b&gt;" in pages[0]
    assert "<b>ben" not in pages[0]
    assert "src=" not in pages[0]
    assert 'href="http' not in pages[0]


def test_in_dagster_calibration_is_materialised_by_itself_with_its_tables_and_checks(data: Path) -> None:
    (data / "thresholds.yaml").unlink()
    (data / "thresholds.yaml").write_text("default:\n  file_check: {min: 1}\n  dimensions: {min: 1}\n")
    places = definitions.Places.of({"ASSET_PIPELINE_DATA": str(data)})
    defs = definitions.build(places, {"ASSET_PIPELINE_DATA": str(data)})
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("calibrating").execute_in_process(instance=instance)
        assert result.success
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        assert checks == {"no_asset_type_is_frozen": True, "automatic_campaigns_are_calibrated": False}


def test_an_audit_finds_the_guarantee_that_a_choice_names_and_says_where_it_does_not_fit(
    calibrated: Store, data: Path
) -> None:
    score_pictures(calibrated, data, "auto", [200, 135], Brightness())
    bright, dark = choices_for(calibrated, data, "auto")
    (link,) = guarantee_links(calibrated, bright)
    assert (link.name, link.state) == ("guarantee", "holds")
    assert link.facts["words"] == bright.reasons[0]
    assert guarantee_links(calibrated, dark) == ()
    assert guarantee_links(calibrated, None) == ()
    for lie in (
        dark.model_copy(update={"guarantee_sha256": bright.guarantee_sha256}),
        bright.model_copy(update={"rules_sha256": "other"}),
        bright.model_copy(update={"guarantee_sha256": "0" * 64}),
    ):
        (link,) = guarantee_links(calibrated, lie)
        assert link.state == "altered"


def test_the_command_records_what_the_asset_does_and_writes_the_page(calibrated: Store, data: Path) -> None:
    environ = os.environ | {
        "ASSET_PIPELINE_DATA": str(data),
        "DAGSTER_HOME": str(data / "dagster"),
        "COLUMNS": "200",
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "asset_pipeline.cli", "calibrate", *arguments]
        return subprocess.run(program, env=environ, check=False, capture_output=True, text=True)

    (data / "thresholds.yaml").write_text("default:\n  file_check: {min: 1}\n")
    before = load_guarantees(calibrated)
    tried = command("--dry-run", "--html", str(data / "page.html"))
    assert tried.returncode == 0
    assert "product_tile: uncalibrated" in tried.stdout
    assert "<svg" in (data / "page.html").read_text()
    assert load_guarantees(calibrated) == before
    assert command().returncode == 0
    assert load_guarantees(calibrated)["product_tile"].state == "uncalibrated"
    refused = command("--accept", "product_tile")
    assert refused.returncode == 1
    assert "not frozen" in refused.stdout
