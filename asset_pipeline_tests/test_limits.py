"""What an account's limits promise: all processes together keep them, and the dead hold nothing."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.candidates.limits import Limits, Rate
from asset_pipeline.store.files import LocalFiles
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, working
from asset_pipeline_tests.conftest import Address

PROCESSES = multiprocessing.get_context("forkserver")
RATE = Rate(calls=20, seconds=1.0, burst=3)
PATIENCE = 60


@pytest.fixture
def worker(local_store: Store) -> Iterator[Worker]:
    with working(local_store, "this run") as found:
        yield found


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = PROCESSES.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def never() -> bool:
    return False


def at_once() -> Callable[[], bool]:
    """Stop after looking once whether there is a lease."""
    return after_questions(1)


def after_questions(count: int) -> Callable[[], bool]:
    answers = iter([False] * count)
    return lambda: next(answers, True)


def limits(store: Store, worker: Worker, concurrency: int | None = None, rate: Rate | None = None) -> Limits:
    return Limits(store, "vendor", worker, rate=rate, concurrency=concurrency)


# --- calls in a time ---


def _call_often(address: Address, times: int, start_line: Any, called: Any) -> None:
    store = address.open()
    with working(store, "run") as worker:
        shared = limits(store, worker, rate=RATE)
        start_line.wait()
        for _ in range(times):
            assert shared.await_turn(never)
            called.put(time.time())


def test_processes_together_never_call_more_often_than_the_account_allows(address: Address) -> None:
    start_line, called = PROCESSES.Barrier(3), PROCESSES.Queue()
    started = time.time()
    processes = [start(_call_often, address, 8, start_line, called) for _ in range(3)]
    moments = sorted(called.get(timeout=PATIENCE) for _ in range(24))
    for process in processes:
        process.join(PATIENCE)
    first_token = started - RATE.burst * RATE.step
    for number, moment in enumerate(moments):
        assert moment >= first_token + number * RATE.step - 0.001
    assert len(address.open().files.names("limits/vendor/calls")) == 24


def test_after_a_rest_a_burst_goes_at_once_and_no_more(local_store: Store, worker: Worker) -> None:
    slow = Rate(calls=1, seconds=1000.0, burst=3)
    shared = limits(local_store, worker, rate=slow)
    assert [shared.await_turn(after_questions(2)) for _ in range(3)] == [True, True, True]
    assert not shared.await_turn(after_questions(2))
    # Whoever was stopped while waiting for the next token gave it back.
    assert len(local_store.files.names("limits/vendor/calls")) == 3


def test_tokens_of_long_ago_are_removed(local_store: Store, worker: Worker) -> None:
    old = f"{int((time.time() - 3600) * 1e6):020d}"
    local_store.files.create(f"limits/vendor/calls/{old}", b"")
    assert limits(local_store, worker, rate=RATE).await_turn(never)
    names = local_store.files.names("limits/vendor/calls")
    assert len(names) == 1
    assert old not in names


def test_accounts_do_not_share_their_limits(local_store: Store, worker: Worker) -> None:
    slow = Rate(calls=1, seconds=1000.0)
    ours = Limits(local_store, "ours", worker, rate=slow, concurrency=1)
    theirs = Limits(local_store, "theirs", worker, rate=slow, concurrency=1)
    assert ours.await_turn(after_questions(2))
    assert theirs.await_turn(after_questions(2))
    with ours.lease("low", never), theirs.lease("low", at_once()) as is_leased:
        assert is_leased


# --- Retry-After ---


def _call_once(address: Address, called: Any) -> None:
    store = address.open()
    with working(store, "run") as worker:
        assert limits(store, worker).await_turn(never)
        called.put(time.time())


def test_all_processes_wait_when_one_was_told_to(address: Address) -> None:
    called, store = PROCESSES.Queue(), address.open()
    with working(store, "run") as worker:
        until = time.time() + 3
        limits(store, worker).hold_until(until)
        limits(store, worker).hold_until(until - 2)
    processes = [start(_call_once, address, called) for _ in range(2)]
    moments = [called.get(timeout=PATIENCE) for _ in processes]
    assert min(moments) >= until - 0.001


def test_who_is_to_wait_can_be_stopped(local_store: Store, worker: Worker) -> None:
    shared = limits(local_store, worker)
    until = time.time() + 3600
    shared.hold_until(until)
    shared.hold_until(until - 1800)
    assert shared.held_until() == pytest.approx(until)
    assert not shared.await_turn(at_once())


def test_who_waits_for_a_token_hears_that_all_are_to_wait_and_gives_it_back(
    local_store: Store, worker: Worker
) -> None:
    shared = limits(local_store, worker, rate=Rate(calls=2, seconds=1.0))
    assert shared.await_turn(never)
    questions = itertools.count()

    def told_meanwhile() -> bool:
        question = next(questions)
        if question == 1:
            shared.hold_until(time.time() + 3600)
        return question > 6

    assert not shared.await_turn(told_meanwhile)
    assert len(local_store.files.names("limits/vendor/calls")) == 1


def test_a_time_to_wait_that_is_over_is_forgotten(local_store: Store, worker: Worker) -> None:
    shared = limits(local_store, worker)
    shared.hold_until(time.time() - 3600)
    assert shared.held_until() is None
    assert local_store.files.names("limits/vendor/holds") == []


# --- jobs at once ---


def _work(address: Address, jobs: int, busy: Any, most: Any) -> None:
    store = address.open()
    with working(store, "run") as worker:
        shared = limits(store, worker, concurrency=2)
        for _ in range(jobs):
            with shared.lease("high", never) as is_leased:
                assert is_leased
                with busy.get_lock():
                    busy.value += 1
                    most.value = max(most.value, busy.value)
                time.sleep(0.02)
                with busy.get_lock():
                    busy.value -= 1


def test_processes_together_never_have_more_jobs_than_the_account_allows(address: Address) -> None:
    busy, most = PROCESSES.Value("i", 0), PROCESSES.Value("i", 0)
    processes = [start(_work, address, 5, busy, most) for _ in range(4)]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert 1 <= most.value <= 2
    # The chains are cleaned: at most the last two links of each of the two leases are left.
    assert len(address.open().files.names("limits/vendor/leases")) <= 4


def _hold(address: Address, leased: Any) -> None:
    store = address.open()
    with working(store, "run") as worker, limits(store, worker, concurrency=1).lease("high", never):
        leased.set()
        time.sleep(3600)


def test_the_lease_of_a_killed_process_is_taken_over(address: Address) -> None:
    leased, store = PROCESSES.Event(), address.open()
    process = start(_hold, address, leased)
    assert leased.wait(PATIENCE)
    with working(store, "run") as worker:
        shared = limits(store, worker, concurrency=1)
        with shared.lease("interactive", at_once()) as is_leased:
            assert not is_leased
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)
        time.sleep(2.1)  # so long the owner is believed to be alive
        with shared.lease("low", at_once()) as is_leased:
            assert is_leased
            with shared.lease("high", at_once()) as is_second:
                assert not is_second


class _Overtaken(LocalFiles):
    """Files of someone who is overtaken by others after looking at the leases for the first time."""

    def __init__(self, root: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(Path(root))
        self._meanwhile: Callable[[], None] | None = meanwhile

    def names(self, folder: str) -> list[str]:
        found = super().names(folder)
        if folder.endswith("leases") and self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return found


def test_who_looked_long_ago_does_not_get_a_lease_that_another_holds(
    local_address: Address, local_store: Store, worker: Worker
) -> None:
    other = limits(local_store, worker, concurrency=1)
    with ExitStack() as held:

        def take_and_give_back_and_take() -> None:
            for _ in range(3):
                with other.lease("high", never):
                    pass
            held.enter_context(other.lease("high", never))

        store = local_address.open()
        store.files = _Overtaken(local_address.root, take_and_give_back_and_take)
        with limits(store, worker, concurrency=1).lease("high", at_once()) as is_leased:
            assert not is_leased
    with limits(store, worker, concurrency=1).lease("high", at_once()) as is_leased:
        assert is_leased


# --- priorities ---


def _crowd(address: Address, threads: int, stop: Any, leased: Any) -> None:
    """As many low requests as there are threads; each keeps its lease until the end."""
    store = address.open()
    with working(store, "run") as worker:
        shared = limits(store, worker, concurrency=4)

        def want() -> None:
            with shared.lease("low", stop.is_set) as is_leased:
                if is_leased:
                    leased.release()
                    stop.wait()

        crowd = [threading.Thread(target=want) for _ in range(threads)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()


def test_a_crowd_of_low_requests_leaves_room_for_normal_ones_and_these_for_high_ones(
    address: Address,
) -> None:
    stop, leased, store = PROCESSES.Event(), PROCESSES.Semaphore(0), address.open()
    processes = [start(_crowd, address, 4, stop, leased) for _ in range(2)]
    try:
        assert all(leased.acquire(timeout=PATIENCE) for _ in range(2))
        with working(store, "run") as worker:
            shared = limits(store, worker, concurrency=4)
            with ExitStack() as held:
                granted = [
                    (priority, held.enter_context(shared.lease(priority, at_once())))
                    for priority in ("low", "normal", "normal", "high", "interactive")
                ]
        assert granted == [
            ("low", False),
            ("normal", True),
            ("normal", False),
            ("high", True),
            ("interactive", False),
        ]
        assert not leased.acquire(block=False)
    finally:
        stop.set()
        for process in processes:
            process.join(PATIENCE)


def test_high_requests_leave_the_low_ones_theirs_as_long_as_there_are_others(
    local_store: Store, worker: Worker
) -> None:
    shared = limits(local_store, worker, concurrency=4)
    with ExitStack() as held:
        granted = [
            held.enter_context(shared.lease(priority, at_once()))
            for priority in ("high", "interactive", "low", "low", "low")
        ]
    assert granted == [True, True, True, True, False]


def test_where_only_one_job_is_allowed_every_priority_may_have_it(local_store: Store, worker: Worker) -> None:
    shared = limits(local_store, worker, concurrency=1)
    for priority in ("low", "normal", "high", "interactive"):
        with shared.lease(priority, at_once()) as is_leased:
            assert is_leased


def test_a_failed_job_gives_its_lease_back(local_store: Store, worker: Worker) -> None:
    shared = limits(local_store, worker, concurrency=1)
    with pytest.raises(RuntimeError, match="the job failed"), shared.lease("low", never):
        raise RuntimeError("the job failed")
    with shared.lease("low", at_once()) as is_leased:
        assert is_leased


def test_without_limits_nobody_waits(local_store: Store, worker: Worker) -> None:
    shared = limits(local_store, worker)
    assert shared.await_turn(never)
    with shared.lease("low", never) as is_leased:
        assert is_leased
    assert local_store.files.names("limits") == []
