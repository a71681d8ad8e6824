"""An attempt on its way to a provider: what carrying it out takes, and what it comes to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.attempt import Attempt, Call, OpenState
from asset_pipeline.candidates.jobs.job import ImageResult
from asset_pipeline.candidates.price import Price
from asset_pipeline.candidates.request import OpenReference, Rendered

End = Literal["succeeded", "refused", "failed", "canceled", "expired", "lost", "unreconciled", "superseded"]
"""How an attempt can end; see ``attempt.State``."""


@dataclass(frozen=True)
class Heard:
    """A webhook for this attempt: a hint that it has moved."""

    job_id: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Errand:
    """An attempt that was claimed or taken over, and all that carrying it out takes."""

    attempt: Attempt
    call: Call
    endpoint: Endpoint
    price: Price
    open_reference: OpenReference
    record: Callable[[OpenState, Mapping[str, Any]], None]
    """Records that the attempt came to a state, with what is known of it since then."""
    hear: Callable[[], Sequence[Heard]]
    """What webhooks said of this attempt so far."""
    stopped: Callable[[], bool]
    """Whether the run ends."""
    is_superseded: Callable[[], bool] = lambda: False
    """Whether another attempt has brought the picture in the meantime."""


@dataclass(frozen=True)
class Carried:
    """What an errand came to; without an end the attempt stays open, and a later run goes on with it."""

    state: End | None
    result: ImageResult | None = None
    rendered: Rendered | None = None
    reason: str | None = None
    cost_usd: float = 0.0


STILL_OPEN = Carried(None)
