"""Pictures whose bytes were removed by policy: said for good before a byte went, so that nothing looks lost.

Facts stay. A candidate whose picture has expired keeps its name and its story, is not measured again and
cannot be chosen; made afresh it has another attempt, and with it a picture that has not expired.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.store import Store

Outcome = Literal["not_chosen", "rejected", "no_longer_wanted"]
"""What became of a picture that may expire."""


class Expiry(BaseModel):
    """The end of one picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    attempt: int
    """The attempt that made it."""
    image_sha256: str
    mask_sha256: str | None
    outcome: Outcome
    since: AwareDatetime
    """When that was recorded."""
    policy: str
    """What ``data/retention.yaml`` said: ``not_chosen: 90 days``."""


EXPIRIES = EventStream("expiries", Expiry, partitioned_by="campaign")


def expiry_name(candidate_id: str, attempt: int) -> str:
    """The name under which the end of a picture is recorded; a picture ends once."""
    return f"{candidate_id}.{attempt:04d}"


def load_expiries(store: Store, campaign_id: str) -> dict[tuple[str, int], Event[Expiry]]:
    """Every picture of the campaign that has expired, by candidate and attempt."""
    return {
        (event.body.candidate_id, event.body.attempt): event
        for event in store.events.read(EXPIRIES, campaign_id)
    }


def in_words(event: Event[Expiry]) -> str:
    """When and by which rule a picture expired."""
    return f"its picture expired by policy on {event.recorded_at:%Y-%m-%d} ({event.body.policy})"


def expired_words(store: Store, campaign_id: str, candidates: Iterable[Candidate]) -> dict[str, str]:
    """Of the candidates as they are now those whose pictures have expired, and when and why, by name."""
    expiries = load_expiries(store, campaign_id)
    return {
        each.candidate_id: in_words(expiries[each.candidate_id, each.attempt])
        for each in candidates
        if (each.candidate_id, each.attempt) in expiries
    }
