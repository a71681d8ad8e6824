"""What worker-comfyui, the handler that runs a ComfyUI behind a queue, takes and answers. Pure.

https://github.com/runpod-workers/worker-comfyui (5.8; before 5 the answer held one picture, as ``message``)

A photograph travels inside the payload, under the name that the graph loads it by. The handler does not look
at what it is given: base64 that is none is a picture to it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asset_pipeline.candidates.jobs.answers import reason, words
from asset_pipeline.candidates.jobs.immediate import inline
from asset_pipeline.candidates.jobs.job import Failure, Job, Output
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.workflows.job_graph import JobGraph, graph_for, workflow_of

_VALIDATION = "Workflow validation failed"
_GENERAL = "Job processing failed"
_LIST = re.compile(r"not[ _]in[ _]list", re.IGNORECASE)


@dataclass(frozen=True)
class WorkerInput:
    """What is sent as a job's ``input``."""

    payload: Mapping[str, Any]
    filled: JobGraph


@dataclass(frozen=True)
class WorkerResult:
    """What a worker's answer comes to: pictures, or the failure that there is none."""

    outputs: tuple[Output, ...]
    failure: Failure | None
    errors: tuple[str, ...]
    """What went wrong beside the pictures that were made."""


def worker_input(data: Path, job: Job, sent: Mapping[str, str]) -> WorkerInput:
    """Put a job into a worker's words.

    Args:
        data: the project's data folder.
        job: the job; its profile names the workflow.
        sent: the data URI of each photograph, by SHA-256.

    Raises:
        UnsupportedRequest, NotFound, InvalidFile: see `workflow_of` and `graph_for`.
    """
    names = {
        each.sha256: f"{each.sha256}.{each.media_type.rpartition('/')[2]}" for each in job.request.references
    }
    filled = graph_for(workflow_of(data, job.parameters), job, names)
    used = {
        value for node in filled.graph.values() for value in node["inputs"].values() if isinstance(value, str)
    }
    images = [{"name": name, "image": sent[key]} for key, name in names.items() if name in used]
    payload = {"workflow": filled.graph, "images": images} if images else {"workflow": filled.graph}
    return WorkerInput(payload, filled)


def worker_result(output: Any, error: Any, request: ImageRequest) -> WorkerResult:
    """Read a worker's answer.

    Args:
        output: the job's ``output``, which may stand beside an error.
        error: the job's ``error``, as text; nothing if it completed.
        request: the request, whose words are kept out of what is said.
    """
    told: Mapping[str, Any] = output if isinstance(output, Mapping) else {}
    errors = tuple(reason(each, request) for each in _list(told.get("errors")))
    if error:
        return WorkerResult((), _failure(str(error), told, request), errors)
    outputs = tuple(found for image in _images(told) if (found := _output(image, request)) is not None)
    if outputs:
        return WorkerResult(outputs, None, errors)
    said = errors[0] if errors else words(told.get("status")) or "the worker's output has no picture"
    return WorkerResult((), Failure("output_invalid", said), errors)


def _failure(error: str, told: Mapping[str, Any], request: ImageRequest) -> Failure:
    """Why a worker failed: of its general words the details say more."""
    if error.startswith(_VALIDATION):
        if _LIST.search(error) and "_name" in error:
            return Failure("not_found", reason(f"the worker lacks a model file: {error}", request))
        return Failure("invalid_request", reason(error, request))
    details = [str(each) for each in _list(told.get("details"))] if error.startswith(_GENERAL) else []
    return Failure("model_error", reason(": ".join([error, *details]), request))


def _images(told: Mapping[str, Any]) -> list[Any]:
    if "images" in told:
        return _list(told["images"])
    return [{"data": told["message"]}] if words(told.get("message")) else []


def _output(image: Any, request: ImageRequest) -> Output | None:
    """A picture: an address in the operator's bucket, or base64."""
    place = words(image.get("data")) if isinstance(image, Mapping) else None
    if place is None:
        return None
    if place.startswith(("https://", "http://")):
        return Output(url=place, seed=request.seed)
    found = inline(place)
    return Output(data=found.data, seed=request.seed) if found else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
