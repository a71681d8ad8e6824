"""What must hold of a campaign's scores before anything is chosen by them."""

import dagster as dg

from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.scores.asset import scores
from asset_pipeline.scores.records import load_judgements
from asset_pipeline.store.store import Store

LOW_PASS_RATE = 0.5
"""Below this something is wrong with the model, the photographs or the thresholds, not with an image."""


@dg.asset_check(asset=scores, partitions_def=campaigns, blocking=True)
def every_image_is_scored(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Every image has a verdict in every dimension that its asset type has a rule for."""
    judged = load_judgements(store, context.partition_key)
    made = [each.candidate_id for each in load_candidates(store, context.partition_key) if each.image_sha256]
    missing = [candidate_id for candidate_id in made if candidate_id not in judged]
    return dg.AssetCheckResult(
        passed=not missing, metadata={"images": len(made), "not scored": ", ".join(missing[:20])}
    )


@dg.asset_check(asset=scores, partitions_def=campaigns)
def the_pass_rate_is_usual(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """At least half of the images pass every gate."""
    judged = load_judgements(store, context.partition_key).values()
    rate = sum(each.passes for each in judged) / len(judged) if judged else 0.0
    return dg.AssetCheckResult(
        passed=rate >= LOW_PASS_RATE, severity=dg.AssetCheckSeverity.WARN, metadata={"pass rate": rate}
    )
