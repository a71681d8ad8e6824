"""Shapes of the table: mug, teapot, bowl."""

import numpy as np

from asset_pipeline.sample.fields import (
    ball,
    blended,
    lathed,
    moved,
    revolved,
    smooth,
    stretched,
    swept,
    without,
)
from asset_pipeline.sample.shape import Front, Part, Shape


def mug() -> Shape:
    """A mug with a round ear, its foot left unglazed."""
    solid = lathed((0.46, 0.05, 0.11), (0.50, 1.10, 0.024))
    hole = lathed((0.415, 0.13, 0.10), (0.447, 1.3, 0))
    ear = smooth([
        (0.40, 0.90), (0.60, 0.945), (0.775, 0.86), (0.83, 0.63), (0.74, 0.42), (0.58, 0.305), (0.40, 0.27),
    ])  # fmt: skip
    cup = without(blended(0.055, solid, swept(ear, 0.052, flat=1.35)), hole, softness=0.03)
    foot = lathed((0.37, 0, 0.02), (0.385, 0.07, 0.01))
    return Shape((Part("body", cup), Part("light", foot)), Front("body", 0.62, 0.42, 0.58, radius=0.48))


def teapot() -> Shape:
    """A round teapot with spout, lid, knob and a handle behind."""
    side = smooth([(0.33, 0.0), (0.50, 0.12), (0.63, 0.40), (0.60, 0.66), (0.44, 0.85), (0.32, 0.90)])
    belly = revolved(np.concatenate([[(0, 0)], side, [(0, 0.90)]]))
    spout = smooth([(0.45, 0.30), (0.68, 0.38), (0.80, 0.58), (0.90, 0.80), (0.99, 0.90)])
    mouth = swept(smooth([(0.86, 0.72), (0.93, 0.84), (1.06, 0.98)]), 0.032, 0.040)
    handle = smooth([
        (-0.46, 0.76), (-0.70, 0.86), (-0.92, 0.80), (-1.0, 0.58), (-0.90, 0.36), (-0.70, 0.24),
        (-0.54, 0.25),
    ])  # fmt: skip
    joined = blended(0.08, belly, swept(spout, 0.145, 0.066), swept(handle, 0.056, flat=1.35))
    lid = lathed((0, 0.88, 0), (0.335, 0.885, 0.012), (0.335, 0.93, 0.02), (0.20, 1.00, 0.12), (0, 1.02, 0))
    stem = lathed((0.075, 0.98, 0.0), (0.045, 1.05, 0.02), (0, 1.10, 0))
    knob = moved(stretched(ball(0.095), y=0.86), y=1.10)
    return Shape(
        (
            Part("body", without(joined, mouth, softness=0.03)),
            Part("body", blended(0.04, lid, stem)),
            Part("wood", knob),
        )
    )


def bowl() -> Shape:
    """An open bowl on a small foot."""
    outer = smooth([(0.30, 0.0), (0.33, 0.05), (0.56, 0.16), (0.80, 0.40), (0.92, 0.66)])
    inner = smooth([(0.875, 0.665), (0.76, 0.42), (0.52, 0.20), (0.25, 0.12), (0.0, 0.11)])
    return Shape((Part("body", revolved(np.concatenate([[(0, 0)], outer, inner]))),))
