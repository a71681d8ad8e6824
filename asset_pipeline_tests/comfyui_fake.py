"""A ComfyUI on this machine, in three versions that differ in what a client must know.

0.3.64 has no ``/api/jobs``. 0.24.0 has it, and takes any text as a job's id. 0.38.1 takes canonical UUIDs
alone and can cancel one job. All of them run the same id twice if it is sent twice, answer a rerun from their
cache with the earlier file, forget queue and history when they are restarted, and keep the files.
"""

import email
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from asset_pipeline_tests.comfyui_about import features, finished_job, listing, object_info, system_stats
from asset_pipeline_tests.comfyui_execution import Execution, run_graph
from asset_pipeline_tests.comfyui_live import Listeners, upgrade
from asset_pipeline_tests.comfyui_nodes import Files, Graph, Interrupted, validate
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor, _Handler

Version = Literal["0.3.64", "0.24.0", "0.38.1"]
VERSIONS: tuple[Version, ...] = ("0.3.64", "0.24.0", "0.38.1")
NOT_JSON = b"500 Internal Server Error\n\nServer got itself in trouble"


@dataclass
class Queued:
    """A job in the queue."""

    number: float
    prompt_id: str
    graph: Graph
    extra_data: dict[str, Any]
    outputs: list[str]
    job: Job
    stop: threading.Event = field(default_factory=threading.Event)

    def listed(self) -> list[Any]:
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]


class ComfyUI(Vendor):
    """A server: its queue, its history, its files, and the books of what was really executed."""

    name = "comfyui"
    price_usd = 0.0

    def __init__(self, version: Version, root: Path) -> None:
        super().__init__()
        self.version = version
        self.files = Files(root)
        self.listeners = Listeners()
        self.executions: list[Execution] = []
        """What ran, in order; it outlives restarts."""
        self.before_read: Callable[[str], None] = lambda _: None
        """Called with the path before queue, history and jobs are read: for what happens in between."""
        self.wake = threading.Condition(self.lock)
        self.is_up = False
        self.restart()

    def restart(self) -> None:
        """Forget what is kept in memory; a job that runs dies with it."""
        with self.wake:
            for queued in [*getattr(self, "pending", []), *getattr(self, "running", [])]:
                queued.stop.set()
            self.pending: list[Queued] = []
            self.running: list[Queued] = []
            self.history: dict[str, dict[str, Any]] = {}
            self.cache: dict[str, tuple[Any, ...]] = {}
            self.number = 0
            self.wake.notify_all()

    @property
    def is_old(self) -> bool:
        return self.version == "0.3.64"

    @property
    def cancels_jobs(self) -> bool:
        return self.version == "0.38.1"

    def is_submission(self, request: Request) -> bool:
        return (request.method, request.path.removeprefix("/api")) == ("POST", "/prompt")

    def answer(self, request: Request) -> Reply:
        origin = request.headers.get("origin")
        if origin and origin.rpartition("/")[2] != request.headers.get("host"):
            return Reply(403, b"")
        if request.path.startswith("/api/jobs"):
            return self._jobs(request)
        self.before_read(request.path)
        _, first, *rest = request.path.removeprefix("/api").split("/")
        routes: dict[str, Callable[[Request, str | None], Reply]] = {
            "GET prompt": lambda *_: Reply(body={"exec_info": {"queue_remaining": self._remaining()}}),
            "POST prompt": lambda request, _: self._prompt(request),
            "GET queue": lambda *_: self._queue(),
            "POST queue": lambda request, _: self._delete(request),
            "POST interrupt": lambda request, _: self._interrupt(request),
            "GET history": lambda _, which: Reply(body=self._history(which)),
            "POST history": lambda request, _: self._forget(request),
            "POST free": lambda *_: Reply(body=b""),
            "GET view": lambda request, _: self._view(request),
            "POST upload": lambda request, _: self._upload(request),
            "GET object_info": lambda _, which: Reply(
                body=object_info(self.files, which, is_old=self.is_old)
            ),
            "GET features": lambda *_: Reply(body=features(is_old=self.is_old)),
            "GET system_stats": lambda *_: Reply(body=system_stats(self.version, is_old=self.is_old)),
        }
        route = routes.get(f"{request.method} {first}")
        return route(request, rest[0] if rest else None) if route else Reply(404, b"")

    def _queue(self) -> Reply:
        with self.lock:
            running, pending = (list(map(Queued.listed, part)) for part in (self.running, self.pending))
        return Reply(body={"queue_running": running, "queue_pending": pending})

    def _delete(self, request: Request) -> Reply:
        wanted = set(request.json().get("delete", ()))
        with self.lock:
            for queued in [each for each in self.pending if each.prompt_id in wanted]:
                self._drop(queued)
        return Reply(body=b"")

    def _interrupt(self, request: Request) -> Reply:
        """One job, if its id is that of the one that runs; whatever runs, if no id is said."""
        wanted = json.loads(request.body or b"{}").get("prompt_id")
        with self.lock:
            for queued in self.running:
                if wanted in {None, queued.prompt_id}:
                    queued.stop.set()
        return Reply(body=b"")

    def _history(self, which: str | None) -> dict[str, Any]:
        with self.lock:
            return {key: each for key, each in self.history.items() if which in {None, key}}

    def _forget(self, request: Request) -> Reply:
        with self.lock:
            for prompt_id in request.json().get("delete", ()):
                self.history.pop(prompt_id, None)
        return Reply(body=b"")

    def _prompt(self, request: Request) -> Reply:
        try:
            body = request.json()
        except ValueError:
            return Reply(500, NOT_JSON, {"Content-Type": "text/plain; charset=utf-8"})
        with self.lock:
            number = body.get("number", -self.number if body.get("front") else self.number)
            self.number += "number" not in body
        if "prompt" not in body:
            said = "No prompt provided"
            error = {"type": "no_prompt", "message": said, "details": said, "extra_info": {}}
            return Reply(400, {"error": error, "node_errors": {}})
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        if self.cancels_jobs and not _is_canonical(prompt_id):
            said = "prompt_id must be a valid UUID"
            error = {"type": "invalid_prompt_id", "message": said, "details": said, "extra_info": {}}
            return Reply(400, {"error": error, "node_errors": {}})
        graph = body["prompt"]
        validated = validate(graph, self.files, names_missing_nodes=not self.is_old)
        if validated.error:
            return Reply(400, {"error": validated.error, "node_errors": validated.node_errors})
        extra = dict(body.get("extra_data", {}))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        if not self.is_old:
            extra["create_time"] = _now()
        values = [node["inputs"] for node in graph.values()]
        size = next(
            (each for each in values if isinstance(each.get("width"), int)), {"width": 64, "height": 64}
        )
        job = self.accept(
            body,
            width=size["width"],
            height=size["height"],
            seed=next((each["seed"] for each in values if "seed" in each), 0),
        )
        job.job_id = prompt_id
        with self.wake:
            self.pending.append(Queued(number, prompt_id, graph, extra, validated.outputs, job))
            self.pending.sort(key=lambda each: each.number)
            self.wake.notify_all()
        self._tell_status()
        return Reply(body={"prompt_id": prompt_id, "number": number, "node_errors": validated.node_errors})

    def _jobs(self, request: Request) -> Reply:
        parts = request.path.split("/")[3:]
        if request.method == "POST":
            if not self.cancels_jobs:
                return Reply(405, b"405: Method Not Allowed", {"Content-Type": "text/plain; charset=utf-8"})
            ids = request.json()["job_ids"] if parts == ["cancel"] else parts[:1]
            return Reply(body={"cancelled": any([self._cancel(each) for each in ids])})  # noqa: C419 - all of them
        if self.is_old:
            return Reply(404, b"")
        self.before_read(request.path)
        with self.lock:
            jobs = [self._queued_job(each, "in_progress") for each in self.running]
            jobs += [self._queued_job(each, "pending") for each in self.pending]
            jobs += [finished_job(*each) for each in self.history.items()]
        if parts:
            found = next((job for job in reversed(jobs) if job["id"] == parts[0]), None)
            return Reply(body=found) if found else Reply(404, {"error": "Job not found"})
        return Reply(*listing(jobs, dict(request.query)))

    @staticmethod
    def _queued_job(queued: Queued, status: str) -> dict[str, Any]:
        return {
            "id": queued.prompt_id,
            "status": status,
            "priority": queued.number,
            "create_time": queued.extra_data["create_time"],
            "outputs_count": 0,
        }

    def _cancel(self, prompt_id: str) -> bool:
        with self.lock:
            for queued in self.running:
                if queued.prompt_id == prompt_id:
                    queued.stop.set()
                    return True
            for queued in self.pending:
                if queued.prompt_id == prompt_id:
                    self._drop(queued)
                    return True
        return False

    def _drop(self, queued: Queued) -> None:
        self.pending.remove(queued)
        queued.job.canceled_at = queued.job.accepted_at

    def _view(self, request: Request) -> Reply:
        name, subfolder = request.query.get("filename", ""), request.query.get("subfolder", "")
        if not name or name.startswith("/") or ".." in name or ".." in subfolder:
            return Reply(400, b"")
        place = self.files.place(request.query.get("type", "output"), name, subfolder)
        if not place.is_file():
            return Reply(404, b"")
        said = {"Content-Disposition": f'filename="{name}"', "Content-Type": "image/png"}
        if "preview" in request.query:
            with Image.open(place) as opened:
                opened.save(place.with_suffix(".preview"), "WEBP")
            return Reply(
                body=place.with_suffix(".preview").read_bytes(),
                headers={**said, "Content-Type": "image/webp"},
            )
        return Reply(body=place.read_bytes(), headers={**said, "Etag": f'"{place.stat().st_mtime_ns:x}"'})

    def _upload(self, request: Request) -> Reply:
        kind = request.headers.get("content-type", "")
        form = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body)
        fields: dict[str, Any] = {}
        for part in form.get_payload() if form.is_multipart() else ():
            assert isinstance(part, email.message.Message)
            name = part.get_param("name", header="content-disposition")
            fields[str(name)] = part.get_payload(decode=True)
            if filename := part.get_filename():
                fields["filename"] = filename
        subfolder = fields.get("subfolder", b"").decode()
        if "image" not in fields or "filename" not in fields or ".." in subfolder + fields["filename"]:
            return Reply(400, b"")
        place, number = self.files.place("input", fields["filename"], subfolder), 1
        stem = place.stem
        while place.exists() and place.read_bytes() != fields["image"] and fields.get("overwrite") != b"true":
            place, number = place.with_stem(f"{stem} ({number})"), number + 1
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(fields["image"])
        return Reply(body={"name": place.name, "subfolder": subfolder, "type": "input"})

    def _remaining(self) -> int:
        return len(self.running) + len(self.pending)

    def _tell_status(self) -> None:
        self.listeners.tell("status", {"status": {"exec_info": {"queue_remaining": self._remaining()}}})

    def work(self) -> None:
        """Run what is queued, one after another, until the server goes down."""
        while True:
            with self.wake:
                while self.is_up and not (self.pending and self._is_due(self.pending[0])):
                    self.wake.wait(0.01 if self.pending else None)
                if not self.is_up:
                    return
                queued = self.pending.pop(0)
                self.running.append(queued)
            self._tell_status()
            self._run(queued)

    @staticmethod
    def _is_due(queued: Queued) -> bool:
        return time.time() >= queued.job.accepted_at + queued.job.behaviour.queue_seconds

    def _run(self, queued: Queued) -> None:
        client = queued.extra_data.get("client_id")
        execution = Execution(queued.prompt_id)
        self.executions.append(execution)

        def tell(event: str, data: dict[str, Any]) -> None:
            if client or event == "progress_state":
                self.listeners.tell(event, data, client)

        with suppress(Interrupted):
            run_graph(
                queued.graph,
                queued.outputs,
                files=self.files,
                behaviour=queued.job.behaviour,
                cache=self.cache,
                execution=execution,
                stop=queued.stop,
                tell=tell,
                stream=lambda data: self.listeners.stream(data, client),
            )
        with self.wake:
            if queued not in self.running:
                return  # the server was restarted meanwhile
            self.cache = execution.results
            self.running.remove(queued)
            self.history[queued.prompt_id] = {"prompt": queued.listed(), **execution.recorded()}
            if queued.stop.is_set():
                queued.job.canceled_at = time.time()
        self._tell_status()
        tell("executing", {"node": None, "prompt_id": queued.prompt_id})


def _is_canonical(prompt_id: str) -> bool:
    try:
        return str(uuid.UUID(prompt_id)) == prompt_id
    except ValueError:
        return False


def _now() -> int:
    return math.floor(time.time() * 1000)


class _ComfyHandler(_Handler, BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path.partition("?")[0].removeprefix("/api") == "/ws":
            assert isinstance(self.server.vendor, ComfyUI)
            self.close_connection = True
            upgrade(self, self.server.vendor.listeners, features(is_old=self.server.vendor.is_old))
        else:
            super().do_GET()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    vendor: ComfyUI


@contextmanager
def serving(comfyui: ComfyUI, port: int = 0) -> Iterator[ComfyUI]:
    """Let it listen until the block ends, as if it were killed then: queue and history are gone."""
    server = _Server(("127.0.0.1", port), _ComfyHandler)
    server.vendor = comfyui
    comfyui.url = f"http://127.0.0.1:{server.server_port}"
    comfyui.is_up = True
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True),
        threading.Thread(target=comfyui.work, daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield comfyui
    finally:
        comfyui.is_up = False
        comfyui.restart()
        server.shutdown()
        server.server_close()
        comfyui.listeners.close()
        for thread in threads:
            thread.join()
