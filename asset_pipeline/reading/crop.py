"""The part of a picture where the product is, kept small enough to wait in memory beside many others."""

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from asset_pipeline.fingerprint import sha256_of

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

HALF: Final = 127
"""A mask that is above this says that the product is there."""
MARGIN: Final = 0.04
"""What is kept around the product, in parts of its longer side: a detector overlooks words at the edge."""
SIZES_IN_AN_OCTAVE: Final = 4
"""Sizes between one and its half to which a crop is reduced, so that pictures share what was read there."""


@dataclass(frozen=True)
class Crop:
    """A product with a little around it."""

    png: bytes
    """RGBA; the alpha channel is where the product is."""
    span: int
    """Pixels of the product's longer side; of the picture's where nobody knows where the product is."""

    @cached_property
    def sha256(self) -> str:
        """The name of its content."""
        return sha256_of(self.png)

    def opened(self) -> tuple[Pixels, Mask]:
        """Its pixels, height × width × 3, and where in it the product is, 0 to 255."""
        layers = np.asarray(Image.open(io.BytesIO(self.png)))
        return np.ascontiguousarray(layers[..., :3]), layers[..., 3]

    def reduced_to(self, span: int) -> "Crop":
        """The same, its product a little smaller than that, so that what is read in it is not read by luck.

        It is the second of some sizes that are no larger. Where it is no larger anyway it stays as it is.
        """
        steps = math.ceil(SIZES_IN_AN_OCTAVE * math.log2(self.span / max(1, span)))
        if steps <= 0:
            return self
        factor = 2 ** (-(steps + 1) / SIZES_IN_AN_OCTAVE)
        image = Image.open(io.BytesIO(self.png))
        size = [max(1, round(side * factor)) for side in image.size]
        smaller = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        return _crop(smaller, max(1, round(self.span * factor)))


def cropped(pixels: Pixels, mask: Mask | None) -> Crop | None:
    """The product with a little around it; all of the picture where nobody knows where the product is.

    None if the picture is empty.

    Args:
        pixels: height × width × 3, sRGB.
        mask: where the product is, 0 to 255; one of another size than the picture says nothing.
    """
    height, width = pixels.shape[:2]
    if not height or not width:
        return None
    if mask is None or mask.shape != (height, width) or not np.any(mask > HALF):
        return _crop(
            Image.fromarray(np.dstack([pixels, np.full((height, width), 255, np.uint8)])), max(height, width)
        )
    rows, columns = (np.flatnonzero(np.any(mask > HALF, axis=axis)) for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    span = max(bottom - top, right - left)
    margin = round(MARGIN * span)
    kept = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
    return _crop(Image.fromarray(np.dstack([pixels[kept], mask[kept]])), span)


def _crop(image: Image.Image, span: int) -> Crop:
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=1)
    return Crop(written.getvalue(), span)
