"""Feeds taken apart into records and put together again, so that tests can change one thing of them."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from xml.sax.saxutils import escape

Place = tuple[int | str, ...]
"""Where in a record a value stands: a cell's number, the keys that lead to it, an element's number."""


class Form(Protocol):
    """A way of writing records down: delimited text, JSON, XML."""

    @property
    def records(self) -> Sequence[Any]:
        """The feed's records, in its order; of delimited text without the header."""

    def written(self, records: Sequence[Any]) -> str:
        """A feed of these records."""

    def places(self, record: Any) -> list[Place]:
        """Where something stands, or could stand, in a record."""

    def value(self, record: Any, place: Place) -> Any:
        """What stands there."""

    def with_value(self, record: Any, place: Place, value: Any) -> Any:
        """The record with something else in a place; the same record if it has no such place."""

    def with_unknown_columns(self, record: Any, count: int) -> Any:
        """The record with so many values more, which no dialect knows."""

    def can_say(self, text: str) -> bool:
        """Whether the format has a way of writing this text."""


@dataclass(frozen=True)
class Delimited:
    """CSV with its delimiter."""

    delimiter: str
    header: list[str]
    records: Sequence[list[str]]

    def written(self, records: Sequence[Any]) -> str:
        """The header, and these rows; what is longer than the header gets columns of its own."""
        width = max(map(len, [self.header, *records]))
        more = [f"unknown {number}" for number in range(len(self.header), width)]
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerows([[*self.header, *more], *records])
        return text.getvalue()

    def places(self, record: Any) -> list[Place]:
        """Every cell, blank or not."""
        return [(number,) for number in range(len(record))]

    def value(self, record: Any, place: Place) -> Any:
        """The cell."""
        return record[place[0]]

    def with_value(self, record: Any, place: Place, value: Any) -> Any:
        """The row with another cell."""
        cells = list(record)
        cells[int(place[0])] = value if isinstance(value, str) else json.dumps(value)
        return cells

    def with_unknown_columns(self, record: Any, count: int) -> Any:
        """The row with cells at its end."""
        return [*record, *["x"] * count]

    def can_say(self, text: str) -> bool:
        """Everything that UTF-8 can."""
        return _is_utf8(text)

    def with_columns(self, order: Sequence[int]) -> str:
        """The feed with its columns in another order."""
        moved = Delimited(self.delimiter, [self.header[number] for number in order], [])
        return moved.written([[record[number] for number in order] for record in self.records])


@dataclass(frozen=True)
class Json:
    """JSON lines, a list, or a document with a list in it."""

    records: Sequence[Any]
    document: Mapping[str, Any] | None = None
    within: str = ""
    """The key of the document under which the records stand."""
    in_lines: bool = False

    def written(self, records: Sequence[Any]) -> str:
        """The same kind of JSON with these records."""
        if self.in_lines:
            return "".join(json.dumps(record) + "\n" for record in records)
        return json.dumps(list(records) if self.document is None else {**self.document, self.within: records})

    def places(self, record: Any) -> list[Place]:
        """Every value, also those that hold others."""
        return list(_json_places(record))

    def value(self, record: Any, place: Place) -> Any:
        """The value there."""
        for key in place:
            record = record[key]
        return record

    def with_value(self, record: Any, place: Place, value: Any) -> Any:
        """A copy with another value there."""
        key, *rest = place
        if isinstance(record, dict) and key in record:
            return {**record, key: self.with_value(record[key], tuple(rest), value) if rest else value}
        if isinstance(record, list) and isinstance(key, int) and key < len(record):
            changed = self.with_value(record[key], tuple(rest), value) if rest else value
            return [*record[:key], changed, *record[key + 1 :]]
        return record

    def with_unknown_columns(self, record: Any, count: int) -> Any:
        """The record with more keys."""
        return {**record, **{f"unknown {number}": "x" for number in range(count)}}

    def can_say(self, text: str) -> bool:  # noqa: ARG002 - the protocol's
        """Everything, even half a character."""
        return True


@dataclass(frozen=True)
class Xml:
    """A document with elements ``item``, ``entry`` or ``product`` in it."""

    before: str
    records: Sequence[str]
    after: str

    def written(self, records: Sequence[Any]) -> str:
        """The document with these elements."""
        return "".join([self.before, *records, self.after])

    def places(self, record: Any) -> list[Place]:
        """Every text within an element."""
        return [(number,) for number in range(len(_XML_TEXT.findall(record)))]

    def value(self, record: Any, place: Place) -> Any:
        """The text as it is written."""
        return _XML_TEXT.findall(record)[int(place[0])]

    def with_value(self, record: Any, place: Place, value: Any) -> Any:
        """The element with another text there."""
        text = escape(value if isinstance(value, str) else json.dumps(value))
        found = list(_XML_TEXT.finditer(record))
        if int(place[0]) >= len(found):
            return record
        match = found[int(place[0])]
        return record[: match.start(1)] + text + record[match.end(1) :]

    def with_unknown_columns(self, record: Any, count: int) -> Any:
        """The element with more elements in it."""
        start, end, name = record.rpartition("</")
        more = "".join(f"<unknown_{number}>x</unknown_{number}>" for number in range(count))
        return start + more + end + name

    def can_say(self, text: str) -> bool:
        """What UTF-8 can, but no control characters."""
        return _is_utf8(text) and not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", text)


_XML_RECORD = re.compile(r"<((?:\w+:)?(?:item|entry|product))\b[^<>]*>.*?</\1>", re.DOTALL)
_XML_TEXT = re.compile(r">\s*([^<>\s][^<>]*)<")


def form_of(content: str) -> Form:
    """Take a feed apart."""
    start = content.lstrip("\ufeff \r\n\t")
    if start.startswith("<"):
        return _xml(content)
    return _json(content) if start.startswith(("[", "{")) else _delimited(content)


def _delimited(content: str) -> Delimited:
    lines = content.removeprefix("\ufeff").splitlines(keepends=True)
    delimiter = max(",;\t|", key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return Delimited(delimiter, header, [row + [""] * (len(header) - len(row)) for row in rows if row])


def _json(content: str) -> Json:
    try:
        document = json.loads(content)
    except ValueError:
        return Json([json.loads(line) for line in content.splitlines() if line.strip()], in_lines=True)
    if isinstance(document, list):
        return Json(document)
    for key, value in document.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            return Json(value, document, key)
    return Json([document], in_lines=True)


def _xml(content: str) -> Xml:
    found = list(_XML_RECORD.finditer(content))
    return Xml(content[: found[0].start()], [match[0] for match in found], content[found[-1].end() :])


def _json_places(value: Any, place: Place = ()) -> Iterator[Place]:
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _json_places(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _json_places(inner, (*place, number))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
