"""What starts by itself: campaign files become partitions, changed feeds and new decisions become runs.

Every sensor is idempotent: a run's key is made from what changed and a revision, so that the same state is
never run twice, and going back to an earlier state is a change like any other.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from asset_pipeline.campaign.brief import campaign_ids, load_campaign
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.abandoned import abandoned
from asset_pipeline.catalog.feed_files import catalog_fingerprint
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import load_photograph_files, recorded_photographs
from asset_pipeline.decisions.decision import DECISIONS
from asset_pipeline.errors import PipelineError
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.records import PROMPTS, prompts_from
from asset_pipeline.store.store import Store

PRIORITIES = {"low": -1, "normal": 0, "high": 1, "interactive": 2}
"""Dagster's numbers for a campaign's priority: the higher goes first."""


class Seen(BaseModel):
    """What a sensor knew at its last evaluation: its cursor."""

    folder: str = ""
    """The catalog folder's names, sizes and times at the last look."""
    settled: str = ""
    """The same at the last look that was acted upon."""
    states: dict[str, str] = {}
    """What each campaign is made from, as a hash."""
    revisions: dict[str, int] = {}
    """How often that has changed."""


def requests_for(seen: Seen, states: dict[str, str]) -> tuple[Seen, list[tuple[str, str]]]:
    """Which campaigns need a run: those whose state is another than when it was last seen.

    A campaign that is seen for the first time needs none: what it starts from is nobody's change.

    Returns:
        What is known now, and campaign and run key of each run.
    """
    requests, revisions = [], dict(seen.revisions)
    for campaign_id, state in sorted(states.items()):
        if campaign_id in seen.states and seen.states[campaign_id] != state:
            revisions[campaign_id] = revisions.get(campaign_id, 0) + 1
            requests.append((campaign_id, f"{campaign_id}:{state[:16]}:{revisions[campaign_id]}"))
    return seen.model_copy(update={"states": seen.states | states, "revisions": revisions}), requests


def prompt_states(
    products: Sequence[Product], data: Path, campaign_ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """What each campaign is made from: the hash of its prompts' names, which are made from their contents.

    A changed price changes nothing here unless a template speaks of it. Campaigns whose files are wrong are
    left out; their own runs say what is wrong with them.
    """
    for campaign_id in campaign_ids:
        try:
            written = prompts_from(products, data, campaign_id)
        except PipelineError:
            continue
        yield campaign_id, fingerprint([prompt.prompt_id for prompt in written.prompts])


def run_tags(data: Path, campaign_id: str) -> dict[str, str]:
    """The tag by which Dagster's queue takes urgent campaigns first; none for a file that is wrong."""
    try:
        priority = load_campaign(data, campaign_id).priority
    except PipelineError:
        return {}
    return {"dagster/priority": str(PRIORITIES[priority])}


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def campaign_files(context: dg.SensorEvaluationContext, data: dg.ResourceParam[Path]) -> dg.SensorResult:
    """Makes every file in data/campaigns a partition."""
    known = set(context.instance.get_dynamic_partitions("campaigns"))
    new = [campaign_id for campaign_id in campaign_ids(data) if campaign_id not in known]
    if not new:
        return dg.SensorResult(skip_reason="every campaign file is a partition")
    return dg.SensorResult(dynamic_partitions_requests=[campaigns.build_add_request(new)])


@dg.sensor(
    job_name="campaign",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def product_feeds(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.SensorResult:
    """Runs the campaigns whose prompts change when the feeds in data/catalog change.

    A campaign that nobody has materialised yet is left alone: its first run is a person's decision.
    """
    seen = Seen.model_validate_json(context.cursor or "{}")
    folder = catalog_fingerprint(data / "catalog")
    if folder == seen.settled:
        return dg.SensorResult(skip_reason="no file has changed", cursor=context.cursor)
    if folder != seen.folder:
        waiting = seen.model_copy(update={"folder": folder})
        return dg.SensorResult(
            skip_reason="files are changing; waiting until they rest", cursor=waiting.model_dump_json()
        )
    products = read_catalog(
        data / "catalog", known=load_photograph_files(store), remote=recorded_photographs(store)
    ).products
    begun = [campaign for campaign in campaign_ids(data) if store.facts.materialisations(PROMPTS, campaign)]
    seen, requests = requests_for(seen, dict(prompt_states(products, data, begun)))
    seen = seen.model_copy(update={"settled": folder})
    runs = [
        dg.RunRequest(
            run_key=key,
            partition_key=campaign_id,
            tags={"started_by": "product_feeds"} | run_tags(data, campaign_id),
        )
        for campaign_id, key in requests
    ]
    return dg.SensorResult(run_requests=runs, cursor=seen.model_dump_json())


@dg.sensor(
    job_name="delivery",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def new_decisions(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.SensorResult:
    """Selects and exports again when people have decided."""
    counts = {
        campaign_id: len(store.events.names(DECISIONS, campaign_id)) for campaign_id in campaign_ids(data)
    }
    before: dict[str, int] = json.loads(context.cursor or json.dumps(counts))
    runs = [
        dg.RunRequest(
            run_key=f"{campaign_id}:decisions:{count}",
            partition_key=campaign_id,
            tags={"started_by": "new_decisions"} | run_tags(data, campaign_id),
        )
        for campaign_id, count in counts.items()
        if count > before.get(campaign_id, 0)
    ]
    return dg.SensorResult(run_requests=runs, cursor=json.dumps(counts))


@dg.sensor(
    job_name="campaign",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def abandoned_attempts(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], data: dg.ResourceParam[Path]
) -> dg.SensorResult:
    """Runs campaigns whose run ended while a provider had pictures of theirs, before it forgets them."""
    runs = []
    for campaign_id in campaign_ids(data):
        left = abandoned(store, campaign_id)
        if left:
            state = fingerprint([(each.candidate_id, each.attempt, each.handover) for each in left])
            key = f"{campaign_id}:abandoned:{state[:16]}"
            tags = {"started_by": "abandoned_attempts"} | run_tags(data, campaign_id)
            runs.append(dg.RunRequest(run_key=key, partition_key=campaign_id, tags=tags))
    return dg.SensorResult(run_requests=runs, cursor=context.cursor)


SENSORS = (campaign_files, product_feeds, new_decisions, abandoned_attempts)
