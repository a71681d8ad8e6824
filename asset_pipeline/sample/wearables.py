"""Shapes of leather, cloth and wood that are worn, carried or sat on: handbag, sneaker, cap, chair."""

import numpy as np

from asset_pipeline.sample.fields import (
    Field,
    Floats,
    Points,
    ball,
    box,
    clad,
    cylinder,
    extruded,
    filleted,
    grown,
    hollow,
    mirrored,
    moved,
    repeated_around,
    revolved,
    ring,
    rod,
    smooth,
    stretched,
    swept,
    symmetric,
    turned,
    union,
    within,
    without,
)
from asset_pipeline.sample.shape import Front, Part, Shape


def handbag() -> Shape:
    """A structured handbag: a flap with a clasp, a rolled handle on two rings, piped edges."""
    outline = filleted(symmetric((-0.69, 0.98, 0.12), (-0.80, 0, 0.10)))
    solid = extruded(outline, 0.50, 0.10)
    front = filleted(
        symmetric((-0.70, 1.01, 0.1), (-0.735, 0.98, 0.1), (-0.77, 0.62, 0.05), (-0.62, 0.45, 0.16))
    )
    flap = within(moved(extruded(front, 0.62, 0.02), z=0.06), grown(solid, 0.026), softness=0.02)
    cord = swept(np.concatenate([outline, outline[:1]]), 0.019)
    grip = smooth(symmetric((-0.36, 1.02), (-0.36, 1.14), (-0.31, 1.38), (-0.17, 1.54), (0, 1.59)))
    loops = mirrored(moved(turned(ring(0.062, 0.014), x=90), 0.36, 1.03))
    clasp = moved(box(0.17, 0.115, 0.05, 0.018), 0, 0.475, 0.278)
    feet = mirrored(mirrored(moved(cylinder(0.04, 0.04, 0.012), 0.58, -0.01, 0.12), 0), 2)

    def lifted(field: Field) -> Field:
        return moved(field, y=0.03)

    return Shape(
        (
            Part("body", lifted(solid)),
            Part("body", lifted(flap)),
            Part("trim", lifted(mirrored(moved(cord, z=0.19), 2))),
            Part("trim", lifted(swept(grip, 0.036))),
            Part("bright", lifted(union(loops, clasp, feet))),
            Part("bright", lifted(moved(turned(cylinder(0.030, 0.05, 0.010), x=90), 0, 0.475, 0.312))),
            Part("body", lifted(mirrored(moved(box(0.10, 0.10, 0.10, 0.02), 0.36, 0.985)))),
        )
    )


def sneaker() -> Shape:
    """A low court sneaker, its toe to the right."""
    plan = filleted([
        (-0.93, 0.19, 0.19), (-0.2, 0.175, 0.5), (0.42, 0.28, 0.3), (0.985, 0.23, 0.24), (0.985, -0.25, 0.25),
        (0.42, -0.29, 0.3), (-0.2, -0.185, 0.5), (-0.93, -0.19, 0.19),
    ])  # fmt: skip
    profile = smooth([
        (-0.885, 0.08), (-0.915, 0.40), (-0.875, 0.76), (-0.80, 0.83), (-0.60, 0.76), (-0.36, 0.83),
        (-0.24, 0.85), (-0.10, 0.76), (0.18, 0.565), (0.44, 0.44), (0.68, 0.39), (0.86, 0.32), (0.945, 0.22),
        (0.955, 0.08),
    ])  # fmt: skip
    low_plan = grown(lying(extruded(plan, 3.0, 0.0)), -0.035)

    def leaning(p: Points) -> Floats:
        """The plan, narrower towards the ankle."""
        narrow = p.copy()
        narrow[2] *= 1 + np.float32(0.42) * np.clip(p[1] - np.float32(0.22), 0, 1)
        return low_plan(narrow) * np.float32(0.75)

    body = within(extruded(profile, 1.2, 0.0), leaning, softness=0.20)
    opening = moved(turned(stretched(cylinder(0.25, 0.9, 0.08), z=0.52), z=5), -0.53, 0.98)
    upper = without(body, opening, softness=0.05)
    tip = moved(box(0.52, 0.60, 1.0, 0.05), 0.90, 0.28)
    counter = moved(turned(box(0.40, 0.66, 1.0, 0.06), z=14), -1.0, 0.50)
    stripe = mirrored(moved(turned(box(0.075, 0.62, 0.6, 0.02), z=34), -0.20, 0.38, 0.34), 2)
    stripes = union(stripe, moved(stripe, x=0.145))
    throat = moved(turned(box(0.56, 0.5, 0.17, 0.05), z=-34), 0.10, 0.70)
    laces = union(*(
        moved(turned(box(0.050, 0.5, 0.30, 0.020), z=-34, y=slant), x, y)
        for x, y, slant in (
            (-0.115, 0.80, 6), (-0.02, 0.735, -6), (0.075, 0.67, 6), (0.17, 0.605, -6), (0.26, 0.545, 6),
        )
    ))  # fmt: skip
    tongue = moved(turned(box(0.060, 0.34, 0.26, 0.028), z=30), -0.225, 0.80)
    sole = moved(lying(extruded(plan, 0.23, 0.035)), y=0.115)
    rubber = moved(box(3, 0.05, 3, 0.0), y=0.02)
    groove = moved(box(3, 0.010, 3, 0.0), y=0.168)
    return Shape((
        Part(
            "body",
            clad(upper, (0.012, union(tip, counter, stripes)), (0.006, throat), (0.042, laces)),
            (("accent", counter), ("accent", stripes), ("trim", throat), ("light", grown(laces, 0.004)),
             ("trim", grown(opening, 0.012))),
        ),
        Part("body", tongue),
        Part("light", sole, (("trim", rubber), ("trim", groove))),
    ))  # fmt: skip


def lying(field: Field) -> Field:
    """A field drawn in x and y, laid on the floor: its y axis points away from the viewer."""
    return turned(field, x=-90)


def cap() -> Shape:
    """A six-panel cap with a curved peak."""
    line = smooth([
        (0.585, 0.0), (0.60, 0.16), (0.585, 0.34), (0.51, 0.53), (0.36, 0.68), (0.18, 0.755), (0.0, 0.775),
    ])  # fmt: skip
    dome = stretched(revolved(np.concatenate([[(0, 0)], line])), x=0.97, z=1.10)
    seams = within(
        hollow(grown(dome, 0.002), 0.010),
        union(*(turned(box(0.016, 3, 3, 0.0), y=angle) for angle in (0, 60, 120))),
        softness=0.006,
    )
    eyelet = repeated_around(moved(turned(ring(0.017, 0.006), x=48), y=0.562, z=0.478), 6)
    eyelets = turned(stretched(eyelet, x=0.97, z=1.10), y=30)
    button = moved(stretched(ball(0.045), y=0.6), y=0.785)
    rim = smooth(symmetric((-0.56, 0.0), (-0.575, 0.28), (-0.45, 0.62), (-0.22, 0.80), (0.0, 0.84)))
    sheet = extruded(np.concatenate([rim, [(0.50, -0.10), (-0.50, -0.10)]]), 0.036, 0.014)

    def bent(p: Points) -> Floats:
        """The peak's sheet, bent down to both sides and a little to the front."""
        along = p[2] - np.float32(0.34)
        drop = np.float32(0.46) * p[0] * p[0] + np.float32(0.10) * np.maximum(along, 0)
        return sheet(np.stack([p[0], along, p[1] - np.float32(0.045) + drop])) * np.float32(0.75)

    peak = without(bent, grown(dome, -0.02))
    return Shape((
        Part("body", moved(dome, y=0.19)), Part("trim", moved(union(seams, eyelets), y=0.19)),
        Part("accent", moved(button, y=0.19)), Part("accent", moved(peak, y=0.19)),
    ), Front("body", 0.46, 0.20, 0.52))  # fmt: skip


def chair() -> Shape:
    """A dining chair: an upholstered seat and a curved back on four tapered wooden legs."""
    seat = moved(box(0.94, 0.14, 0.88, 0.06), y=0.90)
    bow = hollow(moved(cylinder(0.98, 3.2, 0.0), z=0.46), 0.09)
    back = within(bow, moved(box(0.96, 0.56, 0.7, 0.12), 0, 1.50, -0.52), softness=0.08)
    legs = union(
        mirrored(rod((0.37, 0.86, 0.35), (0.43, 0.02, 0.42), 0.042, 0.026)),
        mirrored(rod((0.34, 1.50, -0.44), (0.37, 0.88, -0.37), 0.028, 0.042)),
        mirrored(rod((0.37, 0.88, -0.37), (0.42, 0.02, -0.50), 0.042, 0.026)),
    )
    rails = union(
        mirrored(rod((0.37, 0.80, 0.35), (0.37, 0.80, -0.37), 0.028)),
        rod((-0.37, 0.80, 0.355), (0.37, 0.80, 0.355), 0.028),
        rod((-0.37, 0.80, -0.375), (0.37, 0.80, -0.375), 0.028),
    )
    return Shape((Part("body", seat), Part("body", back), Part("wood", legs), Part("wood", rails)))
