"""The generation loop: makes what is missing, keeps each image the moment it is finished.

Pass after pass: what is missing is routed to those who may make it now, and every lane works on its part side
by side. Killed at any moment, everything that was recorded is kept: the next run takes over what a remote
provider has, buries what died with its process, and makes the rest.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from asset_pipeline.candidates.books import Books
from asset_pipeline.candidates.dispatch import Assigned, Dispatcher, Missing
from asset_pipeline.candidates.hedging import LOOK_SECONDS as HEDGE_LOOK_SECONDS
from asset_pipeline.candidates.hedging import Hedging
from asset_pipeline.candidates.jobs.attempt import (
    ATTEMPTS,
    OPEN,
    Attempt,
    histories,
    newest_of,
    takeover_name,
    what_next,
)
from asset_pipeline.candidates.jobs.remote import Hearing, account_of
from asset_pipeline.candidates.jobs.traffic import Traffic
from asset_pipeline.candidates.making import Making, Run
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.progress import Progress, added
from asset_pipeline.candidates.retrying import is_settled_for_now
from asset_pipeline.candidates.routing import Route, worth_waiting
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.errors import BudgetExceeded, NoRoute, ProviderUnavailable
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, is_alive

LOOK_SECONDS = 2.0
"""Between two looks at what another run is making."""
HEALTH_PATIENCE_SECONDS = 600.0
"""How long a run waits for providers that are left alone, all together: as long as the simulation of routing
does, which loses one picture in several thousand then."""
SHORTEST_WAIT_SECONDS = 0.1
MOST_HEDGES = 16
"""Hedges at once; further ones wait for a thread."""
MOST_REASONS_TOLD = 5
PASS_PER_MAKER = 16
"""Where several profiles share the work, a pass deals so many pictures for each of their makers, so that
routing looks again at prices, health and pass rates before long."""


def produce(order: Order, store: Store, worker: Worker, report: Callable[[str], None]) -> Progress:
    """Make every wanted candidate that is not there yet, and wait for those that others are making.

    Raises:
        BudgetExceeded: the budget does not pay for all that is missing; what it pays for was made.
        ProviderUnavailable: nobody who may make it can be asked; what was finished is kept.
        NoRoute: nobody may make some of it, or can from here; the rest was made.
        ExceptionGroup: the provider has bugs that some images met; all others were made.
    """
    with accounted(order, report) as progress:
        make_all(order, store, worker, report, progress)
    return progress


@contextmanager
def accounted(order: Order, report: Callable[[str], None]) -> Iterator[Progress]:
    """Keep account of what is made in the block, and tell it at its end; raise the bugs that were met."""
    progress = Progress(
        wanted=len(order.wanted),
        makers=sum(lane.makers for lane in order.lanes),
        batch_size=max(lane.batch_size for lane in order.lanes),
    )
    before = order.provider.observed()
    try:
        yield progress
    finally:
        progress.wall_seconds = time.monotonic() - progress.started
        progress.observed = added(before, order.provider.observed())
        report(progress.line())
    if progress.bugs:
        raise ExceptionGroup(f"{len(progress.bugs)} images met a bug of {order.provider.name}", progress.bugs)


def make_all(
    order: Order, store: Store, worker: Worker, report: Callable[[str], None], progress: Progress
) -> None:
    """Pass after pass, until nothing is missing and nobody else is making any of it.

    Raises BudgetExceeded, ProviderUnavailable and NoRoute, as ``produce`` does.
    """
    books = Books(store, order.campaign_id, order.budget_usd, order.budget_usd_per_day)
    place = Run(order, store, worker, report, progress, books, Hearing(store))
    place.traffic |= {lane.name: _traffic(lane, store, worker) for lane in order.lanes if lane.is_remote}
    place.won |= {attempt.race for attempt in books.standings().values() if attempt.state == "succeeded"}
    dispatcher = Dispatcher(order, {name: traffic.health for name, traffic in place.traffic.items()})
    patience = HEALTH_PATIENCE_SECONDS
    while True:
        place.begin_pass()
        attempts = books.standings()
        resumed, stranded = _after_the_dead(place, attempts)
        by_candidate = histories(attempts.values())
        missing, elsewhere = _sort(order, by_candidate, stranded, worker, progress)
        own = {name: _own(history, worker) for name, history in by_candidate.items()}
        most = None if len(order.lanes) == 1 else PASS_PER_MAKER * progress.makers
        assigned = dispatcher.assign(order.in_turn(missing), books.left_usd(), own, most)
        if resumed or assigned.count:
            report(f"{assigned.count} images to make, {progress.reused} are there")
            dispatcher.closed |= _work(place, assigned.lanes, resumed, Hedging(place, dispatcher))
        elif elsewhere:
            report(f"waiting for {len(elsewhere)} images that another run is making")
            time.sleep(LOOK_SECONDS)
        elif assigned.unaffordable:
            raise BudgetExceeded(_over_budget(order, assigned.unaffordable, books.left_usd()))
        elif assigned.waiting:
            patience -= _wait_for_health(assigned, patience, report)
        elif never := [
            (each, found) for each, found in assigned.given_up if not own.get(each[0].candidate_id)
        ]:
            raise NoRoute(_nobody(never))
        else:
            return


def _work(
    place: Run,
    missing: Mapping[str, Sequence[Missing]],
    resumed: Mapping[str, Sequence[Attempt]],
    hedging: Hedging,
) -> dict[str, str]:
    """Let every lane work on its part; return those that are left alone from now on, and why."""
    busy = [lane for lane in place.order.lanes if lane.name in missing or lane.name in resumed]
    work = [(Making(lane, place), missing.get(lane.name, ()), resumed.get(lane.name, ())) for lane in busy]
    if len(work) == 1 and not hedging.is_on:
        making, dealt, taken = work[0]
        reasons = [making.make(dealt, taken)]
    else:
        with ThreadPoolExecutor(len(work) + MOST_HEDGES, "lane") as pool:
            lanes = [pool.submit(making.make, dealt, taken) for making, dealt, taken in work]
            try:
                _await(place, lanes, hedging, pool)
            except BaseException:
                place.stopped.set()
                raise
        reasons = [lane.result() for lane in lanes]
    return {lane.name: reason for lane, reason in zip(busy, reasons, strict=True) if reason is not None}


def _await(
    place: Run, lanes: Sequence[Future[str | None]], hedging: Hedging, pool: ThreadPoolExecutor
) -> None:
    """Wait until every lane has ended; where somebody waits for pictures, ask others for what is late."""
    pending = set(lanes)
    while pending:
        _, pending = wait(pending, timeout=HEDGE_LOOK_SECONDS if hedging.is_on else LOOK_SECONDS)
        if hedging.is_on and pending:
            for name, missing in hedging.due():
                pending.add(pool.submit(Making(place.order.lane(name), place).make, [missing]))


def _traffic(lane: Lane, store: Store, worker: Worker) -> Traffic:
    endpoint = lane.profile.endpoint
    if endpoint is None:
        raise TypeError(f"{lane.name} has no endpoint")
    return Traffic(store, worker, lane.name, account_of(endpoint, lane.provider.name), endpoint)


def _after_the_dead(
    place: Run, attempts: dict[tuple[str, int], Attempt]
) -> tuple[dict[str, list[Attempt]], set[str]]:
    """Take over, or settle as lost, what a worker claimed and did not live to finish.

    Args:
        place: who takes over.
        attempts: the newest state of each; brought up to date.

    Returns:
        By profile, what was taken over; and the candidates that wait at no profile of this campaign.
    """
    alive: dict[str, bool] = {place.worker.worker_id: True}
    lanes = {lane.name for lane in place.order.lanes}
    resumed: dict[str, list[Attempt]] = {}
    stranded: set[str] = set()
    for key, attempt in attempts.items():
        if attempt.state not in OPEN:
            continue
        owner = attempt.worker
        if owner.worker_id not in alive:
            alive[owner.worker_id] = is_alive(place.store, owner)
        step = what_next(attempt, owner_is_alive=alive[owner.worker_id], this_run="", afresh=False)
        if step.action == "wait":
            continue
        was_sent = attempt.call is not None and attempt.call.sent_at is not None
        if step.action == "bury" or not was_sent:
            cost = attempt.cost_usd if step.action == "bury" else 0.0
            lost = attempt.model_copy(
                update={
                    "state": "lost",
                    "reason": step.reason,
                    "run_id": place.worker.run_id,
                    "cost_usd": cost,
                }
            )
            if place.append(lost):
                attempts[key] = lost
        elif attempt.profile not in lanes:
            stranded.add(attempt.candidate_id)
            place.report(
                f"attempt {attempt.attempt} at {attempt.candidate_id} waits at {attempt.profile}, which is no"
                " profile of this campaign any more; it stays open until it is one again"
            )
        elif (taken := _taken_over(place, attempt)) is not None:
            attempts[key] = taken
            resumed.setdefault(taken.profile, []).append(taken)
    return resumed, stranded


def _taken_over(place: Run, attempt: Attempt) -> Attempt | None:
    """Take an attempt over; none if another worker was faster."""
    taken = attempt.model_copy(
        update={
            "worker": place.worker,
            "run_id": place.worker.run_id,
            "handover": attempt.handover + 1,
        }
    )
    campaign = place.order.campaign_id
    return taken if place.store.events.append(ATTEMPTS, campaign, takeover_name(taken), taken) else None


def _sort(
    order: Order,
    by_candidate: Mapping[str, Sequence[Attempt]],
    stranded: set[str],
    worker: Worker,
    progress: Progress,
) -> tuple[list[Missing], list[Wanted]]:
    """What this run has to make, with the number of the attempt, and what others are making."""
    missing: list[Missing] = []
    elsewhere: list[Wanted] = []
    progress.reused = progress.held = 0
    for wanted in order.wanted:
        history = by_candidate.get(wanted.candidate_id, ())
        if wanted.candidate_id in stranded or is_settled_for_now(_own(history, worker)):
            continue
        last = newest_of(history)
        step = what_next(last, owner_is_alive=True, this_run=worker.run_id, afresh=order.afresh)
        if step.action == "make":
            missing.append((wanted, history[-1].attempt + 1 if history else 1))
        elif step.action == "wait":
            elsewhere.append(wanted)
        elif step.action == "hold":
            progress.held += 1
        else:
            progress.reused += 1
    return missing, elsewhere


def _own(history: Sequence[Attempt], worker: Worker) -> list[Attempt]:
    return [attempt for attempt in history if attempt.worker == worker]


def _over_budget(order: Order, missing: Sequence[Missing], left_usd: float) -> str:
    per_day = order.budget_usd_per_day
    day = "" if per_day is None else f" (${per_day:.2f} a day)"
    each = min(lane.most_usd(wanted) for wanted, _ in missing for lane in order.lanes if lane.costs)
    return (
        f"{len(missing)} missing images are beyond the budget of ${order.budget_usd:.2f}{day}: "
        f"${max(0.0, left_usd):.2f} are left, and one takes ${each:.4f} or more; raise budget_usd"
    )


def _nobody(never: Sequence[tuple[Missing, Route]]) -> str:
    reasons = dict.fromkeys(reason for _, found in never for reason in _reasons(found))
    told = "; ".join(islice(reasons, MOST_REASONS_TOLD))
    return f"nobody can make {len(never)} of the missing images; what is finished is kept. {told}"


def _reasons(found: Route) -> list[str]:
    return [
        f"{verdict.offer.profile}: {objection}"
        for verdict in found.verdicts
        for objection in verdict.objections
    ]


def _wait_for_health(assigned: Assigned, patience: float, report: Callable[[str], None]) -> float:
    """Wait until a provider may be asked again; return the seconds that it took.

    Raises:
        ProviderUnavailable: time heals none of them, or it takes too long.
    """
    _, route = assigned.waiting[0]
    seconds = worth_waiting(route, datetime.now(UTC))
    if seconds is None or seconds > patience:
        raise ProviderUnavailable(
            f"{len(assigned.waiting)} images wait for a provider; what is finished is kept, run again later. "
            + "; ".join(_reasons(route))
        )
    report(f"{len(assigned.waiting)} images wait {seconds:.0f} s for a provider: {route.because}")
    time.sleep(max(SHORTEST_WAIT_SECONDS, seconds))
    return max(SHORTEST_WAIT_SECONDS, seconds)
