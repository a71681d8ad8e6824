"""Whether a profile or an account can be asked now: a circuit breaker as values and transitions.

Three failures in a row open it: nothing is sent for 30 s, then one request alone, the probe, finds out. Each
probe that fails doubles the time, up to 300 s; one that succeeds closes the breaker. An account that refuses
our key or has no funds is paused instead: no time heals that, so a person resumes it.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

FAILURES_TO_OPEN = 3
"""In a simulation of outages (``benchmarks/routing.py``); one failure or two are the weather of any
network."""
FIRST_OPEN = timedelta(seconds=30)
LONGEST_OPEN = timedelta(seconds=300)
PROBE_PATIENCE = timedelta(minutes=10)
"""A probe that is silent for so long is forgotten, although its worker lives: no queue is worth waiting
longer."""

State = Literal["closed", "open", "half_open", "paused"]


class Health(BaseModel):
    """What is known of a profile or an account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State = "closed"
    since: datetime | None = None
    """When it came to this state; none: it was never in another one."""
    until: datetime | None = None
    """Open: when a probe may go. Half-open: until when the probe under way is waited for; none: no one
    probes."""
    because: str = "nothing is known against it"
    failures: int = 0
    """How many there were in a row."""

    @property
    def may_be_asked(self) -> bool:
        """Whether a request may go there, be it as the probe."""
        return self.state == "closed" or (self.state == "half_open" and self.until is None)


HEALTHY = Health()


def open_for(failures: int) -> timedelta:
    """How long nothing is sent after so many failures in a row."""
    longer = FIRST_OPEN
    for _ in range(failures - FAILURES_TO_OPEN):
        longer = min(2 * longer, LONGEST_OPEN)
    return longer


def as_of(health: Health, now: datetime) -> Health:
    """What a recorded health means by now: time alone lets a probe go, or forgets one."""
    if health.state in ("open", "half_open") and health.until is not None and health.until <= now:
        return health.model_copy(update={"state": "half_open", "until": None})
    return health


def after_failure(health: Health, because: str, now: datetime) -> Health:
    """A request came to nothing through no fault of its own."""
    failures = health.failures + 1
    if health.state == "half_open" or (health.state == "closed" and failures >= FAILURES_TO_OPEN):
        until = now + open_for(failures)
        return Health(state="open", since=now, until=until, because=because, failures=failures)
    if health.state == "closed":
        return health.model_copy(update={"because": because, "failures": failures})
    return health


def after_success(health: Health, now: datetime) -> Health:
    """A request was answered, be it with a refusal of its content."""
    if health.state == "half_open":
        return Health(since=now, because="the probe was answered")
    if health.state == "closed" and health.failures:
        return health.model_copy(update={"because": "the last request was answered", "failures": 0})
    return health


def probed(health: Health, now: datetime) -> Health:
    """A request goes there alone, to find out."""
    return Health(
        state="half_open",
        since=now,
        until=now + PROBE_PATIENCE,
        because=health.because,
        failures=health.failures,
    )


def unprobed(health: Health, now: datetime) -> Health:
    """The probe was never sent: the next one may go at once."""
    if health.state != "half_open":
        return health
    return health.model_copy(update={"state": "open", "since": now, "until": now})


def paused(health: Health, because: str, now: datetime) -> Health:
    """Only a person can mend it."""
    if health.state == "paused":
        return health
    return Health(state="paused", since=now, because=because, failures=health.failures)


def resumed(health: Health, who: str, now: datetime) -> Health:
    """A person says that it is mended; nothing changes where nothing was wrong."""
    if health.state == "closed":
        return health
    return Health(since=now, because=f"{who} resumed it")
