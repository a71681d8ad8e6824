"""Reading and writing the facts of the catalog."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from asset_pipeline.catalog.feed import Feed
from asset_pipeline.catalog.photographs import PhotographFile
from asset_pipeline.catalog.product import Finding, Product
from asset_pipeline.catalog.reader import CatalogReading, KnownByUrl
from asset_pipeline.catalog.remote.photograph import RemotePhotograph, url_sha256
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

PRODUCTS = Table("products", Product, partitioned_by="catalog")
FINDINGS = Table("findings", Finding, partitioned_by="catalog")
FEEDS = Table("feeds", Feed, partitioned_by="catalog")
PHOTOGRAPH_FILES = Table("photograph_files", PhotographFile, partitioned_by="catalog")
REMOTE_PHOTOGRAPHS = Table("remote_photographs", RemotePhotograph, partitioned_by="catalog")

WHOLE = "all"
"""The one partition: the catalog is one for all campaigns."""
FORGOTTEN_AFTER = timedelta(days=30)
"""When a URL that no feed names any more is left out of what is recorded; its history stays."""


def load_products(store: Store) -> list[Product]:
    """The catalog's products as they were last recorded."""
    return store.facts.read(PRODUCTS, WHOLE)


def load_findings(store: Store) -> list[Finding]:
    """What was found in the feeds the last time."""
    return store.facts.read(FINDINGS, WHOLE)


def load_feeds(store: Store) -> list[Feed]:
    """The feeds and their books, as they were last recorded."""
    return store.facts.read(FEEDS, WHOLE)


def load_photograph_files(store: Store) -> list[PhotographFile]:
    """The photographs' files whose bytes the store keeps, as they were the last time."""
    return store.facts.read(PHOTOGRAPH_FILES, WHOLE)


def load_remote_photographs(store: Store) -> list[RemotePhotograph]:
    """The photographs that feeds name by URL, as they were when they were asked for the last time."""
    return store.facts.read(REMOTE_PHOTOGRAPHS, WHOLE)


def recorded_photographs(store: Store) -> KnownByUrl:
    """Gives what is recorded of photographs at URLs, and asks nobody."""
    recorded = {each.url_sha256: each for each in load_remote_photographs(store)}

    def known(urls: Iterable[str]) -> dict[str, RemotePhotograph]:
        names = {url: url_sha256(url) for url in urls}
        return {url: recorded[name] for url, name in names.items() if name in recorded}

    return known


def record_remote_photographs(
    store: Store, wanted: Iterable[RemotePhotograph], *, run_id: str, now: datetime | None = None
) -> None:
    """Record what is known of photographs at URLs, beside what other runs have recorded in the meantime.

    A table and not an event for each: all of them are read by every run, every day. It is written every so
    often while photographs are fetched, so that a killed run has those before it to fetch again and no more.
    If two runs write at once, what one of them learned may be lost; it is asked for again then.
    """
    now = now or datetime.now(UTC)
    known = {
        each.url_sha256: each
        for each in load_remote_photographs(store)
        if now - each.checked_at < FORGOTTEN_AFTER
    }
    for each in wanted:
        last = known.get(each.url_sha256)
        if last is None or last.checked_at <= each.checked_at:
            known[each.url_sha256] = each
    store.facts.write_if_changed(
        REMOTE_PHOTOGRAPHS, WHOLE, [known[name] for name in sorted(known)], run_id=run_id
    )


def record_catalog(store: Store, reading: CatalogReading, *, run_id: str) -> list[str]:
    """Record what has changed since the last time; return the names of the tables that were written.

    Products come last: whoever sees them finds the rest.
    """
    changed = [
        (PHOTOGRAPH_FILES.name, store.facts.write_if_changed(
            PHOTOGRAPH_FILES, WHOLE, reading.photograph_files, run_id=run_id)),
        (FEEDS.name, store.facts.write_if_changed(FEEDS, WHOLE, reading.feeds, run_id=run_id)),
        (FINDINGS.name, store.facts.write_if_changed(FINDINGS, WHOLE, reading.findings, run_id=run_id)),
        (PRODUCTS.name, store.facts.write_if_changed(PRODUCTS, WHOLE, reading.products, run_id=run_id)),
    ]  # fmt: skip
    return [name for name, was_written in changed if was_written]
