"""Plots of calibration, as SVG for the report page and as PNG for Dagster. The same facts, the same bytes.

The isotonic curve shows how probable an approval is at a quality and decides nothing: a threshold read off it
breaks its promise about half of the time (``learn_then_test``).
"""

import io
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from asset_pipeline.calibration.assessment import Assessment

_LOOK: dict[Any, Any] = {
    "svg.hashsalt": "calibration",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_SIZE = (4.2, 3.0)
_DOTS = 80
_GROUPS = 10


def promise_png(assessment: Assessment) -> bytes:
    """The plot of thresholds and their promise, as a PNG file."""
    return _drawn(_promise, assessment, "png")


def plots(assessment: Assessment) -> list[tuple[str, str]]:
    """Caption and inline SVG of each plot for which there is something to show."""
    drawn = []
    if assessment.learned.steps:
        drawn.append(("What people rejected from each quality on, and what it is at most", _promise))
    labels = {each.is_rejected for each in assessment.usable}
    if len(labels) > 1:
        drawn.append(
            ("Quality against people: approved and rejected pictures let pass, at every threshold", _roc)
        )
    if assessment.usable:
        drawn.append(
            ("Probability of an approval at each quality (dots: tenths of the pictures)", _reliability)
        )
    if any(each.measured_at for each in assessment.pictures):
        drawn.append(("Pictures that pass every gate, by the day on which they were measured", _pass_rates))
    return [(caption, _inline(_drawn(draw, assessment, "svg"))) for caption, draw in drawn]


def _inline(svg: bytes) -> str:
    """The element alone: a page has a prologue of its own."""
    text = svg.decode()
    return text[text.index("<svg") :]


def _drawn(draw: Callable[[Axes, Assessment], None], assessment: Assessment, kind: str) -> bytes:
    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.add_subplot(), assessment)
        file = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(file, format=kind, dpi=_DOTS, metadata=metadata)
    return file.getvalue()


def _promise(axes: Axes, assessment: Assessment) -> None:
    steps, settings = assessment.learned.steps, assessment.settings
    least = [step.least_quality for step in steps]
    axes.plot(least, [step.errors / step.accepted for step in steps], "o-", ms=3, label="people rejected")
    axes.plot(least, [step.upper for step in steps], "--", label=f"at most, with {1 - settings.delta:.0%}")
    axes.axhline(settings.alpha, color="tab:red", lw=1, label=f"promised, {settings.alpha:.0%}")
    if assessment.guarantee.least_quality is not None:
        axes.axvline(assessment.guarantee.least_quality, color="tab:green", lw=1, label="calibrated quality")
    axes.invert_xaxis()
    axes.set(xlabel="approved from this quality on", ylabel="share rejected", ylim=(0, None))
    axes.legend(frameon=False)


def _roc(axes: Axes, assessment: Assessment) -> None:
    quality, rejected = _sample(assessment)
    thresholds = np.unique(quality)[::-1]
    passed = quality[None, :] >= thresholds[:, None]
    axes.plot(
        np.r_[0, passed[:, rejected].mean(axis=1)],
        np.r_[0, passed[:, ~rejected].mean(axis=1)],
        drawstyle="default",
    )
    axes.plot([0, 1], [0, 1], ":", color="grey", lw=1)
    axes.set(xlabel="of what people rejected", ylabel="of what people approved", xlim=(0, 1), ylim=(0, 1.02))


def _reliability(axes: Axes, assessment: Assessment) -> None:
    quality, rejected = _sample(assessment)
    order = np.argsort(quality, kind="stable")
    quality, approved = quality[order], ~rejected[order]
    groups = np.array_split(np.arange(len(quality)), min(_GROUPS, len(quality)))
    axes.plot(quality, isotonic_regression(approved.astype(float)).x, label="isotonic, to look at")
    axes.plot(
        [quality[group].mean() for group in groups], [approved[group].mean() for group in groups], "o", ms=3
    )
    axes.set(xlabel="quality", ylabel="share approved", ylim=(0, 1.02))
    axes.legend(frameon=False)


def _pass_rates(axes: Axes, assessment: Assessment) -> None:
    days: dict[str, list[bool]] = defaultdict(list)
    for picture in assessment.pictures:
        if picture.measured_at is not None:
            days[f"{picture.measured_at:%Y-%m-%d}"].append(picture.judged.passes)
    rates = [sum(each) / len(each) for _, each in sorted(days.items())]
    axes.plot(range(len(rates)), rates, "o-", ms=3)
    shown = np.unique(np.linspace(0, len(rates) - 1, min(4, len(rates))).round().astype(int))
    axes.set_xticks(shown, [sorted(days)[place] for place in shown])
    axes.set(ylabel="share that passes", ylim=(0, 1.02))


def _sample(assessment: Assessment) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return (
        np.array([each.quality for each in assessment.usable]),
        np.array([each.is_rejected for each in assessment.usable], np.bool_),
    )
