"""Images for every prompt of the campaign, before anyone has judged them.

Cut into shards, so that several GPUs can share a campaign. The next run makes only what a killed one did not.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.records import Workshop, collect, order_for, record_candidates
from asset_pipeline.candidates.summary import candidates_sha256, describe_candidates
from asset_pipeline.candidates.wanted import wanted_sha256
from asset_pipeline.candidates.worker import working
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
    """Say what is wanted, and cut it into shards."""
    wanted = wanted_sha256(order_for(workshop, context.partition_key).wanted)
    plan = {"of": config.shards, "afresh": config.afresh, "wanted": wanted}
    for index in range(config.shards):
        yield dg.DynamicOutput(plan | {"index": index}, f"shard_{index:04d}", "shard")
    yield dg.Output(plan, "manifest")


@dg.op(pool="gpu")
def generate_shard(context: dg.OpExecutionContext, shard: Plan, workshop: Making) -> Plan:
    """Make the missing images of a shard."""
    order = order_for(workshop, context.partition_key, afresh=shard["afresh"])
    mine = order.shard(shard["index"], shard["of"])
    with working(workshop.store, context.run_id) as worker:
        try:
            return produce(mine, workshop.store, worker, context.log.info).summary()
        except ProviderUnavailable as error:
            raise dg.RetryRequested(max_retries=2, seconds_to_wait=20) from error


@dg.op(ins=_UPSTREAM)
def collect_candidates(
    context: dg.OpExecutionContext, prompts: Any, manifest: Plan, shards: list[Plan], workshop: Making
) -> dg.MaterializeResult[None]:
    """Record what became of every candidate."""
    campaign = context.partition_key
    made = collect(order_for(workshop, campaign), workshop.store, planned_sha256=manifest["wanted"])
    record_candidates(workshop.store, campaign, made, run_id=context.run_id)
    metadata = shown(describe_candidates(workshop.store, made, shards))
    return dg.MaterializeResult(data_version=dg.DataVersion(candidates_sha256(made)), metadata=metadata)


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
