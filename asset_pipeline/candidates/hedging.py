"""Pictures that somebody waits for and that are late: another provider is asked too, the faster one wins."""

import time
from collections.abc import Sequence

from asset_pipeline.candidates.dispatch import Dispatcher, Missing
from asset_pipeline.candidates.making import Run
from asset_pipeline.candidates.routing import HEDGE_AFTER_SECONDS, Route, hedge, route

LOOK_SECONDS = 0.5
"""Between two looks at what is late."""


class Hedging:
    """Finds what is late in an interactive order, and who is asked as well. Each picture is hedged once.

    Args:
        place: what is at work.
        dispatcher: who may make it.
    """

    def __init__(self, place: Run, dispatcher: Dispatcher) -> None:
        self._place = place
        self._dispatcher = dispatcher
        self._wanted = {each.candidate_id: each for each in place.order.wanted}

    @property
    def is_on(self) -> bool:
        """Whether there is anything to look for."""
        return self._place.order.priority == "interactive" and len(self._place.order.lanes) > 1

    def due(self) -> Sequence[tuple[str, Missing]]:
        """By profile, what is to be asked for as well, from now on."""
        found: list[tuple[str, Missing]] = []
        with self._place.accounts:
            at_work = list(self._place.at_work.values())
        for journal, since in at_work:
            attempt = journal.now
            wanted = self._wanted.get(attempt.candidate_id)
            key = (attempt.candidate_id, attempt.attempt)
            if wanted is None or attempt.hedges is not None or key in self._place.hedged:
                continue
            offers = self._dispatcher.offers(wanted)
            left = self._place.books.left_usd() + attempt.cost_usd
            need = self._dispatcher.need(wanted, left, ())
            first = Route(attempt.profile, "it is at work", route(need, offers).verdicts)
            waited = time.monotonic() - since
            second = hedge(need, first, waited, offers, after_seconds=HEDGE_AFTER_SECONDS)
            if second.profile is not None:
                number = attempt.attempt + 1
                self._place.hedged.add(key)
                self._place.hedges[attempt.candidate_id, number] = attempt.attempt
                self._place.report(f"{attempt.candidate_id}: {second.because}")
                found.append((second.profile, (wanted, number)))
        return found
