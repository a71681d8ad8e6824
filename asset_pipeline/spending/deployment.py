"""What ways of making pictures cost at a monthly volume, and from which volume on another one costs less.

A way is paid for in one of two shapes. Metered: so much a picture, nothing for none. Provisioned: so much a
month for each whole unit (a rented GPU, an own server), at least one, whether it works or not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

from asset_pipeline.candidates.price import DECIMALS

HOURS_PER_MONTH = 730
"""A twelfth of 365 days."""
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
AS_GOOD_AS_NOTHING = 1e-9
"""A share below which two amounts are the same one, counted in floats."""

MOST_UNITS = 1000
"""Of the smaller kind, that two ways are compared up to: more than anybody's pictures have taken yet."""

Kind = Literal["API", "serverless GPU", "rented GPU", "own server"]


@dataclass(frozen=True)
class Way:
    """One way of making one model's pictures."""

    name: str
    kind: Kind
    usd_per_picture: float = 0.0
    """Metered; 0 for a provisioned way."""
    unit_usd_per_month: float = 0.0
    """Provisioned: what each unit costs; 0 for a metered way."""
    pictures_per_unit: float = math.inf
    """How many pictures a month a unit is trusted with."""
    gpus_per_unit: int = 0
    pictures_per_gpu: float = math.inf
    """How many pictures a month a GPU is trusted with; infinite if the GPUs are somebody else's concern."""
    busy_share: float | None = None
    """Metered by time: the share of what is paid for that makes pictures."""
    seconds_per_picture: float = 0.0

    def units(self, pictures: float) -> int:
        """How many units that many pictures a month take."""
        if not self.unit_usd_per_month:
            return 0
        return max(1, math.ceil(pictures / self.pictures_per_unit - AS_GOOD_AS_NOTHING))

    def limit_usd_per_picture(self) -> float:
        """What a picture costs when every unit is full; never more than it does cost."""
        return self.usd_per_picture + self.unit_usd_per_month / self.pictures_per_unit

    def monthly_usd(self, pictures: float) -> float:
        """What that many pictures a month cost."""
        return self.units(pictures) * self.unit_usd_per_month + self.usd_per_picture * pictures


@dataclass(frozen=True)
class Load:
    """How a way's GPUs are used."""

    seconds_per_picture: float
    utilisation: float
    """The most of a GPU's time that may be planned for pictures: from 0 to 1."""
    peak_factor: float
    """How many times the month's mean the busiest hours ask for; 1 if everything can wait for its turn."""

    def pictures_per_gpu(self) -> float:
        """How many pictures a month a GPU is trusted with."""
        return SECONDS_PER_MONTH * self.utilisation / (self.seconds_per_picture * self.peak_factor)


def api(name: str, usd_per_picture: float) -> Way:
    """Somebody else's model at a price for each picture."""
    return Way(name, "API", usd_per_picture=usd_per_picture)


def serverless(
    name: str,
    load: Load,
    *,
    usd_per_second: float,
    cold_start_seconds: float,
    idle_seconds: float,
    pictures_per_start: float,
) -> Way:
    """A GPU that is paid for by the second, from its start until it is let go.

    Args:
        name: what to call it.
        load: of each GPU. The rest of its time is paid for too, because pictures come and go between jobs.
        usd_per_second: while it runs, whatever it does.
        cold_start_seconds: until it has the model in memory; paid for.
        idle_seconds: that it waits for another picture before it is let go; paid for.
        pictures_per_start: made between a start and the letting go.
    """
    working = load.seconds_per_picture / load.utilisation
    paid = working + (cold_start_seconds + idle_seconds) / pictures_per_start
    return Way(
        name,
        "serverless GPU",
        usd_per_picture=usd_per_second * paid,
        pictures_per_gpu=load.pictures_per_gpu(),
        busy_share=load.seconds_per_picture / paid,
        seconds_per_picture=load.seconds_per_picture,
    )


def rented(name: str, load: Load, *, usd_per_hour: float) -> Way:
    """GPUs that are rented for the whole month."""
    return Way(
        name,
        "rented GPU",
        unit_usd_per_month=usd_per_hour * HOURS_PER_MONTH,
        pictures_per_unit=load.pictures_per_gpu(),
        gpus_per_unit=1,
        pictures_per_gpu=load.pictures_per_gpu(),
        seconds_per_picture=load.seconds_per_picture,
    )


@dataclass(frozen=True)
class Server:
    """A machine of one's own in a rented rack."""

    gpus: int
    usd: float
    amortisation_months: float
    kilowatts: float
    """At full load, which it is taken to draw at every hour."""
    usd_per_kilowatt_hour: float
    operating_usd_per_month: float
    """What keeping it costs besides electricity: its place, and whoever looks after it."""

    def usd_per_month(self) -> float:
        """What it costs, whether it works or not."""
        electricity = self.kilowatts * HOURS_PER_MONTH * self.usd_per_kilowatt_hour
        return self.usd / self.amortisation_months + electricity + self.operating_usd_per_month


def self_hosted(name: str, load: Load, server: Server) -> Way:
    """Servers of one's own."""
    return Way(
        name,
        "own server",
        unit_usd_per_month=server.usd_per_month(),
        pictures_per_unit=load.pictures_per_gpu() * server.gpus,
        gpus_per_unit=server.gpus,
        pictures_per_gpu=load.pictures_per_gpu(),
        seconds_per_picture=load.seconds_per_picture,
    )


@dataclass(frozen=True)
class Cost:
    """What a way costs at a volume."""

    name: str
    kind: Kind
    monthly_usd: float
    usd_per_picture: float
    usd_per_accepted: float
    gpus: int | None
    """Paid for; of a serverless way those that work at the peak. None if they are somebody else's concern."""
    utilisation: float | None
    """The share of the paid time that makes pictures; None likewise."""


def cost_at(way: Way, accepted: float, pass_rate: float) -> Cost:
    """What a way costs if `accepted` pictures a month are to be good.

    Args:
        way: how they are made.
        accepted: how many a month.
        pass_rate: the share of the pictures that is accepted, above 0 and up to 1.
    """
    pictures = accepted / pass_rate
    usd = way.monthly_usd(pictures)
    gpus, utilisation = None, way.busy_share
    if way.unit_usd_per_month:
        gpus = way.units(pictures) * way.gpus_per_unit
        utilisation = pictures * way.seconds_per_picture / (gpus * SECONDS_PER_MONTH)
    elif way.busy_share is not None:
        gpus = max(1, math.ceil(pictures / way.pictures_per_gpu - AS_GOOD_AS_NOTHING))
    return Cost(
        name=way.name,
        kind=way.kind,
        monthly_usd=round(usd, DECIMALS),
        usd_per_picture=round(usd / pictures, DECIMALS),
        usd_per_accepted=round(usd / accepted, DECIMALS),
        gpus=gpus,
        utilisation=utilisation,
    )


@dataclass(frozen=True)
class Switch:
    """A volume at which the other way becomes the cheaper one."""

    accepted: float
    cheaper_after: str
    is_equal: bool
    """Both cost the same there. If not, one of them needs a further unit just after it."""


@dataclass(frozen=True)
class BreakEven:
    """Two ways, and the volumes at which the one or the other costs less."""

    cheaper_first: str
    """At the smallest volumes."""
    other: str
    cheaper_at_last: str
    """When every unit is full."""
    sentence: str
    switches: tuple[Switch, ...]
    is_settled: bool
    """There is no switch beyond these. If not, the ways are too alike to tell."""


def break_evens(ways: Sequence[Way], pass_rate: float) -> list[BreakEven]:
    """Compare every pair of ways, at every volume."""
    return [break_even(one, other, pass_rate) for one, other in combinations(ways, 2)]


def break_even(one: Way, other: Way, pass_rate: float) -> BreakEven:
    """Where two ways change places.

    Between two volumes at which one of them needs a further unit both costs are straight lines, so a point
    where they meet is exact. It is enough to look as far as the way that is cheaper with full units may be
    dearer with its last unit empty.
    """
    horizon, is_settled = _horizon(one, other)
    sign, first, switches = 0, 0, []
    for low, high in _pieces(one, other, horizon):
        middle = (low + high) / 2
        fixed = _fixed(one, middle) - _fixed(other, middle)
        slope = one.usd_per_picture - other.usd_per_picture
        scale = one.monthly_usd(middle) + other.monthly_usd(middle)
        for where in (low, high):
            here = _sign(fixed + slope * where, scale)
            if here and sign and here != sign:
                meets = where == high
                after = one.name if here < 0 else other.name
                switches.append(Switch((-fixed / slope if meets else low) * pass_rate, after, is_equal=meets))
            sign = here or sign
            first = first or sign
    cheaper, dearer = (one, other) if first <= 0 else (other, one)
    at_last = min(cheaper, dearer, key=Way.limit_usd_per_picture)
    sentence = _sentence(cheaper.name, dearer.name, switches, None if is_settled else at_last.name)
    if not first:
        sentence = f"{one.name} and {other.name} cost the same"
    return BreakEven(cheaper.name, dearer.name, at_last.name, sentence, tuple(switches), is_settled)


def _horizon(one: Way, other: Way) -> tuple[float, bool]:
    """Up to how many pictures a month to look, and whether nothing changes beyond.

    A way costs at most one unit more than its limit, and never less than its limit.
    """
    lesser, greater = sorted((one, other), key=Way.limit_usd_per_picture)
    difference = greater.limit_usd_per_picture() - lesser.limit_usd_per_picture()
    smallest = min(one.pictures_per_unit, other.pictures_per_unit)
    if math.isinf(smallest):
        return 1.0, True
    most = MOST_UNITS * smallest
    if lesser.unit_usd_per_month >= difference * most:
        return most, False
    return max(smallest, lesser.unit_usd_per_month / difference), True


def _pieces(one: Way, other: Way, horizon: float) -> Iterator[tuple[float, float]]:
    steps = {0.0, horizon}
    for way in (one, other):
        if way.unit_usd_per_month:
            full = math.ceil(horizon / way.pictures_per_unit)
            steps.update(way.pictures_per_unit * units for units in range(1, full))
    return pairwise(sorted(steps))


def _fixed(way: Way, pictures: float) -> float:
    return way.units(pictures) * way.unit_usd_per_month


def _sign(difference: float, scale: float) -> int:
    if abs(difference) <= AS_GOOD_AS_NOTHING * scale:
        return 0
    return 1 if difference > 0 else -1


def _sentence(cheaper: str, dearer: str, switches: Sequence[Switch], unsettled: str | None) -> str:
    if not switches:
        return f"{cheaper} costs less than {dearer} at every volume"
    start, last = switches[0], switches[-1]
    how = "where both cost the same" if start.is_equal else f"where {cheaper} needs a further unit"
    begins = f"{cheaper} costs less than {dearer} up to {start.accepted:,.0f} accepted a month, {how}"
    if unsettled:
        return f"{begins}; then they change places with each further unit, and full units favour {unsettled}"
    if len(switches) == 1:
        return f"{begins}; above that {dearer}"
    return (
        f"{begins}; then they change places with each further unit, and from {last.accepted:,.0f} on "
        f"{last.cheaper_after} costs less"
    )
