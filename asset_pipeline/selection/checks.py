"""What must hold of a campaign's selection before it is exported."""

from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.selection.asset import selection
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store


@dg.asset_check(asset=selection, partitions_def=campaigns, blocking=True)
def nothing_is_approved_without_ground(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """Where a person has to approve, every approved image has a person's decision."""
    needs_person = load_campaign(data, context.partition_key).approval == "human"
    approved = [choice for choice in load_choices(store, context.partition_key) if choice.state == "approved"]
    without = [choice.candidate_id for choice in approved if needs_person and not choice.decisions]
    return dg.AssetCheckResult(
        passed=not without,
        metadata={"approved": len(approved), "undecided": ", ".join(without[:20])},
    )


@dg.asset_check(asset=selection, partitions_def=campaigns)
def every_prompt_is_served(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Every prompt with a candidate has at least one chosen image."""
    choices = load_choices(store, context.partition_key)
    served = {choice.prompt_id for choice in choices if choice.rank is not None}
    unserved = {choice.sku for choice in choices if choice.prompt_id not in served}
    return dg.AssetCheckResult(
        passed=not unserved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "prompts served": len(served),
            "products with an unserved prompt": ", ".join(sorted(unserved)[:20]),
        },
    )
