"""ComfyUI: a filled workflow is queued under an id of ours, asked for by it, and its files fetched.

https://docs.comfy.org/development/comfyui-server/comms_routes

A server that receives the same id twice draws twice: the id is for finding a submission again, and nothing is
sent again. A server that was started again has forgotten its queue and its history, and still has its files,
whose names begin with the attempt's own. Servers are shared with people who draw by hand: jobs that are not
ours are not touched.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import words
from asset_pipeline.candidates.jobs.job import Draft, Failure, Job, Output, RemoteParameters, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Answer, Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderRefused, ProviderUnavailable, SubmissionUnknown
from asset_pipeline.workflows.job_graph import first_files, graph_for, identity_of, workflow_of
from asset_pipeline.workflows.live import listen
from asset_pipeline.workflows.server import (
    CANCELS_JOBS,
    WITHOUT_JOBS,
    explain,
    node_errors,
    node_failure,
    place_of,
    standing_of_history,
    standing_of_job,
    version_number,
)

FOLDER = "asset_pipeline"
"""Below the server's input folder: where photographs are put."""


class ComfyUI:
    """Puts jobs into a workflow's words, and a workflow onto a server.

    Args:
        data: the project's data folder, with ``workflows`` in it.
    """

    name = "comfyui"
    version = "1"
    abilities = Abilities(
        says=frozenset(
            {"prompt", "negative_prompt", "width", "seed", "steps", "guidance_scale", "sampler", "scheduler"}
        ),
        more_by_profile=False,
        references="upload",
        synchronous=False,
        finds="by our id",
        cancels=True,
        webhook="none",
        reports=frozenset({"seconds"}),
        pins="workflow",
        retention_seconds=None,
        streams_progress=True,
    )

    def __init__(self, data: Path) -> None:
        self._data = data

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter. ComfyUI has no keys; what stands in front of it may."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def version_of(self, parameters: RemoteParameters) -> str:
        """The workflow: another graph, or another model in it, draws other pictures."""
        return identity_of(self._data, parameters)

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter. Raises also NotFound and InvalidFile, if the workflow is not there or wrong."""
        filled = graph_for(workflow_of(self._data, job.parameters), job, sent)
        payload = {"prompt": filled.graph, "prompt_id": job.client_id, "client_id": job.client_id}
        own = job.parameters
        unsaid = tuple(name for name, value in (("model", own.model), ("version", own.version)) if value)
        return Draft(payload, (*filled.dropped, *unsaid), "prompt", filled.details)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. A graph that was queued although a part of it is wrong is cancelled at once."""
        del photographs
        ticket = self._ticket(wire, job, str(draft.details.get("graph_sha256", "")))
        body = wire.read_submitted(wire.submit(draft.url, draft.payload, explain=_explain))
        if body.get("prompt_id") != job.client_id:
            raise SubmissionUnknown("ComfyUI accepted a submission under another id than ours")
        failure = node_failure(node_errors(body))
        if failure is None:
            return Standing("queued", ticket, raw_status="pending")
        with suppress(ProviderUnavailable):
            self.cancel(wire, job, ticket)
        return Standing("failed", ticket, failure=failure, raw_status="node_errors")

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter. What a server has forgotten is looked for among its files."""
        outputs = json.loads(ticket.details["outputs"])
        known = self._in_jobs(wire, job, ticket, outputs)
        if known is None:
            known = self._in_queue(wire, ticket) or self._in_history(wire, job, ticket, outputs)
        if known is not None and known.state != "lost":
            return known
        return self._in_files(wire, job, ticket, outputs) or Standing(
            "lost", ticket, failure=Failure("lost", "the server knows neither the job nor its files")
        )

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter. A server that has neither the job nor its files will not bring it any more."""
        del since
        standing = self.look(
            wire, job, self._ticket(wire, job, workflow_of(self._data, job.parameters).graph_sha256)
        )
        if standing.state != "lost":
            return standing
        return Standing("lost", failure=Failure("lost", "the server has no such job", is_billed=False))

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter. Never interrupts whatever runs: before 0.38 our id must be that of the running job."""
        del job
        path = f"api/jobs/{quote(ticket.job_id, safe='')}/cancel"
        if version_number(ticket.details["version"]) >= CANCELS_JOBS:
            answer = wire.ask(path, method="POST")
            if answer.status == HTTPStatus.OK:
                return bool(wire.read(answer).get("cancelled"))
        wire.ask("queue", {"delete": [ticket.job_id]}, method="POST")
        running, _ = _queue(wire)
        if ticket.job_id in running:
            wire.ask("interrupt", {"prompt_id": ticket.job_id}, method="POST")
        return True

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter. Named by its contents; what counts is the name that the server answers with."""
        name = f"{reference.sha256}.{reference.media_type.rpartition('/')[2]}"
        answer = wire.ask(
            "upload/image",
            method="POST",
            files={"image": (name, data, reference.media_type)},
            data={"type": "input", "subfolder": FOLDER},
        )
        if answer.status != HTTPStatus.OK:
            raise ProviderRefused(f"ComfyUI takes no {reference.role} photograph: {answer.status}")
        body = wire.read(answer)
        given = words(body.get("name"))
        if given is None:
            raise ProviderUnavailable("ComfyUI took a photograph and does not say how it is called")
        folder = words(body.get("subfolder"))
        return f"{folder}/{given}" if folder else given

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it calls nobody."""

    @staticmethod
    def listen(wire: Wire, job: Job, seconds: float, told: Callable[[float], None]) -> bool:
        """Wait for a job and tell its progress; see `live.listen`. What it came to, `look` says."""
        return listen(wire.endpoint.base_url, wire.headers, job.client_id, job.client_id, seconds, told)

    def _ticket(self, wire: Wire, job: Job, graph_sha256: str) -> Ticket:
        """How the job is found again: all that must not change under it is written down."""
        stats = wire.read(wire.ask("system_stats")).get("system")
        version = words(stats.get("comfyui_version")) if isinstance(stats, dict) else None
        outputs = workflow_of(self._data, job.parameters).manifest.outputs
        details = {
            "version": version or "unknown",
            "graph_sha256": graph_sha256,
            "outputs": json.dumps(outputs),
        }
        return Ticket(job_id=job.client_id, details=details)

    @staticmethod
    def _in_jobs(wire: Wire, job: Job, ticket: Ticket, outputs: list[str]) -> Standing | None:
        """What ``/api/jobs`` says; None where there is no such route."""
        if version_number(ticket.details["version"]) <= WITHOUT_JOBS:
            return None
        answer = wire.ask(f"api/jobs/{quote(ticket.job_id, safe='')}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", ticket) if _is_json(answer) else None
        return standing_of_job(_read(wire, answer), ticket, outputs, job.request)

    @staticmethod
    def _in_queue(wire: Wire, ticket: Ticket) -> Standing | None:
        """Whether it waits or runs. Asked before the history: a job moves from here to there."""
        running, pending = _queue(wire)
        if ticket.job_id in running:
            return Standing("running", ticket, raw_status="queue_running")
        if ticket.job_id in pending:
            position = pending.index(ticket.job_id) + len(running)
            return Standing("queued", ticket, raw_status="queue_pending", queue_position=position)
        return None

    @staticmethod
    def _in_history(wire: Wire, job: Job, ticket: Ticket, outputs: list[str]) -> Standing | None:
        answer = wire.ask(f"history/{quote(ticket.job_id, safe='')}")
        entry = _read(wire, answer).get(ticket.job_id)
        return standing_of_history(entry, ticket, outputs, job.request) if isinstance(entry, dict) else None

    @staticmethod
    def _in_files(wire: Wire, job: Job, ticket: Ticket, outputs: list[str]) -> Standing | None:
        """The files that the attempt has written; None unless all of them are there."""
        found = []
        for name in first_files(outputs, job):
            answer = wire.ask(place_of({"filename": name, "type": "output"}))
            if answer.status != HTTPStatus.OK:
                return None
            found.append(Output(data=answer.data, seed=job.request.seed))
        told = standing_of_job({"status": "forgotten"}, ticket, (), job.request)
        return Standing(
            "succeeded",
            ticket,
            tuple(found),
            model_version=told.model_version,
            raw_status="forgotten",
            details=told.details,
        )


def _explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
    del headers
    return explain(status, body)


def _queue(wire: Wire) -> tuple[list[str], list[str]]:
    """The ids of the jobs that run and of those that wait, whoever's they are."""
    body = _read(wire, wire.ask("queue"))
    running, pending = (
        [str(entry[1]) for entry in body.get(name) or () if isinstance(entry, list) and len(entry) > 1]
        for name in ("queue_running", "queue_pending")
    )
    return running, pending


def _read(wire: Wire, answer: Answer) -> dict[str, Any]:
    if answer.status != HTTPStatus.OK:
        raise ProviderUnavailable(f"{wire.title} answered {answer.status} when asked for a job")
    return wire.read(answer)


def _is_json(answer: Answer) -> bool:
    try:
        return isinstance(answer.json(), dict)
    except ValueError:
        return False
