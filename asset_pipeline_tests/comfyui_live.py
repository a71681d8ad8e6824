"""The websocket of the pretended ComfyUI: what happens, told to whoever listens."""

import json
import struct
import threading
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol


class Listeners:
    """Who listens, by the client's id."""

    def __init__(self) -> None:
        self._open: list[tuple[str, _Line]] = []

    def add(self, client: str, line: "_Line") -> None:
        self._open.append((client, line))

    def __len__(self) -> int:
        return len(self._open)

    def tell(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        """Tell a client, or all of them."""
        for each, line in list(self._open):
            if client in (None, each):
                line.say(event, data)

    def stream(self, data: bytes, client: str | None) -> None:
        """Send a picture with its description, as event 4."""
        said = json.dumps({"image_type": "image/png"}).encode()
        for each, line in list(self._open):
            if client in (None, each):
                line.send_bytes(struct.pack(">II", 4, len(said)) + said + data)

    def close(self) -> None:
        for _, line in self._open:
            line.hang_up()
        self._open.clear()


class _Line:
    """One connection."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._socket = handler.connection
        self.protocol = ServerProtocol()
        self._lock = threading.Lock()
        head = f"{handler.command} {handler.path} HTTP/1.1\r\n"
        fields = "".join(f"{name}: {value}\r\n" for name, value in handler.headers.items())
        self.protocol.receive_data(f"{head}{fields}\r\n".encode())
        request = self.protocol.events_received()[0]
        self.protocol.send_response(self.protocol.accept(request))  # type: ignore[arg-type]
        self.flush()

    def flush(self) -> None:
        with suppress(OSError):
            for data in self.protocol.data_to_send():
                self._socket.sendall(data)

    def say(self, event: str, data: dict[str, Any]) -> None:
        with self._lock:
            if self.protocol.state is OPEN:
                self.protocol.send_text(json.dumps({"type": event, "data": data}).encode())
                self.flush()

    def send_bytes(self, data: bytes) -> None:
        with self._lock:
            if self.protocol.state is OPEN:
                self.protocol.send_binary(data)
                self.flush()

    def hear(self) -> list[bytes] | None:
        """What the client says; None when it has gone."""
        try:
            data = self._socket.recv(65536)
        except OSError:
            return None
        with self._lock:
            self.protocol.receive_data(data) if data else self.protocol.receive_eof()
            events = self.protocol.events_received()
            self.flush()
        if not data or self.protocol.state is not OPEN:
            return None
        return [
            bytes(event.data) for event in events if isinstance(event, Frame) and event.opcode is Opcode.TEXT
        ]

    def hang_up(self) -> None:
        with suppress(OSError):
            self._socket.close()


def upgrade(handler: BaseHTTPRequestHandler, listeners: Listeners, features: dict[str, Any]) -> None:
    """Turn a request into a websocket and serve it until the client goes."""
    client = parse_qs(urlsplit(handler.path).query).get("clientId", [uuid.uuid4().hex])[0]
    line = _Line(handler)
    line.say("status", {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client})
    listeners.add(client, line)
    while (heard := line.hear()) is not None:
        for each in heard:
            if json.loads(each).get("type") == "feature_flags":
                line.say("feature_flags", features)
