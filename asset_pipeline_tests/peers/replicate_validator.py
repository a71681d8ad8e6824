"""Prism with Replicate's own description of its API: what the description does not allow is refused.

It is no Replicate: what it answers never changes. Paths begin where the description's do, without ``/v1``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from asset_pipeline_tests.peers.process import free_port, own_environment, program, running

DESCRIPTION = Path(__file__).with_name("replicate.openapi.json")


@dataclass(frozen=True)
class ReplicateValidator:
    """Where Prism listens. It takes any Bearer token."""

    url: str
    pid: int


@contextmanager
def replicate_validator(folder: Path) -> Iterator[ReplicateValidator]:
    """Run Prism, whose log lies in `folder`, until the block ends.

    Raises:
        PeersNotInstalled: Prism is not there.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    prism = program("prism", "node_modules", ".bin", "prism")
    command = (prism, "mock", "--host", "127.0.0.1", "--port", str(port), "--errors", DESCRIPTION)

    def answers() -> bool:
        return httpx.get(url).status_code > 0

    with running(command, folder, own_environment(), answers) as pid:
        yield ReplicateValidator(url, pid)
