"""What a funnel has to know of its candidates, and of whom it asks it. Rooms further on judge."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from asset_pipeline.candidates.candidate import Candidate


@dataclass(frozen=True)
class Gated:
    """What the gates say of one picture. People have no part in it."""

    passes: bool
    failed: tuple[str, ...] = ()
    """The dimensions that keep it from passing by their value."""
    unmeasured: tuple[str, ...] = ()
    """Those that keep it from passing because they have none."""


class Judge(Protocol):
    """Looks at pictures and holds them against the gates of now."""

    def dimensions(self) -> Collection[str]:
        """All that can keep a picture from passing.

        Raises:
            InvalidFile: what people require cannot be read.
        """

    def judge(
        self, campaign_id: str, candidates: Sequence[Candidate], *, run_id: str, report: Callable[[str], None]
    ) -> Mapping[str, Gated]:
        """The gates' word on each of these candidates, all of them with a picture, by the candidate's name.

        What was measured once is not measured again.

        Raises:
            InvalidFile: what people require cannot be read.
        """
