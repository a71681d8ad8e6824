"""What the breaker promises: three failures open it, one probe finds out, and all processes see the same."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.candidates.breaker import HEALTH, Breaker, Permit, health_of, resume
from asset_pipeline.candidates.health import (
    HEALTHY,
    LONGEST_OPEN,
    PROBE_PATIENCE,
    Health,
    after_failure,
    after_success,
    as_of,
    open_for,
    paused,
    probed,
    resumed,
    unprobed,
)
from asset_pipeline.store.store import Store
from asset_pipeline.store.views import connect, write_views
from asset_pipeline.store.worker import Worker, working
from asset_pipeline_tests.conftest import Address

PROCESSES = multiprocessing.get_context("forkserver")
PATIENCE = 60
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


# --- the transitions ---


def fail(health: Health, times: int, now: datetime = NOON) -> Health:
    for _ in range(times):
        health = after_failure(health, "it answered 503", now)
    return health


def test_two_failures_in_a_row_are_borne_and_the_third_opens_the_breaker() -> None:
    assert fail(HEALTHY, 2).state == "closed"
    opened = fail(HEALTHY, 3)
    assert (opened.state, opened.since, opened.until) == ("open", NOON, NOON + 30 * SECOND)
    assert (opened.because, opened.failures) == ("it answered 503", 3)


def test_a_success_between_failures_starts_the_count_again() -> None:
    assert fail(after_success(fail(HEALTHY, 2), NOON), 2).state == "closed"


def test_each_failed_probe_doubles_the_time_up_to_five_minutes() -> None:
    health, seconds = fail(HEALTHY, 3), []
    for _ in range(6):
        assert health.until
        assert health.since
        seconds.append((health.until - health.since).total_seconds())
        health = fail(probed(as_of(health, health.until), health.until), 1, health.until)
    assert seconds == [30, 60, 120, 240, 300, 300]
    assert open_for(10**6) == LONGEST_OPEN


def test_nothing_may_go_until_the_time_has_passed_and_then_one_probe() -> None:
    opened = fail(HEALTHY, 3)
    assert not as_of(opened, NOON + 29 * SECOND).may_be_asked
    ready = as_of(opened, NOON + 30 * SECOND)
    assert (ready.state, ready.may_be_asked) == ("half_open", True)
    assert not as_of(probed(ready, NOON + 30 * SECOND), NOON + 60 * SECOND).may_be_asked


def test_a_probe_that_is_answered_closes_the_breaker_and_forgets_the_failures() -> None:
    closed = after_success(probed(fail(HEALTHY, 3), NOON + 30 * SECOND), NOON + 35 * SECOND)
    assert (closed.state, closed.failures, closed.since) == ("closed", 0, NOON + 35 * SECOND)


def test_a_probe_that_stays_silent_is_given_up() -> None:
    probing = probed(fail(HEALTHY, 3), NOON + 30 * SECOND)
    assert as_of(probing, NOON + 30 * SECOND + PROBE_PATIENCE).may_be_asked


def test_what_is_paused_stays_so_whatever_is_reported_until_a_person_resumes_it() -> None:
    stopped = paused(HEALTHY, "it has no funds", NOON)
    assert fail(stopped, 5) == stopped
    assert after_success(stopped, NOON) == stopped
    assert as_of(stopped, NOON + timedelta(days=365)) == stopped
    again = resumed(stopped, "ada", NOON + SECOND)
    assert (again.state, again.because) == ("closed", "ada resumed it")


def test_resuming_what_works_changes_nothing() -> None:
    assert resumed(HEALTHY, "ada", NOON) == HEALTHY


@given(st.lists(st.sampled_from(["fail", "succeed", "probe", "wait", "unprobe"]), max_size=30))
def test_whatever_happens_what_opened_stays_so_for_its_time_and_ends_by_a_probe_alone(
    happenings: list[str],
) -> None:
    health, now = HEALTHY, NOON
    for happening in happenings:
        before = health
        now += 45 * SECOND if happening == "wait" else SECOND
        if happening == "fail":
            health = after_failure(health, "503", now)
        elif happening == "succeed":
            health = after_success(health, now)
        elif happening == "unprobe":
            health = unprobed(health, now)
        elif happening == "probe" and as_of(health, now).state == "half_open":
            health = probed(health, now)
        assert health == before or before.state != "open" or health.state == "half_open"
        assert health.state != "closed" or health.failures < 3
        if health.state == "open":
            assert health.since
            assert health.until
            assert health.until == health.since or 30 * SECOND <= health.until - health.since <= LONGEST_OPEN


# --- in the store ---


class Clock:
    """A time that a test moves."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(local_store: Store) -> Iterator[Worker]:
    with working(local_store, "this run") as found:
        yield found


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = PROCESSES.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def opened(breaker: Breaker) -> Permit:
    """Open the breaker; return a permit of before."""
    permit = breaker.may_send()
    for _ in range(3):
        breaker.failed("it answered 503", permit)
    return permit


def changes(store: Store) -> list[str]:
    return [event.body.state for event in store.events.read(HEALTH, "vendor")]


def test_what_works_writes_nothing(local_store: Store, worker: Worker) -> None:
    breaker = Breaker(local_store, "vendor", worker)
    for _ in range(3):
        breaker.succeeded(breaker.may_send())
    assert breaker.now_health() == HEALTHY
    assert changes(local_store) == []


def test_another_process_sees_that_it_is_open(local_store: Store, worker: Worker, clock: Clock) -> None:
    opened(Breaker(local_store, "vendor", worker, clock=clock))
    other = Breaker(local_store, "vendor", worker, clock=clock)
    assert other.now_health().state == "open"
    assert not other.may_send().is_granted
    assert health_of(local_store, "vendor", now=NOON).because == "it answered 503"
    assert health_of(local_store, "another", now=NOON) == HEALTHY


def test_failures_of_requests_under_way_when_it_opened_do_not_double_its_time(
    local_store: Store, worker: Worker, clock: Clock
) -> None:
    breaker = Breaker(local_store, "vendor", worker, clock=clock)
    early = opened(breaker)
    for _ in range(7):
        breaker.failed("it answered 503", early)
    clock.now += 31 * SECOND
    probe = breaker.may_send()
    breaker.failed("a call that hung since before", early)
    breaker.succeeded(early)
    assert breaker.now_health().state == "half_open"
    breaker.failed("it answered 503", probe)
    assert health_of(local_store, "vendor", now=clock.now).until == clock.now + 60 * SECOND
    assert changes(local_store) == ["closed", "closed", "open", "half_open", "open"]


def test_an_outcome_without_a_permit_counts_only_while_it_is_closed(
    local_store: Store, worker: Worker, clock: Clock
) -> None:
    breaker = Breaker(local_store, "vendor", worker, clock=clock)
    for _ in range(3):
        breaker.failed("it answered 503", None)
    assert breaker.now_health().state == "open"
    clock.now += 31 * SECOND
    breaker.may_send()
    breaker.succeeded(None)
    assert breaker.now_health().state == "half_open"


def test_a_probe_that_was_not_sent_lets_another_one_go_at_once(
    local_store: Store, worker: Worker, clock: Clock
) -> None:
    breaker = Breaker(local_store, "vendor", worker, clock=clock)
    opened(breaker)
    clock.now += 31 * SECOND
    breaker.unsent(breaker.may_send())
    assert breaker.may_send().is_granted
    assert not breaker.may_send().is_granted


def test_a_paused_account_is_resumed_by_a_person_whose_name_is_kept(
    local_store: Store, worker: Worker, clock: Clock
) -> None:
    breaker = Breaker(local_store, "vendor", worker, clock=clock)
    permit = breaker.may_send()
    breaker.pause("401: the key is not valid")
    breaker.pause("402: no funds")
    breaker.succeeded(permit)
    clock.now += timedelta(days=9)
    refused = breaker.may_send()
    assert (refused.is_granted, refused.health.because) == (False, "401: the key is not valid")
    assert resume(local_store, "vendor", "ada", now=clock.now).state == "closed"
    assert Breaker(local_store, "vendor", worker, clock=clock).may_send().is_granted
    last = local_store.events.read(HEALTH, "vendor")[-1].body
    assert (last.because, last.worker) == ("ada resumed it", None)
    assert changes(local_store) == ["paused", "closed"]


def test_people_see_every_change_in_the_stores_views(
    local_store: Store, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    opened(Breaker(local_store, "vendor", worker, clock=clock))
    write_views(tmp_path / "store.duckdb", local_store.files, [], [HEALTH])
    with connect(local_store.files, tmp_path / "store.duckdb") as connection:
        found = connection.execute(
            "SELECT subject, state, because, until - since FROM health ORDER BY name DESC LIMIT 1"
        ).fetchall()
    assert found == [("vendor", "open", "it answered 503", 30 * SECOND)]


def test_of_many_threads_one_is_the_probe(local_store: Store, worker: Worker, clock: Clock) -> None:
    breaker = Breaker(local_store, "vendor", worker, clock=clock)
    opened(breaker)
    clock.now += 31 * SECOND
    with ThreadPoolExecutor(8) as pool:
        permits = list(pool.map(lambda _: breaker.may_send(), range(8)))
    assert sum(permit.is_granted for permit in permits) == 1


# --- many processes at once ---


def _fail_and_probe(address: Address, start_line: Any, told: Any) -> None:
    store, clock = address.open(), Clock()
    with working(store, "run") as worker:
        breaker = Breaker(store, "vendor", worker, clock=clock)
        early = breaker.may_send()
        start_line.wait()
        for _ in range(3):
            breaker.failed("it answered 503", early)
        start_line.wait()
        clock.now += 31 * SECOND
        told.put(breaker.may_send().is_granted)
        start_line.wait()


def test_of_processes_at_once_each_change_is_recorded_by_one_and_one_sends_the_probe(
    address: Address,
) -> None:
    start_line, told, count = PROCESSES.Barrier(3), PROCESSES.Queue(), 3
    processes = [start(_fail_and_probe, address, start_line, told) for _ in range(count)]
    assert sorted(told.get(timeout=PATIENCE) for _ in range(count)) == [False, False, True]
    for process in processes:
        process.join(PATIENCE)
    store = address.open()
    assert store.events.names(HEALTH, "vendor") == ["00000001", "00000002", "00000003", "00000004"]
    assert changes(store) == ["closed", "closed", "open", "half_open"]


def _probe_for_ever(address: Address, probing: Any) -> None:
    store, clock = address.open(), Clock()
    with working(store, "run") as worker:
        breaker = Breaker(store, "vendor", worker, clock=clock)
        opened(breaker)
        clock.now += 31 * SECOND
        assert breaker.may_send().is_granted
        probing.set()
        time.sleep(3600)


def test_the_probe_of_a_killed_process_is_taken_over(address: Address) -> None:
    probing, store = PROCESSES.Event(), address.open()
    process = start(_probe_for_ever, address, probing)
    assert probing.wait(PATIENCE)
    with working(store, "run") as worker:
        clock = Clock(NOON + 32 * SECOND)
        breaker = Breaker(store, "vendor", worker, clock=clock)
        assert not breaker.may_send().is_granted
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)
        probe = breaker.may_send()
        assert probe.is_granted
        breaker.succeeded(probe)
        assert breaker.now_health().state == "closed"
    assert changes(store) == ["closed", "closed", "open", "half_open", "half_open", "closed"]
