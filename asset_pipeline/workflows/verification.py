"""Whether a workflow's graph and manifest fit: what is wrong is said with file, line and field."""

import difflib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

from asset_pipeline.errors import InvalidFile
from asset_pipeline.workflows.manifest import NodePath, WorkflowInput, leads_outside, unfit
from asset_pipeline.workflows.workflow import Workflow, read_workflow
from asset_pipeline.yaml_model import located

_WEIGHTS = {".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".onnx"}
_LINK_LENGTH = 2
PREFIX = "filename_prefix"
"""The input by which an output's files are named; it is ours, so that no two requests share a file."""


def load_workflow(data: Path, name: str) -> Workflow:
    """Read ``data/workflows/<name>`` and refuse it unless its graph is the one that its manifest describes.

    Raises:
        NotFound: there is no such workflow.
        InvalidFile: a file is wrong, or they do not fit; a line for each thing that differs.
    """
    folder = data / "workflows" / name
    return _loaded(data, name, *(_stamp(folder / file) for file in ("graph.json", "manifest.yaml")))


@lru_cache(maxsize=64)
def _loaded(data: Path, name: str, *stamps: tuple[int, ...]) -> Workflow:
    """The workflow as its files are now: each picture asks for it several times, and YAML is read slowly."""
    del stamps
    workflow = read_workflow(data, name)
    if wrong := verify(workflow):
        raise InvalidFile("\n".join(wrong))
    return workflow


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes with a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def verify(workflow: Workflow) -> list[str]:
    """What is wrong between the graph and its manifest, the pinned hash first; nothing if they fit."""
    return [*_pin_objections(workflow), *objections(workflow)]


def objections(workflow: Workflow) -> list[str]:
    """What is wrong besides the pinned hash."""
    return [
        *_class_objections(workflow),
        *_input_objections(workflow),
        *_output_objections(workflow),
        *_model_objections(workflow),
        *_graph_objections(workflow),
    ]


def _pin_objections(workflow: Workflow) -> Iterator[str]:
    pinned = workflow.manifest.graph_sha256
    accept = f"asset-pipeline workflows pin {workflow.name}"
    if pinned is None:
        yield f"{workflow.manifest_path}: graph_sha256: missing; {accept} writes it"
    elif pinned != workflow.graph_sha256:
        yield (
            f"{located(workflow.manifest_path, 'graph_sha256')}: the graph is another one: it has "
            f"{workflow.graph_sha256[:12]}..., the manifest says {pinned[:12]}...; {accept} accepts it"
        )


def _class_objections(workflow: Workflow) -> Iterator[str]:
    allowed = set(workflow.manifest.allowed_classes)
    for key, node in workflow.graph.items():
        if node["class_type"] not in allowed:
            yield f"{workflow.graph_path}: node {key}: the class {node['class_type']} is not allowed"
    used = {node["class_type"] for node in workflow.graph.values()}
    for number, name in enumerate(workflow.manifest.allowed_classes):
        if name not in used:
            where = located(workflow.manifest_path, "allowed_classes", number)
            yield f"{where}: no node of the graph is a {name}"


def _input_objections(workflow: Workflow) -> Iterator[str]:
    for name, given in workflow.manifest.inputs.items():
        missing = _missing(workflow, given, "inputs", name)
        if missing:
            yield missing
            continue
        for wrong in _wrong_input(given, workflow.graph[given.node]):
            yield f"{located(workflow.manifest_path, 'inputs', name)}: {wrong}"


def _wrong_input(given: WorkflowInput, node: dict[str, Any]) -> Iterator[str]:
    there = node["inputs"][given.input]
    if isinstance(there, list):
        yield f"{given.input} of node {given.node} comes from another node"
    elif objection := unfit(given.type, there):
        yield f"what the graph says, {objection}"
    if given.input == PREFIX:
        yield f"{PREFIX} is the pipeline's own"
    if node["class_type"].startswith("Load") and given.type not in {"image", "choice"}:
        yield f"{node['class_type']} reads a file, so it takes an image or a choice"


def _output_objections(workflow: Workflow) -> Iterator[str]:
    for number, key in enumerate(workflow.manifest.outputs):
        if key not in workflow.graph:
            wrong = f"the graph has no node {key}{_near(key, workflow.graph)}"
        elif not isinstance(workflow.graph[key]["inputs"].get(PREFIX), str):
            wrong = f"node {key} has no {PREFIX}, so its files could not be told apart"
        else:
            continue
        yield f"{located(workflow.manifest_path, 'outputs', number)}: {wrong}"


def _model_objections(workflow: Workflow) -> Iterator[str]:
    everywhere = {name for model in workflow.manifest.models.values() for name in model.environments}
    for name, model in workflow.manifest.models.items():
        missing = _missing(workflow, model, "models", name)
        if missing:
            yield missing
        if absent := sorted(everywhere - model.environments.keys()):
            where = located(workflow.manifest_path, "models", name, "environments")
            yield f"{where}: no name for the environment {', '.join(absent)}"
    for key, node in workflow.graph.items():
        for name, value in node["inputs"].items():
            is_model = isinstance(value, str) and PureWindowsPath(value).suffix.lower() in _WEIGHTS
            if is_model and (key, name) not in workflow.models:
                yield (
                    f"{workflow.manifest_path}: models: node {key} loads {value!r} ({name}), "
                    "which no environment names"
                )


def _graph_objections(workflow: Workflow) -> Iterator[str]:
    path = workflow.graph_path
    for key, node in workflow.graph.items():
        for name, value in node["inputs"].items():
            if _is_link(value) and value[0] not in workflow.graph:
                yield f"{path}: node {key}: {name}: comes from node {value[0]}, which is not there"
            for text in _texts(value):
                if leads_outside(text):
                    yield f"{path}: node {key}: {name}: {text!r} leads out of the server's own folders"


def _missing(workflow: Workflow, place: NodePath, *location: str) -> str | None:
    """What is missing of a place in the graph that the manifest names."""
    node = workflow.graph.get(place.node)
    if node is None:
        where = located(workflow.manifest_path, *location, "node")
        return f"{where}: the graph has no node {place.node}{_near(place.node, workflow.graph)}"
    if place.input not in node["inputs"]:
        where = located(workflow.manifest_path, *location, "input")
        near = _near(place.input, node["inputs"])
        return f"{where}: node {place.node} ({node['class_type']}) has no input {place.input}{near}"
    return None


def _near(name: str, names: dict[str, Any]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == _LINK_LENGTH
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list) and not _is_link(value):
        for each in value:
            yield from _texts(each)
