"""How products are put into words, each prompt named by its content."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Photograph, Product
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import identifier
from asset_pipeline.prompts.asset_type import AssetType, Brand

_TEMPLATES = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


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
    text: str
    negative_text: str
    width: int
    height: int
    parameters: dict[str, Any]
    references: tuple[Photograph, ...]
    template_sha256: str


class PromptFailure(_Frozen):
    """A prompt that could not be written, and why."""

    sku: str
    asset_type: str
    locale: str
    variation: dict[str, str]
    feed: str
    row: int
    reason: str


def write_prompts(
    products: Mapping[str, Product], campaign: Campaign, asset_types: Mapping[str, AssetType], brand: Brand
) -> Iterator[Prompt | PromptFailure]:
    """Every prompt of a campaign: product × asset type × locale × variation.

    Args:
        products: the products that the campaign selects, by the hash of their facts.
        campaign: what is asked for.
        asset_types: the campaign's asset types by name.
        brand: the words of the brand.

    Raises:
        InvalidFile: a template is not valid, or the campaign varies what no asset type declares.
    """
    check_variations(campaign, asset_types)
    for (name, asset_type), (fact, product) in itertools.product(asset_types.items(), products.items()):
        wording = _Wording(name, asset_type, campaign, brand)
        for locale, variation in itertools.product(campaign.locales, variations(campaign, asset_type)):
            yield wording.write(fact, product, locale, variation)


def variations(campaign: Campaign, asset_type: AssetType) -> list[dict[str, str]]:
    """The combinations of words that the campaign varies for this asset type; defaults elsewhere."""
    choices = [
        [(name, value) for value in campaign.variations.get(name, (default,))]
        for name, default in asset_type.variables.items()
    ]
    return [dict(combination) for combination in itertools.product(*choices)]


def check_variations(campaign: Campaign, asset_types: Mapping[str, AssetType]) -> None:
    """Refuse a campaign that varies something that none of its asset types has a place for."""
    declared = {name for asset_type in asset_types.values() for name in asset_type.variables}
    unknown = sorted(campaign.variations.keys() - declared)
    if unknown:
        raise InvalidFile(
            f"variations: {', '.join(unknown)}: declared by none of the campaign's asset types "
            f"(they declare: {', '.join(sorted(declared)) or 'nothing'})"
        )


@dataclass(frozen=True)
class _Wording:
    """What the prompts of one asset type in one campaign have in common."""

    name: str
    asset_type: AssetType
    campaign: Campaign
    brand: Brand

    def write(
        self, fact: str, product: Product, locale: str, variation: dict[str, str]
    ) -> Prompt | PromptFailure:
        identity: dict[str, Any] = {
            "sku": product.sku,
            "asset_type": self.name,
            "locale": locale,
            "variation": variation,
        }
        words = self._words(product, locale, variation)
        kind = self.asset_type
        try:
            text = _render(f"asset type {self.name}: template", kind.template, words)
            negative_text = _render(
                f"asset type {self.name}: negative_template", kind.negative_template, words
            )
        except (jinja2.UndefinedError, SecurityError) as error:
            return PromptFailure(**identity, feed=product.feed, row=product.row, reason=f"template: {error}")
        if not text:
            return PromptFailure(**identity, feed=product.feed, row=product.row, reason="the prompt is empty")
        content = identity | {
            "text": text,
            "negative_text": negative_text,
            "width": kind.width,
            "height": kind.height,
            "parameters": kind.parameters,
            "references": _references(product.photographs, kind),
        }
        named = content | {
            "references": [(picture.role, picture.sha256) for picture in content["references"]]
        }
        return Prompt(
            prompt_id=identifier("p", named),
            product_fact_sha256=fact,
            words_locale=product.words_locale(locale),
            template_sha256=kind.words_sha256,
            **content,
        )

    def _words(self, product: Product, locale: str, variation: Mapping[str, str]) -> dict[str, Any]:
        """What a template may say; plain values only, so that no template reaches Python."""
        text = product.text(locale)
        described = {
            "name": text.name,
            "description": text.description,
            "sku": product.sku,
            "brand": product.brand or "",
            "category": product.categories[0] if product.categories else "",
            "categories": list(product.categories),
            "price": product.price or "",
            "currency": product.currency or "",
            "attributes": dict(product.attributes),
        }
        return {
            "product": described,
            "brand": self.brand.model_dump(mode="json"),
            "locale": locale,
            "campaign": {"title": self.campaign.title, **self.campaign.variables},
            **variation,
        }


def _references(photographs: Sequence[Photograph], asset_type: AssetType) -> tuple[Photograph, ...]:
    order = {role: place for place, role in enumerate(asset_type.references)}
    wanted = [photograph for photograph in photographs if photograph.role in order]
    return tuple(sorted(wanted, key=lambda photograph: (order[photograph.role], photograph.reference)))


def _render(where: str, template: str, words: Mapping[str, Any]) -> str:
    return " ".join(_compiled(where, template).render(words).split())


@lru_cache(maxsize=256)
def _compiled(where: str, template: str) -> jinja2.Template:
    try:
        return _TEMPLATES.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise InvalidFile(f"{where}, its line {error.lineno}: {error.message}") from error
