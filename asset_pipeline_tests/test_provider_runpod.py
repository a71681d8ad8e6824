"""RunPod: a job in its words, what each of its answers means, and what must not be repeated of them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderRefused, SubmissionUnknown
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.runpod import RunpodVendor, case, raised
from asset_pipeline_tests.vendors.server import Behaviour, serving

CASE = case()
ADAPTER = CASE.adapter
PHOTOGRAPH = ImageReference(role="base", sha256="5" * 64, media_type="image/png", width=8, height=8)


@pytest.fixture
def vendor() -> Iterator[RunpodVendor]:
    with serving(RunpodVendor()) as running:
        assert isinstance(running, RunpodVendor)
        yield running


def job(**changes: Any) -> Job:
    return job_for(CASE.parameters).model_copy(update=changes)


def submitted(wire: Wire, given: Job | None = None) -> Standing:
    given = given or job()
    return ADAPTER.submit(wire, given, ADAPTER.draft(given, {}), {})


def made(vendor: RunpodVendor, given: Job | None = None, **settings: Any) -> Standing:
    """A job from its submission to what it stands at when it is over."""
    given = given or job()
    with CASE.wire(vendor, settings=settings) as wire:
        standing = submitted(wire, given)
        while not standing.is_over:
            assert standing.ticket is not None
            standing = ADAPTER.look(wire, given, standing.ticket)
        return standing


def test_a_job_is_the_handlers_input_and_when_to_give_up() -> None:
    parameters = {
        **CASE.parameters,
        "steps": 20,
        "guidance_scale": 7.5,
        "scheduler": "K_EULER",
        "strength": 0.6,
        "native": {"refiner_inference_steps": 10},
    }
    given = job_for(parameters, negative_prompt="hands", references=(PHOTOGRAPH,))
    given = given.model_copy(update={"start_seconds": 60.0, "run_seconds": 30.5, "priority": "low"})
    draft = ADAPTER.draft(given, {PHOTOGRAPH.sha256: "data:image/png;base64,AA=="})
    assert draft.payload == {
        "input": {
            "refiner_inference_steps": 10,
            "prompt": "a mug on a table",
            "negative_prompt": "hands",
            "width": 128,
            "height": 64,
            "seed": 7,
            "num_inference_steps": 20,
            "guidance_scale": 7.5,
            "scheduler": "K_EULER",
            "strength": 0.6,
            "image_url": "data:image/png;base64,AA==",
        },
        "policy": {"executionTimeout": 30_500, "ttl": 90_500, "lowPriority": True},
    }
    assert draft.dropped == ()


def test_times_that_runpod_does_not_take_become_the_nearest_that_it_does() -> None:
    short = ADAPTER.draft(job(start_seconds=1.0, run_seconds=1.0), {}).payload["policy"]
    assert short == {"executionTimeout": 5_000, "ttl": 10_000}
    long = ADAPTER.draft(job(start_seconds=9e6, run_seconds=9e6), {}).payload["policy"]
    assert long == {"executionTimeout": 604_800_000, "ttl": 604_800_000}


def test_what_the_endpoint_decides_and_what_the_handler_has_no_word_for_is_named() -> None:
    given = job_for({"model": "sdxl", "version": "v3", "steps": 4, "fields": {"prompt": "prompt"}})
    given = given.model_copy(update={"extra": {"framing": "close"}})
    draft = ADAPTER.draft(given, {})
    assert draft.payload["input"] == {"prompt": "a mug on a table"}
    assert set(draft.dropped) == {"width", "height", "seed", "steps", "framing", "model", "version"}


def test_a_workflow_goes_as_its_graph_with_the_photographs_beside_it() -> None:
    own = {"workflow": "image-to-image", "references": {"base": "photograph"}, "model": "sdxl"}
    given = job_for(own, references=(PHOTOGRAPH,))
    draft = ADAPTER.draft(given, {PHOTOGRAPH.sha256: "data:image/png;base64,AA=="})
    sent = draft.payload["input"]
    name = f"{PHOTOGRAPH.sha256}.png"
    assert sent["images"] == [{"name": name, "image": "data:image/png;base64,AA=="}]
    texts = [node["inputs"].get("text") for node in sent["workflow"].values()]
    assert given.request.prompt in texts
    assert name in [node["inputs"].get("image") for node in sent["workflow"].values()]
    assert "model" in draft.dropped
    assert draft.details["workflow"] == "image-to-image"


@pytest.mark.parametrize("shape", ["base64", "data uri", "url"])
def test_pictures_come_in_any_of_the_forms_that_handlers_use(vendor: RunpodVendor, shape: Any) -> None:
    vendor.shape, vendor.always = shape, Behaviour(outputs=2)
    standing = made(vendor)
    assert standing.state == "succeeded"
    with CASE.wire(vendor) as wire:
        got = [each.data if each.url is None else wire.fetch(each.url) for each in standing.outputs]
    assert got == vendor.jobs[0].pictures()


def test_a_public_endpoint_says_what_it_cost(vendor: RunpodVendor) -> None:
    vendor.shape = "public endpoint"
    standing = made(vendor, outputs="image_url", cost="cost")
    assert standing.usage.reported_usd == vendor.price_usd
    assert [output.url for output in standing.outputs] == [
        f"{vendor.url}/files/{vendor.jobs[0].job_id}/0.png"
    ]


def test_the_time_that_a_worker_took_is_what_is_paid_for(vendor: RunpodVendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.1, run_seconds=0.25)
    standing = made(vendor)
    assert standing.usage.seconds == 0.25
    assert standing.details == {"delay_seconds": 0.1, "worker": "worker1"}


def test_a_job_waits_then_runs_and_a_word_nobody_knows_is_running(vendor: RunpodVendor) -> None:
    vendor.always = Behaviour(queue_seconds=0.2, run_seconds=60)
    with CASE.wire(vendor) as wire:
        first = submitted(wire)
        assert (first.state, first.raw_status) == ("queued", "IN_QUEUE")
        assert first.ticket is not None
        vendor.jobs[0].accepted_at -= 1
        for word in ("IN_PROGRESS", "RUNNING", "REHEATING"):
            vendor.status_word = word
            standing = ADAPTER.look(wire, job(), first.ticket)
            assert (standing.state, standing.raw_status) == ("running", word)


def test_a_handler_that_raised_is_told_by_its_kind_and_message_alone(vendor: RunpodVendor) -> None:
    message = f"CUDA out of memory while drawing {job().request.prompt}, see https://x.example/log?token=abc"
    vendor.always = Behaviour(outcome="fails", error=message)
    failure = made(vendor).failure
    assert failure is not None
    assert failure.code == "model_error"
    assert failure.message == (
        "RuntimeError: CUDA out of memory while drawing [prompt], see https://x.example/log"
    )


def test_an_error_that_was_cut_off_shows_no_traceback(vendor: RunpodVendor) -> None:
    vendor.always, vendor.failure = Behaviour(outcome="fails"), raised("broken")[:-3]
    failure = made(vendor).failure
    assert failure is not None
    assert "SECRET" not in failure.message


def test_a_handler_that_refused_gives_its_reason(vendor: RunpodVendor) -> None:
    vendor.always, vendor.failure = Behaviour(outcome="fails"), "NSFW content detected"
    failure = made(vendor).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("content_filtered", "NSFW content detected")


def test_an_input_that_the_handler_does_not_know_is_its_failure(vendor: RunpodVendor) -> None:
    failure = made(vendor, job_for({**CASE.parameters, "native": {"foo": 1}})).failure
    assert failure is not None
    assert "foo is not a valid input option" in failure.message


@pytest.mark.parametrize(
    ("output", "state", "code", "words"),
    [
        ({"status": "success_no_images", "images": []}, "failed", "output_invalid", "success_no_images"),
        ({"images": [], "errors": ["node 9 broke"]}, "failed", "output_invalid", "node 9 broke"),
        ({"images": ["%%%"]}, "failed", "output_invalid", "neither an address nor a data URI nor base64"),
        ({"message": "hello"}, "failed", "output_invalid", "its fields are message"),
        ("hello", "failed", "output_invalid", "it is str"),
        ({"images": [None]}, "failed", "output_invalid", "its fields are images"),
        ({"images": [{"data": 1}]}, "failed", "output_invalid", "neither an address"),
        ({"images": ["AA=="], "errors": ["node 9 broke"]}, "partial", None, None),
    ],
)
def test_completed_does_not_mean_that_there_is_a_picture(
    vendor: RunpodVendor, output: Any, state: str, code: str | None, words: str | None
) -> None:
    vendor.output = output
    standing = made(vendor)
    assert standing.state == state
    if words is None:
        assert standing.failure is None
        assert standing.details["errors"] == ["node 9 broke"]
    else:
        assert standing.failure is not None
        assert standing.failure.code == code
        assert words in standing.failure.message


def test_a_job_that_ran_too_long_was_ended_by_runpod(vendor: RunpodVendor) -> None:
    vendor.always = Behaviour(run_seconds=60)
    with CASE.wire(vendor) as wire:
        given = job(run_seconds=5.0)
        ticket = submitted(wire, given).ticket
        assert ticket is not None
        vendor.jobs[0].accepted_at -= 6
        standing = ADAPTER.look(wire, given, ticket)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code, standing.usage.seconds) == ("expired", "timeout_run", 5.0)


def _lives_too_long(vendor: RunpodVendor) -> None:
    vendor.jobs[0].payload["policy"]["ttl"] = 0


def _is_not_kept(vendor: RunpodVendor) -> None:
    vendor.kept_seconds["run"] = -1


def _is_forgotten(vendor: RunpodVendor) -> None:
    vendor.jobs[0].is_forgotten = True


@pytest.mark.parametrize("happens", [_lives_too_long, _is_not_kept, _is_forgotten])
def test_a_job_that_runpod_does_not_know_is_lost(
    vendor: RunpodVendor, happens: Callable[[RunpodVendor], None]
) -> None:
    with CASE.wire(vendor) as wire:
        ticket = submitted(wire).ticket
        assert ticket is not None
        happens(vendor)
        assert ADAPTER.look(wire, job(), ticket).state == "lost"


def test_a_job_is_cancelled_and_cancelling_a_finished_one_changes_nothing(vendor: RunpodVendor) -> None:
    vendor.behaviours = [Behaviour(run_seconds=60)]
    with CASE.wire(vendor) as wire:
        running, finished = submitted(wire).ticket, submitted(wire).ticket
        assert running is not None
        assert finished is not None
        assert ADAPTER.cancel(wire, job(), running)
        assert ADAPTER.cancel(wire, job(), finished)
        assert ADAPTER.look(wire, job(), running).state == "canceled"
        assert ADAPTER.look(wire, job(), finished).state == "succeeded"
        assert not ADAPTER.cancel(wire, job(), Ticket(job_id="nobody"))


def test_runsync_answers_with_the_picture_or_with_a_job_to_ask_for(vendor: RunpodVendor) -> None:
    vendor.behaviours = [Behaviour(), Behaviour(run_seconds=60)]
    given = job(start_seconds=0.5, run_seconds=0.5)
    with CASE.wire(vendor, settings={"sync": True}) as wire:
        first, second = submitted(wire, given), submitted(wire, given)
    assert (first.state, len(first.outputs)) == ("succeeded", 1)
    assert second.state == "running"
    assert second.ticket is not None
    assert second.ticket.job_id.startswith("sync-")
    assert vendor.requests == [f"POST {vendor.host_path}/runsync"] * 2


def test_a_submission_that_is_too_large_is_refused_before_it_is_sent(vendor: RunpodVendor) -> None:
    given = job_for(CASE.parameters, references=(PHOTOGRAPH,))
    draft = ADAPTER.draft(given, {PHOTOGRAPH.sha256: "data:image/png;base64," + "A" * 10_000_000})
    with CASE.wire(vendor) as wire, pytest.raises(ProviderRefused, match="up to 10 MB"):
        ADAPTER.submit(wire, given, draft, {})
    assert vendor.requests == []
    with CASE.wire(vendor, settings={"sync": True}) as wire:
        ADAPTER.submit(wire, given, draft, {})
    assert len(vendor.jobs) == 1


def test_an_acceptance_that_names_no_job_may_have_been_paid_for() -> None:
    class Forgetful(RunpodVendor):
        def _submit(self, request: Any, operation: str) -> Any:
            reply = super()._submit(request, operation)
            del reply.body["id"]
            return reply

    with serving(Forgetful()) as running, CASE.wire(running) as wire:
        with pytest.raises(SubmissionUnknown, match="without naming"):
            submitted(wire)
        assert len(running.jobs) == 1


def test_nothing_but_a_webhook_finds_a_submission_without_an_answer(vendor: RunpodVendor) -> None:
    with CASE.wire(vendor) as wire:
        assert ADAPTER.find(wire, job(), datetime.now(UTC)) is None
    assert vendor.requests == []


def test_runpod_calls_back_where_it_was_told_to_and_is_asked_what_it_meant(vendor: RunpodVendor) -> None:
    with listening() as listener, CASE.wire(vendor) as wire:
        given = job(webhook_url=f"{listener.url}/webhooks/runpod/20260101-abc")
        assert "webhook" not in ADAPTER.draft(given, {}).payload
        submitted(wire, given)
        (delivery,) = listener.wait_for(1)
    body = json.loads(delivery.body)
    assert (delivery.path, body["status"]) == ("/webhooks/runpod/20260101-abc", "COMPLETED")
    assert ADAPTER.heard(given, body, {}) is None
