"""Is the background pure white?"""

from typing import Final

import numpy as np
from scipy import ndimage

from asset_pipeline.scores.score import Look, Measured

MARGIN: Final = 0.004
"""How far the mask is widened, as a share of the frame's longer side: the outline's soft pixels."""
NEARLY_WHITE: Final = 250
"""The least channel of a pixel that people take for white; only a detail, the rule is about exact white."""


class BackgroundWhite:
    """The share of background pixels that are exactly white: red, green and blue all 255.

    Marketplaces ask for this of a main image. The background is what lies outside the mask, widened by 0.4 %
    of the frame so that the outline's soft pixels do not count. Only the fact is measured: whether an asset
    type wants white is its threshold's business.

    Failure modes: a mask that is too large hides a grey fringe; soft shadows and reflections on white count
    as not white, as they do for the marketplaces.
    """

    dimension = "background_white"
    version = "1"
    unit = "share of the background"
    better = "higher"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Count the white pixels outside the product."""
        mask = look.mask
        if mask is None or mask.shape != look.pixels.shape[:2] or not np.any(look.product):
            return Measured(reason="nobody knows where the product is")
        reach = 2 * max(1, round(MARGIN * max(mask.shape))) + 1
        background = ndimage.maximum_filter(np.asarray(mask > 0, np.uint8), size=reach) == 0
        pixels = int(np.count_nonzero(background))
        if not pixels:
            return Measured(reason="the product leaves no background")
        least = np.minimum(np.minimum(look.pixels[..., 0], look.pixels[..., 1]), look.pixels[..., 2])
        least = least[background]
        return Measured(
            float(np.mean(least == np.iinfo(np.uint8).max)),
            details={"nearly_white": round(float(np.mean(least >= NEARLY_WHITE)), 4), "pixels": pixels},
        )
