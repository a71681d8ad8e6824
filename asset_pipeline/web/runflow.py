"""Runflow's callbacks: an HMAC-SHA256 over the body alone.

https://docs.runflow.io/guides/verify-callback-signatures

Nothing says when the signature was made, so an old delivery verifies for ever: a run's event is kept once,
and what the run came to is what Runflow says when it is asked.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import SecretBytes

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.web.verification import Refused, claims_of

SHORTEST_SECRET = 16
_SECRET = re.compile(r"[!-~]+")


def verify(
    body: bytes, headers: Mapping[str, str], now: datetime, *, secrets: Sequence[SecretBytes]
) -> Message | Refused:
    """Verify a delivery.

    Args:
        body: the raw body.
        headers: the request's.
        now: of no use here, as no time is signed.
        secrets: those that may have signed it; Runflow has two while one is being changed.
    """
    del now
    given = headers.get("runflow-signature", "").encode("latin-1")
    if not given:
        return Refused("unsigned")
    own = [hmac.digest(secret.get_secret_value(), body, "sha256").hex().encode() for secret in secrets]
    if not any(hmac.compare_digest(given, each) for each in own):
        return Refused("forged")
    claims = claims_of(body)
    is_named = claims.job_id and claims.event
    return Message(
        delivery_id=f"{claims.job_id}/{claims.event}" if is_named else sha256_of(body),
        event=claims.occasion,
        provider_job_id=claims.job_id,
        status=claims.status,
        signed_at=None,
    )


def key_of(secret: str) -> SecretBytes | None:
    """The key that a secret stands for: its characters, ``whsec_`` included; none if it is malformed."""
    is_one = len(secret) >= SHORTEST_SECRET and _SECRET.fullmatch(secret)
    return SecretBytes(secret.encode()) if is_one else None
