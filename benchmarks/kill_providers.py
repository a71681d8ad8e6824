"""Kills runs whose pictures remote providers make, again and again: is anything paid twice, or lost?

    python benchmarks/kill_providers.py --kills 100 --seed 1

Eight pretended vendors with books of their own live in this process, and the webhook receiver in another; the
run is a process that is ended with SIGKILL and started again. Most kills wait until an attempt comes to a
state that is drawn (claimed, sent, queued, running, fetching, settled), and come up to a twentieth of a
second later; the others come at any moment. Now and then a vendor drops a submission, before or after it
accepted it. The campaign grows until there were enough kills; then runs go on until nothing is missing.

Where a submission can be found again, our books have to be the vendor's, to the last digit. Where it cannot,
they may differ by what they name as unreconciled or estimated, and by nothing else.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, standings
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.store.store import Store
from asset_pipeline_tests.provider_books import Books, audited, broken_promises, explained, suspects, table
from asset_pipeline_tests.provider_fleet import FLEET, Errand, Gate, Watched, at_work, receiving, start
from asset_pipeline_tests.remote_orders import SPRING
from asset_pipeline_tests.vendors.server import Behaviour, Fault

MOMENTS = ("submitting", "sent", "queued", "running", "fetching", "settled")
"""Names of events: an attempt was claimed, went out, was accepted, began, is fetched, has ended."""
AIMED = 0.75
"""The share of kills that wait for an event; the others come at any moment after the start."""
JUST_AFTER, ANY_MOMENT = 0.05, 2.5
"""Seconds."""
LONGEST_WAIT = 6.0
"""Seconds until a kill comes, whatever it waits for."""
DROPS = 0.03
"""The share of submissions whose answer, or which themselves, are lost."""
AHEAD = 60
"""The campaign has at least so many pictures without an end while there are kills to come."""
ENDPOINT: Mapping[str, Any] = {
    "polling": {"first": 0.1, "longest": 0.5, "rechecks": 3},
    "timeouts": {"connect": 3.0, "submit": 5.0, "start": 60.0, "reconcile": 5.0},
}
MOST_LAST_RUNS = 10


def kill(process: ForkServerProcess, store: Store, chance: random.Random) -> str:
    """Wait for a moment, and end a run then; say which moment it was."""
    began, before = time.monotonic(), _names(store)
    wanted = chance.choice(MOMENTS) if chance.random() < AIMED else None
    until = began + chance.uniform(0.0, ANY_MOMENT)
    while process.is_alive() and time.monotonic() < began + LONGEST_WAIT:
        if wanted is None:
            if time.monotonic() >= until:
                break
        elif any(name.endswith(f".{wanted}") for name in _names(store) - before):
            time.sleep(chance.uniform(0.0, JUST_AFTER))
            break
        time.sleep(0.005)
    process.kill()
    process.join()
    return wanted or "any moment"


def _names(store: Store) -> set[str]:
    return set(store.events.names(ATTEMPTS, SPRING))


class Traces:
    """What kills left behind: open attempts by their state, and pictures that are kept and not recorded."""

    def __init__(self, store: Store, images: Path) -> None:
        self._store = store
        self._images = images
        self._unrecorded: set[str] = set()
        self.attempts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.each: list[int] = []

    def look(self, number: int) -> None:
        """Count what the run of that number has left."""
        attempts = standings(self._store.events.read(ATTEMPTS, SPRING)).values()
        left = Counter(
            "claimed" if each.state == "pending" else str(each.state)
            for each in attempts
            if each.state in OPEN and each.run_id == f"run-{number}"
        )
        self.each.append(sum(left.values()))
        kept = {path.stem for path in self._images.rglob("*.webp")}
        unrecorded = kept - {each.image_sha256 for each in attempts}
        left["settling"] = len(unrecorded - self._unrecorded)
        self._unrecorded = unrecorded
        self.attempts += left
        self.kills += Counter(state for state, count in left.items() if count)
        self.kills["nothing open"] += not sum(left.values())


def balances(books: Books, fleet: Mapping[str, Watched]) -> list[str]:
    """Our books beside the vendor's, for each provider; the equation that has to hold, in dollars."""
    told = []
    for name, watched in fleet.items():
        lines = books.of(name)
        ours = total_usd(line.attempt.cost_usd for line in lines)
        theirs = total_usd(job.billed_usd for job in watched.vendor.jobs)
        named = total_usd(line.difference_usd for line in lines if line.is_named)
        if watched.member.finding == "can be found":
            holds, equation = ours == theirs, f"ours {ours:.3f} = theirs {theirs:.3f}"
        else:
            holds = ours == total_usd([theirs, named])
            equation = f"ours {ours:.3f} = theirs {theirs:.3f} + named {named:+.3f}"
        told.append(f"  {name:14} {equation}: {'holds' if holds else 'DOES NOT HOLD'}")
    return told


def kill_until_enough(
    errand: Errand, kills: int, chance: random.Random
) -> tuple[Errand, Counter[str], Traces]:
    """Run and kill so many times; the campaign as it has grown, what the kills waited for, what they left."""
    store, aimed = Store(errand.store), Counter[str]()
    traces = Traces(store, Path(errand.store) / "images")
    for number in range(1, kills + 1):
        settled = {name.partition(".")[0] for name in _names(store) if name.endswith(".settled")}
        errand = replace(errand, pictures=max(errand.pictures, len(settled) + AHEAD))
        process = start(errand, number)
        moment = kill(process, store, chance)
        if process.exitcode == 1:
            raise SystemExit(f"a run met a bug:\n{Path(errand.log).read_text()[-4000:]}")
        aimed[moment] += process.exitcode is not None and process.exitcode < 0
        traces.look(number)
    return errand, aimed, traces


def main() -> int:
    """Print what came of it; 1 if anything that should be 0 is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=300, help="How many at least.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="Where to keep the runs' log.")
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, seed {arguments.seed}"
    )
    began, chance = time.monotonic(), random.Random(arguments.seed)  # noqa: S311 - moments, not secrets
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleet = stack.enter_context(at_work(FLEET))
        drops: list[Fault | None] = ["drop before", "drop after"]
        for watched in fleet.values():
            watched.vendor.always = Behaviour(queue_seconds=0.3, run_seconds=0.3)
            watched.vendor.faults = chance.choices([*drops, None], [DROPS / 2, DROPS / 2, 1 - DROPS], k=2000)
        receiver = stack.enter_context(receiving(root, fleet))
        gates = {name: Gate(each.vendor.base_url, each.vendor.key) for name, each in fleet.items()}
        log = arguments.log or root / "log"
        store = Store(str(root / "store"))
        errand = Errand(str(root / "store"), gates, FLEET, arguments.pictures, receiver, ENDPOINT, str(log))
        errand, aimed, traces = kill_until_enough(errand, arguments.kills, chance)
        killed = time.monotonic() - began
        candidates = {each.prompt.text: each.candidate_id for each in errand.order().wanted}
        for number in range(arguments.kills + 1, arguments.kills + MOST_LAST_RUNS):
            process = start(errand, number)
            process.join()
            if process.exitcode == 1:
                raise SystemExit(f"a run met a bug:\n{log.read_text()[-4000:]}")
            books = audited(store, fleet, candidates)
            print(f"last runs: {number} ended with {process.exitcode}, {len(books.without_end)} have no end")
            if process.exitcode == 0 and not books.without_end:
                break
    print(
        f"{sum(aimed.values())} kills in {killed:.0f} s, {time.monotonic() - began:.0f} s in all,"
        f" {errand.pictures} pictures; a kill left {sum(traces.each) / len(traces.each):.1f} attempts open,"
        f" {max(traces.each)} at most"
    )
    print("kills by what they waited for: " + ", ".join(f"{name} {count}" for name, count in aimed.items()))
    print("kills that left an attempt in a state, and how many attempts they left in it:")
    for state in ("nothing open", "claimed", *OPEN[1:], "settling"):
        print(f"{traces.kills[state]:6d}  {state:14}{traces.attempts[state]:6d}")
    print("\n".join(table(books, fleet)))
    print("\n".join(explained(books, fleet)))
    equations = balances(books, fleet)
    print("\n".join(["books, in dollars:", *equations]))
    broken = broken_promises(books, fleet)
    broken["books that do not balance"] = sum(line.endswith("NOT HOLD") for line in equations)
    for name, count in broken.items():
        print(f"{count:6d}  {name}")
    print("\n".join(suspects(books, fleet)))
    return int(any(broken.values()))


if __name__ == "__main__":
    sys.exit(main())
