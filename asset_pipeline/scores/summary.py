"""What a person wants to see of a campaign's scores."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.summary import sheet_markdown
from asset_pipeline.scores.records import Judged, JudgedScore, summed_up
from asset_pipeline.store.store import Store

WORST = 12


def describe_scores(
    store: Store, candidates: Sequence[Candidate], scores: Sequence[JudgedScore], fresh: int
) -> dict[str, Any]:
    """Pass rates, a table by dimension, and the worst images as a sheet and a table."""
    by_candidate: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in scores:
        by_candidate[score.candidate_id].append(score)
    judged = {candidate_id: summed_up(each) for candidate_id, each in by_candidate.items()}
    passing = sum(judgement.passes for judgement in judged.values())
    quality = {
        candidate_id: -9.0 if judgement.quality is None else judgement.quality
        for candidate_id, judgement in judged.items()
    }
    worst = sorted(
        candidates, key=lambda each: (judged[each.candidate_id].passes, quality[each.candidate_id])
    )
    return {
        "images": len(candidates),
        "measured in this run": fresh,
        "pass rate": passing / len(judged) if judged else 0.0,
        "by dimension": _by_dimension(scores),
        "worst": _worst_table(worst, judged),
        "worst images": sheet_markdown(
            store, [(each.image_sha256 or "", each.candidate_id, None) for each in worst[:WORST]]
        ),
    } | {f"pass rate: {dimension}": rate for dimension, rate in _pass_rates(scores).items()}


def _worst_table(worst: Sequence[Candidate], judged: Mapping[str, Judged]) -> str:
    lines = ["| SKU | candidate | why |", "| --- | --- | --- |"]
    for each in worst[:WORST]:
        reasons = "; ".join(judged[each.candidate_id].reasons) or "passes"
        lines.append(f"| {each.sku} | {each.candidate_id} | {reasons} |")
    return "\n".join(lines)


def _pass_rates(scores: Sequence[JudgedScore]) -> dict[str, float]:
    """The share of images that pass each judged dimension; a missing value is no pass."""
    passed: dict[str, list[bool]] = defaultdict(list)
    for score in scores:
        if score.verdict != "not judged":
            passed[score.dimension].append(score.verdict == "passed")
    return {dimension: sum(values) / len(values) for dimension, values in sorted(passed.items())}


def _by_dimension(scores: Sequence[JudgedScore]) -> str:
    grouped: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in scores:
        grouped[score.dimension].append(score)
    lines = [
        "| dimension | values | lowest | median | highest | no value | failed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for dimension, each in sorted(grouped.items()):
        values = sorted(score.value for score in each if score.value is not None)
        spread = f"{values[0]:.3g} | {values[len(values) // 2]:.3g} | {values[-1]:.3g}" if values else " | | "
        failed = sum(score.verdict == "failed" for score in each)
        lines.append(f"| {dimension} | {len(values)} | {spread} | {len(each) - len(values)} | {failed} |")
    return "\n".join(lines)
