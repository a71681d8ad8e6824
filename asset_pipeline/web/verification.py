"""What verifying a delivery comes to, and what every scheme reads alike: a signature's time, and the body.

Header names are lower case everywhere. A body is only read for what is of use as a hint, and whatever shape
it has is fine: a provider that says more tomorrow is still understood.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic_core import from_json

from asset_pipeline.candidates.jobs.delivery import Message

TOLERANCE = timedelta(seconds=300)
"""How far a signature's time may be from ours, both ways: https://www.standardwebhooks.com"""
LONGEST_WORD = 200
"""Characters of an id or a state; a longer one is not what it seems."""
_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Refused:
    """A delivery that counts for nothing."""

    reason: Literal["unsigned", "stale", "forged"]


Verifier = Callable[[bytes, Mapping[str, str], datetime], Message | Refused]
"""Takes the raw body, the headers and the moment. Raises ProviderUnavailable if it cannot tell for now."""


@dataclass(frozen=True)
class Claims:
    """What a body says, where it says it."""

    event: str | None = None
    job_id: str | None = None
    status: str | None = None

    @property
    def occasion(self) -> str:
        """The event, or what comes nearest."""
        return self.event or self.status or "unspecified"


def claims_of(body: bytes) -> Claims:
    """Read the event, the job and its state from a body of any provider."""
    try:
        said = from_json(body)
    except ValueError:
        return Claims()
    if not isinstance(said, dict):
        return Claims()
    inner = said.get("data")
    places = [said, inner] if isinstance(inner, dict) else [said]
    return Claims(
        event=_first(places, "event", "type"),
        job_id=_first(places, "run_id", "request_id", "id"),
        status=_first(places, "status", "status_code"),
    )


def signed_at(seconds: str) -> datetime | None:
    """The moment that a header with Unix seconds says; none if it says none."""
    if not _SECONDS.fullmatch(seconds):
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None


def is_word(value: Any) -> bool:
    """Whether a value may be kept as an id or a state: short, printable text."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_WORD and value.isprintable()


def _first(places: list[dict[str, Any]], *names: str) -> str | None:
    found = (place[name] for place in places for name in names if is_word(place.get(name)))
    return next(found, None)
