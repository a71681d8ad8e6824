"""Time and memory of reading feeds of every dialect, beside pandas reading the same file.

    python benchmarks/feeds.py [--rows 2000 200000] [--dialect akeneo ...]

A feed is its dialect's example written again and again with other SKUs, until it has so many rows. Ours is
``read_catalog``: rows, hygiene, duplicates, variants, photographs, findings. pandas only parses the file into
a table, so the ratio says what all the rest costs. Every reading has a process of its own; memory is the
process's peak above what it had before it began.
"""

import argparse
import json
import math
import multiprocessing
import re
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline_tests.dialect_promises import DialectPromises, promise_keepers
from asset_pipeline_tests.feed_forms import Form
from asset_pipeline_tests.test_catalog import picture

PICTURE = re.compile(r"\.(jpe?g|png|webp|gif)\b", re.IGNORECASE)
PROCESSES = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Measured:
    """One reading of a file."""

    seconds: float
    mebibytes: float
    products: int = 0


def write_feed(keeper: type[DialectPromises], rows: int, folder: Path) -> None:
    """A feed of so many rows, or a few more, with the example's photographs."""
    (folder / "images").mkdir()
    for name in keeper.photographs:
        (folder / "images" / name).write_bytes(picture())
    form = keeper().form()
    (folder / keeper.file).write_text(form.written(form.records))
    names = sorted(identities(folder), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    rounds = math.ceil(rows / len(form.records))
    records = [renamed(form, record, pattern, number) for number in range(rounds) for record in form.records]
    (folder / keeper.file).write_text(form.written(records))


def identities(folder: Path) -> set[str]:
    """What must differ between one copy of the example and the next: SKUs, and what variants share."""
    products = read_catalog(folder).products
    variants = [sku for product in products for sku in product.attributes.get("variants", "").split("|")]
    names = {
        *variants,
        *(product.sku for product in products),
        *(product.group or "" for product in products),
    }
    return names - {""}


def renamed(form: Form, record: Any, pattern: re.Pattern[str], number: int) -> Any:
    """A record of another copy: its SKUs end in the copy's number; numbers that refer to records move on."""
    is_fixture = isinstance(record, dict) and "model" in record
    for place in form.places(record):
        value = form.value(record, place)
        if isinstance(value, str) and not PICTURE.search(value) and pattern.search(value):
            record = form.with_value(record, place, pattern.sub(rf"\g<0>-{number}", value))
        elif is_fixture and isinstance(value, int):
            record = form.with_value(record, place, value + 1000 * number)
    return record


def read_ours(path: Path) -> int:
    """The number of products."""
    reading = read_catalog(path.parent)
    if not all(feed.is_balanced for feed in reading.feeds):
        raise SystemExit(f"{path.name}: its books do not balance")
    return len(reading.products)


def read_with_pandas(path: Path) -> int:
    """The number of rows of the table."""
    with path.open() as file:
        start = file.read(1)
        line = start + file.readline()
    if start == "<":
        name = "item" if "<item" in path.read_text()[:100_000] else "entry"
        return len(pd.read_xml(path, xpath=f".//{{*}}{name}", parser="etree"))
    if start in "[{":
        return len(pd.read_json(path, lines=start == "{" and _is_json(line)))
    return len(pd.read_csv(path, sep=max(",;\t|", key=line.count), dtype=str))


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def measure(read: Callable[[Path], int], path: Path) -> Measured:
    """Read a file in a process of its own."""
    with PROCESSES.Pool(1) as pool:
        return pool.apply(_measured, (read, path))


def _measured(read: Callable[[Path], int], path: Path) -> Measured:
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    products = read(path)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(seconds, max(peak - before, 0) / 2**20, products)


def main() -> None:
    """Print a line for each dialect and number of rows."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rows", type=int, nargs="+", default=[2_000, 200_000])
    arguments.add_argument("--dialect", nargs="+", help="these alone")
    options = arguments.parse_args()
    for rows in options.rows:
        for keeper in promise_keepers():
            if options.dialect and keeper.dialect not in options.dialect:
                continue
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / keeper.file
                with PROCESSES.Pool(1) as pool:  # so that this process stays small
                    pool.apply(write_feed, (keeper, rows, Path(name)))
                ours, theirs = measure(read_ours, path), measure(read_with_pandas, path)
                print(
                    f"{keeper.dialect}, {keeper.file}, {rows:,} rows, {path.stat().st_size / 2**20:.1f} MiB: "
                    f"ours {ours.seconds:.2f} s, {ours.mebibytes:.0f} MiB, {ours.products:,} products; "
                    f"pandas {theirs.seconds:.2f} s, {theirs.mebibytes:.0f} MiB; "
                    f"ratio {ours.seconds / theirs.seconds:.1f} in time, "
                    f"{ours.mebibytes / max(theirs.mebibytes, 1):.1f} in memory",
                    flush=True,
                )


if __name__ == "__main__":
    main()
