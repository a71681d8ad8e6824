"""Attempts at remote providers as a run would have recorded them, for what is told of them afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, Attempt, Call, event_name
from asset_pipeline.candidates.jobs.job import ImageResult, Job, RemoteParameters, Ticket
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker

GONE = Worker(worker_id="wgone", host="elsewhere", pid=1, started=0.0, run_id="run-0")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_request(seed: int = 1) -> ImageRequest:
    return ImageRequest(prompt="a mug", width=1000, height=1000, seed=seed, profile_fingerprint="f")


def a_call(
    request: ImageRequest, *, attempt: int = 1, provider: str = "together", account: str = "shop"
) -> Call:
    job = Job(
        request=request,
        attempt=attempt,
        campaign="spring",
        profile="remote",
        parameters=RemoteParameters(model="m"),
        client_id="00000000-0000-4000-8000-000000000000",
    )
    return Call(
        provider=provider,
        account=account,
        base_url="https://api.example.com/v1",
        job=job,
        expected_usd=0.01,
        sent_at=NOON,
    )


def an_attempt(
    state: str, *, seed: int = 1, number: int = 1, code: str | None = None, **given: Any
) -> Attempt:
    """An attempt in that state; set aside were 2 cents, expected was 1, and `cost_usd` says what it cost."""
    request = a_request(seed)
    call = given.pop("call", a_call(request, attempt=number))
    basis, said = given.pop("basis", "reported"), given.pop("said", None)
    cost = given.pop("cost_usd", 0.02 if state in OPEN else 0.01)
    result = None
    if state not in OPEN and call is not None:
        result = ImageResult(
            request_id=request.candidate_id,
            attempt=number,
            state=said or ("succeeded" if state == "succeeded" else "failed"),
            provider=call.provider,
            account=call.account,
            endpoint=call.base_url,
            job_id=f"job-{seed}",
            code=code,
            cost_usd=cost,
            cost_basis=basis,
        )
    fields: dict[str, Any] = {
        "candidate_id": request.candidate_id,
        "attempt": number,
        "state": state,
        "run_id": "run-0",
        "worker": GONE,
        "profile": "remote",
        "cost_usd": cost,
        "call": call,
        "ticket": Ticket(job_id=f"job-{seed}") if state in ("queued", "running", "fetching") else None,
        "result": result,
        "image_sha256": "a" * 64 if state == "succeeded" else None,
    }
    return Attempt.model_validate(fields | given)


def put(
    store: Store,
    campaign: str,
    attempt: Attempt,
    *,
    at: datetime = NOON,
    lasted: timedelta = timedelta(minutes=1),
) -> Attempt:
    """Record the claim of an attempt, and then the state that it came to."""
    first = {
        "state": "pending" if attempt.call else "submitting",
        "cost_usd": 0.02,
        "result": None,
        "ticket": None,
    }
    claim = attempt.model_copy(update=first)
    assert store.events.append(ATTEMPTS, campaign, event_name(claim), claim, now=at)
    if attempt.state not in ("pending", "submitting"):
        assert store.events.append(ATTEMPTS, campaign, event_name(attempt), attempt, now=at + lasted)
    return attempt
