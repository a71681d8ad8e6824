"""Events: what happened at a moment, one small file each, created exclusively under a telling name."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel
from pydantic_core import from_json

from asset_pipeline.errors import BrokenFact
from asset_pipeline.fingerprint import canonical_json, fingerprint
from asset_pipeline.store.files import Files, safe_path
from asset_pipeline.store.parquet import encoded, read_named, stamp, stamped, write_named
from asset_pipeline.store.tables import SCHEMA_PARTITION

Body = TypeVar("Body", bound=BaseModel)

READERS_PATIENCE = timedelta(minutes=10)
"""How long a single file stays after it was packed: no query that listed it takes longer."""
_LISTING_LIFE = timedelta(minutes=1)
"""How old a listing of packed files may be; below READERS_PATIENCE, whatever became of a name is seen."""

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
    """Whether the event lies where it was recorded and its content still has the recorded hash."""


class Events:
    """Appends and reads events of any stream.

    A name exists once: of any number of processes that append the same name, one succeeds and the
    others learn that it was taken. That is how work is claimed and how repeats become harmless.
    Events older than a while are packed into one Parquet file for each partition; their names stay taken.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._listings: dict[str, tuple[datetime, list[str]]] = {}
        self._packed_names: dict[str, frozenset[str]] = {}

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
        data = canonical_json(content) + b"\n"
        place = self._path(stream, partition, name)
        if not self._files.create(place, data):
            return False
        # A single file goes only after it was packed, so looking after creating misses no earlier event.
        packed = self._packed(stream, partition, {name}, self._recent_listing(stream, partition))
        if packed.get(name, data) == data:
            return True
        self._files.remove(place)
        return False

    def declare(self, stream: EventStream[Body]) -> None:
        """Write what queries need to work before the first event: a file without events of each shape."""
        folder = self._folder(stream, SCHEMA_PARTITION)
        self._files.create(f"{folder}/none.json", b"")
        packed = self._packed_folder(stream, SCHEMA_PARTITION)
        self._files.create(f"{packed}/none.parquet", encoded(PACKED_COLUMNS.empty_table()))

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
        single = self._single_names(stream, partition)
        listing = self._listing(stream, partition)
        return sorted(
            {*single, *(name for file in listing for name in self._names_in(stream, partition, file))}
        )

    def read(
        self, stream: EventStream[Body], partition: str, *, names: Iterable[str] | None = None
    ) -> list[Event[Body]]:
        """A partition's events, or those of the given names that exist, by time and then by name.

        Raises:
            BrokenFact: an event is not readable as what it should be, or a packed file is altered.
        """
        wanted = None if names is None else set(names)
        # In this order: what is packed and removed in the meantime is met among the packed.
        contents = self._single(stream, partition, wanted)
        contents |= self._packed(stream, partition, wanted, self._listing(stream, partition))
        events = [_event(stream, partition, name, data) for name, data in contents.items()]
        return sorted(events, key=lambda event: (event.recorded_at, event.name))

    def get(self, stream: EventStream[Body], partition: str, name: str) -> Event[Body] | None:
        """The event of that name, if there is one."""
        return next(iter(self.read(stream, partition, names=[name])), None)

    def pack(
        self, stream: EventStream[Body], partition: str, *, older_than: timedelta, now: datetime | None = None
    ) -> int:
        """Roll a partition's older events into one Parquet file, and remove what was rolled a while ago.

        Safe to run twice, at once and to kill: a packed file is complete long before the first of its
        single files goes, and an event that is in several places is read once.

        Returns:
            How many events were rolled.
        """
        now = now or datetime.now(UTC)
        listing = self._listing(stream, partition)
        single = self._single(stream, partition, None)
        packed = {name for file in listing for name in self._names_in(stream, partition, file)}
        old = {
            name: data.decode()
            for name, data in single.items()
            if name not in packed and _event(stream, partition, name, data).recorded_at < now - older_than
        }
        if old:
            table = pa.table({"name": list(old), "content": list(old.values())}, schema=PACKED_COLUMNS)
            write_named(self._files, self._packed_folder(stream, partition), stamp(now), table)
            self._listings.clear()
        for file in listing:
            if stamped(file) < now - READERS_PATIENCE:
                for name in self._names_in(stream, partition, file) & single.keys():
                    self._files.remove(self._path(stream, partition, name))
        return len(old)

    def _single_names(self, stream: EventStream[Body], partition: str) -> list[str]:
        return [name.removesuffix(".json") for name in self._files.names(self._folder(stream, partition))]

    def _single(
        self, stream: EventStream[Body], partition: str, wanted: Iterable[str] | None
    ) -> dict[str, bytes]:
        names = self._single_names(stream, partition) if wanted is None else wanted
        paths = {self._path(stream, partition, name): name for name in names}
        return {paths[path]: data for path, data in self._files.read_many(paths).items()}

    def _listing(self, stream: EventStream[Body], partition: str) -> list[str]:
        """The partition's packed files, oldest first."""
        names = self._files.names(self._packed_folder(stream, partition))
        return [name.removesuffix(".parquet") for name in names]

    def _recent_listing(self, stream: EventStream[Body], partition: str) -> list[str]:
        """The same, at most a minute old: saves every append a request."""
        folder, now = self._packed_folder(stream, partition), datetime.now(UTC)
        listed_at, listing = self._listings.get(folder, (None, []))
        if listed_at is None or not timedelta(0) <= now - listed_at < _LISTING_LIFE:
            listing = self._listing(stream, partition)
            self._listings[folder] = now, listing
        return listing

    def _packed(
        self,
        stream: EventStream[Body],
        partition: str,
        wanted: AbstractSet[str] | None,
        listing: Iterable[str],
    ) -> dict[str, bytes]:
        """The contents of packed events by name; of a name that was packed twice, the older content."""
        contents: dict[str, bytes] = {}
        for file in listing:
            names = self._names_in(stream, partition, file)
            if wanted is None or names & wanted:
                found = self._rows(stream, partition, file)
                contents = {
                    name: found[name] for name in names if wanted is None or name in wanted
                } | contents
        return contents

    def _names_in(self, stream: EventStream[Body], partition: str, file: str) -> frozenset[str]:
        """The names in a packed file; it never changes, so it is asked once."""
        path = f"{self._packed_folder(stream, partition)}/{file}"
        if path not in self._packed_names:
            self._packed_names[path] = frozenset(self._rows(stream, partition, file))
        return self._packed_names[path]

    def _rows(self, stream: EventStream[Body], partition: str, file: str) -> dict[str, bytes]:
        folder = self._packed_folder(stream, partition)
        table, is_intact = read_named(self._files, folder, file)
        if not is_intact:
            raise BrokenFact(f"{folder}/{file}.parquet is altered; names in it could be taken twice")
        return {row["name"]: row["content"].encode() for row in table.to_pylist()}

    @staticmethod
    def _folder(stream: EventStream[Body], partition: str) -> str:
        return safe_path("events", stream.name, f"{stream.partitioned_by}={partition}")

    @staticmethod
    def _packed_folder(stream: EventStream[Body], partition: str) -> str:
        return safe_path("packed_events", stream.name, f"{stream.partitioned_by}={partition}")

    def _path(self, stream: EventStream[Body], partition: str, name: str) -> str:
        return f"{self._folder(stream, partition)}/{safe_path(f'{name}.json')}"


def _event(stream: EventStream[Body], partition: str, name: str, data: bytes) -> Event[Body]:
    place = {"name": name, "stream": stream.name, stream.partitioned_by: partition}
    try:
        content = from_json(data)
        recorded_sha256 = content.pop("event_sha256")
        return Event(
            name=name,
            partition=partition,
            recorded_at=datetime.fromisoformat(content["recorded_at"]),
            body=stream.body.model_validate(content["body"]),
            is_intact=fingerprint(content) == recorded_sha256 and content.items() >= place.items(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFact(f"the event {name} of {stream.name} in {partition}: {error}") from error
