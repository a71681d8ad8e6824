"""What all pretended vendors have in common: a server, a key, books, faults on the wire, and pictures.

A vendor is a subclass of `Vendor` that answers requests. A request that costs money calls `accept`, which
writes the books; everything else is free.
"""

import io
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from PIL import Image

Fault = Literal[
    "drop before", "drop after", "truncate", "html", "wrong json", "500", "502", "503", "429", "slow"
]
"""What happens to a request on its way: it never arrives; it arrives and its answer does not; half of the
answer comes; a page or other JSON comes in its place though it arrived; a status comes in its place and it
never arrived; the answer trickles."""


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass(frozen=True)
class Reply:
    """An answer: JSON, or bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Behaviour:
    """How the next accepted job goes. As it stands: it succeeds at once with one picture."""

    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    outcome: Literal[
        "succeeds", "fails", "is filtered", "is blank", "is truncated", "is of another size", "is empty"
    ] = "succeeds"
    error: str = "CUDA out of memory"
    outputs: int = 1


@dataclass
class Job:
    """An accepted job: a line of the vendor's books."""

    job_id: str
    payload: Any
    behaviour: Behaviour
    width: int
    height: int
    seed: int
    accepted_at: float = field(default_factory=time.time)
    price_usd: float = 0.0
    canceled_at: float | None = None
    webhook: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_forgotten: bool = False
    """The vendor lost it, or does not keep it any longer."""

    @property
    def state(self) -> Literal["queued", "running", "over", "canceled"]:
        age = (self.canceled_at or time.time()) - self.accepted_at
        over = age >= self.behaviour.queue_seconds + self.behaviour.run_seconds
        if over:
            return "over"
        if self.canceled_at is not None:
            return "canceled"
        return "queued" if age < self.behaviour.queue_seconds else "running"

    @property
    def billed_usd(self) -> float:
        """What the vendor charges: for pictures that were made, and for what was running when it was
        stopped."""
        if self.state == "over":
            return 0.0 if self.behaviour.outcome == "fails" else self.price_usd
        if self.state == "canceled" and self.canceled_at is not None:
            has_begun = self.canceled_at - self.accepted_at >= self.behaviour.queue_seconds
            return self.price_usd if has_begun else 0.0
        return self.price_usd

    def pictures(self) -> list[bytes]:
        """The outputs as PNG bytes: noise of the seed, or what went wrong with them."""
        if self.behaviour.outcome == "is empty":
            return []
        size = (self.width, self.height)
        if self.behaviour.outcome == "is of another size":
            size = (self.width // 2, self.height)
        pictures = [picture(*size, self.seed + number) for number in range(self.behaviour.outputs)]
        if self.behaviour.outcome in ("is blank", "is filtered"):
            pictures = [picture(*size, None)] * self.behaviour.outputs
        if self.behaviour.outcome == "is truncated":
            pictures = [data[: len(data) // 2] for data in pictures]
        return pictures


def picture(width: int, height: int, seed: int | None) -> bytes:
    """A PNG of noise that depends on the seed alone; black without one."""
    blocks = np.zeros((8, 8, 3), np.uint8)
    if seed is not None:
        blocks = np.random.default_rng(seed % 2**32).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


class Vendor:
    """A vendor's API and its books. Subclasses answer requests; several threads call them at once."""

    name: str
    price_usd = 0.01
    host_path = ""
    """What stands between the host and the paths of the API in a profile's ``base_url``: ``/v1``."""

    def __init__(self) -> None:
        self.url = ""
        """Where it listens, without a slash at the end."""
        self.key = f"key-{secrets.token_hex(12)}"
        self.jobs: list[Job] = []
        """The books."""
        self.requests: list[str] = []
        self.behaviours: list[Behaviour] = []
        """How the next accepted jobs go, in their order; then as `always` says."""
        self.always = Behaviour()
        self.faults: list[Fault | None] = []
        """What happens to the next submissions, in their order; nothing when there are none left."""
        self.retry_after: str | None = "0"
        """Sent with 429 and 503."""
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """What a profile calls ``base_url``."""
        return f"{self.url}{self.host_path}"

    def is_submission(self, request: Request) -> bool:
        """Whether a request may cost money."""
        raise NotImplementedError

    def answer(self, request: Request) -> Reply:
        """Answer a request as the vendor does, the key included."""
        raise NotImplementedError

    def accept(
        self, payload: Any, *, width: int, height: int, seed: int, webhook: str | None = None, **details: Any
    ) -> Job:
        """Write a job into the books."""
        with self.lock:
            behaviour = self.behaviours.pop(0) if self.behaviours else self.always
            job = Job(
                job_id=secrets.token_hex(8),
                payload=payload,
                behaviour=behaviour,
                width=width,
                height=height,
                seed=seed,
                price_usd=self.price_usd,
                webhook=webhook,
                details=details,
            )
            self.jobs.append(job)
            return job

    def job(self, job_id: str) -> Job | None:
        """An accepted job that the vendor still knows."""
        return next((job for job in self.jobs if job.job_id == job_id and not job.is_forgotten), None)

    def cancel(self, job: Job) -> bool:
        """Stop a job; False if it is over."""
        if job.state in ("over", "canceled"):
            return False
        job.canceled_at = time.time()
        return True

    @property
    def billed_usd(self) -> float:
        """All that it charges."""
        return sum(job.billed_usd for job in self.jobs)

    def restart(self) -> None:
        """What the vendor forgets when its server starts again; nothing unless it says so."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Head and body of an answer are two packets; else the second waits for the first to be acknowledged."""
    server: "_Server"

    def handle(self) -> None:
        with suppress(ConnectionError, BrokenPipeError, TimeoutError):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # who sent it died on the way
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        vendor = self.server.vendor
        fault: Fault | None = None
        with vendor.lock:
            vendor.requests.append(f"{request.method} {request.path}")
            if vendor.is_submission(request) and vendor.faults:
                fault = vendor.faults.pop(0)
        if fault == "drop before":
            self._hang_up()
        elif fault in ("500", "502", "503", "429"):
            pause = {} if vendor.retry_after is None else {"Retry-After": vendor.retry_after}
            self._send(
                Reply(int(fault), {"detail": "come back later", "error": {"message": "later"}}, pause), None
            )
        else:
            self._send(vendor.answer(request), fault)

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        data = reply.data()
        kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
        if fault == "drop after":
            self._hang_up()
            return
        if fault == "html":
            data, kind = b"<!doctype html><title>502 Bad Gateway</title>", "text/html"
        if fault == "wrong json":
            data = b'["unexpected"]'
        self.send_response_only(reply.status)
        own = {"Date": self.date_time_string(), "Content-Type": kind, "Content-Length": str(len(data))}
        for name, value in {**own, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "truncate":
            self.wfile.write(data[: len(data) // 2])
            self._hang_up()
        elif fault == "slow":
            for place in range(0, len(data), 8):
                self.wfile.write(data[place : place + 8])
                time.sleep(0.5)
        else:
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    vendor: Vendor


@contextmanager
def serving(vendor: Vendor, port: int = 0) -> Iterator[Vendor]:
    """Let a vendor listen on this machine for as long as the block runs."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.vendor = vendor
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
