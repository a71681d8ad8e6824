"""A pretended Cog server: one model behind ``PUT /predictions/{id}``, no questions, unsigned webhooks."""

import base64
import json
import threading
import time
from contextlib import suppress
from typing import Any

import httpx

from asset_pipeline.providers.cog import Cog
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

_PAUSES = (0.2, 0.4, 0.8)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "prompt": str,
    "width": int,
    "height": int,
    "seed": int,
    "guidance": (int, float),
    "image": str,
}


class PretendedCog(Vendor):
    """A server with some places; it knows no key, and never says what a prediction came to when asked."""

    name = "cog"
    places = 1

    def __init__(self) -> None:
        super().__init__()
        self._door = threading.Lock()
        self.health = "READY"
        """``STARTING``, ``SETUP_FAILED``, ``UNHEALTHY`` as the test has it; ``BUSY`` it knows by itself."""
        self.version: dict[str, str] = {"coglet": "0.23.1"}
        self.knows_its_inputs = True
        """Whether the container was built with a description of the model's inputs."""

    def is_submission(self, request: Request) -> bool:
        """See Vendor: what brings an input may be drawn."""
        if request.method != "PUT":
            return False
        body = request.json()
        return isinstance(body, dict) and isinstance(body.get("input"), dict)

    def answer(self, request: Request) -> Reply:
        """See Vendor."""
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["health-check"]:
                reply = Reply(body={"status": self._health(), "setup": {}, "version": self.version})
            case "PUT", ["predictions", name]:
                reply = self._predict(name, request)
            case "POST", ["predictions", name, "cancel"]:
                job = self._at_work(name)
                reply = Reply(200 if job is not None and self.cancel(job) else 404, {})
            case "GET", ["predictions", _]:
                reply = Reply(405, b"")
            case _:
                reply = Reply(404, b"")
        return reply

    def restart(self) -> None:
        """See Vendor: it forgets what it worked on."""
        for job in self.jobs:
            if job.state in ("queued", "running"):
                job.canceled_at = time.time()
                job.webhook = None
        self.health = "READY"

    def crash(self) -> None:
        """Lose the worker: what it worked on fails, and its place is never free again."""
        for job in self.jobs:
            if job.state in ("queued", "running"):
                job.canceled_at = time.time()
                job.details["crashed"] = True
        self.health = "UNHEALTHY"

    def _health(self) -> str:
        return "BUSY" if self.health == "READY" and self._busy() >= self.places else self.health

    def _busy(self) -> int:
        return sum(job.state in ("queued", "running") for job in self.jobs)

    def _at_work(self, name: str) -> Job | None:
        named = (job for job in self.jobs if job.details["name"] == name)
        return next((job for job in named if job.state in ("queued", "running")), None)

    def _predict(self, name: str, request: Request) -> Reply:
        body = request.json()
        if job := self._at_work(name):
            told = {
                "id": name,
                "input": job.payload["input"],
                "logs": "",
                "metrics": {},
                "status": "processing",
            }
            return Reply(202, told)
        with self._door:
            accepted = self._refusal(body.get("input")) or self._accepted(name, body)
        if isinstance(accepted, Reply):
            return accepted
        if request.headers.get("prefer") == "respond-async":
            threading.Thread(target=self._deliver, args=(accepted,), daemon=True).start()
            return Reply(202, {"id": name, "status": "starting"})
        return Reply(body=self._ended(accepted))

    def _refusal(self, wanted: Any) -> Reply | None:
        if self.health in ("STARTING", "SETUP_FAILED"):
            return Reply(503, {"error": "Setup has not finished yet, please try again", "status": "failed"})
        if self.knows_its_inputs and (wrong := _wrong(wanted)):
            return Reply(422, {"detail": wrong})
        if self.health == "UNHEALTHY" or self._busy() >= self.places:
            return Reply(409, {"error": "At capacity - all prediction slots busy", "status": "failed"})
        if not isinstance(wanted, dict):
            error = "Input validation error: Input must be a JSON object"
            return Reply(200, {"id": "", "error": error, "logs": "", "metrics": {}, "status": "failed"})
        return None

    def _accepted(self, name: str, body: dict[str, Any]) -> Job:
        wanted = body["input"]
        return self.accept(
            body,
            width=wanted.get("width", 128),
            height=wanted.get("height", 64),
            seed=wanted.get("seed", 0),
            webhook=body.get("webhook"),
            name=name,
        )

    def _ended(self, job: Job) -> dict[str, Any]:
        """What a prediction came to, once it has come to anything."""
        while job.state in ("queued", "running"):
            time.sleep(0.01)
        told: dict[str, Any] = {
            "id": job.details["name"],
            "logs": f"Using seed: {job.seed}\n",
            "metrics": {"predict_time": 0.1},
        }
        outcome = job.behaviour.outcome
        if job.details.get("crashed"):
            told |= {"status": "failed", "error": "Worker crashed"}
        elif job.state == "canceled":
            told |= {"status": "canceled"}
        elif outcome == "fails":
            told |= {"status": "failed", "error": f"Prediction failed: {job.behaviour.error}"}
        elif outcome == "is filtered":
            told |= {"status": "failed", "error": "Prediction failed: NSFW content detected"}
        else:
            pictures = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in job.pictures()]
            told |= {"status": "succeeded", "output": pictures[0] if len(pictures) == 1 else pictures}
        return told

    def _deliver(self, job: Job) -> None:
        """Tell the webhook, again while it answers with an error; then never."""
        body = json.dumps(self._ended(job)).encode()
        for pause in (*_PAUSES, None):
            if job.webhook is None:
                return
            with suppress(httpx.HTTPError):
                if httpx.post(job.webhook, content=body).is_success:
                    return
            if pause is not None:
                time.sleep(pause)


def _wrong(wanted: Any) -> list[dict[str, Any]]:
    """What the description of the model's inputs does not allow; it says nothing of unknown ones."""
    if not isinstance(wanted, dict):
        return [_complaint("__root__", f'{wanted} is not of type "object"', "value_error")]
    if "prompt" not in wanted:
        return [_complaint("prompt", "Field required", "value_error.missing")]
    odd = [name for name, kind in _TYPES.items() if name in wanted and not isinstance(wanted[name], kind)]
    return [_complaint(name, "is not of the type", "value_error") for name in odd]


def _complaint(name: str, message: str, kind: str) -> dict[str, Any]:
    return {"loc": ["body", "input", name], "msg": message, "type": kind}


def case() -> Case:
    """The adapter with the vendor it is tried on."""
    return Case(Cog(), PretendedCog, {})
