"""Reading and writing the facts of the catalog."""

from asset_pipeline.catalog.feed import Feed
from asset_pipeline.catalog.photographs import PhotographFile
from asset_pipeline.catalog.product import Finding, Product
from asset_pipeline.catalog.reader import CatalogReading
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

PRODUCTS = Table("products", Product, partitioned_by="catalog")
FINDINGS = Table("findings", Finding, partitioned_by="catalog")
FEEDS = Table("feeds", Feed, partitioned_by="catalog")
PHOTOGRAPH_FILES = Table("photograph_files", PhotographFile, partitioned_by="catalog")

WHOLE = "all"
"""The one partition: the catalog is one for all campaigns."""


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
