"""Places to stand a product in: a surface that runs away from the camera, something out of focus behind it.

Everything is a function of words and a seed. Surfaces are seen in perspective below a horizon; what is behind
them is far out of focus, as it is in product photographs. A seamless studio has neither: one colour that
sweeps from floor to wall.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ImageColor
from scipy import ndimage

from asset_pipeline.sample.fields import Floats
from asset_pipeline.sample.materials import noise, to_linear, to_stored

Side = Literal["left", "right", "above"]
Mood = Literal["daylight", "warm", "cool"]

STUDIO_COLOURS: Mapping[str, str] = {
    "white": "#f4f3f1",
    "warm sand": "#dcc6a4",
    "sage green": "#acbaa2",
    "pale blue": "#b9d0e2",
    "blush pink": "#ecc9c6",
    "lavender": "#c9bfe0",
    "terracotta": "#c4704f",
    "mustard yellow": "#dcab3e",
    "teal": "#2c7f82",
    "charcoal": "#3a3c40",
}
"""Studio backgrounds and walls by the words for them."""

MOODS: Mapping[Mood, tuple[float, float, float]] = {
    "daylight": (1.0, 1.0, 1.0),
    "warm": (1.16, 0.97, 0.72),
    "cool": (0.84, 0.98, 1.20),
}
"""What each mood of light does to red, green and blue, in linear light."""


@dataclass(frozen=True)
class Place:
    """Where a product stands, in words."""

    backdrop: str
    """One of ``BACKDROPS``, or one of ``STUDIO_COLOURS`` for a plain wall."""
    surface: str | None = None
    """One of ``SURFACES``; None for a seamless studio of the backdrop's colour."""
    side: Side = "left"
    """Where the light comes from."""
    mood: Mood = "daylight"


@dataclass(frozen=True)
class _Ground:
    """The part of a picture below the horizon, in the surface's own coordinates."""

    across: Floats
    away: Floats
    sharpness: Floats
    """How much of a fine pattern can be made out there, 0 to 1."""
    seed: float

    def noise(self, across: float, away: float) -> Floats:
        """Smooth noise of so many cells for each unit, 0 to 1."""
        return noise(
            np.stack(
                [self.across * across, self.away * away, np.full_like(self.away, self.seed + across + away)]
            )
        )


def place(where: Place, width: int, height: int, seed: int) -> Floats:
    """A place without a product: height × width × 3, sRGB, 0 to 1.

    Raises:
        KeyError: there is no such surface or backdrop.
    """
    random = np.random.default_rng(seed)
    x = np.asarray((np.arange(width) + 0.5) / width, np.float32)[None, :]
    y = np.asarray((np.arange(height) + 0.5) / height, np.float32)[:, None]
    horizon = float(random.uniform(0.46, 0.58))
    aspect = width / height
    if where.surface is None:
        lit = _seamless(where.backdrop, x, y, horizon)
    else:
        lit = _behind(where.backdrop, x, y, horizon, aspect, random)
        _lay(where.surface, lit, x, y, horizon, aspect, random)
    return to_stored(np.asarray(lit * _light(where.side, x, y)[..., None], np.float32))


def in_mood(stored: Floats, mood: Mood) -> Floats:
    """A picture (sRGB, 0 to 1) in a mood's light, product and place alike."""
    tinted = to_linear(np.asarray(stored, np.float32)) * np.array(MOODS[mood], np.float32)
    # Kept as bright as it was, so that a mood is a colour and not an exposure.
    return to_stored(np.asarray(tinted / (np.array(MOODS[mood], np.float32) @ _LUMINANCE), np.float32))


_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def _light(side: Side, x: Floats, y: Floats) -> Floats:
    """The light's fall-off over the picture."""
    if side == "above":
        corner = (2 * x - 1) ** 2
        return np.asarray(np.clip(1.18 - 0.50 * y - 0.22 * corner, 0.3, 1.3), np.float32)
    towards = x if side == "right" else 1 - x
    return np.asarray(0.58 + 0.58 * towards**1.2 - 0.06 * y, np.float32)


def _linear(colour: str) -> Floats:
    return to_linear(np.array(ImageColor.getrgb(colour)[:3], np.float32) / np.float32(255))


def _seamless(colour: str, x: Floats, y: Floats, horizon: float) -> Floats:
    bend = np.exp(-(((y - horizon - 0.1) / 0.16) ** 2)) * np.float32(0.07)
    pool = np.exp(-(((x - 0.5) / 0.5) ** 2 + ((y - 0.45) / 0.5) ** 2)) * np.float32(0.10)
    return np.asarray((0.94 + pool - bend)[..., None] * _linear(STUDIO_COLOURS[colour]), np.float32)


# ------------------------------------------------------------------------------------------------- surfaces


def _lay(
    surface: str,
    picture: Floats,
    x: Floats,
    y: Floats,
    horizon: float,
    aspect: float,
    random: np.random.Generator,
) -> None:
    """Draw a surface below the horizon, in place; its far edge is a little out of focus."""
    height, width, _ = picture.shape
    first = int(horizon * height) - 2
    rows = y[max(first, 0) :]
    depth = np.clip(rows - horizon, 0.5 / height, None)
    away = np.broadcast_to(0.22 / depth, (len(rows), width))
    across = (x - 0.5) * aspect * away * 2.2
    ground = _Ground(
        across=np.ascontiguousarray(across.reshape(-1), np.float32),
        away=np.ascontiguousarray(away.reshape(-1), np.float32),
        sharpness=np.ascontiguousarray(np.clip(1.6 / (away + 0.6), 0, 1).reshape(-1) ** 1.5, np.float32),
        seed=float(random.uniform(0, 500)),
    )
    drawn = SURFACES[surface](ground).reshape(len(rows), width, 3)
    edge = np.clip((rows - horizon) * height / 2.5 + 0.5, 0, 1)[..., None]
    picture[max(first, 0) :] = picture[max(first, 0) :] * (1 - edge) + drawn * edge


def _mixed(one: str, other: str, share: Floats) -> Floats:
    return np.asarray(_linear(one) * (1 - share)[:, None] + _linear(other) * share[:, None], np.float32)


def _wood(ground: _Ground) -> Floats:
    plank = np.floor(ground.away * 2.6 + ground.seed)
    tone = noise(np.stack([plank * 7.3, plank * 3.1, plank]).astype(np.float32))
    grain = noise(
        np.stack([ground.across * 1.6 + plank * 9, ground.away * 34, np.full_like(plank, ground.seed)])
    )
    fine = (grain - np.float32(0.5)) * ground.sharpness
    gap = np.abs(ground.away * 2.6 + ground.seed - plank - 0.5) > 0.47
    share = np.clip(0.30 + 0.45 * tone + 0.7 * fine, 0, 1)
    return np.asarray(
        _mixed("#b98a58", "#6d4526", share) * (1 - 0.45 * gap * ground.sharpness)[:, None], np.float32
    )


def _marble(ground: _Ground) -> Floats:
    bend = ground.noise(1.6, 1.6) * 2.2 + ground.noise(4.5, 4.5)
    vein = np.abs(np.sin((ground.across * 1.3 + ground.away * 1.7 + bend) * 2.6)) ** np.float32(0.45)
    cloud = ground.noise(1.1, 1.1)
    return _mixed(
        "#eceae6",
        "#83868c",
        np.clip((1 - vein) * 1.15 * (0.4 + 0.6 * cloud) * ground.sharpness + 0.12 * cloud, 0, 1),
    )


def _concrete(ground: _Ground) -> Floats:
    spots = ground.noise(2.3, 2.3) * 0.6 + ground.noise(9, 9) * 0.25
    grit = (ground.noise(60, 60) - np.float32(0.5)) * ground.sharpness * 0.4
    return _mixed("#a7a6a2", "#75757a", np.clip(spots + grit, 0, 1))


def _linen(ground: _Ground) -> Floats:
    threads = np.sin(ground.across * 95) * np.sin(ground.away * 95) * ground.sharpness
    fold = ground.noise(0.9, 1.8)
    return _mixed("#efe5d3", "#b9a789", np.clip(0.12 + 0.5 * fold**2 + 0.16 * threads, 0, 1))


def _sand(ground: _Ground) -> Floats:
    wander = ground.noise(1.4, 1.4) * 3.0
    ripple = np.sin(ground.away * 15 + wander * 3 + ground.across * 1.5) * 0.5 + 0.5
    grit = (ground.noise(80, 80) - np.float32(0.5)) * ground.sharpness * 0.5
    return _mixed("#ead2a0", "#b98f5b", np.clip(0.15 + 0.55 * ripple * ground.sharpness + grit, 0, 1))


def _snow(ground: _Ground) -> Floats:
    dune = ground.noise(1.3, 2.0) * 0.7 + ground.noise(3.5, 5) * 0.3
    sparkle = ground.noise(70, 70) > 0.86
    share = np.clip(1.35 * (dune - 0.25), 0, 1) * (1 - 0.8 * sparkle * ground.sharpness)
    return _mixed("#f7fafd", "#a9bfd8", share)


def _moss(ground: _Ground) -> Floats:
    fine = (ground.noise(26, 26) - np.float32(0.5)) * ground.sharpness
    tufts = (ground.noise(7, 7) - np.float32(0.5)) * (0.25 + 0.75 * ground.sharpness) + 0.8 * fine + 0.5
    return _mixed("#7f9a3c", "#24401c", np.clip(1.5 * tufts - 0.25, 0, 1))


def _slate(ground: _Ground) -> Floats:
    layers = 0.5 + ((ground.noise(1.2, 7) - 0.5) * 0.6 + (ground.noise(5, 20) - 0.5) * 0.4) * ground.sharpness
    split = np.abs(ground.noise(1.7, 2.6) - np.float32(0.5)) < 0.018
    return np.asarray(
        _mixed("#555b63", "#24272c", np.clip(1.4 * layers - 0.2, 0, 1))
        * (1 - 0.5 * split * ground.sharpness)[:, None],
        np.float32,
    )


SURFACES: Mapping[str, Callable[[_Ground], Floats]] = {
    "wood": _wood,
    "marble": _marble,
    "concrete": _concrete,
    "linen": _linen,
    "sand": _sand,
    "snow": _snow,
    "moss": _moss,
    "slate": _slate,
}
"""What a product can stand on, by the word for it."""


# ------------------------------------------------------------------------------------------- behind a surface


def _behind(
    backdrop: str, x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator
) -> Floats:
    if backdrop in STUDIO_COLOURS:
        shade = 0.80 + 0.20 * np.exp(-(((x - 0.5) / 0.6) ** 2 + ((y - 0.25) / 0.45) ** 2))
        return np.asarray(shade[..., None] * _linear(STUDIO_COLOURS[backdrop]), np.float32)
    return BACKDROPS[backdrop](x, y, horizon, aspect, random)


def _gradient(x: Floats, y: Floats, stops: tuple[tuple[float, str], ...]) -> Floats:
    """Colours from top to bottom, the same across."""
    at = [position for position, _ in stops]
    colours = np.stack([_linear(colour) for _, colour in stops])
    column = np.stack([np.interp(y[:, 0], at, colours[:, channel]) for channel in range(3)], axis=-1)
    return np.ascontiguousarray(
        np.broadcast_to(column[:, None, :], (len(y), x.shape[1], 3)), dtype=np.float32
    )


def _discs(
    picture: Floats,
    x: Floats,
    y: Floats,
    aspect: float,
    random: np.random.Generator,
    colours: tuple[str, ...],
    count: int,
    radius: tuple[float, float],
    bottom: float,
    strength: tuple[float, float] = (0.35, 0.9),
) -> None:
    """Lights out of focus, in place: discs a little brighter at their rim."""
    height = len(y)
    for _ in range(count):
        size = random.uniform(*radius)
        middle = random.uniform(-0.05, 1.05), random.uniform(-0.05, bottom)
        colour = _linear(colours[int(random.integers(len(colours)))])
        away = np.sqrt(((x - middle[0]) * aspect) ** 2 + (y - middle[1]) ** 2)
        inside = np.clip((size - away) * height / 3.5 + 0.5, 0, 1) * (
            0.75 + 0.25 * np.clip(away / size, 0, 1)
        )
        opacity = np.float32(random.uniform(*strength)) * inside[..., None]
        picture += (colour - picture) * opacity


def _forest(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(x, y, ((0.0, "#86a552"), (0.25, "#53783a"), (horizon, "#1f3319"), (1.0, "#1f3319")))
    for _ in range(int(random.integers(4, 8))):
        middle, thick = random.uniform(0, 1), random.uniform(0.015, 0.045) / aspect
        trunk = np.exp(-(((x - middle) / thick) ** 2)) * np.float32(random.uniform(0.5, 0.85))
        picture += (_linear("#2b2117") - picture) * np.broadcast_to(trunk, picture.shape[:2])[..., None]
    _discs(picture, x, y, aspect, random, ("#d8ec8c", "#a5cb5c", "#f3f7cf"), 16, (0.02, 0.055), horizon * 0.8)
    return picture


def _night_city(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(
        x, y, ((0.0, "#0b1024"), (horizon * 0.7, "#1b1d3c"), (horizon, "#33264a"), (1.0, "#33264a"))
    )
    lamps = ("#ffb347", "#ff7043", "#ffd98a", "#5fa8ff", "#ff5c8a", "#fff1cf")
    _discs(picture, x, y, aspect, random, lamps, 24, (0.025, 0.07), horizon, (0.3, 0.85))
    return picture


def _sunset(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(
        x, y,
        ((0.0, "#5b4a86"), (horizon * 0.45, "#c8698a"), (horizon * 0.8, "#f79a5b"), (horizon, "#ffd27a"),
         (1.0, "#ffd27a")),
    )  # fmt: skip
    middle = random.uniform(0.15, 0.85), horizon * random.uniform(0.70, 0.95)
    away = ((x - middle[0]) * aspect) ** 2 + (y - middle[1]) ** 2
    glow = 0.95 * np.exp(-away / 0.0042) + 0.40 * np.exp(-away / 0.05)
    picture += (_linear("#fff2c4") - picture) * np.clip(glow, 0, 1)[..., None].astype(np.float32)
    return picture


def _kitchen(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(x, y, ((0.0, "#e6ddcf"), (horizon, "#d3c6b3"), (1.0, "#d3c6b3")))
    shelf = horizon * random.uniform(0.40, 0.6)
    sides = np.array([0.0, 1.0])
    for _ in range(int(random.integers(5, 9))):
        left, wide = random.uniform(-0.05, 0.95), random.uniform(0.04, 0.12) / aspect
        foot = shelf if random.random() < 0.6 else horizon
        tall = random.uniform(0.06, 0.17)
        colour = ("#f6f2ea", "#9a6a44", "#b9c3b3", "#6f7f86", "#c88a5a")[int(random.integers(5))]
        box = _soft_box(x, y, (left, foot - tall, left + wide, foot))
        picture += (_linear(colour) - picture) * box[..., None] * np.float32(0.85)
    board = _soft_box(x, y, (float(sides[0]) - 1, shelf, float(sides[1]) + 1, shelf + 0.02))
    picture += (_linear("#94693f") - picture) * board[..., None]
    return np.asarray(ndimage.gaussian_filter(picture, (1.1, 1.1, 0)), np.float32)


def _soft_box(x: Floats, y: Floats, box: tuple[float, float, float, float]) -> Floats:
    soft = 90
    across = np.clip((x - box[0]) * soft, 0, 1) * np.clip((box[2] - x) * soft, 0, 1)
    down = np.clip((y - box[1]) * soft, 0, 1) * np.clip((box[3] - y) * soft, 0, 1)
    return np.asarray(across * down, np.float32)


def _sea(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    line = horizon * random.uniform(0.62, 0.76)
    picture = _gradient(
        x, y,
        ((0.0, "#6fb1e6"), (line - 0.01, "#dceefa"), (line + 0.01, "#1f6f9f"), (horizon, "#58b4c4"),
         (1.0, "#58b4c4")),
    )  # fmt: skip
    _discs(picture, x, y - line, aspect, random, ("#ffffff",), 10, (0.008, 0.022), horizon - line, (0.2, 0.6))
    return picture


def _autumn(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(
        x, y, ((0.0, "#e0a24a"), (horizon * 0.6, "#b5652b"), (horizon, "#5d3a1e"), (1.0, "#5d3a1e"))
    )
    leaves = ("#f2b134", "#e2711d", "#b8391f", "#f7d06b", "#8a5a22")
    _discs(picture, x, y, aspect, random, leaves, 34, (0.025, 0.075), horizon, (0.35, 0.85))
    return picture


def _mountains(x: Floats, y: Floats, horizon: float, aspect: float, random: np.random.Generator) -> Floats:
    picture = _gradient(x, y, ((0.0, "#8fb8e0"), (horizon, "#e3eef7"), (1.0, "#e3eef7")))
    for colour, snow, low, high in (("#7f97b5", "#eef3f9", 0.30, 0.55), ("#4d6480", "#f7fafd", 0.15, 0.36)):
        ridge = np.zeros(x.shape[1], np.float32)
        for _ in range(4):
            peak, slope = random.uniform(-0.1, 1.1), random.uniform(0.9, 1.6) * aspect
            tall = random.uniform(low, high) * horizon
            ridge = np.maximum(ridge, tall - np.abs(x[0] - peak) * slope * 0.42)
        top = horizon - ridge[None, :]
        inside = np.clip((y - top) * len(y) / 3 + 0.5, 0, 1)
        cap = np.clip((0.055 - (y - top)) / 0.03, 0, 1) * (ridge[None, :] > 0.12)
        rock = _linear(colour) * (1 - cap)[..., None] + _linear(snow) * cap[..., None]
        picture += (rock.astype(np.float32) - picture) * inside[..., None].astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(picture, (0.8, 0.8, 0)), np.float32)


BACKDROPS: Mapping[str, Callable[[Floats, Floats, float, float, np.random.Generator], Floats]] = {
    "forest": _forest,
    "night city": _night_city,
    "sunset": _sunset,
    "kitchen": _kitchen,
    "sea": _sea,
    "autumn leaves": _autumn,
    "mountains": _mountains,
}
"""What can be out of focus behind a surface, by the words for it."""
