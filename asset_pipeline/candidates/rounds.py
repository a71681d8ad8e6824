"""Makes a funnel's rounds: make what the waves say, look at it, decide, record the next wave, and again.

Any number of shards and runs do this at once. They make each wave together, for every candidate is claimed
before it is made; then all of them look and decide, and one of them records. Killed at any moment, the next
run makes what the last wave says and goes on from there.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from asset_pipeline.candidates.funnel import decide
from asset_pipeline.candidates.jobs.attempt import FINAL
from asset_pipeline.candidates.judge import Gated, Judge
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.production import accounted, make_all
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.records import (
    Workshop,
    load_attempts,
    load_candidates,
    load_spent_usd,
    recorded_order,
    settle,
    to_come,
)
from asset_pipeline.candidates.waves import Rounds, Wave, record_wave
from asset_pipeline.errors import BudgetExceeded, UnfinishedRun
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker

Report = Callable[[str], None]
CHANGED = "prompts or profile changed during the run; materialise the partition again"
LOOK_SECONDS = 2.0
"""Between two looks at what another run is making."""


def make_rounds(
    workshop: Workshop, order: Order, rounds: Rounds, judge: Judge, worker: Worker, report: Report
) -> Progress:
    """Make what a funnel's waves ask for, and further waves until none is needed or allowed.

    Raises:
        UnfinishedRun: prompts or profile changed meanwhile.
        ProviderUnavailable: the provider failed several times in a row; what was finished is kept.
        ExceptionGroup: the provider has bugs that some images met; the others of the wave were made.
    """
    basis = order.basis_sha256
    with accounted(order, report) as progress:
        while True:
            progress.wanted = len(order.wanted)
            _make_wave(order, workshop.store, worker, report, progress)
            if progress.bugs:
                break
            wave = _next_wave(workshop, order, rounds, judge, worker, report)
            if wave is None:
                break
            if record_wave(workshop.store, order.campaign_id, wave):
                report(words_of(wave))
            now = recorded_order(workshop, order.campaign_id)
            if now.rounds is None or now.basis_sha256 != basis:
                raise UnfinishedRun(CHANGED)
            order, rounds = replace(now, afresh=order.afresh, part=order.part), now.rounds
        progress.reused = _found(order, workshop.store, worker)
    return progress


def words_of(wave: Wave) -> str:
    """A wave as a line of the log."""
    pictures = sum(len(share.positions) for share in wave.shares)
    asked = f"{pictures} pictures for {len(wave.shares)} prompts"
    return f"wave {wave.number}: {asked}; {len(wave.stops)} prompts stop"


def _make_wave(order: Order, store: Store, worker: Worker, report: Report, progress: Progress) -> None:
    """Make all that is asked for, as far as the budget goes, and wait for what others are making of it."""
    while True:
        try:
            make_all(order, store, worker, report, progress)
        except BudgetExceeded as error:
            attempts = load_attempts(store, order.campaign_id)
            if not to_come(order, store, attempts, settle(order, attempts, ())[1]):
                report(str(error))
                return
            time.sleep(LOOK_SECONDS)
        else:
            return


def _next_wave(
    workshop: Workshop, order: Order, rounds: Rounds, judge: Judge, worker: Worker, report: Report
) -> Wave | None:
    """Look at what there is and decide; none where nothing is to be said that is not recorded."""
    if not rounds.open:
        return None
    store, campaign = workshop.store, order.campaign_id
    candidates, _ = settle(order, load_attempts(store, campaign), load_candidates(store, campaign))
    made = [each for each in candidates if each.image_sha256]
    own = {each.candidate_id for each in order.wanted if order.is_own(each)}
    # The shard's own first: several shards then measure side by side, each mostly something else.
    gated: dict[str, Gated] = {}
    for is_own in (True, False):
        part = [each for each in made if (each.candidate_id in own) == is_own]
        gated |= judge.judge(campaign, part, run_id=worker.run_id, report=report)
    standings = rounds.standings(candidates, gated, order.profile.parameters)
    today, deadline = datetime.now(UTC).date(), rounds.terms.deadline
    left = rounds.left(
        order.most_usd,
        load_spent_usd(store, campaign),
        is_late=deadline is not None and today > deadline,
    )
    decision = decide(rounds.funnel, rounds.terms, standings, left)
    if not decision.shares and not decision.stops:
        return None
    return rounds.wave(decision, standings, worker.run_id)


def _found(order: Order, store: Store, worker: Worker) -> int:
    """How many of the shard's own prompts' candidates were there before this run."""
    attempts = load_attempts(store, order.campaign_id)
    return sum(
        attempt.state in FINAL and attempt.run_id != worker.run_id
        for each in order.wanted
        if order.is_own(each) and (attempt := attempts.get(each.candidate_id)) is not None
    )
