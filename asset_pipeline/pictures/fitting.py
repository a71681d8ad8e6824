"""A whole picture brought to a frame's size."""

import numpy as np
from PIL import Image, ImageOps

from asset_pipeline.pictures.decode import Pixels


def fitted(pixels: Pixels, frame: tuple[int, int]) -> Pixels:
    """The picture scaled with Lanczos until it covers the frame; what overlaps is cut off on both sides.

    Args:
        pixels: height × width × 3.
        frame: width and height.
    """
    if (pixels.shape[1], pixels.shape[0]) == frame:
        return pixels
    return np.array(ImageOps.fit(Image.fromarray(pixels), frame, Image.Resampling.LANCZOS), np.uint8)
