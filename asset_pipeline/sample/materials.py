"""What surfaces are made of: colour, finish and pattern.

Patterns are carved from space, so that no surface has to be unwrapped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ImageColor

from asset_pipeline.sample.fields import Floats, Points

Finish = Literal["matte", "satin", "glossy", "ceramic", "metal", "brushed metal", "fabric", "leather", "wood",
                 "glass", "glow"]  # fmt: skip
Pattern = Literal["plain", "speckled", "woven", "grained", "veined wood"]


@dataclass(frozen=True)
class Surface:
    """How a finish reflects light."""

    roughness: float
    """0: a mirror. 1: no reflection can be made out."""
    facing: float
    """The share of light that it mirrors when looked at straight (Fresnel's F0)."""
    metallic: float = 0.0
    """1: it mirrors in its own colour and has no other."""
    sheen: float = 0.0
    """The light that fibres catch at grazing angles."""
    glow: float = 0.0
    """The light that it gives or lets through, in its own colour."""


SURFACES: Mapping[Finish, Surface] = {
    "matte": Surface(roughness=0.62, facing=0.030),
    "satin": Surface(roughness=0.34, facing=0.040),
    "glossy": Surface(roughness=0.05, facing=0.048),
    "ceramic": Surface(roughness=0.10, facing=0.055),
    "metal": Surface(roughness=0.10, facing=0.85, metallic=1.0),
    "brushed metal": Surface(roughness=0.30, facing=0.75, metallic=0.9),
    "fabric": Surface(roughness=0.95, facing=0.010, sheen=0.12),
    "leather": Surface(roughness=0.36, facing=0.042),
    "wood": Surface(roughness=0.42, facing=0.035),
    "glass": Surface(roughness=0.03, facing=0.060, glow=0.22),
    "glow": Surface(roughness=0.50, facing=0.030, glow=0.60),
}


@dataclass(frozen=True)
class Material:
    """A surface as a person would name it."""

    colour: str
    """What CSS would call it, as ``#c8553d``."""
    finish: Finish = "satin"
    pattern: Pattern = "plain"

    @property
    def linear(self) -> Floats:
        """Its colour in linear light (3)."""
        return to_linear(np.array(ImageColor.getrgb(self.colour)[:3], np.float32) / np.float32(255))

    @property
    def surface(self) -> Surface:
        """How its finish reflects."""
        return SURFACES[self.finish]


def to_linear(stored: Floats) -> Floats:
    """SRGB values (0 to 1) as linear light (IEC 61966-2-1)."""
    toe = 0.04045
    return np.asarray(np.where(stored <= toe, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4), np.float32)


def to_stored(linear: Floats) -> Floats:
    """Linear light (0 to 1) as sRGB values."""
    linear = np.clip(linear, 0, 1)
    toe = 0.0031308
    return np.asarray(
        np.where(linear <= toe, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055), np.float32
    )


# ------------------------------------------------------------------------------------------------- patterns


def relief(pattern: Pattern, p: Points) -> tuple[Floats, float]:
    """A pattern's height at points, -1 to 1, and how deep it is in the shape's units."""
    carve, depth = _RELIEFS[pattern]
    return carve(p), depth


def tint(pattern: Pattern, p: Points, height: Floats) -> Floats:
    """What a pattern does to the material's colour at points: a factor on linear light (n)."""
    factor: Floats | float = 1.0
    if pattern == "speckled":
        dots = _spots(p * np.float32(21)) * np.float32(0.60)
        dust = _spots(p * np.float32(57) + np.float32(9)) * np.float32(0.42)
        factor = 1 - np.maximum(dots, dust)
    elif pattern == "woven":
        factor = 0.80 + 0.20 * height + 0.16 * (_fibres(p, 210, 34) - np.float32(0.5))
    elif pattern == "veined wood":
        factor = 0.86 + 0.17 * height + 0.24 * (_fibres(p, 150, 7) - np.float32(0.5))
    elif pattern == "grained":
        factor = 0.97 + 0.07 * height
    return np.broadcast_to(np.asarray(factor, np.float32), height.shape)


def _fibres(p: Points, across: float, along: float) -> Floats:
    """Noise drawn out upwards, 0 to 1."""
    return noise(p * np.array([[across], [along], [across]], np.float32))


def _spots(p: Points) -> Floats:
    """Round spots of different sizes, 0 to 1: at most one in each cell of a lattice."""
    whole = np.floor(p)
    x, y, z = whole.astype(np.int32).view(np.uint32)
    random = [_hash(x + np.uint32(salt), y, z) for salt in (11, 101, 1009, 10007)]
    radius = np.clip(random[3] - np.float32(0.35), 0, 1) ** 2 * np.float32(0.75)
    from_middle = p - whole - np.stack([np.float32(0.35) + np.float32(0.3) * value for value in random[:3]])
    distance = np.sqrt((from_middle * from_middle).sum(axis=0))
    return np.asarray(np.clip((radius - distance) * 12, 0, 1), np.float32)


def _flat(p: Points) -> Floats:
    return np.zeros(p.shape[1], np.float32)


def _weave(p: Points) -> Floats:
    """Threads over and under each other, on whichever two directions the surface runs along."""
    scale = np.float32(2 * np.pi * 23)
    around = np.arctan2(p[0], p[2]) * np.float32(0.62)
    return np.asarray(np.sin(around * scale) * np.sin(p[1] * scale), np.float32)


def _pebbles(p: Points) -> Floats:
    return np.asarray(
        noise(p * np.float32(84)) + noise(p * np.float32(171)) * np.float32(0.5) - 0.75, np.float32
    )


def _rings(p: Points) -> Floats:
    wander = noise(p * np.array([[3.1], [0.9], [3.1]], np.float32)) * np.float32(2.6)
    distance = np.sqrt((p[0] + np.float32(0.9)) ** 2 + (p[2] * np.float32(1.4) + np.float32(0.4)) ** 2)
    return np.asarray(np.sin(distance * np.float32(46) + wander * np.float32(5)), np.float32)


_RELIEFS: Mapping[Pattern, tuple[Callable[[Points], Floats], float]] = {
    "plain": (_flat, 0.0),
    "speckled": (_flat, 0.0),
    "woven": (_weave, 0.0016),
    "grained": (_pebbles, 0.0012),
    "veined wood": (_rings, 0.0),
}


def noise(p: Points) -> Floats:
    """Smooth noise, 0 to 1, of unit scale: values at the corners of a lattice, blended (value noise)."""
    whole = np.floor(p)
    share = p - whole
    share = share * share * (3 - 2 * share)
    x, y, z = whole.astype(np.int32).view(np.uint32)
    total = np.zeros(p.shape[1], np.float32)
    for corner in range(8):
        dx, dy, dz = corner & 1, corner >> 1 & 1, corner >> 2 & 1
        hashed = _hash(x + np.uint32(dx), y + np.uint32(dy), z + np.uint32(dz))
        weight = (share[0] if dx else 1 - share[0]) * (share[1] if dy else 1 - share[1])
        weight = weight * (share[2] if dz else 1 - share[2])
        total += weight * hashed
    return total


def _hash(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Floats:
    """A number from 0 to 1 that depends on three integers and looks random.

    Multiplied together as Teschner et al., 2003, and mixed as in Jarzynski and Olano, 2020.
    """
    mixed = x * np.uint32(0x8DA6B343) ^ y * np.uint32(0xD8163841) ^ z * np.uint32(0xCB1AB31F)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(12)
    mixed *= np.uint32(0x297A2D39)
    mixed ^= mixed >> np.uint32(15)
    return (mixed >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)
