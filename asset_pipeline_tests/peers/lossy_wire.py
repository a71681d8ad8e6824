"""mitmproxy in front of any server on this machine: a wire that loses, delays and spoils what passes."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from asset_pipeline_tests.peers.process import free_port, own_environment, program, running

Fault = Literal[
    "429",
    "500",
    "502",
    "503",
    "drop before",
    "drop after",
    "delay",
    "truncate",
    "trickle",
    "html",
    "wrong json",
]
"""What may happen to a request.

``429``, ``500``, ``502`` and ``503`` are answered by the wire, and ``drop before`` closes the connection: the
server sees nothing. All others come after the server has done its work: ``drop after`` closes the connection
without an answer, ``delay`` holds the answer back, ``truncate`` sends half of its body, ``trickle`` sends it
piece by piece, ``html`` and ``wrong json`` send another body with the same status.
"""
Faults = Sequence[Fault | None] | Mapping[Fault, float]
"""The faults of the first requests in their order, or a probability for each fault."""
_ADDON = Path(__file__).with_name("wire_faults.py")


@dataclass(frozen=True)
class Passage:
    """A request that came to the wire."""

    time: float
    """Seconds since 1970."""
    method: str
    path: str
    fault: Fault | None
    seen: bool
    """Whether the server saw it. Of a client that went away first, whether the server was reached."""


@dataclass
class LossyWire:
    """Where the wire begins, and what passed."""

    url: str
    folder: Path
    pid: int = 0
    _number: int = 0

    def lead(
        self,
        target: str,
        *,
        submits: Faults = (),
        reads: Faults = (),
        seed: int = 0,
        seconds: float = 1.0,
        retry_after: str = "1",
    ) -> str:
        """Lead all requests from now on to another server; the wire's address is returned.

        Args:
            target: the URL that the wire stands for; it may have a path.
            submits: what happens to requests that may do something.
            reads: what happens to GET and HEAD.
            seed: the same seed draws the same faults for the first, second and so on request of each kind.
            seconds: how long ``delay`` lasts, and ``trickle`` in all.
            retry_after: the header of ``429`` and ``503``.
        """
        known = set(get_args(Fault)) | {None}
        if unknown := [fault for fault in [*submits, *reads] if fault not in known]:
            raise ValueError(f"no such faults: {unknown}")
        self._number += 1
        plan = {
            "number": self._number,
            "target": target,
            "submits": dict(submits) if isinstance(submits, Mapping) else list(submits),
            "reads": dict(reads) if isinstance(reads, Mapping) else list(reads),
            "seed": seed,
            "seconds": seconds,
            "retry_after": retry_after,
        }
        written = self.folder / "plan.new"
        written.write_text(json.dumps(plan))
        written.replace(self.folder / "plan.json")
        return self.url

    @property
    def passed(self) -> list[Passage]:
        """The requests since the wire was last led somewhere, in the order in which their fate was known."""
        file = self.folder / "ledger.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        entries = [json.loads(line) for line in lines]
        return [Passage(**entry) for entry in entries if entry.pop("number") == self._number]


@contextmanager
def lossy_wire(folder: Path) -> Iterator[LossyWire]:
    """Run the wire, whose files lie in `folder`, until the block ends; it leads nowhere yet.

    Raises:
        PeersNotInstalled: mitmproxy is not there.
    """
    port = free_port()
    wire = LossyWire(f"http://127.0.0.1:{port}", folder)
    settings = {
        "confdir": folder,
        "connection_strategy": "lazy",
        "flow_detail": 0,
        "keep_host_header": "true",
    }
    command: list[str | Path] = [program("mitmproxy", "bin", "mitmdump"), "--scripts", _ADDON]
    command += [
        "--mode",
        "reverse:http://127.0.0.1:9",
        "--listen-host",
        "127.0.0.1",
        "--listen-port",
        str(port),
    ]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    environment = own_environment(
        WIRE_PLAN=str(folder / "plan.json"), WIRE_LEDGER=str(folder / "ledger.jsonl")
    )

    def answers() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    with running(command, folder, environment, answers) as wire.pid:
        yield wire
