"""What people's decisions say about scores: from which quality on a gate may decide alone.

For each asset type, over all campaigns: the least quality from which people would reject at most a small
share, how far reviewers agree, and whether anything has drifted. An alarm freezes automatic approval until a
person has looked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from asset_pipeline.calibration.assessment import assess
from asset_pipeline.calibration.records import record_guarantees
from asset_pipeline.calibration.summary import describe_calibration
from asset_pipeline.campaign.metadata import shown
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.scores.score import Scorer
from asset_pipeline.store.store import Store


@dg.asset(
    deps=["scores"],
    group_name="judgement",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="calibration-1",
    description=__doc__,
)
def calibration(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    data: dg.ResourceParam[Path],
    scorers: dg.ResourceParam[Sequence[Scorer]],
) -> dg.MaterializeResult[None]:
    """See the module."""
    assessments = assess(store, data, scorers, datetime.now(UTC))
    guarantees = [each.guarantee for each in assessments]
    record_guarantees(store, guarantees, run_id=context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint(guarantees)),
        metadata=shown(describe_calibration(assessments)),
    )
