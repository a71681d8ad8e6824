"""``asset-pipeline compare``: are the pictures of two campaigns of one kind, and which pass more?"""

from collections import defaultdict
from collections.abc import Sequence

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.expired import expired_words
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.checkpoints.held_model import HeldModel
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import CHECKPOINTS, PLACES
from asset_pipeline.errors import NotFound
from asset_pipeline.pictures.decode import decode
from asset_pipeline.scorers.product_fidelity import MODEL, Network, on_neutral
from asset_pipeline.scores.distribution import (
    FEWEST,
    Embeddings,
    frechet_distance,
    is_enough_for_frechet,
    kernel_distance_with_interval,
)
from asset_pipeline.scores.records import load_scores
from asset_pipeline.store.store import Store

UNLIKELY = 0.05
"""A chance below which two sets are said to differ: the usual level of a test."""


@click.command()
@click.argument("campaign")
@click.argument("other")
def compare(campaign: str, other: str) -> None:
    """Lay two campaigns side by side: pass rates, cost, and whether their pictures differ as a whole.

    For a change of model: the same products and templates in two campaigns. Records nothing.
    """
    store = the_store()
    made = [_pictures(store, name) for name in (campaign, other)]
    table = Table("", campaign, other)
    table.add_row("pictures", *(str(len(each)) for each in made))
    table.add_row(
        "cost of a picture", *(f"${sum(c.cost_usd for c in each) / len(each):.4f}" for each in made)
    )
    rates = [_pass_rates(store, name) for name in (campaign, other)]
    for dimension in sorted(rates[0] | rates[1]):
        table.add_row(
            f"passes {dimension}", *(f"{each[dimension]:.0%}" if dimension in each else "" for each in rates)
        )
    console.print(table)
    one, two = (_embedded(store, each) for each in made)
    distance = kernel_distance_with_interval(one, two)
    differ = "they differ" if distance.chance < UNLIKELY else "no difference is shown"
    console.print(
        f"kernel distance of EfficientNet-Lite0 features: {distance.value:.4g} ({distance.low:.4g} to "
        f"{distance.high:.4g}), by chance in {distance.chance:.1%} of shuffles: {differ}"
    )
    if is_enough_for_frechet(one, two):
        console.print(f"Fréchet distance: {frechet_distance(one, two):.4g}")


def _pictures(store: Store, campaign: str) -> list[Candidate]:
    """The campaign's candidates whose pictures are there. Raises NotFound if they are too few."""
    load_campaign(PLACES.data, campaign)
    made = [each for each in load_candidates(store, campaign) if each.image_sha256]
    gone = expired_words(store, campaign, made)
    there = [each for each in made if each.candidate_id not in gone]
    if len(there) < FEWEST:
        raise NotFound(f"{campaign} has {len(there)} pictures, and a comparison takes {FEWEST}; make more")
    return there


def _pass_rates(store: Store, campaign: str) -> dict[str, float]:
    """The share of pictures that pass each judged dimension, of those it applies to."""
    passed: dict[str, list[bool]] = defaultdict(list)
    for score in load_scores(store, campaign):
        if score.verdict not in ("not judged", "not applicable"):
            passed[score.dimension].append(score.verdict == "passed")
    return {dimension: sum(each) / len(each) for dimension, each in passed.items()}


def _embedded(store: Store, candidates: Sequence[Candidate]) -> Embeddings:
    """Features of whole pictures, pictures × 1280. Raises MissingModel if the network is not here."""
    network = HeldModel(CHECKPOINTS, MODEL, Network).get()
    rows = []
    for each in track(candidates, "looking", console=Console(stderr=True), transient=True):
        pixels = decode(store.images.get(each.image_sha256 or "")).pixels
        whole = on_neutral(pixels, np.full(pixels.shape[:2], 255, np.uint8))
        if whole is not None:
            rows.append(network.embed(whole))
    return np.stack(rows)
