"""Products from every feed in ``data/catalog``, cleaned, with a finding for everything that was wrong.

Feeds are never changed. One that cannot be read does not stop the others, and every row is accounted for.
Bytes of photographs go to the store; a file that has not changed is not read again.
"""

from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import load_photograph_files, record_catalog
from asset_pipeline.catalog.summary import describe_catalog
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.store.store import Store


@dg.asset(
    group_name="catalog",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="catalog-1",
    description=__doc__,
)
def catalog(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.MaterializeResult[None]:
    """See the module."""
    reading = read_catalog(
        data / "catalog",
        images=store.images,
        known=load_photograph_files(store),
        report=context.log.info,
    )
    changed = record_catalog(store, reading, run_id=context.run.run_id)
    context.log.info("written: %s", ", ".join(changed) or "nothing, as nothing has changed")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint([product.content_sha256 for product in reading.products])),
        metadata=shown(describe_catalog(reading, changed)),
    )
