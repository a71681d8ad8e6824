"""What should hold of calibration, so that campaigns that rely on it are served."""

from pathlib import Path

import dagster as dg

from asset_pipeline.calibration.asset import calibration
from asset_pipeline.calibration.records import load_guarantees
from asset_pipeline.campaign.brief import campaign_ids, load_campaign
from asset_pipeline.errors import PipelineError
from asset_pipeline.store.store import Store


@dg.asset_check(asset=calibration)
def no_asset_type_is_frozen(store: dg.ResourceParam[Store]) -> dg.AssetCheckResult:
    """No alarm has stopped automatic approval."""
    frozen = {name: each.words for name, each in load_guarantees(store).items() if each.state == "frozen"}
    return dg.AssetCheckResult(passed=not frozen, metadata={"frozen": frozen})


@dg.asset_check(asset=calibration)
def automatic_campaigns_are_calibrated(
    store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.AssetCheckResult:
    """Every asset type of every campaign with ``approval: auto`` is calibrated, so that people are spared."""
    guarantees = load_guarantees(store)
    waiting: dict[str, str] = {}
    for campaign_id in campaign_ids(data):
        try:
            campaign = load_campaign(data, campaign_id)
        except PipelineError:
            continue  # its own runs say what is wrong with it
        for name in campaign.asset_types if campaign.approval == "auto" else ():
            if name not in guarantees or guarantees[name].state != "calibrated":
                words = guarantees[name].words if name in guarantees else "nothing is known of it"
                waiting[f"{campaign_id}: {name}"] = words
    return dg.AssetCheckResult(
        passed=not waiting, severity=dg.AssetCheckSeverity.WARN, metadata={"a person decides": waiting}
    )
