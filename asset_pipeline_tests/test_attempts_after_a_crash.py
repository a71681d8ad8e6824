"""A run that died, at each state of an attempt, and the run after it: nothing is paid twice or lost."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, event_name, standings, takeover_name
from asset_pipeline.candidates.jobs.delivery import Message, keep_delivery
from asset_pipeline.candidates.jobs.job import Ticket
from asset_pipeline.candidates.jobs.remote import WEBHOOK_URL, Remote
from asset_pipeline.candidates.order import Order
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker
from asset_pipeline_tests.remote_orders import SPRING, every_attempt, lane, order, run, spent
from asset_pipeline_tests.vendors import replicate, runpod, together
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Behaviour, Vendor, serving

STATES = ("submitting", "sent", "queued", "running", "fetching", "settled")
"""The events of an attempt, in their order: it is claimed, it goes out, it is accepted, ..."""
PUBLIC = "https://webhooks.example"


@dataclass
class Scene:
    """A vendor, a campaign of one picture, and a store in which its run can die."""

    case: Case
    vendor: Vendor
    folder: Path

    @property
    def work(self) -> Order:
        own = lane(self.case, self.vendor, endpoint={"webhook": True})
        remote = Remote(self.case.adapter, {"KEY": self.vendor.key, WEBHOOK_URL: PUBLIC})
        return order(replace(own, provider=remote), 1)

    def died(self, after: str) -> Store:
        """The store as a run leaves it that dies after an event; the vendor has done what it was asked."""
        whole, left = Store(str(self.folder / "whole")), Store(str(self.folder / "left"))
        run(whole, self.work, "run-0")
        recorded = {event.name.rpartition(".")[2]: event for event in whole.events.read(ATTEMPTS, SPRING)}
        for state in STATES[: STATES.index(after) + 1]:
            if state in recorded:
                body = recorded[state].body.model_copy(update={"worker": dead("w0"), "run_id": "run-0"})
                left.events.append(ATTEMPTS, SPRING, recorded[state].name, body)
        if after == "submitting":
            self.vendor.jobs.clear()
        return left

    def paid(self) -> tuple[int, float]:
        return len(self.vendor.jobs), round(self.vendor.billed_usd, 6)


def dead(name: str) -> Worker:
    """A worker whose process is gone."""
    return Worker(worker_id=name, host="another machine", pid=1, started=0.0, run_id="run-0")


def came_to(store: Store) -> list[tuple[int, str, float]]:
    return [(each.attempt, each.state, each.cost_usd) for each in every_attempt(store)]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Scene]:
    """A vendor whose jobs can be found again."""
    with serving(replicate.case().vendor()) as vendor:
        vendor.always = Behaviour(queue_seconds=0.15, run_seconds=0.2)
        yield Scene(replicate.case(), vendor, tmp_path)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Scene]:
    """A vendor of whose jobs only a webhook can tell."""
    with serving(runpod.case().vendor()) as vendor:
        vendor.always = Behaviour(queue_seconds=0.15, run_seconds=0.2)
        yield Scene(runpod.case(), vendor, tmp_path)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Scene]:
    """A vendor that answers with the picture, and knows nothing of it afterwards."""
    with serving(together.case().vendor()) as vendor:
        yield Scene(together.case(), vendor, tmp_path)


def test_a_claim_whose_run_died_was_not_sent_and_costs_nothing(found: Scene) -> None:
    store = found.died("submitting")
    run(store, found.work)
    assert came_to(store) == [(1, "lost", 0.0), (2, "succeeded", 0.01)]
    assert found.paid() == (1, spent(store))


def test_what_waits_at_a_profile_that_the_campaign_gave_up_stays_open_and_the_run_ends(found: Scene) -> None:
    store, log = found.died("queued"), list[str]()
    own = found.work.lanes[0]
    other = lane(found.case, found.vendor, name="other")
    assert own.name != other.name
    progress = run(store, replace(found.work, profile_name="other", profile=other.profile), log=log)
    assert progress.made == 0
    assert [state for _, state, _ in came_to(store)] == ["queued"]
    assert any(f"waits at {own.name}" in line for line in log)
    run(store, found.work, "run-2")
    assert [state for _, state, _ in came_to(store)] == ["succeeded"]
    assert len(found.vendor.jobs) == 1


def test_a_submission_that_was_accepted_before_the_run_died_is_found(found: Scene) -> None:
    store = found.died("sent")
    run(store, found.work)
    assert came_to(store) == [(1, "succeeded", 0.01)]
    assert found.paid() == (1, 0.01)


def test_a_submission_that_never_left_before_the_run_died_is_made_anew(found: Scene) -> None:
    store = found.died("sent")
    found.vendor.jobs.clear()
    run(store, found.work)
    assert came_to(store) == [(1, "lost", 0.0), (2, "succeeded", 0.01)]
    assert found.paid() == (1, spent(store))


@pytest.mark.parametrize("state", ["queued", "running", "fetching"])
def test_an_accepted_job_is_gone_on_with(found: Scene, state: str) -> None:
    store = found.died(state)
    run(store, found.work)
    assert came_to(store) == [(1, "succeeded", 0.01)]
    assert found.paid() == (1, 0.01)
    (attempt,) = every_attempt(store)
    assert store.images.get(attempt.image_sha256 or "")
    assert (attempt.handover, attempt.worker.run_id) == (1, "run-1")


def test_an_attempt_that_has_ended_is_left_alone(found: Scene) -> None:
    store = found.died("settled")
    assert run(store, found.work).reused == 1
    assert found.paid() == (1, 0.01)


@pytest.mark.parametrize("state", ["sent", "queued", "running", "fetching"])
def test_whoever_takes_over_may_die_as_well(found: Scene, state: str) -> None:
    store = found.died(state)
    for number in (1, 2, 3):
        last = _newest(store)
        taken = last.model_copy(update={"worker": dead(f"w{number}"), "handover": number})
        store.events.append(ATTEMPTS, SPRING, takeover_name(taken), taken)
    run(store, found.work)
    assert came_to(store) == [(1, "succeeded", 0.01)]
    assert found.paid() == (1, 0.01)


def test_a_claim_at_a_forgetful_vendor_costs_nothing_either(forgetful: Scene) -> None:
    store = forgetful.died("submitting")
    run(store, forgetful.work)
    assert came_to(store) == [(1, "lost", 0.0), (2, "succeeded", 0.01)]
    assert forgetful.paid() == (1, spent(store))


@pytest.mark.parametrize("state", ["sent", "fetching"])
@pytest.mark.parametrize("was_accepted", [True, False])
def test_what_a_forgetful_vendor_may_have_made_waits_for_a_person(
    forgetful: Scene, state: str, was_accepted: bool
) -> None:
    store = forgetful.died(state)
    if not was_accepted:
        forgetful.vendor.jobs.clear()
    before = forgetful.paid()
    assert run(store, forgetful.work).made == 0
    assert came_to(store) == [(1, "unreconciled", 0.01)]
    assert run(store, forgetful.work, "run-2").held == 1
    assert forgetful.paid() == before


def test_a_webhook_tells_of_a_job_whose_run_died_before_it_was_answered(heard: Scene) -> None:
    store = heard.died("sent")
    _tell(store, heard.vendor.jobs[0].job_id)
    run(store, heard.work)
    assert came_to(store) == [(1, "succeeded", 0.01)]
    assert heard.paid() == (1, 0.01)


def test_a_webhook_that_names_another_attempts_job_tells_nothing(heard: Scene) -> None:
    store = heard.died("sent")
    theirs = _newest(store).model_copy(
        update={
            "candidate_id": "cother",
            "state": "succeeded",
            "ticket": Ticket(job_id=heard.vendor.jobs[0].job_id),
        }
    )
    _tell(store, heard.vendor.jobs[0].job_id)
    store.events.append(ATTEMPTS, SPRING, event_name(theirs), theirs)
    run(store, heard.work)
    ours = next(each for each in every_attempt(store) if each.candidate_id != "cother")
    assert ours.state == "unreconciled"


def test_without_a_webhook_it_waits_for_a_person(heard: Scene) -> None:
    store = heard.died("sent")
    assert run(store, heard.work).made == 0
    assert came_to(store) == [(1, "unreconciled", 0.01)]
    assert len(heard.vendor.jobs) == 1


@pytest.mark.parametrize("state", ["queued", "running", "fetching"])
def test_a_job_that_was_accepted_needs_no_webhook(heard: Scene, state: str) -> None:
    store = heard.died(state)
    run(store, heard.work)
    assert came_to(store) == [(1, "succeeded", 0.01)]
    assert heard.paid() == (1, 0.01)


def _newest(store: Store) -> Attempt:
    (attempt,) = standings(store.events.read(ATTEMPTS, SPRING)).values()
    return attempt


def _tell(store: Store, job_id: str) -> None:
    """Keep a webhook for the only attempt, as the receiver does."""
    call = _newest(store).call
    assert call is not None
    assert call.token is not None
    message = Message("1", "COMPLETED", job_id, "COMPLETED", None)
    body = b'{"status": "COMPLETED"}'
    keep_delivery(store, message, body, provider="runpod", token=call.token, now=datetime.now(UTC))
