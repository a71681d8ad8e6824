"""What the report of spending promises: every cent once, and nothing unknown passed off as known."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, spent_usd
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.candidates.records import record_candidates
from asset_pipeline.commands.spend import spend
from asset_pipeline.definitions import Places
from asset_pipeline.errors import NotFound
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import record_choices
from asset_pipeline.spending.claims import Claim, load_claims
from asset_pipeline.spending.report import NO_ACCOUNT, NOT_RECORDED, WAYS, By, Spent, line, lines, spent
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_attempts import NOON, a_call, a_request, an_attempt, put
from asset_pipeline_tests.made_candidates import made_candidate

STATES = ("pending", "queued", "succeeded", "failed", "refused", "lost", "unreconciled", "released")
CENTS = st.integers(0, 2_000_000).map(lambda millionths: millionths / 1_000_000)


def a_line(*attempts: Spent) -> Any:
    return line("all", attempts)


def spent_on(state: str, **given: Any) -> Spent:
    return Spent(Claim("spring", an_attempt(state, **given), NOON, NOON, 0.02), None)


# Sums


@given(st.lists(st.tuples(st.sampled_from(STATES), CENTS, st.integers(0, 3)), max_size=60))
def test_whatever_is_asked_for_the_lines_add_up_to_all_that_is_booked(
    made: list[tuple[str, float, int]],
) -> None:
    attempts = [
        Spent(Claim(f"c{group}", an_attempt(state, seed=seed, cost_usd=cost), NOON, NOON, 2.0), None)
        for seed, (state, cost, group) in enumerate(made)
    ]
    booked = total_usd(cost for _, cost, _ in made)
    for by in WAYS:
        found = lines(attempts, by)
        assert total_usd(each.actual_usd + each.set_aside_usd for each in found) == booked
        assert sum(each.attempts for each in found) == len(made)


def test_ten_thousand_pictures_of_a_tenth_of_a_cent_cost_ten_dollars_to_the_cent() -> None:
    each = spent_on("succeeded", cost_usd=0.001)
    assert a_line(*[each] * 10_000).actual_usd == 10.0


def test_what_is_set_aside_for_open_attempts_is_not_spent_and_no_difference() -> None:
    found = a_line(spent_on("running"), spent_on("succeeded", cost_usd=0.012))
    assert (found.open, found.set_aside_usd) == (1, 0.02)
    assert (found.expected_usd, found.actual_usd, found.difference_usd) == (0.01, 0.012, 0.002)


def test_what_is_booked_as_expected_and_what_nobody_knows_is_told_apart() -> None:
    found = a_line(
        spent_on("succeeded", basis="estimated", cost_usd=0.01),
        spent_on("unreconciled", basis="estimated", said="lost", code="submit_unknown", cost_usd=0.01),
        spent_on("lost", basis="computed", said="lost", code="lost", cost_usd=0.003),
        spent_on("failed", code="model_error", cost_usd=0.5),
    )
    assert found.estimated_usd == 0.02
    assert found.unknown_usd == 0.013


def test_what_a_person_released_is_still_unknown_and_still_booked() -> None:
    was_held = spent_on("released", said="lost", code="submit_unknown", cost_usd=0.01)
    was_dead = spent_on("released", code="model_error", cost_usd=0.02)
    found = a_line(was_held, was_dead)
    assert (found.actual_usd, found.unknown_usd) == (0.03, 0.01)


def test_failures_are_part_of_what_a_picture_costs() -> None:
    good = replace(spent_on("succeeded", cost_usd=0.01), has_passed=True)
    found = a_line(good, spent_on("succeeded", cost_usd=0.01), spent_on("failed", cost_usd=0.01))
    assert (found.usd_per_picture, found.usd_per_passed) == (0.015, 0.03)
    assert a_line(spent_on("failed")).usd_per_picture is None


def test_the_slower_of_two_that_were_hedged_costs_and_counts_as_no_picture() -> None:
    slower = spent_on("superseded", number=1, cost_usd=0.01, image_sha256="b" * 64)
    found = a_line(slower, spent_on("succeeded", number=2, cost_usd=0.02))
    assert (found.pictures, found.usd_per_picture) == (1, 0.03)


def test_of_two_pictures_at_one_candidate_the_one_that_was_recorded_has_passed() -> None:
    claims = [Claim("spring", an_attempt("succeeded", number=number), NOON, NOON, 0.02) for number in (1, 2)]
    candidate = made_candidate("a" * 64, candidate_id=a_request().candidate_id, attempt=2)
    found = spent(claims, {candidate.candidate_id: candidate}, [candidate.candidate_id])
    assert [each.has_passed for each in found] == [False, True]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("provider", ["together", NOT_RECORDED]),
        ("account", ["shop", NO_ACCOUNT]),
        ("profile", ["remote", "packshot"]),
        ("product", [NOT_RECORDED]),
        ("code", ["timeout_run", "succeeded"]),
        ("day", ["2026-11-20"]),
    ],
)
def test_each_way_of_asking_has_its_own_names(by: By, names: list[str]) -> None:
    remote = spent_on("failed", code="timeout_run")
    local = spent_on("succeeded", call=None, profile="packshot", cost_usd=0.0)
    assert [each.name for each in lines([local, remote], by)] == names


# Reading the store


def test_an_attempt_is_read_in_its_newest_state_with_the_moment_of_its_claim(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    put(store, "spring", an_attempt("succeeded", cost_usd=0.004), lasted=timedelta(hours=13))
    (claim,) = load_claims(store)
    assert claim.attempt.state == "succeeded"
    assert (claim.claimed_at, claim.last_at) == (NOON, NOON + timedelta(hours=13))
    assert claim.set_aside_usd == 0.02


# The command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``asset-pipeline spend`` on two campaigns: seven attempts, of which four brought pictures."""
    store = Store(str(tmp_path / "store"))
    places = Places.of(
        {"ASSET_PIPELINE_DATA": str(tmp_path), "ASSET_PIPELINE_STORE": str(tmp_path / "store")}
    )
    for module in ("telling", "terminal"):
        monkeypatch.setattr(f"asset_pipeline.commands.{module}.PLACES", places)
    for attempt in (
        an_attempt("succeeded", seed=1, cost_usd=0.003, image_sha256="1" * 64),
        an_attempt("succeeded", seed=2, cost_usd=0.003, image_sha256="2" * 64),
        an_attempt("failed", seed=3, number=1, code="model_error", cost_usd=0.003),
        an_attempt("succeeded", seed=3, number=2, cost_usd=0.003, image_sha256="3" * 64),
        an_attempt("unreconciled", seed=4, code="submit_unknown", said="lost", basis="estimated"),
        an_attempt("running", seed=5),
    ):
        put(store, "spring", attempt, at=NOON + timedelta(days=attempt.attempt - 1))
    put(store, "autumn", an_attempt("succeeded", seed=9, cost_usd=1.0), at=NOON)
    recorded = [
        made_candidate(
            str(seed) * 64, candidate_id=a_request(seed).candidate_id, sku=f"MUG-{seed}", attempt=number
        )
        for seed, number in ((1, 1), (2, 1), (3, 2))
    ]
    record_candidates(store, "spring", recorded, run_id="r")
    states = {"MUG-1": "approved", "MUG-2": "rejected", "MUG-3": "pending"}
    chosen = [
        Choice.model_validate(
            {
                **each.model_dump(
                    include={"candidate_id", "prompt_id", "sku", "asset_type", "locale", "position"}
                ),
                "image_sha256": each.image_sha256,
                "state": states[each.sku],
                "rule": "not recorded",
                "rank": None,
                "quality": None,
                "reasons": (),
                "candidate_fact_sha256": "f",
                "scores_sha256": "s",
                "rules_sha256": "r",
            }
        )
        for each in recorded
    ]
    record_choices(store, "spring", chosen, run_id="r")
    return lambda *arguments: CliRunner().invoke(spend, arguments)


def told(result: Result) -> dict[str, dict[str, Any]]:
    found = json.loads(result.stdout)
    return {each["name"]: each for each in [*found["lines"], found["all"]]}


def test_the_command_adds_up_all_campaigns_that_have_attempts(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    found = told(command("--by", "campaign", "--json"))
    assert list(found) == ["autumn", "spring", "all"]
    assert (found["spring"]["attempts"], found["spring"]["pictures"], found["spring"]["passed"]) == (6, 3, 2)
    assert found["spring"]["actual_usd"] == 0.022
    assert found["spring"]["usd_per_passed"] == 0.011
    store = Store(str(tmp_path / "store"))
    booked = spent_usd(store.events.read(ATTEMPTS, "spring"))
    assert booked == total_usd((found["spring"]["actual_usd"], found["spring"]["set_aside_usd"]))


def test_products_come_from_the_recorded_candidates_and_the_others_are_said_to_be_unknown(
    command: Callable[..., Result],
) -> None:
    found = told(command("spring", "--by", "product", "--json"))
    assert {name: each["attempts"] for name, each in found.items()} == {
        NOT_RECORDED: 2,
        "MUG-1": 1,
        "MUG-2": 1,
        "MUG-3": 2,
        "all": 6,
    }
    assert found["MUG-3"]["passed"] == 1


def test_since_counts_the_day_on_which_an_attempt_was_claimed(command: Callable[..., Result]) -> None:
    found = told(command("--since", "2026-11-21", "--by", "day", "--json"))
    assert list(found) == ["2026-11-21", "all"]
    assert found["all"]["attempts"] == 1


def test_the_table_says_in_words_what_is_not_certain(command: Callable[..., Result]) -> None:
    said = " ".join(command("spring").output.split())
    assert "1 attempts have no end yet: $0.0200 at most is set aside" in said
    assert "$0.0100 is booked as it was expected" in said
    assert "$0.0100 is booked for lost or unreconciled attempts" in said


def test_a_campaign_that_nobody_knows_is_named(command: Callable[..., Result]) -> None:
    result = command("winter")
    assert isinstance(result.exception, NotFound)
    assert "winter (there are: autumn, spring)" in str(result.exception)


def test_a_call_names_the_account_that_is_charged() -> None:
    attempt = an_attempt("queued", call=a_call(a_request(), account="agency"))
    assert Claim("spring", attempt, NOON, NOON, 0.02).account == "agency"
