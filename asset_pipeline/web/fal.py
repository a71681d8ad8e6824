"""fal's webhooks: Ed25519 over request, account, time and body, with keys that fal publishes and changes.

https://docs.fal.ai/model-endpoints/webhooks
"""

import base64
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic_core import from_json

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.errors import ProviderUnavailable
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.web.verification import TOLERANCE, Refused, claims_of, is_word, signed_at

KEYS_LAST = timedelta(hours=24)
"""For how long fal's keys may be used without asking again."""
ASK_AT_MOST_EVERY = timedelta(minutes=1)
"""Whatever arrives: nobody can make us ask fal more often."""
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")


class KeySet:
    """fal's public keys: asked for when first needed, daily, and when a signature fits none of them."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None

    def keys(self, now: datetime, *, afresh: bool = False) -> tuple[Ed25519PublicKey, ...]:
        """The keys as they stand, or afresh if fal was not asked just now.

        Raises:
            ProviderUnavailable: there are none that are young enough.
        """
        with self._lock:
            if (afresh or not _is_within(KEYS_LAST, self._fetched_at, now)) and not _is_within(
                ASK_AT_MOST_EVERY, self._asked_at, now
            ):
                self._asked_at = now
                self._ask(now)
            if not _is_within(KEYS_LAST, self._fetched_at, now):
                raise ProviderUnavailable("fal's keys cannot be had")
            return self._keys

    def _ask(self, now: datetime) -> None:
        try:
            keys = _read(self._fetch())
        except (ProviderUnavailable, ValueError):
            return
        if keys:
            self._keys, self._fetched_at = keys, now


def verify(body: bytes, headers: Mapping[str, str], now: datetime, *, keys: KeySet) -> Message | Refused:
    """Verify a delivery.

    Args:
        body: the raw body.
        headers: the request's.
        now: the moment to which its age is counted.
        keys: fal's.

    Raises:
        ProviderUnavailable: nobody can tell, as fal's keys cannot be had.
    """
    names = ("request-id", "user-id", "timestamp", "signature")
    request_id, user_id, seconds, signature = (headers.get(f"x-fal-webhook-{name}", "") for name in names)
    if not (request_id and user_id and seconds and signature):
        return Refused("unsigned")
    moment = signed_at(seconds)
    if moment is None or not is_word(request_id) or not _SIGNATURE.fullmatch(signature):
        return Refused("forged")
    if abs(now - moment) > TOLERANCE:
        return Refused("stale")
    message = "\n".join([request_id, user_id, seconds, sha256_of(body)]).encode("latin-1")
    given = bytes.fromhex(signature)
    if not (_fits(keys.keys(now), given, message) or _fits(keys.keys(now, afresh=True), given, message)):
        return Refused("forged")
    claims = claims_of(body)
    return Message(
        delivery_id=request_id,
        event=claims.occasion,
        provider_job_id=request_id,
        status=claims.status,
        signed_at=moment,
    )


def _fits(keys: tuple[Ed25519PublicKey, ...], signature: bytes, message: bytes) -> bool:
    for key in keys:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def _read(key_set: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JSON Web Key Set (RFC 8037). Raises ValueError if it is none."""
    said = from_json(key_set)
    listed = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JSON Web Key Set")  # noqa: TRY004 - the caller has one reaction to bad content
    return tuple(_key(each) for each in listed if isinstance(each, dict) and each.get("crv") == "Ed25519")


def _key(listed: dict[str, Any]) -> Ed25519PublicKey:
    encoded = str(listed.get("x"))
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))


def _is_within(span: timedelta, since: datetime | None, now: datetime) -> bool:
    # a clock that was set back makes everything due
    return since is not None and timedelta(0) <= now - since < span
