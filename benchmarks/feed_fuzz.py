"""Damages feeds of every dialect at random and reads them: nothing may crash, hang or lose a row.

    python benchmarks/feed_fuzz.py --feeds 10000 --seed 1 [--minutes 10]

The examples are those of the dialects' tests. Each is damaged in up to four ways: values swapped, bytes
changed, the end cut off, lines doubled and dropped, quotes and delimiters put in, the encoding changed, two
files joined, compressed, called something else. A feed that fails is printed with what makes it again:
``--seed 1 --first 4711 --feeds 1``; ``--keep folder`` writes it there.
"""

import argparse
import gzip
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline_tests.dialect_promises import HOSTILE, promise_keepers
from asset_pipeline_tests.feed_forms import form_of

LONGEST_SECONDS = 20
"""No feed of a few kilobytes may take longer; it would be minutes for a real one."""
INSERTED = (
    b'"', b'""', b",", b";", b"\t", b"|", b"\n", b"\r\n", b"\r", b"\x00", b"\\", b"\\n", b"{", b"}", b"[",
    b"]", b"<", b">", b"&", b"&amp;", b"<![CDATA[", b"]]>", b"<!--", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9",
    b"\xf0\x9f", b"\xed\xa0\x80", b"../../", b"=1+1", b"1e999999", b"NaN", b"null", b"sep=;\n", b"x" * 5000,
    b"[" * 5000,
)  # fmt: skip
STRANGE: tuple[Any, ...] = (
    *HOSTILE, "", " ", "0", "-1", "1e999", "9" * 400, "id:1", 10**40, "a|b|c", "a,b", "a=b,c=d", "http://",
    "//x/y.jpg", "x" * 300 + ".jpg", "\u2028", "\ud800", "en_US", "12 EUR", "1.299", None, True, 0, -1,
    1.5, [], {}, [[]], [None], [{}], {"": ""}, {"value": None}, {"@type": "Product"}, {"@id": "#x"},
    {"@graph": [{}]}, ["a", 1],
)  # fmt: skip
ENCODINGS = ("cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "shift_jis", "mac_roman")
SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".parquet")

Damage = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Example:
    """A feed that is right."""

    dialect: str
    file: str
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of a damaged feed."""

    number: int
    kind: str
    seconds: float
    failure: str = ""


class TooSlowError(Exception):
    """Reading takes too long; no error of the project's, so that nothing takes it for an unreadable file."""


@cache
def examples() -> tuple[Example, ...]:
    """The examples of all dialects."""
    found = [(each.dialect, each.file, each.content) for each in promise_keepers()]
    return tuple(
        Example(dialect, file, content if isinstance(content, bytes) else content.encode())
        for dialect, file, content in found
    )


def damaged(seed: int, number: int) -> tuple[Example, str, bytes]:
    """The feed of this number: its example, its file's name and its bytes. The same seed makes the same."""
    chance = random.Random(f"{seed}-{number}")  # noqa: S311 - damage, not secrets
    example = chance.choice(examples())
    is_swapped = chance.randrange(2) == 0
    data = swapped(chance, example.content) if is_swapped else example.content
    for damage in chance.choices(DAMAGES, k=chance.randint(0 if is_swapped else 1, 3)):
        data = damage(chance, data)
    is_renamed = chance.randrange(10) == 0
    file = Path(example.file).stem + chance.choice(SUFFIXES) if is_renamed else example.file
    return example, file, data


def swapped(chance: random.Random, content: bytes) -> bytes:
    """An example with values in places that are not theirs, and with strange ones."""
    try:
        form = form_of(content.decode())
    except UnicodeDecodeError:
        return content  # it is no text
    records = list(form.records)
    for _ in range(chance.randint(1, 12)):
        giver, taker = chance.choice(records), chance.randrange(len(records))
        value = form.value(giver, chance.choice(form.places(giver)))
        if chance.randrange(3) == 0:
            value = chance.choice([value for value in STRANGE if form.can_say(str(value))])
        place = chance.choice(form.places(records[taker]))
        records[taker] = form.with_value(records[taker], place, value)
    return form.written(records).encode()


def flip(chance: random.Random, data: bytes) -> bytes:
    """Change a few bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8) if data else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def cut(chance: random.Random, data: bytes) -> bytes:
    """Cut off the end, or the beginning."""
    place = chance.randint(0, len(data))
    return data[place:] if chance.randrange(4) == 0 else data[:place]


def insert(chance: random.Random, data: bytes) -> bytes:
    """Put something in that means something, in a few places."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randint(0, len(data))
        data = data[:place] + chance.choice(INSERTED) + data[place:]
    return data


def remove(chance: random.Random, data: bytes) -> bytes:
    """Take a few bytes out, most often one."""
    place = chance.randint(0, len(data))
    return data[:place] + data[place + chance.choice((1, 1, 1, 2, 40)) :]


def double_or_drop_lines(chance: random.Random, data: bytes) -> bytes:
    """Write lines twice, leave lines out, change their order."""
    lines = data.splitlines(keepends=True)
    for _ in range(chance.randint(1, 4) if lines else 0):
        place = chance.randrange(len(lines))
        lines[place : place + 1] = chance.choice(([], [lines[place]] * 2, [lines[place]] * 50))
        if not lines:
            return b""
    if chance.randrange(4) == 0:
        chance.shuffle(lines)
    return b"".join(lines)


def encode(chance: random.Random, data: bytes) -> bytes:
    """Another encoding."""
    return data.decode("utf-8", "replace").encode(chance.choice(ENCODINGS), "replace")


def join(chance: random.Random, data: bytes) -> bytes:
    """Two files in one."""
    other = chance.choice(examples()).content
    return data + other if chance.random() < 0.5 else other + data  # noqa: PLR2004 - half


def compress(chance: random.Random, data: bytes) -> bytes:
    """Compressed, and sometimes not to its end."""
    packed = gzip.compress(data)
    return cut(chance, packed) if chance.randrange(3) == 0 else packed


DAMAGES: tuple[Damage, ...] = (
    *(flip, insert, insert, insert, remove, cut),
    *(double_or_drop_lines, double_or_drop_lines, encode, join, compress),
)


def read_damaged(task: tuple[int, int]) -> Outcome:
    """Read the feed of this seed and number in a folder of its own."""
    seed, number = task
    example, file, data = damaged(seed, number)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        Path(name, file).write_bytes(data)
        signal.signal(signal.SIGALRM, _too_slow)
        signal.alarm(LONGEST_SECONDS)
        try:
            reading = read_catalog(Path(name))
            (feed,) = reading.feeds
            written = [fact.model_dump_json() for fact in (*reading.products, *reading.findings, feed)]
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            return Outcome(number, "crash or hang", time.monotonic() - began, traceback.format_exc())
        finally:
            signal.alarm(0)
    seconds = time.monotonic() - began
    if not feed.is_balanced or feed.products != len(reading.products):
        return Outcome(number, "books do not balance", seconds, str(feed))
    if feed.refused != sum(finding.level == "refused" for finding in reading.findings) and not feed.error:
        return Outcome(number, "refused without a word", seconds, "\n".join([str(feed), *written]))
    if feed.dialect is None:
        return Outcome(number, "refused as a whole", seconds)
    products = "with products" if reading.products else "without a product"
    return Outcome(
        number, f"read as {'itself' if feed.dialect == example.dialect else 'another'}, {products}", seconds
    )


def _too_slow(_signal: int, _frame: object) -> None:
    raise TooSlowError


def main() -> None:
    """Print failures as they come and what became of all feeds; fail if there was a failure."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--feeds", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--first", type=int, default=0, help="the first feed's number")
    arguments.add_argument("--minutes", type=float, help="stop after so long, however many are left")
    arguments.add_argument("--keep", type=Path, help="a folder for the feeds that failed")
    options = arguments.parse_args()
    deadline = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    tasks = ((options.seed, number) for number in range(options.first, options.first + options.feeds))
    kinds: Counter[str] = Counter()
    failures, slowest = 0, Outcome(0, "", 0.0)
    began = time.monotonic()
    with multiprocessing.get_context("forkserver").Pool(min(2, os.cpu_count() or 1)) as pool:
        for outcome in pool.imap_unordered(read_damaged, tasks, chunksize=20):
            kinds[outcome.kind] += 1
            slowest = max(slowest, outcome, key=lambda each: each.seconds)
            if outcome.failure:
                failures += 1
                example, file, data = damaged(options.seed, outcome.number)
                again = f"--seed {options.seed} --first {outcome.number} --feeds 1"
                print(f"{outcome.kind}: {again} ({example.dialect}, {file})\n{outcome.failure}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{outcome.number}-{file}").write_bytes(data)
            if time.monotonic() > deadline:
                pool.terminate()
                break
    dialects = sorted({example.dialect for example in examples()})
    print(f"examples of {', '.join(dialects)}; seed {options.seed}")
    for kind, count in kinds.most_common():
        print(f"{count:8d}  {kind}")
    print(f"{sum(kinds.values())} feeds in {time.monotonic() - began:.0f} s; the slowest, {slowest.number}, "
          f"took {slowest.seconds:.2f} s; {failures} failures")  # fmt: skip
    sys.exit(int(failures > 0))


if __name__ == "__main__":
    main()
