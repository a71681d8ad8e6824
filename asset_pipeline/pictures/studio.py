"""A cut-out set before a backdrop: sweep, light, shadows, reflection. Pure functions of arrays.

Light is computed at a reduced size, since nothing in it is sharp, and multiplies the backdrop's colour in
linear light.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from asset_pipeline.pictures.decode import Pixels, Plane
from asset_pipeline.pictures.placing import Placed, bounding_box, composed
from asset_pipeline.pictures.shadow import Floats, below, grid, on_floor, smoothstep

Colour = tuple[int, int, int]
"""Red, green and blue in sRGB, 0 to 255."""
Stage = Literal["floor", "flat"]
"""``floor``: the product stands before a backdrop that sweeps up behind it. ``flat``: it lies on it, seen
from above."""

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


def on_plain(placed: Placed, size: tuple[int, int], colour: Colour) -> tuple[Pixels, Plane]:
    """The cut-out on one flat colour and nothing else, with its mask."""
    width, height = size
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = colour
    return composed(canvas, placed)


def in_studio(placed: Placed, size: tuple[int, int], scene: Scene) -> tuple[Pixels, Plane]:
    """The cut-out in a scene, with its mask. Outside the mask is only backdrop, shadow and reflection."""
    shadow = below if scene.stage == "flat" else on_floor
    light = _backdrop_light(size, scene) * shadow(placed, size, scene.light_from, scene.hardness)
    canvas = _lit(light, size, scene.backdrop)
    if scene.reflection and scene.stage == "floor":
        _reflect(canvas, placed, scene.reflection)
    return composed(canvas, _relit(placed, scene))


# --------------------------------------------------------------------------------------------------- light


def _backdrop_light(size: tuple[int, int], scene: Scene) -> Floats:
    """How much light falls on the backdrop, 1 where it shows its own colour."""
    x, y = grid(size)
    aspect = size[0] / size[1]
    from_pool = ((x - scene.pool[0]) * max(1.0, aspect)) ** 2 + ((y - scene.pool[1]) / min(1.0, aspect)) ** 2
    tight = 0.55 - 0.15 * scene.hardness
    light = 0.84 + 0.22 * np.exp(-from_pool / (2 * tight**2))
    if scene.stage == "floor":
        floor = smoothstep((y - scene.horizon + 0.09) / 0.18)
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
    composed(canvas, replace(placed, premultiplied=colours, alpha=alpha, top=placed.top + foot))
