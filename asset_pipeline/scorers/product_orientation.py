"""Is the product upright, and not mirrored?"""

from typing import Final

import numpy as np

from asset_pipeline.pictures.aligned import (
    STATES,
    Registered,
    Standard,
    likeness,
    nearest_states,
    registered,
    standard,
)
from asset_pipeline.pictures.standard_photographs import StandardPhotograph, StandardPhotographs
from asset_pipeline.scores.score import Look, Measured

RIVALS: Final = 3
"""How many other states are compared in full: those that agree best at a quarter of the size."""
FITS: Final = 0.25
"""The least mean likeness of the best state. Measured on 24 products: at least 0.84 for faithful, mirrored
and turned pictures, blurred ones too; at most 0.23 for other products."""


class ProductOrientation:
    """By how much the product is more like its upright photograph than like any other state of it, -1 to 1.

    The photograph is laid over the picture upright, and mirrored, flipped, upside down, and turned by 90
    degrees either way (the eight states of D4; see ``pictures/aligned.py``). Upright and the other state are
    compared where the two differ, and by how much they differ there: 1 is as upright as the photograph, -1
    as surely in another state, 0 is undecided. A number and not yes or no, since how sure it is is what a
    threshold is about. The worst of the three states that come nearest counts; ``looks`` says what it is.

    States in which the product looks the same, as its photograph compared with itself shows (a vase and its
    mirror image), are left out: no one could see the fault. Where all are, as for a ball, it does not apply.
    No code or weights of others.

    Measured at 1024² on 24 rendered products: at least 0.84 for 168 faithful composites (median 0.98), and at
    least 0.79 after JPEG 30, noise of 10 levels or a blur of 2 pixels; at most -0.94 mirrored, flipped,
    upside down or turned by 90 degrees, but for one vase that looks the same mirrored, 0.77. 30 ms for a
    picture and core, and 0.1 s once for a photograph.

    Failure modes: a plain product seen from its other side can look like its mirror image, and reads as that.
    A mirrored label on an upright product comes out at 0.2 to 0.95, by how much of the product it is: that is
    for ``product_structure`` (at most 0.49 for 12 of 12) and the text scorer. What is turned by other angles
    than about 30 degrees around the eight states fits none of them. Products that are symmetric but for
    something smaller than a hundredth of them are taken for symmetric.
    """

    dimension = "product_orientation"
    version = "1"
    unit = "margin, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ()
    promises: tuple[str, ...] = ("looks",)

    def __init__(self) -> None:
        self._photographs = StandardPhotographs()

    def measure(self, look: Look) -> Measured:
        """Lay the photograph over the picture in its states."""
        photographs, _ = self._photographs.of(look.references, look.details)
        if not photographs:
            return Measured(
                reason="no reference photograph is cut out" if look.references else "no reference photograph"
            )
        picture = None if look.mask is None else standard(look.pixels, look.mask)
        if picture is None:
            return Measured(reason="nobody knows where the product is, or it is too small to compare")
        laid = [_laid(picture, photograph) for photograph in photographs]
        nearest = max(range(len(laid)), key=lambda index: max(found.fit for found in laid[index].values()))
        states, same = laid[nearest], sorted(photographs[nearest].alike_states)
        looks = max(states, key=lambda state: states[state].fit)
        details = {
            "looks": looks,
            "fits": {state: round(found.fit, 3) for state, found in states.items()},
            "looks_the_same": same,
        }
        if states[looks].fit < FITS:
            return Measured(
                reason=f"it is like its photograph in no orientation (at most {states[looks].fit:.2f})",
                details=details,
            )
        upright = states["upright"]
        margins = [_margin(upright, found) for state, found in states.items() if state != "upright"]
        if not margins:
            return Measured(
                reason="the product looks the same mirrored and turned", details=details, applies=False
            )
        return Measured(round(min(margins), 4), details=details)


def _laid(picture: Standard, photograph: StandardPhotograph) -> dict[str, Registered]:
    """The photograph over the picture: upright, and in those other states that come nearest."""
    others = STATES.keys() - photograph.alike_states - {"upright"}
    rivals = nearest_states(picture, photograph.standard, others, RIVALS)
    return {state: registered(picture, photograph.standard, state) for state in ("upright", *rivals)}


def _margin(upright: Registered, other: Registered) -> float:
    """How much more upright is like the picture than the other state, where the two differ."""
    differ = np.maximum(0, 1 - likeness(upright.layers, other.layers))
    gained = float((differ * (upright.likeness - other.likeness)).sum(dtype=np.float64))
    return float(np.clip(gained / max(float((differ**2).sum(dtype=np.float64)), 1e-6), -1, 1))
