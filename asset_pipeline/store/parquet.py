"""Parquet files whose names say when they were written and what they held, so that a change shows."""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from asset_pipeline.errors import BrokenFact
from asset_pipeline.store.files import Files

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_DIGEST_LENGTH = 16

UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError)
"""What reading a damaged file raises: text, sizes and types are taken as they are found."""


def stamp(moment: datetime) -> str:
    """A moment as the beginning of a name; names sort by time."""
    return f"{moment.astimezone(UTC):{_STAMP}}"


def stamped(name: str) -> datetime:
    """The moment that a name begins with."""
    return datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)


def encoded(table: pa.Table) -> bytes:
    """The bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def decoded(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in the bytes of a Parquet file.

    Read without Arrow's threads: one that still holds the bytes when the interpreter ends aborts the process.

    Raises:
        pyarrow.ArrowException: they are no Parquet file.
    """
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    return file.read(columns=None if columns is None else list(columns), use_threads=False)


def write_named(files: Files, folder: str, prefix: str, table: pa.Table) -> str:
    """Write a table into a folder; return the file's name: the prefix and a hash, without suffix."""
    data = encoded(table)
    name = f"{prefix}-{_digest(folder, prefix, data)}"
    files.create(f"{folder}/{name}.parquet", data)
    return name


def read_named(files: Files, folder: str, name: str) -> tuple[pa.Table, bool]:
    """Read a table and say whether folder, name and content are those that were written.

    Raises:
        BrokenFact: the file is gone or is no Parquet file.
    """
    try:
        data = files.read(f"{folder}/{name}.parquet")
        table = decoded(data)
    except UNREADABLE as error:
        raise BrokenFact(f"{folder}/{name}.parquet: {error}") from error
    prefix, _, digest = name.rpartition("-")
    return table, digest == _digest(folder, prefix, data)


def _digest(folder: str, prefix: str, data: bytes) -> str:
    return hashlib.sha256(f"{folder}/{prefix}\n".encode() + data).hexdigest()[:_DIGEST_LENGTH]
