"""The nodes that the pretended ComfyUI has, and how it validates a graph of them."""

import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from asset_pipeline_tests.vendors.server import Behaviour, picture

SAMPLERS = [
    "euler",
    "euler_ancestral",
    "heun",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_sde",
    "ddim",
    "lcm",
    "uni_pc",
]
SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"]
UPSCALERS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
SEED = ["INT", {"default": 0, "min": 0, "max": 2**64 - 1}]
SIDE = ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]
Graph = dict[str, Any]


class Interrupted(Exception):
    """The job was told to stop."""


@dataclass
class Files:
    """The folders of a server; they outlive it."""

    root: Path
    checkpoints: tuple[str, ...] = ("sd_xl_base_1.0.safetensors",)
    temp_prefix: str = field(default_factory=lambda: "".join(random.choices("abcdefghij", k=5)))  # noqa: S311

    def place(self, kind: str, name: str, subfolder: str = "") -> Path:
        return self.root / kind / subfolder / name

    def save(self, kind: str, prefix: str, data: bytes) -> dict[str, str]:
        """Write the next file with a prefix, which may have folders in it."""
        subfolder, _, name = prefix.rpartition("/")
        folder = self.root / kind / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [re.fullmatch(rf"{re.escape(name)}_(\d+)_\.png", path.name) for path in folder.iterdir()]
        number = max((int(found[1]) for found in numbers if found), default=0) + 1
        filename = f"{name}_{number:05}_.png"
        (folder / filename).write_bytes(data)
        return {"filename": filename, "subfolder": subfolder, "type": kind}


@dataclass
class Running:
    """What a node may use while it runs."""

    files: Files
    graph: Graph
    behaviour: Behaviour
    sleep: Callable[[float], None]
    """Raises Interrupted if the job is told to stop meanwhile."""
    progress: Callable[[int, int], None]
    streamed: Callable[[bytes], None]


Run = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class NodeClass:
    """A class of nodes, as ``/object_info`` describes it, and what it does."""

    required: Mapping[str, list[Any]]
    output: tuple[str, ...]
    run: Run
    display_name: str = ""
    is_output: bool = False


def _load_checkpoint(_: Running, ckpt_name: str) -> tuple[Any, ...]:
    return ckpt_name, ckpt_name, ckpt_name


def _encode_text(_: Running, text: str, clip: str) -> tuple[Any, ...]:
    return (f"{clip}\n{text}",)


def _empty(_: Running, width: int, height: int, batch_size: int, color: int = 0) -> tuple[Any, ...]:
    assert batch_size == 1
    return (Image.new("RGB", (width, height), f"#{color:06x}"),)


def _empty_latent(running: Running, width: int, height: int, batch_size: int) -> tuple[Any, ...]:
    return _empty(running, width // 8 * 8, height // 8 * 8, batch_size)


def _scale(_: Running, image: Image.Image, width: int, height: int, **__: str) -> tuple[Any, ...]:
    return (image.resize((width, height)),)


def _sample(  # noqa: PLR0913, PLR0917 - the node's own inputs
    running: Running,
    model: str,
    positive: str,
    negative: str,
    latent_image: Image.Image,
    seed: int,
    steps: int,
    denoise: float,
    **rest: Any,
) -> tuple[Any, ...]:
    for step in range(steps):
        running.sleep(running.behaviour.run_seconds / steps)
        running.progress(step + 1, steps)
    said = json.dumps([model, positive, negative, seed, steps, denoise, rest], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(said.encode()).digest()[:4], "big")
    drawn = Image.open(io.BytesIO(picture(*latent_image.size, number)))
    return (Image.blend(latent_image, drawn.convert("RGB"), denoise),)


def _pass_on(_: Running, **values: Any) -> tuple[Any, ...]:
    return (values.get("samples", values.get("pixels")),)


def _load_image(running: Running, image: str) -> tuple[Any, ...]:
    try:
        opened: Image.Image = Image.open(running.files.root / "input" / image)
        opened.load()
    except OSError:  # half a file is a picture with grey below
        opened = Image.new("RGB", (64, 64), "grey")
    return opened.convert("RGB"), opened.convert("L")


def _png(running: Running, image: Image.Image) -> bytes:
    """The file that is saved: it holds the whole graph, prompt included."""
    outcome, data, said = running.behaviour.outcome, io.BytesIO(), PngInfo()
    said.add_text("prompt", json.dumps(running.graph))
    if outcome in {"is blank", "is filtered"}:
        image = Image.new("RGB", image.size)
    if outcome == "is of another size":
        image = image.resize((image.width // 2, image.height))
    image.save(data, "PNG", pnginfo=said, compress_level=1)
    return data.getvalue()[: data.tell() // 2] if outcome == "is truncated" else data.getvalue()


def _save(running: Running, images: Image.Image, filename_prefix: str) -> tuple[Any, ...]:
    behaviour = running.behaviour
    if behaviour.outcome == "fails":
        raise RuntimeError(behaviour.error)
    count = 0 if behaviour.outcome == "is empty" else behaviour.outputs
    data = _png(running, images)
    return ({"images": [running.files.save("output", filename_prefix, data) for _ in range(count)]},)


def _preview(running: Running, images: Image.Image) -> tuple[Any, ...]:
    prefix = f"ComfyUI_temp_{running.files.temp_prefix}"
    return ({"images": [running.files.save("temp", prefix, _png(running, images))]},)


def _stream(running: Running, images: Image.Image) -> tuple[Any, ...]:
    running.streamed(_png(running, images))
    return ({},)


def _test_sleep(running: Running, value: Any, seconds: float) -> tuple[Any, ...]:
    running.sleep(seconds)
    return (value,)


def _test_error(_: Running, value: Any) -> tuple[Any, ...]:
    raise RuntimeError(f"an error on purpose, given {value}")


def node_classes(files: Files) -> dict[str, NodeClass]:
    """The classes that are installed."""
    text = ["STRING", {"multiline": True}]
    words: dict[str, list[Any]] = {"text": text, "clip": ["CLIP"]}
    prefix = ["STRING", {"default": "ComfyUI"}]
    uploaded = sorted(str(path.relative_to(files.root / "input")) for path in files.root.glob("input/**/*.*"))
    sampler: dict[str, list[Any]] = {
        "model": ["MODEL"],
        "seed": SEED,
        "steps": ["INT", {"default": 20, "min": 1, "max": 10000}],
        "cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0}],
        "sampler_name": [SAMPLERS],
        "scheduler": [SCHEDULERS],
        "positive": ["CONDITIONING"],
        "negative": ["CONDITIONING"],
        "latent_image": ["LATENT"],
        "denoise": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}],
    }
    size: dict[str, list[Any]] = {"width": SIDE, "height": SIDE}
    batch: dict[str, list[Any]] = {"batch_size": ["INT", {"default": 1, "min": 1, "max": 4096}]}
    color: dict[str, list[Any]] = {
        "color": ["INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}]
    }
    method: dict[str, list[Any]] = {"upscale_method": [UPSCALERS], "crop": [["disabled", "center"]]}
    loaded: dict[str, list[Any]] = {"ckpt_name": [list(files.checkpoints)]}
    images: dict[str, list[Any]] = {"images": ["IMAGE"]}
    return {
        "CheckpointLoaderSimple": NodeClass(loaded, ("MODEL", "CLIP", "VAE"), _load_checkpoint),
        "CLIPTextEncode": NodeClass(words, ("CONDITIONING",), _encode_text),
        "EmptyImage": NodeClass({**size, **batch, **color}, ("IMAGE",), _empty, "Empty Image"),
        "EmptyLatentImage": NodeClass({**size, **batch}, ("LATENT",), _empty_latent),
        "ImageScale": NodeClass({"image": ["IMAGE"], **size, **method}, ("IMAGE",), _scale),
        "KSampler": NodeClass(sampler, ("LATENT",), _sample),
        "LoadImage": NodeClass({"image": [uploaded]}, ("IMAGE", "MASK"), _load_image),
        "PreviewImage": NodeClass(images, (), _preview, is_output=True),
        "SaveImage": NodeClass({**images, "filename_prefix": prefix}, (), _save, is_output=True),
        "SaveImageWebsocket": NodeClass(images, (), _stream, is_output=True),
        "TestSleep": NodeClass({"value": ["*"], "seconds": ["FLOAT"]}, ("*",), _test_sleep),
        "TestSyncError": NodeClass({"value": ["*"]}, ("*",), _test_error),
        "VAEDecode": NodeClass({"samples": ["LATENT"], "vae": ["VAE"]}, ("IMAGE",), _pass_on),
        "VAEEncode": NodeClass({"pixels": ["IMAGE"], "vae": ["VAE"]}, ("LATENT",), _pass_on),
    }


@dataclass
class Validated:
    """What validation says: an error, or the outputs that may run and what is wrong with the others."""

    error: dict[str, Any] | None
    outputs: list[str]
    node_errors: dict[str, Any]


def validate(graph: Graph, files: Files, *, names_missing_nodes: bool) -> Validated:
    """Look at a graph as the server does before it queues it.

    Args:
        graph: the graph.
        files: the server's folders.
        names_missing_nodes: whether an unknown class has an error of its own kind.
    """
    classes = node_classes(files)
    for key, node in graph.items():
        if node.get("class_type") not in classes:
            return Validated(_missing_class(key, node.get("class_type"), named=names_missing_nodes), [], {})
    outputs = [key for key, node in graph.items() if classes[node["class_type"]].is_output]
    if not outputs:
        return Validated(_error("prompt_no_outputs", "Prompt has no outputs", ""), [], {})
    wrong: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for output in outputs:
        try:
            wrong[output] = dict(_wrong(graph, output, classes, files))
        except KeyError as missing:
            reason = _reason("exception_during_validation", "Exception when validating node", str(missing))
            reason["extra_info"] = {"exception_type": "KeyError", "traceback": ['  File "<path>"\n']}
            wrong[output] = {output: [reason]}
    good = [output for output in outputs if not wrong[output]]
    node_errors: dict[str, Any] = {}
    for output, nodes in wrong.items():
        for key, reasons in nodes.items():
            known = node_errors.setdefault(
                key, {"errors": reasons, "dependent_outputs": [], "class_type": graph[key]["class_type"]}
            )
            known["dependent_outputs"].append(output)
    if good:
        return Validated(None, good, node_errors)
    own = [reason for output in outputs for reason in wrong[output].get(output, [])]
    details = "\n".join(f"{reason['message']}: {reason['details']}" for reason in own)
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return Validated(error, [], node_errors)


def _wrong(
    graph: Graph, key: str, classes: Mapping[str, NodeClass], files: Files
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What is wrong with a node, and then with those that it depends on."""
    node, reasons = graph[key], []
    inputs = node.get("inputs", {})
    for name, (kind, *options) in classes[node["class_type"]].required.items():
        if name not in inputs:
            reasons.append(
                _reason("required_input_missing", "Required input is missing", name, input_name=name)
            )
            continue
        value = inputs[name]
        if isinstance(value, list):
            received = classes[graph[value[0]]["class_type"]].output[value[1]]
            if "*" in {kind, received} or received == kind:
                yield from _wrong(graph, value[0], classes, files)
            else:
                reasons.append(_mismatch(name, kind, received, value))
        elif node["class_type"] == "LoadImage":
            if not (files.root / "input" / value).is_file():
                details = f"{name} - Invalid image file: {value}"
                said = "Custom validation failed for node"
                reasons.append(_reason("custom_validation_failed", said, details, input_name=name))
        elif (reason := _unfit(name, kind, options[0] if options else {}, value)) is not None:
            reasons.append(reason)
    if reasons:
        yield key, reasons


def _unfit(name: str, kind: Any, options: Mapping[str, Any], value: Any) -> dict[str, Any] | None:
    """Why a value is not what an input takes."""
    extra = {"input_name": name, "input_config": [kind, options], "received_value": value}
    if isinstance(kind, list):
        if value not in kind:
            return _reason(
                "value_not_in_list", "Value not in list", f"{name}: '{value}' not in {kind}", **extra
            )
        return None
    if kind in {"INT", "FLOAT"}:
        if isinstance(value, str):
            return _reason("invalid_input_type", "Failed to convert an input value", name, **extra)
        if "min" in options and value < options["min"]:
            said = f"Value {value} smaller than min of {options['min']}"
            return _reason("value_smaller_than_min", said, name, **extra)
        if "max" in options and value > options["max"]:
            return _reason("value_bigger_than_max", f"Value {value} bigger than max", name, **extra)
    return None


def _mismatch(name: str, kind: Any, received: str, link: list[Any]) -> dict[str, Any]:
    return _reason(
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        f"{name}, received_type({received}) mismatch input_type({kind})",
        input_name=name,
        input_config=[kind, {}],
        received_type=received,
        linked_node=link,
    )


def _missing_class(key: str, class_type: str | None, *, named: bool) -> dict[str, Any]:
    if not named:
        said = f"Cannot execute because node {class_type} does not exist."
        return _error("invalid_prompt", said, f"Node ID '#{key}'")
    said = f"Node '{class_type}' not found. The custom node may not be installed."
    extra = {"node_id": key, "class_type": class_type, "node_title": class_type}
    return _error("missing_node_type", said, f"Node ID '#{key}'", **extra)


def _error(kind: str, message: str, details: str, **extra: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


_reason = _error
