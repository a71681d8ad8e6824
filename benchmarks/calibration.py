"""How often a calibrated quality breaks its promise, over many calibrations with simulated reviewers.

    python benchmarks/calibration.py [--trials 200]

A trial draws decided pictures, finds the least quality from which at most 5 % would be rejected by three
methods, and looks up what share people would truly reject from there on. Learn then test promises to be wrong
in 10 % of the trials at most; the empirical ROC point (the loosest threshold at which at most 5 % of the
decided pictures are rejected) and the same of an isotonic fit promise nothing, and are what is commonly done.

Reviewers reject at random, with a probability that depends on quality: steeply; not at all (always 6 %, so
that no threshold can hold); and against it (the best pictures are rejected most, which the method does not
assume). ``a pool`` draws from 5,000 pictures whose decisions are fixed. ``looks`` calibrates at 99, 198, 396
... decisions as they come in and counts a series as broken if any of its calibrations is.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from asset_pipeline.calibration.cusum import average_run_length
from asset_pipeline.calibration.learn_then_test import fewest_accepted, learn

ALPHA, DELTA = 0.05, 0.1
SIZES = (200, 400, 1000)
POPULATION = 100_000
POOL = 5_000
MISJUDGED = 0.7
"""From this quality on, reviewers of one kind reject most."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Method = Callable[[Floats, Flags], float | None]


@dataclass(frozen=True)
class World:
    """Pictures with the share that people truly reject, the best first."""

    name: str
    quality: Floats
    rejects: Floats
    """The probability that a person rejects each."""

    def draw(self, count: int, random: np.random.Generator) -> tuple[Floats, Flags]:
        """Decided pictures."""
        chosen = random.integers(0, len(self.quality), count)
        return self.quality[chosen], random.random(count) < self.rejects[chosen]

    def truth(self, least: float) -> tuple[float, float]:
        """What people reject of everything from a quality on, and how large a part that is."""
        accepted = int(np.searchsorted(-self.quality, -least, side="right"))
        return float(self.rejects[:accepted].mean()), accepted / len(self.quality)


def worlds(random: np.random.Generator) -> list[World]:
    """Reviewers of different kinds."""
    quality = np.sort(random.beta(3, 3, POPULATION))[::-1]
    steep = _steep(quality)
    pool = np.sort(random.beta(3, 3, POOL))[::-1]
    return [
        World("steep", quality, steep),
        World("a pool", pool, (random.random(POOL) < _steep(pool)).astype(np.float64)),
        World("in steps", np.round(quality, 1), _steep(np.round(quality, 1))),
        World("none", quality, np.full(POPULATION, 0.06)),
        World("against", quality, np.where(quality > MISJUDGED, 0.12, 0.03)),
    ]


def _steep(quality: Floats) -> Floats:
    """Nearly all of the worst are rejected, hardly any of the best; a quarter in all."""
    return np.asarray(1 / (1 + np.exp(14 * (quality - 0.38))), np.float64)


def learn_then_test(quality: Floats, rejected: Flags) -> float | None:
    """Ours."""
    return learn(quality, rejected, alpha=ALPHA, delta=DELTA).least_quality


def empirical(quality: Floats, rejected: Flags) -> float | None:
    """The loosest threshold at which the decided pictures keep the share."""
    order = np.argsort(-quality, kind="stable")
    return _loosest(quality[order], rejected[order].astype(np.float64))


def isotonic(quality: Floats, rejected: Flags) -> float | None:
    """The same, of probabilities that an isotonic regression fits."""
    order = np.argsort(-quality, kind="stable")
    fitted = isotonic_regression(rejected[order].astype(np.float64)).x
    return _loosest(quality[order], fitted)


def _loosest(best_first: Floats, rejected: Floats) -> float | None:
    """The least quality at which the mean of what is accepted keeps the share; equal ones go together."""
    rates = np.cumsum(rejected) / np.arange(1, len(best_first) + 1)
    is_last = np.append(best_first[1:] != best_first[:-1], True)
    kept = np.nonzero((rates <= ALPHA) & is_last)[0]
    return float(best_first[kept[-1]]) if len(kept) else None


METHODS: dict[str, Method] = {
    "learn then test": learn_then_test,
    "ROC point": empirical,
    "isotonic": isotonic,
}


@dataclass(frozen=True)
class Outcome:
    """What the calibrations of one method came to."""

    broken: float
    """The share of trials in which people truly reject more than was promised."""
    rejected: float
    """What they reject on average, where there was a threshold."""
    coverage: float
    infeasible: float


def outcome(world: World, method: Method, size: int, trials: int, seed: int) -> Outcome:
    """Calibrate many times with fresh decisions; the same seed draws the same ones for every method."""
    random = np.random.default_rng(seed)
    found = [method(*world.draw(size, random)) for _ in range(trials)]
    truths = [world.truth(least) for least in found if least is not None]
    return Outcome(
        broken=sum(rejected > ALPHA for rejected, _ in truths) / trials,
        rejected=sum(rejected for rejected, _ in truths) / max(1, len(truths)),
        coverage=sum(share for _, share in truths) / trials,
        infeasible=1 - len(truths) / trials,
    )


def broken_by_looking_often(world: World, most: int, trials: int, seed: int) -> float:
    """The share of series of which any calibration breaks the promise."""
    random, broken = np.random.default_rng(seed), 0
    for _ in range(trials):
        quality, rejected = world.draw(most, random)
        size, worst = fewest_accepted(ALPHA, DELTA), 0.0
        while size <= most:
            least = learn_then_test(quality[:size], rejected[:size])
            worst = max(worst, world.truth(least)[0] if least is not None else 0.0)
            size *= 2
        broken += worst > ALPHA
    return broken / trials


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    began = time.perf_counter()
    found = worlds(np.random.default_rng(1))
    print(f"{trials} calibrations each; to be rejected: {ALPHA:.0%} at most; wrong: {DELTA:.0%} at most")
    print("reviewers  decisions method            broken  rejected  coverage  infeasible")
    for world in found:
        for size in SIZES:
            for name, method in METHODS.items():
                each = outcome(world, method, size, trials, seed=size)
                print(
                    f"{world.name:10} {size:9} {name:16} {each.broken:7.3f} {each.rejected:9.3f} "
                    f"{each.coverage:9.2f} {each.infeasible:11.2f}"
                )
    for world in found:
        looks = broken_by_looking_often(world, 1600, trials, seed=7)
        print(f"looks at 99, 198 ... 1584 decisions, {world.name}: broken in {looks:.3f} of the series")
    random = np.random.default_rng(1)
    for times in (0.75, 1, 1.5, 2, 3, 4):
        length = average_run_length(times * ALPHA, ALPHA, 3.0, runs=500, random=random)
        print(
            f"CUSUM 3.0: people reject {times:g} times the promised share: an alarm after {length:.0f} audits"
        )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
