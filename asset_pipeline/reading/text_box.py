"""What a reader finds in a picture: boxes with words, each read in six orientations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asset_pipeline.reading.orientation import Orientation, place_upright

Corner = tuple[float, float]


@dataclass(frozen=True)
class ReadWord:
    """A word as it was read, between two blanks."""

    text: str
    confidence: float
    """How sure the recogniser is of its letters, 0 to 1; what was expected plays no part in it."""


@dataclass(frozen=True)
class TextBox:
    """A place with writing: a line, or a piece of one."""

    corners: tuple[Corner, Corner, Corner, Corner]
    """Across and down in pixels, as it lies in the picture, clockwise from the top left."""
    readings: Mapping[Orientation, tuple[ReadWord, ...]]
    """Its words from left to right, if it stands that way."""

    @property
    def middle(self) -> Corner:
        """Its middle, across and down."""
        across, down = np.mean(self.corners, axis=0)
        return float(across), float(down)

    def size(self, stands: Orientation) -> tuple[float, float]:
        """Its width along the line and its height, in pixels, if it stands that way."""
        first, second, _, last = (np.array(corner) for corner in self.corners)
        across, down = float(np.linalg.norm(second - first)), float(np.linalg.norm(last - first))
        return (down, across) if stands in {"clockwise", "anticlockwise"} else (across, down)

    def place(self, stands: Orientation) -> Corner:
        """Where its middle is when the picture is turned so that the words stand upright, up to a shift."""
        return place_upright(*self.middle, stands)


def in_reading_order(boxes: Sequence[TextBox], stands: Orientation) -> list[TextBox]:
    """Boxes line by line from top to bottom, each line from left to right.

    A box is of the line before if its middle is less than half a height, the lower of the two, below.
    """
    lines: list[list[TextBox]] = []
    for box in sorted(boxes, key=lambda each: each.place(stands)[1]):
        down, height = box.place(stands)[1], box.size(stands)[1]
        last = lines[-1][-1] if lines else None
        if last and down - last.place(stands)[1] < min(height, last.size(stands)[1]) / 2:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [box for line in lines for box in sorted(line, key=lambda each: each.place(stands)[0])]


def words_in_order(boxes: Sequence[TextBox], stands: Orientation) -> list[ReadWord]:
    """The words of boxes in reading order, if they stand that way."""
    return [read for box in in_reading_order(boxes, stands) for read in box.readings[stands]]
