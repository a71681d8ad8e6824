"""Sphere tracing: what a camera sees of a shape, found once, to be lit and coloured many times.

Pixels inside a surface are sampled once; those across which it ends or turns, on a grid. A picture is the
weighted mean of its samples, so edges are smooth and the mask is the share of samples that met the product.

Sphere tracing after Hart, 1996. Soft shadows after Aaltonen, "GPU-based clay simulation", GDC 2018.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from asset_pipeline.sample.camera import Camera, View, camera
from asset_pipeline.sample.fields import Field, Floats, Points
from asset_pipeline.sample.shape import Shape

Indices = npt.NDArray[np.intp]
Region = npt.NDArray[np.bool_]
Direction = tuple[float, float, float]

LIGHTS: Mapping[str, Direction] = {
    "left": (-0.60, 0.66, 0.45),
    "right": (0.60, 0.66, 0.45),
    "above": (-0.12, 0.92, 0.38),
}
"""Where the key light of each lighting stands, as unit directions from the product."""

_CHUNK = 8_192
"""Points worked on at a time: their arrays stay in the processor's cache."""
_STEPS = 80
_EDGE_GRID = 4
"""An edge pixel has this many samples squared."""
_SHARP_TURN = 0.93
"""Neighbours whose normals have a smaller cosine are sampled finely."""
_NORMAL_STEP = 0.0038
_TOUCHING = 0.0004
"""A ray of light this close to the surface is stopped by it."""
_DARK = 0.004
"""Less light than this is none: it is not one step of 256."""
_FRAMING_SIZE = 96
_TILES = 96
"""A picture has this many tiles squared, each with a thick ray that goes ahead."""


@dataclass(frozen=True)
class Traced:
    """Samples of what a camera sees of a shape, and of the floor around it; no colours yet."""

    size: int
    """The picture's width and height in pixels."""
    pixel: Indices
    """Which pixel each sample belongs to."""
    weight: Floats
    """Its share of that pixel."""
    position: Points
    normal: Points
    towards_eye: Points
    role: Indices
    """What it shows, as a place among the shape's roles."""
    openness: Floats
    """How much of the sky and the room it sees, 0 to 1."""
    mirrored: Floats
    """How much of what it would mirror is room rather than the product itself, 0 to 1."""
    lit: Mapping[str, Floats]
    """How much of each key light it sees, 0 to 1, by the light's name."""
    floor: Floats
    """Size × size: how much light the floor has lost to the product, 0 to 1; 0 where there is no floor."""

    @property
    def mask(self) -> Floats:
        """Size × size: how much of each pixel is the product, 0 to 1."""
        return self.gathered(np.ones_like(self.weight))

    def gathered(self, values: Floats) -> Floats:
        """Size × size: the sum of the samples' values in each pixel by weight."""
        total = np.bincount(self.pixel, weights=values * self.weight, minlength=self.size * self.size)
        return total.reshape(self.size, self.size).astype(np.float32)


def trace(
    shape: Shape, view: View, size: int, *, fill: float = 0.84, lights: tuple[str, ...] = ("left",)
) -> Traced:
    """See a shape from a view, centred, its longer side filling a share of the picture."""
    seen_by = _framed(shape, view, fill)
    low, high = shape.bounds
    pixel, weight, position, towards_eye = _samples(shape, seen_by, size)
    normal = _by_chunks(lambda p: _normals(shape.distance, p), position)
    role = _by_chunks(shape.role_at, position)
    # Light changes little within a pixel: it is looked up once for each role that a pixel shows.
    _, first, back = np.unique(pixel * len(shape.roles) + role, return_index=True, return_inverse=True)
    place, out, eye = position[:, first], normal[:, first], towards_eye[:, first]
    lifted = np.asarray(place + out * np.float32(0.004), np.float32)
    mirror = np.asarray(2 * (out * eye).sum(axis=0) * out - eye, np.float32)
    return Traced(
        size=size,
        pixel=pixel,
        weight=weight,
        position=position,
        normal=normal,
        towards_eye=towards_eye,
        role=role,
        openness=_by_chunks(lambda p, n: _openness(shape.distance, p, n), lifted, out)[back],
        mirrored=_by_chunks(lambda p, d: _visible(shape.distance, p, d, 6.0, 1.2), lifted, mirror)[back],
        lit={name: _by_chunks(_towards(shape.distance, name), lifted)[back] for name in lights},
        floor=_floor(shape, seen_by, size, low, high),
    )


@lru_cache(maxsize=256)
def _framed(shape: Shape, view: View, fill: float) -> Camera:
    """The camera of a view, moved and zoomed by what it saw in a small picture."""
    low, high = shape.bounds
    seen_by = camera(view, float(low[1, 0] + high[1, 0]) / 2)
    for size in (_FRAMING_SIZE, 2 * _FRAMING_SIZE):
        seen = ~np.isnan(_march(shape, seen_by, *_middles(size), size)).reshape(size, size)
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        left, top, right, bottom = (float(edge) / size for edge in box)
        seen_by = seen_by.framed((left, top, right, bottom), fill)
    return seen_by


def _middles(size: int) -> tuple[Floats, Floats]:
    """Where the middles of pixels are, 0 to 1 from left and from top, row by row."""
    middles = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return np.tile(middles, size), np.repeat(middles, size)


def _samples(shape: Shape, seen_by: Camera, size: int) -> tuple[Indices, Floats, Points, Points]:
    """Pixel, weight, position and direction to the eye of every sample that meets the shape."""
    across, down = _middles(size)
    reached = _march(shape, seen_by, across, down, size)
    edge = np.flatnonzero(_edges(shape, seen_by, reached, size))
    inner = np.setdiff1d(np.flatnonzero(~np.isnan(reached)), edge, assume_unique=True)
    offsets = ((np.arange(_EDGE_GRID) + 0.5) / _EDGE_GRID - 0.5) / size
    shift = np.stack(np.meshgrid(offsets, offsets)).reshape(2, -1).astype(np.float32)
    fine_across = (across[edge][:, None] + shift[0]).ravel()
    fine_down = (down[edge][:, None] + shift[1]).ravel()
    fine = _march(shape, seen_by, fine_across, fine_down, 2 * size)
    met = ~np.isnan(fine)
    pixel = np.concatenate([inner, np.repeat(edge, shift.shape[1])[met]])
    weight = np.ones(len(pixel), np.float32)
    weight[len(inner) :] /= shift.shape[1]
    across = np.concatenate([across[inner], fine_across[met]])
    down = np.concatenate([down[inner], fine_down[met]])
    distance = np.concatenate([reached[inner], fine[met]])
    order = _by_tiles(across, down)
    rays = seen_by.directions(across[order], down[order])
    return pixel[order], weight[order], seen_by.eye[:, None] + rays * distance[order], -rays


def _edges(shape: Shape, seen_by: Camera, reached: Floats, size: int) -> Region:
    """Which pixels differ from a neighbour in whether, what or at which angle they show."""
    met = ~np.isnan(reached)
    across, down = _middles(size)
    place = seen_by.eye[:, None] + seen_by.directions(across[met], down[met]) * reached[met]
    normal = np.zeros((3, size * size), np.float32)
    normal[:, met] = _by_chunks(lambda p: _normals(shape.distance, p), place)
    role = np.full(size * size, -1, np.intp)
    role[met] = _by_chunks(shape.role_at, place)
    roles, normals = role.reshape(size, size), normal.reshape(3, size, size)
    found = np.zeros((size, size), np.bool_)
    later, sooner, every = slice(1, None), slice(None, -1), slice(None)
    for here, there in (
        ((every, later), (every, sooner)),
        ((later, every), (sooner, every)),
        ((later, later), (sooner, sooner)),
        ((later, sooner), (sooner, later)),
    ):
        turn = (normals[:, here[0], here[1]] * normals[:, there[0], there[1]]).sum(axis=0)
        differs = (roles[here] != roles[there]) | ((roles[here] >= 0) & (turn < _SHARP_TURN))
        found[here] |= differs
        found[there] |= differs
    return found.ravel()


# ----------------------------------------------------------------------------------------------- along rays


def _march(shape: Shape, seen_by: Camera, across: Floats, down: Floats, size: int) -> Floats:
    """How far each ray through a place of a picture goes until it meets the shape; NaN where it does not.

    One thick ray for each tile of the picture goes ahead; the rays of the tile start where it got stuck.
    """
    start = _safe_starts(shape, seen_by)
    order = _by_tiles(across, down)
    tile = (np.minimum(down[order], 0.9999) * _TILES).astype(np.intp) * _TILES
    tile += (np.minimum(across[order], 0.9999) * _TILES).astype(np.intp)
    going = ~np.isnan(start[tile])
    order, tile = order[going], tile[going]
    met = np.full(len(across), np.nan, np.float32)
    tolerance = np.float32(0.35 * seen_by.pixel(size))
    places = np.stack([across[order], down[order], start[tile]])
    met[order] = _by_chunks(lambda p: _advance(shape, seen_by, p, tolerance, np.float32(0)), places)
    return met


@lru_cache(maxsize=16)
def _safe_starts(shape: Shape, seen_by: Camera) -> Floats:
    """How far rays through each tile of the picture go without meeting anything; NaN where they never do."""
    across, down = _middles(_TILES)
    places = np.stack([across, down, np.zeros_like(across)])
    clearance = np.float32(seen_by.pixel(_TILES) * 0.78)
    return _by_chunks(lambda p: _advance(shape, seen_by, p, np.float32(0), clearance), places)


def _advance(
    shape: Shape, seen_by: Camera, places: Floats, tolerance: np.float32, clearance: np.float32
) -> Floats:
    """March rays from given distances to where only the clearance is left around them, or the tolerance."""
    low, high = shape.bounds
    rays, eye = seen_by.directions(places[0], places[1]), seen_by.eye[:, None]
    with np.errstate(divide="ignore"):
        sides = np.stack([(low - clearance - eye) / rays, (high + clearance - eye) / rays])
    t = np.maximum(sides.min(axis=0).max(axis=0), places[2])
    leave = sides.max(axis=0).min(axis=0)
    met = np.full(len(t), np.nan, np.float32)
    index = np.flatnonzero(t < leave)
    t, rays, leave = t[index], rays[:, index], leave[index]
    for _ in range(_STEPS):
        if not len(index):
            break
        distance = shape.distance(eye + rays * t) - clearance
        arrived = distance < tolerance + clearance
        met[index[arrived]] = t[arrived] + (0 if clearance else distance[arrived])
        t = t + distance
        going = ~arrived & (t < leave)
        index, t, rays, leave = index[going], t[going], rays[:, going], leave[going]
    return met


def _by_tiles(across: Floats, down: Floats) -> Indices:
    """The order of places in which those of one tile follow each other, so that chunks are compact."""
    tiles = 16
    return np.argsort(
        np.floor(down * tiles).astype(np.intp) * tiles + np.floor(across * tiles).astype(np.intp),
        kind="stable",
    )


def _normals(field: Field, p: Points) -> Points:
    """Unit normals, by differences towards the corners of a tetrahedron."""
    total = np.zeros_like(p)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        direction = np.array(corner, np.float32)[:, None]
        total += direction * field(p + direction * np.float32(_NORMAL_STEP))
    total /= np.maximum(np.sqrt((total * total).sum(axis=0)), np.float32(1e-9))
    return total


def _openness(field: Field, p: Points, normal: Points) -> Floats:
    """Ambient light that arrives: free distance along directions of the hemisphere, near and farther away."""
    helper = np.where(np.abs(normal[1]) < np.float32(0.9), np.float32(1), np.float32(0))
    tangent = np.stack(
        [normal[2] * helper, normal[2] * (1 - helper), -normal[0] * helper - normal[1] * (1 - helper)]
    )
    tangent /= np.maximum(np.sqrt((tangent * tangent).sum(axis=0)), np.float32(1e-6))
    across = np.stack([
        normal[1] * tangent[2] - normal[2] * tangent[1],
        normal[2] * tangent[0] - normal[0] * tangent[2],
        normal[0] * tangent[1] - normal[1] * tangent[0],
    ])  # fmt: skip
    open_share = np.zeros(p.shape[1], np.float32)
    total = 0.0
    for angle, tilt, reach, weight in _HEMISPHERE:
        height = np.cos(tilt)
        direction = normal * np.float32(height) + (
            tangent * np.float32(np.cos(angle)) + across * np.float32(np.sin(angle))
        ) * np.float32(np.sin(tilt))
        place = np.asarray(p + direction * np.float32(reach), np.float32)
        free = np.minimum(field(place), place[1] + np.float32(0.02)) / np.float32(reach * height)
        open_share += np.float32(weight) * np.clip(free, 0, 1)
        total += weight
    return open_share / np.float32(total)


_HEMISPHERE = (
    (0.0, 0.0, 0.05, 1.0),
    (0.0, 0.0, 0.16, 1.0),
    (0.0, 0.0, 0.40, 0.7),
    *((2 * np.pi * (turn + 0.5 * ring) / 5, 0.92, reach, 0.6)
      for ring, reach in enumerate((0.10, 0.34)) for turn in range(5)),
)  # fmt: skip
"""Angle around the normal, tilt from it, distance and weight of the samples of openness."""


def _towards(field: Field, light: str) -> Field:
    """How much of a key light points see."""
    direction = np.array(LIGHTS[light], np.float32)
    direction /= np.linalg.norm(direction)
    return lambda p: _visible(field, p, direction[:, None], 9.0, 2.4)


def _visible(field: Field, p: Points, direction: Points, sharpness: float, reach: float) -> Floats:
    """How much of a round light in a direction is seen past the shape; a sharper one is smaller."""
    count = p.shape[1]
    seen = np.ones(count, np.float32)
    index = np.arange(count)
    rays = np.broadcast_to(direction, p.shape)
    t = np.full(count, 0.012, np.float32)
    before = np.full(count, 1e9, np.float32)
    for _ in range(28):
        if not len(index):
            break
        distance = field(p[:, index] + rays[:, index] * t)
        behind = distance * distance / (2 * before)
        side = np.sqrt(np.maximum(distance * distance - behind * behind, 0))
        nearest = np.float32(sharpness) * side / np.maximum(t - behind, np.float32(1e-4))
        seen[index] = np.minimum(seen[index], np.clip(nearest, 0, 1))
        seen[index[distance < _TOUCHING]] = 0
        before = distance
        t = t + np.clip(
            distance, np.float32(0.012) + t * np.float32(0.06), np.float32(0.06) + t * np.float32(0.35)
        )
        going = (seen[index] > _DARK) & (t < reach)
        index, t, before = index[going], t[going], before[going]
    return np.asarray(seen * seen * (3 - 2 * seen), np.float32)


# ---------------------------------------------------------------------------------------------------- floor


def _floor(shape: Shape, seen_by: Camera, size: int, low: Floats, high: Floats) -> Floats:
    """The light that the floor loses to the product, at half the picture's resolution, smoothly enlarged."""
    coarse = max(32, size // 4)
    across, down = _middles(coarse)
    rays, eye = seen_by.directions(across, down), seen_by.eye[:, None]
    lost = np.zeros(coarse * coarse, np.float32)
    with np.errstate(divide="ignore"):
        t = -eye[1] / rays[1]
    place = eye + rays * t
    reach = np.float32(1.1)
    near = (rays[1] < 0) & ((place > low - reach) & (place < high + reach))[[0, 2]].all(axis=0)
    place = place[:, near]
    place[1] = 0

    def shade(p: Points) -> Floats:
        contact = np.zeros(p.shape[1], np.float32)
        for height, weight in ((0.03, 0.30), (0.10, 0.26), (0.25, 0.24), (0.55, 0.20)):
            lifted = p.copy()
            lifted[1] += np.float32(height)
            free = shape.distance(lifted) / np.float32(height)
            contact += np.float32(weight) * (1 - np.clip(free, 0, 1))
        return contact

    beyond = np.maximum(np.maximum(low - place, place - high), 0)[[0, 2]]
    fading = 1 - np.sqrt((beyond * beyond).sum(axis=0)) / reach
    lost[near] = _by_chunks(shade, place) * np.clip(fading * 2, 0, 1)
    return _enlarged(lost.reshape(coarse, coarse), size)


def _enlarged(plane: Floats, size: int) -> Floats:
    """A plane at another size, linearly."""
    count = len(plane)
    places = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    first = np.minimum(places.astype(np.intp), count - 2)
    share = (places - first).astype(np.float32)
    rows = plane[first] * (1 - share)[:, None] + plane[first + 1] * share[:, None]
    return np.asarray(rows[:, first] * (1 - share) + rows[:, first + 1] * share, np.float32)


def _by_chunks(work: Callable[..., npt.NDArray[Any]], *arrays: Floats) -> npt.NDArray[Any]:
    """Work on the last axis of arrays piece by piece."""
    count = arrays[0].shape[-1]
    pieces = [
        work(*(np.ascontiguousarray(array[..., start : start + _CHUNK]) for array in arrays))
        for start in range(0, max(count, 1), _CHUNK)
    ]
    return np.concatenate(pieces, axis=-1)
