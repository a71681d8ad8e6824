"""Distances between sets of embeddings: exact where theory says so, and the same as other people's code."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_frechet
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from asset_pipeline.scores.distribution import (
    ENOUGH_FOR_FRECHET,
    frechet_distance,
    frechet_distance_of,
    is_enough_for_frechet,
    kernel_distance,
    kernel_distance_with_interval,
)

Rows = npt.NDArray[np.float64]


def normal(count: int, dimensions: int, seed: int, shift: float = 0.0) -> Rows:
    return np.random.default_rng(seed).normal(shift, 1.0, (count, dimensions))


def true_distance(shift: float) -> float:
    """The kernel distance of two normal distributions in 8 dimensions, from sets with hardly any chance."""
    sets = range(1000, 1008)
    return float(
        np.mean([kernel_distance(normal(2000, 8, s), normal(2000, 8, s + 100, shift)) for s in sets])
    )


def covariance(dimensions: int, seed: int = 0) -> Rows:
    mixing = normal(dimensions, dimensions, seed)
    return mixing @ mixing.T / dimensions


class Numbers(torch.nn.Module):
    """Stands in for a picture's embedding: the picture is its own."""

    num_features = 12

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.reshape(len(pictures), -1)[:, : self.num_features].double()


def pictures(seed: int, count: int = 40) -> torch.Tensor:
    values = np.random.default_rng(seed).integers(0, 256, (count, 3, 2, 2), dtype=np.uint8)
    return torch.from_numpy(values // (1 + seed % 3))


# ------------------------------------------------------------------------------------------ known to theory


def test_the_frechet_distance_of_a_distribution_to_itself_is_zero() -> None:
    mean, shape = normal(1, 64, 1)[0], covariance(64)
    assert frechet_distance_of(mean, shape, mean, shape) == pytest.approx(0.0, abs=1e-9)


def test_a_shift_of_the_mean_counts_squared_in_each_dimension() -> None:
    shape, mean = covariance(64), np.zeros(64)
    assert frechet_distance_of(mean, shape, mean + 0.5, shape) == pytest.approx(16.0, abs=1e-9)


def test_four_times_the_covariance_is_its_trace_away() -> None:
    shape, mean = covariance(64), np.zeros(64)
    assert frechet_distance_of(mean, shape, mean, 4 * shape) == pytest.approx(np.trace(shape), abs=1e-9)


def test_a_singular_covariance_has_a_distance_too() -> None:
    rows = normal(20, 64, 1)  # 20 rows span 19 of 64 dimensions
    assert frechet_distance(rows, rows) == pytest.approx(0.0, abs=1e-5)
    assert frechet_distance(rows, rows + 0.5) == pytest.approx(16.0, abs=1e-5)


def test_the_kernel_distance_of_two_pairs_is_what_a_hand_calculates() -> None:
    # d = 1, k(x, y) = (xy + 1)^3; one: {0, 1}, other: {1, 2}; within 1 and 27; across 1, 1, 8, 27
    one, other = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_distance(one, other) == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


# -------------------------------------------------------------------------------------- other people's code


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_the_frechet_distance_is_that_of_clean_fid() -> None:
    for seed in range(3):
        first, second = covariance(32, seed), covariance(32, seed + 10)
        means = normal(2, 32, seed)
        theirs = cleanfid_frechet(means[0], first, means[1], second)
        assert frechet_distance_of(means[0], first, means[1], second) == pytest.approx(theirs, rel=1e-9)


def test_the_frechet_distance_is_that_of_torchmetrics() -> None:
    metric = FrechetInceptionDistance(feature=Numbers(), input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    one, other = pictures(1), pictures(2)
    metric.update(one, real=True)
    metric.update(other, real=False)
    ours = frechet_distance(*(Numbers()(each).numpy() for each in (one, other)))
    assert ours == pytest.approx(float(metric.compute()), rel=1e-9)


def test_the_kernel_distance_is_that_of_torchmetrics() -> None:
    one, other = normal(50, 16, 1), normal(50, 16, 2, shift=0.2)
    theirs = float(poly_mmd(torch.from_numpy(one), torch.from_numpy(other)))
    assert kernel_distance(one, other) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_the_kernel_distance_is_that_of_torchmetrics_for_pictures() -> None:
    one, other = pictures(1), pictures(2)
    metric = KernelInceptionDistance(feature=Numbers(), subsets=1, subset_size=len(one), normalize=False)
    metric.update(one, real=True)
    metric.update(other, real=False)
    ours = kernel_distance(*(Numbers()(each).numpy() for each in (one, other)))
    assert ours == pytest.approx(float(metric.compute()[0]), rel=1e-6)  # it computes in single precision


# ---------------------------------------------------------------------------------------------- small sets


def test_the_kernel_distance_of_equals_is_zero_on_average_where_the_frechet_distance_is_not() -> None:
    kernel, frechet = [], []
    for seed in range(200):
        one, other = normal(20, 32, 2 * seed), normal(20, 32, 2 * seed + 1)
        kernel.append(kernel_distance(one, other))
        frechet.append(frechet_distance(one, other))
    error = np.std(kernel) / np.sqrt(len(kernel))
    assert abs(np.mean(kernel)) < 2.6 * error
    assert min(kernel) < 0 < max(kernel)
    assert min(frechet) > 15  # the truth is 0


def test_the_kernel_distance_of_small_sets_is_on_average_that_of_large_ones() -> None:
    truth = true_distance(0.4)
    small = [
        kernel_distance(normal(12, 8, 2 * seed), normal(18, 8, 2 * seed + 1, 0.4)) for seed in range(10, 410)
    ]
    assert abs(np.mean(small) - truth) < 2.6 * np.std(small) / np.sqrt(len(small))
    assert truth > 0.5


def test_the_frechet_distance_is_only_gone_by_where_there_are_enough_pictures() -> None:
    many, few = np.zeros((ENOUGH_FOR_FRECHET, 1)), np.zeros((ENOUGH_FOR_FRECHET - 1, 1))
    assert is_enough_for_frechet(many, many)
    assert not is_enough_for_frechet(many, few)
    assert not is_enough_for_frechet(few, many)


# ------------------------------------------------------------------------------------- interval and chance


def test_the_interval_holds_the_true_distance_about_as_often_as_it_says() -> None:
    truth, held = true_distance(0.6), 0
    for seed in range(100):
        found = kernel_distance_with_interval(
            normal(40, 8, 2 * seed + 10), normal(40, 8, 2 * seed + 11, 0.6), draws=200, seed=seed
        )
        held += found.low <= truth <= found.high
        assert found.low < found.value < found.high
    assert 88 <= held <= 100


def test_the_interval_reaches_further_down_for_resampling_errs_more_upwards() -> None:
    for seed in range(6):
        one, other = normal(15, 8, 2 * seed), normal(15, 8, 2 * seed + 1, shift=0.6)
        found = kernel_distance_with_interval(one, other, draws=400)
        assert found.value - found.low > 1.05 * (found.high - found.value)


def test_a_wider_confidence_has_a_wider_interval() -> None:
    one, other = normal(30, 8, 1), normal(30, 8, 2, shift=0.5)
    usual = kernel_distance_with_interval(one, other, draws=300)
    narrow = kernel_distance_with_interval(one, other, draws=300, confidence=0.5)
    assert usual.low < narrow.low < narrow.high < usual.high
    assert usual.value == narrow.value == pytest.approx(kernel_distance(one, other))


def test_of_equals_about_one_in_twenty_has_a_chance_below_a_twentieth() -> None:
    unlikely = sum(
        kernel_distance_with_interval(
            normal(15, 8, 2 * seed), normal(25, 8, 2 * seed + 1), draws=100, seed=seed
        ).chance
        <= 0.05
        for seed in range(200)
    )
    assert 2 <= unlikely <= 20


def test_sets_that_differ_have_a_small_chance() -> None:
    found = kernel_distance_with_interval(normal(60, 8, 1), normal(40, 8, 2, shift=1.0), draws=200)
    assert found.chance == pytest.approx(1 / 201)
    assert found.low > 0


def test_the_same_sets_have_the_same_interval() -> None:
    one, other = normal(20, 4, 1), normal(20, 4, 2)
    first, again = (kernel_distance_with_interval(one, other, draws=50, seed=7) for _ in range(2))
    assert first == again
    assert kernel_distance_with_interval(one, other, draws=50, seed=8) != first


def test_single_precision_embeddings_do_not_cost_digits() -> None:
    one, other = normal(50, 16, 1).astype(np.float32), normal(50, 16, 2).astype(np.float32)
    assert kernel_distance(one, other) == kernel_distance(one.astype(np.float64), other.astype(np.float64))


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        (np.zeros((5, 3)), np.zeros((5, 4)), "one embedding"),
        (np.zeros(5), np.zeros(5), "one embedding"),
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least two"),
    ],
)
def test_what_cannot_be_compared_is_refused(one: Rows, other: Rows, complaint: str) -> None:
    for distance in (kernel_distance, frechet_distance):
        with pytest.raises(ValueError, match=complaint):
            distance(one, other)


def test_a_handful_of_pictures_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        kernel_distance_with_interval(np.zeros((9, 3)), np.zeros((50, 3)))
