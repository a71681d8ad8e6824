"""What must hold of a campaign's scores before anything is chosen by them."""

from collections import Counter, defaultdict
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.scores.asset import scores
from asset_pipeline.scores.records import load_judgements, load_scores
from asset_pipeline.scores.requirements import DEFAULT, load_requirements
from asset_pipeline.scores.summary import tallies
from asset_pipeline.store.store import Store

OFTEN_MISSING = 0.1
"""A scorer that works has a value for all but a few images; where a tenth has none, it, its model or the
masks are the matter."""


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
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """Of each asset type at least the share of images passes that data/thresholds.yaml names as pass_rate."""
    judged = load_judgements(store, context.partition_key)
    passes: dict[str, list[bool]] = defaultdict(list)
    for each in load_candidates(store, context.partition_key):
        if each.candidate_id in judged:
            passes[each.asset_type].append(judged[each.candidate_id].passes)
    usual = load_requirements(data).pass_rates
    rates = {name: sum(each) / len(each) for name, each in sorted(passes.items())}
    low = [
        f"{name}: {rate:.0%} of the images pass, where {usual.get(name, usual[DEFAULT]):.0%} is usual"
        for name, rate in rates.items()
        if rate < usual.get(name, usual[DEFAULT])
    ]
    return dg.AssetCheckResult(
        passed=not low,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(low) or None,
        metadata={f"pass rate: {name}": rate for name, rate in rates.items()},
    )


@dg.asset_check(asset=scores, partitions_def=campaigns)
def what_blocks_is_measured(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """No blocking dimension lacks its value for a tenth of the images, which are not bad but not judged."""
    judged = load_scores(store, context.partition_key)
    often = [
        tally
        for tally in tallies(judged)
        if tally.blocks and tally.missing and tally.missing >= OFTEN_MISSING * tally.applicable
    ]
    reasons = {
        tally.dimension: Counter(
            score.words
            for score in judged
            if score.dimension == tally.dimension and score.verdict == "missing"
        ).most_common(1)[0][0]
        for tally in often
    }
    return dg.AssetCheckResult(
        passed=not often,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(
            f"{tally.missing} of {tally.applicable} images: {reasons[tally.dimension]}" for tally in often
        )
        or None,
        metadata={f"not measured: {tally.dimension}": tally.missing for tally in often},
    )
