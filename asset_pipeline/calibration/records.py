"""Reading and writing the facts of calibration: guarantees, and what they are learned from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from asset_pipeline.calibration.acceptance import ACCEPTANCES, Acceptance
from asset_pipeline.calibration.decided import ScoredPicture
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.campaign.brief import Campaign, load_campaign
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.catalog.records import load_products
from asset_pipeline.errors import NotFound, PipelineError
from asset_pipeline.scores.business_rules import PREFIX, BusinessRules, Rule
from asset_pipeline.scores.records import (
    MEASUREMENTS,
    SCORES,
    JudgedScore,
    judge_scores,
    load_scores,
    own_version,
    summed_up,
    thresholds_of,
)
from asset_pipeline.scores.requirements import Requirements, load_requirements
from asset_pipeline.scores.score import Score, Scorer
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table

CALIBRATIONS = Table("calibrations", Guarantee, partitioned_by="calibration")

WHOLE = "all"
"""The one partition: a guarantee is of an asset type, whatever the campaign."""


def load_guarantees(store: Store) -> dict[str, Guarantee]:
    """What calibration answers for, by asset type, as last recorded."""
    return {each.asset_type: each for each in store.facts.read(CALIBRATIONS, WHOLE)}


def record_guarantees(store: Store, guarantees: Sequence[Guarantee], *, run_id: str) -> bool:
    """Record the guarantees, unless they are as recorded already; say whether they were not."""
    ordered = sorted(guarantees, key=lambda each: each.asset_type)
    return store.facts.write_if_changed(CALIBRATIONS, WHOLE, ordered, run_id=run_id)


def load_acceptance(store: Store, asset_type: str) -> Event[Acceptance] | None:
    """What a person last said about the asset type."""
    events = store.events.read(ACCEPTANCES, asset_type)
    return events[-1] if events else None


def accept(store: Store, asset_type: str, acceptance: Acceptance) -> None:
    """Record that a person looked at a frozen asset type, so that it is calibrated anew.

    Raises:
        NotFound: it is not frozen.
    """
    guarantees = load_guarantees(store)
    if asset_type not in guarantees or guarantees[asset_type].state != "frozen":
        frozen = [name for name, each in sorted(guarantees.items()) if each.state == "frozen"]
        raise NotFound(f"{asset_type!r} is not frozen (frozen are: {', '.join(frozen) or 'none'})")
    number = len(store.events.names(ACCEPTANCES, asset_type))
    while not store.events.append(ACCEPTANCES, asset_type, f"{number:04d}", acceptance):
        number += 1


def load_pictures(store: Store, data: Path, scorers: Sequence[Scorer]) -> list[ScoredPicture]:
    """Every scored image of every campaign, judged by what thresholds and rules say now. Measures nothing.

    Raises:
        NotFound: there are no thresholds.
        InvalidFile: a file is wrong.
    """
    required = load_requirements(data)
    products = {product.sku: product for product in load_products(store)}
    versions = {scorer.dimension: scorer.version for scorer in scorers}
    pictures: list[ScoredPicture] = []
    for campaign_id in store.facts.partitions(SCORES):
        rules = BusinessRules(required.rules, campaign_id, products)
        pictures += _pictures(store, campaign_id, _campaign(data, campaign_id), required, rules, versions)
    return pictures


def _campaign(data: Path, campaign_id: str) -> Campaign | None:
    """A campaign, if its file is still there and right."""
    try:
        return load_campaign(data, campaign_id)
    except PipelineError:
        return None


def _pictures(
    store: Store,
    campaign_id: str,
    campaign: Campaign | None,
    required: Requirements,
    rules: BusinessRules,
    versions: Mapping[str, str],
) -> list[ScoredPicture]:
    measured: dict[str, dict[str, Score]] = defaultdict(dict)
    for score in load_scores(store, campaign_id):
        if score.scorer_version and not score.dimension.startswith(PREFIX):
            measured[score.candidate_id][score.dimension] = score
    first_looks = _first_looks(store, campaign_id)
    pictures = []
    for candidate in load_candidates(store, campaign_id):
        scores = measured.get(candidate.candidate_id, {})
        if not scores or any(each.image_sha256 != candidate.image_sha256 for each in scores.values()):
            continue
        thresholds = thresholds_of(candidate.asset_type, required.thresholds)
        plain = [
            Score.model_validate(each.model_dump(include=set(Score.model_fields))) for each in scores.values()
        ]
        judged = judge_scores(candidate, plain, thresholds, rules)
        pictures.append(
            ScoredPicture(
                campaign_id=campaign_id,
                candidate=candidate,
                judged=summed_up(judged),
                scores=scores,
                values={
                    each.dimension: each.value
                    for each in judged
                    if each.verdict != "not judged" and each.value is not None
                },
                outdated=_outdated(judged, scores, rules.of(candidate), versions),
                measured_at=first_looks.get((candidate.candidate_id, candidate.image_sha256)),
                approval=campaign.approval if campaign else None,
            )
        )
    return _offered(pictures, campaign.keep if campaign else 1)


def _outdated(
    judged: Sequence[JudgedScore],
    scores: Mapping[str, Score],
    rules: Sequence[Rule],
    versions: Mapping[str, str],
) -> tuple[str, ...]:
    """Dimensions that quality is made of and whose scores are of another version than today's scorers."""
    gone_by = {rule.dimension: rule.measure.partition(".")[0] for rule in rules}
    blocking = {gone_by.get(each.dimension, each.dimension) for each in judged if each.level == "block"}
    return tuple(
        sorted(name for name in blocking & scores.keys() if own_version(scores[name]) != versions.get(name))
    )


def _offered(pictures: Sequence[ScoredPicture], keep: int) -> list[ScoredPicture]:
    """The pictures, those marked that their prompts would offer."""
    by_prompt: dict[str, list[ScoredPicture]] = defaultdict(list)
    for picture in pictures:
        if picture.judged.passes and picture.judged.quality is not None:
            by_prompt[picture.candidate.prompt_id].append(picture)
    best = {
        picture.candidate.candidate_id
        for alike in by_prompt.values()
        for picture in sorted(alike, key=lambda each: -(each.judged.quality or 0.0))[:keep]
    }
    return [replace(each, is_offered=each.candidate.candidate_id in best) for each in pictures]


def _first_looks(store: Store, campaign_id: str) -> dict[tuple[str, str | None], datetime]:
    """When each image was first measured."""
    found: dict[tuple[str, str | None], datetime] = {}
    for recorded in store.facts.history(MEASUREMENTS, campaign_id):
        found.setdefault((recorded.row.candidate_id, recorded.row.image_sha256), recorded.recorded_at)
    return found
