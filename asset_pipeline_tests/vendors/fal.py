"""A pretended fal: a queue, the model's own status on the result, its filter's flags, Ed25519 webhooks."""

import base64
import hashlib
import json
import secrets
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from asset_pipeline.providers.fal import Fal
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

MODEL = "acme/mugs/text-to-image"
KEYS = "/.well-known/jwks.json"
_REQUEST_PARTS = 2
_SIZES = {"square": (128, 128), "landscape_16_9": (128, 72)}


class PretendedFal(Vendor):
    """Any endpoint of ``acme/mugs``; what is asked about a request leaves out the endpoint's path."""

    name = "fal"

    def __init__(self) -> None:
        super().__init__()
        self.signing_key = Ed25519PrivateKey.generate()
        self.has_balance = True
        self.stops_when_running = False
        """Whether the model's code knows how to stop."""
        self.result: Reply | None = None
        """What the model answers, instead of what it draws."""
        self.status_error: str | None = None
        """What the status says of it."""

    def is_submission(self, request: Request) -> bool:
        """See Vendor."""
        return request.method == "POST"

    def answer(self, request: Request) -> Reply:
        """See Vendor."""
        parts = request.path.strip("/").split("/")
        if parts[0] == "files":
            job = self.job(parts[1])
            return Reply(body=job.pictures()[int(parts[2])]) if job else Reply(404, {"detail": "Not Found"})
        if request.path == KEYS:
            return Reply(body={"keys": [self.public_key()]})
        if request.headers.get("authorization") != f"Key {self.key}":
            detail = "Cannot access application. Authentication is required to access this application."
            return Reply(401, {"detail": detail})
        if parts[:2] != ["acme", "mugs"]:
            return Reply(404, {"detail": f"Application '{'/'.join(parts[:2])}' not found"})
        if request.method == "POST":
            return self._submit(request)
        job = self.job(parts[3]) if parts[2:3] == ["requests"] and len(parts) > _REQUEST_PARTS + 1 else None
        return self._asked(request, parts[4:], job) if job else Reply(404, {"detail": "Request not found"})

    def public_key(self) -> dict[str, str]:
        """The key that it signs with, as it publishes it."""
        raw = self.signing_key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}

    def deliver(self, job: Job, address: str) -> None:
        """Call back once, signed."""
        result = self._result(job)
        told = {
            "request_id": job.job_id,
            "gateway_request_id": job.job_id,
            "status": "OK" if result.status < 400 else "ERROR",
            "payload": result.body,
        }
        body = json.dumps(told).encode()
        user, now = "user-1", str(int(time.time()))
        message = "\n".join([job.job_id, user, now, hashlib.sha256(body).hexdigest()])
        headers = {
            "Content-Type": "application/json",
            "X-Fal-Webhook-Request-Id": job.job_id,
            "X-Fal-Webhook-User-Id": user,
            "X-Fal-Webhook-Timestamp": now,
            "X-Fal-Webhook-Signature": self.signing_key.sign(message.encode()).hex(),
        }
        with suppress(httpx.HTTPError):
            httpx.post(address, content=body, headers=headers)

    def _submit(self, request: Request) -> Reply:
        if not self.has_balance:
            return Reply(403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance."})
        try:
            wanted = request.json()
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            return Reply(422, {"detail": [{"loc": ["body"], "msg": "Invalid JSON", "type": "json_invalid"}]})
        size = wanted.get("image_size", "landscape_16_9")
        width, height = _SIZES[size] if isinstance(size, str) else (size["width"], size["height"])
        timeout = float(request.headers.get("x-fal-request-timeout", 3600))
        job = self.accept(
            wanted,
            width=width,
            height=height,
            seed=wanted.get("seed", secrets.randbelow(2**31)),
            webhook=request.query.get("fal_webhook"),
            headers={name: value for name, value in request.headers.items() if name.startswith("x-fal-")},
            start_by=time.time() + timeout,
        )
        if job.webhook:
            wait = job.behaviour.queue_seconds + job.behaviour.run_seconds
            threading.Timer(wait, self.deliver, (job, job.webhook)).start()
        place = f"{self.url}/acme/mugs/requests/{job.job_id}"
        return Reply(
            body={
                "status": "IN_QUEUE",
                "request_id": job.job_id,
                "gateway_request_id": job.job_id,
                "response_url": place,
                "status_url": f"{place}/status",
                "cancel_url": f"{place}/cancel",
                "queue_position": 0,
            }
        )

    def _asked(self, request: Request, what: list[str], job: Job) -> Reply:
        self._give_up_late(job)
        match request.method, what:
            case "GET", ["status"]:
                reply = self._status(job)
            case "PUT", ["cancel"] if job.state in ("over", "canceled"):
                reply = Reply(400, {"status": "ALREADY_COMPLETED"})
            case "PUT", ["cancel"]:
                if job.state == "queued" or self.stops_when_running:
                    self.cancel(job)
                reply = Reply(202, {"status": "CANCELLATION_REQUESTED"})
            case "GET", [] if job.state in ("queued", "running"):
                reply = Reply(400, {"detail": "Request is still in progress"})
            case "GET", []:
                reply = self._result(job)
            case _:
                reply = Reply(405, {"detail": "Method Not Allowed"})
        return reply

    def _give_up_late(self, job: Job) -> None:
        start_by = job.details["start_by"]
        if job.canceled_at is None and job.state == "queued" and time.time() > start_by:
            job.canceled_at = start_by
            job.details["is_late"] = True

    def _status(self, job: Job) -> Reply:
        told: dict[str, Any] = {"request_id": job.job_id}
        if job.state == "queued":
            return Reply(202, {**told, "status": "IN_QUEUE", "queue_position": 2})
        if job.state == "running":
            return Reply(202, {**told, "status": "IN_PROGRESS", "logs": None})
        metrics = {"inference_time": max(0.1, job.behaviour.run_seconds)} if job.state == "over" else {}
        told |= {"status": "COMPLETED", "logs": None, "metrics": metrics}
        if self.status_error:
            told |= {"error": "it went wrong", "error_type": self.status_error}
        return Reply(200, told)

    def _result(self, job: Job) -> Reply:
        """The model's answer."""
        if self.result is not None:
            return self.result
        if job.details.get("is_late"):
            headers = {"X-Fal-Request-Timeout-Type": "user", "X-Fal-Error-Type": "request_timeout"}
            return Reply(504, {"detail": "Request timed out", "error_type": "request_timeout"}, headers)
        if job.state == "canceled":
            return Reply(499, {"detail": "Request was cancelled", "error_type": "client_cancelled"})
        ran = job.behaviour
        if ran.outcome == "fails":
            return Reply(500, {"detail": ran.error})
        pictures = job.pictures()
        images = [
            {
                "url": f"{self.url}/files/{job.job_id}/{number}",
                "content_type": "image/png",
                "width": job.width,
                "height": job.height,
            }
            for number in range(len(pictures))
        ]
        flags = [ran.outcome == "is filtered"] * len(pictures)
        told = {
            "images": images,
            "seed": job.seed,
            "has_nsfw_concepts": flags,
            "prompt": job.payload.get("prompt"),
        }
        return Reply(200, {**told, "timings": {"inference": 0.1}})


def case() -> Case:
    """The adapter with the vendor it is tried on."""
    return Case(Fal(), PretendedFal, {"model": MODEL})
