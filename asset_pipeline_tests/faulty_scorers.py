"""Scorers that do what large models do on bad days; the brightness of a picture's first pixel says what."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from asset_pipeline.scores.score import Look, Measured

KILLED, CRASHES, HANGS, FAILS, PRINTS, IS_SLOW = 200, 201, 202, 203, 204, 205
forked_from = "nobody"
"""What a process would inherit that was forked."""


class Faulty:
    """Measures the brightness of the first pixel, unless that means trouble."""

    version = "7"
    unit = "levels"
    better = "none"
    expects: tuple[str, ...] = ("words",)

    def __init__(self, log: Path, dimension: str = "faulty") -> None:
        self.dimension = dimension
        self._log = log
        self._is_loaded = False

    def unable(self) -> str | None:
        if (self._log.parent / "no model").exists():
            return "the model files are not here"
        if not self._is_loaded:
            self._is_loaded = True
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{os.getpid()}\n")
        return None

    def measure(self, look: Look) -> Measured:
        reason = self.unable()
        return Measured(reason=reason) if reason else self.measure_reduced([self.reduce(look)])[0]

    def reduce(self, look: Look) -> int:
        return int(look.pixels[0, 0, 0])

    def measure_reduced(self, reduced: Sequence[int]) -> list[Measured]:
        if not self._is_loaded:
            raise AssertionError("nobody asked whether the model is here")
        return [self._one(brightness, len(reduced)) for brightness in reduced]

    def _one(self, brightness: int, together: int) -> Measured:
        if brightness == KILLED and not (self._log.parent / "enough memory").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if brightness == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        if brightness == HANGS:
            time.sleep(60)
        if brightness == IS_SLOW:
            time.sleep(1.5)
        if brightness == FAILS:
            raise ValueError("a picture that nobody foresaw")
        if brightness == PRINTS:
            print("a progress bar")  # noqa: T201
            os.write(1, b"and one of a library in C\n")
        kept = {"pid": os.getpid(), "together": together, "forked_from": forked_from}
        return Measured(float(brightness), details=kept)


def one(log: Path) -> list[Faulty]:
    return [Faulty(log)]


def two(log: Path) -> list[Faulty]:
    """Two dimensions of one model."""
    return [Faulty(log, "first"), Faulty(log, "second")]


def only_in(pid: int, log: Path) -> list[Faulty]:
    """Can be made in one process, and not where it has to work."""
    if os.getpid() != pid:
        raise RuntimeError("no such library")
    return one(log)
