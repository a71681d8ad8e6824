"""A cumulative sum over audits: whether people reject more than was promised.

Page's CUSUM (Biometrika 41, 1954) for yes and no: every audited approval adds the logarithm of how much
likelier its outcome is at twice the promised share than at the promised one, and the sum never falls below 0.
It is an alarm when the sum reaches ``Rules.cusum``.

The shipped 3.0, for a promise of 5 %, in audits until the alarm on average (500 simulated runs each,
``benchmarks/calibration.py``): 4,800 where people reject three quarters of what was promised, 1,300 where
they reject exactly that, 260 at 1.5 times, 110 at twice and 50 at three times the promised share. A false
alarm stops automatic approval until somebody has looked; it lets nothing out. Pure.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORSE = 2.0
"""The alarm is tuned to a share so many times the promised one."""


def sums(rejected: Sequence[bool], alpha: float) -> list[float]:
    """The cumulative sum after each audit, in the order in which people decided.

    Args:
        rejected: of each audited automatic approval, whether a person rejected it.
        alpha: the share that was promised, below 1/2.
    """
    running, found = 0.0, []
    for each in rejected:
        running = max(0.0, running + _weights(alpha)[int(each)])
        found.append(running)
    return found


def average_run_length(
    rate: float, alpha: float, alarm: float, *, runs: int, random: np.random.Generator
) -> float:
    """Audits until the alarm on average, simulated, where people reject a share `rate`."""
    kept_weight, rejected_weight = _weights(alpha)
    running = np.zeros(runs)
    lengths: npt.NDArray[np.int64] = np.zeros(runs, np.int64)
    alive = np.ones(runs, np.bool_)
    while alive.any():
        strikes = random.random(int(alive.sum())) < rate
        running[alive] = np.maximum(0, running[alive] + np.where(strikes, rejected_weight, kept_weight))
        lengths[alive] += 1
        alive &= running < alarm
    return float(lengths.mean())


def _weights(alpha: float) -> tuple[float, float]:
    """What a kept and a rejected picture add."""
    worse = min(WORSE * alpha, (1 + alpha) / 2)
    return math.log((1 - worse) / (1 - alpha)), math.log(worse / alpha)
