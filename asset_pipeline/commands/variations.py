"""Variations of a picture: which it is, whether all else is as it was, and the campaign that makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asset_pipeline.audit.find import find
from asset_pipeline.audit.lineage import trace
from asset_pipeline.audit.story import Story
from asset_pipeline.campaign.brief import Campaign, campaign_path, load_campaign
from asset_pipeline.candidates.likeness import (
    Parent,
    Wish,
    brief_of,
    changes_since,
    differences,
    like,
    name_for,
    unvaried,
)
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.profile import load_profile
from asset_pipeline.candidates.records import Workshop, order_from
from asset_pipeline.candidates.request import Provider
from asset_pipeline.candidates.token_count import token_counts
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.records import PRODUCTS
from asset_pipeline.errors import BrokenFact, InvalidFile, NotFound
from asset_pipeline.prompts.asset_type import AssetType, load_asset_types, pick_asset_types
from asset_pipeline.prompts.brand import load_brand
from asset_pipeline.prompts.policy.policy import load_policy
from asset_pipeline.prompts.policy.wording_checks import WordingChecks
from asset_pipeline.prompts.product_selection import select_products
from asset_pipeline.prompts.prompt import write_prompts
from asset_pipeline.store.store import Store

SHOWN = 10


@dataclass(frozen=True)
class Means:
    """What making variations takes."""

    store: Store
    data: Path
    exports: Path
    providers: Mapping[str, Provider]
    products: Sequence[Product]
    """The catalog's, as the feeds are now."""


@dataclass(frozen=True)
class Variations:
    """The campaign of a picture's variations, before it is written."""

    campaign_id: str
    campaign: Campaign
    text: str
    """Its file."""
    order: Order
    """What it would want made."""
    changed: tuple[str, ...]
    """What has changed since the picture was made, besides what varies."""


def find_picture(means: Means, what: str, campaign_id: str | None = None) -> tuple[Parent, Story]:
    """The picture that is meant, and its story.

    Args:
        means: where to look.
        what: an exported file, a SHA-256 or an asset's id; see ``audit.find``.
        campaign_id: whose it is, where several campaigns have it.

    Raises:
        NotFound: nothing has that name, it means several pictures, or there is no picture.
        BrokenFact: there is no record that holds of how it was made.
    """
    subjects = {
        (each.campaign_id, each.candidate_id): each
        for each in find(means.store, means.exports, what)
        if campaign_id in (None, each.campaign_id)
    }
    if len(subjects) != 1:
        found = [f"{candidate_id} of {campaign}" for campaign, candidate_id in subjects][:SHOWN]
        raise NotFound(
            f"{what} has to mean one picture, and means {', '.join(found) or 'none'}; give its id, and its "
            "campaign with --campaign"
        )
    (subject,) = subjects.values()
    story = trace(means.store, means.data, means.exports, subject)
    if story.candidate is None or story.prompt is None:
        raise BrokenFact(
            f"no record that holds says how {subject.candidate_id} was made; see asset-pipeline audit "
            f"{subject.candidate_id}"
        )
    if story.candidate.image_sha256 is None:
        raise NotFound(f"{subject.candidate_id} has no picture: {story.candidate.reason}")
    own = load_campaign(means.data, subject.campaign_id)
    return Parent(subject.campaign_id, own, story.candidate, story.prompt), story


def vary(
    means: Means, parent: Parent, wish: Wish, *, name: str | None = None, allow_changed: bool = False
) -> Variations:
    """The variations of a picture. Writes nothing.

    Args:
        means: what it takes.
        parent: the picture.
        wish: what varies.
        name: what to call the campaign; made from what is asked if not given.
        allow_changed: whether more may have changed than what varies.

    Raises:
        InvalidFile: it would vary nothing, or more than what was asked for; the words cannot be written.
        NotFound: the product, the profile or the asset type is not there any more.
    """
    kind = parent.prompt.asset_type
    asset_type = pick_asset_types(load_asset_types(means.data), (kind,))[kind]
    profile = load_profile(means.data, parent.candidate.profile, means.providers)
    campaign = like(parent, wish, asset_type, profile)
    today = _order(means, parent.campaign_id, unvaried(parent, asset_type), asset_type)
    changed = changes_since(parent, today.wanted[0], asset_type, profile)
    if changed and not allow_changed:
        raise InvalidFile(
            f"more than what varies has changed since {parent.candidate.candidate_id} was made: "
            + "; ".join(changed)
            + ". Put it back, or go on with --allow-changed"
        )
    campaign_id = name or name_for(parent, wish)
    order = _order(means, campaign_id, campaign, asset_type)
    _require_difference(parent, order)
    return Variations(campaign_id, campaign, brief_of(campaign, parent), order, tuple(changed))


def write_campaign(data: Path, variations: Variations) -> tuple[Path, bool]:
    """Write the campaign's file, unless it is there already; return where, and whether it was written.

    Raises:
        InvalidFile: there is another campaign of that name.
    """
    path = campaign_path(data, variations.campaign_id)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(variations.text)
    except FileExistsError:
        if path.read_text(encoding="utf-8") != variations.text:
            raise InvalidFile(
                f"{path} is there already and says something else; give another --name"
            ) from None
        return path, False
    return path, True


def _order(means: Means, campaign_id: str, campaign: Campaign, asset_type: AssetType) -> Order:
    """What a campaign of one product and one asset type would want made, as a run finds it."""
    selected = select_products(means.products, campaign.products)
    if not selected:
        raise NotFound(f"the catalog no longer has the product {', '.join(campaign.products.skus)}")
    by_fact = {PRODUCTS.fact_sha256(product): product for product in selected}
    kinds = dict.fromkeys(campaign.asset_types, asset_type)
    brand, policy = load_brand(means.data), load_policy(means.data)
    tokens = token_counts(means.data, means.providers)
    checks = WordingChecks(campaign, kinds, brand, by_fact, policy, tokens)
    checked = checks.check(write_prompts(by_fact, campaign, kinds, brand))
    if checked.failures:
        reasons = dict.fromkeys(failure.reason for failure in checked.failures)
        raise InvalidFile("its words cannot be written: " + "; ".join(reasons))
    workshop = Workshop(means.store, means.data, means.providers)
    return order_from(workshop, campaign_id, campaign, checked.prompts)


def _require_difference(parent: Parent, order: Order) -> None:
    """Refuse values of a variable that the words do not speak of: the same picture would be made again."""
    request = parent.candidate.request
    for each in order.wanted:
        same = (each.prompt.text, each.prompt.negative_text) == (request.prompt, request.negative_prompt)
        if same and each.prompt.variation != parent.prompt.variation:
            told = ", ".join(differences(parent, each))
            raise InvalidFile(f"{told}: the words stay the same, for the template does not speak of it")
