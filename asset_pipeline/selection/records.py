"""Reading and writing the facts of selection: people's decisions, and what was chosen."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.records import CANDIDATES, load_candidates
from asset_pipeline.scores.records import UNJUDGED, load_judgements
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.choose import Entry, choose
from asset_pipeline.selection.decision import DECISIONS, Decision, decision_name, standing
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

SELECTION = Table("selection", Choice, partitioned_by="campaign")


def load_choices(store: Store, campaign_id: str) -> list[Choice]:
    """What became of the campaign's candidates, as last recorded."""
    return store.facts.read(SELECTION, campaign_id)


def load_decisions(store: Store, campaign_id: str) -> dict[str, list[Event[Decision]]]:
    """Every decision about each candidate, oldest first."""
    decisions: dict[str, list[Event[Decision]]] = defaultdict(list)
    for event in store.events.read(DECISIONS, campaign_id):
        decisions[event.body.candidate_id].append(event)
    return dict(decisions)


def choices_for(store: Store, data: Path, campaign_id: str) -> list[Choice]:
    """Choose among the campaign's candidates as they are recorded; record nothing.

    Raises:
        NotFound: there is no such campaign.
        InvalidFile: its file is wrong.
    """
    campaign = load_campaign(data, campaign_id)
    judgements = load_judgements(store, campaign_id)
    decisions = load_decisions(store, campaign_id)
    entries = [
        Entry(
            candidate=candidate,
            candidate_fact_sha256=CANDIDATES.fact_sha256(candidate),
            judged=judgements.get(candidate.candidate_id, UNJUDGED),
            decisions=decisions.get(candidate.candidate_id, ()),
        )
        for candidate in load_candidates(store, campaign_id)
    ]
    return choose(entries, keep=campaign.keep, needs_person=campaign.approval == "human")


def record_choices(store: Store, campaign_id: str, choices: Sequence[Choice], *, run_id: str) -> None:
    """Record the selection, unless it is as recorded already."""
    store.facts.write_if_changed(SELECTION, campaign_id, choices, run_id=run_id)


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
