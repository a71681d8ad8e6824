"""Are two sets of pictures drawn from the same distribution? Distances between sets of embeddings.

Pure: rows of numbers in, a number out. Which model embeds the pictures decides what a distance is about, and
values of two models cannot be compared.

- The **kernel distance** (Bińkowski et al., "Demystifying MMD GANs", arXiv 1801.01401; known as KID with
  Inception's embeddings) is the squared maximum mean discrepancy under the kernel (x·y / d + 1)³. Its
  estimate is unbiased: of equal distributions it is 0 on average for sets of any size, and may be below.
- The **Fréchet distance** (Heusel et al., arXiv 1706.08500; known as FID) is that of two normal distributions
  with the sets' means and covariances. Its estimate is biased upwards, the more so the smaller the sets and
  the more dimensions there are, so that two sets of one distribution seem to differ, and the model of which
  there are fewer pictures seems worse.

So below `ENOUGH_FOR_FRECHET` pictures only the kernel distance is to be gone by. It takes memory for all
pairs of pictures: 0.8 GB for 10,000.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

ENOUGH_FOR_FRECHET = 10_000
"""Pictures in the smaller set. At 5,000, with 512 dimensions, two sets of one distribution were still 1.9
apart, as far as two that truly differ by 1.9."""
DRAWS = 1000
"""Resamplings behind an interval, and shuffles behind a chance."""
FEWEST = 10
"""Pictures in a set, below which nothing can be said about chance."""

Embeddings = npt.NDArray[np.floating]
"""Pictures × dimensions."""
Exact = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """How far apart two sets are, and how much of that may be chance."""

    value: float
    low: float
    high: float
    """The interval that is to hold the distance of the distributions; too wide where they are equal."""
    chance: float
    """How often two sets of these sizes, shuffled from all pictures together, are at least so far apart: the
    p-value of a permutation test, which is exact for sets of any size."""


def kernel_distance(one: Embeddings, other: Embeddings) -> float:
    """The unbiased estimate of the squared MMD under the polynomial kernel of degree 3.

    Raises:
        ValueError: a set has fewer than two rows, or the two have not the same dimensions.
    """
    first, second = _sets(one, other)
    pooled = np.vstack([first, second])
    is_first = np.arange(len(pooled)) < len(first)
    return _weighted(_kernel(pooled, pooled), is_first.astype(np.float64), (~is_first).astype(np.float64))


def kernel_distance_with_interval(
    one: Embeddings, other: Embeddings, *, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Distance:
    """The kernel distance with a bootstrap interval and the chance of it between equals.

    Both sets are resampled, pictures with replacement. A picture that is drawn twice would meet itself, as no
    two pictures do, and make sets look alike in themselves; such pairs are left out of the means. The
    interval is the basic one (Davison and Hinkley, 1997, section 5.2): the estimate minus what resampling
    adds. In 150 simulations each it held the true distance 146 times at 30 pictures and 142 times at 100; of
    equal distributions always, since there it is too wide: whether two sets differ, ``chance`` says.

    Args:
        one: embeddings of the one set, pictures × dimensions.
        other: those of the other.
        confidence: how often such an interval is to hold the distributions' distance.
        draws: how many resamplings, and as many shuffles.
        seed: of both, so that the same sets have the same interval.

    Raises:
        ValueError: as `kernel_distance`; or there are fewer than ten rows, which tell nothing of chance.
    """
    first, second = _sets(one, other)
    size, other_size = len(first), len(second)
    if min(size, other_size) < FEWEST:
        raise ValueError(f"an interval needs at least {FEWEST} pictures in each set")
    pooled = np.vstack([first, second])
    kernel = _kernel(pooled, pooled)
    is_first = np.arange(size + other_size) < size
    value = _weighted(kernel, is_first.astype(np.float64), (~is_first).astype(np.float64))
    random = np.random.default_rng(seed)
    resampled, shuffled = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        counts = np.bincount(random.integers(0, size, size), minlength=size)
        other_counts = np.bincount(random.integers(0, other_size, other_size), minlength=other_size)
        resampled[draw] = _weighted(
            kernel, np.pad(counts, (0, other_size)).astype(np.float64),
            np.pad(other_counts, (size, 0)).astype(np.float64),
        )  # fmt: skip
        labels = random.permutation(is_first)
        shuffled[draw] = _weighted(kernel, labels.astype(np.float64), (~labels).astype(np.float64))
    tail = 100 * (1 - confidence) / 2
    below, above = np.percentile(resampled, [tail, 100 - tail])
    return Distance(
        value=value,
        low=float(2 * value - above),
        high=float(2 * value - below),
        chance=float((1 + np.count_nonzero(shuffled >= value)) / (1 + draws)),
    )


def frechet_distance(one: Embeddings, other: Embeddings) -> float:
    """The Fréchet distance of the normal distributions with the sets' means and covariances.

    Raises:
        ValueError: a set has fewer than two rows, or the two have not the same dimensions.
    """
    first, second = _sets(one, other)
    return frechet_distance_of(
        first.mean(axis=0), np.cov(first, rowvar=False), second.mean(axis=0), np.cov(second, rowvar=False)
    )


def frechet_distance_of(mean: Exact, covariance: Exact, other_mean: Exact, other_covariance: Exact) -> float:
    """|m - m'|² + tr(C + C' - 2 (C C')^½) of two normal distributions (Dowson and Landau, 1982).

    The trace of the root is the sum of the roots of the eigenvalues of C^½ C' C^½, which is symmetric, so
    that nothing complex appears where a covariance is singular.
    """
    covariance, other_covariance = np.atleast_2d(covariance), np.atleast_2d(other_covariance)
    values, vectors = linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    shared = linalg.eigvalsh(root @ other_covariance @ root)
    apart = np.asarray(mean) - np.asarray(other_mean)
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.clip(shared, 0.0, None)).sum()
    return float(apart @ apart + trace)


def is_enough_for_frechet(one: Embeddings, other: Embeddings) -> bool:
    """Whether the sets are so large that the Fréchet distance's bias no longer decides."""
    return min(len(one), len(other)) >= ENOUGH_FOR_FRECHET


def _sets(one: Embeddings, other: Embeddings) -> tuple[Exact, Exact]:
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:  # noqa: PLR2004
        raise ValueError(f"sets of one embedding are needed, not {first.shape} and {second.shape}")
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - a single picture has no distribution
        raise ValueError("a set needs at least two pictures")
    return first, second


def _kernel(one: Exact, other: Exact) -> Exact:
    return np.asarray((one @ other.T / one.shape[1] + 1.0) ** 3, np.float64)


def _weighted(kernel: Exact, one: Exact, other: Exact) -> float:
    """The estimate for two sets, each by how often each of the kernel's pictures is in it."""
    across = float(one @ kernel @ other) / float(one.sum() * other.sum())
    return _mean_of_pairs(kernel, one) + _mean_of_pairs(kernel, other) - 2 * across


def _mean_of_pairs(kernel: Exact, counts: Exact) -> float:
    """The mean over all pairs of two different pictures, each as often as it was drawn."""
    own = np.diagonal(kernel)
    pairs = counts.sum() ** 2 - (counts**2).sum()
    return float(counts @ kernel @ counts - (counts**2) @ own) / float(pairs)
