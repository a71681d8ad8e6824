import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import providers
from asset_pipeline.doctor import Examination, Model, Way, Wish, examine, model_names
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests.small_project import CAMPAIGN, write_project

TODAY = date(2026, 11, 21)
WEIGHTS = b"not weights at all, and never loaded"
CHECKPOINT = {
    "title": "A model of ours",
    "source": "studio/ours",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "license": "openrail++",
    "memory_gb": 0.001,
    "files": {"unet/model.safetensors": {"sha256": sha256_of(WEIGHTS), "bytes": len(WEIGHTS)}},
}
PROFILE = {"provider": "diffusers", "title": "Ours", "parameters": {"model": "ours", "steps": 4}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project with a campaign that a model shall draw, whose files lie in the project."""
    data = write_project(
        tmp_path, products=1, campaigns={"boxes": CAMPAIGN, "drawn": f"{CAMPAIGN}profile: ours\n"}
    )
    write_checkpoint(data)
    write_profile(data)
    weights = data / "models" / "ours" / "unet" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(WEIGHTS)
    return data


def write_checkpoint(data: Path, **fields: Any) -> None:
    (data / "models").mkdir(exist_ok=True)
    (data / "models" / "ours.yaml").write_text(yaml.safe_dump({**CHECKPOINT, **fields}))


def write_profile(data: Path, **parameters: Any) -> None:
    profile = {**PROFILE, "parameters": {**PROFILE["parameters"], **parameters}}  # type: ignore[dict-item]
    (data / "profiles" / "ours.yaml").write_text(yaml.safe_dump(profile))


def examined(data: Path, today: date = TODAY, given: Mapping[str, str] | None = None) -> Examination:
    environ = {"ASSET_PIPELINE_MODEL_CACHE": str(data / "cache"), **(given or {})}
    checkpoints = Checkpoints(data, environ)
    return examine(data, environ, providers(checkpoints), checkpoints, today)


def campaign_of(examination: Examination, name: str = "drawn") -> Wish:
    return next(each for each in examination.campaigns if each.name == name)


def profile_of(examination: Examination) -> Way:
    return next(each for each in examination.profiles if each.name == "ours")


def model_of(examination: Examination) -> Model:
    return next(each for each in examination.models if each.name == "ours")


def text_of(examination: Examination) -> str:
    console = Console(width=300, record=True, file=StringIO())
    for table in examination.tables():
        console.print(table)
    return console.export_text()


def test_a_campaign_can_run_when_its_models_are_here(data: Path) -> None:
    examination = examined(data)
    assert campaign_of(examination).profile == "ours"
    assert examination.can_run
    assert model_of(examination).state == "here, verified"


def test_the_device_is_the_one_that_would_draw(data: Path) -> None:
    device = examined(data).devices[0]
    assert 0 < device.free_bytes <= device.total_bytes
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert (device.kind, device.dtype) == ("cpu", "float32")


def test_missing_files_are_told_with_size_licence_source_and_the_way_to_get_them(data: Path) -> None:
    (data / "models" / "ours" / "unet" / "model.safetensors").unlink()
    examination = examined(data)
    assert not examination.can_run
    assert campaign_of(examination).objections == ("its model ours: 1 of 1 files are not here (0.00 GB)",)
    assert not campaign_of(examination, "boxes").objections
    model = model_of(examination)
    assert (model.license, model.source) == (
        "openrail++",
        "the hub repository studio/ours at 0123456789abcdef0123456789abcdef01234567",
    )
    assert "ASSET_PIPELINE_HUB=allow asset-pipeline models fetch ours" in model.what_to_do


def test_an_altered_file_is_told_as_such(data: Path) -> None:
    (data / "models" / "ours" / "unet" / "model.safetensors").write_bytes(b"something else")
    examination = examined(data)
    assert "is altered" in model_of(examination).what_to_do
    assert not examination.can_run


def test_a_model_that_nobody_pinned_is_told_with_the_command_that_does(data: Path) -> None:
    write_checkpoint(data, files={})
    examination = examined(data)
    assert campaign_of(examination).objections == ("its model ours: not pinned",)
    assert "asset-pipeline models pin ours" in model_of(examination).what_to_do


def test_a_profile_that_names_no_known_model_or_parameter_is_told(data: Path) -> None:
    write_profile(data, model="theirs", stepz=3)
    objections = campaign_of(examined(data)).objections
    assert any("stepz" in each for each in objections)
    write_profile(data, model="theirs")
    assert any("no model 'theirs'" in each for each in campaign_of(examined(data)).objections)


def test_a_model_that_is_larger_than_memory_is_told(data: Path) -> None:
    write_checkpoint(data, memory_gb=1e6)
    write_profile(data, offload="none")
    examination = examined(data)
    assert campaign_of(examination).objections == ("does not fit into memory",)
    assert profile_of(examination).memory.startswith("too large: needs ")


def test_a_campaign_that_is_over_keeps_nobody_waiting(data: Path) -> None:
    path = data / "campaigns" / "drawn.yaml"
    path.write_text(f"{path.read_text()}deadline: 2026-11-20\n")
    write_checkpoint(data, files={})
    assert examined(data).can_run
    assert not examined(data, today=date(2026, 11, 19)).can_run


def test_a_campaign_that_is_wrong_or_not_cleared_cannot_run(data: Path) -> None:
    path = data / "profiles" / "ours.yaml"
    path.write_text(f"{path.read_text()}sensitivities: [public]\n")
    assert "not cleared for internal" in campaign_of(examined(data)).objections[0]
    (data / "campaigns" / "drawn.yaml").write_text("title: Nothing else\n")
    assert "drawn.yaml" in campaign_of(examined(data)).objections[0]


def test_the_switches_that_are_set_are_shown_and_no_secret_is(data: Path) -> None:
    given = {"HF_HUB_OFFLINE": "1", "HF_TOKEN": "hf_secret", "AWS_SECRET_ACCESS_KEY": "secret"}
    examination = examined(data, given=given)
    assert examination.switches["HF_HUB_OFFLINE"] == "1"
    assert "secret" not in json.dumps(examination.as_json()) + text_of(examination)


def test_the_tables_say_what_the_json_says(data: Path) -> None:
    write_checkpoint(data, license="FLUX.1 [dev] Non-Commercial")
    examination = examined(data)
    shown = text_of(examination)
    for said in (
        "drawn",
        "here, verified",
        "FLUX.1 [dev] Non-Commercial",
        "can run",
        examination.versions["torch"],
    ):
        assert said in shown


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, []),
        ({"model": "a", "steps": 3}, ["a"]),
        (
            {"model": "a", "loras": [{"model": "b"}, {"model": "c"}], "controlnet": {"model": "d"}},
            list("abcd"),
        ),
    ],
)
def test_the_models_of_a_profile_are_also_those_that_it_adds(
    parameters: Mapping[str, Any], names: list[str]
) -> None:
    assert model_names(parameters) == names


def test_the_command_ends_with_status_2_when_a_campaign_cannot_run(data: Path) -> None:
    write_checkpoint(data, files={})
    command = [sys.executable, "-m", "asset_pipeline.cli", "doctor", "--json"]
    environ = {**os.environ, "ASSET_PIPELINE_DATA": str(data)}
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert answer.returncode == 2, answer.stderr
    assert json.loads(answer.stdout)["can_run"] is False


def test_planning_what_needs_no_model_loads_no_model_library(data: Path) -> None:
    program = (
        "import sys; from asset_pipeline.cli import main; main(['plan', 'boxes'], standalone_mode=False);"
        "print({'torch', 'diffusers', 'transformers', 'open_clip'} & {*sys.modules}, file=sys.stderr)"
    )
    environ = {**os.environ, "ASSET_PIPELINE_DATA": str(data)}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert answer.stderr.endswith("set()\n")


def test_a_folder_is_pinned_and_then_found_by_the_commands(data: Path) -> None:
    write_checkpoint(data, source="made here", revision=None, files={})
    program = (
        "from asset_pipeline.cli import main\n"
        "for command in ('pin', 'fetch'): main(['models', command, 'ours'], standalone_mode=False)"
    )
    environ = {**os.environ, "ASSET_PIPELINE_DATA": str(data)}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert "ours: 1 files, 0.00 GB" in answer.stdout
    assert f"ours: every file is here and verified: {data / 'models' / 'ours'}" in answer.stdout
