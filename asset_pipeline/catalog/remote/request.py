"""One request for a photograph, and the ways in which it can be answered. Follows no redirect by itself."""

import base64
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpcore
import httpx

from asset_pipeline.catalog.picture_file import TOO_LARGE
from asset_pipeline.catalog.remote.address import CheckedConnections, RefusedAddress
from asset_pipeline.catalog.remote.photograph import FetchRules

USER_AGENT = "asset-pipeline (an open-source tool; fetches the product photographs that a catalog feed names)"
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "image/jpeg, image/png, image/webp;q=0.9, image/*;q=0.8",
    "Accept-Encoding": "identity",
}
_TOLD_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_PASSING = (
    *_TOLD_TO_WAIT,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""Answers that may be another one in a moment."""
_BLOCK = 1 << 16
_LONGEST_NOTE = 300
"""A longer ETag is not kept."""


@dataclass(frozen=True)
class Sent:
    """The bytes came."""

    data: bytes
    etag: str | None
    last_modified: str | None
    content_type: str
    """What the server says they are; they may be something else."""


@dataclass(frozen=True)
class NotChanged:
    """They are what they were when they were asked for the last time."""


@dataclass(frozen=True)
class Moved:
    """They are elsewhere, it says."""

    url: str


@dataclass(frozen=True)
class Busy:
    """They did not come, and may come in a moment."""

    reason: str
    is_too_much: bool = False
    """Whether the host asks for fewer requests."""
    wait_s: float | None = None
    """How long the host asks to be left alone."""


@dataclass(frozen=True)
class Failed:
    """They will not come."""

    reason: str
    is_refused: bool = False
    """Whether the host was not even asked."""


Answer = Sent | NotChanged | Moved | Busy | Failed


class Line:
    """Connections to hosts, checked and kept open between requests. Used by several threads at once."""

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._is_cut = threading.Event()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=rules.together,
            keepalive_expiry=30,
            network_backend=CheckedConnections(rules.private_hosts),
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def cut(self) -> None:
        """Let go of what is under way; it counts as busy."""
        self._is_cut.set()

    def ask(self, url: str, conditions: Mapping[str, str]) -> Answer:
        """Ask for a photograph once.

        Args:
            url: where; redirects are an answer, so that each is checked like the first.
            conditions: headers that ask for changed bytes only.
        """
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return Failed("not asked: it is no valid URL", is_refused=True)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            return Failed("not asked: only http and https are, at a host", is_refused=True)
        try:
            answer = self._ask(parsed, conditions)
        except RefusedAddress as error:
            answer = Failed(f"not asked: {error}", is_refused=True)
        except httpcore.TimeoutException:
            answer = Busy(f"{parsed.host} said nothing for {self._rules.silence.total_seconds():g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            answer = Busy(f"{parsed.host}: {str(error)[:_LONGEST_NOTE] or type(error).__name__}")
        except httpx.DecodingError:
            answer = Failed("what came is packed in a damaged way")
        return answer

    def _ask(self, url: httpx.URL, conditions: Mapping[str, str]) -> Answer:
        silence = self._rules.silence.total_seconds()
        headers = {"Host": url.netloc.decode(), **_HEADERS, **_authorisation(url), **conditions}
        with self._pool.stream(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=list(headers.items()),
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), silence)},
        ) as answer:
            # httpx knows headers, and unpacks what some servers pack though they were asked not to.
            response = httpx.Response(answer.status, headers=answer.headers, content=answer.iter_stream())
            return self._understood(response, url, is_conditional=bool(conditions))

    def _understood(self, response: httpx.Response, url: httpx.URL, *, is_conditional: bool) -> Answer:
        status, headers = response.status_code, response.headers
        reason = f"{url.host} answered {status} {response.reason_phrase}".strip()
        if response.has_redirect_location:
            try:
                return Moved(str(url.join(headers["Location"])))
            except httpx.InvalidURL:
                return Failed(f"{reason}, with no valid URL to go to")
        if status == HTTPStatus.NOT_MODIFIED and is_conditional:
            return NotChanged()
        if status in _PASSING:
            wait_s = retry_after(headers.get("Retry-After"), datetime.now(UTC))
            return Busy(reason, status in _TOLD_TO_WAIT, wait_s)
        if status != HTTPStatus.OK:
            return Failed(reason)
        return self._read(response)

    def _read(self, response: httpx.Response) -> Answer:
        """The bytes, as far as they are wanted: too many are not waited for."""
        headers = response.headers
        length = headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._rules.largest_file:
            return Failed(TOO_LARGE)
        began, data = time.monotonic(), bytearray()
        for block in response.iter_bytes(_BLOCK):
            data += block
            if len(data) > self._rules.largest_file:
                return Failed(TOO_LARGE)
            if time.monotonic() - began > self._rules.longest_fetch.total_seconds():
                return Failed(f"it took longer than {self._rules.longest_fetch.total_seconds():g} s")
            if self._is_cut.is_set():
                return Busy("the run ended")
        return Sent(
            bytes(data),
            etag=_note(headers.get("ETag")),
            last_modified=_note(headers.get("Last-Modified")),
            content_type=headers.get("Content-Type", "").partition(";")[0].strip()[:80],
        )


def retry_after(written: str | None, now: datetime) -> float | None:
    """The seconds that a host asks to be left alone for (RFC 9110, 10.2.3); none if it does not say."""
    if written is None:
        return None
    if written.strip().isdecimal():
        return float(written)
    try:
        moment = parsedate_to_datetime(written)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _authorisation(url: httpx.URL) -> dict[str, str]:
    """User and password of the URL, as the host expects them (RFC 7617)."""
    if not url.userinfo:
        return {}
    token = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def _note(value: str | None) -> str | None:
    """A header to be sent back as it came, if it can be."""
    is_sound = value is not None and value.isascii() and value.isprintable() and len(value) <= _LONGEST_NOTE
    return value if is_sound else None
