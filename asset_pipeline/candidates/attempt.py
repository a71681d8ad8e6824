"""Attempts at a candidate: claimed before anything is sent, settled once, and never claimed twice.

What an attempt costs is known before it starts, so the rule for going on after a crash is the same for
every provider: an attempt without an end belongs to its worker while that one lives; after that it is
settled as ``lost`` by whoever finds it, and only then may a new attempt start.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.worker import Worker

State = Literal["submitting", "succeeded", "refused", "failed", "lost"]


class Attempt(BaseModel):
    """A state that one attempt at one candidate came to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    attempt: int
    state: State
    run_id: str
    worker: Worker
    profile: str
    cost_usd: float = 0.0
    """``submitting``: what it is expected to cost. Settled: what it did cost."""
    seconds: float = 0.0
    reason: str | None = None
    image_sha256: str | None = None
    mask_sha256: str | None = None
    perceptual_hash: str | None = None
    details: dict[str, Any] = {}


ATTEMPTS = EventStream("attempts", Attempt, partitioned_by="campaign")

FINAL = ("succeeded", "refused")
"""After these the same request is not tried again unless someone asks for it afresh."""


def event_name(attempt: Attempt) -> str:
    """The name under which a state is recorded; an attempt is claimed once and settled once."""
    moment = "submitting" if attempt.state == "submitting" else "settled"
    return f"{attempt.candidate_id}.{attempt.attempt:04d}.{moment}"


@dataclass(frozen=True)
class Next:
    """What to do about a candidate, and why."""

    action: Literal["make", "reuse", "wait", "bury"]
    """``bury``: settle the last attempt as lost, because its worker is gone, then look again."""
    attempt: int
    """The attempt to make, or the one that the action is about."""
    last: Attempt | None
    """The newest state of the newest attempt, if there was one."""
    reason: str


def newest(events: Iterable[Event[Attempt]]) -> dict[str, Attempt]:
    """The newest state of the newest attempt of each candidate."""
    latest: dict[str, Attempt] = {}
    for event in events:
        attempt = event.body
        known = latest.get(attempt.candidate_id)
        if known is None or _age(attempt) > _age(known):
            latest[attempt.candidate_id] = attempt
    return latest


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
    if last.state == "submitting":
        if owner_is_alive:
            return Next("wait", last.attempt, last, f"run {last.run_id} is making it")
        return Next("bury", last.attempt, last, f"run {last.run_id} died while it was making it")
    if afresh and last.run_id != this_run:
        return Next("make", last.attempt + 1, last, "asked for afresh")
    if last.state in FINAL:
        return Next("reuse", last.attempt, last, f"it {last.state} in run {last.run_id}")
    return Next("make", last.attempt + 1, last, f"the last attempt was {last.state}: {last.reason}")


def spent_usd(events: Iterable[Event[Attempt]]) -> float:
    """What all attempts cost: settled ones what they did cost, the others what they were expected to."""
    by_attempt: dict[tuple[str, int], Attempt] = {}
    for event in events:
        attempt = event.body
        key = (attempt.candidate_id, attempt.attempt)
        if key not in by_attempt or attempt.state != "submitting":
            by_attempt[key] = attempt
    return sum(attempt.cost_usd for attempt in by_attempt.values())


def affordable(wanted: Sequence[str], price_usd: float, spent: float, budget_usd: float) -> int:
    """How many of the wanted candidates the budget allows, in order; all of them if they cost nothing."""
    if price_usd == 0:
        return len(wanted)
    left = max(0.0, budget_usd - spent)
    return min(len(wanted), int(left / price_usd + 1e-9))


def _age(attempt: Attempt) -> tuple[int, bool]:
    return attempt.attempt, attempt.state != "submitting"
