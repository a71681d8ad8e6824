"""What routing promises: who may not, never; of the others the cheapest accepted picture; always a reason."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.candidates.health import HEALTHY, Health, after_failure, as_of, paused, probed
from asset_pipeline.candidates.routing import (
    DEAREST_EXPLORATION,
    PROBE_SECONDS,
    Need,
    Offer,
    PassRate,
    explain,
    hedge,
    route,
    worth_waiting,
)

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ALL = ("public", "internal", "confidential", "local_only")
NEED = Need("r1", "internal", budget_left_usd=1.0)
JUDGED = PassRate(600, 1000)


def offer(profile: str, usd: float, **fields: Any) -> Offer:
    whole = {"is_remote": True, "sensitivities": ALL, "most_usd": usd, "pass_rate": JUDGED, **fields}
    return Offer(profile, expected_usd=usd, **whole)


def opened() -> Health:
    health = HEALTHY
    for _ in range(3):
        health = after_failure(health, "it answered 503", NOON)
    return health


READY = as_of(opened(), NOON + timedelta(seconds=30))
PAUSED = paused(HEALTHY, "401: the key is not valid", NOON)
DEAR, CHEAP = offer("dear", 0.035), offer("cheap", 0.012)

sensitivities = st.sampled_from(ALL)
dollars = st.integers(0, 50).map(lambda cents: cents / 1000)
healths = st.sampled_from([HEALTHY, opened(), READY, probed(READY, NOON), PAUSED])
rates = st.integers(0, 200).flatmap(
    lambda judged: st.builds(PassRate, passed=st.integers(0, judged), judged=st.just(judged))
)
offers_of_any_kind = st.lists(
    st.builds(
        Offer,
        profile=st.sampled_from("abcdef"),
        is_remote=st.booleans(),
        sensitivities=st.lists(sensitivities, unique=True),
        objection=st.none() | st.just("it takes no references"),
        health=healths,
        expected_usd=dollars,
        most_usd=dollars,
        pass_rate=rates,
        seconds=st.none() | st.floats(0, 100),
        preference=st.integers(0, 3),
    ),
    unique_by=lambda each: each.profile,
    max_size=6,
)
needs = st.builds(
    Need,
    request_id=st.integers(0, 10_000).map(str),
    sensitivity=sensitivities,
    budget_left_usd=st.floats(-0.1, 0.1),
    seconds_left=st.none() | st.floats(-10, 100),
    priority=st.sampled_from(["low", "normal", "high", "interactive"]),
    tried=st.dictionaries(st.sampled_from("abcdef"), st.just("it timed out"), max_size=3),
)


# --- what holds whatever is asked ---


@given(needs, offers_of_any_kind)
def test_local_only_material_goes_to_no_other_machine_whatever_else_holds(
    need: Need, offers: list[Offer]
) -> None:
    need = replace(need, sensitivity="local_only")
    chosen = {route(need, offers).profile}
    asked = replace(need, priority="interactive")
    chosen.add(hedge(asked, route(asked, offers), 60.0, offers).profile)
    assert not chosen & {each.profile for each in offers if each.is_remote}


@given(needs, offers_of_any_kind)
def test_no_cheaper_eligible_offer_is_passed_over_but_to_explore(need: Need, offers: list[Offer]) -> None:
    found = route(need, offers)
    eligible = {each.offer.profile: each for each in found.verdicts if not each.objections}
    if found.profile is None:
        assert not eligible
        return
    chosen, cheapest = eligible[found.profile], min(each.usd_per_accepted for each in eligible.values())
    if found.because.startswith("one request in"):
        assert need.priority != "interactive"
        best = min(eligible.values(), key=lambda each: each.usd_per_accepted).offer.expected_usd
        assert chosen.offer.expected_usd <= DEAREST_EXPLORATION * best
    else:
        assert chosen.usd_per_accepted == cheapest


@given(needs, offers_of_any_kind)
def test_who_is_chosen_is_cleared_able_untried_healthy_affordable_and_in_time(
    need: Need, offers: list[Offer]
) -> None:
    found = route(need, offers)
    chosen = next((each for each in offers if each.profile == found.profile), None)
    if chosen is None:
        return
    assert need.sensitivity in chosen.sensitivities
    assert chosen.objection is None
    assert chosen.profile not in need.tried
    assert chosen.health.may_be_asked
    assert chosen.most_usd <= max(0.0, need.budget_left_usd) + 1e-9
    assert need.seconds_left is None or (chosen.seconds or 0.0) <= need.seconds_left


@given(needs, offers_of_any_kind, st.randoms())
def test_the_order_of_the_offers_decides_nothing(need: Need, offers: list[Offer], random: Any) -> None:
    shuffled = list(offers)
    random.shuffle(shuffled)
    assert route(need, shuffled).profile == route(need, offers).profile


@given(needs, offers_of_any_kind)
def test_every_outcome_says_why_and_every_offer_has_a_row(need: Need, offers: list[Offer]) -> None:
    found = route(need, offers)
    assert found.because
    rows = explain(found)
    assert sorted(row["profile"] for row in rows) == sorted(each.profile for each in offers)
    assert all(row["verdict"] for row in rows)
    if found.profile:
        assert (rows[0]["profile"], rows[0]["verdict"]) == (found.profile, found.because)


# --- objections ---


@pytest.mark.parametrize(
    ("need", "fields", "objection"),
    [
        ({"sensitivity": "local_only"}, {}, "the profile sends its material to another machine"),
        ({"sensitivity": "confidential"}, {"sensitivities": ("public",)}, "not cleared for confidential"),
        ({}, {"objection": "it takes no references"}, "it takes no references"),
        ({"tried": {"cheap": "it timed out"}}, {}, "in this run: it timed out"),
        ({}, {"health": opened()}, "until 12:00:30, after 3 failures in a row: it answered 503"),
        (
            {},
            {"health": PAUSED},
            (
                "until a person mends this and resumes it (asset-pipeline providers list says how): 401: "
                "the key is not valid"
            ),
        ),
        ({}, {"health": probed(READY, NOON)}, "one request finds out whether it is back"),
        ({"budget_left_usd": 0.01}, {}, "it can cost $0.0120 and $0.0100 of the budget is left"),
        ({"seconds_left": 5.0}, {"seconds": 8.0}, "it takes 8 s and 5 s are left"),
        ({"seconds_left": -3.0}, {}, "the deadline was 3 s ago"),
    ],
)
def test_an_objection_says_what_is_wrong_and_what_would_help(
    need: dict[str, Any], fields: dict[str, Any], objection: str
) -> None:
    found = route(replace(NEED, **need), [replace(CHEAP, **fields)])
    assert found.profile is None
    assert objection in found.verdicts[0].objections[0]
    assert f"cheap: {found.verdicts[0].objections[0]}" in found.because


def test_all_objections_are_told_in_the_order_of_the_questions() -> None:
    worst = replace(CHEAP, objection="it takes no references", health=PAUSED, seconds=9.0)
    need = Need("r1", "local_only", 0.0, seconds_left=1.0, tried={"cheap": "it timed out"})
    found = route(need, [worst]).verdicts[0].objections
    words = ["local_only", "references", "timed out", "paused", "budget", "9 s"]
    assert [word in objection for word, objection in zip(words, found, strict=True)] == [True] * 6


def test_what_is_free_is_made_although_the_budget_is_spent() -> None:
    local = offer("local", 0.0, is_remote=False)
    assert route(replace(NEED, budget_left_usd=-1.0), [CHEAP, local]).profile == "local"


def test_the_last_cent_of_a_budget_can_be_spent() -> None:
    left = 0.036 - 0.012 - 0.012
    assert left < 0.012
    assert route(replace(NEED, budget_left_usd=left), [CHEAP]).profile == "cheap"


def test_without_offers_there_is_no_route() -> None:
    assert route(NEED, []).because == "no profile is offered"


# --- nobody, for now ---


def test_where_all_are_down_it_is_worth_waiting_for_the_first_probe() -> None:
    later = opened().model_copy(update={"until": NOON + timedelta(seconds=300)})
    found = route(NEED, [replace(CHEAP, health=opened()), replace(DEAR, health=later)])
    assert worth_waiting(found, NOON + timedelta(seconds=10)) == 20.0
    assert worth_waiting(found, NOON + timedelta(seconds=40)) == 0.0


def test_a_probe_under_way_is_asked_about_every_few_seconds() -> None:
    found = route(NEED, [replace(CHEAP, health=probed(READY, NOON))])
    assert worth_waiting(found, NOON) == PROBE_SECONDS


@pytest.mark.parametrize(
    "fields", [{"health": PAUSED}, {"objection": "it takes no references"}, {"most_usd": 9.0}], ids=str
)
def test_waiting_does_not_help_where_time_heals_nothing(fields: dict[str, Any]) -> None:
    hopeless = replace(CHEAP, **{"health": opened(), **fields})
    assert worth_waiting(route(NEED, [hopeless]), NOON) is None


# --- the choice ---


def test_the_cheapest_accepted_picture_wins_not_the_cheapest_picture() -> None:
    poor = offer("poor", 0.012, pass_rate=PassRate(100, 1000))
    fair = offer("fair", 0.020, pass_rate=PassRate(600, 1000))
    found = route(NEED, [poor, fair])
    assert found.profile == "fair"
    assert "fair: $0.0336 for an accepted picture = $0.0200 / 60% (1000 judged)" in found.because
    assert "next is poor" in found.because


def test_a_few_judged_pictures_do_not_decide_against_the_price() -> None:
    unlucky = offer("unlucky", 0.012, pass_rate=PassRate(0, 2))
    assert route(NEED, [DEAR, unlucky]).profile == "unlucky"
    proven = offer("proven bad", 0.012, pass_rate=PassRate(0, 200))
    assert route(NEED, [DEAR, proven]).profile == "dear"


def test_a_profile_without_judged_pictures_is_taken_for_an_average_one() -> None:
    new = offer("new", 0.011, pass_rate=PassRate())
    found = route(NEED, [DEAR, CHEAP, new])
    assert found.profile == "new"
    assert found.verdicts[2].pass_rate == pytest.approx(0.6, abs=0.001)


def test_of_free_ones_the_one_that_passes_most_often_is_taken() -> None:
    local = [offer("a", 0.0, pass_rate=PassRate(50, 100)), offer("b", 0.0, pass_rate=PassRate(70, 100))]
    found = route(NEED, [CHEAP, *local])
    assert found.profile == "b"
    assert "free" in found.because


def test_ties_go_to_the_campaigns_preference_and_then_to_the_name() -> None:
    same = [offer(name, 0.012, preference=place) for name, place in [("a", 2), ("c", 1), ("b", 1)]]
    assert route(NEED, same).profile == "b"


def test_the_probe_goes_to_what_would_be_best_and_says_that_it_is_one() -> None:
    found = route(NEED, [DEAR, replace(CHEAP, health=READY)])
    assert found.profile == "cheap"
    assert "it is the probe that finds out whether it is back" in found.because


# --- exploration ---


def routes(offers: list[Offer], **need: Any) -> Counter[str | None]:
    return Counter(
        route(replace(NEED, request_id=f"r{number}", **need), offers).profile for number in range(4000)
    )


def test_about_one_and_a_half_percent_of_the_requests_learn_about_the_least_judged_profile() -> None:
    new = offer("new", 0.020, pass_rate=PassRate(1, 2))
    middle = offer("middle", 0.021, pass_rate=PassRate(5, 10))
    found = routes([CHEAP, new, middle])
    assert 30 <= found["new"] <= 90
    assert found["new"] + found["cheap"] == 4000


def test_the_name_of_a_request_alone_decides_whether_it_explores() -> None:
    new = offer("new", 0.020, pass_rate=PassRate(1, 2))
    assert routes([CHEAP, new]) == routes([CHEAP, new])


@pytest.mark.parametrize(
    "new",
    [
        offer("several times dearer", 0.037, pass_rate=PassRate()),
        offer("perhaps down", 0.020, pass_rate=PassRate(), health=READY),
        offer("not eligible", 0.020, pass_rate=PassRate(), objection="it takes no references"),
    ],
    ids=lambda each: each.profile,
)
def test_some_profiles_are_never_explored(new: Offer) -> None:
    assert routes([CHEAP, new]) == {"cheap": 4000}


@pytest.mark.parametrize("need", [{"priority": "interactive"}, {"tried": {"other": "it timed out"}}])
def test_where_someone_waits_or_another_failed_nothing_is_explored(need: dict[str, Any]) -> None:
    assert routes([CHEAP, offer("new", 0.020, pass_rate=PassRate())], **need) == {"cheap": 4000}


def test_nothing_is_spent_to_explore_where_a_picture_is_free() -> None:
    assert routes([offer("local", 0.0), offer("new", 0.001, pass_rate=PassRate())]) == {"local": 4000}


# --- hedging ---

WAITED = replace(NEED, priority="interactive", budget_left_usd=0.05)
FIRST = route(WAITED, [CHEAP, DEAR])


def test_when_someone_has_waited_long_enough_another_provider_is_asked_as_well() -> None:
    second = hedge(WAITED, FIRST, 13.0, [CHEAP, DEAR])
    assert second.profile == "dear"
    assert second.because.startswith("cheap is not there after 13 s, and someone waits; dear: ")


@pytest.mark.parametrize("priority", ["low", "normal", "high"])
def test_only_interactive_requests_are_asked_twice(priority: Any) -> None:
    found = hedge(replace(WAITED, priority=priority), FIRST, 1000.0, [CHEAP, DEAR])
    assert (found.profile, found.because) == (
        None,
        f"nobody waits for it: the request is {priority}, not interactive",
    )


def test_before_its_time_nobody_is_asked_twice() -> None:
    assert hedge(WAITED, FIRST, 11.0, [CHEAP, DEAR]).because == "cheap has 1 s before it is late"


def test_a_second_request_never_exceeds_the_budget_that_the_first_one_is_spending() -> None:
    found = hedge(replace(WAITED, budget_left_usd=0.046), FIRST, 13.0, [CHEAP, DEAR])
    assert found.profile is None
    assert "it can cost $0.0350 and $0.0340 of the budget is left" in found.because


def test_a_second_request_comes_within_the_deadline_or_not_at_all() -> None:
    need = replace(WAITED, seconds_left=20.0)
    assert hedge(need, FIRST, 13.0, [CHEAP, replace(DEAR, seconds=8.0)]).profile is None
    assert hedge(need, FIRST, 13.0, [CHEAP, replace(DEAR, seconds=6.0)]).profile == "dear"


def test_a_second_request_is_no_probe() -> None:
    found = hedge(WAITED, FIRST, 13.0, [CHEAP, replace(DEAR, health=READY)])
    assert found.profile is None
    assert "not known to be back" in found.because


def test_where_nobody_was_asked_nobody_is_asked_twice() -> None:
    assert hedge(WAITED, route(WAITED, []), 13.0, [CHEAP]).profile is None
