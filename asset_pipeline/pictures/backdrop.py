"""A small drawing of an empty place becomes a large backdrop, sharp only where the product stands.

A drawing of 128 pixels has no detail to enlarge. Enlarged smoothly it looks like a place out of focus, as it
is behind a product in a photograph; only the surface at the product's foot must be sharp. Its detail is made
up: noise in the surface's perspective, as strong and as stretched as what the drawing shows there.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from PIL import Image
from scipy import ndimage

from asset_pipeline.pictures.decode import Pixels
from asset_pipeline.pictures.shadow import Floats

Side = Literal["left", "right", "above"]

_HORIZON: Final = (0.52, 0.10)
"""Where a surface's far edge usually is, 0 top to 1 bottom, and how far from there."""
_FAR_EDGE: Final = 2.2
"""How many times more than from a usual row to the next the picture changes at that edge."""
_SIDE_SLOPE: Final = 0.14
"""The change of log luma across half of the picture from which light comes from a side."""
_FAR_BLUR: Final = 1.5
_NEAR_BLUR: Final = 0.45
"""In drawn pixels. Half a pixel hides the grid that any enlargement of so few pixels shows."""
_DEPTH: Final = 0.22
"""Height of the camera over the surface, in picture heights at unit distance: it makes the perspective."""
_ROUGHEST: Final = 0.12
_SMOOTHEST: Final = 0.024
"""Standard deviation of log luma that made-up detail has at most and at least."""
_TILE: Final = 1024
"""The side of the tile of noise that surfaces are strewn with, in cells of two pixels or less."""
_GRAIN: Final = 1.1
"""Standard deviation of the grain, in 8-bit levels, that keeps gradients from showing bands or a gleam."""
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_DARK: Final = 8
"""Added to luma before its logarithm is taken, so that black is no abyss."""


@dataclass(frozen=True)
class Backdrop:
    """An empty place at its final size."""

    colours: Floats
    """Height × width × 3, sRGB as stored, 0 to 255."""
    horizon: float | None
    """Where the surface ends, 0 top to 1 bottom; none where floor and wall are one."""


def covering(drawn: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of a drawing that has the aspect ratio of `size` (width, height)."""
    height, width = drawn.shape[:2]
    scale = min(width / size[0], height / size[1])
    across, down = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    left, top = (width - across) // 2, (height - down) // 2
    return drawn[top : top + down, left : left + across]


def horizon_of(drawn: Pixels) -> float | None:
    """The row, 0 top to 1 bottom, at which most of the picture's width changes at once; none if none does."""
    smooth = np.log(ndimage.gaussian_filter(drawn.astype(np.float32), (0.7, 3, 0)) + 2 * _DARK)
    change = np.median(np.abs(np.diff(smooth, axis=0)).sum(axis=2), axis=1) + 0.01
    rows = np.arange(1, len(drawn)) / len(drawn)
    likely = change * np.exp(-(((rows - _HORIZON[0]) / _HORIZON[1]) ** 2))
    row = int(np.argmax(likely))
    return float(rows[row]) if likely[row] > _FAR_EDGE * np.median(change) else None


def side_of_light(drawn: Pixels) -> Side:
    """Where a drawing's light comes from, by how its luma changes across the lower half."""
    columns = np.log(np.median(drawn[len(drawn) // 2 :].astype(np.float32) @ _LUMA, axis=0) + _DARK)
    slope = float(np.polyfit(np.linspace(-1, 1, len(columns)), columns, 1)[0])
    if abs(slope) < _SIDE_SLOPE:
        return "above"
    return "right" if slope > 0 else "left"


def enlarged(drawn: Pixels, size: tuple[int, int], foot: float, seed: int) -> Backdrop:
    """A drawing at full size, sharp where the product's foot stands and softer the further away.

    Args:
        drawn: the drawing; its middle is shown where its aspect ratio is another one.
        size: width and height of the backdrop.
        foot: the row that is in focus, 0 top to 1 bottom.
        seed: decides grain and texture.
    """
    shown = covering(drawn, size)
    horizon = horizon_of(shown)
    colours = _resized(_blurred(shown, _NEAR_BLUR), size)
    random = np.random.default_rng(seed)
    if horizon is not None:
        far = _resized(_blurred(shown, _FAR_BLUR), size)
        rows = np.asarray((np.arange(size[1]) + 0.5) / size[1], np.float32)[:, None]
        colours = far + (colours - far) * _focus(rows, horizon, foot)[..., None]
        first = min(size[1] - 1, round(horizon * size[1]))
        roughness, stretch = _roughness(shown[round(0.35 * len(shown) + 0.65 * horizon * len(shown)) :])
        texture = _texture(rows[first:], size, (horizon, foot), stretch, random)
        colours[first:] *= np.exp(roughness * texture)[..., None]
    colours += np.float32(_GRAIN) * random.standard_normal((size[1], size[0]), np.float32)[..., None]
    return Backdrop(np.clip(colours, 0, 255), horizon)


def _focus(rows: Floats, horizon: float, foot: float) -> Floats:
    """How sharp each row is, 0 to 1: 1 at the foot, less towards the horizon and a little less in front."""
    distance = 1 / np.clip((rows - horizon) / max(0.05, foot - horizon), 0.02, None)
    return np.asarray(np.exp(-(((distance - 1) / np.where(distance > 1, 0.9, 0.75)) ** 2)), np.float32)


def _roughness(surface: Pixels) -> tuple[float, float]:
    """How strong a surface's detail is, in log luma, and how much longer across than down its marks are."""
    luma = np.log(surface.astype(np.float32) @ _LUMA + _DARK)
    detail = luma - ndimage.gaussian_filter(luma, 2.0)
    usual = 1.48 * float(np.median(np.abs(detail)))  # a vein or a crack is no roughness
    across, down = (float(np.abs(np.diff(luma, axis=axis)).mean()) for axis in (1, 0))
    stretch = float(np.clip(0.7 * down / max(across, 1e-4), 1, 8))  # perspective alone makes 1.4
    return float(np.clip(1.3 * usual, _SMOOTHEST, _ROUGHEST)), stretch


def _texture(
    rows: Floats,
    size: tuple[int, int],
    between: tuple[float, float],
    stretch: float,
    random: np.random.Generator,
) -> Floats:
    """Noise that lies on the surface, where it is in focus; `between` are horizon and foot."""
    horizon, foot = between
    away = _DEPTH / np.clip(rows - horizon, 0.5 / size[1], None)
    columns = ((np.arange(size[0], dtype=np.float32) + 0.5) / size[0] - 0.5)[None, :]
    across = columns * (size[0] / size[1]) * away * 2.2
    # A cell covers not quite two pixels at the foot.
    cells = size[1] * (foot - horizon) ** 2 / (_DEPTH * 1.6)
    shift = random.uniform(0, _TILE, 2)
    at = np.stack(np.broadcast_arrays(away * cells + shift[0], across * cells + shift[1]))
    strewn = ndimage.map_coordinates(_noise(round(stretch)), at, order=1, mode="grid-wrap")
    return np.asarray(strewn * _focus(rows, horizon, foot), np.float32)


@lru_cache(maxsize=8)
def _noise(stretch: int) -> Floats:
    """A tile of noise that repeats without a seam, of mean 0 and deviation 1, its marks longer across."""
    random = np.random.default_rng(stretch)
    down, across = np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :]
    frequency = np.sqrt(down**2 + (across * stretch) ** 2)
    spectrum = np.where(frequency > 0.012, np.maximum(frequency, 1e-3) ** -0.7, 0)  # noqa: PLR2004 - no clouds
    noise = np.fft.irfft2(np.fft.rfft2(random.standard_normal((_TILE, _TILE))) * spectrum, (_TILE, _TILE))
    return np.asarray(noise / noise.std(), np.float32)


def _blurred(drawn: Pixels, sigma: float) -> Floats:
    return np.asarray(
        ndimage.gaussian_filter(drawn.astype(np.float32), (sigma, sigma, 0), mode="nearest"), np.float32
    )


def _resized(colours: Floats, size: tuple[int, int]) -> Floats:
    planes = (Image.fromarray(np.ascontiguousarray(colours[..., channel])) for channel in range(3))
    return np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes], axis=-1)
