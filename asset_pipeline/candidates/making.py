"""One lane at work: makers ask the provider and never touch a file, finishers encode, look, store and record.

Between them waits a bounded number of pictures, so that memory stays flat however long the campaign is.
Claims and ends of attempts are one exclusive file each, which is what makes paying twice impossible; they
cost the model no time because threads write them side by side. Interrupted, what was rendered is finished
first.
"""

import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline.candidates.books import Books
from asset_pipeline.candidates.dispatch import Missing
from asset_pipeline.candidates.glance import glance
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, OpenState, event_name
from asset_pipeline.candidates.jobs.errand import STILL_OPEN, Carried, Errand, Heard
from asset_pipeline.candidates.jobs.remote import Envelope, Hearing, Remote
from asset_pipeline.candidates.jobs.traffic import Traffic
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.request import Rendered
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.errors import ProviderError, ProviderRefused, ProviderUnavailable, UnsupportedRequest
from asset_pipeline.pictures.encode import lossless_webp, mask_webp
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker

FINISHERS = max(4, min(8, os.cpu_count() or 1))
"""Half of a finisher's time is waiting for a disk or a bucket, so that there are more than processors."""
CLAIMERS = 8
WAITING_PER_MAKER = 4
WAITING_BATCHES = 2
"""How many rendered pictures may wait for a finisher or be with one, for each maker: as many as these batches
hold, so that a batch that comes all at once waits for none, and never fewer than WAITING_PER_MAKER."""
UNAVAILABLE_IN_A_ROW = 3
"""After so many a provider without a breaker is left alone for the rest of the run."""
LOOK_SECONDS = 1.0
"""Between two looks at whether a provider takes more."""
REPORT_SECONDS = 5.0
"""Time between two lines of the log."""
HALF_A_MILLIONTH = 5e-7
"""Dollars: what rounding may leave of a budget that is used up to the cent."""

Result = Rendered | ProviderError | Carried


@dataclass
class Run:
    """What the lanes of a run share: where they record, who they are, and what they count."""

    order: Order
    store: Store
    worker: Worker
    report: Callable[[str], None]
    progress: Progress
    books: Books
    hearing: Hearing
    traffic: dict[str, Traffic] = field(default_factory=dict)
    """By profile, of the remote ones."""
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when the run ends before its work does."""
    accounts: threading.Lock = field(default_factory=threading.Lock)
    over_budget: threading.Event = field(default_factory=threading.Event)
    """Set when a claim found the budget used up by others; then the books are looked at again."""
    at_work: dict[tuple[str, int], tuple["Journal", float]] = field(default_factory=dict)
    """By candidate and number, what remote providers have, and since when by the monotonic clock."""
    hedges: dict[tuple[str, int], int] = field(default_factory=dict)
    """By candidate and number of an attempt that is to come: the late one that it is begun beside."""
    hedged: set[tuple[str, int]] = field(default_factory=set)
    """The late ones, by candidate and number."""
    won: set[tuple[str, int]] = field(default_factory=set)
    """The races (``Attempt.race``) that an attempt has won."""
    first: float = math.inf
    last: float = 0.0
    earlier: float = 0.0
    last_report: float = field(default_factory=time.monotonic)

    def append(self, attempt: Attempt) -> bool:
        """Record a state that an attempt came to; False if it is recorded already."""
        return self.store.events.append(ATTEMPTS, self.order.campaign_id, event_name(attempt), attempt)

    def heard(self, attempt: Attempt, token: str | None) -> list[Heard]:
        """What webhooks said of an attempt; what names another attempt's job came to the wrong address."""
        told = self.hearing.of(token)
        if not any(each.job_id for each in told):
            return told
        others = {
            other.ticket.job_id
            for key, other in self.books.standings().items()
            if other.ticket is not None and key != (attempt.candidate_id, attempt.attempt)
        }
        return [each for each in told if each.job_id not in others]

    def begin_pass(self) -> None:
        """Look anew at what is missing."""
        self.over_budget.clear()
        self.first, self.last, self.earlier = math.inf, 0.0, self.progress.making_seconds

    def count_turn(self, began: float, ended: float, in_provider: float, queue_full: float) -> None:
        """Add a maker's turn to the run's times, in seconds of the monotonic clock."""
        progress = self.progress
        self.first, self.last = min(self.first, began), max(self.last, ended)
        progress.provider_seconds += in_provider
        progress.queue_full_seconds += queue_full
        progress.making_seconds = self.earlier + self.last - self.first
        if not self.earlier:
            progress.startup_seconds = self.first - progress.started

    def tell(self) -> None:
        """A line for the log, now and then."""
        if time.monotonic() - self.last_report >= REPORT_SECONDS:
            self.last_report = time.monotonic()
            self.progress.wall_seconds = time.monotonic() - self.progress.started
            self.report(self.progress.line())


@dataclass
class _Turn:
    """What a maker did with one batch; times are the monotonic clock's, in seconds."""

    finishing: list[Future[Attempt]] = field(default_factory=list)
    in_provider: float = 0.0
    queue_full: float = 0.0
    began: float = 0.0
    ended: float = 0.0


class Making:
    """One pass of a lane's makers and finishers over what was dealt to it."""

    def __init__(self, lane: Lane, place: Run) -> None:
        self._lane = lane
        self._place = place
        self._traffic = place.traffic.get(lane.name)
        self._waiting = threading.BoundedSemaphore(
            lane.makers * max(WAITING_PER_MAKER, WAITING_BATCHES * lane.batch_size)
        )
        self._finishers = ThreadPoolExecutor(FINISHERS, "finisher")
        self._claimers = ThreadPoolExecutor(CLAIMERS, "claimer")
        self._makers = ThreadPoolExecutor(lane.makers, "maker")
        self._unavailable_in_a_row = 0

    def make(self, missing: Sequence[Missing], resumed: Sequence[Attempt] = ()) -> str | None:
        """Make what is missing, and go on with what was taken over.

        Returns:
            Why the provider is left alone for the rest of the run; none if it was there.
        """
        # Makers end first: what they have rendered still finds a finisher, whatever ended them.
        with self._finishers, self._claimers, self._makers:
            self._feed(resumed, _batches(missing, self._lane.batch_size))
        if self._unavailable_in_a_row < UNAVAILABLE_IN_A_ROW:
            return None
        return (
            f"{self._lane.provider.name} was unavailable {self._unavailable_in_a_row} times in a row; "
            "what is finished is kept, run again when it is back"
        )

    def _feed(self, resumed: Sequence[Attempt], batches: Iterator[list[Missing]]) -> None:
        """Keep every maker busy, until all is finished.

        What costs nothing is claimed one batch ahead, so that no maker waits for its claims. What costs money
        is claimed when it is its turn: a claim whose worker died counts as spent.
        """
        makers = self._lane.makers + (0 if self._lane.costs else 1)
        running = {self._makers.submit(self._go_on, attempt) for attempt in resumed}
        finishing: set[Future[Attempt]] = set()
        try:
            while True:
                free = max(0, makers - len(running)) * self._is_open()
                room = self._room(len(running))
                free = free if room is None else min(free, room)
                running |= {
                    self._makers.submit(self._make_batch, self._claimed(batch))
                    for batch in itertools.islice(batches, free)
                }
                if not running and not finishing:
                    return
                pending: set[Future[Any]] = {*running, *finishing}
                done, _ = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for turn in done & running:
                    running.discard(turn)
                    finishing |= set(turn.result())
                for finished in done & finishing:
                    finishing.discard(finished)
                    finished.result()
                self._place.tell()
        except BaseException:
            self._place.stopped.set()
            for future in running:
                future.cancel()
            raise

    def _is_open(self) -> bool:
        """Whether more may be begun."""
        if self._place.stopped.is_set() or self._place.over_budget.is_set():
            return False
        if self._traffic is not None:
            return self._traffic.health().may_be_asked
        return self._unavailable_in_a_row < UNAVAILABLE_IN_A_ROW

    def _room(self, running: int) -> int | None:
        """How many more jobs may wait at the provider, by the profile; none: as many as there are makers.

        Args:
            running: makers that have something to do; what they have not sent yet will wait there, too.
        """
        endpoint = self._lane.profile.endpoint
        most = None if endpoint is None else endpoint.limits.most_queued
        if most is None:
            return None
        with self._place.accounts:
            own = [
                each.now for each, _ in self._place.at_work.values() if each.now.profile == self._lane.name
            ]
        begun = sum(each.state in ("running", "fetching") for each in own)
        return max(0, most - (running - begun))

    def _claimed(self, batch: Sequence[Missing]) -> list[tuple[Wanted, Future[Attempt | None]]]:
        """Start to claim a batch: one exclusive file for each attempt as ever, written side by side."""
        return [(wanted, self._claimers.submit(self._claim, wanted, number)) for wanted, number in batch]

    def _claim(self, wanted: Wanted, number: int) -> Attempt | None:
        """Say before all others that this run makes it; none if another was faster or the budget is used up.

        Whoever claims looks at the books afterwards, with its own claim in them: of two that take the last of
        a budget at once, at most one goes on.
        """
        claim = self._first_state(wanted, number)
        if not self._place.append(claim):
            return None
        if claim.cost_usd > 0 and self._place.books.left_usd() < -HALF_A_MILLIONTH:
            reason = "withdrawn before anything was sent: others have used up the budget"
            self._place.append(claim.model_copy(update={"state": "lost", "reason": reason, "cost_usd": 0.0}))
            self._place.over_budget.set()
            return None
        return claim

    def _first_state(self, wanted: Wanted, number: int) -> Attempt:
        lane, place = self._lane, self._place
        call = None
        if isinstance(lane.provider, Remote) and lane.profile.endpoint is not None:
            envelope = Envelope(
                campaign=place.order.campaign_id,
                profile=lane.name,
                attempt=number,
                sensitivity=place.order.sensitivity_of(wanted),
                priority=place.order.priority,
                expected_usd=lane.expected_usd(wanted),
            )
            call = lane.provider.call(lane.profile.endpoint, lane.asked(wanted), envelope)
        return Attempt(
            candidate_id=wanted.candidate_id,
            attempt=number,
            state="submitting" if call is None else "pending",
            run_id=place.worker.run_id,
            worker=place.worker,
            profile=lane.name,
            cost_usd=lane.most_usd(wanted),
            hedges=place.hedges.get((wanted.candidate_id, number)),
            call=call,
        )

    def _make_batch(self, batch: Sequence[tuple[Wanted, Future[Attempt | None]]]) -> list[Future[Attempt]]:
        """Render what was claimed, and hand each picture on as it comes."""
        claims = [(wanted, claim) for wanted, future in batch if (claim := future.result()) is not None]
        turn = _Turn(began=time.monotonic())
        if claims and not self._place.stopped.is_set():
            if self._traffic is not None:
                for _, claim in claims:
                    self._carry(claim, turn)
            else:
                self._render({wanted.candidate_id: (wanted, claim) for wanted, claim in claims}, turn)
            self._account_for(turn)
        return turn.finishing

    def _go_on(self, attempt: Attempt) -> list[Future[Attempt]]:
        """Go on with what a dead worker left at the provider."""
        turn = _Turn(began=time.monotonic())
        self._carry(attempt, turn)
        self._account_for(turn)
        return turn.finishing

    def _carry(self, attempt: Attempt, turn: _Turn) -> None:
        """Carry an attempt to its end at a remote provider; without an end it stays as it is recorded."""
        lane, place, began = self._lane, self._place, time.monotonic()
        journal = Journal(place, attempt)
        call = attempt.call
        if not isinstance(lane.provider, Remote) or call is None or lane.profile.endpoint is None:
            raise TypeError(f"{lane.name} has no endpoint")
        if self._traffic is None:
            raise TypeError(f"{lane.name} has no way to its endpoint")
        errand = Errand(
            attempt=attempt,
            call=call,
            endpoint=lane.profile.endpoint,
            price=lane.profile.price,
            open_reference=place.store.images.get,
            record=journal.record,
            hear=lambda: place.heard(attempt, call.token),
            stopped=place.stopped.is_set,
            is_superseded=lambda: attempt.race in place.won,
        )
        key = (attempt.candidate_id, attempt.attempt)
        with place.accounts:
            place.at_work[key] = journal, began
        result: Result
        try:
            result = lane.provider.carry(errand, self._traffic)
        except ProviderError as error:
            result = error
        except Exception as bug:  # noqa: BLE001 - one picture's bug must not stop the others; produce() raises it
            place.progress.bugs.append(bug)
            result = ProviderError(f"a bug in {lane.provider.name}: {bug!r}")
            if journal.was_sent:
                result = STILL_OPEN
        finally:
            with place.accounts:
                place.at_work.pop(key, None)
        turn.ended = time.monotonic()
        turn.in_provider += turn.ended - began
        if isinstance(result, Carried) and result.state is None:
            with place.accounts:
                place.progress.open += 1
            return
        self._hand_on(turn, journal.now, turn.ended - began, result)

    def _render(self, claimed: dict[str, tuple[Wanted, Attempt]], turn: _Turn) -> None:
        """Begin nothing more once the run is stopped; what has no answer then is buried by the next one."""
        provider, place = self._lane.provider, self._place
        asked = [self._lane.asked(wanted) for wanted, _ in claimed.values()]
        failure = ProviderError(f"{provider.name} gave no answer")
        began = time.monotonic()
        try:
            for answer, result in provider.render(asked, place.store.images.get):
                turn.in_provider += time.monotonic() - began
                _, claim = claimed.pop(answer.request.candidate_id)
                self._hand_on(turn, claim, time.monotonic() - began, result)
                if place.stopped.is_set():
                    return
                began = time.monotonic()
        except ProviderError as error:
            failure = error
        except Exception as bug:  # noqa: BLE001 - the same
            place.progress.bugs.append(bug)
            failure = ProviderError(f"a bug in {provider.name}: {bug!r}")
        turn.ended = time.monotonic()
        turn.in_provider += turn.ended - began
        for _, claim in claimed.values():
            self._hand_on(turn, claim, time.monotonic() - began, failure)

    def _hand_on(self, turn: _Turn, attempt: Attempt, seconds: float, result: Result) -> None:
        """Give an answer to the finishers, as soon as they have room for it."""
        turn.ended = time.monotonic()
        self._waiting.acquire()
        turn.queue_full += time.monotonic() - turn.ended
        timed = attempt.model_copy(update={"seconds": seconds})
        turn.finishing.append(self._finishers.submit(self._finish, timed, result))

    def _finish(self, attempt: Attempt, result: Result) -> Attempt:
        """Keep the picture, then record that it is there; in this order, so that no record is without one."""
        try:
            settled = attempt.model_copy(update=self._settled(result))
            if isinstance(result, ProviderError):
                unavailable = isinstance(result, ProviderUnavailable)
                self._unavailable_in_a_row = self._unavailable_in_a_row + 1 if unavailable else 0
            with self._place.accounts:
                settled = self._raced(settled)
            self._place.append(settled)
            with self._place.accounts:
                self._place.progress.count(settled)
            return settled
        finally:
            self._waiting.release()

    def _raced(self, settled: Attempt) -> Attempt:
        """Of two attempts at one picture that were hedged, the first one that brings it counts.

        What comes later is superseded, and so is a hedge that brings nothing: the late one goes on.
        """
        if settled.state == "succeeded" and settled.race not in self._place.won:
            self._place.won.add(settled.race)
            return settled
        if settled.state == "succeeded":
            return settled.model_copy(update={"state": "superseded", "reason": "another attempt was faster"})
        return settled.model_copy(update={"state": "superseded"}) if settled.hedges is not None else settled

    def _settled(self, result: Result) -> dict[str, Any]:
        """What an answer makes of an attempt."""
        if isinstance(result, Rendered):
            return self._kept(result)
        if isinstance(result, ProviderError):
            refused = isinstance(result, ProviderRefused | UnsupportedRequest)
            return {"state": "refused" if refused else "failed", "reason": str(result), "cost_usd": 0.0}
        ended = {"state": result.state, "reason": result.reason, "result": result.result}
        kept = self._kept(result.rendered) if result.rendered is not None else {}
        return ended | kept | {"cost_usd": result.cost_usd}

    def _kept(self, picture: Rendered) -> dict[str, Any]:
        """Keep a picture and say what is to be recorded of it; one that shows nothing is not kept."""
        seen = glance(picture.pixels)
        details = {**picture.details, "glance": seen.measures()}
        if seen.flat_colour is not None:
            reason = (
                f"the picture is one flat colour {seen.flat_colour}; another seed or prompt may show more"
            )
            return {"state": "refused", "reason": reason, "details": details}
        keep = self._place.store.images.put
        return {
            "state": "succeeded",
            "image_sha256": keep(lossless_webp(picture.pixels), "webp"),
            "mask_sha256": None if picture.mask is None else keep(mask_webp(picture.mask), "webp"),
            "perceptual_hash": seen.perceptual_hash,
            "details": details,
        }

    def _account_for(self, turn: _Turn) -> None:
        """Add a maker's turn to the run's times."""
        with self._place.accounts:
            self._place.count_turn(turn.began, turn.ended, turn.in_provider, turn.queue_full)


class Journal:
    """Records the states that an open attempt comes to, each with all that was known before."""

    def __init__(self, place: Run, attempt: Attempt) -> None:
        self._place = place
        self.now = attempt
        """The attempt as it was recorded last."""

    @property
    def was_sent(self) -> bool:
        """Whether something is, or may be, at the provider."""
        return self.now.call is not None and self.now.call.sent_at is not None

    def record(self, state: OpenState, changes: Mapping[str, Any]) -> None:
        """Record that it came to a state."""
        self.now = self.now.model_copy(update={**changes, "state": state})
        self._place.append(self.now)


def _batches(missing: Sequence[Missing], size: int) -> Iterator[list[Missing]]:
    """Batches of requests of the same shape; the same words stay together, else in order.

    So that a provider reads each prompt once, however small its memory for prompts.
    """
    places: dict[tuple[str, str], int] = {}

    def shape(each: Missing) -> tuple[int, int]:
        return each[0].asked.request.width, each[0].asked.request.height

    def words(each: Missing) -> int:
        request = each[0].asked.request
        return places.setdefault((request.prompt, request.negative_prompt), len(places))

    ordered = sorted(missing, key=lambda each: (shape(each), words(each)))
    for _, alike in itertools.groupby(ordered, key=shape):
        while batch := list(itertools.islice(alike, size)):
            yield batch
