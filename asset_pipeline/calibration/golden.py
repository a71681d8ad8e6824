"""Pictures that are measured again at each calibration: a scorer that says something else has a new version.

Every value is recorded with its scorer's version and is never measured again while that stays the same. So a
scorer that changed without its version (another release of a library, another way to resize) would judge new
pictures by other values than those that people's decisions were learned from. The same few decided pictures
are measured again, always the same for a guarantee, and each value is compared with the recorded one.
"""

from collections.abc import Sequence

from asset_pipeline.calibration.decided import Decided, ScoredPicture
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.fingerprint import seed_from
from asset_pipeline.scores.score import Score


def golden_set(decided: Sequence[Decided], guarantee: Guarantee, count: int) -> list[ScoredPicture]:
    """So many of the pictures that had been decided when the guarantee was made, drawn by their names."""
    if guarantee.made_at is None:
        return []
    pictures = [each.picture for each in decided if each.at <= guarantee.made_at]
    return sorted(pictures, key=lambda each: seed_from("golden", each.candidate.candidate_id))[:count]


def changed_scores(recorded: Sequence[ScoredPicture], again: Sequence[Score], most: float) -> dict[str, str]:
    """Dimensions whose scorer changed without its version, each with what was found, as a sentence.

    Args:
        recorded: the pictures with their recorded scores.
        again: what scorers say now; where a version is another, nothing is compared.
        most: the greatest difference that is none.
    """
    scores = {
        (each.candidate.candidate_id, dimension): score
        for each in recorded
        for dimension, score in each.scores.items()
    }
    found: dict[str, tuple[float, str]] = {}
    for new in again:
        old = scores.get((new.candidate_id, new.dimension))
        if old is None or old.scorer_version != new.scorer_version:
            continue
        difference = _difference(old, new)
        if difference > max(most, found.get(new.dimension, (0.0, ""))[0]):
            found[new.dimension] = (
                difference,
                f"{_said(old)} was recorded of {new.candidate_id}, now it is {_said(new)}",
            )
    return {
        dimension: f"the scorer of {dimension} changed without its version: {words}"
        for dimension, (_, words) in sorted(found.items())
    }


def _difference(old: Score, new: Score) -> float:
    if old.value is None or new.value is None:
        return 0.0 if old.value is new.value and old.applies == new.applies else float("inf")
    return abs(old.value - new.value)


def _said(score: Score) -> str:
    if score.value is None:
        return f"no value ({score.reason})"
    return f"{score.value:.6g}"
