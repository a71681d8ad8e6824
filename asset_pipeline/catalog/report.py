"""The hygiene report as a page of its own: what is wrong with the feeds, by SKU, the worst first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import jinja2

from asset_pipeline.catalog.feed import Feed
from asset_pipeline.catalog.formats.rows import Level
from asset_pipeline.catalog.product import Finding
from asset_pipeline.catalog.reader import CatalogReading
from asset_pipeline.catalog.report_page import PAGE
from asset_pipeline.catalog.summary import LEVELS, count_findings, worst_first

MOST_FINDINGS = 5_000
"""More findings than that make a page slow; the store has all of them."""
_TROUBLES = ("refused", "warning")
"""Levels that a person should look at."""


@dataclass(frozen=True)
class Group:
    """The findings on one SKU, or on a feed where they are on no SKU."""

    name: str
    about: str
    """The product's name; empty if there is no product."""
    findings: tuple[Finding, ...]
    """The worst first."""

    @property
    def worst(self) -> Level:
        """The level of the worst finding."""
        return self.findings[0].level

    @property
    def levels(self) -> list[tuple[Level, int]]:
        """How many findings there are of each level, the worst first."""
        counts = Counter(finding.level for finding in self.findings)
        return [(level, counts[level]) for level in LEVELS if counts[level]]


def group_by_sku(findings: Iterable[Finding], names: dict[str, str]) -> list[Group]:
    """Findings by SKU, and by feed where they are on none: the group with the worst first, then the largest.

    Args:
        findings: in any order.
        names: what products are called, by SKU.
    """
    by_name: dict[tuple[str, bool], list[Finding]] = {}
    for finding in worst_first(findings):
        by_name.setdefault((finding.sku or finding.feed, finding.sku is None), []).append(finding)
    groups = [
        Group(
            name, "rows without a SKU, and the file itself" if is_feed else names.get(name, ""), tuple(found)
        )
        for (name, is_feed), found in by_name.items()
    ]
    return sorted(groups, key=_rank)


def hygiene_report(reading: CatalogReading) -> str:
    """An HTML page that needs nothing but itself; whatever feeds say in it is text."""
    names = {product.sku: product.text("en").name for product in reading.products}
    groups = group_by_sku(worst_first(reading.findings)[:MOST_FINDINGS], names)
    troubled = {each.sku for each in reading.findings if each.level in _TROUBLES} & names.keys()
    return _page().render(
        products=len(reading.products),
        untroubled=len(reading.products) - len(troubled),
        photographs=reading.photographs,
        feeds=reading.feeds,
        findings=len(reading.findings),
        total=_total(reading.feeds),
        levels=[(level, sum(each.level == level for each in reading.findings)) for level in LEVELS],
        codes=Counter(finding.code for finding in reading.findings).most_common(),
        codes_by_level=_codes_by_level(reading.findings),
        groups=groups,
        shown=min(len(reading.findings), MOST_FINDINGS),
    )


def _rank(group: Group) -> tuple[tuple[int, ...], str]:
    """Compares groups by how many findings of each level they have, the worst level first."""
    counts = dict(group.levels)
    return tuple(-counts.get(level, 0) for level in LEVELS), group.name


def _codes_by_level(findings: Iterable[Finding]) -> list[tuple[str, list[tuple[str, int]]]]:
    """What was found how often, by level, as far as there is something."""
    by_level: dict[str, list[tuple[str, int]]] = {}
    for level, code, count in count_findings(findings):
        by_level.setdefault(level, []).append((code, count))
    return list(by_level.items())


def _total(feeds: Sequence[Feed]) -> dict[str, int]:
    """The books of all feeds together."""
    counts = ("rows", "products", "variants", "details", "refused", "skipped")
    return {name: sum(getattr(feed, name) for feed in feeds) for name in counts}


@cache
def _page() -> jinja2.Template:
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(PAGE)
