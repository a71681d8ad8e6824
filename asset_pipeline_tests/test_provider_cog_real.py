"""The adapter on Cog's own server: what its description leaves out, as the server really does it."""

import base64
import io
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from PIL import Image

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderBusy, ProviderRefused, ProviderUnavailable, SubmissionUnknown
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.providers.cog import Cog
from asset_pipeline_tests.peers.cog_server import CogServer
from asset_pipeline_tests.peers.cog_server import cog_server as start_cog_server
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.listener import listening
from asset_pipeline_tests.vendors.server import picture

ADAPTER = Cog()
PHOTOGRAPH = picture(16, 16, 3)
BASE = ImageReference(role="base", sha256=sha256_of(PHOTOGRAPH), media_type="image/png", width=16, height=16)
PARAMETERS = {"fields": {"negative_prompt": "negative_prompt"}, "references": {"base": "image"}}
NOBODY = "http://127.0.0.1:9/webhooks/cog/token"
_PATIENCE = 10.0


@pytest.fixture
def server(cog_server: CogServer) -> CogServer:
    return cog_server


def wire_to(server: CogServer) -> Wire:
    return Wire("Cog", Endpoint(base_url=server.url))


def job(seed: int, *, seconds: float = 0.0, webhook_url: str | None = None, run_seconds: float = 30.0) -> Job:
    parameters = {**PARAMETERS, "native": {"seconds": seconds}}
    changes = {"webhook_url": webhook_url, "run_seconds": run_seconds}
    return job_for(parameters, seed=seed, references=(BASE,)).model_copy(update=changes)


def send(server: CogServer, one: Job) -> Standing:
    uri = f"data:image/png;base64,{base64.b64encode(PHOTOGRAPH).decode()}"
    with wire_to(server) as wire:
        return ADAPTER.submit(wire, one, ADAPTER.draft(one, {BASE.sha256: uri}), {})


def ran(server: CogServer, seed: int) -> int:
    """How often the model really began to draw with a seed."""
    return sum(entry["seed"] == seed for entry in server.ran)


def wait_until(server: CogServer, *, drawing: int | None = None) -> None:
    """Until the model draws with a seed, or until it draws nothing."""
    until = time.monotonic() + _PATIENCE
    while (not ran(server, drawing)) if drawing else server.health == "BUSY":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_answer_is_the_picture_and_the_photograph_arrived(server: CogServer) -> None:
    over = send(server, job(9001))
    [output] = over.outputs
    assert Image.open(io.BytesIO(output.data or b"")).size == (128, 64)
    assert (over.usage.seconds or 0.0) > 0
    [entry] = [entry for entry in server.ran if entry["seed"] == 9001]
    assert entry["image"] == BASE.sha256


def test_a_prediction_is_looked_at_as_often_as_one_likes_and_drawn_once(server: CogServer) -> None:
    with listening() as listener, wire_to(server) as wire:
        one = job(9002, seconds=0.5, webhook_url=listener.url)
        accepted = send(server, one)
        assert accepted.state == "queued"
        ticket = accepted.ticket or Ticket(job_id="")
        states = []
        while not listener.heard:
            states.append(ADAPTER.look(wire, one, ticket).state)
        over = ADAPTER.heard(one, listener.heard[0].json(), {})
        assert over is not None
        assert (over.state, len(over.outputs)) == ("succeeded", 1)
        assert "running" in states
        assert ADAPTER.look(wire, one, ticket).state == "lost"
        assert ADAPTER.find(wire, one, datetime.now(UTC)) is None
        assert len(listener.heard) == 1
    assert ran(server, 9002) == 1


def test_an_answer_that_breaks_off_cancels_the_prediction_and_leaves_nothing_to_find(
    server: CogServer,
) -> None:
    one = job(9003, seconds=20, run_seconds=2)
    with pytest.raises(SubmissionUnknown):
        send(server, one)
    wait_until(server)
    with wire_to(server) as wire:
        assert ADAPTER.find(wire, one, datetime.now(UTC)) is None
    assert ran(server, 9003) == 1


def test_a_submission_whose_answer_was_lost_is_found_while_it_runs(server: CogServer) -> None:
    one = job(9004, seconds=20, webhook_url=NOBODY)
    send(server, one)
    wait_until(server, drawing=9004)
    with wire_to(server) as wire:
        found = ADAPTER.find(wire, one, datetime.now(UTC))
        assert found is not None
        assert found.ticket is not None
        assert ADAPTER.cancel(wire, one, found.ticket)
        wait_until(server)
        assert not ADAPTER.cancel(wire, one, found.ticket)
    assert ran(server, 9004) == 1


def test_one_place_takes_one_prediction(server: CogServer) -> None:
    one = job(9005, seconds=20, webhook_url=NOBODY)
    send(server, one)
    wait_until(server, drawing=9005)
    with pytest.raises(ProviderBusy):
        send(server, job(9006))
    with wire_to(server) as wire:
        ADAPTER.cancel(wire, one, Ticket(job_id=one.client_id))
    wait_until(server)
    assert (ran(server, 9005), ran(server, 9006)) == (1, 0)


def test_an_input_that_the_model_does_not_allow_is_refused(server: CogServer) -> None:
    large = job_for({"references": {}, "may_drop": ["references"]}, seed=9007, width=4096)
    with wire_to(server) as wire, pytest.raises(ProviderRefused, match="width"):
        ADAPTER.submit(wire, large, ADAPTER.draft(large, {}), {})
    assert ran(server, 9007) == 0


def test_a_worker_that_is_killed_fails_its_prediction_and_breaks_the_server(tmp_path: Path) -> None:
    with start_cog_server(tmp_path) as server, listening() as listener:
        one = job(9008, seconds=20, webhook_url=listener.url)
        send(server, one)
        wait_until(server, drawing=9008)
        for process in psutil.Process(server.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        [delivery] = listener.wait_for(1)
        over = ADAPTER.heard(one, delivery.json(), {})
        assert over is not None
        assert over.failure is not None
        assert (over.state, over.failure.code) == ("failed", "model_error")
        with wire_to(server) as wire:
            assert ADAPTER.look(wire, one, Ticket(job_id=one.client_id)).state == "lost"
        with pytest.raises(ProviderUnavailable, match="restart the server") as caught:
            send(server, job(9009))
        assert not isinstance(caught.value, ProviderBusy)
        assert (ran(server, 9008), ran(server, 9009)) == (1, 0)
