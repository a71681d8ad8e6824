"""Delimited text: CSV with any delimiter, TSV, what Excel and hand-made exports make of it.

A broken row costs itself alone: where quotes do not pair up, reading goes on with the next line.
"""

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TextIO

from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, Sheet
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline.fingerprint import fingerprint

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\s*', re.IGNORECASE)
_BLANKS_AFTER_QUOTE = re.compile(r'" +(?=[,;\t|]|\r?\n|$)')
_ENTITY_BEGUN = re.compile(r"&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z]\w{1,30})$", re.IGNORECASE)
_SAMPLE_LINES = 50
_LONGEST_RECORD = 500
"""Lines. A cell with more line breaks than that is a quote that was never closed."""

csv.field_size_limit(16 << 20)


def read_delimited(text: TextIO) -> Sheet:
    """Read delimited text; the first row that is not blank is the header, row 1.

    Args:
        text: opened with ``newline=""``.

    Raises:
        UnreadableFeed: there is no header.
    """
    lines = _Lines(text)
    delimiter = lines.take_separator_line() or _find_delimiter(lines.peek(_SAMPLE_LINES))
    records = _records(lines, delimiter)
    header = next((cells for cells in records if not cells or not _is_empty(cells)), None)
    if not header:
        raise UnreadableFeed(
            "the file is empty" if header is None else "the quotes in its header do not pair up"
        )
    columns, remarks = _columns(header)
    return Sheet(columns, _rows(columns, records, lines, delimiter), remarks)


class _Lines:
    """Lines of a file that can be looked at in advance and given back."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) == _LONGEST_RECORD:
            raise StopIteration
        line = self._waiting.popleft() if self._waiting else next(self._source)
        self._taken.append(line)
        return _BLANKS_AFTER_QUOTE.sub('"', line) if '" ' in line else line

    def peek(self, count: int) -> list[str]:
        self._waiting.extend(itertools.islice(self._source, count - len(self._waiting)))
        return list(itertools.islice(self._waiting, count))

    def take_separator_line(self) -> str | None:
        """The delimiter that a first line ``sep=;`` names for Excel; such a line is no row."""
        first = self.peek(1)
        match = _SEPARATOR_LINE.fullmatch(first[0]) if first else None
        if match:
            self._waiting.popleft()
        return match.group(1) if match else None

    def begin_record(self) -> None:
        self._taken.clear()

    def record(self) -> list[str]:
        """The lines of the record that was read last."""
        return list(self._taken)

    def keep_first_line(self) -> str:
        """Give back all lines of the record but its first."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        return self._taken[0]


def _find_delimiter(sample: Sequence[str]) -> str:
    """The delimiter by which the header has most cells and most rows as many as the header."""
    return max(_DELIMITERS, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: Sequence[str], delimiter: str) -> float:
    try:
        widths = [
            len(cells) for cells in csv.reader(sample, delimiter=delimiter, skipinitialspace=True) if cells
        ]
    except csv.Error:
        return 0.0
    if not widths or widths[0] == 1:
        return 0.0
    return widths[0] * sum(width == widths[0] for width in widths) / len(widths)


def _records(lines: _Lines, delimiter: str) -> Iterator[list[str] | None]:
    """The cells of each record; none for one whose quotes do not pair up (`lines` still has its line)."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        lines.begin_record()
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _rows(
    columns: tuple[str, ...], records: Iterator[list[str] | None], lines: _Lines, delimiter: str
) -> Iterator[Row | NoProduct]:
    for number, record in enumerate(records, start=2):
        remarks: tuple[Remark, ...] = ()
        cells = record
        if cells is None:
            cells = _leniently(lines.keep_first_line(), delimiter)
            if cells is None or len(cells) != len(columns):
                yield NoProduct(number, _BROKEN_QUOTES)
                continue
            remarks = (_STRAY_QUOTE,)
        if delimiter == ";" and len(cells) > len(columns):
            joined = _with_whole_entities(lines.record())
            if len(joined) == len(columns):
                cells, remarks = joined, (*remarks, _SPLIT_ENTITY)
        if not _is_empty(cells[len(columns) :]):
            yield NoProduct(number, _too_many(len(cells), len(columns)))
            continue
        if len(cells) < len(columns) and not _is_empty(cells):
            remarks = (*remarks, _too_few(len(cells), len(columns)))
        filled = {
            column: cell for column, cell in zip(columns, cells, strict=False) if cell and not cell.isspace()
        }
        yield Row(number, filled, fingerprint(cells), remarks)


def _leniently(line: str, delimiter: str) -> list[str] | None:
    """The cells of a single line with a quote too many; none if a quote is left open."""
    ended = line if line.endswith(("\n", "\r")) else line + "\n"
    try:
        cells = next(csv.reader([ended], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return None
    return None if cells and cells[-1].endswith(("\n", "\r")) else cells


def _with_whole_entities(record: Sequence[str]) -> list[str]:
    """The cells of a record whose entities, such as ``&nbsp;``, end in what is the delimiter too."""
    cells = next(csv.reader(record, delimiter=";"))
    joined = [cells[0]]
    for cell in cells[1:]:
        if _ENTITY_BEGUN.search(joined[-1]):
            joined[-1] += f";{cell}"
        else:
            joined.append(cell)
    return joined


def _columns(header: Sequence[str]) -> tuple[tuple[str, ...], list[Remark]]:
    """Column names, each once: a repeated one gets its place, one without a name is called by it."""
    names: list[str] = []
    known: set[str] = set()
    remarks: list[Remark] = []
    trimmed = [" ".join(cell.replace("\ufeff", "").split()) for cell in header]
    while trimmed and not trimmed[-1]:
        trimmed.pop()  # the delimiter at the end of every line of many exports
    for place, name in enumerate(trimmed, start=1):
        if name.casefold() in known:
            remarks.append(
                Remark(
                    "warning",
                    "repeated_column",
                    f"the column {name!r} is there twice; the first counts",
                    name,
                )
            )
            names.append(f"{name} (column {place})")
        else:
            names.append(name or f"column {place}")
        known.add(names[-1].casefold())
    return tuple(names), remarks


def _is_empty(cells: Sequence[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)


_BROKEN_QUOTES = Remark(
    "refused", "broken_quotes", "its quotes do not pair up; a quote inside a quoted cell is written twice"
)
_SPLIT_ENTITY = Remark(
    "repaired", "split_entity", "the semicolon of an HTML entity stood between cells; they are one again"
)
_STRAY_QUOTE = Remark("repaired", "stray_quote", "a quote inside a quoted cell is not written twice")


def _too_many(found: int, expected: int) -> Remark:
    return Remark(
        "refused",
        "too_many_cells",
        f"{found} cells for {expected} columns, so which cell belongs where is unknown; is a cell with the "
        "delimiter in it not in quotes?",
    )


def _too_few(found: int, expected: int) -> Remark:
    return Remark(
        "warning", "too_few_cells", f"{found} cells for {expected} columns; the last are taken as blank"
    )
