"""A product's own pixels in a place that was drawn for it: shadows, light, edges. Pure functions of arrays.

The promise of this module, product lock: where ``locked`` says so, no channel of any pixel of the product
differs from its photograph, resampled to its place, by more than ``LOCKED_LEVELS``, nor all of them on
average by more than ``LOCKED_MEAN_LEVELS``. What the scene's light does to the product is kept within that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from asset_pipeline.pictures.backdrop import Backdrop, Side
from asset_pipeline.pictures.decode import Pixels, Plane
from asset_pipeline.pictures.placing import Placed, overlap
from asset_pipeline.pictures.shadow import Floats, on_ground

LOCKED_LEVELS: Final = 12
"""The most that a channel of a locked pixel differs from the photograph, in 8-bit levels."""
LOCKED_MEAN_LEVELS: Final = 6
"""The most that the locked channels differ from it on average, in 8-bit levels."""
EDGE_BAND: Final = 6
"""Pixels from the product's edge inwards that take on the scene's colour, and are not locked."""

Temperature = Literal["warm", "neutral", "cool"]

TEMPERATURES: Mapping[Temperature, tuple[float, float, float]] = {
    "warm": (1.11, 0.98, 0.80),
    "neutral": (1.0, 1.0, 1.0),
    "cool": (0.91, 1.0, 1.12),
}
"""What light of a stated temperature does to the product's red, green and blue, in linear light."""

_ADAPTED: Final = 0.12
"""The power of the scene's own colour cast that the product's light gets: a camera adapts to the rest."""
_USUAL_LUMA: Final = 0.45
"""The median luma of a scene in which a product photograph looks exposed as it should be."""
_DARKEST: Final = 0.86
"""The least light on a product; more than the photograph's own is never added: white would burn out."""
_SPILL: Final = 0.35
"""The share of the scene's colour that the product's outermost pixels take on."""
_GAMMA: Final = 1 / 2.2
"""Between linear light and stored values; close enough to sRGB's own curve for shifts of a few levels."""


@dataclass(frozen=True)
class Light:
    """What the scene's light does to the product, and where it comes from."""

    side: Side
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Red, green and blue, in linear light, before they are kept within what is promised."""
    hardness: float = 0.4
    """0: a large window. 1: the bare sun."""

    @property
    def across(self) -> float:
        """Where it stands: -1 left to 1 right."""
        return {"left": -0.8, "right": 0.8, "above": 0.0}[self.side]


def gain_of(drawn: Pixels, temperature: Temperature | None) -> tuple[float, float, float]:
    """What a drawn place's light does to a product: its brightness, and its colour unless that is stated."""
    stored = drawn.astype(np.float32) / 255
    mean = (stored ** (1 / _GAMMA)).mean(axis=(0, 1)) + 1e-3
    cast = (mean / mean.mean()) ** _ADAPTED if temperature is None else np.array(TEMPERATURES[temperature])
    luma = float(np.median(stored @ np.array([0.299, 0.587, 0.114], np.float32)))
    exposure = np.clip((luma / _USUAL_LUMA + 1e-3) ** _ADAPTED, _DARKEST, 1)
    red, green, blue = (round(float(value), 4) for value in cast * exposure)
    return red, green, blue


def locked(alpha: Plane) -> npt.NDArray[np.bool_]:
    """Which pixels of a placed product are promised: opaque, and deeper inside than the edge band."""
    depth = ndimage.distance_transform_edt(np.pad(alpha == 255, 1))  # noqa: PLR2004
    return np.asarray(depth[1:-1, 1:-1] > EDGE_BAND, np.bool_)


def departure(pixels: Pixels, placed: Placed, among: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """By how many 8-bit levels a picture differs from a product placed in it: the most, and on average.

    Args:
        pixels: the picture.
        placed: the product as its photograph shows it.
        among: which of the placed product's pixels count; at least one of them lies in the picture.
    """
    there, here = overlap(pixels.shape, placed)
    levels = np.abs(pixels[there].astype(np.int16) - placed.premultiplied[here])[among[here]]
    return float(levels.max()), float(levels.mean())


def in_scene(placed: Placed, backdrop: Backdrop, light: Light) -> tuple[Pixels, Plane]:
    """The product on a backdrop's surface, with its mask; it throws its shadow away from the light."""
    height, width = backdrop.colours.shape[:2]
    size = width, height
    through = Image.fromarray(on_ground(placed, size, light.across, light.hardness))
    full = np.clip(np.asarray(through.resize(size, Image.Resampling.BICUBIC), np.float32), 0, 1)
    return _composed(placed, backdrop.colours * full[..., None] ** np.float32(_GAMMA), light)


def put_back(placed: Placed, painted: Pixels) -> tuple[Pixels, Plane]:
    """The product's own pixels over a picture that was painted around it, with its mask; no light added."""
    return _composed(placed, painted.astype(np.float32), None)


def _composed(placed: Placed, canvas: Floats, light: Light | None) -> tuple[Pixels, Plane]:
    there, here = overlap(canvas.shape, placed)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    mask[there] = placed.alpha[here]
    opacity = placed.alpha.astype(np.float32)[..., None] / 255
    own = np.asarray(placed.premultiplied / np.maximum(opacity, 1 / 255), np.float32)
    if light is not None:
        own = own + _shift(own, placed.alpha, light)
    own, opacity = own[here], opacity[here]
    own = own + _spill(placed.alpha)[here] * (_softened(canvas[there]) - own)
    canvas[there] = canvas[there] * (1 - opacity) + own * opacity
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8), mask


def _shift(own: Floats, alpha: Plane, light: Light) -> Floats:
    """What the light does to the product's colours, in levels, within the promise.

    Besides the gain: a few percent lighter towards the light, and darker at the foot, where light is scarce.
    """
    height, width = alpha.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    form = 1 + 0.045 * light.across * x - 0.02 * y - 0.05 * np.clip(4 * y - 3, 0, 1)
    gain = np.array(light.gain, np.float32) ** np.float32(_GAMMA) * form
    most = LOCKED_LEVELS - 1  # rounding takes the rest
    shift = most * np.tanh(own * (gain - 1) / most)
    lock = locked(alpha)
    mean = float(np.abs(shift[lock]).mean()) if lock.any() else 0.0
    return np.asarray(shift * min(1.0, (LOCKED_MEAN_LEVELS - 0.5) / max(mean, 1e-6)), np.float32)


def _spill(alpha: Plane) -> Floats:
    """How much of what is around it each pixel of the product takes on: 0 inside of the edge band."""
    depth = ndimage.distance_transform_edt(np.pad(alpha > 127, 1))[1:-1, 1:-1]  # noqa: PLR2004
    return np.asarray(_SPILL * np.clip(1 - depth / EDGE_BAND, 0, 1)[..., None], np.float32)


def _softened(canvas: Floats) -> Floats:
    return np.asarray(ndimage.gaussian_filter(canvas, (10, 10, 0), mode="nearest", truncate=2.5), np.float32)
