"""From traced samples to a picture: a product in its materials and a studio's light.

The studio is white: a soft box as key light, a strip on the other side as fill, two strips behind for the
edges, a floor and walls that send some of it back. What a surface mirrors is looked up in that room, blurred
by its roughness; Fresnel's reflectance is Schlick's approximation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from asset_pipeline.sample.fields import Floats, Points
from asset_pipeline.sample.labels import Label, printed
from asset_pipeline.sample.materials import Material, Pattern, relief, tint, to_linear, to_stored
from asset_pipeline.sample.shape import Role, Shape
from asset_pipeline.sample.tracing import LIGHTS, Traced

Pixels = npt.NDArray[np.uint8]
Look = Mapping[Role, Material]
"""The material of each role; ``body`` stands in for roles that are not named."""

_STEP = np.float32(0.0016)
_BORDER = 0.10
"""The share of a packshot's width along its border over which it is retouched to white."""
_SHOULDER = 0.80
"""Brighter than this, highlights are pressed together so that they do not tear off."""


@dataclass(frozen=True)
class Rendered:
    """A product without a background."""

    colour: Floats
    """Size × size × 3, linear light, multiplied by the mask."""
    mask: Floats
    """Size × size, 0 to 1."""
    floor: Floats
    """Size × size: how much light the floor around it has lost, 0 to 1."""

    def cut_out(self) -> Pixels:
        """The product as RGBA, its colours not multiplied by its mask."""
        layers = np.dstack([self._stored(), self.mask])
        layers[self.mask <= 0] = 0
        return np.round(np.clip(layers, 0, 1) * 255).astype(np.uint8)

    def before(self, background: Floats, shadow: float = 0.0) -> Pixels:
        """The product as RGB before a background (sRGB, 0 to 1), on a floor that takes this much shadow."""
        lit = to_linear(background.astype(np.float32)) * (1 - np.float32(shadow) * self.floor)[..., None]
        # Composed in stored values, as browsers compose cut-outs.
        mixed = self._stored() * self.mask[..., None] + to_stored(lit) * (1 - self.mask)[..., None]
        return np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)

    def _stored(self) -> Floats:
        """Its colours in sRGB, not multiplied by its mask."""
        return to_stored(
            np.asarray(self.colour / np.maximum(self.mask, np.float32(1e-4))[..., None], np.float32)
        )

    def on_white(self, shadow: float = 0.55) -> Pixels:
        """The product as RGB on pure white, standing on its own soft shadow, which ends before the border."""
        size = len(self.mask)
        from_border = np.minimum(np.arange(size), np.arange(size)[::-1]) / (_BORDER * size)
        fading = np.clip(np.minimum(from_border[:, None], from_border), 0, 1).astype(np.float32)
        return replace(self, floor=self.floor * fading).before(np.ones_like(self.colour), shadow)


def shade(
    traced: Traced, shape: Shape, look: Look, *, light: str = "left", label: Label | None = None
) -> Rendered:
    """Give a traced shape materials, words and light.

    Raises:
        KeyError: the light was not traced, or the look names no ``body``.
    """
    count = len(traced.pixel)
    colour, normal = np.empty((3, count), np.float32), traced.normal.copy()
    properties = np.empty((5, count), np.float32)
    for index, role in enumerate(shape.roles):
        here = np.flatnonzero(traced.role == index)
        if not len(here):
            continue
        material = look.get(role, look["body"])
        surface, place = material.surface, traced.position[:, here]
        height, depth = relief(material.pattern, place)
        if depth:
            normal[:, here] = _bent(normal[:, here], place, height, material.pattern)
        colour[:, here] = material.linear[:, None] * tint(material.pattern, place, height)
        properties[:, here] = np.array(
            [[surface.roughness], [surface.facing], [surface.metallic], [surface.sheen], [surface.glow]],
            np.float32,
        )
        if label is not None and shape.front is not None and role == shape.front.role:
            ink, opacity = printed(label, *shape.front.coordinates(place))
            colour[:, here] += (ink - colour[:, here]) * opacity
            properties[0, here] += (
                (np.float32(0.45) - properties[0, here]) * opacity * np.float32(label.paper)
            )
            properties[2, here] *= 1 - opacity
            properties[1, here] += (np.float32(0.035) - properties[1, here]) * opacity
            properties[4, here] *= 1 - opacity
    radiance = _pressed(_light(traced, colour, normal, properties, light))
    gathered = np.dstack([traced.gathered(channel) for channel in radiance])
    return Rendered(gathered, np.clip(traced.mask, 0, 1), traced.floor)


def _bent(normal: Points, p: Points, height: Floats, pattern: Pattern) -> Points:
    """Normals of a surface with a pattern's relief on it (bump mapping after Blinn, 1978)."""
    slope = np.empty_like(p)
    depth = 0.0
    for axis in range(3):
        beside = p.copy()
        beside[axis] += _STEP
        other, depth = relief(pattern, beside)
        slope[axis] = (other - height) / _STEP
    slope -= (slope * normal).sum(axis=0) * normal
    bent = normal - np.float32(depth) * slope
    return np.asarray(bent / np.sqrt((bent * bent).sum(axis=0)), np.float32)


def _light(traced: Traced, colour: Points, normal: Points, properties: Floats, light: str) -> Points:
    """The light that samples send to the eye (3 × n)."""
    roughness, facing, metallic, sheen, glow = properties
    eye, open_share, lit = traced.towards_eye, traced.openness, traced.lit[light]
    key = np.array(LIGHTS[light], np.float32)
    key /= np.sqrt((key * key).sum())
    # Without the relief: its slopes turned from the eye would sparkle.
    facing_eye = np.clip((traced.normal * eye).sum(axis=0), 0.02, 1)

    towards_key = key @ normal
    wrapped = np.clip((towards_key + np.float32(0.4)) / np.float32(1.4), 0, 1) * open_share
    direct = np.float32(0.76) * np.clip(towards_key, 0, 1) * lit + np.float32(0.24) * wrapped
    fill = np.array([-key[0], 0.25, 0.75], np.float32)
    fill /= np.sqrt((fill * fill).sum())
    second = np.clip((fill @ normal + np.float32(0.45)) / np.float32(1.45), 0, 1) * open_share
    sky = np.float32(0.5) + np.float32(0.5) * normal[1]
    floor = (1 - sky) * np.clip(traced.position[1] * np.float32(2.5) + np.float32(0.35), 0, 1)
    around = (np.float32(0.34) * sky + np.float32(0.26) * floor) * open_share
    rim = np.clip(-normal[2] + np.float32(0.25) * normal[1], 0, 1) * (1 - facing_eye) ** 2 * open_share
    warm, cool = (
        np.array([[1.02], [1.0], [0.975]], np.float32),
        np.array([[0.985], [1.0], [1.02]], np.float32),
    )
    arriving = warm * (np.float32(0.86) * direct) + cool * (
        np.float32(0.24) * second + around + np.float32(0.3) * rim
    )
    # Light that bounces between parts of one colour takes that colour on.
    bounced = np.float32(0.30) * (1 - open_share) * open_share
    diffuse = colour * (arriving + colour * bounced) * (1 - metallic)

    mirror = 2 * (normal * eye).sum(axis=0) * normal - eye
    grazing = (1 - facing_eye) ** 5 * (1 - np.float32(0.75) * roughness)
    room = _room(mirror, roughness, key)
    clear = traced.mirrored * np.clip(open_share * 1.6, 0, 1)
    own = colour * np.float32(0.45) * open_share
    reflected = room * clear + own * (1 - clear)
    reflectance = np.where(metallic > 0, facing * (colour * metallic + (1 - metallic)), facing)
    reflectance = reflectance + (1 - reflectance) * grazing * np.float32(0.75)
    shine = reflected * reflectance
    shine += colour * sheen * (1 - facing_eye) ** 3 * open_share
    lightened = np.sqrt(np.maximum(colour, 0)) * colour
    through = glow * (
        colour * np.float32(0.35) + lightened * (np.float32(0.50) + np.float32(0.55) * facing_eye)
    )
    return np.asarray(diffuse * (1 - np.float32(0.85) * glow) + shine + through, np.float32)


def _room(direction: Points, roughness: Floats, key: Floats) -> Floats:
    """The studio's light from directions, blurred by a roughness."""
    _, y, z = direction
    soft = np.float32(0.03) + roughness * np.float32(0.9)
    up = np.clip(y / (np.float32(0.25) + roughness) + np.float32(0.5), 0, 1)
    wall = np.float32(0.34) + np.float32(0.10) * z + np.float32(0.16) * np.clip(-z, 0, 1)
    above_wall = wall + np.float32(0.10) * np.clip(y, 0, 1)
    light = np.float32(0.62) * (1 - up) + above_wall * up
    side = np.float32(-np.sign(key[0]) or 1.0)
    light = light + np.float32(4.2) * _panel(direction, key, 0.46, 0.62, soft)
    light += np.float32(1.7) * _panel(
        direction, np.array([side * 0.92, 0.22, 0.30], np.float32), 0.16, 1.1, soft
    )
    light += np.float32(1.5) * _panel(
        direction, np.array([-side * 0.90, 0.25, -0.42], np.float32), 0.22, 1.2, soft
    )
    light += np.float32(1.3) * _panel(
        direction, np.array([side * 0.70, 0.25, -0.70], np.float32), 0.22, 1.2, soft
    )
    return np.asarray(light, np.float32)


def _panel(direction: Points, middle: Floats, half_width: float, half_height: float, soft: Floats) -> Floats:
    """How much of a rectangle of light lies in directions, its edges blurred and its light spread."""
    middle = middle / np.float32(np.sqrt((middle * middle).sum()))
    right = np.array([middle[2], 0, -middle[0]], np.float32)
    right /= np.sqrt((right * right).sum())
    up = np.cross(middle, right)
    ahead = middle @ direction
    depth = np.maximum(ahead, np.float32(0.05))
    across, along = np.abs(right @ direction) / depth, np.abs(up @ direction) / depth
    inside = _ramp((half_width - across) / soft) * _ramp((half_height - along) / soft)
    spread = half_width * half_height / ((half_width + 0.5 * soft) * (half_height + 0.5 * soft))
    return np.asarray(inside * spread * np.clip(ahead * 4, 0, 1), np.float32)


def _ramp(value: Floats) -> Floats:
    share = np.clip(value * np.float32(0.5) + np.float32(0.5), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _pressed(light: Points) -> Points:
    """Light with everything beyond the shoulder pressed into what a picture can show."""
    shoulder = np.float32(_SHOULDER)
    room = 1 - shoulder
    beyond = np.maximum(light - shoulder, 0)
    return np.asarray(np.minimum(light, shoulder) + room * (1 - np.exp(-beyond / room)), np.float32)
