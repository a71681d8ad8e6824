"""Looking facts up as an auditor: by hash, in all that was ever recorded, and naming what is broken.

Rooms read the newest materialisation and stop at the first broken fact. An audit goes on: what cannot be
read, or is not what was recorded, is an answer here and not an error.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from asset_pipeline.errors import BrokenFact
from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.parquet import decoded, stamped
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import ENVELOPE, Recorded, Table

Row = TypeVar("Row", bound=BaseModel)
Body = TypeVar("Body", bound=BaseModel)
State = Literal["holds", "altered", "missing", "not checked"]
"""``not checked``: nothing here says what it should be, or it is not here to look at."""

UNREADABLE = (BrokenFact, ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What reading a broken fact raises. A store that cannot be reached raises something else."""
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Finding(Generic[Row]):
    """What looking for one fact came to."""

    state: State
    words: str
    recorded: Recorded[Row] | None = None
    """The fact, if it is certain to be what was recorded."""

    @property
    def row(self) -> Row | None:
        """What the fact says."""
        return self.recorded.row if self.recorded else None


def look_up(
    store: Store, table: Table[Row], partition: str, fact_sha256: str | None, key: tuple[str, str]
) -> Finding[Row]:
    """Find the fact that others name by its hash, among all materialisations of a partition.

    Args:
        store: where facts are.
        table: the kind of fact.
        partition: whose.
        fact_sha256: the hash that other facts name; without one the newest fact with that key is taken, and
            is not checked.
        key: the column and the value that tell which fact it should be, to say what is there instead.
    """
    column, value = key
    complaints: list[str] = []
    others: list[Recorded[Row]] = []
    for looked_at, wanted in (("fact_sha256", fact_sha256), (column, value)):
        if wanted is None:
            continue
        for name in materialisations_with(store, table, partition, looked_at, wanted):
            try:
                rows = read_materialisation(store, table, partition, name)
            except UNREADABLE as error:
                complaints.append(f"{_place(table, partition, name)} cannot be read: {first_line(error)}")
                continue
            for recorded in rows:
                is_named = recorded.fact_sha256 == fact_sha256
                if not is_named and getattr(recorded.row, column) != value:
                    continue
                if not recorded.is_intact:
                    complaints.append(_altered(table, partition, recorded))
                elif is_named or fact_sha256 is None:
                    return _found(table, recorded, is_named=is_named)
                else:
                    others.append(recorded)
    return _not_found(table, partition, fact_sha256, key, complaints, others)


def materialisations_with(
    store: Store, table: Table[Any], partition: str, column: str, value: str
) -> Iterator[str]:
    """The materialisations, newest first, in which the column has the value.

    A file that cannot be read is named too: whoever reads its rows learns why.
    """
    for name, rows in scan(store, table, partition, (column,)):
        if rows is None or pc.any(pc.equal(rows[column], value)).as_py():
            yield name


def scan(
    store: Store, table: Table[Any], partition: str, columns: Sequence[str]
) -> Iterator[tuple[str, pa.Table | None]]:
    """A few columns of each materialisation, newest first; none of one that cannot be read.

    Eight times faster than reading rows, which are hashed: good to find out where to look, and no more.
    """
    types = table.columns | ENVELOPE
    expected = pa.schema([(column, types[column]) for column in columns])
    for name in reversed(store.facts.materialisations(table, partition)):
        data = store.files.read(_place(table, partition, name))
        try:
            rows = decoded(data, columns).select(columns).cast(expected)
            rows.validate(full=True)
        except (pa.ArrowException, OSError, ValueError, KeyError):
            rows = None
        yield name, rows


def read_materialisation(
    store: Store, table: Table[Row], partition: str, materialisation: str
) -> list[Recorded[Row]]:
    """The rows of one materialisation, intact or not.

    Raises:
        BrokenFact: the file is gone or cannot be read.
        ValueError: a row is not what the table's model asks for; see UNREADABLE for the whole list.
    """
    try:
        return store.facts.read_recorded(table, partition, as_of=stamped(materialisation))
    except OSError as error:
        if error.errno is not None:
            raise
        # what Arrow's decoders raise on damaged pages has no number, unlike what disks and networks raise
        raise BrokenFact(f"{_place(table, partition, materialisation)}: {error}") from error


def read_event(
    store: Store, stream: EventStream[Body], partition: str, name: str
) -> tuple[Event[Body] | None, State, str]:
    """An event if it is certain to be what was recorded, and what looking for it came to."""
    try:
        event = store.events.get(stream, partition, name)
    except UNREADABLE as error:
        return None, "altered", f"{name} cannot be read: {first_line(error)}"
    if event is None:
        return None, "missing", f"{name} is missing from the events of {stream.name} in {partition}"
    if not event.is_intact:
        return None, "altered", f"{name} no longer has the hash it was recorded with"
    return event, "holds", ""


def first_line(error: Exception) -> str:
    """An error in one line; pydantic's take many."""
    return " ".join(str(error).split())[:300]


def short(sha256: str) -> str:
    """A hash as a sentence can carry it."""
    return f"{sha256[:_SHOWN_DIGITS]}…" if len(sha256) > _SHOWN_DIGITS else sha256


def worst(states: Collection[State]) -> State:
    """The state of a link that has several parts."""
    order: Sequence[State] = ("altered", "missing", "not checked")
    return next((state for state in order if state in states), "holds")


def _found(table: Table[Row], recorded: Recorded[Row], *, is_named: bool) -> Finding[Row]:
    if is_named:
        words = f"it is what others rest on: its content has the hash {short(recorded.fact_sha256)}"
        return Finding("holds", words, recorded)
    words = f"no record that holds names its hash; the newest one of {table.name} is intact"
    return Finding("not checked", words, recorded)


def _altered(table: Table[Row], partition: str, recorded: Recorded[Row]) -> str:
    place = _place(table, partition, recorded.materialisation)
    if table.fact_sha256(recorded.row) == recorded.fact_sha256:
        return f"{place} was changed after it was written, though this row still has its hash"
    return f"{place} has a row that no longer has its hash {short(recorded.fact_sha256)}"


def _not_found(
    table: Table[Row],
    partition: str,
    fact_sha256: str | None,
    key: tuple[str, str],
    complaints: Sequence[str],
    others: Sequence[Recorded[Row]],
) -> Finding[Row]:
    if complaints:
        return Finding("altered", "; ".join(dict.fromkeys(complaints)))
    what = f"{table.name} of {partition} with {key[0]} {key[1]}"
    if others:
        hashes = ", ".join(sorted({short(recorded.fact_sha256) for recorded in others}))
        return Finding(
            "altered", f"there is no fact {short(fact_sha256 or '')} in {what}, only {hashes} instead"
        )
    named = f"the fact {fact_sha256}" if fact_sha256 else "a fact"
    return Finding("missing", f"there is no materialisation left that has {named} in {what}")


def _place(table: Table[Any], partition: str, materialisation: str) -> str:
    return f"facts/{table.name}/{table.partitioned_by}={partition}/{materialisation}.parquet"
