"""RunPod's side of a queue endpoint, for a real worker: what clients ask, and what the worker asks.

https://docs.runpod.io/serverless/endpoints/send-requests and, for the worker's part, the package ``runpod``.
"""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

LARGEST_RUN, LARGEST_SYNC = 10_000_000, 20_000_000
"""Bytes of a request's body."""
_SHORTEST_WAIT, _LONGEST_WAIT, _WAIT = 1_000, 300_000, 90_000
"""Milliseconds for which ``/runsync`` may hold a request, and does without ``wait``."""
_POLL_SECONDS = 30.0
"""How long a worker that asks for work is held."""
_EXECUTION_MS, _TTL_MS = 600_000, 86_400_000
_RUNNING = {"IN_QUEUE", "IN_PROGRESS"}
_WEBHOOK_TRIES = 3


@dataclass
class Job:
    """A job as the platform knows it; times are of the monotonic clock."""

    id: str
    input: Any
    webhook: str | None
    execution_seconds: float
    ttl_seconds: float
    submitted: float = field(default_factory=time.monotonic)
    status: str = "IN_QUEUE"
    began: float = 0.0
    ended: float = 0.0
    worker: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What the worker handed in: output, error, or both."""

    def told(self) -> dict[str, Any]:
        """As ``/status`` tells it."""
        told: dict[str, Any] = {"id": self.id, "status": self.status}
        if self.began:
            told |= {"delayTime": _ms(self.began - self.submitted), "workerId": self.worker}
        if self.began and self.ended:
            told |= {"executionTime": _ms(self.ended - self.began)}
        return told | {name: self.answer[name] for name in ("output", "error") if name in self.answer}


@dataclass
class RunpodGateway:
    """Where the endpoint is, and how long it keeps what it made."""

    url: str
    """The endpoint's address, as ``https://api.runpod.ai/v2/{endpoint}``."""
    worker_url: str
    key: str = field(default_factory=lambda: f"rpa_{secrets.token_hex(16)}")
    retention_seconds: float = 1800.0
    sync_retention_seconds: float = 60.0
    webhook_pause_seconds: float = 0.1
    """Between two tries to deliver a webhook. RunPod waits 10."""
    jobs: dict[str, Job] = field(default_factory=dict)
    workers: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False
    _to_stop: list[str] = field(default_factory=list)

    def submit(self, body: Mapping[str, Any], prefix: str = "") -> Job:
        """Queue a job."""
        policy = body.get("policy") or {}
        job = Job(
            f"{prefix}{uuid.uuid4()}-e1",
            body["input"],
            body.get("webhook"),
            policy.get("executionTimeout", _EXECUTION_MS) / 1000,
            policy.get("ttl", _TTL_MS) / 1000,
        )
        with self.changed:
            self.jobs[job.id] = job
            self.changed.notify_all()
        return job

    def wait_for(self, job: Job, seconds: float) -> None:
        """Until a job has ended, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: job.status not in _RUNNING or self.over, seconds)

    def cancel(self, job: Job) -> None:
        """End a job that has not ended; its worker is told."""
        with self.changed:
            if job.status in _RUNNING:
                self._end(job, "CANCELLED")

    def take(self, worker: str, most: int) -> list[Job]:
        """The oldest jobs in the queue, for a worker; none if there is none for a while."""
        with self.changed:
            self.workers.add(worker)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.over or self._queued(), _POLL_SECONDS)
            taken = [] if self.over else self._queued()[:most]
            for job in taken:
                job.status, job.began, job.worker = "IN_PROGRESS", time.monotonic(), worker
            return taken

    def stops(self) -> list[str]:
        """The jobs that a worker is to stop; none if there is none for a while."""
        with self.changed:
            self.changed.wait_for(lambda: self.over or self._to_stop, _POLL_SECONDS)
            stops, self._to_stop = self._to_stop, []
            return stops

    def done(self, job_id: str, answer: Mapping[str, Any]) -> None:
        """What a worker handed in; too late, it is dropped."""
        with self.changed:
            job = self.jobs.get(job_id)
            if job is None or job.status != "IN_PROGRESS":
                return
            job.answer = answer
            self._end(job, "FAILED" if "error" in answer else "COMPLETED")

    def health(self) -> dict[str, Any]:
        """How many jobs and workers there are."""
        with self.changed:
            found = [job.status for job in self.jobs.values()]
            busy = {job.worker for job in self.jobs.values() if job.status == "IN_PROGRESS"}
            names = ("completed", "COMPLETED"), ("failed", "FAILED"), ("inProgress", "IN_PROGRESS")
            jobs = {name: found.count(status) for name, status in (*names, ("inQueue", "IN_QUEUE"))}
            workers = {"idle": len(self.workers - busy), "running": len(busy), "throttled": 0}
            return {"jobs": {**jobs, "retried": 0}, "workers": workers}

    def watch(self) -> None:
        """End and forget jobs when their time is over, until the gateway is."""
        while not self.over:
            with self.changed:
                for job in list(self.jobs.values()):
                    self._look_after(job, time.monotonic())
            time.sleep(0.05)

    def _look_after(self, job: Job, now: float) -> None:
        kept = self.sync_retention_seconds if job.id.startswith("sync-") else self.retention_seconds
        if job.status == "IN_PROGRESS" and now > job.began + job.execution_seconds:
            self._end(job, "TIMED_OUT")
        if now > job.submitted + job.ttl_seconds or (job.ended and now > job.ended + kept):
            if job.status == "IN_PROGRESS":
                self._to_stop.append(job.id)
            del self.jobs[job.id]
            self.changed.notify_all()

    def _queued(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.status == "IN_QUEUE"]

    def _end(self, job: Job, status: str) -> None:
        if job.status == "IN_PROGRESS" and status in {"CANCELLED", "TIMED_OUT"}:
            self._to_stop.append(job.id)
        job.status, job.ended = status, time.monotonic()
        self.changed.notify_all()
        if job.webhook and status != "CANCELLED":
            told = {**job.told(), "input": job.input, "webhook": job.webhook}
            threading.Thread(target=self._deliver, args=(job.webhook, told), daemon=True).start()

    def _deliver(self, url: str, told: Mapping[str, Any]) -> None:
        for _ in range(_WEBHOOK_TRIES):
            with suppress(httpx.HTTPError):
                if httpx.post(url, json=told).status_code == HTTPStatus.OK:
                    return
            time.sleep(self.webhook_pause_seconds)


@contextmanager
def runpod_gateway(endpoint: str = "painter") -> Iterator[RunpodGateway]:
    """Run the gateway until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        place = f"http://127.0.0.1:{http.server_port}"
        gateway = RunpodGateway(f"{place}/v2/{endpoint}", f"{place}/worker/{endpoint}")
        http.gateway = gateway  # type: ignore[attr-defined]
        http.daemon_threads = True
        for work in (lambda: http.serve_forever(0.05), gateway.watch):
            threading.Thread(target=work, daemon=True).start()
        try:
            yield gateway
        finally:
            with gateway.changed:
                gateway.over = True
                gateway.changed.notify_all()
            http.shutdown()


class _Refused(Exception):
    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _gateway(self) -> RunpodGateway:
        gateway: RunpodGateway = self.server.gateway  # type: ignore[attr-defined]
        return gateway

    def handle(self) -> None:
        """A client that gives up is what some tests are about."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        place = f"http://{self.headers['Host']}{asked.path}"
        if place.startswith(self._gateway.worker_url):
            self._worker(place.removeprefix(self._gateway.worker_url).strip("/").split("/"), query, body)
            return
        try:
            operation, _, job_id = (
                asked.path.removeprefix(urlsplit(self._gateway.url).path).strip("/").partition("/")
            )
            self._json(200, self._client(f"{self.command} /{operation}", job_id, query, body))
        except _Refused as refused:
            self._json(refused.status, {"error": refused.words})

    # What a client asks

    def _client(self, operation: str, job_id: str, query: Mapping[str, str], body: bytes) -> dict[str, Any]:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") != self._gateway.key:
            raise _Refused(401, "unauthorized")
        if operation == "GET /health":
            return self._gateway.health()
        if operation == "POST /run":
            return {"id": self._gateway.submit(_submission(body, LARGEST_RUN)).id, "status": "IN_QUEUE"}
        if operation == "POST /runsync":
            wait = int(query.get("wait", _WAIT))
            if not _SHORTEST_WAIT <= wait <= _LONGEST_WAIT:
                raise _Refused(400, f"wait must be between {_SHORTEST_WAIT} and {_LONGEST_WAIT}")
            job = self._gateway.submit(_submission(body, LARGEST_SYNC), "sync-")
            self._gateway.wait_for(job, wait / 1000)
            return job.told()
        found = self._gateway.jobs.get(job_id)
        if found is None:
            raise _Refused(404, "job not found")
        if operation == "POST /cancel":
            self._gateway.cancel(found)
            return {"id": found.id, "status": found.status}
        if operation in {"GET /status", "POST /status"}:
            return found.told()
        raise _Refused(404, "not found")

    # What a worker asks

    def _worker(self, parts: list[str], query: Mapping[str, str], body: bytes) -> None:
        match parts:
            case ["job-take" | "job-take-batch" as operation, worker]:
                jobs = self._gateway.take(worker, int(query.get("batch_size", 1)))
                taken = [{"id": job.id, "input": job.input, "webhook": job.webhook} for job in jobs]
                if operation == "job-take-batch":
                    self._json(200 if taken else 204, taken)
                else:
                    self._json(200 if taken else 204, taken[0] if taken else None)
            case ["job-stop", _]:
                stops = self._gateway.stops()
                self._json(200 if stops else 204, {"jobsToStop": stops})
            case ["job-done", _, job_id]:
                self._gateway.done(job_id, json.loads(body))
                self._json(200, {})
            case _:
                self._json(200, {})

    # Wire

    def _json(self, status: int, answer: Any) -> None:
        body = b"" if status == HTTPStatus.NO_CONTENT else json.dumps(answer).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _submission(body: bytes, largest: int) -> dict[str, Any]:
    if len(body) > largest:
        raise _Refused(413, f"the body has more than {largest} bytes")
    try:
        told = json.loads(body)
    except ValueError:
        raise _Refused(400, "the body is not JSON") from None
    if not isinstance(told, dict) or not isinstance(told.get("input"), dict):
        raise _Refused(400, "input is required")
    return told


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
