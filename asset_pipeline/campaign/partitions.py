"""One partition is one campaign."""

from pathlib import Path

import dagster as dg

from asset_pipeline.campaign.brief import campaign_ids, campaign_path

campaigns = dg.DynamicPartitionsDefinition(name="campaigns")


def register_campaigns(instance: dg.DagsterInstance, data: Path) -> list[str]:
    """Make every campaign file a partition; return those that were not yet.

    Partitions of deleted files stay: their history does.

    Raises:
        InvalidFile: a file's name cannot be a partition key.
    """
    for campaign_id in campaign_ids(data):
        campaign_path(data, campaign_id)
    known = set(instance.get_dynamic_partitions("campaigns"))
    new = [campaign_id for campaign_id in campaign_ids(data) if campaign_id not in known]
    if new:
        instance.add_dynamic_partitions("campaigns", new)
    return new
