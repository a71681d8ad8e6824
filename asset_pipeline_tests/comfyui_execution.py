"""How the pretended ComfyUI runs a graph: what its cache spares it, what it tells, what the history keeps."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline_tests.comfyui_nodes import Files, Graph, Interrupted, NodeClass, Running, node_classes
from asset_pipeline_tests.vendors.server import Behaviour

Results = dict[str, tuple[Any, ...]]
Tell = Callable[[str, dict[str, Any]], None]


@dataclass
class Execution:
    """One run of a graph: a line of the books."""

    prompt_id: str
    executed: list[str] = field(default_factory=list)
    """The nodes that did work."""
    cached: list[str] = field(default_factory=list)
    results: Results = field(default_factory=dict)
    """What each node gave, by what it was made from: the cache of the next run."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def recorded(self) -> dict[str, Any]:
        """What the history says of it."""
        is_success = self.messages[-1][0] == "execution_success"
        status = {
            "status_str": "success" if is_success else "error",
            "completed": is_success,
            "messages": [list(each) for each in self.messages],
        }
        meta = {
            key: {"node_id": key, "display_node": key, "parent_node": None, "real_node_id": key}
            for key in self.outputs
        }
        return {"outputs": self.outputs, "status": status, "meta": meta}


def run_graph(  # noqa: C901, PLR0913, PLR0915 - a run takes all it depends on, and tells each step
    graph: Graph,
    outputs: list[str],
    *,
    files: Files,
    behaviour: Behaviour,
    cache: Results,
    execution: Execution,
    stop: threading.Event,
    tell: Tell,
    stream: Callable[[bytes], None],
) -> None:
    """Run the nodes that the outputs depend on, as far as the cache does not have them."""
    classes = node_classes(files)
    told: dict[str, dict[str, Any]] = {}
    prompt = {"prompt_id": execution.prompt_id}

    def record(event: str, data: dict[str, Any]) -> None:
        data = {**prompt, **data, "timestamp": int(time.time() * 1000)}
        execution.messages.append((event, data))
        tell(event, data)

    def state(key: str, value: float, most: float, name: str) -> None:
        told[key] = {
            "value": value,
            "max": most,
            "state": name,
            "node_id": key,
            **prompt,
            "display_node_id": key,
            "parent_node_id": None,
            "real_node_id": key,
        }
        tell("progress_state", {**prompt, "nodes": {node: dict(each) for node, each in told.items()}})

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Interrupted

    record("execution_start", {})
    order = list(_order(graph, outputs, classes))
    made = {key: _signature(graph, key, files) for key in order}
    execution.cached = sorted(key for key in order if made[key] in cache)
    record("execution_cached", {"nodes": execution.cached})
    for key in order:
        node = classes[graph[key]["class_type"]]
        if made[key] in cache:
            execution.results[made[key]] = cache[made[key]]
            if node.is_output:
                _executed(execution, key, cache[made[key]][0], tell)
                state(key, 1, 1, "finished")
            continue
        state(key, 0.0, 1.0, "running")
        tell("executing", {"node": key, "display_node": key, **prompt})
        inputs = _inputs(graph[key], node, execution.results, made)

        def progress(value: int, most: int, key: str = key) -> None:
            state(key, value, most, "running")
            tell("progress", {"value": value, "max": most, **prompt, "node": key})

        def streamed(data: bytes, key: str = key) -> None:
            state(key, 0, 1, "running")
            stream(data)
            tell("progress", {"value": 0, "max": 1, **prompt, "node": key})

        try:
            sleep(0)
            running = Running(files, graph, behaviour, sleep, progress, streamed)
            execution.results[made[key]] = node.run(running, **inputs)
        except Interrupted:
            record("execution_interrupted", _where(graph, key, execution))
            raise
        except RuntimeError as error:
            record("execution_error", _where(graph, key, execution) | _what(error, inputs, order))
            return
        execution.executed.append(key)
        if node.is_output:
            _executed(execution, key, execution.results[made[key]][0], tell)
        state(key, 1.0, 1.0, "finished")
    record("execution_success", {})


def _inputs(node: dict[str, Any], known: NodeClass, results: Results, made: dict[str, str]) -> dict[str, Any]:
    """What a node is given: values as they stand, links as what their nodes gave."""
    return {
        name: results[made[value[0]]][value[1]] if isinstance(value, list) else value
        for name, value in node["inputs"].items()
        if name in known.required
    }


def _executed(execution: Execution, key: str, output: dict[str, Any], tell: Tell) -> None:
    if output:
        execution.outputs[key] = output
        tell(
            "executed",
            {"node": key, "display_node": key, "output": output, "prompt_id": execution.prompt_id},
        )


def _where(graph: Graph, key: str, execution: Execution) -> dict[str, Any]:
    return {"node_id": key, "node_type": graph[key]["class_type"], "executed": list(execution.executed)}


def _what(error: RuntimeError, inputs: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """What an error tells of itself: also what the node was given."""
    return {
        "exception_message": f"{error}\n",
        "exception_type": "RuntimeError",
        "traceback": ['  File "<path>", line 536, in execute\n'],
        "current_inputs": {name: [str(value)] for name, value in inputs.items()},
        "current_outputs": order,
    }


def _order(graph: Graph, outputs: list[str], classes: dict[str, NodeClass]) -> Iterator[str]:
    """Each node after those that it depends on; of those that are ready, outputs first."""
    needed, done = list[str](), set[str]()

    def need(key: str) -> None:
        for value in graph[key]["inputs"].values():
            if isinstance(value, list):
                need(value[0])
        if key not in needed:
            needed.append(key)

    for output in outputs:
        need(output)
    while len(done) < len(needed):
        ready = [
            key
            for key in needed
            if key not in done
            and all(value[0] in done for value in graph[key]["inputs"].values() if isinstance(value, list))
        ]
        key = next((key for key in ready if classes[graph[key]["class_type"]].is_output), ready[0])
        done.add(key)
        yield key


def _signature(graph: Graph, key: str, files: Files) -> str:
    """What a node's result is made from: its class and its inputs, uploaded files by their content."""
    node, inputs = graph[key], {}
    for name, value in node["inputs"].items():
        inputs[name] = [_signature(graph, value[0], files), value[1]] if isinstance(value, list) else value
    content = ""
    if node["class_type"] == "LoadImage":
        content = hashlib.sha256((files.root / "input" / node["inputs"]["image"]).read_bytes()).hexdigest()
    said = json.dumps([node["class_type"], inputs, content], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
