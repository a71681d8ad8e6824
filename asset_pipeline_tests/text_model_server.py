"""Text models on this machine: OpenAI's chat completions and Replicate's predictions, well behaved or not.

Requests are checked as the real ones check them: the key, the fields that they take, and for a strict JSON
schema that every field is required and none is added.
"""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CONCEPT = {
    "concept": "A slow morning",
    "mood": "calm",
    "palette": ["oat", "sage"],
    "scenes": ["a kitchen at dawn"],
    "avoid": ["people"],
}
COMPLETION_FIELDS = {
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stream",
    "stream_options",
    "response_format",
}
PREDICTION_FIELDS = {"input", "stream", "webhook", "webhook_events_filter", "version"}
INPUT_FIELDS = {"prompt", "system_prompt", "max_tokens", "temperature", "top_p", "seed"}
CHUNK = 7
"""Characters in a chunk of a stream."""


@dataclass(frozen=True)
class Turn:
    """How the server answers one question. As it stands: properly."""

    status: int = 200
    body: bytes | None = None
    """Sent as it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds_before_headers: float = 0.0
    text: str | None = None
    """What the model writes, instead of what it was asked for."""
    finish_reason: str | None = "stop"
    refusal: str | None = None
    usage: bool = True
    chunks: int | None = None
    """The stream ends after so many, without saying that it does."""
    drops: bool = False
    """The connection closes in the middle of the answer."""
    lingers: float = 0.0
    """Seconds for which the stream stays open after its last event."""
    status_of_prediction: str = "succeeded"
    error: str | None = None
    polls: int = 0
    """How often a prediction is still running when it is asked for."""
    streams: bool = True
    """Whether a prediction has a stream."""


@dataclass
class TextModelServer:
    """Where the server listens, what it was asked, and how it is to answer."""

    url: str
    key: str = field(default_factory=lambda: f"sk-{secrets.token_hex(12)}")
    turns: list[Turn] = field(default_factory=list)
    """How the next questions are answered, in their order; properly when there are none left."""
    always: Turn | None = None
    """How all others are."""
    seconds: float = 0.0
    """How long the model takes for a proper answer."""
    questions: list[dict[str, Any]] = field(default_factory=list)
    """The body of each question that was asked, whatever became of it."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request of any kind."""
    requests: list[str] = field(default_factory=list)
    """Each request as method and path."""
    canceled: list[str] = field(default_factory=list)
    most_at_once: int = 0
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, number: int) -> dict[str, Any]:
        """What a question said about its picture or campaign."""
        return _told(self.questions[number])

    @contextmanager
    def answering(self, question: dict[str, Any]) -> Iterator[Turn]:
        """The turn for a question; counts how many are answered at once."""
        with self._lock:
            self.questions.append(question)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            turn = self.turns.pop(0) if self.turns else self.always or Turn()
        try:
            time.sleep(turn.seconds_before_headers or self.seconds)
            yield turn
        finally:
            with self._lock:
                self._now -= 1


@contextmanager
def text_model_server() -> Iterator[TextModelServer]:
    """Run the server until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        server = TextModelServer(f"http://127.0.0.1:{http.server_port}/v1")
        http.text_models = server  # type: ignore[attr-defined]
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _server(self) -> TextModelServer:
        server: TextModelServer = self.server.text_models  # type: ignore[attr-defined]
        return server

    def handle(self) -> None:
        """A client that gives up is what some tests are about."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/v1")
        self._server.requests.append(f"{self.command} {path}")
        self._server.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        if self.headers.get("Authorization") != f"Bearer {self._server.key}":
            self._unauthorised()
        elif path == "/chat/completions":
            self._complete(body)
        elif path.endswith("/predictions") and self.command == "POST":
            self._predict(body, path)
        elif path.startswith("/predictions/") and path.endswith("/cancel"):
            self._cancel(path.split("/")[2])
        elif path.startswith("/predictions/"):
            self._prediction(path.split("/")[2])
        elif path.startswith("/stream/"):
            self._stream_of(path.split("/")[2])
        else:
            self._json(404, {"detail": "The requested resource could not be found.", "status": 404})

    def _unauthorised(self) -> None:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        words = f"Incorrect API key provided: {sent[:8]}***{sent[-4:]}."
        self._json(
            401, {"error": {"message": words, "type": "invalid_request_error", "code": "invalid_api_key"}}
        )

    # OpenAI

    def _complete(self, body: dict[str, Any]) -> None:
        wrong = _wrong_with_completion(body)
        if wrong:
            self._json(400, {"error": {"message": wrong, "type": "invalid_request_error", "code": None}})
            return
        with self._server.answering(body) as turn:
            if turn.body is not None or turn.status != 200:
                self._raw(turn)
                return
            text = _written(body) if turn.text is None else turn.text
            if body.get("stream"):
                self._stream_completion(body, turn, text)
                return
            message = {"role": "assistant", "content": text, "refusal": turn.refusal}
            choice = {"index": 0, "message": message, "finish_reason": turn.finish_reason, "logprobs": None}
            answer = {
                "id": f"chatcmpl-{secrets.token_hex(4)}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": f"{body['model']}-served",
                "choices": [choice],
            } | ({"usage": _usage(body, text)} if turn.usage else {})
            self._json(200, answer, drops=turn.drops)

    def _stream_completion(self, body: dict[str, Any], turn: Turn, text: str) -> None:
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": f"{body['model']}-served"}
        pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"refusal": turn.refusal}] if turn.refusal else [{"content": piece} for piece in pieces]
        chunks: list[dict[str, Any]] = [
            {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": turn.finish_reason}]})
        if turn.usage and body.get("stream_options", {}).get("include_usage"):
            chunks.append({**common, "choices": [], "usage": _usage(body, text)})
        events = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
        if turn.error:
            events = [*events[:2], f"data: {json.dumps({'error': {'message': turn.error}})}\n\n"]
        self._events([*events, "data: [DONE]\n\n"], turn)

    # Replicate

    def _predict(self, body: dict[str, Any], path: str) -> None:
        wrong = sorted(body.keys() - PREDICTION_FIELDS) or sorted(body.get("input", {}).keys() - INPUT_FIELDS)
        if wrong or "prompt" not in body.get("input", {}):
            self._json(422, {"title": "Input validation failed", "detail": f"- {wrong}", "status": 422})
            return
        with self._server.answering(body) as turn:
            if turn.body is not None or turn.status != 200:
                self._raw(turn)
                return
            prediction_id = secrets.token_hex(13)
            place = f"{self._server.url}/predictions/{prediction_id}"
            urls = {"get": place, "cancel": f"{place}/cancel"}
            if body.get("stream") and turn.streams:
                urls["stream"] = f"{self._server.url}/stream/{prediction_id}"
            prediction = {
                "id": prediction_id,
                "model": path.removeprefix("/models/").removesuffix("/predictions"),
                "version": "hidden",
                "input": body["input"],
                "output": None,
                "logs": "",
                "error": None,
                "status": "starting",
                "created_at": "2026-01-01T00:00:00.000Z",
                "urls": urls,
            }
            text = _written(body) if turn.text is None else turn.text
            self._server.predictions[prediction_id] = {
                "seen": prediction,
                "turn": turn,
                "text": text,
                "polls": turn.polls,
            }
            self._json(201, prediction)

    def _prediction(self, prediction_id: str) -> None:
        kept = self._server.predictions.get(prediction_id)
        if kept is None:
            self._json(404, {"detail": "The requested resource could not be found.", "status": 404})
            return
        if kept["polls"] > 0:
            kept["polls"] -= 1
            self._json(200, {**kept["seen"], "status": "processing"})
            return
        turn, text = kept["turn"], kept["text"]
        pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
        tokens = {"input_token_count": 90, "output_token_count": len(pieces)} if turn.usage else {}
        ended = {
            "status": turn.status_of_prediction,
            "output": pieces if turn.status_of_prediction == "succeeded" else None,
            "error": turn.error,
            "metrics": {"predict_time": 1.5, "total_time": 1.6, **tokens},
        }
        self._json(200, kept["seen"] | ended)

    def _cancel(self, prediction_id: str) -> None:
        self._server.canceled.append(prediction_id)
        kept = self._server.predictions[prediction_id]
        kept["turn"], kept["polls"] = Turn(status_of_prediction="canceled"), 0
        self._json(200, {**kept["seen"], "status": "canceled"})

    def _stream_of(self, prediction_id: str) -> None:
        kept = self._server.predictions[prediction_id]
        turn, text = kept["turn"], kept["text"]
        pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
        events = [
            f"event: output\nid: 17{number}:0\n"
            + "".join(f"data: {line}\n" for line in piece.split("\n"))
            + "\n"
            for number, piece in enumerate(pieces)
        ]
        if turn.error:
            events = [*events[:1], f'event: error\nid: 99:0\ndata: {{"detail": "{turn.error}"}}\n\n']
        self._events([*events, "event: done\nid: 99:1\ndata: {}\n\n"], turn)

    # Wire

    def _events(self, events: list[str], turn: Turn) -> None:
        """Send events in chunks of the transfer encoding; a stream that is cut off still ends properly."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events[: turn.chunks]:
            data = event.encode()
            for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
        time.sleep(turn.lingers)
        if turn.drops:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _raw(self, turn: Turn) -> None:
        body = turn.body or json.dumps({"error": {"message": "the server says no", "code": None}}).encode()
        self.send_response(turn.status)
        for name, value in {"Content-Length": str(len(body)), **turn.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, answer: Mapping[str, Any], *, drops: bool = False) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if drops else body)
        self.close_connection = drops

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _told(body: Mapping[str, Any]) -> dict[str, Any]:
    """The data in a question: the JSON object of its first turn by a user."""
    if "input" in body:
        words = str(body["input"]["prompt"])
    else:
        words = next(str(each["content"]) for each in body["messages"] if each["role"] == "user")
    told: dict[str, Any] = json.JSONDecoder().raw_decode(words[words.index('{"') :])[0]
    return told


def _written(body: Mapping[str, Any]) -> str:
    """What a good model writes: a concept, or the templated words with a little more."""
    told = _told(body)
    if "words" not in told:
        return json.dumps(CONCEPT)
    mood = told.get("concept", {}).get("mood", "no concept")
    return json.dumps({"prompt": f"{told['words']}, {mood}", "negative_prompt": told["negative_words"]})


def _usage(body: Mapping[str, Any], text: str) -> dict[str, int]:
    given, made = sum(len(each["content"]) for each in body["messages"]) // 4, len(text) // 4
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def _wrong_with_completion(body: Mapping[str, Any]) -> str | None:
    if unknown := sorted(body.keys() - COMPLETION_FIELDS):
        return f"Unrecognized request argument supplied: {', '.join(unknown)}"
    if not body.get("model") or not body.get("messages"):
        return "you must provide a model and messages"
    if "stream_options" in body and not body.get("stream"):
        return "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    wanted = body.get("response_format")
    if wanted and wanted["type"] == "json_schema" and wanted["json_schema"].get("strict"):
        return _wrong_with_strict(wanted["json_schema"]["schema"])
    return None


def _wrong_with_strict(schema: Mapping[str, Any]) -> str | None:
    """As the documentation of structured outputs limits schemas."""
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false"
    if sorted(schema["required"]) != sorted(schema["properties"]):
        return "'required' is required to be supplied and to be an array including every key in properties"
    allowed = {"type", "description", "enum", "items", "properties", "required", "additionalProperties"}
    for name, each in schema["properties"].items():
        if not_permitted := sorted(each.keys() - allowed):
            return f"In context=('properties', '{name}'), {', '.join(not_permitted)} is not permitted."
    return None
