"""RunPod Serverless: a queue in front of workers that run the operator's own image of a handler.

https://docs.runpod.io/serverless/endpoints/operation-reference

``base_url`` ends with the endpoint: ``https://api.runpod.ai/v2/<endpoint>``. What a handler takes and answers
is its author's: a profile's ``fields`` give it words, and the endpoint's ``settings`` say where its answer
holds the pictures (``outputs``, ``images[]`` unless given) and, for public endpoints, the money (``cost``).
worker-comfyui runs the workflow that a profile names, and is understood without either.
Every submission tells RunPod when to give up, so that nothing runs on for a client that died.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, is_filtered, reason, words
from asset_pipeline.candidates.jobs.job import (
    Code,
    Draft,
    Failure,
    Job,
    JobState,
    RemoteParameters,
    Standing,
    Ticket,
)
from asset_pipeline.candidates.jobs.mapping import labels, say
from asset_pipeline.candidates.jobs.paths import pictures_at, value_at, values_at
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference, ImageRequest
from asset_pipeline.errors import (
    OutputUnreachable,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline.workflows.job_graph import identity_of
from asset_pipeline.workflows.worker_comfyui import WorkerResult, worker_input, worker_result

LARGEST_RUN, LARGEST_SYNC = 10_000_000, 20_000_000
"""Bytes that a submission may have (operation reference)."""
KEPT_SECONDS = 1800.0
"""For how long a result is kept; for a minute only after ``/runsync``."""
SHORTEST_EXECUTION_MS, SHORTEST_LIFE_MS, LONGEST_MS = 5_000, 10_000, 7 * 86_400_000
"""What a policy takes."""
LONGEST_HOLD_MS: Final = 90_000
"""How long ``/runsync`` is asked to hold the answer; what takes longer is polled."""
PICTURES = "images[]"
"""Where a handler's output holds its pictures, unless the endpoint's settings say otherwise."""
_STATES: Mapping[str, JobState] = {
    "IN_QUEUE": "queued",
    "IN_PROGRESS": "running",
    "RUNNING": "running",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "canceled",
    "TIMED_OUT": "expired",
}
_CLASS = re.compile(r"<class '([\w.]+)'>")


class Runpod:
    """Puts jobs into RunPod's words.

    Args:
        data: the project's data folder, with ``workflows`` in it.
    """

    name = "runpod"
    version = "1"
    abilities = Abilities(
        says=frozenset(),
        more_by_profile=True,
        references="data_uri",
        synchronous=False,
        finds="never",
        cancels=True,
        webhook="url token",
        reports=frozenset({"seconds", "usd"}),
        pins="deployment",
        retention_seconds=KEPT_SECONDS,
        output_hosts=("image.runpod.ai",),
    )

    def __init__(self, data: Path) -> None:
        self._data = data

    def version_of(self, parameters: RemoteParameters) -> str:
        """The workflow of worker-comfyui, if there is one."""
        return identity_of(self._data, parameters) if parameters.workflow else "handler"

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter. Which model it is, and in which version, is the endpoint's: neither can be said."""
        details: Mapping[str, Any] = {}
        if job.parameters.workflow is None:
            said = say(job, {}, sent)
            given, dropped = said.payload, said.dropped
        else:
            worker = worker_input(self._data, job, sent)
            given, dropped, details = dict(worker.payload), worker.filled.dropped, worker.filled.details
        return Draft({"input": given, "policy": _policy(job)}, (*dropped, *labels(job)), "run", details)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. Refuses, without sending, a submission that is larger than RunPod takes."""
        del photographs
        is_held = bool(wire.endpoint.settings.get("sync"))
        body = dict(draft.payload)
        if job.webhook_url:
            body["webhook"] = job.webhook_url
        _require_size(body, LARGEST_SYNC if is_held else LARGEST_RUN)
        if is_held:
            hold = min(LONGEST_HOLD_MS, max(1000, round(1000 * (job.start_seconds + job.run_seconds))))
            seconds = hold / 1000 + wire.endpoint.timeouts.submit
            answer = wire.submit("runsync", body, seconds=seconds, params={"wait": hold})
        else:
            answer = wire.submit(draft.url, body)
        accepted = wire.read_submitted(answer)
        job_id = words(accepted.get("id"))
        if job_id is None:
            raise SubmissionUnknown("RunPod accepted a submission without naming the job")
        return _standing(wire, job, Ticket(job_id=job_id), accepted)

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter. RunPod forgets a job with the end of its time to live, or of its result's."""
        answer = wire.ask(f"status/{quote(ticket.job_id, safe='')}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", ticket, failure=Failure("lost", "RunPod does not know the job"))
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"RunPod answered {answer.status} when asked for a job")
        return _standing(wire, job, ticket, wire.read(answer))

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter: RunPod takes no name from us and lists no jobs; only a webhook can tell."""
        del wire, job, since
        return None

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter."""
        del job
        answer = wire.ask(f"cancel/{quote(ticket.job_id, safe='')}", method="POST")
        return answer.status < HTTPStatus.BAD_REQUEST

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel inside the payload."""
        del wire, reference, data
        raise UnsupportedRequest("RunPod takes photographs inside the payload alone")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it is asked, as nobody signed what was heard."""
        del job, body, settings
        return None


def _policy(job: Job) -> dict[str, Any]:
    """When RunPod is to give up by itself: the time to live counts from the submission, and ends all work."""
    execution = round(1000 * job.run_seconds)
    life = round(1000 * (job.start_seconds + job.run_seconds))
    policy: dict[str, Any] = {
        "executionTimeout": min(max(execution, SHORTEST_EXECUTION_MS), LONGEST_MS),
        "ttl": min(max(life, SHORTEST_LIFE_MS), LONGEST_MS),
    }
    return {**policy, "lowPriority": True} if job.priority == "low" else policy


def _require_size(body: Mapping[str, Any], largest: int) -> None:
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    if size > largest:
        raise ProviderRefused(
            f"RunPod takes submissions of up to {largest // 10**6} MB, this one has {size / 10**6:.1f}: "
            "give the handler fewer or smaller photographs"
        )


def _standing(wire: Wire, job: Job, ticket: Ticket, body: Mapping[str, Any]) -> Standing:
    """What a job as RunPod tells it stands at."""
    status = str(body.get("status", ""))
    took, waited = amount(body.get("executionTime")), amount(body.get("delayTime"))
    details: dict[str, Any] = {} if waited is None else {"delay_seconds": waited / 1000}
    if worker := words(body.get("workerId")):
        details["worker"] = worker
    known = Standing(
        _STATES.get(status, "running"),
        ticket,
        usage=Usage(seconds=None if took is None else took / 1000),
        raw_status=status,
        details=details,
    )
    match known.state:
        case "succeeded":
            return _completed(wire, job, known, body.get("output"))
        case "failed":
            return replace(known, failure=_failure(body, job))
        case "canceled":
            return replace(known, failure=Failure("canceled", "the job was cancelled"))
        case "expired":
            code: Code = "timeout_start" if took is None else "timeout_run"
            return replace(known, failure=Failure(code, "RunPod ended the job: its time was over"))
    return known


def _completed(wire: Wire, job: Job, known: Standing, output: Any) -> Standing:
    """A job whose handler returned, which may still mean that there is no picture."""
    settings = wire.endpoint.settings
    if job.parameters.workflow is None:
        read = _read(output, str(settings.get("outputs", PICTURES)), job.request)
    else:
        read = worker_result(output, None, job.request)
    usd = amount(value_at(output, str(settings.get("cost", ""))))
    usage = replace(known.usage, images=len(read.outputs), reported_usd=usd)
    if read.failure is not None:
        return replace(known, state="failed", usage=usage, failure=read.failure)
    errors = [wire.without_secrets(each) for each in read.errors]
    details = {**known.details, "errors": errors} if errors else known.details
    state: JobState = "partial" if errors else "succeeded"
    return replace(known, state=state, outputs=read.outputs, usage=usage, details=details)


def _read(output: Any, path: str, request: ImageRequest) -> WorkerResult:
    """What a handler of one's own returned."""
    errors = tuple(reason(each, request) for each in values_at(output, "errors[]"))
    try:
        outputs = pictures_at(output, path)
    except OutputUnreachable as error:
        return WorkerResult((), Failure("output_invalid", str(error)), errors)
    if outputs:
        return WorkerResult(outputs, None, errors)
    said = errors[0] if errors else reason(f"the handler's output has no picture: {_shape(output)}", request)
    return WorkerResult((), Failure(_code(said, "output_invalid"), said), errors)


def _failure(body: Mapping[str, Any], job: Job) -> Failure:
    """Why a handler failed: the error's kind and message, and not its traceback, host and inputs.

    An exception is told as JSON in a string. What a handler returns beside its own ``error`` comes as the
    output.
    """
    said = body.get("error")
    told = _json(said) if isinstance(said, str) else said
    if isinstance(told, Mapping):
        kind = _CLASS.sub(r"\1", str(told.get("error_type") or ""))
        said = ": ".join(part for part in (kind, str(told.get("error_message") or "")) if part)
    if job.parameters.workflow is not None:
        read = worker_result(body.get("output"), str(said or "no reason given"), job.request)
        if read.failure is not None:
            return read.failure
    message = reason(said, job.request)
    return Failure(_code(message, "model_error"), message)


def _code(said: str, otherwise: Code) -> Code:
    return "content_filtered" if is_filtered(said) else otherwise


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shape(output: Any) -> str:
    """What an output looks like, without what is in it."""
    if isinstance(output, Mapping):
        status = words(output.get("status"))
        return status or f"its fields are {', '.join(sorted(map(str, output))) or 'none'}"
    return f"it is {type(output).__name__}"
