"""Looks at a campaign's images and measures what is not known yet.

Measurements are recorded in chunks while they are made, so that a killed run loses at most one chunk, and
memory stays flat: no more images are open than there are workers. A scorer with a model keeps a reduced copy
of each image of the chunk and measures them together.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.errors import BrokenFact, UnreadablePicture
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import decode_mask
from asset_pipeline.scores.records import load_measurements, measurement_key, record_measurements
from asset_pipeline.scores.score import Expectation, Look, Measured, ModelScorer, ReferenceLook, Score, Scorer
from asset_pipeline.store.store import Store

CHUNK = 128
"""Images between two records of measurements."""
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

    Args:
        measuring: who looks, and where pictures and what was measured are.
        campaign_id: whose candidates they are.
        candidates: those with an image.
        run_id: the run that measures.
        report: takes a line of progress.
    """
    store, scorers, expected = measuring.store, measuring.scorers, measuring.expected
    known = load_measurements(store, campaign_id)
    unable = {
        scorer.dimension: Measured(reason=reason)
        for scorer in scorers
        if isinstance(scorer, ModelScorer)
        and any(_key(candidate, scorer, expected) not in known for candidate in candidates)
        and (reason := scorer.unable())
    }
    able = [scorer for scorer in scorers if scorer.dimension not in unable]
    view = _View(store, lru_cache(REFERENCES_KEPT)(lambda sha256: _reference(store, sha256)), expected)
    work = [
        (candidate, missing)
        for candidate in candidates
        if (missing := [scorer for scorer in able if _key(candidate, scorer, expected) not in known])
    ]

    def look(task: tuple[Candidate, list[Scorer]]) -> list[_Seen]:
        candidate, missing = task
        return _see(view, candidate, missing)

    done = fresh = 0
    with ThreadPoolExecutor(os.cpu_count(), "scorer") as pool:
        for chunk in _chunks(work):
            scores = _scores(list(itertools.chain.from_iterable(pool.map(look, chunk))), able, expected)
            record_measurements(store, campaign_id, scores, run_id=run_id)
            known |= {measurement_key(score): score for score in scores}
            done, fresh = done + len(chunk), fresh + len(scores)
            report(f"{done} of {len(work)} images scored, {len(candidates) - len(work)} were known")
    return [
        known.get(_key(candidate, scorer, expected))
        or _score(candidate, scorer, expected, unable[scorer.dimension])
        for candidate in candidates
        for scorer in scorers
    ], fresh


@dataclass(frozen=True)
class _View:
    """How a candidate is opened for the scorers."""

    store: Store
    open_reference: Callable[[str], ReferenceLook | str]
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
) -> list[Score]:
    """What was found, after the scorers with models have looked at all that was kept for them."""
    scores = [
        _score(each.candidate, each.scorer, expected, each.found)
        for each in seen
        if isinstance(each.found, Measured)
    ]
    for scorer in scorers:
        if isinstance(scorer, ModelScorer):
            kept = [each for each in seen if each.scorer is scorer and not isinstance(each.found, Measured)]
            measured = scorer.measure_reduced([each.found for each in kept])
            scores += [
                _score(each.candidate, scorer, expected, one)
                for each, one in zip(kept, measured, strict=True)
            ]
    return scores


def _look(view: _View, candidate: Candidate) -> Look:
    images = view.store.images
    encoded = images.get(candidate.image_sha256 or "")
    mask = decode_mask(images.get(candidate.mask_sha256)) if candidate.mask_sha256 else None
    used = candidate.details.get("reference", {}).get("sha256")
    ordered = sorted(candidate.request.references, key=lambda reference: reference.sha256 != used)
    opened = [view.open_reference(reference.sha256) for reference in ordered]
    return Look(
        pixels=decode(encoded).pixels,
        mask=mask,
        encoded=encoded,
        expected_size=(candidate.request.width, candidate.request.height),
        references=tuple(reference for reference in opened if isinstance(reference, ReferenceLook)),
        prompt=candidate.request.prompt,
        details=candidate.details,
        expectation=view.expected(candidate),
    )


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


def _chunks(work: Sequence[tuple[Candidate, list[Scorer]]]) -> Iterator[list[tuple[Candidate, list[Scorer]]]]:
    remaining = iter(work)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk
