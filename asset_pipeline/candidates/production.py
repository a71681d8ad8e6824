"""The generation loop: makes what is missing, keeps each image the moment it is finished.

Makers call the provider and never touch a file; finishers encode, hash, store and record. Between them
waits a bounded number of pictures, so that memory stays flat however long the campaign is. Killed at any
moment, everything that was recorded is kept, and the next run goes on from there.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pdqhash

from asset_pipeline.candidates.attempt import (
    ATTEMPTS,
    Attempt,
    affordable,
    event_name,
    newest,
    spent_usd,
    what_next,
)
from asset_pipeline.candidates.request import Pixels, Profile, Provider, Rendered
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.candidates.worker import Worker, is_alive
from asset_pipeline.errors import (
    BudgetExceeded,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.pictures.encode import lossless_webp, mask_webp, thumbnail
from asset_pipeline.store.store import Store

FINISHERS = 2
WAITING_PER_MAKER = 4
"""How many rendered pictures may wait for a finisher, for each maker."""
UNAVAILABLE_IN_A_ROW = 3
"""After so many the provider is left alone for the rest of the run."""
PDQ_SIZE = 512
"""Longest side of the copy that the perceptual hash is taken from; PDQ itself reduces to 64."""


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

    def shard(self, index: int, of: int) -> "Order":
        """The part of the order that shard `index` of `of` makes, by the candidates' names."""
        mine = [each for each in self.wanted if int(each.candidate_id[1:9], 16) % of == index]
        return replace(self, wanted=mine)


@dataclass
class Progress:
    """What a run has done so far."""

    wanted: int = 0
    reused: int = 0
    made: int = 0
    refused: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    wall_seconds: float = 0.0
    provider_seconds: float = 0.0
    """Time in the provider, over all makers."""
    makers: int = 1
    bugs: list[Exception] = field(default_factory=list)

    @property
    def utilisation(self) -> float:
        """The share of the makers' time that was spent in the provider."""
        return self.provider_seconds / (self.wall_seconds * self.makers) if self.wall_seconds else 0.0

    def summary(self) -> dict[str, int | float]:
        """What a person wants to see of it, as plain numbers."""
        return {
            "wanted": self.wanted,
            "reused": self.reused,
            "made": self.made,
            "refused": self.refused,
            "failed": self.failed,
            "cost_usd": round(self.cost_usd, 6),
            "wall_seconds": round(self.wall_seconds, 3),
            "images_per_second": round(self.made / self.wall_seconds, 3) if self.wall_seconds else 0.0,
            "provider_utilisation": round(self.utilisation, 3),
        }

    def count(self, attempt: Attempt) -> None:
        """Take a settled attempt into account."""
        self.made += attempt.state == "succeeded"
        self.refused += attempt.state == "refused"
        self.failed += attempt.state == "failed"
        self.cost_usd += attempt.cost_usd
        self.provider_seconds += attempt.seconds


def produce(order: Order, store: Store, worker: Worker, report: Callable[[str], None]) -> Progress:
    """Make every wanted candidate that is not there yet, and wait for those that others are making.

    Raises:
        BudgetExceeded: the budget does not pay for all that is missing; what it pays for was made.
        ProviderUnavailable: the provider failed several times in a row; what was finished is kept.
        ExceptionGroup: the provider has bugs that some images met; all others were made.
    """
    progress = Progress(wanted=len(order.wanted), makers=order.profile.concurrency or os.cpu_count() or 1)
    started = time.monotonic()
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
            break
    progress.wall_seconds = time.monotonic() - started
    if progress.bugs:
        raise ExceptionGroup(f"{len(progress.bugs)} images met a bug of {order.provider.name}", progress.bugs)
    return progress


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
        self._waiting = threading.BoundedSemaphore(progress.makers * WAITING_PER_MAKER)
        self._unavailable_in_a_row = 0
        self._last_report = time.monotonic()

    def make(self, missing: Sequence[tuple[Wanted, int]], spent: float) -> None:
        price = self._order.profile.price_usd_per_image
        paid = affordable(
            [wanted.candidate_id for wanted, _ in missing], price, spent, self._order.budget_usd
        )
        self._report(f"{len(missing)} images to make, {self._progress.reused} are there")
        with (
            ThreadPoolExecutor(self._progress.makers, "maker") as makers,
            ThreadPoolExecutor(FINISHERS, "finisher") as finishers,
        ):
            batches = _batches(missing[:paid], self._order.profile.batch_size)
            self._feed(batches, makers, finishers)
        if self._unavailable_in_a_row >= UNAVAILABLE_IN_A_ROW:
            raise ProviderUnavailable(
                f"{self._order.provider.name} was unavailable {self._unavailable_in_a_row} times in a row; "
                "what is finished is kept, run again when it is back"
            )
        if paid < len(missing):
            raise BudgetExceeded(
                f"{len(missing) - paid} of {len(missing)} missing images are beyond the budget of "
                f"${self._order.budget_usd:.2f} (spent ${spent:.2f}, ${price:.4f} each); raise budget_usd"
            )

    def _feed(
        self,
        batches: Iterator[list[tuple[Wanted, int]]],
        makers: ThreadPoolExecutor,
        finishers: ThreadPoolExecutor,
    ) -> None:
        """Keep every maker busy, never more than one batch ahead, and account for what is finished."""
        running: set[Future[list[Future[Attempt]]]] = set()
        finishing: set[Future[Attempt]] = set()
        try:
            while True:
                free = self._progress.makers + 1 - len(running)
                running |= {
                    makers.submit(self._make_batch, batch, finishers)
                    for batch in itertools.islice(batches, self._is_open() * free)
                }
                if not running and not finishing:
                    return
                pending: set[Future[Any]] = {*running, *finishing}
                done, _ = wait(pending, timeout=5.0, return_when=FIRST_COMPLETED)
                for future in done & running:
                    running.discard(future)
                    finishing |= set(future.result())
                for finished in done & finishing:
                    finishing.discard(finished)
                    self._account(finished.result())
        finally:
            for future in running:
                future.cancel()

    def _is_open(self) -> bool:
        return self._unavailable_in_a_row < UNAVAILABLE_IN_A_ROW

    def _make_batch(
        self, batch: Sequence[tuple[Wanted, int]], finishers: ThreadPoolExecutor
    ) -> list[Future[Attempt]]:
        """Claim, render, and hand each picture on as it comes."""
        claimed = {wanted.candidate_id: attempt for wanted, attempt in batch if self._claim(wanted, attempt)}
        asked = [wanted.asked for wanted, _ in batch if wanted.candidate_id in claimed]
        finishing: list[Future[Attempt]] = []
        started = time.monotonic()
        answered: set[str] = set()
        failure = ProviderError(f"{self._order.provider.name} gave no answer")
        try:
            for answer, result in self._order.provider.render(asked, self._store.images.get):
                candidate_id = answer.request.candidate_id
                answered.add(candidate_id)
                seconds, started = time.monotonic() - started, time.monotonic()
                attempt = self._attempt(candidate_id, claimed[candidate_id], seconds)
                self._waiting.acquire()
                finishing.append(finishers.submit(self._finish, attempt, result))
                started = time.monotonic()
        except ProviderError as error:
            failure = error
        except Exception as bug:  # noqa: BLE001 - one picture's bug must not stop the others; produce() raises it
            self._progress.bugs.append(bug)
            failure = ProviderError(f"a bug in {self._order.provider.name}: {bug!r}")
        for candidate_id in claimed.keys() - answered:
            attempt = self._attempt(candidate_id, claimed[candidate_id], time.monotonic() - started)
            self._waiting.acquire()
            finishing.append(finishers.submit(self._finish, attempt, failure))
        return finishing

    def _claim(self, wanted: Wanted, number: int) -> bool:
        """Say before all others that this run makes it; false if another was faster."""
        attempt = self._attempt(wanted.candidate_id, number, 0.0)
        return self._store.events.append(ATTEMPTS, self._order.campaign_id, event_name(attempt), attempt)

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
                settled = attempt.model_copy(
                    update={
                        "state": "succeeded",
                        "image_sha256": self._store.images.put(lossless_webp(result.pixels), "webp"),
                        "mask_sha256": None
                        if result.mask is None
                        else self._store.images.put(mask_webp(result.mask), "webp"),
                        "perceptual_hash": perceptual_hash(result.pixels),
                        "details": dict(result.details),
                    }
                )
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
            return settled
        finally:
            self._waiting.release()

    def _account(self, attempt: Attempt) -> None:
        self._progress.count(attempt)
        if time.monotonic() - self._last_report >= 5.0:  # noqa: PLR2004 - seconds between two lines of the log
            self._last_report = time.monotonic()
            progress = self._progress
            self._report(
                f"{progress.made} made, {progress.refused} refused, {progress.failed} failed, "
                f"{progress.reused} were there, of {progress.wanted}; ${progress.cost_usd:.2f}"
            )


def perceptual_hash(pixels: Pixels) -> str:
    """The PDQ hash of a picture, 256 bits as hexadecimal digits."""
    bits, _ = pdqhash.compute(np.ascontiguousarray(thumbnail(pixels, PDQ_SIZE)))
    return np.packbits(np.asarray(bits, np.uint8)).tobytes().hex()


def _batches(missing: Sequence[tuple[Wanted, int]], size: int) -> Iterator[list[tuple[Wanted, int]]]:
    """Batches of requests of the same shape, in order within each shape."""

    def shape(each: tuple[Wanted, int]) -> tuple[int, int]:
        return each[0].asked.request.width, each[0].asked.request.height

    for _, alike in itertools.groupby(sorted(missing, key=shape), key=shape):
        while batch := list(itertools.islice(alike, size)):
            yield batch
