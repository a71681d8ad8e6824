"""An attempt at a remote provider: paid once, whatever happens on the way, and in the books to the cent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from asset_pipeline.candidates import hedging
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.jobs.remote import WEBHOOK_URL, Remote
from asset_pipeline.errors import BudgetExceeded, NoRoute, ProviderUnavailable
from asset_pipeline.store.store import Store
from asset_pipeline_tests.remote_orders import SPRING, attempts, every_attempt, lane, order, run, spent
from asset_pipeline_tests.vendors import fal, replicate, together
from asset_pipeline_tests.vendors.server import Behaviour, Reply, Request, Vendor, serving


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A queue that can be asked what became of a submission."""
    with serving(replicate.case().vendor()) as listening:
        yield listening


@pytest.fixture
def forgetful() -> Iterator[Vendor]:
    """A vendor that answers with the picture, and knows nothing of it afterwards."""
    with serving(together.case().vendor()) as listening:
        yield listening


def test_every_picture_is_asked_for_once_and_is_in_the_store(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.1, run_seconds=0.1)
    progress = run(store, order(lane(replicate.case(), vendor)))
    assert (progress.made, len(vendor.jobs)) == (3, 3)
    for attempt in attempts(store).values():
        assert attempt.state == "succeeded"
        assert store.images.get(attempt.image_sha256 or "")
        assert attempt.result is not None
        assert attempt.result.job_id in {job.job_id for job in vendor.jobs}
    assert spent(store) == pytest.approx(vendor.billed_usd)


def test_each_state_is_recorded_before_what_follows_from_it(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.2, run_seconds=0.3)
    run(store, order(lane(replicate.case(), vendor), 1))
    names = [event.name.rpartition(".")[2] for event in store.events.read(ATTEMPTS, SPRING)]
    assert names == ["submitting", "sent", "queued", "running", "fetching", "settled"]


def test_without_the_key_nothing_is_claimed_and_the_run_names_the_variable(
    store: Store, vendor: Vendor
) -> None:
    work = order(lane(replicate.case(), vendor, endpoint={"key_env": "ANOTHER_KEY"}))
    with pytest.raises(NoRoute, match=r"3 of the missing images.*ANOTHER_KEY is not set"):
        run(store, work)
    assert (attempts(store), vendor.jobs) == ({}, [])


def test_a_second_run_sends_nothing(store: Store, vendor: Vendor) -> None:
    work = order(lane(replicate.case(), vendor))
    run(store, work)
    progress = run(store, work, "run-2")
    assert (progress.reused, len(vendor.jobs)) == (3, 3)


def test_a_submission_whose_answer_was_lost_is_found_and_not_sent_again(store: Store, vendor: Vendor) -> None:
    vendor.faults = ["drop after", None, "truncate"]
    progress = run(store, order(lane(replicate.case(), vendor)))
    assert (progress.made, len(vendor.jobs)) == (3, 3)
    assert {attempt.attempt for attempt in every_attempt(store)} == {1}
    assert spent(store) == pytest.approx(vendor.billed_usd)


def test_one_that_never_arrived_is_lost_for_nothing_and_made_again(store: Store, vendor: Vendor) -> None:
    vendor.faults = ["drop before"]
    progress = run(store, order(lane(replicate.case(), vendor), 1))
    assert (progress.made, len(vendor.jobs)) == (1, 1)
    states = [(attempt.attempt, attempt.state, attempt.cost_usd) for attempt in every_attempt(store)]
    assert states == [(1, "lost", 0.0), (2, "succeeded", vendor.price_usd)]


def test_one_that_nobody_can_look_for_waits_for_a_person(store: Store, forgetful: Vendor) -> None:
    forgetful.faults = ["drop after"]
    work = order(lane(together.case(), forgetful), 1)
    progress = run(store, work)
    (attempt,) = every_attempt(store)
    assert (attempt.state, attempt.cost_usd, progress.made) == ("unreconciled", forgetful.price_usd, 0)
    assert run(store, work, "run-2").held == 1
    assert len(forgetful.jobs) == 1


def test_where_the_profile_says_so_it_counts_as_paid_and_is_made_again(
    store: Store, forgetful: Vendor
) -> None:
    forgetful.faults = ["drop after"]
    run(store, order(lane(together.case(), forgetful, endpoint={"lost": "remake"}), 1))
    states = [(attempt.attempt, attempt.state) for attempt in every_attempt(store)]
    assert states == [(1, "lost"), (2, "succeeded")]
    assert spent(store) == pytest.approx(2 * forgetful.price_usd)


def test_after_three_attempts_that_were_paid_for_nothing_a_person_is_asked(
    store: Store, forgetful: Vendor
) -> None:
    forgetful.faults = ["drop after"] * 9
    work = order(lane(together.case(), forgetful, endpoint={"lost": "remake"}), 1)
    for number in range(1, 4):
        run(store, work, f"run-{number}")
    assert run(store, work, "run-4").held == 1
    assert [attempt.state for attempt in every_attempt(store)] == ["lost"] * 3
    assert len(forgetful.jobs) == 3


def test_a_busy_provider_is_asked_again_because_it_accepted_nothing(store: Store, vendor: Vendor) -> None:
    vendor.faults = ["429", "503", "429"]
    progress = run(store, order(lane(replicate.case(), vendor), 1))
    assert (progress.made, len(vendor.jobs), len(every_attempt(store))) == (1, 1, 1)


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        ("is filtered", "refused", "content_filtered"),
        ("is blank", "failed", "output_invalid"),
        ("is truncated", "failed", "output_invalid"),
        ("is empty", "failed", "output_invalid"),
    ],
)
def test_a_picture_that_is_none_is_never_a_success(
    store: Store, vendor: Vendor, outcome: str, state: str, code: str
) -> None:
    vendor.always = Behaviour(outcome=outcome)  # type: ignore[arg-type] # the parameters' words
    run(store, order(lane(replicate.case(), vendor), 1))
    last = attempts(store)[next(iter(attempts(store)))]
    assert (last.state, last.code) == (state, code)
    assert spent(store) == pytest.approx(vendor.billed_usd)


def test_a_page_in_the_place_of_a_picture_is_fetched_again_and_nothing_is_paid_twice(
    store: Store, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, pages = vendor.answer, [Reply(200, b"<!doctype html><title>Just a moment</title>")]

    def answered(request: Request) -> Reply:
        return pages.pop() if pages and request.path.startswith("/files/") else answer(request)

    monkeypatch.setattr(vendor, "answer", answered)
    progress = run(store, order(lane(replicate.case(), vendor), 1))
    assert (progress.made, len(vendor.jobs), pages) == (1, 1, [])


def test_a_failure_that_only_the_wire_told_of_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fal.case().vendor()) as vendor:
        answer, errors = vendor.answer, [Reply(500, {"detail": "Internal Server Error"})]

        def answered(request: Request) -> Reply:
            is_result = request.method == "GET" and request.path.rpartition("/")[0].endswith("/requests")
            return errors.pop() if errors and is_result else answer(request)

        monkeypatch.setattr(vendor, "answer", answered)
        progress = run(store, order(lane(fal.case(), vendor), 1))
        assert (progress.made, len(vendor.jobs), errors) == (1, 1, [])


def test_a_job_that_takes_too_long_is_cancelled_and_billed_as_the_provider_bills_it(
    store: Store, vendor: Vendor
) -> None:
    vendor.behaviours = [Behaviour(queue_seconds=60), Behaviour(run_seconds=60)]
    slow = {"timeouts": {"start": 0.5, "run": 0.5, "reconcile": 0.5}}
    run(store, order(lane(replicate.case(), vendor, endpoint=slow, concurrency=1), 2))
    assert all(job.canceled_at for job in vendor.jobs[:2])
    assert spent(store) == pytest.approx(vendor.billed_usd)


def test_a_key_that_is_refused_pauses_the_account_and_costs_nothing(store: Store, vendor: Vendor) -> None:
    work = order(lane(replicate.case(), vendor), 5)
    vendor.key = "another"
    with pytest.raises(ProviderUnavailable, match=r"paused .*asset-pipeline providers list"):
        run(store, work)
    assert (len(vendor.jobs), spent(store)) == (0, 0.0)
    assert sum(name.startswith("POST") for name in vendor.requests) <= 4


# Two providers at once, where somebody waits


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hedging, "HEDGE_AFTER_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
def test_what_is_late_is_asked_of_another_as_well_and_the_faster_one_wins(
    store: Store, vendor: Vendor
) -> None:
    vendor.always = Behaviour(queue_seconds=15)
    with serving(replicate.case().vendor()) as quick:
        lanes = [
            lane(replicate.case(), vendor, name="slow"),
            lane(replicate.case(), quick, name="fast", usd=0.02),
        ]
        run(store, order(lanes, 1, priority="interactive"))
        first, second = every_attempt(store)
        assert (first.profile, first.state, first.cost_usd) == ("slow", "superseded", 0.0)
        assert (second.profile, second.state, second.hedges) == ("fast", "succeeded", 1)
        assert vendor.jobs[0].canceled_at
        assert attempts(store)[first.candidate_id] == second
        assert run(store, order(lanes, 1, priority="interactive"), "run-2").reused == 1
        assert (len(vendor.jobs), len(quick.jobs)) == (1, 1)


@pytest.mark.usefixtures("impatient")
def test_a_picture_that_comes_after_another_was_faster_is_paid_for_and_not_used(
    store: Store, vendor: Vendor
) -> None:
    class Slow(together.TogetherVendor):
        def answer(self, request: Request) -> Reply:
            answer = super().answer(request)
            time.sleep(1.5)
            return answer

    with serving(Slow()) as slow:
        lanes = [
            lane(together.case(), slow, name="slow", usd=0.01),
            lane(replicate.case(), vendor, name="fast", usd=0.02),
        ]
        run(store, order(lanes, 1, priority="interactive"))
    first, second = every_attempt(store)
    assert (first.state, first.cost_usd) == ("superseded", 0.01)
    assert (second.state, second.profile) == ("succeeded", "fast")
    assert attempts(store)[first.candidate_id] == second


@pytest.mark.usefixtures("impatient")
def test_what_nobody_waits_for_and_nobody_can_tell_of_counts_as_paid(store: Store, vendor: Vendor) -> None:
    with serving(fal.case().vendor()) as silent:
        silent.faults = ["drop after"]
        patient = {
            "webhook": True,
            "timeouts": {"submit": 2.0, "start": 20.0, "run": 20.0, "reconcile": 15.0},
        }
        late = lane(fal.case(), silent, name="late", usd=0.01, endpoint=patient)
        told = Remote(fal.case().adapter, {"KEY": silent.key, WEBHOOK_URL: "https://webhooks.example"})
        lanes = [replace(late, provider=told), lane(replicate.case(), vendor, name="fast", usd=0.02)]
        run(store, order(lanes, 1, priority="interactive"))
    first, second = every_attempt(store)
    assert (first.state, first.cost_usd) == ("superseded", 0.01)
    assert second.state == "succeeded"


@pytest.mark.usefixtures("impatient")
def test_nobody_else_is_asked_where_nobody_waits(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=1)
    with serving(replicate.case().vendor()) as quick:
        lanes = [
            lane(replicate.case(), vendor, name="slow", usd=0.01),
            lane(replicate.case(), quick, name="fast", usd=0.02),
        ]
        run(store, order(lanes, 1))
        assert quick.jobs == []


@pytest.mark.usefixtures("impatient")
def test_a_hedge_that_fails_leaves_the_late_one_alone(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=2)
    with serving(replicate.case().vendor()) as broken:
        broken.always = Behaviour(outcome="fails")
        lanes = [
            lane(replicate.case(), vendor, name="slow", usd=0.01),
            lane(replicate.case(), broken, name="fast", usd=0.02),
        ]
        run(store, order(lanes, 1, priority="interactive"))
        first, second = every_attempt(store)
        assert (first.state, second.state) == ("succeeded", "superseded")
        assert attempts(store)[first.candidate_id] == first


# Several providers, one campaign


def test_what_one_provider_cannot_do_now_another_does(store: Store, vendor: Vendor) -> None:
    with serving(replicate.case().vendor()) as down:
        lanes = [
            lane(replicate.case(), down, name="cheap", usd=0.001),
            lane(replicate.case(), vendor, name="dear", usd=0.01),
        ]
    progress = run(store, order(lanes, 6))
    assert progress.made == 6
    assert {attempt.profile for attempt in attempts(store).values()} == {"dear"}
    failures = {attempt.code for attempt in every_attempt(store) if attempt.state == "failed"}
    assert failures == {"provider_unavailable"}
    assert spent(store) == pytest.approx(vendor.billed_usd)


def test_a_refusal_is_never_taken_elsewhere(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(outcome="is filtered")
    with serving(replicate.case().vendor()) as other:
        lanes = [
            lane(replicate.case(), vendor, name="first", usd=0.001),
            lane(replicate.case(), other, name="second", usd=0.01),
        ]
        run(store, order(lanes, 2))
        assert other.jobs == []


def test_the_budget_is_a_hard_stop_for_all_lanes_together(store: Store, vendor: Vendor) -> None:
    with serving(replicate.case().vendor()) as other:
        lanes = [lane(replicate.case(), vendor, name="first"), lane(replicate.case(), other, name="second")]
        with pytest.raises(BudgetExceeded, match="raise budget_usd"):
            run(store, order(lanes, 9, budget_usd=0.05))
        assert len(vendor.jobs) + len(other.jobs) == 5
    assert spent(store) == pytest.approx(0.05)


def test_two_runs_at_once_do_not_spend_the_same_dollar(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.5)
    everything = order(lane(replicate.case(), vendor), 8, budget_usd=0.04)
    halves = [replace(everything, wanted=everything.wanted[half::2]) for half in (0, 1)]

    def spend(half: int) -> None:
        with suppress(BudgetExceeded):  # whoever comes first may have had enough
            run(store, halves[half], f"run-{half}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(spend, (0, 1)))
    assert len(vendor.jobs) <= 4
    assert spent(store) <= 0.04


def test_a_days_budget_is_one_too(store: Store, vendor: Vendor) -> None:
    with pytest.raises(BudgetExceeded, match="a day"):
        run(store, order(lane(replicate.case(), vendor), 9, budget_usd_per_day=0.03))
    assert len(vendor.jobs) == 3


def test_while_a_providers_queue_is_long_nothing_more_is_submitted(store: Store, vendor: Vendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.5)
    work = order(lane(replicate.case(), vendor, endpoint={"limits": {"most_queued": 1}}), 5)
    assert run(store, work).made == 5
    began = sorted(job.accepted_at for job in vendor.jobs)
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(began))
