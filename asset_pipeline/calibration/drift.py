"""Whether the pictures that a guarantee is applied to are still of the kind that people decided about.

Two measures of how far two samples lie apart, each with an alarm that takes their sizes into account:

- Population stability index: Σ (p - q)·ln(p / q) over the tenths of the reference. By custom 0.1 is a little
  and 0.2 a lot. Where nothing has changed it is about (1/n + 1/m) times a chi-squared value of as many
  degrees of freedom as there are tenths less one (Yurdakul 2018), so small samples look far apart: the alarm
  is what lies above the custom's 0.2 and above what chance gives once in a thousand times.
- Kolmogorov-Smirnov: the greatest distance of the two distribution functions, with its p-value.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, ks_2samp

from asset_pipeline.calibration.settings import Settings

TENTHS = 10
BY_CHANCE = 0.001
"""How seldom an index may exceed its alarm where nothing has changed."""
KEPT = 500
"""So many values of a reference are kept: sorted, evenly spaced by rank."""


@dataclass(frozen=True)
class Shift:
    """How far a value's new distribution lies from that of the decided pictures."""

    name: str
    """``quality``, or a dimension."""
    psi: float
    psi_alarm: float
    ks_p: float
    compared: int
    """New pictures."""
    alarms: tuple[str, ...]
    """Sentences; none where nothing is wrong."""


def kept(values: Sequence[float]) -> tuple[float, ...]:
    """A sample's values, sorted; of a large one, so many that its distribution can be told from them."""
    ordered = sorted(values)
    if len(ordered) <= KEPT:
        return tuple(ordered)
    return tuple(float(value) for value in np.quantile(ordered, np.linspace(0, 1, KEPT)))


def population_stability_index(reference: Sequence[float], recent: Sequence[float]) -> tuple[float, int]:
    """The index, and the degrees of freedom of its chi-squared value: the parts it is taken over less one.

    The parts are the reference's tenths. Where many pictures share a value there are fewer, and what lies
    below the least of them is a part too. Half a picture is added to each part, so that an empty one is far
    away and not infinitely far.
    """
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, TENTHS + 1)[1:-1]))
    if len(inner) < TENTHS - 1:
        inner = np.concatenate([np.nextafter(inner[:1], -np.inf), inner])
    shares = [_shares(np.asarray(values, np.float64), inner) for values in (reference, recent)]
    index = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    return index, len(inner)


def shift(
    name: str, reference: Sequence[float], recent: Sequence[float], decided: int, settings: Settings
) -> Shift | None:
    """Compare a value's distributions; none where there are too few new pictures, or nothing to compare with.

    Args:
        name: of the value.
        reference: its values in the decided pictures, or those that were kept of them.
        recent: its values in the new pictures.
        decided: how many decided pictures there were.
        settings: what is an alarm.
    """
    if len(recent) < settings.fewest_compared or not reference:
        return None
    psi, freedom = population_stability_index(reference, recent)
    chance = float(chi2.ppf(1 - BY_CHANCE, freedom)) * (1 / decided + 1 / len(recent))
    alarm = max(settings.psi, chance)
    p_value = float(ks_2samp(reference, recent, method="asymp").pvalue)
    new, alarms = f"{name} of {len(recent)} new pictures", []
    if psi > alarm:
        alarms.append(f"{new} lies far from that of the decided ones (PSI {psi:.2f}, above {alarm:.2f})")
    if p_value < settings.ks_p:
        alarms.append(
            f"{new} is not distributed as in the decided ones (Kolmogorov-Smirnov, p = {p_value:.1g})"
        )
    return Shift(name, psi, alarm, p_value, len(recent), tuple(alarms))


def shifts(
    reference: Mapping[str, Sequence[float]],
    recent: Mapping[str, Sequence[float]],
    decided: int,
    settings: Settings,
) -> list[Shift]:
    """Compare every value that the reference has, in its order."""
    found = (
        shift(name, values, recent.get(name, ()), decided, settings) for name, values in reference.items()
    )
    return [each for each in found if each is not None]


def _shares(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
    return np.asarray(counts / counts.sum(), np.float64)
