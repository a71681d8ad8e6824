"""What listing and releasing attempts promises: a person sees what waits, and lets each go on once."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, MOST_ATTEMPTS, newest, spent_usd, what_next
from asset_pipeline.commands.attempts import attempts
from asset_pipeline.definitions import Places
from asset_pipeline.errors import NotFound
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.made_attempts import NOON, a_request, an_attempt, put

HELD = a_request(1).candidate_id
DEAD = a_request(2).candidate_id
MADE = a_request(3).candidate_id
OPEN = a_request(4).candidate_id
FAILED = a_request(5).candidate_id
PROFILE = """\
provider: together
title: Remote
parameters: {model: m}
endpoint: {base_url: "https://api.example.com/v1"}
price: {unit: image, usd: 0.04, source: a test}
is_remote: true
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A campaign with an attempt of each kind."""
    store = Store(str(tmp_path / "store"))
    put(
        store,
        "spring",
        an_attempt("unreconciled", seed=1, code="submit_unknown", said="lost", reason="cut off"),
    )
    for number in range(1, MOST_ATTEMPTS + 1):
        failed = an_attempt("failed", seed=2, number=number, code="model_error", reason="out of memory")
        put(store, "spring", failed, at=NOON + timedelta(hours=number))
    put(store, "spring", an_attempt("succeeded", seed=3))
    put(store, "spring", an_attempt("queued", seed=4))
    put(store, "spring", an_attempt("failed", seed=5, code="model_error", reason="out of memory"))
    return store


@pytest.fixture
def command(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``asset-pipeline attempts``."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "remote.yaml").write_text(PROFILE)
    environ = {"ASSET_PIPELINE_DATA": str(tmp_path), "ASSET_PIPELINE_STORE": store.files.root}
    for module in ("attempts", "telling", "terminal"):
        monkeypatch.setattr(f"asset_pipeline.commands.{module}.PLACES", Places.of(environ))
    return lambda *arguments: CliRunner().invoke(attempts, arguments)


def listed(result: Result) -> dict[tuple[str, int], dict[str, Any]]:
    return {(each["candidate_id"], each["attempt"]): each for each in json.loads(result.stdout)}


def release(command: Callable[..., Result], *which: str) -> Result:
    return command("release", "spring", *which, "--who", "Ada", "--reason", "the bill does not show it")


def next_step(store: Store, candidate_id: str) -> tuple[str, int]:
    last = newest(store.events.read(ATTEMPTS, "spring"))[candidate_id]
    step = what_next(last, owner_is_alive=False, this_run="run-1", afresh=False)
    return step.action, step.attempt


# Listing


def test_what_is_under_way_or_waits_for_a_person_is_listed(command: Callable[..., Result]) -> None:
    found = listed(command("list", "--json"))
    assert {key: each["kind"] for key, each in found.items()} == {
        (HELD, 1): "held",
        (DEAD, MOST_ATTEMPTS): "dead",
        (OPEN, 1): "open",
    }
    held = found[HELD, 1]
    assert (held["job_id"], held["cost_usd"], held["reason"]) == ("job-1", 0.01, "cut off")
    assert found[OPEN, 1]["reason"] == "run run-0 ended while remote had it"


@pytest.mark.parametrize(
    ("state", "names"),
    [("held", {HELD}), ("dead", {DEAD}), ("open", {OPEN}), ("all", {HELD, DEAD, MADE, OPEN, FAILED})],
)
def test_a_state_chooses_what_is_listed(command: Callable[..., Result], state: str, names: set[str]) -> None:
    found = listed(command("list", "spring", "--state", state, "--json"))
    assert {name for name, _ in found} == names


def test_all_includes_every_attempt_at_one_candidate(command: Callable[..., Result]) -> None:
    found = listed(command("list", "--state", "all", "--json"))
    assert [number for name, number in found if name == DEAD] == list(range(1, MOST_ATTEMPTS + 1))


def test_who_is_at_work_on_an_open_attempt_is_said(command: Callable[..., Result], store: Store) -> None:
    with working(store, "run-7") as worker:
        put(store, "spring", an_attempt("running", seed=6, worker=worker, run_id="run-7"))
        found = listed(command("list", "--state", "open", "--json"))
    assert found[a_request(6).candidate_id, 1]["reason"] == "run run-7 is making it"


def test_the_table_says_how_to_go_on(command: Callable[..., Result]) -> None:
    said = command("list", "--state", "held").output
    assert "asset-pipeline attempts release spring" in said
    assert "cut off" in said
    release(command, HELD)
    assert "no such attempts" in command("list", "--state", "held").output


# Releasing


def test_after_a_release_the_next_run_makes_another_attempt(
    command: Callable[..., Result], store: Store
) -> None:
    assert (next_step(store, HELD), next_step(store, DEAD)) == (("hold", 1), ("hold", MOST_ATTEMPTS))
    assert release(command, HELD, DEAD).exit_code == 0
    assert next_step(store, HELD) == ("make", 2)
    assert next_step(store, DEAD) == ("make", MOST_ATTEMPTS + 1)
    released = newest(store.events.read(ATTEMPTS, "spring"))[HELD]
    assert released.reason == "Ada released it: the bill does not show it (it was unreconciled: cut off)"


def test_what_was_booked_stays_booked(command: Callable[..., Result], store: Store) -> None:
    before = spent_usd(store.events.read(ATTEMPTS, "spring"))
    said = " ".join(release(command, "--all-held").output.split())
    assert spent_usd(store.events.read(ATTEMPTS, "spring")) == before
    assert "$0.0200 stays booked" in said


def test_what_another_attempt_costs_is_said_by_todays_price(command: Callable[..., Result]) -> None:
    said = " ".join(release(command, "--all-held").output.split())
    assert "another attempt at each costs $0.0800 as expected and $0.0800 at most with remote" in said


def test_without_its_profile_another_attempt_is_expected_to_cost_what_the_last_one_was(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "profiles" / "remote.yaml").unlink()
    said = " ".join(release(command, HELD).output.split())
    assert "costs $0.0100 as expected and $0.0200 at most" in said


def test_releasing_twice_records_it_once(command: Callable[..., Result], store: Store) -> None:
    assert "1 attempts released, 0 were before" in release(command, HELD).output
    events = len(store.events.names(ATTEMPTS, "spring"))
    again = release(command, HELD)
    assert (again.exit_code, len(store.events.names(ATTEMPTS, "spring"))) == (0, events)
    assert "0 attempts released, 1 were before" in again.output


def test_all_that_is_held_of_a_campaign_is_released_at_once(
    command: Callable[..., Result], store: Store
) -> None:
    assert "2 attempts released" in release(command, "--all-held").output
    assert not json.loads(command("list", "--state", "held", "--json").stdout)
    assert next_step(store, OPEN)[0] == "resume"
    assert next_step(store, MADE)[0] == "reuse"


@pytest.mark.parametrize("other", [MADE, OPEN, FAILED])
def test_what_is_not_held_is_refused_and_nothing_is_released(
    command: Callable[..., Result], store: Store, other: str
) -> None:
    result = release(command, HELD, other)
    assert isinstance(result.exception, NotFound)
    assert f"nothing is held of {other}" in str(result.exception)
    assert next_step(store, HELD)[0] == "hold"


@pytest.mark.parametrize("arguments", [["spring", "cnobody"], ["winter", "--all-held"]])
def test_what_nobody_knows_cannot_be_released(command: Callable[..., Result], arguments: list[str]) -> None:
    result = command("release", *arguments, "--who", "Ada", "--reason", "r")
    assert isinstance(result.exception, NotFound)


@pytest.mark.parametrize("missing", ["--who", "--reason"])
def test_a_release_has_a_name_and_a_reason(command: Callable[..., Result], missing: str) -> None:
    given = {"--who": "Ada", "--reason": "r"}
    del given[missing]
    result = command("release", "spring", HELD, *(part for pair in given.items() for part in pair))
    assert result.exit_code == 2
    assert missing in result.output


def test_a_release_names_what_it_releases(command: Callable[..., Result]) -> None:
    result = release(command)
    assert result.exit_code == 2
    assert "--all-held" in result.output
