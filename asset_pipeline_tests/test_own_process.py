"""What a scorer in a process of its own promises: its death costs a picture, and never the run."""

import multiprocessing
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scorers.sharpness import Sharpness
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.own_process import STARTS, InOwnProcess, Patience, in_own_process
from asset_pipeline.scores.records import judge_candidates, summed_up
from asset_pipeline.scores.score import Expectation, Look, Measured, ModelScorer, Pixels, Score, Scorer
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store
from asset_pipeline_tests import faulty_scorers
from asset_pipeline_tests.faulty_scorers import (
    CRASHES,
    FAILS,
    HANGS,
    IS_SLOW,
    KILLED,
    PRINTS,
    Faulty,
)
from asset_pipeline_tests.made_candidates import made_candidate

IMPORTS = """\
import os, signal, sys, threading
from functools import partial
from pathlib import Path
from asset_pipeline.scores.own_process import in_own_process
from asset_pipeline_tests import faulty_scorers
scorer, = in_own_process(partial(faulty_scorers.one, Path(sys.argv[1])))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where each process that loads a model notes its number."""
    return tmp_path / "loaded"


@pytest.fixture
def scorer(log: Path) -> Any:
    """A scorer in a process of its own."""
    (made,) = in_own_process(partial(faulty_scorers.one, log))
    yield made
    made.end()


def loads(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def children() -> list[str]:
    """The processes that measure."""
    return [each.name for each in multiprocessing.active_children()]


def look(brightness: int) -> Look:
    return Look(picture(brightness), None, b"", (8, 8))


def picture(brightness: int) -> Pixels:
    return np.full((8, 8, 3), brightness, np.uint8)


def values(measured: list[Measured]) -> list[float | None]:
    return [each.value for each in measured]


def test_what_it_measures_is_said_without_a_process(scorer: InOwnProcess, log: Path) -> None:
    plain = Faulty(log)
    assert isinstance(scorer, ModelScorer)
    for told in ("dimension", "version", "unit", "better", "expects"):
        assert getattr(scorer, told) == getattr(plain, told)
    assert scorer.reduce(look(9)) == 9
    assert (children(), loads(log)) == ([], [])


def test_it_measures_what_it_would_measure_here(scorer: InOwnProcess, log: Path) -> None:
    assert scorer.unable() is None
    measured = scorer.measure_reduced(list(range(40)))
    assert values(measured) == [float(each) for each in range(40)]
    assert values([scorer.measure(look(77))]) == [77.0]
    assert {each.details["pid"] for each in measured} == set(loads(log)) != {os.getpid()}
    assert len(loads(log)) == 1
    assert scorer.measure_reduced([]) == []


def test_nothing_of_this_process_is_in_it(scorer: InOwnProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faulty_scorers, "forked_from", "the run")
    assert scorer.measure(look(1)).details["forked_from"] == "nobody"


def test_two_dimensions_share_one_process(log: Path) -> None:
    first, second = in_own_process(partial(faulty_scorers.two, log))
    assert (first.dimension, second.dimension) == ("first", "second")
    assert first.unable() is second.unable() is None
    pids = {each.measure(look(1)).details["pid"] for each in (first, second)}
    assert (len(pids), len(children())) == (1, 1)
    second.end()
    assert children() == []


@pytest.mark.parametrize(("trouble", "words"), [(KILLED, "signal 9: killed"), (CRASHES, "signal 11")])
def test_a_picture_that_kills_the_process_has_a_reason_and_the_others_have_values(
    scorer: InOwnProcess, log: Path, trouble: int, words: str
) -> None:
    measured = scorer.measure_reduced([*range(20), trouble, *range(20, 25)])
    assert values(measured) == [*map(float, range(20)), None, *map(float, range(20, 25))]
    assert words in (measured[20].reason or "")
    assert not measured[20].recorded
    assert all(each.recorded for each in measured if each.value is not None)
    assert len(loads(log)) == 3


def test_a_picture_that_it_hangs_on_has_a_reason(log: Path) -> None:
    (scorer,) = in_own_process(partial(faulty_scorers.one, log), Patience(picture=0.4))
    measured = scorer.measure_reduced([1, HANGS, 2])
    scorer.end()
    assert values(measured) == [1.0, None, 2.0]
    assert measured[1].reason == "the scorer's process gave no answer within 0.4 seconds"
    assert not measured[1].recorded
    assert not any(psutil.pid_exists(pid) for pid in loads(log))


def test_a_process_that_never_comes_up_has_a_reason(log: Path) -> None:
    (scorer,) = in_own_process(partial(faulty_scorers.one, log), Patience(loading=0.001))
    assert scorer.unable() == "the scorer's process gave no answer within 0.001 seconds"
    assert children() == []


def test_a_picture_that_it_fails_on_has_a_reason_and_the_process_goes_on(
    scorer: InOwnProcess, log: Path
) -> None:
    measured = scorer.measure_reduced([1, FAILS, 2])
    assert values(measured) == [1.0, None, 2.0]
    assert measured[1].reason == "the scorer failed: ValueError: a picture that nobody foresaw"
    assert not measured[1].recorded
    assert len(loads(log)) == 1


def test_it_is_started_so_many_times_in_a_run_and_no_more(scorer: InOwnProcess, log: Path) -> None:
    measured = scorer.measure_reduced([KILLED] * 40)
    assert values(measured) == [None] * 40
    assert len(loads(log)) == STARTS
    assert f"not started a {STARTS + 1}th time" in (measured[-1].reason or "")
    assert "signal 9" in (measured[-1].reason or "")
    assert "signal 9" in (scorer.unable() or "")
    scorer.end()  # the next run may try again
    assert values([scorer.measure(look(5))]) == [5.0]


def test_what_cannot_be_made_or_loaded_there_is_a_reason(log: Path) -> None:
    (broken,) = in_own_process(partial(faulty_scorers.only_in, os.getpid(), log))
    assert broken.unable() == "the scorer failed: RuntimeError: no such library"
    assert children() == []
    (unloaded,) = in_own_process(partial(faulty_scorers.one, log))
    (log.parent / "no model").touch()
    assert unloaded.unable() == "the model files are not here"
    assert unloaded.measure(look(1)).reason == "the model files are not here"
    unloaded.end()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells it")
def test_if_memory_is_short_it_goes_before_the_run(scorer: InOwnProcess, log: Path) -> None:
    scorer.unable()
    (pid,) = loads(log)
    theirs = int(Path(f"/proc/{pid}/oom_score_adj").read_text())
    assert theirs > int(Path("/proc/self/oom_score_adj").read_text())


def program(log: Path, text: str, **options: Any) -> subprocess.Popen[str]:
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    arguments = [sys.executable, "-c", IMPORTS + text, str(log)]
    return subprocess.Popen(arguments, cwd=Path(__file__).parent.parent, **kept | options)


def gone(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_what_a_model_prints_does_not_mix_with_what_the_run_prints(log: Path) -> None:
    run = program(log, f"print(scorer.measure_reduced([{PRINTS}])[0].value)")
    printed, logged = run.communicate(timeout=60)
    assert printed == f"{PRINTS}.0\n"
    assert "a progress bar" in logged
    assert "and one of a library in C" in logged


def test_it_ends_with_a_run_that_ends_without_ending_it(log: Path) -> None:
    run = program(log, "print(scorer.measure_reduced([3])[0].details['pid'])")
    printed, logged = run.communicate(timeout=60)
    assert (run.returncode, logged) == (0, "")
    assert gone(int(printed))


def test_it_ends_with_a_run_that_ignores_being_told_to_end(log: Path) -> None:
    run = program(
        log,
        """\
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(scorer.measure_reduced([3])[0].details['pid'])
""",
    )
    printed, logged = run.communicate(timeout=60)
    assert (run.returncode, logged) == (0, "")
    assert gone(int(printed))


@pytest.mark.parametrize("brightness", [3, HANGS], ids=["idle", "measuring"])
def test_it_ends_with_a_run_that_is_killed(log: Path, brightness: int) -> None:
    wait = "threading.Event().wait()" if brightness == 3 else ""
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = program(log, f"scorer.unable(); scorer.measure_reduced([{brightness}])\n{wait}", **nowhere)
    until = time.monotonic() + 60
    while not loads(log) and time.monotonic() < until:
        time.sleep(0.05)
    (pid,) = loads(log)
    time.sleep(0.3)
    assert psutil.pid_exists(pid)
    run.kill()
    run.wait()
    assert gone(pid)


def test_after_an_interruption_no_answer_is_taken_for_that_to_another_question(log: Path) -> None:
    run = program(
        log,
        f"""\
scorer.unable()
threading.Timer(0.5, os.killpg, (0, signal.SIGINT)).start()  # as a terminal does
try:
    scorer.measure_reduced([1, {HANGS}])
except KeyboardInterrupt:
    print("interrupted", scorer.measure_reduced([5])[0].value)
""",
        start_new_session=True,
    )
    printed, logged = run.communicate(timeout=60)
    assert (printed, logged) == ("interrupted 5.0\n", "")
    assert all(gone(pid) for pid in loads(log))


def test_a_run_that_finishes_what_it_has_begun_when_it_is_interrupted_gets_its_answer(log: Path) -> None:
    run = program(
        log,
        f"""\
signal.signal(signal.SIGINT, lambda *_: None)  # as Dagster waits for the next good moment
scorer.unable()
threading.Timer(0.3, os.killpg, (0, signal.SIGINT)).start()
print(scorer.measure_reduced([{IS_SLOW}])[0].value)
""",
        start_new_session=True,
    )
    printed, logged = run.communicate(timeout=60)
    assert (printed, logged) == (f"{IS_SLOW}.0\n", "")


def measured_elsewhere(log: Path, answers: Any) -> None:
    (scorer,) = in_own_process(partial(faulty_scorers.one, log))
    answers.put([each.value for each in scorer.measure_reduced([1, KILLED, 2])])


def test_it_works_in_a_step_that_a_forkserver_started(log: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    answers: Any = context.Queue()
    step = context.Process(target=measured_elsewhere, args=(log, answers))
    step.start()
    assert answers.get(timeout=60) == [1.0, None, 2.0]
    step.join(30)
    assert step.exitcode == 0
    assert all(gone(pid) for pid in loads(log))


# ------------------------------------------------------------------------------------- in a campaign's run


def candidate(store: Store, brightness: int) -> Candidate:
    return made_candidate(store.images.put(lossless_webp(picture(brightness)), "webp"), seed=brightness)


def measure(store: Store, candidates: list[Candidate], *scorers: Scorer) -> tuple[list[Score], int]:
    return measure_missing(
        Measuring(store, scorers, lambda _: Expectation()),
        "spring",
        candidates,
        run_id="r",
        report=lambda _: None,
    )


def test_a_death_ends_no_run_passes_nothing_and_the_next_run_asks_again(
    local_store: Store, scorer: InOwnProcess, log: Path
) -> None:
    made = [candidate(local_store, brightness) for brightness in (1, KILLED, 3)]
    scores, fresh = measure(local_store, made, scorer, Sharpness())
    assert [each.value for each in scores[::2]] == [1.0, None, 3.0]
    assert "signal 9" in (scores[2].reason or "")
    assert fresh == 5
    assert children() == []  # its memory is given back
    rules = {"default": {"faulty": Threshold(min=0)}}
    judged = judge_candidates(made[1:2], scores[2:3], rules)
    assert [each.verdict for each in judged] == ["missing"]
    assert not summed_up(judged).passes
    (log.parent / "enough memory").touch()
    again, fresh = measure(local_store, made, scorer, Sharpness())
    assert ([each.value for each in again[::2]], fresh) == ([1.0, float(KILLED), 3.0], 1)
    count = len(loads(log))
    assert measure(local_store, made, scorer, Sharpness()) == (again, 0)
    assert len(loads(log)) == count  # nothing is to be measured, so no process is started


def test_it_is_ended_when_the_run_fails_elsewhere(local_store: Store, scorer: InOwnProcess) -> None:
    class Breaks(Sharpness):
        dimension = "breaks"

        def measure(self, look: Look) -> Measured:
            raise ZeroDivisionError(look.prompt)

    with pytest.raises(ZeroDivisionError):
        measure(local_store, [candidate(local_store, 1)], scorer, Breaks())
    assert children() == []
