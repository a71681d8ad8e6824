"""What can be measured of each image, each a value or a reason, and whether it passes its asset type's rules.

What was measured once is not measured again: a changed threshold or business rule judges anew, a changed
scorer measures its own dimension anew.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.catalog.records import load_products
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.scores.business_rules import BusinessRules
from asset_pipeline.scores.expectation import expectations
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import judge_candidates, record_scores
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Scorer
from asset_pipeline.scores.summary import describe_scores
from asset_pipeline.store.store import Store


@dg.asset(
    partitions_def=campaigns,
    deps=["candidates"],
    group_name="judgement",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="scores-2",
    description=__doc__,
)
def scores(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    data: dg.ResourceParam[Path],
    scorers: dg.ResourceParam[Sequence[Scorer]],
) -> dg.MaterializeResult[None]:
    """See the module."""
    campaign = context.partition_key
    required, products = load_requirements(data, scorers), load_products(store)
    made = [each for each in load_candidates(store, campaign) if each.image_sha256 is not None]
    measuring = Measuring(store, scorers, expectations(products, load_asset_types(data)))
    measured, fresh = measure_missing(
        measuring, campaign, made, run_id=context.run.run_id, report=context.log.info
    )
    rules = BusinessRules(required.rules, campaign, {product.sku: product for product in products})
    judged = judge_candidates(made, measured, required.thresholds, rules)
    record_scores(store, campaign, judged, run_id=context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint(judged)),
        metadata=shown(describe_scores(store, made, judged, fresh)),
    )
