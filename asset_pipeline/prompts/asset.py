"""The words for every picture of the campaign: product × asset type × locale × variation.

Checked before anything is spent on them: what policy or brand forbid, what would be made twice and what the
model would not read to its end is not handed on, with the reason.
"""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.catalog.records import load_products
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.policy.wording_checks import TokenCounts
from asset_pipeline.prompts.records import prompts_from, record_prompts
from asset_pipeline.prompts.summary import describe_prompts
from asset_pipeline.prompts.writing.text_model import TextModel
from asset_pipeline.prompts.writing.words import Writer
from asset_pipeline.store.store import Store


@dg.asset(
    partitions_def=campaigns,
    deps=["catalog"],
    group_name="production",
    kinds={"python", "parquet"},
    owners=["team:creative-ops"],
    code_version="prompts-2",
    description=__doc__,
)
def prompts(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    data: dg.ResourceParam[Path],
    tokens: dg.ResourceParam[TokenCounts],
    text_models: dg.ResourceParam[Mapping[str, TextModel]],
) -> dg.MaterializeResult[None]:
    """See the module."""
    campaign = context.partition_key
    writer = Writer(store, text_models, context.run.run_id, context.log.info)
    written = prompts_from(load_products(store), data, campaign, tokens, writer)
    record_prompts(store, campaign, written, run_id=context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fingerprint([prompt.prompt_id for prompt in written.prompts])),
        metadata=shown(describe_prompts(written)),
    )
