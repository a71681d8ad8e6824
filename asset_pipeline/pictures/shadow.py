"""The shadows of a product that stands or lies on something, on a reduced grid: none of their edges is sharp.

A shadow is the share of light that the product lets through to what is around it, 0 to 1, in linear light.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from asset_pipeline.pictures.placing import Box, Placed, bounding_box, overlap

Floats = npt.NDArray[np.float32]

_GRID = 512
"""The longer side of the grid that light is computed on."""


def grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Coordinates of the light grid, x and y, 0 to 1 across a picture of that size (width, height)."""
    width, height = _grid_size(size)
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :]
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def below(placed: Placed, size: tuple[int, int], light_from: tuple[float, float], hardness: float) -> Floats:
    """The shadow of something that lies on the backdrop: close and dark, and a wide soft one.

    Args:
        placed: what casts it.
        size: the picture's width and height.
        light_from: where the key light stands: -1 left to 1 right, and -1 behind to 1 before the product.
        hardness: 0 for a large soft box, 1 for a bare lamp.
    """
    mask, box = _mask_on_grid(placed, size)
    unit = _unit(box)
    right, down = -light_from[0], 0.6 + 0.4 * light_from[1]
    soft = 1.3 - 0.8 * hardness
    close = _blurred(_shifted(mask, 0.010 * unit * right, 0.012 * unit * down), 0.007 * unit)
    far = _blurred(_shifted(mask, 0.045 * unit * right, 0.045 * unit * down), 0.034 * unit * soft)
    return np.asarray((1 - 0.45 * close) * (1 - (0.38 + 0.17 * hardness) * far), np.float32)


def on_floor(
    placed: Placed, size: tuple[int, int], light_from: tuple[float, float], hardness: float
) -> Floats:
    """Contact, ambient and cast shadow of something that stands on the floor. Arguments as of ``below``."""
    mask, box = _mask_on_grid(placed, size)
    unit = _unit(box)
    foot, tall = box[3], box[3] - box[1]
    rows = np.arange(mask.shape[0], dtype=np.float32)[:, None]

    near_foot = smoothstep((rows - (foot - 0.20 * tall)) / (0.20 * tall))
    contact = _blurred(_shifted(mask, 0, 0.016 * unit), 0.007 * unit) * near_foot
    ambient = _blurred(_shifted(_laid_down(mask, foot, 0.0, 0.10), 0, 0.012 * unit), 0.030 * unit)

    sideways = -0.75 * light_from[0]
    backwards = 0.26 * (1 if light_from[1] >= 0 else -1) * (0.6 + 0.4 * abs(light_from[1]))
    lying = _laid_down(mask, foot, sideways, backwards)
    away = np.clip((foot - rows) / (backwards * tall), 0, 1)
    soft = 1.35 - 0.9 * hardness
    cast = (1 - away) * _blurred(lying, 0.016 * unit * soft) + away * _blurred(lying, 0.050 * unit * soft)
    cast *= 1 - 0.65 * away
    darkness = 0.30 + 0.22 * hardness
    return np.asarray((1 - 0.55 * contact) * (1 - 0.42 * ambient) * (1 - darkness * cast), np.float32)


def on_ground(placed: Placed, size: tuple[int, int], light_across: float, hardness: float) -> Floats:
    """The shadow of something that stands on a surface seen at a low angle.

    Close to what touches the ground it follows the product's own lower outline, so that a box that shows an
    edge stands on both of its sides. The cast shadow is the outline laid down and drawn out over the depth of
    what touches the ground, since a product is no cardboard figure.

    Args:
        placed: what casts it.
        size: the picture's width and height.
        light_across: where the light stands, -1 left to 1 right.
        hardness: 0 for a large window, 1 for the bare sun.
    """
    mask, box = _mask_on_grid(placed, size)
    unit, foot, tall = _unit(box), box[3], box[3] - box[1]
    rows = np.arange(mask.shape[0], dtype=np.float32)[:, None]
    solid = mask > 0.5  # noqa: PLR2004
    lowest = np.where(solid.any(axis=0), len(mask) - np.argmax(solid[::-1], axis=0), 0).astype(np.float32)
    touching = smoothstep(1.4 - (foot - lowest) / (0.14 * unit))
    under = np.where(rows > lowest, rows - lowest, 1.5 * (lowest - rows))
    close = _blurred(touching * np.exp(-under / (0.010 * unit)), 0.005 * unit)
    near = _blurred(touching * np.exp(-under / (0.05 * unit)), 0.028 * unit)

    depth = float(np.clip(1.5 * np.average(foot - lowest, weights=touching + 1e-6), 0.03 * unit, 0.16 * unit))
    overhead = _blurred(_shifted(_laid_down(mask, foot, 0.0, 0.16), 0, -0.4 * depth), 0.035 * unit)
    sideways, backwards = -1.05 * light_across, 0.17
    laid = _laid_down(mask, foot, sideways, backwards)
    lying = np.max([_shifted(laid, 0, -share * depth) for share in (0.1, 0.4, 0.7, 1.0)], axis=0)
    away = np.clip((foot - 0.5 * depth - rows) / (backwards * tall), 0, 1)
    soft = 1.5 - hardness
    cast = (1 - away) * _blurred(lying, 0.012 * unit * soft) + away * _blurred(lying, 0.045 * unit * soft)
    cast *= 1 - 0.6 * away
    darkness = 0.60 + 0.25 * hardness
    ambient = (1 - 0.80 * close) * (1 - 0.50 * near) * (1 - 0.45 * overhead)
    return np.asarray(ambient * (1 - darkness * cast), np.float32)


def smoothstep(value: Floats) -> Floats:
    """0 below 0, 1 above 1, and a smooth way between them."""
    clipped = np.clip(value, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)


def _grid_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, _GRID / max(size))
    return max(8, round(size[0] * factor)), max(8, round(size[1] * factor))


def _unit(box: Box) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _mask_on_grid(placed: Placed, size: tuple[int, int]) -> tuple[Floats, Box]:
    """The product's mask and its bounding box, on the light grid."""
    width, height = _grid_size(size)
    factors = width / size[0], height / size[1]
    full = np.zeros((size[1], size[0]), np.uint8)
    there, here = overlap(full.shape, placed)
    full[there] = placed.alpha[here]
    small = Image.fromarray(full).resize((width, height), Image.Resampling.BOX)
    left, top, right, bottom = bounding_box(placed.alpha)
    box = (
        (placed.left + left) * factors[0],
        (placed.top + top) * factors[1],
        (placed.left + right) * factors[0],
        (placed.top + bottom) * factors[1],
    )
    return np.asarray(np.asarray(small, np.float32) / 255, np.float32), box


def _laid_down(mask: Floats, foot: float, sideways: float, backwards: float) -> Floats:
    """A standing mask laid on the floor: a point of height h goes to (x + sideways h, foot - backwards h)."""
    lean = sideways / backwards
    coefficients = (1, lean, -lean * foot, 0, 1 / backwards, foot * (1 - 1 / backwards))
    image = Image.fromarray(mask)
    lying = image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(lying, np.float32)


def _shifted(mask: Floats, right: float, down: float) -> Floats:
    return np.asarray(ndimage.shift(mask, (down, right), order=1), np.float32)


def _blurred(mask: Floats, sigma: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(mask, sigma, truncate=2.5), np.float32)
