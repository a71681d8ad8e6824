"""Learn then test: from which quality on people would reject at most a share alpha.

Source: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test", arXiv 2110.01052: each threshold is a
hypothesis, "more than alpha of what has at least this quality would be rejected"; the hypotheses are tested
one after the other, from the strictest threshold to the loosest, and the last one before the first that
cannot be refuted is the answer. As the first true hypothesis ends the test, and an exact binomial test
refutes it with probability delta at most, so does the promise fail with probability delta at most, however
many thresholds there are.

Which thresholds are tested depends on the qualities and never on what people decided: looking at decisions to
find where to test would be peeking. The first accepts about 2.2·ln delta / ln(1 - alpha) pictures: fewer
could hardly refute anything (one rejection would end it), and a far stricter start throws away decisions.

What it rests on: the decided pictures are a fair sample of those to come, and a stricter threshold is no
worse than a looser one (``benchmarks/calibration.py`` measures both where that holds and where it does not).

Thresholds that merely keep the decided pictures within alpha, read off a ROC curve or off an isotonic fit,
break the same promise about half of the time: they are the luckiest of many.

Pure: values in, values out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom

FEWEST = 2.2
"""The first threshold accepts so many times ln delta / ln(1 - alpha) pictures, the fewest that refute without
any error."""
STEP = 0.05
"""From a threshold to the next, so large a share of all decided pictures is accepted in addition."""
FAR_AHEAD = 10_000
"""How many accepted pictures are looked ahead to when it is estimated how many decisions would do."""


@dataclass(frozen=True)
class Step:
    """One threshold that was tested."""

    least_quality: float
    accepted: int
    """Pictures with at least that quality."""
    errors: int
    """Those of them that people rejected."""
    p_value: float
    """The probability of so few errors if people rejected exactly alpha."""
    upper: float
    """What the share that people reject is at most, with probability 1 - delta (Clopper-Pearson, one-
    sided)."""
    holds: bool


@dataclass(frozen=True)
class Learned:
    """What decisions come to."""

    least_quality: float | None
    """None where no threshold holds the promise."""
    steps: tuple[Step, ...]
    """The thresholds that were tested, from the strictest, to the first that does not hold."""
    decisions: int
    words: str
    """Why there is no threshold, and how many decisions more it takes; empty if there is one."""

    @property
    def last(self) -> Step | None:
        """The loosest threshold that holds."""
        return next((step for step in reversed(self.steps) if step.holds), None)


def fewest_accepted(alpha: float, delta: float) -> int:
    """How many pictures the strictest threshold has to accept."""
    return math.ceil(FEWEST * math.log(delta) / math.log(1 - alpha))


def learn(
    qualities: Sequence[float] | npt.NDArray[np.float64],
    rejected: Sequence[bool] | npt.NDArray[np.bool_],
    *,
    alpha: float,
    delta: float,
) -> Learned:
    """Find the least quality that keeps the promise. The order of the pictures does not matter.

    Args:
        qualities: of each decided picture, finite; equal ones are accepted together or not at all.
        rejected: whether a person rejected it.
        alpha: the greatest share of the accepted that a person would reject.
        delta: the probability that this may be wrong with.

    Raises:
        ValueError: there are not as many decisions as qualities, or a quality is not finite.
    """
    quality, errors = np.asarray(qualities, np.float64), np.asarray(rejected, np.bool_)
    if quality.shape != errors.shape or not np.isfinite(quality).all():
        raise ValueError("learning takes a finite quality and a decision for each picture")
    order = np.argsort(-quality, kind="stable")
    least = _thresholds(quality[order], fewest_accepted(alpha, delta))
    steps = _tested(least, quality[order], errors[order], alpha, delta)
    held = [step for step in steps if step.holds]
    return Learned(
        least_quality=held[-1].least_quality if held else None,
        steps=steps,
        decisions=len(quality),
        words="" if held else _how_many_more(steps, len(quality), alpha, delta),
    )


def _thresholds(best_first: npt.NDArray[np.float64], fewest: int) -> list[float]:
    """The qualities of the pictures at places that depend on how many there are, the strictest first."""
    count = len(best_first)
    if count < fewest:
        return []
    places = [*range(fewest, count, max(1, round(STEP * count))), count]
    return sorted({float(best_first[place - 1]) for place in places}, reverse=True)


def _tested(
    least: Sequence[float],
    best_first: npt.NDArray[np.float64],
    rejected: npt.NDArray[np.bool_],
    alpha: float,
    delta: float,
) -> tuple[Step, ...]:
    """The thresholds up to the first that does not hold."""
    accepted = np.searchsorted(-best_first, -np.asarray(least), side="right")
    errors = np.cumsum(rejected)[accepted - 1] if len(least) else accepted
    p_values = binom.cdf(errors, accepted, alpha)
    # all rejected: the share may be 1, which the formula has no value for
    uppers = np.where(
        errors < accepted, beta.ppf(1 - delta, errors + 1, np.maximum(accepted - errors, 1)), 1.0
    )
    fails = np.nonzero(p_values > delta)[0]
    tested = fails[0] + 1 if len(fails) else len(least)
    return tuple(
        Step(least[place], int(accepted[place]), int(errors[place]), float(p_values[place]),
             float(uppers[place]), bool(p_values[place] <= delta))
        for place in range(tested)
    )  # fmt: skip


def _how_many_more(steps: Sequence[Step], decisions: int, alpha: float, delta: float) -> str:
    """What a person can do where no threshold holds."""
    fewest = fewest_accepted(alpha, delta)
    if not steps:
        more = fewest - decisions
        return f"{decisions} of at least {fewest} decisions; {more} more to try, about 400 in all as a rule"
    strictest = steps[0]
    rate = strictest.errors / strictest.accepted
    found = f"people rejected {strictest.errors} of the best {strictest.accepted} by quality"
    if rate >= alpha:
        return (
            f"{decisions} decisions, and {found}, which is not below {alpha:.3g}: quality does not tell what "
            "people reject; look at what they rejected before asking for more decisions"
        )
    counts = np.arange(strictest.accepted, FAR_AHEAD)
    enough = binom.cdf(np.floor(rate * counts), counts, alpha) <= delta
    if not enough.any():
        return f"{decisions} decisions, and {found}: too near to {alpha:.3g} for thousands to tell"
    needed = math.ceil(decisions * int(counts[enough.argmax()]) / strictest.accepted)
    return f"{decisions} decisions, and {found}; if it stays so, about {needed - decisions} more would do"
