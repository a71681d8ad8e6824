"""What must hold of a campaign's candidates before anyone judges or exports them.

A run may be of several campaigns; a check then speaks of all of them.
"""

import dagster as dg

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.asset import candidates
from asset_pipeline.candidates.dispatch import recorded_health_of
from asset_pipeline.candidates.expired import expired_words
from asset_pipeline.candidates.jobs.attempt import what_next
from asset_pipeline.candidates.records import (
    Workshop,
    load_attempts,
    load_candidates,
    load_spent_usd,
    recorded_order,
)


@dg.asset_check(asset=candidates, partitions_def=campaigns, blocking=True)
def every_image_is_kept(
    context: dg.AssetCheckExecutionContext, workshop: dg.ResourceParam[Workshop]
) -> dg.AssetCheckResult:
    """Every candidate that was made has its image in the store, but for those that expired by policy."""
    store = workshop.store
    recorded = {key: load_candidates(store, key) for key in context.partition_keys}
    expired = {(key, name) for key, each in recorded.items() for name in expired_words(store, key, each)}
    made = [(key, each) for key, candidates in recorded.items() for each in candidates if each.image_sha256]
    missing = [
        each.candidate_id
        for key, each in made
        if (key, each.candidate_id) not in expired and not store.images.has(each.image_sha256 or "")
    ]
    return dg.AssetCheckResult(
        passed=not missing,
        metadata={"images": len(made), "expired": len(expired), "missing": ", ".join(missing[:20])},
    )


@dg.asset_check(asset=candidates, partitions_def=campaigns)
def the_books_balance(
    context: dg.AssetCheckExecutionContext, workshop: dg.ResourceParam[Workshop]
) -> dg.AssetCheckResult:
    """All attempts together cost no more than the campaign's budget."""
    budgets = {key: load_campaign(workshop.data, key).budget_usd for key in context.partition_keys}
    spent = {key: load_spent_usd(workshop.store, key) for key in budgets}
    return dg.AssetCheckResult(
        passed=all(spent[key] <= budgets[key] + 1e-9 for key in budgets),
        metadata={"spent (USD)": sum(spent.values()), "budget (USD)": sum(budgets.values())},
    )


@dg.asset_check(asset=candidates, partitions_def=campaigns)
def nothing_waits_for_a_person(
    context: dg.AssetCheckExecutionContext, workshop: dg.ResourceParam[Workshop]
) -> dg.AssetCheckResult:
    """No attempt may have been paid for without a trace, no candidate is given up, no provider is paused."""
    attempts = [
        each for key in context.partition_keys for each in load_attempts(workshop.store, key).values()
    ]
    held = [
        each
        for each in attempts
        if what_next(each, owner_is_alive=True, this_run="", afresh=False).action == "hold"
    ]
    orders = [recorded_order(workshop, key) for key in context.partition_keys]
    paused = {
        f"{lane.name}: {health.because}"
        for order in orders
        for lane in order.lanes
        if (health := recorded_health_of(workshop.store, lane)).state == "paused"
    }
    return dg.AssetCheckResult(
        passed=not held and not paused,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "held": len(held),
            "release with": "asset-pipeline attempts list --state held",
            "paused": "\n".join(sorted(paused)),
            "first": "\n".join(f"{each.candidate_id}: {each.reason}" for each in held[:20]),
        },
    )


@dg.asset_check(asset=candidates, partitions_def=campaigns)
def every_prompt_has_an_image(
    context: dg.AssetCheckExecutionContext, workshop: dg.ResourceParam[Workshop]
) -> dg.AssetCheckResult:
    """Every prompt got at least one image; those that did not say why."""
    recorded = [each for key in context.partition_keys for each in load_candidates(workshop.store, key)]
    served = {each.prompt_id for each in recorded if each.image_sha256}
    reasons = {
        each.prompt_id: f"{each.sku}: {each.reason}" for each in recorded if each.prompt_id not in served
    }
    return dg.AssetCheckResult(
        passed=not reasons,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"prompts without an image": len(reasons), "first": "\n".join(list(reasons.values())[:20])},
    )
