"""The chosen images of each prompt, and why each other one was not chosen.

Gates first, then people's decisions, then best first without near-duplicates and within the quotas. Only what
is approved, by a person, by calibration or by a campaign that asks for neither, may leave.
"""

from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.selection.quotas import places_in
from asset_pipeline.selection.records import choices_for, record_choices
from asset_pipeline.selection.shortages import shortages
from asset_pipeline.selection.summary import describe_choices
from asset_pipeline.store.store import Store


@dg.asset(
    partitions_def=campaigns,
    deps=["scores", "calibration"],
    group_name="judgement",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="selection-2",
    description=__doc__,
)
def selection(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.MaterializeResult[None]:
    """See the module."""
    choices = choices_for(store, data, context.partition_key)
    record_choices(store, context.partition_key, choices, run_id=context.run.run_id)
    prompts = len({choice.prompt_id for choice in choices})
    keep, _ = places_in(load_campaign(data, context.partition_key), prompts)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint(choices)),
        metadata=shown(describe_choices(store, choices, shortages(choices, keep))),
    )
