"""What the generation loop promises: the model never waits, nothing rendered is lost, all of it is told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from asset_pipeline import definitions
from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.glance import glance
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, newest
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.price import PerImage
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.progress import Progress, performance
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.candidates.request import Asked, OpenReference, Profile, Rendered
from asset_pipeline.candidates.shard import VISIBLE_DEVICES, device_of, take_device
from asset_pipeline.candidates.wanted import want_candidates
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.errors import NotFound, ProviderError, ProviderUnavailable
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import prompts_from, record_prompts
from asset_pipeline.providers.packshot import Packshot
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.drawing import Drawing, drawn
from asset_pipeline_tests.small_project import CAMPAIGN, draw_box, write_project
from asset_pipeline_tests.written_prompts import written_prompt

SPRING = "spring"
FREE = Profile(provider="drawing", title="Drawing")
PRICED = Profile(provider="drawing", title="Drawing", price=PerImage(unit="image", usd=0.25, source="a test"))


def prompt(number: int, text: str | None = None, *, side: int = 64, **parameters: Any) -> Prompt:
    return written_prompt(number, text, size=(side, side), **parameters)


def order(provider: Drawing, prompts: Sequence[Prompt] | int = 4, profile: Profile = FREE) -> Order:
    asked = [prompt(number) for number in range(prompts)] if isinstance(prompts, int) else prompts
    campaign = Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], "candidates_per_prompt": 1}
    )
    wanted = want_candidates(asked, campaign, profile, provider.version_of)
    return Order(SPRING, wanted, "drawing", profile, provider, budget_usd=100.0)


def run(store: Store, work: Order, run_id: str = "run-1", log: list[str] | None = None) -> Progress:
    with working(store, run_id) as worker:
        return produce(work, store, worker, (log if log is not None else []).append)


def attempts(store: Store) -> dict[str, Attempt]:
    return newest(store.events.read(ATTEMPTS, SPRING))


def of_batches(size: int, profile: Profile = FREE) -> Profile:
    return profile.model_copy(update={"batch_size": size})


@dataclass
class Model(Drawing):
    """A provider with one model on one device, which it loads when it first draws."""

    makers: int | None = 1
    load_seconds: float = 0.0
    loads: int = 0
    black: set[str] = field(default_factory=set)
    stop_at: int = 0
    """The picture at which someone presses Ctrl-C, from 1."""

    def observed(self) -> Mapping[str, Any]:
        return {
            "device": "pretended",
            "batch_size": max(self.batches, default=0),
            "model_load_seconds": self.loads * self.load_seconds,
            "embeddings_made": len(set(self.calls)),
        }

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        if not self.loads:
            self.loads += 1
            time.sleep(self.load_seconds)
        for asked, result in super().render(batch, open_reference):
            if len(self.calls) == self.stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            if asked.request.prompt in self.black:
                yield asked, Rendered(np.zeros((asked.request.height, asked.request.width, 3), np.uint8))
            else:
                yield asked, result


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


# What a provider is handed


def test_a_batch_is_of_one_shape_and_the_same_words_stay_together(store: Store) -> None:
    words = ["sand", "moss", "sand", "moss", "sand", "snow"]
    prompts = [prompt(number, text, side=64 + 64 * (number == 4)) for number, text in enumerate(words)]
    model = Model()
    work = order(model, prompts, of_batches(2))
    run(store, work)
    text_of = {each.candidate_id: each.prompt.text for each in work.wanted}
    assert [text_of[call] for call in model.calls] == ["sand", "sand", "moss", "moss", "snow", "sand"]
    assert model.batches == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("concurrency", "makers", "expected"),
    [(0, None, os.cpu_count()), (0, 1, 1), (3, None, 3), (3, 1, 1), (2, 5, 2)],
)
def test_as_many_makers_work_as_profile_and_provider_allow(
    concurrency: int, makers: int | None, expected: int
) -> None:
    profile = FREE.model_copy(update={"concurrency": concurrency})
    assert Lane("drawing", profile, Drawing(makers=makers)).makers == expected


def test_the_version_that_draws_with_a_prompts_own_parameters_is_in_its_candidates_name() -> None:
    asked_for: list[Mapping[str, Any]] = []

    @dataclass
    class Versioned(Drawing):
        def version_of(self, parameters: Mapping[str, Any]) -> str:
            asked_for.append(parameters)
            return super().version_of(parameters)

    prompts = [prompt(0), prompt(1), prompt(2, model="other")]
    wanted = order(Versioned(), prompts).wanted
    assert [each.provider_version for each in wanted] == ["1", "1", "1other"]
    assert wanted[0].asked.request.profile_fingerprint != wanted[2].asked.request.profile_fingerprint
    assert len(asked_for) == 2


@pytest.mark.parametrize(("profile", "claimed"), [(FREE, 4), (PRICED, 2)])
def test_what_is_free_is_claimed_one_batch_ahead_and_what_costs_money_when_it_is_its_turn(
    store: Store, profile: Profile, claimed: int
) -> None:
    found: list[int] = []

    @dataclass
    class Looking(Model):
        def render(
            self, batch: Sequence[Asked], open_reference: OpenReference
        ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
            time.sleep(0.3)
            found.append(len(store.events.names(ATTEMPTS, SPRING)))
            yield from super().render(batch, open_reference)

    run(store, order(Looking(), 6, of_batches(2, profile)))
    assert found[0] == claimed


# How it went


def test_model_time_over_wall_time_counts_neither_start_up_nor_loading(store: Store) -> None:
    model = Model(seconds=0.05, load_seconds=0.5)
    progress = run(store, order(model, 10, of_batches(4)))
    assert progress.observed["model_load_seconds"] == 0.5
    assert progress.provider_seconds >= 1.0
    assert progress.model_seconds == pytest.approx(progress.provider_seconds - 0.5)
    assert progress.startup_seconds > 0
    assert progress.making_seconds + progress.startup_seconds <= progress.wall_seconds
    assert 0.8 < progress.utilisation <= 1.0


def test_a_model_that_is_loaded_already_costs_the_next_run_no_loading(store: Store) -> None:
    model = Model(load_seconds=0.1)
    run(store, order(model, 2))
    later = run(store, order(model, 4), "run-2")
    assert later.observed["model_load_seconds"] == 0.0
    assert later.observed["embeddings_made"] == 2
    assert later.observed["device"] == "pretended"


def test_makers_that_wait_for_finishers_say_so_and_never_run_far_ahead(store: Store) -> None:
    ahead: list[int] = []

    @dataclass
    class Fast(Model):
        def render(
            self, batch: Sequence[Asked], open_reference: OpenReference
        ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
            for answer in super().render(batch, open_reference):
                settled = [name for name in store.events.names(ATTEMPTS, SPRING) if name.endswith("settled")]
                ahead.append(len(self.calls) - len(settled))
                yield answer

    progress = run(store, order(Fast(), [prompt(number, side=1024) for number in range(12)]))
    assert progress.queue_full_seconds > 0
    assert 4 <= max(ahead) <= 5


def test_a_run_ends_with_a_line_that_says_how_it_went(store: Store) -> None:
    log: list[str] = []
    run(store, order(Model(seconds=0.02)), log=log)
    assert log[0] == "4 images to make, 0 are there"
    assert log[-1].startswith("4 made, 0 refused, 0 failed, 0 were there, of 4; $0.00; ")
    assert "images/s, model time" in log[-1]
    run(store, order(Model()), "run-2", log)
    assert log[-1] == "0 made, 0 refused, 0 failed, 4 were there, of 4; $0.00"


def summary(started_at: float, wall_seconds: float, **fields: Any) -> dict[str, Any]:
    progress = Progress(started_at=started_at, wall_seconds=wall_seconds, made=10)
    progress.making_seconds = wall_seconds
    progress.provider_seconds = wall_seconds / 2
    return progress.summary() | fields


def test_shards_side_by_side_are_faster_than_one_after_the_other() -> None:
    one_by_one = performance([summary(0.0, 10.0), summary(10.0, 10.0)])
    assert (one_by_one["seconds"], one_by_one["images per second"]) == (20.0, 1.0)
    together = performance([summary(0.0, 10.0), summary(0.5, 10.0)])
    assert (together["seconds"], together["model time over wall time"]) == (10.5, 0.5)


def test_what_shards_observed_is_added_up_where_it_is_a_total() -> None:
    seen = [
        summary(0.0, 1.0, observed={"out_of_memory": 1, "memory_peak_bytes": 7, "device": "cuda:0"}),
        summary(0.0, 1.0, observed={"out_of_memory": 2, "memory_peak_bytes": 5, "device": "cuda:1"}),
    ]
    together = performance(seen)
    assert (together["out of memory"], together["memory peak bytes"]) == (3, 7)
    assert together["device"] == "cuda:0, cuda:1"


def test_a_run_that_made_nothing_has_no_performance() -> None:
    assert performance([Progress(wanted=4, reused=4).summary()]) == {}


# What the finishers see


def test_each_picture_is_kept_with_the_cheap_measures_of_its_reduced_copy(store: Store) -> None:
    run(store, order(Model(), [prompt(0, side=640)]))
    (attempt,) = attempts(store).values()
    measures = attempt.details["glance"]
    assert attempt.details["drawn"] is True
    assert 120 < measures["mean_luminance"] < 135
    assert measures["spread"] > 10
    assert measures["sharpness"] > 100
    assert measures["clipped"] < 0.01


def test_the_measures_tell_a_sharp_picture_from_a_soft_one_and_a_clipped_one() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::8] = 250
    soft = np.repeat(np.linspace(20, 230, 256).astype(np.uint8)[None, :, None], 256, 0).repeat(3, 2)
    assert glance(stripes).sharpness > 100 * glance(soft).sharpness
    assert glance(stripes).clipped == pytest.approx(7 / 8)
    assert glance(soft).clipped == 0.0
    assert glance(soft).mean_luminance == pytest.approx(125, abs=1)


def test_the_reduced_copy_is_the_mean_of_its_areas_by_the_longer_side() -> None:
    pixels = np.zeros((512, 2048, 3), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = 250
    seen = glance(pixels)
    assert (seen.clipped, seen.spread) == (0.0, 0.0)
    assert seen.mean_luminance == pytest.approx(125, abs=1)


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 127, 129), (255, 255, 255)])
def test_a_picture_of_one_flat_colour_shows_nothing(colour: tuple[int, int, int]) -> None:
    flat = np.full((600, 800, 3), colour, np.uint8)
    flat[::2, ::2] -= np.uint8(1) if colour[0] else np.uint8(0)
    found = glance(flat).flat_colour
    assert found is not None
    assert np.abs(np.subtract(found, colour)).max() <= 1


def test_a_black_picture_is_refused_with_the_reason_and_kept_out(store: Store) -> None:
    model = Model(black={"picture 1"})
    progress = run(store, order(model, 3, PRICED))
    (refused,) = [each for each in attempts(store).values() if each.state == "refused"]
    assert (progress.made, progress.refused) == (2, 1)
    assert str(refused.reason).startswith("the picture is one flat colour (0, 0, 0)")
    assert refused.image_sha256 is None
    assert refused.details["glance"]["mean_luminance"] == 0.0
    assert progress.cost_usd == 0.75  # it was made, and has to be paid
    assert len(list(Path(store.files.root, "images").rglob("*.webp"))) == 2 + 1  # two pictures and their mask
    assert run(store, order(model, 3, PRICED), "run-2").made == 0


def test_a_product_on_pure_white_is_a_picture(tmp_path: Path, store: Store) -> None:
    draw_box(tmp_path / "box.png", 1)
    photograph = store.images.put((tmp_path / "box.png").read_bytes(), "png")
    reference = {
        "role": "base", "sha256": photograph, "media_type": "image/png", "width": 900, "height": 900
    }  # fmt: skip
    work = order(Drawing(), [prompt(0, side=512)])
    request = work.wanted[0].asked.request.model_copy(update={"references": ()})
    request = type(request).model_validate(request.model_dump() | {"references": [reference]})
    asked = Asked(request, {"mode": "marketplace"})
    ((_, rendered),) = Packshot().render([asked], store.images.get)
    assert isinstance(rendered, Rendered)
    assert glance(rendered.pixels).flat_colour is None
    assert glance(rendered.pixels).clipped > 0.2


def test_what_is_stored_is_what_was_rendered(store: Store) -> None:
    work = order(Model(), 3, of_batches(2))
    run(store, work)
    for each in work.wanted:
        sha256 = attempts(store)[each.candidate_id].image_sha256 or ""
        assert store.images.get(sha256) == lossless_webp(drawn(each.asked))


# Interruptions


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell that starts the tests in its background has them ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("size", [1, 8])
def test_an_interrupted_run_finishes_what_was_rendered_and_begins_nothing_new(
    store: Store, size: int
) -> None:
    model = Model(seconds=0.05, stop_at=3)
    work = order(model, 20, of_batches(size))
    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(store, work, log=log)
    settled = Counter(each.state for each in attempts(store).values())
    assert 3 <= len(model.calls) <= 5
    assert settled["succeeded"] == len(model.calls)
    assert log[-1].startswith(f"{len(model.calls)} made")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("maker", "finisher"))]
    model.stop_at = 0
    assert run(store, work, "run-2").made == 20 - settled["succeeded"]
    assert Counter(model.calls).most_common(1)[0][1] == 1


def test_a_provider_that_breaks_off_in_a_batch_fails_the_rest_of_it_and_no_other(store: Store) -> None:
    model = Model(bugs={"picture 1"})
    with pytest.raises(ExceptionGroup):
        run(store, order(model, 6, of_batches(3)))
    states = {
        name: attempts(store)[each.candidate_id].state
        for each in order(model, 6).wanted
        for name in [each.prompt.text]
    }
    assert [states[f"picture {number}"] for number in range(6)] == [
        "succeeded", "failed", "failed", "succeeded", "succeeded", "succeeded"
    ]  # fmt: skip


def test_a_run_that_gives_up_says_what_it_made(store: Store) -> None:
    down: dict[str, ProviderError] = {
        f"picture {number}": ProviderUnavailable("down") for number in range(2, 9)
    }
    log: list[str] = []
    with pytest.raises(ProviderUnavailable):
        run(store, order(Model(failures=down), 9), log=log)
    assert log[-1].startswith("2 made")


# In Dagster


def a_project_with_prompts(folder: Path, campaigns: Sequence[str]) -> definitions.Places:
    """Two products and the recorded prompts of each campaign, four pictures in all for each."""
    texts = {each: CAMPAIGN.replace("Boxes", each).replace("prompt: 2", "prompt: 1") for each in campaigns}
    data = write_project(folder, products=2, campaigns=texts)
    places = definitions.Places.of({"ASSET_PIPELINE_DATA": str(data)})
    store = definitions.open_store(places, definitions.s3_resource({}))
    products = read_catalog(data / "catalog").products
    for each in campaigns:
        record_prompts(store, each, prompts_from(products, data, each), run_id="before")
    return places


def make_candidates(
    places: definitions.Places, model: Model, campaigns: Sequence[str], *, shards: int = 1
) -> dg.ExecuteInProcessResult:
    """One run of the candidates of all these campaigns, as a single-run backfill starts it."""
    defs = definitions.build(places, {"ASSET_PIPELINE_BACKFILL": "single_run"}, {"packshot": model})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", list(campaigns))
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("candidates")],
            tags={
                "dagster/asset_partition_range_start": campaigns[0],
                "dagster/asset_partition_range_end": campaigns[-1],
            },
            run_config={
                "ops": {"candidates": {"ops": {"plan_shards": {"config": {"shards": shards}}}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )


def test_one_model_load_serves_all_shards_of_all_campaigns_of_a_single_run_backfill(tmp_path: Path) -> None:
    places = a_project_with_prompts(tmp_path, ["autumn", "winter"])
    model = Model(name="packshot", load_seconds=0.01)
    result = make_candidates(places, model, ["autumn", "winter"], shards=2)
    assert result.success
    assert (model.loads, len(model.calls)) == (1, 8)
    made = {event.partition: event.materialization for event in result.get_asset_materialization_events()}
    assert made.keys() == {"autumn", "winter"}
    assert {each.metadata["made in this run"].value for each in made.values()} == {4}
    assert made["autumn"].metadata["device"].value == "pretended"
    assert "model time over wall time" in made["winter"].metadata
    store = definitions.open_store(places, definitions.s3_resource({}))
    assert [len(load_candidates(store, each)) for each in ("autumn", "winter")] == [4, 4]


def test_a_terminated_run_keeps_what_was_rendered(tmp_path: Path) -> None:
    places = a_project_with_prompts(tmp_path, ["autumn"])
    model = Model(name="packshot", seconds=0.05, stop_at=2)
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        make_candidates(places, model, ["autumn"])
    store = definitions.open_store(places, definitions.s3_resource({}))
    ends = [event.body.state for event in store.events.read(ATTEMPTS, "autumn")]
    assert ends.count("succeeded") == len(model.calls) < 4
    model.stop_at = 0
    assert make_candidates(places, model, ["autumn"]).success
    assert len(model.calls) == 4


def test_a_project_and_its_commands_load_without_torch() -> None:
    code = "import asset_pipeline.cli, sys; print({'torch', 'diffusers', 'open_clip'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# Devices


@pytest.mark.parametrize(
    ("index", "named", "installed", "expected"),
    [
        (0, None, 4, "0"),
        (5, None, 4, "1"),
        (1, "6,7", 8, "7"),
        (2, "GPU-a,GPU-b", 0, "GPU-a"),
        (1, None, 1, None),
        (1, None, 0, None),
        (1, "3", 8, None),
        (1, "", 8, None),
    ],
)
def test_shards_share_out_the_devices_in_turn(
    index: int, named: str | None, installed: int, expected: str | None
) -> None:
    environ = {} if named is None else {VISIBLE_DEVICES: named}
    assert device_of(index, environ, installed=installed) == expected


def test_a_process_keeps_the_device_of_its_first_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE_DEVICES, "4,5,6")
    take_device(1)
    take_device(2)
    assert os.environ[VISIBLE_DEVICES] == "5"


def test_an_unknown_way_to_backfill_is_answered_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="run_per_campaign, single_run"):
        definitions.backfill_policy({"ASSET_PIPELINE_BACKFILL": "nonsense"})
