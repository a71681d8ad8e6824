"""Many processes write at once: this store, one DuckDB file, and Dagster's DuckDB IO manager.

Each process does small transactions (one event) and, every twentieth time, a batch (a table of 2,000 rows),
one after the other, for a fixed number of seconds. A transaction is acknowledged when its call returned;
its time includes every retry. In the end what is stored is compared with what was acknowledged.

    python benchmarks/store_writers.py
    python benchmarks/store_writers.py --processes 8 --seconds 30
"""

import argparse
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
from dagster._core.errors import DagsterError
from dagster_duckdb_pandas import DuckDBPandasIOManager
from pydantic import BaseModel

from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.store.views import connect, write_views

BATCH_EVERY = 20
BATCH_ROWS = 2_000
PROCESSES = multiprocessing.get_context("forkserver")


class Event(BaseModel):
    """What a small transaction records."""

    state: str
    seconds: float


class Row(BaseModel):
    """A row of a batch."""

    name: str
    position: int
    cost: float
    text: str


EVENTS = EventStream("writer_events", Event, "writer")
ROWS = Table("writer_rows", Row, "writer")
BATCH = [Row(name=f"row-{n}", position=n, cost=n / 7, text="a mug on an oak table") for n in range(BATCH_ROWS)]
BATCH_FRAME = pd.DataFrame([row.model_dump() for row in BATCH])

Write = Callable[[str, bool], int]
"""Does one transaction of that name, a batch or not; returns how often it had to be tried again."""


class OutOfTime(Exception):
    """The benchmark ended before a transaction got through."""


@dataclass
class Tally:
    """What one process saw."""

    acknowledged: list[str] = field(default_factory=list)
    small_seconds: list[float] = field(default_factory=list)
    batch_seconds: list[float] = field(default_factory=list)
    retries: int = 0
    unfinished: int = 0


# --- the three ways of writing; each is (prepare, writer, count) ---


def store_writer(folder: Path, process: int, _: float) -> Write:
    """This store: an event is a file, a batch is a file."""
    store = Store(str(folder / "store"))

    def write(name: str, is_batch: bool) -> int:  # noqa: FBT001 - a private protocol of this page
        if is_batch:
            store.facts.write(ROWS, f"w{process}", BATCH, run_id=name)
        elif not store.events.append(EVENTS, f"w{process}", name, Event(state="made", seconds=1.5)):
            raise RuntimeError(f"{name} was taken")
        return 0

    return write


def store_contents(folder: Path) -> Counter[str]:
    """Rows in the store by transaction."""
    files = Store(str(folder / "store")).files
    write_views(folder / "store.duckdb", files, [ROWS], [EVENTS])
    with connect(files, folder / "store.duckdb") as connection:
        return _counted(
            connection.execute(
                "SELECT name, 1 FROM writer_events UNION ALL"
                " SELECT run_id, count(*) FROM writer_rows_history GROUP BY run_id"
            ).fetchall()
        )


def duckdb_writer(folder: Path, _: int, deadline: float) -> Write:
    """One DuckDB file: open, one transaction, close; who finds it locked waits a little and tries again."""
    database = str(folder / "one.duckdb")

    def write(name: str, is_batch: bool) -> int:  # noqa: FBT001 - a private protocol of this page
        def attempt() -> None:
            with duckdb.connect(database) as connection:
                connection.begin()
                if is_batch:
                    connection.execute("INSERT INTO batches SELECT ?, * FROM BATCH_FRAME", [name])
                else:
                    connection.execute("INSERT INTO events VALUES (?, ?, 'made', 1.5)", [name, datetime.now(UTC)])
                connection.commit()

        return _again(attempt, deadline)

    return write


def duckdb_prepare(folder: Path) -> None:
    """Make the tables."""
    with duckdb.connect(str(folder / "one.duckdb")) as connection:
        connection.execute("CREATE TABLE events (id VARCHAR, at TIMESTAMPTZ, state VARCHAR, seconds DOUBLE)")
        connection.execute(
            "CREATE TABLE batches (id VARCHAR, name VARCHAR, position BIGINT, cost DOUBLE, text VARCHAR)"
        )


def duckdb_contents(folder: Path) -> Counter[str]:
    """Rows in the DuckDB file by transaction."""
    with duckdb.connect(str(folder / "one.duckdb")) as connection:
        return _counted(
            connection.execute(
                "SELECT id, count(*) FROM (SELECT id FROM events UNION ALL SELECT id FROM batches) GROUP BY id"
            ).fetchall()
        )


def io_manager_writer(folder: Path, _: int, deadline: float) -> Write:
    """Dagster's DuckDB IO manager: every transaction is a partition of a table, tried again if it fails."""
    manager = _io_manager(folder)

    def write(name: str, is_batch: bool) -> int:  # noqa: FBT001 - a private protocol of this page
        rows = BATCH_FRAME if is_batch else BATCH_FRAME.head(1)
        asset = "batches" if is_batch else "events"

        def attempt() -> None:
            context = dg.build_output_context(
                asset_key=dg.AssetKey([asset]),
                definition_metadata={"partition_expr": "id"},
                asset_partitions_def=dg.DynamicPartitionsDefinition(name="writers"),
                partition_key=name,
                run_id="benchmark",
                resource_config=manager.config,
            )
            manager.io_manager.handle_output(context, rows.assign(id=name))

        return _again(attempt, deadline)

    return write
