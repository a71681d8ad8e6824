"""RunPod Serverless as docs.runpod.io describes it, with a handler like worker-sdxl's behind the queue."""

import base64
import json
import secrets
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import httpx

from asset_pipeline.providers.runpod import LARGEST_RUN, LARGEST_SYNC, Runpod
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

DATA = Path(__file__).parents[2] / "data"
ENDPOINT = "sdxl-endpoint"
INPUTS = {
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "seed",
    "scheduler",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "image_url",
}
"""What worker-sdxl's handler knows; others are refused by the SDK's validator, as a failed job."""
FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "steps": "num_inference_steps",
    "guidance_scale": "guidance_scale",
    "scheduler": "scheduler",
    "strength": "strength",
}
Shape = Literal["base64", "data uri", "url", "public endpoint"]


class RunpodVendor(Vendor):
    """One endpoint."""

    name = "runpod"
    host_path = f"/v2/{ENDPOINT}"

    def __init__(self) -> None:
        super().__init__()
        self.shape: Shape = "base64"
        """How the handler gives its pictures."""
        self.kept_seconds = {"run": 1800.0, "runsync": 60.0}
        self.output: Any = None
        """What the handler returns instead, if it is not None."""
        self.failure: Any = None
        """What stands in ``error`` of a job that fails, if it is not None."""
        self.status_word: str | None = None
        """What it says of a running job instead."""

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST" and request.path.rpartition("/")[2] in self.kept_seconds

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/files/"):
            return self._file(request)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401)
        operation, _, job_id = request.path.removeprefix(f"{self.host_path}/").partition("/")
        if operation in self.kept_seconds and request.method == "POST":
            return self._submit(request, operation)
        job = self._known(job_id)
        if operation == "status" and job is not None:
            return Reply(200, self._told(job))
        if operation == "cancel" and job is not None and request.method == "POST":
            self.cancel(job)
            return Reply(200, {"id": job.job_id, "status": self._told(job)["status"]})
        return Reply(404, {"error": "not found"})

    def _submit(self, request: Request, operation: str) -> Reply:
        if len(request.body) > (LARGEST_RUN if operation == "run" else LARGEST_SYNC):
            return Reply(413, {"error": "request body too large"})
        try:
            body = request.json()
        except ValueError:
            return Reply(400, {"error": "invalid JSON"})
        policy = body.get("policy", {})
        known = {"input", "webhook", "policy", "s3Config"}
        if not isinstance(body.get("input"), dict) or set(body) - known:
            return Reply(400, {"error": "input is required"})
        if policy.get("executionTimeout", 5000) < 5000 or policy.get("ttl", 10000) < 10000:
            return Reply(400, {"error": "policy out of range"})
        given = body["input"]
        job = self.accept(
            body,
            width=given.get("width", 1024),
            height=given.get("height", 1024),
            seed=given.get("seed", 0),
            webhook=body.get("webhook"),
            operation=operation,
        )
        job.job_id = f"{'sync-' if operation == 'runsync' else ''}{secrets.token_hex(8)}-e1"
        if job.webhook:
            threading.Thread(target=self._call_back, args=(job,), daemon=True).start()
        if operation == "runsync":
            over = time.monotonic() + int(request.query.get("wait", 90_000)) / 1000
            while job.state in ("queued", "running") and time.monotonic() < over:
                time.sleep(0.01)
            return Reply(200, self._told(job))
        return Reply(200, {"id": job.job_id, "status": "IN_QUEUE"})

    def _known(self, job_id: str) -> Job | None:
        """A job within its time to live and its retention."""
        job = self.job(job_id)
        if job is None:
            return None
        now, ended = time.time(), job.accepted_at + job.behaviour.queue_seconds + job.behaviour.run_seconds
        lives = job.payload.get("policy", {}).get("ttl", 86_400_000) / 1000
        kept = self.kept_seconds[job.details["operation"]]
        return None if now > job.accepted_at + lives or now > ended + kept else job

    def _told(self, job: Job) -> dict[str, Any]:
        told: dict[str, Any] = {"id": job.job_id}
        began = {"delayTime": round(1000 * job.behaviour.queue_seconds), "workerId": "worker1"}
        limit = job.payload.get("policy", {}).get("executionTimeout", 600_000) / 1000
        age = time.time() - job.accepted_at - job.behaviour.queue_seconds
        match job.state:
            case "queued":
                return {**told, "status": "IN_QUEUE"}
            case "running" if age <= limit:
                return {**told, **began, "status": self.status_word or "IN_PROGRESS"}
            case "canceled":
                return {**told, "status": "CANCELLED"}
        return self._ended(job, {**told, **began}, limit)

    def _ended(self, job: Job, told: dict[str, Any], limit: float) -> dict[str, Any]:
        told = {**told, "executionTime": round(1000 * min(job.behaviour.run_seconds, limit))}
        if job.behaviour.run_seconds > limit:
            return {**told, "status": "TIMED_OUT"}
        unknown = sorted(set(job.payload["input"]) - INPUTS)
        if unknown:
            errors = [f"Unexpected input. {name} is not a valid input option." for name in unknown]
            return {**told, "status": "FAILED", "error": str(errors)}
        if job.behaviour.outcome == "fails":
            return {**told, "status": "FAILED", "error": self.failure or raised(job.behaviour.error)}
        return {**told, "status": "COMPLETED", "output": self._output(job)}

    def _output(self, job: Job) -> Any:
        if self.output is not None:
            return self.output
        pictures = job.pictures()
        places = [f"{self.url}/files/{job.job_id}/{number}.png" for number in range(len(pictures))]
        match self.shape:
            case "url":
                return {"images": places, "seed": job.seed}
            case "public endpoint":
                return {"image_url": places[0] if places else None, "cost": self.price_usd}
        encoded = [base64.b64encode(data).decode() for data in pictures]
        prefix = "data:image/png;base64," if self.shape == "data uri" else ""
        return {"images": [f"{prefix}{each}" for each in encoded], "seed": job.seed}

    def _file(self, request: Request) -> Reply:
        _, _, job_id, name = request.path.split("/")
        job = self.job(job_id)
        return Reply(404) if job is None else Reply(200, job.pictures()[int(name.partition(".")[0])])

    def _call_back(self, job: Job) -> None:
        """Tell the webhook, unsigned, when the job has ended; RunPod tries it three times."""
        while job.state in ("queued", "running"):
            time.sleep(0.01)
        if job.state == "canceled" or job.webhook is None:
            return
        body = {**self._told(job), "input": job.payload["input"], "webhook": job.webhook}
        for _ in range(3):
            with suppress(httpx.HTTPError):
                if httpx.post(job.webhook, json=body).status_code == HTTPStatus.OK:
                    return
            time.sleep(0.05)


def raised(message: str) -> str:
    """An exception of a handler, as the SDK posts it."""
    return json.dumps(
        {
            "error_type": "<class 'RuntimeError'>",
            "error_message": message,
            "error_traceback": "Traceback (most recent call last):\n  File '/handler.py', SECRET=1",
            "hostname": "pod-64-secret",
            "worker_id": "worker1",
            "runpod_version": "1.12.0",
        }
    )


def case() -> Case:
    """The adapter with a raw handler."""
    return Case(Runpod(DATA), RunpodVendor, {"fields": FIELDS, "references": {"base": "image_url"}})
