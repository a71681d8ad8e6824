"""Who may see which material: of a campaign, and of products that are more sensitive than that. Pure."""

from collections import defaultdict
from datetime import date

from asset_pipeline.campaign.brief import SENSITIVITIES, Campaign, Sensitivity
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.request import Profile

ATTRIBUTE = "sensitivity"
"""The attribute of a product that makes it more sensitive than its campaign."""
_SHOWN = 5


def sensitivity_objections(sensitivity: Sensitivity, profile: Profile) -> list[str]:
    """Why this profile may not see material of this sensitivity; none if it may."""
    found = []
    if profile.is_remote and sensitivity == "local_only":
        found.append("the campaign is local_only and the profile sends its material to another machine")
    if sensitivity not in profile.sensitivities:
        found.append(f"the profile is not cleared for {sensitivity} material")
    return found


def stricter(one: Sensitivity, other: str | None) -> Sensitivity:
    """The stricter of two sensitivities; a word that is none counts as ``local_only``, to be safe."""
    if other is None:
        return one
    words: dict[str, Sensitivity] = {each: each for each in SENSITIVITIES}
    named = words.get(other.strip().lower(), "local_only")
    return max(one, named, key=SENSITIVITIES.index)


def order_objections(campaign: Campaign, order: Order, today: date) -> list[str]:
    """Why nobody may make what an order wants, or some of it; nothing if somebody may make each picture."""
    found = []
    if campaign.deadline is not None and today > campaign.deadline:
        found.append(f"the campaign's deadline was {campaign.deadline}")
    skus: defaultdict[Sensitivity, dict[str, None]] = defaultdict(dict, {order.sensitivity: {}})
    for wanted in order.wanted:
        skus[order.sensitivity_of(wanted)][wanted.prompt.sku] = None
    for sensitivity, those in skus.items():
        if not those and order.wanted:
            continue
        reasons = {lane.name: sensitivity_objections(sensitivity, lane.profile) for lane in order.lanes}
        if all(reasons.values()):
            products = f" for {', '.join(list(those)[:_SHOWN])}" if sensitivity != order.sensitivity else ""
            for name, each in reasons.items():
                who = f"{name}: " if order.alternatives else ""
                found += [f"{who}{reason}{products}" for reason in each]
    return found
