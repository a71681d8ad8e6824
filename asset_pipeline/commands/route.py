"""``asset-pipeline route``: who would make a picture, and why not the others."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import click
from rich.table import Column, Table

from asset_pipeline.campaign.brief import campaign_ids
from asset_pipeline.candidates.books import Books
from asset_pipeline.candidates.dispatch import Dispatcher, recorded_health_of
from asset_pipeline.candidates.health import Health
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.records import recorded_order
from asset_pipeline.candidates.routing import explain as rows_of
from asset_pipeline.candidates.routing import route as choose
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import PLACES, PROVIDERS, workshop
from asset_pipeline.errors import NotFound, PipelineError
from asset_pipeline.store.store import Store


@click.group()
def route() -> None:
    """Say who would make a picture now."""


@route.command()
@click.argument("prompt")
@click.option("--campaign", help="Look only here; else in every campaign that has run.")
def explain(prompt: str, campaign: str | None) -> None:
    """Say who would make a picture, why, and what speaks against each other profile. Makes nothing.

    PROMPT is the id of a prompt or of a candidate, or a SKU: then the first prompt of it in each campaign.
    """
    store = the_store()
    campaigns = [campaign] if campaign else campaign_ids(PLACES.data)
    found = [each for name in campaigns for each in _found(store, name, prompt, only=campaign is not None)]
    if not found:
        where = f"the campaign {campaign}" if campaign else "no campaign"
        raise NotFound(
            f"{prompt!r} names no prompt, candidate or SKU of {where}; see asset-pipeline prompts show"
        )
    for order, wanted in found:
        _explain(store, order, wanted)


def _found(store: Store, campaign: str, what: str, *, only: bool) -> Iterator[tuple[Order, Wanted]]:
    """The first candidate that is meant, with its campaign's order."""
    try:
        order = recorded_order(workshop(store, PLACES.data, PROVIDERS, ()), campaign)
    except PipelineError:
        if only:
            raise
        return
    for wanted in order.wanted:
        if what in (wanted.prompt.prompt_id, wanted.candidate_id, wanted.prompt.sku):
            yield order, wanted
            return


def _explain(store: Store, order: Order, wanted: Wanted) -> None:
    dispatcher = Dispatcher(order, _healths(store, order))
    books = Books(store, order.campaign_id, order.budget_usd, order.budget_usd_per_day)
    need = dispatcher.need(wanted, books.left_usd(), ())
    found = choose(need, dispatcher.offers(wanted))
    left = max(0.0, need.budget_left_usd)
    console.print(
        f"{order.campaign_id}: prompt {wanted.prompt.prompt_id}, candidate {wanted.candidate_id}, "
        f"{wanted.prompt.sku}: {need.sensitivity}, {need.priority}, ${left:.2f} left",
        markup=False,
    )
    table = Table(
        Column("profile", no_wrap=True), "USD", "pass rate", "USD per accepted", "health", "verdict"
    )
    for row in rows_of(found):
        table.add_row(*row.values())
    console.print(table)
    words = found.because if found.profile else f"nobody: {found.because}"
    console.print(words, markup=False, style="bold")


def _healths(store: Store, order: Order) -> Mapping[str, Callable[[], Health]]:
    return {lane.name: partial(recorded_health_of, store, lane) for lane in order.lanes}
