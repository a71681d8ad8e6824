"""The rules of the house, as tests, so that nobody has to be the policeman."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from asset_pipeline import definitions
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.cli import main

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "asset_pipeline").rglob("*.py"))
ASSET_FILES = [path for path in MODULES if path.name == "asset.py"]
LONGEST_ASSET = 80
DRAWERS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "constants",
    "types",
    "base",
    "manager",
    "core",
}
SCORERS = definitions.scorers(Checkpoints(ROOT / "data", {}))
OF_ALL_CAMPAIGNS = {"catalog", "calibration"}
SPECS = {spec.key.to_user_string(): spec for spec in definitions.defs.resolve_all_asset_specs()}


def test_rooms_face_one_way() -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_there_is_an_asset_in_each_of_the_seven_rooms() -> None:
    rooms = ["calibration", "candidates", "catalog", "exports", "prompts", "scores", "selection"]
    assert [path.parent.name for path in ASSET_FILES] == sorted(SPECS)
    assert sorted(SPECS) == rooms


@pytest.mark.parametrize("path", ASSET_FILES, ids=lambda path: path.parent.name)
def test_an_asset_fits_on_a_page(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_ASSET


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_a_drawer(path: Path) -> None:
    assert not DRAWERS & {*path.stem.split("_"), path.parent.name}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_asset_is_described_grouped_owned_and_versioned(name: str) -> None:
    spec = SPECS[name]
    assert spec.description
    assert spec.group_name != "default"
    assert spec.owners
    assert spec.kinds
    assert spec.code_version


@pytest.mark.parametrize("name", sorted(OF_ALL_CAMPAIGNS))
def test_the_catalog_and_calibration_are_one_for_all_campaigns(name: str) -> None:
    assert SPECS[name].partitions_def is None


@pytest.mark.parametrize("name", sorted(SPECS.keys() - OF_ALL_CAMPAIGNS))
def test_a_partition_of_every_other_asset_is_a_campaign(name: str) -> None:
    partitions = SPECS[name].partitions_def
    assert isinstance(partitions, dg.DynamicPartitionsDefinition)
    assert partitions.name == "campaigns"


def test_every_check_of_a_campaign_looks_at_its_own_partition_alone() -> None:
    checks = [spec for check in definitions.defs.asset_checks or [] for spec in check.check_specs]
    assert checks
    for check in checks:
        on_campaign = check.asset_key.to_user_string() not in OF_ALL_CAMPAIGNS
        assert (check.partitions_def is not None) == on_campaign, check.name


def test_the_project_loads_as_the_tools_load_it() -> None:
    dg.Definitions.validate_loadable(definitions.defs)


@pytest.mark.parametrize(
    "path",
    [*MODULES, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_path_of_a_machine_stands_in_the_project(path: Path) -> None:
    assert not re.search(r"/(home|Users|work|root)/\w+", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted({*definitions.PROVIDERS, *definitions.targets(definitions.PLACES)}))
def test_every_provider_and_target_is_documented(name: str) -> None:
    documents = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    assert f"`{name}`" in documents


@pytest.mark.parametrize("dimension", sorted(scorer.dimension for scorer in SCORERS))
def test_every_dimension_is_documented(dimension: str) -> None:
    assert f"`{dimension}`" in (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")


def test_every_command_is_documented_and_has_help() -> None:
    commands = main.commands
    documents = " ".join(
        path.read_text(encoding="utf-8") for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    )
    for name, command in commands.items():
        assert command.help, name
        assert f"asset-pipeline {name}" in documents
