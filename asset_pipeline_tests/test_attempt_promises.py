"""What every provider promises of a whole attempt: sent once, found again, fetched in time, in the store."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.jobs.delivery import Message, keep_delivery
from asset_pipeline.candidates.jobs.remote import WEBHOOK_URL, Remote
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.errors import ProviderUnavailable
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import HEARTBEATS
from asset_pipeline_tests.remote_orders import SPRING, every_attempt, lane, order, run, spent
from asset_pipeline_tests.vendors import submit_poll
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.cases import CASES, Stage, staged
from asset_pipeline_tests.vendors.listener import Listener
from asset_pipeline_tests.vendors.server import Behaviour, Reply, Request, serving

STATES = ("sent", "queued", "running", "fetching")
"""Those in which a submission may have been paid for."""
JOB_IDS = ("id", "request_id", "run_id")
"""Where webhooks name the job."""


def those(which: Callable[[Case], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Tried on these adapters."""
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name) for name, case in CASES.items() if which(case)]
    )


def calls_back(case: Case) -> bool:
    return case.adapter.abilities.webhook != "none"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def work_for(stage: Stage, **endpoint: Any) -> Order:
    """One picture from a vendor, which takes whatever a campaign adds."""
    allowed = ("negative_prompt", "references", *stage.case.parameters.get("may_drop", ()))
    case = replace(stage.case, parameters={**stage.case.parameters, "may_drop": allowed})
    return order(lane(case, stage.vendor, endpoint={**stage.case.endpoint, **endpoint}), 1)


class Receiver(Listener):
    """Takes webhooks as the receiver does, and keeps them in a store under the attempt's token."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def answer(self, request: Request) -> Reply:
        _, _, provider, token = request.path.split("/")
        body = request.json()
        message = Message(
            delivery_id=f"{len(self.heard)}",
            event="job",
            provider_job_id=next((body[name] for name in JOB_IDS if name in body), None),
            status=None,
            signed_at=None,
        )
        keep_delivery(
            self._store, message, request.body, provider=provider, token=token, now=datetime.now(UTC)
        )
        return super().answer(request)


@pytest.fixture
def receiver(store: Store) -> Iterator[Receiver]:
    listening = Receiver(store)
    with serving(listening):
        yield listening


def called_back(work: Order, stage: Stage, receiver: Receiver) -> Order:
    """The same, with somebody to call back."""
    remote = Remote(stage.adapter, {"KEY": stage.vendor.key, WEBHOOK_URL: receiver.url})
    own: Lane = work.lanes[0]
    return order(Lane(own.name, own.profile, remote), 1)


@those()
def test_a_picture_is_paid_once_verified_and_in_the_store(case: Case, store: Store) -> None:
    with staged(case) as stage:
        work = work_for(stage)
        assert run(store, work).made == 1
        (attempt,) = every_attempt(store)
        assert attempt.state == "succeeded"
        assert attempt.result is not None
        (picture,) = attempt.result.pictures
        kept = Image.open(io.BytesIO(store.images.get(attempt.image_sha256 or "")))
        assert kept.size == (128, 64)
        assert (picture.media_type, picture.size_bytes > 0) == ("image/png", True)
        assert spent(store) == pytest.approx(stage.vendor.billed_usd)
        assert run(store, work, "run-2").reused == 1
        assert len(stage.submissions) == len(stage.vendor.jobs) == 1


@those()
def test_no_secret_is_in_any_fact(case: Case, store: Store, tmp_path: Path) -> None:
    with staged(case) as stage:
        stage.vendor.behaviours = [Behaviour(outcome="fails", error=f"no {stage.vendor.key} in memory")]
        run(store, work_for(stage))
        files = [each for each in (tmp_path / "store").rglob("*") if each.is_file()]
        assert files
        assert not any(stage.vendor.key.encode() in each.read_bytes() for each in files)


def cut_after(store: Store, state: str, folder: Path) -> Store | None:
    """A store as it was when the attempt had just come to a state, and whoever carried it died."""
    events = store.events.read(ATTEMPTS, SPRING)
    names = [event.name.rpartition(".")[2] for event in events]
    if state not in names:
        return None
    left = Store(str(folder))
    for event in events[: names.index(state) + 1]:
        left.events.append(ATTEMPTS, SPRING, event.name, event.body, now=event.recorded_at)
    for worker in {event.body.worker.worker_id for event in events}:
        for sign in store.events.read(HEARTBEATS, worker):
            left.events.append(HEARTBEATS, worker, sign.name, sign.body, now=sign.recorded_at)
    return left


@those()
def test_after_a_crash_in_any_state_nothing_is_submitted_again(
    case: Case, store: Store, tmp_path: Path
) -> None:
    with staged(case, always=Behaviour(queue_seconds=0.1, run_seconds=0.3)) as stage:
        work = work_for(stage)
        run(store, work)
        lefts = {state: cut_after(store, state, tmp_path / state) for state in STATES}
        assert lefts["sent"] is not None
        for state, left in lefts.items():
            if left is None:
                continue  # it never was in this state
            run(left, work, f"run-after-{state}")
            assert len(stage.submissions) == len(stage.vendor.jobs) == 1, state
            (attempt,) = every_attempt(left)
            if attempt.ticket is None:
                assert attempt.state == "unreconciled", "what nobody can look for waits for a person"
                assert attempt.cost_usd == pytest.approx(stage.vendor.price_usd)
            else:
                assert attempt.state == "succeeded", state


@those(calls_back)
def test_a_webhook_with_the_attempts_token_finds_a_submission_without_an_answer(
    case: Case, store: Store, receiver: Receiver
) -> None:
    with staged(case, always=Behaviour(run_seconds=0.2)) as stage:
        stage.vendor.faults = ["drop after"]
        # Deliveries are listed once in a second: whoever asks more often gives up before one is seen.
        patience = {
            "timeouts": {"connect": 2, "submit": 2, "start": 20, "run": 20, "reconcile": 20},
            "polling": {"first": 0.6, "longest": 1.2, "rechecks": 3},
        }
        work = called_back(work_for(stage, webhook=True, **patience), stage, receiver)
        assert run(store, work).made == 1
        (attempt,) = every_attempt(store)
        assert attempt.state == "succeeded"
        assert attempt.call is not None
        assert attempt.call.token is not None
        receiver.wait_for(1)
        assert {request.path.rpartition("/")[2] for request in receiver.heard} == {attempt.call.token}
        assert len(stage.submissions) == len(stage.vendor.jobs) == 1


def test_a_result_that_is_told_to_the_webhook_alone_is_in_the_store(store: Store, receiver: Receiver) -> None:
    with staged(submit_poll.salad(), always=Behaviour(run_seconds=0.2)) as stage:
        work = called_back(work_for(stage, webhook=True), stage, receiver)
        assert run(store, work).made == 1
        (attempt,) = every_attempt(store)
        assert attempt.state == "succeeded"
        assert store.images.get(attempt.image_sha256 or "")
        assert [request.path.split("/")[2] for request in receiver.heard] == ["salad"]
        assert len(stage.submissions) == len(stage.vendor.jobs) == 1


@pytest.mark.parametrize("queue", [submit_poll.modal, submit_poll.bentoml, submit_poll.comfy_deploy])
def test_any_queue_by_configuration_brings_its_picture_once(
    queue: Callable[[], Case], store: Store, tmp_path: Path
) -> None:
    with staged(queue(), always=Behaviour(run_seconds=0.2)) as stage:
        work = work_for(stage)
        assert run(store, work).made == 1
        left = cut_after(store, "fetching", tmp_path / "left")
        assert left is not None
        run(left, work, "run-2")
        assert [attempt.state for attempt in every_attempt(left)] == ["succeeded"]
        assert len(stage.submissions) == len(stage.vendor.jobs) == 1


@those(calls_back)
def test_what_a_stranger_sends_under_another_token_changes_nothing(
    case: Case, store: Store, receiver: Receiver
) -> None:
    with staged(case) as stage:
        polling = {"first": 0.6, "longest": 1.2, "rechecks": 3}
        work = called_back(work_for(stage, webhook=True, polling=polling), stage, receiver)
        strange = Request(
            "POST",
            f"/webhooks/{case.adapter.name}/20260101-{'0' * 32}",
            {},
            {},
            json.dumps({"id": "x"}).encode(),
        )
        receiver.answer(strange)
        assert run(store, work).made == 1
        assert [attempt.state for attempt in every_attempt(store)] == ["succeeded"]


@those(lambda case: case.adapter.abilities.retention_seconds is not None)
def test_a_picture_that_cannot_be_fetched_in_time_is_left_to_a_later_run_and_not_made_again(
    case: Case, store: Store
) -> None:
    with staged(case) as stage:
        has_files = [False]

        def gone(request: Request, reply: Reply) -> Reply:
            if request.path.startswith("/files/"):
                has_files[0] = True
                return Reply(503, b"")
            return reply

        stage.change = gone
        work = work_for(stage, retention_seconds=0.6)
        with suppress(ProviderUnavailable):
            run(store, work)
        if not has_files[0]:
            pytest.skip("its pictures come with the answer")
        assert not any(attempt.state == "succeeded" for attempt in every_attempt(store))
        stage.change = lambda _, reply: reply
        run(store, work, "run-2")
        assert [attempt.state for attempt in every_attempt(store)] == ["succeeded"]
        assert len(stage.submissions) == len(stage.vendor.jobs) == 1
