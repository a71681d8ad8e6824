"""Reading and writing the facts of prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.records import PRODUCTS
from asset_pipeline.prompts.asset_type import load_asset_types, pick_asset_types
from asset_pipeline.prompts.brand import load_brand
from asset_pipeline.prompts.editions import Edition, editions_of
from asset_pipeline.prompts.policy.policy import load_policy
from asset_pipeline.prompts.policy.wording_checks import PromptWarning, TokenCounts, WordingChecks
from asset_pipeline.prompts.product_selection import select_products, unknown_skus
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, write_prompts
from asset_pipeline.prompts.writing.words import Material, WordsWritten, Writer, write_words
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

PROMPTS = Table("prompts", Prompt, partitioned_by="campaign")
PROMPT_FAILURES = Table("prompt_failures", PromptFailure, partitioned_by="campaign")
PROMPT_WARNINGS = Table("prompt_warnings", PromptWarning, partitioned_by="campaign")
WORDING = Table("wording", Edition, partitioned_by="campaign")
"""What decided the words of a campaign each time that it was materialised."""


@dataclass(frozen=True)
class Written:
    """The prompts of a campaign, and what could not be put into words or must not be."""

    prompts: list[Prompt]
    failures: list[PromptFailure]
    products: int
    """How many products the campaign selects."""
    unknown_skus: list[str]
    """SKUs that the campaign names and the catalog does not have."""
    warnings: list[PromptWarning] = field(default_factory=list)
    editions: list[Edition] = field(default_factory=list)
    """Of the files that decided the words."""
    most_tokens: tuple[int, int] | None = None
    """Of the longest prompt, and how many the profile's model reads; none if nobody counted them."""
    words: WordsWritten | None = None
    """How far a text model has written them, where the campaign wants that and there is a writer."""


def prompts_from(
    products: Sequence[Product],
    data: Path,
    campaign_id: str,
    tokens: TokenCounts | None = None,
    writer: Writer | None = None,
) -> Written:
    """Write the prompts of a campaign from these products and check them; record nothing.

    Args:
        products: the catalog's.
        data: what people write.
        campaign_id: the campaign.
        tokens: gives the count of what the campaign's profile draws with; without, no prompt is too long.
        writer: has a text model write the words where the campaign wants that; without, they stay drafts.

    Raises:
        NotFound: there is no such campaign, asset type or brand file.
        InvalidFile: one of these files, or the policy, is wrong.
        NoRoute, BudgetExceeded, ProviderError: of a writer; see `write_words`.
    """
    campaign = load_campaign(data, campaign_id)
    asset_types = pick_asset_types(load_asset_types(data), campaign.asset_types)
    brand, policy = load_brand(data), load_policy(data)
    selected = select_products(products, campaign.products)
    by_fact = {PRODUCTS.fact_sha256(product): product for product in selected}
    checks = WordingChecks(campaign, asset_types, brand, by_fact, policy, tokens)
    material = Material(campaign_id, campaign, asset_types, brand, by_fact, data)
    drafted = write_prompts(by_fact, campaign, asset_types, brand)
    worded, words = write_words(checks.allowed(drafted) if campaign.writing else drafted, material, writer)
    checked = checks.check(worded)
    return Written(
        prompts=checked.prompts,
        failures=checked.failures,
        products=len(selected),
        unknown_skus=unknown_skus(products, campaign.products),
        warnings=checked.warnings,
        editions=editions_of(asset_types, brand, policy),
        most_tokens=checked.most_tokens,
        words=words,
    )


def load_prompts(store: Store, campaign_id: str) -> list[Prompt]:
    """The campaign's prompts as they were last recorded."""
    return store.facts.read(PROMPTS, campaign_id)


def load_failures(store: Store, campaign_id: str) -> list[PromptFailure]:
    """What of the campaign was not written the last time."""
    return store.facts.read(PROMPT_FAILURES, campaign_id)


def load_editions(store: Store, campaign_id: str) -> list[Edition]:
    """The files that decided the campaign's words the last time."""
    return store.facts.read(WORDING, campaign_id)


def record_prompts(store: Store, campaign_id: str, written: Written, *, run_id: str) -> None:
    """Record the campaign's prompts, unless they are as recorded already.

    A prompt that says what it said keeps the product's fact it was made from: a price that no template
    speaks of, or a row that has moved, delivers nothing again. Prompts come last: whoever sees them finds
    what decided them.
    """
    before = {prompt.prompt_id: prompt for prompt in load_prompts(store, campaign_id)}
    prompts = [_settled(prompt, before.get(prompt.prompt_id)) for prompt in written.prompts]
    store.facts.write_if_changed(WORDING, campaign_id, written.editions, run_id=run_id)
    store.facts.write_if_changed(PROMPT_WARNINGS, campaign_id, written.warnings, run_id=run_id)
    store.facts.write_if_changed(PROMPT_FAILURES, campaign_id, written.failures, run_id=run_id)
    store.facts.write_if_changed(PROMPTS, campaign_id, prompts, run_id=run_id)


def _settled(prompt: Prompt, before: Prompt | None) -> Prompt:
    """The prompt as it was recorded before, if nothing differs but the product's fact."""
    if before is None:
        return prompt
    same = before.product_fact_sha256
    return before if prompt.model_copy(update={"product_fact_sha256": same}) == before else prompt
