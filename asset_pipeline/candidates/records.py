"""Reading and writing the facts of candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path

from asset_pipeline.campaign.brief import SENSITIVITIES, Campaign, campaign_path, load_campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.clearance import ATTRIBUTE, order_objections, stricter
from asset_pipeline.candidates.funnel import objections_to, terms_of
from asset_pipeline.candidates.jobs.attempt import (
    ATTEMPTS,
    OPEN,
    Attempt,
    affordable,
    is_to_come,
    newest,
    spent_usd,
)
from asset_pipeline.candidates.judge import Judge
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.profile import load_profile
from asset_pipeline.candidates.request import Provider
from asset_pipeline.candidates.routing import PassRate
from asset_pipeline.candidates.wanted import Wanted, asked_once, profiles_of, want_candidates
from asset_pipeline.candidates.waves import Rounds, load_waves
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.records import load_products
from asset_pipeline.errors import InvalidFile, NoRoute, UnfinishedRun
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import load_prompts
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.yaml_model import located

CANDIDATES = Table("candidates", Candidate, partitioned_by="campaign")


@dataclass(frozen=True)
class Workshop:
    """What making candidates takes: where facts are, where people's files are, and who can make images."""

    store: Store
    data: Path
    providers: Mapping[str, Provider]
    judge: Judge | None = None
    """Who says which candidates pass; a campaign with a funnel cannot be made without."""
    pass_rates: Callable[[], Mapping[str, PassRate]] = dict
    """Gives, by profile, how many of its pictures passed; asked where several share a campaign."""


def order_for(workshop: Workshop, campaign_id: str, *, afresh: bool = False) -> Order:
    """What a campaign wants made of its recorded prompts, once it is certain that it may be made.

    Raises:
        NoRoute: the campaign's profile may not make its images, or nobody can judge those of its funnel.
        UnsupportedRequest: its provider has no words for one of the requests.
        NotFound: there is no such campaign or profile.
        InvalidFile: the campaign's or the profile's file is wrong.
    """
    campaign = load_campaign(workshop.data, campaign_id)
    order = order_from(workshop, campaign_id, campaign, load_prompts(workshop.store, campaign_id))
    if found := order_objections(campaign, order, datetime.now(UTC).date()):
        raise NoRoute(f"the profile {campaign.profile!r} cannot take this campaign: {'; '.join(found)}")
    if order.rounds is not None:
        require_funnel(workshop, campaign_id, order.rounds)
    order.require_words()
    return replace(order, afresh=afresh)


def recorded_order(workshop: Workshop, campaign_id: str) -> Order:
    """What a campaign wants made of its recorded prompts, allowed or not. Raises as ``order_from``."""
    campaign = load_campaign(workshop.data, campaign_id)
    return order_from(workshop, campaign_id, campaign, load_prompts(workshop.store, campaign_id))


def order_from(
    workshop: Workshop,
    campaign_id: str,
    campaign: Campaign,
    prompts: Sequence[Prompt],
    products: Sequence[Product] | None = None,
) -> Order:
    """What a campaign would want made of these prompts, allowed or not.

    Args:
        workshop: where facts are, and who can make images.
        campaign_id: whose prompts they are.
        campaign: its file.
        prompts: what is wanted pictures of.
        products: those that the prompts are about; the recorded ones unless given.

    Raises:
        NotFound: there is no such profile, or no such model as it names.
        InvalidFile: its file is wrong.
        UnsupportedRequest: its parameters mean nothing to its provider.
    """
    profile = load_profile(workshop.data, campaign.profile, workshop.providers)
    provider = workshop.providers[profile.provider]
    version_of, rounds = asked_once(provider.version_of), None
    if campaign.funnel is not None:
        profiles = profiles_of(prompts, profile, version_of)
        waves = load_waves(workshop.store, campaign_id)
        terms = terms_of(campaign, campaign.funnel, len(prompts))
        rounds = Rounds(campaign.funnel, terms, prompts, profiles, waves)
    order = Order(
        campaign_id=campaign_id,
        wanted=want_candidates(prompts, campaign, profile, version_of, rounds),
        profile_name=campaign.profile,
        profile=profile,
        provider=provider,
        budget_usd=campaign.budget_usd,
        rounds=rounds,
        alternatives=tuple(_lane(workshop, name) for name in campaign.alternatives),
        budget_usd_per_day=campaign.budget_usd_per_day,
        priority=campaign.priority,
        sensitivity=campaign.sensitivity,
        seconds_left=_seconds_left(campaign, datetime.now(UTC)),
    )
    return with_products(workshop, order, products)


def with_products(workshop: Workshop, order: Order, products: Sequence[Product] | None = None) -> Order:
    """The order with what its routing depends on besides: sensitive products, and how often profiles pass.

    Neither is read where it makes no difference: one profile, on this machine, that may see everything.
    """
    sees_all = all(
        not lane.profile.is_remote and len(set(lane.profile.sensitivities)) == len(SENSITIVITIES)
        for lane in order.lanes
    )
    if sees_all and not order.alternatives:
        return order
    marked = {
        product.sku: stricter(order.sensitivity, product.attributes.get(ATTRIBUTE))
        for product in (load_products(workshop.store) if products is None else products)
        if ATTRIBUTE in product.attributes
    }
    rates = workshop.pass_rates() if order.alternatives else {}
    return replace(order, sensitivities=marked, pass_rates=rates)


def _lane(workshop: Workshop, name: str) -> Lane:
    profile = load_profile(workshop.data, name, workshop.providers)
    return Lane(name, profile, workshop.providers[profile.provider])


def _seconds_left(campaign: Campaign, now: datetime) -> float | None:
    """Until the end of the campaign's last day, in UTC; none if it has no deadline.

    None, too, when that is over: then no run starts, and one that is at work finishes what it decided.
    """
    if campaign.deadline is None or now.date() > campaign.deadline:
        return None
    return (datetime.combine(campaign.deadline, time.max, UTC) - now).total_seconds()


def require_funnel(workshop: Workshop, campaign_id: str, rounds: Rounds) -> None:
    """Refuse rounds that could not do what they are for, before anything is spent.

    Raises:
        NoRoute: nobody can judge, or the prompts are more than the pictures.
        InvalidFile: a parameter waits for a dimension that nothing measures, or the gates cannot be read.
    """
    if workshop.judge is None:
        raise NoRoute(f"the campaign {campaign_id} has a funnel, and nobody here can say which pictures pass")
    if found := objections_to(rounds.funnel, len(rounds.prompts)):
        raise NoRoute("; ".join(found))
    known = workshop.judge.dimensions()
    for name, knob in rounds.funnel.vary.items():
        if unknown := [dimension for dimension in knob.when if dimension not in known]:
            where = located(campaign_path(workshop.data, campaign_id), "funnel", "vary", name, "when")
            raise InvalidFile(
                f"{where}: there is no dimension {', '.join(unknown)} (there are: {', '.join(sorted(known))})"
            )


def load_candidates(store: Store, campaign_id: str) -> list[Candidate]:
    """The campaign's candidates as the last finished run left them."""
    return store.facts.read(CANDIDATES, campaign_id)


def load_attempts(store: Store, campaign_id: str) -> dict[str, Attempt]:
    """The newest state of each candidate's newest attempt, finished run or not."""
    return newest(store.events.read(ATTEMPTS, campaign_id))


def load_spent_usd(store: Store, campaign_id: str) -> float:
    """What the campaign's attempts have cost so far."""
    return spent_usd(store.events.read(ATTEMPTS, campaign_id))


def record_candidates(
    store: Store, campaign_id: str, candidates: Sequence[Candidate], *, run_id: str
) -> None:
    """Record the campaign's candidates, unless they are as recorded already."""
    store.facts.write_if_changed(CANDIDATES, campaign_id, candidates, run_id=run_id)


def collect(order: Order, store: Store, *, planned_sha256: str) -> list[Candidate]:
    """What became of everything that the order wants.

    Raises:
        UnfinishedRun: something has no end yet, or what is wanted is no longer what was planned; without
            this, re-executing a run whose shards were never started would record half a campaign.
    """
    earlier = load_candidates(store, order.campaign_id)
    attempts = load_attempts(store, order.campaign_id)
    candidates, unsettled = settle(order, attempts, earlier)
    open_ends: Sequence[Wanted] = unsettled
    if order.rounds is not None:
        if going_on := order.rounds.going_on:
            raise UnfinishedRun(
                f"{len(going_on)} of {len(order.rounds.prompts)} prompts have rounds to come; "
                "materialise the partition again, what is finished is kept"
            )
        open_ends = to_come(order, store, attempts, unsettled)
    if open_ends:
        raise UnfinishedRun(
            f"{len(open_ends)} of {len(order.wanted)} candidates have no end; "
            "materialise the partition again, what is finished is kept"
        )
    if order.basis_sha256 != planned_sha256:
        raise UnfinishedRun("prompts or profile changed during the run; materialise the partition again")
    return candidates


def to_come(
    order: Order, store: Store, attempts: Mapping[str, Attempt], open_ends: Sequence[Wanted]
) -> Sequence[Wanted]:
    """Of a funnel's open ends those that come to one: somebody is making them, or the budget pays for any."""
    names = [each.candidate_id for each in open_ends]
    left = order.budget_usd - load_spent_usd(store, order.campaign_id)
    if affordable([min(lane.most_usd(each) for lane in order.lanes) for each in open_ends], left):
        return open_ends
    begun = {name for name in names if name in attempts and attempts[name].state in OPEN}
    return [each for each in open_ends if each.candidate_id in begun]


def settle(
    order: Order, attempts: Mapping[str, Attempt], earlier: Sequence[Candidate]
) -> tuple[list[Candidate], list[Wanted]]:
    """Turn what the attempts came to into candidates; what has no end yet is returned beside them.

    A candidate that an earlier run recorded stays as it was recorded: with the prompt's fact of its making.
    """
    known = {(candidate.candidate_id, candidate.attempt): candidate for candidate in earlier}
    candidates, open_ends = [], []
    for each in order.wanted:
        attempt = attempts.get(each.candidate_id)
        if attempt is None or is_to_come(attempt):
            open_ends.append(each)
            continue
        made, lane = attempt.state == "succeeded", order.lane(attempt.profile)
        candidates.append(
            known.get((each.candidate_id, attempt.attempt))
            or Candidate(
                candidate_id=each.candidate_id,
                prompt_id=each.prompt.prompt_id,
                prompt_fact_sha256=each.prompt_fact_sha256,
                sku=each.prompt.sku,
                asset_type=each.prompt.asset_type,
                locale=each.prompt.locale,
                position=each.position,
                profile=attempt.profile,
                provider=lane.profile.provider,
                provider_version=_version(lane, each, order),
                request=each.asked.request,
                state="made" if made else "refused" if attempt.state == "refused" else "failed",
                reason=attempt.reason,
                attempt=attempt.attempt,
                image_sha256=attempt.image_sha256,
                mask_sha256=attempt.mask_sha256,
                perceptual_hash=attempt.perceptual_hash,
                details=attempt.details,
                cost_usd=attempt.cost_usd,
                seconds=attempt.seconds,
            )
        )
    return candidates, open_ends


def _version(lane: Lane, wanted: Wanted, order: Order) -> str:
    """The version of the provider that made a candidate."""
    if lane.name == order.profile_name:
        return wanted.provider_version
    return lane.provider.version_of(lane.asked(wanted).parameters)
