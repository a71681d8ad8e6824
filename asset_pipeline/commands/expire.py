"""``asset-pipeline expire``: takes away the bytes of pictures that nobody needs, as the policy says."""

from collections import Counter
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Column, Table

from asset_pipeline.campaign.brief import campaign_ids
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import PLACES
from asset_pipeline.errors import InvalidFile, UnfinishedRun
from asset_pipeline.retention.expiry import ExpiryPlan, Told, plan_expiry, totals
from asset_pipeline.retention.expiry import expire as take_away
from asset_pipeline.retention.policy import Retention, load_retention
from asset_pipeline.retention.uses import needs_of
from asset_pipeline.store.store import Store

SHOWN_REASONS = 10


@click.command()
@click.option("--delete", is_flag=True, help="Do it. Without this nothing is changed.")
def expire(*, delete: bool) -> None:
    """Say which pictures have outlived data/retention.yaml, and with --delete take their bytes away.

    What is known of them stays. Approved, waiting and exported pictures never expire. Safe to kill and
    repeat.
    """
    store, retention = the_store(), load_retention(PLACES.data)
    _require_known(store, retention)
    with console.status("reading what pictures are needed for"):
        needs = needs_of(store)
        plan = plan_expiry(needs, retention, store.images.sizes(), datetime.now(UTC))
    _tell(plan)
    if not plan.remove and not plan.due:
        return
    if not delete:
        console.print("nothing was changed; asset-pipeline expire --delete takes the bytes away")
        return
    if needs.at_work:
        raise UnfinishedRun(
            f"run {', '.join(needs.at_work)} is making pictures, maybe with the same bytes: nothing was "
            "changed, expire when it has ended"
        )
    with Progress(console=Console(stderr=True), transient=True) as bars:
        take_away(store, plan, _on(bars))
    console.print(f"{len(plan.due)} pictures have expired, {_size(sum(plan.remove.values()))} are free")


def _require_known(store: Store, retention: Retention) -> None:
    """Refuse lifetimes of a campaign that nobody knows: somebody may rely on them."""
    known = {*campaign_ids(PLACES.data), *store.facts.partitions(CANDIDATES)}
    if unknown := sorted(retention.campaigns.keys() - known):
        there = ", ".join(sorted(known)) or "none"
        raise InvalidFile(
            f"{PLACES.data / 'retention.yaml'}: campaigns: there is no campaign {', '.join(unknown)} "
            f"(there are: {there})"
        )


def _tell(plan: ExpiryPlan) -> None:
    if not plan.due and not plan.remove:
        console.print("no picture has outlived its time")
    else:
        table = Table(Column("campaign", no_wrap=True), "because of", "pictures", "bytes")
        for each in totals(plan):
            table.add_row(each.campaign_id, each.policy, f"{each.pictures:,}", _size(each.size))
        console.print(table)
    why = Counter(reason for _, reason in plan.kept)
    for reason, count in why.most_common(SHOWN_REASONS):
        console.print(f"kept beyond its time: {count}, because {reason}", markup=False)


def _on(bars: Progress) -> Told:
    tasks: dict[str, TaskID] = {}

    def told(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=of)
        bars.update(tasks[what], completed=done)

    return told


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - SI prefixes
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
