import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from asset_pipeline.commands.workflows import workflows
from asset_pipeline.definitions import Places
from asset_pipeline.errors import InvalidFile, NotFound, UnsupportedRequest
from asset_pipeline.workflows.filling import fill
from asset_pipeline.workflows.manifest import leads_outside
from asset_pipeline.workflows.verification import load_workflow, objections, verify
from asset_pipeline.workflows.vocabulary import what_it_says
from asset_pipeline.workflows.workflow import (
    Graph,
    Workflow,
    read_workflow,
    workflow_names,
    write_graph_sha256,
)

DATA = Path(__file__).parent.parent / "data"
SHIPPED = workflow_names(DATA)
VALUES = {"prompt": "a mug", "width": 128, "height": 64, "seed": 7}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The shipped workflows in a folder of their own."""
    shutil.copytree(DATA / "workflows", tmp_path / "workflows")
    return tmp_path


def changed_graph(data: Path, change: dict[str, Any], name: str = "text-to-image") -> None:
    """Put nodes into a graph, or take away those that are None."""
    path = data / "workflows" / name / "graph.json"
    graph = {key: node for key, node in (json.loads(path.read_text()) | change).items() if node is not None}
    path.write_text(json.dumps(graph, indent=2))


def changed_manifest(data: Path, before: str, after: str, name: str = "text-to-image") -> None:
    path = data / "workflows" / name / "manifest.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def wrong(data: Path, name: str = "text-to-image") -> str:
    """What is said of a workflow that is refused."""
    with pytest.raises(InvalidFile) as refused:
        load_workflow(data, name)
    return str(refused.value).replace(f"{data}/workflows/{name}/", "")


def node(workflow: Workflow, graph: Graph, name: str) -> Any:
    """What a filled graph says at a named input."""
    place = workflow.manifest.inputs[name]
    return graph[place.node]["inputs"][place.input]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_workflow_is_the_one_that_its_manifest_describes(name: str) -> None:
    assert verify(read_workflow(DATA, name)) == []


def test_two_workflows_are_shipped() -> None:
    assert SHIPPED == ["image-to-image", "text-to-image"]


def test_a_changed_graph_is_refused_until_someone_accepts_it(data: Path) -> None:
    extra = {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}
    changed_graph(data, {"8": extra})
    said = wrong(data)
    assert re.search(r"manifest\.yaml:\d+: graph_sha256: the graph is another one: it has \w{12}\.\.\.", said)
    assert "asset-pipeline workflows pin text-to-image accepts it" in said
    assert write_graph_sha256(read_workflow(data, "text-to-image"))
    assert load_workflow(data, "text-to-image").graph["8"] == extra


def test_a_change_of_a_workflow_is_seen_the_next_time_it_is_asked_for(data: Path) -> None:
    assert load_workflow(data, "text-to-image") is load_workflow(data, "text-to-image")
    changed_graph(data, {"8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 1]}}})
    with pytest.raises(InvalidFile, match="the graph is another one"):
        load_workflow(data, "text-to-image")


def test_how_a_graph_is_written_does_not_change_its_hash(data: Path) -> None:
    path = data / "workflows" / "text-to-image" / "graph.json"
    graph = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(graph.items()))))
    load_workflow(data, "text-to-image")


def test_pinning_keeps_what_people_wrote_into_the_manifest(data: Path) -> None:
    path = data / "workflows" / "text-to-image" / "manifest.yaml"
    before = path.read_text()
    path.write_text(re.sub(r"graph_sha256: \w+\n", "", before))
    assert "graph_sha256: missing" in wrong(data)
    assert write_graph_sha256(read_workflow(data, "text-to-image"))
    assert path.read_text() == before
    assert not write_graph_sha256(read_workflow(data, "text-to-image"))


def test_everything_that_differs_is_said_at_once_with_file_line_and_field(data: Path) -> None:
    changed_graph(
        data,
        {
            "20": {"class_type": "RunAnyPython", "inputs": {"path": "/etc/passwd", "from": ["21", 0]}},
            "5": None,
            "6": {"class_type": "CLIPTextEncode", "inputs": {"txt": "a mug", "clip": ["4", 1]}},
        },
    )
    said = wrong(data).splitlines()
    assert any(re.match(r"manifest\.yaml:\d+: graph_sha256: the graph is another one", line) for line in said)
    assert "graph.json: node 20: the class RunAnyPython is not allowed" in said
    assert any(
        re.match(r"manifest\.yaml:\d+: inputs\.width\.node: the graph has no node 5", line) for line in said
    )
    assert any("node 6 (CLIPTextEncode) has no input text; did you mean txt?" in line for line in said)
    assert "graph.json: node 20: path: '/etc/passwd' leads out of the server's own folders" in said
    assert "graph.json: node 20: from: comes from node 21, which is not there" in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("input: seed, type: seed}", "input: cfg, type: seed}", "the same input of node 3"),
        ("input: seed, type: seed}", "input: model, type: seed}", "model of node 3 comes from another node"),
        ("input: steps, type: integer", "input: scheduler, type: integer", "the same input"),
        ('outputs: ["9"]', 'outputs: ["8"]', "node 8 has no filename_prefix"),
        ('outputs: ["9"]', 'outputs: ["99"]', "the graph has no node 99; did you mean 9?"),
        ('node: "4"\n', "node: 4\n", "models.checkpoint.node: Input should be a valid string"),
        ("sd_xl_base_1.0.safetensors", "sd_xl_base_1.0.ckpt", "not a file without code in it"),
        ("default: sd_xl", "default: ../../sd_xl", "leads out of the server's own folders"),
        ("type: seed}", "type: sed}", "inputs.seed.type: Input should be 'text', 'integer'"),
        ("multiple_of: 8}", "multipleof: 8}", "no such field; did you mean multiple_of?"),
        ("default: 30}", "default: 300}", "default: 300 is above 200"),
        ("default: dpmpp_2m", "default: magic", "'magic' is none of"),
        ("input: text, type: text}", "input: text, type: text, role: base}", "a role"),
        ("type: text, default", "type: text, maximum: 3, default", "a text has no minimum and no maximum"),
        ("  prompt: {", "  Prompt!: {", "String should match pattern"),
        ("KSampler, SaveImage", "KSampler, LoadImage, SaveImage", "no node of the graph is a LoadImage"),
        ("KSampler, SaveImage", "SaveImage", "node 3: the class KSampler is not allowed"),
        ("input: text, type: text}", "input: text, type: integer}", "of every request and no integer"),
        ('"6", input: text', '"9", input: filename_prefix', "filename_prefix is the pipeline's own"),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_is_refused(data: Path, before: str, after: str, said: str) -> None:
    changed_manifest(data, before, after)
    assert said in wrong(data)


def test_a_model_that_no_environment_names_is_found(data: Path) -> None:
    lora = {"class_type": "LoraLoader", "inputs": {"lora_name": "style.safetensors"}}
    changed_graph(data, {"30": lora})
    assert "node 30 loads 'style.safetensors' (lora_name), which no environment names" in wrong(data)


def test_every_model_has_a_name_in_every_environment(data: Path) -> None:
    changed_manifest(
        data,
        "models:\n",
        'models:\n  other:\n    node: "3"\n    input: cfg\n    environments: {production: a.safetensors}\n',
    )
    changed_manifest(
        data, 'guidance_scale: {node: "3", input: cfg', 'guidance_scale: {node: "3", input: denoise'
    )
    said = wrong(data)
    assert "models.checkpoint.environments: no name for the environment production" in said
    assert "models.other.environments: no name for the environment default" in said


def test_a_file_that_is_loaded_is_a_photograph_or_one_of_a_list(data: Path) -> None:
    changed_manifest(data, "type: image, role: base}", "type: text}", "image-to-image")
    assert "LoadImage reads a file, so it takes an image or a choice" in wrong(data, "image-to-image")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "graph.json:1: not JSON"),
        ('{"1": {"class_type": "A", "inputs": {}},\n "1": {}}', "graph.json: 1: written twice"),
        ('{"nodes": [], "links": [], "version": 0.4}', "Export (API)"),
        ('{\n  "1": {\n    "class_type": 5, "inputs": {}}}', "graph.json:3: 1.class_type: Input should be"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "NaN is no number"),
    ],
)
def test_a_graph_that_is_none_is_refused_with_the_line(data: Path, text: str, said: str) -> None:
    (data / "workflows" / "text-to-image" / "graph.json").write_text(text)
    assert said in wrong(data)


def test_an_unknown_workflow_says_which_there_are(data: Path) -> None:
    with pytest.raises(NotFound, match="there are: image-to-image, text-to-image"):
        load_workflow(data, "txt2img")


def test_a_filled_graph_says_what_was_asked_and_the_workflow_stays_as_it_was() -> None:
    workflow = load_workflow(DATA, "text-to-image")
    before = json.dumps(workflow.graph)
    graph = fill(workflow, {**VALUES, "steps": 12, "sampler": "euler"}, "default", "c1_1")
    said = {name: node(workflow, graph, name) for name in workflow.manifest.inputs}
    assert said == {
        **VALUES,
        "negative_prompt": "",
        "steps": 12,
        "guidance_scale": 5.0,
        "sampler": "euler",
        "scheduler": "karras",
    }
    assert graph["9"]["inputs"]["filename_prefix"] == "c1_1"
    assert graph["4"]["inputs"]["ckpt_name"] == "sd_xl_base_1.0.safetensors"
    assert json.dumps(workflow.graph) == before


def test_several_outputs_have_files_of_their_own(data: Path) -> None:
    second = {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}}
    changed_graph(data, {"10": second})
    changed_manifest(data, 'outputs: ["9"]', 'outputs: ["9", "10"]')
    workflow = read_workflow(data, "text-to-image")
    assert objections(workflow) == []
    graph = fill(workflow, VALUES, "default", "c1_1")
    assert [graph[key]["inputs"]["filename_prefix"] for key in ("9", "10")] == ["c1_1_9", "c1_1_10"]


def test_each_environment_has_its_own_model_and_another_identity(data: Path) -> None:
    changed_manifest(data, "environments:\n", "environments:\n      production: tuned.safetensors\n")
    workflow = load_workflow(data, "text-to-image")
    graph = fill(workflow, VALUES, "production", "c1_1")
    assert graph["4"]["inputs"]["ckpt_name"] == "tuned.safetensors"
    assert workflow.identity("production") != workflow.identity("default")
    with pytest.raises(NotFound, match=r"no environment 'staging' \(there are: default, production\)"):
        fill(workflow, VALUES, "staging", "c1_1")


def test_a_title_is_no_part_of_a_workflows_identity(data: Path) -> None:
    before = load_workflow(data, "text-to-image").identity("default")
    changed_manifest(data, "title: Text to image", "title: Words to pictures")
    assert load_workflow(data, "text-to-image").identity("default") == before
    changed_manifest(data, "default: 30}", "default: 31}")
    assert load_workflow(data, "text-to-image").identity("default") != before


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prmpt": "x"}, "prmpt: no such input; did you mean prompt?"),
        ({"seed": None}, "seed: has no value and no default"),
        ({"seed": -1}, "seed: -1 is below 0"),
        ({"seed": 2**64}, "seed: 18446744073709551616 is above"),
        ({"seed": True}, "seed: True is no number"),
        ({"width": 100}, "width: 100 is no multiple of 8"),
        ({"width": 128.5}, "width: 128.5 is no whole number"),
        ({"width": "128"}, "width: '128' is no number"),
        ({"prompt": 3}, "prompt: 3 is no text"),
        ({"guidance_scale": float("nan")}, "guidance_scale: nan is no number"),
        ({"scheduler": "magic"}, "scheduler: 'magic' is none of beta"),
    ],
)
def test_values_are_held_to_their_types_and_ranges(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedRequest) as refused:
        fill(load_workflow(DATA, "text-to-image"), {**VALUES, **values}, "default", "c1_1")
    assert said in str(refused.value)


def test_all_wrong_values_are_said_at_once() -> None:
    with pytest.raises(UnsupportedRequest, match=r"width: .*height: .*seed: ") as refused:
        fill(load_workflow(DATA, "text-to-image"), {"prompt": "a mug"}, "default", "c1_1")
    assert "the workflow text-to-image" in str(refused.value)


def test_a_photograph_cannot_be_any_file_of_the_server() -> None:
    workflow = load_workflow(DATA, "image-to-image")
    for name in ("../../secret.png", "/etc/passwd", "https://elsewhere.example/a.png", "C:\\a.png"):
        with pytest.raises(UnsupportedRequest, match="leads out of the server's own folders"):
            fill(workflow, {**VALUES, "photograph": name}, "default", "c1_1")
    graph = fill(workflow, {**VALUES, "photograph": "asset_pipeline/a (1).png"}, "default", "c1_1")
    assert node(workflow, graph, "photograph") == "asset_pipeline/a (1).png"


@given(st.lists(st.sampled_from(["..", "a", ".", "b c", "..a", "a.."]), min_size=1).map("/".join))
def test_a_path_leads_outside_exactly_if_a_part_of_it_goes_up(path: str) -> None:
    assert leads_outside(path) == (".." in path.split("/"))


def test_a_workflow_says_which_parts_of_a_request_it_has_words_for(data: Path) -> None:
    text, image = (what_it_says(load_workflow(data, name)) for name in ("text-to-image", "image-to-image"))
    assert "strength" not in text.fields
    assert image.fields == text.fields | {"strength"}
    assert (text.references, image.references) == ({}, {"base": "photograph"})
    changed_manifest(data, "  seed: {", "  noise: {")
    assert what_it_says(load_workflow(data, "text-to-image")).others == {"noise"}


@pytest.fixture
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, io.StringIO]:
    """The folder that the command looks at, and what it prints."""
    printed = io.StringIO()
    module = "asset_pipeline.commands.workflows"
    monkeypatch.setattr(f"{module}.PLACES", Places.of({"ASSET_PIPELINE_DATA": str(data)}))
    monkeypatch.setattr(f"{module}.console", Console(file=printed, soft_wrap=True))
    return data, printed


def test_the_command_checks_all_workflows_and_says_what_they_take(here: tuple[Path, io.StringIO]) -> None:
    assert CliRunner().invoke(workflows, ["check"], catch_exceptions=False).exit_code == 0
    lines = here[1].getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["image-to-image", "text-to-image"]
    assert "prompt" in lines[1]


def test_the_command_refuses_to_pin_a_graph_that_does_not_fit(here: tuple[Path, io.StringIO]) -> None:
    data, printed = here
    changed_graph(data, {"20": {"class_type": "RunAnyPython", "inputs": {}}})
    run = CliRunner().invoke(workflows, ["pin", "text-to-image"])
    assert isinstance(run.exception, InvalidFile)
    changed_graph(data, {"20": None, "5": {**read_workflow(data, "text-to-image").graph["5"], "_meta": {}}})
    run = CliRunner().invoke(workflows, ["check", "text-to-image"])
    assert isinstance(run.exception, InvalidFile)
    CliRunner().invoke(workflows, ["pin", "text-to-image"], catch_exceptions=False)
    CliRunner().invoke(workflows, ["check", "text-to-image"], catch_exceptions=False)
    assert "pinned to" in printed.getvalue()
