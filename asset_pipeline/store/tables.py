"""Tables: what each materialisation of a partition wrote, as Parquet. The newest is the current state."""

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel
from pydantic_core import from_json

from asset_pipeline.errors import BrokenFact
from asset_pipeline.fingerprint import canonical_json, fingerprint
from asset_pipeline.store.files import Files, safe_path
from asset_pipeline.store.parquet import UNREADABLE, encoded, read_named, stamp, stamped, write_named

Row = TypeVar("Row", bound=BaseModel)

SCHEMA_PARTITION = "__schema__"
"""A partition that holds no rows, only the columns, so that views bind before the first fact."""

ENVELOPE = {
    "fact_sha256": pa.string(),
    "recorded_at": pa.timestamp("us", "UTC"),
    "run_id": pa.string(),
    "schema_version": pa.int64(),
}
"""What the store adds to each row: its hash, when and by which run it was written, and its schema."""

_BATCH_ROWS = 10_000
"""Rows that are turned into Python values at a time, so that a large file is not in memory twice."""

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", "UTC"),
    AwareDatetime: pa.timestamp("us", "UTC"),
    list[str]: pa.list_(pa.string()),
    tuple[str, ...]: pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Table(Generic[Row]):
    """A kind of fact: the model of its rows, how it is partitioned, and how its schema changed.

    Columns come from the model's fields; a field that is not text, number, flag, time or a list of
    texts is kept as JSON. Times need a time zone. `upgrades[n]` turns the columns of schema version n
    into those of n + 1; JSON columns are JSON text there.
    """

    name: str
    row: type[Row]
    partitioned_by: str
    version: int = 1
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def columns(self) -> dict[str, pa.DataType]:
        """The row's own columns and their Arrow types."""
        return {
            name: column_type(info.annotation) or pa.string() for name, info in self.row.model_fields.items()
        }

    @cached_property
    def json_columns(self) -> frozenset[str]:
        """The columns that hold JSON."""
        fields = self.row.model_fields.items()
        return frozenset(name for name, info in fields if column_type(info.annotation) is None)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the files: the row's own, then the envelope."""
        return pa.schema(list((self.columns | ENVELOPE).items()))

    @cached_property
    def shape(self) -> str:
        """A short name for the columns and their types: files of one shape can be read as one."""
        return fingerprint([str(column) for column in self.schema])[:8]

    def fact_sha256(self, row: Row) -> str:
        """The hash that a row has wherever it is recorded; other facts name it to say what they rest on."""
        return _hash_columns(self.name, self.version, self._flat(row))

    def _flat(self, row: Row) -> dict[str, Any]:
        return {
            name: _flat_value(getattr(row, name), is_json=name in self.json_columns) for name in self.columns
        }


@dataclass(frozen=True)
class Recorded(Generic[Row]):
    """A row as it lies in the store: with its hash, when and by which run it was written, and where."""

    row: Row
    partition: str
    fact_sha256: str
    recorded_at: datetime
    run_id: str
    materialisation: str
    is_intact: bool
    """Whether the row has its recorded hash and its file is as it was written: no row gone, none added."""


class Facts:
    """Reads and appends rows of any table. Nothing is ever updated in place."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write(
        self,
        table: Table[Row],
        partition: str,
        rows: Iterable[Row],
        *,
        run_id: str,
        now: datetime | None = None,
    ) -> str:
        """Append a materialisation of a partition, all of it or nothing; return its name.

        An empty one is a fact too: it says that the partition now has no rows, and is kept as one row that
        has an envelope and no hash. What is written last is the newest: where a clock was set back, the time
        that is recorded is just after the last one's.

        Raises:
            ValueError: a row holds a NaN, an infinity or a time without a zone.
        """
        recorded_at = self._next_moment(table, partition, now or datetime.now(UTC))
        columns: dict[str, list[Any]] = {name: [] for name in table.schema.names}
        for row in rows:
            flat = table._flat(row)  # noqa: SLF001 - the same module's own
            envelope = {
                "fact_sha256": _hash_columns(table.name, table.version, flat),
                "recorded_at": recorded_at,
                "run_id": run_id,
                "schema_version": table.version,
            }
            for name, value in (flat | envelope).items():
                columns[name].append(value)
        if not columns["run_id"]:
            nothing = dict.fromkeys(columns) | {
                "recorded_at": recorded_at,
                "run_id": run_id,
                "schema_version": table.version,
            }
            columns = {name: [value] for name, value in nothing.items()}
        self.declare(table)
        prefix = f"{stamp(recorded_at)}-{table.shape}"
        written = pa.table(columns, schema=table.schema)
        return write_named(self._files, self._folder(table, partition), prefix, written)

    def write_if_changed(
        self, table: Table[Row], partition: str, rows: Iterable[Row], *, run_id: str
    ) -> bool:
        """Append a materialisation unless the newest one says the same; say whether it was appended.

        One that is altered or unreadable does not say the same: it is superseded, and stays for the audit.
        """
        rows = list(rows)
        newest = self.materialisations(table, partition)[-1:]
        if newest and self._hashes(table, partition, newest[0]) == [table.fact_sha256(row) for row in rows]:
            return False
        self.write(table, partition, rows, run_id=run_id)
        return True

    def declare(self, table: Table[Row]) -> None:
        """Write the table's columns as a file without rows, so that queries work before the first fact."""
        path = f"{self._folder(table, SCHEMA_PARTITION)}/columns-{table.shape}-none.parquet"
        self._files.create(path, encoded(table.schema.empty_table()))

    def partitions(self, table: Table[Row]) -> list[str]:
        """The partitions that have been materialised at least once, sorted."""
        names = (name.partition("=")[2] for name in self._files.names(safe_path("facts", table.name)))
        return [name for name in names if name != SCHEMA_PARTITION]

    def materialisations(self, table: Table[Row], partition: str) -> list[str]:
        """The names of a partition's materialisations, oldest first."""
        names = self._files.names(self._folder(table, partition))
        return [name.removesuffix(".parquet") for name in names if name.endswith(".parquet")]

    def read(self, table: Table[Row], partition: str, *, as_of: datetime | None = None) -> list[Row]:
        """The rows of a partition's newest materialisation, or of the newest one at a moment in the past.

        Raises:
            BrokenFact: a row, or its file, is altered or missing; `read_recorded` shows which rows.
        """
        found = self.read_recorded(table, partition, as_of=as_of)
        altered = next((recorded for recorded in found if not recorded.is_intact), None)
        if altered:
            raise BrokenFact(f"{self._folder(table, partition)}/{altered.materialisation}.parquet is altered")
        return [recorded.row for recorded in found]

    def read_recorded(
        self, table: Table[Row], partition: str, *, as_of: datetime | None = None
    ) -> list[Recorded[Row]]:
        """Like `read`, with each row's envelope."""
        names = self.materialisations(table, partition)
        if as_of is not None:
            limit = f"{stamp(as_of)}~"
            names = [name for name in names if name < limit]
        return self._rows(table, partition, names[-1]) if names else []

    def history(self, table: Table[Row], partition: str) -> list[Recorded[Row]]:
        """Every row that was ever recorded for a partition, oldest first."""
        return [
            recorded
            for name in self.materialisations(table, partition)
            for recorded in self._rows(table, partition, name)
        ]

    def _rows(self, table: Table[Row], partition: str, materialisation: str) -> list[Recorded[Row]]:
        folder = self._folder(table, partition)
        written, file_is_intact = read_named(self._files, folder, materialisation)
        try:
            recorded = list(
                self._recorded(table, partition, materialisation, written, file_is_intact=file_is_intact)
            )
        except UNREADABLE as error:
            raise BrokenFact(f"{folder}/{materialisation}.parquet: {error}") from error
        if not (recorded or file_is_intact):
            raise BrokenFact(f"{folder}/{materialisation}.parquet is altered and has no rows")
        return recorded

    @staticmethod
    def _recorded(
        table: Table[Row], partition: str, materialisation: str, written: pa.Table, *, file_is_intact: bool
    ) -> Iterator[Recorded[Row]]:
        for flat in (row for batch in written.to_batches(_BATCH_ROWS) for row in batch.to_pylist()):
            envelope = {name: flat.pop(name) for name in ENVELOPE}
            version = envelope.pop("schema_version")
            if envelope["fact_sha256"] is None:
                continue
            is_intact = file_is_intact and _hash_columns(table.name, version, flat) == envelope["fact_sha256"]
            for older in range(version, table.version):
                flat = table.upgrades[older](flat)  # noqa: PLW2901 - each upgrade takes the last one's columns
            for name in table.json_columns & flat.keys():
                flat[name] = from_json(flat[name]) if flat[name] is not None else None
            yield Recorded(
                row=table.row.model_validate(flat),
                partition=partition,
                materialisation=materialisation,
                is_intact=is_intact,
                **envelope,
            )

    def _hashes(self, table: Table[Row], partition: str, materialisation: str) -> list[str] | None:
        """The hashes of a materialisation's rows, in order; none if it is not as it was written."""
        try:
            written, is_intact = read_named(self._files, self._folder(table, partition), materialisation)
        except BrokenFact:
            return None
        hashes = written["fact_sha256"].to_pylist()
        return [sha256 for sha256 in hashes if sha256 is not None] if is_intact else None

    def _next_moment(self, table: Table[Row], partition: str, now: datetime) -> datetime:
        newest = self.materialisations(table, partition)[-1:]
        return max([now, *(stamped(name) + timedelta(microseconds=1) for name in newest)])

    @staticmethod
    def _folder(table: Table[Row], partition: str) -> str:
        return safe_path("facts", table.name, f"{table.partitioned_by}={partition}")


def _hash_columns(table: str, version: int, flat: Mapping[str, Any]) -> str:
    return fingerprint([table, version, flat])


def _flat_value(value: Any, *, is_json: bool) -> Any:
    if value is None:
        return None
    if is_json:
        return canonical_json(value).decode()
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)
    return value


def column_type(annotation: Any) -> pa.DataType | None:
    """The Arrow type that keeps a model's field, its ``| None`` and constraints aside; none means JSON."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return column_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in arguments if kind is not type(None)]
        return column_type(kinds[0]) if len(kinds) == 1 else None
    if origin is typing.Literal:
        return pa.string() if all(isinstance(word, str) for word in arguments) else None
    if isinstance(annotation, type) and issubclass(annotation, str):
        return pa.string()
    return _ARROW.get(annotation)
