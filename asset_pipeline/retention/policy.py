"""``data/retention.yaml``: after how many days pictures that are not needed expire."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from asset_pipeline.candidates.expired import Outcome
from asset_pipeline.yaml_model import read_model

_DAYS = re.compile(r"\s*([1-9][0-9]{0,4}) days?\s*")
NEVER = "never"


def _days(given: Any) -> Any:
    """A number of days from ``90 days``; none from ``never``."""
    if given is None or given == NEVER or isinstance(given, timedelta):
        return None if given == NEVER else given
    found = _DAYS.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise ValueError("write a number of days from 1, such as 90 days, or never")
    return timedelta(days=int(found[1]))


Lifetime = Annotated[timedelta | None, BeforeValidator(_days)]
"""How long; none means for ever."""


class Lifetimes(BaseModel):
    """How long pictures are kept, counted from when it was recorded what became of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    not_chosen: Lifetime = None
    """Others were better, or it looks like one of them, or there was no place."""
    rejected: Lifetime = None
    """By a gate or by a person."""
    no_longer_wanted: Lifetime = None
    """Its campaign asks for other prompts by now, or for its like made afresh."""


class Retention(Lifetimes):
    """The whole file. What it does not name is kept for ever."""

    campaigns: dict[str, Lifetimes] = {}
    """Other lifetimes for some campaigns; each replaces only what it names."""

    def lifetime(self, campaign_id: str, outcome: Outcome) -> timedelta | None:
        """How long a campaign's pictures of that outcome are kept; none means for ever."""
        own = self.campaigns.get(campaign_id)
        which = own if own is not None and outcome in own.model_fields_set else self
        found: timedelta | None = getattr(which, outcome)
        return found


def load_retention(data: Path) -> Retention:
    """Read ``data/retention.yaml``; without the file everything is kept for ever.

    Raises:
        InvalidFile: it is wrong.
    """
    path = data / "retention.yaml"
    return read_model(path, Retention) if path.exists() else Retention()
