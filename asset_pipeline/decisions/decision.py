"""People's decisions: appended, never changed; undoing is deciding again."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from asset_pipeline.store.events import Event, EventStream

Verdict = Literal["approve", "reject"]


class Decision(BaseModel):
    """What one person decided about one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    image_sha256: str
    """The image that was looked at; a candidate made afresh has to be looked at again."""
    verdict: Verdict
    reviewer: str = Field(min_length=1, max_length=100)
    reason: str = Field(default="", max_length=2000)


DECISIONS = EventStream("decisions", Decision, partitioned_by="campaign")


def decision_name(candidate_id: str, place: int) -> str:
    """The name of a candidate's nth decision, so that two people who decide at once are both recorded."""
    return f"{candidate_id}.{place:04d}"


def standing(decisions: Sequence[Event[Decision]], image_sha256: str | None) -> Event[Decision] | None:
    """The decision that holds for an image: the last one that was made about it."""
    about = [decision for decision in decisions if decision.body.image_sha256 == image_sha256]
    return about[-1] if about else None
