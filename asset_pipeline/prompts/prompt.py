"""How products are put into words, each prompt named by its content."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Photograph, Product
from asset_pipeline.fingerprint import identifier
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.template import TemplateFailure
from asset_pipeline.prompts.template_words import ProductWords, Variation, Wording
from asset_pipeline.prompts.variation import check_variations, count_prompts, require_few_enough

_CONTENT = (
    "sku",
    "asset_type",
    "locale",
    "variation",
    "text",
    "negative_text",
    "width",
    "height",
    "parameters",
)
"""What a prompt is named by, besides its references and what a text model answered, if one was asked."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prompt(_Frozen):
    """The words for one picture of one product, and what goes with them."""

    prompt_id: str
    sku: str
    product_fact_sha256: str
    """The hash of the product's fact that the words were made from."""
    asset_type: str
    locale: str
    words_locale: str
    """The locale whose words were used; another one where the product has none of its own."""
    variation: dict[str, str]
    """The names of the values that were chosen, the same in all locales."""
    text: str
    negative_text: str
    width: int
    height: int
    parameters: dict[str, Any]
    references: tuple[Photograph, ...]
    template_sha256: str
    overlay_text: str = ""
    """What is set on the picture later; no model sees it."""
    fallbacks: tuple[str, ...] = ()
    """What is not in the locale's own words, and whose it is in: ``template: default``."""
    steps: tuple[str, ...] = ()
    """The ids of the text models' answers that the words were written with."""


class PromptFailure(_Frozen):
    """A prompt that could not be written, and why."""

    sku: str
    asset_type: str
    locale: str
    variation: dict[str, str]
    feed: str
    row: int
    reason: str
    line: int | None = None
    """The line of the template."""
    variable: str | None = None
    """The word that is missing, as the template calls it: ``product.attributes.colour``."""
    code: str = "template"
    """What kind of reason, to count and filter by: ``template``, ``policy``, ``duplicate``, ``too_long``,
    ``text_model``."""
    rule: str = ""
    """The policy's rule that the words break, if they break one."""


def write_prompts(
    products: Mapping[str, Product], campaign: Campaign, asset_types: Mapping[str, AssetType], brand: Brand
) -> Iterator[Prompt | PromptFailure]:
    """Every prompt of a campaign: product × asset type × locale × variation, one after the other.

    Args:
        products: the products that the campaign selects, by the hash of their facts.
        campaign: what is asked for.
        asset_types: the campaign's asset types by name.
        brand: the words of the brand.

    Raises:
        InvalidFile: before the first one: a template is not valid, the campaign varies what no asset type
            declares, or comes to more prompts than it may.
    """
    check_variations(campaign, asset_types)
    require_few_enough(count_prompts(len(products), campaign, asset_types), campaign)
    wordings = [
        [Wording.of(name, asset_type, campaign, brand, locale) for locale in campaign.locales]
        for name, asset_type in asset_types.items()
    ]
    return (
        _write(fact, product, wording, words, variation)
        for in_locales in wordings
        for fact, product in products.items()
        for wording in in_locales
        for words in (wording.words_of(product),)
        for variation in wording.variations
    )


def prompt_id_of(prompt: Prompt) -> str:
    """The id that a prompt's content gives it."""
    return _id_of(dict(prompt))


def _id_of(content: Mapping[str, Any]) -> str:
    named = {name: content[name] for name in _CONTENT}
    named["references"] = [(picture.role, picture.sha256) for picture in content["references"]]
    if content["steps"]:
        named["steps"] = content["steps"]
    return identifier("p", named)


def _write(
    fact: str, product: Product, wording: Wording, words: ProductWords, variation: Variation
) -> Prompt | PromptFailure:
    kind = wording.asset_type
    identity: dict[str, Any] = {
        "sku": product.sku,
        "asset_type": wording.name,
        "locale": wording.locale,
        "variation": variation.names,
    }
    try:
        text, negative_text, overlay_text = wording.write(words, variation)
    except TemplateFailure as failure:
        return PromptFailure(
            **identity,
            feed=product.feed,
            row=product.row,
            reason=str(failure),
            line=failure.line,
            variable=failure.variable,
        )
    content = identity | {
        "text": text,
        "negative_text": negative_text,
        "width": kind.width,
        "height": kind.height,
        "parameters": kind.parameters,
        "references": words.references,
        "overlay_text": overlay_text,
        "steps": (),
    }
    return Prompt(
        prompt_id=_id_of(content),
        product_fact_sha256=fact,
        words_locale=words.locale,
        template_sha256=wording.template_sha256,
        fallbacks=words.fallbacks + variation.fallbacks,
        **content,
    )
