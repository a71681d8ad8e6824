"""A campaign from its feed to its exports, in Dagster, with every real part but a network."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from asset_pipeline import definitions
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.records import CANDIDATES, load_candidates
from asset_pipeline.decisions.decision import Decision
from asset_pipeline.decisions.records import decide
from asset_pipeline.errors import NotFound
from asset_pipeline.exports.records import load_exported_files
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store
from asset_pipeline.store.views import connect
from asset_pipeline_tests.conftest import Address
from asset_pipeline_tests.s3_server import S3Server
from asset_pipeline_tests.small_project import CAMPAIGN, add_products, write_project


@dataclass
class Project:
    """A project in a folder, with a Dagster instance of its own."""

    data: Path
    instance: dg.DagsterInstance
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {"ASSET_PIPELINE_DATA": str(self.data), **self.extra}

    @property
    def places(self) -> definitions.Places:
        return definitions.Places.of(self.environ)

    @property
    def store(self) -> Store:
        return definitions.open_store(self.places, definitions.s3_resource(self.environ))

    def run(self, campaign: str = "boxes", job: str = "campaign") -> dg.ExecuteInProcessResult:
        defs = definitions.build(self.places, self.environ)
        self.instance.add_dynamic_partitions("campaigns", [campaign])
        return defs.resolve_job_def(job).execute_in_process(
            partition_key=campaign, instance=self.instance, raise_on_error=False
        )

    def attempts(self, campaign: str = "boxes") -> int:
        return len(
            [name for name in self.store.events.names(ATTEMPTS, campaign) if name.endswith(".submitting")]
        )

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = os.environ | self.environ | {"DAGSTER_HOME": str(self.data / "dagster"), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-m", "asset_pipeline.cli", *arguments],
            env=environ,
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(write_project(tmp_path), instance)


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = [
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_campaign_goes_from_its_feed_to_exported_pictures_and_a_second_run_makes_nothing(
    project: Project,
) -> None:
    first = project.run()
    assert first.success
    made = load_candidates(project.store, "boxes")
    assert [candidate.state for candidate in made] == ["made"] * 12
    exported = load_exported_files(project.store, "boxes")
    latest = project.data / "exports" / "boxes" / "latest"
    assert {file.channel for file in exported} == {"original", "web_tile"}
    assert all((latest / file.path).is_file() for file in exported)
    assert str(metadata(first, "candidates")["contact sheet"]).startswith("![contact sheet](data:image/jpeg")

    files = {path: path.stat().st_mtime_ns for path in project.data.joinpath("store").rglob("*.parquet")}
    second = project.run()
    assert second.success
    assert metadata(second, "candidates")["made in this run"] == 0
    assert project.attempts() == 12
    assert load_candidates(project.store, "boxes") == made
    after = {path: path.stat().st_mtime_ns for path in project.data.joinpath("store").rglob("*.parquet")}
    assert after == files

    checks = list(second.get_asset_check_evaluations())
    assert {check.asset_key.to_user_string() for check in checks} == {
        "catalog",
        "prompts",
        "candidates",
        "scores",
        "selection",
        "exports",
    }
    assert all(check.passed for check in checks)


def test_new_rows_make_their_own_pictures_and_no_others(project: Project) -> None:
    project.run()
    add_products(project.data, range(3, 5))
    result = project.run()
    assert metadata(result, "candidates")["made in this run"] == 8
    assert metadata(result, "candidates")["reused"] == 12


def test_a_changed_profile_makes_its_candidates_anew_and_keeps_the_old_as_history(project: Project) -> None:
    project.run()
    before = {candidate.candidate_id for candidate in load_candidates(project.store, "boxes")}
    profile = project.data / "profiles" / "packshot.yaml"
    profile.write_text(profile.read_text() + "# only a comment\n")
    assert metadata(project.run(), "candidates")["made in this run"] == 0
    asset_type = project.data / "asset_types" / "product_tile.yaml"
    asset_type.write_text(asset_type.read_text().replace("width: 1024", "width: 960"))
    assert metadata(project.run(), "candidates")["made in this run"] == 12
    after = {candidate.candidate_id for candidate in load_candidates(project.store, "boxes")}
    ever = {recorded.row.candidate_id for recorded in project.store.facts.history(CANDIDATES, "boxes")}
    assert not before & after
    assert before | after == ever


def test_nothing_leaves_before_a_person_approves_it(tmp_path: Path) -> None:
    boxes = CAMPAIGN.replace("approval: gates", "approval: human")
    data = write_project(tmp_path, products=1, campaigns={"boxes": boxes})
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(data, instance)
        assert project.run().success
        assert load_exported_files(project.store, "boxes") == []
        choices = [choice for choice in load_choices(project.store, "boxes") if choice.state == "pending"]
        assert len(choices) == 2
        decide(
            project.store,
            "boxes",
            Decision(
                candidate_id=choices[0].candidate_id,
                verdict="approve",
                image_sha256=choices[0].image_sha256 or "",
                reviewer="anna",
            ),
        )
        assert project.run(job="delivery").success
        assert {file.candidate_id for file in load_exported_files(project.store, "boxes")} == {
            choices[0].candidate_id
        }


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    data = write_project(tmp_path, products=12)
    environ = os.environ | {"ASSET_PIPELINE_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    command = [sys.executable, "-m", "asset_pipeline.cli", "run", "boxes"]
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    events = data / "store" / "events" / "attempts" / "campaign=boxes"
    deadline = time.monotonic() + 60
    while len(list(events.glob("*.settled.json"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name: path.read_bytes() for path in events.glob("*.settled.json")}
    finished = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    store = Store(str(data / "store"))
    attempts = [event.body for event in store.events.read(ATTEMPTS, "boxes")]
    assert 5 <= len(kept) < 48
    assert all((events / name).read_bytes() == content for name, content in kept.items())
    settled = [attempt.candidate_id for attempt in attempts if attempt.state == "succeeded"]
    assert len(settled) == len(set(settled)) == 48
    assert all(candidate.image_sha256 for candidate in load_candidates(store, "boxes"))


def test_the_store_answers_sql_with_the_lineage_of_an_exported_file(project: Project) -> None:
    project.run()
    with duckdb.connect(str(project.places.views), read_only=True) as connection:
        rows = connection.execute("SELECT sku, prompt, seed, feed_row, state FROM lineage").fetchall()
    assert len(rows) == 12
    assert {row[0] for row in rows} == {"BOX-0000", "BOX-0001", "BOX-0002"}
    assert all("studio product photography" in row[1] and row[4] == "approved" for row in rows)


@pytest.mark.s3
def test_the_same_campaign_runs_on_s3_with_the_credentials_of_dagsters_resource(
    project: Project, s3: S3Server, s3_address: Address
) -> None:
    project.extra = {
        "ASSET_PIPELINE_STORE": s3_address.root,
        "ASSET_PIPELINE_VIEWS": str(project.data / "store.duckdb"),
        "AWS_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
    }
    assert project.run().success
    assert metadata(project.run(), "candidates")["made in this run"] == 0
    with connect(project.store.files, project.places.views) as connection:
        assert connection.execute("SELECT count(*) FROM lineage").fetchone() == (12,)
    assert not (project.data / "store").exists()


def test_the_command_line_plans_runs_shows_decides_and_audits(project: Project) -> None:
    plan = json.loads(project.cli("plan", "--json").stdout)
    assert (plan[0]["make"], plan[0]["reuse"], plan[0]["cost_usd"]) == (12, 0, 0)
    assert not (project.data / "store" / "facts" / "candidates" / "campaign=boxes").exists()
    ran = project.cli("run", "boxes")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (project.data / "reports" / "boxes-contact-sheet.jpg").is_file()
    assert json.loads(project.cli("plan", "--changed", "--json").stdout) == []
    chosen = load_choices(project.store, "boxes")[0].candidate_id
    assert chosen in project.cli("show", "boxes").stdout
    assert "1 decisions recorded" in project.cli("reject", "boxes", chosen, "--reviewer", "anna").stdout
    assert project.cli("run", "boxes").returncode == 0
    rejected = next(each for each in load_choices(project.store, "boxes") if each.candidate_id == chosen)
    assert rejected.reasons == ("rejected by anna",)
    picture = next((project.data / "exports" / "boxes" / "latest").rglob("*web_tile*"))
    audited = project.cli("audit", str(picture), "--reproduce")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    picture_bytes = bytearray(picture.read_bytes())
    picture_bytes[100] ^= 1
    picture.write_bytes(picture_bytes)
    assert project.cli("audit", str(picture)).returncode == 2


def test_a_run_that_cannot_start_ends_with_the_reason(project: Project) -> None:
    profile = project.data / "profiles" / "packshot.yaml"
    profile.write_text(profile.read_text().replace("mode: studio", "mode: studio\n  stage: moon"))
    answer = project.cli("run", "boxes")
    assert answer.returncode == 1
    assert "candidates.plan_shards failed:" in answer.stdout
    assert "stage" in answer.stdout.splitlines()[-1]
    assert "stage" in project.cli("plan").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nothing"), "there is no campaign 'nothing'"),
        (("run", "nothing"), "there is no campaign 'nothing'"),
        (("init", "Bad Name"), "cannot name a campaign"),
        (("init", "boxes"), "exists already"),
        (("audit", "no-such-thing"), "NotFound"),
        (("approve", "boxes", "c1"), "has no candidate c1"),
    ],
)
def test_a_mistake_is_answered_in_words_and_not_with_a_traceback(
    project: Project, arguments: tuple[str, ...], words: str
) -> None:
    answer = project.cli(*arguments)
    assert answer.returncode == 1
    assert words in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_an_unknown_executor_is_answered_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="in_process, multiprocess"):
        definitions.executor({"ASSET_PIPELINE_EXECUTOR": "nonsense"})
