"""What a training picture shows, as attributes, and the many ways to say it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from asset_pipeline.sample.kinds import KINDS
from asset_pipeline.sample.scenes import BACKDROPS, STUDIO_COLOURS, SURFACES, Mood, Side

Framing = Literal["close-up", "standard", "wide"]
OneOf = Callable[[Sequence[str]], str]
IsSaid = Callable[[float], bool]

COLOURS: Mapping[str, str] = {
    "white": "#f1efea",
    "black": "#202124",
    "grey": "#8d9094",
    "red": "#c22f2f",
    "orange": "#e57a26",
    "yellow": "#eec13c",
    "green": "#3f8a4f",
    "teal": "#177a7c",
    "blue": "#3b74c4",
    "navy": "#1f2f5c",
    "purple": "#744a9c",
    "pink": "#e791ac",
    "brown": "#7b4f31",
    "beige": "#d9c19a",
}
"""What products are coloured in, by the word for it."""

FRAMINGS: Mapping[Framing, tuple[float, float, float]] = {
    "close-up": (0.84, 0.88, 0.92),
    "standard": (0.58, 0.63, 0.68),
    "wide": (0.34, 0.39, 0.44),
}
"""The share of the picture that the product spans, as drawn for each framing."""

HELD_OUT_OF = 10
"""One of so many combinations of product, colour and background is kept out of training."""


@dataclass(frozen=True)
class Shown:
    """What a picture shows; None for what it does not have."""

    kind: str | None
    colour: str | None
    backdrop: str
    surface: str | None
    side: Side
    mood: Mood
    framing: Framing | None

    @property
    def background(self) -> str:
        """Surface and backdrop in one word."""
        return f"{self.surface or 'studio'}/{self.backdrop}"

    @property
    def is_held_out(self) -> bool:
        """Whether this combination of product, colour and background is for testing only."""
        combination = f"{self.kind}|{self.colour}|{self.background}".encode()
        return hashlib.sha256(combination).digest()[0] % HELD_OUT_OF == 0

    def attributes(self) -> dict[str, str | None]:
        """All of it by name."""
        return asdict(self)


ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "kind": tuple(KINDS),
    "colour": tuple(COLOURS),
    "backdrop": (*STUDIO_COLOURS, *BACKDROPS),
    "surface": ("studio", *SURFACES),
    "side": ("left", "right", "above"),
    "mood": ("daylight", "warm", "cool"),
    "framing": tuple(FRAMINGS),
}
"""Every attribute with its values; ``studio`` is the surface of a seamless background."""

KIND_WORDS: Mapping[str, Sequence[str]] = {
    "bookshelf speaker": ("bookshelf speaker", "wooden speaker", "hi-fi speaker"),
    "bottle": ("bottle", "oil bottle", "glass bottle"),
    "bowl": ("bowl", "cereal bowl"),
    "box": ("box", "carton", "tea box"),
    "can": ("can", "tin", "coffee tin"),
    "candle": ("candle", "scented candle"),
    "cap": ("cap", "baseball cap"),
    "chair": ("chair", "dining chair"),
    "cream pot": ("cream pot", "cosmetic pot", "face cream"),
    "desk lamp": ("desk lamp", "reading lamp", "task lamp"),
    "flask": ("flask", "thermos flask", "drinking flask"),
    "handbag": ("handbag", "leather bag", "tote bag"),
    "headphones": ("headphones", "over-ear headphones"),
    "jar": ("jar", "honey jar", "glass jar"),
    "lamp": ("lamp", "table lamp", "mushroom lamp"),
    "mug": ("mug", "coffee mug", "cup"),
    "ring vase": ("ring vase", "round vase with a hole"),
    "sneaker": ("sneaker", "running shoe", "trainer"),
    "speaker": ("speaker", "bluetooth speaker", "portable speaker"),
    "teapot": ("teapot", "tea pot"),
    "tube": ("tube", "hand cream tube", "cosmetic tube"),
    "vase": ("vase", "flower vase"),
    "watch": ("watch", "wristwatch"),
}
SURFACE_WORDS: Mapping[str, Sequence[str]] = {
    "wood": ("a wooden table", "a wood surface", "an oak table", "wooden planks"),
    "marble": ("a marble counter", "white marble", "a marble surface"),
    "concrete": ("concrete", "a concrete slab", "a concrete surface"),
    "linen": ("a linen cloth", "linen fabric", "a linen tablecloth"),
    "sand": ("sand", "a sandy beach", "fine sand"),
    "snow": ("snow", "fresh snow", "a snowy ground"),
    "moss": ("moss", "green moss", "a mossy ground"),
    "slate": ("dark slate", "a slate plate", "black stone"),
}
BACKDROP_WORDS: Mapping[str, Sequence[str]] = {
    "forest": ("a forest", "a blurred forest", "green trees"),
    "night city": ("a city at night", "night city lights", "bokeh city lights"),
    "sunset": ("a sunset sky", "a sunset", "an evening sky"),
    "kitchen": ("a kitchen", "a blurred kitchen", "kitchen shelves"),
    "sea": ("the sea", "a blue sea", "the ocean"),
    "autumn leaves": ("autumn leaves", "autumn foliage", "golden autumn leaves"),
    "mountains": ("mountains", "snowy mountains", "an alpine landscape"),
}
SIDE_WORDS: Mapping[str, Sequence[str]] = {
    "left": ("light from the left", "lit from the left", "left key light"),
    "right": ("light from the right", "lit from the right", "right key light"),
    "above": ("light from above", "lit from above", "overhead light"),
}
MOOD_WORDS: Mapping[str, Sequence[str]] = {
    "daylight": ("soft daylight", "neutral daylight", "natural light"),
    "warm": ("warm evening light", "golden hour", "warm light"),
    "cool": ("cool morning light", "cold light", "cool light"),
}
FRAMING_WORDS: Mapping[str, Sequence[str]] = {
    "close-up": ("close-up", "fills the frame", "tight framing"),
    "standard": ("centred", "medium shot", "standard framing"),
    "wide": ("wide shot", "plenty of space", "wide framing"),
}
OPENINGS = (
    "product photo of {}",
    "a photograph of {}",
    "{}",
    "{}",
    "studio photograph of {}",
    "an image of {}",
)
EMPTY = (
    "empty scene",
    "background only",
    "no product",
    "an empty scene without a product",
    "empty background",
)
QUALITY = (
    "calm, honest studio product photography",
    "product photography",
    "high quality",
    "sharp focus",
    "commercial photograph",
    "with a soft shadow",
    "shallow depth of field",
    "professional advertising photo",
)
_SYLLABLES = (
    "nor",
    "dal",
    "fjor",
    "lum",
    "kal",
    "vei",
    "ra",
    "mi",
    "so",
    "tel",
    "bra",
    "hau",
    "lin",
    "ost",
    "pe",
)


def caption(shown: Shown, random: np.random.Generator, *, complete: bool = False) -> str:
    """Say what a picture shows, in one of many ways; unless it is to be complete, some of it is left out."""

    def one_of(words: Sequence[str]) -> str:
        return words[int(random.integers(len(words)))]

    def is_said(share: float) -> bool:
        return complete or random.random() < share

    parts = []
    opening = one_of(EMPTY) if shown.kind is None else _named(shown, random, one_of, is_said)
    where = _where(shown, one_of, is_said)
    if is_said(0.85):
        parts.append(one_of(SIDE_WORDS[shown.side]))
    if is_said(0.85):
        parts.append(one_of(MOOD_WORDS[shown.mood]))
    if shown.framing is not None and is_said(0.85):
        parts.append(one_of(FRAMING_WORDS[shown.framing]))
    if random.random() < 0.35:
        parts.append(one_of(QUALITY))
    order = random.permutation(len(parts))
    said = ", ".join([opening, *where, *(parts[index] for index in order)])
    if where and shown.kind is not None and random.random() < 0.7:
        said = said.replace(", on ", " on ", 1)
    return said.capitalize() if random.random() < 0.2 else said


def _named(shown: Shown, random: np.random.Generator, one_of: OneOf, is_said: IsSaid) -> str:
    noun = one_of(KIND_WORDS[shown.kind or ""])
    brand = "".join(one_of(_SYLLABLES) for _ in range(2)) + " " if random.random() < 0.25 else ""
    if shown.colour is None or not is_said(0.88):
        named = f"a {brand}{noun}"
    elif random.random() < 0.7:
        named = f"a {shown.colour} {brand}{noun}"
    else:
        named = f"a {brand}{noun} in {shown.colour}"
    if brand and random.random() < 0.5:
        named = named.removeprefix("a ")
    return one_of(OPENINGS).format(named)


def _where(shown: Shown, one_of: OneOf, is_said: IsSaid) -> list[str]:
    if not is_said(0.95):
        return []
    if shown.surface is None:
        article = "an" if shown.backdrop[0] in "aeiou" else "a"
        return [
            one_of((
                f"on {article} {shown.backdrop} background",
                f"{shown.backdrop} background",
                f"on {article} seamless {shown.backdrop} backdrop",
                f"{shown.backdrop} studio backdrop",
            ))
        ]  # fmt: skip
    where = []
    if is_said(0.92):
        where.append(f"on {one_of(SURFACE_WORDS[shown.surface])}")
    if is_said(0.92):
        if shown.backdrop in STUDIO_COLOURS:
            thing = one_of((f"a {shown.backdrop} wall", f"a plain {shown.backdrop} wall"))
        else:
            thing = one_of(BACKDROP_WORDS[shown.backdrop])
        where.append(one_of((f"{thing} in the background", f"{thing} behind", f"before {thing}")))
    return where
