"""At which size a checkpoint draws what is wanted at another one."""

import math
from collections.abc import Sequence

Size = tuple[int, int]
"""Width and height."""


def native_size(frame: Size, native_sizes: Sequence[Size]) -> Size:
    """The native size of the nearest shape, the nearest area among those; the frame if there is none."""

    def distance(size: Size) -> tuple[float, float]:
        shape = abs(math.log(size[0] / size[1] * frame[1] / frame[0]))
        return round(shape, 6), abs(math.log(size[0] * size[1] / (frame[0] * frame[1])))

    return min(native_sizes, key=distance, default=frame)
