"""Who makes a picture: a function of values that says why, and why not.

The order of the questions is the policy: may the profile see it, can it say it, was it tried, is it healthy,
is it within the budget, is it in time. Of those nobody objects to, the one that costs least for a picture
that is accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from asset_pipeline.campaign.brief import Priority, Sensitivity
from asset_pipeline.candidates.health import HEALTHY, Health
from asset_pipeline.fingerprint import seed_from

PRIOR_PICTURES = 20
"""How many judged pictures the prior counts for: from 20, a rate is known to about 11 points."""
EXPLORED = 0.015
"""The share of requests that learn about a profile instead of using the best one."""
DEAREST_EXPLORATION = 3.0
"""How many times the best offer's price an exploration may cost: at most 3 % on top of the campaign's
costs."""
PROBE_SECONDS = 5.0
"""How often to ask how a probe went: about what an answer takes."""
_ROUNDING_USD = 1e-9
"""By how much a budget may seem to be exceeded because dollars are binary fractions."""
HEDGE_AFTER_SECONDS = 12.0
"""When a second provider is asked; nineteen of twenty pictures are there by then in the simulation."""


@dataclass(frozen=True)
class Need:
    """What is asked for, as far as the choice depends on it."""

    request_id: str
    sensitivity: Sensitivity
    budget_left_usd: float
    seconds_left: float | None = None
    """Until the picture has to be there; none: there is no deadline."""
    priority: Priority = "normal"
    tried: Mapping[str, str] = field(default_factory=dict)
    """The profiles that failed for this picture in this run, and why."""


@dataclass(frozen=True)
class PassRate:
    """How many of a profile's judged pictures passed, in this campaign or those like it."""

    passed: int = 0
    judged: int = 0


@dataclass(frozen=True)
class Offer:
    """A profile that could make it, as it stands now."""

    profile: str
    is_remote: bool
    sensitivities: Sequence[Sensitivity]
    objection: str | None = None
    """What the provider cannot say of this request; none: it can say all."""
    health: Health = HEALTHY
    expected_usd: float = 0.0
    most_usd: float = 0.0
    """What it can cost at most; the budget has to allow this much."""
    pass_rate: PassRate = PassRate()
    seconds: float | None = None
    """When the picture is expected to be there, its queue included; none: not known."""
    preference: int = 0
    """Its place in the campaign's list, from 0."""


@dataclass(frozen=True)
class Verdict:
    """What was found about an offer."""

    offer: Offer
    objections: tuple[str, ...]
    """Every reason against it, in the order of the questions; none: it is eligible."""
    pass_rate: float
    """The judged pictures' rate, drawn towards the prior."""
    usd_per_accepted: float


@dataclass(frozen=True)
class Route:
    """The choice, or that there is none, with the reason and what was found about each offer."""

    profile: str | None
    because: str
    verdicts: tuple[Verdict, ...]


def route(need: Need, offers: Sequence[Offer]) -> Route:
    """Choose who makes a picture.

    The prior of a pass rate is that of all offers together: what passes depends on the campaign's gates
    before it depends on the profile. So a profile nobody has judged is taken for an average one, and its
    price, which is known, decides until its own pictures speak. Without any judged picture it is one half for
    all.
    """
    prior = _prior(offers)
    verdicts = tuple(_verdict(need, offer, prior) for offer in offers)
    eligible = sorted((verdict for verdict in verdicts if not verdict.objections), key=_order)
    if not eligible:
        return Route(None, _nobody(verdicts), verdicts)
    best = eligible[0]
    unknown = _unknown(need, best, eligible)
    if unknown is not None:
        because = (
            f"one request in {1 / EXPLORED:.0f} goes to the profile with the fewest judged pictures: "
            f"{unknown.offer.profile} has {unknown.offer.pass_rate.judged} ({_cost(unknown)}; "
            f"the best is {best.offer.profile}: {_cost(best)})"
        )
        return Route(unknown.offer.profile, because, verdicts)
    return Route(best.offer.profile, _why(best, eligible[1:]), verdicts)


def worth_waiting(found: Route, now: datetime) -> float | None:
    """In how many seconds to ask again where there is no route; none if time alone changes nothing.

    Time helps where nothing but its health is against a profile, and no person is needed to mend that.
    """
    waits = []
    for verdict in found.verdicts:
        health = verdict.offer.health
        if len(verdict.objections) == 1 and health.until is not None and not health.may_be_asked:
            is_probed = health.state == "half_open"
            waits.append(PROBE_SECONDS if is_probed else max(0.0, (health.until - now).total_seconds()))
    return min(waits, default=None)


def hedge(
    need: Need,
    first: Route,
    waited_seconds: float,
    offers: Sequence[Offer],
    *,
    after_seconds: float = HEDGE_AFTER_SECONDS,
) -> Route:
    """Choose whom to ask as well, while the first one is still at work; mostly nobody.

    Args:
        need: as it was when the first one was asked; what that one can cost is not yet taken off its budget.
        first: whom it was.
        waited_seconds: how long someone has waited for the picture by now.
        offers: as they stand now.
        after_seconds: how long the first one is waited for.
    """
    asked = next((each.offer for each in first.verdicts if each.offer.profile == first.profile), None)
    if asked is None:
        return Route(None, "nobody was asked in the first place", ())
    if need.priority != "interactive":
        return Route(None, f"nobody waits for it: the request is {need.priority}, not interactive", ())
    if waited_seconds < after_seconds:
        return Route(
            None, f"{asked.profile} has {after_seconds - waited_seconds:.0f} s before it is late", ()
        )
    still_needed = replace(
        need,
        budget_left_usd=need.budget_left_usd - asked.most_usd,
        seconds_left=None if need.seconds_left is None else need.seconds_left - waited_seconds,
        tried={**need.tried, asked.profile: f"it is at work since {waited_seconds:.0f} s"},
    )
    second = route(still_needed, [replace(offer, health=_no_probe(offer.health)) for offer in offers])
    if second.profile is None:
        return second
    late = f"{asked.profile} is not there after {waited_seconds:.0f} s, and someone waits"
    return replace(second, because=f"{late}; {second.because}")


def explain(found: Route) -> list[dict[str, str]]:
    """A row for each offer, for a table: the chosen one first, then by cost, those with objections last."""
    verdicts = sorted(
        found.verdicts,
        key=lambda each: (each.offer.profile != found.profile, bool(each.objections), _order(each)),
    )
    return [
        {
            "profile": verdict.offer.profile,
            "usd": f"{verdict.offer.expected_usd:.4f}",
            "pass rate": f"{verdict.pass_rate:.0%} of {verdict.offer.pass_rate.judged} judged",
            "usd per accepted": f"{verdict.usd_per_accepted:.4f}",
            "health": verdict.offer.health.state.replace("_", "-"),
            "verdict": found.because
            if verdict.offer.profile == found.profile
            else "; ".join(verdict.objections) or "eligible, but not the cheapest",
        }
        for verdict in verdicts
    ]


def _verdict(need: Need, offer: Offer, prior: float) -> Verdict:
    asked = (
        _sensitivity(need, offer),
        offer.objection,
        _tried(need, offer),
        _health(offer),
        _budget(need, offer),
        _deadline(need, offer),
    )
    rate = (offer.pass_rate.passed + PRIOR_PICTURES * prior) / (offer.pass_rate.judged + PRIOR_PICTURES)
    return Verdict(
        offer=offer,
        objections=tuple(objection for objection in asked if objection is not None),
        pass_rate=rate,
        usd_per_accepted=offer.expected_usd / rate,
    )


def _prior(offers: Sequence[Offer]) -> float:
    """The pass rate of all offers' judged pictures; one more passed and failed keep it from 0 and 1."""
    passed = sum(offer.pass_rate.passed for offer in offers)
    judged = sum(offer.pass_rate.judged for offer in offers)
    return (passed + 1) / (judged + 2)


def _sensitivity(need: Need, offer: Offer) -> str | None:
    if offer.is_remote and need.sensitivity == "local_only":
        return "the campaign is local_only and the profile sends its material to another machine"
    if need.sensitivity not in offer.sensitivities:
        return f"the profile is not cleared for {need.sensitivity} material"
    return None


def _tried(need: Need, offer: Offer) -> str | None:
    reason = need.tried.get(offer.profile)
    return None if reason is None else f"it was asked for this picture in this run: {reason}"


def _health(offer: Offer) -> str | None:
    health = offer.health
    if health.may_be_asked:
        return None
    until = f"{health.until:%H:%M:%S}" if health.until else "a probe succeeds"
    if health.state == "paused":
        return (
            "it is paused until a person mends this and resumes it (asset-pipeline providers list says how): "
            f"{health.because}"
        )
    if health.state == "open":
        return f"it is left alone until {until}, after {health.failures} failures in a row: {health.because}"
    return f"one request finds out whether it is back, the others wait for that: {health.because}"


def _budget(need: Need, offer: Offer) -> str | None:
    left = max(0.0, need.budget_left_usd)
    if offer.most_usd <= left + _ROUNDING_USD:
        return None
    return f"it can cost ${offer.most_usd:.4f} and ${left:.4f} of the budget is left"


def _deadline(need: Need, offer: Offer) -> str | None:
    if need.seconds_left is None or (offer.seconds or 0.0) <= need.seconds_left:
        return None
    if offer.seconds is None:
        return f"the deadline was {-need.seconds_left:.0f} s ago"
    return f"it takes {offer.seconds:.0f} s and {max(0.0, need.seconds_left):.0f} s are left"


def _order(verdict: Verdict) -> tuple[float, float, int, str]:
    """By cost for an accepted picture; what is free, by its pass rate; then as the campaign prefers."""
    free_first = -verdict.pass_rate if verdict.offer.expected_usd == 0 else 0.0
    return verdict.usd_per_accepted, free_first, verdict.offer.preference, verdict.offer.profile


def _unknown(need: Need, best: Verdict, eligible: Sequence[Verdict]) -> Verdict | None:
    """The profile that this request is to learn about, if it is to learn.

    The request's name alone decides, so that asking again gives the same answer. Not where someone waits, nor
    where a profile failed already; neither what costs several times as much nor what may be down.
    """
    if need.priority == "interactive" or need.tried:
        return None
    if seed_from("exploration", need.request_id) >= EXPLORED * 2**32:
        return None
    dearest = DEAREST_EXPLORATION * best.offer.expected_usd
    known = [each for each in eligible if each.offer.health.state == "closed"]
    affordable = [each for each in known if each.offer.expected_usd <= dearest]
    fewest = min(affordable, key=lambda each: (each.offer.pass_rate.judged, _order(each)), default=best)
    return None if fewest is best else fewest


def _no_probe(health: Health) -> Health:
    """A second request is no probe: where that is wanted, someone waits already."""
    if health.state != "half_open" or health.until is not None:
        return health
    return health.model_copy(update={"state": "open", "because": f"not known to be back: {health.because}"})


def _why(best: Verdict, others: Sequence[Verdict]) -> str:
    name = f"{best.offer.profile}: {_cost(best)}"
    if best.offer.health.state == "half_open":
        name += "; it is the probe that finds out whether it is back"
    if not others:
        return f"{name}; no other profile is eligible"
    return f"{name}; next is {others[0].offer.profile}: {_cost(others[0])}"


def _cost(verdict: Verdict) -> str:
    judged = verdict.offer.pass_rate.judged
    if verdict.offer.expected_usd == 0:
        return f"free, passes {verdict.pass_rate:.0%} ({judged} judged)"
    return (
        f"${verdict.usd_per_accepted:.4f} for an accepted picture = ${verdict.offer.expected_usd:.4f} / "
        f"{verdict.pass_rate:.0%} ({judged} judged)"
    )


def _nobody(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "no profile is offered"
    found = (f"{verdict.offer.profile}: {'; '.join(verdict.objections)}" for verdict in verdicts)
    return f"nobody may or can take it now: {' | '.join(found)}"
