"""What a feed is made of once its bytes are read, before anyone asks what its columns mean."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from pydantic_core import to_jsonable_python

_LONGEST_NUMBER = 30
"""Digits. ``1E+999999`` is not written out."""

Level = Literal["note", "repaired", "warning", "refused"]


@dataclass(frozen=True)
class Remark:
    """What was found in a feed, before it is known which row and SKU it belongs to: half a Finding."""

    level: Level
    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True)
class Row:
    """One row or record, as the feed has it."""

    number: int
    """The row, counting the header as row 1; of JSON lines the line, of other formats the record."""
    cells: Mapping[str, Any]
    """Values by column; blank cells are left out. Of CSV they are texts, else whatever the format knows."""
    source_sha256: str
    """The fingerprint of the raw cells, blank ones included."""
    remarks: tuple[Remark, ...] = ()

    def text(self, column: str) -> str:
        """A cell as text; empty where there is none."""
        return cell_text(self.cells.get(column))


@dataclass(frozen=True)
class NoProduct:
    """A row that gave no product, and why: refused, or a mere repetition (level ``note``)."""

    row: int
    remark: Remark
    sku: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A feed's rows with their columns, read as they are asked for."""

    columns: tuple[str, ...]
    """Trimmed, in the feed's order; of JSON those of the first records."""
    rows: Iterator[Row | NoProduct]
    """Every row in order. May raise UnreadableFeed where the file turns out to be damaged."""
    remarks: list[Remark] = field(default_factory=list)
    """What is to be said of the file as a whole."""


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {}, ())


def cell_text(value: Any) -> str:
    """A cell as text: lists joined by ``|``, whole numbers without ``.0``, objects as JSON."""
    if isinstance(value, list | tuple):
        return "|".join(cell_text(part) for part in value)
    if isinstance(value, Mapping):
        return json.dumps(to_jsonable_python(value), ensure_ascii=False, sort_keys=True)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal | float):
        return _number_text(value)
    return "" if value is None else str(value)


def _number_text(value: Decimal | float) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    is_short = value.is_finite() and abs(value.adjusted()) < _LONGEST_NUMBER
    return format(value, "f") if is_short else str(value)
