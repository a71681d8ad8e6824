"""``asset-pipeline calibrate``: what people's decisions say about scores."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import dagster as dg
from rich.table import Table

from asset_pipeline.calibration.acceptance import Acceptance
from asset_pipeline.calibration.assessment import assess
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.records import accept, load_guarantees
from asset_pipeline.calibration.report import calibration_report
from asset_pipeline.calibration.summary import tables
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import CHECKPOINTS, PLACES, defs, scorers
from asset_pipeline.store.store import Store


@click.command()
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as a page here."
)
@click.option("--dry-run", is_flag=True, help="Say what it would come to, and record nothing.")
@click.option(
    "--accept", "accepted", metavar="ASSET_TYPE", help="Calibrate a frozen asset type anew: you have looked."
)
@click.option(
    "--since", type=click.DateTime(), help="With --accept: decisions before this day (UTC) do not count."
)
@click.option(
    "--reviewer", default=getpass.getuser, help="With --accept: who looked; your login name if not given."
)
@click.option("--reason", default="", help="With --accept: what you found.")
def calibrate(
    *,
    html: Path | None,
    dry_run: bool,
    accepted: str | None,
    since: datetime | None,
    reviewer: str,
    reason: str,
) -> None:
    """Learn from people's decisions from which quality on images need no person, and watch that it holds.

    Materialises the asset calibration in this process. Ends with status 2 if an asset type is frozen.
    """
    if since is not None and accepted is None:
        raise click.UsageError("--since says which decisions count after --accept")
    if accepted is not None and dry_run:
        raise click.UsageError("--accept records what you say; it cannot be tried")
    store = the_store()
    if accepted is not None:
        moment = since.replace(tzinfo=UTC) if since else None
        accept(store, accepted, Acceptance(reviewer=reviewer, reason=reason, decisions_since=moment))
    if not dry_run:
        _materialise()
    guarantees = _told(store, html) if dry_run or html else load_guarantees(store)
    for name, each in guarantees.items():
        console.print(f"{name}: {each.words}", markup=False)
    if not guarantees:
        console.print("no picture has been scored yet")
    sys.exit(2 if any(each.state == "frozen" for each in guarantees.values()) else 0)


def _materialise() -> None:
    """Run the calibration job in this process, so that Dagster shows it too."""
    job = defs.resolve_job_def("calibrating")
    result = job.execute_in_process(instance=dg.DagsterInstance.get(), raise_on_error=False)
    if not result.success:
        console.print("calibration failed; the log above says why")
        sys.exit(1)


def _told(store: Store, html: Path | None) -> dict[str, Guarantee]:
    """Assess, show every table, and write the page if one is asked for; return what would hold now."""
    now = datetime.now(UTC)
    assessments = assess(store, PLACES.data, scorers(CHECKPOINTS), now)
    for title, columns, rows in tables(assessments):
        if rows:
            console.print(_table(title, columns, rows))
    if html:
        html.write_text(calibration_report(assessments, now), encoding="utf-8")
        console.print(f"wrote {html}")
    return {each.asset_type: each.guarantee for each in assessments}


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table
