"""What a ComfyUI server says of jobs, files and errors, in our words. Pure.

https://github.com/Comfy-Org/ComfyUI/blob/master/server.py

What an error holds besides its kind (inputs, tensors, tracebacks) stays here: it repeats the request.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from asset_pipeline.candidates.jobs.answers import amount, reason, words
from asset_pipeline.candidates.jobs.job import Failure, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageRequest

WITHOUT_JOBS: Final = (0, 3)
"""Servers up to this version have no ``/api/jobs``."""
CANCELS_JOBS: Final = (0, 38)
"""Servers from this version on cancel one job by its id."""
_STATES: Mapping[str, JobState] = {
    "pending": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "canceled",
}
_MODEL_INPUT = re.compile(r"(?:ckpt|lora|unet|vae|clip|control_net|model|style_model)_name\d?$|^model$")
_NO_SUCH_NODE = {"missing_node_type", "invalid_prompt"}


def version_number(version: str) -> tuple[int, ...]:
    """``0.24.0`` as numbers that can be compared; of an unknown version the newest."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    return tuple(int(part) for part in numbers.groups()) if numbers else (2**31,)


def place_of(image: Mapping[str, Any]) -> str:
    """Where a file is fetched, relative to the server."""
    query = {name: str(image.get(name, "")) for name in ("filename", "subfolder", "type")}
    return f"view?{urlencode(query)}"


def standing_of_job(
    job: Mapping[str, Any], ticket: Ticket, outputs: Sequence[str], request: ImageRequest
) -> Standing:
    """What a job as ``/api/jobs/{id}`` tells it stands at. A status that is not known goes on."""
    status = str(job.get("status"))
    started, ended = amount(job.get("execution_start_time")), amount(job.get("execution_end_time"))
    seconds = (ended - started) / 1000 if started is not None and ended is not None else None
    state = _STATES.get(status, "running")
    return _standing(state, ticket, job, outputs, request, seconds=seconds, raw=status)


def standing_of_history(
    entry: Mapping[str, Any], ticket: Ticket, outputs: Sequence[str], request: ImageRequest
) -> Standing:
    """What an entry of ``/history/{id}`` stands at; whether it was interrupted, its messages alone tell."""
    status = entry.get("status") or {}
    events = {str(name): data for name, data in status.get("messages", ()) if isinstance(data, dict)}
    moments = [stamp for each in events.values() if (stamp := amount(each.get("timestamp"))) is not None]
    seconds = (max(moments) - min(moments)) / 1000 if moments else None
    if status.get("status_str") == "success":
        state: JobState = "succeeded"
    else:
        state = "canceled" if "execution_interrupted" in events else "failed"
    told = {"outputs": entry.get("outputs"), "execution_error": events.get("execution_error")}
    raw = str(status.get("status_str"))
    return _standing(state, ticket, told, outputs, request, seconds=seconds, raw=raw)


def explain(status: int, body: Any) -> Failure | None:
    """What a server says of a graph that it did not queue; None where it says nothing of the graph."""
    error = body.get("error") if isinstance(body, dict) else None
    if status != HTTPStatus.BAD_REQUEST or not isinstance(error, dict):
        return None  # what stands in front of a server has errors of its own
    kind, wrong = str(error.get("type")), node_errors(body)
    if kind in _NO_SUCH_NODE:
        return Failure("not_found", f"the server lacks a class of nodes ({kind}, {error.get('details')})")
    return node_failure(wrong) or Failure("invalid_request", f"the server refuses the graph: {kind}")


def node_errors(body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is wrong with which node: the node with its class, the kind of error, the input."""
    return list(_node_errors(body.get("node_errors")))


def node_failure(wrong: Sequence[tuple[str, str, str]]) -> Failure | None:
    """What errors of nodes mean; None if there are none. A missing model is not about this request alone."""
    if not wrong:
        return None
    said = "; ".join(f"node {node}: {kind}: {name}" for node, kind, name in wrong)
    kinds = {kind for _, kind, _ in wrong}
    if any(kind == "value_not_in_list" and _MODEL_INPUT.search(name) for _, kind, name in wrong):
        return Failure("not_found", f"the server lacks a model file: {said}")
    if kinds == {"custom_validation_failed"}:
        return Failure("provider_unavailable", f"the server lacks an uploaded photograph: {said}")
    return Failure("invalid_request", f"the server refuses the graph: {said}")


def _standing(  # noqa: PLR0913 - an answer with all that is known besides
    state: JobState,
    ticket: Ticket,
    told: Mapping[str, Any],
    outputs: Sequence[str],
    request: ImageRequest,
    *,
    seconds: float | None,
    raw: str,
) -> Standing:
    pictures: tuple[Output, ...] = ()
    failure: Failure | None = None
    match state:
        case "succeeded":
            pictures = tuple(_pictures(told.get("outputs"), outputs, request))
            if not pictures:
                state, failure = "failed", Failure("output_invalid", "the job succeeded without a picture")
        case "failed":
            failure = Failure("model_error", reason(_error(told.get("execution_error")), request))
        case "canceled":
            failure = Failure("canceled", "the job was interrupted")
    version = ticket.details.get("version")
    return Standing(
        state,
        ticket,
        pictures,
        failure,
        Usage(images=len(pictures) or None, seconds=seconds),
        model_version=f"ComfyUI {version}" if version else None,
        raw_status=raw,
        details={
            name: ticket.details[name] for name in ("version", "graph_sha256") if name in ticket.details
        },
    )


def _pictures(found: Any, outputs: Sequence[str], request: ImageRequest) -> Iterator[Output]:
    """The pictures of the nodes that count; what others preview or save is not ours."""
    for node in outputs:
        given = found.get(node) if isinstance(found, dict) else None
        for image in given.get("images", ()) if isinstance(given, dict) else ():
            if isinstance(image, dict) and image.get("type") == "output" and words(image.get("filename")):
                yield Output(url=place_of(image), seed=request.seed)


def _error(error: Any) -> str:
    if not isinstance(error, dict):
        return "the job failed"
    return f"{error.get('node_type')}: {error.get('exception_type')}: {error.get('exception_message')}"


def _node_errors(found: Any) -> Iterator[tuple[str, str, str]]:
    for node, told in found.items() if isinstance(found, dict) else ():
        for error in told.get("errors", ()) if isinstance(told, dict) else ():
            name = (error.get("extra_info") or {}).get("input_name", "")
            yield f"{node} ({told.get('class_type')})", str(error.get("type")), str(name)
