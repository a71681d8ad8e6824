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

    A plain histogram count (Rec. 601 luma). It is taken inside the product's mask only, as white and
    black backgrounds are clipped by design.

    Failure modes: pure black and pure white products are clipped by nature, so their share speaks of the
    product and not of the exposure; a single clipped channel of a saturated colour is not noticed.
    """

    dimension = "exposure"
    version = "1"
    unit = "share of the product"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Count the clipped pixels of the product."""
        product = look.product
        if product is None or product.shape != look.pixels.shape[:2] or not product.any():
            return Measured(reason="nobody knows where the product is")
        luma = look.luma[product]
        dark = float(np.mean(luma <= DARK))
        bright = float(np.mean(luma >= BRIGHT))
        return Measured(
            dark + bright,
            details={
                "dark": round(dark, 4),
                "bright": round(bright, 4),
                "median_luma": round(float(np.median(luma)), 1),
            },
        )
