"""How noisy is the picture?"""

import math
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from asset_pipeline.scores.score import Look, Measured

DARKEST: Final = 2
BRIGHTEST: Final = 253
"""Luma from 0 to 255; noise beyond these is cut off by the range and cannot be measured."""
ENOUGH: Final = 0.02
"""The share of the frame's pixels that an estimate needs, at least."""
OUTLINE: Final = 0.01
"""Half the width of the strip along the product's outline that is left out, as a share of the frame."""

SECOND_DIFFERENCE: Final = np.array([1, -2, 1], np.float32)
"""Along rows and along columns, this is Immerkaer's operator."""

Region = npt.NDArray[np.uint8]
"""255 where a pixel counts, else 0."""


class Noise:
    """The standard deviation of additive noise in luma (0 to 255), by Immerkaer's method.

    Immerkaer, "Fast Noise Variance Estimation", CVIU 64 (1996): the mean absolute response to a difference of
    two Laplacians, which is blind to planes and ramps, scaled for Gaussian noise.

    It is measured where the product is not, as fine texture reads as noise, if a mask tells where that is
    and at least 2 % of the frame is neither product nor cut off by black or white; otherwise, as before a
    pure white background, on all of the frame that is not cut off. ``looked_at`` tells which, and both
    values are in the details, so a threshold means one thing for one asset type's background.

    Failure modes: texture, text and halftones read as noise (more so without a mask); noise that was
    smoothed by a resize, by JPEG or by a denoiser is underestimated; 8-bit rounding alone gives about 0.3.
    """

    dimension = "noise"
    version = "2"
    unit = "grey levels"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Estimate sigma on the background, or on the whole where the background does not tell."""
        grey = look.grey
        if min(grey.shape) < 3:  # noqa: PLR2004 - the operator is 3 × 3
            return Measured(reason="it is too small to tell noise from content")
        response = cv2.sepFilter2D(grey, cv2.CV_16S, SECOND_DIFFERENCE, SECOND_DIFFERENCE)
        usable = _not_cut_off(grey)
        whole = _sigma(response, usable)
        background = None
        if look.product is not None and look.product.shape == grey.shape:
            background = _sigma(response, cv2.bitwise_and(usable, _away_from(look.product)))
        sigma = background if background is not None else whole
        if sigma is None:
            return Measured(reason="nearly all of it is pure black or white, where noise cannot be seen")
        return Measured(
            sigma,
            details={
                "looked_at": "background" if background is not None else "frame",
                "background": background,
                "frame": whole,
            },
        )


def _sigma(response: npt.NDArray[Any], where: npt.NDArray[Any]) -> float | None:
    """Immerkaer's estimate over some pixels, the outermost left out, where the operator has no neighbours.

    None if they are too few. E|N(0, 6 sigma)| is 6 sigma sqrt(2 / pi).
    """
    response, where = response[1:-1, 1:-1], where[1:-1, 1:-1]
    pixels = cv2.countNonZero(where)
    if pixels < ENOUGH * where.size:
        return None
    return math.sqrt(math.pi / 2) / 6 * cv2.norm(response, cv2.NORM_L1, where) / pixels


def _not_cut_off(grey: npt.NDArray[np.uint8]) -> Region:
    """Pixels whose whole 3 × 3 neighbourhood is neither black nor white."""
    seen = cv2.inRange(grey, DARKEST + 1, BRIGHTEST - 1)
    return np.asarray(cv2.erode(seen, np.ones((3, 3), np.uint8)), np.uint8)


def _away_from(product: npt.NDArray[np.bool_]) -> Region:
    reach = 2 * max(1, round(OUTLINE * max(product.shape))) + 1
    widened = cv2.dilate(product.view(np.uint8), np.ones((reach, reach), np.uint8))
    return np.asarray(cv2.inRange(widened, 0, 0), np.uint8)
