"""A hub of models on this machine, as far as huggingface_hub asks to list a repository and fetch files."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"
"""Files that the hub keeps apart, by their SHA-256."""


@dataclass
class HubServer:
    """Where the server listens, what it holds, and what it was asked for."""

    url: str
    repositories: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Each request as method and path."""
    seconds_per_megabyte: float = 0.0

    def fetched(self) -> list[str]:
        """The files whose bytes were sent, with the revision that was asked for."""
        return [
            each.partition("/resolve/")[2]
            for each in self.asked
            if each.startswith("GET /") and "/resolve/" in each
        ]


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a hub until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        hub = HubServer(f"http://127.0.0.1:{server.server_port}")
        server.hub = hub  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _hub(self) -> HubServer:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        return hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self._hub.asked.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            files = self._hub.repositories.get(name)
            if files is None or revision not in {"", COMMIT}:
                self._send(HTTPStatus.NOT_FOUND, {"X-Error-Code": "RepoNotFound"}, b"")
            else:
                listing = {"id": name, "sha": COMMIT, "siblings": [_sibling(*each) for each in files.items()]}
                self._send(HTTPStatus.OK, {}, json.dumps(listing).encode())
            return
        name, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        data = self._hub.repositories.get(name, {}).get(file)
        if data is None or revision != COMMIT:
            self._send(HTTPStatus.NOT_FOUND, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"")
        else:
            self._send(HTTPStatus.OK, {"X-Repo-Commit": COMMIT, "ETag": f'"{_etag(file, data)}"'}, data)

    def _send(self, status: HTTPStatus, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(body), 2**20):
            time.sleep(self._hub.seconds_per_megabyte)
            self.wfile.write(body[start : start + 2**20])

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _etag(path: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else hashlib.sha1(data).hexdigest()  # noqa: S324 - git's


def _sibling(path: str, data: bytes) -> dict[str, object]:
    listed: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": "0" * 40}
    if path.endswith(LARGE):
        sha256 = hashlib.sha256(data).hexdigest()
        listed["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
    return listed
