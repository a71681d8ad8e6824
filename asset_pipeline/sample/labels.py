"""Words on products: drawn flat with Pillow, then looked up where a product's front is."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from asset_pipeline.sample.fields import Floats, Points
from asset_pipeline.sample.materials import to_linear

_HEIGHT = 1400
"""Pixels of a label's drawing from top to bottom."""

_LEAST = 8
"""Pixels of a label's shorter side below which it is not reduced any more."""

Style = Literal["frame", "plain", "stripe", "seal"]


@dataclass(frozen=True)
class Label:
    """What is printed on the front of a product."""

    title: str
    lines: tuple[str, ...] = ()
    ink: str = "#222222"
    ground: str | None = None
    """The paper's colour; none prints straight on the product."""
    accent: str | None = None
    style: Style = "plain"
    proportion: float = 1.0
    """Width over height."""
    title_share: float = 0.78
    """How much of the width the title takes."""
    font: str | None = None
    """The file of a TrueType font; none for Pillow's own."""

    @property
    def paper(self) -> float:
        """1 where the label is a piece of paper, 0 where it is print alone."""
        return 0.0 if self.ground is None else 1.0


@lru_cache(maxsize=32)
def drawn(label: Label) -> Image.Image:
    """The label as an RGBA picture.

    Raises:
        ValueError: the font lacks a letter; Pillow's own has those of English, and the middle dot.
    """
    _refuse_missing_letters(label)
    width, height = round(_HEIGHT * label.proportion), _HEIGHT
    ground = (*ImageColor.getrgb(label.ground), 255) if label.ground else (*ImageColor.getrgb(label.ink), 0)
    image = Image.new("RGBA", (width, height), ground)
    pen = ImageDraw.Draw(image)
    _DECORATIONS[label.style](pen, label, width, height)
    title = _fitting(label.title, width * label.title_share, height * 0.40, label.font)
    sizes = (_fitting(line, width * 0.80, height * 0.075, label.font).size for line in label.lines)
    small = _font(min(sizes, default=8.0), label.font)
    line_height = 1.75 * _tall(small) if label.lines else 0.0
    top = height * _MIDDLES[label.style] - (_tall(title) + line_height * (len(label.lines) + 0.5)) / 2
    pen.text((width / 2, top + _tall(title) / 2), label.title, label.ink, title, anchor="mm")
    for index, line in enumerate(label.lines):
        middle = top + _tall(title) + line_height * (index + 1)
        pen.text((width / 2, middle), line, label.ink, small, anchor="mm")
    return image


def printed(label: Label, across: Floats, down: Floats) -> tuple[Points, Floats]:
    """The ink's colour in linear light (3 × n) and how much of it covers places of a label (0 to 1).

    The drawing is first reduced to about one pixel for each place, so that small words blur and do not break.
    """
    inside = (across > 0) & (across < 1) & (down > 0) & (down < 1)
    texture = _reduced(
        label, int(np.log2(max(1.0, drawn(label).height * drawn(label).width / max(1, inside.sum()))) // 2)
    )
    height, width = texture.shape[:2]
    x = np.clip(across * width - np.float32(0.5), 0, width - 1.001)
    y = np.clip(down * height - np.float32(0.5), 0, height - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    x, y = (x - column)[:, None], (y - row)[:, None]
    upper = texture[row, column] * (1 - x) + texture[row, column + 1] * x
    lower = texture[row + 1, column] * (1 - x) + texture[row + 1, column + 1] * x
    found = (upper * (1 - y) + lower * y).T
    # The label's own edge is as soft as one of its pixels.
    margin = np.minimum(np.minimum(across, 1 - across) * width, np.minimum(down, 1 - down) * height)
    opacity = np.asarray(found[3] * np.clip(margin + np.float32(0.5), 0, 1), np.float32)
    colour = found[:3] / np.maximum(found[3], 1e-4)
    return np.asarray(colour, np.float32), opacity


@lru_cache(maxsize=64)
def _reduced(label: Label, halvings: int) -> npt.NDArray[np.float32]:
    """The drawing, halved so often, in linear light multiplied by its opacity."""
    layers = np.asarray(np.asarray(drawn(label)) / 255, np.float32)
    opacity = layers[..., 3:]
    picture = np.concatenate([to_linear(layers[..., :3]) * opacity, opacity], axis=2)
    for _ in range(halvings):
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        if min(height, width) < _LEAST:
            break
        picture = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 4).mean(axis=(1, 3))
    return np.asarray(picture, np.float32)


# ----------------------------------------------------------------------------------------------- typography


def _fitting(words: str, width: float, height: float, file: str | None) -> ImageFont.FreeTypeFont:
    """The largest letters of a font in which words fit a box."""
    probe = _font(100, file)
    left, _, right, _ = probe.getbbox(words)
    return _font(max(8, int(100 * min(width / max(1, right - left), height / _tall(probe)))), file)


def _font(size: float, file: str | None) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(file, size) if file else ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType; install its wheel")
    return font


def _refuse_missing_letters(label: Label) -> None:
    font = _font(40, label.font)
    box = bytes(font.getmask("\uffff"))
    missing = sorted({letter for words in (label.title, *label.lines) for letter in words
                      if letter != " " and bytes(font.getmask(letter)) == box})  # fmt: skip
    if missing:
        raise ValueError(f"no letters for {' '.join(missing)} in the label {label.title}")


def _tall(font: ImageFont.FreeTypeFont) -> float:
    return float(font.getbbox("H")[3] - font.getbbox("H")[1])


def _plain(_pen: ImageDraw.ImageDraw, _label: Label, _width: int, _height: int) -> None:
    """Nothing but words."""


def _frame(pen: ImageDraw.ImageDraw, label: Label, width: int, height: int) -> None:
    gap = height * 0.05
    colour = label.accent or label.ink
    pen.rectangle((gap, gap, width - gap, height - gap), outline=colour, width=round(height * 0.011))
    inner = gap * 1.45
    pen.rectangle((inner, inner, width - inner, height - inner), outline=colour, width=round(height * 0.004))


def _stripe(pen: ImageDraw.ImageDraw, label: Label, width: int, height: int) -> None:
    colour = label.accent or label.ink
    pen.rectangle((0, height * 0.06, width, height * 0.22), fill=colour)
    pen.rectangle((0, height * 0.25, width, height * 0.27), fill=colour)


def _seal(pen: ImageDraw.ImageDraw, label: Label, width: int, height: int) -> None:
    colour = label.accent or label.ink
    radius, middle = height * 0.10, (width / 2, height * 0.17)
    pen.ellipse(
        (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius),
        outline=colour,
        width=round(height * 0.012),
    )
    for tilt in (-0.5, 0.0, 0.5):
        tip = (middle[0] + np.sin(tilt) * radius * 0.66, middle[1] - np.cos(tilt) * radius * 0.66)
        pen.line(((middle[0], middle[1] + radius * 0.6), tip), fill=colour, width=round(height * 0.014))


_DECORATIONS = {"plain": _plain, "frame": _frame, "stripe": _stripe, "seal": _seal}
_MIDDLES: dict[Style, float] = {"plain": 0.5, "frame": 0.5, "stripe": 0.60, "seal": 0.60}
"""Where the words' middle lies below each decoration, from the label's top."""
