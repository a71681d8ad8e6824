"""Replicate in our words: what is sent, what each answer means, and how a lost answer is found again."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
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
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.providers.replicate import MOST_PAGES, Replicate
from asset_pipeline.web import standard_webhooks
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.replicate import PAGE, VERSION, PretendedReplicate, case
from asset_pipeline_tests.vendors.scripted import Scripted
from asset_pipeline_tests.vendors.server import Behaviour, Reply, picture, serving

ADAPTER = Replicate()
PARAMETERS = {"model": "acme/mugs"}
HASH = sha256_of(b"a photograph")
BASE = ImageReference(role="base", sha256=HASH, media_type="image/png", width=8, height=8)


@pytest.fixture
def vendor() -> Iterator[PretendedReplicate]:
    with serving(PretendedReplicate()) as vendor:
        assert isinstance(vendor, PretendedReplicate)
        yield vendor


@pytest.fixture
def wire(vendor: PretendedReplicate) -> Iterator[Wire]:
    with case().wire(vendor) as wire:
        yield wire


def send(wire: Wire, job: Job) -> Standing:
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, {}), {})


def ticket_of(standing: Standing) -> Ticket:
    assert standing.ticket is not None
    return standing.ticket


def submitted(wire: Wire, job: Job) -> Ticket:
    return ticket_of(send(wire, job))


def told(prediction: dict[str, Any], job: Job | None = None) -> Standing:
    """What the adapter makes of a prediction that it is told of."""
    with (
        serving(
            Scripted(Reply(body={"id": "p1", "model": "acme/mugs", "version": "hidden", **prediction}))
        ) as at,
        case().wire(at) as wire,
    ):
        return ADAPTER.look(wire, job or job_for(PARAMETERS), Ticket(job_id="p1"))


def refused(reply: Reply) -> ProviderError:
    """What the adapter raises when a submission is answered like that."""
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderError) as caught:
        send(wire, job_for(PARAMETERS))
    assert at.key not in str(caught.value)
    return caught.value


def test_an_official_model_has_an_address_and_no_version() -> None:
    draft = ADAPTER.draft(job_for({"model": "acme/mugs", "native": {"output_format": "png"}}), {})
    assert draft.url == "models/acme/mugs/predictions"
    assert draft.payload == {
        "input": {
            "output_format": "png",
            "prompt": "a mug on a table",
            "width": 128,
            "height": 64,
            "seed": 7,
        }
    }
    assert draft.dropped == ()


@pytest.mark.parametrize(
    "parameters", [{"model": f"acme/mugs:{VERSION}"}, {"model": "acme/mugs", "version": VERSION}]
)
def test_a_pinned_version_is_sent_as_the_version(parameters: dict[str, Any]) -> None:
    draft = ADAPTER.draft(job_for(parameters), {})
    assert (draft.url, draft.payload["version"]) == ("predictions", VERSION)


def test_a_deployment_has_an_address_of_its_own() -> None:
    draft = ADAPTER.draft(job_for({"model": "deployments/acme/fast-mugs"}), {})
    assert draft.url == "deployments/acme/fast-mugs/predictions"
    assert "version" not in draft.payload


@pytest.mark.parametrize(
    "parameters",
    [
        {"model": "mugs"},
        {"model": ""},
        {"model": "acme/mugs:latest"},
        {"model": "acme/mugs", "version": "2"},
        {"model": f"acme/mugs:{VERSION}", "version": "0" * 64},
        {"model": "deployments/acme/mugs", "version": VERSION},
    ],
)
def test_what_names_no_model_is_refused_before_anything_is_sent(parameters: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedRequest):
        ADAPTER.draft(job_for(parameters), {})


def test_a_model_hears_only_what_its_profile_has_words_for() -> None:
    parameters = {
        "model": "acme/mugs",
        "guidance_scale": 3.5,
        "steps": 28,
        "fields": {"guidance_scale": "guidance"},
        "sizes": {"ratios": ["1:1", "16:9"]},
        "references": {"base": "image_prompts[]"},
    }
    draft = ADAPTER.draft(job_for(parameters, negative_prompt="text", references=(BASE,)), {HASH: "data:x"})
    assert draft.payload["input"] == {
        "prompt": "a mug on a table",
        "aspect_ratio": "16:9",
        "seed": 7,
        "guidance": 3.5,
        "image_prompts": ["data:x"],
    }
    assert draft.dropped == ("negative_prompt", "steps")


def test_a_small_photograph_travels_inside_the_payload_and_a_large_one_as_a_file(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    assert ADAPTER.upload(wire, BASE, b"small") == "data:image/png;base64,c21hbGw="
    assert vendor.requests == []
    large = picture(8, 8, 1) * 4000
    place = ADAPTER.upload(wire, BASE, large)
    assert place.startswith(f"{vendor.base_url}/files/")
    assert list(vendor.files.values()) == [large]


def test_a_job_is_queued_then_runs_then_succeeds_with_everything_that_is_known(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    job = job_for(PARAMETERS)
    vendor.always = Behaviour(queue_seconds=60, run_seconds=60)
    accepted = send(wire, job)
    ticket = ticket_of(accepted)
    assert (accepted.state, accepted.raw_status) == ("queued", "starting")
    assert ADAPTER.look(wire, job, ticket).state == "queued"
    vendor.jobs[0].accepted_at -= 90
    assert ADAPTER.look(wire, job, ticket).state == "running"
    vendor.jobs[0].accepted_at -= 90
    over = ADAPTER.look(wire, job, ticket)
    assert (over.state, over.model_version) == ("succeeded", "acme/mugs")
    assert (over.usage.seconds, over.usage.images) == (60.0, 1)
    assert [output.seed for output in over.outputs] == [7]
    assert over.expires_at is not None
    assert over.expires_at < datetime.now(UTC) + timedelta(hours=1)
    assert wire.fetch(over.outputs[0].url or "") == picture(128, 64, 7)


@pytest.mark.parametrize("form", ["list", "text", "object"])
def test_an_output_may_be_an_address_a_list_or_an_object(
    vendor: PretendedReplicate, wire: Wire, form: str
) -> None:
    vendor.output_form = form
    job = job_for({"model": "acme/mugs", "version": VERSION})
    over = ADAPTER.look(wire, job, submitted(wire, job))
    assert wire.fetch(over.outputs[0].url or "") == picture(128, 64, 7)
    assert over.model_version == f"acme/mugs:{VERSION}"


def test_the_key_goes_to_replicate_and_not_to_where_the_pictures_are() -> None:
    job = job_for(PARAMETERS)
    with serving(Scripted(Reply(body=b"picture"))) as elsewhere, serving(PretendedReplicate()) as vendor:
        assert isinstance(elsewhere, Scripted)
        with case().wire(vendor, output_hosts=[elsewhere.url.removeprefix("http://")]) as wire:
            submitted(wire, job)
            assert wire.fetch(f"{elsewhere.url}/out-0.png") == b"picture"
    assert "authorization" not in elsewhere.told[0].headers


def test_replicate_itself_ends_what_nobody_comes_back_to(vendor: PretendedReplicate, wire: Wire) -> None:
    job = job_for(PARAMETERS).model_copy(update={"start_seconds": 30.0, "run_seconds": 12.5})
    vendor.always = Behaviour(queue_seconds=20, run_seconds=60)
    before = time.time()
    ticket = submitted(wire, job)
    assert 43 <= vendor.jobs[0].details["deadline"] - before < 45
    vendor.jobs[0].accepted_at -= 100
    vendor.jobs[0].details["deadline"] -= 100
    vendor.jobs[0].behaviour = Behaviour(queue_seconds=20, run_seconds=600)
    over = ADAPTER.look(wire, job, ticket)
    assert (over.state, over.raw_status) == ("expired", "canceled")
    assert over.failure is not None
    assert (over.failure.code, over.failure.is_billed) == ("timeout_run", True)


def test_what_never_began_before_its_deadline_is_expired_and_not_paid_for(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    job = job_for(PARAMETERS)
    vendor.always = Behaviour(queue_seconds=5000)
    ticket = submitted(wire, job)
    vendor.jobs[0].accepted_at -= 2000
    vendor.jobs[0].details["deadline"] -= 2000
    over = ADAPTER.look(wire, job, ticket)
    assert (over.state, over.raw_status) == ("expired", "aborted")
    assert over.failure is not None
    assert (over.failure.code, over.failure.is_billed) == ("timeout_start", False)


def test_no_deadline_is_shorter_than_replicate_takes(vendor: PretendedReplicate, wire: Wire) -> None:
    submitted(wire, job_for(PARAMETERS).model_copy(update={"start_seconds": 0.5, "run_seconds": 0.5}))
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("NSFW content detected. Try running it again.", "content_filtered"),
        ("The input or output was flagged as sensitive. Please try again. (E005) (abc)", "content_filtered"),
        ("Content policy violation", "content_filtered"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB (E1001)", "model_error"),
        ("Prediction failed: unknown error (E1000)", "model_error"),
        ("Director: timed out starting the prediction (E6716)", "timeout_start"),
        ("Input validation error: width: must be at most 1440", "invalid_request"),
        ("", "model_error"),
    ],
)
def test_the_text_of_a_failed_prediction_says_what_to_do(error: str, code: str) -> None:
    standing = told({"status": "failed", "error": error, "started_at": "2026-01-01T00:00:00Z"})
    assert standing.state == "failed"
    assert standing.failure is not None
    assert standing.failure.code == code


def test_a_failure_is_told_without_the_prompt_a_traceback_or_a_signed_address() -> None:
    error = (
        "failed on 'a mug  on a table' from https://x.example/a.png?sig=s3cret data:image/png;base64,AAAA\n"
        "Traceback (most recent call last):\n  File 'predict.py'"
    )
    standing = told({"status": "failed", "error": error})
    assert standing.failure is not None
    assert standing.failure.message == "failed on '[prompt]' from https://x.example/a.png [picture]"


@pytest.mark.parametrize("output", [None, [], "a description of a mug", {"images": []}])
def test_success_without_a_picture_is_none(output: Any) -> None:
    standing = told({"status": "succeeded", "output": output})
    assert (standing.state, standing.outputs) == ("failed", ())
    assert standing.failure is not None
    assert (standing.failure.code, standing.failure.is_billed) == ("output_invalid", True)


def test_a_picture_that_replicate_no_longer_keeps_has_expired(vendor: PretendedReplicate, wire: Wire) -> None:
    job = job_for(PARAMETERS)
    ticket = submitted(wire, job)
    vendor.jobs[0].details["kept"] = -1.0
    over = ADAPTER.look(wire, job, ticket)
    assert over.failure is not None
    assert (over.failure.code, over.failure.is_billed) == ("output_expired", True)


def test_a_status_that_nobody_knows_is_still_running() -> None:
    standing = told({"status": "warming"})
    assert (standing.state, standing.raw_status, standing.failure) == ("running", "warming", None)


def test_a_prediction_that_replicate_does_not_know_is_lost(wire: Wire) -> None:
    assert ADAPTER.look(wire, job_for(PARAMETERS), Ticket(job_id="nobody")).state == "lost"


@pytest.mark.parametrize("body", [b"<html>", ["a list"], "text", None])
def test_an_odd_answer_to_a_question_is_asked_again(body: Any) -> None:
    with serving(Scripted(Reply(body=body))) as at, case().wire(at) as wire:
        with pytest.raises(ProviderUnavailable):
            ADAPTER.look(wire, job_for(PARAMETERS), Ticket(job_id="p1"))
        with pytest.raises(ProviderUnavailable):
            ADAPTER.find(wire, job_for(PARAMETERS), datetime.now(UTC))


@pytest.mark.parametrize("body", [b"<html>", ["a list"], None, {}, {"id": 7}, {"id": "../../account"}])
def test_an_odd_answer_to_a_submission_may_hide_an_accepted_one(body: Any) -> None:
    assert isinstance(refused(Reply(201, body)), SubmissionUnknown)


def test_a_cancelled_job_is_cancelled_and_one_that_won_the_race_keeps_its_picture(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    vendor.behaviours = [Behaviour(queue_seconds=60), Behaviour(run_seconds=60), Behaviour()]
    jobs = [job_for(PARAMETERS, seed=seed) for seed in (1, 2, 3)]
    tickets = [submitted(wire, job) for job in jobs]
    assert all(ADAPTER.cancel(wire, *each) for each in zip(jobs, tickets, strict=True))
    waiting, running, over = (ADAPTER.look(wire, *each) for each in zip(jobs, tickets, strict=True))
    assert (waiting.state, running.state, over.state) == ("canceled", "canceled", "succeeded")
    assert waiting.failure is not None
    assert running.failure is not None
    assert (waiting.failure.is_billed, running.failure.is_billed) == (False, True)
    assert not ADAPTER.cancel(wire, jobs[0], Ticket(job_id="nobody"))


def test_a_submission_without_an_answer_is_found_among_others(vendor: PretendedReplicate, wire: Wire) -> None:
    lost = job_for(PARAMETERS, seed=42, references=(BASE,))
    parameters = {**PARAMETERS, "references": {"base": "image"}}
    lost = lost.model_copy(update={"parameters": job_for(parameters).parameters})
    for seed in range(4):
        submitted(wire, job_for(PARAMETERS, seed=seed))
    since = datetime.now(UTC)
    vendor.faults = ["drop after"]
    with pytest.raises(SubmissionUnknown):
        ADAPTER.submit(wire, lost, ADAPTER.draft(lost, {HASH: "data:image/png;base64,AAAA"}), {})
    accepted = vendor.jobs[-1]
    for seed in range(50, 54):
        submitted(wire, job_for(PARAMETERS, seed=seed))
    accepted.payload = {"input": {**accepted.payload["input"], "image": "https://replicate.delivery/x.png"}}
    found = ADAPTER.find(wire, lost, since)
    assert found is not None
    assert (found.state, ticket_of(found).job_id) == ("succeeded", accepted.job_id)


def test_another_request_another_model_and_an_earlier_attempt_are_not_taken_for_it(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    job = job_for(PARAMETERS)
    submitted(wire, job)
    vendor.jobs[0].accepted_at -= 5
    since = datetime.now(UTC)
    submitted(wire, job_for(PARAMETERS, seed=8))
    submitted(wire, job_for(PARAMETERS, width=192))
    submitted(wire, job_for(PARAMETERS, prompt="a cup"))
    submitted(wire, job_for({"model": "acme/cups"}))
    submitted(wire, job_for({"model": "deployments/acme/mugs"}, seed=9))
    found = ADAPTER.find(wire, job, since)
    assert found is not None
    assert (found.state, found.ticket) == ("lost", None)


def test_the_newest_of_two_attempts_at_a_picture_is_the_one_that_is_looked_for(wire: Wire) -> None:
    job, since = job_for(PARAMETERS), datetime.now(UTC)
    first, second = submitted(wire, job), submitted(wire, job)
    found = ADAPTER.find(wire, job, since)
    assert found is not None
    assert ticket_of(found) == second != first


def test_replicates_clock_counts_and_not_ours() -> None:
    def listing(created: datetime) -> Reply:
        entry = {
            "id": "p1",
            "model": "acme/mugs",
            "version": "hidden",
            "status": "starting",
            "input": ADAPTER.draft(job_for(PARAMETERS), {}).payload["input"],
            "created_at": created.isoformat(),
        }
        date = format_datetime(now + timedelta(hours=2), usegmt=True)
        return Reply(body={"results": [entry], "next": None, **entry}, headers={"Date": date})

    now = datetime.now(UTC)
    for hours, state in ((2, "queued"), (0, "lost")):
        with (
            serving(Scripted(listing(now + timedelta(hours=hours, seconds=1)))) as at,
            case().wire(at) as wire,
        ):
            found = ADAPTER.find(wire, job_for(PARAMETERS), now)
        assert found is not None
        assert found.state == state


def test_where_too_much_is_listed_nobody_can_tell(vendor: PretendedReplicate, wire: Wire) -> None:
    job, since = job_for(PARAMETERS), datetime.now(UTC)
    submitted(wire, job_for(PARAMETERS, seed=8))
    vendor.jobs *= MOST_PAGES * PAGE + 1
    assert ADAPTER.find(wire, job, since) is None


def test_what_was_removed_may_have_been_it(vendor: PretendedReplicate, wire: Wire) -> None:
    job, since = job_for(PARAMETERS), datetime.now(UTC)
    submitted(wire, job)
    vendor.jobs[0].details["kept"] = -1.0
    assert ADAPTER.find(wire, job, since) is None


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (Reply(401, {"title": "Unauthenticated", "status": 401}), AccountClosed, "auth"),
        (Reply(402, {"detail": "insufficient credit"}), AccountClosed, "insufficient_funds"),
        (Reply(404, {"detail": "The requested resource could not be found."}), AccountClosed, "not_found"),
        (Reply(422, {"title": "Invalid version or not permitted"}), AccountClosed, "not_found"),
        (
            Reply(422, {"title": "Input validation failed", "detail": "- width"}),
            ProviderRefused,
            "invalid_request",
        ),
        (Reply(429, {"detail": "Request was throttled."}), ProviderBusy, "rate_limited"),
        (Reply(500, {"detail": "Internal server error"}), SubmissionUnknown, "submit_unknown"),
        (Reply(502, b"<html>"), SubmissionUnknown, "submit_unknown"),
    ],
)
def test_an_error_says_what_to_do(reply: Reply, error: type[Exception], code: str) -> None:
    raised = refused(reply)
    assert type(raised) is error
    assert raised.code == code


def test_a_throttled_submission_waits_as_long_as_replicate_says_in_words() -> None:
    raised = refused(Reply(429, {"detail": "Request was throttled. Your rate limit resets in ~30s."}))
    assert isinstance(raised, ProviderBusy)
    assert raised.retry_after == 30.0


def test_the_webhook_is_asked_for_once_and_is_signed_as_ours_verifies(
    vendor: PretendedReplicate, wire: Wire
) -> None:
    with listening() as receiver:
        address = f"{receiver.url}/webhooks/replicate/token"
        job = job_for(PARAMETERS).model_copy(update={"webhook_url": address})
        assert "webhook" not in ADAPTER.draft(job, {}).payload
        ticket = submitted(wire, job)
        [delivery] = receiver.wait_for(1)
    assert vendor.jobs[0].payload["webhook_events_filter"] == ["completed"]
    secret = standard_webhooks.key_of(vendor.webhook_secret)
    assert secret is not None
    message = standard_webhooks.verify(delivery.body, delivery.headers, datetime.now(UTC), secrets=[secret])
    assert isinstance(message, Message)
    assert (message.provider_job_id, message.status) == (ticket.job_id, "succeeded")
