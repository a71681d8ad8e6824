"""A cut-out at its final size and place. Pure functions of arrays.

It is laid over whatever is behind it in sRGB as stored, as browsers and image editors do, because that is how
its edges were made.
"""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.decode import Pixels, Plane

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Placed:
    """A cut-out at its final size and place."""

    premultiplied: Pixels
    """Its colours times its alpha."""
    alpha: Plane
    left: int
    top: int
    scale: float
    """Pixels of the picture for each pixel of the photograph."""


def cropped(cutout: Cutout) -> Cutout:
    """The cut-out without its empty margins, and with nothing beyond the last half-opaque pixel's fringe."""
    left, top, right, bottom = bounding_box(cutout.alpha)
    margin = 4
    first = max(0, left - margin), max(0, top - margin)
    rows, columns = slice(first[1], bottom + margin), slice(first[0], right + margin)
    pixels, alpha = cutout.pixels[rows, columns].copy(), cutout.alpha[rows, columns].copy()
    pixels.flags.writeable = alpha.flags.writeable = False
    return replace(cutout, pixels=pixels, alpha=alpha, origin=first)


def bounding_box(alpha: Plane) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (both exclusive) of what is more than half opaque.

    Raises:
        ValueError: nothing is.
    """
    solid = alpha > 127  # noqa: PLR2004
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not len(rows):
        raise ValueError("nothing in this mask is more than half opaque")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def place(cutout: Cutout, box: Box) -> Placed:
    """Fit a cut-out's bounding box into a box (left, top, right, bottom), centred, standing on its bottom."""
    inner = bounding_box(cutout.alpha)
    inner_width, inner_height = inner[2] - inner[0], inner[3] - inner[1]
    scale = min((box[2] - box[0]) / inner_width, (box[3] - box[1]) / inner_height)
    height, width = cutout.alpha.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    premultiplied, alpha = resampled(cutout.pixels, cutout.alpha, size)
    found = bounding_box(alpha)
    left = round((box[0] + box[2]) / 2 - (found[0] + found[2]) / 2)
    top = round(box[3] - found[3])
    return Placed(premultiplied, alpha, left, top, scale)


def resampled(pixels: Pixels, alpha: Plane, size: tuple[int, int]) -> tuple[Pixels, Plane]:
    """Colours times alpha, and alpha, at another size (width, height).

    Resampled once, with Lanczos, on colours premultiplied by alpha so that nothing of the old background
    seeps in. In sRGB as stored: in linear light Lanczos rings visibly beside dark print on light packaging.
    """
    image = Image.fromarray(np.dstack([pixels, alpha])).convert("RGBa")
    resized = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.uint8)
    opacity = np.ascontiguousarray(resized[..., 3])
    # Lanczos overshoots: no colour may be more than its alpha lets through.
    return np.minimum(resized[..., :3], opacity[..., None]), opacity


def composed(canvas: Pixels, placed: Placed) -> tuple[Pixels, Plane]:
    """Lay the cut-out over the canvas, in place; the canvas and the cut-out's mask on it."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    there, here = overlap(canvas.shape, placed)
    alpha = placed.alpha[here]
    mask[there] = alpha
    behind = canvas[there].astype(np.uint16) * (255 - alpha)[..., None] + np.uint16(128)
    behind = (behind + (behind >> np.uint16(8))) >> np.uint16(8)  # rounded division by 255, exact below 2^16
    canvas[there] = np.minimum(behind + placed.premultiplied[here], 255).astype(np.uint8)
    return canvas, mask


def overlap(shape: tuple[int, ...], placed: Placed) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the cut-out lies on a canvas of that shape, and which part of it does."""
    height, width = placed.alpha.shape
    top, left = max(0, placed.top), max(0, placed.left)
    bottom, right = min(shape[0], placed.top + height), min(shape[1], placed.left + width)
    there = slice(top, bottom), slice(left, right)
    here = slice(top - placed.top, bottom - placed.top), slice(left - placed.left, right - placed.left)
    return there, here
