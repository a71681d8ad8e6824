"""Does the product keep its detail in the shadows and the highlights?"""

from typing import Final

import numpy as np

from asset_pipeline.scores.score import Look, Measured

DARK: Final = 2
BRIGHT: Final = 253
"""Luma from 0 to 255 at which a pixel counts as clipped: the ends of the range, with room for rounding and
for what a codec adds."""


class Exposure:
    """The share of the product's pixels whose luma is clipped, dark and bright together.

    A plain histogram count (Rec. 601 luma in whole levels). It is taken inside the product's mask only, as
    white and black backgrounds are clipped by design.

    Failure modes: pure black and pure white products are clipped by nature, so their share speaks of the
    product and not of the exposure; a single clipped channel of a saturated colour is not noticed.
    """

    dimension = "exposure"
    version = "2"
    unit = "share of the product"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Count the clipped pixels of the product."""
        product, box = look.product, look.product_box
        if product is None or box is None:
            return Measured(reason="nobody knows where the product is")
        pixels = np.bincount(look.grey[box][product[box]], minlength=256)
        dark = float(pixels[: DARK + 1].sum() / pixels.sum())
        bright = float(pixels[BRIGHT:].sum() / pixels.sum())
        return Measured(
            dark + bright,
            details={
                "dark": round(dark, 4),
                "bright": round(bright, 4),
                "median_luma": int(np.searchsorted(pixels.cumsum(), pixels.sum() / 2)),
            },
        )
