"""What a provider says it made: fetched before it is forgotten, and told apart from what is no picture."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.job import Output, Picture, Standing
from asset_pipeline.candidates.jobs.mapping import AskedSize
from asset_pipeline.candidates.jobs.verify import Verified, verify
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.errors import OutputUnreachable, ProviderUnavailable
from asset_pipeline.fingerprint import sha256_of

_FETCHED_AGAIN: Final = 2
"""How often an output that is no picture is fetched again: it costs nothing, and another picture does."""
_UNKNOWN_RETENTION = timedelta(hours=1)


@dataclass(frozen=True)
class Arrived:
    """What came of a job's outputs."""

    pictures: tuple[Picture, ...]
    best: tuple[Verified, Output] | None
    """The first of them that is what it should be."""
    complaints: tuple[tuple[str, str], ...]
    """Of each other one the code and the reason."""
    is_filtered: bool
    """Whether the provider's filter kept some back."""


class Arrivals:
    """Brings a job's outputs here.

    Args:
        wire: the way to the provider.
        endpoint: how patiently they are fetched, and for how long they are kept.
        abilities: for how long they are kept where the endpoint does not say so.
        wait: sleeps for some seconds; raises what ends the attempt's run.
    """

    def __init__(
        self, wire: Wire, endpoint: Endpoint, abilities: Abilities, wait: Callable[[float], None]
    ) -> None:
        self._wire = wire
        self._endpoint = endpoint
        self._abilities = abilities
        self._wait = wait

    def look_at(self, standing: Standing, size: AskedSize, over: float) -> Arrived:
        """Fetch every output and look at it.

        Args:
            standing: what the job stands at.
            size: the size that was asked for.
            over: when it was over, in seconds since 1970.

        Raises:
            ProviderUnavailable: one could not be fetched within half of the time that it is kept, and can
                still be asked for.
        """
        pictures: list[Picture] = []
        best: tuple[Verified, Output] | None = None
        complaints: list[tuple[str, str]] = []
        deadline = self._fetch_by(standing, over)
        for index, output in enumerate(standing.outputs):
            if output.is_flagged:
                continue
            try:
                data, found = self._looked_at(output, standing, size, deadline)
            except OutputUnreachable as error:
                complaints.append((error.code, str(error)))
                continue
            if isinstance(found, str):
                complaints.append(("output_invalid", found))
                continue
            pictures.append(_picture(index, output, data, found))
            best = best or (found, output)
        is_filtered = any(output.is_flagged for output in standing.outputs)
        return Arrived(tuple(pictures), best, tuple(complaints), is_filtered)

    def _looked_at(
        self, output: Output, standing: Standing, size: AskedSize, deadline: float
    ) -> tuple[bytes, Verified | str]:
        """The bytes of an output, and what they are; what is no picture may be a page in its place."""
        data = self._fetched(output, standing, deadline)
        found = verify(data, size)
        for _ in range(0 if output.url is None else _FETCHED_AGAIN):
            if not isinstance(found, str):
                break
            self._wait(self._endpoint.polling.first)
            data = self._fetched(output, standing, deadline)
            found = verify(data, size)
        return data, found

    def _fetched(self, output: Output, standing: Standing, deadline: float) -> bytes:
        """The bytes of an output; tried again until the deadline."""
        if output.data is not None:
            return output.data
        if output.url is None:
            raise OutputUnreachable("an output has neither bytes nor a place")
        pause = self._endpoint.polling.first
        while True:
            try:
                return self._wire.fetch(output.url)
            except ProviderUnavailable as error:
                if time.time() > deadline and standing.ticket is None:  # nobody can ask for it again
                    raise OutputUnreachable(str(error)) from error
                if time.time() > deadline:
                    raise
            self._wait(pause)
            pause = min(2 * pause, self._endpoint.polling.longest)

    def _fetch_by(self, standing: Standing, over: float) -> float:
        """Until when outputs are to be here, in seconds since 1970: half of the shortest retention."""
        known = (self._endpoint.retention_seconds, self._abilities.retention_seconds)
        ends = [over + seconds for seconds in known if seconds is not None]
        if standing.expires_at is not None:
            ends.append(standing.expires_at.timestamp())
        return over + (min(ends, default=over + _UNKNOWN_RETENTION.total_seconds()) - over) / 2


def _picture(index: int, output: Output, data: bytes, found: Verified) -> Picture:
    height, width = found.pixels.shape[:2]
    return Picture(
        index=index,
        sha256=sha256_of(data),
        media_type=found.media_type,
        width=width,
        height=height,
        size_bytes=len(data),
        seed=output.seed,
        source="inline" if output.url is None else "url",
    )
