"""What clings to a product's foot in its photograph: the darkest part of its shadow on a plain background.

Against a light studio nobody sees that rim; in a dark scene it shines. A cut-out cannot tell it from a light
product by colour alone; here it is known to lie below the product or beside its foot, to be thin, to have
the background's tint, and to end where the picture changes abruptly.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.placing import bounding_box

Region = npt.NDArray[np.bool_]

_THICKEST: Final = 0.04
"""The rim's greatest thickness, as a share of the product's longer side: a light part is thicker."""
_DARKEST: Final = 0.5
"""How much of the background's light a shadow lets through at least."""
_TINT: Final = 0.035
"""How far each channel of a shadow may be from a dimmed background, as a share of it: noise."""
_STEEPEST: Final = 0.03
"""The change from pixel to pixel, as a share of the background, that no soft shadow has."""
_BESIDE: Final = 0.15
"""The share of the product's height, from its foot, in which a rim may lie beside it."""
_SEAM: Final = 2
"""Pixels between shadow and product, in which both are mixed."""
_OUTSIDE: Final = 8
_OPAQUE: Final = 250


def without_contact_shadow(cutout: Cutout) -> Cutout:
    """A cut-out from a plain background without the shadow at its foot; any other one as it is."""
    if cutout.background is None:
        return cutout
    left, top, right, bottom = bounding_box(cutout.alpha)
    thickest = _THICKEST * max(right - left, bottom - top)
    ratio = cutout.pixels / np.maximum(np.array(cutout.background, np.float32), 1)
    light = ratio.mean(axis=2)
    tint = ndimage.uniform_filter(np.abs(ratio - light[..., None]).max(axis=2), 3)
    smooth = ndimage.gaussian_gradient_magnitude(light, 0.7) < _STEEPEST
    outside = cutout.alpha <= _OUTSIDE
    shaded = (light > _DARKEST) & (tint < _TINT) & (smooth | (cutout.alpha < _OPAQUE))

    gone = _rim_below(outside | shaded, outside, thickest, round(0.02 * (right - left)))
    beside, open_to = outside | shaded | gone, outside | gone
    foot = np.arange(len(outside))[:, None] >= bottom - round(_BESIDE * (bottom - top))
    # A rim to the left or right is one below, in the picture turned by a quarter.
    for turns in (1, 3):
        rim = _rim_below(
            np.rot90(beside & foot, turns),
            np.rot90(open_to, turns),
            thickest,
            round(0.02 * (bottom - top)),
        )
        gone |= np.rot90(rim, -turns) & foot
    kept = np.clip(1 - 2 * ndimage.gaussian_filter(gone.astype(np.float32), 0.7), 0, 1) * ~gone
    return replace(cutout, alpha=np.round(cutout.alpha * kept).astype(np.uint8))


def _rim_below(passable: Region, outside: Region, thickest: float, width: int) -> Region:
    """What one passes on the way up from each column's foot, where that is no more than a rim is thick.

    Columns vote among neighbours within `width`, so that one light speck of the product makes no notch.
    """
    passed = np.logical_and.accumulate(passable[::-1], axis=0)[::-1] & ~outside
    thickness = passed.sum(axis=0)
    thickness[thickness > thickest] = 0
    thickness = ndimage.median_filter(thickness, max(3, width))
    foot = len(outside) - np.argmax(~outside[::-1], axis=0)
    first = np.where((thickness > 0) & ~outside.all(axis=0), foot - thickness - _SEAM, len(outside))
    return np.asarray(np.arange(len(outside))[:, None] >= first, np.bool_)
