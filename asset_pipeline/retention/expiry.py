"""Which pictures expire, and their end: it is recorded first, then the bytes go. Facts never go.

Bytes go when every picture that they are the bytes of has expired, and nothing else needs them. Killed at
any moment, nothing looks lost: a picture whose end is recorded and whose bytes are still there loses them the
next time.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from asset_pipeline.candidates.expired import EXPIRIES, Expiry, Outcome, expiry_name
from asset_pipeline.retention.policy import Retention
from asset_pipeline.retention.uses import Needs, Use
from asset_pipeline.store.store import Store

WORKERS = 8
"""Most of the time is waiting for a disk or a bucket."""

Told = Callable[[str, int, int], None]
"""Takes what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class Due:
    """A picture whose time is over."""

    use: Use
    outcome: Outcome
    since: datetime
    policy: str
    """What the policy says: ``not_chosen: 90 days``."""


@dataclass(frozen=True)
class ExpiryPlan:
    """What would expire now."""

    due: tuple[Due, ...]
    """Pictures whose end is to be recorded."""
    remove: Mapping[str, int]
    """The bytes that go: their size by SHA-256; also those of ends that were recorded before."""
    kept: tuple[tuple[Due, str], ...]
    """Pictures whose time is over and whose bytes are needed elsewhere, each with where."""


def plan_expiry(needs: Needs, retention: Retention, sizes: Mapping[str, int], now: datetime) -> ExpiryPlan:
    """What expires.

    Args:
        needs: everything that the store's bytes are needed for.
        retention: how long pictures are kept.
        sizes: the bytes that the store has.
        now: the moment to which lifetimes are counted.
    """
    over = [due for use in needs.uses if (due := _due(use, retention, now))]
    ended = {use for use in needs.uses if use.has_expired}
    kept: dict[Use, str] = {}
    while True:
        going = ended | ({due.use for due in over} - kept.keys())
        needed = {
            sha256: f"{use.candidate_id} of {use.campaign_id} has the same bytes"
            for use in needs.uses
            if use not in going
            for sha256 in use.named
        } | dict(needs.kept)
        # one whose picture has to stay needs its mask, which others may share
        staying = {due.use: needed[due.use.image_sha256] for due in over if due.use.image_sha256 in needed}
        if staying.keys() <= kept.keys():
            break
        kept = staying | kept
    gone = {sha256 for use in going for sha256 in use.named}
    return ExpiryPlan(
        due=tuple(each for each in over if each.use not in kept),
        remove={sha256: sizes[sha256] for sha256 in sorted(gone - needed.keys()) if sha256 in sizes},
        kept=tuple((each, kept[each.use]) for each in over if each.use in kept),
    )


def expire(store: Store, plan: ExpiryPlan, told: Told) -> None:
    """Record the end of every picture that is due, then give up the bytes."""

    def record(due: Due) -> None:
        use = due.use
        end = Expiry(
            candidate_id=use.candidate_id,
            attempt=use.attempt,
            image_sha256=use.image_sha256,
            mask_sha256=use.mask_sha256,
            outcome=due.outcome,
            since=due.since,
            policy=due.policy,
        )
        store.events.append(EXPIRIES, use.campaign_id, expiry_name(use.candidate_id, use.attempt), end)

    with ThreadPoolExecutor(WORKERS, "expiry") as pool:
        for done, _ in enumerate(pool.map(record, plan.due), 1):
            told("recorded", done, len(plan.due))
        for done, _ in enumerate(pool.map(store.images.remove, plan.remove), 1):
            told("deleted", done, len(plan.remove))


@dataclass(frozen=True)
class Total:
    """What expires of a campaign by one rule."""

    campaign_id: str
    policy: str
    pictures: int
    size: int


def totals(plan: ExpiryPlan) -> list[Total]:
    """What expires by campaign and rule; bytes that several pictures share count with the first."""
    pictures: dict[tuple[str, str], int] = defaultdict(int)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    counted: set[str] = set()
    for due in plan.due:
        key = due.use.campaign_id, due.policy
        pictures[key] += 1
        sizes[key] += sum(plan.remove.get(sha256, 0) for sha256 in due.use.named - counted)
        counted |= due.use.named
    left = sum(size for sha256, size in plan.remove.items() if sha256 not in counted)
    found = [Total(*key, pictures[key], sizes[key]) for key in sorted(pictures)]
    return [*found, *([Total("", "left from an earlier time", 0, left)] if left else [])]


def _due(use: Use, retention: Retention, now: datetime) -> Due | None:
    if use.outcome is None or use.since is None or use.has_expired:
        return None
    lifetime = retention.lifetime(use.campaign_id, use.outcome)
    if lifetime is None or now - use.since < lifetime:
        return None
    return Due(use, use.outcome, use.since, f"{use.outcome}: {_days(lifetime)}")


def _days(lifetime: timedelta) -> str:
    return f"{lifetime.days} day{'' if lifetime.days == 1 else 's'}"
