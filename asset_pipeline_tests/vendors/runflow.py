"""A pretended Runflow: runs that name their cost, no cancelling, callbacks signed with an HMAC of the body
alone."""

import hmac
import json
import secrets
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from asset_pipeline.providers.runflow import Runflow
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

MODEL = "acme/mugs/draw"
NAMES = {"width": "width", "height": "height", "seed": "seed"}
PAGE = 3
"""Runs on a page of the listing, at most; it is small, so that tests turn pages."""
_BODY = {"input", "metadata", "callback_url"}


class PretendedRunflow(Vendor):
    """One model, ``acme/mugs/draw``."""

    name = "runflow"
    host_path = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.callback_secret = f"whsec_{secrets.token_hex(16)}"
        self.has_credit = True
        self.spelling = "cancelled"
        """Its documentation has both."""

    def is_submission(self, request: Request) -> bool:
        """See Vendor."""
        return request.method == "POST" and request.path.endswith("/runs")

    def answer(self, request: Request) -> Reply:
        """See Vendor."""
        if request.path.startswith("/files/"):
            _, _, job_id, number = request.path.split("/")
            job = self.job(job_id)
            return Reply(body=job.pictures()[int(number)]) if job else Reply(403, b"Request has expired")
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "UNAUTHORIZED", "Authentication is required")
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["models", *slug, "runs"]:
                reply = self._submit(request, "/".join(slug))
            case "GET", ["runs"]:
                reply = self._listed(request)
            case "GET", ["runs", run_id] if job := self.job(run_id):
                reply = Reply(body=self.run(job))
            case "GET", ["runs", _]:
                reply = _error(404, "RUN_NOT_FOUND", "Run not found")
            case _:
                reply = _error(404, "NOT_FOUND", "No such route")
        return reply

    def run(self, job: Job) -> dict[str, Any]:
        """A job as Runflow tells of it."""
        ran = job.behaviour
        begun = job.accepted_at + ran.queue_seconds
        status = self._status(job)
        is_over = status not in ("queued", "running")
        is_failed = status == "failed"
        is_filtered = ran.outcome == "is filtered"
        return {
            "id": job.job_id,
            "status_code": status,
            "target_type": "model",
            "target_version": "3",
            "input": job.payload["input"],
            "output": self._output(job) if status in ("succeeded", "partial_succeeded") else None,
            "duration_ms": int(ran.run_seconds * 1000) if is_over else None,
            "cost": f"{job.billed_usd:.6f}" if is_over else "0",
            "cost_breakdown": {},
            "client_ref": None,
            "metadata": job.payload.get("metadata"),
            "request_id": f"req_{job.job_id}",
            "failure_code": ("CONTENT_POLICY" if is_filtered else "PROVIDER_ERROR") if is_failed else None,
            "failure_message": (None if is_filtered else ran.error) if is_failed else None,
            "created_at": _time(job.accepted_at),
            "started_at": None if status == "queued" else _time(begun),
            "completed_at": _time(begun + ran.run_seconds) if is_over else None,
        }

    def deliver(self, job: Job, address: str) -> None:
        """Call back once, signed."""
        run = self.run(job)
        event = {"succeeded": "completed", "failed": "failed"}.get(run["status_code"], run["status_code"])
        told = {
            "event": f"run.{event}",
            "run_id": job.job_id,
            "status": run["status_code"],
            "output": run["output"],
            "metadata": job.payload.get("metadata"),
        }
        body = json.dumps(told).encode()
        headers = {
            "Content-Type": "application/json",
            "Runflow-Request-Id": run["request_id"],
            "Runflow-Signature": hmac.new(self.callback_secret.encode(), body, "sha256").hexdigest(),
        }
        with suppress(httpx.HTTPError):
            httpx.post(address, content=body, headers=headers)

    def _submit(self, request: Request, model: str) -> Reply:
        if model != MODEL:
            return _error(404, "MODEL_NOT_FOUND", f"Model {model} not found")
        if not self.has_credit:
            return _error(402, "INSUFFICIENT_CREDIT", "Insufficient credit")
        try:
            body = request.json()
        except ValueError:
            body = None
        wanted = body.get("input") if isinstance(body, dict) else None
        if not isinstance(wanted, dict) or body.keys() - _BODY or not isinstance(wanted.get("prompt"), str):
            errors = [{"path": "input.prompt", "message": "Required"}]
            return Reply(422, {"code": "VALIDATION_ERROR", "message": "Invalid input", "errors": errors})
        job = self.accept(
            body,
            width=wanted.get("width", 128),
            height=wanted.get("height", 64),
            seed=wanted.get("seed", 0),
            webhook=body.get("callback_url"),
        )
        if job.webhook:
            wait = job.behaviour.queue_seconds + job.behaviour.run_seconds
            threading.Timer(wait, self.deliver, (job, job.webhook)).start()
        return Reply(201, {**self.run(job), "status_code": "queued", "output": None, "cost": "0"})

    def _listed(self, request: Request) -> Reply:
        if request.query.get("sort_by") != "created_at:desc":
            return _error(400, "BAD_REQUEST", "This test sorts by time, the newest first")
        known = [job for job in reversed(self.jobs) if not job.is_forgotten]
        start, size = int(request.query.get("pq", 0)), min(PAGE, int(request.query["limit"]))
        following = str(start + size) if start + size < len(known) else None
        items = [self.run(job) for job in known[start : start + size]]
        return Reply(body={"items": items, "next_pq": following, "prev_pq": None})

    def _status(self, job: Job) -> str:
        if job.state in ("queued", "running"):
            return job.state
        if job.state == "canceled":
            return self.spelling
        if job.behaviour.outcome in ("fails", "is filtered"):
            return "failed"
        return str(job.details.get("end", "succeeded"))

    def _output(self, job: Job) -> dict[str, Any]:
        places = [f"{self.url}/files/{job.job_id}/{number}" for number in range(len(job.pictures()))]
        return {"outputs": [{"url": place, "type": "image"} for place in places], "image_urls": places}


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "errors": None})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def case() -> Case:
    """The adapter with the vendor it is tried on."""
    return Case(Runflow(), PretendedRunflow, {"model": MODEL, "fields": NAMES})
