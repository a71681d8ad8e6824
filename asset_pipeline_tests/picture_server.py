"""A web server on this machine that answers as tests tell it to, and remembers what it was asked."""

import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer of the server."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    """How long it takes to begin."""
    length: int | None = None
    """What it says its length is, where that is not so; below 0: it says none, and sends without end."""


@dataclass(frozen=True)
class Question:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    at: float


@dataclass
class PictureServer:
    """Where the server listens, what it answers, and what it was asked."""

    port: int
    scheme: str = "http"
    replies: Mapping[str, Reply | Sequence[Reply]] = field(default_factory=dict)
    """By path; of several, each is given once and the last one ever after."""
    asked: list[Question] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies."""
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Where a path is."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, with the query, in order."""
        return [each.path for each in self.asked]

    def reply_to(self, path: str) -> Reply:
        """What is to be answered now."""
        replies = self.replies.get(path, Reply(status=404))
        if isinstance(replies, Reply):
            return replies
        earlier = sum(urlsplit(each.path).path == path for each in self.asked) - 1
        return replies[min(earlier, len(replies) - 1)]


@contextmanager
def picture_server(certificate: Path | None = None) -> Iterator[PictureServer]:
    """Run a server until the block ends; with a certificate and its key in a file, over TLS."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        pictures = PictureServer(server.server_port, "https" if certificate else "http")
        server.pictures = pictures
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield pictures
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pictures: PictureServer

    def handle_error(self, *_: object) -> None:
        """A client that goes is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        pictures = self.server.pictures
        with pictures.lock:
            pictures.asked.append(Question(self.path, dict(self.headers), time.monotonic()))
            pictures.at_once += 1
            pictures.most_at_once = max(pictures.most_at_once, pictures.at_once)
            reply = pictures.reply_to(urlsplit(self.path).path)
        try:
            time.sleep(reply.after_s)
            self._send(reply)
        finally:
            with pictures.lock:
                pictures.at_once -= 1

    def _send(self, reply: Reply) -> None:
        etag = reply.headers.get("ETag")
        is_known = etag is not None and self.headers.get("If-None-Match") == etag
        self.send_response(304 if is_known else reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if is_known:
            self.end_headers()
            return
        length = len(reply.body) if reply.length is None else reply.length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self._write(reply.body)
        while length < 0:
            self._write(reply.body)
        if length > len(reply.body):
            self.close_connection = True

    def _write(self, body: bytes) -> None:
        self.wfile.write(body)
        with self.server.pictures.lock:
            self.server.pictures.sent += len(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
