"""What starts by itself, and what does not."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline import automation, definitions
from asset_pipeline.automation import Seen, requests_for
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, Call, event_name, takeover_name
from asset_pipeline.candidates.jobs.job import Job, RemoteParameters
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.decisions.decision import Decision
from asset_pipeline.decisions.records import decide
from asset_pipeline.prompts.records import prompts_from, record_prompts
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import HEARTBEATS, Heartbeat, Worker
from asset_pipeline_tests.small_project import CAMPAIGN, add_products, write_project

states = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z"]))


def test_a_campaign_that_is_seen_for_the_first_time_starts_nothing() -> None:
    assert requests_for(Seen(), {"a": "x"})[1] == []


def test_a_changed_campaign_runs_once_and_going_back_is_a_change_of_its_own() -> None:
    seen, _ = requests_for(Seen(), {"a": "x", "b": "x"})
    seen, changed = requests_for(seen, {"a": "y", "b": "x"})
    seen, unchanged = requests_for(seen, {"a": "y", "b": "x"})
    seen, back = requests_for(seen, {"a": "x", "b": "x"})
    assert changed == [("a", "a:y:1")]
    assert unchanged == []
    assert back == [("a", "a:x:2")]


@given(st.lists(states, max_size=8))
def test_no_run_key_is_ever_used_twice(history: list[dict[str, str]]) -> None:
    seen, keys = Seen(), []
    for now in history:
        seen, requests = requests_for(seen, now)
        keys += [key for _, key in requests]
    assert len(keys) == len(set(keys))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_project(
        tmp_path,
        campaigns={
            "boxes": CAMPAIGN,
            "others": CAMPAIGN.replace("title: Boxes", "title: Others\nproducts: {skus: [BOX-0000]}"),
        },
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def look(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, data: Path, cursor: str | None = None
) -> dg.SensorResult:
    places = definitions.Places.of({"ASSET_PIPELINE_DATA": str(data)})
    store = definitions.open_store(places, definitions.s3_resource({}))
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"data": data, "store": store},
        definitions=definitions.defs,
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def runs(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def begin(data: Path, *campaigns: str) -> None:
    """Record the campaigns' prompts, as their first run does."""
    store = Store(str(data / "store"))
    for campaign in campaigns:
        record_prompts(
            store,
            campaign,
            prompts_from(read_catalog(data / "catalog").products, data, campaign),
            run_id="first",
        )


def settle(instance: dg.DagsterInstance, data: Path, cursor: str | None) -> dg.SensorResult:
    """Two looks: the first sees that files have changed, the second that they rest."""
    waiting = look(automation.product_feeds, instance, data, cursor)
    assert runs(waiting) == []
    return look(automation.product_feeds, instance, data, waiting.cursor)


def test_a_campaign_file_becomes_a_partition(instance: dg.DagsterInstance, data: Path) -> None:
    (request,) = look(automation.campaign_files, instance, data).dynamic_partitions_requests or []
    assert sorted(request.partition_keys) == ["boxes", "others"]


def test_new_rows_start_the_campaigns_that_want_them_and_no_others(
    instance: dg.DagsterInstance, data: Path
) -> None:
    begin(data, "boxes", "others")
    first = settle(instance, data, None)
    assert runs(first) == []
    add_products(data, range(3, 8))
    assert runs(settle(instance, data, first.cursor)) == ["boxes"]


def test_a_campaign_that_nobody_has_run_yet_is_not_started_by_new_rows(
    instance: dg.DagsterInstance, data: Path
) -> None:
    cursor = settle(instance, data, None).cursor
    add_products(data, range(3, 8))
    assert runs(settle(instance, data, cursor)) == []


def test_a_burst_of_edits_makes_one_run(instance: dg.DagsterInstance, data: Path) -> None:
    begin(data, "boxes")
    cursor = settle(instance, data, None).cursor
    started: list[str | None] = []
    for number in range(3, 6):
        add_products(data, range(number, number + 1))
        result = look(automation.product_feeds, instance, data, cursor)
        cursor = result.cursor
        started += runs(result)
        time.sleep(0.01)
    for _ in range(3):
        result = look(automation.product_feeds, instance, data, cursor)
        cursor = result.cursor
        started += runs(result)
    assert started == ["boxes"]


def test_a_feed_that_is_sent_again_or_a_price_that_changes_starts_nothing(
    instance: dg.DagsterInstance, data: Path
) -> None:
    cursor = settle(instance, data, None).cursor
    feed = data / "catalog" / "products.csv"
    time.sleep(0.01)
    feed.write_text(feed.read_text())
    again = settle(instance, data, cursor)
    feed.write_text(feed.read_text().replace("9.99", "11.49"))
    dearer = settle(instance, data, again.cursor)
    assert runs(again) == runs(dearer) == []


def test_decisions_start_a_delivery_and_old_ones_do_not(instance: dg.DagsterInstance, data: Path) -> None:
    store = Store(str(data / "store"))
    yes = Decision(candidate_id="c1", image_sha256="a" * 64, verdict="approve", reviewer="anna")
    decide(store, "boxes", yes)
    first = look(automation.new_decisions, instance, data)
    assert runs(first) == []
    decide(store, "boxes", yes.model_copy(update={"verdict": "reject"}))
    second = look(automation.new_decisions, instance, data, first.cursor)
    assert runs(second) == ["boxes"]
    assert runs(look(automation.new_decisions, instance, data, second.cursor)) == []


# What a provider has and nobody waits for


def left_at_a_provider(store: Store, *, alive: bool) -> Attempt:
    """An attempt that was sent, by a run that is gone unless it is said to be alive."""
    me = psutil.Process()
    worker = Worker(
        worker_id="w1",
        host="elsewhere",
        pid=me.pid,
        started=0.0,
        run_id="run-0",
    )
    job = Job(
        request=ImageRequest(prompt="a", width=64, height=64, seed=1, profile_fingerprint="f"),
        attempt=1,
        campaign="boxes",
        profile="painter",
        parameters=RemoteParameters(),
        client_id="00000000-0000-4000-8000-000000000001",
    )
    call = Call(
        provider="cog", account="cog", base_url="http://127.0.0.1:1", job=job, sent_at=datetime.now(UTC)
    )
    attempt = Attempt(
        candidate_id="c1",
        attempt=1,
        state="submitting",
        run_id="run-0",
        worker=worker,
        profile="painter",
        call=call,
    )
    store.events.append(ATTEMPTS, "boxes", event_name(attempt), attempt)
    if alive:
        store.events.append(HEARTBEATS, "w1", "00000000", Heartbeat(worker=worker))
    return attempt


def test_a_run_is_started_for_what_a_provider_has_and_nobody_waits_for(
    data: Path, instance: dg.DagsterInstance
) -> None:
    store = Store(str(data / "store"))
    assert look(automation.abandoned_attempts, instance, data).run_requests == []
    attempt = left_at_a_provider(store, alive=False)
    first = look(automation.abandoned_attempts, instance, data).run_requests or []
    again = look(automation.abandoned_attempts, instance, data).run_requests or []
    assert [each.partition_key for each in first] == ["boxes"]
    assert first[0].run_key == again[0].run_key
    taken = attempt.model_copy(update={"handover": 1})
    store.events.append(ATTEMPTS, "boxes", takeover_name(taken), taken)
    later = look(automation.abandoned_attempts, instance, data).run_requests or []
    assert later[0].run_key != first[0].run_key
    ended = taken.model_copy(update={"state": "lost"})
    store.events.append(ATTEMPTS, "boxes", event_name(ended), ended)
    assert look(automation.abandoned_attempts, instance, data).run_requests == []


def test_what_a_living_run_waits_for_starts_nothing(data: Path, instance: dg.DagsterInstance) -> None:
    store = Store(str(data / "store"))
    left_at_a_provider(store, alive=True)
    assert look(automation.abandoned_attempts, instance, data).run_requests == []


def test_an_urgent_campaign_is_taken_first_from_dagsters_queue(data: Path) -> None:
    file = data / "campaigns" / "boxes.yaml"
    assert automation.run_tags(data, "boxes") == {"dagster/priority": "0"}
    file.write_text(file.read_text() + "priority: interactive\n")
    assert automation.run_tags(data, "boxes") == {"dagster/priority": "2"}
