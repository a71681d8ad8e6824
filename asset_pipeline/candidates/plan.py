"""What a run of a campaign would make and cost, before anything is made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.attempt import FINAL, Attempt
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.production import Order
from asset_pipeline.candidates.profile import objections
from asset_pipeline.errors import MissingModel, UnsupportedRequest
from asset_pipeline.prompts.records import Written
from asset_pipeline.prompts.writing.words import WordsWritten


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
    make_by_asset_type: Mapping[str, int]
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
    words: WordsWritten | None = None
    """How far a text model has written the words, where the campaign wants that."""

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
    return Plan(
        campaign_id=order.campaign_id,
        has_run=bool(ledger.candidates),
        products=written.products,
        prompts=len(written.prompts),
        failures=len(written.failures),
        unknown_skus=tuple(written.unknown_skus),
        wanted=len(order.wanted),
        reuse=len(order.wanted) - len(missing),
        make=len(missing),
        make_by_asset_type=dict(sorted(Counter(each.prompt.asset_type for each in missing).items())),
        new_skus=tuple(sorted({each.prompt.sku for each in missing} - known)),
        no_longer_wanted=sum(each.candidate_id not in names for each in ledger.candidates),
        cost_usd=len(missing) * order.profile.price_usd_per_image,
        spent_usd=ledger.spent_usd,
        budget_usd=order.budget_usd,
        objections=(*objections(campaign, order.profile, today), *_unsupported(order)),
        profile=order.profile_name,
        words=written.words,
    )


def _unsupported(order: Order) -> list[str]:
    """What the provider has no words or no model for, once each."""
    found: dict[str, None] = {}
    for each in order.wanted:
        try:
            order.provider.check(each.asked)
        except (UnsupportedRequest, MissingModel) as error:
            found[str(error)] = None
    return list(found)
