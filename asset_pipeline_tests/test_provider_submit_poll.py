"""Queues by configuration: each that the adapter is there for, from the submission to the picture."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderUnavailable, SubmissionUnknown, UnsupportedRequest
from asset_pipeline.providers.submit_poll import SubmitPoll
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.server import Behaviour, Reply, Request, Vendor, serving
from asset_pipeline_tests.vendors.submit_poll import (
    DEPLOYMENT,
    ComfyDeploy,
    Modal,
    bentoml,
    case,
    comfy_deploy,
    modal,
    salad,
)

ADAPTER = SubmitPoll()
POLLED = [
    pytest.param(build(), id=name)
    for name, build in {"own": case, "comfy-deploy": comfy_deploy, "modal": modal, "bentoml": bentoml}.items()
]
PHOTOGRAPH = ImageReference(role="base", sha256="5" * 64, media_type="image/png", width=8, height=8)


@contextmanager
def queue(given: Case, **settings: Any) -> Iterator[tuple[Vendor, Wire]]:
    """The queue of a case, and the way there."""
    with serving(given.vendor()) as vendor:
        changed = {**given.endpoint["settings"], **settings}
        with given.wire(vendor, settings=changed) as wire:
            yield vendor, wire


def submitted(given: Case, wire: Wire, job: Job | None = None) -> Standing:
    job = job or job_for(given.parameters)
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, {}), {})


def looked(given: Case, wire: Wire, standing: Standing) -> Standing:
    assert standing.ticket is not None
    return ADAPTER.look(wire, job_for(given.parameters), standing.ticket)


def made(given: Case, wire: Wire) -> Standing:
    standing = submitted(given, wire)
    while not standing.is_over:
        standing = looked(given, wire, standing)
    return standing


def fetched(wire: Wire, standing: Standing) -> list[bytes | None]:
    return [each.data if each.url is None else wire.fetch(each.url) for each in standing.outputs]


def test_a_body_is_what_the_profile_writes_with_our_values_in_it() -> None:
    fields = {"prompt": "inputs.prompt", "seed": "inputs.seed", "width": "inputs.size.w", "model": "model"}
    job = job_for(
        {"model": "flux", "version": "v3", "steps": 4, "native": {"deployment_id": "d"}, "fields": fields}
        | {"references": {"base": "inputs.images[]"}},
        references=(PHOTOGRAPH,),
    )
    draft = ADAPTER.draft(job, {PHOTOGRAPH.sha256: "data:image/png;base64,AA=="})
    assert draft.payload == {
        "deployment_id": "d",
        "model": "flux",
        "inputs": {
            "prompt": "a mug on a table",
            "seed": 7,
            "size": {"w": 128},
            "images": ["data:image/png;base64,AA=="],
        },
    }
    assert set(draft.dropped) == {"height", "steps", "version"}


@pytest.mark.parametrize("given", POLLED)
def test_a_job_is_followed_to_its_picture(given: Case) -> None:
    with queue(given) as (vendor, wire):
        vendor.always = Behaviour(queue_seconds=0.1, run_seconds=0.1)
        standing = made(given, wire)
        assert standing.state == "succeeded"
        assert fetched(wire, standing) == vendor.jobs[0].pictures()
        assert standing.usage.images == 1
        assert len(vendor.jobs) == 1


@pytest.mark.parametrize("given", POLLED)
def test_a_job_that_failed_says_why_where_the_queue_does(given: Case) -> None:
    with queue(given) as (vendor, wire):
        vendor.always = Behaviour(run_seconds=0.1, outcome="fails", error="CUDA out of memory")
        failure = made(given, wire).failure
    assert failure is not None
    assert failure.code == "model_error"
    assert failure.message == (
        "no reason given" if given.vendor().name == "bentoml" else "CUDA out of memory"
    )


@pytest.mark.parametrize("given", POLLED)
def test_a_job_that_the_queue_does_not_know_is_lost(given: Case) -> None:
    with queue(given) as (vendor, wire):
        vendor.always = Behaviour(run_seconds=60)
        standing = submitted(given, wire)
        assert looked(given, wire, standing).state == "running"
        vendor.jobs[0].is_forgotten = True
        assert looked(given, wire, standing).state == "lost"


def test_what_comfy_deploy_tells_of_a_run_is_understood() -> None:
    given = comfy_deploy()
    with queue(given) as (vendor, wire):
        assert isinstance(vendor, ComfyDeploy)
        vendor.always = Behaviour(queue_seconds=60, run_seconds=60)
        standing = submitted(given, wire)
        assert standing.state == "queued"
        assert looked(given, wire, standing).state == "queued"
        vendor.jobs[0].accepted_at -= 90
        running = looked(given, wire, standing)
        assert (running.state, running.progress) == ("running", 0.5)
        vendor.status_word = "reheating"
        unknown = looked(given, wire, standing)
        assert (unknown.state, unknown.raw_status) == ("running", "reheating")
        vendor.status_word = "timeout"
        expired = looked(given, wire, standing)
        assert expired.failure is not None
        assert (expired.state, expired.failure.code) == ("expired", "timeout_run")
        vendor.jobs[0].accepted_at -= 90
        assert looked(given, wire, standing).usage.seconds == 60
    assert vendor.jobs[0].payload["deployment_id"] == DEPLOYMENT


@pytest.mark.parametrize("given", [POLLED[0], POLLED[1], POLLED[3]])
def test_a_job_is_cancelled_and_cancelling_a_finished_one_changes_nothing(given: Case) -> None:
    with queue(given) as (vendor, wire):
        vendor.behaviours = [Behaviour(run_seconds=60)]
        running, finished = submitted(given, wire), submitted(given, wire)
        job = job_for(given.parameters)
        assert running.ticket is not None
        assert finished.ticket is not None
        assert ADAPTER.cancel(wire, job, running.ticket)
        ADAPTER.cancel(wire, job, finished.ticket)
        assert looked(given, wire, running).state == "canceled"
        assert looked(given, wire, finished).state == "succeeded"


def test_a_queue_without_a_way_to_cancel_is_not_asked_to() -> None:
    given = modal()
    with queue(given) as (vendor, wire):
        assert not ADAPTER.cancel(wire, job_for(given.parameters), Ticket(job_id="fc-1"))
        assert vendor.requests == []


# A 303


def test_a_submission_that_is_sent_on_is_followed_by_asking_alone() -> None:
    given = modal()
    with queue(given) as (vendor, wire):
        vendor.always = Behaviour(run_seconds=0.2)
        standing = submitted(given, wire)
        assert standing.state == "running"
        assert standing.ticket is not None
        assert standing.ticket.job_id == vendor.jobs[0].job_id
        assert standing.ticket.status_url == f"{vendor.url}/?__modal_function_call_id={vendor.jobs[0].job_id}"
        # Whoever goes on after a crash has the ticket as it was written down, and no more.
        kept = Ticket.model_validate_json(standing.ticket.model_dump_json())
        while not (standing := looked(given, wire, Standing("running", kept))).is_over:
            pass
        assert fetched(wire, standing) == vendor.jobs[0].pictures()
        assert vendor.requests[0] == "POST /"
        assert set(vendor.requests[1:]) == {"GET /"}


def test_an_answer_in_time_is_the_picture_and_leaves_nothing_to_come_back_to() -> None:
    given = modal()
    with queue(given) as (vendor, wire):
        standing = submitted(given, wire)
        assert (standing.state, standing.ticket) == ("succeeded", None)
        assert vendor.requests == ["POST /"]


@pytest.mark.parametrize("location", ["", "https://elsewhere.example/?__modal_function_call_id=fc-1"])
def test_being_sent_nowhere_or_elsewhere_leaves_a_submission_unknown(location: str) -> None:
    class Lost(Modal):
        def submitted(self, request: Request) -> Reply:
            super().submitted(request)
            return Reply(303, b"", {"Location": location} if location else {})

    given = Case(ADAPTER, Lost, modal().parameters, modal().endpoint)
    with queue(given) as (_, wire), pytest.raises(SubmissionUnknown, match="does not say where"):
        submitted(given, wire)


# Our own name for a job


def test_a_queue_that_was_told_our_name_finds_the_job_by_it() -> None:
    given = case()
    with queue(given) as (vendor, wire):
        job, since = job_for(given.parameters), datetime.now(UTC)
        absent = ADAPTER.find(wire, job, since)
        assert absent is not None
        assert absent.state == "lost"
        vendor.faults = ["drop after"]
        with pytest.raises(SubmissionUnknown):
            submitted(given, wire)
        found = ADAPTER.find(wire, job, since)
        assert found is not None
        assert found.ticket is not None
        assert (found.state, found.ticket.job_id) == ("succeeded", vendor.jobs[0].job_id)
        other = ADAPTER.find(wire, job_for(given.parameters, seed=8), since)
        assert other is not None
        assert other.state == "lost"


def test_a_queue_without_a_lookup_cannot_tell() -> None:
    given = comfy_deploy()
    with queue(given) as (vendor, wire):
        assert ADAPTER.find(wire, job_for(given.parameters), datetime.now(UTC)) is None
        assert vendor.requests == []


def test_our_name_can_go_in_a_header() -> None:
    class Idempotent(Vendor):
        names: list[str | None]

        def is_submission(self, request: Request) -> bool:
            self.names = [*getattr(self, "names", []), request.headers.get("idempotency-key")]
            return True

        def answer(self, request: Request) -> Reply:
            return Reply(200, {"id": self.accept(request.json(), width=8, height=8, seed=1).job_id})

    settings = {"submit": "jobs", "look": "jobs/{id}", "client_id_header": "Idempotency-Key"}
    given = Case(ADAPTER, Idempotent, {"fields": {"prompt": "prompt"}}, {"settings": settings})
    with queue(given) as (vendor, wire):
        submitted(given, wire)
        assert isinstance(vendor, Idempotent)
        assert vendor.names == [job_for(given.parameters).client_id]


# Webhooks


def test_a_result_that_comes_by_webhook_alone_is_read_there() -> None:
    given = salad()
    with queue(given) as (vendor, wire), listening() as listener:
        vendor.behaviours = [Behaviour(run_seconds=0.1), Behaviour(outcome="fails", error="no such node")]
        job = job_for(given.parameters).model_copy(
            update={"webhook_url": f"{listener.url}/webhooks/submit_poll/t"}
        )
        standing = submitted(given, wire, job)
        assert standing.state == "queued"
        assert standing.ticket == Ticket(job_id=job.client_id)
        assert ADAPTER.look(wire, job, standing.ticket).state == "running"
        delivery = listener.wait_for(1)[0]
        assert delivery.path == "/webhooks/salad/t", "the receiver knows how Salad signs"
        body = delivery.json()
        submitted(given, wire, job)
        failed = listener.wait_for(2)[1].json()
    heard = ADAPTER.heard(job, body, wire.endpoint.settings)
    assert heard is not None
    assert heard.state == "succeeded"
    assert heard.ticket == standing.ticket
    assert [output.data for output in heard.outputs] == vendor.jobs[0].pictures()
    told = ADAPTER.heard(job, failed, wire.endpoint.settings)
    assert told is not None
    assert told.failure is not None
    assert (told.state, told.failure.message) == ("failed", "no such node")


def test_a_server_that_calls_nobody_back_answers_with_the_picture() -> None:
    given = salad()
    with queue(given) as (vendor, wire):
        standing = submitted(given, wire)
        assert fetched(wire, standing) == vendor.jobs[0].pictures()


def test_of_a_queue_that_can_be_asked_no_webhook_is_believed() -> None:
    given = comfy_deploy()
    with queue(given) as (vendor, wire), listening() as listener:
        job = job_for(given.parameters).model_copy(update={"webhook_url": f"{listener.url}/hook"})
        submitted(given, wire, job)
        (delivery,) = listener.wait_for(1)
        assert json.loads(delivery.body)["run_id"] == vendor.jobs[0].job_id
        assert ADAPTER.heard(job, delivery.json(), wire.endpoint.settings) is None
        assert ADAPTER.heard(job, delivery.json(), {}) is None


# Odd answers


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ({"status": "success", "outputs": []}, "output_invalid", "no picture at outputs"),
        ({"status": "success", "outputs": None, "error": "NSFW"}, "content_filtered", "NSFW"),
        ({"status": "success", "outputs": [{"data": {"images": [{"url": 7}]}}]}, "output_invalid", "neither"),
        ({"status": "failed", "error": {"a": "x " * 400}}, "model_error", "x x"),
        ({"status": "failed"}, "model_error", "no reason given"),
        ({"status": "cancelled"}, "canceled", "no reason given"),
    ],
)
def test_an_end_without_a_picture_has_a_reason(told: dict[str, Any], code: str, words: str) -> None:
    class Odd(ComfyDeploy):
        def told(self, job: Any) -> dict[str, Any]:
            return {"run_id": job.job_id, **told}

    given = Case(ADAPTER, Odd, comfy_deploy().parameters, comfy_deploy().endpoint)
    with queue(given) as (_, wire):
        failure = made(given, wire).failure
    assert failure is not None
    assert failure.code == code
    assert words in failure.message
    assert len(failure.message) <= 300


@pytest.mark.parametrize("answer", [Reply(200, b"<html>"), Reply(400, {"detail": "what?"}), Reply(500, {})])
def test_a_look_that_is_not_answered_says_nothing_of_the_job(answer: Reply) -> None:
    class Odd(ComfyDeploy):
        def asked(self, request: Request) -> Reply:
            del request
            return answer

    given = Case(ADAPTER, Odd, comfy_deploy().parameters, comfy_deploy().endpoint)
    with queue(given) as (_, wire):
        standing = submitted(given, wire)
        with pytest.raises(ProviderUnavailable):
            looked(given, wire, standing)


def test_a_result_that_is_not_kept_any_more_is_gone() -> None:
    given = bentoml()
    with queue(given, outputs="images[]", result="generate/nowhere?task_id={id}") as (_, wire):
        standing = made(given, wire)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("lost", "output_expired")


def test_an_answer_that_is_no_picture_is_told_apart_from_one_that_is() -> None:
    given = modal()
    with queue(given) as (vendor, wire):
        vendor.always = Behaviour(run_seconds=0.2, outcome="is empty")
        failure = made(given, wire).failure
    assert failure is not None
    assert failure.code == "output_invalid"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"outputz": "images[]"}, "outputz"),
        ({"status.done": "finished"}, "states.done"),
        ({"find": "jobs/{client_id}"}, "it was not told our id"),
        ({"cancel_method": "GET"}, "cancel_method"),
    ],
)
def test_a_setting_that_means_nothing_is_named_before_anything_is_sent(
    settings: dict[str, Any], words: str
) -> None:
    given = comfy_deploy()
    with queue(given, **settings) as (vendor, wire):
        with pytest.raises(UnsupportedRequest, match=words):
            submitted(given, wire)
        assert vendor.requests == []
