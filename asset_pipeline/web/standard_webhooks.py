"""Standard Webhooks, as Replicate and Salad's comfyui-api sign: an HMAC-SHA256 over id, time and body.

https://www.standardwebhooks.com

A header may hold several signatures, as a secret that is being changed signs beside its successor.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import SecretBytes

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.web.verification import TOLERANCE, Refused, claims_of, is_word, signed_at

PREFIX = "whsec_"
SHORTEST_KEY = 16
"""Bytes. The specification asks for 24; an empty one, with which some servers sign, is anybody's."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    *,
    secrets: Sequence[SecretBytes],
    one_id_for_several_events: bool = False,
) -> Message | Refused:
    """Verify a delivery.

    Args:
        body: the raw body.
        headers: the request's.
        now: the moment to which its age is counted.
        secrets: the keys that may have signed it.
        one_id_for_several_events: whether the id alone does not tell two messages apart, as with Salad, which
            uses the job's.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    delivery_id, seconds, signatures = (headers.get(name, "") for name in names)
    if not (delivery_id and seconds and signatures):
        return Refused("unsigned")
    moment = signed_at(seconds)
    if moment is None or not is_word(delivery_id):
        return Refused("forged")
    if abs(now - moment) > TOLERANCE:
        return Refused("stale")
    signed = b".".join([delivery_id.encode("latin-1"), seconds.encode(), body])
    given = [entry[3:].encode("latin-1") for entry in signatures.split(" ") if entry.startswith("v1,")]
    own = [base64.b64encode(hmac.digest(secret.get_secret_value(), signed, "sha256")) for secret in secrets]
    if not any(hmac.compare_digest(signature, each) for each in own for signature in given):
        return Refused("forged")
    claims = claims_of(body)
    return Message(
        delivery_id=f"{delivery_id}/{claims.occasion}" if one_id_for_several_events else delivery_id,
        event=claims.occasion,
        provider_job_id=claims.job_id,
        status=claims.status,
        signed_at=moment,
    )


def key_of(secret: str) -> SecretBytes | None:
    """The key that a secret in the vendor's spelling stands for; none if it is malformed."""
    encoded = secret.removeprefix(PREFIX)
    if encoded == secret:
        return None
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return SecretBytes(key) if len(key) >= SHORTEST_KEY else None
