"""``data/prices.yaml``: what ways of making pictures cost, each figure with its day and its source."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asset_pipeline.candidates.price import Price, expected_usd
from asset_pipeline.errors import NotFound
from asset_pipeline.spending.deployment import Load, Server, Way, api, rented, self_hosted, serverless
from asset_pipeline.yaml_model import read_model

STALE_AFTER = timedelta(days=180)
"""Prices of GPUs and of pictures have halved within a year more than once."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Part):
    """A number that somebody published, measured or assumed; above 0."""

    value: float = Field(gt=0, allow_inf_nan=False)
    as_of: date | None = None
    """The day on which the source said so; none if that is not known."""
    source: str = Field(min_length=1)
    unconfirmed: bool = False
    """Only a secondary source is known, or none."""


class Model(_Part):
    """One model's pictures."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    api: dict[str, Price] = {}
    """By whom it is offered."""
    seconds: dict[str, Figure] = {}
    """Of a picture on one GPU, by the GPU's name."""


class Serverless(_Part):
    """A GPU that is paid for by the second."""

    gpu: str
    usd_per_second: Figure
    idle_seconds: Figure
    cold_start_seconds: Figure


class Rented(_Part):
    """A GPU that is paid for all month."""

    gpu: str
    usd_per_hour: Figure


class OwnServer(_Part):
    """A server that is bought and stands in a rented rack."""

    gpu: str
    gpus: int = Field(gt=0)
    usd: Figure
    kilowatts: Figure
    usd_per_kilowatt_hour: Figure
    rack_usd_per_kilowatt_month: Figure


Host = TypeVar("Host", Serverless, Rented, OwnServer)


class Assumptions(_Part):
    """What depends on whose pictures they are."""

    utilisation: Figure
    peak_factor: Figure
    pictures_per_start: Figure
    amortisation_months: Figure

    @model_validator(mode="after")
    def _are_possible(self) -> Self:
        if self.utilisation.value > 1:
            raise ValueError("utilisation is a share of the time: from 0 to 1")
        if self.peak_factor.value < 1:
            raise ValueError("peak_factor is at least 1: the busiest hours are not below the mean")
        return self


class Prices(_Part):
    """The whole file."""

    models: dict[str, Model]
    serverless: dict[str, Serverless] = {}
    rented: dict[str, Rented] = {}
    servers: dict[str, OwnServer] = {}
    assumptions: Assumptions


@dataclass(frozen=True)
class Cited:
    """A figure that an answer rests on."""

    name: str
    """Where it stands in the file: ``rented.hyperstack-reserved.usd_per_hour``."""
    value: str
    as_of: date | None
    source: str
    unconfirmed: bool

    def doubts(self, today: date) -> list[str]:
        """Why not to rely on it; nothing if it is confirmed and fresh."""
        found = ["unconfirmed"] if self.unconfirmed else []
        if self.as_of is None:
            found.append("undated")
        elif today - self.as_of > STALE_AFTER:
            found.append(f"stale: {(today - self.as_of).days} days old")
        return found


@dataclass(frozen=True)
class Offer:
    """A way of making a model's pictures, and the figures that its cost rests on."""

    model: str
    way: Way
    figures: tuple[Cited, ...]


def load_prices(data: Path) -> Prices:
    """Read ``data/prices.yaml``.

    Raises:
        NotFound: there is no such file.
        InvalidFile: it is wrong; each error with the line and the field.
    """
    return read_model(data / "prices.yaml", Prices)


def offers(prices: Prices, name: str) -> list[Offer]:
    """Every way of making one model's pictures that the file has the figures for.

    Raises:
        NotFound: the file has no such model; the message lists those it has.
    """
    if name not in prices.models:
        raise NotFound(f"there is no model {name!r} in prices.yaml (there are: {', '.join(prices.models)})")
    model = prices.models[name]
    found = []
    for vendor, price in model.api.items():
        usd = expected_usd(price, model.width, model.height)
        value = f"${usd:g} a picture of {model.width} × {model.height}"
        where = f"models.{name}.api.{vendor}"
        cited = Cited(where, value, price.as_of, price.source, price.unconfirmed)
        found.append(Offer(name, api(vendor, usd), (cited,)))
    for gpu, seconds in model.seconds.items():
        speed = Cited(
            f"models.{name}.seconds.{gpu}",
            f"{seconds.value:g}",
            seconds.as_of,
            seconds.source,
            seconds.unconfirmed,
        )
        for way, figures in _on_gpus(prices, gpu, seconds.value):
            found.append(Offer(name, way, (speed, *figures)))
    return found


def _on_gpus(prices: Prices, gpu: str, seconds: float) -> Iterator[tuple[Way, tuple[Cited, ...]]]:
    assumed = prices.assumptions
    load = Load(seconds, assumed.utilisation.value, assumed.peak_factor.value)
    shared = _cited("assumptions", assumed, "utilisation", "peak_factor")
    for name, host in _with(prices.serverless, gpu):
        way = serverless(
            name,
            load,
            usd_per_second=host.usd_per_second.value,
            cold_start_seconds=host.cold_start_seconds.value,
            idle_seconds=host.idle_seconds.value,
            pictures_per_start=assumed.pictures_per_start.value,
        )
        own = _cited(f"serverless.{name}", host, "usd_per_second", "idle_seconds", "cold_start_seconds")
        yield way, (*own, *shared, *_cited("assumptions", assumed, "pictures_per_start"))
    for name, cloud in _with(prices.rented, gpu):
        own = _cited(f"rented.{name}", cloud, "usd_per_hour")
        yield rented(name, load, usd_per_hour=cloud.usd_per_hour.value), (*own, *shared)
    for name, bought in _with(prices.servers, gpu):
        server = Server(
            gpus=bought.gpus,
            usd=bought.usd.value,
            amortisation_months=assumed.amortisation_months.value,
            kilowatts=bought.kilowatts.value,
            usd_per_kilowatt_hour=bought.usd_per_kilowatt_hour.value,
            operating_usd_per_month=bought.rack_usd_per_kilowatt_month.value * bought.kilowatts.value,
        )
        figures = ("usd", "kilowatts", "usd_per_kilowatt_hour", "rack_usd_per_kilowatt_month")
        own = _cited(f"servers.{name}", bought, *figures)
        yield (
            self_hosted(name, load, server),
            (*own, *shared, *_cited("assumptions", assumed, "amortisation_months")),
        )


def _with(hosts: Mapping[str, Host], gpu: str) -> Iterator[tuple[str, Host]]:
    return ((name, host) for name, host in hosts.items() if host.gpu == gpu)


def _cited(where: str, part: BaseModel, *names: str) -> tuple[Cited, ...]:
    figures = [(name, getattr(part, name)) for name in names]
    return tuple(
        Cited(f"{where}.{name}", f"{each.value:g}", each.as_of, each.source, each.unconfirmed)
        for name, each in figures
    )
