"""Attempts with when they were claimed and last heard of: what reports of money and of queues begin with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, Attempt, standings
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store


@dataclass(frozen=True)
class Claim:
    """An attempt of a campaign."""

    campaign: str
    attempt: Attempt
    """Its newest state."""
    claimed_at: datetime
    last_at: datetime
    """When something of it was recorded last."""
    set_aside_usd: float
    """The most that it could cost, when it was claimed."""

    @property
    def is_open(self) -> bool:
        """Whether it has no end yet."""
        return self.attempt.state in OPEN

    @property
    def account(self) -> str | None:
        """Whose account a remote provider charges; none where nobody is asked through an endpoint."""
        return None if self.attempt.call is None else self.attempt.call.account


def claims(campaign: str, events: Iterable[Event[Attempt]]) -> list[Claim]:
    """Every attempt that a campaign's events tell of, in the order in which they were claimed."""
    by_key: dict[tuple[str, int], list[Event[Attempt]]] = {}
    for event in events:
        by_key.setdefault((event.body.candidate_id, event.body.attempt), []).append(event)
    found = []
    for key, its in by_key.items():
        first = min(its, key=lambda event: event.recorded_at)
        found.append(
            Claim(
                campaign=campaign,
                attempt=standings(its)[key],
                claimed_at=first.recorded_at,
                last_at=max(event.recorded_at for event in its),
                set_aside_usd=first.body.cost_usd,
            )
        )
    return sorted(found, key=lambda each: (each.claimed_at, each.attempt.candidate_id, each.attempt.attempt))


def load_claims(store: Store, campaigns: Sequence[str] = ()) -> list[Claim]:
    """The attempts of these campaigns, of all that have any if none is named."""
    named = dict.fromkeys(campaigns) or store.events.partitions(ATTEMPTS)
    return [each for name in named for each in claims(name, store.events.read(ATTEMPTS, name))]
