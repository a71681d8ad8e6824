"""Several pretended vendors at once, one campaign that is dealt over them, and runs that can be killed.

The vendors live in the process that starts them, each run in one of its own, which is forked from a server
that has imported everything. So a run starts in a moment, and its death leaves the vendors' books alone.
"""

import importlib
import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Literal, cast

from asset_pipeline.candidates.jobs.adapter import Adapter
from asset_pipeline.candidates.jobs.remote import WEBHOOK_URL, Remote
from asset_pipeline.candidates.order import Order
from asset_pipeline.errors import BudgetExceeded, ProviderUnavailable
from asset_pipeline.store.store import Store
from asset_pipeline_tests.comfyui_fake import serving as serving_comfyui
from asset_pipeline_tests.peers.process import free_port, running
from asset_pipeline_tests.remote_orders import lane, order, prompt, run
from asset_pipeline_tests.vendors import replicate, runflow
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.comfyui import ComfyUIVendor
from asset_pipeline_tests.vendors.fal import KEYS
from asset_pipeline_tests.vendors.server import Reply, Request, Vendor, serving

Finding = Literal["can be found", "by webhook alone", "never"]


@dataclass(frozen=True)
class Member:
    """One provider of the fleet, by the name of its vendor's file, and what its profile says."""

    name: str
    usd: float
    finding: Finding
    """How a submission without an answer is found again."""
    calls_back: bool = False
    lost: Literal["hold", "remake"] = "hold"
    makers: int = 4
    run_seconds: float = 30.0

    @property
    def case(self) -> Case:
        """The adapter and its vendor."""
        found: Case = importlib.import_module(f"asset_pipeline_tests.vendors.{self.name}").case()
        return found


FLEET = (
    Member("replicate", 0.011, "can be found", calls_back=True),
    Member("comfyui", 0.012, "can be found"),
    Member("submit_poll", 0.013, "can be found"),
    Member("runflow", 0.014, "can be found", calls_back=True),
    Member("fal", 0.017, "by webhook alone", calls_back=True),
    Member("runpod", 0.019, "by webhook alone", calls_back=True),
    Member("together", 0.023, "never", makers=2, run_seconds=4.0),
    Member("openai_images", 0.025, "never", lost="remake", makers=2, run_seconds=4.0),
)
"""In the order of their prices, so that a picture goes to its own provider while that may be asked."""


@dataclass(frozen=True)
class Gate:
    """Where a run finds a vendor: all that it is told of it."""

    base_url: str
    key: str


@dataclass(frozen=True)
class Errand:
    """What a run is to do, handed over to its process."""

    store: str
    gates: Mapping[str, Gate]
    members: Sequence[Member]
    pictures: int
    webhook_url: str
    endpoint: Mapping[str, Any]
    """Patience, for all providers."""
    log: str

    def order(self) -> Order:
        """The campaign: each picture has a provider of its own, which the next one in the fleet stands in
        for."""
        names = [member.name for member in self.members]
        lanes = []
        for place, member in enumerate(self.members):
            case, gate = member.case, self.gates[member.name]
            vendor = Vendor()
            vendor.url, vendor.key, vendor.price_usd = gate.base_url, gate.key, member.usd
            given: Mapping[str, Any] = {**case.parameters}
            marks = [_mark(name) for name in names[max(0, place - 1) : place + 1]]
            allowed = [*given.get("may_drop", ()), *marks]
            timeouts = {**self.endpoint["timeouts"], "run": member.run_seconds}
            made = lane(
                case,
                vendor,
                name=member.name,
                parameters={**given, "may_drop": allowed},
                endpoint={
                    **self.endpoint,
                    "timeouts": timeouts,
                    "webhook": member.calls_back,
                    "lost": member.lost,
                },
                concurrency=member.makers,
            )
            remote = Remote(_adapter(made.provider), {"KEY": gate.key, WEBHOOK_URL: self.webhook_url})
            lanes.append(replace(made, provider=remote))
        prompts = [
            prompt(number, **{_mark(names[number % len(names)]): True}) for number in range(self.pictures)
        ]
        return order(lanes, prompts, budget_usd=10_000.0)


def _mark(name: str) -> str:
    """A parameter of a picture that only its own provider, and the one that stands in, may leave unsaid."""
    return f"for_{name}"


def _adapter(provider: Any) -> Adapter:
    return cast(Remote, provider).adapter


@dataclass
class Watched:
    """A vendor at work, and how many submissions came to it."""

    member: Member
    vendor: Vendor
    address: str
    """Where it really listens; its own ``url`` may be that of a wire in front of it."""
    seen: int = 0
    restarted_at: float | None = None


@contextmanager
def at_work(members: Sequence[Member]) -> Iterator[dict[str, Watched]]:
    """Let the vendors of the fleet listen until the block ends."""
    found: dict[str, Watched] = {}
    for vendors in (replicate, runflow):
        setattr(vendors, "PAGE", 100)  # noqa: B010 - what the real ones list; the tests' few would be many pages
    with ExitStack() as stack:
        for member in members:
            vendor = member.case.vendor()
            vendor.price_usd = member.usd
            if isinstance(vendor, ComfyUIVendor):
                stack.enter_context(serving_comfyui(vendor))
            else:
                stack.enter_context(serving(vendor))
            found[member.name] = Watched(member, vendor, vendor.url)
            _count(found[member.name])
        yield found


def _count(watched: Watched) -> None:
    answer = watched.vendor.answer

    def counted(request: Request) -> Reply:
        if watched.vendor.is_submission(request):
            with watched.vendor.lock:
                watched.seen += 1
        return answer(request)

    setattr(watched.vendor, "answer", counted)  # noqa: B010 - for mypy a method is nothing to assign to


@contextmanager
def receiving(root: Path, fleet: Mapping[str, Watched]) -> Iterator[str]:
    """The webhook receiver as a process of its own, beside a store in ``root/store``: its address."""
    port, environ = free_port(), dict(os.environ)
    environ |= {"ASSET_PIPELINE_DATA": str(root), "ASSET_PIPELINE_STORE": str(root / "store")}
    environ |= {"ASSET_PIPELINE_WEBHOOK_RUNPOD": "on"}
    for watched in fleet.values():
        if isinstance(watched.vendor, replicate.PretendedReplicate):
            environ["ASSET_PIPELINE_WEBHOOK_REPLICATE"] = watched.vendor.webhook_secret
        if isinstance(watched.vendor, runflow.PretendedRunflow):
            environ["ASSET_PIPELINE_WEBHOOK_RUNFLOW"] = watched.vendor.callback_secret
        if watched.member.name == "fal":
            environ["ASSET_PIPELINE_WEBHOOK_FAL"] = watched.address + KEYS
    command: list[str | Path] = [sys.executable, "-c"]
    command += ["from asset_pipeline.commands.serve import serve; serve()", "webhooks", "--port", str(port)]
    folder = root / "receiver"
    folder.mkdir()

    def answers() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    with running(command, folder, environ, answers):
        yield f"http://127.0.0.1:{port}"


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, *(f"{__package__}.vendors.{each.name}" for each in FLEET)])


def start(errand: Errand, number: int) -> ForkServerProcess:
    """Start a run in a process of its own. Its exit status: 0, all that can be made now is made; 3, it waits
    for a provider; 1, a bug."""
    process = _CONTEXT.Process(target=go, args=(errand, number))
    process.start()
    return process


def go(errand: Errand, number: int) -> None:
    """Be a run."""
    with Path(errand.log).open("a", encoding="utf-8") as log:

        def report(line: str) -> None:
            print(f"run {number}: {line}", file=log, flush=True)

        status = 0
        try:
            run(Store(errand.store), errand.order(), f"run-{number}", _Lines(report))
        except (ProviderUnavailable, BudgetExceeded) as error:
            report(f"{type(error).__name__}: {error}")
            status = 3
        except BaseException:  # noqa: BLE001 - the parent is told by the status, the reader by the log
            report(traceback.format_exc())
            status = 1
        log.flush()
        os._exit(status)


class _Lines(list[str]):
    """A list whose lines are told as they come."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__()
        self._report = report

    def append(self, line: str) -> None:
        self._report(line)
