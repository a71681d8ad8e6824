"""Cog's real server, with one slot and a small model: Replicate's predictions without Replicate.

A prediction that crashes the worker leaves a server that takes no other, so a test of that starts its own.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from asset_pipeline_tests.peers.painting import LEDGER, ledger_of
from asset_pipeline_tests.peers.process import ROOT, free_port, own_environment, program, running

_PREDICTOR = Path(__file__).with_name("cog_predictor.py")
_SIDE = {"type": "integer", "default": 64, "minimum": 8, "maximum": 2048}
_INPUTS: dict[str, Any] = {
    "prompt": {"type": "string"},
    "negative_prompt": {"type": "string", "default": ""},
    "width": _SIDE,
    "height": _SIDE,
    "seed": {"type": "integer", "default": 0},
    "seconds": {"type": "number", "default": 0},
    "image": {"type": "string", "format": "uri"},
}
_SCHEMAS = {
    "Input": {"type": "object", "title": "Input", "required": ["prompt"], "properties": _INPUTS},
    "Output": {"type": "string", "format": "uri", "title": "Output"},
}


@dataclass(frozen=True)
class CogServer:
    """Where the server listens, and what its model did."""

    url: str
    ledger: Path
    pid: int

    @property
    def ran(self) -> list[dict[str, Any]]:
        """The inputs of the predictions that really began, in their order."""
        return ledger_of(self.ledger)

    @property
    def health(self) -> str:
        """``READY``, ``BUSY``, ``UNHEALTHY`` and so on."""
        status: str = httpx.get(f"{self.url}/health-check").json()["status"]
        return status


@contextmanager
def cog_server(folder: Path) -> Iterator[CogServer]:
    """Run the server, whose files lie in `folder`, until the block ends.

    Raises:
        PeersNotInstalled: its environment is not there.
    """
    # Cog checks inputs against the description that `cog build` writes, and checks nothing without it.
    (folder / ".cog").mkdir()
    description = {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": _SCHEMAS},
    }
    (folder / ".cog" / "openapi_schema.json").write_text(json.dumps(description))
    port, ledger, python = free_port(), folder / "ledger.jsonl", program("python", "bin", "python")
    environment = own_environment()
    environment |= {
        "COG_PREDICT_TYPE_STUB": f"{_PREDICTOR}:run",
        "PORT": str(port),
        # The server starts its worker as plain `python`.
        "PATH": f"{python.parent}:{environment['PATH']}",
        "PYTHONPATH": str(ROOT),
        LEDGER: str(ledger),
    }
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        return bool(httpx.get(f"{url}/health-check").json()["status"] == "READY")

    command = (python, "-m", "cog.server.http", "--host", "127.0.0.1")
    with running(command, folder, environment, answers) as pid:
        yield CogServer(url, ledger, pid)
