"""Reading and writing the facts of scores: measurements once made, and the verdicts that hold now."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.scores.business_rules import NO_RULES, BusinessRules, words_of
from asset_pipeline.scores.score import Score
from asset_pipeline.scores.verdict import Threshold, judge, rules_sha256
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

Thresholds = Mapping[str, Threshold]
"""What the scores of an asset type must be, by dimension."""


class JudgedScore(Score):
    """A measurement with the verdict that today's thresholds give it."""

    verdict: Literal["passed", "failed", "missing", "not applicable", "not judged"]
    level: Literal["block", "warn"] | None = None
    minimum: float | None = None
    maximum: float | None = None
    margin: float | None = None
    """Distance to the nearer bound, in parts of that bound; 0 and more is a pass."""
    words: str = Field(default="", description="The verdict as a sentence.")
    rules_sha256: str


def _all_applied(columns: dict[str, Any]) -> dict[str, Any]:
    """Scores of schema version 1 know no dimension that does not apply."""
    return columns | {"applies": True}


MEASUREMENTS = Table("measurements", Score, partitioned_by="campaign", version=2, upgrades={1: _all_applied})
"""A journal: every materialisation adds to what is known, and none replaces another."""

SCORES = Table("scores", JudgedScore, partitioned_by="campaign", version=2, upgrades={1: _all_applied})


@dataclass(frozen=True)
class Judged:
    """What the scores say about a candidate, in one piece."""

    passes: bool
    quality: float | None
    """The mean margin over the blocking thresholds that apply; none when a measurement is missing."""
    reasons: tuple[str, ...]
    """Why it does not pass, and what is worth a warning."""
    scores_sha256: str
    rules_sha256: str
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of the blocking dimensions' scorers, without what they went by beside the picture."""


UNJUDGED = Judged(
    passes=False, quality=None, reasons=("it was not scored",), scores_sha256="", rules_sha256=""
)


def thresholds_of(asset_type: str, thresholds: Mapping[str, dict[str, Threshold]]) -> Thresholds:
    """The thresholds of one asset type: those it is named with, or the default ones."""
    return thresholds.get(asset_type, thresholds["default"])


def load_measurements(store: Store, campaign_id: str) -> dict[tuple[str, str, str, str], Score]:
    """Everything that was ever measured, by candidate, image, dimension and scorer version."""
    return {
        measurement_key(recorded.row): recorded.row
        for recorded in store.facts.history(MEASUREMENTS, campaign_id)
    }


def measurement_key(score: Score) -> tuple[str, str, str, str]:
    """What a measurement is about: measuring the same again would give the same."""
    return score.candidate_id, score.image_sha256, score.dimension, score.scorer_version


def record_measurements(store: Store, campaign_id: str, scores: Sequence[Score], *, run_id: str) -> None:
    """Add to what is known."""
    if scores:
        store.facts.write(MEASUREMENTS, campaign_id, scores, run_id=run_id)


def judge_candidates(
    candidates: Sequence[Candidate],
    scores: Sequence[Score],
    thresholds: Mapping[str, dict[str, Threshold]],
    rules: BusinessRules = NO_RULES,
) -> list[JudgedScore]:
    """Give all candidates' measurements the verdicts of their asset types' thresholds, and of rules."""
    by_candidate: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        by_candidate[score.candidate_id].append(score)
    return [
        judged
        for candidate in candidates
        for judged in judge_scores(
            candidate,
            by_candidate[candidate.candidate_id],
            thresholds_of(candidate.asset_type, thresholds),
            rules,
        )
    ]


def judge_scores(
    candidate: Candidate, scores: Sequence[Score], thresholds: Thresholds, rules: BusinessRules = NO_RULES
) -> list[JudgedScore]:
    """Give one candidate's measurements their verdicts; a threshold that nothing measures is not passed.

    A business rule that speaks of the candidate adds a score of its own, of the dimension ``rule:<name>``.
    """
    measured = {score.dimension: score for score in scores}
    unmeasured = [
        Score(
            candidate_id=candidate.candidate_id,
            image_sha256=candidate.image_sha256 or "",
            dimension=dimension,
            scorer_version="",
            reason="no scorer measures it",
        )
        for dimension in thresholds
        if dimension not in measured
    ]
    spoken = {rule.dimension: rule for rule in rules.of(candidate)}
    ruled = [rules.score(rule, candidate, measured) for rule in spoken.values()]
    applied = {**thresholds, **{dimension: rule.threshold for dimension, rule in spoken.items()}}
    all_scores = [*scores, *unmeasured, *ruled]
    rules_hash = rules_sha256({**thresholds, **spoken})
    verdicts = {verdict.dimension: verdict for verdict in judge(all_scores, applied).verdicts}
    judged = []
    for score in all_scores:
        verdict, threshold = verdicts.get(score.dimension), applied.get(score.dimension)
        words = verdict.reason if verdict else ""
        if verdict and (rule := spoken.get(score.dimension)):
            words = words_of(rule, score, verdict)
        judged.append(
            JudgedScore(
                **score.model_dump(),
                verdict=verdict.outcome if verdict else "not judged",
                level=threshold.level if threshold else None,
                minimum=threshold.min if threshold else None,
                maximum=threshold.max if threshold else None,
                margin=verdict.margin if verdict else None,
                words=words,
                rules_sha256=rules_hash,
            )
        )
    return judged


def load_scores(store: Store, campaign_id: str) -> list[JudgedScore]:
    """The campaign's scores with the verdicts of the last run."""
    return store.facts.read(SCORES, campaign_id)


def record_scores(store: Store, campaign_id: str, scores: Sequence[JudgedScore], *, run_id: str) -> None:
    """Record the scores, unless they are as recorded already."""
    store.facts.write_if_changed(SCORES, campaign_id, scores, run_id=run_id)


def load_judgements(store: Store, campaign_id: str) -> dict[str, Judged]:
    """What the recorded scores say about each candidate."""
    by_candidate: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in load_scores(store, campaign_id):
        by_candidate[score.candidate_id].append(score)
    return {candidate_id: summed_up(scores) for candidate_id, scores in by_candidate.items()}


def summed_up(scores: Sequence[JudgedScore]) -> Judged:
    """One candidate's verdicts in one piece. A blocking dimension that has no value is never a pass."""
    blocking = [score for score in scores if score.level == "block" and score.verdict != "not applicable"]
    margins = [score.margin for score in blocking if score.margin is not None]
    return Judged(
        passes=all(score.verdict == "passed" for score in blocking),
        quality=sum(margins) / len(blocking) if blocking and len(margins) == len(blocking) else None,
        reasons=tuple(
            score.words
            for score in sorted(scores, key=lambda score: score.dimension)
            if score.verdict in ("failed", "missing")
        ),
        scores_sha256=scores_sha256(scores),
        rules_sha256=scores[0].rules_sha256 if scores else "",
        versions={score.dimension: own_version(score) for score in scores if score.level == "block"},
    )


def own_version(score: Score) -> str:
    """The version of a score's scorer, without what it went by beside the picture (``version_for``)."""
    return score.scorer_version.partition("@")[0]


def scores_sha256(scores: Iterable[JudgedScore]) -> str:
    """The hash over the facts of a candidate's scores, in whatever order they come."""
    return fingerprint(sorted(SCORES.fact_sha256(score) for score in scores))
