"""A provider for tests: draws the request's seed as a colour, and fails in the ways that it is told to."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asset_pipeline.candidates.request import Asked, OpenReference, Rendered
from asset_pipeline.errors import ProviderError, UnsupportedRequest


@dataclass
class Drawing:
    """Draws at once, or after `seconds`; what a prompt names in `failures` it does not draw."""

    name: str = "drawing"
    version: str = "1"
    makers: int | None = None
    seconds: float = 0.0
    failures: dict[str, ProviderError] = field(default_factory=dict)
    bugs: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        return f"{self.version}{parameters.get('model', '')}"

    def observed(self) -> Mapping[str, Any]:
        return {}

    def check(self, asked: Asked) -> None:
        if asked.parameters.get("mode") == "impossible":
            raise UnsupportedRequest("drawing knows no mode 'impossible'")

    def render(
        self,
        batch: Sequence[Asked],
        open_reference: OpenReference,  # noqa: ARG002 - the protocol's
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        with self._lock:
            self.batches.append(len(batch))
        for asked in batch:
            time.sleep(self.seconds)
            with self._lock:
                self.calls.append(asked.request.candidate_id)
            if asked.request.prompt in self.bugs:
                raise ZeroDivisionError(asked.request.prompt)
            if asked.request.prompt in self.failures:
                yield asked, self.failures[asked.request.prompt]
            else:
                yield (
                    asked,
                    Rendered(
                        drawn(asked),
                        mask=np.full((asked.request.height, asked.request.width), 255, np.uint8),
                        details={"drawn": True},
                    ),
                )


def drawn(asked: Asked) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture that depends on the request alone: noise from its seed."""
    size = (asked.request.height, asked.request.width, 3)
    return np.random.default_rng(asked.request.seed).integers(0, 256, size, dtype=np.uint8)
