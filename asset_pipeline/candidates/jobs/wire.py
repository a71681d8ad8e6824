"""HTTP to one provider: our own limits and patience, what costs money sent once, no secret in any error.

Vendors' own clients send a submission again when it times out, up to ten times, and pay for it as often. Here
a submission ends in one of four ways: it was answered, it was turned away before anything was accepted, it
was refused, or nobody knows. What is to be done then is decided elsewhere.
"""

import base64
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.job import Failure
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.catalog.remote.request import Busy, Line, Moved, Sent, retry_after
from asset_pipeline.errors import (
    AccountClosed,
    OutputUnreachable,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
)

MOST_BYTES: Final = 256 * 2**20
"""No answer with a picture in it is larger, its base64 included."""
MOST_REDIRECTS: Final = 3
_LONGEST_FETCH = timedelta(minutes=10)
_SHOWN_CHARACTERS = 300
_SHORTEST_SECRET = 4
_TURNED_AWAY = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    529,
}
"""Answers that say that nothing was accepted and another moment may be better; 529 is what some call
overloaded."""
_CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
"""Answers to a submission that are about the account or the endpoint, and so about every request."""

Explain = Callable[[int, Any, httpx.Headers], Failure | None]
"""What a status that is no success means in a vendor's own words: of the status, the body (JSON, or text) and
the headers; none where the wire's own reading holds."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    data: bytes
    seconds: float

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return json.loads(self.data)


@dataclass
class Wire:
    """The way to one endpoint for the time of one attempt. Close it, or use it as a context manager.

    Args:
        title: what the provider is called in errors.
        endpoint: where it is, and how patient to be.
        headers: those that authorise; they go to the endpoint's own hosts and nowhere else.
        output_hosts: where outputs may be fetched from, besides the endpoint's own host.
    """

    title: str
    endpoint: Endpoint
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    output_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Open the client; nothing is sent yet."""
        timeouts = self.endpoint.timeouts
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeouts.submit, connect=timeouts.connect), follow_redirects=False
        )
        self._secrets = sorted(_secrets_in(self.headers), key=len, reverse=True)

    def __enter__(self) -> Self:
        """Open until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def url(self, path: str) -> str:
        """An address at the endpoint: `path` relative to its ``base_url``, or whole."""
        if urlsplit(path).scheme:
            return path
        base = self.endpoint.base_url
        return urljoin(f"{base.rstrip('/')}/", path.lstrip("/")) if path else base

    def submit(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        explain: Explain | None = None,
        seconds: float | None = None,
        **more: Any,
    ) -> Answer:
        """Send what may cost money, once.

        Args:
            path: where, relative to ``base_url`` or whole.
            body: JSON; for forms give httpx's ``data`` and ``files`` instead.
            method: POST, or PUT.
            explain: reads the vendor's own errors.
            seconds: how long the answer may take, for providers that answer with the picture.
            more: ``headers``, ``params``, ``data``, ``files``: as httpx takes them.

        Returns:
            An answer of success (2xx, or 303 with its ``Location``); its body may still be none.

        Raises:
            ProviderBusy: it was turned away: nothing was accepted.
            AccountClosed: key, credit or endpoint are not accepted.
            ProviderRefused: it will be refused again.
            ProviderUnavailable: nobody could be reached; nothing was sent.
            SubmissionUnknown: it was sent, and nobody knows what became of it.
        """
        try:
            answer = self._send(method, path, body, seconds, more)
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.UnsupportedProtocol,
        ) as error:
            raise ProviderUnavailable(
                f"{self._name} cannot be reached: {self._shown(str(error)) or type(error).__name__}"
            ) from None
        except (httpx.TransportError, httpx.DecodingError, _TooLarge) as error:
            raise SubmissionUnknown(
                f"{self._name} gave no whole answer to a submission: {type(error).__name__}"
            ) from None
        if answer.status < HTTPStatus.BAD_REQUEST:
            return answer
        raise self._refusal(answer, explain)

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "GET",
        explain: Explain | None = None,
        expected: Collection[int] = (),
        **more: Any,
    ) -> Answer:
        """Ask what costs nothing and may be repeated: a status, a result, a cancellation, an upload.

        Args:
            path: where, relative to ``base_url`` or whole.
            body: JSON.
            method: GET, unless it is said otherwise.
            explain: reads the vendor's own errors.
            expected: statuses of "later" and from 500 on that are an answer: that of a job, not of whoever
                was asked for it.
            more: as httpx takes it.

        Returns:
            An answer below 500 that is not "later": also 404, which means something to whoever asked.

        Raises:
            ProviderUnavailable: it could not be asked now.
            AccountClosed: the key is not accepted.
        """
        try:
            answer = self._send(method, path, body, None, more)
        except (httpx.TransportError, httpx.DecodingError, _TooLarge) as error:
            raise ProviderUnavailable(f"{self._name} gave no whole answer: {type(error).__name__}") from None
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refusal(answer, explain)
        if answer.status in expected:
            return answer
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _TURNED_AWAY - {
            HTTPStatus.CONFLICT
        }:
            raise ProviderBusy(self._said(answer), retry_after=_pause(answer.headers))
        return answer

    def read(self, answer: Answer) -> dict[str, Any]:
        """The JSON object of an answer to `ask`. Raises ProviderUnavailable if it holds none."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ProviderUnavailable(
                f"{self._name} answered with something that is no JSON object: {self._shown(answer.data)}"
            )
        return body

    def read_submitted(self, answer: Answer) -> dict[str, Any]:
        """The same of an answer to `submit`; raises SubmissionUnknown, as it may have been accepted."""
        try:
            return self.read(answer)
        except ProviderUnavailable as error:
            raise SubmissionUnknown(str(error)) from None

    def fetch(self, url: str) -> bytes:
        """Bring an output here, from a host that outputs come from; the key goes to the API's hosts alone.

        Raises:
            OutputUnreachable: it is gone, too large, or nowhere that may be asked.
            ProviderUnavailable: it could not be brought now.
        """
        if url.startswith("data:"):
            return self.inline(url)
        place = self.url(url)
        line = Line(self._rules())
        try:
            for _ in range(MOST_REDIRECTS + 1):
                self._require_output_host(place)
                answer = line.ask(place, self._own_headers(place))
                if isinstance(answer, Sent):
                    return answer.data
                if isinstance(answer, Busy):
                    raise ProviderUnavailable(
                        self.without_secrets(f"{self.title}: an output: {answer.reason}")
                    )
                if not isinstance(answer, Moved):
                    reason = getattr(answer, "reason", "no answer")
                    raise OutputUnreachable(self.without_secrets(f"{self.title}: an output: {reason}"))
                place = answer.url
        finally:
            line.close()
        raise OutputUnreachable(f"{self.title}: an output moved more than {MOST_REDIRECTS} times")

    @staticmethod
    def inline(text: str) -> bytes:
        """The bytes of a data URI, or of plain base64. Raises OutputUnreachable if it is neither."""
        try:
            return base64.b64decode(text.rpartition(",")[2], validate=True)
        except ValueError:
            raise OutputUnreachable("an output is neither a data URI nor base64") from None

    @property
    def host(self) -> str:
        """The endpoint's host."""
        return urlsplit(self.endpoint.base_url).hostname or ""

    @property
    def _name(self) -> str:
        return f"{self.title} ({self.host})"

    def _send(
        self, method: str, path: str, body: Any, seconds: float | None, more: Mapping[str, Any]
    ) -> Answer:
        url, began = self.url(path), time.monotonic()
        headers = {"Accept": "application/json", **self._own_headers(url), **more.get("headers", {})}
        timeouts = self.endpoint.timeouts
        whole = timeouts.submit if seconds is None else seconds
        sent = {name: value for name, value in more.items() if name != "headers"}
        if body is not None:
            sent["json"] = body
        timeout = httpx.Timeout(whole, connect=timeouts.connect)
        with self._client.stream(method, url, headers=headers, timeout=timeout, **sent) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise _TooLarge
                if time.monotonic() - began > whole:
                    raise httpx.ReadTimeout("the answer trickled")
        return Answer(response.status_code, response.headers, bytes(data), time.monotonic() - began)

    def _refusal(self, answer: Answer, explain: Explain | None) -> ProviderError:
        """What an answer to a submission means that is no success."""
        status, said = answer.status, self._said(answer)
        failure = explain(status, _body(answer), answer.headers) if explain else None
        if failure is not None:
            return self.error_of(failure, _pause(answer.headers))
        if status in _CLOSED:
            code = {401: "auth", 403: "auth", 402: "insufficient_funds", 404: "not_found"}[status]
            key = self.endpoint.key_env or "no key_env is written"
            return AccountClosed(f"{said}; check the key ({key}), its rights and credit, and base_url", code)
        if status in _TURNED_AWAY:
            code = "rate_limited" if status == HTTPStatus.TOO_MANY_REQUESTS else "provider_unavailable"
            return ProviderBusy(said, code, retry_after=_pause(answer.headers))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SubmissionUnknown(said)
        return ProviderRefused(said, "invalid_request")

    def error_of(self, failure: Failure, pause: float | None = None) -> ProviderError:
        """A vendor's failure of a submission as the error that says what to do next."""
        said = self.without_secrets(f"{self._name}: {failure.message}")
        match failure.code:
            case "auth" | "insufficient_funds" | "not_found":
                return AccountClosed(said, failure.code)
            case "rate_limited" | "provider_unavailable":
                return ProviderBusy(said, failure.code, retry_after=pause)
            case "submit_unknown":
                return SubmissionUnknown(said)
            case _:
                return ProviderRefused(said, failure.code)

    def _said(self, answer: Answer) -> str:
        """What an answer that is no success says, without what it repeats of the key."""
        words = "" if answer.status == HTTPStatus.UNAUTHORIZED else f": {self._shown(_words(_body(answer)))}"
        return f"{self._name} answered {answer.status}{words}"

    def _shown(self, words: str | bytes) -> str:
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        return self.without_secrets(" ".join(text.split()))[:_SHOWN_CHARACTERS]

    def without_secrets(self, words: str) -> str:
        """What the other side says, without what it repeats of the key."""
        for secret in self._secrets:
            words = words.replace(secret, "[key]")
        return words

    def _own_headers(self, url: str) -> dict[str, str]:
        return dict(self.headers) if may_have_key(self.endpoint.base_url, url) else {}

    def _require_output_host(self, url: str) -> None:
        parts = urlsplit(url)
        host, own = parts.netloc.rpartition("@")[2], urlsplit(self.endpoint.base_url).netloc
        known = (own, *self.output_hosts, *self.endpoint.output_hosts)
        if not any(fnmatchcase(name, each) for each in known for name in (host, parts.hostname or "")):
            raise OutputUnreachable(
                f"{self.title}: an output is at {parts.hostname}, which is none of {', '.join(known)}; "
                "add it to the endpoint's output_hosts if it is meant"
            )

    def _rules(self) -> FetchRules:
        """Outputs come from public addresses, or from hosts that the operator wrote down."""
        written = (urlsplit(self.endpoint.base_url).netloc, *self.endpoint.output_hosts)
        parts = [urlsplit(f"//{each}") for each in written if "*" not in each]
        ports = {"https": 443, "http": 80}
        scheme = urlsplit(self.endpoint.base_url).scheme
        return FetchRules(
            private_hosts=frozenset(
                (part.hostname or "", part.port or ports.get(scheme, 443)) for part in parts
            ),
            longest_fetch=_LONGEST_FETCH,
        )


class _TooLarge(Exception):
    """An answer beyond MOST_BYTES."""


def may_have_key(base_url: str, url: str) -> bool:
    """Whether the key for an API may go to a URL that the API gave: to its own host, never less protected.

    From ``api.<domain>`` and ``queue.<domain>`` also to other hosts of that domain: Replicate streams from
    ``stream.replicate.com``.
    """
    own, asked = urlsplit(base_url), urlsplit(url)
    own_host, host = own.hostname or "", asked.hostname or ""
    is_own = host == own_host
    for prefix in ("api.", "queue."):
        if own_host.startswith(prefix):
            is_own = is_own or host.endswith("." + own_host.removeprefix(prefix))
    is_guarded = own.scheme != "https" or asked.scheme == "https"
    return is_own and is_guarded and _port(own) == _port(asked)


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _secrets_in(headers: Mapping[str, str]) -> set[str]:
    """What must not be repeated: the values, and of ``Bearer <key>`` the key."""
    parts = (part for value in headers.values() for part in (value, value.rpartition(" ")[2]))
    return {part for part in parts if len(part) >= _SHORTEST_SECRET}


def _body(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.data.decode("utf-8", "replace")


def _words(body: Any) -> str:
    """The message of an error, wherever vendors put it."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return str(error)
    found = next(
        (error[name] for name in ("message", "detail", "title", "error_message") if error.get(name)), error
    )
    if isinstance(found, list):
        return "; ".join(_complaint(each) for each in found)
    return found if isinstance(found, str) else json.dumps(found)


def _complaint(entry: Any) -> str:
    """A line of FastAPI's answer to a request that it does not understand, without the input it repeats."""
    if not isinstance(entry, dict) or "msg" not in entry:
        return str(entry)
    place = ".".join(str(part) for part in entry.get("loc", ()))
    return f"{place}: {entry['msg']}"


def _pause(headers: httpx.Headers) -> float | None:
    """How long the other side asks to be left alone, in seconds; none if it does not say."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        return retry_after(headers.get("retry-after"), datetime.now(UTC))
