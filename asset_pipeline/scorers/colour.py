"""Does the product have the colours of its photograph?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
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
COLOURS: Final = 6
"""How many colours a palette has: with fewer, faithful copies of one product differ more (measured)."""
ROUNDS: Final = 20
"""Lloyd iterations; palettes of 4096 pixels settle before."""
MAJOR: Final = 0.08
"""The share of a product from which people would name a colour when they describe it."""

Lab = npt.NDArray[np.float64]
"""Colours × 3 in CIELAB (D65)."""


class Colour:
    """The CIEDE2000 difference of the worst major colour between the product and its photograph.

    Product and photograph, each inside its mask, become palettes of six colours by k-means in CIELAB. Every
    colour with a share of 8 % and more, of either palette, is looked for in the other picture: it is compared
    with the mean of the pixels there that come nearest, half as many as it has itself. So what is missing
    counts, and so does what was added, and it hardly matters how k-means divides a shaded surface. The
    value is the greatest difference (Sharma, Wu and Dalal, 2005); the mean, a detail, is diluted by a white
    label or a large plain part. The first photograph that is cut out is the reference.

    Measured on pack shots composed from 51 photographs, against these: median 0.6 and at most 3.3 for
    faithful copies, small or rotated ones too; median 2.2 at JPEG quality 10; 7.7 when darkened by 15 %;
    16 for a shift of 20 in a*; 39, and at least 28, where 15 % of the product was painted red.

    Failure modes: another light or a shadow reads as another colour (``worst_ab`` leaves lightness out);
    where the colours are is not looked at; a wrong colour of less than 8 % is not seen; a photograph of
    another side of the product has other colours.
    """

    dimension = "colour"
    version = "1"
    unit = "CIEDE2000"
    better = "lower"
    expects: tuple[str, ...] = ()
    promises = ("mean", "worst_ab")

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
        pairs = [*_pairs(expected, found, "photograph"), *_pairs(found, expected, "picture")]
        total = sum(pair.share for pair in pairs)
        worst = max(pairs, key=lambda pair: pair.difference)
        return Measured(
            worst.difference,
            details={
                "mean": round(sum(pair.difference * pair.share for pair in pairs) / total, 2),
                "worst_ab": round(max(math.dist(pair.lab[1:], pair.nearest_lab[1:]) for pair in pairs), 2),
                "colour_of": worst.of,
                "lab": [round(part, 1) for part in worst.lab],
                "nearest_lab": [round(part, 1) for part in worst.nearest_lab],
            },
        )


@dataclass(frozen=True)
class _Pair:
    """A major colour of one picture with what comes nearest to it in the other one."""

    of: str
    lab: tuple[float, ...]
    nearest_lab: tuple[float, ...]
    share: float
    difference: float


def _samples(pixels: Pixels, mask: Mask) -> Lab | None:
    """Colours from all over the product, without its outline; none if there are too few."""
    if mask.shape != pixels.shape[:2] or not np.any(mask >= WHOLLY):
        return None
    box = ndimage.find_objects(np.asarray(mask >= WHOLLY, np.uint8))[0]
    factor = max(1, max(mask[box].shape) // WORKING_SIZE)
    colours = np.asarray(Image.fromarray(pixels[box]).reduce(factor)).reshape(-1, 3)
    places = np.flatnonzero(np.asarray(Image.fromarray(mask[box]).reduce(factor)) >= WHOLLY)
    if len(places) < FEWEST:
        return None
    chosen = places[np.linspace(0, len(places) - 1, min(SAMPLES, len(places))).astype(np.intp)]
    return np.asarray(rgb2lab(colours[chosen]), np.float64)


def _major_colours(samples: Lab) -> tuple[Lab, npt.NDArray[np.intp]]:
    """The colours by k-means that are common enough, and how many of the samples each stands for."""
    centres = _spread(samples)
    for _ in range(ROUNDS):
        nearest = vq(samples, centres)[0]
        counts = np.bincount(nearest, minlength=len(centres))
        sums = [np.bincount(nearest, channel, len(centres)) for channel in samples.T]
        centres = np.where(counts[:, None], np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None], centres)
    major = counts >= MAJOR * len(samples)
    return centres[major], counts[major]


def _spread(samples: Lab) -> Lab:
    """Colours to start k-means from: k-means++, with the middle of its distribution in place of a draw."""
    centres = samples[:1]
    while len(centres) < COLOURS:
        mass = np.cumsum(vq(samples, centres)[1] ** 2)
        if mass[-1] == 0:
            break
        centres = np.vstack([centres, samples[np.searchsorted(mass, mass[-1] / 2)]])
    return centres


def _pairs(ours: Lab, theirs: Lab, of: str) -> Iterator[_Pair]:
    for colour, count in zip(*_major_colours(ours), strict=True):
        share = float(count) / len(ours)
        enough = max(1, int(share / 2 * len(theirs)))
        nearest = np.argpartition(((theirs - colour) ** 2).sum(axis=1), enough - 1)[:enough]
        there = theirs[nearest].mean(axis=0)
        difference = float(deltaE_ciede2000(colour, there))  # type: ignore[no-untyped-call]
        yield _Pair(of, tuple(colour.tolist()), tuple(there.tolist()), share, difference)
