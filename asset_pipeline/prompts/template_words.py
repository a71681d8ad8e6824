"""What templates may say: what the prompts of an asset type in a locale share, what a product brings."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Photograph, PhotographRole, Product
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.locale import DEFAULT, is_own, own_keys, worded
from asset_pipeline.prompts.template import (
    Template,
    TemplateFailure,
    Words,
    known_to_every_template,
    prepared,
)
from asset_pipeline.prompts.variation import combinations, named, words_of


@dataclass(frozen=True)
class Variation:
    """One combination of what a campaign varies, in one locale."""

    names: dict[str, str]
    words: dict[str, Any]
    """Everything that templates may say for it, but for what each product brings."""
    fallbacks: tuple[str, ...]


@dataclass(frozen=True)
class ProductWords:
    """What a product brings to its prompts of one asset type in one locale."""

    locale: str
    """Whose words of the product are used."""
    words: dict[str, Any]
    references: tuple[Photograph, ...]
    lacking: tuple[PhotographRole, ...]
    """Roles of which the asset type requires a photograph, and the product has none."""
    fallbacks: tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """What the prompts of one asset type in one locale have in common."""

    name: str
    asset_type: AssetType
    locale: str
    template_sha256: str
    template: Template
    negative_template: Template
    overlay: Template
    variations: Sequence[Variation]

    @classmethod
    def of(cls, name: str, asset_type: AssetType, campaign: Campaign, brand: Brand, locale: str) -> "Wording":
        """Prepare templates and words. Raises InvalidFile if a template is not valid."""
        template, negative_template, overlay = (
            _template(name, asset_type, part, locale) for part in ("template", "negative_template", "overlay")
        )
        spoken_of = template.names | negative_template.names | overlay.names
        brand_words, brand_fallbacks = brand.in_locale(locale)
        context, _ = worded(asset_type.wordings("context"), asset_type.context, locale)
        words = known_to_every_template() | {
            "brand": Words("brand", brand_words),
            "campaign": Words("campaign", {"title": campaign.title, **campaign.variables}),
            "context": context,
            "locale": locale,
        }
        fallbacks = [
            *_parts_that_fell_back(asset_type, locale, spoken_of),
            *(brand_fallbacks if "brand" in spoken_of else ()),
        ]
        variations = []
        for combination in combinations(campaign, asset_type):
            chosen, in_default = words_of(combination, asset_type, locale)
            fell_back = [f"variable {name}: {DEFAULT}" for name in in_default if name in spoken_of]
            variations.append(Variation(named(combination), words | chosen, (*fallbacks, *fell_back)))
        return cls(
            name=name,
            asset_type=asset_type,
            locale=locale,
            template_sha256=asset_type.words_sha256,
            template=template,
            negative_template=negative_template,
            overlay=overlay,
            variations=variations,
        )

    def words_of(self, product: Product) -> ProductWords:
        """What a product brings; plain values only, so that no template reaches Python."""
        used = product.words_locale(self.locale)
        text = product.texts[used]
        described = {
            "name": text.name,
            "description": text.description,
            "sku": product.sku,
            "brand": product.brand or "",
            "category": product.categories[0] if product.categories else "",
            "categories": list(product.categories),
            "price": product.price or "",
            "currency": product.currency or "",
            "attributes": Words("product.attributes", product.attributes),
        }
        has = {photograph.role for photograph in product.photographs}
        roles = self.asset_type.references
        tags: dict[str, str] = {role: f"@{role}" if role in has else "" for role in roles}
        is_spoken_of = "product" in self.template.names or "product" in self.overlay.names
        return ProductWords(
            locale=used,
            words={"product": Words("product", described), "photographs": Words("photographs", tags)},
            references=_references(product.photographs, roles),
            lacking=tuple(role for role in self.asset_type.requires if role not in has),
            fallbacks=(f"product words: {used}",) if is_spoken_of and not is_own(used, self.locale) else (),
        )

    def write(self, product: ProductWords, variation: Variation) -> tuple[str, str, str]:
        """The prompt, the negative prompt and the text to set on the picture.

        Raises:
            TemplateFailure: one of them cannot be written, the prompt would be empty, or the product lacks a
                photograph.
        """
        if product.lacking:
            raise TemplateFailure(
                f"{self.template.part}: the asset type requires a photograph of role "
                f"{', '.join(product.lacking)}, and the product has none",
                variable=f"photographs.{product.lacking[0]}",
            )
        words = variation.words | product.words
        text = self.template.write(words)
        if not text:
            raise TemplateFailure(f"{self.template.part}: the prompt is empty")
        return text, self.negative_template.write(words), self.overlay.write(words)


def _template(name: str, asset_type: AssetType, part: str, locale: str) -> Template:
    """A part of an asset type in a locale."""
    wordings = asset_type.wordings(part)
    key = next((key for key in own_keys(locale) if key in wordings), None)
    if key is None:
        return prepared(name, part, getattr(asset_type, part))
    return prepared(name, f"locales.{key}.{part}", wordings[key])


def _parts_that_fell_back(asset_type: AssetType, locale: str, spoken_of: Collection[str]) -> Iterator[str]:
    for part in ("template", "negative_template", "overlay", "context"):
        _, fallback = worded(asset_type.wordings(part), getattr(asset_type, part), locale)
        if fallback and (part != "context" or part in spoken_of):
            yield f"{part.replace('_', ' ')}: {fallback}"


def _references(photographs: Sequence[Photograph], roles: Sequence[PhotographRole]) -> tuple[Photograph, ...]:
    """The photographs of these roles, in their order."""
    order = {role: place for place, role in enumerate(roles)}
    wanted = [photograph for photograph in photographs if photograph.role in order]
    return tuple(sorted(wanted, key=lambda photograph: (order[photograph.role], photograph.reference)))
