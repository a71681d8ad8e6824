"""Approved images in every channel's shape, with a manifest, at every target of the campaign.

Nothing that is not approved leaves. Files are made once and read back after delivery; an export that is
there already is compared, file by file, and not written again.
"""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.exports.delivery import deliver
from asset_pipeline.exports.making import LeftOut, MadeFile, make_files
from asset_pipeline.exports.manifest import export_id
from asset_pipeline.exports.records import load_exported_files, plan_export
from asset_pipeline.exports.summary import describe_exports, describe_nothing
from asset_pipeline.exports.target import Target, pick_targets
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store


@dg.asset(
    partitions_def=campaigns,
    deps=["selection"],
    group_name="delivery",
    kinds={"python", "webp"},
    owners=["team:creative-ops"],
    code_version="exports-1",
    description=__doc__,
)
def exports(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    data: dg.ResourceParam[Path],
    targets: dg.ResourceParam[Mapping[str, Target]],
) -> dg.MaterializeResult[None]:
    """See the module."""
    campaign_id = context.partition_key
    places = pick_targets(targets, load_campaign(data, campaign_id))
    choices, planned = load_choices(store, campaign_id), plan_export(store, data, campaign_id)
    earlier = load_exported_files(store, campaign_id)
    files = make_files(store, planned, earlier)
    made = [file for file in files if isinstance(file, MadeFile)]
    left_out = [file for file in files if isinstance(file, LeftOut)]
    if not made:
        metadata = shown(describe_nothing(choices, left_out, earlier))
        return dg.MaterializeResult(data_version=dg.DataVersion("nothing"), metadata=metadata)
    receipts = deliver(store, campaign_id, made, places, run_id=context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(export_id(campaign_id, [file.entry for file in made])),
        metadata=shown(describe_exports(store, choices, made, left_out, receipts)),
    )
