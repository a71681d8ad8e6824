"""How much of ours waits at providers, for how long, and what they turned away. Pure over values."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from asset_pipeline.spending.claims import Claim

Stage = Literal["to send", "queued", "running", "fetching"]
_STAGES: Mapping[str, Stage] = {
    "pending": "to send",
    "submitting": "to send",
    "queued": "queued",
    "running": "running",
    "fetching": "fetching",
}
TURNED_AWAY = frozenset({"rate_limited", "provider_unavailable"})
"""The codes of attempts that were never accepted because the other side was busy or away."""
RECENTLY = timedelta(hours=1)


@dataclass(frozen=True)
class Queue:
    """What is under way for one profile with one account."""

    stages: Mapping[Stage, int] = field(default_factory=dict)
    """How many open attempts are at which stage; ``to send`` counts those that nobody has accepted yet."""
    oldest_seconds: float | None = None
    """Since the oldest of them was claimed; none if there is none."""
    turned_away: int = 0
    """Attempts that ended within the last hour because they were not let in. Those that were let in after a
    pause are not recorded."""

    @property
    def depth(self) -> int:
        """How many there are."""
        return sum(self.stages.values())


def queues(claims: Iterable[Claim], now: datetime) -> dict[tuple[str, str], Queue]:
    """By profile and account, of attempts at remote providers; those with nothing to tell are left out."""
    found: dict[tuple[str, str], list[Claim]] = {}
    for each in claims:
        if each.account is not None and (each.is_open or _was_turned_away(each, now)):
            found.setdefault((each.attempt.profile, each.account), []).append(each)
    return {key: _queue(its, now) for key, its in found.items()}


def _queue(claims: Iterable[Claim], now: datetime) -> Queue:
    its = list(claims)
    still_open = [each for each in its if each.is_open]
    ages = [(now - each.claimed_at).total_seconds() for each in still_open]
    return Queue(
        stages=Counter(_STAGES[each.attempt.state] for each in still_open),
        oldest_seconds=max(0.0, *ages) if ages else None,
        turned_away=len(its) - len(still_open),
    )


def _was_turned_away(claim: Claim, now: datetime) -> bool:
    return claim.attempt.code in TURNED_AWAY and now - claim.last_at <= RECENTLY
