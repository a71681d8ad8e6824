"""An engine at the diffusion's boundary: draws places with the renderer that checkpoints learn from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.settings import Settings
from asset_pipeline.errors import ProviderError
from asset_pipeline.sample.scenes import STUDIO_COLOURS, Mood, Place, Side, in_mood
from asset_pipeline.sample.scenes import place as place_drawn

SURFACES = {"wooden table": "wood", "marble counter": "marble", "dark slate": "slate", "fresh snow": "snow"}
BACKDROPS = {"autumn leaves": "autumn leaves", "kitchen": "kitchen", "city at night": "night city"}
SIDES: dict[str, Side] = {"from the left": "left", "from the right": "right", "from above": "above"}
MOODS: dict[str, Mood] = {"warm evening": "warm", "cool morning": "cool"}


class PlaceEngine(Engine):
    """Understands the words of the tables above; where a prompt names no wall or surface, it is sand."""

    def __init__(self) -> None:
        super().__init__(Checkpoints(Path("nowhere"), {}))
        self.drawn: list[Drawing] = []
        self.refused: dict[int, ProviderError] = {}
        """By seed."""

    def check(self, settings: Settings, drawing: Drawing) -> None:
        """Refuses nothing."""

    def drops(self, settings: Settings, drawing: Drawing) -> tuple[str, ...]:  # noqa: ARG002 - the engine's
        return ("negative_prompt",) if drawing.negative_prompt else ()

    def version_of(self, settings: Settings) -> str:
        return f"drawn-{settings.model}"

    def draw(
        self,
        settings: Settings,  # noqa: ARG002 - the engine's
        drawings: Sequence[Drawing],
    ) -> Iterator[tuple[int, Pixels | ProviderError]]:
        for index, drawing in reversed(list(enumerate(drawings))):
            self.drawn.append(drawing)
            yield index, self.refused.get(drawing.seed) or place_of(drawing)


def place_of(drawing: Drawing) -> Pixels:
    def said(table: dict[str, Any], default: Any) -> Any:
        return next((value for words, value in table.items() if words in drawing.prompt), default)

    walls = {f"{name} wall": name for name in STUDIO_COLOURS}
    backdrop = said(BACKDROPS | walls, "warm sand")
    mood = said(MOODS, "daylight")
    where = Place(backdrop, said(SURFACES, None), said(SIDES, "above"), mood)
    picture = in_mood(place_drawn(where, drawing.width, drawing.height, drawing.seed), mood)
    return np.asarray(np.clip(255 * picture + 0.5, 0, 255), np.uint8)
