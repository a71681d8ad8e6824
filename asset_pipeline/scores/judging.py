"""Looks at a campaign's images and measures what is not known yet.

Measurements are recorded in chunks while they are made, so that a killed run loses at most one chunk, and
memory stays flat: no more images are open than there are workers. For a scorer with a model a reduced copy of
each image is kept; it measures several together while the workers open those that come next. Neither how many
are measured together nor how many workers there are changes a value.
"""

import itertools
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.expired import expired_words
from asset_pipeline.errors import BrokenFact, UnreadablePicture
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import decode_mask
from asset_pipeline.scores.own_process import ending
from asset_pipeline.scores.records import load_measurements, measurement_key, record_measurements
from asset_pipeline.scores.score import Expectation, Look, Measured, ModelScorer, ReferenceLook, Score, Scorer
from asset_pipeline.store.store import Store

CHUNK = 128
"""Images between two records of measurements."""
TOGETHER = 32
"""Images that scorers with models are handed at once."""
AHEAD = 64
"""Images that may be opened, or wait reduced, while the models look at others."""
REFERENCES_KEPT = 64
"""Cut-out photographs that are kept in memory, because the candidates of a product share them."""


@dataclass(frozen=True)
class Measuring:
    """What measuring takes."""

    store: Store
    scorers: Sequence[Scorer]
    expected: Callable[[Candidate], Expectation]
    """What each picture has to show; where that changes, what depends on it is measured again."""


def measure_missing(
    measuring: Measuring,
    campaign_id: str,
    candidates: Sequence[Candidate],
    *,
    run_id: str,
    report: Callable[[str], None],
) -> tuple[list[Score], int]:
    """Every score of every image, and how many of them were not known before.

    A picture that has expired is not measured any more: what is not known of it stays unknown, and says so.

    Args:
        measuring: who looks, and where pictures and what was measured are.
        campaign_id: whose candidates they are.
        candidates: those with an image.
        run_id: the run that measures.
        report: takes a line of progress.
    """
    store, scorers, expected = measuring.store, measuring.scorers, measuring.expected
    known = load_measurements(store, campaign_id)
    expired = {
        name: Measured(reason=words) for name, words in expired_words(store, campaign_id, candidates).items()
    }
    there = [candidate for candidate in candidates if candidate.candidate_id not in expired]
    unable = {
        scorer.dimension: Measured(reason=reason)
        for scorer in scorers
        if isinstance(scorer, ModelScorer)
        and any(_key(candidate, scorer, expected) not in known for candidate in there)
        and (reason := scorer.unable())
    }
    able = [scorer for scorer in scorers if scorer.dimension not in unable]
    view = _View(store, _References(store), expected)
    work = [
        (candidate, missing)
        for candidate in _by_prompt(there)
        if (missing := [scorer for scorer in able if _key(candidate, scorer, expected) not in known])
    ]
    done = fresh = 0
    with ending(scorers), ThreadPoolExecutor(os.cpu_count(), "scorer") as pool:
        seen = _read_ahead(pool, view, work)
        while chunk := min(CHUNK, len(work) - done):
            scores: list[tuple[Score, bool]] = []
            for start in range(0, chunk, TOGETHER):
                together = itertools.islice(seen, min(TOGETHER, chunk - start))
                scores += _scores(list(itertools.chain.from_iterable(together)), able, expected)
            lasting = [score for score, is_lasting in scores if is_lasting]
            record_measurements(store, campaign_id, lasting, run_id=run_id)
            known |= {measurement_key(score): score for score, _ in scores}
            done, fresh = done + chunk, fresh + len(lasting)
            report(f"{done} of {len(work)} images scored, {len(candidates) - len(work)} were known")
    return [
        known.get(_key(candidate, scorer, expected))
        or _score(
            candidate, scorer, expected, expired.get(candidate.candidate_id) or unable[scorer.dimension]
        )
        for candidate in candidates
        for scorer in scorers
    ], fresh


def measure_again(measuring: Measuring, candidates: Sequence[Candidate]) -> list[Score]:
    """What today's scorers say of some images, whatever is known of them; records nothing.

    Scorers that are unable to measure for now are left out.
    """
    with ending(measuring.scorers):
        able = [each for each in measuring.scorers if not (isinstance(each, ModelScorer) and each.unable())]
        view = _View(measuring.store, _References(measuring.store), measuring.expected)
        seen = itertools.chain.from_iterable(_see(view, candidate, able) for candidate in candidates)
        scores = _scores(list(seen), able, measuring.expected)
    return [score for score, is_lasting in scores if is_lasting]


@dataclass(frozen=True)
class _View:
    """How a candidate is opened for the scorers."""

    store: Store
    references: "_References"
    expected: Callable[[Candidate], Expectation]


@dataclass(frozen=True)
class _Seen:
    """What a scorer found in an image; or, where it has a model, what it will look at."""

    candidate: Candidate
    scorer: Scorer
    found: Measured | object


def _key(
    candidate: Candidate, scorer: Scorer, expected: Callable[[Candidate], Expectation]
) -> tuple[str, str, str, str]:
    version = version_for(scorer, expected(candidate))
    return candidate.candidate_id, candidate.image_sha256 or "", scorer.dimension, version


def version_for(scorer: Scorer, expectation: Expectation) -> str:
    """A scorer's version, with what it goes by where that is more than picture and request."""
    if not scorer.expects:
        return scorer.version
    gone_by = fingerprint({part: getattr(expectation, part) for part in scorer.expects})
    return f"{scorer.version}@{gone_by[:8]}"


def _see(view: _View, candidate: Candidate, scorers: Sequence[Scorer]) -> list[_Seen]:
    try:
        look = _look(view, candidate)
    except (BrokenFact, UnreadablePicture) as error:
        return [_Seen(candidate, scorer, Measured(reason=str(error))) for scorer in scorers]
    return [
        _Seen(
            candidate,
            scorer,
            scorer.reduce(look) if isinstance(scorer, ModelScorer) else scorer.measure(look),
        )
        for scorer in scorers
    ]


def _scores(
    seen: Sequence[_Seen], scorers: Sequence[Scorer], expected: Callable[[Candidate], Expectation]
) -> list[tuple[Score, bool]]:
    """What was found, after the scorers with models have looked at all that was kept for them.

    Each with whether it is to be recorded.
    """
    scores = [
        (_score(each.candidate, each.scorer, expected, each.found), each.found.recorded)
        for each in seen
        if isinstance(each.found, Measured)
    ]
    for scorer in scorers:
        if isinstance(scorer, ModelScorer):
            kept = [each for each in seen if each.scorer is scorer and not isinstance(each.found, Measured)]
            measured = scorer.measure_reduced([each.found for each in kept])
            scores += [
                (_score(each.candidate, scorer, expected, one), one.recorded)
                for each, one in zip(kept, measured, strict=True)
            ]
    return scores


def _look(view: _View, candidate: Candidate) -> Look:
    images = view.store.images
    encoded = images.get(candidate.image_sha256 or "")
    mask = decode_mask(images.get(candidate.mask_sha256)) if candidate.mask_sha256 else None
    used = candidate.details.get("reference", {}).get("sha256")
    ordered = sorted(candidate.request.references, key=lambda reference: reference.sha256 != used)
    opened = [view.references.opened(reference.sha256) for reference in ordered]
    pixels = decode(encoded).pixels
    return Look(
        pixels=pixels,
        decoded=pixels,
        mask=mask,
        encoded=encoded,
        expected_size=(candidate.request.width, candidate.request.height),
        references=tuple(reference for reference in opened if isinstance(reference, ReferenceLook)),
        prompt=candidate.request.prompt,
        details=candidate.details,
        expectation=view.expected(candidate),
    )


class _References:
    """Product photographs, each opened once however many threads ask, for candidates share them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alone = Lock()
        self._kept: OrderedDict[str, Future[ReferenceLook | str]] = OrderedDict()

    def opened(self, sha256: str) -> ReferenceLook | str:
        """A photograph, cut out if it can be; or the reason it cannot be looked at."""
        with self._alone:
            kept = self._kept.get(sha256)
            waiting = self._kept[sha256] = kept or Future()
            self._kept.move_to_end(sha256)
            while len(self._kept) > REFERENCES_KEPT:
                self._kept.popitem(last=False)
        if kept is None:
            try:
                waiting.set_result(_reference(self._store, sha256))
            except BaseException as error:
                waiting.set_exception(error)  # or others would wait for ever
                raise
        return waiting.result()


def _reference(store: Store, sha256: str) -> ReferenceLook | str:
    """A product photograph, cut out if it can be; or the reason it cannot be looked at."""
    try:
        picture = decode(store.images.get(sha256))
    except (BrokenFact, UnreadablePicture) as error:
        return str(error)
    try:
        cut = cut_out(picture)
    except UnreadablePicture:
        return ReferenceLook(pixels=picture.pixels, mask=None, sha256=sha256)
    return ReferenceLook(pixels=cut.pixels, mask=cut.alpha, sha256=sha256)


def _score(
    candidate: Candidate, scorer: Scorer, expected: Callable[[Candidate], Expectation], measured: Measured
) -> Score:
    return Score(
        candidate_id=candidate.candidate_id,
        image_sha256=candidate.image_sha256 or "",
        dimension=scorer.dimension,
        scorer_version=version_for(scorer, expected(candidate)),
        value=measured.value,
        reason=measured.reason,
        applies=measured.applies,
        details=dict(measured.details),
    )


def _by_prompt(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, those of a prompt together, so that a model reads each prompt once."""
    places: dict[str, int] = {}
    return sorted(candidates, key=lambda each: places.setdefault(each.request.prompt, len(places)))


def _read_ahead(
    pool: ThreadPoolExecutor, view: _View, work: Sequence[tuple[Candidate, list[Scorer]]]
) -> Iterator[list[_Seen]]:
    """What there is to see in each image, in order, while the pool looks at those that come next."""
    remaining = iter(work)
    reading = deque(pool.submit(_see, view, *task) for task in itertools.islice(remaining, AHEAD))
    while reading:
        seen = reading.popleft().result()
        reading.extend(pool.submit(_see, view, *task) for task in itertools.islice(remaining, 1))
        yield seen
