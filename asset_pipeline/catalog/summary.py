"""What a person wants to see of the catalog."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from asset_pipeline.catalog.feed import Feed
from asset_pipeline.catalog.formats.rows import Level
from asset_pipeline.catalog.product import Finding
from asset_pipeline.catalog.reader import CatalogReading

WORST = 30
LEVELS: tuple[Level, ...] = ("refused", "warning", "repaired", "note")


def describe_catalog(reading: CatalogReading, changed: Sequence[str]) -> dict[str, Any]:
    """Counts by level, the feeds, and the worst findings.

    Args:
        reading: what the folder says.
        changed: the tables that were written because of it.
    """
    levels = Counter(finding.level for finding in reading.findings)
    facts: dict[str, Any] = {
        "products": len(reading.products),
        "with a photograph": sum(bool(product.photographs) for product in reading.products),
        "photographs": reading.photographs,
        "written": ", ".join(changed) or "nothing: the feeds say what they said the last time",
    }
    facts |= {f"findings: {level}": levels[level] for level in LEVELS}
    if reading.feeds:
        facts["feeds"] = _table(_FEED_COLUMNS, map(_feed_cells, reading.feeds))
    if reading.findings:
        facts["findings by code"] = _table(("level", "code", "findings"), count_findings(reading.findings))
        worst = worst_first(reading.findings)[:WORST]
        facts["worst findings"] = _table(_FINDING_COLUMNS, map(_finding_cells, worst))
    return facts


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which somebody should look at them."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def count_findings(findings: Iterable[Finding]) -> list[tuple[str, str, int]]:
    """Level, code and number of findings, the worst level first, then the most frequent code."""
    counts = Counter((finding.level, finding.code) for finding in findings)
    ordered = sorted(counts.items(), key=lambda item: (LEVELS.index(item[0][0]), -item[1], item[0][1]))
    return [(level, code, count) for (level, code), count in ordered]


_FEED_COLUMNS = ("feed", "dialect", "rows", "products", "variants", "details", "refused", "skipped")
_FINDING_COLUMNS = ("feed", "row", "SKU", "level", "code", "what")


def _feed_cells(feed: Feed) -> tuple[Any, ...]:
    counts = (feed.rows, feed.products, feed.variants, feed.details, feed.refused, feed.skipped)
    return (feed.file, feed.dialect or feed.error, *counts)


def _finding_cells(finding: Finding) -> tuple[Any, ...]:
    return (finding.feed, finding.row, finding.sku, finding.level, finding.code, finding.message)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(
        ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *lines]
    )


def _cell(value: Any) -> str:
    """A Markdown table's cell: one line in which nothing is markup."""
    text = "" if value is None else " ".join(str(value).split())[:200]
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
