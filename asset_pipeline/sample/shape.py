"""A product's form: parts with a surface each, and the front that words may be printed on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from asset_pipeline.sample.fields import Field, Floats, Points

EXTENT = 1.7
"""Shapes stay within this distance of the y axis, along x and z, and below twice as much."""

_TOWARDS_EYE = 0.30
"""How far labels of round products are turned towards the camera's right, where the main view looks from, in
radians."""
_SKIN = np.float32(0.002)
"""A point on a surface may lie this far outside a region that ends at the surface."""

Role = Literal["body", "trim", "accent", "dark", "light", "bright", "wood"]
"""What a part is to the product. A look gives each role a material: ``body`` is what the product's colour
names, ``trim`` and ``accent`` go with it, ``bright`` is polished metal."""


@dataclass(frozen=True)
class Part:
    """A piece of a product with one material, or with others inlaid in it."""

    role: Role
    field: Field
    inlays: tuple[tuple[Role, Field], ...] = ()
    """Other roles within regions of its surface; of several, the last one."""

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """The corners (3 × 1 each) of a box around it, found on a grid."""
        ticks = np.linspace(-EXTENT, EXTENT, 45, dtype=np.float32)
        heights = np.linspace(-0.05, 2 * EXTENT, 45, dtype=np.float32)
        grid = np.stack(np.meshgrid(ticks, heights, ticks, indexing="ij")).reshape(3, -1)
        step = np.float32(max(ticks[1] - ticks[0], heights[1] - heights[0]))
        near = grid[:, self.field(grid) < step * np.float32(np.sqrt(0.75))]
        if not near.size:
            raise ValueError(f"the {self.role} part lies outside the space that shapes are in")
        low, high = near.min(axis=1, keepdims=True) - step / 2, near.max(axis=1, keepdims=True) + step / 2
        return np.asarray(low, np.float32), np.asarray(high, np.float32)

    def gap(self, low: Points, high: Points) -> float:
        """How far a box is from that box, 0 if they touch."""
        own_low, own_high = self.bounds
        return float(np.linalg.norm(np.maximum(np.maximum(own_low - high, low - own_high), 0)))

    def distance_to_bounds(self, p: Points) -> Floats:
        """How far points are from that box, 0 inside: no more than they are from the part."""
        low, high = self.bounds
        beyond = np.maximum(np.maximum(low - p, p - high), 0)
        beyond *= beyond
        return np.asarray(np.sqrt(beyond[0] + beyond[1] + beyond[2]), np.float32)


@dataclass(frozen=True)
class Front:
    """The area of a product, facing the viewer, that a label covers."""

    role: Role
    """The parts that take the label."""
    width: float
    """Across, measured along the surface."""
    height: float
    middle: float
    """The height of the label's middle above the floor."""
    radius: float | None = None
    """The radius of the cylinder it is wrapped around; none for a plane facing +z."""

    def coordinates(self, p: Points) -> tuple[Floats, Floats]:
        """Where on the label points lie, 0 to 1 from its left and from its top; beyond, there is none."""
        if self.radius is None:
            across = np.where(p[2] > 0, p[0], np.float32(self.width))
        else:
            across = (np.arctan2(p[0], p[2]) - np.float32(_TOWARDS_EYE)) * np.float32(self.radius)
        right = across / np.float32(self.width) + np.float32(0.5)
        down = (np.float32(self.middle) - p[1]) / np.float32(self.height) + np.float32(0.5)
        return np.asarray(right, np.float32), np.asarray(down, np.float32)


@dataclass(frozen=True)
class Shape:
    """A product that stands on the floor (y = 0), around the y axis, within 1.6 of the origin."""

    parts: tuple[Part, ...]
    front: Front | None = None

    def distance(self, p: Points) -> Floats:
        """The signed distance of the whole."""
        return self._nearest(p)[0]

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """The roles of its parts and inlays."""
        every = (role for part in self.parts for role in (part.role, *(inlay for inlay, _ in part.inlays)))
        return tuple(dict.fromkeys(every))

    def role_at(self, p: Points) -> npt.NDArray[np.intp]:
        """The role, as its place among the roles, of the surface nearest to points."""
        nearest = self._nearest(p)[1]
        found = np.zeros(p.shape[1], np.intp)
        for index, part in enumerate(self.parts):
            here = np.flatnonzero(nearest == index)
            found[here] = self.roles.index(part.role)
            for role, region in part.inlays:
                found[here[region(p[:, here]) < _SKIN]] = self.roles.index(role)
        return found

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """The corners (3 × 1 each) of a box around the whole."""
        lows, highs = zip(*(part.bounds for part in self.parts), strict=True)
        return np.minimum.reduce(lows), np.maximum.reduce(highs)

    def _nearest(self, p: Points) -> tuple[Floats, npt.NDArray[np.intp]]:
        """The least distance to a part, and which part; parts are asked only where they may be nearest."""
        if not p.shape[1]:
            return np.zeros(0, np.float32), np.zeros(0, np.intp)
        low, high = p.min(axis=1, keepdims=True), p.max(axis=1, keepdims=True)
        gaps = [part.gap(low, high) for part in self.parts]
        first, *others = sorted(range(len(self.parts)), key=gaps.__getitem__)
        nearest, which = self.parts[first].field(p), np.full(p.shape[1], first, np.intp)
        farthest = nearest.max()
        for index in others:
            if gaps[index] >= farthest:
                break
            near = np.flatnonzero(self.parts[index].distance_to_bounds(p) < nearest)
            distance = self.parts[index].field(p[:, near])
            closer = distance < nearest[near]
            nearest[near[closer]] = distance[closer]
            which[near[closer]] = index
        return nearest, which
