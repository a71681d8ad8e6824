"""Tables: what each materialisation of a partition wrote, as Parquet. The newest is the current state."""

import io
import secrets
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from pydantic_core import from_json

from asset_pipeline.errors import BrokenFact
from asset_pipeline.fingerprint import canonical_json, fingerprint
from asset_pipeline.store.files import Files, safe_path

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

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", "UTC"),
    list[str]: pa.list_(pa.string()),
    tuple[str, ...]: pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Table(Generic[Row]):
    """A kind of fact: the model of its rows, how it is partitioned, and how its schema changed.

    Columns come from the model's fields; a field that is not text, number, flag, time or a list of
    texts is kept as JSON. `upgrades[n]` turns the columns of schema version n into those of n + 1.
    """

    name: str
    row: type[Row]
    partitioned_by: str
    version: int = 1
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The row's own columns and their Arrow types."""
        return {
            name: _ARROW.get(_bare(info.annotation), pa.string())
            for name, info in self.row.model_fields.items()
        }

    @property
    def json_columns(self) -> set[str]:
        """The columns that hold JSON."""
        return {name for name, info in self.row.model_fields.items() if _bare(info.annotation) not in _ARROW}

    @property
    def schema(self) -> pa.Schema:
        """Columns of the files: the row's own, then the envelope."""
        return pa.schema(list((self.columns | ENVELOPE).items()))

    def fact_sha256(self, row: Row) -> str:
        """The hash that a row has wherever it is recorded; other facts name it to say what they rest on."""
        return _hash_columns(self.name, self.version, self._flat(row))

    def _flat(self, row: Row) -> dict[str, Any]:
        json_columns = self.json_columns
        return {
            name: canonical_json(value).decode()
            if name in json_columns and value is not None
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in ((name, getattr(row, name)) for name in self.row.model_fields)
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
    """Whether the row's content still has the hash that was recorded with it."""


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

        An empty one is a fact too: it says that the partition now has no rows.
        """
        recorded_at = now or datetime.now(UTC)
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
        materialisation = f"{recorded_at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        data = _parquet(pa.table(columns, schema=table.schema))
        self._files.create(self._path(table, partition, materialisation), data)
        return materialisation

    def declare(self, table: Table[Row]) -> None:
        """Write the table's columns as a file without rows, so that queries work before the first fact."""
        path = self._path(table, SCHEMA_PARTITION, f"v{table.version}")
        self._files.create(path, _parquet(table.schema.empty_table()))

    def partitions(self, table: Table[Row]) -> list[str]:
        """The partitions that have been materialised at least once, sorted."""
        names = (name.partition("=")[2] for name in self._files.names(safe_path("facts", table.name)))
        return [name for name in names if name != SCHEMA_PARTITION]

    def materialisations(self, table: Table[Row], partition: str) -> list[str]:
        """The names of a partition's materialisations, oldest first."""
        names = self._files.names(self._folder(table, partition))
        return [name.removesuffix(".parquet") for name in names if name.endswith(".parquet")]

    def read(self, table: Table[Row], partition: str, *, as_of: datetime | None = None) -> list[Row]:
        """The rows of a partition's newest materialisation, or of the newest one at a moment in the past."""
        return [recorded.row for recorded in self.read_recorded(table, partition, as_of=as_of)]

    def read_recorded(
        self, table: Table[Row], partition: str, *, as_of: datetime | None = None
    ) -> list[Recorded[Row]]:
        """Like `read`, with each row's envelope."""
        names = self.materialisations(table, partition)
        if as_of is not None:
            limit = f"{as_of.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}~"
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
        path = self._path(table, partition, materialisation)
        try:
            written = pq.read_table(io.BytesIO(self._files.read(path)))
        except (pa.ArrowException, FileNotFoundError) as error:
            raise BrokenFact(f"{path}: {error}") from error
        json_columns = table.json_columns
        recorded = []
        for flat in written.to_pylist():
            envelope = {name: flat.pop(name) for name in ENVELOPE}
            version = envelope.pop("schema_version")
            is_intact = _hash_columns(table.name, version, flat) == envelope["fact_sha256"]
            for older in range(version, table.version):
                flat = table.upgrades[older](flat)  # noqa: PLW2901 - each upgrade takes the last one's columns
            for name in json_columns & flat.keys():
                flat[name] = from_json(flat[name]) if flat[name] is not None else None
            recorded.append(
                Recorded(
                    row=table.row.model_validate(flat),
                    partition=partition,
                    materialisation=materialisation,
                    is_intact=is_intact,
                    **envelope,
                )
            )
        return recorded

    @staticmethod
    def _folder(table: Table[Row], partition: str) -> str:
        return safe_path("facts", table.name, f"{table.partitioned_by}={partition}")

    def _path(self, table: Table[Row], partition: str, materialisation: str) -> str:
        return f"{self._folder(table, partition)}/{safe_path(f'{materialisation}.parquet')}"


def _hash_columns(table: str, version: int, flat: Mapping[str, Any]) -> str:
    return fingerprint([table, version, flat])


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _bare(annotation: Any) -> Any:
    """An annotation without its ``| None``; a Literal or enumeration of texts counts as text."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        annotation = kinds[0] if len(kinds) == 1 else annotation
    if typing.get_origin(annotation) is typing.Literal:
        return str
    if isinstance(annotation, type) and issubclass(annotation, str):
        return str
    return annotation
