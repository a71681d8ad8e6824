"""How an original becomes a channel's picture: where it is cut, how it is scaled, what fills the rest."""

from dataclasses import dataclass

import numpy as np
import PIL
from PIL import Image, features

from asset_pipeline.exports.channel import QUALITY_FLOOR, Channel
from asset_pipeline.pictures.decode import Pixels, Plane
from asset_pipeline.pictures.encode import jpeg, png, webp

DERIVATIVE_VERSION = (
    f"1 pillow={PIL.__version__} jpeg={features.version('jpg')} webp={features.version('webp')}"
)
"""What, beside the picture and the channel, decides a file's bytes: this module and the codecs."""
MAX_ENLARGEMENT = 2.0
"""Lanczos interpolation beyond twice the size shows as blur; what is still missing is filled instead."""
PRODUCT_MARGIN = 0.04
"""Room kept around a product that fills the frame, as a share of its longer side."""
QUALITY_STEP = 5
_IS_PRODUCT = 127
_BORDER_SHARE = 0.01
_ROUNDING = 1e-6

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the original; right and bottom lie outside."""


@dataclass(frozen=True)
class Framing:
    """Which part of an original is shown, how large, and where in the channel's frame."""

    shown: Box
    size: tuple[int, int]
    """Width and height of the result."""
    place: tuple[int, int, int, int]
    """Where in the result the shown part goes: left, top, width, height; the rest is filled."""
    scale: float
    """Pixels of the result for each pixel of the original."""
    reasons: tuple[str, ...]
    """Why it is not what the channel asks for, if it is not."""


@dataclass(frozen=True)
class Derived:
    """A channel's picture and what a person should know about it."""

    pixels: Pixels
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Encoded:
    """A channel's file, or the reason there is none."""

    data: bytes | None
    reason: str | None = None
    """With data: why it is coarser than the channel asks for. Without: why there is no file."""


def derive(pixels: Pixels, channel: Channel, mask: Plane | None = None) -> Derived:
    """The picture in the channel's shape.

    Args:
        pixels: the original, height × width × 3, sRGB.
        channel: the shape.
        mask: where the product is, height × width, 0 to 255; without one, a crop keeps the middle.
    """
    height, width = pixels.shape[:2]
    framing = frame(width, height, channel, None if mask is None else product_box(mask))
    left, top, shown_width, shown_height = framing.place
    scaled = Image.fromarray(pixels).resize(
        (shown_width, shown_height), Image.Resampling.LANCZOS, box=framing.shown
    )
    if (shown_width, shown_height) == framing.size:
        return Derived(np.array(scaled, np.uint8), framing.reasons)
    colour = border_colour(pixels) if channel.background == "auto" else channel.background
    canvas = Image.new("RGB", framing.size, colour)
    canvas.paste(scaled, (left, top))
    return Derived(np.array(canvas, np.uint8), framing.reasons)


def encode(pixels: Pixels, channel: Channel) -> Encoded:
    """The channel's file, as coarse as its limit of bytes makes necessary but not below the floor."""
    limit = channel.max_bytes
    if channel.quality is None:
        data = png(pixels)
        if limit is None or len(data) <= limit:
            return Encoded(data)
        return Encoded(None, f"{len(data)} bytes as PNG, more than {limit}")
    encoder = jpeg if channel.format == "jpeg" else webp
    for quality in [*range(channel.quality, QUALITY_FLOOR, -QUALITY_STEP), QUALITY_FLOOR]:
        data = encoder(pixels, quality)
        if limit is None or len(data) <= limit:
            lowered = f"quality {quality} instead of {channel.quality} to stay within {limit} bytes"
            return Encoded(data, None if quality == channel.quality else lowered)
    return Encoded(None, f"{len(data)} bytes even at quality {QUALITY_FLOOR}, more than {limit}")


def frame(width: int, height: int, channel: Channel, product: Box | None = None) -> Framing:
    """Decide what of a picture is shown in a channel, and how large.

    Args:
        width: of the original.
        height: of the original.
        channel: the shape.
        product: the part of the original that a crop has to keep.
    """
    whole = min(channel.width / width, channel.height / height)
    if channel.fit == "contain":
        scale = min(whole, 1.0)
        size = _scaled(width, channel.width, scale), _scaled(height, channel.height, scale)
        return Framing((0.0, 0.0, width, height), size, (0, 0, *size), scale, ())
    scale, reasons = whole, []
    if channel.fit == "crop":
        scale = max(channel.width / width, channel.height / height)
        if product is not None and _largest_scale(channel, product) < scale:
            scale = _largest_scale(channel, _with_room(product, width, height))
            reasons.append("the product does not fit a full crop; the sides are filled")
    if scale > MAX_ENLARGEMENT:
        reasons.append(
            f"the original is {width} × {height}; it would have to be enlarged {scale:.1f} times, "
            f"it is enlarged {MAX_ENLARGEMENT:g} times and the rest is filled"
        )
        scale = MAX_ENLARGEMENT
    centre = (0.0, 0.0, width, height) if product is None else product
    across = _along(width, channel.width, scale, (centre[0] + centre[2]) / 2)
    down = _along(height, channel.height, scale, (centre[1] + centre[3]) / 2)
    return Framing(
        shown=(across.start, down.start, across.stop, down.stop),
        size=(channel.width, channel.height),
        place=(across.place, down.place, across.length, down.length),
        scale=scale,
        reasons=tuple(reasons),
    )


def product_box(mask: Plane) -> Box | None:
    """The product's bounding box; none in an empty mask."""
    is_product = mask > _IS_PRODUCT
    columns, rows = np.flatnonzero(is_product.any(axis=0)), np.flatnonzero(is_product.any(axis=1))
    if not columns.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def border_colour(pixels: Pixels) -> tuple[int, int, int]:
    """The median sRGB colour along the picture's four edges."""
    depth = max(1, round(_BORDER_SHARE * min(pixels.shape[:2])))
    sides = pixels[:depth], pixels[-depth:], pixels[:, :depth], pixels[:, -depth:]
    red, green, blue = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0)
    return int(red), int(green), int(blue)


@dataclass(frozen=True)
class _Along:
    """A framing along one axis."""

    start: float
    stop: float
    place: int
    length: int


def _largest_scale(channel: Channel, part: Box) -> float:
    """The scale at which a part of the picture just fits the frame."""
    left, top, right, bottom = part
    return min(channel.width / (right - left), channel.height / (bottom - top))


def _with_room(product: Box, width: int, height: int) -> Box:
    """The product with a margin, as far as the picture has one."""
    left, top, right, bottom = product
    room = PRODUCT_MARGIN * max(right - left, bottom - top)
    return max(0.0, left - room), max(0.0, top - room), min(width, right + room), min(height, bottom + room)


def _along(length: int, frame_length: int, scale: float, centre: float) -> _Along:
    """All of the axis, centred, where it is shorter than the frame; otherwise a window around `centre`."""
    window = frame_length / scale
    if window > length - _ROUNDING:
        shown = _scaled(length, frame_length, scale)
        return _Along(0.0, float(length), (frame_length - shown) // 2, shown)
    start = min(max(0.0, centre - window / 2), length - window)
    return _Along(start, min(start + window, float(length)), 0, frame_length)


def _scaled(length: int, frame_length: int, scale: float) -> int:
    return min(max(1, round(length * scale)), frame_length)
