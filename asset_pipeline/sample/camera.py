"""Where a product is looked at from, and how much of the picture it fills."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from asset_pipeline.sample.fields import Floats

View = Literal["front", "base", "side", "top"]

FIELD_OF_VIEW = 19.0
"""Degrees across the picture: a lens of about 105 mm on a full frame, as products are photographed."""
DISTANCE = 8.0

_ANGLES: dict[View, tuple[float, float]] = {
    "front": (0.0, 9.0),
    "base": (24.0, 15.0),
    "side": (78.0, 12.0),
    "top": (18.0, 58.0),
}
"""Azimuth (to the product's left, so that its right side shows) and elevation of the camera, in degrees."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at the product's axis, and the part of its picture that is kept."""

    azimuth: float
    elevation: float
    aim: float
    """The height that it looks at."""
    across: float = 0.0
    down: float = 0.0
    """The middle of the kept part, in half pictures from the middle of the whole."""
    half: float = 1.0
    """Half the width of the kept part, in half pictures."""

    @property
    def axes(self) -> Floats:
        """Its right, up and backward directions, as rows."""
        a, e = np.radians([self.azimuth, self.elevation])
        backward = [np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)]
        right = [np.cos(a), 0.0, -np.sin(a)]
        return np.array([right, np.cross(backward, right), backward], np.float32)

    @property
    def eye(self) -> Floats:
        """Where it stands."""
        return np.asarray(self.axes[2] * DISTANCE + (0, self.aim, 0), np.float32)

    def directions(self, across: Floats, down: Floats) -> Floats:
        """Unit directions (3 × n) of rays through places of the kept part, 0 to 1 from left and from top."""
        reach = np.float32(np.tan(np.radians(FIELD_OF_VIEW / 2)))
        x = (self.across + (across * 2 - 1) * np.float32(self.half)) * reach
        y = -(self.down + (down * 2 - 1) * np.float32(self.half)) * reach
        right, up, backward = self.axes
        rays = right[:, None] * x + up[:, None] * y - backward[:, None]
        rays /= np.sqrt((rays * rays).sum(axis=0))
        return np.asarray(rays, np.float32)

    def pixel(self, size: int) -> float:
        """How wide a pixel is on the product, in its own units."""
        return float(2 * np.tan(np.radians(FIELD_OF_VIEW / 2)) * DISTANCE * self.half / size)

    def framed(self, box: tuple[float, float, float, float], fill: float) -> "Camera":
        """The camera with a box of its picture centred and filling this share of it.

        The box is left, top, right and bottom, 0 to 1.
        """
        left, top, right, bottom = box
        half = self.half * max(right - left, bottom - top) / fill
        across = self.across + (left + right - 1) * self.half
        down = self.down + (top + bottom - 1) * self.half
        return replace(self, across=across, down=down, half=half)


def camera(view: View, aim: float) -> Camera:
    """The camera for a view of a product whose middle is at a height."""
    azimuth, elevation = _ANGLES[view]
    return Camera(azimuth, elevation, aim)
