"""Prompts as the prompts room would have written them, for tests of what comes after."""

from typing import Any

from asset_pipeline.prompts.prompt import Prompt


def written_prompt(
    number: int, text: str | None = None, *, size: tuple[int, int] = (64, 64), **parameters: Any
) -> Prompt:
    """The words for a picture of the product ``SKU-<number>``.

    Args:
        number: names prompt and product.
        text: the words; ``picture <number>`` unless given.
        size: width and height.
        parameters: what the asset type asks of the picture.
    """
    return Prompt(
        prompt_id=f"p{number}",
        sku=f"SKU-{number}",
        product_fact_sha256="f",
        asset_type="tile",
        locale="en-GB",
        words_locale="en-GB",
        variation={},
        text=text or f"picture {number}",
        negative_text="",
        width=size[0],
        height=size[1],
        parameters=parameters,
        references=(),
        template_sha256="t",
    )
