"""A cut-out set before a backdrop: sweep, light, shadows, reflection. Pure functions of arrays.

Light is computed at a reduced size, since nothing in it is sharp, and multiplies the backdrop's colour in
linear light. The cut-out is composed over it in sRGB as stored, as browsers and image editors do, because
that is how its edges were made.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from scipy import ndimage

from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.decode import Pixels, Plane

Floats = npt.NDArray[np.float32]
Colour = tuple[int, int, int]
"""Red, green and blue in sRGB, 0 to 255."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Stage = Literal["floor", "flat"]
"""``floor``: the product stands before a backdrop that sweeps up behind it. ``flat``: it lies on it, seen
from above."""

_LIGHT_SIZE = 512
"""The longer side of the grid that light is computed on."""
_BRIGHTEST = 1.3
"""The most light that falls anywhere, relative to the backdrop's own colour."""
_LEVELS = 8192


@dataclass(frozen=True)
class Scene:
    """Everything around a product."""

    backdrop: Colour
    stage: Stage = "floor"
    light_from: tuple[float, float] = (-0.5, 0.6)
    """Where the key light stands: -1 left to 1 right, and -1 behind the product to 1 before it."""
    hardness: float = 0.3
    """0: a large soft box. 1: a bare lamp."""
    horizon: float = 0.66
    """Where floor turns into wall, 0 top to 1 bottom."""
    pool: tuple[float, float] = (0.5, 0.45)
    """The middle of the light on the backdrop, 0 to 1 from the left and from the top."""
    vignette: float = 0.10
    """How much darker the corners are."""
    reflection: float = 0.0
    """How much of the product the floor mirrors at its foot."""


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
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    pixels, alpha = cutout.pixels[rows, columns].copy(), cutout.alpha[rows, columns].copy()
    pixels.flags.writeable = alpha.flags.writeable = False
    return replace(cutout, pixels=pixels, alpha=alpha)


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
    """Fit a cut-out's bounding box into a box (left, top, right, bottom), centred, standing on its bottom.

    Resampled once, with Lanczos, on colours premultiplied by alpha so that nothing of the old background
    seeps in. In sRGB as stored: in linear light Lanczos rings visibly beside dark print on light packaging.
    """
    inner = bounding_box(cutout.alpha)
    inner_width, inner_height = inner[2] - inner[0], inner[3] - inner[1]
    scale = min((box[2] - box[0]) / inner_width, (box[3] - box[1]) / inner_height)
    height, width = cutout.alpha.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(np.dstack([cutout.pixels, cutout.alpha])).convert("RGBa")
    resized = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.uint8)
    alpha = np.ascontiguousarray(resized[..., 3])
    # Lanczos overshoots: no colour may be more than its alpha lets through.
    premultiplied = np.minimum(resized[..., :3], alpha[..., None])
    found = bounding_box(alpha)
    left = round((box[0] + box[2]) / 2 - (found[0] + found[2]) / 2)
    top = round(box[3] - found[3])
    return Placed(premultiplied, alpha, left, top, scale)


def on_plain(placed: Placed, size: tuple[int, int], colour: Colour) -> tuple[Pixels, Plane]:
    """The cut-out on one flat colour and nothing else, with its mask."""
    width, height = size
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = colour
    return _composed(canvas, placed)


def in_studio(placed: Placed, size: tuple[int, int], scene: Scene) -> tuple[Pixels, Plane]:
    """The cut-out in a scene, with its mask. Outside the mask is only backdrop, shadow and reflection."""
    light = _backdrop_light(size, scene) * _shadow(placed, size, scene)
    canvas = _lit(light, size, scene.backdrop)
    if scene.reflection and scene.stage == "floor":
        _reflect(canvas, placed, scene.reflection)
    return _composed(canvas, _relit(placed, scene))


def _composed(canvas: Pixels, placed: Placed) -> tuple[Pixels, Plane]:
    """Lay the cut-out over the canvas, in place."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    there, here = _overlap(canvas.shape, placed)
    alpha = placed.alpha[here]
    mask[there] = alpha
    behind = canvas[there].astype(np.uint16) * (255 - alpha)[..., None] + np.uint16(128)
    behind = (behind + (behind >> np.uint16(8))) >> np.uint16(8)  # rounded division by 255, exact below 2^16
    canvas[there] = np.minimum(behind + placed.premultiplied[here], 255).astype(np.uint8)
    return canvas, mask


def _overlap(shape: tuple[int, ...], placed: Placed) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the cut-out lies on a canvas of that shape, and which part of it does."""
    height, width = placed.alpha.shape
    top, left = max(0, placed.top), max(0, placed.left)
    bottom, right = min(shape[0], placed.top + height), min(shape[1], placed.left + width)
    there = slice(top, bottom), slice(left, right)
    here = slice(top - placed.top, bottom - placed.top), slice(left - placed.left, right - placed.left)
    return there, here


# --------------------------------------------------------------------------------------------------- light


def _grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Coordinates of the light grid, x and y, 0 to 1 across the picture."""
    width, height = _grid_size(size)
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :]
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _grid_size(size: tuple[int, int]) -> tuple[int, int]:
    factor = min(1.0, _LIGHT_SIZE / max(size))
    return max(8, round(size[0] * factor)), max(8, round(size[1] * factor))


def _backdrop_light(size: tuple[int, int], scene: Scene) -> Floats:
    """How much light falls on the backdrop, 1 where it shows its own colour."""
    x, y = _grid(size)
    aspect = size[0] / size[1]
    from_pool = ((x - scene.pool[0]) * max(1.0, aspect)) ** 2 + ((y - scene.pool[1]) / min(1.0, aspect)) ** 2
    tight = 0.55 - 0.15 * scene.hardness
    light = 0.84 + 0.22 * np.exp(-from_pool / (2 * tight**2))
    if scene.stage == "floor":
        floor = _smoothstep((y - scene.horizon + 0.09) / 0.18)
        near = np.clip((y - scene.horizon) / max(0.05, 1 - scene.horizon), 0, 1)
        light = light * (1 - floor) + (1.04 - 0.10 * near + 0.3 * (light - 0.95)) * floor
        light *= 1 - 0.045 * np.exp(-(((y - scene.horizon) / 0.10) ** 2))
    light *= 1 + (0.05 + 0.05 * scene.hardness) * scene.light_from[0] * (2 * x - 1)
    corners = ((2 * x - 1) ** 2 + (2 * y - 1) ** 2) / 2
    light *= 1 - scene.vignette * corners
    return np.asarray(np.clip(light, 0, _BRIGHTEST), np.float32)


def _lit(light: Floats, size: tuple[int, int], colour: Colour) -> Pixels:
    """A surface of one colour under that light, at full size, dithered so that gradients show no bands."""
    full = np.asarray(Image.fromarray(light).resize(size, Image.Resampling.BICUBIC), np.float32)
    index = np.clip(full * (_LEVELS / _BRIGHTEST), 0, _LEVELS).astype(np.int32)
    levels = np.linspace(0, _BRIGHTEST, _LEVELS + 1)
    noise = _dither(size)
    canvas = np.empty((*full.shape, 3), np.uint8)
    for channel, value in enumerate(colour):
        table = (255 * _encoded(np.clip(_linear(value / 255) * levels, 0, 1))).astype(np.float32)
        canvas[..., channel] = (table[index] + noise).astype(np.uint8)
    return canvas


def _dither(size: tuple[int, int]) -> Floats:
    """Interleaved gradient noise, 0 to just below 1 (Jimenez, Next Generation Post Processing, 2014)."""
    x = np.arange(size[0], dtype=np.float64)[None, :]
    y = np.arange(size[1], dtype=np.float64)[:, None]
    return np.asarray(0.999 * ((52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1), np.float32)


def _linear(value: float) -> float:
    """An sRGB value, 0 to 1, in linear light (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def _encoded(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Linear light, 0 to 1, as sRGB values (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # noqa: PLR2004


def _relit(placed: Placed, scene: Scene) -> Placed:
    """The cut-out a few percent lighter towards the key light and darker away from it."""
    height, width = placed.alpha.shape
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(scene.light_from[0])
    down = np.linspace(1, -1, height, dtype=np.float32)[:, None] * np.float32(0.5)
    gain = 1 + np.float32(0.03) * (across + down)
    lit = np.round(placed.premultiplied * gain[..., None])
    return replace(placed, premultiplied=np.minimum(lit, placed.alpha[..., None]).astype(np.uint8))


def _reflect(canvas: Pixels, placed: Placed, strength: float) -> None:
    """Mirror the cut-out at its foot into the canvas, fading with depth, in place."""
    foot = bounding_box(placed.alpha)[3]
    depth = max(1, round(0.45 * foot))
    layer = np.dstack([placed.premultiplied, placed.alpha])[max(0, foot - depth) : foot][::-1]
    blurred = Image.fromarray(layer).filter(ImageFilter.GaussianBlur(0.004 * foot))
    fade = strength * np.linspace(1, 0, len(layer), dtype=np.float32)[:, None, None] ** 1.6
    faded = np.round(np.asarray(blurred, np.float32) * fade).astype(np.uint8)
    alpha = np.ascontiguousarray(faded[..., 3])
    colours = np.minimum(faded[..., :3], alpha[..., None])
    _composed(canvas, replace(placed, premultiplied=colours, alpha=alpha, top=placed.top + foot))


# -------------------------------------------------------------------------------------------------- shadow


def _shadow(placed: Placed, size: tuple[int, int], scene: Scene) -> Floats:
    """The share of light that the product lets through to the backdrop, on the light grid."""
    mask, box = _mask_on_grid(placed, size)
    unit = float(max(box[2] - box[0], box[3] - box[1]))
    if scene.stage == "flat":
        return _shadow_below(mask, unit, scene)
    return _shadow_on_floor(mask, box, unit, scene)


def _shadow_below(mask: Floats, unit: float, scene: Scene) -> Floats:
    """The shadow of something that lies on the backdrop: close and dark, and a wide soft one."""
    right, down = -scene.light_from[0], 0.6 + 0.4 * scene.light_from[1]
    soft = 1.3 - 0.8 * scene.hardness
    close = _blurred(_shifted(mask, 0.010 * unit * right, 0.012 * unit * down), 0.007 * unit)
    far = _blurred(_shifted(mask, 0.045 * unit * right, 0.045 * unit * down), 0.034 * unit * soft)
    return np.asarray((1 - 0.45 * close) * (1 - (0.38 + 0.17 * scene.hardness) * far), np.float32)


def _shadow_on_floor(mask: Floats, box: Box, unit: float, scene: Scene) -> Floats:
    """Contact, ambient and cast shadow of something that stands on the floor."""
    foot, tall = box[3], box[3] - box[1]
    rows = np.arange(mask.shape[0], dtype=np.float32)[:, None]

    near_foot = _smoothstep((rows - (foot - 0.20 * tall)) / (0.20 * tall))
    contact = _blurred(_shifted(mask, 0, 0.016 * unit), 0.007 * unit) * near_foot
    ambient = _blurred(_shifted(_laid_down(mask, foot, 0.0, 0.10), 0, 0.012 * unit), 0.030 * unit)

    sideways = -0.75 * scene.light_from[0]
    backwards = 0.26 * (1 if scene.light_from[1] >= 0 else -1) * (0.6 + 0.4 * abs(scene.light_from[1]))
    lying = _laid_down(mask, foot, sideways, backwards)
    away = np.clip((foot - rows) / (backwards * tall), 0, 1)
    soft = 1.35 - 0.9 * scene.hardness
    cast = (1 - away) * _blurred(lying, 0.016 * unit * soft) + away * _blurred(lying, 0.050 * unit * soft)
    cast *= 1 - 0.65 * away
    darkness = 0.30 + 0.22 * scene.hardness
    return np.asarray((1 - 0.55 * contact) * (1 - 0.42 * ambient) * (1 - darkness * cast), np.float32)


def _mask_on_grid(placed: Placed, size: tuple[int, int]) -> tuple[Floats, Box]:
    """The product's mask and its bounding box, on the light grid."""
    width, height = _grid_size(size)
    factors = width / size[0], height / size[1]
    full = np.zeros((size[1], size[0]), np.uint8)
    there, here = _overlap(full.shape, placed)
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


def _smoothstep(value: Floats) -> Floats:
    clipped = np.clip(value, 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)
