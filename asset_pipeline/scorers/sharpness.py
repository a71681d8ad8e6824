"""Is the product sharp?"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from skimage.measure import blur_effect

from asset_pipeline.scores.score import Look, Measured

WORKING_SIZE: Final = 512
"""The longer side, in pixels, of the copy of the frame that is looked at; smaller frames stay as they are."""
SMALLEST: Final = 32
"""The least sides, in pixels of that copy, of what can be judged: about three times blur_effect's window."""
FLAT_DEVIATION: Final = 0.5
"""A standard deviation, in grey levels, below which there is no edge to look at."""


class Sharpness:
    """The blur effect of Crete et al. (SPIE 6492, 2007) in skimage's version: 0 is sharp, 1 is all blur.

    It re-blurs the picture and measures how much of its neighbouring differences that takes away. The frame
    is reduced first, so that a blur of a given share of the frame counts the same at any resolution and for
    any size of product, and cropped to the product's bounding box where a mask tells it. Tenengrad (the mean
    squared Sobel gradient of that copy, luma from 0 to 255) is kept as a detail: it orders pictures of one
    scene and means nothing across scenes. The variance of the Laplacian is not used: it depends on the scene
    more than on the blur, and noise raises it.

    Failure modes: noise reads as sharpness; smooth products (glass, plain fabric) read as blurred; a
    soft-edged shadow inside the box counts as blur; a sharp outline around a blurred product hides part
    of the blur; blur far finer than a pixel of the copy cannot be seen in it.
    """

    dimension = "sharpness"
    version = "2"
    unit = "blur effect, 0 to 1"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Measure blur on the reduced luma, inside the product's box if the product is known."""
        height, width = look.pixels.shape[:2]
        box = (slice(0, height), slice(0, width)) if look.mask is None else look.product_box
        if box is None:
            return Measured(reason="nobody knows where the product is")
        rows, columns = box
        scale = min(1.0, WORKING_SIZE / max(height, width, 1))
        size = (
            round((columns.stop - columns.start) * scale),
            round((rows.stop - rows.start) * scale),
        )
        if min(size) < SMALLEST:
            return Measured(
                reason=f"at {size[0]} × {size[1]} pixels it is too small to tell sharp from blurred"
            )
        crop = Image.fromarray(look.grey[rows, columns])
        grey = np.asarray(crop.resize(size, Image.Resampling.BOX), np.float32)
        if grey.std() < FLAT_DEVIATION:
            return Measured(reason="there is nothing in it that could be sharp or blurred")
        return Measured(
            float(blur_effect(grey / 255)),  # type: ignore[no-untyped-call]
            details={
                "tenengrad": round(_tenengrad(grey), 1),
                "looked_at": "frame" if look.mask is None else "product",
            },
        )


def _tenengrad(grey: npt.NDArray[np.float32]) -> float:
    down, right = ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)
    return float(np.mean(down**2 + right**2))
