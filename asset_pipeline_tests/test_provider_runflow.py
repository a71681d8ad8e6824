"""Runflow in our words: its own cost, both of its spellings, and no wish that it does not grant."""

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
    OutputUnreachable,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline.providers.runflow import Runflow
from asset_pipeline.web import runflow as runflow_webhooks
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.runflow import MODEL, NAMES, PretendedRunflow, case
from asset_pipeline_tests.vendors.scripted import Scripted
from asset_pipeline_tests.vendors.server import Behaviour, Reply, picture, serving

ADAPTER = Runflow()
PARAMETERS = {"model": MODEL, "fields": NAMES}
JOB = job_for(PARAMETERS)
HASH = "0" * 64
BASE = ImageReference(role="base", sha256=HASH, media_type="image/png", width=8, height=8)


@pytest.fixture
def vendor() -> Iterator[PretendedRunflow]:
    with serving(PretendedRunflow()) as vendor:
        assert isinstance(vendor, PretendedRunflow)
        yield vendor


@pytest.fixture
def wire(vendor: PretendedRunflow) -> Iterator[Wire]:
    with case().wire(vendor) as wire:
        yield wire


def send(wire: Wire, job: Job = JOB) -> Standing:
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, {}), {})


def submitted(wire: Wire, job: Job = JOB) -> Ticket:
    ticket = send(wire, job).ticket
    assert ticket is not None
    return ticket


def told(run: dict[str, Any]) -> Standing:
    """What the adapter makes of a run that it is told of."""
    with serving(Scripted(Reply(body={"id": "r1", **run}))) as at, case().wire(at) as wire:
        return ADAPTER.look(wire, JOB, Ticket(job_id="r1"))


def refused(reply: Reply) -> ProviderError:
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderError) as caught:
        send(wire)
    assert at.key not in str(caught.value)
    return caught.value


def test_a_job_is_a_run_of_the_model_under_our_name() -> None:
    parameters = {
        "model": "google/nano-banana-2/edit",
        "native": {"num_images": 1},
        "references": {"base": "image_urls[]"},
        "sizes": {"ratios": ["1:1", "16:9"]},
        "fields": {"aspect_ratio": "aspect_ratio"},
    }
    job = job_for(parameters, references=(BASE,))
    draft = ADAPTER.draft(job, {HASH: "data:x"})
    assert draft.url == "models/google/nano-banana-2/edit/runs"
    assert draft.payload == {
        "input": {
            "num_images": 1,
            "prompt": "a mug on a table",
            "aspect_ratio": "16:9",
            "image_urls": ["data:x"],
        },
        "metadata": {"attempt": job.client_id},
    }
    assert draft.dropped == ("seed",)


@pytest.mark.parametrize(
    "parameters", [{"model": "mugs"}, {"model": "acme/mugs/"}, {"model": MODEL, "version": "3"}]
)
def test_what_runflow_has_no_words_for_is_refused_before_anything_is_sent(parameters: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedRequest):
        ADAPTER.draft(job_for(parameters), {})


def test_a_run_is_queued_then_runs_then_succeeds_and_says_what_it_cost(
    vendor: PretendedRunflow, wire: Wire
) -> None:
    vendor.always = Behaviour(queue_seconds=60, run_seconds=60)
    accepted = send(wire)
    ticket = accepted.ticket or Ticket(job_id="")
    assert (accepted.state, accepted.usage.reported_usd) == ("queued", None)
    assert ADAPTER.look(wire, JOB, ticket).state == "queued"
    vendor.jobs[0].accepted_at -= 90
    assert ADAPTER.look(wire, JOB, ticket).state == "running"
    vendor.jobs[0].accepted_at -= 90
    over = ADAPTER.look(wire, JOB, ticket)
    assert (over.state, over.model_version) == ("succeeded", "3")
    assert (over.usage.reported_usd, over.usage.seconds, over.usage.images) == (0.01, 60.0, 1)
    assert over.details == {"runflow_request_id": f"req_{ticket.job_id}"}
    assert [wire.fetch(output.url or "") for output in over.outputs] == [picture(128, 64, 7)]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("queued", "queued"),
        ("dispatching", "queued"),
        ("running", "running"),
        ("thawing", "running"),
        ("canceled", "canceled"),
        ("cancelled", "canceled"),
        ("failed", "failed"),
    ],
)
def test_both_spellings_and_words_that_nobody_knows_are_understood(word: str, state: str) -> None:
    standing = told({"status_code": word, "cost": "0"})
    assert (standing.state, standing.raw_status) == (state, word)
    assert (standing.failure is not None) == (state in ("canceled", "failed"))


def test_a_partial_success_is_the_pictures_that_are_there() -> None:
    some = {"outputs": [{"url": "https://cdn.runflow.io/1.png"}, {"error": "no second one"}]}
    standing = told({"status_code": "partial_succeeded", "output": some, "cost": "0.02"})
    assert (standing.state, standing.failure) == ("partial", None)
    assert [output.url for output in standing.outputs] == ["https://cdn.runflow.io/1.png"]


@pytest.mark.parametrize("word", ["succeeded", "partial_succeeded"])
@pytest.mark.parametrize("output", [None, {}, {"outputs": []}, {"text": "a mug"}])
def test_success_without_a_picture_is_none(word: str, output: Any) -> None:
    standing = told({"status_code": word, "output": output, "cost": "0.02"})
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", "output_invalid")
    assert standing.usage.reported_usd == 0.02


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"image_urls": ["https://x/1.png"]}, ["https://x/1.png"]),
        (["https://x/1.png", "https://x/1.png"], ["https://x/1.png"]),
        (
            {"outputs": [{"url": "https://x/1.png"}], "image_urls": ["https://x/other.png"]},
            ["https://x/1.png"],
        ),
        ({"image": {"url": "data:image/png;base64,AA"}}, ["data:image/png;base64,AA"]),
    ],
)
def test_a_picture_counts_once_in_whichever_form_it_is_listed(output: Any, urls: list[str]) -> None:
    standing = told({"status_code": "succeeded", "output": output})
    assert [each.url for each in standing.outputs] == urls


@pytest.mark.parametrize(
    ("cost", "usd"),
    [("0.0123", 0.0123), (0.5, 0.5), ("0", None), (None, None), ("free", None), ("NaN", None)],
)
def test_the_cost_of_a_picture_is_a_decimal_number_above_nothing(cost: Any, usd: float | None) -> None:
    output = {"image_urls": ["https://x/1.png"]}
    assert told({"status_code": "succeeded", "output": output, "cost": cost}).usage.reported_usd == usd


@pytest.mark.parametrize(
    ("run", "code", "state"),
    [
        ({"failure_code": "CONTENT_POLICY"}, "content_filtered", "failed"),
        ({"failure_code": "PROVIDER_ERROR", "failure_message": "NSFW content"}, "content_filtered", "failed"),
        ({"failure_code": "RUN_TIMEOUT"}, "timeout_run", "expired"),
        ({"failure_code": "INVALID_INPUT", "failure_message": "width"}, "invalid_request", "failed"),
        ({"failure_code": "PROVIDER_ERROR", "failure_message": "invalid tensor"}, "model_error", "failed"),
        ({}, "model_error", "failed"),
    ],
)
def test_a_failed_run_says_what_to_do(run: dict[str, Any], code: str, state: str) -> None:
    standing = told({"status_code": "failed", **run})
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == (state, code)


@pytest.mark.parametrize(("cost", "is_billed"), [("0.00", False), ("0.01", True), (None, None)])
def test_a_failure_is_paid_for_if_it_says_so(cost: str | None, is_billed: bool | None) -> None:
    standing = told({"status_code": "failed", "failure_message": "broke on a mug on a table", "cost": cost})
    assert standing.failure is not None
    assert standing.failure.is_billed is is_billed
    assert standing.failure.message == "broke on [prompt]"
    assert standing.usage.reported_usd == (None if cost is None else float(cost))


def test_nothing_is_cancelled_and_nobody_is_asked_to(vendor: PretendedRunflow, wire: Wire) -> None:
    vendor.always = Behaviour(run_seconds=60)
    ticket = submitted(wire)
    assert not ADAPTER.cancel(wire, JOB, ticket)
    assert vendor.requests == [f"POST /v1/models/{MODEL}/runs"]


def test_a_run_that_runflow_does_not_know_is_lost(wire: Wire) -> None:
    assert ADAPTER.look(wire, JOB, Ticket(job_id="nobody")).state == "lost"


def test_an_address_that_is_no_longer_good_brings_nothing(vendor: PretendedRunflow, wire: Wire) -> None:
    over = ADAPTER.look(wire, JOB, submitted(wire))
    vendor.jobs[0].is_forgotten = True
    with pytest.raises(OutputUnreachable):
        wire.fetch(over.outputs[0].url or "")


def test_a_submission_without_an_answer_is_found_by_our_name_for_it(
    vendor: PretendedRunflow, wire: Wire
) -> None:
    lost, since = job_for(PARAMETERS, seed=42), datetime.now(UTC)
    submitted(wire, job_for(PARAMETERS, seed=1))
    vendor.faults = ["drop after"]
    with pytest.raises(SubmissionUnknown):
        send(wire, lost)
    for seed in range(2, 8):
        submitted(wire, job_for(PARAMETERS, seed=seed))
    found = ADAPTER.find(wire, lost, since)
    assert found is not None
    assert found.ticket is not None
    assert (found.state, found.ticket.job_id) == ("succeeded", vendor.jobs[1].job_id)


def test_what_runflow_never_accepted_is_lost_and_only_recent_runs_are_asked_for(
    vendor: PretendedRunflow, wire: Wire
) -> None:
    for seed in range(9):
        submitted(wire, job_for(PARAMETERS, seed=seed))
    for job in vendor.jobs[:7]:
        job.accepted_at -= 3600
    asked = len(vendor.requests)
    absent = ADAPTER.find(wire, job_for(PARAMETERS, seed=42), datetime.now(UTC))
    assert absent is not None
    assert (absent.state, absent.ticket) == ("lost", None)
    assert len(vendor.requests) == asked + 1


def test_a_listing_that_is_refused_tells_nothing() -> None:
    with serving(Scripted(Reply(400, {"code": "BAD_REQUEST"}))) as at, case().wire(at) as wire:
        assert ADAPTER.find(wire, JOB, datetime.now(UTC)) is None


@pytest.mark.parametrize("body", [b"<html>", ["a list"], None, {}, {"id": "../x"}])
def test_an_odd_answer_to_a_submission_may_hide_an_accepted_one(body: Any) -> None:
    assert isinstance(refused(Reply(201, body)), SubmissionUnknown)


@pytest.mark.parametrize("reply", [Reply(200, b"<html>"), Reply(400, {}), Reply(502, {})])
def test_an_odd_answer_to_a_question_is_asked_again(reply: Reply) -> None:
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderUnavailable):
        ADAPTER.look(wire, JOB, Ticket(job_id="r1"))


@pytest.mark.parametrize(
    ("status", "code", "error", "ours"),
    [
        (401, "UNAUTHORIZED", AccountClosed, "auth"),
        (402, "INSUFFICIENT_CREDIT", AccountClosed, "insufficient_funds"),
        (403, "PERMISSION_DENIED", AccountClosed, "auth"),
        (403, "EMAIL_NOT_VERIFIED", AccountClosed, "auth"),
        (404, "MODEL_NOT_FOUND", AccountClosed, "not_found"),
        (409, "CONFLICT", ProviderBusy, "provider_unavailable"),
        (422, "VALIDATION_ERROR", ProviderRefused, "invalid_request"),
        (422, "CONTENT_POLICY", ProviderRefused, "content_filtered"),
        (429, "RATE_LIMITED", ProviderBusy, "rate_limited"),
        (500, "INTERNAL", SubmissionUnknown, "submit_unknown"),
        (503, "MODEL_UNAVAILABLE", ProviderBusy, "provider_unavailable"),
    ],
)
def test_an_error_says_what_to_do(status: int, code: str, error: type[ProviderError], ours: str) -> None:
    raised = refused(Reply(status, {"code": code, "message": "no", "errors": None}))
    assert type(raised) is error
    assert raised.code == ours


def test_the_callback_is_signed_as_ours_verifies_and_names_the_run(
    vendor: PretendedRunflow, wire: Wire
) -> None:
    with listening() as listener:
        job = JOB.model_copy(update={"webhook_url": f"{listener.url}/webhooks/runflow/token"})
        ticket = submitted(wire, job)
        [delivery] = listener.wait_for(1)
    secret = runflow_webhooks.key_of(vendor.callback_secret)
    assert secret is not None
    message = runflow_webhooks.verify(delivery.body, delivery.headers, datetime.now(UTC), secrets=[secret])
    assert isinstance(message, Message)
    assert (message.provider_job_id, message.event) == (ticket.job_id, "run.completed")
    assert ADAPTER.heard(job, delivery.json(), {}) is None


def test_photographs_travel_inside_the_payload_and_no_other_way(wire: Wire) -> None:
    with pytest.raises(UnsupportedRequest):
        ADAPTER.upload(wire, BASE, b"x")
