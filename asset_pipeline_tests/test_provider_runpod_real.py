"""The adapter for RunPod before the worker loop that RunPod's own SDK runs."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.job import Job, Standing
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.providers.runpod import Runpod
from asset_pipeline_tests.peers.painting import Painting
from asset_pipeline_tests.peers.runpod_worker import RunpodWorker, runpod_worker
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.listener import listening

DATA = Path(__file__).parent.parent / "data"
ADAPTER = Runpod(DATA)
FIELDS = {name: name for name in ("prompt", "width", "height", "seed")}
WORKFLOW = {"workflow": "text-to-image"}
SECONDS = 20.0


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodWorker]:
    with runpod_worker(tmp_path_factory.mktemp("runpod")) as running:
        yield running


def wire_to(worker: RunpodWorker, **settings: Any) -> Wire:
    endpoint = Endpoint(base_url=worker.url, settings=settings)
    return Wire("runpod", endpoint, ADAPTER.headers(worker.key), ADAPTER.abilities.output_hosts)


def job(orders: str = "", parameters: Any = None, **changes: Any) -> Job:
    """A job that no other test asks for, as they share the worker."""
    prompt = f"a mug {secrets.token_hex(4)} {orders}"
    return job_for(parameters or {"fields": FIELDS}, prompt=prompt).model_copy(update=changes)


def followed(wire: Wire, given: Job, standing: Standing, state: str | None = None) -> Standing:
    """Until the job is over, or in a state."""
    deadline = time.monotonic() + SECONDS
    while not (standing.is_over or standing.state == state):
        assert time.monotonic() < deadline, standing
        time.sleep(0.02)
        assert standing.ticket is not None
        standing = ADAPTER.look(wire, given, standing.ticket)
    return standing


def made(worker: RunpodWorker, given: Job, **settings: Any) -> Standing:
    with wire_to(worker, **settings) as wire:
        return followed(wire, given, ADAPTER.submit(wire, given, ADAPTER.draft(given, {}), {}))


def runs_of(worker: RunpodWorker, given: Job) -> list[dict[str, Any]]:
    return [each for each in worker.ran if each["prompt"] == given.request.prompt]


def painted(given: Job) -> bytes:
    request = given.request
    return Painting.of(request.prompt, request.width, request.height, request.seed).png()


@pytest.mark.parametrize("settings", [{}, {"sync": True}, {"outputs": "image_url"}])
def test_a_real_worker_makes_the_picture_once(worker: RunpodWorker, settings: dict[str, Any]) -> None:
    given = job()
    standing = made(worker, given, **settings)
    assert standing.state == "succeeded"
    assert [output.data for output in standing.outputs] == [painted(given)]
    assert standing.usage.seconds is not None
    assert standing.details["worker"] == "worker1"
    assert len(runs_of(worker, given)) == 1


def test_what_a_real_workers_exception_says_is_told_without_where_it_happened(worker: RunpodWorker) -> None:
    given = job("[fail CUDA out of memory]")
    failure = made(worker, given).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("model_error", "RuntimeError: CUDA out of memory")


def test_a_workflow_is_drawn_by_a_real_worker(worker: RunpodWorker) -> None:
    given = job(parameters=WORKFLOW)
    draft = ADAPTER.draft(given, {})
    assert draft.details["workflow"] == "text-to-image"
    standing = made(worker, given)
    assert standing.state == "succeeded"
    assert [output.data for output in standing.outputs] == [painted(given)]
    assert len(runs_of(worker, given)) == 1


def test_a_workflow_that_went_wrong_says_why_or_what_is_missing(worker: RunpodWorker) -> None:
    failure = made(worker, job("[fail no VRAM]", WORKFLOW)).failure
    assert failure is not None
    assert (failure.code, "no VRAM" in failure.message) == ("model_error", True)
    partial = made(worker, job("[warn a node was slow]", WORKFLOW))
    assert (partial.state, partial.details["errors"]) == ("partial", ["a node was slow"])


def test_a_real_worker_stops_a_job_that_was_cancelled(worker: RunpodWorker) -> None:
    given = job("[seconds 30]")
    with wire_to(worker) as wire:
        running = followed(wire, given, ADAPTER.submit(wire, given, ADAPTER.draft(given, {}), {}), "running")
        assert running.ticket is not None
        assert ADAPTER.cancel(wire, given, running.ticket)
        assert ADAPTER.look(wire, given, running.ticket).state == "canceled"


def test_the_policy_ends_a_job_that_nobody_looks_at(worker: RunpodWorker) -> None:
    given = job("[seconds 30]", run_seconds=5.0)
    draft = ADAPTER.draft(given, {})
    # Five seconds are the least that RunPod takes, and long for a test; its stand-in takes less.
    draft.payload["policy"]["executionTimeout"] = 200
    with wire_to(worker) as wire:
        standing = followed(wire, given, ADAPTER.submit(wire, given, draft, {}))
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("expired", "timeout_run")


def test_the_webhook_comes_to_the_attempts_own_address(worker: RunpodWorker) -> None:
    with listening() as listener:
        given = job(webhook_url=f"{listener.url}/webhooks/runpod/20260101-abc")
        assert made(worker, given).state == "succeeded"
        (delivery,) = listener.wait_for(1)
    assert delivery.path == "/webhooks/runpod/20260101-abc"
    assert delivery.json()["status"] == "COMPLETED"
