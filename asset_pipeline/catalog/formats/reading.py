"""Bytes become rows: delimited text, JSON, XML or Parquet, plain or gzip, told apart by what they hold."""

import codecs
import io
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asset_pipeline.catalog.formats.compressed import MARK, unpacked
from asset_pipeline.catalog.formats.delimited import read_delimited
from asset_pipeline.catalog.formats.encoding import Encoding, find_encoding
from asset_pipeline.catalog.formats.json_ld import nodes
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, Sheet, is_blank
from asset_pipeline.catalog.formats.xml_records import read_records
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline.fingerprint import fingerprint

_PEEK = 100
"""Records whose keys are taken for the columns of JSON and XML."""
_BATCH_ROWS = 2_000
_SAMPLE = 4096
_WRAPPERS = ("products", "items")
"""Keys under which an interface's answer holds a list of products."""
_DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["']([\w.-]+)["']""")


def read_sheet(data: bytes) -> Sheet:
    """Read a feed. Rows are read as they are asked for, so a large feed is not in memory twice.

    Raises:
        UnreadableFeed: the bytes cannot be read as a whole; the message says what to do.
    """
    if data.startswith(MARK):
        data = unpacked(data)
    if not data[:_SAMPLE].strip() and not data.strip():
        raise UnreadableFeed("the file is empty")
    if data.startswith(b"PAR1"):
        return _read_parquet(data)
    encoding = _declared(data, find_encoding(data))
    text = io.TextIOWrapper(io.BytesIO(data), encoding.name, encoding.errors, newline="")
    start = text.read(1024).lstrip("\ufeff \t\r\n")
    text.seek(0)
    if start.startswith("<"):
        sheet = _read_xml(text)
    elif start.startswith(("[", "{")):
        sheet = _read_json(text)
    else:
        sheet = read_delimited(text)
    if encoding.remark:
        sheet.remarks.insert(0, encoding.remark)
    return sheet


def _declared(data: bytes, found: Encoding) -> Encoding:
    """The encoding that an XML document declares, where its bytes are not UTF-8 and the other is a guess."""
    match = _DECLARED_ENCODING.search(data[:200])
    if not match or not found.remark or found.name == "utf-8":
        return found
    name = match[1].decode()
    try:
        data[:_SAMPLE].decode(name, "replace")
    except (LookupError, ValueError):  # no such encoding, or none of text
        return found
    return found if codecs.lookup(name).name.startswith("utf") else Encoding(name)


def _read_xml(text: io.TextIOWrapper) -> Sheet:
    remarks: list[Remark] = []
    records = enumerate(read_records(text, remarks), start=1)
    sheet = _sheet(
        NoProduct(number, record) if isinstance(record, Remark) else _row(number, record)
        for number, record in records
    )
    sheet.remarks.extend(remarks)
    return sheet


def _read_json(text: io.TextIOWrapper) -> Sheet:
    """JSON lines if the first line is an object by itself, else a document, else lines after all."""
    lines = list(itertools.islice(text, _PEEK))
    filled = [line for line in lines if not line.isspace()]
    first = _loaded(filled[0]) if filled else None
    if isinstance(first, Mapping) and not (len(filled) == 1 and len(lines) < _PEEK and _list_within(first)):
        return _sheet(_json_lines(itertools.chain(lines, text)))
    text.seek(0)
    try:
        document = _loads(text.read().lstrip("\ufeff"))
    except ValueError as error:
        if any(isinstance(_loaded(line), Mapping) for line in lines):
            text.seek(0)
            return _sheet(_json_lines(text))
        raise UnreadableFeed(f"this is no JSON: {error}; export it again") from error
    records = document if isinstance(document, list) else _list_within(document) or [document]
    flat = itertools.chain.from_iterable(map(nodes, records))
    return _sheet(_row(number, record) for number, record in enumerate(flat, start=1))


def _list_within(document: Any) -> list[Any] | None:
    """The products of a document that is an interface's answer and no product itself."""
    if not isinstance(document, Mapping) or "sku" in document or "@type" in document:
        return None
    lists = (document.get(key) for key in _WRAPPERS)
    return next((found for found in lists if isinstance(found, list) and _has_objects(found)), None)


def _has_objects(values: list[Any]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _json_lines(lines: Iterable[str]) -> Iterator[Row | NoProduct]:
    """Rows of lines; numbers run ahead of the lines by the nodes that a line of JSON-LD holds beyond one."""
    numbers = itertools.count(1)
    for line in lines:
        if line.isspace():
            yield Row(next(numbers), {}, fingerprint({}))
            continue
        try:
            record = _loads(line.lstrip("\ufeff"))
        except ValueError as error:
            reason = Remark("refused", "not_json", f"the line is no JSON: {error}")
            yield NoProduct(next(numbers), reason)
            continue
        for node in nodes(record):
            yield _row(next(numbers), node)


def _row(number: int, record: Any) -> Row | NoProduct:
    if not isinstance(record, Mapping):
        return NoProduct(
            number, Remark("refused", "not_json", f"a record is an object, not a {type(record).__name__}")
        )
    try:
        source = fingerprint(record)
    except (ValueError, RecursionError) as error:
        return NoProduct(number, Remark("refused", "not_text", f"a value is no text: {error}"))
    cells = {key.strip(): value for key, value in record.items() if not is_blank(value)}
    return Row(number, cells, source)


def _sheet(rows: Iterator[Row | NoProduct]) -> Sheet:
    first: list[Row | NoProduct] = []
    damage: UnreadableFeed | None = None
    try:
        for row in itertools.islice(rows, _PEEK):
            first.append(row)  # noqa: PERF402 - those before the damage are kept
    except UnreadableFeed as error:
        if not first:
            raise
        damage = error
    columns = dict.fromkeys(column for row in first if isinstance(row, Row) for column in row.cells)
    return Sheet(tuple(columns), _resumed(first, damage, rows))


def _resumed(
    first: list[Row | NoProduct], damage: UnreadableFeed | None, rest: Iterator[Row | NoProduct]
) -> Iterator[Row | NoProduct]:
    """Rows that were looked at already, and the others; or the damage that came after them."""
    yield from first
    if damage:
        raise damage
    yield from rest


def _read_parquet(data: bytes) -> Sheet:
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFeed(f"this is no whole Parquet file: {error}") from error
    return Sheet(tuple(name.strip() for name in file.schema_arrow.names), _parquet_rows(file))


def _parquet_rows(file: pq.ParquetFile) -> Iterator[Row | NoProduct]:
    try:
        numbers = itertools.count(1)
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            for record in batch.to_pylist():
                yield _row(next(numbers), {key: _plain(value) for key, value in record.items()})
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFeed(f"this Parquet file is damaged: {error}") from error


def _plain(value: Any) -> Any:
    """A Parquet value without what has no spelling: NaN is a blank, bytes are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _loads(text: str) -> Any:
    """JSON with numbers as exact as they are written.

    Raises:
        ValueError: it is no JSON, or nested deeper than anything a catalog holds.
    """
    try:
        return json.loads(text, parse_float=_number, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _loaded(line: str) -> Any:
    try:
        return _loads(line.lstrip("\ufeff"))
    except ValueError:
        return None


def _number(written: str) -> Decimal | str:
    """A number as exact as it is written; one whose exponent is beyond all use stays a text."""
    try:
        return Decimal(written)
    except InvalidOperation:
        return written


def _no_number(_name: str) -> None:
    """NaN and infinities, which JSON does not have, are blanks."""
