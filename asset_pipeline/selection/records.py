"""Reading and writing the facts of selection: what was chosen."""

from collections.abc import Sequence
from pathlib import Path

from asset_pipeline.calibration.records import load_guarantees
from asset_pipeline.calibration.settings import load_settings
from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.expired import expired_words
from asset_pipeline.candidates.records import CANDIDATES, load_candidates
from asset_pipeline.decisions.records import load_decisions
from asset_pipeline.scores.records import UNJUDGED, load_judgements
from asset_pipeline.selection.approval import Approving
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.choose import choose
from asset_pipeline.selection.entry import Entry
from asset_pipeline.selection.quotas import places_in
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

SELECTION = Table(
    "selection",
    Choice,
    partitioned_by="campaign",
    version=3,
    upgrades={
        1: lambda columns: columns | {"is_audited": False},
        2: lambda columns: columns | {"rule": "not recorded", "guarantee_sha256": None},
    },
)


def load_choices(store: Store, campaign_id: str) -> list[Choice]:
    """What became of the campaign's candidates, as last recorded."""
    return store.facts.read(SELECTION, campaign_id)


def choices_for(store: Store, data: Path, campaign_id: str) -> list[Choice]:
    """Choose among the campaign's candidates as they are recorded; record nothing.

    Raises:
        NotFound: there is no such campaign.
        InvalidFile: its file is wrong.
    """
    campaign = load_campaign(data, campaign_id)
    judgements = load_judgements(store, campaign_id)
    decisions = load_decisions(store, campaign_id)
    candidates = load_candidates(store, campaign_id)
    expired = expired_words(store, campaign_id, candidates)
    entries = [
        Entry(
            candidate=candidate,
            candidate_fact_sha256=CANDIDATES.fact_sha256(candidate),
            judged=judgements.get(candidate.candidate_id, UNJUDGED),
            decisions=decisions.get(candidate.candidate_id, ()),
            expired=expired.get(candidate.candidate_id),
        )
        for candidate in candidates
    ]
    keep, quotas = places_in(campaign, len({each.prompt_id for each in candidates}))
    approving = Approving(campaign.approval, load_guarantees(store), load_settings(data))
    return choose(entries, keep=keep, approving=approving, quotas=quotas)


def record_choices(store: Store, campaign_id: str, choices: Sequence[Choice], *, run_id: str) -> None:
    """Record the selection, unless it is as recorded already."""
    store.facts.write_if_changed(SELECTION, campaign_id, choices, run_id=run_id)
