"""The calibration report as a page of its own: promises, what they rest on, and whether they hold."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import jinja2

from asset_pipeline.calibration.assessment import Assessment
from asset_pipeline.calibration.plots import plots
from asset_pipeline.calibration.report_page import PAGE
from asset_pipeline.calibration.summary import tables


def calibration_report(assessments: Sequence[Assessment], now: datetime) -> str:
    """An HTML page that needs nothing but itself; whatever people wrote is text in it."""
    shown = [
        {
            "name": each.asset_type,
            "guarantee": each.guarantee,
            "tables": [table for table in tables([each])[1:] if table[2]],
            "plots": plots(each),
        }
        for each in assessments
    ]
    return _page().render(types=shown, overview=tables(assessments)[0], now=f"{now:%Y-%m-%d %H:%M} UTC")


@cache
def _page() -> jinja2.Template:
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(PAGE)
