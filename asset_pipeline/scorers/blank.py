"""Does the picture show anything at all?"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from asset_pipeline.scores.score import Look, Measured, Pixels

CELLS: Final = 64
"""The side of the reduced copy: a pixel of it is the mean of a cell of the picture, with hardly any noise."""
QUIETER: Final = 0.998
"""The share of the cells that may be quieter than the value: what is seen is as small as eight cells."""
NOISE_ALONE: Final = 12.0
"""What white noise of standard deviation 1 in the cells gives: measured 8.9 to 11 (64 to 1024 px)."""
SAMPLES: Final = 256
"""The points a side where noise is estimated."""

_NOISE_KERNEL: Final = ((1, -2, 1), (-2, 4, -2), (1, -2, 1))  # Immerkaer 1996: blind to planes and ramps
_MEDIAN_OF_NORMAL: Final = 0.6745


class Blank:
    """How far the clearest details stand out from what is around them, in 8-bit levels; low is blank.

    The picture is reduced to 64 × 64 cells, each the mean of its pixels. A cell stands out by the second
    difference to its neighbours, across or down, in the channel where it is greatest: gradients, vignettes
    and studio sweeps have next to none. The value is that of the eighth clearest cell, less what the noise
    of the picture's pixels could do by itself (its standard deviation is the median response of Immerkaer's
    operator, CVIU 64, 1996). So a black picture with noise is as blank as a black one.

    Measured at 1024 px unless said: one colour, studio sweeps, vignettes, and white noise of any strength
    (64 to 1024 px) 0 to 3, a soft spot of light on black 6, a gradient that starts in black 7; a needle of
    4 × 200 pixels on white 21, an empty place of the sample renderer 31 and more, a stud earring of 30
    pixels 40, the sample catalog's 55 photographs 106 and more, other photographs 94 and more. 11 ms at
    1024 px on one core.

    Failure modes: an empty room is not blank, for it has corners, and neither is coloured soup: see the
    scores that compare with prompt and product. A product that differs from its background by fewer than 8
    levels, or is a hair of one pixel, is not seen. Blotches of eight pixels and more read as content.
    """

    dimension = "blank"
    version = "1"
    unit = "8-bit levels"
    better = "higher"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Find the cells that stand out."""
        height, width = look.pixels.shape[:2]
        if min(height, width) < 3:  # noqa: PLR2004 - a cell needs a neighbour on each side
            return Measured(reason="it is too small to tell something from nothing")
        rows, columns = min(CELLS, height), min(CELLS, width)
        clearest = float(np.quantile(_standing_out(look.pixels, rows, columns), QUIETER))
        noise = _noise(look.pixels)
        alone = NOISE_ALONE * noise / np.sqrt(height * width / (rows * columns))
        return Measured(
            round(max(0.0, clearest - float(alone)), 2),
            details={"clearest": round(clearest, 2), "noise": round(noise, 2)},
        )


def _standing_out(pixels: Pixels, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """The greatest second difference of each inner cell, of both directions and the three channels."""
    reduced = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BOX)
    cells = np.asarray(reduced, np.float32)
    down = np.abs(np.diff(cells, n=2, axis=0))[:, 1:-1]
    across = np.abs(np.diff(cells, n=2, axis=1))[1:-1]
    return np.asarray(np.maximum(down, across).max(axis=2), np.float32)


def _noise(pixels: Pixels) -> float:
    """The standard deviation of noise in the noisiest channel, sampled over the picture."""
    height, width = pixels.shape[:2]
    down, across = max(1, height // SAMPLES), max(1, width // SAMPLES)
    response = np.zeros((len(range(0, height - 2, down)), len(range(0, width - 2, across)), 3), np.int32)
    for row, weights in enumerate(_NOISE_KERNEL):
        for column, weight in enumerate(weights):
            response += weight * pixels[
                row : height - 2 + row : down, column : width - 2 + column : across
            ].astype(np.int32)
    return float(np.median(np.abs(response), axis=(0, 1)).max()) / (6 * _MEDIAN_OF_NORMAL)
