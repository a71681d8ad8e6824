"""Reading and writing the facts of prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.records import PRODUCTS
from asset_pipeline.prompts.asset_type import load_asset_types, load_brand, pick_asset_types
from asset_pipeline.prompts.product_selection import select_products, unknown_skus
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, write_prompts
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

PROMPTS = Table("prompts", Prompt, partitioned_by="campaign")
PROMPT_FAILURES = Table("prompt_failures", PromptFailure, partitioned_by="campaign")


@dataclass(frozen=True)
class Written:
    """The prompts of a campaign, and what could not be put into words."""

    prompts: list[Prompt]
    failures: list[PromptFailure]
    products: int
    """How many products the campaign selects."""
    unknown_skus: list[str]
    """SKUs that the campaign names and the catalog does not have."""


def prompts_from(products: Sequence[Product], data: Path, campaign_id: str) -> Written:
    """Write the prompts of a campaign from these products; record nothing.

    Raises:
        NotFound: there is no such campaign, asset type or brand file.
        InvalidFile: one of these files is wrong.
    """
    campaign = load_campaign(data, campaign_id)
    asset_types = pick_asset_types(load_asset_types(data), campaign.asset_types)
    selected = select_products(products, campaign.products)
    by_fact = {PRODUCTS.fact_sha256(product): product for product in selected}
    answers = list(write_prompts(by_fact, campaign, asset_types, load_brand(data)))
    return Written(
        prompts=[answer for answer in answers if isinstance(answer, Prompt)],
        failures=[answer for answer in answers if isinstance(answer, PromptFailure)],
        products=len(selected),
        unknown_skus=unknown_skus(products, campaign.products),
    )


def load_prompts(store: Store, campaign_id: str) -> list[Prompt]:
    """The campaign's prompts as they were last recorded."""
    return store.facts.read(PROMPTS, campaign_id)


def record_prompts(store: Store, campaign_id: str, written: Written, *, run_id: str) -> None:
    """Record the campaign's prompts, unless they are as recorded already."""
    store.facts.write_if_changed(PROMPT_FAILURES, campaign_id, written.failures, run_id=run_id)
    store.facts.write_if_changed(PROMPTS, campaign_id, written.prompts, run_id=run_id)
