"""fal in our words: asked at the addresses that it gave, and only what the model answered is success."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import (
    AccountClosed,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline.providers.fal import Fal
from asset_pipeline.web import fal as fal_webhooks
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.fal import MODEL, PretendedFal, case
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.scripted import Scripted
from asset_pipeline_tests.vendors.server import Behaviour, Reply, picture, serving

ADAPTER = Fal()
PARAMETERS = {"model": MODEL}
JOB = job_for(PARAMETERS)
HASH = "0" * 64
BASE = ImageReference(role="base", sha256=HASH, media_type="image/png", width=8, height=8)


@pytest.fixture
def vendor() -> Iterator[PretendedFal]:
    with serving(PretendedFal()) as vendor:
        assert isinstance(vendor, PretendedFal)
        yield vendor


@pytest.fixture
def wire(vendor: PretendedFal) -> Iterator[Wire]:
    with case().wire(vendor) as wire:
        yield wire


def send(wire: Wire, job: Job = JOB) -> Standing:
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, {}), {})


def submitted(wire: Wire, job: Job = JOB) -> Ticket:
    ticket = send(wire, job).ticket
    assert ticket is not None
    return ticket


def refused(reply: Reply) -> ProviderError:
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderError) as caught:
        send(wire)
    assert at.key not in str(caught.value)
    return caught.value


def test_a_job_is_the_inputs_of_the_model_at_its_own_address() -> None:
    parameters = {
        "model": MODEL,
        "steps": 4,
        "guidance_scale": 3.5,
        "fields": {"steps": "num_inference_steps"},
        "native": {"num_images": 1, "output_format": "png"},
        "references": {"base": "image_urls[]"},
    }
    draft = ADAPTER.draft(job_for(parameters, negative_prompt="text", references=(BASE,)), {HASH: "data:x"})
    assert draft.url == MODEL
    assert draft.payload == {
        "num_images": 1,
        "output_format": "png",
        "prompt": "a mug on a table",
        "image_size": {"width": 128, "height": 64},
        "seed": 7,
        "num_inference_steps": 4,
        "image_urls": ["data:x"],
    }
    assert draft.dropped == ("negative_prompt", "guidance_scale")


@pytest.mark.parametrize(
    "parameters",
    [
        {"model": "mugs"},
        {"model": "acme/mugs?x=1"},
        {"model": MODEL, "version": "2"},
        {"model": MODEL, "native": {"sync_mode": True}},
    ],
)
def test_what_fal_has_no_words_for_is_refused_before_anything_is_sent(parameters: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedRequest):
        ADAPTER.draft(job_for(parameters), {})


def test_a_request_is_queued_then_runs_then_its_result_is_the_pictures(
    vendor: PretendedFal, wire: Wire
) -> None:
    vendor.always = Behaviour(queue_seconds=60, run_seconds=60)
    accepted = send(wire)
    ticket = accepted.ticket or Ticket(job_id="")
    assert (accepted.state, accepted.raw_status, accepted.queue_position) == ("queued", "IN_QUEUE", 0)
    waiting = ADAPTER.look(wire, JOB, ticket)
    assert (waiting.state, waiting.queue_position) == ("queued", 2)
    vendor.jobs[0].accepted_at -= 90
    assert ADAPTER.look(wire, JOB, ticket).state == "running"
    vendor.jobs[0].accepted_at -= 90
    over = ADAPTER.look(wire, JOB, ticket)
    assert (over.state, over.usage.seconds, over.usage.images) == ("succeeded", 60.0, 1)
    [output] = over.outputs
    assert (output.seed, output.is_flagged) == (7, False)
    assert wire.fetch(output.url or "") == picture(128, 64, 7)


def test_it_is_asked_at_the_addresses_that_fal_gave() -> None:
    with serving(Scripted()) as at, case().wire(at) as wire:
        assert isinstance(at, Scripted)
        names = ("status_url", "response_url", "cancel_url")
        accepted = {"request_id": "r1", **{name: f"{at.url}/here/{name}" for name in names}}
        at.replies = [Reply(body=accepted), Reply(body={"status": "COMPLETED"}), Reply(body={"images": []})]
        ticket = submitted(wire)
        ADAPTER.look(wire, JOB, ticket)
        ADAPTER.cancel(wire, JOB, ticket)
    asked = [f"{request.method} {request.path}" for request in at.told]
    assert asked[1:] == ["GET /here/status_url", "GET /here/response_url", "PUT /here/cancel_url"]


@pytest.mark.parametrize("given", [None, "https://elsewhere.example/status"])
def test_without_addresses_of_fals_own_they_are_built_from_the_endpoints_name(
    wire: Wire, given: str | None
) -> None:
    bare = Ticket(job_id=submitted(wire).job_id, status_url=given, result_url=given, cancel_url=given)
    assert ADAPTER.look(wire, JOB, bare).state == "succeeded"
    assert not ADAPTER.cancel(wire, JOB, bare)


def test_fal_neither_repeats_nor_keeps_it_and_gives_up_what_does_not_start(
    vendor: PretendedFal, wire: Wire
) -> None:
    submitted(wire, JOB.model_copy(update={"priority": "low", "start_seconds": 30.2}))
    submitted(wire, JOB.model_copy(update={"priority": "high", "sensitivity": "public"}))
    low, high = (job.details["headers"] for job in vendor.jobs)
    assert low == {
        "x-fal-no-retry": "1",
        "x-fal-request-timeout": "31",
        "x-fal-queue-priority": "low",
        "x-fal-store-io": "0",
    }
    assert (high["x-fal-queue-priority"], high.get("x-fal-store-io")) == ("normal", None)


def test_what_did_not_start_in_time_is_expired_and_not_paid_for(vendor: PretendedFal, wire: Wire) -> None:
    vendor.always = Behaviour(queue_seconds=5000)
    ticket = submitted(wire)
    vendor.jobs[0].accepted_at -= 2000
    vendor.jobs[0].details["start_by"] -= 2000
    over = ADAPTER.look(wire, JOB, ticket)
    assert over.failure is not None
    assert (over.state, over.failure.code, over.failure.is_billed) == ("expired", "timeout_start", False)


@pytest.mark.parametrize(
    ("result", "state", "code", "is_billed"),
    [
        (Reply(422, {"detail": [{"msg": "no", "type": "content_policy_violation"}]}),
         "failed", "content_filtered", None),
        (Reply(422, {"detail": [{"loc": ["body", "image_url"], "msg": "big", "type": "image_too_large"}]}),
         "failed", "invalid_request", None),
        (Reply(400, {"detail": "bad", "error_type": "bad_request"}), "failed", "invalid_request", None),
        (Reply(500, {"detail": "Internal Server Error"}), "failed", "model_error", False),
        (Reply(503, {"detail": "gone", "error_type": "runner_disconnected"}), "failed", "model_error", False),
        (Reply(502, {}, {"X-Fal-Error-Type": "runner_server_error"}), "failed", "model_error", False),
        (Reply(503, {"detail": [{"msg": "busy", "type": "downstream_service_error"}]}),
         "failed", "model_error", False),
        (Reply(504, {"detail": "x", "error_type": "request_timeout"}), "expired", "timeout_run", False),
        (Reply(504, {"detail": "x", "error_type": "startup_timeout"}), "expired", "timeout_start", False),
        (Reply(499, {"detail": "x", "error_type": "client_cancelled"}), "canceled", "canceled", None),
        (Reply(400, {"detail": "x", "error_type": "client_cancelled"}), "canceled", "canceled", None),
        (Reply(404, {"detail": "Not found"}), "failed", "output_expired", True),
    ],
)  # fmt: skip
def test_being_completed_is_no_success(
    vendor: PretendedFal, wire: Wire, result: Reply, state: str, code: str, is_billed: bool | None
) -> None:
    ticket = submitted(wire)
    vendor.result = result
    over = ADAPTER.look(wire, JOB, ticket)
    assert over.failure is not None
    assert (over.state, over.failure.code, over.failure.is_billed) == (state, code, is_billed)
    assert over.raw_status == f"COMPLETED {result.status}"


def test_a_gateway_that_fails_is_not_the_model(vendor: PretendedFal, wire: Wire) -> None:
    ticket = submitted(wire)
    for reply in (
        Reply(502, b"<html>"),
        Reply(503, {"detail": "later"}),
        Reply(429, {}),
        Reply(200, b"<html>"),
    ):
        vendor.result = reply
        with pytest.raises(ProviderUnavailable):
            ADAPTER.look(wire, JOB, ticket)
    vendor.result, vendor.status_error = Reply(504, {"detail": "late"}), "request_timeout"
    over = ADAPTER.look(wire, JOB, ticket)
    assert over.failure is not None
    assert (over.state, over.failure.code) == ("expired", "timeout_run")


def test_a_failure_is_told_without_the_input_that_fal_repeats(vendor: PretendedFal, wire: Wire) -> None:
    ticket = submitted(wire)
    entry = {
        "loc": ["body", "prompt"],
        "msg": "refused: a mug on a table",
        "type": "content_policy_violation",
        "input": "a secret input",
        "url": "https://docs.fal.ai/errors",
    }
    vendor.result = Reply(422, {"detail": [entry]})
    over = ADAPTER.look(wire, JOB, ticket)
    assert over.failure is not None
    assert over.failure.message == "body.prompt: refused: [prompt]"


def test_a_picture_that_the_filter_blanked_is_flagged(vendor: PretendedFal, wire: Wire) -> None:
    vendor.always = Behaviour(outcome="is filtered", outputs=2)
    over = ADAPTER.look(wire, JOB, submitted(wire))
    assert [output.is_flagged for output in over.outputs] == [True, True]


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ({"image": {"url": "https://v3.fal.media/1.png"}}, ["https://v3.fal.media/1.png"]),
        ({"images": ["https://v3.fal.media/1.png"]}, ["https://v3.fal.media/1.png"]),
        ({"images": [{"url": "data:image/png;base64,AA"}]}, ["data:image/png;base64,AA"]),
        ({"images": [], "prompt": "https://x.example"}, []),
        ({"text": "a mug"}, []),
    ],
)
def test_pictures_are_where_models_put_them(
    vendor: PretendedFal, wire: Wire, body: Any, urls: list[str]
) -> None:
    ticket = submitted(wire)
    vendor.result = Reply(200, body)
    over = ADAPTER.look(wire, JOB, ticket)
    assert [output.url for output in over.outputs] == urls
    assert over.state == ("succeeded" if urls else "failed")
    assert over.failure is None or over.failure.code == "output_invalid"


def test_a_cancelled_request_is_removed_and_one_that_won_the_race_keeps_its_picture(
    vendor: PretendedFal, wire: Wire
) -> None:
    vendor.behaviours = [Behaviour(queue_seconds=60), Behaviour(run_seconds=60), Behaviour()]
    waiting, running, over = (submitted(wire) for _ in range(3))
    assert ADAPTER.cancel(wire, JOB, waiting)
    assert ADAPTER.cancel(wire, JOB, running)
    assert not ADAPTER.cancel(wire, JOB, over)
    assert not ADAPTER.cancel(wire, JOB, Ticket(job_id="nobody"))
    states = [ADAPTER.look(wire, JOB, ticket).state for ticket in (waiting, running, over)]
    assert states == ["canceled", "running", "succeeded"]


def test_a_request_that_fal_does_not_know_is_lost(wire: Wire) -> None:
    assert ADAPTER.look(wire, JOB, Ticket(job_id="nobody")).state == "lost"


def test_a_status_that_nobody_knows_is_still_running() -> None:
    with serving(Scripted(Reply(202, {"status": "THAWING"}))) as at, case().wire(at) as wire:
        asked = ADAPTER.look(wire, JOB, Ticket(job_id="r1"))
    assert (asked.state, asked.raw_status) == ("running", "THAWING")


def test_a_submission_without_an_answer_cannot_be_found(vendor: PretendedFal, wire: Wire) -> None:
    since = datetime.now(UTC)
    vendor.faults = ["drop after"]
    with pytest.raises(SubmissionUnknown):
        send(wire)
    assert ADAPTER.find(wire, JOB, since) is None
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize("body", [b"<html>", ["a list"], None, {}, {"request_id": "../x"}])
def test_an_odd_answer_to_a_submission_may_hide_an_accepted_one(body: Any) -> None:
    assert isinstance(refused(Reply(200, body)), SubmissionUnknown)


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (Reply(401, {"detail": "Cannot access application"}), AccountClosed, "auth"),
        (
            Reply(403, {"detail": "User is locked. Reason: Exhausted balance."}),
            AccountClosed,
            "insufficient_funds",
        ),
        (Reply(403, {"detail": "Forbidden"}), AccountClosed, "auth"),
        (Reply(404, {"detail": "Application 'acme/mugs' not found"}), AccountClosed, "not_found"),
        (Reply(422, {"detail": [{"loc": ["body"], "msg": "x"}]}), ProviderRefused, "invalid_request"),
        (Reply(429, {"detail": "later"}), ProviderBusy, "rate_limited"),
        (Reply(500, {"detail": "x"}), SubmissionUnknown, "submit_unknown"),
    ],
)
def test_an_error_says_what_to_do(reply: Reply, error: type[ProviderError], code: str) -> None:
    raised = refused(reply)
    assert type(raised) is error
    assert raised.code == code


def test_the_webhook_is_signed_as_ours_verifies_and_names_the_request(
    vendor: PretendedFal, wire: Wire
) -> None:
    with listening() as listener:
        job = JOB.model_copy(update={"webhook_url": f"{listener.url}/webhooks/fal/token"})
        ticket = submitted(wire, job)
        [delivery] = listener.wait_for(1)
    keys = fal_webhooks.KeySet(lambda: json.dumps({"keys": [vendor.public_key()]}).encode())
    message = fal_webhooks.verify(delivery.body, delivery.headers, datetime.now(UTC), keys=keys)
    assert isinstance(message, Message)
    assert (message.provider_job_id, message.status) == (ticket.job_id, "OK")
    assert ADAPTER.heard(job, delivery.json(), {}) is None


def test_photographs_travel_inside_the_payload_and_no_other_way(wire: Wire) -> None:
    with pytest.raises(UnsupportedRequest):
        ADAPTER.upload(wire, BASE, b"x")
