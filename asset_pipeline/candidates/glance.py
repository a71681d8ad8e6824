"""What a first look at a picture tells, taken once from one reduced copy: its hash and the cheap measures."""

from dataclasses import dataclass

import cv2
import numpy as np
import pdqhash
from PIL import Image

from asset_pipeline.candidates.request import Pixels

REDUCED_SIZE = 512
"""Longest side of the copy in pixels; PDQ itself reduces to 64."""
DARK = 2
BRIGHT = 253
"""Luma from 0 to 255 at which a pixel counts as clipped."""
FLAT_RANGE = 2
"""A picture none of whose channels spans more than this, of 255, shows nothing."""


@dataclass(frozen=True)
class Glance:
    """What the reduced copy tells. Luminance is Rec. 601 luma, 0 to 255."""

    perceptual_hash: str
    """PDQ hash, 256 bits as hexadecimal digits."""
    mean_luminance: float
    mean_colour: tuple[float, float, float]
    """Mean red, green and blue, 0 to 255."""
    spread: float
    """Standard deviation of the luminance."""
    sharpness: float
    """Variance of the luminance's Laplacian. It orders pictures of one scene; noise raises it too."""
    clipped: float
    """Share of the pixels that are as good as black or as white, 0 to 1."""
    flat_colour: tuple[int, int, int] | None
    """The one colour of a picture that shows nothing, sRGB; none for a picture."""

    def measures(self) -> dict[str, float]:
        """What is kept with the attempt."""
        return {
            "mean_luminance": round(self.mean_luminance, 2),
            "mean_red": round(self.mean_colour[0], 2),
            "mean_green": round(self.mean_colour[1], 2),
            "mean_blue": round(self.mean_colour[2], 2),
            "spread": round(self.spread, 2),
            "sharpness": round(self.sharpness, 2),
            "clipped": round(self.clipped, 4),
        }


def glance(pixels: Pixels) -> Glance:
    """Look at a picture, height × width × 3."""
    reduced = _reduced(pixels)
    luma = np.asarray(Image.fromarray(reduced).convert("L"))
    histogram = np.bincount(luma.ravel(), minlength=256)
    bits, _ = pdqhash.compute(reduced)
    red, green, blue, _ = cv2.mean(reduced)
    return Glance(
        perceptual_hash=np.packbits(np.asarray(bits, np.uint8)).tobytes().hex(),
        mean_luminance=float(luma.mean()),
        mean_colour=(red, green, blue),
        spread=float(luma.std()),
        sharpness=_laplacian_variance(luma),
        clipped=float((histogram[: DARK + 1].sum() + histogram[BRIGHT:].sum()) / luma.size),
        flat_colour=_flat_colour(reduced),
    )


def _reduced(pixels: Pixels) -> Pixels:
    """A copy no larger than that, each pixel the mean of the area it stands for."""
    height, width = pixels.shape[:2]
    scale = REDUCED_SIZE / max(width, height)
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _laplacian_variance(luma: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """Of the four-neighbour Laplacian, the borders left out."""
    grey = luma.astype(np.int16)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var()) if laplacian.size else 0.0


def _flat_colour(reduced: Pixels) -> tuple[int, int, int] | None:
    colours = reduced.reshape(-1, 3)
    if int(np.ptp(colours[:, 0])) > FLAT_RANGE:  # most pictures are told by one channel
        return None
    if int(np.ptp(colours, axis=0).max()) > FLAT_RANGE:
        return None
    red, green, blue = (int(value) for value in colours[len(colours) // 2])
    return red, green, blue
