"""The breaker of a profile or an account, shared by all processes: its changes are events in the store.

Each change has the next number as its name, and a name exists once. So of many processes that see the third
failure one opens the breaker, and of many that see its time pass one sends the probe.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from asset_pipeline.candidates.health import (
    HEALTHY,
    Health,
    after_failure,
    after_success,
    as_of,
    paused,
    probed,
    resumed,
    unprobed,
)
from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, is_alive

_CACHED_SECONDS = 1.0
"""How old a read may be: a request takes longer, and every failure and every probe looks again."""

Clock = Callable[[], datetime]


class HealthChange(Health):
    """What a profile's or an account's health became, and through whom."""

    worker: Worker | None
    """Whose request brought the change, or who probes; none: a person did."""


HEALTH = EventStream("health", HealthChange, partitioned_by="subject")


@dataclass(frozen=True)
class Permit:
    """The answer to "may I send?". It goes back with the outcome, so that late ones do not count twice."""

    is_granted: bool
    health: Health
    """As it was when the answer was given; granted in ``half_open``, the request is the probe."""


@dataclass(frozen=True)
class _Recorded:
    """The newest change, by its number."""

    number: int
    health: Health
    worker: Worker | None


_NEVER_CHANGED = _Recorded(0, HEALTHY, None)


class Breaker:
    """One worker's view of a breaker. Threads may use it at once.

    Args:
        store: where the changes are.
        subject: the name of a profile or of an account.
        worker: who asks; when it dies, its probe is another's.
        clock: the time. Machines whose clocks differ by seconds only probe so much earlier or later.
    """

    def __init__(
        self, store: Store, subject: str, worker: Worker, *, clock: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._subject = subject
        self._worker = worker
        self._clock = clock
        self._lock = Lock()
        self._read: tuple[float, _Recorded, Health] | None = None

    def now_health(self) -> Health:
        """The health by now, read at most a second ago."""
        with self._lock:
            if self._read is None or time.monotonic() - self._read[0] > _CACHED_SECONDS:
                _, health = self._look()
            else:
                _, _, health = self._read
            return as_of(health, self._clock())

    def may_send(self) -> Permit:
        """Ask before a request is sent; in the half-open state one process alone is told yes."""
        health = self.now_health()
        if health.state == "closed":
            return Permit(is_granted=True, health=health)
        with self._lock:
            last, health = self._look()
            if not health.may_be_asked:
                return Permit(is_granted=False, health=health)
            if health.state == "closed":
                return Permit(is_granted=True, health=health)
            probing = probed(health, self._clock())
            if self._record(last, probing):
                return Permit(is_granted=True, health=probing)
            _, health = self._look()
            return Permit(is_granted=False, health=health)

    def succeeded(self, permit: Permit | None) -> None:
        """A request was answered, be it with a refusal of its content.

        Args:
            permit: with which it was sent; none: it was sent by a worker that is gone.
        """
        with self._lock:
            known = self._read[1].health if self._read else None
        # what every successful request would write is not even read
        if known is None or known.state != "closed" or known.failures:
            self._change(lambda health: after_success(health, self._clock()), permit)

    def failed(self, because: str, permit: Permit | None) -> None:
        """A request came to nothing through no fault of its own; `permit` as in ``succeeded``."""
        self._change(lambda health: after_failure(health, because, self._clock()), permit)

    def unsent(self, permit: Permit) -> None:
        """The request was not sent after all; if it was the probe, another may be it."""
        if permit.is_granted and permit.health.state == "half_open":
            self._change(lambda health: unprobed(health, self._clock()), permit)

    def pause(self, because: str) -> None:
        """The account refuses us until a person does something: see ``resume``."""
        with self._lock:
            while True:
                last, _ = self._look()
                health = paused(last.health, because, self._clock())
                if health == last.health or self._record(last, health):
                    return

    def _change(self, transition: Callable[[Health], Health], permit: Permit | None) -> None:
        with self._lock:
            while True:
                last, _ = self._look()
                health = last.health
                after = transition(health) if _counts(health, permit) else health
                if after == health or self._record(last, after):
                    return

    def _look(self) -> tuple[_Recorded, Health]:
        """Read the newest change; a probe whose worker is gone is nobody's."""
        last = _newest(self._store, self._subject)
        health = as_of(last.health, self._clock())
        prober = last.worker
        is_probed = health.state == "half_open" and health.until is not None
        if is_probed and prober and prober != self._worker and not is_alive(self._store, prober):
            health = health.model_copy(update={"until": None})
        self._read = time.monotonic(), last, health
        return last, health

    def _record(self, last: _Recorded, health: Health) -> bool:
        after = _Recorded(last.number + 1, health, self._worker)
        is_recorded = _record(self._store, self._subject, after, self._clock())
        if is_recorded:
            self._read = time.monotonic(), after, health
        return is_recorded


def health_of(store: Store, subject: str, *, now: datetime | None = None) -> Health:
    """The health of a profile or an account by now, for who only looks."""
    return as_of(_newest(store, subject).health, now or datetime.now(UTC))


def resume(store: Store, subject: str, who: str, *, now: datetime | None = None) -> Health:
    """Close a breaker in a person's name, whether it is paused or open; return what its health is then."""
    now = now or datetime.now(UTC)
    while True:
        last = _newest(store, subject)
        health = resumed(last.health, who, now)
        after = _Recorded(last.number + 1, health, None)
        if health == last.health or _record(store, subject, after, now):
            return health


def _counts(health: Health, permit: Permit | None) -> bool:
    """Whether an outcome says anything of this state.

    The outcome of a request that was sent in an earlier state does not: of ten requests that were under way
    when the breaker opened, seven would else double its time.
    """
    if permit is None:
        return health.state == "closed"
    return permit.is_granted and permit.health.since == health.since


def _newest(store: Store, subject: str) -> _Recorded:
    names = store.events.names(HEALTH, subject)
    event = store.events.get(HEALTH, subject, names[-1]) if names else None
    if event is None:
        return _NEVER_CHANGED
    health = Health.model_validate(event.body.model_dump(exclude={"worker"}))
    return _Recorded(int(event.name), health, event.body.worker)


def _record(store: Store, subject: str, change: _Recorded, now: datetime) -> bool:
    """Append a change under its number; say whether no other was first."""
    body = HealthChange(**change.health.model_dump(), worker=change.worker)
    return store.events.append(HEALTH, subject, f"{change.number:08d}", body, now=now)
