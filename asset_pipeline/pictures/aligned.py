"""A product in a picture, registered with its photograph, and how alike the two are place by place.

Both are brought to a standard size: by the centre of the product's mask and the spread around it, which no
turning or mirroring changes. A search over turns finds where to begin, and Gauss-Newton steps on position,
turn and size (the inverse compositional algorithm of Baker and Matthews, IJCV 56, 2004) do the rest. What is
compared is fine structure (print, edges, parts) and the outline: large soft shades are taken away, since
light makes them. Pure functions of arrays: the same numbers whatever is computed beside them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from asset_pipeline.pictures.decode import Pixels, Plane
from asset_pipeline.pictures.placing import bounding_box

Floats = npt.NDArray[np.float32]

SIDE: Final = 192
"""Width and height of a product at its standard size, in pixels: enough to see the lines of a label, not its
letters' serifs, and few enough to compare eight orientations in tens of milliseconds."""
SPREAD: Final = 0.23
"""The root mean square distance of the product's pixels from their centre, as a share of ``SIDE``: a bar of
any width then fits the frame, its ends at most 0.4 from the middle."""
LEAST_SPREAD: Final = 8.0
"""The least such distance in the picture itself, in pixels, below which there is no structure to compare; a
square of 20 pixels has it."""
OUTLINE: Final = 64.0
"""What the step from ground to product weighs, in grey levels: the outline counts whatever its colour."""
TURNS: Final = (-24, -16, -8, 0, 8, 16, 24)
"""The turns, in degrees, that a registration begins with."""
STEPS: Final = 15
"""Gauss-Newton steps at most; from a turn within four degrees about eight suffice."""
SETTLED: Final = 0.02
"""A step that moves no corner of the product by more than this many pixels is the last."""
GROUND: Final = 4.0
"""How far, in pixels of the standard size, the colours at the product's edge reach over the ground around it,
so that its edge is in the outline alone: what light does to an edge is not its shape."""
SHADE: Final = 6.0
"""The blur, as above, of the shades that are taken away. With it a vase and its mirror image are alike to
0.87 on average; without, to 0.46, since the light comes from one side."""
THIN: Final = 0.02
"""Added to the blurred mask, that nothing is divided by what is nearly nothing."""
WINDOW: Final = 9
"""The window of local structure, in pixels of the standard size."""
PART: Final = 25
"""The width of a part of the product that is judged as one, in pixels of the standard size: about a word of a
label. Windows of 17 and 33 separate planted defects from faithful pictures less well."""
LEAST_OF_A_PART: Final = 0.3
"""The share of such a window that has to be product."""
SAME: Final = 0.5
"""The likeness of the worst part from which a person takes two pictures of a product for the same."""
FAINT: Final = (0.03 * 255) ** 2
"""The variance, in squared grey levels, up to which a difference hardly counts: SSIM's constant C2."""

STATES: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "upright": lambda layers: layers,
    "mirrored": lambda layers: layers[:, ::-1],
    "upside down": lambda layers: layers[::-1, ::-1],
    "flipped top to bottom": lambda layers: layers[::-1],
    "turned left": np.rot90,
    "turned right": lambda layers: np.rot90(layers, 3),
    "mirrored and turned left": lambda layers: np.rot90(layers[:, ::-1]),
    "mirrored and turned right": lambda layers: np.rot90(layers[:, ::-1], 3),
}
"""What can have become of an upright product without changing its shape: the eight elements of D4."""


@dataclass(frozen=True)
class Standard:
    """A product at its standard size, in the middle, on a ground of its own mean colour."""

    layers: Floats
    """``SIDE`` × ``SIDE`` × 4: red, green and blue less their means, and the outline, in grey levels."""

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Where the product is."""
        return np.asarray(self.layers[..., 3] > OUTLINE / 2, np.bool_)

    @cached_property
    def _half(self) -> Floats:
        return _reduced(self.layers, 2)

    @cached_property
    def _quarter(self) -> Floats:
        return _reduced(self.layers, 4)

    @cached_property
    def _slopes(self) -> tuple[Floats, npt.NDArray[np.float64]]:
        """What small changes of size, turn and place do to the half-size layers, and the inverse of J Jᵀ."""
        down, right = np.gradient(self._half, axis=(0, 1))
        side = self._half.shape[0]
        y, x = (np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2)[..., None]
        changes = np.stack([right * x + down * y, down * x - right * y, right, down]).reshape(4, -1)
        normal = changes.astype(np.float64) @ changes.T
        return np.asarray(changes, np.float32), np.linalg.pinv(normal)


@dataclass(frozen=True)
class Registered:
    """A photograph, in one of its states, laid over a picture."""

    layers: Floats
    """The photograph's layers where the picture has its product."""
    likeness: Floats
    """The local likeness of the two, ``SIDE`` × ``SIDE``; see ``likeness``."""
    fit: float
    """The mean likeness over the product, of picture or photograph."""
    worst: float
    """The mean likeness of the part of the product that is least alike."""
    worst_at: tuple[float, float]
    """Where that part is: across and down the product's standard frame, 0 to 1."""


def standard(pixels: Pixels, mask: Plane) -> Standard | None:
    """A product at its standard size; none if the mask is of another size, empty, or the product too small.

    Args:
        pixels: height × width × 3, sRGB.
        mask: how much of each pixel is the product, height × width.
    """
    if mask.shape != pixels.shape[:2] or not np.any(mask > 127):  # noqa: PLR2004
        return None
    left, top, right, bottom = bounding_box(mask)
    alpha = np.ascontiguousarray(mask[top:bottom, left:right])
    centre, spread = _centre_and_spread(alpha)
    if spread < LEAST_SPREAD:
        return None
    opaque = cv2.merge([alpha, alpha, alpha])
    colours = cv2.multiply(np.ascontiguousarray(pixels[top:bottom, left:right]), opaque, scale=1 / 255)
    product = np.asarray(cv2.merge([colours, alpha]), np.uint8)
    scale = SPREAD * SIDE / spread
    height, width = alpha.shape
    across = down = scale
    if scale < 1:  # averages what the coarser grid cannot show; then only whole-pixel sizes are to be had
        size = max(1, round(width * scale)), max(1, round(height * scale))
        product = np.asarray(cv2.resize(product, size, interpolation=cv2.INTER_AREA), np.uint8)
        across, down = size[0] / width, size[1] / height
    # A pixel's middle lies at +0.5 in both grids.
    middle = SIDE / 2
    rest = scale / across, scale / down
    shift = np.array(
        [
            [rest[0], 0, middle - centre[0] * scale + rest[0] / 2 - 0.5],
            [0, rest[1], middle - centre[1] * scale + rest[1] / 2 - 0.5],
        ]
    )
    framed = np.asarray(cv2.warpAffine(product.astype(np.float32), shift, (SIDE, SIDE)), np.float32)
    alphas = np.asarray(framed[..., 3:] / 255, np.float32)
    mean = framed[..., :3].sum(axis=(0, 1)) / max(float(alphas.sum()), 1.0)
    colours = (framed[..., :3] - mean * alphas).astype(np.float32)
    ground = _blurred(colours, GROUND) / (_blurred(alphas[..., 0], GROUND) + THIN)[..., None]
    filled = np.asarray(colours + (1 - alphas) * ground, np.float32)
    fine = filled - _blurred(filled, SHADE)
    return Standard(np.concatenate([fine, OUTLINE * alphas], axis=2, dtype=np.float32))


def registered(picture: Standard, photograph: Standard, state: str = "upright") -> Registered:
    """The photograph, in a state, laid over the picture as well as position, turn and size can.

    Args:
        picture: the product in the picture.
        photograph: the product in its photograph.
        state: one of ``STATES``.
    """
    become = STATES[state]
    matrix = _begun(picture, become(photograph._quarter))  # noqa: SLF001
    matrix = _settled(picture, np.ascontiguousarray(become(photograph._half)), matrix)  # noqa: SLF001
    layers = _warped(np.ascontiguousarray(become(photograph.layers)), matrix, SIDE)
    alike = likeness(picture.layers, layers)
    product = picture.inside | (layers[..., 3] > OUTLINE / 2)
    share = _mean_around(product.astype(np.float32))
    parts = np.where(
        product & (share > LEAST_OF_A_PART), _mean_around(alike * product) / np.maximum(share, THIN), np.inf
    )
    row, column = np.unravel_index(int(parts.argmin()), parts.shape)
    worst = float(parts[row, column])
    fit = float(alike[product].mean()) if product.any() else 0.0
    at = round(float(column) / SIDE, 2), round(float(row) / SIDE, 2)
    return Registered(layers, alike, fit, min(worst, fit), at)


def alike_states(photograph: Standard) -> frozenset[str]:
    """The states other than upright in which the product looks the same, by its photograph alone."""
    return frozenset(
        state
        for state in STATES
        if state != "upright" and registered(photograph, photograph, state).worst >= SAME
    )


def nearest_states(picture: Standard, photograph: Standard, states: Collection[str], most: int) -> list[str]:
    """Those of the states that agree best at a quarter of the size, which costs little, the best first."""
    own = picture._quarter  # noqa: SLF001

    def agreement(state: str) -> float:
        become = STATES[state](photograph._quarter)  # noqa: SLF001
        return float(np.vdot(own, _warped(become, _begun(picture, become), SIDE // 4)))

    return sorted(sorted(states), key=agreement, reverse=True)[:most]


def likeness(one: Floats, other: Floats) -> Floats:
    """How alike two products are around each pixel: 1 the same, 0 unrelated, below 0 the opposite.

    The contrast and structure term of SSIM (Wang et al., IEEE TIP 13, 2004) over all layers together:
    ``(2 cov + C) / (var + var + C)``. The mean, which light changes, is left out; where neither has any
    contrast it is 1. Where only one of the two has its product, it is 0.
    """
    apart = cv2.boxFilter(np.abs(one[..., 3] - other[..., 3]), -1, (WINDOW, WINDOW)) / OUTLINE
    covariance = _smoothed(one * other) - _smoothed(one) * _smoothed(other)
    variance = _smoothed(one**2) - _smoothed(one) ** 2 + _smoothed(other**2) - _smoothed(other) ** 2
    alike = (2 * covariance.sum(axis=2) + FAINT) / (np.maximum(variance.sum(axis=2), 0) + FAINT)
    return np.asarray(alike * (1 - apart), np.float32)


def _blurred(layers: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(layers, (0, 0), sigma), np.float32)


def _mean_around(values: Floats) -> Floats:
    return np.asarray(cv2.boxFilter(values, -1, (PART, PART), borderType=cv2.BORDER_CONSTANT), np.float32)


def _smoothed(layers: Floats) -> Floats:
    return np.asarray(
        cv2.boxFilter(layers, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _centre_and_spread(alpha: Plane) -> tuple[tuple[float, float], float]:
    """The centre of a mask in pixels from its upper left corner, and its root mean square distance to it."""
    height, width = alpha.shape
    places, spread = [], 0.0
    for length, axis in ((width, 0), (height, 1)):
        weights = alpha.sum(axis=axis, dtype=np.float64)
        along = np.arange(length) + 0.5
        mean = float(weights @ along / weights.sum())
        places.append(mean)
        spread += float(weights @ (along - mean) ** 2 / weights.sum())
    return (places[0], places[1]), spread**0.5


def _reduced(layers: Floats, factor: int) -> Floats:
    side = layers.shape[0] // factor
    return np.asarray(layers.reshape(side, factor, side, factor, -1).mean(axis=(1, 3)), np.float32)


Matrix = npt.NDArray[np.float64]
"""A similarity about the middle, [[a, -b, x], [b, a, y]], in pixels of the standard size, that leads from the
picture to the photograph."""


def _begun(picture: Standard, photograph: Floats) -> Matrix:
    """The turn at which the two agree best, at a quarter of the size."""
    turns = []
    for degrees in TURNS:
        angle = np.deg2rad(degrees)
        turns.append(np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0]]))
    own = picture._quarter  # noqa: SLF001
    return max(turns, key=lambda turn: float(np.vdot(own, _warped(photograph, turn, SIDE // 4))))


def _settled(picture: Standard, photograph: Floats, begun: Matrix) -> Matrix:
    """Gauss-Newton on size, turn and place, at half the size."""
    changes, inverse = picture._slopes  # noqa: SLF001
    own = picture._half  # noqa: SLF001
    side = own.shape[0]
    best = matrix = begun
    least = np.inf
    for _ in range(STEPS):
        difference = _warped(photograph, matrix, side) - own
        error = float(np.vdot(difference, difference))
        if error < least:
            best, least = matrix, error
        size, turn, x, y = inverse @ (changes @ difference.ravel()).astype(np.float64)
        step = np.array([[1 + size, -turn, 2 * x], [turn, 1 + size, 2 * y]])
        matrix = _after(matrix, step)
        if max(abs(size), abs(turn)) * SIDE / 2 + np.hypot(x, y) * 2 < SETTLED:
            break
    return best


def _after(matrix: Matrix, step: Matrix) -> Matrix:
    """The matrix after the inverse of a step."""
    whole = np.vstack([matrix, [0, 0, 1]]) @ np.linalg.pinv(np.vstack([step, [0, 0, 1]]))
    return np.asarray(whole[:2], np.float64)


def _warped(layers: Floats, matrix: Matrix, side: int) -> Floats:
    """Layers of any of the three sizes as the matrix places them."""
    part = side / SIDE
    middle = (side - 1) / 2
    there = np.array([middle, middle])
    own = np.column_stack([matrix[:, :2], matrix[:, 2] * part + there - matrix[:, :2] @ there])
    return np.asarray(
        cv2.warpAffine(layers, own, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.float32
    )
