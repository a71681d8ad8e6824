"""What is known of a photograph that a feed names by URL, and what follows from it. Asks nobody.

A URL may hold secrets: a password, a signature, a token. It is known by its hash, and shown without them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from asset_pipeline.catalog.formats.rows import Remark
from asset_pipeline.catalog.picture_file import LARGEST_FILE, PictureFile
from asset_pipeline.checkpoints.sources import is_on
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import sha256_of

_USER_INFO = re.compile(r"(?<=//)[^/?#]*@")
_LONGEST_SHOWN = 200
_FAILED_AGAIN = timedelta(minutes=10)
"""For how long a host is not asked again for what it did not have: campaigns that run one after the other,
each with the catalog, do not ask each; a person who has mended something does not wait long."""


class RemotePhotograph(BaseModel):
    """What came of asking for a photograph: the fact by which it is not fetched twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url_sha256: str
    """The hash of the URL as the feed has it."""
    url: str
    """The URL as it may be shown: without user, password and query."""
    final_url: str | None = None
    """Where redirects led, shown like that."""
    final_url_sha256: str | None = None
    etag: str | None = None
    """What the server calls these bytes, to ask whether they have changed."""
    last_modified: str | None = None
    sha256: str | None = None
    """The hash of the bytes, which the store keeps; none if they were never had."""
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    """Bytes."""
    fetched_at: AwareDatetime | None = None
    """When these bytes came."""
    checked_at: AwareDatetime
    """When it was asked for the last time."""
    failure: str | None = None
    """Why that gave nothing; bytes of an earlier time are kept."""
    is_refused: bool = False
    """Whether it failed by this project's own rules, so that asking again costs the host nothing."""

    @property
    def picture(self) -> PictureFile | None:
        """The bytes that are used, if there are any."""
        if None in (self.sha256, self.media_type, self.width, self.height):
            return None
        return PictureFile(
            sha256=str(self.sha256),
            media_type=str(self.media_type),
            width=int(self.width or 0),
            height=int(self.height or 0),
        )


@dataclass(frozen=True)
class FetchRules:
    """How photographs are fetched."""

    is_offline: bool = False
    again_after: timedelta = timedelta(days=1)
    """For how long what was fetched is not asked for again."""
    private_hosts: frozenset[tuple[str, int]] = frozenset()
    """Hosts with ports that may have an address that is not public."""
    together: int = 8
    """Requests under way at once."""
    together_by_host: int = 4
    largest_file: int = LARGEST_FILE
    """Bytes."""
    silence: timedelta = timedelta(seconds=30)
    """For how long a server may say nothing, or take to be connected to."""
    longest_fetch: timedelta = timedelta(minutes=5)
    longest_wait: timedelta = timedelta(minutes=2)
    """A host that asks to be left alone for longer is left alone for the rest of the run."""
    pause: timedelta = timedelta(seconds=1)
    """Before a host is asked again that was busy and did not say for how long; then twice that, and so on."""
    record_every: timedelta = timedelta(seconds=30)
    """How much a killed run may have to fetch again."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Read ``ASSET_PIPELINE_OFFLINE``, ``_FETCH_AGAIN_HOURS`` and ``_FETCH_PRIVATE``.

        Raises:
            InvalidFile: one of them is not what it should be.
        """
        hours = environ.get("ASSET_PIPELINE_FETCH_AGAIN_HOURS") or "24"
        private = environ.get("ASSET_PIPELINE_FETCH_PRIVATE", "").split(",")
        return cls(
            is_offline=is_on(environ, "ASSET_PIPELINE_OFFLINE"),
            again_after=_hours(hours),
            private_hosts=frozenset(_host(each.strip()) for each in private if each.strip()),
        )


def url_sha256(url: str) -> str:
    """The name by which a URL is known."""
    return sha256_of(url.encode())


def shown_url(url: str) -> str:
    """A URL as it may stand in facts, messages and logs: no user, no password, no query, no fragment."""
    plain, query, _ = re.split(r"([?#]|$)", _USER_INFO.sub("", url), maxsplit=1)
    return plain[:_LONGEST_SHOWN] + ("?…" if query == "?" else "")


def is_due(known: RemotePhotograph | None, rules: FetchRules, now: datetime) -> bool:
    """Whether a photograph is to be asked for: never seen, too long ago, or it failed a while ago."""
    if known is None or known.is_refused:
        return True
    patience = min(rules.again_after, _FAILED_AGAIN) if known.failure else rules.again_after
    return not timedelta(0) <= now - known.checked_at < patience


def conditions(known: RemotePhotograph | None, url: str) -> dict[str, str]:
    """The headers that ask a server only for bytes that have changed; none where another URL gave them."""
    if known is None or known.picture is None or known.final_url_sha256 != url_sha256(url):
        return {}
    headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in headers.items() if value}


def remark_on(url: str, known: RemotePhotograph | None) -> Remark | None:
    """What a person should know of a photograph that a feed names by URL; nothing if all is well."""
    shown = shown_url(url)
    if known is None:
        message = f"{shown} is fetched when the catalog is materialised; nothing is known of it yet"
        return Remark("note", "photograph_not_fetched", message, "photographs")
    if known.failure is None:
        return None
    if known.picture is None:
        return Remark("warning", "photograph_unreachable", f"{shown}: {known.failure}", "photographs")
    message = f"{shown}: {known.failure}; the copy of {known.fetched_at:%Y-%m-%d} is used"
    return Remark("warning", "photograph_not_renewed", message, "photographs")


def _hours(written: str) -> timedelta:
    try:
        hours = timedelta(hours=float(written))
    except (ValueError, OverflowError):
        hours = timedelta(-1)
    if hours < timedelta(0):
        raise InvalidFile(f"ASSET_PIPELINE_FETCH_AGAIN_HOURS: {written!r} is not a number of hours from 0")
    return hours


def _host(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    if not host or not port.isdecimal():
        raise InvalidFile(f"ASSET_PIPELINE_FETCH_PRIVATE: {written!r} is not host:port")
    return host.strip("[]").lower(), int(port)
