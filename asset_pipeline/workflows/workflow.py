"""A workflow: a ComfyUI graph in API format, and the manifest that says what it is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.workflows.manifest import Manifest
from asset_pipeline.yaml_model import read_model

Graph = dict[str, dict[str, Any]]
"""ComfyUI's API format: nodes by key, each with ``class_type`` and ``inputs``."""

_SHA256_LINE = re.compile(r"^graph_sha256:.*$", re.MULTILINE)
_VERSION_LINE = re.compile(r"^version:.*$", re.MULTILINE)


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    class_type: str
    inputs: dict[str, Any]


_NODES = TypeAdapter(dict[str, _Node])


@dataclass(frozen=True)
class Workflow:
    """A graph and its manifest, as they were read; whether they fit is for `verification`."""

    name: str
    folder: Path
    graph: Graph
    manifest: Manifest

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self.folder / "manifest.yaml"

    @property
    def graph_path(self) -> Path:
        """Where the graph is."""
        return self.folder / "graph.json"

    @property
    def graph_sha256(self) -> str:
        """The canonical hash of the graph: key order and blanks do not count, everything else does."""
        return fingerprint(self.graph)

    @property
    def models(self) -> Mapping[tuple[str, str], str]:
        """The manifest's model names by node and input."""
        return {(each.node, each.input): name for name, each in self.manifest.models.items()}

    def environments(self) -> set[str]:
        """The environments in which every model has a name; ``default`` if the graph loads none."""
        named = [set(model.environments) for model in self.manifest.models.values()]
        return set.intersection(*named) if named else {"default"}

    def identity(self, environment: str) -> str:
        """The hash of what decides the pictures: the graph, how it is told things, and its models' names."""
        models = {name: model.environments.get(environment) for name, model in self.manifest.models.items()}
        return fingerprint(
            [self.graph, self.manifest.inputs, self.manifest.outputs, self.manifest.version, models]
        )


def workflow_names(data: Path) -> list[str]:
    """The workflows that there are, in name order."""
    return sorted(path.parent.name for path in (data / "workflows").glob("*/manifest.yaml"))


def read_workflow(data: Path, name: str) -> Workflow:
    """Read ``data/workflows/<name>`` without looking whether graph and manifest fit.

    Raises:
        NotFound: there is no such workflow; the message lists those that exist.
        InvalidFile: a file is wrong; the message names file, line and field.
    """
    names = workflow_names(data)
    if name not in names:
        known = ", ".join(names) or "none"
        raise NotFound(f"there is no workflow {name!r} in {data / 'workflows'} (there are: {known})")
    folder = data / "workflows" / name
    return Workflow(
        name, folder, read_graph(folder / "graph.json"), read_model(folder / "manifest.yaml", Manifest)
    )


def read_graph(path: Path) -> Graph:
    """Read a graph in ComfyUI's API format.

    Raises:
        NotFound: there is no such file.
        InvalidFile: it is no JSON, or no such graph.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    try:
        graph = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InvalidFile(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise InvalidFile(f"{path}: {error}") from error
    if isinstance(graph, dict) and {"nodes", "links"} <= graph.keys():
        raise InvalidFile(f"{path}: this is the editor's format; save it with Workflow > Export (API)")
    try:
        _NODES.validate_python(graph)
    except ValidationError as error:
        lines = [
            f"{path}:{_line_of(text, details['loc'])}: {'.'.join(map(str, details['loc'])) or 'the file'}: "
            f"{details['msg']}"
            for details in error.errors()
        ]
        raise InvalidFile("\n".join(lines)) from error
    found: Graph = graph
    return found


def write_graph_sha256(workflow: Workflow) -> bool:
    """Write the graph's hash into the manifest, below its version; says whether that changed anything."""
    path, line = workflow.manifest_path, f"graph_sha256: {workflow.graph_sha256}"
    text = path.read_text(encoding="utf-8")
    if _SHA256_LINE.search(text):
        written = _SHA256_LINE.sub(line, text, count=1)
    else:
        written = _VERSION_LINE.sub(lambda found: f"{found[0]}\n{line}", text, count=1)
    path.write_text(written, encoding="utf-8")
    return written != text


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)}: written twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `location` that is found in the file, read from the top."""
    position = 0
    for part in location:
        found = text.find(json.dumps(str(part), ensure_ascii=False), position)
        if found < 0:
            break
        position = found
    return text.count("\n", 0, position) + 1
