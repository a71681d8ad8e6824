"""What a funnel does next: which prompts go on, with how many pictures and which parameters, and which stop.

Pure decisions. A prompt goes on until as many of its pictures pass their gates as the campaign keeps of it;
how many more it asks for follows from the pass rate that was seen. Between two rounds nothing of a request
changes but its seed and the parameters that the campaign declares, to values that it declares.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Campaign, Funnel, KnobValue
from asset_pipeline.candidates.judge import Gated

UNSEEN_PASS_RATE = 0.5
"""What is taken for the pass rate as long as nothing was seen: the mean of a uniform prior."""
CAMPAIGN_STRENGTH = 2.0
"""How many pictures that guess counts as: Laplace's rule of succession."""
PROMPT_STRENGTH = 4.0
"""How many pictures an asset type's rate counts as in a prompt's own, and the campaign's in an asset type's:
the mean of a Beta distribution whose prior is worth so many pictures."""
OFTEN = 0.5
"""A parameter is moved where a dimension kept at least this share of a round's pictures from passing."""

End = Literal["enough", "rounds", "make", "budget", "deadline", "refused", "failed", "unmeasured"]
"""What ended a prompt's rounds. The last two are for the run alone: the next one looks again."""
PASSING_ENDS: Collection[End] = ("failed", "unmeasured")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Terms(_Frozen):
    """What bounds a funnel, as the campaign says it."""

    keep: int
    """How many pictures of each prompt have to pass."""
    make: int
    rounds: int
    budget_usd: float
    deadline: date | None = None

    def allow_more_than(self, earlier: "Terms") -> bool:
        """Whether any bound is wider than it was."""
        last = date.max
        return (
            self.keep > earlier.keep
            or self.make > earlier.make
            or self.rounds > earlier.rounds
            or self.budget_usd > earlier.budget_usd
            or (self.deadline or last) > (earlier.deadline or last)
        )


def terms_of(campaign: Campaign, funnel: Funnel, prompts: int) -> Terms:
    """What bounds a campaign's funnel when it has so many prompts."""
    return Terms(
        keep=funnel.keep_per_prompt(prompts),
        make=funnel.make,
        rounds=funnel.rounds,
        budget_usd=campaign.budget_usd,
        deadline=campaign.deadline,
    )


class Share(_Frozen):
    """What one round asks for of one prompt."""

    prompt_id: str
    profile_fingerprint: str
    """Of the profile without any parameter moved; under another one the prompt starts anew."""
    round: int
    """The prompt's own, from 1."""
    positions: tuple[int, ...]
    """Places among the candidates of the prompt; they decide the seeds."""
    knobs: dict[str, KnobValue] = {}
    """The parameters that were moved, over the profile's and the asset type's."""
    passed: int = 0
    """How many of its pictures had passed before."""
    why: str


class Stop(_Frozen):
    """Why a prompt has no further round."""

    prompt_id: str
    profile_fingerprint: str
    by: End
    passed: int
    made: int
    """How many pictures it has; less than it asked for where some were refused or failed."""
    why: str

    def holds(self, then: Terms, now: Terms) -> bool:
        """Whether it still stops the prompt: what was enough stays enough, whatever the gates say later."""
        if self.by in PASSING_ENDS:
            return False
        return now.keep <= then.keep if self.by == "enough" else not now.allow_more_than(then)


@dataclass(frozen=True)
class Tried:
    """What came of one candidate of a prompt."""

    wave: int
    state: Literal["made", "refused", "failed", "unmade"]
    """``unmade``: nothing was spent on it, because the budget does not pay for it."""
    gated: Gated | None = None
    """Of those that were made."""
    reason: str = ""
    """Why there is no picture."""
    cost_usd: float = 0.0


@dataclass(frozen=True)
class Standing:
    """How a prompt stands."""

    prompt_id: str
    asset_type: str
    profile_fingerprint: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    """What the profile and the asset type say."""
    rounds: Sequence[Share] = ()
    tried: Sequence[Tried] = ()
    """All its candidates, in the order of their positions."""
    stop: Stop | None = None
    """The last word on it, unless it went on after that."""
    is_stopped: bool = False
    """Whether that still holds."""

    @property
    def made(self) -> int:
        """How many pictures it has."""
        return sum(each.state == "made" for each in self.tried)

    @property
    def answered(self) -> int:
        """How many of its candidates say something about its pass rate."""
        return sum(each.state in ("made", "refused") for each in self.tried)

    @property
    def passed(self) -> int:
        """How many of its pictures pass."""
        return sum(each.gated is not None and each.gated.passes for each in self.tried)

    @property
    def last_round(self) -> Sequence[Tried]:
        """What came of its last round."""
        asked = len(self.rounds[-1].positions) if self.rounds else 0
        return self.tried[len(self.tried) - asked :]


@dataclass(frozen=True)
class Left:
    """What is left to spend."""

    make: int
    """Candidates that the funnel may still ask for."""
    affordable: int
    """Pictures that the budget pays for."""
    is_late: bool = False
    """Whether the campaign's deadline is over."""


@dataclass(frozen=True)
class Decision:
    """What a funnel does next."""

    shares: tuple[Share, ...]
    stops: tuple[Stop, ...]
    """Only what was not said before."""


def decide(funnel: Funnel, terms: Terms, standings: Sequence[Standing], left: Left) -> Decision:
    """The next round of every prompt that goes on, and why each other one stops.

    Args:
        funnel: what the campaign says of its rounds.
        terms: what bounds them.
        standings: every prompt of the campaign, in their order.
        left: what is left to spend.

    Returns:
        Nothing at all where nothing is to be made and everything was said before.
    """
    stops: list[Stop] = []
    going_on: list[Standing] = []
    for each in standings:
        if each.is_stopped:
            continue
        end = _end(each, terms)
        if end is None and (outer := _outer_end(terms, left)):
            end = outer
        if end is None:
            going_on.append(each)
        else:
            stops.append(_stop(each, terms, *end))
    known = {each.stop for each in standings if each.stop is not None and each.stop.by in PASSING_ENDS}
    return Decision(
        tuple(_shares(funnel, terms, standings, going_on, min(left.make, left.affordable))),
        tuple(stop for stop in stops if stop not in known),
    )


def pass_rates(standings: Sequence[Standing]) -> dict[str, float]:
    """The pass rate of each prompt: its own, drawn to its asset type's, and that to the campaign's.

    A prompt with few pictures has nearly the rate of its asset type, one with many its own; none is ever 0.
    """
    campaign = _drawn(standings, UNSEEN_PASS_RATE, CAMPAIGN_STRENGTH)
    alike: dict[str, list[Standing]] = defaultdict(list)
    for each in standings:
        alike[each.asset_type].append(each)
    of_type = {name: _drawn(those, campaign, PROMPT_STRENGTH) for name, those in alike.items()}
    return {each.prompt_id: _drawn([each], of_type[each.asset_type], PROMPT_STRENGTH) for each in standings}


def pictures_for(missing: int, rate: float) -> int:
    """How many pictures it takes, on average, for so many to pass."""
    return math.ceil(missing / rate - 1e-9)


def first_round(funnel: Funnel, prompts: int) -> int:
    """How many pictures the first round asks for of each prompt: never fewer than have to pass."""
    return max(funnel.keep_per_prompt(prompts), int(funnel.make * funnel.first / max(1, prompts)))


def objections_to(funnel: Funnel, prompts: int) -> list[str]:
    """Why a funnel cannot be for so many prompts; none if it can."""
    if funnel.make >= prompts:
        return []
    words = f"the funnel makes at most {funnel.make} pictures and the campaign has {prompts} prompts"
    return [f"{words}; raise make, or choose fewer products or variations"]


def next_knobs(funnel: Funnel, standing: Standing) -> tuple[dict[str, KnobValue], list[str]]:
    """The moved parameters of a prompt's next round, and what was moved why.

    Each moves one value on where a dimension that it is for kept half or more of the last round's pictures
    from passing, and stays where its values end.
    """
    knobs = dict(standing.rounds[-1].knobs) if standing.rounds else {}
    looked_at = [each.gated for each in standing.last_round if each.gated is not None]
    failed = Counter(dimension for gated in looked_at if not gated.passes for dimension in gated.failed)
    often = {dimension for dimension, count in failed.items() if count >= OFTEN * len(looked_at)}
    reasons = []
    for name, knob in funnel.vary.items():
        because = sorted(often & set(knob.when) if knob.when else often)
        before = knobs.get(name, standing.parameters.get(name))
        after = _next_value(knob.values, before)
        if because and after != before:
            knobs[name] = after
            reasons.append(
                f"{name} {'not set' if before is None else before} → {after}, as {because[0]} kept"
                f" {failed[because[0]]} of {len(looked_at)} from passing"
            )
    return knobs, reasons


def _next_value(values: Sequence[KnobValue], before: object) -> KnobValue:
    known = [place for place, value in enumerate(values) if value == before]
    return values[min(known[0] + 1, len(values) - 1)] if known else values[0]


def _drawn(standings: Iterable[Standing], towards: float, strength: float) -> float:
    """A Beta distribution's mean: the pass rate of these, as if `strength` more were seen at `towards`."""
    seen = [(each.passed, each.answered) for each in standings]
    passed, answered = sum(one for one, _ in seen), sum(all_ for _, all_ in seen)
    return (passed + strength * towards) / (answered + strength)


def _end(standing: Standing, terms: Terms) -> tuple[End, str] | None:
    """Why a prompt stops for a reason of its own; none if it does not."""
    tried, last = standing.tried, standing.last_round
    never = sorted(set[str].intersection(*(unmeasured)) if (unmeasured := _unmeasured(tried)) else ())
    end: tuple[End, str] | None = None
    if standing.passed >= terms.keep:
        end = "enough", ""
    elif not standing.rounds:
        end = None
    elif all(each.state == "failed" for each in last):
        end = "failed", f"its last round failed: {last[0].reason}; the next run tries it again"
    elif all(each.state == "refused" for each in tried):
        end = "refused", f"all were refused, the last one: {tried[-1].reason}"
    elif never:
        end = "unmeasured", f"{', '.join(never)} could be measured on none of them, nor would it on more"
    elif any(each.state == "unmade" for each in last):
        end = "budget", f"the budget of ${terms.budget_usd:.2f} does not pay for all of its last round"
    elif len(standing.rounds) >= terms.rounds:
        end = "rounds", f"it has had its {terms.rounds} rounds"
    return end


def _unmeasured(tried: Sequence[Tried]) -> list[set[str]]:
    """What could not be measured of each picture."""
    return [set(each.gated.unmeasured) for each in tried if each.gated is not None]


def _outer_end(terms: Terms, left: Left) -> tuple[End, str] | None:
    """Why nothing goes on any more; none if something may."""
    if left.is_late:
        return "deadline", f"the campaign's deadline was {terms.deadline}"
    if left.make <= 0:
        return "make", f"the campaign has asked for all {terms.make} that it may"
    if left.affordable <= 0:
        return "budget", f"the budget of ${terms.budget_usd:.2f} pays for no further one"
    return None


def _stop(standing: Standing, terms: Terms, by: End, why: str) -> Stop:
    words = f"{standing.passed} of the {terms.keep} wanted passed, of {standing.made} made"
    return Stop(
        prompt_id=standing.prompt_id,
        profile_fingerprint=standing.profile_fingerprint,
        by=by,
        passed=standing.passed,
        made=standing.made,
        why=f"{words}: {why}" if why else words,
    )


def _shares(
    funnel: Funnel, terms: Terms, standings: Sequence[Standing], going_on: Sequence[Standing], left: int
) -> Iterable[Share]:
    rates = pass_rates(standings)
    needed = {
        each.prompt_id: pictures_for(terms.keep - each.passed, rates[each.prompt_id])
        if each.rounds
        else first_round(funnel, len(standings))
        for each in going_on
    }
    asked = {each.prompt_id: len(each.tried) or needed[each.prompt_id] for each in going_on}
    dealt = deal({name: min(wish, asked[name]) for name, wish in needed.items()}, left)
    for each in going_on:
        size, wish = dealt[each.prompt_id], needed[each.prompt_id]
        if not size:
            continue
        knobs, moved = next_knobs(funnel, each)
        reasons = [
            f"{each.passed} of the {terms.keep} wanted passed, of {each.made} made; at a pass rate of"
            f" {rates[each.prompt_id]:.2f} the rest takes {wish}"
            if each.rounds
            else f"its first round: {wish}"
        ]
        if size < min(wish, asked[each.prompt_id]):
            reasons.append(f"{size} is its share of the {left} that are left")
        elif size < wish:
            reasons.append(f"{size} doubles what it has asked for, which is the most before looking again")
        yield Share(
            prompt_id=each.prompt_id,
            profile_fingerprint=each.profile_fingerprint,
            round=len(each.rounds) + 1,
            positions=tuple(range(len(each.tried), len(each.tried) + size)),
            knobs=knobs,
            passed=each.passed,
            why="; ".join([*reasons, *moved]),
        )


def deal(needed: Mapping[str, int], left: int) -> dict[str, int]:
    """So many for each prompt as it needs, where that is not enough for all an equal share of what is left.

    Those that need least come first, and what they leave of their share goes to the others.
    """
    dealt = dict.fromkeys(needed, 0)
    waiting = len(needed)
    for prompt_id, wish in sorted(needed.items(), key=lambda item: item[1]):
        dealt[prompt_id] = min(wish, max(left // waiting, min(1, left)))
        left -= dealt[prompt_id]
        waiting -= 1
    return dealt
