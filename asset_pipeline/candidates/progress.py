"""What a run has done so far, and how well it kept the model at work."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline.candidates.jobs.attempt import Attempt

TOTALS = (
    "model_load_seconds",
    "drawing_seconds",
    "pictures",
    "embeddings_made",
    "embeddings_reused",
    "out_of_memory",
)
"""What a provider only adds to, for as long as its process lives; a run reports what it added."""


@dataclass
class Progress:
    """What a run has done so far."""

    wanted: int = 0
    reused: int = 0
    made: int = 0
    refused: int = 0
    failed: int = 0
    open: int = 0
    """What is still at a provider; the next run goes on with it."""
    held: int = 0
    """What a person has to release before another attempt is made."""
    cost_usd: float = 0.0
    makers: int = 1
    batch_size: int = 1
    """The most that a provider is handed at once."""
    started_at: float = field(default_factory=time.time)
    """Seconds since 1970, to put shards of several machines side by side."""
    started: float = field(default_factory=time.monotonic)
    """The same moment by the clock that the times below are taken with."""
    wall_seconds: float = 0.0
    startup_seconds: float = 0.0
    """Until the provider was handed the first request: facts read, dead workers buried, claims made."""
    making_seconds: float = 0.0
    """From the first request that was handed over to the last answer: while there was something to make."""
    provider_seconds: float = 0.0
    """Time in the provider, over all makers; what loading a model took included."""
    queue_full_seconds: float = 0.0
    """How long makers waited, all together, because too many pictures waited to be finished."""
    observed: Mapping[str, Any] = field(default_factory=dict)
    """What the provider measured of itself (``Provider.observed``); of totals, this run's part."""
    bugs: list[Exception] = field(default_factory=list)

    @property
    def model_seconds(self) -> float:
        """Time in the provider, over all makers, without a model's loading, for which all of them waited."""
        return max(0.0, self.provider_seconds - self.makers * self._load_seconds)

    @property
    def maker_seconds(self) -> float:
        """The time that makers had for it."""
        return max(0.0, self.makers * (self.making_seconds - self._load_seconds))

    @property
    def utilisation(self) -> float:
        """Model time over wall time: the share of the makers' time that was spent in the provider.

        Counted while there was something to make; starting up and loading a model are told apart from it.
        """
        return self.model_seconds / self.maker_seconds if self.maker_seconds else 0.0

    @property
    def images_per_second(self) -> float:
        """What a person experienced: over the whole run, starting up and loading included."""
        return self.made / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def _load_seconds(self) -> float:
        return float(self.observed.get("model_load_seconds", 0.0))

    def summary(self) -> dict[str, Any]:
        """What a person wants to see of it, JSON-like."""
        return {
            "wanted": self.wanted,
            "reused": self.reused,
            "made": self.made,
            "refused": self.refused,
            "failed": self.failed,
            "open": self.open,
            "held": self.held,
            "cost_usd": round(self.cost_usd, 6),
            "makers": self.makers,
            "batch_size": self.batch_size,
            "started_at": self.started_at,
            "wall_seconds": round(self.wall_seconds, 3),
            "startup_seconds": round(self.startup_seconds, 3),
            "making_seconds": round(self.making_seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
            "maker_seconds": round(self.maker_seconds, 3),
            "queue_full_seconds": round(self.queue_full_seconds, 3),
            "images_per_second": round(self.images_per_second, 3),
            "model_time_over_wall_time": round(self.utilisation, 3),
            "observed": dict(self.observed),
        }

    def line(self) -> str:
        """The same in a line of the log."""
        line = (
            f"{self.made} made, {self.refused} refused, {self.failed} failed, {self.reused} were there, "
            f"of {self.wanted}; ${self.cost_usd:.2f}"
        )
        line += f"; {self.open} still at a provider" if self.open else ""
        line += f"; {self.held} wait for a person's release" if self.held else ""
        if not self.maker_seconds:
            return line
        return (
            f"{line}; {self.images_per_second:.2f} images/s, model time {self.utilisation:.0%} of wall time, "
            f"queue full {self.queue_full_seconds:.1f} s"
        )

    def count(self, attempt: Attempt) -> None:
        """Take a settled attempt into account."""
        self.made += attempt.state == "succeeded"
        self.refused += attempt.state == "refused"
        self.failed += attempt.state in ("failed", "canceled", "expired", "lost", "unreconciled")
        self.cost_usd += attempt.cost_usd


def added(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a provider observed during a run: totals as what was added to them, the rest as it is."""
    return {
        name: round(value - before.get(name, 0), 3) if name in TOTALS else value
        for name, value in after.items()
    }


def performance(shards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How a run's shards performed together, by what it is called in Dagster's UI; empty if nothing was made.

    Args:
        shards: the summary of each.
    """
    busy = [shard for shard in shards if shard["maker_seconds"]]
    if not busy:
        return {}
    ended = max(shard["started_at"] + shard["wall_seconds"] for shard in busy)
    wall = ended - min(shard["started_at"] for shard in busy)
    return {
        "seconds": round(wall, 3),
        "images per second": round(sum(shard["made"] for shard in busy) / wall, 3),
        "model time over wall time": round(
            sum(shard["model_seconds"] for shard in busy) / sum(shard["maker_seconds"] for shard in busy), 3
        ),
        "start-up seconds": round(sum(shard["startup_seconds"] for shard in busy), 3),
        "queue-full seconds": round(sum(shard["queue_full_seconds"] for shard in busy), 3),
        "batch size": max(shard["batch_size"] for shard in busy),
    } | {
        name.replace("_", " "): _together(name, [shard["observed"].get(name) for shard in busy])
        for name in dict.fromkeys(name for shard in busy for name in shard["observed"])
    }


def _together(name: str, values: list[Any]) -> Any:
    """One value for all shards: totals added up, of other numbers the largest, words once each."""
    known = [value for value in values if value is not None]
    if name in TOTALS:
        return round(sum(known), 3)
    if all(isinstance(value, int | float) for value in known):
        return max(known)
    return ", ".join(dict.fromkeys(str(value) for value in known))
