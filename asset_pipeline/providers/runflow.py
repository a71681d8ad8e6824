"""Runflow: a run of a model is submitted, asked for until it has ended, and says itself what it cost.

https://docs.runflow.io/concepts/runs

A run cannot be cancelled by whoever submitted it, and goes on being paid for. It carries our name for the
attempt in its metadata, by which it is found among the account's runs if its submission was never answered.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, moment, places_in, reason, words
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderUnavailable, SubmissionUnknown, UnsupportedRequest

KEPT_SECONDS = 3600.0
"""For how long the addresses of outputs are good; Runflow says only that it is limited, so this is
careful."""
MOST_PAGES = 50
"""Of runs, when one is looked for."""
CLOCKS_APART = timedelta(minutes=10)
"""How far Runflow's clock may be from ours."""
_PAGE = 100
_ATTEMPT = "attempt"
_NAMES = {"prompt": "prompt"}
"""What all image models call it; each has its own names for the rest, which a profile gives."""
_MODEL = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FILTERED = re.compile(r"nsfw|safety|moderat|content[_ ]policy|content[_ ]filter|prohibited", re.IGNORECASE)
_INVALID = re.compile(r"invalid|validation|unsupported", re.IGNORECASE)
_LATE = re.compile(r"timed?[_ -]?out|deadline", re.IGNORECASE)
_STATES: Mapping[str, JobState] = {
    "queued": "queued",
    "dispatching": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "partial_succeeded": "partial",
    "failed": "failed",
    "canceled": "canceled",
    "cancelled": "canceled",
}


class Runflow:
    """Puts jobs into Runflow's words."""

    name = "runflow"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt"}),
        more_by_profile=True,
        references="data_uri",
        synchronous=False,
        finds="by our id",
        cancels=False,
        webhook="hmac",
        reports=frozenset({"usd", "seconds"}),
        pins="model",
        retention_seconds=KEPT_SECONDS,
        output_hosts=("*.runflow.io",),
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        own = job.parameters
        if not _MODEL.fullmatch(own.model):
            raise UnsupportedRequest(f"model: {own.model!r} is not the name of a model: owner/name")
        if own.version:
            raise UnsupportedRequest("version: Runflow chooses the version, and says which it was")
        said = say(job, _NAMES, sent)
        payload = {"input": said.payload, "metadata": {_ATTEMPT: job.client_id}}
        return Draft(payload, said.dropped, f"models/{own.model}/runs")

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter."""
        del photographs
        body = dict(draft.payload)
        if job.webhook_url:
            body["callback_url"] = job.webhook_url
        run = wire.read_submitted(wire.submit(draft.url, body, explain=_explain))
        if not _ID.fullmatch(words(run.get("id")) or ""):
            raise SubmissionUnknown("Runflow accepted a submission without naming the run")
        return _standing(run, job)

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter."""
        answer = wire.ask(f"runs/{quote(ticket.job_id, safe='')}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", ticket, failure=Failure("lost", "Runflow does not know the run"))
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"Runflow answered {answer.status} when asked for a run")
        return _standing({**wire.read(answer), "id": ticket.job_id}, job)

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter. The account's runs are listed, the newest first, back to the time when it was sent."""
        params = {"sort_by": "created_at:desc", "limit": str(_PAGE)}
        for _ in range(MOST_PAGES):
            answer = wire.ask("runs", params=params)
            if answer.status != HTTPStatus.OK:
                return None
            page = wire.read(answer)
            listed = page.get("items")
            runs = [run for run in listed if isinstance(run, dict)] if isinstance(listed, list) else []
            if found := next((run for run in runs if _is_of(run, job)), None):
                return self.look(wire, job, Ticket(job_id=str(found.get("id"))))
            following = words(page.get("next_pq"))
            is_whole = any((moment(run.get("created_at")) or since) < since - CLOCKS_APART for run in runs)
            if is_whole or following is None:
                return Standing(
                    "lost", failure=Failure("lost", "Runflow accepted no such run", is_billed=False)
                )
            params |= {"pq": following}
        return None

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter: there is no such wish."""
        del wire, job, ticket
        return False

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel inside the payload."""
        del reference, data
        raise UnsupportedRequest(f"{wire.title} takes photographs with the submission, and no other way")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it is asked."""


def _is_of(run: Mapping[str, Any], job: Job) -> bool:
    metadata = run.get("metadata")
    return isinstance(metadata, dict) and metadata.get(_ATTEMPT) == job.client_id


def _explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
    """What Runflow says of a submission that it did not accept: ``{"code", "message", "errors"}``."""
    del headers
    said = body if isinstance(body, dict) else {}
    is_refused = status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    if is_refused and _FILTERED.search(str(said.get("code"))):
        return Failure("content_filtered", str(said.get("message")), is_billed=False)
    return None


def _standing(run: Mapping[str, Any], job: Job) -> Standing:
    """What a run stands at. A status that is not known goes on."""
    status = str(run.get("status_code"))
    state = _STATES.get(status, "running")
    outputs = _outputs(run.get("output")) if state in ("succeeded", "partial") else ()
    usd, milliseconds = _usd(run.get("cost")), amount(run.get("duration_ms"))
    failure = None
    # A picture that was for nothing is one whose cost is not known yet; a failure may well be for nothing.
    reported = None if state in ("queued", "running") or (outputs and usd == 0) else usd
    if state in ("succeeded", "partial") and not outputs:
        state, failure = "failed", Failure("output_invalid", "it succeeded without a picture", is_billed=True)
    elif state in ("failed", "canceled"):
        code = _code(run) if state == "failed" else "canceled"
        said = run.get("failure_message") or run.get("failure_code")
        failure = Failure(code, reason(said, job.request), is_billed=None if usd is None else usd > 0)
        state = "expired" if code == "timeout_run" else state
    version = run.get("target_version")
    return Standing(
        state,
        Ticket(job_id=str(run["id"])),
        outputs,
        failure,
        Usage(
            images=len(outputs) or None,
            seconds=None if milliseconds is None else milliseconds / 1000,
            reported_usd=reported,
        ),
        model_version=None if version is None else str(version),
        raw_status=status,
        details={"runflow_request_id": run["request_id"]} if words(run.get("request_id")) else {},
    )


def _code(run: Mapping[str, Any]) -> Code:
    """What the failure of a run means; its own code says it, and its message where the code does not."""
    for said in (str(run.get("failure_code") or ""), str(run.get("failure_message") or "")):
        if _FILTERED.search(said):
            return "content_filtered"
        if _LATE.search(said):
            return "timeout_run"
    return "invalid_request" if _INVALID.search(str(run.get("failure_code") or "")) else "model_error"


def _outputs(output: Any) -> tuple[Output, ...]:
    """The pictures, each once, though Runflow lists them in more than one form."""
    found = output
    if isinstance(output, dict):
        found = output.get("outputs") or output.get("image_urls") or output
    return tuple(Output(url=place) for place in dict.fromkeys(places_in(found)))


def _usd(cost: Any) -> float | None:
    """What a run cost: a decimal number as text; none if it is none."""
    try:
        usd = Decimal(str(cost))
    except InvalidOperation:
        return None
    return float(usd) if usd.is_finite() and usd >= 0 else None
