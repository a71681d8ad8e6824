"""Cog in our words: drawn once, never drawn again to learn of it; a broken server told from a busy one."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import (
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.providers.cog import Cog
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.cog import PretendedCog, case
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.scripted import Scripted
from asset_pipeline_tests.vendors.server import Behaviour, Reply, picture, serving

ADAPTER = Cog()
JOB = job_for({})
TICKET = Ticket(job_id=JOB.client_id)
HASH = sha256_of(b"a photograph")
BASE = ImageReference(role="base", sha256=HASH, media_type="image/png", width=8, height=8)


@pytest.fixture
def vendor() -> Iterator[PretendedCog]:
    with serving(PretendedCog()) as vendor:
        assert isinstance(vendor, PretendedCog)
        yield vendor


@pytest.fixture
def wire(vendor: PretendedCog) -> Iterator[Wire]:
    with case().wire(vendor) as wire:
        yield wire


def send(wire: Wire, job: Job = JOB) -> Standing:
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, {HASH: "data:image/png;base64,AAAA"}), {})


def calling_back(url: str, job: Job = JOB) -> Job:
    return job.model_copy(update={"webhook_url": f"{url}/webhooks/cog/token"})


def refused(reply: Reply) -> ProviderError:
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderError) as caught:
        send(wire)
    return caught.value


def test_a_job_is_the_inputs_under_the_name_that_we_gave_it() -> None:
    parameters = {
        "guidance_scale": 3.5,
        "steps": 20,
        "fields": {"guidance_scale": "guidance"},
        "references": {"base": "image"},
    }
    job = job_for(parameters, negative_prompt="text", references=(BASE,))
    draft = ADAPTER.draft(job, {HASH: "data:image/png;base64,AAAA"})
    assert draft.url == f"predictions/{job.client_id}"
    assert draft.payload == {
        "input": {
            "prompt": "a mug on a table",
            "width": 128,
            "height": 64,
            "seed": 7,
            "guidance": 3.5,
            "image": "data:image/png;base64,AAAA",
        }
    }
    assert draft.dropped == ("negative_prompt", "steps")


def test_without_a_webhook_the_answer_is_the_picture(vendor: PretendedCog, wire: Wire) -> None:
    over = send(wire)
    assert (over.state, over.raw_status, over.ticket) == ("succeeded", "succeeded", None)
    assert [output.data for output in over.outputs] == [picture(128, 64, 7)]
    assert (over.usage.seconds, over.usage.images) == (0.1, 1)
    assert len(vendor.jobs) == 1


def test_the_answer_may_take_as_long_as_the_work(vendor: PretendedCog) -> None:
    vendor.always = Behaviour(run_seconds=0.6)
    with case().wire(vendor, timeouts={"submit": 0.2}) as wire:
        assert send(wire).state == "succeeded"


def test_a_server_that_keeps_its_files_elsewhere_answers_with_their_addresses() -> None:
    body = {"status": "succeeded", "output": ["https://files.example/output.png"]}
    with serving(Scripted(Reply(body=body))) as at, case().wire(at) as wire:
        assert [output.url for output in send(wire).outputs] == ["https://files.example/output.png"]


def test_with_a_webhook_the_webhook_alone_is_told(vendor: PretendedCog, wire: Wire) -> None:
    with listening() as listener:
        job = calling_back(listener.url)
        accepted = send(wire, job)
        [delivery] = listener.wait_for(1)
    assert (accepted.state, accepted.raw_status, accepted.ticket) == ("queued", "starting", TICKET)
    assert vendor.jobs[0].payload["webhook_events_filter"] == ["completed"]
    over = ADAPTER.heard(job, delivery.json(), {})
    assert over is not None
    assert [output.data for output in over.outputs] == [picture(128, 64, 7)]
    assert ADAPTER.heard(job_for({}, seed=8), delivery.json(), {}) is None


def test_looking_draws_nothing_and_tells_work_from_none(vendor: PretendedCog, wire: Wire) -> None:
    vendor.always = Behaviour(run_seconds=60)
    send(wire, calling_back("http://127.0.0.1:9"))
    asked = ADAPTER.look(wire, JOB, TICKET)
    assert (asked.state, asked.raw_status, asked.ticket) == ("running", "processing", TICKET)
    vendor.jobs[0].accepted_at -= 90
    over = ADAPTER.look(wire, JOB, TICKET)
    assert (over.state, over.outputs) == ("lost", ())
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize("knows_its_inputs", [True, False])
@pytest.mark.parametrize("is_full", [True, False])
def test_looking_draws_nothing_whatever_the_server_knows_and_does(
    vendor: PretendedCog, wire: Wire, knows_its_inputs: bool, is_full: bool
) -> None:
    vendor.knows_its_inputs = knows_its_inputs
    if is_full:
        vendor.behaviours = [Behaviour(run_seconds=60)]
        send(wire, calling_back("http://127.0.0.1:9", job_for({}, seed=8)))
    before = len(vendor.jobs)
    assert ADAPTER.look(wire, JOB, TICKET).state == "lost"
    assert ADAPTER.find(wire, JOB, datetime.now(UTC)) is None
    assert len(vendor.jobs) == before


def test_an_old_server_that_looks_at_inputs_first_tells_nothing(vendor: PretendedCog, wire: Wire) -> None:
    vendor.version = {}
    assert ADAPTER.look(wire, JOB, TICKET).state == "running"


def test_a_submission_without_an_answer_is_found_while_it_is_worked_on(
    vendor: PretendedCog, wire: Wire
) -> None:
    vendor.faults = ["drop after"]
    vendor.always = Behaviour(run_seconds=60)
    since = datetime.now(UTC)
    with pytest.raises(SubmissionUnknown):
        send(wire, calling_back("http://127.0.0.1:9"))
    found = ADAPTER.find(wire, JOB, since)
    assert found is not None
    assert (found.state, found.ticket) == ("running", TICKET)
    vendor.jobs[0].accepted_at -= 90
    assert ADAPTER.find(wire, JOB, since) is None
    assert len(vendor.jobs) == 1


def test_a_cancelled_job_is_cancelled_and_one_that_is_over_cannot_be(
    vendor: PretendedCog, wire: Wire
) -> None:
    vendor.behaviours = [Behaviour(run_seconds=60), Behaviour()]
    answers: list[Standing] = []
    waiting = Thread(target=lambda: answers.append(send(wire)))
    waiting.start()
    while not ADAPTER.cancel(wire, JOB, TICKET):
        time.sleep(0.01)
    waiting.join()
    assert answers[0].state == "canceled"
    assert answers[0].failure is not None
    assert answers[0].failure.code == "canceled"
    other = job_for({}, seed=8)
    assert send(wire, other).state == "succeeded"
    assert not ADAPTER.cancel(wire, other, Ticket(job_id=other.client_id))


def test_a_full_server_turns_away_and_accepts_nothing(vendor: PretendedCog, wire: Wire) -> None:
    vendor.always = Behaviour(run_seconds=60)
    send(wire, calling_back("http://127.0.0.1:9"))
    with pytest.raises(ProviderBusy):
        send(wire, job_for({}, seed=8))
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize("health", ["UNHEALTHY", "SETUP_FAILED"])
def test_a_broken_server_is_not_taken_for_a_busy_one(vendor: PretendedCog, wire: Wire, health: str) -> None:
    vendor.health = health
    with pytest.raises(ProviderUnavailable, match="restart the server") as caught:
        send(wire)
    assert not isinstance(caught.value, ProviderBusy)


def test_a_server_that_is_still_setting_up_is_busy(vendor: PretendedCog, wire: Wire) -> None:
    vendor.health = "STARTING"
    with pytest.raises(ProviderBusy):
        send(wire)


def test_a_worker_that_crashes_fails_its_prediction(vendor: PretendedCog, wire: Wire) -> None:
    vendor.always = Behaviour(run_seconds=60)
    with listening() as listener:
        job = calling_back(listener.url)
        send(wire, job)
        vendor.crash()
        [delivery] = listener.wait_for(1)
    over = ADAPTER.heard(job, delivery.json(), {})
    assert over is not None
    assert over.failure is not None
    assert (over.state, over.failure.code, over.failure.message) == (
        "failed",
        "model_error",
        "Worker crashed",
    )


def test_a_server_that_started_again_works_on_nothing(vendor: PretendedCog, wire: Wire) -> None:
    vendor.always = Behaviour(run_seconds=60)
    send(wire, calling_back("http://127.0.0.1:9"))
    vendor.restart()
    assert ADAPTER.look(wire, JOB, TICKET).state == "lost"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("Prediction failed: CUDA out of memory", "model_error"),
        ("Prediction failed: NSFW content detected", "content_filtered"),
        ("The output was flagged as sensitive", "content_filtered"),
        ("Input validation error: image: 404", "invalid_request"),
        (None, "model_error"),
    ],
)
def test_a_prediction_may_fail_with_an_answer_of_success(error: str | None, code: str) -> None:
    with serving(Scripted(Reply(body={"status": "failed", "error": error}))) as at, case().wire(at) as wire:
        over = send(wire)
    assert over.failure is not None
    assert (over.state, over.failure.code) == ("failed", code)


@pytest.mark.parametrize("output", [None, [], "a description", "data:image/png;base64,%%%"])
def test_success_without_a_picture_is_none(output: Any) -> None:
    body = {"status": "succeeded", "output": output}
    with serving(Scripted(Reply(body=body))) as at, case().wire(at) as wire:
        over = send(wire)
    assert over.failure is not None
    assert (over.state, over.failure.code) == ("failed", "output_invalid")


def test_a_status_that_nobody_knows_is_still_running() -> None:
    with serving(Scripted(Reply(202, {"status": "thinking"}))) as at, case().wire(at) as wire:
        asked = ADAPTER.look(wire, JOB, TICKET)
    assert (asked.state, asked.raw_status) == ("running", "thinking")


@pytest.mark.parametrize("body", [b"<html>", ["a list"], None, {}, {"status": 7}])
def test_an_odd_answer_to_a_submission_may_hide_an_accepted_one(body: Any) -> None:
    assert isinstance(refused(Reply(200, body)), SubmissionUnknown)


@pytest.mark.parametrize("reply", [Reply(202, b"<html>"), Reply(404, {}), Reply(500, {})])
def test_an_odd_answer_to_a_question_is_asked_again(reply: Reply) -> None:
    with serving(Scripted(reply)) as at, case().wire(at) as wire, pytest.raises(ProviderUnavailable):
        ADAPTER.look(wire, JOB, TICKET)


def test_an_input_that_the_model_does_not_allow_is_refused_with_its_name(
    vendor: PretendedCog, wire: Wire
) -> None:
    job = job_for({"native": {"guidance": "much"}})
    with pytest.raises(ProviderRefused, match=r"body\.input\.guidance"):
        send(wire, job)
    assert vendor.jobs == []


def test_a_photograph_travels_inside_the_payload_and_no_other_way(vendor: PretendedCog, wire: Wire) -> None:
    send(wire, job_for({"references": {"base": "image"}}, references=(BASE,)))
    assert vendor.jobs[0].payload["input"]["image"] == "data:image/png;base64,AAAA"
    with pytest.raises(UnsupportedRequest):
        ADAPTER.upload(wire, BASE, b"x")


def test_only_a_proxy_before_it_needs_a_key() -> None:
    assert ADAPTER.headers(None) == {}
    assert ADAPTER.headers("k") == {"Authorization": "Bearer k"}
