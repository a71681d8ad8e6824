"""Thresholds turn scores into verdicts. Pure: no picture, no store, no clock.

A value on a bound passes. What was not measured never passes: a missing blocking dimension is as final as a
failed one, and a missing or failed warning is said and does not block. What is established not to apply to a
picture is neither: it says so, and is not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator

from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.scores.score import Score

Level = Literal["block", "warn"]
Outcome = Literal["passed", "failed", "missing", "not applicable"]


class Threshold(BaseModel):
    """What one dimension's value must be, as people write it: ``sharpness: {max: 0.55}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: FiniteFloat | None = None
    """The least value that passes."""
    max: FiniteFloat | None = None
    """The greatest value that passes."""
    level: Level = "block"
    """``block``: without a pass the picture is rejected. ``warn``: a person is told, no more."""

    @model_validator(mode="after")
    def _says_something(self) -> "Threshold":
        if self.min is None and self.max is None:
            raise ValueError("a threshold has a min, a max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max}), so nothing could pass")
        return self


@dataclass(frozen=True)
class Verdict:
    """What one threshold says about one picture."""

    dimension: str
    level: Level
    outcome: Outcome
    reason: str
    """The verdict as a sentence, also for a pass."""
    margin: float | None
    """Signed distance to the nearer bound, from -1 to 1; none when there is no value.

    It is counted in parts of that bound (a bound of zero counts as 1), or of half the range where there are
    two bounds. 0 is on the bound; 0 and more is a pass.
    """

    @property
    def blocks(self) -> bool:
        """Whether it keeps the picture from passing."""
        return self.level == "block" and self.outcome in ("failed", "missing")


@dataclass(frozen=True)
class Judgement:
    """What all thresholds together say about one picture, in the order of the dimensions' names."""

    verdicts: tuple[Verdict, ...]

    @property
    def passes(self) -> bool:
        """Whether no blocking dimension failed or is missing."""
        return not any(verdict.blocks for verdict in self.verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not pass, and what is worth a warning."""
        return tuple(verdict.reason for verdict in self.verdicts if verdict.outcome in ("failed", "missing"))

    @property
    def quality(self) -> float | None:
        """The mean margin over the blocking dimensions that apply; none if none does or one has no value."""
        margins = [
            verdict.margin
            for verdict in self.verdicts
            if verdict.level == "block" and verdict.outcome != "not applicable"
        ]
        known = [margin for margin in margins if margin is not None]
        return sum(known) / len(known) if known and len(known) == len(margins) else None


def judge(scores: Sequence[Score], thresholds: Mapping[str, Threshold]) -> Judgement:
    """Give each threshold its verdict on one picture. Scores that no threshold names are not judged.

    Raises:
        ValueError: two scores are of the same dimension, so that one would have to be forgotten.
    """
    by_dimension = {score.dimension: score for score in scores}
    if len(by_dimension) < len(scores):
        raise ValueError(f"a dimension is scored twice: {sorted(score.dimension for score in scores)}")
    return Judgement(
        tuple(
            _verdict(dimension, by_dimension.get(dimension), thresholds[dimension])
            for dimension in sorted(thresholds)
        )
    )


def rules_sha256(rules: Mapping[str, BaseModel]) -> str:
    """The hash of the thresholds and business rules that were applied, by dimension.

    Their order does not matter, nor their spelling (85 or 85.0).
    """
    return fingerprint({dimension: rule.model_dump() for dimension, rule in rules.items()})


def _verdict(dimension: str, score: Score | None, threshold: Threshold) -> Verdict:
    if score is not None and not score.applies:
        words = f"{dimension} does not apply: {score.reason}"
        return Verdict(dimension, threshold.level, "not applicable", words, None)
    if score is None or score.value is None:
        why = "nothing scored it" if score is None else score.reason
        return Verdict(dimension, threshold.level, "missing", f"{dimension} was not measured: {why}", None)
    value, low, high = score.value, threshold.min, threshold.max
    outside = (low is not None and value < low) or (high is not None and value > high)
    words = f"{dimension} {compared(value, threshold)}"
    outcome: Outcome = "failed" if outside else "passed"
    return Verdict(dimension, threshold.level, outcome, words, _margin(value, low, high))


def compared(value: float, threshold: Threshold) -> str:
    """Where a value lies, in words: ``0.71 is above 0.55``."""
    low, high = threshold.min, threshold.max
    if low is not None and value < low:
        return _compared(value, "below", low)
    if high is not None and value > high:
        return _compared(value, "above", high)
    if low is not None and high is not None:
        return f"{value:.4g} is within {low:g} to {high:g}"
    return _compared(value, "not above", high) if low is None else _compared(value, "not below", low)


def _compared(value: float, relation: str, bound: float | None) -> str:
    """Value and bound in words, the value as short as it can be without looking like the bound itself."""
    spellings = (f"{value:.{digits}g}" for digits in range(4, 18))
    spelled = next((short for short in spellings if (float(short) == bound) == (value == bound)), repr(value))
    return f"{spelled} is {relation} {bound:g}"


def _margin(value: float, low: float | None, high: float | None) -> float:
    rooms = [value - low] if low is not None else []
    rooms += [high - value] if high is not None else []
    room = min(rooms)
    if low is not None and high is not None:
        scale = high / 2 - low / 2
    else:
        scale = abs(low if low is not None else high or 0.0)
    # a quotient that underflows to zero would let a failure look like a value on the bound
    margin = room / (scale or 1.0) or room
    return max(-1.0, min(1.0, margin))
