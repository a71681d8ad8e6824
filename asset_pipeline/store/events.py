"""Events: what happened at a moment, one small file each, created exclusively under a telling name."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from pydantic_core import from_json

from asset_pipeline.errors import BrokenFact
from asset_pipeline.fingerprint import canonical_json, fingerprint
from asset_pipeline.store.files import Files, safe_path
from asset_pipeline.store.tables import SCHEMA_PARTITION

Body = TypeVar("Body", bound=BaseModel)

PACKED_COLUMNS = pa.schema([("name", pa.string()), ("content", pa.string())])


@dataclass(frozen=True)
class EventStream(Generic[Body]):
    """A kind of event: the model of its body and how its events are grouped into partitions."""

    name: str
    body: type[Body]
    partitioned_by: str
    version: int = 1


@dataclass(frozen=True)
class Event(Generic[Body]):
    """One event as it lies in the store."""

    name: str
    partition: str
    recorded_at: datetime
    body: Body
    is_intact: bool
    """Whether the event's content still has the hash that was recorded with it."""


class Events:
    """Appends and reads events of any stream.

    A name exists once: of any number of processes that append the same name, one succeeds and the
    others learn that it was taken. That is how work is claimed and how repeats become harmless.
    Events older than a while are packed into one Parquet file for each partition; their names stay taken.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def append(
        self, stream: EventStream[Body], partition: str, name: str, body: Body, *, now: datetime | None = None
    ) -> bool:
        """Record an event unless its name is taken; say whether this call recorded it."""
        content: dict[str, Any] = {
            "name": name,
            "stream": stream.name,
            stream.partitioned_by: partition,
            "recorded_at": (now or datetime.now(UTC)).astimezone(UTC).isoformat(),
            "schema_version": stream.version,
            "body": body.model_dump(mode="json"),
        }
        content["event_sha256"] = fingerprint(content)
        if self._packed_files(stream, partition) and name in self._packed(stream, partition):
            return False
        return self._files.create(self._path(stream, partition, name), canonical_json(content) + b"\n")

    def declare(self, stream: EventStream[Body]) -> None:
        """Write what queries need to work before the first event: a file without events of each shape."""
        folder = self._folder(stream, SCHEMA_PARTITION)
        self._files.create(f"{folder}/none.json", b"")
        packed = self._packed_folder(stream, SCHEMA_PARTITION)
        self._files.create(f"{packed}/none.parquet", _parquet(PACKED_COLUMNS.empty_table()))

    def partitions(self, stream: EventStream[Body]) -> list[str]:
        """The partitions that have events, sorted."""
        folders = {
            *self._files.names(safe_path("events", stream.name)),
            *self._files.names(safe_path("packed_events", stream.name)),
        }
        names = sorted(folder.partition("=")[2] for folder in folders)
        return [name for name in names if name != SCHEMA_PARTITION]

    def names(self, stream: EventStream[Body], partition: str) -> list[str]:
        """The names of a partition's events, sorted; far cheaper than reading them."""
        single = (name.removesuffix(".json") for name in self._files.names(self._folder(stream, partition)))
        return sorted({*single, *self._packed(stream, partition)})

    def read(
        self, stream: EventStream[Body], partition: str, *, names: Iterable[str] | None = None
    ) -> list[Event[Body]]:
        """A partition's events, or those of the given names that exist, by time and then by name.

        Raises:
            BrokenFact: an event is not readable as what it should be.
        """
        packed = self._packed(stream, partition)
        wanted = set(self.names(stream, partition) if names is None else names)
        single = self._files.read_many(self._path(stream, partition, name) for name in wanted - packed.keys())
        contents = [packed[name] for name in wanted & packed.keys()] + list(single.values())
        events = [_event(stream, partition, content) for content in contents]
        return sorted(events, key=lambda event: (event.recorded_at, event.name))

    def get(self, stream: EventStream[Body], partition: str, name: str) -> Event[Body] | None:
        """The event of that name, if there is one."""
        return next(iter(self.read(stream, partition, names=[name])), None)

    def pack(
        self, stream: EventStream[Body], partition: str, *, older_than: timedelta, now: datetime | None = None
    ) -> int:
        """Roll a partition's older events into one Parquet file, then remove their single files.

        Safe to run twice, at once and to kill: the packed file is complete before the first single file
        goes, and an event that is in both places is read once.

        Returns:
            How many events were rolled.
        """
        limit = (now or datetime.now(UTC)) - older_than
        packed = self._packed(stream, partition)
        single = self._files.read_many(
            f"{self._folder(stream, partition)}/{name}"
            for name in self._files.names(self._folder(stream, partition))
        )
        old = {
            event.name: single[path]
            for path, event in ((path, _event(stream, partition, data)) for path, data in single.items())
            if event.recorded_at < limit
        }
        new = {name: data.decode() for name, data in old.items() if name not in packed}
        if new:
            table = pa.table({"name": list(new), "content": list(new.values())}, schema=PACKED_COLUMNS)
            name = safe_path(f"{fingerprint(sorted(new))}.parquet")
            self._files.create(f"{self._packed_folder(stream, partition)}/{name}", _parquet(table))
            packed = self._packed(stream, partition)
        for name in old.keys() & packed.keys():
            self._files.remove(self._path(stream, partition, name))
        return len(new)

    def _packed_files(self, stream: EventStream[Body], partition: str) -> list[str]:
        return self._files.names(self._packed_folder(stream, partition))

    def _packed(self, stream: EventStream[Body], partition: str) -> dict[str, bytes]:
        contents: dict[str, bytes] = {}
        folder = self._packed_folder(stream, partition)
        for name in self._packed_files(stream, partition):
            rows = pq.read_table(io.BytesIO(self._files.read(f"{folder}/{name}"))).to_pylist()
            contents |= {row["name"]: row["content"].encode() for row in rows}
        return contents

    @staticmethod
    def _folder(stream: EventStream[Body], partition: str) -> str:
        return safe_path("events", stream.name, f"{stream.partitioned_by}={partition}")

    @staticmethod
    def _packed_folder(stream: EventStream[Body], partition: str) -> str:
        return safe_path("packed_events", stream.name, f"{stream.partitioned_by}={partition}")

    def _path(self, stream: EventStream[Body], partition: str, name: str) -> str:
        return f"{self._folder(stream, partition)}/{safe_path(f'{name}.json')}"


def _event(stream: EventStream[Body], partition: str, data: bytes) -> Event[Body]:
    try:
        content = from_json(data)
        recorded_sha256 = content.pop("event_sha256")
        return Event(
            name=content["name"],
            partition=partition,
            recorded_at=datetime.fromisoformat(content["recorded_at"]),
            body=stream.body.model_validate(content["body"]),
            is_intact=fingerprint(content) == recorded_sha256,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFact(f"an event of {stream.name} in {partition} is not readable: {error}") from error


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
