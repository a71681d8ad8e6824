"""Does the product have the colours of its photograph?"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.cluster.vq import vq
from skimage.color import deltaE_ciede2000, rgb2lab

from asset_pipeline.scores.score import Look, Mask, Measured, Pixels

WORKING_SIZE: Final = 192
"""The longer side the product is reduced towards, in pixels: averages noise and dither away."""
WHOLLY: Final = 250
"""The least mask value, 0 to 255, of a reduced pixel that is all product and no outline."""
SAMPLES: Final = 4096
FEWEST: Final = 64
"""How many pixels are compared at most and at least."""
COLOURS: Final = 5
NEW_COLOURS: Final = 2
"""How many colours the photograph gives both palettes to start from, and how many the picture adds. Fewer miss
a new colour that lies near an old one; with more, faithful copies differ more (measured)."""
ROUNDS: Final = 20
"""Lloyd iterations; palettes of 4096 pixels settle before."""
MAJOR: Final = 0.08
"""The share of a product from which people would name a colour when they describe it."""

Lab = npt.NDArray[np.float64]
"""Colours × 3 in CIELAB (D65)."""


class Colour:
    """The CIEDE2000 difference of the worst major colour between the product and its photograph.

    Product and photograph, each inside its mask, become palettes by k-means in CIELAB. Both start from the
    same colours, the photograph's and the two that the picture adds to them, so that what is alike is divided
    alike. Every colour with a share of 8 % and more, of either palette, is compared with the nearest of the
    other one: what is missing counts, and so does what was added. The value is the greatest difference
    (Sharma, Wu and Dalal, 2005): the mean, a detail, is diluted by a white label or a large plain part.
    The first photograph that is cut out is the reference.

    Measured on 22 composed pack shots against their own photograph: median 0.4 and at most 3.4 for faithful
    copies of any size and rotated ones; median 2.7 at JPEG quality 10; 8 when darkened by 15 %; 17 for a shift
    of 20 in a*; 40 (at least 28) where 15 % of the product was painted red.

    Failure modes: another light or a shadow reads as another colour (``worst_ab`` leaves lightness out);
    where the colours are is not looked at; a wrong colour of less than 8 % is not seen; a photograph of
    another side of the product has other colours.
    """

    dimension = "colour"
    version = "1"
    unit = "CIEDE2000"
    better = "lower"

    def measure(self, look: Look) -> Measured:
        """Compare the product's palette with the photograph's."""
        photograph = next((each for each in look.references if each.mask is not None), None)
        if photograph is None or photograph.mask is None:
            return Measured(
                reason="no reference photograph is cut out" if look.references else "no reference photograph"
            )
        if look.mask is None:
            return Measured(reason="nobody knows where the product is")
        expected, found = _samples(photograph.pixels, photograph.mask), _samples(look.pixels, look.mask)
        if expected is None:
            return Measured(reason="the reference photograph's cut-out is empty or too thin")
        if found is None:
            return Measured(reason="nobody knows where the product is, or it is too thin to have a colour")
        known = _palette(expected, _spread(expected, expected[:1], COLOURS))[0]
        start = _spread(found, known, len(known) + NEW_COLOURS)
        return _compare(_palette(expected, start), _palette(found, start))


def _samples(pixels: Pixels, mask: Mask) -> Lab | None:
    """Colours from all over the product, without its outline; none if there are too few."""
    if mask.shape != pixels.shape[:2] or not np.any(mask > WHOLLY):
        return None
    box = ndimage.find_objects(np.asarray(mask > WHOLLY, np.uint8))[0]
    factor = max(1, max(mask[box].shape) // WORKING_SIZE)
    colours = np.asarray(Image.fromarray(pixels[box]).reduce(factor)).reshape(-1, 3)
    places = np.flatnonzero(np.asarray(Image.fromarray(mask[box]).reduce(factor)) >= WHOLLY)
    if len(places) < FEWEST:
        return None
    chosen = places[np.linspace(0, len(places) - 1, min(SAMPLES, len(places))).astype(np.intp)]
    return np.asarray(rgb2lab(colours[chosen]), np.float64)


def _spread(samples: Lab, centres: Lab, colours: int) -> Lab:
    """Add to `centres` up to so many colours: k-means++ with its distribution's middle in place of a draw."""
    while len(centres) < colours:
        mass = np.cumsum(vq(samples, centres)[1] ** 2)
        if mass[-1] == 0:
            break
        centres = np.vstack([centres, samples[np.searchsorted(mass, mass[-1] / 2)]])
    return centres


def _palette(samples: Lab, centres: Lab) -> tuple[Lab, Lab]:
    """Lloyd's k-means from given centres: the colours, and the share of the samples that each stands for."""
    for _ in range(ROUNDS):
        nearest = vq(samples, centres)[0]
        counts = np.bincount(nearest, minlength=len(centres))
        sums = [np.bincount(nearest, channel, len(centres)) for channel in samples.T]
        centres = np.where(counts[:, None], np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None], centres)
    return centres, counts / len(samples)


def _compare(of_photograph: tuple[Lab, Lab], of_picture: tuple[Lab, Lab]) -> Measured:
    pairs = [*_nearest(of_photograph, of_picture), *_nearest(of_picture, of_photograph)]
    ours, theirs, shares = (np.array(part) for part in zip(*pairs, strict=True))
    differences = deltaE_ciede2000(ours, theirs)  # type: ignore[no-untyped-call]
    worst = int(np.argmax(differences))
    missing = worst < np.count_nonzero(of_photograph[1] >= MAJOR)
    return Measured(
        float(differences[worst]),
        details={
            "mean": round(float(np.average(differences, weights=shares)), 2),
            "worst_ab": round(float(np.linalg.norm((ours - theirs)[:, 1:], axis=1).max()), 2),
            "worst_is_of": "photograph" if missing else "picture",
            "worst_lab": [round(float(part), 1) for part in ours[worst]],
            "nearest_lab": [round(float(part), 1) for part in theirs[worst]],
        },
    )


def _nearest(ours: tuple[Lab, Lab], theirs: tuple[Lab, Lab]) -> list[tuple[Lab, Lab, float]]:
    """Each of our major colours with the nearest of theirs that is at least half as common, and its share."""
    candidates = theirs[0][theirs[1] >= MAJOR / 2]
    differences = deltaE_ciede2000(ours[0][:, None], candidates[None])  # type: ignore[no-untyped-call]
    nearest = candidates[np.argmin(differences, axis=1)]
    return [
        (colour, partner, float(share))
        for colour, partner, share in zip(ours[0], nearest, ours[1], strict=True)
        if share >= MAJOR
    ]
