"""What the real services that tests rely on do: make pictures, fail as ordered, and leave nothing behind."""

import base64
import io
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from asset_pipeline_tests.peers import process
from asset_pipeline_tests.peers.cog_server import CogServer
from asset_pipeline_tests.peers.cog_server import cog_server as start_cog_server
from asset_pipeline_tests.peers.painting import Painting
from asset_pipeline_tests.peers.process import PeersNotInstalled, program
from asset_pipeline_tests.peers.replicate_validator import ReplicateValidator
from asset_pipeline_tests.peers.runpod_worker import RunpodWorker
from asset_pipeline_tests.peers.runpod_worker import runpod_worker as start_runpod_worker
from asset_pipeline_tests.peers.sdk import run_sdk

PATIENCE = 20.0


def until(true: Callable[[], Any]) -> Any:
    """What `true` answers, once it is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def picture(data_url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2])))


def prompt(orders: str = "") -> str:
    """One that no other test uses, as peers are shared."""
    return f"a mug {secrets.token_hex(4)} {orders}"


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes webhooks and answers with `status`."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/hook", received
        http.shutdown()


# What they draw


def test_a_painting_is_the_same_for_the_same_request_and_another_for_any_other() -> None:
    assert Painting.of("a", 40, 24, 7).png() == Painting.of("a", 40, 24, 7).png()
    others = [Painting.of("b", 40, 24, 7), Painting.of("a", 40, 24, 8), Painting.of("a", 24, 40, 7)]
    assert len({each.png() for each in [Painting.of("a", 40, 24, 7), *others]}) == 4
    drawn = Image.open(io.BytesIO(Painting.of("a", 40, 24, 7).png()))
    assert drawn.size == (40, 24)
    assert np.asarray(drawn).std() > 20


# Cog


def predict(server: CogServer, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/predictions", json=body, headers=headers, timeout=PATIENCE)


def test_cog_makes_a_picture_and_the_ledger_counts_it(cog_server: CogServer) -> None:
    words = prompt()
    answer = predict(cog_server, input={"prompt": words, "width": 96, "height": 48, "seed": 3}).json()
    assert answer["status"] == "succeeded"
    assert picture(answer["output"]).size == (96, 48)
    assert "Using seed: 3" in answer["logs"]
    assert [each["seed"] for each in cog_server.ran if each["prompt"] == words] == [3]


def test_cog_refuses_an_input_that_its_description_does_not_allow_before_anything_runs(
    cog_server: CogServer,
) -> None:
    words = prompt()
    answer = predict(cog_server, input={"prompt": words, "width": 4})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "input", "width"]
    assert not [each for each in cog_server.ran if each["prompt"] == words]


def test_cog_tells_a_failed_prediction_with_status_200(cog_server: CogServer) -> None:
    answer = predict(cog_server, input={"prompt": prompt("[fail CUDA out of memory]")})
    assert answer.status_code == 200
    assert answer.json()["status"] == "failed"
    assert "CUDA out of memory" in answer.json()["error"]


def test_cog_cancels_a_slow_prediction_and_calls_the_webhook(cog_server: CogServer) -> None:
    later = {"Prefer": "respond-async"}
    words = prompt("[seconds 60]")
    with receiver(200) as (hook, received):
        body = {"id": "slow", "input": {"prompt": words}, "webhook": hook}
        assert predict(cog_server, later, **body).status_code == 202
        until(lambda: [each for each in cog_server.ran if each["prompt"] == words])
        assert predict(cog_server, input={"prompt": prompt()}).status_code == 409
        assert httpx.post(f"{cog_server.url}/predictions/slow/cancel").status_code == 200
        until(lambda: any(b'"canceled"' in each for each in received))
    until(lambda: cog_server.health == "READY")


def test_a_prediction_that_crashes_cogs_worker_ends_the_server_for_good_and_no_process_is_left(
    tmp_path: Path,
) -> None:
    with start_cog_server(tmp_path) as server:
        started = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert len(started) > 1
        answer = predict(server, input={"prompt": prompt("[crash]")}).json()
        assert (answer["status"], answer["error"]) == ("failed", "Worker crashed")
        assert predict(server, input={"prompt": prompt()}).status_code in {409, 503}
        assert server.health == "UNHEALTHY"
    until(lambda: not any(each.is_running() for each in started))


# RunPod


def ask(worker: RunpodWorker, operation: str, body: dict[str, Any] | None = None) -> Any:
    method = "POST" if body is not None else "GET"
    headers = {"Authorization": f"Bearer {worker.key}"}
    answer = httpx.request(method, f"{worker.url}/{operation}", json=body, headers=headers, timeout=PATIENCE)
    return answer.json() if answer.is_success else answer.status_code


def ended(worker: RunpodWorker, job: dict[str, Any]) -> Any:
    return until(
        lambda: (
            (told := ask(worker, f"status/{job['id']}"))["status"] not in {"IN_QUEUE", "IN_PROGRESS"} and told
        )
    )


def test_runpods_worker_makes_a_picture_and_the_ledger_counts_it(runpod_worker: RunpodWorker) -> None:
    job = ask(runpod_worker, "run", {"input": {"prompt": prompt(), "width": 96, "height": 48, "seed": 3}})
    assert job == {"id": job["id"], "status": "IN_QUEUE"}
    told = ended(runpod_worker, job)
    assert told["status"] == "COMPLETED"
    assert picture(told["output"]["image_url"]).size == (96, 48)
    assert told.keys() >= {"delayTime", "executionTime", "workerId"}
    assert [each["seed"] for each in runpod_worker.ran if each["id"] == job["id"]] == [3]


def test_runpods_synchronous_call_answers_with_the_job_when_its_wait_is_over(
    runpod_worker: RunpodWorker,
) -> None:
    body = {"input": {"prompt": prompt("[seconds 60]")}}
    waited = ask(runpod_worker, "runsync?wait=1000", body)
    assert waited["id"].startswith("sync-")
    assert waited["status"] == "IN_PROGRESS"
    assert ask(runpod_worker, f"cancel/{waited['id']}", {}) == {"id": waited["id"], "status": "CANCELLED"}
    assert ask(runpod_worker, f"status/{waited['id']}")["status"] == "CANCELLED"
    whole = ask(runpod_worker, "runsync", {"input": {"prompt": prompt()}})
    assert whole["status"] == "COMPLETED"


def test_runpod_tells_an_exception_as_json_in_the_error_of_a_failed_job(runpod_worker: RunpodWorker) -> None:
    told = ask(runpod_worker, "runsync", {"input": {"prompt": prompt("[fail no VRAM]")}})
    assert told["status"] == "FAILED"
    assert '"error_message": "no VRAM"' in told["error"]


def workflow(words: str, last: str = "SaveImage") -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": words, "clip": ["4", 1]}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 96, "height": 48, "batch_size": 1}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 5, "latent_image": ["2", 0]}},
        "9": {"class_type": last, "inputs": {"images": ["3", 0]}},
    }
    return {"input": {"workflow": nodes}}


def test_a_workflow_is_answered_as_worker_comfyui_does(runpod_worker: RunpodWorker) -> None:
    made = ask(runpod_worker, "runsync", workflow(prompt("[warn a node was slow]")))
    (image,) = made["output"]["images"]
    assert image["type"] == "base64"
    assert picture(f",{image['data']}").size == (96, 48)
    assert made["output"]["errors"] == ["a node was slow"]
    nothing = ask(runpod_worker, "runsync", workflow(prompt(), last="PreviewImage"))
    assert (nothing["status"], nothing["output"]) == (
        "COMPLETED",
        {"status": "success_no_images", "images": []},
    )
    unknown = ask(runpod_worker, "runsync", workflow(prompt(), last="Missing"))
    assert unknown["status"] == "FAILED"
    assert unknown["error"].startswith("Workflow validation failed:\n• Node 9")
    failed = ask(runpod_worker, "runsync", workflow(prompt("[fail no VRAM]")))
    assert (failed["status"], failed["error"]) == ("FAILED", "Job processing failed")
    assert "no VRAM" in failed["output"]["details"][0]


@pytest.mark.parametrize(("status", "tries"), [(200, 1), (500, 3)])
def test_runpod_calls_the_webhook_until_it_is_taken_three_times_at_most(
    runpod_worker: RunpodWorker, status: int, tries: int
) -> None:
    with receiver(status) as (hook, received):
        job = ask(runpod_worker, "run", {"input": {"prompt": prompt()}, "webhook": hook})
        until(lambda: len(received) == tries)
        time.sleep(3 * runpod_worker.gateway.webhook_pause_seconds)
        assert len(received) == tries
        assert job["id"].encode() in received[0]


def test_runpod_forgets_what_is_over_and_lets_nobody_in_without_the_key(tmp_path: Path) -> None:
    with start_runpod_worker(tmp_path) as worker:
        assert httpx.get(f"{worker.url}/health").status_code == 401
        slow = ask(worker, "run", {"input": {"prompt": "[seconds 60]"}, "policy": {"executionTimeout": 500}})
        assert ended(worker, slow)["status"] == "TIMED_OUT"
        worker.gateway.retention_seconds = 0.2
        until(lambda: ask(worker, f"status/{slow['id']}") == 404)
        started = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    until(lambda: not any(each.is_running() for each in started))


# Prism


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"version": "v", "input": {}}, {"Prefer": "wait=60"}, 201),
        ({"version": "v", "input": {}, "webhook_events_filter": ["completed"]}, {}, 201),
        ({"input": {}}, {}, 422),
        ({"version": "v", "input": {}, "seed": 1}, {}, 422),
        ({"version": "v", "input": {}, "webhook_events_filter": ["ended"]}, {}, 422),
        ({"version": "v", "input": {}}, {"Prefer": "respond-async"}, 422),
        ({"version": "v", "input": {}}, {"Authorization": ""}, 401),
    ],
)
def test_replicates_description_refuses_what_replicate_would(
    replicate_validator: ReplicateValidator, body: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    sent = {"Authorization": "Bearer r8_x", **headers}
    answer = httpx.post(f"{replicate_validator.url}/predictions", json=body, headers=sent)
    assert answer.status_code == status


# The vendors' clients


def test_runpods_own_client_understands_the_gateway(runpod_worker: RunpodWorker) -> None:
    script = """
import json, os, runpod
runpod.api_key = os.environ["THE_KEY"]
runpod.endpoint_url_base = os.environ["BASE"]
endpoint = runpod.Endpoint("painter")
job = endpoint.run({"input": {"prompt": "a mug"}})
output = job.output(timeout=20)
print(json.dumps([job.status(), sorted(output), endpoint.health()["workers"]]))
"""
    base = runpod_worker.url.removesuffix("/painter")
    status, output, workers = run_sdk(script, THE_KEY=runpod_worker.key, BASE=base)
    assert status == "COMPLETED"
    assert output == ["image_url", "images", "seed"]
    assert workers["idle"] + workers["running"] == 1


def test_a_script_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run_sdk("raise SystemExit('no such thing')")


# Their environments


def test_a_peer_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "ROOT", tmp_path)
    monkeypatch.setattr(process, "PEERS", tmp_path / ".peers")
    with pytest.raises(PeersNotInstalled, match=r"make \.peers/installed"):
        program("python", "bin", "python")


def test_a_peer_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    python = program("python", "bin", "python")
    command = (python, "-c", "raise SystemExit('the port is taken')")
    with (
        pytest.raises(RuntimeError, match="the port is taken"),
        process.running(command, tmp_path, process.own_environment(), lambda: False),
    ):
        pass
