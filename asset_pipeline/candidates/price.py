"""What a provider charges for a picture: expected before it is sent, the most it can be, and what it was."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PIXELS = 1_000_000
"""Of a megapixel, where nothing else is said."""
MILLION = 1_000_000
DECIMALS = 6
"""Of every amount that leaves this module: a millionth of a dollar."""
LESS_THAN_A_PIXEL = 1e-7
"""Megapixels that come from dividing floats and that no provider charges for."""

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date | None = None
    """The day on which the source said so; none if that is not known."""
    source: str = Field(min_length=1)
    """Who says so: the publisher's page or document."""
    unconfirmed: bool = False
    """Only a secondary source is known."""


class PerImage(_Listed):
    """So much for each picture, whatever its size."""

    unit: Literal["image"]
    usd: Usd


class PerMegapixel(_Listed):
    """So much for each megapixel of the output."""

    unit: Literal["megapixel"]
    usd: Usd
    first_usd: Usd | None = None
    """What a picture's first megapixel costs, as a whole, if it is not like the others."""
    rounding: Literal["exact", "up"] = "exact"
    """``up``: each picture counts as the next whole number of megapixels."""
    pixels: int = Field(default=PIXELS, gt=0)
    """What the provider calls a megapixel; for some it is 1024 × 1024."""


class PerSecond(_Listed):
    """So much for each second that the provider's machine works on a picture."""

    unit: Literal["second"]
    usd: Usd
    expected_seconds: Seconds
    most_seconds: Seconds
    """After which the provider is told to stop."""

    @model_validator(mode="before")
    @classmethod
    def _has_an_end(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("most_seconds") is None:
            raise ValueError("a price per second cannot be a hard stop without most_seconds; write it down")
        return given

    @model_validator(mode="after")
    def _most_is_most(self) -> Self:
        if self.most_seconds < self.expected_seconds:
            raise ValueError("most_seconds is less than expected_seconds")
        return self


class Tokens(BaseModel):
    """Tokens of one picture, by what they stand for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_text: int = Field(default=0, ge=0)
    input_image: int = Field(default=0, ge=0)
    output: int = Field(ge=0)


class PerTokens(_Listed):
    """So much for each million tokens that go in and come out."""

    unit: Literal["tokens"]
    input_text_usd_per_million: Usd
    input_image_usd_per_million: Usd
    output_usd_per_million: Usd
    expected: Tokens
    most: Tokens
    """What the largest request that the profile allows may take."""

    @model_validator(mode="after")
    def _most_is_most(self) -> Self:
        for name in Tokens.model_fields:
            if getattr(self.most, name) < getattr(self.expected, name):
                raise ValueError(f"most.{name} is less than expected.{name}")
        return self


class Free(_Listed):
    """Nothing for a picture: it is made on hardware that is paid for anyway."""

    unit: Literal["free"]
    source: str = Field(default="own hardware", min_length=1)


Price = Annotated[PerImage | PerMegapixel | PerSecond | PerTokens | Free, Field(discriminator="unit")]


@dataclass(frozen=True)
class Usage:
    """What a provider says it did for a request; none where it does not say."""

    images: int | None = None
    megapixels: float | None = None
    """Millions of pixels, of all pictures together."""
    seconds: float | None = None
    input_text_tokens: int | None = None
    input_image_tokens: int | None = None
    output_tokens: int | None = None
    reported_usd: float | None = None
    """What the provider itself says it costs; it wins over any price of ours."""


def expected_usd(price: Price, width: int, height: int, count: int = 1) -> float:
    """What `count` pictures of that size are expected to cost."""
    match price:
        case PerSecond():
            each = price.usd * price.expected_seconds
        case PerTokens():
            each = _tokens_usd(price, price.expected)
        case _:
            each = _size_usd(price, width, height)
    return _rounded(each * count)


def most_usd(price: Price, width: int, height: int, count: int = 1) -> float:
    """What to set aside before they are sent, so that a budget is a hard stop; rounded up.

    It holds as long as the provider ends at the price's own maximum and charges what it lists.
    """
    match price:
        case PerSecond():
            each = price.usd * price.most_seconds
        case PerTokens():
            each = _tokens_usd(price, price.most)
        case _:
            each = _size_usd(price, width, height)
    return math.ceil(round(each * count * MILLION, 3)) / MILLION


def billed_usd(price: Price, usage: Usage) -> float | None:
    """What a request cost.

    None if the provider does not say how much there was of what the price counts. The bill is then not
    known, and what was set aside has to stand for it.
    """
    if usage.reported_usd is not None:
        return _rounded(usage.reported_usd)
    parts: list[float | None]
    match price:
        case PerImage():
            parts = [_product(price.usd, usage.images)]
        case PerMegapixel():
            parts = [_megapixels_billed(price, usage)]
        case PerSecond():
            parts = [_product(price.usd, usage.seconds)]
        case PerTokens():
            parts = [
                _product(price.input_text_usd_per_million / MILLION, usage.input_text_tokens),
                _product(price.input_image_usd_per_million / MILLION, usage.input_image_tokens),
                _product(price.output_usd_per_million / MILLION, usage.output_tokens),
            ]
        case Free():
            parts = []
    known = [part for part in parts if part is not None]
    return _rounded(math.fsum(known)) if len(known) == len(parts) else None


def total_usd(amounts: Iterable[float]) -> float:
    """The sum of booked amounts, without the error that adding floats one by one would build up."""
    return _rounded(math.fsum(amounts))


def _size_usd(price: PerImage | PerMegapixel | Free, width: int, height: int) -> float:
    match price:
        case PerImage():
            return price.usd
        case PerMegapixel():
            return _megapixels_usd(price, width * height / price.pixels)
        case Free():
            return 0.0


def _megapixels_usd(price: PerMegapixel, megapixels: float) -> float:
    """What one picture costs."""
    if price.rounding == "up":
        megapixels = math.ceil(megapixels - LESS_THAN_A_PIXEL)
    if price.first_usd is None:
        return price.usd * megapixels
    return price.first_usd + price.usd * max(0.0, megapixels - 1)


def _megapixels_billed(price: PerMegapixel, usage: Usage) -> float | None:
    if usage.images == 0:
        return 0.0
    if usage.images is None or usage.megapixels is None:
        return None
    return usage.images * _megapixels_usd(price, usage.megapixels * PIXELS / price.pixels / usage.images)


def _tokens_usd(price: PerTokens, tokens: Tokens) -> float:
    return (
        price.input_text_usd_per_million * tokens.input_text
        + price.input_image_usd_per_million * tokens.input_image
        + price.output_usd_per_million * tokens.output
    ) / MILLION


def _product(usd: float, amount: float | None) -> float | None:
    if usd == 0:
        return 0.0
    return None if amount is None else usd * amount


def _rounded(usd: float) -> float:
    return round(usd, DECIMALS)
