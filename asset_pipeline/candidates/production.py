"""The generation loop: makes what is missing, keeps each image the moment it is finished.

Makers call the provider and never touch a file; claimers claim what comes next; finishers encode, hash,
look at, store and record. Between makers and finishers waits a bounded number of pictures, so that memory
stays flat however long the campaign is. Claims and ends of attempts stay one exclusive file each, which is
what makes paying twice impossible; they cost the model no time because threads write them side by side.
Killed at any moment, everything that was recorded is kept, and the next run goes on from there; interrupted,
what was rendered is finished first.
"""

import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from asset_pipeline.candidates.attempt import (
    ATTEMPTS,
    Attempt,
    affordable,
    event_name,
    newest,
    spent_usd,
    what_next,
)
from asset_pipeline.candidates.glance import glance
from asset_pipeline.candidates.progress import Progress, added
from asset_pipeline.candidates.request import Asked, Profile, Provider, Rendered
from asset_pipeline.candidates.wanted import Wanted, rehearsed, wanted_sha256
from asset_pipeline.candidates.waves import Rounds
from asset_pipeline.errors import (
    BudgetExceeded,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.fingerprint import seed_from
from asset_pipeline.pictures.encode import lossless_webp, mask_webp
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, is_alive

FINISHERS = max(4, min(8, os.cpu_count() or 1))
"""Half of a finisher's time is waiting for a disk or a bucket, so that there are more than processors."""
CLAIMERS = 8
WAITING_PER_MAKER = 4
WAITING_BATCHES = 2
"""How many rendered pictures may wait for a finisher or be with one, for each maker: as many as these batches
hold, so that a batch that comes all at once waits for none, and never fewer than WAITING_PER_MAKER."""
UNAVAILABLE_IN_A_ROW = 3
"""After so many the provider is left alone for the rest of the run."""
REPORT_SECONDS = 5.0
"""Time between two lines of the log."""


@dataclass(frozen=True)
class Order:
    """What a run was asked to make, with what, and how."""

    campaign_id: str
    wanted: Sequence[Wanted]
    profile_name: str
    profile: Profile
    provider: Provider
    budget_usd: float
    afresh: bool = False
    rounds: Rounds | None = None
    """The campaign's funnel, if it has one."""
    part: tuple[int, int] = (0, 1)
    """Of a funnel: which shard this is, of how many."""

    def shard(self, index: int, of: int) -> "Order":
        """The part of the order that shard `index` of `of` makes, by the candidates' names.

        A funnel's rounds are the campaign's, so that its shards make each round together: each begins with
        its own prompts, by their names, and then takes what others have not begun.
        """
        if self.rounds is not None:
            return replace(self, part=(index, of))
        mine = [each for each in self.wanted if int(each.candidate_id[1:9], 16) % of == index]
        return replace(self, wanted=mine)

    @property
    def basis_sha256(self) -> str:
        """The hash of what must not change during a run; a funnel's rounds add to what is wanted."""
        return wanted_sha256(self.wanted) if self.rounds is None else self.rounds.basis_sha256

    def requests(self) -> Iterator[Asked]:
        """All that the provider has to have words for, a funnel's later rounds included.

        Raises:
            UnsupportedRequest: it has none for a parameter of them, at the time when that comes.
        """
        yield from (each.asked for each in self.wanted)
        if self.rounds is not None:
            yield from rehearsed(self.rounds, self.profile, self.provider.version_of)

    def is_own(self, wanted: Wanted) -> bool:
        """Whether it is of the shard's own prompts."""
        index, of = self.part
        return seed_from("shard", wanted.prompt.prompt_id) % of == index

    def in_turn(self, missing: Sequence[tuple[Wanted, int]]) -> list[tuple[Wanted, int]]:
        """The shard's own first, then the others' from their end, where they are not at work yet."""
        own = [each for each in missing if self.is_own(each[0])]
        return own + [each for each in reversed(missing) if not self.is_own(each[0])]


def produce(order: Order, store: Store, worker: Worker, report: Callable[[str], None]) -> Progress:
    """Make every wanted candidate that is not there yet, and wait for those that others are making.

    Raises:
        BudgetExceeded: the budget does not pay for all that is missing; what it pays for was made.
        ProviderUnavailable: the provider failed several times in a row; what was finished is kept.
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
        makers=makers_for(order.profile, order.provider),
        batch_size=order.profile.batch_size,
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

    Raises BudgetExceeded and ProviderUnavailable, as ``produce`` does.
    """
    while True:
        events = store.events.read(ATTEMPTS, order.campaign_id)
        missing, elsewhere = _sort(
            order, _bury_the_dead(order, store, worker, newest(events)), worker, progress
        )
        if missing:
            _Production(order, store, worker, report, progress).make(missing, spent_usd(events))
        elif elsewhere:
            report(f"waiting for {len(elsewhere)} images that another run is making")
            time.sleep(2.0)
        else:
            return


def _bury_the_dead(
    order: Order, store: Store, worker: Worker, last: Mapping[str, Attempt]
) -> dict[str, Attempt]:
    """Settle as lost what a worker claimed and did not live to finish; return what then is the last state."""
    alive: dict[str, bool] = {worker.worker_id: True}
    after = dict(last)
    for candidate_id, attempt in last.items():
        if attempt.state != "submitting":
            continue
        owner = attempt.worker
        if owner.worker_id not in alive:
            alive[owner.worker_id] = is_alive(store, owner)
        step = what_next(attempt, owner_is_alive=alive[owner.worker_id], this_run=worker.run_id, afresh=False)
        if step.action == "bury":
            lost = attempt.model_copy(
                update={"state": "lost", "reason": step.reason, "run_id": worker.run_id}
            )
            if store.events.append(ATTEMPTS, order.campaign_id, event_name(lost), lost):
                after[candidate_id] = lost
    return after


def _sort(
    order: Order, last: Mapping[str, Attempt], worker: Worker, progress: Progress
) -> tuple[list[tuple[Wanted, int]], list[Wanted]]:
    """What this run has to make, with the number of the attempt, and what others are making."""
    missing: list[tuple[Wanted, int]] = []
    elsewhere: list[Wanted] = []
    progress.reused = 0
    for wanted in order.wanted:
        attempt = last.get(wanted.candidate_id)
        if attempt and attempt.worker == worker and attempt.state != "lost":
            continue
        step = what_next(attempt, owner_is_alive=True, this_run=worker.run_id, afresh=order.afresh)
        if step.action == "make":
            missing.append((wanted, step.attempt))
        elif step.action == "wait":
            elsewhere.append(wanted)
        else:
            progress.reused += 1
    return missing, elsewhere


@dataclass
class _Turn:
    """What a maker did with one batch; times are the monotonic clock's, in seconds."""

    finishing: list[Future[Attempt]] = field(default_factory=list)
    in_provider: float = 0.0
    queue_full: float = 0.0
    began: float = 0.0
    ended: float = 0.0


class _Production:
    """One pass of makers and finishers over what is missing."""

    def __init__(
        self, order: Order, store: Store, worker: Worker, report: Callable[[str], None], progress: Progress
    ) -> None:
        self._order = order
        self._store = store
        self._worker = worker
        self._report = report
        self._progress = progress
        self._waiting = threading.BoundedSemaphore(
            progress.makers * max(WAITING_PER_MAKER, WAITING_BATCHES * progress.batch_size)
        )
        self._finishers = ThreadPoolExecutor(FINISHERS, "finisher")
        self._claimers = ThreadPoolExecutor(CLAIMERS, "claimer")
        self._makers = ThreadPoolExecutor(progress.makers, "maker")
        self._stopped = threading.Event()
        self._accounts = threading.Lock()
        self._unavailable_in_a_row = 0
        self._last_report = time.monotonic()
        self._earlier = progress.making_seconds
        self._first, self._last = math.inf, 0.0

    def make(self, missing: Sequence[tuple[Wanted, int]], spent: float) -> None:
        price = self._order.profile.price_usd_per_image
        paid = affordable(
            [wanted.candidate_id for wanted, _ in missing], price, spent, self._order.budget_usd
        )
        self._report(f"{len(missing)} images to make, {self._progress.reused} are there")
        # Makers end first: what they have rendered still finds a finisher, whatever ended them.
        with self._finishers, self._claimers, self._makers:
            self._feed(_batches(self._order.in_turn(missing[:paid]), self._progress.batch_size))
        if not self._is_open():
            raise ProviderUnavailable(
                f"{self._order.provider.name} was unavailable {self._unavailable_in_a_row} times in a row; "
                "what is finished is kept, run again when it is back"
            )
        if paid < len(missing):
            raise BudgetExceeded(
                f"{len(missing) - paid} of {len(missing)} missing images are beyond the budget of "
                f"${self._order.budget_usd:.2f} (spent ${spent:.2f}, ${price:.4f} each); raise budget_usd"
            )

    def _feed(self, batches: Iterator[list[tuple[Wanted, int]]]) -> None:
        """Keep every maker busy, until all is finished.

        What costs nothing is claimed one batch ahead, so that no maker waits for its claims. What costs money
        is claimed when it is its turn: a claim whose worker died counts as spent.
        """
        ahead = self._order.profile.price_usd_per_image == 0
        running: set[Future[list[Future[Attempt]]]] = set()
        finishing: set[Future[Attempt]] = set()
        try:
            while True:
                free = self._progress.makers + ahead - len(running)
                running |= {
                    self._makers.submit(self._make_batch, self._claimed(batch))
                    for batch in itertools.islice(batches, self._is_open() * free)
                }
                if not running and not finishing:
                    return
                pending: set[Future[Any]] = {*running, *finishing}
                done, _ = wait(pending, timeout=REPORT_SECONDS, return_when=FIRST_COMPLETED)
                for turn in done & running:
                    running.discard(turn)
                    finishing |= set(turn.result())
                for finished in done & finishing:
                    finishing.discard(finished)
                    finished.result()
                self._tell()
        finally:
            self._stopped.set()
            for future in running:
                future.cancel()

    def _is_open(self) -> bool:
        return self._unavailable_in_a_row < UNAVAILABLE_IN_A_ROW

    def _claimed(self, batch: Sequence[tuple[Wanted, int]]) -> list[tuple[Wanted, int, Future[bool]]]:
        """Start to claim a batch: one exclusive file for each attempt as ever, written side by side."""
        return [
            (wanted, number, self._claimers.submit(self._claim, wanted, number)) for wanted, number in batch
        ]

    def _claim(self, wanted: Wanted, number: int) -> bool:
        """Say before all others that this run makes it; false if another was faster."""
        attempt = self._attempt(wanted.candidate_id, number, 0.0)
        return self._store.events.append(ATTEMPTS, self._order.campaign_id, event_name(attempt), attempt)

    def _make_batch(self, batch: Sequence[tuple[Wanted, int, Future[bool]]]) -> list[Future[Attempt]]:
        """Render what was claimed, and hand each picture on as it comes."""
        claimed = {wanted.candidate_id: (wanted, number) for wanted, number, claim in batch if claim.result()}
        turn = _Turn(began=time.monotonic())
        if claimed and not self._stopped.is_set():
            self._render(claimed, turn)
            self._account_for(turn)
        return turn.finishing

    def _render(self, claimed: dict[str, tuple[Wanted, int]], turn: _Turn) -> None:
        """Begin nothing more once the run is stopped; what has no answer then is buried by the next one."""
        asked = [wanted.asked for wanted, _ in claimed.values()]
        failure = ProviderError(f"{self._order.provider.name} gave no answer")
        began = time.monotonic()
        try:
            for answer, result in self._order.provider.render(asked, self._store.images.get):
                turn.in_provider += time.monotonic() - began
                _, number = claimed.pop(answer.request.candidate_id)
                self._hand_on(turn, answer.request.candidate_id, number, time.monotonic() - began, result)
                if self._stopped.is_set():
                    return
                began = time.monotonic()
        except ProviderError as error:
            failure = error
        except Exception as bug:  # noqa: BLE001 - one picture's bug must not stop the others; produce() raises it
            self._progress.bugs.append(bug)
            failure = ProviderError(f"a bug in {self._order.provider.name}: {bug!r}")
        turn.ended = time.monotonic()
        turn.in_provider += turn.ended - began
        for candidate_id, (_, number) in claimed.items():
            self._hand_on(turn, candidate_id, number, time.monotonic() - began, failure)

    def _hand_on(
        self, turn: _Turn, candidate_id: str, number: int, seconds: float, result: Rendered | ProviderError
    ) -> None:
        """Give an answer to the finishers, as soon as they have room for it."""
        turn.ended = time.monotonic()
        self._waiting.acquire()
        turn.queue_full += time.monotonic() - turn.ended
        attempt = self._attempt(candidate_id, number, seconds)
        turn.finishing.append(self._finishers.submit(self._finish, attempt, result))

    def _attempt(self, candidate_id: str, number: int, seconds: float) -> Attempt:
        return Attempt(
            candidate_id=candidate_id,
            attempt=number,
            state="submitting",
            run_id=self._worker.run_id,
            worker=self._worker,
            profile=self._order.profile_name,
            seconds=seconds,
            cost_usd=self._order.profile.price_usd_per_image,
        )

    def _finish(self, attempt: Attempt, result: Rendered | ProviderError) -> Attempt:
        """Keep the picture, then record that it is there; in this order, so that no record is without one."""
        try:
            if isinstance(result, Rendered):
                settled = attempt.model_copy(update=self._kept(result))
            else:
                refused = isinstance(result, ProviderRefused | UnsupportedRequest)
                settled = attempt.model_copy(
                    update={
                        "state": "refused" if refused else "failed",
                        "reason": str(result),
                        "cost_usd": 0.0,
                    }
                )
                unavailable = isinstance(result, ProviderUnavailable)
                self._unavailable_in_a_row = self._unavailable_in_a_row + 1 if unavailable else 0
            self._store.events.append(ATTEMPTS, self._order.campaign_id, event_name(settled), settled)
            with self._accounts:
                self._progress.count(settled)
            return settled
        finally:
            self._waiting.release()

    def _kept(self, picture: Rendered) -> dict[str, Any]:
        """Keep a picture and say what is to be recorded of it; one that shows nothing is not kept."""
        seen = glance(picture.pixels)
        details = {**picture.details, "glance": seen.measures()}
        if seen.flat_colour is not None:
            reason = (
                f"the picture is one flat colour {seen.flat_colour}; another seed or prompt may show more"
            )
            return {"state": "refused", "reason": reason, "details": details}
        keep = self._store.images.put
        return {
            "state": "succeeded",
            "image_sha256": keep(lossless_webp(picture.pixels), "webp"),
            "mask_sha256": None if picture.mask is None else keep(mask_webp(picture.mask), "webp"),
            "perceptual_hash": seen.perceptual_hash,
            "details": details,
        }

    def _account_for(self, turn: _Turn) -> None:
        """Add a maker's turn to the run's times."""
        progress = self._progress
        with self._accounts:
            self._first, self._last = min(self._first, turn.began), max(self._last, turn.ended)
            progress.provider_seconds += turn.in_provider
            progress.queue_full_seconds += turn.queue_full
            progress.making_seconds = self._earlier + self._last - self._first
            if not self._earlier:
                progress.startup_seconds = self._first - progress.started

    def _tell(self) -> None:
        """A line for the log, now and then."""
        if time.monotonic() - self._last_report >= REPORT_SECONDS:
            self._last_report = time.monotonic()
            self._progress.wall_seconds = time.monotonic() - self._progress.started
            self._report(self._progress.line())


def makers_for(profile: Profile, provider: Provider) -> int:
    """How many batches are made side by side: no more than the profile and the provider say."""
    limits = [limit for limit in (profile.concurrency, provider.makers) if limit]
    return min(limits, default=os.cpu_count() or 1)


def _batches(missing: Sequence[tuple[Wanted, int]], size: int) -> Iterator[list[tuple[Wanted, int]]]:
    """Batches of requests of the same shape; the same words stay together, else in order.

    So that a provider reads each prompt once, however small its memory for prompts.
    """
    places: dict[tuple[str, str], int] = {}

    def shape(each: tuple[Wanted, int]) -> tuple[int, int]:
        return each[0].asked.request.width, each[0].asked.request.height

    def words(each: tuple[Wanted, int]) -> int:
        request = each[0].asked.request
        return places.setdefault((request.prompt, request.negative_prompt), len(places))

    ordered = sorted(missing, key=lambda each: (shape(each), words(each)))
    for _, alike in itertools.groupby(ordered, key=shape):
        while batch := list(itertools.islice(alike, size)):
            yield batch
