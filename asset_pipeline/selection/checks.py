"""What must hold of a campaign's selection before it is exported."""

from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.selection.asset import selection
from asset_pipeline.selection.quotas import exceeded, places_in, unused
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store


@dg.asset_check(asset=selection, partitions_def=campaigns, blocking=True)
def nothing_is_approved_without_ground(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """Where a person or calibration has to approve, every approved image has a decision or a guarantee."""
    how = load_campaign(data, context.partition_key).approval
    approved = [choice for choice in load_choices(store, context.partition_key) if choice.state == "approved"]
    without = [
        choice.candidate_id
        for choice in approved
        if how != "gates" and not choice.decisions and not (how == "auto" and choice.guarantee_sha256)
    ]
    return dg.AssetCheckResult(
        passed=not without,
        metadata={"approved": len(approved), "undecided": ", ".join(without[:20])},
    )


@dg.asset_check(asset=selection, partitions_def=campaigns)
def every_prompt_is_served(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Every prompt with a candidate has at least one chosen image, or had to leave its place to others."""
    choices = load_choices(store, context.partition_key)
    served = {choice.prompt_id for choice in choices if choice.rank is not None or choice.rule == "quota"}
    unserved = {choice.sku for choice in choices if choice.prompt_id not in served}
    return dg.AssetCheckResult(
        passed=not unserved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "prompts served": len(served),
            "products with an unserved prompt": ", ".join(sorted(unserved)[:20]),
        },
    )


@dg.asset_check(asset=selection, partitions_def=campaigns, blocking=True)
def no_quota_is_exceeded(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """No product, locale or asset type has more chosen images than the campaign's file allows."""
    candidates = {each.candidate_id: each for each in load_candidates(store, context.partition_key)}
    prompts = len({each.prompt_id for each in candidates.values()})
    _, quotas = places_in(load_campaign(data, context.partition_key), prompts)
    choices = load_choices(store, context.partition_key)
    chosen = [
        candidates[each.candidate_id] for each in choices if each.rank and each.candidate_id in candidates
    ]
    beyond = exceeded(quotas, chosen)
    return dg.AssetCheckResult(
        passed=not beyond,
        metadata={
            "chosen": len(chosen),
            "exceeded": ", ".join(beyond),
            "products with a quota and no candidate": ", ".join(unused(quotas, candidates.values())),
        },
    )
