"""One picture to be drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.diffusion.settings import Role


@dataclass(frozen=True)
class Drawing:
    """One picture to be drawn, in pixels' own terms."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    seed: int
    images: Mapping[Role, Pixels] = field(default_factory=dict)
    """By role, as large as the drawing (a reference: of any size); a mask is white where to paint."""
