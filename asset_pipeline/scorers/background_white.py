"""Is the background pure white?"""

from typing import Final

import cv2
import numpy as np

from asset_pipeline.scores.score import Look, Measured

MARGIN: Final = 0.004
"""How far the mask is widened, as a share of the frame's longer side: the outline's soft pixels."""
WHITE: Final = 255
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
    promises = ("nearly_white",)

    def measure(self, look: Look) -> Measured:
        """Count the white pixels outside the product."""
        mask = look.mask
        if mask is None or look.product_box is None:
            return Measured(reason="nobody knows where the product is")
        reach = 2 * max(1, round(MARGIN * max(mask.shape))) + 1
        background = cv2.inRange(cv2.dilate(mask, np.ones((reach, reach), np.uint8)), 0, 0)
        pixels = cv2.countNonZero(background)
        if not pixels:
            return Measured(reason="the product leaves no background")

        def share(least: int) -> float:
            bright = cv2.inRange(look.pixels, (least,) * 3, (WHITE,) * 3)
            return cv2.countNonZero(cv2.bitwise_and(bright, background)) / pixels

        return Measured(
            share(WHITE), details={"nearly_white": round(share(NEARLY_WHITE), 4), "pixels": pixels}
        )
