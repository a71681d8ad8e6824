"""Many small pictures on one sheet, each with a caption and a mark of its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asset_pipeline.pictures.decode import Pixels
from asset_pipeline.pictures.encode import jpeg, thumbnail

State = Literal["approved", "pending", "rejected", "not chosen", "refused"]

_COLOURS: dict[State, str] = {
    "approved": "#1a7f37",
    "pending": "#9a6700",
    "rejected": "#cf222e",
    "not chosen": "#6e7781",
    "refused": "#24292f",
}
_QUALITIES = (85, 75, 65, 55)
_SMALLEST_CELL = 8
_SMALLEST_CAPTION = 60
"""Cells smaller than this have no words, only the mark of their state."""


@dataclass(frozen=True)
class Cell:
    """One picture of a contact sheet."""

    pixels: Pixels | None
    """None where there is no picture; its place stays empty and the caption speaks."""
    caption: str
    """A few words; what does not fit is cut off."""
    state: State | None = None
    """Written and coloured below the picture."""


def contact_sheet(cells: Sequence[Cell], columns: int, cell_px: int, max_bytes: int = 100_000) -> bytes:
    """A JPEG of all cells, row by row, made smaller and coarser until it fits.

    Args:
        cells: at least one.
        columns: how many cells stand side by side.
        cell_px: the side of a cell's square in pixels, if the sheet fits with it.
        max_bytes: the most that the sheet may take.

    Raises:
        ValueError: there are no cells, or they fit at no legible size.
    """
    if not cells:
        raise ValueError("a contact sheet needs at least one cell")
    side = cell_px
    while side >= _SMALLEST_CELL:
        sheet = _draw(cells, min(columns, len(cells)), side)
        for quality in _QUALITIES:
            encoded = jpeg(sheet, quality)
            if len(encoded) <= max_bytes:
                return encoded
        side = int(side * 0.8)
    raise ValueError(f"{len(cells)} pictures do not fit into {max_bytes} bytes")


def _draw(cells: Sequence[Cell], columns: int, side: int) -> Pixels:
    text_height = max(8, side // 12) if side >= _SMALLEST_CAPTION else 0
    font = ImageFont.load_default(max(8, text_height))
    pitch = (side + side // 16, side + 2 * text_height + side // 8)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * pitch[0], rows * pitch[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for place, cell in enumerate(cells):
        left, top = (place % columns) * pitch[0], (place // columns) * pitch[1]
        if cell.pixels is None:
            draw.rectangle((left, top, left + side - 1, top + side - 1), fill="#eaeef2")
        else:
            small = thumbnail(cell.pixels, side)
            margins = (side - small.shape[1]) // 2, (side - small.shape[0]) // 2
            sheet.paste(Image.fromarray(small), (left + margins[0], top + margins[1]))
        if cell.state is not None:
            draw.rectangle((left, top + side - 2, left + side - 1, top + side), fill=_COLOURS[cell.state])
        if text_height:
            lines = [(cell.caption, "black")]
            if cell.state is not None:
                lines.insert(0, (cell.state, _COLOURS[cell.state]))
            for line, (words, colour) in enumerate(lines):
                y = top + side + text_height // 4 + line * text_height
                draw.text((left, y), _fitting(words, font, side), fill=colour, font=font)
    return np.array(sheet, np.uint8)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text on one line, cut off with an ellipsis where it is wider than `width`."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
