"""``asset-pipeline cost``: what ways of making pictures would cost at a monthly volume, best first."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import click
from rich.table import Column, Table

from asset_pipeline.commands.terminal import console
from asset_pipeline.definitions import PLACES
from asset_pipeline.spending.deployment import BreakEven, Cost, break_evens, cost_at
from asset_pipeline.spending.prices import STALE_AFTER, Cited, Offer, load_prices, offers


@click.command()
@click.option(
    "--volume",
    type=click.IntRange(1, 1_000_000_000),
    required=True,
    help="Pictures a month that are to be accepted.",
)
@click.option("--model", "only", help="Only this model; every model of data/prices.yaml if not given.")
@click.option(
    "--pass-rate",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="The share of the pictures made that is accepted.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def cost(volume: int, only: str | None, pass_rate: float, *, as_json: bool) -> None:
    """Say what ways of making pictures would cost at a monthly volume, best first, and where they break even.

    The figures are those of data/prices.yaml; which of them are stale or unconfirmed is said. Spends nothing.
    """
    prices = load_prices(PLACES.data)
    found = [offer for name in ([only] if only else prices.models) for offer in offers(prices, name)]
    costs = [(offer.model, cost_at(offer.way, volume, pass_rate)) for offer in found]
    costs.sort(key=lambda each: each[1].monthly_usd)
    points = _break_evens(found, pass_rate)
    figures = list({figure.name: figure for offer in found for figure in offer.figures}.values())
    today = datetime.now(UTC).date()
    if as_json:
        click.echo(json.dumps(_as_json(volume, pass_rate, costs, points, figures, today), indent=2))
        return
    console.print(_table(volume, pass_rate, costs))
    for model, each in points:
        console.print(f"{model}: {each.sentence}", markup=False)
    for figure in figures:
        console.print(_cite(figure, today), markup=False)
    _tell_doubts(figures, today)


def _break_evens(found: Sequence[Offer], pass_rate: float) -> list[tuple[str, BreakEven]]:
    """Of every two ways of making the same model's pictures; those of two models are not alike."""
    by_model: dict[str, list[Offer]] = {}
    for offer in found:
        by_model.setdefault(offer.model, []).append(offer)
    return [
        (model, each)
        for model, its in by_model.items()
        for each in break_evens([offer.way for offer in its], pass_rate)
    ]


def _table(volume: int, pass_rate: float, costs: Sequence[tuple[str, Cost]]) -> Table:
    heads = ("a month", "a picture", "accepted one", "GPUs", "busy")
    table = Table(
        "model and way",
        *(Column(head, justify="right", no_wrap=True) for head in heads),
        title=f"{volume:,} accepted pictures a month, {volume / pass_rate:,.0f} made",
    )
    for model, each in costs:
        table.add_row(
            f"{model} {each.name} ({each.kind})",
            f"${each.monthly_usd:,.2f}",
            f"${each.usd_per_picture:.5f}",
            f"${each.usd_per_accepted:.5f}",
            "" if each.gpus is None else f"{each.gpus:,}",
            "" if each.utilisation is None else f"{each.utilisation:.1%}",
        )
    return table


def _cite(figure: Cited, today: date) -> str:
    as_of = f" as of {figure.as_of}" if figure.as_of else ""
    doubts = ", ".join(figure.doubts(today))
    return f"{figure.name} = {figure.value}{as_of}{doubts and f' ({doubts})'}: {figure.source}"


def _tell_doubts(figures: Sequence[Cited], today: date) -> None:
    stale = [each.name for each in figures if any(d.startswith("stale") for d in each.doubts(today))]
    for what, names in (
        ("unconfirmed", [each.name for each in figures if each.unconfirmed]),
        ("without a date", [each.name for each in figures if each.as_of is None]),
        (f"stale, older than {STALE_AFTER.days} days", stale),
    ):
        console.print(f"{what}: {', '.join(names) or 'none'}", markup=False)


def _as_json(
    volume: int,
    pass_rate: float,
    costs: Sequence[tuple[str, Cost]],
    points: Sequence[tuple[str, BreakEven]],
    figures: Sequence[Cited],
    today: date,
) -> dict[str, Any]:
    return {
        "accepted_per_month": volume,
        "pass_rate": pass_rate,
        "ways": [{"model": model, **asdict(each)} for model, each in costs],
        "break_evens": [{"model": model, **asdict(each)} for model, each in points],
        "figures": [
            {**asdict(each), "as_of": str(each.as_of) if each.as_of else None, "doubts": each.doubts(today)}
            for each in figures
        ],
    }
