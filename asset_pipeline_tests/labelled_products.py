"""Products of the sample renderer with words on them, upright, or the label or all of it turned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np

from asset_pipeline.reading.orientation import Orientation
from asset_pipeline.sample.camera import View
from asset_pipeline.sample.fields import Floats, Points
from asset_pipeline.sample.kinds import shape_of
from asset_pipeline.sample.labels import Label, Style
from asset_pipeline.sample.materials import Material
from asset_pipeline.sample.shading import shade
from asset_pipeline.sample.shape import Front, Role
from asset_pipeline.sample.tracing import Traced, trace
from asset_pipeline.scores.score import Expectation, Look, Pixels

Turned = Literal["label", "product"]

_FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
FONTS: tuple[str | None, ...] = (
    None,
    *(
        str(_FONTS / f"{name}.ttf")
        for name in ("DejaVuSans-Bold", "DejaVuSerif", "STIXGeneralBol", "DejaVuSansMono", "cmss10")
    ),
)
"""Pillow's own, and five that come with matplotlib: two without serifs, two with, one of equal widths."""

WORDS: tuple[tuple[str, ...], ...] = (
    ("KALDERA", "Ground coffee", "Hochland No. 4", "250 g"),
    ("OLIVARA", "Olio extra vergine", "750 ml"),
    ("NEBELWALD", "Mountain herbs", "20 bags"),
    ("Bienental", "Linden blossom honey", "500 g"),
    ("SALVIA", "Hand cream", "Sage and oats", "75 ml"),
    ("ALPINE", "Spring water"),
    ("RUNDLE",),
    ("Morgenrot", "Organic tomato sauce"),
    ("FJORDELL", "Stoneware"),
    ("Lumen", "Scented candle", "Fig and cedar"),
    ("TORVIK", "Fisherman soap", "120 g"),
    ("Petit Jardin", "Strawberry jam"),
    ("BRIGHTSIDE", "Daily sunscreen", "SPF 50"),
    ("Quarry", "Sea salt flakes"),
    ("HAZEL & RYE", "Oven baked granola", "400 g"),
)
KINDS = ("can", "box", "jar", "bottle", "tube", "candle", "mug", "flask", "cream pot", "handbag")
PAPERS: tuple[tuple[str, str | None], ...] = (
    ("#1f3d35", "#f3ead7"),
    ("#f5efe0", "#3f6f63"),
    ("#e9f2f0", None),
    ("#3d2430", "#f3e9df"),
    ("#fff4d8", "#8c2f39"),
)
"""Ink and paper; without paper the words are printed on the product."""
STYLES: tuple[Style, ...] = ("plain", "frame", "stripe", "seal")
VIEWS: tuple[View, ...] = ("base", "front")
_FLAP = Front("body", 1.1, 0.32, 0.82)
"""Where a handbag may carry a name; the sample's own do not."""


@dataclass(frozen=True)
class Labelled:
    """A product with words on it."""

    kind: str
    label: Label
    view: View = "base"

    @property
    def words(self) -> tuple[str, ...]:
        """What is printed on it, one phrase to a line."""
        return self.label.title, *self.label.lines


def labelled(number: int) -> Labelled:
    """The product of that number; 60 in a row differ in words, font, paper, kind or view."""
    title, *lines = WORDS[number % len(WORDS)]
    kind = KINDS[(number + number // len(WORDS) * 3) % len(KINDS)]
    if kind == "handbag":
        lines = []
    ink, ground = PAPERS[(number + number // 7) % len(PAPERS)]
    font = FONTS[(number + number // 5) % len(FONTS)]
    # in a label as low as a bag's flap a frame runs through the words when the label is turned
    style: Style = "plain" if kind == "handbag" else STYLES[number % len(STYLES)]
    label = Label(title, tuple(lines), ink, ground, style=style, font=font)
    return Labelled(kind, label, VIEWS[number // len(KINDS) % len(VIEWS)])


def seen(product: Labelled, stands: Orientation, turned: Turned, size: int = 640) -> Look:
    """A product before white, its words declared, it or its label standing that way."""
    upright = turned == "product"
    pixels, mask = _rendered(product, "upright" if upright else stands, size)
    if upright:
        pixels, mask = turned_to(pixels, stands), turned_to(mask, stands)
    return Look(
        pixels=pixels,
        mask=mask,
        encoded=b"",
        expected_size=(size, size),
        expectation=Expectation(words=product.words),
    )


def turned_to(picture: Pixels, stands: Orientation) -> Pixels:
    """An upright picture, turned so that what it shows stands that way."""
    turns: Mapping[Orientation, Callable[[Pixels], Pixels]] = {
        "upright": lambda given: given,
        "upside down": lambda given: np.rot90(given, 2),
        "clockwise": lambda given: np.rot90(given, -1),
        "anticlockwise": np.rot90,
        "mirrored": lambda given: given[:, ::-1],
        "flipped": lambda given: given[::-1],
    }
    return np.ascontiguousarray(turns[stands](picture))


@dataclass(frozen=True)
class _TurnedFront(Front):
    """A front whose label stands some way."""

    stands: Orientation = "upright"

    def coordinates(self, p: Points) -> tuple[Floats, Floats]:
        across, down = super().coordinates(p)
        match self.stands:
            case "upside down":
                return 1 - across, 1 - down
            case "clockwise":
                return down, 1 - across
            case "anticlockwise":
                return 1 - down, across
            case "mirrored":
                return 1 - across, down
            case "flipped":
                return across, 1 - down
        return across, down


@lru_cache(maxsize=len(KINDS) * len(VIEWS))
def _traced(kind: str, view: View, size: int) -> Traced:
    return trace(shape_of(kind), view, size)


@lru_cache(maxsize=4)
def _rendered(product: Labelled, stands: Orientation, size: int) -> tuple[Pixels, Pixels]:
    shape = shape_of(product.kind)
    front = shape.front or _FLAP
    proportion = front.width / front.height
    if stands in {"clockwise", "anticlockwise"}:
        proportion = 1 / proportion
    label = replace(product.label, proportion=proportion)
    turned = _TurnedFront(front.role, front.width, front.height, front.middle, front.radius, stands)
    look: Mapping[Role, Material] = {
        "body": Material("#c9770e", "glass") if product.kind == "jar" else Material("#1f4a40", "satin"),
        "trim": Material("#e9dcc0", "satin"),
        "bright": Material("#c9ccd0", "metal"),
        "light": Material("#efe3cf", "matte"),
    }
    made = shade(_traced(product.kind, product.view, size), replace(shape, front=turned), look, label=label)
    return made.on_white(), np.round(made.mask * 255).astype(np.uint8)
