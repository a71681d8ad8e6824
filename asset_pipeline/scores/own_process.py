"""Scorers whose models live in a process of their own, so that its death is not the run's.

A large model may be killed by the kernel when memory is short, end in a segmentation fault, or never answer.
In a process of its own that costs the pictures it was looking at: they get the reason, which is not kept, and
the next run asks again. The memory is given back when measuring ends.

The process is started when there is something to measure. It is a new one (``spawn``), so nothing of this
process's threads and locks is in it, and it takes the time that its imports take. A concurrent.futures pool
says neither what its worker died of nor ends one that hangs; so this is one Process and one Pipe.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from asset_pipeline.scores.score import DetailedScorer, Look, Measured, ModelScorer, Scorer

TOGETHER: Final = 16
"""Pictures that are sent at once."""
STARTS: Final = 5
"""How often a process is started for one run. A picture that kills it takes two: with others, and alone."""
GRACE_SECONDS: Final = 10.0
"""How long a process may take to end by itself when it is not needed any more."""

Factory = Callable[[], Sequence[ModelScorer]]
"""Makes scorers that share a process, in whatever process calls it: a function or ``functools.partial`` that
pickles. Making them loads no model."""


@dataclass(frozen=True)
class Patience:
    """How long an answer is waited for before the process is taken to hang, in seconds."""

    loading: float = 1800.0
    """For importing its libraries, and verifying and loading the model."""
    picture: float = 120.0
    """For measuring a picture; that many times as long for several at once."""


def in_own_process(factory: Factory, patience: Patience | None = None) -> list["InOwnProcess"]:
    """A factory's scorers, all in one process that is started when the first has something to measure."""
    child = _Child(factory, patience or Patience())
    return [InOwnProcess(scorer, place, child) for place, scorer in enumerate(factory())]


@contextmanager
def ending(scorers: Sequence[Scorer]) -> Iterator[None]:
    """End the processes of those that have one when the block ends, and give their memory back."""
    try:
        yield
    finally:
        for scorer in scorers:
            if isinstance(scorer, InOwnProcess):
                scorer.end()


class InOwnProcess:
    """A ModelScorer that measures in another process what it reduces in this one.

    Args:
        scorer: one like it, which says what is measured and reduces images; its model is not loaded.
        place: which of the process's scorers it is.
        child: the process.
    """

    def __init__(self, scorer: ModelScorer, place: int, child: "_Child") -> None:
        self.dimension = scorer.dimension
        self.version = scorer.version
        self.unit = scorer.unit
        self.better = scorer.better
        self.expects = scorer.expects
        if isinstance(scorer, DetailedScorer):
            self.promises = scorer.promises
        self._scorer = scorer
        self._place = place
        self._child = child

    def unable(self) -> str | None:
        """Start the process and load the model there, or say why that cannot be."""
        try:
            return self._child.unable(self._place)
        except _Failed as failed:
            return failed.reason

    def measure(self, look: Look) -> Measured:
        """Measure one image."""
        reduced = self.reduce(look)
        return reduced if isinstance(reduced, Measured) else self.measure_reduced([reduced])[0]

    def reduce(self, look: Look) -> object:
        """What the model needs of an image, taken in this process."""
        return self._scorer.reduce(look)

    def measure_reduced(self, reduced: Sequence[Any]) -> list[Measured]:
        """Measure many images there; those that it did not survive have a reason that is not recorded."""
        return [
            measured
            for start in range(0, len(reduced), TOGETHER)
            for measured in self._measured(reduced[start : start + TOGETHER])
        ]

    def end(self) -> None:
        """End the process; the next question starts another."""
        self._child.end()

    def _measured(self, reduced: Sequence[Any]) -> list[Measured]:
        try:
            return list(self._child.measure(self._place, reduced))
        except _Failed as failed:
            if len(reduced) == 1:
                return [Measured(reason=failed.reason, recorded=False)]
        # one of them may be to blame: alone it takes no other with it
        return [measured for each in reduced for measured in self._measured([each])]


class _Failed(Exception):
    """The process gave no answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class _Running:
    """A process and the line to it."""

    process: BaseProcess
    line: Connection


class _Child:
    """The process as seen from here: one question, one answer, one thread at a time."""

    def __init__(self, factory: Factory, patience: Patience) -> None:
        self._factory = factory
        self._patience = patience
        self._alone = threading.RLock()
        self._running: _Running | None = None
        self._able: set[int] = set()
        """The scorers whose models are in the memory of the process that runs."""
        self._starts = 0
        self._last = ""

    def unable(self, place: int) -> str | None:
        """Why a scorer cannot measure; None when its model is in the process's memory. Raises _Failed."""
        with self._alone:
            running = self._started()
            reason: str | None = self._answer(running, (place, "unable", ()), self._patience.loading)
            if reason is None:
                self._able.add(place)
            return reason

    def measure(self, place: int, reduced: Sequence[Any]) -> Sequence[Measured]:
        """What a scorer finds in reduced images, loading its model first if need be. Raises _Failed."""
        with self._alone:
            running = self._started()
            if place not in self._able and (reason := self.unable(place)):
                raise _Failed(reason)
            seconds = self._patience.picture * len(reduced)
            found: Sequence[Measured] = self._answer(running, (place, "measure_reduced", (reduced,)), seconds)
            return found

    def end(self) -> None:
        with self._alone:
            self._starts = 0
            if self._running:
                self._running.line.close()
                self._running.process.join(GRACE_SECONDS)
                self._gone(self._running)

    def _started(self) -> _Running:
        if self._running and self._running.process.is_alive():
            return self._running
        if self._running:
            self._gone(self._running)
        if self._starts >= STARTS:
            raise _Failed(f"its process is not started a {STARTS + 1}th time in one run; {self._last}")
        self._starts += 1
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="scorer", daemon=True)
        try:
            process.start()
        except (OSError, AssertionError, RuntimeError) as error:
            line.close()
            raise self._failed(f"its process cannot be started: {error}") from error
        finally:
            theirs.close()
        running = self._running = _Running(process, line)
        try:
            self._answer(running, self._factory, self._patience.loading)
        except _Failed:
            self._gone(running)
            raise
        return running

    def _answer(self, running: _Running, question: Any, seconds: float) -> Any:
        late = threading.Event()

        def stop() -> None:
            late.set()
            running.process.kill()

        watch = threading.Timer(seconds, stop)
        watch.daemon = True
        watch.start()
        try:
            running.line.send(question)
            answered, answer = running.line.recv()
        except (EOFError, OSError):
            how = f"gave no answer within {seconds:g} seconds" if late.is_set() else _end_of(running.process)
            self._gone(running)
            raise self._failed(f"the scorer's process {how}") from None
        except BaseException:  # such as Ctrl-C: its answer must not be taken for that to the next question
            self._gone(running)
            raise
        finally:
            watch.cancel()
        if not answered:
            raise self._failed(f"the scorer failed: {answer}")
        return answer

    def _failed(self, reason: str) -> _Failed:
        self._last = reason
        return _Failed(reason)

    def _gone(self, running: _Running) -> None:
        running.process.kill()
        running.process.join()
        running.line.close()
        self._running = None
        self._able.clear()


def _end_of(process: BaseProcess) -> str:
    """What a process died of, in words."""
    process.join(GRACE_SECONDS)
    code = process.exitcode
    if code is None:
        return "hung up"
    if code >= 0:
        return f"ended with status {code}; its log says why"
    known = {-signal.SIGKILL: ": killed, by the system when memory is short, or by a person"}
    return f"died (signal {-code}{known.get(code, '')})"


def _serve(line: Connection) -> None:
    """The process: makes the scorers, then answers questions until nobody can ask any more."""
    os.dup2(2, 1)  # a program may read what the parent prints
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a parent that ignores it ends this one by it all the same
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):  # Linux alone has it: if memory is short, this goes before the run
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    scorers: Sequence[ModelScorer] = ()
    while True:
        try:
            question = line.recv()
        except EOFError:
            return
        try:
            if callable(question):
                scorers, answer = question(), None
            else:
                place, method, arguments = question
                answer = getattr(scorers[place], method)(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
            traceback.print_exc()
            line.send((False, f"{type(error).__name__}: {error}"))
        else:
            line.send((True, answer))


def _end_with_parent() -> None:
    """End at once when the parent is gone, however it went, whatever is being measured."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)
