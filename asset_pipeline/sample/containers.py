"""Shapes that hold something: bottle, flask, can, jars, tube, box, vases. About 2 high, on the origin."""

import numpy as np

from asset_pipeline.sample.fields import (
    Floats,
    Points,
    blended,
    box,
    corner,
    cylinder,
    grown,
    hollow,
    lathed,
    moved,
    repeated_around,
    revolved,
    ring,
    rod,
    smooth,
    swept,
    symmetric,
    turned,
    union,
    within,
    without,
)
from asset_pipeline.sample.shape import Front, Part, Shape


def bottle() -> Shape:
    """A tall bottle with a shoulder, a neck and a capsule, as for oil or wine."""
    glass = lathed((0.325, 0, 0.05), (0.325, 1.28, 0.30), (0.125, 1.52, 0.20), (0.112, 1.86, 0.02))
    capsule = lathed(
        (0.127, 1.62, 0.008), (0.121, 1.86, 0.0), (0.136, 1.865, 0.006), (0.136, 1.90, 0.008),
        (0.124, 1.905, 0.004), (0.124, 1.99, 0.02),
    )  # fmt: skip
    return Shape((Part("body", glass), Part("trim", capsule)), Front("body", 0.78, 0.80, 0.66, radius=0.325))


def flask() -> Shape:
    """An insulated drinking flask with a screw lid and a carrying loop."""
    body = lathed((0.36, 0, 0.05), (0.365, 1.36, 0.22), (0.235, 1.55, 0.08), (0.235, 1.62, 0.01))
    foot = lathed((0.352, 0, 0.03), (0.369, 0.03, 0.01), (0.369, 0.075, 0.008))
    lid = lathed((0.262, 1.60, 0.012), (0.262, 1.82, 0.05))
    arch = smooth(symmetric((-0.19, 1.78), (-0.175, 1.93), (-0.08, 2.015)))
    collar = moved(cylinder(0.248, 0.03, 0.006), y=1.597)
    return Shape(
        (
            Part("body", body),
            Part("bright", foot),
            Part("bright", collar),
            Part("trim", union(lid, swept(arch, 0.028, flat=2.6))),
        ),
        Front("body", 0.66, 0.66, 0.86, radius=0.363),
    )


def can() -> Shape:
    """A tin can with seamed rims and a lid, as for coffee."""
    body = moved(cylinder(0.545, 1.34, 0.012), y=0.71)
    rims = union(moved(ring(0.548, 0.024), y=0.03), moved(ring(0.548, 0.022), y=1.385))
    lid = lathed((0.572, 1.30, 0.012), (0.572, 1.50, 0.03), (0.53, 1.50, 0.012), (0.515, 1.475, 0.012))
    return Shape(
        (Part("body", body), Part("bright", rims), Part("trim", lid)),
        Front("body", 1.26, 1.02, 0.66, radius=0.545),
    )


def jar() -> Shape:
    """A glass of honey or jam with a ridged screw lid."""
    glass = lathed(
        (0.50, 0, 0.09), (0.535, 0.45, 0.4), (0.52, 0.98, 0.16), (0.42, 1.12, 0.05), (0.42, 1.2, 0)
    )
    ridges = repeated_around(rod((0, 1.15, 0.489), (0, 1.285, 0.489), 0.017), 64)
    lid = without(lathed((0.475, 1.12, 0.012), (0.475, 1.34, 0.045)), ridges, softness=0.008)
    return Shape((Part("body", glass), Part("trim", lid)), Front("body", 0.86, 0.60, 0.53, radius=0.535))


def pot() -> Shape:
    """A low cosmetic jar with a broad lid."""
    base = lathed((0.60, 0, 0.07), (0.62, 0.50, 0.02), (0.56, 0.53, 0.01))
    gap = moved(cylinder(0.575, 0.06, 0.004), y=0.53)
    lid = lathed((0.625, 0.545, 0.012), (0.625, 0.83, 0.05), (0, 0.845, 0))
    return Shape(
        (Part("body", base), Part("bright", gap), Part("trim", lid)),
        Front("body", 0.86, 0.36, 0.265, radius=0.62),
    )


def candle() -> Shape:
    """A candle in a straight glass, its wax just below the rim."""
    outer = moved(cylinder(0.50, 1.16, 0.05), y=0.58)
    glass = without(outer, moved(cylinder(0.462, 1.0, 0.04), y=0.80), softness=0.03)
    wax = moved(cylinder(0.464, 0.86, 0.012), y=0.52)
    wick = union(rod((0, 0.94, 0), (0.012, 1.06, 0.0), 0.011), rod((0.012, 1.06, 0), (0.03, 1.09, 0), 0.010))
    return Shape(
        (Part("body", glass), Part("light", wax), Part("dark", wick)),
        Front("body", 0.72, 0.58, 0.56, radius=0.50),
    )


def tube() -> Shape:
    """A squeezed-flat tube that stands on its cap."""
    crimp = moved(box(0.885, 0.16, 0.034, 0.012), y=1.68)
    folds = union(*(moved(box(0.86, 0.012, 0.05, 0.005), y=1.63 + 0.026 * step) for step in range(5)))
    return Shape(
        (
            Part("body", grown(_squeezed, 0.004)),
            Part("body", union(crimp, folds)),
            Part("body", moved(cylinder(0.355, 0.05, 0.02), y=0.335)),
            Part("trim", lathed((0.345, 0, 0.03), (0.36, 0.31, 0.02))),
        ),
        Front("body", 0.62, 0.98, 0.93),
    )


def _squeezed(p: Points) -> Floats:
    """A cylinder from 0.34 to 1.62 high that becomes flat and a little wider towards its top."""
    share = np.clip((p[1] - np.float32(0.34)) / np.float32(1.28), 0, 1)
    wide = np.float32(0.365) + np.float32(0.066) * share
    deep = np.float32(0.365) * (1 - share) ** np.float32(0.72) + np.float32(0.028)
    x, z = p[0] / wide, p[2] / deep
    ratio = np.sqrt(x * x + z * z)
    slope = np.sqrt((x / wide) ** 2 + (z / deep) ** 2)
    across = ratio * (ratio - 1) / np.maximum(slope, np.float32(1e-4))
    along = np.abs(p[1] - np.float32(0.98)) - np.float32(0.64)
    # The distance across an ellipse is of first order, and the ellipse changes with height.
    return np.asarray(corner(across, along) * np.float32(0.7), np.float32)


def carton() -> Shape:
    """A folding box with a lid flap's edge, as for tea."""
    body = moved(box(0.92, 1.36, 0.62, 0.016), y=0.68)
    seam = moved(box(2.0, 0.008, 2.0, 0.001), y=1.245)
    grooved = without(body, within(seam, hollow(body, 0.014)), softness=0.004)
    return Shape((Part("body", grooved),), Front("body", 0.92, 1.215, 0.618))


def vase() -> Shape:
    """A slender vase with a waist, a belly and an open lip."""
    outer = smooth([
        (0.27, 0.0), (0.36, 0.22), (0.445, 0.62), (0.40, 1.02), (0.25, 1.36), (0.185, 1.60), (0.205, 1.80),
        (0.27, 1.95),
    ])  # fmt: skip
    inner = smooth([(0.24, 1.955), (0.175, 1.80), (0.155, 1.60), (0.18, 1.40), (0.0, 1.2)])
    body = revolved(np.concatenate([[(0, 0)], outer, inner]))
    return Shape((Part("body", grown(body, 0.010)),))


def ring_vase() -> Shape:
    """A standing ring on a foot, with a short neck."""
    disc = moved(turned(ring(0.53, 0.235), x=90), y=0.86)
    neck = lathed(
        (0.15, 1.50, 0.04), (0.105, 1.72, 0.15), (0.165, 1.93, 0.012), (0.135, 1.94, 0.01), (0.08, 1.72, 0.1),
        (0, 1.66, 0),
    )  # fmt: skip
    foot = lathed((0.25, 0, 0.02), (0.20, 0.16, 0.08), (0, 0.22, 0))
    mouth = moved(cylinder(0.085, 0.5, 0.02), y=1.95)
    return Shape((Part("body", without(blended(0.09, disc, neck, foot), mouth, softness=0.02)),))
