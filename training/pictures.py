"""The rendered pictures and their words, as training reads them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.captions import ATTRIBUTES


@dataclass(frozen=True)
class Pictures:
    """Pictures of one shape, with what they show and how that can be said."""

    pixels: npt.NDArray[np.uint8]
    """n × height × width × 3."""
    captions: list[list[str]]
    described: list[dict[str, Any]]

    def labels(self, attribute: str) -> npt.NDArray[np.int64]:
        """Each picture's value of an attribute as its place among the values; -1 where it has none."""
        values = {value: index for index, value in enumerate(ATTRIBUTES[attribute])}
        found = (each[attribute] for each in self.described)
        if attribute == "surface":
            found = (value or "studio" for value in found)
        return np.array([values.get(value, -1) for value in found], np.int64)


def load(folder: Path, prefix: str, *, wide: bool = False) -> Pictures:
    """Every finished part whose name starts with the prefix; the wide ones, or all others."""
    pixels, captions, described = [], [], []
    for path in sorted(folder.glob(f"{prefix}*.npy")):
        if "unfinished" in path.name or ("wide" in path.name) != wide:
            continue
        pixels.append(np.load(path))
        for each in json.loads(path.with_suffix(".json").read_text()):
            captions.append(each.pop("captions"))
            described.append(each)
    return Pictures(np.concatenate(pixels), captions, described)


def batches(count: int, size: int, seed: int) -> Iterator[npt.NDArray[np.intp]]:
    """Places of random batches, without end; every picture once before any comes again."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(count)
        for start in range(0, count - size + 1, size):
            yield np.sort(order[start : start + size])
