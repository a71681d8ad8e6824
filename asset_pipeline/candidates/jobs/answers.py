"""What vendors' answers have in common: pictures anywhere in them, moments, reasons fit to show. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from asset_pipeline.candidates.request import ImageRequest

_LONGEST_REASON = 300
_TRACEBACK = re.compile(r"Traceback \(most recent call last\).*", re.DOTALL)
_INLINE = re.compile(r"data:[\w.+/;=-]+,[A-Za-z0-9+/=_-]+")
_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']+")
_FILTERED = re.compile(r"\bnsfw\b|safety (?:filter|checker)|content (?:policy|moderation)", re.IGNORECASE)
_SHORTEST_INPUT = 3


def reason(words: object, request: ImageRequest) -> str:
    """What a vendor says of a job that failed, as it may be recorded and shown.

    In one line of at most 300 characters, without the request's own words, pictures, tracebacks, and the part
    of an address that may be a secret.
    """
    text = " ".join(_TRACEBACK.sub("", words if isinstance(words, str) else str(words or "")).split())
    for own in (request.prompt, request.negative_prompt):
        said = " ".join(own.split())
        if len(said) >= _SHORTEST_INPUT:
            text = text.replace(said, "[prompt]")
    text = _QUERY.sub(r"\1", _INLINE.sub("[picture]", text))
    return text[:_LONGEST_REASON].strip() or "no reason given"


def places_in(output: object) -> Iterator[str]:
    """Where the pictures of an output are, in their order: every URL and data URI in it, however deep."""
    if isinstance(output, str):
        if output.startswith(("https://", "http://", "data:")):
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from places_in(value)
    elif isinstance(output, list):
        for value in output:
            yield from places_in(value)


def moment(value: Any) -> datetime | None:
    """A moment as vendors write it, ISO 8601; in UTC where no zone is named; none if it is none."""
    try:
        said = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def amount(value: Any) -> float | None:
    """A number that is no boolean; none if it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def words(value: Any) -> str | None:
    """A text that is not empty; none if it is none."""
    return value if isinstance(value, str) and value else None


def is_filtered(said: str) -> bool:
    """Whether what a handler or a server says of a failure speaks of a filter of what pictures show."""
    return _FILTERED.search(said) is not None
