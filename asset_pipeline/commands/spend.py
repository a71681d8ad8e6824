"""``asset-pipeline spend``: what attempts were expected to cost, what they cost, and what is not known."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.commands.telling import named, unfolded, usd
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.selection.records import load_choices
from asset_pipeline.spending.claims import Claim, claims
from asset_pipeline.spending.report import WAYS, By, Line, Spent, line, lines, spent
from asset_pipeline.store.store import Store


@click.command()
@click.argument("campaigns", nargs=-1)
@click.option(
    "--by", type=click.Choice(WAYS), default="profile", show_default=True, help="What each line adds up."
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Only attempts that were claimed on this day or later, in UTC.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def spend(campaigns: Sequence[str], by: By, since: datetime | None, *, as_json: bool) -> None:
    """Say what attempts cost: expected and booked, set aside, estimated, lost, by picture and by passed one.

    CAMPAIGNS are all that have attempts if none is named. Spends and changes nothing.
    """
    store = the_store()
    first = None if since is None else since.date()
    attempts = [each for name in named(store, campaigns) for each in _spent(store, name, first)]
    found, total = lines(attempts, by), line("all", attempts)
    if as_json:
        day = None if first is None else first.isoformat()
        told = {"by": by, "since": day, "lines": [_as_json(each) for each in found], "all": _as_json(total)}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    console.print(unfolded(_table(by, found, total), console))
    for note in _notes(total):
        console.print(note, markup=False)


def _spent(store: Store, campaign: str, since: date | None) -> list[Spent]:
    own = [each for each in claims(campaign, store.events.read(ATTEMPTS, campaign)) if _is_of(each, since)]
    candidates = {each.candidate_id: each for each in load_candidates(store, campaign)}
    passed = [each.candidate_id for each in load_choices(store, campaign) if each.state != "rejected"]
    return spent(own, candidates, passed)


def _is_of(claim: Claim, since: date | None) -> bool:
    return since is None or claim.claimed_at.astimezone(UTC).date() >= since


def _table(by: By, found: Sequence[Line], total: Line) -> Table:
    heads = ("attempts", "pictures", "passed", "expected", "booked", "more", "a picture", "a passed one")
    shown = [
        (head, name)
        for head, name in (
            ("set aside", "set_aside_usd"),
            ("estimated", "estimated_usd"),
            ("lost", "unknown_usd"),
        )
        if getattr(total, name)
    ]
    numbers = [Column(head, justify="right", no_wrap=True) for head in (*heads, *(head for head, _ in shown))]
    table = Table(Column(by, no_wrap=True), *numbers, box=SIMPLE_HEAD, pad_edge=False)
    for each in (*found, total):
        if each is total:
            table.add_section()
        table.add_row(
            each.name,
            *(f"{count:,}" for count in (each.attempts, each.pictures, each.passed)),
            *map(usd, (each.expected_usd, each.actual_usd, each.difference_usd)),
            *map(usd, (each.usd_per_picture, each.usd_per_passed)),
            *(usd(getattr(each, name)) for _, name in shown),
        )
    return table


def _notes(total: Line) -> Iterator[str]:
    if total.open:
        yield f"{total.open} attempts have no end yet: {usd(total.set_aside_usd)} at most is set aside"
    if total.estimated_usd:
        yield f"{usd(total.estimated_usd)} is booked as it was expected, because the provider said nothing"
    if total.unknown_usd:
        yield (
            f"{usd(total.unknown_usd)} is booked for lost or unreconciled attempts: look at the bill; "
            "asset-pipeline attempts list --state held"
        )


def _as_json(each: Line) -> dict[str, Any]:
    return {
        **asdict(each),
        "difference_usd": each.difference_usd,
        "usd_per_picture": each.usd_per_picture,
        "usd_per_passed": each.usd_per_passed,
    }
