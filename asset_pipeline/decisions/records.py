"""Reading and writing people's decisions."""

from collections import defaultdict

from asset_pipeline.decisions.decision import DECISIONS, Decision, decision_name, standing
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store


def load_decisions(store: Store, campaign_id: str) -> dict[str, list[Event[Decision]]]:
    """Every decision about each candidate, oldest first."""
    decisions: dict[str, list[Event[Decision]]] = defaultdict(list)
    for event in store.events.read(DECISIONS, campaign_id):
        decisions[event.body.candidate_id].append(event)
    return dict(decisions)


def decide(store: Store, campaign_id: str, decision: Decision) -> bool:
    """Record a person's decision; false if that is what holds already."""
    while True:
        known = load_decisions(store, campaign_id).get(decision.candidate_id, [])
        holds = standing(known, decision.image_sha256)
        if holds is not None and holds.body == decision:
            return False
        name = decision_name(decision.candidate_id, len(known))
        if store.events.append(DECISIONS, campaign_id, name, decision):
            return True
