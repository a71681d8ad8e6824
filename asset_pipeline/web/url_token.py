"""Providers that sign nothing (RunPod, Cog, Comfy Deploy): the unguessable token in the address is the proof.

Nobody else was told the address. What comes under a token that no attempt has is kept all the same, and never
looked at.
"""

from collections.abc import Mapping
from datetime import datetime

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.web.verification import claims_of


def verify(body: bytes, headers: Mapping[str, str], now: datetime) -> Message:
    """Read a delivery; the same body is the same delivery.

    Args:
        body: the raw body.
        headers: of no use here, as nothing is signed.
        now: likewise.
    """
    del headers, now
    claims = claims_of(body)
    return Message(
        delivery_id=sha256_of(body),
        event=claims.occasion,
        provider_job_id=claims.job_id,
        status=claims.status,
        signed_at=None,
    )
