"""``asset-pipeline like``: controlled variations of a picture, as a campaign of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from asset_pipeline.audit.story import Story
from asset_pipeline.candidates.jobs.attempt import FINAL
from asset_pipeline.candidates.likeness import Parent, Wish, differences
from asset_pipeline.candidates.profile import objections
from asset_pipeline.candidates.records import load_attempts
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import load_photograph_files, recorded_photographs
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.commands.variations import Means, Variations, find_picture, vary, write_campaign
from asset_pipeline.definitions import PLACES, PROVIDERS
from asset_pipeline.errors import InvalidFile
from asset_pipeline.store.store import Store

MOST_SEEDS = 64
"""As many as a campaign can ask of a prompt."""
SHOWN = 20


@click.command()
@click.argument("what")
@click.option("--vary", multiple=True, metavar="VARIABLE=WORDS", help="Other words for a variable; several.")
@click.option(
    "--seed", default=0, type=click.IntRange(0, MOST_SEEDS), help="Draw each with so many new seeds."
)
@click.option("--count", type=click.IntRange(min=1), help="At most so many pictures: the first combinations.")
@click.option("--campaign", help="Whose picture it is, if several campaigns have it.")
@click.option("--name", help="The new campaign's name; made from what is asked if not given.")
@click.option("--allow-changed", is_flag=True, help="Go on though more has changed than what varies.")
@click.option("--run", is_flag=True, help="Make the pictures, too.")
@click.pass_context
def like(context: click.Context, /, what: str, **asked: Any) -> None:
    """Write a campaign of variations of a picture: what is not varied stays exactly as it was.

    WHAT is an exported file, a SHA-256 or an asset's id. Makes nothing without --run.
    """
    store = the_store()
    catalog = read_catalog(
        PLACES.data / "catalog", known=load_photograph_files(store), remote=recorded_photographs(store)
    )
    means = Means(store, PLACES.data, PLACES.exports, PROVIDERS, catalog.products)
    parent, story = find_picture(means, what, asked["campaign"])
    wish = Wish(values(asked["vary"]), asked["seed"], asked["count"])
    variations = vary(means, parent, wish, name=asked["name"], allow_changed=asked["allow_changed"])
    path, is_new = write_campaign(PLACES.data, variations)
    _tell(store, parent, story, variations)
    console.print(f"{'wrote' if is_new else 'there already:'} {path}", markup=False)
    if asked["run"]:
        root = context.find_root().command
        if isinstance(root, click.Group):
            context.invoke(root.commands["run"], campaigns=[variations.campaign_id], afresh=False, shards=1)
    else:
        console.print(f"to make them: asset-pipeline run {variations.campaign_id}", markup=False)


def values(vary: Sequence[str]) -> dict[str, list[str]]:
    """What ``--vary`` says: words by variable. Raises InvalidFile with an example."""
    found: dict[str, list[str]] = {}
    for each in vary:
        name, _, words = each.partition("=")
        if not name.strip() or not words.strip():
            raise InvalidFile(
                f"--vary {each!r}: write a variable and its words: --vary light='light from above'"
            )
        found.setdefault(name.strip(), []).append(words.strip())
    return found


def _tell(store: Store, parent: Parent, story: Story, variations: Variations) -> None:
    """The picture, what its variations differ in, and what making them costs."""
    candidate, choice, order = parent.candidate, story.choice, variations.order
    state = choice.state.replace("_", " ") if choice else "not judged yet"
    about = f"{candidate.sku}, {candidate.asset_type}, {candidate.locale}"
    lines = [f"like {candidate.candidate_id} of {parent.campaign_id} ({about}), which is {state}"]
    if choice is None or choice.state != "approved":
        lines.append(f"note: it is not approved: {choice.reasons[0] if choice and choice.reasons else state}")
    lines += [f"note: changed since, besides what varies: {each}" for each in variations.changed]
    lines += [
        f"  {wanted.candidate_id}  {', '.join(differences(parent, wanted))}"
        for wanted in order.wanted[:SHOWN]
    ]
    if len(order.wanted) > SHOWN:
        lines.append(f"  and {len(order.wanted) - SHOWN} more")
    attempts = load_attempts(store, variations.campaign_id)
    made = sum(
        each.candidate_id in attempts and attempts[each.candidate_id].state in FINAL for each in order.wanted
    )
    missing = len(order.wanted) - made
    cost = missing * order.most_usd
    lines.append(f"{missing} to make with {order.profile_name} for ${cost:.2f}, {made} are there")
    today = datetime.now(UTC).date()
    lines += [
        f"a run would not start: {each}" for each in objections(variations.campaign, order.profile, today)
    ]
    for line in lines:
        console.print(line, markup=False)
