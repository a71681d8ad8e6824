"""Products of the sample catalog set before a backdrop, as they are and with planted defects."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asset_pipeline.pictures.cutout import Cutout, cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.placing import cropped, place
from asset_pipeline.pictures.studio import Scene, in_studio
from asset_pipeline.scores.score import Look, ReferenceLook

PHOTOGRAPHS = Path(__file__).parent.parent / "data" / "catalog" / "photographs"
BACKDROP = (222, 205, 180)

Layers = npt.NDArray[np.uint8]
"""Height × width × 4: colours and opacity."""


@cache
def photographed(name: str) -> Cutout:
    """A photograph of the catalog, cut out; for example ``nw-tea-20.jpg``."""
    return cropped(cut_out(decode((PHOTOGRAPHS / name).read_bytes())))


def changed(cutout: Cutout, change: Callable[[Layers], Layers]) -> Cutout:
    layers = np.ascontiguousarray(change(np.dstack([cutout.pixels, cutout.alpha])))
    return replace(cutout, pixels=np.ascontiguousarray(layers[..., :3]), alpha=layers[..., 3].copy())


def turned(degrees: float) -> Callable[[Layers], Layers]:
    def turn(layers: Layers) -> Layers:
        image = Image.fromarray(layers).convert("RGBa")
        return np.asarray(
            image.rotate(degrees, Image.Resampling.BICUBIC, expand=True).convert("RGBA"), np.uint8
        )

    return turn


def stretched(layers: Layers) -> Layers:
    height, width = layers.shape[:2]
    return np.asarray(Image.fromarray(layers).resize((round(1.2 * width), height)), np.uint8)


def without_a_third(layers: Layers) -> Layers:
    kept = layers.copy()
    kept[:, 2 * layers.shape[1] // 3 :, 3] = 0
    return kept


def reference(cutout: Cutout, sha256: str = "base") -> ReferenceLook:
    return ReferenceLook(cutout.pixels, cutout.alpha, sha256)


def look(
    product: Cutout,
    *references: ReferenceLook,
    side: int = 512,
    fill: float = 0.7,
    backdrop: tuple[int, int, int] = BACKDROP,
    **changes: Any,
) -> Look:
    """A pack shot of a product, that is said to be made from the first of the references."""
    margin = (1 - fill) / 2 * side
    placed = place(product, (margin, margin, side - margin, side - margin))
    pixels, mask = in_studio(placed, (side, side), Scene(backdrop))
    details = {"reference": {"role": "base", "sha256": references[0].sha256}} if references else {}
    return replace(Look(pixels, mask, b"", (side, side), references, details=details), **changes)
