"""What the list of providers promises: who is asked, who is not and why, what waits, how one goes on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asset_pipeline.candidates.breaker import Breaker, health_of
from asset_pipeline.candidates.jobs.traffic import account_subject
from asset_pipeline.commands.providers import providers
from asset_pipeline.definitions import Places
from asset_pipeline.errors import NotFound
from asset_pipeline.spending.claims import Claim
from asset_pipeline.spending.queue import queues
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_attempts import GONE, NOON, a_call, a_request, an_attempt, put

REMOTE = """\
provider: together
title: Remote
parameters: {{model: m}}
endpoint: {{base_url: "https://api.example.com/v1", account: {account}}}
is_remote: true
"""


# Queues


def claim(state: str, *, minutes: float = 0.0, lasted: float = 0.0, **given: Any) -> Claim:
    claimed = NOON - timedelta(minutes=minutes)
    return Claim("spring", an_attempt(state, **given), claimed, claimed + timedelta(minutes=lasted), 0.02)


def test_open_attempts_are_counted_by_stage_and_the_oldest_is_told() -> None:
    found = queues(
        [
            claim("pending", minutes=1),
            claim("submitting", minutes=2),
            claim("queued", minutes=3),
            claim("running", minutes=30),
            claim("fetching", minutes=4),
            claim("succeeded", minutes=500),
        ],
        NOON,
    )
    (queue,) = found.values()
    assert queue.stages == {"to send": 2, "queued": 1, "running": 1, "fetching": 1}
    assert (queue.depth, queue.oldest_seconds, queue.turned_away) == (5, 1800.0, 0)


def test_profiles_that_share_an_account_and_accounts_of_one_profile_are_told_apart() -> None:
    agency = a_call(a_request(), account="agency")
    found = queues([claim("queued"), claim("queued", profile="other"), claim("queued", call=agency)], NOON)
    assert sorted(found) == [("other", "shop"), ("remote", "agency"), ("remote", "shop")]


def test_what_runs_in_this_process_waits_at_no_provider() -> None:
    assert not queues([claim("submitting", call=None)], NOON)


@pytest.mark.parametrize(
    ("code", "minutes_ago", "count"),
    [("rate_limited", 59, 1), ("provider_unavailable", 5, 1), ("rate_limited", 61, 0), ("model_error", 5, 0)],
)
def test_what_was_not_let_in_within_the_last_hour_is_counted(
    code: str, minutes_ago: float, count: int
) -> None:
    found = queues([claim("failed", code=code, minutes=120, lasted=120 - minutes_ago)], NOON)
    assert sum(queue.turned_away for queue in found.values()) == count


# The command


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def command(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``asset-pipeline providers`` where two remote profiles share an account, and one draws here."""
    (tmp_path / "profiles").mkdir()
    for name, account in (("remote", "shop"), ("second", "shop"), ("third", '""')):
        (tmp_path / "profiles" / f"{name}.yaml").write_text(REMOTE.format(account=account))
    (tmp_path / "profiles" / "packshot.yaml").write_text("provider: packshot\ntitle: Packshot\n")
    environ = {"ASSET_PIPELINE_DATA": str(tmp_path), "ASSET_PIPELINE_STORE": store.files.root}
    for module in ("providers", "terminal"):
        monkeypatch.setattr(f"asset_pipeline.commands.{module}.PLACES", Places.of(environ))
    return lambda *arguments: CliRunner().invoke(providers, arguments)


def seen(command: Callable[..., Result]) -> dict[str, dict[str, Any]]:
    return {each["profile"]: each for each in json.loads(command("list", "--json").stdout)["profiles"]}


def fail_three_times(store: Store, profile: str) -> None:
    breaker = Breaker(store, profile, GONE)
    for _ in range(3):
        breaker.failed("502 Bad Gateway", None)


def test_every_profile_with_an_endpoint_is_listed_with_its_account(command: Callable[..., Result]) -> None:
    found = seen(command)
    assert {name: each["account"] for name, each in found.items()} == {
        "remote": "shop",
        "second": "shop",
        "third": "together",
    }
    assert {each["health"]["state"] for each in found.values()} == {"closed"}


def test_a_profile_that_is_left_alone_says_since_when_until_when_and_why(
    command: Callable[..., Result], store: Store
) -> None:
    fail_three_times(store, "remote")
    health = seen(command)["remote"]["health"]
    assert (health["state"], health["because"]) == ("open", "502 Bad Gateway")
    assert datetime.fromisoformat(health["since"]) < datetime.fromisoformat(health["until"])
    assert "remote is left alone: 502 Bad Gateway" in command("list").output
    assert seen(command)["second"]["health"]["state"] == "closed"


def test_a_paused_account_shows_at_each_of_its_profiles_with_the_command_that_resumes_it(
    command: Callable[..., Result], store: Store
) -> None:
    Breaker(store, account_subject("shop"), GONE).pause("answered 401; check the key")
    found = seen(command)
    assert [found[name]["account_health"]["state"] for name in ("remote", "second", "third")] == [
        "paused",
        "paused",
        "closed",
    ]
    assert "asset-pipeline providers resume account-shop --who" in command("list").output


def test_what_waits_at_a_provider_is_listed(command: Callable[..., Result], store: Store) -> None:
    put(store, "spring", an_attempt("queued", seed=1), at=datetime.now(UTC) - timedelta(minutes=20))
    put(store, "autumn", an_attempt("running", seed=2), at=datetime.now(UTC) - timedelta(minutes=5))
    found = seen(command)["remote"]
    assert found["stages"] == {"queued": 1, "running": 1}
    assert found["oldest_seconds"] >= 20 * 60
    assert "20 min" in command("list").output


def test_what_waits_at_a_profile_that_is_gone_is_told_all_the_same(
    command: Callable[..., Result], store: Store
) -> None:
    put(store, "spring", an_attempt("queued", profile="former"))
    assert "1 attempts are open at former (shop), which is no profile any more" in command("list").output


def test_a_person_resumes_an_account_and_is_named(command: Callable[..., Result], store: Store) -> None:
    Breaker(store, account_subject("shop"), GONE).pause("answered 401; check the key")
    said = command("resume", "account-shop", "--who", "Ada").output
    health = health_of(store, "account-shop")
    assert (health.state, health.because) == ("closed", "Ada resumed it")
    assert "was paused (answered 401; check the key); now Ada resumed it" in " ".join(said.split())


def test_a_profile_that_is_left_alone_is_asked_again_at_a_persons_word(
    command: Callable[..., Result], store: Store
) -> None:
    fail_three_times(store, "remote")
    assert command("resume", "remote", "--who", "Ada").exit_code == 0
    assert health_of(store, "remote").may_be_asked


def test_resuming_what_is_asked_already_records_nothing(command: Callable[..., Result], store: Store) -> None:
    assert "nothing was changed" in command("resume", "remote", "--who", "Ada").output
    assert not store.files.names("events/health/subject=remote")


@pytest.mark.parametrize("subject", ["packshot", "account-nobody", "shop"])
def test_only_remote_profiles_and_their_accounts_can_be_resumed(
    command: Callable[..., Result], subject: str
) -> None:
    result = command("resume", subject, "--who", "Ada")
    assert isinstance(result.exception, NotFound)
    assert "remote, second, third, account-shop, account-together" in str(result.exception)
