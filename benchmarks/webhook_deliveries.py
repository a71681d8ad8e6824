"""Sends ten thousand deliveries to the webhook receiver, and counts what it wrongly kept or did not keep.

    python benchmarks/webhook_deliveries.py --deliveries 10000

The receiver is a process of its own (``asset-pipeline serve webhooks``) with a new store; several processes
send, each on several connections. Deliveries are of all providers and come in any order: a job's end before
its start, genuine ones several times over, forged ones (another key, another body, no signature) and stale
ones, most of them to the address of an attempt that exists. Afterwards every file of the store is compared
with what was genuine. The time of an answer is set beside that of the same server's 404, for which it reads,
verifies and keeps nothing.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from asset_pipeline.candidates.jobs.delivery import DELIVERIES, new_token
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.store import Store
from asset_pipeline_tests import webhook_senders as senders
from asset_pipeline_tests.webhook_senders import ENVIRON, FAL_KEY, OTHER_FAL_KEY, Letter, key_set

SIGNED = ("replicate", "salad", "runflow", "fal")
PROVIDERS = (*SIGNED, "runpod", "cog", "comfy_deploy")
SHARES = {"replayed": 0.2, "forged": 0.2, "stale": 0.1}
"""The others are genuine and come once."""
PROCESSES, CONNECTIONS = 4, 4
"""Who sends, and on how many connections each."""
WAIT_SECONDS = 120


@dataclass(frozen=True)
class Sent:
    """A delivery on its way to an attempt's address."""

    letter: Letter
    token: str
    is_genuine: bool


@dataclass(frozen=True)
class Answer:
    """What a delivery was answered, and after how many milliseconds."""

    status: int
    milliseconds: float


class Vendor:
    """A provider that runs one job and tells of it twice."""

    def __init__(self, provider: str, number: int, now: datetime) -> None:
        self.provider = provider
        self.token = new_token(now - timedelta(days=number % 3))
        self._job = f"{provider}-job-{number}"

    def letters(self, when: datetime) -> list[Letter]:
        """The start and the end; fal and Salad tell of the end alone."""
        states = ["COMPLETED"] if self.provider in ("fal", "salad") else ["IN_PROGRESS", "COMPLETED"]
        return [self.letter(state, when) for state in states]

    def letter(self, state: str, when: datetime) -> Letter:
        """One message, signed as the provider signs."""
        body: dict[str, Any] = {"id": self._job, "status": state, "output": {"text": "a" * 400}}
        match self.provider:
            case "replicate":
                return senders.standard("replicate", body, when, delivery_id=f"msg_{self._job}_{state}")
            case "salad":
                return senders.standard("salad", body, when, delivery_id=self._job)
            case "fal":
                return senders.fal(body, when, request_id=self._job)
            case "runflow":
                return senders.runflow({"run_id": self._job, "event": f"run.{state}", **body})
            case _:
                return senders.unsigned(self.provider, body)


def planned(count: int, dice: random.Random, now: datetime) -> list[Sent]:
    """So many deliveries in the order in which they are sent."""
    wanted = {kind: round(count * share) for kind, share in SHARES.items()}
    genuine: list[Sent] = []
    vendors: list[Vendor] = []
    while len(genuine) < count - sum(wanted.values()):
        vendor = Vendor(PROVIDERS[len(vendors) % len(PROVIDERS)], len(vendors), now)
        vendors.append(vendor)
        genuine += [Sent(letter, vendor.token, is_genuine=True) for letter in vendor.letters(now)]
    signed = [each for each in vendors if each.provider in SIGNED]
    dated = [each for each in signed if each.provider != "runflow"]
    replays = dice.choices(genuine, k=count - len(genuine) - wanted["forged"] - wanted["stale"])
    forged = [_forged(dice.choice(signed), dice, now) for _ in range(wanted["forged"])]
    stale = [_stale(dice.choice(dated), dice, now) for _ in range(wanted["stale"])]
    everything = [*genuine, *replays, *forged, *stale]
    dice.shuffle(everything)
    return everything


def _forged(vendor: Vendor, dice: random.Random, now: datetime) -> Sent:
    letter = vendor.letter("COMPLETED", now)
    token = dice.choice([vendor.token, new_token(now)])
    raw = bytearray(letter.body)
    raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    body = json.loads(letter.body)
    standard = partial(
        senders.standard,
        vendor.provider,
        body,
        now,
        delivery_id=letter.headers.get("webhook-id", ""),
        key=b"a key of somebody else",
    )
    other_key: dict[str, Callable[[], Letter]] = {
        "replicate": standard,
        "salad": standard,
        "fal": partial(senders.fal, body, now, request_id=body["id"], key=OTHER_FAL_KEY),
        "runflow": partial(senders.runflow, body, secret="somebody else's secret"),  # noqa: S106
    }
    ways = [
        replace(letter, body=bytes(raw)),
        replace(letter, headers={}),
        other_key[vendor.provider](),
    ]
    return Sent(dice.choice(ways), token, is_genuine=False)


def _stale(vendor: Vendor, dice: random.Random, now: datetime) -> Sent:
    away = timedelta(seconds=dice.choice([-302, -3600, 3600]))
    return Sent(vendor.letter("COMPLETED", now + away), vendor.token, is_genuine=False)


def _send(port: int, sent: Sequence[Sent], path: str | None) -> list[Answer]:
    """Send one after the other on one connection, or something else to `path` instead."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for each in sent:
        began = time.perf_counter()
        address = path or f"/webhooks/{each.letter.provider}/{each.token}"
        line.request("POST", address, each.letter.body, dict(each.letter.headers))
        answer = line.getresponse()
        answer.read()
        answers.append(Answer(answer.status, 1000 * (time.perf_counter() - began)))
    line.close()
    return answers


def send_share(port: int, sent: Sequence[Sent], path: str | None) -> list[Answer]:
    """What one process sends, on all its connections."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        shares = pool.map(lambda n: _send(port, sent[n::CONNECTIONS], path), range(CONNECTIONS))
        return _interleaved(list(shares), len(sent))


def send_all(port: int, sent: Sequence[Sent], path: str | None = None) -> tuple[list[Answer], float]:
    """Send from all processes at once: the answers in the order of `sent`, and the seconds it took."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["asset_pipeline_tests.webhook_senders"])
    with context.Pool(PROCESSES) as pool:
        began = time.perf_counter()
        shares = pool.starmap(send_share, [(port, sent[n::PROCESSES], path) for n in range(PROCESSES)], 1)
        return _interleaved(shares, len(sent)), time.perf_counter() - began


def _interleaved(shares: Sequence[Sequence[Answer]], count: int) -> list[Answer]:
    return [shares[n % len(shares)][n // len(shares)] for n in range(count)]


@contextmanager
def publishing_keys() -> Iterator[tuple[str, list[str]]]:
    """A server with fal's public keys: its URL, and what it was asked."""
    asked: list[str] = []

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the keys."""
            asked.append(self.path)
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(key_set(FAL_KEY))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json", asked
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def receiving(root: Path, environ: dict[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    """The receiver as a process of its own: its port, and the process."""
    log = root / "server.log"
    command = [sys.executable, "-c", "from asset_pipeline.commands.serve import serve; serve()"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "webhooks", "--port", "0"], cwd=root, env=os.environ | environ, stderr=output
        )
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the receiver did not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield int(found[1]), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


def wrong_effects(store: Store, sent: Sequence[Sent], answers: Sequence[Answer]) -> Counter[str]:
    """What the store has and should not, what it lacks, and who was answered wrongly."""
    genuine = {
        (each.letter.provider, each.token, sha256_of(each.letter.body)) for each in sent if each.is_genuine
    }
    kept = Counter(
        (
            event.body.provider,
            event.body.token,
            sha256_of(event.body.body.encode()) if event.is_intact else "",
        )
        for day in store.events.partitions(DELIVERIES)
        for event in store.events.read(DELIVERIES, day)
    )
    expected = {True: HTTPStatus.OK, False: HTTPStatus.UNAUTHORIZED}
    return Counter(
        {
            "kept, forged or stale": len(kept.keys() - genuine),
            "genuine, missing": len(genuine - kept.keys()),
            "kept twice": sum(count > 1 for count in kept.values()),
            "answered wrongly": sum(
                answer.status != expected[each.is_genuine] for each, answer in zip(sent, answers, strict=True)
            ),
        }
    )


def _percentiles(answers: Sequence[Answer]) -> tuple[float, float]:
    milliseconds = [answer.milliseconds for answer in answers]
    return float(np.percentile(milliseconds, 50)), float(np.percentile(milliseconds, 99))


def main() -> int:
    """Measure, and print what came of it; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, "
        f"Python {platform.python_version()}, {tempfile.gettempdir()}"
    )
    with tempfile.TemporaryDirectory() as name, publishing_keys() as (keys, asked):
        root = Path(name)
        environ = {**ENVIRON, "ASSET_PIPELINE_WEBHOOK_FAL": keys}
        environ |= {"ASSET_PIPELINE_DATA": str(root), "ASSET_PIPELINE_STORE": str(root / "store")}
        with receiving(root, environ) as (port, process):
            sent = planned(arguments.deliveries, random.Random(arguments.seed), datetime.now(UTC))  # noqa: S311
            answers, seconds = send_all(port, sent)
            constant, constant_seconds = send_all(port, sent, path="/nothing/here")
            memory = process.memory_info().rss / 1e6
        wrong = wrong_effects(Store(str(root / "store")), sent, answers)
        kept = sum(1 for _ in (root / "store" / "events" / "deliveries").rglob("*-*.json"))
    genuine = sum(each.is_genuine for each in sent)
    print(
        f"{len(sent):,} deliveries of {len(PROVIDERS)} providers in {seconds:.1f} s "
        f"({len(sent) / seconds:.0f}/s) on {PROCESSES * CONNECTIONS} connections: {genuine:,} genuine, "
        f"{len(sent) - genuine:,} forged or stale; fal's keys asked for {len(asked)} times"
    )
    print(f"kept {kept:,}; wrong effects: " + ", ".join(f"{what} {count}" for what, count in wrong.items()))
    (p50, p99), (base50, base99) = _percentiles(answers), _percentiles(constant)
    genuine_only = [answer for each, answer in zip(sent, answers, strict=True) if each.is_genuine]
    kept50, kept99 = _percentiles(genuine_only)
    print(f"answer p50 / p99 {p50:.1f} / {p99:.1f} ms; genuine ones {kept50:.1f} / {kept99:.1f} ms")
    print(
        f"the same server's 404: {base50:.1f} / {base99:.1f} ms ({len(sent) / constant_seconds:.0f}/s); "
        f"a delivery takes {p50 / base50:.1f} / {p99 / base99:.1f} times as long"
    )
    print(f"memory of the receiver {memory:.0f} MB")
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
