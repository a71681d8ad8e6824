"""Products from every feed in ``data/catalog``, cleaned, with a finding for everything that was wrong.

Feeds are never changed. One that cannot be read does not stop the others, and every row is accounted for.
Bytes of photographs go to the store; a file that has not changed is not read again. Those that feeds name by
URL are fetched, and asked for again when a day has passed.
"""

from functools import partial
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import (
    load_photograph_files,
    load_remote_photographs,
    record_catalog,
    record_remote_photographs,
)
from asset_pipeline.catalog.remote.fetching import Fetcher
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.catalog.summary import describe_catalog
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.store.store import Store


@dg.asset(
    group_name="catalog",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="catalog-2",
    description=__doc__,
)
def catalog(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    data: dg.ResourceParam[Path],
    fetch_rules: dg.ResourceParam[FetchRules],
) -> dg.MaterializeResult[None]:
    """See the module."""
    fetcher = Fetcher(
        fetch_rules,
        store.images,
        load_remote_photographs(store),
        partial(record_remote_photographs, store, run_id=context.run.run_id),
        context.log.info,
    )
    reading = read_catalog(
        data / "catalog",
        images=store.images,
        known=load_photograph_files(store),
        remote=fetcher,
        report=context.log.info,
    )
    changed = record_catalog(store, reading, run_id=context.run.run_id)
    context.log.info("written: %s", ", ".join(changed) or "nothing, as nothing has changed")
    contents = sorted(product.content_sha256 for product in reading.products)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint(contents)),
        metadata=shown(describe_catalog(reading, changed)),
    )
