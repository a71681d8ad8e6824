"""Images for every prompt of the campaign, before anyone has judged them.

Cut into shards, so that several GPUs can share a campaign. The next run makes only what a killed one did not.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.records import Workshop, collect, order_for, record_candidates, recorded_order
from asset_pipeline.candidates.shard import Shard, cut, make_shard
from asset_pipeline.candidates.summary import candidates_sha256, describe_candidates, describe_rounds
from asset_pipeline.errors import ProviderUnavailable

Making = dg.ResourceParam[Workshop]
Plan = dict[str, Any]
_UPSTREAM = {"prompts": dg.In(input_manager_key="facts")}


class Production(dg.Config):
    """What an operator turns at launch."""

    shards: int = 1
    afresh: bool = False


@dg.op(ins=_UPSTREAM, out={"shard": dg.DynamicOut(dict), "manifest": dg.Out(dict)})
def plan_shards(
    context: dg.OpExecutionContext, prompts: Any, config: Production, workshop: Making
) -> Iterator[dg.DynamicOutput[Plan] | dg.Output[Plan]]:
    """Say what is wanted of each campaign of the run, and cut it into shards."""
    wanted = {each: order_for(workshop, each).basis_sha256 for each in context.partition_keys}
    for number, shard in enumerate(cut(wanted, config.shards, afresh=config.afresh)):
        yield dg.DynamicOutput(shard.model_dump(), f"shard_{number:04d}", "shard")
    yield dg.Output(wanted, "manifest")


@dg.op(pool="gpu")
def generate_shard(context: dg.OpExecutionContext, shard: Plan, workshop: Making) -> Plan:
    """Make the missing images of a shard."""
    try:
        return shard | make_shard(workshop, Shard(**shard), context.run_id, context.log.info).summary()
    except ProviderUnavailable as error:
        raise dg.RetryRequested(max_retries=2, seconds_to_wait=20) from error


@dg.op(ins=_UPSTREAM)
def collect_candidates(
    context: dg.AssetExecutionContext, prompts: Any, manifest: Plan, shards: list[Plan], workshop: Making
) -> dg.MaterializeResult[None]:
    """Record what became of every candidate."""
    every = []
    for campaign, wanted in manifest.items():
        order = recorded_order(workshop, campaign)
        made = collect(order, workshop.store, planned_sha256=wanted)
        record_candidates(workshop.store, campaign, made, run_id=context.run.run_id)
        own = [shard for shard in shards if shard["campaign"] == campaign]
        facts = describe_candidates(workshop.store, made, own) | describe_rounds(order)
        context.add_asset_metadata(shown(facts), partition_key=campaign)
        every.extend(made)
    return dg.MaterializeResult(data_version=dg.DataVersion(candidates_sha256(every)))


@dg.graph_asset(
    partitions_def=campaigns,
    group_name="production",
    kinds={"python", "webp"},
    owners=["team:creative-ops"],
    code_version="candidates-1",
    description=__doc__,
)
def candidates(prompts: None) -> Any:
    """See the module."""
    shard, manifest = plan_shards(prompts)
    return collect_candidates(prompts, manifest, shard.map(generate_shard).collect())
