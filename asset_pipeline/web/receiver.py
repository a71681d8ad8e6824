"""Receives a delivery: verified on its raw bytes, kept once, answered with a status, and nothing more.

The receiver looks no attempt up, so it could not say whether a token is known; it changes no state and asks
no provider. Its log has neither tokens nor contents.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from asset_pipeline.candidates.jobs.delivery import keep_delivery
from asset_pipeline.errors import ProviderUnavailable
from asset_pipeline.store.store import Store
from asset_pipeline.web.redaction import without_secrets
from asset_pipeline.web.verification import Refused, Verifier

logger = logging.getLogger(__name__)

LINE_EVERY_SECONDS = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class Refusals:
    """Counts refused deliveries, and says so in one line a minute: forgeries must not fill the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told_at: float | None = None

    def count(self, provider: str, reason: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[f"{provider} {reason}"] += 1
            now = self._clock()
            if self._told_at is None or now - self._told_at >= LINE_EVERY_SECONDS:
                self._told_at = now
                self._tell()

    def tell(self) -> None:
        """Say what was counted since the last line."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        if self._counts:
            counted = ", ".join(f"{what} {count}" for what, count in sorted(self._counts.items()))
            logger.warning("refused deliveries: %s", counted)
            self._counts.clear()


class Receiver:
    """Receives deliveries for as long as its process lives; used by several threads at once."""

    def __init__(
        self, store: Store, verifiers: Mapping[str, Verifier], clock: Callable[[], datetime] = _now
    ) -> None:
        self._store = store
        self._verifiers = verifiers
        self._clock = clock
        self.refusals = Refusals()

    @property
    def providers(self) -> frozenset[str]:
        """Whose deliveries are received."""
        return frozenset(self._verifiers)

    def receive(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Keep a delivery if it is genuine.

        Args:
            provider: one of `providers`.
            token: what stands in the address, whatever it is.
            headers: the request's, with names in lower case.
            body: the raw body.

        Returns:
            What to answer. 503 asks the provider to send it again.
        """
        now = self._clock()
        try:
            message = self._verifiers[provider](body, headers, now)
            if isinstance(message, Refused):
                self.refusals.count(provider, message.reason)
                return HTTPStatus.UNAUTHORIZED
            kept = without_secrets(body)
            is_new = keep_delivery(self._store, message, kept, provider=provider, token=token, now=now)
        except ProviderUnavailable as error:
            logger.warning("%s: cannot verify deliveries for now: %s", provider, error)
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception as error:  # noqa: BLE001 - its message may hold the token or the body, its name does not
            logger.error("%s: a delivery could not be kept: %s", provider, _kind(error))  # noqa: TRY400
            return HTTPStatus.SERVICE_UNAVAILABLE
        if is_new:
            logger.info("%s: kept a delivery: %s, job %s", provider, message.event, message.provider_job_id)
        return HTTPStatus.OK


def _kind(error: Exception) -> str:
    reason = f", {error.strerror}" if isinstance(error, OSError) else ""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{reason}{place}"
