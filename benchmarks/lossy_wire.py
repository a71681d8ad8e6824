"""Makes a campaign over wires that lose, spoil and delay, and compares our books with the vendors'.

    python benchmarks/lossy_wire.py --pictures 350 --seed 1

Eight providers, each behind a mitmproxy with faults that the seed draws. Four can be found again: Replicate
by its listing, ComfyUI, Runflow and a queue of one's own by our id. Of two, fal and RunPod, only a webhook
with the attempt's token can tell. Two, Together and OpenAI, answer with the picture and know nothing of it
afterwards. The webhook receiver is the real one, in a process of its own; on their way there webhooks come
late, twice, out of order or not at all, and forged ones come beside them. ComfyUI is started again in the
middle and has forgotten its queue; so is our own run, which is killed, and others go on until nothing is
missing.

Nothing here believes our own records: what was accepted and billed is what the vendors' books say.
"""

import argparse
import heapq
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.jobs.delivery import DELIVERIES, new_token
from asset_pipeline.store.store import Store
from asset_pipeline_tests.comfyui_fake import Queued
from asset_pipeline_tests.peers.lossy_wire import Fault, lossy_wire
from asset_pipeline_tests.provider_books import audited, broken_promises, explained, suspects, table
from asset_pipeline_tests.provider_fleet import FLEET, Errand, Gate, Watched, at_work, receiving, start
from asset_pipeline_tests.remote_orders import SPRING
from asset_pipeline_tests.vendors.comfyui import ComfyUIVendor
from asset_pipeline_tests.vendors.server import Behaviour, Reply, Request, Vendor, serving

SUBMITS: Mapping[Fault, float] = {
    "503": 0.03,
    "502": 0.02,
    "500": 0.02,
    "drop before": 0.03,
    "drop after": 0.04,
    "truncate": 0.03,
    "trickle": 0.015,
    "delay": 0.01,
    "html": 0.02,
    "wrong json": 0.02,
}
READS: Mapping[Fault, float] = {
    "429": 0.03,
    "503": 0.02,
    "502": 0.01,
    "500": 0.02,
    "drop before": 0.03,
    "drop after": 0.03,
    "truncate": 0.03,
    "trickle": 0.005,
    "delay": 0.005,
    "html": 0.02,
    "wrong json": 0.02,
}
STORM, STORM_LENGTH = 0.02, (3, 6)
"""How often a storm of 429 begins, and how many submissions it turns away in a row."""
SLOW_SECONDS = 6.0
"""What ``trickle`` and ``delay`` take: longer than a submission is waited for."""
ENDPOINT: Mapping[str, Any] = {
    "polling": {"first": 0.3, "longest": 2.0, "rechecks": 3},
    "timeouts": {"connect": 3.0, "submit": 4.0, "start": 60.0, "reconcile": 12.0},
}
Outcome = Literal["succeeds", "fails", "is blank", "is truncated"]
OUTCOMES: Mapping[Outcome, int] = {"succeeds": 47, "fails": 1, "is blank": 1, "is truncated": 1}
"""Of fifty jobs, three come to nothing through the vendor's fault."""
LEAST_FORGOTTEN = 3
"""ComfyUI, which draws one picture after the other, is started again when it has so many to forget."""
LAST_BREATH_SECONDS = 0.5
"""What a job that dies with its server may take to save its picture all the same."""
MOST_RUNS = 12
TWICE, LATE, NEVER, FORGED = 0.2, 0.2, 0.1, 0.3
"""Shares of the webhooks to which that happens."""


def faults(rates: Mapping[Fault, float], count: int, dice: random.Random, storm: float) -> list[Fault | None]:
    """What happens to so many requests in their order."""
    drawn: list[Fault | None] = []
    while len(drawn) < count:
        if dice.random() < storm:
            drawn += ["429"] * dice.randint(*STORM_LENGTH)
        else:
            drawn += dice.choices([*rates, None], [*rates.values(), 1 - sum(rates.values())])
    return drawn[:count]


class Post(Vendor):
    """The way of webhooks to the receiver, which is as bad as the wires."""

    name = "post"

    def __init__(self, receiver: str, dice: random.Random) -> None:
        super().__init__()
        self._receiver = receiver
        self._dice = dice
        self._bag: list[tuple[float, int, Request]] = []
        self._forged: set[int] = set()
        self.told: Counter[str] = Counter()
        self.is_open = True
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def is_submission(self, request: Request) -> bool:
        """See Vendor: nothing costs anything."""
        del request
        return False

    def answer(self, request: Request) -> Reply:
        """Take a webhook, and forge another one now and then."""
        with self.lock:
            self.told["sent by vendors"] += 1
            if self._dice.random() < NEVER:
                self.told["never arrived"] += 1
                return Reply(200, {})
            is_late = self._dice.random() < LATE
            self.told["late"] += is_late
            self._put(request, self._dice.uniform(3.0, 8.0) if is_late else self._dice.uniform(0.0, 1.0))
            if self._dice.random() < TWICE:
                self.told["repeated"] += 1
                self._put(request, self._dice.uniform(0.0, 6.0))
            if self._dice.random() < FORGED:
                self.told["forged"] += 1
                self._forged.add(self._put(_forgery(request), self._dice.uniform(0.0, 2.0)))
        return Reply(200, {})

    def close(self) -> None:
        """Carry what is in the bag, and end."""
        self.is_open = False
        self._carrier.join()

    def _put(self, request: Request, seconds: float) -> int:
        number = self.told["carried"] = self.told["carried"] + 1
        heapq.heappush(self._bag, (time.monotonic() + seconds, number, request))
        return number

    def _carry(self) -> None:
        with httpx.Client(timeout=10.0) as client:
            while self.is_open or self._bag:
                with self.lock:
                    is_due = bool(self._bag) and self._bag[0][0] <= time.monotonic()
                    _, number, request = heapq.heappop(self._bag) if is_due else (0.0, 0, None)
                if request is None:
                    time.sleep(0.02)
                    continue
                headers = {k: v for k, v in request.headers.items() if k not in ("host", "content-length")}
                with suppress(httpx.HTTPError):
                    answer = client.post(
                        f"{self._receiver}{request.path}", content=request.body, headers=headers
                    )
                    kind = "forged" if number in self._forged else "genuine"
                    self.told[f"{kind} answered {answer.status_code}"] += 1


def _forgery(request: Request) -> Request:
    """Another body under the same signature; where nothing is signed, a token that nobody was told."""
    _, _, provider, _ = request.path.split("/")
    path = request.path if provider != "runpod" else f"/webhooks/{provider}/{new_token(datetime.now(UTC))}"
    body = b'{"id": "another", "request_id": "another", "status": "FAILED", "error": "forged"}'
    return Request(request.method, path, request.query, request.headers, body)


@contextmanager
def bad_wires(root: Path, fleet: Mapping[str, Watched], pictures: int, seed: int) -> Iterator[None]:
    """Put a bad wire in front of each vendor; the addresses that it hands out lead through it too."""
    with ExitStack() as stack:
        for name, watched in fleet.items():
            folder = root / f"wire-{name}"
            folder.mkdir()
            wire = stack.enter_context(lossy_wire(folder))
            dice = random.Random(f"{seed}:{name}")  # noqa: S311 - faults, not secrets
            watched.vendor.url = wire.lead(
                watched.address,
                submits=faults(SUBMITS, 2 * pictures, dice, STORM),
                reads=faults(READS, 40 * pictures, dice, 0.0),
                seed=seed,
                seconds=SLOW_SECONDS,
            )
        yield


def restart(comfyui: Watched) -> int:
    """Start ComfyUI again if it has something to forget, and say how much; what it did not finish is free."""
    vendor = comfyui.vendor
    if not isinstance(vendor, ComfyUIVendor):
        raise TypeError("it is no ComfyUI")
    with vendor.lock:
        running, waiting = list(vendor.running), list(vendor.pending)
    if len(running) + len(waiting) < LEAST_FORGOTTEN:
        return 0
    comfyui.restarted_at = time.time()
    vendor.restart()
    time.sleep(LAST_BREATH_SECONDS)
    for queued in [*waiting, *(each for each in running if not has_saved(vendor, each))]:
        queued.job.price_usd = 0.0
    return len(running) + len(waiting)


def has_saved(vendor: ComfyUIVendor, queued: Queued) -> bool:
    """Whether a job left its picture, though the server died before it said so."""
    folder = vendor.files.root / "output"
    prefixes = [str(node["inputs"].get("filename_prefix", "")) for node in queued.graph.values()]
    return any(prefix and list(folder.glob(f"{prefix}_*")) for prefix in prefixes)


def runs_until_done(errand: Errand, fleet: Mapping[str, Watched]) -> tuple[int, int]:
    """Kill the first run in the middle, restart ComfyUI, and run until nothing is missing.

    Returns:
        How many runs there were, and how many jobs ComfyUI had forgotten.
    """
    store = Store(errand.store)
    comfyui = fleet["comfyui"]
    candidates = {each.prompt.text: each.candidate_id for each in errand.order().wanted}
    forgotten = 0
    for number in range(1, MOST_RUNS + 1):
        process = start(errand, number)
        while process.is_alive():
            process.join(0.2)
            settled = sum(name.endswith(".settled") for name in store.events.names(ATTEMPTS, SPRING))
            if comfyui.restarted_at is None and settled > errand.pictures / 4:
                forgotten = restart(comfyui)
            if number == 1 and settled > errand.pictures / 2:
                process.kill()
                process.join()
        if process.exitcode == 1:
            raise SystemExit(f"a run met a bug:\n{Path(errand.log).read_text()[-4000:]}")
        books = audited(store, fleet, candidates)
        print(f"run {number} ended with {process.exitcode}, {len(books.without_end)} have no end", flush=True)
        if process.exitcode == 0 and not books.without_end:
            break
    return number, forgotten


def main() -> int:
    """Print what came of it; 1 if anything that should be 0 is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=350)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="Where to keep the runs' log.")
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, seed {arguments.seed}"
    )
    began = time.monotonic()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleet = stack.enter_context(at_work(FLEET))
        for name, watched in fleet.items():
            dice = random.Random(f"{arguments.seed}:{name}:outcomes")  # noqa: S311 - the same
            outcomes = dice.choices([*OUTCOMES], [*OUTCOMES.values()], k=arguments.pictures)
            seconds = 0.6 if name == "comfyui" else 0.3
            watched.vendor.behaviours = [Behaviour(0.2, seconds, outcome) for outcome in outcomes]
            watched.vendor.always = Behaviour(0.2, seconds)
        receiver = stack.enter_context(receiving(root, fleet))
        post = Post(receiver, random.Random(arguments.seed))  # noqa: S311 - the same
        stack.callback(post.close)
        stack.enter_context(serving(post))
        stack.enter_context(bad_wires(root, fleet, arguments.pictures, arguments.seed))
        gates = {name: Gate(each.vendor.base_url, each.vendor.key) for name, each in fleet.items()}
        log = arguments.log or root / "log"
        errand = Errand(str(root / "store"), gates, FLEET, arguments.pictures, post.url, ENDPOINT, str(log))
        runs, forgotten = runs_until_done(errand, fleet)
        post.close()
        store = Store(errand.store)
        order = errand.order()
        candidates = {each.prompt.text: each.candidate_id for each in order.wanted}
        books = audited(store, fleet, candidates)
        kept = sum(len(store.events.names(DELIVERIES, day)) for day in store.events.partitions(DELIVERIES))
        met = Counter[str]()
        for name in fleet:
            met += _met(root / f"wire-{name}" / "ledger.jsonl")
    print(f"{arguments.pictures} pictures, {runs} runs, {time.monotonic() - began:.0f} s")
    print("faults met: " + ", ".join(f"{name} {count}" for name, count in sorted(met.items())))
    print(
        "webhooks: "
        + ", ".join(f"{name} {count}" for name, count in sorted(post.told.items()))
        + f", kept {kept}"
    )
    print(f"ComfyUI was started again and had forgotten {forgotten} jobs")
    print("\n".join(table(books, fleet)))
    print("\n".join(explained(books, fleet)))
    arrived = post.told["sent by vendors"] - post.told["never arrived"]
    broken = broken_promises(books, fleet)
    broken["webhooks kept, and neither genuine nor under a token of nobody's, or not kept"] = abs(
        kept - arrived - post.told["forged answered 200"]
    )
    for name, count in broken.items():
        print(f"{count:6d}  {name}")
    print("\n".join(suspects(books, fleet)))
    return int(any(broken.values()))


def _met(ledger: Path) -> Counter[str]:
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    passed = [json.loads(line) for line in lines]
    kinds = {"GET": "read", "HEAD": "read"}
    return Counter(
        f"{kinds.get(each['method'], 'submission')} {each['fault']}" for each in passed if each["fault"]
    )


if __name__ == "__main__":
    sys.exit(main())
