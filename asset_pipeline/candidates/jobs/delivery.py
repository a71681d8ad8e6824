"""Deliveries: what providers told the webhook receiver, each kept once, before anybody asks what it means.

A delivery is a hint that a job has moved. What the job came to is what the provider says when it is asked.
The address that a provider is given ends in the attempt's token, so a delivery finds its attempt even when
the submission was never answered. A token begins with the day on which the attempt was claimed: whenever they
come, all deliveries of an attempt lie in one partition, where the same delivery has the same name.
"""

import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from asset_pipeline.fingerprint import fingerprint, sha256_of
from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.store import Store

LARGEST_TEXT = 64 * 2**10
"""Bytes of a body that an event holds itself; a longer one is kept beside the images."""
UNKNOWN = "unknown"
"""The partition of what comes under a token that no attempt can have."""
LONGEST_WAY = timedelta(days=40)
"""No provider delivers later; so strangers, who may send any token, make no partition of an older day."""
_TOKEN = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})-[0-9a-f]{32}")
_HASH_DIGITS = 32


@dataclass(frozen=True)
class Message:
    """What a genuine delivery says of itself."""

    delivery_id: str
    """The same for every repetition of the same message."""
    event: str
    """The provider's word for the occasion, or for the job's state where it has none for the occasion."""
    provider_job_id: str | None
    status: str | None
    """The provider's word for the job's state."""
    signed_at: datetime | None
    """When the provider signed it, where it signs the time."""


class Delivery(BaseModel):
    """A message of a provider about an attempt, as it is kept; see Message."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    token: str
    """The attempt's, from the address; empty where what stood there cannot be one."""
    delivery_id: str
    event: str
    provider_job_id: str | None
    status: str | None
    signed_at: datetime | None
    body_sha256: str
    """Of the body as it is kept: byte for byte, unless it held a secret."""
    body: str
    """The body, up to 64 KiB of text; empty if the bytes are kept beside the images under `body_sha256`."""


DELIVERIES = EventStream("deliveries", Delivery, partitioned_by="day")


def new_token(now: datetime) -> str:
    """An unguessable token for the address of an attempt that is claimed now."""
    return f"{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(16)}"


def day_of(token: str) -> date | None:
    """The day on which the token's attempt was claimed; none if it is not a token."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    try:
        return date(*map(int, found.groups()))
    except ValueError:
        return None


def partition_of(token: str, today: date) -> str:
    """Where deliveries under a token are kept."""
    day = day_of(token)
    if day is None or not today - LONGEST_WAY <= day <= today + timedelta(days=1):
        return UNKNOWN
    return day.isoformat()


def event_name(token: str, provider: str, delivery_id: str) -> str:
    """The name under which a delivery is kept; that of every repetition of it."""
    stem = token if day_of(token) else f"none-{fingerprint(token)[:_HASH_DIGITS]}"
    return f"{stem}.{fingerprint([provider, delivery_id])[:_HASH_DIGITS]}"


def keep_delivery(
    store: Store, message: Message, body: bytes, *, provider: str, token: str, now: datetime
) -> bool:
    """Record a delivery unless it is there already; say whether this call recorded it.

    Args:
        store: where it is kept.
        message: what it says of itself.
        body: the bytes to keep.
        provider: who sent it.
        token: what stood in the address, whatever it is.
        now: the moment it came.
    """
    text = _text(body)
    if text is None:
        store.images.put(body, "bin")
    delivery = Delivery(
        provider=provider,
        token=token if day_of(token) else "",
        body_sha256=sha256_of(body),
        body=text or "",
        **asdict(message),
    )
    name = event_name(token, provider, message.delivery_id)
    partition = partition_of(token, now.astimezone(UTC).date())
    return store.events.append(DELIVERIES, partition, name, delivery, now=now)


def deliveries_for(store: Store, token: str) -> list[Event[Delivery]]:
    """What came for an attempt, by the time it came; costs a listing of one day, and reads only its own."""
    day = day_of(token)
    if day is None:
        return []
    partition = day.isoformat()
    names = [name for name in store.events.names(DELIVERIES, partition) if name.startswith(f"{token}.")]
    return store.events.read(DELIVERIES, partition, names=names) if names else []


def body_of(store: Store, delivery: Delivery) -> bytes:
    """The body as it is kept. Raises BrokenFact if its bytes are missing or altered."""
    if delivery.body or delivery.body_sha256 == sha256_of(b""):
        return delivery.body.encode()
    return store.images.get(delivery.body_sha256)


def _text(body: bytes) -> str | None:
    if len(body) > LARGEST_TEXT:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
