"""A candidate with everything that decides about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.decisions.decision import Decision, standing
from asset_pipeline.scores.records import Judged
from asset_pipeline.store.events import Event


@dataclass(frozen=True)
class Entry:
    """A candidate with everything that decides about it."""

    candidate: Candidate
    candidate_fact_sha256: str
    judged: Judged
    decisions: Sequence[Event[Decision]] = ()
    expired: str | None = None
    """That its picture has expired, and when and why, in words; none while the store has it."""

    @property
    def standing(self) -> Decision | None:
        """The decision that holds for its image."""
        event = standing(self.decisions, self.candidate.image_sha256)
        return event.body if event else None
