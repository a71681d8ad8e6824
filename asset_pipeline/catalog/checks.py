"""What must hold of the catalog before anything is made from it."""

import dagster as dg

from asset_pipeline.catalog.asset import catalog
from asset_pipeline.catalog.records import load_feeds, load_findings, load_products
from asset_pipeline.store.store import Store


@dg.asset_check(asset=catalog, blocking=True)
def every_row_is_accounted_for(store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
    """Each row of each feed is a product, a variant, a detail of one, refused with a reason, or skipped."""
    lost = {feed.file: list(feed.unaccounted) for feed in load_feeds(store) if not feed.is_balanced}
    return dg.AssetCheckResult(passed=not lost, metadata={"rows by feed": lost})


@dg.asset_check(asset=catalog, blocking=True)
def there_is_a_product(store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
    """At least one feed holds at least one product."""
    products = len(load_products(store))
    return dg.AssetCheckResult(passed=products > 0, metadata={"products": products})


@dg.asset_check(asset=catalog)
def every_feed_is_readable(store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
    """Every file in the catalog folder is a feed that could be read."""
    codes = {"unreadable_feed", "unknown_file", "too_deep"}
    reasons = {finding.feed: finding.message for finding in load_findings(store) if finding.code in codes}
    return dg.AssetCheckResult(
        passed=not reasons, severity=dg.AssetCheckSeverity.WARN, metadata={"not read": reasons}
    )
