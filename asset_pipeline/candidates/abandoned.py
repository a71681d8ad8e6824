"""Attempts that a remote provider may have and nobody waits for: their run ended before they did."""

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, Attempt, standings
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import is_alive


def abandoned(store: Store, campaign_id: str) -> list[Attempt]:
    """A campaign's attempts that were sent, have no end, and whose worker is gone; reads those alone."""
    names = store.events.names(ATTEMPTS, campaign_id)
    moments = [name.rpartition(".") for name in names]
    settled = {stem for stem, _, moment in moments if moment == "settled"}
    unsettled = {stem for stem, _, moment in moments if moment == "sent" and stem not in settled}
    if not unsettled:
        return []
    theirs = [name for name in names if name.rpartition(".")[0] in unsettled]
    found = standings(store.events.read(ATTEMPTS, campaign_id, names=theirs)).values()
    return [each for each in found if each.state in OPEN and not is_alive(store, each.worker)]
