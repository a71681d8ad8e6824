"""What a person wants to see of calibration: the promise, agreement and drift of each asset type."""

import base64
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from asset_pipeline.calibration.agreement import Ratings, cohens_kappa, gwets_ac1, krippendorffs_alpha
from asset_pipeline.calibration.assessment import Assessment
from asset_pipeline.calibration.plots import promise_png

PLOTTED = 6
"""So many asset types have their plot in Dagster's metadata; the report page has all."""

GUARANTEE_COLUMNS = (
    "asset type", "state", "least quality", "decisions", "rejected", "would be approved", "words",
)  # fmt: skip
AGREEMENT_COLUMNS = (
    "asset type", "who", "pictures", "agree", "Cohen's kappa", "Krippendorff's alpha", "Gwet's AC1",
)  # fmt: skip
DRIFT_COLUMNS = ("asset type", "value", "compared", "PSI", "alarm above", "KS p-value")
AUDIT_COLUMNS = (
    "asset type", "let pass and decided since", "rejected", "CUSUM", "alarm from", "measured again",
    "rejected by a gate and decided", "approved by people", "disputed",
)  # fmt: skip
LEFT_OUT_COLUMNS = ("asset type", "decisions that do not count", "because they are")


def describe_calibration(assessments: Sequence[Assessment]) -> dict[str, Any]:
    """Counts, tables, and the plots of what decisions came to."""
    states = [each.guarantee.state for each in assessments]
    facts: dict[str, Any] = {state: states.count(state) for state in ("calibrated", "uncalibrated", "frozen")}
    facts |= {name: _markdown(columns, rows) for name, columns, rows in tables(assessments) if rows}
    plotted = [each for each in assessments if each.learned.steps][:PLOTTED]
    return facts | {f"promise: {each.asset_type}": _picture(promise_png(each)) for each in plotted}


def tables(assessments: Sequence[Assessment]) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Title, columns and rows of everything that is a table."""
    return [
        ("asset types", GUARANTEE_COLUMNS, [_guarantee(each) for each in assessments]),
        ("agreement", AGREEMENT_COLUMNS, [row for each in assessments for row in _agreement(each)]),
        ("drift", DRIFT_COLUMNS, [row for each in assessments for row in _drift(each)]),
        ("audits", AUDIT_COLUMNS, [_audits(each) for each in assessments if each.decided]),
        ("left out", LEFT_OUT_COLUMNS, [row for each in assessments for row in _left_out(each)]),
    ]


def _guarantee(each: Assessment) -> tuple[str, ...]:
    guarantee = each.guarantee
    return (
        each.asset_type,
        guarantee.state,
        "" if guarantee.least_quality is None else f"{guarantee.least_quality:.4g}",
        str(len(each.usable)),
        str(sum(decided.is_rejected for decided in each.usable)),
        "" if guarantee.share is None else f"{guarantee.share:.0%}",
        guarantee.words,
    )


def _agreement(each: Assessment) -> list[tuple[str, ...]]:
    """Reviewers with each other first: scores cannot agree with people more than people do."""
    people = [ratings for ratings in each.rated_by_people if len(ratings) > 1]
    reviewers = sorted({name for ratings in people for name in ratings})
    pairs = [
        (
            f"{one} and {other}",
            [ratings for ratings in people if {one, other} <= ratings.keys()],
            (one, other),
        )
        for one, other in combinations(reviewers, 2)
    ]
    rows = [_coefficients(each.asset_type, who, rated, names) for who, rated, names in pairs if rated]
    if len(reviewers) > 2:  # noqa: PLR2004 - two are a pair, which has its row
        rows.append(_coefficients(each.asset_type, "all reviewers", people, None))
    compared = each.scores_and_people
    if compared:
        rows.append(_coefficients(each.asset_type, "scores and people", compared, ("scores", "people")))
    return rows


def _coefficients(
    asset_type: str, who: str, rated: Sequence[Ratings], pair: tuple[str, str] | None
) -> tuple[str, ...]:
    agreeing = sum(len(set(ratings.values())) == 1 for ratings in rated)
    kappa = cohens_kappa(*([ratings[name] for ratings in rated] for name in pair)) if pair else None
    coefficients = (kappa, krippendorffs_alpha(rated), gwets_ac1(rated))
    shown = ("" if value is None else f"{value:.2f}" for value in coefficients)
    return (asset_type, who, str(len(rated)), f"{agreeing / len(rated):.0%}", *shown)


def _drift(each: Assessment) -> list[tuple[str, ...]]:
    return [
        (
            each.asset_type,
            shift.name,
            str(shift.compared),
            f"{shift.psi:.3f}",
            f"{shift.psi_alarm:.2f}",
            f"{shift.ks_p:.2g}",
        )
        for shift in each.watch.shifts
    ]


def _audits(each: Assessment) -> tuple[str, ...]:
    watch, refused = each.watch, each.gate_rejections
    return (
        each.asset_type,
        str(len(watch.audits)),
        str(sum(audit.is_rejected for audit in watch.audits)),
        f"{watch.sums[-1]:.2f}" if watch.sums else "",
        f"{each.settings.cusum:g}",
        str(watch.measured_again),
        str(len(refused)),
        str(sum(not decided.is_rejected for decided in refused)),
        str(each.disputed),
    )


def _left_out(each: Assessment) -> list[tuple[str, ...]]:
    return [(each.asset_type, str(count), reason) for reason, count in each.left_out.items()]


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(
        ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *lines]
    )


def _picture(png: bytes) -> str:
    return f"![](data:image/png;base64,{base64.b64encode(png).decode()})"
