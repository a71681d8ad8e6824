"""What tells a picture that shows nothing from one that shows little."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from asset_pipeline.pictures.decode import decode
from asset_pipeline.sample.scenes import Place, place
from asset_pipeline.scorers.blank import Blank
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, Pixels, Score

DATA = Path(__file__).parent.parent / "data"
SIDE = 1024
LEAST = {name: rules["blank"] for name, rules in load_requirements(DATA).thresholds.items()}
"""What the project asks of each asset type."""


def value(pixels: Pixels) -> float:
    measured = Blank().measure(Look(pixels, None, b"", (1, 1)))
    assert measured.value is not None, measured.reason
    return measured.value


def least() -> float:
    bound = LEAST["default"].min
    assert bound is not None
    return bound


def plain(level: int | tuple[int, int, int], side: int = SIDE) -> Pixels:
    return np.full((side, side, 3), level, np.uint8)


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    grain = np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return np.asarray(np.clip(pixels + grain, 0, 255).round(), np.uint8)


def grey(light: npt.NDArray[np.float64]) -> Pixels:
    return np.repeat(np.clip(light, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def on_white(draw: Callable[[ImageDraw.ImageDraw], None]) -> Pixels:
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw(ImageDraw.Draw(image))
    return np.asarray(image, np.uint8)


DOWN, ACROSS = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) - 0.5
FROM_MIDDLE = DOWN**2 + ACROSS**2


@pytest.mark.parametrize("sigma", [0, 3, 10, 40])
@pytest.mark.parametrize("side", [64, 256, 1024])
@pytest.mark.parametrize("level", [0, 128, 255, (200, 30, 60)])
def test_one_colour_is_blank_however_noisy_and_whatever_its_size(
    level: int | tuple[int, int, int], side: int, sigma: float
) -> None:
    assert value(noisy(plain(level, side), sigma)) < least() / 2


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_a_picture_of_nothing_but_noise_is_blank(side: int) -> None:
    assert value(np.random.default_rng(2).integers(0, 256, (side, side, 3), np.uint8)) < least()


@pytest.mark.parametrize("strength", [1, 4, 8])
def test_a_vignette_and_a_gradient_show_nothing(strength: float) -> None:
    assert value(grey(220 / (1 + strength * FROM_MIDDLE) ** 2)) < least()
    assert value(grey(255 * (DOWN + 0.5))) < least()
    assert value(noisy(grey(255 * (ACROSS + 0.5) ** (1 / 2.2)), 5)) < least()


@pytest.mark.parametrize("colour", ["white", "charcoal", "terracotta"])
def test_an_empty_studio_is_blank(colour: str) -> None:
    assert value((place(Place(colour), 512, 512, 3) * 255).astype(np.uint8)) < least()


@pytest.mark.parametrize(
    "draw",
    [
        lambda on: on.line((100, 100, 900, 900), fill="black", width=3),
        lambda on: on.line((100, 500, 900, 500), fill=(90, 90, 90), width=2),
        lambda on: on.rectangle((510, 400, 513, 600), fill=(90, 90, 90)),
        lambda on: on.ellipse((480, 480, 540, 540), outline=(200, 170, 60), width=4),
        lambda on: on.ellipse((497, 497, 527, 527), fill=(200, 200, 200)),
        lambda on: on.rounded_rectangle((300, 200, 700, 800), 80, fill=(240, 240, 240)),
    ],
    ids=["cable", "wire", "needle", "ring", "stud", "white on white"],
)
def test_a_thin_a_small_or_a_pale_product_on_white_is_something(
    draw: Callable[[ImageDraw.ImageDraw], None],
) -> None:
    assert value(on_white(draw)) > least()
    assert value(255 - on_white(draw)) > least()


def test_a_product_that_differs_in_colour_alone_is_something() -> None:
    pixels = plain((120, 120, 120))
    pixels[300:700, 300:700] = (120, 120, 140)
    assert value(pixels) > least()


def test_every_photograph_of_the_sample_catalog_is_something_even_with_noise() -> None:
    paths = sorted((DATA / "catalog" / "photographs").iterdir())
    for path in paths[::7]:
        pixels = decode(path.read_bytes()).pixels
        assert value(pixels) > 10 * least(), path.name
        assert value(noisy(pixels, 20)) > 5 * least(), path.name


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "grass", "page"])
def test_photographs_and_textures_are_something(name: str) -> None:
    pixels = np.asarray(getattr(skimage.data, name)(), np.uint8)
    assert value(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)) > 5 * least()


def test_every_asset_type_refuses_a_blank_picture() -> None:
    assert {(rule.min, rule.max, rule.level) for rule in LEAST.values()} == {(8.0, None, "block")}


def test_a_picture_of_two_pixels_has_a_reason() -> None:
    measured = Blank().measure(Look(plain(9)[:2], None, b"", (1, 1)))
    assert measured.reason == "it is too small to tell something from nothing"


@given(
    pixels=st.tuples(st.integers(0, 90), st.integers(0, 90), st.just(3)).flatmap(
        lambda shape: arrays(np.uint8, shape)
    )
)
@settings(deadline=None, max_examples=60)
def test_whatever_it_is_shown_it_gives_a_finite_value_or_a_reason(pixels: Pixels) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = Blank().measure(Look(pixels, None, b"", (1, 1)))
    score = Score(
        candidate_id="c",
        image_sha256="0",
        dimension="blank",
        scorer_version=Blank.version,
        value=measured.value,
        reason=measured.reason,
        details=dict(measured.details),
    )
    json.dumps(score.details, allow_nan=False)
