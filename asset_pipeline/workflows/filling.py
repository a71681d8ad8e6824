"""A workflow's graph with our values in it, ready to be sent."""

import copy
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from asset_pipeline.errors import NotFound, UnsupportedRequest
from asset_pipeline.workflows.manifest import leads_outside
from asset_pipeline.workflows.verification import PREFIX
from asset_pipeline.workflows.workflow import Graph, Workflow


def fill(workflow: Workflow, values: Mapping[str, Any], environment: str, filename_prefix: str) -> Graph:
    """The graph that makes one picture; the workflow's own stays as it is.

    Args:
        workflow: a verified workflow.
        values: what the named inputs are told; images by the name that the server gave them.
        environment: whose model names hold.
        filename_prefix: how the files of its outputs begin; with several outputs, each adds its node.

    Raises:
        NotFound: the models have no names in this environment.
        UnsupportedRequest: a name is unknown, a value is missing, of another type or out of range; all of
            them at once.
    """
    if environment not in workflow.environments():
        known = ", ".join(sorted(workflow.environments())) or "none"
        raise NotFound(
            f"the workflow {workflow.name} has no environment {environment!r} (there are: {known})"
        )
    if wrong := wrong_values(workflow, values):
        raise UnsupportedRequest(f"the workflow {workflow.name}: {'; '.join(wrong)}")
    graph = copy.deepcopy(workflow.graph)
    for name, given in workflow.manifest.inputs.items():
        graph[given.node]["inputs"][given.input] = values.get(name, given.default)
    for model in workflow.manifest.models.values():
        graph[model.node]["inputs"][model.input] = model.environments[environment]
    outputs = workflow.manifest.outputs
    for node, prefix in zip(outputs, prefixes(outputs, filename_prefix), strict=True):
        graph[node]["inputs"][PREFIX] = prefix
    return graph


def prefixes(outputs: Sequence[str], filename_prefix: str) -> list[str]:
    """How the files of each output begin: ``<prefix>``, or ``<prefix>_<node>`` where there are several."""
    return [filename_prefix] if len(outputs) == 1 else [f"{filename_prefix}_{node}" for node in outputs]


def wrong_values(workflow: Workflow, values: Mapping[str, Any]) -> list[str]:
    """Why these values cannot be put into the graph; nothing if they can."""
    inputs = workflow.manifest.inputs
    wrong = []
    for name in values:
        if name not in inputs:
            near = difflib.get_close_matches(name, inputs, n=1)
            wrong.append(f"{name}: no such input" + (f"; did you mean {near[0]}?" if near else ""))
    for name, given in inputs.items():
        value = values.get(name, given.default)
        if value is None:
            wrong.append(f"{name}: has no value and no default")
        elif objection := given.objection(value):
            wrong.append(f"{name}: {objection}")
        elif given.type == "image" and leads_outside(value):
            wrong.append(f"{name}: {value!r} leads out of the server's own folders")
    return wrong
