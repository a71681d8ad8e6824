"""What must hold of a campaign's words before anything is spent on them."""

from collections import Counter

import dagster as dg

from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.prompts.asset import prompts
from asset_pipeline.prompts.prompt import PromptFailure
from asset_pipeline.prompts.records import load_failures, load_prompts
from asset_pipeline.prompts.summary import failures_table, fallback_counts
from asset_pipeline.store.store import Store


@dg.asset_check(asset=prompts, partitions_def=campaigns, blocking=True)
def no_prompt_breaks_the_policy(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """No prompt says what policy or brand forbid. Those that would are left out; blocks if none is left."""
    campaign = context.partition_key
    failures = [each for each in load_failures(store, campaign) if each.code == "policy"]
    left = len(load_prompts(store, campaign))
    return dg.AssetCheckResult(
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN if left else dg.AssetCheckSeverity.ERROR,
        metadata={
            "prompts that are left": left,
            "by rule": dict(Counter(each.rule for each in failures)),
            **_first(failures),
        },
    )


@dg.asset_check(asset=prompts, partitions_def=campaigns)
def every_prompt_could_be_written(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """Every product has the words that its templates speak of, and no prompt is there twice."""
    failures = [
        each
        for each in load_failures(store, context.partition_key)
        if each.code not in ("policy", "too_long")
    ]
    return dg.AssetCheckResult(
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"by reason": dict(Counter(each.code for each in failures)), **_first(failures)},
    )


@dg.asset_check(asset=prompts, partitions_def=campaigns)
def every_prompt_is_read_to_its_end(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """No prompt has more tokens than the model of the campaign's profile reads."""
    failures = [each for each in load_failures(store, context.partition_key) if each.code == "too_long"]
    return dg.AssetCheckResult(
        passed=not failures, severity=dg.AssetCheckSeverity.WARN, metadata=_first(failures)
    )


@dg.asset_check(asset=prompts, partitions_def=campaigns)
def every_locale_has_its_own_words(
    context: dg.AssetCheckExecutionContext, store: dg.ResourceParam[Store]
) -> dg.AssetCheckResult:
    """No prompt speaks in words that were written for another locale."""
    fallbacks = fallback_counts(load_prompts(store, context.partition_key))
    return dg.AssetCheckResult(
        passed=not fallbacks,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"prompts": {f"{locale}: {what}": count for (locale, what), count in fallbacks.items()}},
    )


def _first(failures: list[PromptFailure]) -> dict[str, dg.MetadataValue[str]]:
    return {"prompts left out": dg.MetadataValue.md(failures_table(failures) if failures else "none")}
