"""What the pretended ComfyUI answers, request by request: what the real one was seen to answer."""

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from websockets.sync.client import connect

from asset_pipeline_tests.comfyui_fake import VERSIONS, ComfyUI, Version, serving
from asset_pipeline_tests.vendors.server import Behaviour, picture

OLD: tuple[Version, ...] = ("0.3.64",)
JOBS: tuple[Version, ...] = ("0.24.0", "0.38.1")
NOBODY = "00000000-0000-4000-8000-000000000000"
GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 7}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "tests/cup"}},
}
NO_IMAGES = {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}
DANGLING = {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "x"}}
SCALE = {"upscale_method": "magic", "width": 8, "height": 8, "crop": "disabled"}
LOADER = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}}
MISSING_FILE = {"class_type": "LoadImage", "inputs": {"image": "missing.png"}}


@dataclass(frozen=True)
class Exchange:
    """A request and what comes back: the status, and the fields of the answer (None: no JSON)."""

    request: str
    status: int
    fields: set[str] | None = None
    body: Any = None
    """Sent as JSON; text as it is."""
    versions: tuple[Version, ...] = VERSIONS
    headers: Mapping[str, str] | None = None


def prompt(change: Mapping[str, Any]) -> dict[str, Any]:
    """A submission with nodes put into the graph, or taken out where they are None."""
    return {"prompt": {key: node for key, node in {**GRAPH, **change}.items() if node is not None}}


def between(node: Mapping[str, Any]) -> dict[str, Any]:
    """A change of the graph: a node between the picture and its saving."""
    return {
        "2": node,
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }


def of_colour(colour: int) -> dict[str, Any]:
    return {"1": {"class_type": "EmptyImage", "inputs": {**GRAPH["1"]["inputs"], "color": colour}}}


JOB_FIELDS = {"id", "status", "priority", "create_time", "outputs_count"}
REFUSED = {"error", "node_errors"}
ACCEPTED = {"prompt_id", "number", "node_errors"}
EXCHANGES = [
    Exchange("GET /system_stats", 200, {"system", "devices"}),
    Exchange("GET /api/system_stats", 200, {"system", "devices"}),
    Exchange("GET /features", 200, {"supports_preview_metadata", "max_upload_size"}, versions=OLD),
    Exchange(
        "GET /features",
        200,
        {"supports_preview_metadata", "max_upload_size", "extension", "node_replacements", "assets"},
        versions=JOBS,
    ),
    Exchange("GET /prompt", 200, {"exec_info"}),
    Exchange("GET /queue", 200, {"queue_running", "queue_pending"}),
    Exchange("GET /history", 200, set()),
    Exchange(f"GET /history/{NOBODY}", 200, set()),
    Exchange("GET /object_info/KSampler", 200, {"KSampler"}),
    Exchange("GET /object_info/NoSuchNode", 200, set()),
    Exchange("GET /api/jobs", 404, versions=OLD),
    Exchange("GET /api/jobs", 200, {"jobs", "pagination"}, versions=JOBS),
    Exchange(f"GET /api/jobs/{NOBODY}", 404, versions=OLD),
    Exchange(f"GET /api/jobs/{NOBODY}", 404, {"error"}, versions=JOBS),
    Exchange("GET /api/jobs?status=done", 400, {"error"}, versions=JOBS),
    Exchange("GET /jobs", 404),
    Exchange(f"POST /api/jobs/{NOBODY}/cancel", 405, body={}, versions=("0.3.64", "0.24.0")),
    Exchange(f"POST /api/jobs/{NOBODY}/cancel", 200, {"cancelled"}, {}, versions=("0.38.1",)),
    Exchange("POST /api/jobs/cancel", 200, {"cancelled"}, {"job_ids": [NOBODY]}, versions=("0.38.1",)),
    Exchange("GET /view?filename=nothing.png&type=output", 404),
    Exchange("GET /view?filename=../secret.png&type=output", 400),
    Exchange("GET /view", 400),
    Exchange("POST /prompt", 200, ACCEPTED, prompt({})),
    Exchange("POST /prompt", 200, ACCEPTED, {**prompt({}), "prompt_id": NOBODY}),
    Exchange("POST /prompt", 200, ACCEPTED, {**prompt({}), "prompt_id": "mine"}, ("0.3.64", "0.24.0")),
    Exchange("POST /prompt", 400, REFUSED, {**prompt({}), "prompt_id": "mine"}, ("0.38.1",)),
    Exchange("POST /prompt", 400, REFUSED, {**prompt({}), "prompt_id": NOBODY.replace("-", "")}, ("0.38.1",)),
    Exchange("POST /prompt", 200, ACCEPTED, prompt({"4": DANGLING})),
    Exchange("POST /prompt", 400, REFUSED, prompt({"3": NO_IMAGES})),
    Exchange("POST /prompt", 400, REFUSED, prompt({"3": None})),
    Exchange("POST /prompt", 400, REFUSED, prompt({"1": {"class_type": "Magic", "inputs": {}}})),
    Exchange("POST /prompt", 400, REFUSED, {}),
    Exchange("POST /prompt", 500, None, "{not json"),
    Exchange("POST /prompt", 403, None, prompt({}), headers={"Origin": "https://elsewhere.example"}),
    Exchange("POST /queue", 200, None, {"delete": [NOBODY]}),
    Exchange("POST /interrupt", 200, None, {"prompt_id": NOBODY}),
    Exchange("POST /history", 200, None, {"delete": [NOBODY]}),
    Exchange("POST /free", 200, None, {}),
    Exchange("POST /upload/image", 400, None, {}),
]


@pytest.fixture(scope="module", params=VERSIONS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """One server for all exchanges of a version; they do not depend on each other."""
    with serving(ComfyUI(request.param, tmp_path_factory.mktemp("comfyui"))) as server:
        yield server


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ComfyUI]:
    with serving(ComfyUI(request.param, tmp_path)) as server:
        yield server


@pytest.mark.parametrize(
    ("shared", "exchange"),
    [
        pytest.param(version, each, id=f"{version} {each.request} {each.status}")
        for version in VERSIONS
        for each in EXCHANGES
        if version in each.versions
    ],
    indirect=["shared"],
)
def test_a_request_is_answered_as_it_is_by_a_real_server(shared: ComfyUI, exchange: Exchange) -> None:
    method, path = exchange.request.split(" ")
    sent = {"content": exchange.body} if isinstance(exchange.body, str) else {"json": exchange.body}
    answer = httpx.request(
        method, f"{shared.url}{path}", headers=exchange.headers, **(sent if method == "POST" else {})
    )
    assert answer.status_code == exchange.status
    if exchange.fields is None:
        assert "json" not in answer.headers["content-type"]
    elif path == "/history":
        assert isinstance(answer.json(), dict)
    else:
        assert set(answer.json()) == exchange.fields


@pytest.mark.parametrize(
    ("change", "kind", "node", "error", "name"),
    [
        ({"3": NO_IMAGES}, "prompt_outputs_failed_validation", "3", "required_input_missing", "images"),
        (
            between({"class_type": "ImageScale", "inputs": {"image": ["1", 0], **SCALE}}),
            "prompt_outputs_failed_validation", "2", "value_not_in_list", "upscale_method",
        ),
        ({"1": LOADER}, "prompt_outputs_failed_validation", "3", "return_type_mismatch", "images"),
        ({"1": MISSING_FILE}, "prompt_outputs_failed_validation", "1", "custom_validation_failed", "image"),
        (
            {"1": {"class_type": "EmptyImage", "inputs": {**GRAPH["1"]["inputs"], "width": 0}}},
            "prompt_outputs_failed_validation", "1", "value_smaller_than_min", "width",
        ),
    ],
)  # fmt: skip
def test_a_wrong_graph_is_refused_with_the_node_and_the_input(
    shared: ComfyUI, change: Mapping[str, Any], kind: str, node: str, error: str, name: str
) -> None:
    answer = httpx.post(f"{shared.url}/prompt", json=prompt(change))
    body = answer.json()
    assert (answer.status_code, body["error"]["type"]) == (400, kind)
    told = body["node_errors"][node]
    assert set(told) == {"errors", "dependent_outputs", "class_type"}
    assert (told["errors"][0]["type"], told["errors"][0]["extra_info"]["input_name"]) == (error, name)


def test_an_unknown_class_has_a_word_of_its_own_in_newer_servers(shared: ComfyUI) -> None:
    answer = httpx.post(f"{shared.url}/prompt", json=prompt({"1": {"class_type": "Magic", "inputs": {}}}))
    kind = "invalid_prompt" if shared.version == "0.3.64" else "missing_node_type"
    assert answer.json()["error"]["type"] == kind


def run(server: ComfyUI, change: Mapping[str, Any] | None = None, **more: Any) -> str:
    """Submit a graph and wait for its end; its id."""
    answer = httpx.post(f"{server.url}/prompt", json={**prompt(change or {}), **more}).raise_for_status()
    prompt_id: str = answer.json()["prompt_id"]
    until(lambda: history(server, prompt_id))
    return prompt_id


def until(is_so: Callable[[], object]) -> None:
    ends = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def history(server: ComfyUI, prompt_id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/history/{prompt_id}").json().get(prompt_id, {})
    return found


def filenames(server: ComfyUI, prompt_id: str) -> list[str]:
    return [each["filename"] for each in history(server, prompt_id)["outputs"]["3"]["images"]]


def test_the_history_tells_what_was_asked_and_what_became_of_it(server: ComfyUI) -> None:
    entry = history(server, run(server, client_id="me"))
    assert set(entry) == {"prompt", "outputs", "status", "meta"}
    number, _, graph, extra, outputs = entry["prompt"]
    assert (number, graph, outputs, extra["client_id"]) == (0, GRAPH, ["3"], "me")
    assert ("create_time" in extra) == (server.version != "0.3.64")
    assert entry["outputs"]["3"]["images"] == [
        {"filename": "cup_00001_.png", "subfolder": "tests", "type": "output"}
    ]
    assert [event for event, _ in entry["status"]["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]


def test_a_job_tells_the_same_where_there_are_jobs(tmp_path: Path) -> None:
    with serving(ComfyUI("0.24.0", tmp_path)) as server:
        prompt_id = run(server)
        job = httpx.get(f"{server.url}/api/jobs/{prompt_id}").json()
        assert set(job) == JOB_FIELDS | {
            "execution_start_time",
            "execution_end_time",
            "preview_output",
            "outputs",
            "execution_status",
            "workflow",
        }
        assert job["outputs"] == history(server, prompt_id)["outputs"]
        [listed] = httpx.get(f"{server.url}/api/jobs?status=completed&limit=5").json()["jobs"]
        assert set(listed) == set(job) - {"outputs", "execution_status", "workflow"}


def test_a_rerun_is_answered_from_the_cache_with_the_earlier_file(server: ComfyUI) -> None:
    first, second = run(server), run(server)
    assert filenames(server, first) == filenames(server, second) == ["cup_00001_.png"]
    assert [each.executed for each in server.executions] == [["1", "3"], []]
    assert server.executions[1].cached == ["1", "3"]


def test_the_same_id_twice_is_run_twice_and_the_history_holds_the_later(server: ComfyUI) -> None:
    prompt_id = str(uuid.uuid4())
    run(server, prompt_id=prompt_id)
    run(server, of_colour(8), prompt_id=prompt_id)
    until(lambda: filenames(server, prompt_id) == ["cup_00002_.png"])
    assert [each.prompt_id for each in server.executions] == [prompt_id] * 2


def test_a_restarted_server_knows_no_jobs_and_still_has_their_files(tmp_path: Path) -> None:
    server = ComfyUI("0.24.0", tmp_path)
    with serving(server):
        prompt_id = run(server)
        place = f"/view?filename={filenames(server, prompt_id)[0]}&subfolder=tests&type=output"
        before = httpx.get(f"{server.url}{place}").content
    with serving(server):
        assert history(server, prompt_id) == {}
        assert httpx.get(f"{server.url}/api/jobs/{prompt_id}").status_code == 404
        assert httpx.get(f"{server.url}{place}").content == before


def test_a_saved_picture_holds_the_whole_graph(server: ComfyUI) -> None:
    [name] = filenames(server, run(server))
    data = httpx.get(f"{server.url}/view?filename={name}&subfolder=tests&type=output")
    assert data.headers["content-type"] == "image/png"
    assert json.loads(Image.open(io.BytesIO(data.content)).text["prompt"]) == GRAPH  # type: ignore[attr-defined]
    small = httpx.get(f"{server.url}/view?filename={name}&subfolder=tests&type=output&preview=webp;80")
    assert Image.open(io.BytesIO(small.content)).format == "WEBP"


def test_an_upload_of_other_bytes_under_the_same_name_is_renamed(server: ComfyUI) -> None:
    def upload(data: bytes, subfolder: str = "tests") -> httpx.Response:
        files = {"image": ("cup.png", data, "image/png")}
        return httpx.post(f"{server.url}/upload/image", files=files, data={"subfolder": subfolder})

    whole = picture(16, 16, 1)
    names = [upload(data).json()["name"] for data in (whole, whole, whole[:40])]
    assert names == ["cup.png", "cup.png", "cup (1).png"]
    assert upload(whole, "../outside").status_code == 400
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "tests/cup (1).png"}}}
    assert history(server, run(server, graph))["status"]["completed"]  # half a picture is drawn all the same


def test_what_waits_is_deleted_without_a_trace_and_what_runs_is_interrupted(server: ComfyUI) -> None:
    slow = between({"class_type": "TestSleep", "inputs": {"value": ["1", 0], "seconds": 60}})
    ids = [httpx.post(f"{server.url}/prompt", json=prompt(slow)).json()["prompt_id"] for _ in range(2)]
    until(lambda: server.running)
    httpx.post(f"{server.url}/queue", json={"delete": ids})
    assert httpx.get(f"{server.url}/queue").json()["queue_pending"] == []
    assert [each.prompt_id for each in server.running] == ids[:1]
    httpx.post(f"{server.url}/interrupt", json={"prompt_id": NOBODY})
    assert not server.running[0].stop.is_set()
    httpx.post(f"{server.url}/interrupt", json={"prompt_id": ids[0]})
    until(lambda: history(server, ids[0]))
    status = history(server, ids[0])["status"]
    assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_interrupted")
    assert history(server, ids[1]) == {}


def test_an_error_repeats_what_the_node_was_given(server: ComfyUI) -> None:
    broken = between({"class_type": "TestSyncError", "inputs": {"value": ["1", 0]}})
    event, error = history(server, run(server, broken))["status"]["messages"][-1]
    assert event == "execution_error"
    assert error["current_inputs"]["value"]
    assert error["traceback"]


def test_a_client_hears_of_its_own_jobs_alone(server: ComfyUI) -> None:
    with connect(f"{server.url.replace('http', 'ws')}/ws?clientId=me") as line:
        assert json.loads(line.recv(timeout=5))["data"]["sid"] == "me"
        line.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        assert json.loads(line.recv(timeout=5))["type"] == "feature_flags"
        run(server, client_id="another")
        ours = run(server, of_colour(9), client_id="me")
        heard: list[tuple[str, str | None]] = []
        while not heard or heard[-1] != ("executing", None):
            message = json.loads(line.recv(timeout=5))
            if message["type"] != "status":
                assert message["data"]["prompt_id"] == ours
                heard.append((message["type"], message["data"].get("node")))
    assert [event for event, _ in heard if event != "progress_state"] == [
        "execution_start",
        "execution_cached",
        "executing",
        "executing",
        "executed",
        "execution_success",
        "executing",
    ]


def test_asked_in_the_wrong_order_a_job_that_has_ended_seems_lost(tmp_path: Path) -> None:
    """Why the queue is asked before the history."""
    with serving(ComfyUI("0.3.64", tmp_path)) as server:
        server.behaviours = [Behaviour(queue_seconds=60)]
        prompt_id = httpx.post(f"{server.url}/prompt", json=prompt({})).json()["prompt_id"]
        assert history(server, prompt_id) == {}
        server.jobs[0].behaviour = Behaviour()
        until(lambda: server.history)
        queue = httpx.get(f"{server.url}/queue").json()
        assert prompt_id not in json.dumps(queue)
