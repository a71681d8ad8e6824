"""Queues that `submit_poll` is configured for: an operator's own, Comfy Deploy, Modal, BentoML and Salad."""

import base64
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx

from asset_pipeline.providers.submit_poll import SubmitPoll
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

DEPLOYMENT = "12345678-1234-5678-1234-567812345678"
INPUTS = ("prompt", "negative_prompt", "width", "height", "seed", "steps", "guidance_scale", "sampler")


class Queue(Vendor):
    """What they share."""

    submit_path: str

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST" and request.path == self.submit_path

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/files/"):
            _, _, job_id, number = request.path.split("/")
            job = self.job(job_id)
            return Reply(404) if job is None else Reply(200, job.pictures()[int(number)])
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, {"detail": "Invalid or expired token"})
        if self.is_submission(request):
            return self.submitted(request)
        return self.asked(request)

    def submitted(self, request: Request) -> Reply:
        raise NotImplementedError

    def asked(self, request: Request) -> Reply:
        raise NotImplementedError

    def take(
        self, payload: Any, inputs: Mapping[str, Any], webhook: str | None = None, **details: Any
    ) -> Job:
        """Write a job into the books, and call back when it has ended."""
        size = {"width": inputs.get("width", 64), "height": inputs.get("height", 64)}
        job = self.accept(payload, **size, seed=inputs.get("seed", 0), webhook=webhook, **details)
        if webhook:
            threading.Thread(target=self._call_back, args=(job, webhook), daemon=True).start()
        return job

    def told(self, job: Job) -> dict[str, Any]:
        """The job as it is told, to a webhook too."""
        raise NotImplementedError

    def places(self, job: Job) -> list[str]:
        return [f"{self.url}/files/{job.job_id}/{number}" for number in range(len(job.pictures()))]

    def _call_back(self, job: Job, webhook: str) -> None:
        while job.state in ("queued", "running"):
            time.sleep(0.01)
        with suppress(httpx.HTTPError):
            httpx.post(webhook, json=self.told(job))


class ComfyDeploy(Queue):
    """Comfy Deploy's API as the models of its SDK describe it."""

    name = "comfy deploy"
    host_path = "/api"
    submit_path = "/api/run/deployment/queue"
    fields = frozenset({"deployment_id", "inputs", "webhook", "webhook_intermediate_status", "gpu"})

    def __init__(self) -> None:
        super().__init__()
        self.status_word: str | None = None

    def submitted(self, request: Request) -> Reply:
        body = request.json()
        if set(body) - self.fields or body.get("deployment_id") != DEPLOYMENT:
            return Reply(422, {"detail": [{"loc": ["body"], "msg": "unknown field or deployment"}]})
        if unknown := set(body["inputs"]) - set(INPUTS):
            return Reply(422, {"detail": f"the deployment has no inputs {sorted(unknown)}"})
        return Reply(200, {"run_id": self.take(body, body["inputs"], body.get("webhook")).job_id})

    def asked(self, request: Request) -> Reply:
        parts = request.path.removeprefix("/api/").split("/")
        job = self.job(parts[1]) if parts[0] == "run" and len(parts) > 1 else None
        if job is None:
            return Reply(404, {"detail": "Run not found"})
        if parts[2:] == ["cancel"] and request.method == "POST":
            self.cancel(job)
            return Reply(200, {"message": "Run cancelled"})
        return Reply(200, self.told(job)) if request.method == "GET" else Reply(405)

    def told(self, job: Job) -> dict[str, Any]:
        word = {"queued": "queued", "running": self.status_word or "running", "canceled": "cancelled"}.get(
            job.state
        )
        if word is not None:
            return {
                "run_id": job.job_id,
                "status": word,
                "progress": 0.5 if word == "running" else 0.0,
                "outputs": [],
            }
        if job.behaviour.outcome == "fails":
            return {"run_id": job.job_id, "status": "failed", "outputs": [], "error": job.behaviour.error}
        images = [{"filename": f"{number}.png", "url": url} for number, url in enumerate(self.places(job))]
        return {
            "run_id": job.job_id,
            "status": "success",
            "progress": 1.0,
            "run_duration": job.behaviour.run_seconds,
            "outputs": [{"data": {"images": images}}, {"data": {"text": ["a note"]}}],
        }


class OwnQueue(ComfyDeploy):
    """One that an operator wrote: like that, and it can be asked by our name for a job."""

    name = "own queue"
    fields = ComfyDeploy.fields | {"client_id", "model", "version"}

    def asked(self, request: Request) -> Reply:
        place = request.path.removeprefix("/api/run/by-client/")
        if place != request.path:
            found = next((job for job in self.jobs if job.payload.get("client_id") == place), None)
            known = found is not None and not found.is_forgotten
            return Reply(200, {"run_id": found.job_id}) if found and known else Reply(404)
        return super().asked(request)


class Modal(Queue):
    """A function of one's own on Modal: its answer is the picture; after a while the caller is sent on."""

    name = "modal"
    submit_path = "/"

    def __init__(self) -> None:
        super().__init__()
        self.patience_seconds = 0.05
        """How long a request is held; 150 on Modal."""

    def submitted(self, request: Request) -> Reply:
        if request.query:
            return Reply(400, b"modal-http: bad redirect method")
        body = request.json()
        return self._held(self.take(body, body))

    def asked(self, request: Request) -> Reply:
        job = self.job(request.query.get("__modal_function_call_id", ""))
        if request.method != "GET" or request.path != self.submit_path:
            return Reply(405)
        return Reply(404, b"modal-http: not found") if job is None else self._held(job)

    def _held(self, job: Job) -> Reply:
        over = time.monotonic() + self.patience_seconds
        while job.state in ("queued", "running") and time.monotonic() < over:
            time.sleep(0.005)
        if job.state in ("queued", "running"):
            return Reply(303, b"", {"Location": f"{self.url}/?__modal_function_call_id={job.job_id}"})
        if job.behaviour.outcome == "fails":
            return Reply(422, {"detail": job.behaviour.error})
        pictures = job.pictures()
        return Reply(200, pictures[0] if pictures else {"pictures": []})


class BentoML(Queue):
    """The task ``generate`` of a BentoML service."""

    name = "bentoml"
    submit_path = "/generate/submit"

    def submitted(self, request: Request) -> Reply:
        body = request.json()
        return Reply(200, {"task_id": self.take(body, body).job_id, "status": "in_progress"})

    def asked(self, request: Request) -> Reply:
        job = self.job(request.query.get("task_id", ""))
        if job is None:
            return Reply(404, {"error": "task not found"})
        if request.path == "/generate/cancel" and request.method == "PUT":
            self.cancel(job)
            return Reply(200, {"task_id": job.job_id})
        word = {"over": "failure" if job.behaviour.outcome == "fails" else "success", "canceled": "canceled"}
        if request.path == "/generate/status":
            return Reply(200, {"task_id": job.job_id, "status": word.get(job.state, "in_progress")})
        return Reply(200, job.pictures()[0]) if request.path == "/generate/get" else Reply(404)


class Salad(Queue):
    """comfyui-api: it keeps no job, and tells the result to the webhook, or to whoever waits."""

    name = "salad"
    submit_path = "/prompt"

    def submitted(self, request: Request) -> Reply:
        body = request.json()
        inputs = {name: value for node in body["prompt"].values() for name, value in node["inputs"].items()}
        job = self.take(body, inputs, body.get("webhook_v2"))
        if job.webhook:
            return Reply(202, {"id": body["id"], "webhook_v2": job.webhook, "status": "ok"})
        return Reply(200, self.told(job))

    def asked(self, request: Request) -> Reply:
        return Reply(404, {"message": f"Route {request.method}:{request.path} not found"})

    def told(self, job: Job) -> dict[str, Any]:
        told: dict[str, Any] = {"id": job.payload["id"], "prompt": job.payload["prompt"]}
        if job.behaviour.outcome == "fails":
            return {**told, "type": "prompt.failed", "error": job.behaviour.error}
        images = [base64.b64encode(data).decode() for data in job.pictures()]
        return {**told, "type": "prompt.complete", "images": images, "filenames": [], "stats": {}}


QUEUE = {
    "submit": "run/deployment/queue",
    "id": "run_id",
    "webhook": "webhook",
    "look": "run/{id}",
    "status": "status",
    "status.not-started": "queued",
    "status.queued": "queued",
    "status.started": "running",
    "status.running": "running",
    "status.uploading": "running",
    "status.success": "succeeded",
    "status.failed": "failed",
    "status.timeout": "expired",
    "status.cancelled": "canceled",
    "outputs": "outputs[].data.images[].url",
    "error": "error",
    "cancel": "run/{id}/cancel",
    "progress": "progress",
    "seconds": "run_duration",
}
FIELDS = {name: f"inputs.{name}" for name in INPUTS}
NATIVE = {"deployment_id": DEPLOYMENT}


def case() -> Case:
    """The adapter with all that a queue can have."""
    own = {"client_id": "client_id", "find": "run/by-client/{client_id}"}
    fields = {**FIELDS, "model": "model", "version": "version"}
    return Case(SubmitPoll(), OwnQueue, {"native": NATIVE, "fields": fields}, {"settings": {**QUEUE, **own}})


def comfy_deploy() -> Case:
    """The adapter with Comfy Deploy."""
    return Case(SubmitPoll(), ComfyDeploy, {"native": NATIVE, "fields": FIELDS}, {"settings": QUEUE})


def modal() -> Case:
    """The adapter with a function that answers with a picture."""
    fields = {name: name for name in INPUTS}
    settings = {"id": "__modal_function_call_id", "error": "detail"}
    return Case(SubmitPoll(), Modal, {"fields": fields}, {"settings": settings})


def bentoml() -> Case:
    """The adapter with a task."""
    settings = {
        "submit": "generate/submit",
        "id": "task_id",
        "look": "generate/status?task_id={id}",
        "status": "status",
        "status.in_progress": "running",
        "status.success": "succeeded",
        "status.failure": "failed",
        "status.canceled": "canceled",
        "result": "generate/get?task_id={id}",
        "cancel": "generate/cancel?task_id={id}",
        "cancel_method": "PUT",
    }
    return Case(SubmitPoll(), BentoML, {"fields": {name: name for name in INPUTS}}, {"settings": settings})


def salad() -> Case:
    """The adapter with a server that tells results to webhooks alone."""
    graph = {
        "3": {"class_type": "KSampler", "inputs": {}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1]}},
    }
    fields = {
        "prompt": "prompt.6.inputs.text",
        "width": "prompt.5.inputs.width",
        "height": "prompt.5.inputs.height",
        "seed": "prompt.3.inputs.seed",
    }
    settings = {
        "submit": "prompt",
        "client_id": "id",
        "webhook": "webhook_v2",
        "sender": "salad",
        "status": "type",
        "status.prompt.complete": "succeeded",
        "status.prompt.failed": "failed",
        "outputs": "images[]",
        "error": "error",
    }
    return Case(SubmitPoll(), Salad, {"native": {"prompt": graph}, "fields": fields}, {"settings": settings})
