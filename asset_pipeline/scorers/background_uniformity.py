"""Is the background one even surface?"""

from typing import Final

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from asset_pipeline.scores.score import Look, Measured

BORDER: Final = 0.02
"""The depth of the frame's border that is looked at, as a share of its shorter side."""
SAMPLES: Final = 4096
"""How many border pixels are compared, spread evenly; the 95th percentile needs no more."""


class BackgroundUniformity:
    """How far the border's pixels are from their median colour: the 95th percentile of CIEDE2000.

    The border is the frame's outer 2 %, without the product where a mask tells it. The colours are compared
    in CIELAB (D65) by CIEDE2000; about 1 is just noticeable. Measured on real pictures: below 1 on a clean
    studio background, about 8 with strong noise, above 20 for a scene.

    Failure modes: an intended gradient or vignette reads as uneven; what is uneven only inside the frame is
    not seen; without a mask a product that reaches the border is taken for background.
    """

    dimension = "background_uniformity"
    version = "1"
    unit = "CIEDE2000"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Compare the border's pixels with their median in Lab."""
        height, width = look.pixels.shape[:2]
        depth = max(1, round(BORDER * min(height, width)))
        border = np.ones((height, width), np.bool_)
        border[depth:-depth, depth:-depth] = False
        if look.mask is not None:
            if look.mask.shape != (height, width):
                return Measured(reason="nobody knows where the product is")
            border &= look.mask == 0
        places = np.flatnonzero(border)
        if not len(places):
            return Measured(reason="the product covers the whole border")
        chosen = places[np.linspace(0, len(places) - 1, min(SAMPLES, len(places))).astype(np.intp)]
        lab = rgb2lab(look.pixels.reshape(-1, 3)[chosen])
        median = np.median(lab, axis=0)
        differences = deltaE_ciede2000(lab, median[None])  # type: ignore[no-untyped-call]
        return Measured(
            float(np.percentile(differences, 95)),
            details={"median_lab": [round(float(part), 1) for part in median], "pixels": len(places)},
        )
