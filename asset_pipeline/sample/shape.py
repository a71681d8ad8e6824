"""A product's form: parts with a surface each, and the front that words may be printed on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from asset_pipeline.sample.fields import Field, Floats, Points

Role = Literal["body", "trim", "accent", "dark", "light", "bright", "wood", "inside"]
"""What a part is to the product. A look gives each role a material: ``body`` is what the product's colour
names, ``trim`` and ``accent`` go with it, ``bright`` is polished metal."""


@dataclass(frozen=True)
class Part:
    """A piece of a product with one material."""

    role: Role
    field: Field


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
    facing: Literal["front", "top"] = "front"

    def coordinates(self, p: Points) -> tuple[Floats, Floats]:
        """Where on the label points lie: 0 to 1 from its left and from its top, beyond where there is none."""
        if self.facing == "top":
            return p[0] / np.float32(self.width) + np.float32(0.5), (
                p[2] - np.float32(self.middle)
            ) / np.float32(self.height) + np.float32(0.5)
        if self.radius is None:
            across = np.where(p[2] > 0, p[0], np.float32(self.width))
        else:
            across = np.arctan2(p[0], p[2]) * np.float32(self.radius)
        return (
            across / np.float32(self.width) + np.float32(0.5),
            (np.float32(self.middle) - p[1]) / np.float32(self.height) + np.float32(0.5),
        )


@dataclass(frozen=True)
class Shape:
    """A product that stands on the floor (y = 0), around the y axis, within 1.6 of the origin."""

    parts: tuple[Part, ...]
    front: Front | None = None

    def distance(self, p: Points) -> Floats:
        """The signed distance of the whole."""
        nearest = self.parts[0].field(p)
        for part in self.parts[1:]:
            nearest = np.minimum(nearest, part.field(p))
        return nearest

    def part_at(self, p: Points) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """The index of the part whose surface is nearest."""
        return np.argmin(np.stack([part.field(p) for part in self.parts]), axis=0)
