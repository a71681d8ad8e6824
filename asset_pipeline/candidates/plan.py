"""What a run of a campaign would make and cost, before anything is made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import inf

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.clearance import order_objections
from asset_pipeline.candidates.dispatch import Dispatcher
from asset_pipeline.candidates.funnel import PASSING_ENDS, objections_to, pictures_for
from asset_pipeline.candidates.jobs.attempt import FINAL, Attempt, affordable
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.candidates.waves import Rounds
from asset_pipeline.errors import MissingModel, UnsupportedRequest
from asset_pipeline.prompts.records import Written
from asset_pipeline.prompts.writing.words import WordsWritten


@dataclass(frozen=True)
class Foreseen:
    """What the rounds of a funnel may still come to."""

    keep_per_prompt: int
    open_prompts: int
    """Prompts that may have further rounds."""
    most: int
    """The most pictures that a run would make, whatever the budget."""
    paid: int
    """As many of them as the budget pays for."""
    pass_rate: float | None
    """The share of the pictures so far that passed; none before the first round."""
    expected: int | None
    """How many it would take by that pass rate."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    campaign_id: str
    has_run: bool
    """Whether an earlier run has made candidates."""
    products: int
    prompts: int
    failures: int
    unknown_skus: tuple[str, ...]
    wanted: int
    reuse: int
    """Candidates that are there, or were refused and would be again."""
    make: int
    """With a funnel: the most that a run would make and the budget pays for."""
    make_by_asset_type: Mapping[str, int]
    """With a funnel: what its rounds asked for and nobody made; further ones are not dealt yet."""
    new_skus: tuple[str, ...]
    """Products that have no candidate yet at all."""
    no_longer_wanted: int
    """Candidates of earlier runs that the campaign does not want any more; their history stays."""
    cost_usd: float
    spent_usd: float
    budget_usd: float
    objections: tuple[str, ...]
    """Why a run would refuse to start."""
    profile: str
    by_profile: Mapping[str, int] = field(default_factory=dict)
    """Of what would be made, how many by whom, as routing chooses now; of a funnel it is not known yet."""
    words: WordsWritten | None = None
    """How far a text model has written the words, where the campaign wants that."""
    funnel: Foreseen | None = None
    """What the rounds may come to, where the campaign has a funnel."""

    @property
    def is_affordable(self) -> bool:
        """Whether the budget pays for everything that would be made."""
        return self.cost_usd == 0 or self.spent_usd + self.cost_usd <= self.budget_usd + 1e-9


@dataclass(frozen=True)
class Ledger:
    """What a campaign's runs have come to so far."""

    attempts: Mapping[str, Attempt]
    """The newest state of each candidate's newest attempt."""
    candidates: Sequence[Candidate]
    """The candidates as the last finished run left them; none if there was none."""
    spent_usd: float


def plan_production(order: Order, campaign: Campaign, written: Written, ledger: Ledger, today: date) -> Plan:
    """Compare what is wanted with what is there."""
    settled = {candidate_id for candidate_id, attempt in ledger.attempts.items() if attempt.state in FINAL}
    missing = [each for each in order.wanted if each.candidate_id not in settled]
    known = {each.sku for each in ledger.candidates}
    names = {each.candidate_id for each in order.wanted}
    funnel = None if order.rounds is None else foresee(order, order.rounds, len(missing), ledger.spent_usd)
    make = len(missing) if funnel is None else funnel.paid
    by_profile = {} if funnel is not None else deal(order, missing)
    expected = sum(
        order.lane(name).expected_usd(each) for name, those in by_profile.items() for each in those
    )
    return Plan(
        campaign_id=order.campaign_id,
        has_run=bool(ledger.candidates),
        products=written.products,
        prompts=len(written.prompts),
        failures=len(written.failures),
        unknown_skus=tuple(written.unknown_skus),
        wanted=len(order.wanted),
        reuse=len(order.wanted) - len(missing),
        make=make,
        make_by_asset_type=dict(sorted(Counter(each.prompt.asset_type for each in missing).items())),
        new_skus=tuple(sorted({each.prompt.sku for each in missing} - known)),
        no_longer_wanted=sum(each.candidate_id not in names for each in ledger.candidates),
        cost_usd=expected if funnel is None else make * order.most_usd,
        spent_usd=ledger.spent_usd,
        budget_usd=order.budget_usd,
        objections=(*order_objections(campaign, order, today), *_too_many(order), *_unsupported(order)),
        profile=order.profile_name,
        by_profile={name: len(those) for name, those in by_profile.items()},
        words=written.words,
        funnel=funnel,
    )


def deal(order: Order, missing: Sequence[Wanted]) -> dict[str, list[Wanted]]:
    """By profile, what it would make; what nobody may make counts as the campaign's own."""
    if not order.alternatives:
        return {order.profile_name: list(missing)} if missing else {}
    assigned = Dispatcher(order, {}).assign([(each, 1) for each in missing], inf, {})
    dealt = {name: [wanted for wanted, _ in those] for name, those in assigned.lanes.items()}
    for (wanted, _), _ in assigned.given_up:
        dealt.setdefault(order.profile_name, []).append(wanted)
    return dealt


def foresee(order: Order, rounds: Rounds, missing: int, spent_usd: float) -> Foreseen:
    """What the rounds of a funnel may still come to.

    Args:
        order: of the funnel's campaign.
        rounds: the funnel, with its waves.
        missing: how many pictures these asked for and nobody made.
        spent_usd: what all attempts of the campaign came to.
    """
    price = order.most_usd
    passed = {
        prompt.prompt_id: rounds.shares(prompt.prompt_id)[-1].passed if rounds.shares(prompt.prompt_id) else 0
        for prompt in rounds.prompts
    }
    stops = {prompt_id: rounds.stop(prompt_id) for prompt_id in rounds.open}
    still_open = [name for name, stop in stops.items() if stop is None or stop.by not in PASSING_ENDS]
    left = rounds.left(0.0, spent_usd, is_late=False).make
    most = missing + (left if still_open else 0)
    made, good = sum(each.made for each in rounds.seen), sum(each.passed for each in rounds.seen)
    lacking = sum(max(0, rounds.terms.keep - passed[name]) for name in still_open)
    return Foreseen(
        keep_per_prompt=rounds.terms.keep,
        open_prompts=len(still_open),
        most=most,
        paid=affordable([price] * most, order.budget_usd - spent_usd),
        pass_rate=good / made if made else None,
        expected=min(most, max(missing, pictures_for(lacking, good / made))) if good else None,
    )


def _too_many(order: Order) -> list[str]:
    return [] if order.rounds is None else objections_to(order.rounds.funnel, len(order.rounds.prompts))


def _unsupported(order: Order) -> list[str]:
    """What the provider has no words or no model for, once each."""
    found: dict[str, None] = {}
    try:
        for asked in order.requests():
            try:
                order.require_words_for(asked)
            except (UnsupportedRequest, MissingModel) as error:
                found[str(error)] = None
    except UnsupportedRequest as error:  # a funnel moves a parameter that the provider does not have
        found[str(error)] = None
    return list(found)
