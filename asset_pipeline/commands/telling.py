"""How commands about attempts are asked for campaigns, and tell money and time."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from asset_pipeline.campaign.brief import campaign_ids
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.definitions import PLACES
from asset_pipeline.errors import NotFound
from asset_pipeline.store.store import Store

_WIDEST = 1_000
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def named(store: Store, campaigns: Sequence[str]) -> list[str]:
    """These campaigns, or all that have attempts. Raises NotFound if one is known to nobody."""
    have_attempts = store.events.partitions(ATTEMPTS)
    known = {*have_attempts, *campaign_ids(PLACES.data)}
    if unknown := [name for name in campaigns if name not in known]:
        there = ", ".join(sorted(known)) or "none"
        raise NotFound(f"there is no campaign {', '.join(unknown)} (there are: {there})")
    return list(dict.fromkeys(campaigns)) or have_attempts


def unfolded(table: Table, console: Console) -> Table:
    """The table as wide as its content: what is folded to fit a terminal cannot be read or copied."""
    table.width = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    return table


def usd(amount: float | None) -> str:
    """Dollars with the hundredths of a cent that pictures cost; nothing if there are none to speak of."""
    if amount is None:
        return ""
    return f"-${-amount:,.4f}" if amount < 0 else f"${amount:,.4f}"


def lasting(seconds: float) -> str:
    """A stretch of time in its largest whole unit: ``5 min``."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
