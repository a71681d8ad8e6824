"""Who makes which picture now, who may see it, and whether it is asked for again: decisions of values."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.campaign.brief import SENSITIVITIES, Campaign, Sensitivity
from asset_pipeline.candidates.clearance import order_objections, stricter
from asset_pipeline.candidates.dispatch import Dispatcher
from asset_pipeline.candidates.health import Health
from asset_pipeline.candidates.jobs.attempt import Attempt, Call, newest_of
from asset_pipeline.candidates.jobs.job import ImageResult, Job, RemoteParameters
from asset_pipeline.candidates.jobs.mapping import AskedSize
from asset_pipeline.candidates.jobs.verify import verify
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.price import PerImage
from asset_pipeline.candidates.request import ImageRequest, Profile
from asset_pipeline.candidates.retrying import is_settled_for_now, tried
from asset_pipeline.candidates.routing import PassRate, worth_waiting
from asset_pipeline.candidates.wanted import want_candidates
from asset_pipeline.store.worker import Worker
from asset_pipeline_tests.drawing import Drawing
from asset_pipeline_tests.remote_orders import prompt
from asset_pipeline_tests.vendors.server import picture

ME = Worker(worker_id="w", host="h", pid=1, started=0.0, run_id="r")
BRIEF = Campaign.model_validate({"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"]})
PAUSED = Health(state="paused", since=datetime.now(UTC), because="no funds")


def lane(name: str, usd: float, **profile: Any) -> Lane:
    price = PerImage(unit="image", usd=usd, source="a test")
    return Lane(name, Profile(provider="drawing", title=name, price=price, **profile), Drawing())


def order(*lanes: Lane, pictures: int = 4, **more: Any) -> Order:
    first, *others = lanes
    wanted = want_candidates(
        [prompt(number) for number in range(pictures)], BRIEF, first.profile, first.provider.version_of
    )
    given: dict[str, Any] = {"sensitivity": "public", "budget_usd": 100.0, "alternatives": tuple(others)}
    return Order("spring", wanted, first.name, first.profile, first.provider, **(given | more))


def as_it_is(health: Health) -> Health:
    return health


def dealt(
    work: Order, left_usd: float = 100.0, healths: Mapping[str, Health] | None = None
) -> dict[str, int]:
    known = {name: partial(as_it_is, health) for name, health in (healths or {}).items()}
    assigned = Dispatcher(work, known).assign([(each, 1) for each in work.wanted], left_usd, {})
    return {
        **{name: len(those) for name, those in assigned.lanes.items()},
        "unaffordable": len(assigned.unaffordable),
        "waiting": len(assigned.waiting),
        "given up": len(assigned.given_up),
    }


# Who makes it


def test_the_cheapest_makes_all_that_it_may() -> None:
    found = dealt(order(lane("dear", 0.04), lane("cheap", 0.01)))
    assert found == {"cheap": 4, "unaffordable": 0, "waiting": 0, "given up": 0}


def test_the_cheapest_for_a_picture_that_passes_counts_and_not_the_cheapest_picture() -> None:
    rates = {"dear": PassRate(95, 100), "cheap": PassRate(5, 100)}
    assert dealt(order(lane("dear", 0.04), lane("cheap", 0.01), pass_rates=rates))["dear"] == 4


def test_a_product_that_is_more_sensitive_than_its_campaign_stays_here() -> None:
    here, there = lane("here", 0.04), lane("there", 0.01, is_remote=True, sensitivities=("public",))
    found = dealt(order(here, there, sensitivities={"SKU-1": "confidential", "SKU-2": "local_only"}))
    assert (found["here"], found["there"]) == (2, 2)


def test_what_is_dealt_never_costs_more_than_is_left() -> None:
    assert dealt(order(lane("only", 0.03)), left_usd=0.07) == {
        "only": 2,
        "unaffordable": 2,
        "waiting": 0,
        "given up": 0,
    }


def test_what_only_a_paused_provider_may_make_waits() -> None:
    assert dealt(order(lane("only", 0.03)), healths={"only": PAUSED})["waiting"] == 4
    both = order(lane("only", 0.01), lane("other", 0.03))
    assert dealt(both, healths={"only": PAUSED})["other"] == 4


def test_a_pass_deals_no_more_than_it_is_told() -> None:
    work = order(lane("only", 0.03), pictures=9)
    assigned = Dispatcher(work, {}).assign([(each, 1) for each in work.wanted], 100.0, {}, most=5)
    assert assigned.count == 5


def test_time_heals_an_open_breaker_and_no_pause() -> None:
    work, now = order(lane("only", 0.03)), datetime.now(UTC)
    opened = Health(state="open", since=now, until=now + timedelta(seconds=30), because="down", failures=3)
    for health, waits in ((opened, True), (PAUSED, False)):
        assigned = Dispatcher(work, {"only": partial(as_it_is, health)}).assign(
            [(work.wanted[0], 1)], 100.0, {}
        )
        assert (worth_waiting(assigned.waiting[0][1], now) is not None) is waits


# Who may see it


@given(st.sampled_from(SENSITIVITIES), st.sampled_from([*SENSITIVITIES, None, "secret!", " Confidential "]))
def test_the_stricter_of_two_holds_and_a_word_that_is_none_is_the_strictest(
    one: Sensitivity, other: str | None
) -> None:
    found = stricter(one, other)
    assert SENSITIVITIES.index(found) >= SENSITIVITIES.index(one)
    if other == "secret!":
        assert found == "local_only"
    if other == " Confidential ":
        assert SENSITIVITIES.index(found) >= SENSITIVITIES.index("confidential")


def test_an_order_is_refused_if_nobody_may_see_some_of_it_and_the_products_are_named() -> None:
    public = {"is_remote": True, "sensitivities": ("public",)}
    work = order(
        lane("one", 0.01, **public), lane("other", 0.02, **public), sensitivities={"SKU-3": "internal"}
    )
    found = order_objections(BRIEF, work, date(2026, 1, 1))
    assert found == [
        "one: the profile is not cleared for internal material for SKU-3",
        "other: the profile is not cleared for internal material for SKU-3",
    ]


# Whether it is asked for again


def attempt(number: int, state: str, code: str | None = None, profile: str = "p", **more: Any) -> Attempt:
    result = None
    if code is not None:
        result = ImageResult.model_validate(
            {
                "request_id": "c",
                "attempt": number,
                "state": "failed",
                "provider": "v",
                "account": "v",
                "endpoint": "e",
                "code": code,
            }
        )
    given = {
        "candidate_id": "c",
        "attempt": number,
        "state": state,
        "run_id": "r",
        "worker": ME,
        "profile": profile,
    }
    return Attempt(**given, result=result, reason=code, **more)


@pytest.mark.parametrize("code", ["provider_unavailable", "rate_limited", "auth", "insufficient_funds"])
def test_a_provider_that_is_at_fault_is_not_asked_again_in_the_run(code: str) -> None:
    assert tried([attempt(1, "failed", code)]) == {"p": code}


@pytest.mark.parametrize("code", ["model_error", "output_invalid", "timeout_run"])
def test_a_picture_that_is_at_fault_is_asked_for_once_more(code: str) -> None:
    once = attempt(1, "failed", code)
    assert tried([once]) == {}
    assert tried([once, attempt(2, "failed", code)]) == {"p": code}


def test_what_died_with_its_process_speaks_against_nobody() -> None:
    assert tried([attempt(1, "lost"), attempt(2, "lost")]) == {}


@pytest.mark.parametrize(
    ("states", "is_settled"),
    [
        (["succeeded"], True),
        (["refused"], True),
        (["unreconciled"], True),
        (["failed"], False),
        (["lost"], False),
        (["queued", "superseded"], True),
        (["failed", "superseded"], False),
    ],
)
def test_a_run_leaves_alone_what_has_an_end_or_is_under_way(states: list[str], is_settled: bool) -> None:
    history = [attempt(number, state) for number, state in enumerate(states, 1)]
    assert is_settled_for_now(history) is is_settled


def test_an_attempt_that_another_one_superseded_counts_for_nothing() -> None:
    history = [attempt(1, "succeeded"), attempt(2, "superseded", hedges=1)]
    assert newest_of(history) == history[0]
    assert history[0].race == history[1].race


def test_a_call_says_all_that_going_on_with_it_takes() -> None:
    request = ImageRequest(prompt="a", width=64, height=64, seed=1, profile_fingerprint="f")
    job = Job(
        request=request, attempt=1, campaign="s", profile="p", parameters=RemoteParameters(), client_id="u"
    )
    call = Call(provider="v", account="v", base_url="https://example.com", job=job)
    assert Call.model_validate_json(call.model_dump_json()) == call


# Whether it is a picture


def test_a_picture_of_the_size_that_was_asked_for_is_one() -> None:
    found = verify(picture(128, 64, 1), AskedSize(128, 64))
    assert not isinstance(found, str)
    assert (found.pixels.shape, found.media_type) == ((64, 128, 3), "image/png")


@pytest.mark.parametrize(
    ("data", "asked", "reason"),
    [
        (b"", AskedSize(128, 64), "no bytes"),
        (b"<!doctype html>", AskedSize(128, 64), "cannot be read"),
        (picture(128, 64, 1)[:200], AskedSize(128, 64), "cannot be read"),
        (picture(64, 64, 1), AskedSize(128, 64), "64 × 64, and 128 × 64 was asked for"),
        (picture(128, 64, None), AskedSize(128, 64), "one flat colour"),
        (picture(128, 128, 1), AskedSize(16, 9, "16:9"), "16:9 was asked for"),
    ],
)
def test_what_is_no_picture_says_why(data: bytes, asked: AskedSize, reason: str) -> None:
    found = verify(data, asked)
    assert isinstance(found, str)
    assert reason in found


def test_a_shape_by_name_may_be_off_by_what_a_grid_allows() -> None:
    assert not isinstance(verify(picture(1344, 768, 1), AskedSize(16, 9, "16:9")), str)
