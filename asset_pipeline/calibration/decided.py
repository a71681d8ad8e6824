"""Scored pictures, and what people decided about them: what calibration learns from. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from asset_pipeline.calibration.agreement import Ratings
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.decisions.decision import Decision, standing
from asset_pipeline.scores.records import Judged
from asset_pipeline.scores.score import Score
from asset_pipeline.store.events import Event


@dataclass(frozen=True)
class ScoredPicture:
    """An image with what today's thresholds and rules say of its recorded scores."""

    campaign_id: str
    candidate: Candidate
    judged: Judged
    scores: Mapping[str, Score]
    """What was measured, by dimension."""
    values: Mapping[str, float]
    """Of the dimensions that are judged."""
    outdated: tuple[str, ...] = ()
    """Dimensions that quality is made of and that today's scorers would measure otherwise."""
    measured_at: datetime | None = None
    """When it was first looked at."""
    approval: Literal["human", "auto", "gates"] | None = None
    """How its campaign approves; none if the campaign's file is gone."""
    is_offered: bool = False
    """Whether it is among the best of its prompt, as many as are kept, of those that pass every gate."""

    @property
    def asset_type(self) -> str:
        """The kind of picture."""
        return self.candidate.asset_type


@dataclass(frozen=True)
class Decided:
    """A picture with the decision that holds for it."""

    picture: ScoredPicture
    is_rejected: bool
    at: datetime
    ratings: Ratings = field(default_factory=dict)
    """Each reviewer's last word on it, the standing one among them."""

    @property
    def is_disputed(self) -> bool:
        """Whether reviewers said different things."""
        return len(set(self.ratings.values())) > 1

    @property
    def quality(self) -> float:
        """By which it is ranked; only what `why_not` has no objection to has one."""
        return self.picture.judged.quality if self.picture.judged.quality is not None else float("nan")


def decided_pictures(
    pictures: Iterable[ScoredPicture], decisions: Mapping[str, Mapping[str, Sequence[Event[Decision]]]]
) -> list[Decided]:
    """The pictures that people decided about, each once, by time.

    The same image of two candidates, or in two campaigns, is one picture: the last decision about it holds.

    Args:
        pictures: all that are scored.
        decisions: by campaign and candidate, oldest first.
    """
    by_image: dict[tuple[str, str | None], Decided] = {}
    for picture in pictures:
        image = picture.candidate.image_sha256
        events = decisions.get(picture.campaign_id, {}).get(picture.candidate.candidate_id, ())
        event = standing(events, image)
        if event is None:
            continue
        ratings = {
            each.body.reviewer: each.body.verdict for each in events if each.body.image_sha256 == image
        }
        found = Decided(picture, event.body.verdict == "reject", event.recorded_at, ratings)
        earlier, later = sorted(
            [found, by_image.get((picture.asset_type, image), found)], key=lambda each: each.at
        )
        by_image[picture.asset_type, image] = Decided(
            later.picture, later.is_rejected, later.at, {**earlier.ratings, **later.ratings}
        )
    return sorted(by_image.values(), key=lambda each: (each.at, each.picture.candidate.candidate_id))


def why_not(decided: Decided, since: datetime | None) -> str | None:
    """Why nothing can be learned from a decision; none if it counts."""
    picture = decided.picture
    if since is not None and decided.at < since:
        return "made before the day from which decisions count"
    if picture.outdated:
        return f"on pictures that today's scorers have not measured ({', '.join(picture.outdated)})"
    if not picture.judged.passes:
        return "on pictures that fail a gate"
    return None if picture.judged.quality is not None else "on pictures without a quality"


def left_out(decided: Iterable[Decided], since: datetime | None) -> dict[str, int]:
    """How many decisions do not count, by reason."""
    reasons = Counter(reason for each in decided if (reason := why_not(each, since)) is not None)
    return dict(sorted(reasons.items()))


def by_asset_type(decided: Iterable[Decided]) -> dict[str, list[Decided]]:
    """Decisions by asset type, each in their order."""
    found: dict[str, list[Decided]] = defaultdict(list)
    for each in decided:
        found[each.picture.asset_type].append(each)
    return dict(found)
