"""A pretended Replicate: predictions, their listing, files, deadlines, an hour's memory, signed webhooks."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from asset_pipeline.providers.replicate import Replicate
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

VERSION = hashlib.sha256(b"a version").hexdigest()
PAGE = 3
"""Predictions on a page of the listing; it is small, so that tests turn pages."""
LARGEST_FILE = 100 * 2**20
_EVENTS = {"start", "output", "logs", "completed"}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SHORTEST_DEADLINE = 5
_INVALID = "Input validation failed"


class _RefusedError(Exception):
    """A request that Replicate refuses, in its words."""

    def __init__(self, status: int, detail: str, title: str | None = None) -> None:
        super().__init__(detail)
        body = {"detail": detail, "status": status, **({"title": title} if title else {})}
        self.reply = Reply(status, body, {"Content-Type": "application/problem+json"})


class PretendedReplicate(Vendor):
    """Official models, one pinned version and one deployment, all of which draw noise."""

    name = "replicate"
    host_path = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.output_form = "list"
        """``list``, ``text`` or ``object``: models differ."""
        self.webhook_secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self.has_credit = True

    def is_submission(self, request: Request) -> bool:
        """See Vendor."""
        return request.method == "POST" and request.path.endswith("/predictions")

    def answer(self, request: Request) -> Reply:
        """See Vendor."""
        if request.path.startswith("/files/"):
            return self._output(request.path)
        try:
            return self._answer(request)
        except _RefusedError as refused:
            return refused.reply

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise _RefusedError(401, "You did not pass a valid authentication token", "Unauthenticated")
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "POST", ["predictions"]:
                reply = self._create(request, None)
            case "POST", ["models", owner, name, "predictions"]:
                reply = self._create(request, f"{owner}/{name}")
            case "POST", ["deployments", owner, name, "predictions"]:
                reply = self._create(request, f"{owner}/{name}", is_deployment=True)
            case "GET", ["predictions"]:
                reply = self._list(int(request.query.get("cursor", 0)))
            case "GET", ["predictions", job_id] if job := self.job(job_id):
                reply = Reply(body=self.prediction(job))
            case "POST", ["predictions", job_id, "cancel"] if job := self.job(job_id):
                self.cancel(job)
                reply = Reply(body=self.prediction(job))
            case "POST", ["files"]:
                reply = self._keep(request)
            case _:
                raise _RefusedError(404, "The requested resource could not be found.")
        return reply

    def prediction(self, job: Job, *, is_listed: bool = False) -> dict[str, Any]:
        """A job as Replicate tells of it."""
        ran = job.behaviour
        begun = job.accepted_at + ran.queue_seconds
        ended = job.canceled_at or begun + ran.run_seconds
        status = self._status(job)
        has_begun = status in ("processing", "succeeded", "failed") or ended > begun
        is_over = status not in ("starting", "processing")
        is_removed = is_over and time.time() - ended > job.details.get("kept", 3600.0)
        output = self._outputs(job) if status == "succeeded" and not is_removed else None
        failed = "NSFW content detected (E005)" if ran.outcome == "is filtered" else ran.error
        official = "version" not in job.payload
        said: dict[str, Any] = {
            "id": job.job_id,
            "model": job.details["model"],
            "version": "hidden" if official else VERSION,
            "input": {} if is_removed else job.payload["input"],
            "output": output,
            "logs": "" if is_removed or is_listed else f"Loading\nUsing seed: {job.seed}\n100%",
            "error": failed if status == "failed" else None,
            "status": status,
            "data_removed": is_removed,
            "source": "api",
            "created_at": _time(job.accepted_at),
            "started_at": _time(begun) if has_begun else None,
            "completed_at": _time(ended) if is_over else None,
            "metrics": {"predict_time": max(0.0, ended - begun), "total_time": 1.0} if is_over else {},
            "urls": {
                "web": f"https://replicate.com/p/{job.job_id}",
                "get": f"{self.base_url}/predictions/{job.job_id}",
                "cancel": f"{self.base_url}/predictions/{job.job_id}/cancel",
            },
        }
        said |= {"deployment": job.details["deployment"]} if job.details.get("deployment") else {}
        deadline = job.details.get("deadline")
        return said | ({"deadline": _time(deadline)} if deadline else {})

    def deliver(self, job: Job, address: str) -> None:
        """Call back once, signed."""
        body = json.dumps(self.prediction(job)).encode()
        name, now = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        key = base64.b64decode(self.webhook_secret.removeprefix("whsec_"))
        signature = base64.b64encode(hmac.digest(key, f"{name}.{now}.".encode() + body, "sha256")).decode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{signature}",
        }
        with suppress(httpx.HTTPError):
            httpx.post(address, content=body, headers=headers, follow_redirects=False)

    def _create(self, request: Request, model: str | None, *, is_deployment: bool = False) -> Reply:
        body = _json(request)
        known = {"input", "webhook", "webhook_events_filter", "stream"} | (set() if model else {"version"})
        if not isinstance(body.get("input"), dict) or body.keys() - known:
            raise _RefusedError(422, "- input: a field is missing or unknown", _INVALID)
        if model is None and str(body.get("version")).rpartition(":")[2] != VERSION:
            said = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise _RefusedError(422, said, "Invalid version or not permitted")
        if not set(body.get("webhook_events_filter", [])) <= _EVENTS:
            raise _RefusedError(422, "- webhook_events_filter: unknown event", _INVALID)
        wanted = body["input"]
        if not isinstance(wanted.get("prompt"), str):
            raise _RefusedError(422, "- input: prompt is required", _INVALID)
        if not self.has_credit:
            raise _RefusedError(402, "You have insufficient credit to run this model.", "Insufficient credit")
        deadline = None
        if duration := request.headers.get("cancel-after"):
            deadline = time.time() + _seconds(duration)
        job = self.accept(
            body,
            width=int(wanted.get("width", 128)),
            height=int(wanted.get("height", 64)),
            seed=int(wanted.get("seed", 0)),
            webhook=body.get("webhook"),
            model="acme/mugs" if is_deployment or model is None else model,
            deployment=model if is_deployment else None,
            deadline=deadline,
        )
        if job.webhook:
            wait = job.behaviour.queue_seconds + job.behaviour.run_seconds
            threading.Timer(wait, self.deliver, (job, job.webhook)).start()
        return Reply(201, {**self.prediction(job), "status": "starting", "output": None})

    def _status(self, job: Job) -> str:
        deadline = job.details.get("deadline")
        if deadline and time.time() > deadline and job.canceled_at is None and job.state != "over":
            job.canceled_at = deadline
            job.details["is_late"] = True
        match job.state:
            case "queued":
                return "starting"
            case "running":
                return "processing"
            case "canceled":
                has_begun = (job.canceled_at or 0.0) - job.accepted_at >= job.behaviour.queue_seconds
                return "aborted" if job.details.get("is_late") and not has_begun else "canceled"
        return "failed" if job.behaviour.outcome in ("fails", "is filtered") else "succeeded"

    def _outputs(self, job: Job) -> Any:
        places = [f"{self.url}/files/{job.job_id}/{number}" for number in range(len(job.pictures()))]
        if self.output_form == "text":
            return places[0] if places else None
        return {"images": places, "seed": job.seed} if self.output_form == "object" else places

    def _output(self, path: str) -> Reply:
        _, _, job_id, number = path.split("/")
        job = self.job(job_id)
        return Reply(body=job.pictures()[int(number)]) if job else Reply(404, {"detail": "Not Found"})

    def _list(self, start: int) -> Reply:
        known = [job for job in reversed(self.jobs) if not job.is_forgotten]
        more = start + PAGE < len(known)
        return Reply(
            body={
                "results": [self.prediction(job, is_listed=True) for job in known[start : start + PAGE]],
                "next": f"{self.base_url}/predictions?{urlencode({'cursor': start + PAGE})}"
                if more
                else None,
                "previous": None,
            }
        )

    def _keep(self, request: Request) -> Reply:
        content = _form_file(request)
        if content is None:
            raise _RefusedError(400, "Missing content")
        if len(content) > LARGEST_FILE:
            raise _RefusedError(413, "The file is too large")
        name = secrets.token_hex(8)
        self.files[name] = content
        told = {
            "id": name,
            "name": "content",
            "content_type": "application/octet-stream",
            "size": len(content),
            "etag": name,
            "checksums": {"sha256": hashlib.sha256(content).hexdigest()},
            "metadata": {},
            "created_at": _time(time.time()),
            "urls": {"get": f"{self.base_url}/files/{name}"},
        }
        return Reply(201, told)


def _form_file(request: Request) -> bytes | None:
    """The part of a multipart form that is called ``content``."""
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    boundary = dict(parse_qsl(rest.strip())).get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        return None
    for part in request.body.split(b"--" + boundary.encode()):
        head, _, data = part.partition(b"\r\n\r\n")
        if b'name="content"' in head:
            return data.removesuffix(b"\r\n")
    return None


def _json(request: Request) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _RefusedError(400, "Request body is not valid JSON.")
    return body


def _seconds(duration: str) -> int:
    found = _DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    whole = hours * 3600 + minutes * 60 + seconds
    if whole < _SHORTEST_DEADLINE:
        raise _RefusedError(422, "- Cancel-After: invalid duration", _INVALID)
    return whole


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def case() -> Case:
    """The adapter with the vendor it is tried on."""
    return Case(Replicate(), PretendedReplicate, {"model": "acme/mugs"})
