"""Bytes become rows: delimited text, JSON lines, a JSON array or Parquet, told apart by what they hold."""

import io
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asset_pipeline.catalog.delimited import read_delimited
from asset_pipeline.catalog.encoding import find_encoding
from asset_pipeline.catalog.rows import NoProduct, Remark, Row, Sheet, is_blank
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline.fingerprint import fingerprint

_PEEK = 100
"""Records whose keys are taken for the columns of JSON."""
_BATCH_ROWS = 2_000


def read_sheet(data: bytes) -> Sheet:
    """Read a feed. Rows are read as they are asked for, so a large feed is not in memory twice.

    Raises:
        UnreadableFeed: the bytes cannot be read as a whole; the message says what to do.
    """
    if not data.strip():
        raise UnreadableFeed("the file is empty")
    if data.startswith(b"PAR1"):
        return _read_parquet(data)
    encoding = find_encoding(data)
    remarks = [encoding.remark] if encoding.remark else []
    text = io.TextIOWrapper(io.BytesIO(data), encoding.name, encoding.errors, newline="")
    start = text.read(1024).lstrip("\ufeff \t\r\n")
    text.seek(0)
    if start.startswith("<"):
        raise UnreadableFeed("this is HTML or XML; is it an error page instead of the feed?")
    sheet = _read_json(text) if start.startswith(("[", "{")) else read_delimited(text)
    sheet.remarks[:0] = remarks
    return sheet


def _read_json(text: io.TextIOWrapper) -> Sheet:
    """JSON lines if the first line is an object by itself, else a document, else lines after all."""
    lines = list(itertools.islice(text, _PEEK))
    first = next((line for line in lines if not line.isspace()), "")
    if isinstance(_loaded(first), Mapping):
        return _sheet(_json_lines(itertools.chain(lines, text)))
    text.seek(0)
    try:
        document = _loads(text.read().lstrip("\ufeff"))
    except ValueError as error:
        if any(isinstance(_loaded(line), Mapping) for line in lines):
            text.seek(0)
            return _sheet(_json_lines(text))
        raise UnreadableFeed(f"this is no JSON: {error}") from error
    records = document if isinstance(document, list) else [document]
    return _sheet(_row(number, record) for number, record in enumerate(records, start=1))


def _json_lines(lines: Iterable[str]) -> Iterator[Row | NoProduct]:
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            yield Row(number, {}, fingerprint({}))
            continue
        try:
            record = _loads(line.lstrip("\ufeff"))
        except ValueError as error:
            yield NoProduct(number, Remark("refused", "not_json", f"the line is no JSON: {error}"))
            continue
        yield _row(number, record)


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
    first = list(itertools.islice(rows, _PEEK))
    columns = dict.fromkeys(column for row in first if isinstance(row, Row) for column in row.cells)
    return Sheet(tuple(columns), itertools.chain(first, rows))


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
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _loaded(line: str) -> Any:
    try:
        return _loads(line.lstrip("\ufeff"))
    except ValueError:
        return None


def _no_number(_name: str) -> None:
    """NaN and infinities, which JSON does not have, are blanks."""
