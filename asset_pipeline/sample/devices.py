"""Shapes that are switched on or wound up: speakers, headphones, watch, lamps."""

import numpy as np

from asset_pipeline.sample.fields import (
    Field,
    Floats,
    Points,
    Polyline,
    ball,
    blended,
    box,
    corner,
    cylinder,
    filleted,
    grown,
    hollow,
    lathed,
    mirrored,
    moved,
    path_distance,
    repeated_around,
    revolved,
    ring,
    rod,
    smooth,
    stretched,
    swept,
    turned,
    union,
    within,
    without,
)
from asset_pipeline.sample.shape import Front, Part, Shape


def speaker() -> Shape:
    """A portable speaker: a standing cylinder in cloth, with a rubber foot, a top plate and a strap."""
    cloth = moved(cylinder(0.46, 1.40, 0.06), y=0.80)
    foot = lathed((0.43, 0, 0.04), (0.468, 0.16, 0.02))
    crown = lathed((0.468, 1.44, 0.012), (0.44, 1.60, 0.06), (0.36, 1.60, 0.02), (0.33, 1.575, 0.02))
    minus = box(0.16, 0.03, 0.036, 0.012)
    keys = union(minus, turned(minus, y=90), moved(minus, z=-0.2))
    drop = smooth([(0.0, 0.0), (0.05, 0.16), (0.0, 0.36), (-0.05, 0.16), (0.0, 0.0)])
    plate = within(
        hollow(moved(cylinder(0.462, 1.2, 0.01), y=0.8), 0.018),
        turned(moved(box(0.30, 0.11, 0.6, 0.02), 0, 0.50, 0.46), y=17),
    )
    return Shape(
        (
            Part("body", cloth),
            Part("trim", foot),
            Part("trim", crown),
            Part("light", moved(keys, y=1.575)),
            Part("accent", moved(turned(swept(drop, 0.020, flat=1.6), z=-158), 0.475, 1.50)),
            Part("light", plate),
        ),
        Front("light", 0.26, 0.085, 0.50, radius=0.47),
    )


def bookshelf_speaker() -> Shape:
    """A wooden loudspeaker with a woofer and a tweeter."""
    shell = moved(box(0.96, 1.56, 0.86, 0.035), y=0.80)
    panel = moved(box(0.90, 1.50, 0.03, 0.012), 0, 0.80, 0.428)

    def facing(field: Field, y: float) -> Field:
        """A field that lies flat, standing up on the panel at a height."""
        return moved(turned(field, x=90), 0, y, 0.44)

    surround = union(facing(ring(0.315, 0.034), 0.53), facing(ring(0.145, 0.018), 1.20))
    cone = lathed((0, 0.0, 0), (0.30, 0.0, 0), (0.30, 0.014, 0), (0.10, -0.03, 0.02), (0, 0.0, 0))
    cap = facing(stretched(ball(0.12), y=0.42), 0.53)
    dome = facing(stretched(ball(0.085), y=0.55), 1.20)
    rims = union(facing(ring(0.362, 0.016), 0.53), facing(ring(0.178, 0.012), 1.20))
    feet = mirrored(mirrored(moved(cylinder(0.06, 0.06, 0.01), 0.36, 0.02, 0.30), 0), 2)
    return Shape(
        (
            Part("wood", shell),
            Part("body", panel),
            Part("dark", union(surround, feet)),
            Part("dark", facing(cone, 0.53)),
            Part("accent", union(cap, dome)),
            Part("bright", rims),
        )
    )


def headphones() -> Shape:
    """Over-ear headphones: two cushioned cups on a padded band."""
    band = swept(_arch(0.735, 0.79, 1.05, -24), 0.034, flat=3.0)
    padding = swept(_arch(0.685, 0.735, 1.05, 28), 0.058, flat=2.4)
    tilt = 7
    shell = turned(stretched(turned(cylinder(0.33, 0.20, 0.075), z=90), y=1.22, z=1.0), z=-tilt)
    plate = turned(moved(stretched(turned(cylinder(0.235, 0.03, 0.012), z=90), y=1.22), x=0.105), z=-tilt)
    cushion = turned(moved(stretched(turned(ring(0.235, 0.096), z=90), y=1.24), x=-0.15), z=-tilt)
    yoke = swept(smooth([(0.70, 0.90), (0.745, 0.80), (0.80, 0.66), (0.83, 0.42)]), 0.028, flat=2.0)
    at = (0.735, 0.415)
    return Shape((
        Part("body", mirrored(moved(shell, *at))),
        Part("accent", mirrored(moved(plate, *at))),
        Part("trim", mirrored(moved(cushion, *at))),
        Part("body", band),
        Part("trim", padding),
        Part("bright", mirrored(yoke)),
    ))  # fmt: skip


def _arch(wide: float, high: float, middle: float, start: float) -> Polyline:
    """Half an ellipse that begins and ends this many degrees above its middle."""
    angles = np.radians(np.linspace(start, 180 - start, 80))
    return np.stack([wide * np.cos(angles), middle + high * np.sin(angles)], axis=1)


def watch() -> Shape:
    """A wristwatch, standing upright on its closed strap."""
    case = revolved(filleted([
        (0, -0.12, 0), (0.42, -0.12, 0.05), (0.47, 0.0, 0.04), (0.455, 0.09, 0.03), (0, 0.09, 0),
    ]))  # fmt: skip
    bezel = revolved(filleted([
        (0.375, 0.05, 0), (0.452, 0.05, 0.01), (0.44, 0.115, 0.02), (0.40, 0.13, 0.012), (0.372, 0.10, 0.004),
    ]))  # fmt: skip
    hours = repeated_around(moved(box(0.020, 0.010, 0.054, 0.001), z=0.320), 12)
    minutes = repeated_around(moved(box(0.007, 0.008, 0.012, 0.001), z=0.357), 60)
    hands = union(_hand(-56, -0.05, 0.20, 0.029), _hand(62, -0.06, 0.30, 0.021), cylinder(0.024, 0.03, 0.004))
    second = moved(union(_hand(205, -0.09, 0.31, 0.0085), cylinder(0.014, 0.03, 0.004)), y=0.012)
    lugs = union(*(
        rod((x, side * 0.36, 0.40), (x, side * 0.50, 0.34), 0.042, 0.034)
        for x in (-0.235, 0.235) for side in (-1, 1)
    ))  # fmt: skip
    ridges = repeated_around(rod((0, -0.1, 0.066), (0, 0.1, 0.066), 0.006), 24)
    crown = turned(without(cylinder(0.062, 0.09, 0.014), ridges), z=90)

    def facing(field: Field, before: float = 0.0) -> Field:
        """A field that lies flat, standing up in the place of the watch's face."""
        return moved(turned(field, x=90), 0, _FACE_HEIGHT, 0.42 + before)

    return Shape(
        (
            Part("bright", union(facing(case), moved(lugs, y=_FACE_HEIGHT))),
            Part("bright", facing(bezel)),
            Part(
                "light",
                facing(cylinder(0.385, 0.04, 0.002), 0.078),
                (("dark", facing(union(hours, minutes), 0.098)),),
            ),
            Part("dark", facing(hands, 0.112)),
            Part("accent", facing(second, 0.112)),
            Part("body", moved(_strap(), y=_FACE_HEIGHT)),
            Part("bright", moved(crown, 0.505, _FACE_HEIGHT, 0.41)),
        ),
        Front("light", 0.34, 0.13, _FACE_HEIGHT + 0.165),
    )


_FACE_HEIGHT = 0.70
"""How high the middle of the watch's face stands."""


def _strap() -> Field:
    """A closed loop of leather behind the watch, as its side shows it."""
    angles = np.radians(np.linspace(35, 325, 120))
    loop = path_distance(np.stack([0.50 * np.cos(angles), 0.655 * np.sin(angles)], axis=1))

    def field(p: Points) -> Floats:
        across = loop(p[2], p[1]) - np.float32(0.012)
        side = np.abs(p[0]) - np.float32(0.185)
        return corner(across, side) - np.float32(0.020)

    return field


def _hand(angle: float, start: float, end: float, width: float) -> Field:
    """A hand of a watch that lies flat, turned clockwise from twelve by an angle."""
    hand = moved(box(width, 0.008, end - start, 0.002), z=-(start + end) / 2)
    return turned(hand, y=-angle)


def mushroom_lamp() -> Shape:
    """A table lamp with a dome of opal glass on a turned foot."""
    foot = lathed(
        (0.40, 0, 0), (0.40, 0.05, 0.02), (0.20, 0.13, 0.12), (0.115, 0.42, 0.3), (0.125, 0.80, 0.3),
        (0.22, 1.08, 0),
    )  # fmt: skip
    under = smooth([(0.0, 1.10), (0.30, 1.06), (0.58, 0.98), (0.68, 0.94)])
    over = smooth([(0.70, 0.95), (0.715, 1.05), (0.66, 1.25), (0.50, 1.44), (0.27, 1.55), (0.0, 1.58)])
    dome = grown(revolved(np.concatenate([under, over])), 0.012)
    knob = blended(0.02, moved(cylinder(0.032, 0.05, 0.01), y=-0.02), stretched(ball(0.04), y=0.8))
    switch = moved(turned(cylinder(0.022, 0.07, 0.008), x=90), 0.0, 0.30, 0.145)
    return Shape(
        (Part("body", foot), Part("light", dome), Part("bright", moved(knob, y=1.63)), Part("bright", switch))
    )


def desk_lamp() -> Shape:
    """A desk lamp: a heavy foot, a bent arm and a cone-shaped shade."""
    foot = moved(cylinder(0.40, 0.075, 0.03), -0.35, 0.0375)
    bend = smooth([(-0.35, 0.05), (-0.42, 0.60), (-0.40, 1.20), (-0.20, 1.62), (0.12, 1.76), (0.36, 1.68)])
    shade = lathed(
        (0, 0.36, 0), (0.115, 0.36, 0.03), (0.14, 0.24, 0.05), (0.42, -0.22, 0.008), (0.40, -0.22, 0.008),
        (0.10, 0.22, 0.02), (0, 0.26, 0),
    )  # fmt: skip
    bulb = blended(0.05, moved(ball(0.135), y=-0.07), moved(cylinder(0.06, 0.2, 0.01), y=0.1))

    def hung(field: Field) -> Field:
        return moved(turned(field, z=14), 0.50, 1.36)

    return Shape(
        (
            Part("body", hung(shade)),
            Part("bright", union(swept(bend, 0.026), moved(ball(0.052), 0.36, 1.68))),
            Part("body", foot),
            Part("light", hung(bulb)),
            Part("bright", moved(cylinder(0.045, 0.035, 0.012), -0.20, 0.085, 0.16)),
        )
    )
