"""Are the product's pixels in a scene those of its photograph?"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asset_pipeline.pictures.in_scene import departure, locked
from asset_pipeline.pictures.placing import Placed, overlap, resampled
from asset_pipeline.scores.score import Look, Measured, ReferenceLook

LEAST_COVERED: Final = 0.9
"""The share of the photograph's product that the mask has to claim; the rest may be shadow at its foot."""


class _Placement(BaseModel):
    """Where a provider says it put which part of a photograph, in pixels."""

    model_config = ConfigDict(extra="ignore")

    of_photograph: tuple[int, int, int, int]
    left: int
    top: int
    width: int = Field(ge=1, le=16384)
    height: int = Field(ge=1, le=16384)


class ProductLock:
    """The greatest difference between the product's pixels and its photograph's, in 8-bit levels.

    The photograph is resampled once more to the placement that the image's details record, and compared
    channel by channel with the picture, where both the photograph's cut-out and the image's mask say that the
    product is, deeper inside than the edge band of ``pictures/in_scene.py``. The maximum counts, not a
    percentile: a scene is stored without loss, so one altered pixel of a label is seen. The mean is a detail.

    Failure modes: the edge band and parts that are thinner than it are not looked at; a photograph that was
    cut out wrongly is kept wrongly; up to a tenth of the product is taken for shadow if the mask says so.
    """

    dimension = "product_lock"
    version = "1"
    unit = "8-bit levels"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Compare the product with its photograph."""
        said, sha256 = look.details.get("placement"), _named(look.details)
        if said is None or sha256 is None:
            return Measured(reason="not applicable: its provider promises nothing of the product's pixels")
        photograph = next((each for each in look.references if each.sha256 == sha256), None)
        if photograph is None or photograph.mask is None:
            return Measured(reason="the photograph it was made from is missing, or cannot be cut out")
        try:
            placed = _placed(look, photograph, _Placement.model_validate(said))
        except (ValidationError, ValueError):
            return Measured(reason=f"the recorded placement is none: {said}")
        there, here = overlap(look.pixels.shape, placed)
        own = locked(placed.alpha)
        claimed = np.zeros_like(own)
        if look.mask is not None and look.mask.shape == look.pixels.shape[:2]:
            claimed[here] = look.mask[there] == 255  # noqa: PLR2004
        compared = own & locked(np.where(claimed, np.uint8(255), np.uint8(0)))
        if not compared.any():
            return Measured(reason="nothing of the product is deeper inside than the edge band")
        covered = float(compared.sum() / own.sum())
        if covered < LEAST_COVERED:
            return Measured(reason=f"the mask claims only {covered:.0%} of the photograph's product")
        most, mean = departure(look.pixels, placed, compared)
        return Measured(most, details={"mean": round(mean, 2), "compared_px": int(compared.sum())})


def _named(details: Mapping[str, Any]) -> str | None:
    reference = details.get("reference")
    return reference.get("sha256") if isinstance(reference, Mapping) else None


def _placed(look: Look, photograph: ReferenceLook, said: _Placement) -> Placed:
    left, top, right, bottom = said.of_photograph
    height, width = look.pixels.shape[:2]
    inside = -said.width < said.left < width and -said.height < said.top < height
    if photograph.mask is None or not (inside and 0 <= left < right and 0 <= top < bottom):
        raise ValueError("no part of the photograph, or nowhere in the picture")
    rows, columns = slice(top, bottom), slice(left, right)
    premultiplied, alpha = resampled(
        photograph.pixels[rows, columns], photograph.mask[rows, columns], (said.width, said.height)
    )
    return Placed(premultiplied, alpha, said.left, said.top, said.width / (right - left))
