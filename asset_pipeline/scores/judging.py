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
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import decode_mask
from asset_pipeline.scores.records import load_measurements, measurement_key, record_measurements
from asset_pipeline.scores.score import Look, Measured, ModelScorer, ReferenceLook, Score, Scorer
from asset_pipeline.store.store import Store

CHUNK = 128
"""Images between two records of measurements."""
REFERENCES_KEPT = 64
"""Cut-out photographs that are kept in memory, because the candidates of a product share them."""


def measure_missing(
    store: Store,
    campaign_id: str,
    candidates: Sequence[Candidate],
    scorers: Sequence[Scorer],
    *,
    run_id: str,
    report: Callable[[str], None],
) -> tuple[list[Score], int]:
    """Every score of every image, and how many of them were not known before."""
    known = load_measurements(store, campaign_id)
    unable = {
        scorer.dimension: Measured(reason=reason)
        for scorer in scorers
        if isinstance(scorer, ModelScorer)
        and any(_key(candidate, scorer) not in known for candidate in candidates)
        and (reason := scorer.unable())
    }
    able = [scorer for scorer in scorers if scorer.dimension not in unable]
    open_reference = lru_cache(REFERENCES_KEPT)(lambda sha256: _reference(store, sha256))
    work = [
        (candidate, missing)
        for candidate in candidates
        if (missing := [scorer for scorer in able if _key(candidate, scorer) not in known])
    ]

    def look(task: tuple[Candidate, list[Scorer]]) -> list[_Seen]:
        candidate, missing = task
        return _see(store, candidate, missing, open_reference)

    done = fresh = 0
    with ThreadPoolExecutor(os.cpu_count(), "scorer") as pool:
        for chunk in _chunks(work):
            scores = _scores(list(itertools.chain.from_iterable(pool.map(look, chunk))), able)
            record_measurements(store, campaign_id, scores, run_id=run_id)
            known |= {measurement_key(score): score for score in scores}
            done, fresh = done + len(chunk), fresh + len(scores)
            report(f"{done} of {len(work)} images scored, {len(candidates) - len(work)} were known")
    return [
        known.get(_key(candidate, scorer)) or _score(candidate, scorer, unable[scorer.dimension])
        for candidate in candidates
        for scorer in scorers
    ], fresh


@dataclass(frozen=True)
class _Seen:
    """What a scorer found in an image; or, where it has a model, what it will look at."""

    candidate: Candidate
    scorer: Scorer
    found: Measured | object


def _key(candidate: Candidate, scorer: Scorer) -> tuple[str, str, str, str]:
    return candidate.candidate_id, candidate.image_sha256 or "", scorer.dimension, scorer.version


def _see(
    store: Store,
    candidate: Candidate,
    scorers: Sequence[Scorer],
    open_reference: Callable[[str], ReferenceLook | str],
) -> list[_Seen]:
    try:
        look = _look(store, candidate, open_reference)
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


def _scores(seen: Sequence[_Seen], scorers: Sequence[Scorer]) -> list[Score]:
    """What was found, after the scorers with models have looked at all that was kept for them."""
    scores = [
        _score(each.candidate, each.scorer, each.found) for each in seen if isinstance(each.found, Measured)
    ]
    for scorer in scorers:
        if isinstance(scorer, ModelScorer):
            kept = [each for each in seen if each.scorer is scorer and not isinstance(each.found, Measured)]
            measured = scorer.measure_reduced([each.found for each in kept])
            scores += [_score(each.candidate, scorer, one) for each, one in zip(kept, measured, strict=True)]
    return scores


def _look(store: Store, candidate: Candidate, open_reference: Callable[[str], ReferenceLook | str]) -> Look:
    encoded = store.images.get(candidate.image_sha256 or "")
    mask = decode_mask(store.images.get(candidate.mask_sha256)) if candidate.mask_sha256 else None
    used = candidate.details.get("reference", {}).get("sha256")
    ordered = sorted(candidate.request.references, key=lambda reference: reference.sha256 != used)
    opened = [open_reference(reference.sha256) for reference in ordered]
    return Look(
        pixels=decode(encoded).pixels,
        mask=mask,
        encoded=encoded,
        expected_size=(candidate.request.width, candidate.request.height),
        references=tuple(reference for reference in opened if isinstance(reference, ReferenceLook)),
        prompt=candidate.request.prompt,
        details=candidate.details,
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


def _score(candidate: Candidate, scorer: Scorer, measured: Measured) -> Score:
    return Score(
        candidate_id=candidate.candidate_id,
        image_sha256=candidate.image_sha256 or "",
        dimension=scorer.dimension,
        scorer_version=scorer.version,
        value=measured.value,
        reason=measured.reason,
        details=dict(measured.details),
    )


def _chunks(work: Sequence[tuple[Candidate, list[Scorer]]]) -> Iterator[list[tuple[Candidate, list[Scorer]]]]:
    remaining = iter(work)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk
