"""What each scorer that needs no model measures, and what it refuses to put a number on."""

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms, ImageFilter
from scipy import ndimage
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import jpeg, lossless_webp, png, srgb_profile, webp
from asset_pipeline.scorers.background_uniformity import BackgroundUniformity
from asset_pipeline.scorers.background_white import BackgroundWhite
from asset_pipeline.scorers.blockiness import Blockiness
from asset_pipeline.scorers.colour import Colour
from asset_pipeline.scorers.exposure import Exposure
from asset_pipeline.scorers.file_rules import Dimensions, FileCheck
from asset_pipeline.scorers.framing import ProductFill, ProductInside
from asset_pipeline.scorers.noise import Noise
from asset_pipeline.scorers.sharpness import Sharpness
from asset_pipeline.scores.score import Look, Mask, Measured, Pixels, ReferenceLook, Score, Scorer

SCORERS: list[Scorer] = [
    FileCheck(),
    Dimensions(),
    Sharpness(),
    Noise(),
    Blockiness(),
    Exposure(),
    BackgroundWhite(),
    BackgroundUniformity(),
    ProductFill(),
    ProductInside(),
    Colour(),
]
NEED_A_MASK: list[Scorer] = [Exposure(), BackgroundWhite(), ProductFill(), ProductInside(), Colour()]
SIDE = 256
BOX = (slice(40, 200), slice(64, 192))
"""Where the drawn product is: 160 pixels high, 128 wide."""
BLUE = (40, 90, 170)
CREAM = (235, 220, 200)


def look(pixels: Pixels, mask: Mask | None = None, *references: ReferenceLook) -> Look:
    size = (pixels.shape[1], pixels.shape[0])
    return Look(pixels, mask, lossless_webp(pixels), size, references)


def box_mask(rows: slice = BOX[0], columns: slice = BOX[1], side: int = SIDE) -> Mask:
    mask = np.zeros((side, side), np.uint8)
    mask[rows, columns] = 255
    return mask


def pack_shot(
    background: tuple[int, int, int] = (255, 255, 255),
    colours: tuple[tuple[int, int, int], ...] = (BLUE, CREAM),
) -> Pixels:
    """A box of vertical stripes in some colours before a plain background."""
    pixels = np.full((SIDE, SIDE, 3), background, np.uint8)
    stripes = np.linspace(0, len(colours), 128, endpoint=False).astype(int)
    pixels[BOX] = np.array(colours, np.uint8)[stripes][None]
    return pixels


def photograph(colours: tuple[tuple[int, int, int], ...] = (BLUE, CREAM)) -> ReferenceLook:
    return ReferenceLook(pack_shot((120, 120, 120), colours), box_mask())


def textured(side: int = 512, seed: int = 7) -> Pixels:
    """Something like a surface: soft blotches with fine grain, the same each time."""
    rng = np.random.default_rng(seed)
    layers = [ndimage.gaussian_filter(rng.normal(0, 1, (side, side)), sigma) * sigma for sigma in (2, 6, 20)]
    grey = sum(layers)
    grey = 128 + 60 * grey / np.abs(grey).max()
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    grain = np.random.default_rng(3).normal(0, sigma, pixels.shape[:2])[..., None]
    return np.asarray(np.clip(pixels + grain, 0, 255).round(), np.uint8)


def blurred(pixels: Pixels, radius: float) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)), np.uint8)


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg(pixels, quality))), np.uint8)


def value(measured: Measured) -> float:
    assert measured.reason is None, measured.reason
    assert measured.value is not None
    return measured.value


def reason(measured: Measured) -> str:
    assert measured.value is None
    assert measured.reason
    return measured.reason


# --------------------------------------------------------------------------------------------- every scorer

sides = st.integers(0, 40)
masks = st.none() | st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint8, shape))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.dimension)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_whatever_it_is_shown_it_gives_a_finite_value_or_a_reason(
    scorer: Scorer, data: st.DataObject
) -> None:
    shape = (data.draw(sides), data.draw(sides))
    pixels = data.draw(arrays(np.uint8, (*shape, 3)))
    mask = data.draw(masks | arrays(np.uint8, shape))
    reference = ReferenceLook(
        data.draw(arrays(np.uint8, (*shape, 3))), data.draw(masks | arrays(np.uint8, shape))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = scorer.measure(Look(pixels, mask, data.draw(st.binary()), shape, (reference,)))
    score = Score(
        candidate_id="c",
        image_sha256="0",
        dimension=scorer.dimension,
        scorer_version=scorer.version,
        value=measured.value,
        reason=measured.reason,
        details=dict(measured.details),
    )
    json.dumps(score.details, allow_nan=False)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.dimension)
def test_measuring_twice_gives_the_same_and_leaves_the_picture_alone(scorer: Scorer) -> None:
    shown = look(noisy(pack_shot(), 3), box_mask(), photograph())
    before = shown.pixels.copy()
    assert scorer.measure(shown) == scorer.measure(replace(shown))
    assert np.array_equal(shown.pixels, before)


def test_each_scorer_says_what_it_measures_and_which_way_is_good() -> None:
    assert len({scorer.dimension for scorer in SCORERS}) == len(SCORERS)
    for scorer in SCORERS:
        assert scorer.better in {"higher", "lower", "none"}
        assert scorer.unit
        assert scorer.version
        assert "Failure mode" in (type(scorer).__doc__ or "")


@pytest.mark.parametrize("scorer", NEED_A_MASK, ids=lambda scorer: scorer.dimension)
@pytest.mark.parametrize(
    "mask",
    [None, np.zeros((SIDE, SIDE), np.uint8), box_mask(side=SIDE - 1)],
    ids=["none", "empty", "other size"],
)
def test_nothing_is_measured_of_a_product_that_nobody_can_find(scorer: Scorer, mask: Mask | None) -> None:
    shown = look(pack_shot(), mask, photograph())
    assert "nobody knows where the product is" in reason(scorer.measure(shown))


# -------------------------------------------------------------------------------------- what a look computes


@pytest.mark.parametrize("shape", [(3, 5), (64, 48), (1, 1)])
def test_the_luma_in_whole_levels_is_the_one_of_rec_601(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert np.abs(look(pixels).grey - pixels @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


@given(rows=st.integers(0, 9), columns=st.integers(0, 9), high=st.integers(1, 9), wide=st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_the_products_box_is_the_smallest_that_holds_it(
    rows: int, columns: int, high: int, wide: int
) -> None:
    mask = np.zeros((20, 20), np.uint8)
    corners = [(rows, columns + wide - 1), (rows + high - 1, columns)]
    mask[tuple(zip(*corners, strict=True))] = 128
    mask[(mask == 0) & (np.random.default_rng(0).random(mask.shape) < 0.5)] = 127
    shown = look(np.zeros((20, 20, 3), np.uint8), mask)
    assert shown.product_box == (slice(rows, rows + high), slice(columns, columns + wide))


def test_what_several_scorers_need_is_computed_once() -> None:
    shown = look(pack_shot(), box_mask())
    assert shown.grey is shown.grey
    assert shown.product is shown.product
    assert shown.product_box is shown.product_box


# ------------------------------------------------------------------------------------------------- the file


@pytest.mark.parametrize("encode", [lossless_webp, png])
def test_a_sound_lossless_file_passes_the_file_check(encode: Callable[[Pixels], bytes]) -> None:
    pixels = textured(64)
    assert FileCheck().measure(Look(pixels, None, encode(pixels), (64, 64))) == Measured(
        1.0, details={"failed": [], "mode": "RGB"}
    )


def failed_rules(pixels: Pixels, encoded: bytes) -> list[str]:
    measured = FileCheck().measure(Look(pixels, None, encoded, (64, 64)))
    assert value(measured) == 0.0
    failed: list[str] = measured.details["failed"]
    return failed


def test_lossy_files_fail_the_file_check_even_when_their_pixels_are_the_ones_that_are_scored() -> None:
    pixels = textured(64)
    assert failed_rules(through_jpeg(pixels, 95), jpeg(pixels, 95)) == ["lossless"]
    lossy = webp(pixels, 95)
    assert failed_rules(np.array(Image.open(io.BytesIO(lossy)).convert("RGB")), lossy) == ["lossless"]


def test_a_cut_off_file_fails_the_file_check() -> None:
    pixels = textured(64)
    for encoded in (lossless_webp(pixels), png(pixels)):
        assert failed_rules(pixels, encoded[: len(encoded) // 2]) == ["decodes"]
    assert failed_rules(pixels, b"") == ["decodes"]


def test_a_file_with_other_pixels_than_those_that_are_scored_fails_the_file_check() -> None:
    pixels = textured(64)
    other = pixels.copy()
    other[0, 0, 0] ^= 1
    assert failed_rules(other, lossless_webp(pixels)) == ["holds_the_pixels"]


def test_a_file_that_was_decoded_for_the_look_is_not_decoded_again() -> None:
    pixels = textured(64)
    decoded = decode(lossless_webp(pixels)).pixels
    cut_off = png(pixels)[:-50]  # so that it is seen whether anybody decodes it
    shown = Look(decoded, None, cut_off, (64, 64), decoded=decoded)
    assert FileCheck().measure(shown) == Measured(1.0, details={"failed": [], "mode": "RGB"})
    assert FileCheck().measure(replace(shown, decoded=None)).details["failed"] == ["decodes"]


def test_pixels_that_are_not_the_decoded_ones_fail_the_file_check() -> None:
    pixels = textured(64)
    decoded = decode(lossless_webp(pixels)).pixels
    shown = Look(decoded, None, lossless_webp(pixels), (64, 64), decoded=decoded)
    other = pixels.copy()
    other[0, 0, 0] ^= 1
    assert FileCheck().measure(replace(shown, pixels=other)).details["failed"] == ["holds_the_pixels"]


@pytest.mark.parametrize("levels", [4, 5])
def test_a_picture_that_hardly_varies_shows_nothing_wherever_it_varies(levels: int) -> None:
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[5, 7, 2] += levels
    failed = FileCheck().measure(Look(pixels, None, png(pixels), (64, 64))).details["failed"]
    assert failed == (["shows_something"] if levels == 4 else [])


def test_transparency_fails_the_file_check() -> None:
    pixels = textured(64)
    half = np.full((64, 64), 128, np.uint8)
    assert failed_rules(pixels, lossless_webp(pixels, half)) == ["is_rgb"]
    assert failed_rules(pixels, png(pixels, half)) == ["is_rgb"]


def test_only_the_srgb_profile_may_be_embedded() -> None:
    pixels = textured(64)
    for profile, expected in ((srgb_profile(), 1.0), (_wide_profile(), 0.0)):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "WEBP", lossless=True, icc_profile=profile)
        assert value(FileCheck().measure(Look(pixels, None, file.getvalue(), (64, 64)))) == expected


def _wide_profile() -> bytes:
    """A profile that is not sRGB: Lab, which every colour engine can make."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def test_a_picture_of_one_flat_colour_fails_the_file_check() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    assert failed_rules(black, lossless_webp(black)) == ["shows_something"]
    dithered = np.random.default_rng(0).integers(126, 130, (64, 64, 3), dtype=np.uint8)
    assert failed_rules(dithered, lossless_webp(dithered)) == ["shows_something"]


def test_one_coloured_spot_on_grey_is_not_a_flat_colour() -> None:
    spot = np.full((64, 64, 3), 90, np.uint8)
    spot[30:34, 30:34, 2] = 200
    assert value(FileCheck().measure(look(spot))) == 1.0


def test_the_size_has_to_be_the_one_that_was_asked_for() -> None:
    shown = look(np.zeros((30, 50, 3), np.uint8))
    assert value(Dimensions().measure(shown)) == 1.0
    assert value(Dimensions().measure(replace(shown, expected_size=(30, 50)))) == 0.0
    assert "no size" in reason(Dimensions().measure(replace(shown, encoded=b"GIF89a")))


# ------------------------------------------------------------------------------------------------ sharpness


def test_blurrier_copies_are_ordered_by_their_blur() -> None:
    pixels = noisy(textured(), 2)
    blurs = [
        value(Sharpness().measure(look(blurred(pixels, radius), box_mask(side=512))))
        for radius in (0, 1, 2, 4, 8)
    ]
    assert blurs == sorted(blurs)
    assert blurs[-1] - blurs[0] > 0.3


def test_sharpness_is_of_the_product_and_not_of_its_surroundings() -> None:
    sharp, soft = noisy(textured(SIDE), 3), blurred(textured(SIDE), 5)
    soft_product, sharp_product = sharp.copy(), soft.copy()
    soft_product[BOX], sharp_product[BOX] = soft[BOX], sharp[BOX]
    mask = box_mask()
    assert value(Sharpness().measure(look(soft_product, mask))) > 0.2 + value(
        Sharpness().measure(look(sharp_product, mask))
    )


def test_an_enlarged_picture_is_less_sharp_than_one_that_was_made_at_that_size() -> None:
    made = noisy(textured(512), 2)
    small = Image.fromarray(made).resize((128, 128), Image.Resampling.BOX)
    enlarged = np.asarray(small.resize((512, 512), Image.Resampling.BICUBIC))
    assert value(Sharpness().measure(look(enlarged))) > 0.1 + value(Sharpness().measure(look(made)))


def test_the_same_picture_at_twice_the_size_is_about_as_sharp() -> None:
    large = textured(1024)
    half = np.asarray(Image.fromarray(large).resize((512, 512), Image.Resampling.BOX))
    assert value(Sharpness().measure(look(large))) == pytest.approx(
        value(Sharpness().measure(look(half))), abs=0.01
    )


def test_neither_a_flat_nor_a_tiny_product_is_sharp_or_blurred() -> None:
    flat = np.full((SIDE, SIDE, 3), 200, np.uint8)
    assert "nothing in it" in reason(Sharpness().measure(look(flat, box_mask())))
    tiny = box_mask(slice(10, 30), slice(10, 100))
    assert "too small" in reason(Sharpness().measure(look(textured(SIDE), tiny)))


# ---------------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0, 20.0])
def test_the_noise_that_was_added_is_the_noise_that_is_measured(sigma: float) -> None:
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    assert value(Noise().measure(look(noisy(plain, sigma)))) == pytest.approx(sigma, rel=0.05)
    assert value(Noise().measure(look(noisy(blurred(textured(), 2), sigma)))) == pytest.approx(sigma, rel=0.1)


def test_a_slope_is_not_noise() -> None:
    ramp = np.repeat(np.linspace(20, 230, SIDE).astype(np.uint8)[None, :, None], SIDE, axis=0).repeat(
        3, axis=2
    )
    assert value(Noise().measure(look(ramp))) < 0.3


def test_the_products_texture_is_not_noise_when_the_background_can_be_told() -> None:
    pixels = np.full((SIDE, SIDE, 3), 180, np.uint8)
    pixels[BOX] = np.random.default_rng(0).integers(0, 255, (160, 128, 1), dtype=np.uint8)
    measured = Noise().measure(look(noisy(pixels, 3), box_mask()))
    assert value(measured) == pytest.approx(3, rel=0.05)
    assert measured.details["looked_at"] == "background"
    assert measured.details["frame"] > 10


def test_before_pure_white_the_rest_of_the_frame_is_measured() -> None:
    pixels = pack_shot(colours=((90, 90, 90),))
    pixels[BOX] = noisy(pixels, 8)[BOX]
    measured = Noise().measure(look(pixels, box_mask()))
    assert measured.details["looked_at"] == "frame"
    assert value(measured) == pytest.approx(8, rel=0.05)


def test_noise_is_immerkaers_formula_over_the_pixels_that_are_not_cut_off() -> None:
    pixels = np.clip((noisy(textured(SIDE), 20).astype(int) - 128) * 2 + 128, 0, 255).astype(np.uint8)
    assert {0, 2, 4, 252, 254, 255} <= set(np.unique(pixels))
    pixels[::50, ::3] = 253
    grey = look(pixels).grey.astype(np.float64)
    response = ndimage.convolve(grey, np.outer([1, -2, 1], [1, -2, 1]))
    seen = ndimage.minimum_filter((grey > 2) & (grey < 253), size=3)
    background = seen & ~ndimage.maximum_filter(box_mask() > 127, size=2 * round(SIDE * 0.01) + 1)
    inner = np.zeros_like(seen)
    inner[1:-1, 1:-1] = True
    for shown, where in ((look(pixels), seen), (look(pixels, box_mask()), background)):
        expected = np.sqrt(np.pi / 2) / 6 * np.abs(response[where & inner]).mean()
        assert value(Noise().measure(shown)) == pytest.approx(expected, rel=1e-9)


def test_in_pure_black_and_white_noise_is_not_measured() -> None:
    assert "pure black or white" in reason(Noise().measure(look(np.full((SIDE, SIDE, 3), 255, np.uint8))))


# ----------------------------------------------------------------------------------------------- blockiness


def test_blockiness_rises_with_compression() -> None:
    pixels = noisy(textured(), 4)
    ratios = [value(Blockiness().measure(look(through_jpeg(pixels, quality)))) for quality in (75, 50, 10)]
    clean = value(Blockiness().measure(look(pixels)))
    assert clean == pytest.approx(1, abs=0.05)
    assert [clean, *ratios] == sorted([clean, *ratios])
    assert ratios[-1] > 1.48


def test_blocks_are_found_across_and_along() -> None:
    stripes = np.repeat(np.arange(32) % 2 * 40 + 100, 8).astype(np.uint8)
    across = noisy(np.broadcast_to(stripes[None, :, None], (SIDE, SIDE, 3)), 2)
    ratios = [value(Blockiness().measure(look(pixels))) for pixels in (across, across.swapaxes(0, 1).copy())]
    assert ratios[0] == pytest.approx(ratios[1])
    assert ratios[0] > 2


def test_a_straight_edge_that_lies_on_the_grid_is_not_blockiness() -> None:
    pixels = noisy(pack_shot((200, 200, 200)), 2)
    assert all(side.start % 8 == 0 and side.stop % 8 == 0 for side in BOX)
    assert value(Blockiness().measure(look(pixels, box_mask()))) == pytest.approx(1, abs=0.1)


def test_blockiness_is_the_median_over_the_grids_lines_of_the_step_across_over_those_beside() -> None:
    pixels = through_jpeg(noisy(textured(120), 4), 40)[:, :88]
    grey, ratios = look(pixels).grey.astype(np.float64), []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        for line in range(15, len(steps) - 4, 8):
            beside = [*steps[line - 4 : line], *steps[line + 1 : line + 5]]
            ratios.append((steps[line] + 0.05) / (np.median(beside) + 0.05))
    measured = Blockiness().measure(look(pixels))
    assert value(measured) == pytest.approx(float(np.median(ratios)))
    assert measured.details["lines"] == len(ratios)


def test_a_flat_picture_has_no_blockiness() -> None:
    assert "too small or too flat" in reason(
        Blockiness().measure(look(np.full((SIDE, SIDE, 3), 9, np.uint8)))
    )


# ------------------------------------------------------------------------------------------------- exposure


def test_a_white_background_is_not_overexposure() -> None:
    measured = Exposure().measure(look(pack_shot(), box_mask()))
    assert value(measured) == 0.0


def test_clipped_shares_of_the_product_are_exact() -> None:
    pixels = pack_shot()
    pixels[40:80, 64:192] = 0
    pixels[180:200, 64:192] = 255
    measured = Exposure().measure(look(pixels, box_mask()))
    assert value(measured) == pytest.approx(60 / 160)
    assert measured.details["dark"] == pytest.approx(40 / 160)
    assert measured.details["bright"] == pytest.approx(20 / 160)


@pytest.mark.parametrize(("level", "share"), [(2, 1.0), (3, 0.0), (252, 0.0), (253, 1.0)])
def test_clipped_is_what_is_within_two_levels_of_black_or_white(level: int, share: float) -> None:
    pixels = np.full((SIDE, SIDE, 3), level, np.uint8)
    assert value(Exposure().measure(look(pixels, box_mask()))) == share


@pytest.mark.parametrize("background", [0, 255])
def test_what_is_seen_between_the_parts_of_a_product_is_not_the_product(background: int) -> None:
    pixels, mask = pack_shot(), box_mask()
    pixels[80:160, 100:150], mask[80:160, 100:150] = background, 0
    assert value(Exposure().measure(look(pixels, mask))) == 0.0


@pytest.mark.parametrize("background", [0, 255])
def test_the_soft_outline_before_black_or_white_is_not_clipped(background: int) -> None:
    mask = np.asarray(Image.fromarray(box_mask()).filter(ImageFilter.GaussianBlur(3)), np.uint8)
    share = mask[..., None] / 255
    pixels = np.asarray(share * pack_shot() + (1 - share) * background, np.uint8)
    assert value(Exposure().measure(look(pixels, mask))) == 0.0


def test_the_median_luma_of_the_product_is_told() -> None:
    pixels = pack_shot(colours=((10, 10, 10), (200, 200, 200), (220, 220, 220)))
    assert Exposure().measure(look(pixels, box_mask())).details["median_luma"] == 200


# ----------------------------------------------------------------------------------------------- background


def test_exact_white_is_white_and_nearly_white_is_not() -> None:
    assert value(BackgroundWhite().measure(look(pack_shot(), box_mask()))) == 1.0
    nearly = BackgroundWhite().measure(look(pack_shot((255, 254, 255)), box_mask()))
    assert value(nearly) == 0.0
    assert nearly.details["nearly_white"] == 1.0


def test_the_share_of_white_is_counted_outside_the_product_and_its_soft_outline() -> None:
    pixels, mask = pack_shot(), box_mask()
    ring = box_mask(slice(39, 201), slice(63, 193)) - mask
    pixels[ring > 0] = 180
    assert value(BackgroundWhite().measure(look(pixels, mask))) == 1.0
    pixels[:, :32] = 254
    background = SIDE * SIDE - 162 * 130
    assert value(BackgroundWhite().measure(look(pixels, mask))) == pytest.approx(1 - SIDE * 32 / background)


def test_a_product_that_fills_the_frame_leaves_no_background_to_measure() -> None:
    everywhere = np.full((SIDE, SIDE), 255, np.uint8)
    assert "no background" in reason(BackgroundWhite().measure(look(pack_shot(), everywhere)))
    assert "whole border" in reason(BackgroundUniformity().measure(look(pack_shot(), everywhere)))


def test_an_even_background_is_uniform_and_a_scene_is_not() -> None:
    def spread(pixels: Pixels) -> float:
        return value(BackgroundUniformity().measure(look(pixels, box_mask())))

    plain = pack_shot((200, 205, 210))
    halved = plain.copy()
    halved[:, :100] = (90, 120, 60)
    assert spread(plain) == 0.0
    assert 0 < spread(noisy(plain, 1)) < 2 < spread(noisy(plain, 8)) < 15
    assert spread(halved) > 20


def test_uniformity_is_the_difference_of_the_border_s_far_pixels_from_its_median() -> None:
    pixels = pack_shot((200, 200, 200))
    pixels[:, :40] = (200, 190, 180)
    lab = rgb2lab(np.array([[[200, 200, 200], [200, 190, 180]]], np.uint8))[0]
    expected = float(deltaE_ciede2000(lab[0], lab[1]))  # type: ignore[no-untyped-call]
    assert value(BackgroundUniformity().measure(look(pixels, box_mask()))) == pytest.approx(expected)


def test_a_product_at_the_border_is_not_background() -> None:
    pixels, mask = pack_shot((200, 200, 200)), box_mask(slice(0, 100), slice(0, 200))
    pixels[mask > 0] = BLUE
    assert value(BackgroundUniformity().measure(look(pixels, mask))) == 0.0
    assert value(BackgroundUniformity().measure(look(pixels))) > 20


# -------------------------------------------------------------------------------------------------- framing


@given(top=st.integers(0, 60), left=st.integers(0, 90), high=st.integers(1, 40), wide=st.integers(1, 60))
@settings(deadline=None, max_examples=40)
def test_the_fill_of_a_drawn_rectangle_is_exact(top: int, left: int, high: int, wide: int) -> None:
    mask = np.zeros((100, 150), np.uint8)
    mask[top : top + high, left : left + wide] = 255
    measured = ProductFill().measure(look(np.zeros((100, 150, 3), np.uint8), mask))
    assert value(measured) == pytest.approx(100 * max(high / 100, wide / 150))
    assert measured.details["area_percent"] == pytest.approx(100 * high * wide / 15000, abs=0.01)
    assert measured.details["margins_px"] == {
        "top": top,
        "right": 150 - left - wide,
        "bottom": 100 - top - high,
        "left": left,
    }


def test_a_product_that_stays_a_pixel_within_the_frame_touches_nothing() -> None:
    all_but_the_edge = slice(1, SIDE - 1)
    measured = ProductInside().measure(look(pack_shot(), box_mask(all_but_the_edge, all_but_the_edge)))
    assert value(measured) == 0.0
    assert measured.details["touches"] == []


@pytest.mark.parametrize(
    ("rows", "columns", "side"),
    [
        (slice(0, 64), slice(64, 128), "top"),
        (slice(192, 256), slice(64, 128), "bottom"),
        (slice(64, 128), slice(0, 64), "left"),
        (slice(64, 128), slice(192, 256), "right"),
    ],
)
def test_a_product_that_is_cut_off_is_noticed_at_every_side(rows: slice, columns: slice, side: str) -> None:
    measured = ProductInside().measure(look(pack_shot(), box_mask(rows, columns)))
    assert value(measured) == pytest.approx(64 / (4 * SIDE))
    assert measured.details["touches"] == [side]


# --------------------------------------------------------------------------------------------------- colour


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_gives_the_differences_that_its_authors_published(
    one: tuple[float, ...], other: tuple[float, ...], published: float
) -> None:
    difference = deltaE_ciede2000(np.array(one), np.array(other))  # type: ignore[no-untyped-call]
    assert difference == pytest.approx(published, abs=1e-4)


def shifted(pixels: Pixels, a: float, b: float) -> Pixels:
    moved = lab2rgb(rgb2lab(pixels) + np.array([0, a, b]))
    return np.asarray((np.clip(moved, 0, 1) * 255).round(), np.uint8)


def difference(one: tuple[int, int, int], other: npt.ArrayLike) -> float:
    lab = rgb2lab(np.array([[one, other]], np.uint8))[0]
    return float(deltaE_ciede2000(lab[0], lab[1]))  # type: ignore[no-untyped-call]


def colour(pixels: Pixels, *references: ReferenceLook, mask: Mask | None = None) -> float:
    return value(Colour().measure(look(pixels, box_mask() if mask is None else mask, *references)))


def test_the_same_product_before_another_background_has_the_same_colours() -> None:
    assert colour(pack_shot(), photograph()) == pytest.approx(0, abs=1e-6)


def test_a_wrong_colour_is_the_difference_of_that_colour_and_not_diluted_by_the_right_ones() -> None:
    purple = (90, 60, 170)
    measured = Colour().measure(look(pack_shot(colours=(purple, CREAM, CREAM, CREAM)), box_mask(),
                                     photograph((BLUE, CREAM, CREAM, CREAM))))  # fmt: skip
    assert value(measured) == pytest.approx(difference(BLUE, purple), abs=0.2)
    assert measured.details["mean"] < value(measured) / 2


@pytest.mark.parametrize("shift", [(6.0, -6.0), (-10.0, 10.0), (20.0, 0.0)])
def test_a_shift_of_all_colours_is_measured_as_the_shift_of_the_worst(shift: tuple[float, float]) -> None:
    pixels = shifted(pack_shot(), *shift)
    worst = max(difference(BLUE, pixels[100, 80]), difference(CREAM, pixels[100, 180]))
    assert colour(pixels, photograph()) == pytest.approx(worst, rel=0.1)


def test_a_colour_that_was_added_counts_as_much_as_one_that_is_missing() -> None:
    red = (200, 30, 30)
    two, three = (BLUE, CREAM), (BLUE, CREAM, red)
    added = Colour().measure(look(pack_shot(colours=three), box_mask(), photograph(two)))
    missing = Colour().measure(look(pack_shot(colours=two), box_mask(), photograph(three)))
    assert value(added) == pytest.approx(value(missing), abs=0.5)
    assert value(added) > 30
    assert added.details["colour_of"] == "picture"
    assert missing.details["colour_of"] == "photograph"


def test_another_side_that_shows_more_of_one_colour_has_the_same_colours() -> None:
    assert colour(pack_shot(colours=(BLUE, BLUE, CREAM)), photograph((BLUE, CREAM))) == pytest.approx(
        0, abs=1e-6
    )
    assert colour(pack_shot(colours=(BLUE, CREAM)), photograph((BLUE, BLUE, CREAM))) == pytest.approx(
        0, abs=1e-6
    )


def test_what_does_not_change_the_product_hardly_changes_its_colour() -> None:
    pixels = np.full((512, 512, 3), 255, np.uint8)
    mask = box_mask(slice(80, 400), slice(128, 384), side=512)
    hues = np.linspace((60, 40, 30), (230, 180, 150), 256).astype(np.uint8)
    pixels[80:400, 128:384] = hues + textured(512)[80:400, 128:384] // 8
    reference = ReferenceLook(pixels, mask)
    small = (
        np.asarray(Image.fromarray(pixels).resize((300, 300))),
        np.asarray(Image.fromarray(mask).resize((300, 300))),
    )
    assert colour(small[0], reference, mask=small[1]) < 1.5
    assert colour(np.rot90(pixels).copy(), reference, mask=np.rot90(mask).copy()) < 1.5
    assert colour(noisy(pixels, 10), reference, mask=mask) < 3
    assert colour(through_jpeg(pixels, 30), reference, mask=mask) < 2


def test_the_first_photograph_that_is_cut_out_is_the_reference() -> None:
    uncut = ReferenceLook(np.zeros((SIDE, SIDE, 3), np.uint8), None)
    assert colour(pack_shot(), uncut, photograph()) == pytest.approx(0, abs=1e-6)
    assert colour(pack_shot(), photograph(), photograph(((255, 0, 0),))) == pytest.approx(0, abs=1e-6)


def test_without_a_usable_photograph_colour_has_a_reason_and_no_value() -> None:
    uncut = ReferenceLook(pack_shot(), None)
    speck = ReferenceLook(pack_shot(), box_mask(slice(0, 4), slice(0, 4)))
    assert reason(Colour().measure(look(pack_shot(), box_mask()))) == "no reference photograph"
    assert (
        reason(Colour().measure(look(pack_shot(), box_mask(), uncut))) == "no reference photograph is cut out"
    )
    assert "too thin" in reason(Colour().measure(look(pack_shot(), box_mask(), speck)))
    assert "too thin" in reason(Colour().measure(look(pack_shot(), speck.mask, photograph())))
