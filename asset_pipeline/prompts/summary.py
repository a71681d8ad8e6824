"""What a person wants to see of a campaign's prompts."""

from collections import Counter
from typing import Any

from asset_pipeline.prompts.records import Written

EXAMPLES = 10


def describe_prompts(written: Written) -> dict[str, Any]:
    """Counts, examples, and what could not be put into words."""
    fallbacks = sum(prompt.words_locale != prompt.locale for prompt in written.prompts)
    facts: dict[str, Any] = {
        "products": written.products,
        "prompts": len(written.prompts),
        "not written": len(written.failures),
        "in words of another locale": fallbacks,
        "without a photograph": sum(not prompt.references for prompt in written.prompts),
        "examples": _examples(written),
    }
    for asset_type, count in sorted(Counter(prompt.asset_type for prompt in written.prompts).items()):
        facts[f"prompts: {asset_type}"] = count
    if written.unknown_skus:
        facts["SKUs that the catalog does not have"] = ", ".join(written.unknown_skus[:50])
    if written.failures:
        lines = [
            f"| {failure.sku} | {failure.feed} row {failure.row} | {failure.asset_type} | {failure.reason} |"
            for failure in written.failures[:50]
        ]
        facts["failures"] = "\n".join(
            ["| SKU | row | asset type | reason |", "| --- | --- | --- | --- |", *lines]
        )
    return facts


def _examples(written: Written) -> str:
    step = max(1, len(written.prompts) // EXAMPLES)
    lines = [
        f"| {prompt.sku} | {prompt.asset_type} | {prompt.locale} | {prompt.text} |"
        for prompt in written.prompts[::step][:EXAMPLES]
    ]
    return "\n".join(["| SKU | asset type | locale | prompt |", "| --- | --- | --- | --- |", *lines])
