"""What every adapter promises, tried on each with the vendor it is for."""

import itertools
import json
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import asked_size
from asset_pipeline.candidates.jobs.verify import Verified, verify
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import (
    AccountClosed,
    OutputUnreachable,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
)
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.cases import CASES, Stage, serving, staged
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.scripted import Scripted
from asset_pipeline_tests.vendors.server import Behaviour, Fault, Reply, picture

PATIENCE = 15.0
PHOTOGRAPH = picture(32, 32, 3)
BASE = ImageReference(role="base", sha256=sha256_of(PHOTOGRAPH), media_type="image/png", width=32, height=32)
LONG = Behaviour(run_seconds=60.0)


def those(which: Callable[[Case], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Tried on these adapters."""
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name) for name, case in CASES.items() if which(case)]
    )


def is_asked(case: Case) -> bool:
    return not case.adapter.abilities.synchronous


def calls_back(case: Case) -> bool:
    return case.adapter.abilities.webhook != "none"


def is_under_way(case: Case) -> bool:
    """Whether a submission can be answered before the picture is there."""
    return is_asked(case) or calls_back(case)


def until(ask: Callable[[], Standing], is_so: Callable[[Standing], object]) -> Standing:
    ends = time.monotonic() + PATIENCE
    while not is_so(standing := ask()):
        assert time.monotonic() < ends, standing
        time.sleep(0.01)
    return standing


def finished(stage: Stage, job: Job | None = None) -> Standing:
    """What a job comes to."""
    standing = stage.submit(job)
    if standing.is_over:
        return standing
    return until(lambda: stage.look(standing.ticket, job), lambda told: told.is_over)


def fetched(stage: Stage, standing: Standing) -> Iterator[bytes]:
    """The outputs that the vendor does not call filtered, and that can be brought."""
    for output in standing.outputs:
        try:
            if not output.is_flagged:
                yield output.data if output.url is None else stage.wire.fetch(output.url)  # type: ignore[misc]
        except OutputUnreachable:
            continue


def leaves(value: Any) -> Iterator[Any]:
    """Everything that a payload says, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield value


# One submission is one request and one line in the books, whatever happens on its way

UNKNOWN: dict[Fault, int] = {
    "drop before": 0,
    "drop after": 1,
    "truncate": 1,
    "html": 1,
    "wrong json": 1,
    "500": 0,
    "502": 0,
}
"""Faults after which nobody knows, with the lines in the vendor's books."""
TURNED_AWAY: tuple[Fault, ...] = ("429", "503")


def test_every_fault_has_its_promise() -> None:
    assert {*UNKNOWN, *TURNED_AWAY, "slow"} == set(get_args(Fault))


@those()
def test_a_submission_is_one_request_and_one_job(case: Case) -> None:
    with staged(case) as stage:
        assert finished(stage).state == "succeeded"
        assert len(stage.submissions) == 1
        assert len(stage.vendor.jobs) == 1


@those()
@pytest.mark.parametrize("fault", UNKNOWN)
def test_a_submission_without_a_whole_answer_is_unknown_and_not_repeated(case: Case, fault: Fault) -> None:
    with staged(case) as stage:
        stage.vendor.faults = [fault, None, None]
        with pytest.raises(SubmissionUnknown):
            stage.submit()
        assert len(stage.vendor.faults) == 2, "it was sent more than once"
        assert len(stage.vendor.jobs) == UNKNOWN[fault]


@those()
def test_an_answer_that_trickles_is_not_waited_for_and_not_repeated(case: Case) -> None:
    with staged(case, timeouts={"submit": 1.0, "run": 1.0}) as stage:
        stage.vendor.faults = ["slow", None, None]
        with pytest.raises(SubmissionUnknown):
            stage.submit(stage.job(run_seconds=1.0))
        assert len(stage.vendor.faults) == 2
        assert len(stage.vendor.jobs) == 1


@those()
@pytest.mark.parametrize("fault", TURNED_AWAY)
@pytest.mark.parametrize(("said", "pause"), [("7", 7.0), (None, None)])
def test_a_submission_that_is_turned_away_is_not_accepted_and_names_the_pause(
    case: Case, fault: Fault, said: str | None, pause: float | None
) -> None:
    with staged(case) as stage:
        stage.vendor.faults, stage.vendor.retry_after = [fault, None, None], said
        with pytest.raises(ProviderBusy) as turned_away:
            stage.submit()
        assert turned_away.value.retry_after == pause
        assert len(stage.vendor.faults) == 2
        assert stage.vendor.jobs == []


@those()
def test_a_vendor_that_cannot_be_reached_has_accepted_nothing(case: Case) -> None:
    vendor = case.vendor()
    with serving(vendor):
        pass
    job = job_for(case.parameters)
    with case.wire(vendor) as wire, pytest.raises(ProviderUnavailable):
        case.adapter.submit(wire, job, case.adapter.draft(job, {}), {})
    assert vendor.jobs == []


@those(lambda case: bool(case.adapter.headers("a-key")) and case.vendor().name not in {"cog", "comfyui"})
def test_a_key_that_is_not_accepted_closes_the_account(case: Case) -> None:
    with staged(case) as stage:
        stage.vendor.key = "another"
        with pytest.raises(AccountClosed) as closed:
            stage.submit()
        assert closed.value.code == "auth"
        assert stage.vendor.jobs == []


# Drafts


@those()
def test_a_draft_is_made_without_the_vendor_and_is_the_same_each_time(case: Case) -> None:
    job = job_for(case.parameters)
    before = job.model_dump_json()
    first, second = case.adapter.draft(job, {}), case.adapter.draft(job, {})
    assert first == second
    assert json.dumps(first.payload) == json.dumps(second.payload)
    assert job.model_dump_json() == before


# Abilities


@those()
def test_a_picture_comes_with_the_answer_from_those_that_are_synchronous(case: Case) -> None:
    with staged(case) as stage:
        standing = stage.submit()
        if stage.abilities.synchronous:
            assert standing.state == "succeeded"
            assert len(stage.told) == len(stage.submissions)
        else:
            assert standing.ticket is not None


@those(calls_back)
def test_a_vendor_that_calls_back_is_told_the_attempts_own_address(case: Case) -> None:
    with staged(case) as stage, listening() as listener:
        place = f"{listener.url}/webhooks/{case.adapter.name}/20260101-token"
        stage.submit(stage.job(webhook_url=place))
        (delivery, *_) = listener.wait_for(1)
        assert delivery.path == f"/webhooks/{case.adapter.name}/20260101-token"
        assert [job.webhook for job in stage.vendor.jobs] == [place]


@those(lambda case: not calls_back(case))
def test_a_vendor_that_calls_nobody_is_told_no_address(case: Case) -> None:
    with staged(case) as stage:
        stage.submit(stage.job(webhook_url="https://example.com/webhooks/x/20260101-token"))
        assert not any("20260101-token" in f"{each.query}{each.headers}{each.body!r}" for each in stage.told)


@those(calls_back)
def test_no_address_is_told_where_none_is_given(case: Case) -> None:
    with staged(case) as stage:
        finished(stage)
        assert [job.webhook for job in stage.vendor.jobs] == [None]


@those()
def test_what_an_answer_says_of_the_cost_is_what_the_abilities_name(case: Case) -> None:
    with staged(case, always=Behaviour(run_seconds=0.05)) as stage:
        usage = finished(stage).usage
    said = {
        "seconds": usage.seconds is not None,
        "tokens": usage.output_tokens is not None,
        "usd": usage.reported_usd is not None,
    }
    reported = {name for name, is_said in said.items() if is_said}
    assert reported <= case.adapter.abilities.reports
    assert case.adapter.abilities.reports - reported <= {"usd"}, "dollars only where a profile says where"


@those(lambda case: case.adapter.abilities.finds != "never" and is_under_way(case))
def test_a_submission_whose_answer_was_lost_is_found_and_followed(case: Case) -> None:
    with staged(case, always=LONG) as stage, listening() as listener:
        job = stage.job(webhook_url=f"{listener.url}/hook" if calls_back(case) else None)
        since = datetime.now(UTC)
        stage.vendor.faults = ["drop after"]
        with pytest.raises(SubmissionUnknown):
            stage.submit(job)
        found = stage.adapter.find(stage.wire, job, since)
        assert found is not None
        assert found.ticket is not None
        assert found.state in ("queued", "running")
        assert stage.look(found.ticket, job).state in ("queued", "running")
        assert len(stage.vendor.jobs) == 1


@those(lambda case: case.adapter.abilities.finds != "never")
def test_a_submission_that_never_arrived_is_not_found(case: Case) -> None:
    with staged(case) as stage:
        job, since = stage.job(), datetime.now(UTC)
        stage.vendor.faults = ["drop before"]
        with pytest.raises(SubmissionUnknown):
            stage.submit(job)
        found = stage.adapter.find(stage.wire, job, since)
        assert found is None or found.state == "lost"
        assert stage.vendor.jobs == []


@those(lambda case: case.adapter.abilities.finds == "never")
def test_a_vendor_that_cannot_find_a_submission_says_that_it_cannot_tell(case: Case) -> None:
    with staged(case) as stage:
        assert stage.adapter.find(stage.wire, stage.job(), datetime.now(UTC)) is None
        assert stage.told == []


@those(lambda case: case.adapter.abilities.cancels and is_under_way(case))
@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_that_is_cancelled_ends_so(case: Case, state: str) -> None:
    if state == "running" and case.adapter.name == "fal":
        pytest.skip("what runs at fal ends only if the app lets itself be stopped")
    always = LONG if state == "running" else Behaviour(queue_seconds=60.0)
    with staged(case, always=always) as stage, listening() as listener:
        job = stage.job(webhook_url=f"{listener.url}/hook" if calls_back(case) else None)
        standing = stage.submit(job)
        if state == "running":
            until(lambda: stage.look(standing.ticket, job), lambda told: told.state == "running")
        assert standing.ticket is not None
        assert stage.adapter.cancel(stage.wire, job, standing.ticket)
        ended = until(lambda: stage.look(standing.ticket, job), lambda told: told.is_over)
        assert ended.state in ("canceled", "lost")
        assert ended.failure is not None
        assert len(stage.vendor.jobs) == 1


@those(lambda case: is_asked(case) and case.adapter.abilities.cancels)
def test_cancelling_a_job_that_is_over_changes_nothing(case: Case) -> None:
    with staged(case) as stage:
        over = finished(stage)
        assert over.ticket is not None
        stage.adapter.cancel(stage.wire, stage.job(), over.ticket)
        assert stage.look(over.ticket).state == "succeeded"


@those(lambda case: not case.adapter.abilities.cancels)
def test_a_vendor_that_cancels_nothing_is_not_asked_to(case: Case) -> None:
    with staged(case) as stage:
        assert not stage.adapter.cancel(stage.wire, stage.job(), Ticket(job_id="none"))
        assert stage.told == []


@those(lambda case: case.adapter.abilities.references != "none")
def test_a_photograph_travels_as_the_abilities_say(case: Case) -> None:
    place = {"comfyui": "photograph"}.get(case.adapter.name, "image")
    known = dict(case.parameters.get("references", {"base": place}))
    own = {**case.parameters, "references": {"base": known["base"]}}
    if "workflow" in own:
        own["workflow"] = "image-to-image"
    job = job_for(own, references=(BASE,))
    with staged(case) as stage:
        travel = stage.abilities.references
        sent = f"data:image/png;base64,{PHOTOGRAPH.hex()}"
        if travel == "upload":
            sent = stage.adapter.upload(stage.wire, BASE, PHOTOGRAPH)
        draft = stage.adapter.draft(job, {BASE.sha256: sent})
        assert "references.base" not in draft.dropped
        assert (sent in leaves(draft.payload)) == (travel != "bytes")
        if travel == "bytes":
            stage.adapter.submit(stage.wire, job, draft, {BASE.sha256: PHOTOGRAPH})
            (submission,) = stage.submissions
            base64_of = json.dumps(stage.vendor.jobs[0].payload, default=str)
            assert PHOTOGRAPH in submission.body or "iVBORw0KGgo" in base64_of


# What a job stands at


@those(is_asked)
def test_a_job_waits_runs_and_ends_in_this_order(case: Case) -> None:
    order = ["queued", "running", "succeeded"]
    with staged(case, always=Behaviour(queue_seconds=0.3, run_seconds=0.3)) as stage:
        standing = stage.submit()
        seen = [standing.state]
        while not standing.is_over:
            standing = stage.look(standing.ticket)
            seen.append(standing.state)
        assert seen == sorted(seen, key=order.index)
        assert seen[-1] == "succeeded"


@those(is_asked)
def test_a_status_that_nobody_knows_is_running(case: Case) -> None:
    with staged(case, always=LONG) as stage:
        ticket = stage.submit().ticket
        word = until(lambda: stage.look(ticket), lambda told: told.state == "running").raw_status
        assert word

        def renamed(_: Any, reply: Reply) -> Reply:
            text = json.dumps(reply.body) if not isinstance(reply.body, bytes) else ""
            return Reply(reply.status, json.loads(text.replace(f'"{word}"', '"reheating"')), reply.headers)

        stage.change = renamed
        odd = stage.look(ticket)
        assert odd.state == "running"
        assert odd.failure is None


@those(is_under_way)
def test_a_job_that_the_vendor_does_not_know_is_lost(case: Case) -> None:
    with staged(case, always=LONG) as stage, listening() as listener:
        job = stage.job(webhook_url=f"{listener.url}/hook" if calls_back(case) else None)
        ticket = stage.submit(job).ticket
        until(lambda: stage.look(ticket, job), lambda told: told.state == "running")
        stage.forget()
        lost = stage.look(ticket, job)
        assert lost.state == "lost"
        assert lost.failure is not None
        assert lost.failure.code == "lost"
        assert len(stage.vendor.jobs) == 1


@those(is_asked)
def test_a_job_is_found_again_by_what_was_written_down(case: Case) -> None:
    with staged(case) as stage:
        ticket = stage.submit().ticket
        assert ticket is not None
        kept = Ticket.model_validate_json(ticket.model_dump_json())
        assert until(lambda: stage.look(kept), lambda told: told.is_over).state == "succeeded"
        assert len(stage.submissions) == 1


@those(is_asked)
def test_looking_again_says_the_same_and_costs_nothing(case: Case) -> None:
    with staged(case) as stage:
        over = finished(stage)
        assert stage.look(over.ticket) == stage.look(over.ticket)
        assert len(stage.vendor.jobs) == 1


@those(is_asked)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 200])
def test_a_vendor_that_cannot_be_asked_now_says_nothing_of_a_job(case: Case, status: int) -> None:
    with staged(case, always=LONG) as stage:
        ticket = stage.submit().ticket
        stage.change = lambda *_: Reply(status, b"<!doctype html>")
        with pytest.raises(ProviderUnavailable):
            stage.look(ticket)


# What came of it


@those()
def test_what_was_made_is_the_picture_that_was_asked_for(case: Case) -> None:
    with staged(case) as stage:
        standing = finished(stage)
        (data,) = fetched(stage, standing)
        assert data == stage.vendor.jobs[0].pictures()[0] or case.adapter.name == "comfyui"
        assert isinstance(verify(data, asked_size(stage.job())), Verified)
        assert standing.failure is None


@those()
@pytest.mark.parametrize(
    "outcome", ["fails", "is filtered", "is blank", "is truncated", "is of another size", "is empty"]
)
def test_nothing_but_a_whole_picture_counts_as_one(case: Case, outcome: Any) -> None:
    with staged(case, always=Behaviour(outcome=outcome)) as stage:
        try:
            standing = finished(stage)
        except (ProviderRefused, SubmissionUnknown):
            return  # what is known when the submission is answered
        size = asked_size(stage.job())
        complaints = [verify(data, size) for data in fetched(stage, standing)]
        assert all(isinstance(each, str) for each in complaints)
        if outcome == "fails":
            assert standing.state == "failed"
        if standing.state in ("failed", "canceled", "expired", "lost"):
            assert standing.failure is not None
            assert standing.failure.code in {"model_error", "content_filtered", "output_invalid"}
        else:
            assert complaints or standing.outputs, "a success without outputs is none"


# The key


@those()
def test_the_key_goes_in_a_header_and_nowhere_else(case: Case) -> None:
    with staged(case) as stage, listening() as listener:
        job = stage.job(webhook_url=f"{listener.url}/hook" if calls_back(case) else None)
        draft = stage.adapter.draft(job, {})
        standing = stage.submit(job)
        key = stage.vendor.key
        assert any(key in value for value in stage.submissions[0].headers.values())
        assert key not in f"{draft}"
        assert key not in f"{standing}"
        for each in stage.told:
            assert key not in each.path
            assert key not in f"{each.query}"
            assert key.encode() not in each.body


@those()
def test_the_key_does_not_go_to_other_hosts(case: Case) -> None:
    with listening() as elsewhere:
        place = elsewhere.url.removeprefix("http://")
        with staged(case, output_hosts=[place]) as stage:
            stage.wire.fetch(f"{elsewhere.url}/files/1.png")
            (request,) = elsewhere.heard
            assert not any(stage.vendor.key in value for value in request.headers.values())


@those()
def test_the_key_is_in_no_error_though_the_vendor_repeats_it(case: Case) -> None:
    vendor = Scripted()
    said = f"the key {vendor.key} is not good"
    bodies = (
        {"detail": said},
        {"error": {"message": said, "code": vendor.key, "type": vendor.key, "status": vendor.key}},
        {"message": said, "code": vendor.key},
        said.encode(),
    )
    job = job_for(case.parameters)
    draft = case.adapter.draft(job, {})
    with serving(vendor), case.wire(vendor) as wire:
        for status, body in itertools.product((400, 401, 402, 403, 404, 409, 422, 429, 500, 503), bodies):
            vendor.replies = [Reply(status, body)]
            with pytest.raises(ProviderError) as raised:
                case.adapter.submit(wire, job, draft, {})
            shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
            assert vendor.key not in shown
