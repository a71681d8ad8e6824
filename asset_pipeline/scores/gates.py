"""The scores' word on candidates while a campaign's rounds are made: the judge of funnels.

It measures and judges as the scores of the campaign are measured and judged later. What it measures is
recorded in the same journal, so nothing is measured twice.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.judge import Gated
from asset_pipeline.catalog.records import load_products
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.scores.business_rules import BusinessRules
from asset_pipeline.scores.expectation import expectations
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import JudgedScore, judge_candidates, summed_up
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Scorer
from asset_pipeline.store.store import Store


class Gates:
    """Thresholds and business rules of now, by all scorers there are."""

    def __init__(self, store: Store, data: Path, scorers: Sequence[Scorer]) -> None:
        self._store = store
        self._data = data
        self._scorers = scorers

    def dimensions(self) -> set[str]:
        """What is measured, and what the business rules are called. Raises as ``load_requirements``."""
        rules = load_requirements(self._data, self._scorers).rules
        return {scorer.dimension for scorer in self._scorers} | {rule.dimension for rule in rules}

    def judge(
        self, campaign_id: str, candidates: Sequence[Candidate], *, run_id: str, report: Callable[[str], None]
    ) -> Mapping[str, Gated]:
        """What keeps each candidate from passing, if anything does; measures what is not known."""
        if not candidates:
            return {}
        required, products = load_requirements(self._data, self._scorers), load_products(self._store)
        measuring = Measuring(
            self._store, self._scorers, expectations(products, load_asset_types(self._data))
        )
        measured, _ = measure_missing(measuring, campaign_id, candidates, run_id=run_id, report=report)
        rules = BusinessRules(required.rules, campaign_id, {product.sku: product for product in products})
        scores: dict[str, list[JudgedScore]] = defaultdict(list)
        for score in judge_candidates(candidates, measured, required.thresholds, rules):
            scores[score.candidate_id].append(score)
        return {name: _gated(own) for name, own in scores.items()}


def _gated(scores: Sequence[JudgedScore]) -> Gated:
    blocking = [score for score in scores if score.level == "block"]
    return Gated(
        passes=summed_up(scores).passes,
        failed=tuple(score.dimension for score in blocking if score.verdict == "failed"),
        unmeasured=tuple(score.dimension for score in blocking if score.verdict == "missing"),
    )
