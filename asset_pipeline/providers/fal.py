"""fal: a request waits in fal's queue and is asked for until it is over; its result is the model's answer.

https://fal.ai/docs/api-reference/inference-api

Being over does not mean success: whether there is a picture, the status of the result says. The addresses to
ask at come with the answer to the submission. If that never came, only a webhook can tell of the request.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, places_in, reason, words
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import say
from asset_pipeline.candidates.jobs.wire import Answer, Wire, may_have_key
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderUnavailable, SubmissionUnknown, UnsupportedRequest

KEPT_SECONDS = 3600.0
"""For how long a result can be asked for at least; pictures and, where fal may keep them, results last
longer: https://fal.ai/docs/inference-api/queue/result"""
_NAMES = {
    "prompt": "prompt",
    "width": "image_size.width",
    "height": "image_size.height",
    "aspect_ratio": "aspect_ratio",
    "seed": "seed",
}
_MODEL = re.compile(r"[\w.-]+/[\w.-]+(?:/[\w.-]+)*")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FLAGS = ("has_nsfw_concepts", "nsfw_content_detected")
_CANCELLED = {"client_cancelled", "client_disconnected"}
_LATE = {"request_timeout", "startup_timeout"}
_CLIENT_CLOSED_REQUEST = 499
_GATEWAYS = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_MODELS_OWN = {HTTPStatus.INTERNAL_SERVER_ERROR, *_GATEWAYS}
"""Statuses that a model's own answer may have, besides those below 500."""


_ENDS: Mapping[Code, JobState] = {
    "timeout_start": "expired",
    "timeout_run": "expired",
    "canceled": "canceled",
}


class Fal:
    """Puts jobs into fal's words."""

    name = "fal"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "width", "aspect_ratio", "seed"}),
        more_by_profile=True,
        references="data_uri",
        synchronous=False,
        finds="never",
        cancels=True,
        webhook="ed25519",
        reports=frozenset({"seconds"}),
        pins="model",
        retention_seconds=KEPT_SECONDS,
        output_hosts=("fal.media", "*.fal.media"),
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Key {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        own = job.parameters
        if not _MODEL.fullmatch(own.model):
            raise UnsupportedRequest(f"model: {own.model!r} is not the name of an endpoint: owner/app/path")
        if own.version:
            raise UnsupportedRequest("version: fal pins nothing but the endpoint; name the version in model")
        if own.native.get("sync_mode"):
            raise UnsupportedRequest("native: sync_mode: the picture would be in the answer alone")
        said = say(job, _NAMES, sent)
        return Draft(said.payload, said.dropped, own.model)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. fal sends it to no second machine by itself, and gives it up if it does not start."""
        del photographs
        headers = {
            "X-Fal-No-Retry": "1",
            "X-Fal-Request-Timeout": str(math.ceil(job.start_seconds)),
            "X-Fal-Queue-Priority": "low" if job.priority == "low" else "normal",
        }
        if job.sensitivity != "public":  # else it keeps what it was asked, photographs included, for weeks
            headers["X-Fal-Store-IO"] = "0"
        params = {"fal_webhook": job.webhook_url} if job.webhook_url else {}
        answer = wire.submit(draft.url, draft.payload, explain=_explain, headers=headers, params=params)
        accepted = wire.read_submitted(answer)
        request_id = words(accepted.get("request_id")) or ""
        if not _ID.fullmatch(request_id):
            raise SubmissionUnknown("fal accepted a submission without naming the request")
        ticket = Ticket(
            job_id=request_id,
            status_url=words(accepted.get("status_url")),
            result_url=words(accepted.get("response_url")),
            cancel_url=words(accepted.get("cancel_url")),
        )
        position = accepted.get("queue_position")
        return Standing(
            "queued",
            ticket,
            raw_status=str(accepted.get("status")),
            queue_position=position if isinstance(position, int) else None,
        )

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter."""
        answer = wire.ask(_place(wire, job, ticket, ticket.status_url, "/status"))
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", ticket, failure=Failure("lost", "fal does not know the request"))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ProviderUnavailable(f"fal answered {answer.status} when asked for a request")
        told = wire.read(answer)
        status = str(told.get("status"))
        if status == "COMPLETED":
            return self._result(wire, job, ticket, told)
        position = told.get("queue_position")
        return Standing(
            "queued" if status == "IN_QUEUE" else "running",
            ticket,
            raw_status=status,
            queue_position=position if isinstance(position, int) else None,
        )

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter: nobody can tell but a webhook."""

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter. What waits is removed; what runs stops only if the model's code knows how to."""
        answer = wire.ask(_place(wire, job, ticket, ticket.cancel_url, "/cancel"), method="PUT")
        return answer.status < HTTPStatus.BAD_REQUEST

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel inside the payload."""
        del reference, data
        raise UnsupportedRequest(f"{wire.title} takes photographs with the submission, and no other way")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it is asked."""

    def _result(self, wire: Wire, job: Job, ticket: Ticket, told: Mapping[str, Any]) -> Standing:
        """What a request that is over came to: the model's answer, with the model's status."""
        place = _place(wire, job, ticket, ticket.result_url, "")
        answer = wire.ask(place, expected=_MODELS_OWN)
        body = wire.read(answer)
        metrics = told.get("metrics")
        seconds = amount(metrics.get("inference_time")) if isinstance(metrics, dict) else None
        if answer.status < HTTPStatus.BAD_REQUEST:
            outputs = _outputs(body)
            failure = None
            if not outputs:
                failure = Failure("output_invalid", "the model answered without a picture", is_billed=True)
            return Standing(
                "succeeded" if outputs else "failed",
                ticket,
                outputs,
                failure,
                Usage(images=len(outputs) or None, seconds=seconds),
                raw_status="COMPLETED",
            )
        if not _is_final(answer, body, told):
            raise ProviderUnavailable(f"fal answered {answer.status} when asked for a result")
        failure = _failure(answer, body, told, job)
        return Standing(
            _ENDS.get(failure.code, "failed"),
            ticket,
            failure=failure,
            usage=Usage(seconds=seconds),
            raw_status=f"COMPLETED {answer.status}",
        )


def _place(wire: Wire, job: Job, ticket: Ticket, given: str | None, end: str) -> str:
    """Where a request is asked for: as fal said, if that is fal; built where only a webhook named it."""
    if given and may_have_key(wire.endpoint.base_url, given):
        return given
    owner_and_app = "/".join(job.parameters.model.split("/")[:2])
    return f"{owner_and_app}/requests/{quote(ticket.job_id, safe='')}{end}"


def _explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
    """What fal says of a submission that it did not accept."""
    del headers
    detail = str(body.get("detail")) if isinstance(body, dict) else ""
    if status == HTTPStatus.FORBIDDEN and "balance" in detail.lower():
        return Failure("insufficient_funds", detail, is_billed=False)
    return None


def _failure(answer: Answer, body: Mapping[str, Any], told: Mapping[str, Any], job: Job) -> Failure:
    """Why there is no picture: the platform's words (``error_type``), or the model's (a list of details)."""
    kind = words(body.get("error_type")) or answer.headers.get("x-fal-error-type") or told.get("error_type")
    detail = body.get("detail")
    entries = [each for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
    said = "; ".join(_complaint(each) for each in entries) or words(detail) or told.get("error")
    message = reason(said, job.request)
    is_free = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if any(each.get("type") == "content_policy_violation" for each in entries):
        return Failure("content_filtered", message)
    if kind in _CANCELLED or answer.status == _CLIENT_CLOSED_REQUEST:
        return Failure("canceled", message)
    if kind in _LATE or answer.status == HTTPStatus.GATEWAY_TIMEOUT:
        has_started = kind == "request_timeout" and answer.headers.get("x-fal-request-timeout-type") != "user"
        return Failure("timeout_run" if has_started else "timeout_start", message, is_billed=False)
    if answer.status == HTTPStatus.NOT_FOUND:
        return Failure("output_expired", message, is_billed=True)
    # What the model does not take it may charge for all the same; what broke it does not.
    code: Code = "model_error" if is_free else "invalid_request"
    return Failure(code, message, is_billed=False if is_free else None)


def _is_final(answer: Answer, body: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether an error is what the request came to, and not the way to it that failed."""
    is_marked = "error_type" in body or "x-fal-error-type" in answer.headers or told.get("error_type")
    return bool(is_marked) or answer.status not in _GATEWAYS or isinstance(body.get("detail"), list)


def _complaint(entry: Mapping[str, Any]) -> str:
    """A line of the model's answer, without the input that it repeats."""
    loc = entry.get("loc")
    place = ".".join(str(part) for part in loc) if isinstance(loc, list) else ""
    return f"{place}: {entry.get('msg')}" if place else str(entry.get("msg"))


def _outputs(body: Mapping[str, Any]) -> tuple[Output, ...]:
    """The pictures, and which of them the model's filter blanked."""
    found = body.get("images") or body.get("image") or body.get("output")
    listed = found if isinstance(found, list) else [found]
    flags: Sequence[Any] = next((body[name] for name in _FLAGS if isinstance(body.get(name), list)), ())
    seed = body.get("seed")
    return tuple(
        Output(
            url=place,
            seed=seed if isinstance(seed, int) else None,
            is_flagged=index < len(flags) and flags[index] is True,
        )
        for index, each in enumerate(listed)
        for place in list(places_in(each))[:1]
    )
