"""What would run on this machine, and what is missing for the rest. Loads no weights, fetches nothing."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from asset_pipeline.campaign.brief import campaign_ids, load_campaign
from asset_pipeline.candidates.jobs.remote import Remote
from asset_pipeline.candidates.profile import load_profile, objections
from asset_pipeline.candidates.request import Profile, Provider
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import PipelineError

SWITCHES = (
    "ASSET_PIPELINE_MODELS",
    "ASSET_PIPELINE_MODELS_S3",
    "ASSET_PIPELINE_MODEL_CACHE",
    "ASSET_PIPELINE_HUB",
    "ASSET_PIPELINE_OFFLINE",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
)
"""Environment variables that say where models come from."""

_LIBRARIES = ("torch", "diffusers", "transformers", "open_clip_torch", "safetensors", "huggingface_hub")
_GB = 1e9
_FLOAT32 = 2.0
"""How much more memory a model takes in float32 than in the half precision that ``memory_gb`` is about."""


@dataclass(frozen=True)
class Device:
    """Something that pictures can be drawn on."""

    name: str
    kind: str
    """``cuda`` (NVIDIA's and AMD's), ``mps`` (Apple's) or ``cpu``."""
    dtype: str
    """The precision that ``auto`` means on it."""
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Model:
    """A checkpoint, and whether its files are on this machine."""

    name: str
    title: str = ""
    source: str = ""
    license: str = ""
    bytes: int = 0
    memory_gb: float | None = None
    state: str = "here, verified"
    what_to_do: str = ""
    """What to do to have its files; nothing if all are here."""


@dataclass(frozen=True)
class Way:
    """A model profile, and what keeps it from making images here."""

    name: str
    provider: str
    models: tuple[str, ...]
    memory: str
    """Whether its models fit into the device's memory."""
    objections: tuple[str, ...]


@dataclass(frozen=True)
class Wish:
    """A campaign, the profile that would make its images, and what keeps it from running."""

    name: str
    profile: str
    is_over: bool
    """Its deadline has passed: nobody waits for it."""
    objections: tuple[str, ...]


@dataclass(frozen=True)
class Examination:
    """All that was found."""

    devices: tuple[Device, ...]
    cores: int
    memory_free_bytes: int
    memory_total_bytes: int
    versions: Mapping[str, str]
    switches: Mapping[str, str]
    models: tuple[Model, ...]
    profiles: tuple[Way, ...]
    campaigns: tuple[Wish, ...]

    @property
    def can_run(self) -> bool:
        """Whether every campaign that is not over can be made here."""
        return not any(each.objections for each in self.campaigns if not each.is_over)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {**asdict(self), "can_run": self.can_run}

    def tables(self) -> Iterator[Table]:
        """Everything for people."""
        machine = _table("this machine", "what", "is")
        for device in self.devices:
            memory = f"{_gb(device.free_bytes)} of {_gb(device.total_bytes)} free"
            _add(machine, "draws on", f"{device.name} ({device.kind}, {device.dtype}), {memory}")
        _add(machine, "memory", f"{_gb(self.memory_free_bytes)} of {_gb(self.memory_total_bytes)} free")
        _add(machine, "cores", str(self.cores))
        _add(machine, "versions", ", ".join(f"{name} {each}" for name, each in self.versions.items()))
        for name, value in self.switches.items():
            _add(machine, name, value)
        yield machine
        models = _table("models", "model", "source", "licence", "size", "state", "what to do")
        for model in self.models:
            size = _gb(model.bytes) if model.bytes else "unknown"
            state = _state(model.state, fine=not model.what_to_do)
            _add(models, model.name, model.source, model.license, size, state, model.what_to_do)
        yield models
        profiles = _table("profiles", "profile", "provider", "models", "memory", "state")
        for way in self.profiles:
            _add(
                profiles, way.name, way.provider, ", ".join(way.models), way.memory, _verdict(way.objections)
            )
        yield profiles
        campaigns = _table("campaigns", "campaign", "profile", "state")
        for wish in self.campaigns:
            state = Text("is over") if wish.is_over else _verdict(wish.objections)
            _add(campaigns, wish.name, wish.profile, state)
        yield campaigns


def examine(
    data: Path,
    environ: Mapping[str, str],
    providers: Mapping[str, Provider],
    checkpoints: Checkpoints,
    today: date,
) -> Examination:
    """Look at the machine and at everything that campaigns need; hashes the model files that are here.

    Args:
        data: the project's data folder.
        environ: what the environment says.
        providers: every way of making images by its name.
        checkpoints: where model files are.
        today: what deadlines are compared with.
    """
    devices = _devices()
    models = {name: _model(checkpoints, name) for name in _names(data / "models")}
    ways = {name: _way(data, name, providers, models, devices[0]) for name in _names(data / "profiles")}
    memory = psutil.virtual_memory()
    return Examination(
        devices=devices,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_free_bytes=memory.available,
        memory_total_bytes=memory.total,
        versions={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        switches={name: environ[name] for name in SWITCHES if environ.get(name)},
        models=tuple(models.values()),
        profiles=tuple(ways.values()),
        campaigns=tuple(_wish(data, name, providers, ways, today) for name in campaign_ids(data)),
    )


def model_names(parameters: Any) -> list[str]:
    """The checkpoints that a profile's parameters name: each ``model``, also of a LoRA or a ControlNet."""
    if isinstance(parameters, Mapping):
        own = [parameters["model"]] if isinstance(parameters.get("model"), str) else []
        return own + [name for value in parameters.values() for name in model_names(value)]
    if isinstance(parameters, list | tuple):
        return [name for value in parameters for name in model_names(value)]
    return []


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _devices() -> tuple[Device, ...]:
    """What there is to draw on, first what would be used."""
    import torch  # noqa: PLC0415 - seconds, that other commands need not spend

    from asset_pipeline.diffusion.loading import choose_device, choose_dtype  # noqa: PLC0415 - the same

    device = choose_device()
    dtype = str(choose_dtype(device, "auto")).removeprefix("torch.")
    if device.type == "cuda":
        return tuple(
            Device(torch.cuda.get_device_name(index), "cuda", dtype, *torch.cuda.mem_get_info(index))
            for index in range(torch.cuda.device_count())
        )
    memory = psutil.virtual_memory()
    name = platform.processor() or platform.machine()
    return (Device(name, device.type, dtype, memory.available, memory.total),)


def _model(checkpoints: Checkpoints, name: str) -> Model:
    try:
        checkpoint = checkpoints.checkpoint(name)
    except PipelineError as error:
        return Model(name, state="cannot be read", what_to_do=str(error))
    model = Model(
        name,
        checkpoint.title,
        checkpoint.origin,
        checkpoint.license,
        checkpoint.bytes,
        checkpoint.memory_gb,
    )
    if not checkpoint.files:
        return replace(model, state="not pinned", what_to_do=checkpoints.how_to_get(name))
    try:
        absent = checkpoints.absent(name)
    except PipelineError as error:
        return replace(model, state="altered or unsafe", what_to_do=str(error))
    if not absent:
        return model
    size = _gb(sum(file.bytes for file in absent.values()))
    state = f"{len(absent)} of {len(checkpoint.files)} files are not here ({size})"
    return replace(model, state=state, what_to_do=checkpoints.how_to_get(name))


def _way(
    data: Path, name: str, providers: Mapping[str, Provider], models: Mapping[str, Model], device: Device
) -> Way:
    try:
        profile = load_profile(data, name, providers)
    except PipelineError as error:
        return Way(name, "", (), "", (str(error),))
    needed = tuple(dict.fromkeys(model_names(profile.parameters))) if not profile.is_remote else ()
    found = [_refusal(profile, providers[profile.provider])]
    found += [
        f"its model {each}: {models[each].state}"
        for each in needed
        if each in models and models[each].what_to_do
    ]
    memory, shortage = _memory(profile, [models[each] for each in needed if each in models], device)
    return Way(name, profile.provider, needed, memory, tuple(filter(None, [*found, shortage])))


def _refusal(profile: Profile, provider: Provider) -> str:
    """What the provider has against the profile's parameters, or why it cannot be asked from here."""
    try:
        provider.version_of(profile.parameters)
    except PipelineError as error:
        return str(error)
    if isinstance(provider, Remote) and profile.endpoint is not None:
        return provider.unready(profile.endpoint) or ""
    return ""


def _memory(profile: Profile, models: Sequence[Model], device: Device) -> tuple[str, str]:
    """How the models fit into the device's memory, and the objection if they do not."""
    if not models:
        return "needs little", ""
    known = [each.memory_gb * _GB if each.memory_gb else each.bytes for each in models]
    needed = sum(known) * (_FLOAT32 if device.dtype == "float32" else 1.0)
    if not all(known):
        return "unknown", ""
    words = f"needs {_gb(needed)}, {_gb(device.free_bytes)} free"
    if needed <= device.free_bytes:
        return f"fits: {words}", ""
    if device.kind == "cuda" and profile.parameters.get("offload", "auto") != "none":
        return f"fits only in parts, slower: {words}", ""
    return f"too large: {words}", "does not fit into memory"


def _wish(
    data: Path, name: str, providers: Mapping[str, Provider], ways: Mapping[str, Way], today: date
) -> Wish:
    try:
        campaign = load_campaign(data, name)
        profile = load_profile(data, campaign.profile, providers)
    except PipelineError as error:
        return Wish(name, "", is_over=False, objections=(str(error),))
    return Wish(
        name,
        campaign.profile,
        is_over=campaign.deadline is not None and today > campaign.deadline,
        objections=(*objections(campaign, profile, today), *ways[campaign.profile].objections),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _verdict(objections: Sequence[str]) -> Text:
    return _state("; ".join(objections) or "can run", fine=not objections)


def _state(words: str, *, fine: bool) -> Text:
    return Text(words, style="green" if fine else "bold red")


def _gb(size: float) -> str:
    return f"{size / _GB:.2f} GB"
