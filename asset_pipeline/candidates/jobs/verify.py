"""Whether the bytes that a provider delivered are the picture that was asked for. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from asset_pipeline.candidates.glance import glance
from asset_pipeline.candidates.jobs.mapping import AskedSize
from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.pictures.decode import Pixels, decode, facts

SHAPE_TOLERANCE: Final = 0.03
"""Of a shape by name providers deliver the nearest on their grid: 1344 × 768 for 16:9 is 1.6 % off."""


@dataclass(frozen=True)
class Verified:
    """A picture that is what it should be."""

    pixels: Pixels
    media_type: str
    """What its first bytes say."""


def verify(data: bytes, asked: AskedSize) -> Verified | str:
    """Look at one output; a picture, or the reason why it is none.

    Args:
        data: the bytes as they came; what a server calls them does not count.
        asked: the size that was asked for.
    """
    if not data:
        return "the output has no bytes"
    try:
        found = facts(data)
        pixels = decode(data).pixels
    except UnreadablePicture as error:
        return f"the output cannot be read: {error}"
    height, width = pixels.shape[:2]
    if asked.ratio is not None:
        if abs(math.log(width / height * asked.height / asked.width)) > SHAPE_TOLERANCE:
            return f"the output is {width} × {height}, and {asked.ratio} was asked for"
    elif (width, height) != (asked.width, asked.height):
        return f"the output is {width} × {height}, and {asked.width} × {asked.height} was asked for"
    flat = glance(pixels).flat_colour
    if flat is not None:
        return f"the output is one flat colour {flat}, as a filter or a calculation gone wrong leaves it"
    return Verified(pixels, found.media_type)
