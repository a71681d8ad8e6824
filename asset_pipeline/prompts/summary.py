"""What a person wants to see of a campaign's prompts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from asset_pipeline.prompts.prompt import Prompt, PromptFailure
from asset_pipeline.prompts.records import Written

EXAMPLES = 10
SHOWN = 50


def describe_prompts(written: Written) -> dict[str, Any]:
    """Counts, examples, what decided the words, and what could not be put into words or must not be."""
    fallbacks = fallback_counts(written.prompts)
    facts: dict[str, Any] = {
        "products": written.products,
        "prompts": len(written.prompts),
        "not written": len(written.failures),
        "warnings": len(written.warnings),
        "in words of another locale": sum(bool(prompt.fallbacks) for prompt in written.prompts),
        "without a photograph": sum(not prompt.references for prompt in written.prompts),
        "most tokens": "nobody counts them for this profile",
        "decided by": _table(
            ("file", "version", "owner", "sha256"),
            ((each, each.version, each.owner, each.sha256[:12]) for each in written.editions),
        ),
        "examples": _examples(written),
    }
    if written.words:
        facts["text model"] = written.words.text_model
        facts["text model's answers"] = written.words.questions - written.words.missing
        facts["text model's cost in USD"] = written.words.spent_usd
    if written.most_tokens:
        facts["most tokens"] = "{} of {} that are read".format(*written.most_tokens)
    for asset_type, count in sorted(Counter(prompt.asset_type for prompt in written.prompts).items()):
        facts[f"prompts: {asset_type}"] = count
    if written.unknown_skus:
        facts["SKUs that the catalog does not have"] = ", ".join(written.unknown_skus[:SHOWN])
    if written.failures:
        counts = Counter((each.code, each.rule) for each in written.failures).most_common()
        facts["failures by reason"] = _table(
            ("reason", "rule", "prompts"), ((*reason, count) for reason, count in counts)
        )
        facts["failures"] = failures_table(written.failures)
    if written.warnings:
        facts["warnings to look at"] = _table(
            ("SKU", "row", "asset type", "locale", "warning"),
            (
                (each.sku, f"{each.feed} row {each.row}", each.asset_type, each.locale, each.reason)
                for each in written.warnings[:SHOWN]
            ),
        )
    if fallbacks:
        facts["fallbacks by locale"] = _table(
            ("locale", "in the words of", "prompts"), ((*key, count) for key, count in fallbacks.items())
        )
    return facts


def fallback_counts(prompts: Iterable[Prompt]) -> dict[tuple[str, str], int]:
    """By locale and by what is not in its own words, how many prompts."""
    counts = Counter((prompt.locale, fallback) for prompt in prompts for fallback in prompt.fallbacks)
    return dict(sorted(counts.items()))


def failures_table(failures: Sequence[PromptFailure]) -> str:
    """The first failures with the rows that they come from."""
    return _table(
        ("SKU", "row", "asset type", "locale", "reason"),
        (
            (each.sku, f"{each.feed} row {each.row}", each.asset_type, each.locale, each.reason)
            for each in failures[:SHOWN]
        ),
    )


def _examples(written: Written) -> str:
    step = max(1, len(written.prompts) // EXAMPLES)
    return _table(
        ("SKU", "asset type", "locale", "prompt"),
        (
            (prompt.sku, prompt.asset_type, prompt.locale, prompt.text)
            for prompt in written.prompts[::step][:EXAMPLES]
        ),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(
        ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *lines]
    )


def _cell(value: Any) -> str:
    """A Markdown table's cell: one line in which nothing is markup."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
