"""The dimension that checks the promise of product lock: what it sees, and what it puts no number on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from asset_pipeline.candidates.request import Rendered
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.pictures.in_scene import LOCKED_LEVELS
from asset_pipeline.scorers.product_lock import ProductLock
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, Measured, ReferenceLook
from asset_pipeline.scores.verdict import judge
from asset_pipeline_tests.test_scene import BOX, DATA, SIDE, asked, made


def photograph(data: bytes = BOX) -> ReferenceLook:
    cutout = cut_out(decode(data))
    return ReferenceLook(cutout.pixels, cutout.alpha, sha256_of(data))


@pytest.fixture(scope="module")
def scene() -> Rendered:
    return made(asked())


@pytest.fixture(scope="module")
def honest(scene: Rendered) -> Look:
    return Look(
        pixels=decode(lossless_webp(scene.pixels)).pixels,
        mask=scene.mask,
        encoded=b"",
        expected_size=(256, 256),
        references=(photograph(SIDE), photograph()),
        details=scene.details,
    )


def measured(look: Look, **changes: Any) -> Measured:
    return ProductLock().measure(replace(look, **changes))


def with_placement(details: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {**details, "placement": {**details["placement"], **changes}}


def test_an_honest_scene_is_within_the_promise_and_the_value_is_what_its_provider_recorded(
    honest: Look, scene: Rendered
) -> None:
    found = measured(honest)
    assert found.value is not None
    assert 0 < found.value <= LOCKED_LEVELS
    assert found.value == scene.details["lock"]["levels"]
    assert found.details["mean"] == pytest.approx(scene.details["lock"]["mean_levels"], abs=0.01)


@pytest.mark.parametrize("pixels", [1, 30])
def test_altered_pixels_of_the_product_are_caught(honest: Look, pixels: int) -> None:
    left, top, right, bottom = honest.details["box"]
    y, x = (top + bottom) // 2, (left + right) // 2 - 15
    altered = honest.pixels.copy()
    altered[y, x : x + pixels] ^= 64
    found = measured(honest, pixels=altered)
    assert found.value is not None
    assert found.value > LOCKED_LEVELS


def test_another_colour_a_shift_by_a_pixel_and_a_mirrored_product_are_caught(honest: Look) -> None:
    left, top, right, bottom = honest.details["box"]
    mirrored = honest.pixels.copy()
    mirrored[top:bottom, left:right] = mirrored[top:bottom, left:right][::-1]
    pinker = np.clip(honest.pixels + np.array([25, 0, 0]), 0, 255).astype(np.uint8)
    for altered in (pinker, np.roll(honest.pixels, 1, axis=0), mirrored):
        found = measured(honest, pixels=altered)
        assert found.value is not None
        assert found.value > LOCKED_LEVELS


def test_a_recorded_placement_that_is_not_the_real_one_is_caught(honest: Look) -> None:
    for changes in (
        {"left": honest.details["placement"]["left"] + 2},
        {"of_photograph": [130, 90, 344, 424]},
    ):
        found = measured(honest, details=with_placement(honest.details, **changes))
        assert found.value is not None
        assert found.value > LOCKED_LEVELS


def test_the_scene_around_the_product_is_not_its_business(honest: Look) -> None:
    altered = honest.pixels.copy()
    assert honest.mask is not None
    altered[honest.mask == 0] = 0
    assert measured(honest, pixels=altered) == measured(honest)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"details": {}}, "not applicable"),
        ({"references": ()}, "photograph it was made from is missing"),
        ({"references": (photograph(SIDE),)}, "photograph it was made from is missing"),
        ({"references": (ReferenceLook(photograph().pixels, None, sha256_of(BOX)),)}, "cannot be cut out"),
        ({"mask": None}, "deeper inside than the edge band"),
        ({"mask": np.zeros((256, 256), np.uint8)}, "deeper inside than the edge band"),
    ],
)
def test_without_anything_to_compare_there_is_a_reason_and_no_number(
    honest: Look, changes: dict[str, Any], reason: str
) -> None:
    found = measured(honest, **changes)
    assert found.value is None
    assert reason in (found.reason or "")


def test_a_mask_cannot_hide_a_part_of_the_product(honest: Look) -> None:
    assert honest.mask is not None
    left, top, right, _ = honest.details["box"]
    hiding = honest.mask.copy()
    hiding[top : top + 60, left:right] = 0
    found = measured(honest, mask=hiding)
    assert found.value is None
    assert "mask claims only" in (found.reason or "")


@pytest.mark.parametrize(
    "changes",
    [{"width": 0}, {"left": 5000}, {"top": -5000}, {"of_photograph": [9, 9, 3, 3]}, {"height": "tall"}],
)
def test_a_placement_that_is_none_is_a_reason(honest: Look, changes: dict[str, Any]) -> None:
    found = measured(honest, details=with_placement(honest.details, **changes))
    assert found.value is None
    assert "placement" in (found.reason or "")


def test_the_shipped_threshold_is_the_promise() -> None:
    threshold = load_requirements(DATA).thresholds["lifestyle_scene"]["product_lock"]
    assert (threshold.min, threshold.max, threshold.level) == (None, LOCKED_LEVELS, "block")
    assert not judge([], {"product_lock": threshold}).passes
