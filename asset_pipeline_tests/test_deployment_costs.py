"""What the comparison of ways promises: whole GPUs, exact break-evens, and no figure without its source."""

import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.commands import cost as cost_module
from asset_pipeline.commands.cost import cost as command_line
from asset_pipeline.definitions import Places
from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.spending.deployment import (
    SECONDS_PER_MONTH,
    Load,
    Server,
    Way,
    api,
    break_even,
    break_evens,
    cost_at,
    rented,
    self_hosted,
    serverless,
)
from asset_pipeline.spending.prices import STALE_AFTER, Cited, Prices, load_prices, offers

DATA = Path(__file__).parent.parent / "data"
BUSY = Load(seconds_per_picture=1, utilisation=0.5, peak_factor=2)  # 657,000 pictures a month for a GPU
TODAY = date(2026, 11, 29)


def a_server(**fields: float) -> Server:
    figures = {
        "gpus": 8,
        "usd": 36_000,
        "amortisation_months": 36,
        "kilowatts": 10,
        "usd_per_kilowatt_hour": 0.1,
        "operating_usd_per_month": 270,
    }
    return Server(**{**figures, **fields})  # type: ignore[arg-type]


# What a way costs


def test_an_api_costs_its_price_for_every_picture_that_is_made_not_for_every_accepted_one() -> None:
    found = cost_at(api("vendor", 0.01), accepted=1000, pass_rate=0.25)
    assert (found.monthly_usd, found.usd_per_picture, found.usd_per_accepted) == (40, 0.01, 0.04)
    assert found.gpus is None
    assert found.utilisation is None


def test_a_serverless_gpu_is_paid_for_while_it_starts_waits_and_works() -> None:
    load = Load(seconds_per_picture=2, utilisation=0.8, peak_factor=1)
    way = serverless(
        "host", load, usd_per_second=0.001, cold_start_seconds=45, idle_seconds=5, pictures_per_start=100
    )
    found = cost_at(way, accepted=1000, pass_rate=1)
    assert found.monthly_usd == pytest.approx(1000 * 0.001 * (2 / 0.8 + 50 / 100))
    assert found.utilisation == pytest.approx(2 / 3)
    assert found.gpus == 1


def test_rented_gpus_come_in_whole_numbers_and_the_first_one_is_paid_for_anyway() -> None:
    way = rented("cloud", BUSY, usd_per_hour=2)
    full = BUSY.pictures_per_gpu()
    assert full == SECONDS_PER_MONTH * 0.5 / 2
    counts = {volume: cost_at(way, volume, 1).gpus for volume in (1, full, full + 1, 2 * full, 2 * full + 1)}
    assert list(counts.values()) == [1, 1, 2, 2, 3]
    assert cost_at(way, 1, 1).monthly_usd == 2 * 730
    assert cost_at(way, full, 1).utilisation == pytest.approx(
        0.25
    )  # half of the time, of which peaks take half


def test_the_busiest_hours_decide_how_many_gpus_there_have_to_be() -> None:
    calm, bursty = (Load(1, 1, peak_factor=factor) for factor in (1, 4))
    asked = SECONDS_PER_MONTH
    assert cost_at(rented("cloud", calm, usd_per_hour=1), asked, 1).gpus == 1
    assert cost_at(rented("cloud", bursty, usd_per_hour=1), asked, 1).gpus == 4


def test_an_own_server_costs_its_share_of_the_price_its_electricity_and_its_place() -> None:
    assert a_server().usd_per_month() == pytest.approx(1000 + 10 * 730 * 0.1 + 270)
    way = self_hosted("own", BUSY, a_server())
    found = cost_at(way, 8 * BUSY.pictures_per_gpu() + 1, 1)
    assert found.gpus == 16
    assert found.monthly_usd == pytest.approx(4000)


def test_fewer_accepted_pictures_of_those_made_cost_more_each() -> None:
    for way in (api("vendor", 0.01), rented("cloud", BUSY, usd_per_hour=2)):
        good, poor = (cost_at(way, 1_000_000, rate) for rate in (0.9, 0.3))
        assert poor.usd_per_accepted > good.usd_per_accepted


# Break-evens


def test_an_api_and_a_rented_gpu_break_even_where_its_month_is_paid_for() -> None:
    found = break_even(api("vendor", 0.01), rented("cloud", BUSY, usd_per_hour=2), pass_rate=0.5)
    (point,) = found.switches
    assert point.accepted == pytest.approx(1460 / 0.01 * 0.5)
    assert point.is_equal
    assert found.is_settled
    assert found.sentence == (
        "vendor costs less than cloud up to 73,000 accepted a month, where both cost the same; "
        "above that cloud"
    )


def test_a_way_that_is_always_cheaper_has_no_break_even() -> None:
    found = break_even(api("dear", 0.02), api("cheap", 0.01), pass_rate=0.5)
    assert (found.cheaper_first, found.switches) == ("cheap", ())
    assert found.sentence == "cheap costs less than dear at every volume"


def test_an_api_below_the_cost_of_a_full_gpu_never_loses_to_it() -> None:
    way = rented("cloud", BUSY, usd_per_hour=2)
    below = api("vendor", 1460 / BUSY.pictures_per_gpu() * 0.99)
    assert break_even(way, below, 1).sentence == "vendor costs less than cloud at every volume"


def test_each_further_gpu_makes_the_api_cheaper_again_until_the_gpus_have_won_for_good() -> None:
    way = rented("cloud", BUSY, usd_per_hour=2)
    full = BUSY.pictures_per_gpu()
    vendor = api("vendor", 1460 / full / 0.7)  # a GPU is cheaper from 70 % full on
    found = break_even(vendor, way, 1)
    places = [(round(each.accepted / full, 6), each.cheaper_after, each.is_equal) for each in found.switches]
    assert places == [
        (0.7, "cloud", True),
        (1, "vendor", False),
        (1.4, "cloud", True),
        (2, "vendor", False),
        (2.1, "cloud", True),
    ]
    assert "from 1,379,700 on cloud costs less" in found.sentence
    assert found.is_settled


def test_a_server_beats_rented_gpus_when_they_need_one_more_than_it_is_worth() -> None:
    cloud, own = rented("cloud", BUSY, usd_per_hour=1), self_hosted("own", BUSY, a_server())
    point = break_even(cloud, own, 1).switches[0]  # 730 a GPU against 2,000
    assert point.accepted == pytest.approx(2 * BUSY.pictures_per_gpu())
    assert (point.cheaper_after, point.is_equal) == ("own", False)


def test_ways_that_cost_the_same_are_said_to() -> None:
    found = break_even(api("one", 0.01), api("other", 0.01), 1)
    assert found.sentence == "one and other cost the same"


def test_ways_too_alike_to_settle_say_so() -> None:
    cloud = rented("cloud", BUSY, usd_per_hour=2)
    found = break_even(api("vendor", cloud.limit_usd_per_picture() * 1.0000001), cloud, 1)
    assert not found.is_settled
    assert "full units favour cloud" in found.sentence


def test_every_pair_is_compared_once() -> None:
    ways = [api(name, usd) for name, usd in (("a", 0.01), ("b", 0.02), ("c", 0.03))]
    assert [(each.cheaper_first, each.other) for each in break_evens(ways, 1)] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


loads = st.builds(Load, st.floats(0.1, 30), st.floats(0.1, 1), st.floats(1, 5))
ways = st.one_of(
    st.builds(api, st.just("api"), st.floats(0.0005, 0.1)),
    st.builds(
        lambda load, usd, cold: serverless(
            "serverless",
            load,
            usd_per_second=usd,
            cold_start_seconds=cold,
            idle_seconds=5,
            pictures_per_start=50,
        ),
        loads,
        st.floats(0.0001, 0.01),
        st.floats(0, 120),
    ),
    st.builds(lambda load, usd: rented("rented", load, usd_per_hour=usd), loads, st.floats(0.2, 10)),
    st.builds(
        lambda load, gpus, usd: self_hosted("own", load, a_server(gpus=gpus, usd=usd)),
        loads,
        st.integers(1, 8),
        st.floats(3000, 400_000),
    ),
)
rates = st.floats(0.05, 1)


@given(ways, st.floats(1, 1e8), st.floats(1, 10), rates)
def test_more_pictures_a_month_never_cost_less(way: Way, volume: float, times: float, rate: float) -> None:
    less, more = cost_at(way, volume, rate), cost_at(way, volume * times, rate)
    assert more.monthly_usd >= less.monthly_usd - 1e-6


@given(ways, st.floats(1, 1e8), rates)
def test_gpus_are_never_busier_than_they_were_trusted_with(way: Way, volume: float, rate: float) -> None:
    found = cost_at(way, volume, rate)
    assert found.utilisation is None or found.utilisation <= 1 + 1e-9
    assert way.monthly_usd(volume) >= way.limit_usd_per_picture() * volume * (1 - 1e-8)


@given(ways, ways, rates)
def test_at_a_break_even_both_cost_the_same_and_beyond_it_the_other_is_cheaper(
    one: Way, other: Way, rate: float
) -> None:
    one, other = _named(one, "one"), _named(other, "other")
    by_name = {"one": one, "other": other}
    found = break_even(one, other, rate)
    for point in found.switches[:20]:
        cheaper = by_name[point.cheaper_after]
        dearer = other if cheaper is one else one
        pictures = point.accepted / rate
        if point.is_equal:
            assert cheaper.monthly_usd(pictures) == pytest.approx(dearer.monthly_usd(pictures), rel=1e-6)
        else:
            assert dearer.units(pictures * (1 + 1e-6)) > dearer.units(pictures * (1 - 1e-6))
            after = pictures * (1 + 1e-6)
            assert cheaper.monthly_usd(after) <= dearer.monthly_usd(after) * (1 + 1e-6)


@given(ways, ways, st.floats(0.001, 1e9))
def test_between_two_switches_the_cheaper_way_is_the_one_that_is_named(
    one: Way, other: Way, volume: float
) -> None:
    one, other = _named(one, "one"), _named(other, "other")
    found = break_even(one, other, 1)
    after = [point.cheaper_after for point in found.switches if point.accepted < volume]
    if not found.is_settled:
        return
    named = one if (after[-1] if after else found.cheaper_first) == "one" else other
    dearer = other if named is one else one
    assert named.monthly_usd(volume) <= dearer.monthly_usd(volume) * (1 + 1e-6)
    assert all(x.cheaper_after != y.cheaper_after for x, y in pairwise(found.switches))


def _named(way: Way, name: str) -> Way:
    return Way(**{**vars(way), "name": name})


# The file


def test_every_shipped_figure_has_a_source_and_every_doubt_is_said() -> None:
    prices = load_prices(DATA)
    figures = [cited for name in prices.models for offer in offers(prices, name) for cited in offer.figures]
    assert len({each.name for each in figures}) > 15
    assert all(each.source for each in figures)
    assert all(each.unconfirmed for each in figures if each.name.startswith("assumptions."))
    assert all(each.as_of is None or each.as_of <= TODAY for each in figures)


def test_a_figure_is_stale_after_180_days_and_doubtful_without_a_date() -> None:
    fresh = Cited("x", "1", TODAY - STALE_AFTER, "somebody", unconfirmed=False)
    old = Cited("x", "1", TODAY - STALE_AFTER - timedelta(days=1), "somebody", unconfirmed=True)
    undated = Cited("x", "1", None, "somebody", unconfirmed=False)
    assert STALE_AFTER.days == 180
    assert fresh.doubts(TODAY) == []
    assert old.doubts(TODAY) == ["unconfirmed", "stale: 181 days old"]
    assert undated.doubts(TODAY) == ["undated"]


def test_a_way_needs_the_speed_on_its_gpu() -> None:
    prices = load_prices(DATA)
    kinds = {name: {offer.way.kind for offer in offers(prices, name)} for name in prices.models}
    assert kinds["flux2-klein-4b"] == {"API", "serverless GPU", "rented GPU", "own server"}
    assert kinds["flux2-pro"] == {"API"}


def test_a_speed_counts_only_on_the_gpu_that_it_was_measured_on() -> None:
    written = load_prices(DATA).model_dump()
    model = written["models"]["flux2-klein-4b"]
    model["seconds"] = {"H200": model["seconds"]["H100"]}
    written["rented"]["runpod-secure"]["gpu"] = "H200"
    found = offers(Prices.model_validate(written), "flux2-klein-4b")
    assert [offer.way.name for offer in found if offer.way.kind != "API"] == ["runpod-secure"]


def test_a_server_pays_for_its_place_by_its_kilowatts() -> None:
    found = offers(load_prices(DATA), "flux2-klein-4b")
    own = next(offer.way for offer in found if offer.way.kind == "own server")
    assert own.monthly_usd(1) == pytest.approx(317_000 / 36 + 10.2 * (730 * 0.146 + 184.06))


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFound, match=r"no model 'flux9'.*flux2-klein-4b"):
        offers(load_prices(DATA), "flux9")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("value: 2.72,", "value: -2.72,", "rented.hyperstack-reserved.usd_per_hour.value"),
        ("value: 0.9,", "value: 90,", "assumptions: utilisation is a share"),
        ("unit: image, usd: 0.003,", "unit: second, usd: 0.1, expected_seconds: 1,", "hard stop"),
        ("idle_seconds:", "idle_second:", "did you mean idle_seconds?"),
        ("gpus: 8", "gpus: 0", "servers.eight-h100.gpus"),
    ],
)
def test_a_wrong_figure_is_named_by_file_line_and_field(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = (DATA / "prices.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tmp_path / "prices.yaml").write_text(text.replace(old, new), encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if old in each)
    with pytest.raises(InvalidFile) as refused:
        load_prices(tmp_path)
    messages = str(refused.value).splitlines()
    assert any(told in each for each in messages)
    assert "assumptions:" in told or any(f"prices.yaml:{line}: " in each for each in messages)


# The command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    (tmp_path / "prices.yaml").write_bytes((DATA / "prices.yaml").read_bytes())
    monkeypatch.setattr(cost_module, "PLACES", Places.of({"ASSET_PIPELINE_DATA": str(tmp_path)}))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command_line, arguments, catch_exceptions=False)

    return invoke


def answer(run: Callable[..., Result], *arguments: str) -> dict[str, Any]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = json.loads(result.output)
    return read


def test_the_best_way_stands_first_and_half_of_the_pictures_are_made_for_nothing(
    run: Callable[..., Result],
) -> None:
    found = answer(run, "--volume", "100000")
    amounts = [each["monthly_usd"] for each in found["ways"]]
    assert amounts == sorted(amounts)
    assert found["pass_rate"] == 0.5
    by_name = {(each["model"], each["name"]): each for each in found["ways"]}
    vendor = by_name["flux2-klein-4b", "black-forest-labs"]
    assert (vendor["monthly_usd"], vendor["usd_per_accepted"]) == (2800, 0.028)


def test_ways_of_making_different_models_pictures_have_no_break_even(run: Callable[..., Result]) -> None:
    found = answer(run, "--volume", "100000")
    pairs = [each["model"] for each in found["break_evens"]]
    ways_of = {model: sum(each["model"] == model for each in found["ways"]) for model in set(pairs)}
    assert all(pairs.count(model) == math.comb(count, 2) for model, count in ways_of.items())
    assert answer(run, "--volume", "100000", "--model", "flux2-pro")["break_evens"] == []


def test_a_better_pass_rate_moves_the_break_even_up(run: Callable[..., Result]) -> None:
    first = [
        answer(run, "--volume", "100000", "--model", "flux2-klein-4b", "--pass-rate", rate)["break_evens"]
        for rate in ("0.25", "0.5")
    ]
    low, high = (
        next(each["switches"][0]["accepted"] for each in points if each["switches"]) for points in first
    )
    assert high == pytest.approx(2 * low)


def test_the_figures_the_doubtful_ones_and_the_break_evens_are_told_in_words(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    told = run("--volume", "100000", "--model", "flux2-klein-4b").output
    assert "black-forest-labs costs less than hyperstack-reserved up to 70,914 accepted a month" in told
    assert "https://www.hyperstack.cloud/gpu-pricing" in told
    unconfirmed = next(line for line in told.splitlines() if line.startswith("unconfirmed: "))
    assert "servers.eight-h100.usd" in unconfirmed
    assert "black-forest-labs" not in unconfirmed
    stale = next(line for line in told.splitlines() if line.startswith("stale, older than 180 days: "))
    assert "servers.eight-h100.usd" in stale

    written = yaml.safe_load((tmp_path / "prices.yaml").read_text(encoding="utf-8"))
    only = {name: model for name, model in written["models"].items() if name == "flux2-pro"}
    only["flux2-pro"]["api"]["black-forest-labs"]["as_of"] = date.today()  # noqa: DTZ011 - a day, as people write it
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump({**written, "models": only}), encoding="utf-8")
    assert "unconfirmed: none" in run("--volume", "100000").output


def test_no_pictures_at_all_is_no_question(run: Callable[..., Result]) -> None:
    for wrong in (["--volume", "0"], ["--volume", "10", "--pass-rate", "0"], []):
        assert run(*wrong).exit_code == 2
