"""HTTP to text models: our own limits and patience, errors by what the caller does next, no secret in any.

Nothing is sent twice, except what was turned away because the other side was busy (429, 503).
"""

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from asset_pipeline.candidates.jobs.wire import may_have_key
from asset_pipeline.errors import (
    PipelineError,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.prompts.writing.text_model import TextModelProfile
from asset_pipeline.text_models.server_sent_events import ServerSentEvent, server_sent_events

CONNECT_SECONDS = 10.0
MAX_BYTES = 4 * 2**20
"""No answer of a few thousand tokens is longer, its stream's wrapping included."""
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, 529}
"""Come back later; 529 is what some call being overloaded."""
CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}
FILTERED = {"content_filter", "content_policy_violation", "moderation_blocked"}
"""Codes of a 400 that is about the words, as OpenAI's and Azure's filters give them."""
OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
"""Codes of a 429 that no waiting helps."""
_MIGHT_PASS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_LONGEST_PAUSE = 30.0
_SHOWN_CHARACTERS = 300


def key_of(profile: TextModelProfile, environ: Mapping[str, str]) -> str | None:
    """The key that a profile names; none if it names none.

    Raises:
        ProviderUnavailable: it is not in the environment.
    """
    if profile.key_env is None:
        return None
    key = environ.get(profile.key_env, "").strip()
    if not key:
        raise ProviderUnavailable(
            f"{profile.title}: the environment variable {profile.key_env} is not set; put the key there"
        )
    return key


class Endpoint:
    """The way to one text model for the time of one question. Use it inside `open_endpoint`."""

    def __init__(
        self, profile: TextModelProfile, key: str | None, client: httpx.AsyncClient, deadline: asyncio.Timeout
    ) -> None:
        self._profile = profile
        self._key = key
        self._client = client
        self._deadline = deadline
        self._waited = 0.0

    async def json(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a request once, and read its answer, a JSON object."""
        async with self._answered(method, url, body, headers) as response:
            data = b"".join([chunk async for chunk in _limited(response)])
        try:
            answer = json.loads(data)
        except ValueError:
            raise ProviderError(
                f"{self._name} answered with something that is not JSON: {self._shown(data)}"
            ) from None
        if not isinstance(answer, dict):
            raise ProviderError(f"{self._name} answered with {type(answer).__name__} instead of an object")
        return answer

    async def events(self, method: str, url: str, body: Any = None) -> AsyncIterator[ServerSentEvent]:
        """Send a request once, and read its answer as it comes."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        async with self._answered(method, url, body, headers) as response:
            async for event in server_sent_events(_limited(response)):
                yield event

    def failure(self, what: str) -> ProviderError:
        """An answer that is none, in words without secrets."""
        return ProviderError(f"{self._name} {self._without_key(what)}")

    @property
    def _name(self) -> str:
        return f"{self._profile.title} ({urlsplit(self._profile.base_url).hostname})"

    @asynccontextmanager
    async def _answered(
        self, method: str, url: str, body: Any, headers: Mapping[str, str] | None
    ) -> AsyncIterator[httpx.Response]:
        """The answer to a request that was accepted; waits where the other side is busy."""
        try:
            async with self._accepted(method, url, body, headers) as response:
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ProviderUnavailable(
                f"{self._name} cannot be reached: {type(error).__name__}; run again later"
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self.failure(f"broke the connection: {type(error).__name__}") from None

    @asynccontextmanager
    async def _accepted(
        self, method: str, url: str, body: Any, headers: Mapping[str, str] | None
    ) -> AsyncIterator[httpx.Response]:
        sent = {**(headers or {}), **self._authorisation(url)}
        for turn in itertools.count():
            async with self._client.stream(method, url, json=body, headers=sent) as response:
                if response.is_success:
                    yield response
                    return
                error = self._error(response.status_code, await _beginning(response))
            pause = _pause(response.headers, turn)
            if response.status_code not in BUSY or self._is_out_of_credit(error):
                raise error
            if self._waited + pause > self._profile.wait_seconds:
                raise ProviderUnavailable(
                    f"{error}; it asks to come back in {pause:.0f} s, and {self._waited:.0f} of "
                    f"{self._profile.wait_seconds:.0f} s (wait_seconds) were waited; run again later"
                )
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        """Wait in a time that does not count as the answer's."""
        self._waited += seconds
        when = self._deadline.when()
        if when is not None:
            self._deadline.reschedule(when + seconds)
        await asyncio.sleep(seconds)

    def _authorisation(self, url: str) -> dict[str, str]:
        if self._key is None or not may_have_key(self._profile.base_url, url):
            return {}
        return {"Authorization": f"Bearer {self._key}"}

    def _error(self, status: int, data: bytes) -> PipelineError:
        """What a status that is no success means for the caller."""
        code, words = _code_and_words(data)
        said = f"{self._name} ({status})"
        detail = self._without_key(words)
        if status in CLOSED or code in OUT_OF_CREDIT:
            key = f"the key in {self._profile.key_env}" if self._profile.key_env else "no key_env is written"
            # A 401 likes to repeat the key, in part.
            why = "" if status == HTTPStatus.UNAUTHORIZED else f": {detail}"
            return _Closed(f"{said} is closed to us ({key}){why}; check the key, its rights and its credit")
        if status == HTTPStatus.BAD_REQUEST and code in FILTERED:
            return ProviderRefused(f"{said} filtered the request: {detail}")
        if status in BUSY:
            return ProviderUnavailable(f"{said} is busy: {detail}")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _MIGHT_PASS:
            return ProviderError(f"{said} failed: {detail}")
        return UnsupportedRequest(
            f"{said} has no words for this request: {detail}; check base_url, model and parameters"
        )

    @staticmethod
    def _is_out_of_credit(error: PipelineError) -> bool:
        return isinstance(error, _Closed)

    def _shown(self, data: bytes) -> str:
        return self._without_key(" ".join(data.decode("utf-8", "replace").split())[:_SHOWN_CHARACTERS])

    def _without_key(self, words: str) -> str:
        words = " ".join(words.split())
        return words.replace(self._key, "[key]") if self._key else words


class _Closed(ProviderUnavailable):
    """A key or an account that is not accepted; waiting does not help."""


@asynccontextmanager
async def open_endpoint(profile: TextModelProfile, key: str | None) -> AsyncIterator[Endpoint]:
    """Speak to a text model within the time that its profile gives an answer.

    Raises:
        ProviderError: the time is over.
    """
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    try:
        async with (
            asyncio.timeout(profile.timeout_seconds) as deadline,
            httpx.AsyncClient(timeout=timeout, follow_redirects=False) as client,
        ):
            yield Endpoint(profile, key, client, deadline)
    except TimeoutError:
        name = f"{profile.title} ({urlsplit(profile.base_url).hostname})"
        raise ProviderError(f"{name} gave no whole answer in {profile.timeout_seconds:g} s") from None


async def _limited(response: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes of an answer, up to a limit. Raises ProviderError beyond it."""
    received = 0
    async for chunk in response.aiter_bytes():
        received += len(chunk)
        if received > MAX_BYTES:
            raise ProviderError(f"{response.url.host} sent more than {MAX_BYTES} bytes for one answer")
        yield chunk


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error as it takes to understand it."""
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > 2**16:
            break
    return data


def _code_and_words(data: bytes) -> tuple[str, str]:
    """The code and the message of an error, as OpenAI (``error``) and Replicate (``detail``) spell them."""
    try:
        body = json.loads(data)
    except ValueError:
        return "", " ".join(data.decode("utf-8", "replace").split())[:_SHOWN_CHARACTERS] or "no reason given"
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error)[:_SHOWN_CHARACTERS]
    words = error.get("message") or error.get("detail") or error.get("title") or error
    return str(error.get("code") or error.get("type") or ""), str(words)[:_SHOWN_CHARACTERS]


def _pause(headers: httpx.Headers, turn: int) -> float:
    """How long a busy endpoint wants us to wait, in seconds; longer each turn if it does not say."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return min(_LONGEST_PAUSE, 2.0**turn)
