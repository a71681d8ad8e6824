"""Many processes write at once: this store, one DuckDB file, and Dagster's DuckDB IO manager.

Each process does small transactions (one event) and, every twentieth time, a batch (a table of 2,000 rows),
one after the other, until it is killed at the end of its time. A transaction is acknowledged when its call
returned; its time includes every retry. Then what is stored is compared with what was acknowledged.

    python benchmarks/store_writers.py
    python benchmarks/store_writers.py --processes 8 --seconds 30
"""

import argparse
import multiprocessing
import os
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
from dagster_duckdb_pandas import DuckDBPandasIOManager
from pydantic import BaseModel

from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.store.views import connect, write_views

BATCH_EVERY = 20
BATCH_ROWS = 2_000
RETRY_SECONDS = 0.05
"""Who finds the DuckDB file locked waits for a random time up to this long."""


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


EVENTS = EventStream("small", Event, "writer")
ROWS = Table("batches", Row, "writer")
EVENT = Event(state="made", seconds=1.5)
BATCH = [
    Row(name=f"row-{n}", position=n, cost=n / 7, text="a mug on an oak table") for n in range(BATCH_ROWS)
]
EVENT_FRAME = pd.DataFrame([EVENT.model_dump()])
BATCH_FRAME = pd.DataFrame([row.model_dump() for row in BATCH])


class InStore:
    """This store: an event is a file, a batch is a file; nobody waits for anybody."""

    name = "this store"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = Store(str(folder / "store"))

    def small(self, writer: str, name: str) -> None:
        """Record one event."""
        self._store.events.append(EVENTS, writer, name, EVENT)

    def batch(self, writer: str, name: str) -> None:
        """Write one table."""
        self._store.facts.write(ROWS, writer, BATCH, run_id=name)

    def contents(self) -> list[tuple[Any, ...]]:
        """The transactions that are there, each with how many rows it has."""
        database = self._folder / "store.duckdb"
        write_views(database, self._store.files, [ROWS], [EVENTS])
        with connect(self._store.files, database) as connection:
            return connection.execute(
                "SELECT name, count(*) FROM small GROUP BY ALL"
                " UNION ALL SELECT run_id, count(*) FROM batches_history GROUP BY ALL"
            ).fetchall()


class InDuckDB:
    """One DuckDB file: open, one transaction, close; who finds it locked tries again a little later."""

    name = "one DuckDB file"

    def __init__(self, folder: Path) -> None:
        self._database = str(folder / "one.duckdb")

    def small(self, _: str, name: str) -> None:
        """Insert one row."""
        self._insert("small", name, EVENT_FRAME)

    def batch(self, _: str, name: str) -> None:
        """Insert many rows."""
        self._insert("batches", name, BATCH_FRAME)

    def contents(self) -> list[tuple[Any, ...]]:
        """The transactions that are there, each with how many rows it has."""
        with duckdb.connect(self._database) as connection:
            return connection.execute(
                "SELECT id, count(*) FROM small GROUP BY ALL"
                " UNION ALL SELECT id, count(*) FROM batches GROUP BY ALL"
            ).fetchall()

    def _insert(self, table: str, name: str, frame: pd.DataFrame) -> None:
        rows = frame.assign(id=name)
        while True:
            try:
                with duckdb.connect(self._database) as connection:
                    connection.register("rows", rows)
                    connection.begin()
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM rows LIMIT 0")
                    connection.execute(f"INSERT INTO {table} FROM rows")
                    connection.commit()
            except duckdb.IOException:
                time.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311 - jitter
            else:
                return


class InIOManager:
    """Dagster's DuckDB pandas IO manager: a transaction is a partition; it brings retries of its own."""

    name = "Dagster's DuckDB IO manager"

    def __init__(self, folder: Path) -> None:
        self._database = str(folder / "io.duckdb")
        self._manager = DuckDBPandasIOManager(database=self._database).create_io_manager(None)

    def small(self, _: str, name: str) -> None:
        """Write a partition of one row."""
        self._handle("small", name, EVENT_FRAME)

    def batch(self, _: str, name: str) -> None:
        """Write a partition of many rows."""
        self._handle("batches", name, BATCH_FRAME)

    def contents(self) -> list[tuple[Any, ...]]:
        """The transactions that are there, each with how many rows it has."""
        with duckdb.connect(self._database) as connection:
            return connection.execute(
                "SELECT id, count(*) FROM public.small GROUP BY ALL"
                " UNION ALL SELECT id, count(*) FROM public.batches GROUP BY ALL"
            ).fetchall()

    def _handle(self, table: str, name: str, frame: pd.DataFrame) -> None:
        context = dg.build_output_context(
            asset_key=dg.AssetKey([table]),
            definition_metadata={"partition_expr": "id"},
            asset_partitions_def=dg.StaticPartitionsDefinition([name]),
            partition_key=name,
            resource_config={"database": self._database, "connection_config": {}},
        )
        while True:
            try:
                self._manager.handle_output(context, frame.assign(id=name))
            except duckdb.Error:
                time.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311 - jitter
            else:
                return


Way = type[InStore] | type[InDuckDB] | type[InIOManager]


@dataclass(frozen=True)
class Result:
    """What a way of writing did in its time."""

    per_second: float
    small_milliseconds: Sequence[float]
    batch_milliseconds: Sequence[float]
    longest_seconds: float
    """The longest wait for a transaction, also of one that was not done in the end."""
    acknowledged: int
    lost: int
    torn: int
    duplicated: int


def write_until_killed(way: Way, folder: Path, writer: str, start: Any) -> None:
    """Do transactions, and log each acknowledged one: its name, the seconds it took, when it was done."""
    target = way(folder)
    log = os.open(folder / f"{writer}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    start.wait()
    for number in range(10**9):
        name, began = f"{writer}-{number}", time.time()
        transaction = target.small if number % BATCH_EVERY else target.batch
        transaction(writer, name)
        os.write(log, f"{name} {time.time() - began} {time.time()}\n".encode())


def measure(way: Way, processes: int, seconds: float) -> Result:
    """Let so many processes write for so long, kill them, and look at what is there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["asset_pipeline.store.views", "dagster", "dagster_duckdb_pandas", "pandas"]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The files and tables are there before the writers: making a DuckDB file is a race of its own.
        first = way(folder)
        first.batch("first", "first-0")
        first.small("first", "first-1")
        start = context.Barrier(processes + 1)
        writers = [f"w{number}" for number in range(processes)]
        started = [
            context.Process(target=write_until_killed, args=(way, folder, writer, start), daemon=True)
            for writer in writers
        ]
        for process in started:
            process.start()
        start.wait(timeout=120)
        began = time.time()
        time.sleep(seconds)
        for process in started:
            process.kill()
        ended = time.time()
        for process in started:
            process.join()
        logs = {
            writer: [line.split() for line in (folder / f"{writer}.log").read_text().splitlines()]
            for writer in writers
        }
        return _result(logs, first.contents(), began, ended)


def _result(
    logs: dict[str, list[list[str]]], contents: list[tuple[Any, ...]], began: float, ended: float
) -> Result:
    acknowledged = {name: float(took) for log in logs.values() for name, took, _ in log}
    is_batch = {name: int(name.rpartition("-")[2]) % BATCH_EVERY == 0 for name in acknowledged}
    waiting = [ended - (float(log[-1][2]) if log else began) for log in logs.values()]
    rows = Counter[str]()
    for name, count in contents:
        rows[name] += count
    expected = {name: BATCH_ROWS if int(name.rpartition("-")[2]) % BATCH_EVERY == 0 else 1 for name in rows}
    return Result(
        per_second=len(acknowledged) / (ended - began),
        small_milliseconds=[1000 * took for name, took in acknowledged.items() if not is_batch[name]],
        batch_milliseconds=[1000 * took for name, took in acknowledged.items() if is_batch[name]],
        longest_seconds=max(*acknowledged.values(), *waiting),
        acknowledged=len(acknowledged),
        lost=len(acknowledged.keys() - rows.keys()),
        torn=sum(count < expected[name] for name, count in rows.items()),
        duplicated=sum(count > expected[name] for name, count in rows.items()),
    )


def _percentiles(milliseconds: Sequence[float]) -> str:
    if not milliseconds:
        return "none done"
    return " / ".join(f"{np.percentile(milliseconds, share):.0f}" for share in (50, 99))


def main() -> None:
    """Measure every way with every number of processes, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--seconds", type=float, default=10, help="for each way and number of processes")
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {tempfile.gettempdir()}"
    )
    for processes in arguments.processes:
        print(f"\n{processes} processes, {arguments.seconds:g} s each")
        rates = {}
        for way in (InStore, InDuckDB, InIOManager):
            result = measure(way, processes, arguments.seconds)
            rates[way] = result.per_second
            print(
                f"  {way.name}: {result.per_second:.1f} transactions/s; "
                f"small p50 / p99 {_percentiles(result.small_milliseconds)} ms, "
                f"batch {_percentiles(result.batch_milliseconds)} ms, "
                f"longest wait {result.longest_seconds:.1f} s; "
                f"of {result.acknowledged} acknowledged: lost {result.lost}, torn {result.torn}, "
                f"duplicated {result.duplicated}"
            )
        for way in (InDuckDB, InIOManager):
            if rates[way]:
                print(f"  this store does {rates[InStore] / rates[way]:.0f} times as many as {way.name}")


if __name__ == "__main__":
    main()
