"""What a campaign's attempts have come to and cost, kept up to date by reading only what is new."""

from datetime import UTC, datetime
from threading import Lock

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, spent_usd, spent_usd_on, standings
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store


class Books:
    """A campaign's attempts. Threads may use it at once.

    Args:
        store: where their events are.
        campaign_id: whose they are.
        budget_usd: the most that all of them may cost.
        budget_usd_per_day: the most that those claimed on one day (UTC) may cost, if there is such a limit.
    """

    def __init__(
        self, store: Store, campaign_id: str, budget_usd: float, budget_usd_per_day: float | None = None
    ) -> None:
        self._store = store
        self._campaign_id = campaign_id
        self._budget_usd = budget_usd
        self._budget_usd_per_day = budget_usd_per_day
        self._lock = Lock()
        self._events: dict[str, Event[Attempt]] = {}

    def standings(self) -> dict[tuple[str, int], Attempt]:
        """The newest state of every attempt, by candidate and number."""
        return standings(self._read())

    def left_usd(self, now: datetime | None = None) -> float:
        """What may still be set aside, by the campaign's budget and by the day's; negative: too much was."""
        events = self._read()
        left = self._budget_usd - spent_usd(events)
        if self._budget_usd_per_day is not None:
            today = (now or datetime.now(UTC)).date()
            left = min(left, self._budget_usd_per_day - spent_usd_on(events, today))
        return left

    def _read(self) -> list[Event[Attempt]]:
        with self._lock:
            names = self._store.events.names(ATTEMPTS, self._campaign_id)
            new = [name for name in names if name not in self._events]
            if new:
                found = self._store.events.read(ATTEMPTS, self._campaign_id, names=new)
                self._events |= {event.name: event for event in found}
            return list(self._events.values())
