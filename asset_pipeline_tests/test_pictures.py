"""Pictures as values: decoding, encoding, cutting out. Every picture is drawn here."""

import io
import struct
import threading

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, JpegImagePlugin

from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.pictures.contact_sheet import Cell, State, contact_sheet
from asset_pipeline.pictures.cutout import CannotCut, Cutout, cut_out
from asset_pipeline.pictures.decode import Picture, decode, facts
from asset_pipeline.pictures.encode import (
    decode_mask,
    jpeg,
    lossless_webp,
    mask_webp,
    png,
    srgb_profile,
    thumbnail,
    webp,
)

Array = npt.NDArray[np.uint8]


def saved(image: Image.Image, container: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 0, channels: int = 3) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_noise(width: int, height: int) -> Array:
    """Soft colour patches, which JPEG keeps well."""
    return np.asarray(Image.fromarray(noise(4, 4)).resize((width, height), Image.Resampling.BICUBIC))


# ------------------------------------------------------------------------------------------------ decoding

ADOBE_RGB = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)
"""Linear Adobe RGB (1998) to XYZ, adapted to D50 (brucelindbloom.com)."""
XYZ_TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)
"""XYZ, adapted to D50, to linear sRGB (brucelindbloom.com)."""
ADOBE_GAMMA = 563 / 256


def wide_gamut_profile(white: tuple[float, float, float] = (0.9642, 1.0, 0.8249)) -> bytes:
    """A minimal ICC version 2 matrix profile with Adobe RGB's primaries and that media white."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(column: npt.NDArray[np.float64]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(fixed(part) for part in column)

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(ADOBE_GAMMA * 256))
    name = b"Wide\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78,
        b"wtpt": xyz(np.array(white)),
        b"rXYZ": xyz(ADOBE_RGB[:, 0]),
        b"gXYZ": xyz(ADOBE_RGB[:, 1]),
        b"bXYZ": xyz(ADOBE_RGB[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", offset + len(body), len(data))
        body += padded
    size = offset + len(body)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp"
    )
    header += bytes(28) + b"".join(fixed(part) for part in (0.9642, 1.0, 0.8249)) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def in_srgb(adobe: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    linear = XYZ_TO_SRGB @ ADOBE_RGB @ (np.array(adobe) / 255) ** ADOBE_GAMMA
    srgb: npt.NDArray[np.float64] = 255 * np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return srgb


@pytest.mark.parametrize("colour", [(150, 120, 90), (90, 140, 110), (60, 60, 160), (200, 200, 200)])
@pytest.mark.parametrize("container", ["PNG", "TIFF", "JPEG"])
def test_a_wide_gamut_picture_is_converted_to_srgb(colour: tuple[int, int, int], container: str) -> None:
    data = saved(Image.new("RGB", (16, 16), colour), container, icc_profile=wide_gamut_profile())
    assert np.abs(decode(data).pixels[8, 8] - in_srgb(colour)).max() < 2.5
    assert np.abs(np.array(colour) - in_srgb((150, 120, 90))).max() > 2.5


def test_white_stays_white_whatever_paper_the_profile_speaks_of() -> None:
    data = saved(Image.new("RGB", (16, 16), "white"), "PNG", icc_profile=wide_gamut_profile((0.95, 1, 1.089)))
    assert decode(data).pixels.min() == 255


def test_the_colours_of_a_picture_with_alpha_are_converted_too() -> None:
    data = saved(Image.new("RGBA", (16, 16), (150, 120, 90, 128)), "PNG", icc_profile=wide_gamut_profile())
    picture = decode(data)
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 128
    assert np.abs(picture.pixels[8, 8] - in_srgb((150, 120, 90))).max() < 2.5


def test_an_srgb_profile_changes_nothing_and_a_damaged_one_is_ignored() -> None:
    pixels = noise(9, 7)
    for profile in (srgb_profile(), b"not a profile", wide_gamut_profile()[:200]):
        data = saved(Image.fromarray(pixels), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decode(data).pixels, pixels)


TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TO_STORED)
@pytest.mark.parametrize("container", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
def test_every_exif_orientation_decodes_to_the_same_upright_picture(orientation: int, container: str) -> None:
    pixels = smooth_noise(13, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TO_STORED[orientation]
    stored = Image.fromarray(pixels) if turn is None else Image.fromarray(pixels).transpose(turn)
    options = {"lossless": True} if container == "WEBP" else {"quality": 95, "subsampling": "4:4:4"}
    data = saved(stored, container, exif=exif, **options)
    decoded = decode(data).pixels
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).max() <= (16 if container in {"JPEG", "AVIF"} else 0)
    assert (facts(data).width, facts(data).height) == (13, 7)


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    data = saved(Image.fromarray(noise(13, 7)), "PNG", exif=exif)
    assert (facts(data).width, decode(data).width) == (13, 13)


def test_sixteen_bit_greys_keep_their_brightness() -> None:
    grey = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    decoded = decode(saved(Image.fromarray(grey), "PNG")).pixels
    np.testing.assert_array_equal(decoded[..., 0], np.round(grey / 257).astype(np.uint8))


def test_floating_point_pixels_are_refused_because_nothing_says_what_white_is() -> None:
    with pytest.raises(UnreadablePicture, match="what white is"):
        decode(saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"))


def test_a_palette_with_a_transparent_entry_has_an_alpha_channel() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    picture = decode(saved(image, "PNG", transparency=0))
    assert picture.alpha is not None
    assert (picture.alpha[0, 0], picture.alpha[1, 1]) == (0, 255)
    assert tuple(picture.pixels[1, 1]) == (0, 0, 255)


def test_grey_with_alpha_bilevel_and_cmyk_pictures_decode() -> None:
    grey = decode(saved(Image.new("LA", (8, 8), (90, 70)), "PNG"))
    assert grey.alpha is not None
    assert (tuple(grey.pixels[0, 0]), grey.alpha[0, 0]) == ((90, 90, 90), 70)
    assert tuple(decode(saved(Image.new("1", (8, 8), 1), "PNG")).pixels[0, 0]) == (255, 255, 255)
    cmyk = decode(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)).pixels[0, 0]
    assert cmyk[0] > 200
    assert cmyk[1] < 60
    assert cmyk[2] < 60


def test_an_alpha_channel_that_is_opaque_everywhere_is_none() -> None:
    assert decode(saved(Image.new("RGBA", (8, 8), (1, 2, 3, 255)), "PNG")).alpha is None


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(decode(data).pixels[0, 0]) == (255, 0, 0)


CONTAINERS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "MPO": "image/jpeg",
}


@pytest.mark.parametrize(("container", "media_type"), CONTAINERS.items())
def test_the_type_is_read_from_the_bytes(container: str, media_type: str) -> None:
    options = {"append_images": [Image.new("RGB", (12, 8))], "save_all": True} if container == "MPO" else {}
    found = facts(saved(Image.fromarray(noise(12, 8)), container, **options))
    assert (found.media_type, found.width, found.height) == (media_type, 12, 8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture of a known type"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture of a known type"),
        (saved(Image.new("1", (12500, 8001)), "PNG"), "12500 × 8001 is more than 100 megapixels"),
        (saved(Image.new("1", (20000, 18001)), "PNG"), "more than 100 megapixels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bytes_that_are_no_usable_picture_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    for read in (decode, facts):
        with pytest.raises(UnreadablePicture, match=reason):
            read(data)


@pytest.mark.parametrize("container", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_picture_that_is_cut_off_is_refused(container: str) -> None:
    data = saved(Image.fromarray(noise(64, 64)), container)
    with pytest.raises(UnreadablePicture):
        decode(data[: len(data) * 2 // 3])


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@settings(deadline=None, max_examples=150)
@given(
    container=st.sampled_from(sorted(CONTAINERS.keys() - {"MPO"})),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.05, 1),
)
def test_damage_never_raises_anything_but_the_reason(
    container: str, damage: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(DAMAGEABLE[container])
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    try:
        picture = decode(bytes(data[: max(1, int(kept * len(data)))]))
    except UnreadablePicture:
        pass
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[2] == 3


DAMAGEABLE = {container: saved(Image.fromarray(noise(24, 16)), container) for container in CONTAINERS}


# ------------------------------------------------------------------------------------------------ encoding


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 9), st.booleans())
def test_lossless_encodings_give_back_every_pixel(
    width: int, height: int, seed: int, has_alpha: bool
) -> None:
    pixels = noise(width, height, seed)
    alpha = noise(width, height, seed + 1, channels=1)[..., 0] if has_alpha else None
    if alpha is not None:
        alpha[0, 0] = 0
    for encode in (lossless_webp, png):
        picture = decode(encode(pixels, alpha))
        np.testing.assert_array_equal(picture.pixels, pixels)
        if alpha is not None:
            np.testing.assert_array_equal(picture.alpha, alpha)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9))
def test_a_mask_comes_back_as_it_was(width: int, height: int, seed: int) -> None:
    mask = noise(width, height, seed, channels=1)[..., 0]
    np.testing.assert_array_equal(decode_mask(mask_webp(mask)), mask)


def test_what_is_no_mask_is_refused() -> None:
    with pytest.raises(UnreadablePicture):
        decode_mask(png(noise(4, 4)))


def test_a_jpeg_is_not_subsampled_and_says_that_it_is_srgb() -> None:
    image = Image.open(io.BytesIO(jpeg(smooth_noise(64, 48), 90)))
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert {component[1:3] for component in image.layer} == {(1, 1)}
    assert image.info["icc_profile"] == srgb_profile()
    assert Image.open(io.BytesIO(webp(smooth_noise(64, 48), 90))).info["icc_profile"] == srgb_profile()


def test_lossy_encodings_look_the_same() -> None:
    pixels = smooth_noise(64, 64)
    for data in (jpeg(pixels, 90), webp(pixels, 90)):
        assert np.abs(decode(data).pixels.astype(int) - pixels).mean() < 3


def test_the_profile_carries_no_time() -> None:
    assert srgb_profile()[24:36] == bytes.fromhex("07d000010001000000000000")


def test_the_same_pixels_become_the_same_bytes_in_any_thread() -> None:
    pixels = smooth_noise(96, 64)
    found: list[tuple[bytes, ...]] = []

    def encode() -> None:
        found.append((lossless_webp(pixels), png(pixels), jpeg(pixels, 85), webp(pixels, 80)))

    threads = [threading.Thread(target=encode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200))
def test_a_thumbnail_keeps_the_average_and_never_grows(width: int, height: int, longest: int) -> None:
    pixels = np.ascontiguousarray(np.broadcast_to(smooth_noise(width, height), (height, width, 3)))
    small = thumbnail(pixels, longest)
    assert max(small.shape[:2]) == min(longest, max(width, height))
    if min(small.shape[:2]) > 3:
        assert np.abs(small.mean((0, 1)) - pixels.mean((0, 1))).max() < 2


def test_a_thumbnail_shifts_no_edge() -> None:
    steps = np.repeat(np.arange(0, 256, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    row = thumbnail(np.ascontiguousarray(steps), 160)[5, 2:-2, 0].astype(float)
    assert np.abs(np.diff(row) - 1.6).max() < 1


# ------------------------------------------------------------------------------------------ contact sheets


def test_a_contact_sheet_fits_and_shows_every_cell() -> None:
    cells = [
        Cell(noise(300, 200, seed), f"SKU-{seed} with a caption that is too long", "approved")
        for seed in range(30)
    ]
    for max_bytes in (100_000, 30_000, 8_000):
        data = contact_sheet(cells, columns=6, cell_px=220, max_bytes=max_bytes)
        assert len(data) <= max_bytes
        sheet = decode(data)
        assert sheet.width > sheet.height * 0.8


def test_a_state_has_its_colour_and_a_missing_picture_a_place() -> None:
    def colours(state: State) -> list[int]:
        data = contact_sheet([Cell(None, "", state)], columns=3, cell_px=160)
        return [int(value) for value in decode(data).pixels[159, 80]]

    approved, rejected = colours("approved"), colours("rejected")
    assert approved[1] > approved[0] + 40
    assert rejected[0] > rejected[1] + 40


def test_a_contact_sheet_of_nothing_or_in_no_space_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], columns=3, cell_px=100)
    with pytest.raises(ValueError, match="do not fit"):
        contact_sheet([Cell(noise(50, 50), "a")] * 400, columns=20, cell_px=100, max_bytes=2_000)


# ---------------------------------------------------------------------------------------------- cutting out

WHITE = (240, 240, 240)
RED = (180, 40, 30)


def drawn(
    width: int = 600, height: int = 500, background: tuple[int, int, int] = WHITE
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A canvas at four times the size, so that edges are soft once it is reduced."""
    canvas = Image.new("RGB", (4 * width, 4 * height), background)
    return canvas, ImageDraw.Draw(canvas)


def reduced(canvas: Image.Image, grain: float = 1.0) -> Array:
    small = canvas.resize((canvas.width // 4, canvas.height // 4), Image.Resampling.BOX)
    grainy = np.asarray(small, float) + np.random.default_rng(1).normal(
        0, grain, (small.height, small.width, 1)
    )
    return np.clip(np.round(grainy), 0, 255).astype(np.uint8)


def box(*corners: int) -> tuple[int, ...]:
    return tuple(4 * corner for corner in corners)


def cut(pixels: Array) -> Cutout:
    return cut_out(Picture(pixels))


def test_a_product_on_a_plain_background_is_cut_along_its_outline() -> None:
    canvas, draw = drawn()
    draw.ellipse(box(180, 120, 430, 400), fill=RED)
    truth, pen = drawn(background=(0, 0, 0))
    pen.ellipse(box(180, 120, 430, 400), fill=WHITE)
    cutout = cut(reduced(canvas))
    expected = reduced(truth, grain=0)[..., 0] / 240
    assert np.abs(cutout.alpha / 255 - expected).mean() < 0.003
    assert np.abs(cutout.alpha / 255 - expected).max() < 0.5
    assert cutout.found_by == "plain background"
    assert cutout.background is not None
    assert np.abs(np.array(cutout.background) - WHITE).max() <= 2
    assert cutout.share == pytest.approx(expected.mean(), abs=0.005)
    assert 0.3 < cutout.edge_softness < 3
    assert cutout.cut_off_at == ()


def test_the_backgrounds_colour_is_taken_out_of_the_edges() -> None:
    canvas, draw = drawn(background=(60, 200, 90))
    draw.ellipse(box(180, 120, 430, 400), fill=RED)
    cutout = cut(reduced(canvas))
    edge = cutout.pixels[(cutout.alpha > 40) & (cutout.alpha < 215)].astype(int)
    assert len(edge) > 200
    assert np.abs(edge - RED).mean() < 15


def test_light_that_falls_off_is_still_a_plain_background() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(220, 150, 400, 380), fill=RED)
    y, x = np.mgrid[0:500, 0:600]
    light = 1.05 - 0.30 * x / 600 - 0.15 * (y / 500) ** 2
    pixels = np.clip(reduced(canvas) * light[..., None], 0, 255).astype(np.uint8)
    assert cut(pixels).share == pytest.approx(181 * 231 / 300_000, rel=0.02)


def test_a_soft_shadow_is_not_the_product() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(220, 150, 400, 380), fill=RED)
    y, x = np.mgrid[0:500, 0:600]
    shade = 1 - 0.45 * np.exp(-(((x - 330) / 130) ** 2 + ((y - 385) / 28) ** 2))
    product = reduced(canvas)
    inside = (x >= 220) & (x <= 400) & (y >= 150) & (y <= 380)
    pixels = np.where(inside[..., None], product, product * shade[..., None]).astype(np.uint8)
    cutout = cut(pixels)
    assert (cutout.alpha[~inside] > 127).sum() < 0.03 * inside.sum()
    assert (cutout.alpha[inside] > 127).mean() > 0.99


def test_one_sees_through_a_mugs_handle() -> None:
    canvas, draw = drawn()
    draw.ellipse(box(130, 190, 300, 330), fill=RED)
    draw.ellipse(box(155, 215, 290, 305), fill=WHITE)
    draw.rectangle(box(240, 140, 430, 380), fill=RED)
    alpha = cut(reduced(canvas)).alpha
    assert alpha[260, 190] == 0
    assert alpha[260, 142] > 200


def test_a_print_of_the_backgrounds_colour_stays_on_the_product() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(150, 80, 450, 440), fill=RED)
    draw.rectangle(box(260, 220, 340, 280), fill=WHITE)
    assert cut(reduced(canvas)).alpha[250, 300] == 255


def test_letters_float_so_the_label_around_them_is_no_hole() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(250, 80, 350, 440), fill=RED)
    draw.rectangle(box(258, 220, 342, 330), fill=WHITE)
    draw.rectangle(box(275, 240, 325, 310), fill=(30, 30, 30))
    assert cut(reduced(canvas)).alpha[230, 265] == 255


def test_a_scene_is_refused() -> None:
    with pytest.raises(CannotCut, match=r"the background is a scene, not plain: .* vary by dE \d+"):
        cut(smooth_noise(600, 500))


def test_an_empty_photograph_is_refused() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(300, 250, 320, 262), fill=RED)
    with pytest.raises(CannotCut, match="nothing stands out"):
        cut(reduced(canvas))


def test_a_product_that_fills_the_photograph_is_refused() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(9, 9, 590, 490), fill=RED)
    with pytest.raises(CannotCut, match="no background to cut away"):
        cut(reduced(canvas))


def test_a_product_that_is_cut_off_at_two_sides_is_refused_and_at_one_side_is_told() -> None:
    canvas, draw = drawn()
    draw.rectangle(box(200, 300, 420, 500), fill=RED)
    assert cut(reduced(canvas)).cut_off_at == ("bottom",)
    draw.rectangle(box(0, 300, 420, 500), fill=RED)
    with pytest.raises(CannotCut, match="cut off at the bottom and the left"):
        cut(reduced(canvas))


def test_white_before_white_is_refused() -> None:
    canvas, draw = drawn(background=(236, 236, 236))
    draw.rectangle(box(150, 80, 450, 440), fill=(252, 252, 252))
    draw.rectangle(box(220, 200, 380, 300), fill=(30, 30, 120))
    with pytest.raises(CannotCut, match=r"edges run through the background|hardly differs"):
        cut(reduced(canvas))


def test_a_white_mug_of_which_only_the_print_would_be_left_is_refused() -> None:
    canvas, draw = drawn()
    draw.arc(box(150, 80, 450, 440), 20, 340, fill=(216, 216, 216), width=10)
    draw.rectangle(box(220, 200, 380, 300), fill=(30, 30, 120))
    with pytest.raises(CannotCut, match="edges run through the background"):
        cut(reduced(canvas))


def test_a_product_that_hardly_differs_from_its_background_is_refused() -> None:
    canvas, draw = drawn(background=(128, 128, 128))
    draw.rectangle(box(150, 80, 450, 440), fill=(146, 146, 146))
    with pytest.raises(CannotCut, match=r"edges run through the background|hardly differs"):
        cut(reduced(canvas))


def test_a_collection_is_refused_and_a_pair_is_not() -> None:
    canvas, draw = drawn()
    for left in (60, 340):
        draw.ellipse(box(left, 180, left + 150, 330), fill=RED)
    assert cut(reduced(canvas)).share > 0.1
    draw.ellipse(box(230, 350, 330, 450), fill=RED)
    with pytest.raises(CannotCut, match="3 separate things"):
        cut(reduced(canvas))


def test_a_tiny_photograph_is_refused() -> None:
    with pytest.raises(CannotCut, match="too small"):
        cut(noise(12, 12))


def with_alpha(alpha: Array, colour: tuple[int, int, int] = RED) -> Picture:
    pixels = np.empty((*alpha.shape, 3), np.uint8)
    pixels[:] = colour
    return Picture(pixels, alpha)


def test_an_alpha_channel_is_believed() -> None:
    canvas, draw = drawn(background=(0, 0, 0))
    draw.ellipse(box(180, 120, 430, 400), fill=(255, 255, 255))
    alpha = reduced(canvas, grain=0)[..., 0]
    cutout = cut_out(with_alpha(alpha))
    assert cutout.found_by == "alpha channel"
    np.testing.assert_array_equal(cutout.alpha, alpha)


def test_a_dark_products_edges_survive_the_search_for_saved_shadows() -> None:
    canvas, draw = drawn(1500, 1500, (0, 0, 0))
    draw.ellipse(box(300, 200, 1200, 1300), fill=(255, 255, 255))
    alpha = reduced(canvas, grain=0)[..., 0]
    np.testing.assert_array_equal(cut_out(with_alpha(alpha, (20, 20, 30))).alpha, alpha)


def test_shadows_that_were_saved_with_a_cut_out_are_removed_and_dark_lenses_are_not() -> None:
    alpha = np.zeros((900, 900), np.uint8)
    alpha[200:500, 200:700] = 255
    alpha[280:420, 300:420] = 150  # a lens
    y, x = np.mgrid[0:900, 0:900]
    shadow = 140 * np.exp(-(((x - 450) / 240) ** 2 + ((y - 520) / 60) ** 2))
    alpha = np.maximum(alpha, shadow.astype(np.uint8))
    alpha[280:420, 300:420] = 150
    found = cut_out(with_alpha(alpha, (10, 10, 10))).alpha
    assert found[520:].max() == 0
    assert (found[350, 350], found[250, 250]) == (150, 255)


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (np.full((100, 100), 60, np.uint8), "hides everything"),
        (np.pad(np.full((96, 96), 254, np.uint8), 2, constant_values=250), "hides no background"),
        (np.pad(np.full((2, 2), 255, np.uint8), 99), r"leaves 0\.0% of the picture opaque"),
    ],
)
def test_an_alpha_channel_that_tells_nothing_is_refused(alpha: Array, reason: str) -> None:
    with pytest.raises(CannotCut, match=reason):
        cut_out(with_alpha(alpha))
