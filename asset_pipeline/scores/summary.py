"""What a person wants to see of a campaign's scores."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.summary import SheetCell, sheet_markdown
from asset_pipeline.scores.records import Judged, JudgedScore, summed_up
from asset_pipeline.store.store import Store

SHOWN = 12
"""Images in the sheets of the worst and of the best, and rows in the table of the worst."""
PLOTTED = 40
"""Dimensions whose pass rate is a number of its own, which Dagster plots: what blocks first, then by name."""


@dataclass(frozen=True)
class Tally:
    """What became of one dimension over a campaign's images."""

    dimension: str
    blocks: bool
    """Whether it keeps images back, for any of the asset types."""
    thresholds: str
    """What it must be; several where asset types differ."""
    passed: int
    failed: int
    missing: int
    not_applicable: int

    @property
    def applicable(self) -> int:
        """The images that it says anything about."""
        return self.passed + self.failed + self.missing

    @property
    def pass_rate(self) -> float | None:
        """The share of these that pass; a missing value is no pass. None where it applies to no image."""
        return self.passed / self.applicable if self.applicable else None


def tallies(scores: Sequence[JudgedScore]) -> list[Tally]:
    """One tally for each dimension that is judged, what blocks first, then by name."""
    grouped: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in scores:
        if score.verdict != "not judged":
            grouped[score.dimension].append(score)
    counted = []
    for dimension, each in grouped.items():
        outcomes = Counter(score.verdict for score in each)
        counted.append(
            Tally(
                dimension=dimension,
                blocks=any(score.level == "block" for score in each),
                thresholds=", ".join(sorted({_bounds(score) for score in each})),
                passed=outcomes["passed"],
                failed=outcomes["failed"],
                missing=outcomes["missing"],
                not_applicable=outcomes["not applicable"],
            )
        )
    return sorted(counted, key=lambda tally: (not tally.blocks, tally.dimension))


def describe_scores(
    store: Store, candidates: Sequence[Candidate], scores: Sequence[JudgedScore], fresh: int
) -> dict[str, Any]:
    """Pass rates, what became of each dimension, the spread of the values, and the worst and best images."""
    by_candidate: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in scores:
        by_candidate[score.candidate_id].append(score)
    judged = {candidate_id: summed_up(each) for candidate_id, each in by_candidate.items()}
    counted = tallies(scores)
    worst = sorted(
        (each for each in candidates if each.candidate_id in judged),
        key=lambda each: _worth(judged[each.candidate_id]),
    )
    return {
        "images": len(candidates),
        "measured in this run": fresh,
        "pass rate": sum(each.passes for each in judged.values()) / len(judged) if judged else 0.0,
        "does not apply": sum(tally.not_applicable for tally in counted),
        "verdicts": _verdicts_table(counted),
        "by dimension": _values_table(scores),
        "worst": _worst_table(worst[:SHOWN], judged),
        "worst images": sheet_markdown(store, _cells(worst[:SHOWN], judged)),
        "best images": sheet_markdown(store, _cells(worst[::-1][:SHOWN], judged)),
    } | {
        f"pass rate: {tally.dimension}": tally.pass_rate
        for tally in counted[:PLOTTED]
        if tally.pass_rate is not None
    }


def _worth(judged: Judged) -> tuple[bool, float]:
    """For ordering images: whether it passes, then its quality, and below all others what has none."""
    return judged.passes, -9.0 if judged.quality is None else judged.quality


def _cells(candidates: Sequence[Candidate], judged: Mapping[str, Judged]) -> list[SheetCell]:
    return [
        (
            each.image_sha256 or "",
            each.candidate_id,
            None if judged[each.candidate_id].passes else "rejected",
        )
        for each in candidates
    ]


def _verdicts_table(counted: Sequence[Tally]) -> str:
    lines = [
        "| dimension | must be | level | passed | failed | missing | does not apply |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each.dimension} | {each.thresholds} | {'block' if each.blocks else 'warn'} | {each.passed} | "
        f"{each.failed} | {each.missing} | {each.not_applicable} |"
        for each in counted
    ]
    return "\n".join(lines)


def _bounds(score: JudgedScore) -> str:
    """A threshold as a table says it."""
    if score.minimum is not None and score.maximum is not None:
        return f"{score.minimum:g} to {score.maximum:g}"
    return f"≥ {score.minimum:g}" if score.minimum is not None else f"≤ {score.maximum:g}"


def _worst_table(worst: Sequence[Candidate], judged: Mapping[str, Judged]) -> str:
    lines = ["| SKU | candidate | why |", "| --- | --- | --- |"]
    for each in worst:
        reasons = "; ".join(judged[each.candidate_id].reasons) or "passes"
        lines.append(f"| {each.sku} | {each.candidate_id} | {_cell(reasons)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Words, also a person's own, that do not break the table they stand in."""
    return " ".join(text.replace("|", "\\|").split())


def _values_table(scores: Sequence[JudgedScore]) -> str:
    """How the values of each dimension spread, whether they are judged or not."""
    grouped: dict[str, list[JudgedScore]] = defaultdict(list)
    for score in scores:
        grouped[score.dimension].append(score)
    lines = [
        "| dimension | values | lowest | median | highest | no value |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for dimension, each in sorted(grouped.items()):
        values = sorted(score.value for score in each if score.value is not None)
        spread = f"{values[0]:.3g} | {values[len(values) // 2]:.3g} | {values[-1]:.3g}" if values else " | | "
        lines.append(f"| {dimension} | {len(values)} | {spread} | {len(each) - len(values)} |")
    return "\n".join(lines)
