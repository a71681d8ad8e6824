"""The addon that makes mitmproxy a bad wire; it is loaded by its path, in mitmproxy's own environment.

What it does stands in a file that a test rewrites (see ``lossy_wire``); what it did is added to another.
"""

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mitmproxy import ctx, http  # type: ignore[import-not-found]

_ANSWERED_HERE = {"429": 429, "500": 500, "502": 502, "503": 503}
_READS = {"GET", "HEAD"}
_PIECES = 20
_HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking.</body></html>"


class WireFaults:
    """Sends requests on to the target, with a fault for some."""

    def __init__(self, plan: Path, ledger: Path) -> None:
        self._plan_file, self._ledger = plan, ledger
        self._plan: dict[str, Any] = {}
        self._counted = {"reads": 0, "submits": 0}

    async def request(self, flow: Any) -> None:
        """Before the server sees anything."""
        self._read_plan()
        fault = self._fault(flow.request.method)
        flow.metadata["fault"] = fault
        target = urlsplit(self._plan["target"])
        flow.request.scheme, flow.request.host, flow.request.port = (
            target.scheme,
            target.hostname,
            target.port,
        )
        flow.request.path = target.path.rstrip("/") + flow.request.path
        if fault in _ANSWERED_HERE:
            status = _ANSWERED_HERE[fault]
            headers = {"Content-Type": "application/json"}
            if status not in {500, 502}:
                headers["Retry-After"] = self._plan["retry_after"]
            body = json.dumps({"detail": f"The wire says {status}.", "status": status})
            flow.response = http.Response.make(status, body, headers)
            self._write(flow, seen=False)
        elif fault == "drop before":
            self._write(flow, seen=False)
            flow.kill()

    async def response(self, flow: Any) -> None:
        """After the server has done its work."""
        if "written" in flow.metadata:
            return
        self._write(flow, seen=True)
        fault = flow.metadata["fault"]
        if fault == "delay":
            await asyncio.sleep(self._plan["seconds"])
        elif fault == "drop after":
            flow.kill()
        elif fault in {"truncate", "trickle"}:
            await self._write_slowly(flow, whole=fault == "trickle")
            flow.kill()
        elif fault == "html":
            flow.response.headers["Content-Type"] = "text/html; charset=utf-8"
            flow.response.text = _HTML
        elif fault == "wrong json":
            flow.response.text = json.dumps(["not", {"what": "was promised"}])

    def error(self, flow: Any) -> None:
        """The client or the server went away; a server that was reached may have done its work."""
        if "written" not in flow.metadata:
            self._write(flow, seen=flow.server_conn.timestamp_tcp_setup is not None)

    async def _write_slowly(self, flow: Any, *, whole: bool) -> None:
        """Put the answer on the client's connection piece by piece, or half of it at once.

        mitmproxy corrects lengths, and waits for no addon between two bytes, so it is gone round.
        """
        connection = ctx.master.addons.get("proxyserver").connections[flow.client_conn.id]
        writer = connection.transports[flow.client_conn].writer
        response, body = flow.response, flow.response.raw_content or b""
        fields = [(name, value) for name, value in response.headers.items(multi=True) if _is_kept(name)]
        fields += [("Content-Length", str(len(body))), ("Connection", "close")]
        head = f"HTTP/1.1 {response.status_code} {response.reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        writer.write(f"{head}\r\n".encode())
        if not whole:
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return
        size = max(1, len(body) // _PIECES)
        for start in range(0, len(body), size):
            writer.write(body[start : start + size])
            await writer.drain()
            await asyncio.sleep(self._plan["seconds"] * size / len(body))

    def _read_plan(self) -> None:
        plan = json.loads(self._plan_file.read_text())
        if plan != self._plan:
            self._plan, self._counted = plan, dict.fromkeys(self._counted, 0)

    def _fault(self, method: str) -> str | None:
        """The fault of this request: of its kind the first, second and so on, whatever it says."""
        kind = "reads" if method in _READS else "submits"
        number, faults = self._counted[kind], self._plan[kind]
        self._counted[kind] += 1
        if isinstance(faults, list):
            return faults[number] if number < len(faults) else None
        drawn = random.Random(f"{self._plan['seed']}:{kind}:{number}").random()  # noqa: S311
        for fault, rate in sorted(faults.items()):
            drawn -= rate
            if drawn < 0:
                return str(fault)
        return None

    def _write(self, flow: Any, *, seen: bool) -> None:
        flow.metadata["written"] = True
        entry = {
            "time": time.time(),
            "method": flow.request.method,
            "path": flow.request.path,
            "fault": flow.metadata.get("fault"),
            "seen": seen,
            "number": self._plan["number"],
        }
        with self._ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(entry) + "\n")


def _is_kept(name: str) -> bool:
    return name.lower() not in {"content-length", "connection", "transfer-encoding"}


addons = [WireFaults(Path(os.environ["WIRE_PLAN"]), Path(os.environ["WIRE_LEDGER"]))]
