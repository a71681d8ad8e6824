"""An account's limits, kept by all its processes together: calls in a time, jobs at once, and Retry-After.

They rest on nothing but the store's exclusive files, so they hold between machines. The buckets of
pyrate-limiter, the library for this, need a shared Redis, Postgres or a file that is locked on one machine.
What is kept here is no fact: it is cleaned as it ages.

**Calls in a time** are a token bucket whose tokens have names: each becomes due at a moment, is named by it
and is taken by creating its file. One that nobody took stays good until `burst` younger ones are due.

**Jobs at once** are numbered leases, and a lease is a chain of numbered files: if the last number is odd
someone holds it, if it is even or there is none it is free. Whoever takes it, gives it back or takes it
over from the dead adds a link, and a link exists once. The last link is never removed, so none comes back.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from asset_pipeline.campaign.brief import Priority
from asset_pipeline.store.files import safe_path
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, is_alive

SHARES: Mapping[Priority, float] = {"low": 0.5, "normal": 0.8, "high": 1.0, "interactive": 1.0}
"""The share of an account's leases that requests of a priority may hold, at least one."""

_AHEAD_SECONDS = 1.0
"""How early a token may be taken, to wait for it instead of asking again."""
_KEPT_SECONDS = 60.0
"""How long a token's file stays; clocks that differ by less take no token twice."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_LONGEST_PAUSE_OF_THE_URGENT = 0.2
_GLANCE_SECONDS = 0.2
"""How often someone who sleeps looks whether to stop."""
_OWNERS_LIFE_SECONDS = 2.0
"""How long it is believed that the owner of a lease is alive."""

Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Rate:
    """How many calls an account allows in how many seconds: on average, and `burst` at once after a rest.

    In any stretch of time no more than ``burst + 1`` calls beyond the average are made.
    """

    calls: int
    seconds: float
    burst: int = 1

    @property
    def step(self) -> float:
        """Seconds from one token to the next."""
        return self.seconds / self.calls


class Limits:
    """One worker's share of an account's limits. Threads may use it at once.

    Args:
        store: in whose files the limits are kept; its workers' heartbeats tell who is alive.
        account: whose limits they are.
        worker: who holds what is taken here.
        rate: calls in a time; none: as many as anyone likes.
        concurrency: jobs at once; none: the same.
    """

    def __init__(
        self, store: Store, account: str, worker: Worker, *, rate: Rate | None, concurrency: int | None
    ) -> None:
        self._store = store
        self._files = store.files
        self._worker = worker
        self._rate = rate
        self._concurrency = concurrency
        self._calls = safe_path("limits", account, "calls")
        self._holds = safe_path("limits", account, "holds")
        self._leases = safe_path("limits", account, "leases")
        self._alive_until: dict[str, float] = {}

    def hold_until(self, moment: float) -> None:
        """Let nobody call before a moment, in seconds since 1970: what a provider's Retry-After asks for."""
        self._files.create(f"{self._holds}/{_micros(moment)}", b"")

    def held_until(self) -> float | None:
        """Until when nobody calls, in seconds since 1970; none if calls may be made now."""
        now = time.time()
        moments = {name: int(name) / 1e6 for name in self._files.names(self._holds)}
        for name, moment in moments.items():
            if moment < now - _KEPT_SECONDS:
                self._files.remove(f"{self._holds}/{name}")
        return max((moment for moment in moments.values() if moment > now), default=None)

    def await_turn(self, stopped: Stopped) -> bool:
        """Wait until a call may be made, and count it; False if `stopped` said so first."""
        pause = _SHORTEST_PAUSE
        while not stopped():
            held = self.held_until()
            if held is not None:
                # Not all at once when the time is over.
                _sleep(held - time.time() + random.uniform(0, 1), stopped)  # noqa: S311
                continue
            if self._rate is None:
                return True
            due = self._take_token(self._rate)
            if due is None:
                pause = _pause(pause, _LONGEST_PAUSE, stopped)
                continue
            _sleep(due - time.time(), stopped)
            if not stopped() and self.held_until() is None:
                return True
            self._files.remove(f"{self._calls}/{_micros(due)}")
        return False

    @contextmanager
    def lease(self, priority: Priority, stopped: Stopped) -> Iterator[bool]:
        """Hold one of the account's leases for a job; yields False if `stopped` said so before it had one."""
        if self._concurrency is None:
            yield not stopped()
            return
        held = self._await_lease(_open_to(priority, self._concurrency), priority, stopped)
        try:
            yield held is not None
        finally:
            if held is not None:
                slot, link = held
                self._add_link(slot, link + 1)

    def _take_token(self, rate: Rate) -> float | None:
        """Take a token that is due, will be within a second, or is the next one.

        Returns:
            When it is due, in seconds since 1970; none if others have them all.
        """
        now = time.time()
        taken = set(self._files.names(self._calls))
        forgotten = _micros(now - _KEPT_SECONDS - rate.burst * rate.step)
        for name in taken:
            if name < forgotten:
                self._files.remove(f"{self._calls}/{name}")
        newest = math.floor(now / rate.step)
        ahead = max(1, math.floor(_AHEAD_SECONDS / rate.step))
        for number in range(newest - rate.burst + 1, newest + ahead + 1):
            due = number * rate.step
            name = _micros(due)
            if name not in taken and self._files.create(f"{self._calls}/{name}", b""):
                return due
        return None

    def _await_lease(
        self, slots: Sequence[int], priority: Priority, stopped: Stopped
    ) -> tuple[int, int] | None:
        """Wait for one of these leases; return it with the link that holds it."""
        longest = _LONGEST_PAUSE if priority in ("low", "normal") else _LONGEST_PAUSE_OF_THE_URGENT
        pause = _SHORTEST_PAUSE
        while not stopped():
            last = self._last_links()
            free = [slot for slot in slots if not _is_held(last.get(slot, 0))]
            for slot in free or self._orphans(slots, last):
                link = last.get(slot, 0)
                taking = link + (2 if _is_held(link) else 1)
                if self._add_link(slot, taking):
                    return slot, taking
            pause = _pause(pause, longest, stopped)
        return None

    def _orphans(self, slots: Sequence[int], last: Mapping[int, int]) -> Iterator[int]:
        """Those of the held leases whose owner is dead."""
        now = time.monotonic()
        paths = {f"{self._leases}/{_link_name(slot, last[slot])}": slot for slot in slots}
        lives = {path: until for path, until in self._alive_until.items() if path in paths and until > now}
        for path, data in self._files.read_many(paths.keys() - lives.keys()).items():
            owner = Worker.model_validate_json(data)
            if owner == self._worker or is_alive(self._store, owner):
                lives[path] = now + _OWNERS_LIFE_SECONDS
            else:
                yield paths[path]
        self._alive_until = lives

    def _add_link(self, slot: int, link: int) -> bool:
        """Add a link to a lease's chain; say whether it is the last one, and this call's."""
        path = f"{self._leases}/{_link_name(slot, link)}"
        if not self._files.create(path, self._worker.model_dump_json().encode()):
            return False
        # Who looked long ago may add a link that had been there and was cleaned.
        links = self._links().get(slot, [])
        if max(links, default=0) > link:
            self._files.remove(path)
            return False
        for older in links:
            if older < link - 1:  # the one before stays, so that a listing made meanwhile misses not both
                self._files.remove(f"{self._leases}/{_link_name(slot, older)}")
        return True

    def _last_links(self) -> dict[int, int]:
        return {slot: max(links) for slot, links in self._links().items()}

    def _links(self) -> dict[int, list[int]]:
        links: dict[int, list[int]] = {}
        for name in self._files.names(self._leases):
            slot, _, link = name.partition(".")
            links.setdefault(int(slot), []).append(int(link))
        return links


def _open_to(priority: Priority, concurrency: int) -> list[int]:
    """The leases a priority may take, from the top, so that the lowest stay for those who have no others."""
    return list(reversed(range(max(1, math.floor(SHARES[priority] * concurrency)))))


def _is_held(link: int) -> bool:
    return link % 2 == 1


def _link_name(slot: int, link: int) -> str:
    return f"{slot:04d}.{link:010d}"


def _micros(moment: float) -> str:
    """A moment as a name that sorts: microseconds since 1970."""
    return f"{round(moment * 1e6):020d}"


def _pause(pause: float, longest: float, stopped: Stopped) -> float:
    """Sleep for a random part of a pause, and return the next one."""
    _sleep(random.uniform(pause / 2, pause), stopped)  # noqa: S311 - to come at another time than the others
    return min(1.5 * pause, longest)


def _sleep(seconds: float, stopped: Stopped) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, _GLANCE_SECONDS))
