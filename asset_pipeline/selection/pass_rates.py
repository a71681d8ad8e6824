"""How often the pictures of each profile pass, by gates and people: what routing divides a price by."""

from collections import Counter

from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.candidates.routing import PassRate
from asset_pipeline.selection.records import SELECTION, load_choices
from asset_pipeline.store.store import Store


def load_pass_rates(store: Store) -> dict[str, PassRate]:
    """By profile, over all campaigns as they were selected last. What has expired counts for nothing."""
    judged: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for campaign in store.facts.partitions(SELECTION):
        profiles = {each.candidate_id: each.profile for each in load_candidates(store, campaign)}
        for choice in load_choices(store, campaign):
            profile = profiles.get(choice.candidate_id)
            if profile is None or choice.image_sha256 is None or choice.rule == "expired":
                continue
            judged[profile] += 1
            passed[profile] += choice.state != "rejected"
    return {profile: PassRate(passed[profile], judged[profile]) for profile in judged}
