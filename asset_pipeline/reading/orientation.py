"""The ways words can stand in a picture, and how to look at them so that they stand upright."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

Orientation = Literal["upright", "upside down", "clockwise", "anticlockwise", "mirrored", "flipped"]
"""``clockwise`` and ``anticlockwise`` are turned by a quarter, so that words run down or up; ``mirrored`` is
left for right, ``flipped`` is top for bottom."""

ORIENTATIONS: Final[tuple[Orientation, ...]] = get_args(Orientation)

TURNS: Final[tuple[Orientation, ...]] = ("upright", "upside down", "clockwise", "anticlockwise")
"""Those in which letters keep their form: who turns the head can read them."""

_UPRIGHTED: Final[Mapping[Orientation, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]]] = {
    "upright": lambda given: given,
    "upside down": lambda given: np.rot90(given, 2),
    "clockwise": np.rot90,
    "anticlockwise": lambda given: np.rot90(given, -1),
    "mirrored": lambda given: given[:, ::-1],
    "flipped": lambda given: given[::-1],
}

_PLACE: Final[Mapping[Orientation, Callable[[float, float], tuple[float, float]]]] = {
    "upright": lambda across, down: (across, down),
    "upside down": lambda across, down: (-across, -down),
    "clockwise": lambda across, down: (down, -across),
    "anticlockwise": lambda across, down: (-down, across),
    "mirrored": lambda across, down: (-across, down),
    "flipped": lambda across, down: (across, -down),
}

_ALIKE: Final[Mapping[Orientation, tuple[str, bool]]] = {
    "upside down": ("HINOSXZ08", True),
    "mirrored": ("AHIMOTUVWXY08", True),
    "flipped": ("BCDEHIKOX038", False),
}
"""Capitals and digits that look the same so turned, and whether their order is reversed."""


def uprighted(pixels: npt.NDArray[np.uint8], stands: Orientation) -> npt.NDArray[np.uint8]:
    """The picture (height × width × channels) turned so that what stands this way in it stands upright."""
    return _UPRIGHTED[stands](pixels)


def place_upright(across: float, down: float, stands: Orientation) -> tuple[float, float]:
    """Where a place of a picture comes to be, up to a shift, when the picture is uprighted."""
    return _PLACE[stands](across, down)


def looks_the_same(word: str, stands: Orientation) -> bool:
    """Whether a word in capitals is the same word when it stands this way: OTTO mirrored, SIS on its head."""
    if stands not in _ALIKE:
        return stands == "upright"
    letters, reversed_order = _ALIKE[stands]
    capitals = word.upper()
    return set(capitals) <= set(letters) and (not reversed_order or capitals == capitals[::-1])
