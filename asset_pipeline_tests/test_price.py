"""What a price promises: a budget that is a hard stop, a bill as the provider counts, sums without drift."""

import math
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from asset_pipeline.candidates.price import (
    Price,
    Tokens,
    Usage,
    billed_usd,
    expected_usd,
    most_usd,
    total_usd,
)

PRICE: TypeAdapter[Price] = TypeAdapter(Price)
PER_SECOND = {"unit": "second", "usd": 0.00116, "expected_seconds": 3, "most_seconds": 60}
PER_TOKENS = {
    "unit": "tokens",
    "input_text_usd_per_million": 5,
    "input_image_usd_per_million": 10,
    "output_usd_per_million": 40,
    "expected": {"input_text": 100, "output": 1056},
    "most": {"input_text": 2000, "input_image": 4000, "output": 6240},
}


def price(given: dict[str, Any]) -> Price:
    return PRICE.validate_python({"source": "the price list", **given})


# What is expected


def test_a_price_per_image_does_not_ask_for_the_size() -> None:
    listed = price({"unit": "image", "usd": 0.003})
    assert expected_usd(listed, 64, 64) == expected_usd(listed, 4096, 4096) == 0.003
    assert expected_usd(listed, 64, 64, count=240) == 0.72


def test_megapixels_are_exact_unless_the_provider_rounds_each_picture_up() -> None:
    exact = price({"unit": "megapixel", "usd": 0.005})
    up = price({"unit": "megapixel", "usd": 0.005, "rounding": "up"})
    assert expected_usd(exact, 1024, 1024) == 0.005243
    assert expected_usd(up, 1024, 1024) == 0.01
    assert expected_usd(up, 1000, 1000) == 0.005
    assert expected_usd(exact, 1024, 1024, count=1000) == 5.24288  # rounded once, at the end


def test_a_megapixel_is_what_the_provider_calls_one() -> None:
    binary = price({"unit": "megapixel", "usd": 0.005, "rounding": "up", "pixels": 1024 * 1024})
    assert expected_usd(binary, 1024, 1024) == 0.005
    assert expected_usd(binary, 1024, 1040) == 0.01


def test_a_first_megapixel_may_have_a_price_of_its_own_that_small_pictures_pay_too() -> None:
    listed = price({"unit": "megapixel", "usd": 0.001, "first_usd": 0.014, "pixels": 1024 * 1024})
    assert expected_usd(listed, 512, 512) == 0.014
    assert expected_usd(listed, 2048, 1024) == 0.015


def test_seconds_and_tokens_cost_what_is_expected_of_them() -> None:
    assert expected_usd(price(PER_SECOND), 1024, 1024, count=2) == 0.00696
    assert expected_usd(price(PER_TOKENS), 1024, 1024) == 0.04274


def test_own_hardware_is_free_whatever_is_made_on_it() -> None:
    free = PRICE.validate_python({"unit": "free"})
    assert (free.source, expected_usd(free, 4096, 4096, 100), most_usd(free, 4096, 4096, 100)) == (
        "own hardware",
        0,
        0,
    )
    assert billed_usd(free, Usage(images=3)) == 0


# What is set aside


def test_what_is_set_aside_is_the_most_and_not_what_is_expected() -> None:
    assert most_usd(price(PER_SECOND), 1024, 1024) == 0.0696
    assert most_usd(price(PER_TOKENS), 1024, 1024, count=2) == 0.5992


def test_what_is_set_aside_is_rounded_up() -> None:
    assert most_usd(price({"unit": "image", "usd": 0.0000011}), 64, 64) == 0.000002
    assert most_usd(price({"unit": "image", "usd": 0.1 + 0.2}), 64, 64) == 0.3  # that is float's dust


def test_a_price_per_second_without_an_end_is_no_price() -> None:
    endless = {name: value for name, value in PER_SECOND.items() if name != "most_seconds"}
    with pytest.raises(ValidationError, match="cannot be a hard stop without most_seconds"):
        price(endless)
    with pytest.raises(ValidationError, match="cannot be a hard stop without most_seconds"):
        price({**endless, "most_seconds": None})


@pytest.mark.parametrize(
    "wrong",
    [
        {**PER_SECOND, "most_seconds": 2},
        {**PER_SECOND, "most_seconds": math.inf},
        {**PER_TOKENS, "most": {"input_text": 100, "output": 1000}},
        {"unit": "image", "usd": -0.01},
        {"unit": "image", "usd": math.nan},
        {"unit": "image", "usd": 0.01, "source": ""},
        {"unit": "image", "usd": 0.01, "rounding": "up"},
        {"unit": "hour", "usd": 1},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        price(wrong)


amounts = st.floats(0, 10, allow_nan=False)
sides = st.integers(16, 8192)
sizes = st.tuples(sides, sides)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    unit = draw(st.sampled_from(["image", "megapixel", "second", "tokens", "free"]))
    usd = draw(amounts)
    if unit == "second":
        expected, more = draw(st.tuples(st.floats(0.01, 100), st.floats(0, 500)))
        return price(
            {"unit": unit, "usd": usd, "expected_seconds": expected, "most_seconds": expected + more}
        )
    if unit == "tokens":
        few, more_tokens = draw(st.tuples(*[st.lists(st.integers(0, 10_000), min_size=3, max_size=3)] * 2))
        names = list(Tokens.model_fields)
        expected_tokens = dict(zip(names, few, strict=True))
        most = {name: expected_tokens[name] + more for name, more in zip(names, more_tokens, strict=True)}
        rates = {f"{name}_usd_per_million": draw(amounts) for name in names}
        return price({"unit": unit, **rates, "expected": expected_tokens, "most": most})
    fields: dict[str, Any] = {} if unit == "free" else {"usd": usd}
    if unit == "megapixel":
        fields["rounding"] = draw(st.sampled_from(["exact", "up"]))
        fields["first_usd"] = draw(st.none() | amounts)
        fields["pixels"] = draw(st.sampled_from([1_000_000, 1024 * 1024]))
    return price({"unit": unit, **fields})


@given(prices(), sizes, st.integers(1, 1000), st.data())
def test_a_hard_stop_is_never_below_the_bill_for_what_the_profile_allows(
    listed: Price, size: tuple[int, int], count: int, data: st.DataObject
) -> None:
    made = data.draw(st.integers(0, count))
    fields: dict[str, Any] = {"images": made, "megapixels": made * size[0] * size[1] / 1_000_000}
    if listed.unit == "second":
        fields["seconds"] = data.draw(st.floats(0, listed.most_seconds)) * made
    if listed.unit == "tokens":
        for name in Tokens.model_fields:
            fields[f"{name}_tokens"] = data.draw(st.integers(0, getattr(listed.most, name))) * made
    bill = billed_usd(listed, Usage(**fields))
    assert bill is not None
    assert bill <= most_usd(listed, *size, count)
    assert expected_usd(listed, *size, count) <= most_usd(listed, *size, count)


@given(prices(), sizes, st.integers(1, 1000))
def test_more_pictures_never_cost_less(listed: Price, size: tuple[int, int], count: int) -> None:
    for function in (expected_usd, most_usd):
        assert function(listed, *size, count) <= function(listed, *size, count + 1)


# What it was


def test_what_the_provider_itself_says_wins_over_our_price() -> None:
    usage = Usage(images=1, seconds=100, reported_usd=0.0421)
    for listed in (price({"unit": "image", "usd": 1}), price(PER_SECOND), price({"unit": "free"})):
        assert billed_usd(listed, usage) == 0.0421


def test_a_bill_counts_what_was_made_and_not_what_was_asked_for() -> None:
    assert billed_usd(price({"unit": "image", "usd": 0.02}), Usage(images=0)) == 0
    assert billed_usd(price(PER_SECOND), Usage(seconds=10)) == 0.0116
    used = Usage(input_text_tokens=1000, input_image_tokens=2000, output_tokens=1000)
    assert billed_usd(price(PER_TOKENS), used) == 0.065


def test_megapixels_are_rounded_up_for_each_picture_of_a_bill() -> None:
    up = price({"unit": "megapixel", "usd": 0.005, "rounding": "up"})
    assert billed_usd(up, Usage(images=3, megapixels=3 * 1.1)) == 0.03
    assert billed_usd(up, Usage(images=3, megapixels=3 * 1.0)) == 0.015
    assert billed_usd(up, Usage(images=0, megapixels=0.0)) == 0


def test_what_is_lost_in_dividing_floats_is_no_further_megapixel() -> None:
    up = price({"unit": "megapixel", "usd": 0.005, "rounding": "up"})
    nine = sum([0.1, 0.2]) * 30
    assert nine > 9
    assert billed_usd(up, Usage(images=3, megapixels=nine)) == 0.045


def test_a_bill_is_in_the_megapixels_of_the_provider() -> None:
    binary = price({"unit": "megapixel", "usd": 0.005, "rounding": "up", "pixels": 1024 * 1024})
    assert billed_usd(binary, Usage(images=1, megapixels=1.048576)) == 0.005


@pytest.mark.parametrize(
    "listed",
    [{"unit": "image", "usd": 1}, {"unit": "megapixel", "usd": 1}, PER_SECOND, PER_TOKENS],
)
def test_a_bill_is_unknown_and_not_nothing_if_the_provider_does_not_say_how_much(
    listed: dict[str, Any],
) -> None:
    assert billed_usd(price(listed), Usage()) is None


def test_tokens_that_cost_nothing_need_not_be_counted() -> None:
    listed = price({**PER_TOKENS, "input_text_usd_per_million": 0, "input_image_usd_per_million": 0})
    assert billed_usd(listed, Usage(output_tokens=1000)) == 0.04


# Sums


def test_a_million_booked_amounts_add_up_to_the_cent() -> None:
    listed = [price({"unit": "image", "usd": each * 7919_7919 % 10**8 / 1e6}) for each in range(1, 1001)]
    booked = [expected_usd(each, 1024, 1024) for each in listed] * 1000
    exact = sum(Decimal(str(each)) for each in booked[:1000]) * 1000
    assert len(booked) == 1_000_000
    assert Decimal(str(total_usd(booked))) == exact
    assert abs(total_usd(booked) - float(exact)) < 0.005


def test_a_million_equal_amounts_add_up_exactly_which_adding_one_by_one_does_not() -> None:
    booked = [0.1] * 1_000_000
    assert total_usd(booked) == 100_000
    assert round(sum(booked), 6) != 100_000


@given(st.lists(st.integers(0, 10**9), max_size=50), st.randoms())
def test_the_order_of_the_entries_does_not_change_their_sum(
    millionths: list[int], chance: random.Random
) -> None:
    booked = [each / 1e6 for each in millionths]
    total = total_usd(booked)
    chance.shuffle(booked)
    assert total == total_usd(booked)
    assert abs(Fraction(total) - Fraction(sum(millionths), 10**6)) < Fraction(1, 10**6)
