"""How noisy is the picture?"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from asset_pipeline.scores.score import Look, Measured

DARKEST: Final = 2
BRIGHTEST: Final = 253
"""Luma from 0 to 255; noise beyond these is cut off by the range and cannot be measured."""
ENOUGH: Final = 0.02
"""The share of the frame's pixels that an estimate needs, at least."""
OUTLINE: Final = 0.01
"""Half the width of the strip along the product's outline that is left out, as a share of the frame."""

Region = npt.NDArray[np.bool_]


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
    version = "1"
    unit = "grey levels"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Estimate sigma on the background, or on the whole where the background does not tell."""
        luma = look.luma
        if min(luma.shape) < 3:  # noqa: PLR2004 - the operator is 3 × 3
            return Measured(reason="it is too small to tell noise from content")
        product = look.product
        response = np.abs(np.diff(np.diff(luma, n=2, axis=0), n=2, axis=1))
        usable = _not_cut_off(luma)
        whole = _sigma(response, usable)
        background = None
        if product is not None and product.shape == luma.shape:
            background = _sigma(response, usable & _away_from(product)[1:-1, 1:-1])
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


def _sigma(response: npt.NDArray[np.float32], where: Region) -> float | None:
    """Immerkaer's estimate over some pixels; none if too few. E|N(0, 6 sigma)| is 6 sigma sqrt(2 / pi)."""
    if np.count_nonzero(where) < ENOUGH * where.size:
        return None
    return float(np.sqrt(np.pi / 2) / 6 * response.mean(where=where, dtype=np.float64))


def _not_cut_off(luma: npt.NDArray[np.float32]) -> Region:
    """Inner pixels whose whole 3 × 3 neighbourhood is neither black nor white."""
    seen = (luma > DARKEST) & (luma < BRIGHTEST)
    rows = seen[:-2] & seen[1:-1] & seen[2:]
    return np.asarray(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:], np.bool_)


def _away_from(product: Region) -> Region:
    reach = 2 * max(1, round(OUTLINE * max(product.shape))) + 1
    return np.asarray(ndimage.maximum_filter(product.view(np.uint8), size=reach) == 0, np.bool_)
