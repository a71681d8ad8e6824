"""Routing beside simpler policies, in a simulation: what a picture costs, what fails, and how long it takes.

    python benchmarks/routing.py [--seeds 8] [--requests 12000]

Three providers at $0.035, $0.020 and $0.012 are each down for 11 % of the time, ten minutes on average. 40 %
of the calls to one that is down hang for 40 s before they fail, the others fail within 3 s. Then the same
again, but in the middle of the run the cheapest one becomes 2.5 times as dear, of which a price list knows
nothing. All policies meet the same outages, and a request has the same luck with a provider whoever sends it
there. Requests come at random, one in 4 s on average.

The clock and the providers are simulated; the functions of ``routing`` and ``health`` are the project's.
Where routing finds nobody healthy a request waits for up to ten minutes, unless someone waits for it.
"""

import argparse
import heapq
import itertools
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from asset_pipeline.candidates.health import HEALTHY, Health, after_failure, after_success, as_of, probed
from asset_pipeline.candidates.routing import (
    HEDGE_AFTER_SECONDS,
    Need,
    Offer,
    PassRate,
    Route,
    hedge,
    route,
    worth_waiting,
)

Floats = npt.NDArray[np.float64]

START = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN_REQUESTS = 4.0
DOWN, DOWN_SECONDS = 0.11, 600.0
"""The share of the time that a provider is down, and for how long on average, exponentially distributed."""
HANGING, HANG_SECONDS, FAIL_SECONDS = 0.4, 40.0, 3.0
MEDIAN_SECONDS, SPREAD = 6.0, 0.35
"""What an answer takes, log-normally distributed: 95 % within 10.7 s, 99 % within 13.5 s."""
DEARER = 2.5
LONGEST_WAIT_SECONDS = 600.0


@dataclass(frozen=True)
class Provider:
    """A simulated provider."""

    name: str
    usd: float
    passes: float
    """The share of its pictures that is accepted; invented, and a little better where it is dearer."""


PROVIDERS = {
    each.name: each
    for each in (
        Provider("premium", 0.035, 0.62),
        Provider("middle", 0.020, 0.57),
        Provider("cheapest", 0.012, 0.53),
    )
}


@dataclass(frozen=True)
class Luck:
    """What befalls the requests at a provider, each by its number, and the provider itself."""

    outages: Floats
    """The moments at which it goes down and comes back, in turns."""
    answer_seconds: Floats
    fail_seconds: Floats
    passes: npt.NDArray[np.bool_]

    def is_down(self, moment: float) -> bool:
        """Whether it is down at a moment."""
        return bool(np.searchsorted(self.outages, moment) % 2)


@dataclass(frozen=True)
class World:
    """What is the same for all policies."""

    seed: int
    arrivals: Floats
    luck: Mapping[str, Luck]
    dearer: float
    """How many times as dear the cheapest provider becomes in the middle."""

    def usd(self, provider: str, moment: float) -> float:
        """What a picture costs at a moment."""
        is_dearer = provider == "cheapest" and moment >= self.arrivals[-1] / 2
        return PROVIDERS[provider].usd * (self.dearer if is_dearer else 1.0)


@dataclass
class Outcome:
    """What became of a policy's requests."""

    usd: float = 0.0
    pictures: int = 0
    accepted: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each request, until its picture was there or it was given up."""


@dataclass
class Request:
    """A request under way."""

    number: int
    need: Need
    at: float
    last: Route | None = None
    under_way: int = 0
    is_settled: bool = False


@dataclass(frozen=True)
class Call:
    """A call under way."""

    request: Request
    provider: str
    health: Health
    """The provider's when the call was sent."""
    usd: float
    is_answered: bool


class Listed:
    """Providers in the order of a price list; another one only after the one before failed."""

    hedges = False

    def __init__(self, *names: str) -> None:
        self._names = names

    def choose(self, request: Request, moment: float, world: World) -> str | None:
        """The next provider; none if there is no other."""
        del moment, world
        return next((name for name in self._names if name not in request.need.tried), None)

    def wait_seconds(self, request: Request, moment: float) -> float | None:
        """How long to wait before asking again, where nobody was chosen; none to give up."""

    def choose_second(self, request: Request, moment: float, world: World) -> str | None:
        """Whom to ask as well; nobody."""

    def health(self, provider: str) -> Health:
        """What is known of a provider; nothing."""
        del provider
        return HEALTHY

    def learn(self, call: Call, moment: float, *, passed: bool) -> None:
        """Learn from the end of a call; nothing."""


class Routed:
    """The project's routing, with a breaker for each provider and the judged pictures so far."""

    def __init__(self, *, hedges: bool) -> None:
        self.hedges = hedges
        self._health = dict.fromkeys(PROVIDERS, HEALTHY)
        self._judged = dict.fromkeys(PROVIDERS, PassRate())

    def choose(self, request: Request, moment: float, world: World) -> str | None:
        """See Listed."""
        found = route(request.need, self._offers(moment, world))
        request.last = found
        return self._sent(found, moment)

    def choose_second(self, request: Request, moment: float, world: World) -> str | None:
        """See Listed."""
        if request.last is None:
            return None
        offers = self._offers(moment, world)
        return self._sent(hedge(request.need, request.last, moment - request.at, offers), moment)

    def wait_seconds(self, request: Request, moment: float) -> float | None:
        """See Listed."""
        if request.last is None or self.hedges or moment - request.at > LONGEST_WAIT_SECONDS:
            return None
        return worth_waiting(request.last, _clock(moment))

    def health(self, provider: str) -> Health:
        """See Listed."""
        return self._health[provider]

    def learn(self, call: Call, moment: float, *, passed: bool) -> None:
        """See Listed."""
        health, now = self._health[call.provider], _clock(moment)
        if call.is_answered:
            judged = self._judged[call.provider]
            self._judged[call.provider] = PassRate(judged.passed + passed, judged.judged + 1)
        if health.since == call.health.since:
            after = (
                after_success(health, now) if call.is_answered else after_failure(health, "no answer", now)
            )
            self._health[call.provider] = after

    def _offers(self, moment: float, world: World) -> list[Offer]:
        now = _clock(moment)
        return [
            Offer(
                profile=name,
                is_remote=True,
                sensitivities=("public",),
                health=as_of(self._health[name], now),
                expected_usd=world.usd(name, moment),
                most_usd=world.usd(name, moment),
                pass_rate=self._judged[name],
            )
            for name in PROVIDERS
        ]

    def _sent(self, found: Route, moment: float) -> str | None:
        if found.profile is not None and self._health[found.profile].state != "closed":
            self._health[found.profile] = probed(self._health[found.profile], _clock(moment))
        return found.profile


Policy = Listed | Routed
POLICIES: Mapping[str, Callable[[], Policy]] = {
    "single provider": lambda: Listed("premium"),
    "cheapest, no fallback": lambda: Listed("cheapest"),
    "cheapest, fallback": lambda: Listed("cheapest", "middle", "premium"),
    "ours": lambda: Routed(hedges=False),
    "ours, someone waits": lambda: Routed(hedges=True),
}


class Simulation:
    """The requests of a world under a policy, event by event."""

    def __init__(self, world: World, policy: Policy) -> None:
        self._world = world
        self._policy = policy
        self._outcome = Outcome()
        self._ties = itertools.count()
        self._events: list[tuple[float, int, Request | Call]] = []

    def run(self) -> Outcome:
        """Let everything happen."""
        for number, moment in enumerate(self._world.arrivals):
            need = Need(
                request_id=f"{self._world.seed}-{number}",
                sensitivity="public",
                budget_left_usd=1000.0,
                priority="interactive" if self._policy.hedges else "normal",
            )
            self._later(moment, Request(number, need, moment))
        while self._events:
            moment, _, event = heapq.heappop(self._events)
            if isinstance(event, Call):
                self._end(event, moment)
            elif event.under_way == 0 and not event.is_settled:
                self._ask(event, moment)
                if self._policy.hedges:
                    self._later(moment + HEDGE_AFTER_SECONDS, event)
            elif not event.is_settled:
                self._send(event, self._policy.choose_second(event, moment, self._world), moment)
        return self._outcome

    def _later(self, moment: float, event: Request | Call) -> None:
        heapq.heappush(self._events, (moment, next(self._ties), event))

    def _ask(self, request: Request, moment: float) -> None:
        provider = self._policy.choose(request, moment, self._world)
        self._send(request, provider, moment)
        if provider is None and request.under_way == 0:
            seconds = self._policy.wait_seconds(request, moment)
            if seconds is None:
                self._settle(request, moment)
            else:
                self._later(moment + seconds, request)

    def _send(self, request: Request, provider: str | None, moment: float) -> None:
        if provider is None:
            return
        luck = self._world.luck[provider]
        is_answered = not luck.is_down(moment)
        seconds = (luck.answer_seconds if is_answered else luck.fail_seconds)[request.number]
        usd = self._world.usd(provider, moment)
        request.under_way += 1
        call = Call(request, provider, self._policy.health(provider), usd, is_answered)
        self._later(moment + seconds, call)

    def _end(self, call: Call, moment: float) -> None:
        request, passed = call.request, bool(self._world.luck[call.provider].passes[call.request.number])
        request.under_way -= 1
        self._policy.learn(call, moment, passed=passed)
        if call.is_answered:
            self._outcome.usd += call.usd
        if request.is_settled:
            return
        if call.is_answered:
            self._outcome.pictures += 1
            self._outcome.accepted += passed
            self._settle(request, moment)
        else:
            request.need = replace(
                request.need, tried={**request.need.tried, call.provider: "it did not answer"}
            )
            self._ask(request, moment)

    def _settle(self, request: Request, moment: float) -> None:
        request.is_settled = True
        self._outcome.seconds.append(moment - request.at)


def world(seed: int, requests: int, dearer: float) -> World:
    """What happens with this seed."""
    chance = np.random.default_rng(seed)
    arrivals = np.cumsum(chance.exponential(BETWEEN_REQUESTS, requests))

    def luck(provider: Provider) -> Luck:
        outages = max(1, round(DOWN * arrivals[-1] / DOWN_SECONDS))
        periods = chance.exponential(1.0, (outages, 2))
        periods *= np.array([1 - DOWN, DOWN]) * arrivals[-1] / periods.sum(axis=0)
        hangs = chance.random(requests) < HANGING
        return Luck(
            # Cut from a circle, so that not all of them begin up and end down.
            outages=np.cumsum(np.tile(periods, (2, 1))) - chance.uniform(0.0, arrivals[-1]),
            answer_seconds=MEDIAN_SECONDS * np.exp(chance.normal(0.0, SPREAD, requests)),
            fail_seconds=np.where(hangs, HANG_SECONDS, chance.uniform(0.0, FAIL_SECONDS, requests)),
            passes=chance.random(requests) < provider.passes,
        )

    return World(seed, arrivals, {name: luck(provider) for name, provider in PROVIDERS.items()}, dearer)


def figures(outcomes: Sequence[Outcome]) -> list[float]:
    """The figures of all seeds together, in the order of the table's columns."""
    usd = sum(outcome.usd for outcome in outcomes)
    pictures = sum(outcome.pictures for outcome in outcomes)
    seconds = np.concatenate([outcome.seconds for outcome in outcomes])
    return [
        usd / pictures,
        usd / sum(outcome.accepted for outcome in outcomes),
        100 * (1 - pictures / len(seconds)),
        float(np.percentile(seconds, 95)),
        float(np.percentile(seconds, 99)),
    ]


def _clock(moment: float) -> datetime:
    return START + timedelta(seconds=moment)


def compare(worlds: Sequence[World]) -> None:
    """Print what every policy comes to in the same worlds."""
    print("| policy | $ a picture | $ an accepted one | failed % | p95 s | p99 s |")
    print("| --- | --- | --- | --- | --- | --- |")
    single: list[float] = []
    for name, policy in POLICIES.items():
        found = figures([Simulation(each, policy()).run() for each in worlds])
        single = single or found
        cells = [
            f"{value:.{digits}f} ({value / reference:.2f})"
            for value, reference, digits in zip(found, single, (4, 4, 2, 1, 1), strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=12_000)
    arguments = parser.parse_args()
    started = time.monotonic()
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}")  # noqa: DTZ011
    print(
        f"{arguments.seeds} seeds x {arguments.requests} requests; in brackets: times the single provider's"
    )
    for dearer in (1.0, DEARER):
        print(f"\nthe cheapest one's price times {dearer} from the middle on\n")
        compare([world(seed, arguments.requests, dearer) for seed in range(arguments.seeds)])
    print(f"\nin {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
