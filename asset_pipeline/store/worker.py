"""Who is working: a name for each process, its heartbeat, and whether another one is still alive.

A claim is only as good as its owner. On the owner's own machine its process is looked up; from another
machine its heartbeat, an event every half minute, has to be recent.
"""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store

HEARTBEAT = timedelta(seconds=30)
SILENCE = timedelta(seconds=150)
"""After so long without a heartbeat a worker on another machine counts as dead: five were missed."""


ENDED = "ended"
"""The name of a worker's last sign: its process may live on, as a step that is tried again does."""


class Worker(BaseModel):
    """A process that claims work: it makes images, or asks text models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker_id: str
    host: str
    """The machine since its last boot, as precisely as it tells: host name and boot."""
    pid: int
    started: float
    """When the process started, in seconds since 1970, so that a reused process id is not mistaken for it."""
    run_id: str


class Heartbeat(BaseModel):
    """A sign of life."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker: Worker


HEARTBEATS = EventStream("heartbeats", Heartbeat, partitioned_by="worker")


@contextmanager
def working(store: Store, run_id: str) -> Iterator[Worker]:
    """Be a worker for as long as the block runs: with a name, and a heartbeat that others can see."""
    process = psutil.Process()
    worker = Worker(
        worker_id=f"w{secrets.token_hex(6)}",
        host=_this_host(),
        pid=process.pid,
        started=process.create_time(),
        run_id=run_id,
    )
    done = threading.Event()

    def beat() -> None:
        count = 0
        while not done.is_set():
            store.events.append(HEARTBEATS, worker.worker_id, f"{count:08d}", Heartbeat(worker=worker))
            count += 1
            done.wait(HEARTBEAT.total_seconds())

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        done.set()
        thread.join()
        store.events.append(HEARTBEATS, worker.worker_id, ENDED, Heartbeat(worker=worker))


def is_alive(store: Store, worker: Worker, *, now: datetime | None = None) -> bool:
    """Whether a worker may still be at work: it did not say that it ended, and it shows signs of life."""
    names = store.events.names(HEARTBEATS, worker.worker_id)
    if ENDED in names:
        return False
    if worker.host == _this_host():
        try:
            process = psutil.Process(worker.pid)
            is_same = abs(process.create_time() - worker.started) < 1.0
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
    last = store.events.get(HEARTBEATS, worker.worker_id, names[-1]) if names else None
    return last is not None and (now or datetime.now(UTC)) - last.recorded_at < SILENCE


def _this_host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    suffix = boot.read_text().strip()[:8] if boot.exists() else str(int(psutil.boot_time()))
    return f"{socket.gethostname()}/{suffix}"
