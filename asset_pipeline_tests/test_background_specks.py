"""Dust on a plain background is seen; gradients, shadows and the product itself are not dust."""

import numpy as np
import pytest
from scipy import ndimage

from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scorers.background_specks import BackgroundSpecks
from asset_pipeline.scores.score import Look, Mask, Measured, Pixels

SIDE = 768
BOX = (slice(250, 600), slice(280, 480))


def studio(*, shadow: bool = False) -> tuple[Pixels, Mask]:
    """A striped box before a background that grows darker to the right."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[BOX] = 255
    luma = np.tile(np.linspace(210, 170, SIDE), (SIDE, 1))
    if shadow:
        cast = np.zeros((SIDE, SIDE))
        cast[560:620, 300:640] = 60
        luma = luma - ndimage.gaussian_filter(cast, 30)
    pixels = np.repeat(luma[..., None], 3, axis=2)
    pixels[BOX] = np.tile(np.array([[30, 60, 120], [240, 240, 230]]), (100, 1))[None]
    return np.asarray(np.rint(pixels), np.uint8), mask


def speck(pixels: Pixels, row: int, column: int, *, darker: int, side: int = 5) -> Pixels:
    dirty = pixels.copy()
    place = slice(row, row + side), slice(column, column + side)
    dirty[place] = np.maximum(dirty[place].astype(int) - darker, 0)
    return dirty


def measured(pixels: Pixels, mask: Mask | None) -> Measured:
    return BackgroundSpecks().measure(Look(pixels, mask, lossless_webp(pixels), (SIDE, SIDE)))


def value(pixels: Pixels, mask: Mask | None) -> float:
    found = measured(pixels, mask).value
    assert found is not None
    return found


@pytest.mark.parametrize("shadow", [False, True])
def test_a_gradient_and_a_soft_shadow_are_no_specks(shadow: bool) -> None:
    assert value(*studio(shadow=shadow)) <= 4


def test_one_small_speck_is_seen_as_clearly_as_it_stands_out_and_where_it_is() -> None:
    pixels, mask = studio()
    faint, clear = (measured(speck(pixels, 100, 120, darker=darker), mask) for darker in (30, 80))
    assert 20 <= (faint.value or 0) <= 31
    assert 65 <= (clear.value or 0) <= 81
    assert clear.details["at"] == pytest.approx([120 / SIDE, 100 / SIDE], abs=0.01)


@pytest.mark.parametrize("column", range(100, 106))
def test_a_speck_of_one_pixel_counts_for_its_area_wherever_it_lies(column: int) -> None:
    pixels, mask = studio()
    assert 8 <= value(speck(pixels, 100, column, darker=80, side=1), mask) <= 45


def test_a_lighter_speck_is_one_too() -> None:
    pixels, mask = studio()
    assert value(speck(pixels, 100, 700, darker=-60), mask) > 40


def test_what_is_on_the_product_or_at_its_foot_is_not_background() -> None:
    pixels, mask = studio()
    on_it = speck(pixels, 400, 350, darker=-100)
    at_its_foot = speck(pixels, 605, 380, darker=100)
    assert max(value(on_it, mask), value(at_its_foot, mask)) <= 2  # not 100


def test_grain_all_over_is_noise_and_no_specks() -> None:
    pixels, mask = studio()
    grain = np.random.default_rng(1).normal(0, 6, pixels.shape)
    grainy = np.asarray(np.clip(np.rint(pixels + grain), 0, 255), np.uint8)
    assert value(grainy, mask) <= 6
    assert value(speck(grainy, 100, 120, darker=80), mask) > 40


def test_without_a_product_or_a_background_there_is_a_reason_and_no_value() -> None:
    pixels, mask = studio()
    assert "where the product is" in (measured(pixels, None).reason or "")
    assert "where the product is" in (measured(pixels, mask[:100]).reason or "")
    assert "no background" in (measured(pixels, np.full_like(mask, 255)).reason or "")
    assert "too small" in (measured(pixels[:20, :20], np.eye(20, dtype=np.uint8) * 255).reason or "")
