"""Who makes which of the missing pictures now: the routing rules, asked with what is known at this moment."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from asset_pipeline.candidates.health import HEALTHY, Health
from asset_pipeline.candidates.jobs.attempt import Attempt
from asset_pipeline.candidates.jobs.remote import Remote, account_of
from asset_pipeline.candidates.jobs.traffic import recorded_health
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.retrying import tried
from asset_pipeline.candidates.routing import Need, Offer, PassRate, Route, route
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.errors import MissingModel, ProviderError
from asset_pipeline.store.store import Store

Missing = tuple[Wanted, int]
"""What is to be made, and the number of its attempt."""
UNKNOWN_RATE = PassRate()


@dataclass
class Assigned:
    """Who makes what; and what nobody can make now, by the reason."""

    lanes: dict[str, list[Missing]] = field(default_factory=lambda: defaultdict(list))
    unaffordable: list[Missing] = field(default_factory=list)
    waiting: list[tuple[Missing, Route]] = field(default_factory=list)
    """Nobody who may make it can be asked now."""
    given_up: list[tuple[Missing, Route]] = field(default_factory=list)
    """Nobody may make it, or all who may have failed in this run."""

    @property
    def count(self) -> int:
        """How many found their maker."""
        return sum(map(len, self.lanes.values()))


class Dispatcher:
    """Routes the pictures of one order.

    Args:
        order: what is wanted, and who may make it.
        healths: by profile, what tells the health of a remote provider; none: it is well.
    """

    def __init__(self, order: Order, healths: Mapping[str, Callable[[], Health]]) -> None:
        self._order = order
        self._healths = healths
        self._objections: dict[tuple[str, str], str | None] = {}
        self.closed: dict[str, str] = {}
        """Profiles that are left alone for the rest of this run, and why."""

    def need(self, wanted: Wanted, left_usd: float, history: Sequence[Attempt]) -> Need:
        """What a picture needs of whoever makes it; `history` is what this run tried already."""
        return Need(
            request_id=wanted.candidate_id,
            sensitivity=self._order.sensitivity_of(wanted),
            budget_left_usd=left_usd,
            seconds_left=self._order.seconds_left,
            priority=self._order.priority,
            tried=tried(history),
        )

    def offers(self, wanted: Wanted) -> list[Offer]:
        """Every lane as it stands now for this picture."""
        return [
            Offer(
                profile=lane.name,
                is_remote=lane.profile.is_remote,
                sensitivities=lane.profile.sensitivities,
                objection=self._objection(lane, wanted),
                health=self._health(lane),
                expected_usd=lane.expected_usd(wanted),
                most_usd=lane.most_usd(wanted),
                pass_rate=self._order.pass_rates.get(lane.name, UNKNOWN_RATE),
                preference=place,
            )
            for place, lane in enumerate(self._order.lanes)
        ]

    def assign(
        self,
        missing: Sequence[Missing],
        left_usd: float,
        histories: Mapping[str, Sequence[Attempt]],
        most: int | None = None,
    ) -> Assigned:
        """Choose for each picture, in order, until what is left of the budget is set aside.

        Args:
            missing: the pictures.
            left_usd: of the budget.
            histories: by candidate, what this run tried already.
            most: how many find their maker now; the others are looked at later, when more is known.
        """
        assigned, lanes = Assigned(), {lane.name: lane for lane in self._order.lanes}
        for each in missing:
            if most is not None and assigned.count >= most:
                break
            wanted, _ = each
            need, offers = (
                self.need(wanted, left_usd, histories.get(wanted.candidate_id, ())),
                self.offers(wanted),
            )
            found = route(need, offers)
            if found.profile is not None:
                assigned.lanes[found.profile].append(each)
                left_usd -= lanes[found.profile].most_usd(wanted)
            elif route(replace(need, budget_left_usd=inf), offers).profile is not None:
                assigned.unaffordable.append(each)
            elif route(need, [replace(offer, health=HEALTHY) for offer in offers]).profile is not None:
                assigned.waiting.append((each, found))
            else:
                assigned.given_up.append((each, found))
        return assigned

    def _health(self, lane: Lane) -> Health:
        if lane.name in self.closed:
            return Health(state="open", because=self.closed[lane.name])
        return self._healths[lane.name]() if lane.name in self._healths else HEALTHY

    def _objection(self, lane: Lane, wanted: Wanted) -> str | None:
        """What the provider cannot say of a picture, or why it cannot be asked from here."""
        key = (lane.name, wanted.candidate_id)
        if key not in self._objections:
            self._objections[key] = objection(lane, wanted)
        return self._objections[key]


def objection(lane: Lane, wanted: Wanted) -> str | None:
    """Why a lane cannot make a picture whatever happens; none if it can."""
    if isinstance(lane.provider, Remote) and lane.profile.endpoint is not None:
        unready = lane.provider.unready(lane.profile.endpoint)
        if unready is not None:
            return unready
    try:
        lane.provider.check(lane.asked(wanted))
    except (ProviderError, MissingModel) as error:
        return str(error)
    return None


def recorded_health_of(store: Store, lane: Lane) -> Health:
    """The health of a lane as it is recorded, for who only looks."""
    if lane.profile.endpoint is None:
        return HEALTHY
    return recorded_health(store, lane.name, account_of(lane.profile.endpoint, lane.provider.name))
