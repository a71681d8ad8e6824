"""A product, an asset type and a campaign to write prompts from, each with what a test changes."""

from collections.abc import Mapping
from typing import Any

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Photograph, Product, Text
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, write_prompts

BRAND = Brand(name="Nordlicht", style="calm studio photography", negative_prompt="hands")


def product(sku: str = "MUG-1", **fields: Any) -> Product:
    texts = {"en-GB": Text(name="Blue mug"), "de-DE": Text(name="Blauer Becher")}
    return Product.model_validate(
        {
            "sku": sku,
            "texts": texts,
            "feed": "products.csv",
            "row": 2,
            "source_sha256": "s",
            "categories": ("Kitchen",),
            **fields,
        }
    )


def photograph(role: str = "base", sha256: str = "a", reference: str = "mug.png") -> Photograph:
    return Photograph.model_validate(
        {
            "role": role,
            "reference": reference,
            "sha256": sha256,
            "media_type": "image/png",
            "width": 100,
            "height": 100,
        }
    )


def asset_type(template: str = "{{ product.name }} on {{ background }}", **fields: Any) -> AssetType:
    return AssetType.model_validate(
        {
            "title": "Tile",
            "width": 512,
            "height": 512,
            "template": template,
            "variables": {"background": "sand"},
            **fields,
        }
    )


def campaign(**fields: Any) -> Campaign:
    return Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], **fields}
    )


def write(
    asked: Campaign | None = None,
    kind: AssetType | Mapping[str, AssetType] | None = None,
    *products: Product,
    brand: Brand = BRAND,
) -> list[Prompt | PromptFailure]:
    kinds = kind if isinstance(kind, Mapping) else {"tile": kind or asset_type()}
    by_fact = {each.content_sha256: each for each in products or (product(),)}
    return list(write_prompts(by_fact, asked or campaign(), kinds, brand))


def only_prompt(answers: list[Prompt | PromptFailure]) -> Prompt:
    (answer,) = answers
    assert isinstance(answer, Prompt), answer
    return answer


def only_failure(answers: list[Prompt | PromptFailure]) -> PromptFailure:
    (answer,) = answers
    assert isinstance(answer, PromptFailure), answer
    return answer
