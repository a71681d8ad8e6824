"""What must hold of what has left."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.exports.asset import exports
from asset_pipeline.exports.delivery import differences
from asset_pipeline.exports.records import load_exported_files, missing_files, withdrawn_files
from asset_pipeline.exports.target import Target
from asset_pipeline.store.store import Store

_SHOWN = 20


@dg.asset_check(asset=exports, partitions_def=campaigns)
def only_approved_images_left(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Every image that a target has is approved, now."""
    withdrawn = withdrawn_files(store, context.partition_key)
    return dg.AssetCheckResult(
        passed=not withdrawn,
        description=f"{len(withdrawn)} delivered files are not approved: take them down, "
        "or approve them again and materialise exports"
        if withdrawn
        else f"{len(load_exported_files(store, context.partition_key))} files, all of approved images",
        metadata={"files": [f"{file.target}: {file.path}" for file in withdrawn[:_SHOWN]]},
    )


@dg.asset_check(asset=exports, partitions_def=campaigns)
def delivered_files_match_their_manifest(
    context: dg.AssetCheckExecutionContext,
    store: dg.ResourceParam[Store],
    targets: dg.ResourceParam[Mapping[str, Target]],
) -> dg.AssetCheckResult:
    """Every file that was delivered is where it was put, with the bytes that its manifest names."""
    found = differences(store, context.partition_key, targets)
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(f"{each.target}: {each.reason}" for each in found) or "all as delivered",
        metadata={"files": [f"{each.target}: {path}" for each in found for path in each.paths[:_SHOWN]]},
    )


@dg.asset_check(asset=exports, partitions_def=campaigns)
def every_approved_image_is_in_every_channel(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """Every approved image has left in every shape that the campaign asks for."""
    missing = missing_files(store, data, context.partition_key)
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(missing)} files are missing; the exports' metadata says why" if missing else None,
        metadata={"files": [f"{target}: {path}" for target, path in missing[:_SHOWN]]},
    )
