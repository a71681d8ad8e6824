"""Attempts at a candidate: claimed before anything is sent, settled once, and never claimed twice.

Every state that an attempt comes to is an event of its own, recorded before what follows from it. So after a
crash, whoever goes on knows what may have been paid for. What ran in a dead process is lost with it. What was
sent to a remote provider is taken over: asked for where it was accepted, looked for where nobody knows. Only
when that is settled may a new attempt start.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from asset_pipeline.candidates.jobs.job import ImageResult, Job, Ticket
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.worker import Worker

OpenState = Literal["pending", "submitting", "queued", "running", "fetching"]
State = Literal[
    OpenState,
    "succeeded",
    "refused",
    "failed",
    "canceled",
    "expired",
    "lost",
    "unreconciled",
    "superseded",
    "released",
]
"""``pending``: claimed, nothing was sent. ``submitting``: on its way; of what runs in this process, at work.
``lost``: it is certain that nothing more comes of it. ``unreconciled``: it may have been paid for, and nobody
can tell. ``superseded``: another attempt that was hedged with it was faster. ``released``: a person allows
another attempt."""

OPEN: Sequence[State] = ("pending", "submitting", "queued", "running", "fetching")
"""States that are no end, in the order in which an attempt comes to them."""
FINAL: Sequence[State] = ("succeeded", "refused")
"""After these the same request is not tried again unless someone asks for it afresh."""
MOST_ATTEMPTS = 8
"""After so many that failed, a candidate is left alone until a person releases it."""
MOST_PAID_FOR_NOTHING = 3
"""The same where a remote provider was paid for the last attempt, as far as anyone knows, and it is lost."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(_Frozen):
    """What a remote provider is sent: all that it takes to go on with an attempt after a crash."""

    provider: str
    account: str
    base_url: str
    """The endpoint as it was then; the attempt is asked for there, whatever the profile says by now."""
    job: Job
    token: str | None = None
    """The attempt's own part of the address that the provider calls back."""
    expected_usd: float = 0.0
    payload_sha256: str | None = None
    """Of what was sent; none before that."""
    sent_at: AwareDatetime | None = None
    dropped: tuple[str, ...] = ()


class Attempt(_Frozen):
    """A state that one attempt at one candidate came to."""

    candidate_id: str
    attempt: int
    state: State
    run_id: str
    worker: Worker
    profile: str
    cost_usd: float = 0.0
    """Open: the most that it can cost, which is set aside. Settled: what it did cost."""
    seconds: float = 0.0
    reason: str | None = None
    image_sha256: str | None = None
    mask_sha256: str | None = None
    perceptual_hash: str | None = None
    details: dict[str, Any] = {}
    hedges: int | None = None
    """The late attempt that this one was begun beside; the faster of both supersedes the other."""
    handover: int = 0
    """How often another worker has taken it over from a dead one."""
    call: Call | None = None
    """Of a remote provider."""
    ticket: Ticket | None = None
    """How its job is found again, from the moment it was accepted."""
    result: ImageResult | None = None
    """What came of it there, with its end."""

    @property
    def race(self) -> tuple[str, int]:
        """What it shares with the attempt that it is hedged with, and with no other."""
        return self.candidate_id, self.attempt if self.hedges is None else self.hedges

    @property
    def code(self) -> str | None:
        """Why it brought no picture, in a word of docs/runbook.md."""
        return None if self.result is None else self.result.code


ATTEMPTS = EventStream("attempts", Attempt, partitioned_by="campaign")


def event_name(attempt: Attempt) -> str:
    """The name under which a state is recorded; an attempt is claimed once and settled once."""
    return f"{attempt.candidate_id}.{attempt.attempt:04d}.{_moment(attempt)}"


def takeover_name(attempt: Attempt) -> str:
    """The name under which a takeover is recorded: of many workers, one takes over."""
    return f"{attempt.candidate_id}.{attempt.attempt:04d}.resumed-{attempt.handover:02d}"


def _moment(attempt: Attempt) -> str:
    if attempt.state == "submitting":
        return "submitting" if attempt.call is None else "sent"
    if attempt.state == "pending":
        return "submitting"
    return attempt.state if attempt.state in (*OPEN, "released") else "settled"


@dataclass(frozen=True)
class Next:
    """What to do about a candidate, and why."""

    action: Literal["make", "reuse", "wait", "bury", "resume", "hold"]
    """``bury``: settle the last attempt as lost, because its worker is gone. ``resume``: take it over,
    because a provider may have it. ``hold``: a person has to release it first."""
    attempt: int
    """The attempt to make, or the one that the action is about."""
    last: Attempt | None
    """The newest state of the newest attempt, if there was one."""
    reason: str


def newest(events: Iterable[Event[Attempt]]) -> dict[str, Attempt]:
    """The newest state of each candidate's newest attempt; what another attempt superseded counts as none."""
    found = {
        candidate_id: newest_of(history)
        for candidate_id, history in histories(standings(events).values()).items()
    }
    return {candidate_id: attempt for candidate_id, attempt in found.items() if attempt is not None}


def newest_of(history: Sequence[Attempt]) -> Attempt | None:
    """The last of a candidate's attempts that no other one superseded."""
    return next((attempt for attempt in reversed(history) if attempt.state != "superseded"), None)


def standings(events: Iterable[Event[Attempt]]) -> dict[tuple[str, int], Attempt]:
    """The newest state of every attempt, by candidate and number."""
    latest: dict[tuple[str, int], Attempt] = {}
    for event in events:
        attempt = event.body
        key = (attempt.candidate_id, attempt.attempt)
        if key not in latest or _age(attempt) > _age(latest[key]):
            latest[key] = attempt
    return latest


def histories(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """The attempts of each candidate, in order."""
    by_candidate: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda each: each.attempt):
        by_candidate[attempt.candidate_id].append(attempt)
    return by_candidate


def what_next(last: Attempt | None, *, owner_is_alive: bool, this_run: str, afresh: bool) -> Next:
    """Decide about one candidate.

    Args:
        last: the newest state of its newest attempt.
        owner_is_alive: whether that attempt's worker may still be at work.
        this_run: the run that asks.
        afresh: whether what other runs finished counts for nothing.
    """
    if last is None:
        return Next("make", 1, None, "nobody has made it")
    if last.state in OPEN:
        return _next_of_open(last, owner_is_alive=owner_is_alive)
    if afresh and last.run_id != this_run:
        return Next("make", last.attempt + 1, last, "asked for afresh")
    return _next_of_settled(last)


def _next_of_open(last: Attempt, *, owner_is_alive: bool) -> Next:
    if owner_is_alive:
        return Next("wait", last.attempt, last, f"run {last.run_id} is making it")
    if last.call is not None:
        return Next("resume", last.attempt, last, f"run {last.run_id} ended while {last.profile} had it")
    return Next("bury", last.attempt, last, f"run {last.run_id} died while it was making it")


def _next_of_settled(last: Attempt) -> Next:
    if last.state in FINAL:
        return Next("reuse", last.attempt, last, f"it {last.state} in run {last.run_id}")
    if last.state == "unreconciled":
        return Next("hold", last.attempt, last, f"it may have been paid for: {last.reason}")
    is_paid_for_nothing = last.state == "lost" and last.call is not None and last.cost_usd > 0
    is_failure = is_paid_for_nothing or last.state in ("failed", "canceled", "expired")
    if is_failure and last.attempt >= (MOST_PAID_FOR_NOTHING if is_paid_for_nothing else MOST_ATTEMPTS):
        return Next("hold", last.attempt, last, f"{last.attempt} attempts came to nothing: {last.reason}")
    return Next("make", last.attempt + 1, last, f"the last attempt was {last.state}: {last.reason}")


def is_to_come(attempt: Attempt) -> bool:
    """Whether a candidate's newest attempt leaves it without an end: it is open, or another one follows."""
    if attempt.state in (*OPEN, "released"):
        return True
    return attempt.state == "lost" and _next_of_settled(attempt).action == "make"


def spent_usd(events: Iterable[Event[Attempt]]) -> float:
    """What all attempts cost: settled ones what they did cost, the others what is set aside for them."""
    return total_usd(attempt.cost_usd for attempt in standings(events).values())


def spent_usd_on(events: Sequence[Event[Attempt]], day: date) -> float:
    """The same of the attempts that were claimed on a day, in UTC."""
    claimed: dict[tuple[str, int], date] = {}
    for event in events:
        key = (event.body.candidate_id, event.body.attempt)
        claimed[key] = min(claimed.get(key, event.recorded_at.date()), event.recorded_at.date())
    return total_usd(attempt.cost_usd for key, attempt in standings(events).items() if claimed[key] == day)


def affordable(prices_usd: Sequence[float], left_usd: float) -> int:
    """How many of these, in order, what is left of a budget allows; all of those that cost nothing."""
    spent, count = 0.0, 0
    for price in prices_usd:
        spent += price
        if price > 0 and spent > left_usd + 1e-9:
            break
        count += 1
    return count


def _age(attempt: Attempt) -> tuple[bool, bool, int, int]:
    """What makes one state of an attempt newer than another."""
    is_open = attempt.state in OPEN
    return (
        attempt.state == "released",
        not is_open,
        attempt.handover,
        OPEN.index(attempt.state) if is_open else 0,
    )
