import errno
import multiprocessing
import os
import random
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict

from asset_pipeline.errors import BrokenFact, UnsafeStore
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.events import Events, EventStream
from asset_pipeline.store.files import Files, open_files, safe_path
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.store.views import connect, write_views
from asset_pipeline_tests.conftest import Address
from asset_pipeline_tests.s3_server import BUCKET, S3Server

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    weight: float
    seen_at: AwareDatetime | None = None


class Row(BaseModel):
    """A row with a column of every type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    number: int = 0
    measure: float = 0.0
    flag: bool = False
    moment: AwareDatetime | None = None
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] | None = None
    level: Literal[1, 2] = 1
    words: tuple[str, ...] = ()
    either: str | int = 0
    parts: tuple[Part, ...] = ()
    nested: dict[str, list[float | None]] = {}


class Vote(BaseModel):
    by: str
    count: int = 0
    share: float | None = None
    at: AwareDatetime | None = None
    words: tuple[str, ...] = ()
    nested: dict[str, str] | None = None


ROWS = Table("things", Row, "campaign")
VOTES = EventStream("votes", Vote, "campaign")

moments = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the time zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))]),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
rows = st.builds(
    Row,
    text=st.text(),
    number=st.integers(-(2**63), 2**63 - 1),
    measure=numbers,
    flag=st.booleans(),
    moment=st.none() | moments,
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["a", "b", None]),
    level=st.sampled_from([1, 2]),
    words=st.lists(st.text()).map(tuple),
    either=st.text() | st.integers(),
    parts=st.lists(st.builds(Part, name=st.text(), weight=numbers, seen_at=st.none() | moments)).map(tuple),
    nested=st.dictionaries(st.text(), st.lists(st.none() | numbers)),
)


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = PROCESSES.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def texts(found: list[Row]) -> list[str]:
    return [row.text for row in found]


# --- what is written is what is read ---


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(rows, max_size=4))
def test_what_was_written_is_read_whatever_its_columns_hold(local_store: Store, written: list[Row]) -> None:
    local_store.facts.write(ROWS, "spring", written, run_id="r1")
    found = local_store.facts.read_recorded(ROWS, "spring")
    assert [recorded.row for recorded in found] == written
    assert all(recorded.is_intact for recorded in found)
    assert [recorded.fact_sha256 for recorded in found] == [ROWS.fact_sha256(row) for row in written]


def test_rows_come_back_with_who_wrote_them_when_and_where(store: Store) -> None:
    name = store.facts.write(ROWS, "spring", [Row(text="one"), Row(text="two")], run_id="r1", now=NOON)
    first, second = store.facts.read_recorded(ROWS, "spring")
    assert (first.row.text, second.row.text) == ("one", "two")
    assert (first.run_id, first.recorded_at, first.partition, first.materialisation) == (
        "r1",
        NOON,
        "spring",
        name,
    )


def test_a_hash_names_the_content_and_not_its_place() -> None:
    row = Row(text="é", moment=NOON)
    same = Row(text="é", moment=NOON.astimezone(timezone(HOUR)))
    assert ROWS.fact_sha256(row) == ROWS.fact_sha256(same)
    assert ROWS.fact_sha256(row) != ROWS.fact_sha256(Row(text="e", moment=NOON))
    assert ROWS.fact_sha256(row) != Table("others", Row, "campaign").fact_sha256(row)


@pytest.mark.parametrize(
    "row",
    [Row(text="x", measure=float("nan")), Row(text="x", nested={"a": [float("inf")]})],
    ids=["nan", "infinity"],
)
def test_a_number_that_is_none_is_no_fact(local_store: Store, row: Row) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        local_store.facts.write(ROWS, "spring", [row], run_id="r1")
    assert local_store.facts.materialisations(ROWS, "spring") == []


def test_a_time_without_a_zone_is_no_fact(local_store: Store) -> None:
    class Meeting(BaseModel):
        at: datetime

    meetings = Table("meetings", Meeting, "campaign")
    with pytest.raises(ValueError, match="no time zone"):
        local_store.facts.write(meetings, "spring", [Meeting(at=NOON.replace(tzinfo=None))], run_id="r1")


# --- current state, history, as of ---


def test_the_newest_materialisation_is_the_current_state_and_the_others_stay(store: Store) -> None:
    for hour, text in enumerate(["first", "second", "third"]):
        store.facts.write(ROWS, "spring", [Row(text=text)], run_id=f"r{hour}", now=NOON + hour * HOUR)
    store.facts.write(ROWS, "autumn", [Row(text="other")], run_id="r9", now=NOON)
    assert texts(store.facts.read(ROWS, "spring")) == ["third"]
    assert [each.row.text for each in store.facts.history(ROWS, "spring")] == ["first", "second", "third"]
    assert store.facts.partitions(ROWS) == ["autumn", "spring"]
    assert len(store.facts.materialisations(ROWS, "spring")) == 3


def test_the_past_can_be_asked_to_the_microsecond(store: Store) -> None:
    store.facts.write(ROWS, "spring", [Row(text="first")], run_id="r1", now=NOON)
    store.facts.write(ROWS, "spring", [Row(text="second")], run_id="r2", now=NOON + HOUR)
    just_before = timedelta(microseconds=1)
    assert store.facts.read(ROWS, "spring", as_of=NOON - just_before) == []
    assert texts(store.facts.read(ROWS, "spring", as_of=NOON)) == ["first"]
    assert texts(store.facts.read(ROWS, "spring", as_of=NOON + HOUR - just_before)) == ["first"]
    elsewhere = (NOON + HOUR).astimezone(timezone(-5 * HOUR))
    assert texts(store.facts.read(ROWS, "spring", as_of=elsewhere)) == ["second"]


def test_an_empty_materialisation_supersedes_the_one_before_it(store: Store) -> None:
    store.facts.write(ROWS, "spring", [Row(text="first")], run_id="r1", now=NOON)
    store.facts.write(ROWS, "spring", [], run_id="r2", now=NOON + HOUR)
    assert store.facts.read(ROWS, "spring") == []
    assert texts(store.facts.read(ROWS, "spring", as_of=NOON)) == ["first"]


def test_what_nobody_wrote_is_empty(store: Store) -> None:
    assert store.facts.read(ROWS, "spring") == []
    assert store.facts.partitions(ROWS) == []
    assert store.events.read(VOTES, "spring") == []
    assert store.events.partitions(VOTES) == []
    assert store.events.get(VOTES, "spring", "v1") is None


def test_what_was_written_last_is_current_even_if_the_clock_was_set_back(local_store: Store) -> None:
    local_store.facts.write(ROWS, "spring", [Row(text="first")], run_id="r1", now=NOON)
    local_store.facts.write(ROWS, "spring", [Row(text="second")], run_id="r2", now=NOON - HOUR)
    assert texts(local_store.facts.read(ROWS, "spring")) == ["second"]
    assert texts(local_store.facts.read(ROWS, "spring", as_of=NOON)) == ["first"]


def test_two_materialisations_in_the_same_microsecond_both_stay_in_their_order(local_store: Store) -> None:
    for number in range(5):
        local_store.facts.write(ROWS, "spring", [Row(text=str(number))], run_id="r1", now=NOON)
    assert [each.row.text for each in local_store.facts.history(ROWS, "spring")] == list("01234")
    assert texts(local_store.facts.read(ROWS, "spring")) == ["4"]


# --- schemas are numbered ---


class OldThing(BaseModel):
    text: str
    price: str


class Thing(BaseModel):
    text: str
    price_cents: int
    tags: dict[str, str]


def _upgrade(columns: dict[str, Any]) -> dict[str, Any]:
    price = columns.pop("price")
    return columns | {"price_cents": round(float(price) * 100), "tags": "{}"}


OLD_THINGS = Table("priced", OldThing, "campaign")
THINGS = Table("priced", Thing, "campaign", version=2, upgrades={1: _upgrade})


def test_a_row_of_an_older_schema_is_read_as_one_of_today(store: Store) -> None:
    store.facts.write(OLD_THINGS, "spring", [OldThing(text="old", price="1.50")], run_id="r1", now=NOON)
    store.facts.write(THINGS, "spring", [Thing(text="new", price_cents=200, tags={})], run_id="r2")
    old, new = store.facts.history(THINGS, "spring")
    assert (old.row, new.row.text) == (Thing(text="old", price_cents=150, tags={}), "new")
    assert old.is_intact
    assert new.is_intact


def test_a_view_shows_rows_of_every_schema(store: Store, tmp_path: Path) -> None:
    store.facts.write(OLD_THINGS, "autumn", [OldThing(text="old", price="1.50")], run_id="r1")
    store.facts.write(THINGS, "spring", [Thing(text="new", price_cents=200, tags={"a": "b"})], run_id="r2")
    write_views(tmp_path / "store.duckdb", store.files, [THINGS], [])
    with connect(store.files, tmp_path / "store.duckdb") as connection:
        found = connection.execute(
            "SELECT text, price, price_cents, tags->>'a', schema_version FROM priced ORDER BY text"
        ).fetchall()
    assert found == [("new", None, 200, "b", 2), ("old", "1.50", None, None, 1)]


# --- a name exists once ---


def test_of_many_threads_that_append_the_same_name_exactly_one_wins(store: Store) -> None:
    def claim(thread: int) -> list[str]:
        wanted = [(number + thread) % 10 for number in range(10)]
        vote = Vote(by=str(thread))
        return [f"v{n}" for n in wanted if store.events.append(VOTES, "spring", f"v{n}", vote)]

    with ThreadPoolExecutor(8) as pool:
        won = dict(enumerate(pool.map(claim, range(8))))
    assert sorted(name for names in won.values() for name in names) == [f"v{n}" for n in range(10)]
    kept = {event.name: event.body.by for event in store.events.read(VOTES, "spring")}
    assert kept == {name: str(thread) for thread, names in won.items() for name in names}


def _claim_all(address: Address, process: int, start_line: Any, won: Any) -> None:
    store = address.open()
    start_line.wait()
    for number in range(20):
        if store.events.append(VOTES, "spring", f"v{number}", Vote(by=str(process)), now=NOON):
            won.put((f"v{number}", str(process)))
    won.put(None)


def test_of_many_processes_that_append_the_same_name_exactly_one_wins(address: Address) -> None:
    start_line, queue = PROCESSES.Barrier(3), PROCESSES.Queue()
    processes = [start(_claim_all, address, number, start_line, queue) for number in range(3)]
    won: list[tuple[str, str]] = []
    for _ in processes:
        won.extend(iter(lambda: queue.get(timeout=30), None))
    assert sorted(name for name, _ in won) == sorted(f"v{number}" for number in range(20))
    kept = {event.name: event.body.by for event in address.open().events.read(VOTES, "spring")}
    assert kept == dict(won)


def test_the_same_bytes_written_twice_are_written_once(store: Store) -> None:
    assert store.files.create("events/x", b"same")
    assert not store.files.create("events/x", b"same")


def test_events_are_read_in_their_order_and_by_name(store: Store) -> None:
    for name, minute in [("b", 2), ("a", 2), ("c", 1)]:
        assert store.events.append(VOTES, "spring", name, Vote(by=name, count=3), now=NOON + minute * MINUTE)
    assert [event.name for event in store.events.read(VOTES, "spring")] == ["c", "a", "b"]
    assert [event.name for event in store.events.read(VOTES, "spring", names=["b", "none"])] == ["b"]
    assert store.events.names(VOTES, "spring") == ["a", "b", "c"]
    assert store.events.partitions(VOTES) == ["spring"]
    event = store.events.get(VOTES, "spring", "c")
    assert event
    assert (event.body, event.recorded_at, event.is_intact) == (Vote(by="c", count=3), NOON + MINUTE, True)


# --- whole or not at all ---


def _write_without_end(address: Address, process: str, log: Path) -> None:
    """Write events, tables and images, and note in `log` what was acknowledged."""
    store = address.open()
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(10**6):
        time.sleep(0.02)
        name = f"{process}-{number}"
        image = name.encode() * 20_000
        store.events.append(VOTES, "spring", name, Vote(by=name))
        os.write(notes, f"event {name}\n".encode())
        if number % 4 == 0:
            written = [Row(text=name, number=count) for count in range(200)]
            os.write(notes, f"table {store.facts.write(ROWS, 'spring', written, run_id=name)}\n".encode())
            os.write(notes, f"image {store.images.put(image, 'bin')}\n".encode())


def _everything_visible(store: Store) -> set[str]:
    """Read all that is visible and check that it is whole; say what is there."""
    events = store.events.read(VOTES, "spring")
    recorded = store.facts.history(ROWS, "spring")
    assert all(event.is_intact for event in events)
    assert all(each.is_intact for each in recorded)
    tables = {each.materialisation for each in recorded}
    assert len(recorded) == 200 * len(tables)
    files = [name for folder in store.files.names("images") for name in store.files.names(f"images/{folder}")]
    images = {name.removesuffix(".bin") for name in files}
    for image in images:
        store.images.get(image)
    return {
        *(f"event {event.name}" for event in events),
        *(f"table {name}" for name in tables),
        *(f"image {name}" for name in images),
    }


def test_writers_that_are_killed_at_any_moment_lose_nothing_and_leave_nothing_half_written(
    address: Address, tmp_path: Path
) -> None:
    store, log = address.open(), tmp_path / "log"
    log.touch()
    writers = [start(_write_without_end, address, letter, log) for letter in "abc"]
    deadline = time.monotonic() + 30
    while "image" not in log.read_text():
        assert time.monotonic() < deadline
    for writer in writers:
        time.sleep(random.uniform(0, 0.2))  # noqa: S311 - any moment
        writer.kill()
        writer.join()
        _everything_visible(store)
    acknowledged = set(log.read_text().splitlines())
    assert acknowledged <= _everything_visible(address.open())


def test_what_a_killed_writer_left_behind_is_removed_after_a_day(local_address: Address) -> None:
    local_address.open()
    old, young = (Path(local_address.root, "incomplete", name) for name in ("old", "young"))
    for path, age in [(old, 25 * 60 * 60), (young, 23 * 60 * 60)]:
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    local_address.open()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_disk_without_hard_links_is_refused(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UnsafeStore, match="hard links"):
        local_store.events.append(VOTES, "spring", "v1", Vote(by="x"))
    assert local_store.events.names(VOTES, "spring") == []
    assert local_store.files.names("incomplete") == []


def test_a_link_that_was_made_but_reported_as_taken_is_ours(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_over_a_bad_line(source: Path, place: Path) -> None:
        link(source, place)
        link(source, place)

    monkeypatch.setattr(os, "link", link_over_a_bad_line)
    assert local_store.events.append(VOTES, "spring", "v1", Vote(by="x"))
    assert not local_store.events.append(VOTES, "spring", "v1", Vote(by="x"))


# --- what was altered shows ---


def _only_file(address: Address, folder: str) -> Path:
    (path,) = Path(address.root, folder).rglob("*.*")
    return path


def test_a_changed_row_is_not_intact_and_is_not_worked_with(local_address: Address) -> None:
    store = local_address.open()
    store.facts.write(ROWS, "spring", [Row(text="one"), Row(text="two")], run_id="r1")
    path = _only_file(local_address, "facts/things/campaign=spring")
    table = pq.ParquetFile(path).read()
    position = table.schema.get_field_index("text")
    pq.write_table(table.set_column(position, "text", [["one", "altered"]]), path)
    assert [each.is_intact for each in store.facts.read_recorded(ROWS, "spring")] == [False, False]
    with pytest.raises(BrokenFact, match="altered"):
        store.facts.read(ROWS, "spring")


@pytest.mark.parametrize("kept", [1, 0], ids=["one row is gone", "all rows are gone"])
def test_a_file_that_lost_rows_is_not_intact(local_address: Address, kept: int) -> None:
    store = local_address.open()
    store.facts.write(ROWS, "spring", [Row(text="one"), Row(text="two")], run_id="r1")
    path = _only_file(local_address, "facts/things/campaign=spring")
    pq.write_table(pq.ParquetFile(path).read().slice(0, kept), path)
    with pytest.raises(BrokenFact, match="altered"):
        store.facts.read(ROWS, "spring")


def test_a_file_that_was_moved_to_another_partition_is_not_intact(local_address: Address) -> None:
    store = local_address.open()
    store.facts.write(ROWS, "spring", [Row(text="one")], run_id="r1")
    path = _only_file(local_address, "facts/things/campaign=spring")
    place = path.parent.with_name("campaign=autumn") / path.name
    place.parent.mkdir()
    path.rename(place)
    assert [each.is_intact for each in store.facts.read_recorded(ROWS, "autumn")] == [False]


def test_a_torn_table_is_a_broken_fact(local_address: Address) -> None:
    store = local_address.open()
    store.facts.write(ROWS, "spring", [Row(text="one")], run_id="r1")
    path = _only_file(local_address, "facts/things/campaign=spring")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BrokenFact, match=path.name):
        store.facts.read_recorded(ROWS, "spring")


def test_a_changed_event_is_not_intact(local_address: Address) -> None:
    store = local_address.open()
    store.events.append(VOTES, "spring", "v1", Vote(by="one"))
    path = _only_file(local_address, "events/votes")
    path.write_text(path.read_text().replace('"by":"one"', '"by":"two"'))
    (event,) = store.events.read(VOTES, "spring")
    assert (event.body.by, event.is_intact) == ("two", False)


def test_an_event_under_another_name_is_not_intact(local_address: Address) -> None:
    store = local_address.open()
    store.events.append(VOTES, "spring", "v1", Vote(by="one"))
    path = _only_file(local_address, "events/votes")
    path.rename(path.with_name("v2.json"))
    (event,) = store.events.read(VOTES, "spring")
    assert (event.name, event.is_intact) == ("v2", False)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"name": ', b'{"event_sha256": "x"}'])
def test_an_event_that_says_nothing_is_a_broken_fact(local_address: Address, content: bytes) -> None:
    store = local_address.open()
    store.events.append(VOTES, "spring", "v1", Vote(by="one"))
    _only_file(local_address, "events/votes").write_bytes(content)
    with pytest.raises(BrokenFact, match="v1"):
        store.events.read(VOTES, "spring")


def test_a_packed_file_that_lost_names_is_a_broken_fact(local_address: Address) -> None:
    store = local_address.open()
    for name in ("v1", "v2"):
        store.events.append(VOTES, "spring", name, Vote(by=name))
    store.events.pack(VOTES, "spring", older_than=-HOUR)
    path = _only_file(local_address, "packed_events")
    pq.write_table(pq.ParquetFile(path).read().slice(0, 1), path)
    with pytest.raises(BrokenFact, match="taken twice"):
        local_address.open().events.append(VOTES, "spring", "v3", Vote(by="v3"))


# --- packing ---


def _vote(store: Store, count: int) -> set[str]:
    names = {f"v{number}" for number in range(count)}
    for name in names:
        assert store.events.append(VOTES, "spring", name, Vote(by=name), now=NOON)
    return names


def _pack(events: Events, now: datetime) -> int:
    return events.pack(VOTES, "spring", older_than=HOUR, now=now)


def test_old_events_are_packed_once_and_their_single_files_go_later(store: Store) -> None:
    names = _vote(store, 5)
    store.events.append(VOTES, "spring", "young", Vote(by="young"), now=NOON + 10 * HOUR)
    before = store.events.read(VOTES, "spring")
    assert _pack(store.events, NOON) == 0
    assert _pack(store.events, NOON + 2 * HOUR) == 5
    assert len(store.files.names("events/votes/campaign=spring")) == 6
    assert _pack(store.events, NOON + 2 * HOUR + MINUTE) == 0
    assert len(store.files.names("events/votes/campaign=spring")) == 6
    assert _pack(store.events, NOON + 3 * HOUR) == 0
    assert store.files.names("events/votes/campaign=spring") == ["young.json"]
    assert len(store.files.names("packed_events/votes/campaign=spring")) == 1
    assert store.events.read(VOTES, "spring") == before
    assert store.events.names(VOTES, "spring") == sorted({*names, "young"})
    assert store.events.get(VOTES, "spring", "v3") == next(event for event in before if event.name == "v3")


def test_the_name_of_a_packed_event_stays_taken(address: Address) -> None:
    store = address.open()
    names = _vote(store, 3)
    _pack(store.events, NOON + 2 * HOUR)
    _pack(store.events, NOON + 3 * HOUR)
    late = address.open()
    assert not any(late.events.append(VOTES, "spring", name, Vote(by="late")) for name in names)
    assert late.events.append(VOTES, "spring", "new", Vote(by="new"))
    assert late.files.names("events/votes/campaign=spring") == ["new.json"]


class _Killed(BaseException):
    """The process ends here."""


class _KilledAfter:
    """Files of a process that is killed before its next change, after so many."""

    def __init__(self, files: Files, changes: int) -> None:
        self._files, self._changes = files, changes

    def __getattr__(self, name: str) -> Any:
        if name in ("create", "remove"):
            if not self._changes:
                raise _Killed
            self._changes -= 1
        return getattr(self._files, name)


@pytest.mark.parametrize("changes", range(5))
def test_packing_that_is_killed_between_its_steps_loses_nothing(local_store: Store, changes: int) -> None:
    names = _vote(local_store, 4)
    for hours in (2, 3):
        files = _KilledAfter(local_store.files, changes)
        try:
            _pack(Events(files), NOON + hours * HOUR)
        except _Killed:
            assert {event.name for event in local_store.events.read(VOTES, "spring")} == names
    _pack(local_store.events, NOON + 4 * HOUR)
    _pack(local_store.events, NOON + 5 * HOUR)
    assert {event.name for event in local_store.events.read(VOTES, "spring")} == names
    assert local_store.files.names("events/votes/campaign=spring") == []


def test_an_append_that_is_killed_before_it_knows_changes_nothing(local_store: Store) -> None:
    _vote(local_store, 1)
    _pack(local_store.events, NOON + 2 * HOUR)
    _pack(local_store.events, NOON + 3 * HOUR)
    with pytest.raises(_Killed):
        Events(_KilledAfter(local_store.files, 1)).append(VOTES, "spring", "v0", Vote(by="late"))
    assert [event.body.by for event in local_store.events.read(VOTES, "spring")] == ["v0"]
    _pack(local_store.events, NOON + 4 * HOUR)
    assert local_store.files.names("events/votes/campaign=spring") == []


class _PackedMeanwhile:
    """Files of a process beside which everything is packed, after so many of its steps."""

    def __init__(self, files: Files, steps: int) -> None:
        self._files, self._steps = files, steps

    def __getattr__(self, name: str) -> Any:
        if self._steps == 0:
            _pack(Events(self._files), NOON + 2 * HOUR)
            _pack(Events(self._files), NOON + 3 * HOUR)
        self._steps -= 1
        return getattr(self._files, name)


@pytest.mark.parametrize("steps", range(4))
def test_a_reader_beside_whom_events_are_packed_misses_none(local_store: Store, steps: int) -> None:
    names = _vote(local_store, 3)
    events = Events(_PackedMeanwhile(local_store.files, steps))
    assert {event.name for event in events.read(VOTES, "spring")} == names


def test_readers_and_writers_do_not_notice_that_others_pack(store: Store) -> None:
    acknowledged: list[str] = []
    is_over = threading.Event()

    def append(thread: int) -> None:
        for number in range(8):
            name = f"{thread}-{number}"
            if Events(store.files).append(VOTES, "spring", name, Vote(by=name), now=NOON):
                acknowledged.append(name)
            assert not Events(store.files).append(VOTES, "spring", name, Vote(by="late"), now=NOON)

    def pack(_: int) -> None:
        now = NOON + HOUR
        while not is_over.is_set():
            now += HOUR
            _pack(Events(store.files), now)

    with ThreadPoolExecutor(4) as pool:
        packers = [pool.submit(pack, number) for number in range(2)]
        writers = [pool.submit(append, number) for number in range(2)]
        try:
            while not all(writer.done() for writer in writers):
                expected = set(acknowledged)
                found = store.events.read(VOTES, "spring")
                assert {event.name for event in found} >= expected
                assert len(found) == len({event.name for event in found})
        finally:
            is_over.set()
        for thread in [*writers, *packers]:
            thread.result()
    assert [event.body.by for event in store.events.read(VOTES, "spring")] == sorted(acknowledged)
    assert len(acknowledged) == 16


# --- images ---


def test_bytes_are_kept_once_under_their_hash(store: Store) -> None:
    sha256 = store.images.put(b"picture", "webp")
    assert sha256 == sha256_of(b"picture") == store.images.put(b"picture", "webp")
    assert store.images.get(sha256) == b"picture"
    assert store.images.path(sha256) == f"images/{sha256[:2]}/{sha256}.webp"
    assert store.images.has(sha256)


@pytest.mark.parametrize("suffix", ["png", "bin"])
def test_bytes_are_found_whatever_their_suffix(store: Store, suffix: str) -> None:
    assert store.images.get(store.images.put(b"picture", suffix)) == b"picture"


def test_missing_bytes_are_a_broken_fact(store: Store) -> None:
    nobody = sha256_of(b"nobody has this")
    assert not store.images.has(nobody)
    with pytest.raises(BrokenFact, match="not in the store"):
        store.images.get(nobody)


def test_altered_bytes_are_a_broken_fact(local_address: Address) -> None:
    store = local_address.open()
    sha256 = store.images.put(b"picture", "webp")
    _only_file(local_address, "images").write_bytes(b"forgery")
    with pytest.raises(BrokenFact, match="altered"):
        store.images.get(sha256)


def test_an_unknown_suffix_is_refused(local_store: Store) -> None:
    with pytest.raises(ValueError, match="exe"):
        local_store.images.put(b"picture", "exe")


# --- names ---


@pytest.mark.parametrize(
    "part", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\n", "a" * 201, "-a"]
)
def test_a_part_that_could_lead_elsewhere_is_refused(local_store: Store, part: str) -> None:
    with pytest.raises(ValueError, match="not a safe name"):
        safe_path("events", part)
    with pytest.raises(ValueError, match="not a safe name"):
        local_store.events.append(VOTES, "spring", f"{part}/../x", Vote(by="x"))


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_a_part_that_is_accepted_stays_in_its_folder(parts: list[str]) -> None:
    try:
        path = safe_path(*parts)
    except ValueError:
        return
    assert Path("/root", path).resolve().relative_to("/root").parts == tuple(parts)


# --- S3 ---


class _Misbehaving(BaseHTTPRequestHandler):
    """An S3 server that answers what is put to it in the ways that its subclass lists."""

    protocol_version = "HTTP/1.1"
    writers: dict[str, str]
    answers: Iterator[str]

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        answer = next(self.answers)
        if answer == "conflict":
            self._answer(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>")
        elif self.path in self.writers and answer != "ignores":
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.writers[self.path] = self.headers["x-amz-meta-writer"]
            self._answer(503 if answer == "loses" else 200)

    def do_HEAD(self) -> None:
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("x-amz-meta-writer", self.writers.get(self.path, ""))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def misbehaving() -> Iterator[Callable[..., Address]]:
    """Start a server that answers in these ways, one after the other."""
    servers = []

    def serve(*answers: str) -> Address:
        handler = type("Handler", (_Misbehaving,), {"answers": iter(answers), "writers": {}})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return Address("s3://bucket/root", {"key": "k", "secret": "s", "endpoint_url": url})

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_s3_server_that_ignores_if_none_match_is_refused(misbehaving: Callable[..., Address]) -> None:
    with pytest.raises(UnsafeStore, match="If-None-Match"):
        misbehaving("ignores", "ignores").open()


def test_a_write_whose_answer_was_lost_is_known_as_ours(misbehaving: Callable[..., Address]) -> None:
    address = misbehaving("honours", "honours", "loses", "honours", "honours")
    files = open_files(address.root, address.storage_options)
    assert files.create("events/x", b"same")
    assert not files.create("events/x", b"same")


def test_a_conflict_that_the_server_did_not_decide_is_asked_again(
    misbehaving: Callable[..., Address],
) -> None:
    address = misbehaving("honours", "honours", "conflict", "honours")
    assert open_files(address.root, address.storage_options).create("events/x", b"1")


def test_an_object_that_may_not_be_read_is_not_taken_for_one_that_is_gone(
    misbehaving: Callable[..., Address],
) -> None:
    address = misbehaving("honours", "honours")
    with pytest.raises(PermissionError):
        open_files(address.root, address.storage_options).read_many(["events/x"])


@pytest.mark.s3
@pytest.mark.parametrize(
    ("root", "options"),
    [
        (f"s3://{BUCKET}/x", {"secret": "wrong"}),
        (f"s3://{BUCKET}/x", {"key": "nobody"}),
        (f"s3://{BUCKET}/x", {"key": None, "secret": None, "anon": True}),
        (
            f"s3://{BUCKET}/x",
            {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}},
        ),
    ],
    ids=["wrong secret", "unknown key", "anonymous", "nobody listens"],
)
def test_an_s3_store_that_lets_nobody_write_is_refused(
    s3: S3Server, root: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UnsafeStore, match="cannot write there"):
        Store(root, s3.storage_options | options)


# --- views ---


def _views(address: Address, database: Path) -> Store:
    store = address.open()
    write_views(
        database,
        store.files,
        [ROWS],
        [VOTES],
        ["CREATE VIEW pairs AS SELECT text, votes.by FROM things, votes"],
    )
    return store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "views" / "store.duckdb"


def _ask(store: Store, database: Path, sql: str) -> list[Any]:
    with connect(store.files, database) as connection:
        return connection.execute(sql).fetchall()


def test_views_are_empty_before_the_first_fact(address: Address, database: Path) -> None:
    store = _views(address, database)
    for view in ("things", "things_history", "things_materialisations", "votes", "pairs"):
        assert _ask(store, database, f"FROM {view}") == []
    assert _ask(store, database, "FROM things_as_of(now())") == []


def test_views_show_the_current_rows_the_history_and_the_past(address: Address, database: Path) -> None:
    store = _views(address, database)
    store.facts.write(ROWS, "spring", [Row(text="first")], run_id="r1", now=NOON)
    store.facts.write(
        ROWS,
        "spring",
        [Row(text="second", parts=(Part(name="p", weight=1.5),))],
        run_id="r2",
        now=NOON + HOUR,
    )
    store.facts.write(ROWS, "0123", [Row(text="other")], run_id="r3", now=NOON)
    store.facts.write(ROWS, "autumn", [Row(text="gone")], run_id="r4", now=NOON)
    store.facts.write(ROWS, "autumn", [], run_id="r5", now=NOON + HOUR)
    assert _ask(store, database, "SELECT campaign, text, parts->0->>'name' FROM things ORDER BY ALL") == [
        ("0123", "other", None),
        ("spring", "second", "p"),
    ]
    assert _ask(store, database, "SELECT text FROM things_history ORDER BY ALL") == [
        ("first",),
        ("gone",),
        ("other",),
        ("second",),
    ]
    assert _ask(store, database, "SELECT count(*) FROM things_materialisations") == [(5,)]
    past = "SELECT text FROM things_as_of({}) ORDER BY ALL"
    assert _ask(store, database, past.format("'2026-11-21 11:59:59Z'")) == []
    assert _ask(store, database, past.format("'2026-11-21 12:00:00Z'")) == [("first",), ("gone",), ("other",)]
    assert _ask(store, database, past.format("'2026-11-21 14:00:00+01'")) == [("other",), ("second",)]


def test_the_past_is_the_same_in_every_time_zone(local_address: Address, database: Path) -> None:
    store = _views(local_address, database)
    store.facts.write(ROWS, "spring", [Row(text="first")], run_id="r1", now=NOON)
    with connect(store.files, database) as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        past = "SELECT text FROM things_as_of('2026-11-21 12:00:00Z'::TIMESTAMPTZ)"
        assert connection.execute(past).fetchall() == [("first",)]


def test_a_view_shows_every_event_once_with_its_fields(address: Address, database: Path) -> None:
    store = _views(address, database)
    full = Vote(by="é", count=3, share=0.5, at=NOON, words=("a", "b"), nested={"a": "b"})
    store.events.append(VOTES, "spring", "full", full, now=NOON)
    store.events.append(VOTES, "0123", "bare", Vote(by="x"), now=NOON + MINUTE)
    fields = """
        SELECT name, campaign, votes.by, count, share, votes.at = '2026-11-21 12:00:00Z', words, nested->>'a'
        FROM votes
    """
    expected = [
        ("bare", "0123", "x", 0, None, None, [], None),
        ("full", "spring", "é", 3, 0.5, True, ["a", "b"], "b"),
    ]
    assert sorted(_ask(store, database, fields)) == expected
    _pack(store.events, NOON + 2 * HOUR)
    assert sorted(_ask(store, database, fields)) == expected
    _pack(store.events, NOON + 3 * HOUR)
    assert sorted(_ask(store, database, fields)) == expected


def test_of_a_name_that_was_packed_a_view_shows_the_packed_event(
    local_address: Address, database: Path
) -> None:
    store = _views(local_address, database)
    _vote(store, 1)
    _pack(store.events, NOON + 2 * HOUR)
    _pack(store.events, NOON + 3 * HOUR)
    with pytest.raises(_Killed):
        Events(_KilledAfter(store.files, 1)).append(VOTES, "spring", "v0", Vote(by="late"), now=NOON - HOUR)
    assert _ask(store, database, "SELECT votes.by FROM votes") == [("v0",)]


@pytest.mark.parametrize("view", ["things", "things_history", "things_as_of(now())", "votes"])
def test_a_question_about_one_campaign_opens_only_its_files(
    local_address: Address, database: Path, view: str
) -> None:
    store = _views(local_address, database)
    for number in range(30):
        store.facts.write(ROWS, f"c{number}", [Row(text="x")], run_id="r1")
        store.events.append(VOTES, f"c{number}", "v1", Vote(by="x"))
    unreadable = [
        path
        for folder in ("facts/things", "events/votes")
        for path in Path(store.files.root, folder).rglob("*.*")
        if path.parent.name not in ("campaign=c7", "campaign=__schema__")
    ]
    for path in unreadable:
        path.write_bytes(b"not to be opened")
    assert len(_ask(store, database, f"FROM {view} WHERE campaign = 'c7'")) == 1


def test_the_views_are_written_again_only_when_they_change(local_address: Address, tmp_path: Path) -> None:
    store, database = local_address.open(), tmp_path / "store.duckdb"
    assert write_views(database, store.files, [ROWS], [VOTES])
    assert not write_views(database, store.files, [ROWS], [VOTES])
    assert write_views(database, store.files, [ROWS], [])
    database.write_bytes(b"no database")
    assert write_views(database, store.files, [ROWS], [])
    assert [path.name for path in tmp_path.iterdir() if "duckdb" in path.name] == ["store.duckdb"]


def _vote_without_end(address: Address, process: int) -> None:
    store = address.open()
    for number in range(10**6):
        name = f"{process}-{number}"
        store.events.append(VOTES, "spring", name, Vote(by=name))
        store.facts.write(ROWS, "spring", [Row(text=name, number=count) for count in range(100)], run_id=name)


def test_people_ask_with_duckdbs_own_tool_while_processes_write(
    local_address: Address, database: Path
) -> None:
    store = _views(local_address, database)
    tool = Path(sysconfig.get_path("scripts"), "duckdb")
    question = "SELECT count(*), count(DISTINCT run_id), (SELECT count(*) FROM votes) FROM things"
    writers = [start(_vote_without_end, local_address, number) for number in range(2)]
    try:
        while len(store.facts.materialisations(ROWS, "spring")) < 2:
            time.sleep(0.01)
        with connect(store.files, database) as kept_open:
            for _ in range(4):
                assert kept_open.execute(question).fetchall()[0][:2] == (100, 1)
                answer = subprocess.run(
                    [tool, "-readonly", "-list", "-noheader", database, "-c", question],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert answer.stdout.startswith("100|1|")
                assert not write_views(
                    database,
                    store.files,
                    [ROWS],
                    [VOTES],
                    ["CREATE VIEW pairs AS SELECT text, votes.by FROM things, votes"],
                )
    finally:
        for writer in writers:
            writer.kill()


def test_what_is_unchanged_is_not_written_again_and_what_is_altered_is_superseded(
    local_address: Address,
) -> None:
    store = local_address.open()
    rows = [Row(text="a"), Row(text="b")]
    assert store.facts.write_if_changed(ROWS, "spring", rows, run_id="r1")
    assert not store.facts.write_if_changed(ROWS, "spring", rows, run_id="r2")
    assert store.facts.write_if_changed(ROWS, "spring", rows[::-1], run_id="r3")
    assert store.facts.write_if_changed(ROWS, "spring", [], run_id="r4")
    assert not store.facts.write_if_changed(ROWS, "spring", [], run_id="r5")
    newest = store.facts.materialisations(ROWS, "spring")[-1]
    path = Path(local_address.root, "facts", "things", "campaign=spring", f"{newest}.parquet")
    path.write_bytes(b"something else")
    assert store.facts.write_if_changed(ROWS, "spring", [], run_id="r6")
    assert store.facts.read(ROWS, "spring") == []
    assert len(store.facts.materialisations(ROWS, "spring")) == 4
