"""Step 1: render the training pictures: ``python -m training.render <folder>``.

Every kind of product is traced once for each framing and then shaded many times, in other colours, materials,
places and light. Killed and started again, it goes on with the part that is missing.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageColor

from asset_pipeline.sample.kinds import KINDS, shape_of
from asset_pipeline.sample.materials import Material
from asset_pipeline.sample.scenes import BACKDROPS, STUDIO_COLOURS, SURFACES, Place, in_mood, place
from asset_pipeline.sample.shading import Look, Rendered, shade
from asset_pipeline.sample.tracing import Traced, trace
from training.captions import COLOURS, FRAMINGS, Framing, Shown, caption

SIZE = 128
WIDE = (176, 96)
"""Width and height of the empty places that are wider than high."""
CAPTIONS = 4
"""How many ways of saying what it shows each picture comes with."""
FINISHES = ("matte", "satin", "glossy", "ceramic")


@dataclass(frozen=True)
class Part:
    """A part of the data that one process renders."""

    name: str
    kind: str | None
    count: int
    seed: int
    wide: bool = False
    held_out: bool = False


def parts(products: int, places: int, wide: int, held_out: int) -> Iterator[Part]:
    """What is to be rendered: so many pictures of each kind, of empty places, and of held-out products."""
    for number, kind in enumerate(KINDS):
        yield Part(f"train-{kind.replace(' ', '-')}", kind, products, number)
        yield Part(f"test-{kind.replace(' ', '-')}", kind, held_out, 1000 + number, held_out=True)
    for number in range(4):
        yield Part(f"train-place-{number}", None, places // 4, 2000 + number)
    yield Part("test-place", None, held_out * 4, 3000)
    yield Part("train-wide", None, wide, 4000, wide=True)


def render_part(folder: Path, part: Part) -> str:
    """Render a part into ``<name>.npy`` (n × height × width × 3) and ``<name>.json``, unless it is there."""
    target = folder / f"{part.name}.npy"
    if target.exists():
        return part.name
    random = np.random.default_rng(part.seed)
    pictures, described = [], []
    for shown, picture in _places(part, random) if part.kind is None else _products(part, random):
        words = [caption(shown, random, complete=part.held_out) for _ in range(CAPTIONS)]
        pictures.append(picture)
        described.append(shown.attributes() | {"captions": words})
    (folder / f"{part.name}.json").write_text(json.dumps(described))
    unfinished = folder / f"{part.name}.unfinished.npy"
    np.save(unfinished, np.stack(pictures))
    unfinished.rename(target)
    return part.name


def _choose(random: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(random.integers(len(values)))]


def _background(random: np.random.Generator, studio: float) -> tuple[str, str | None]:
    if random.random() < studio:
        return _choose(random, list(STUDIO_COLOURS)), None
    behind = list(BACKDROPS) if random.random() < 0.7 else list(STUDIO_COLOURS)
    return _choose(random, behind), _choose(random, list(SURFACES))


def _places(part: Part, random: np.random.Generator) -> Iterator[tuple[Shown, np.ndarray]]:
    width, height = WIDE if part.wide else (SIZE, SIZE)
    for _ in range(part.count):
        backdrop, surface = _background(random, 0.2)
        shown = Shown(None, None, backdrop, surface, _choose(random, ("left", "right", "above")),
                      _choose(random, ("daylight", "warm", "cool")), None)  # fmt: skip
        empty = place(_place_of(shown), width, height, int(random.integers(2**31)))
        yield shown, np.round(in_mood(empty, shown.mood) * 255).astype(np.uint8)


def _place_of(shown: Shown) -> Place:
    return Place(shown.backdrop, shown.surface, shown.side, shown.mood)


def _products(part: Part, random: np.random.Generator) -> Iterator[tuple[Shown, np.ndarray]]:
    assert part.kind is not None
    fills = [(framing, fill) for framing, each in FRAMINGS.items() for fill in each]
    for number, (framing, fill) in enumerate(fills):
        traced = trace(shape_of(part.kind), "base", SIZE, fill=fill, lights=("left", "right", "above"))
        first, last = part.count * number // len(fills), part.count * (number + 1) // len(fills)
        for _ in range(first, last):
            shown = _shown(part, framing, random)
            yield shown, _picture(traced, shown, random)


def _shown(part: Part, framing: Framing, random: np.random.Generator) -> Shown:
    while True:
        backdrop, surface = _background(random, 0.45)
        shown = Shown(
            part.kind, _choose(random, list(COLOURS)), backdrop, surface,
            _choose(random, ("left", "right", "above")),
            _choose(random, ("daylight", "warm", "cool")), framing,
        )  # fmt: skip
        if shown.is_held_out == part.held_out:
            return shown


def _picture(traced: Traced, shown: Shown, random: np.random.Generator) -> np.ndarray:
    assert shown.kind is not None
    assert shown.colour is not None
    made = shade(traced, shape_of(shown.kind), _look(shown.colour, random), light=shown.side)
    room = (1 - FRAMINGS[shown.framing or "standard"][-1]) * 0.5
    across = round(random.uniform(-1, 1) * min(0.08, room) * SIZE)
    down = round((min(0.06, room * 0.5) + random.uniform(-1, 1) * min(0.03, room * 0.5)) * SIZE)
    moved = replace(
        made, colour=_moved(made.colour, across, down), mask=_moved(made.mask, across, down),
        floor=_moved(made.floor, across, down),
    )  # fmt: skip
    empty = place(_place_of(shown), SIZE, SIZE, int(random.integers(2**31)))
    composed = Rendered.before(moved, empty, shadow=float(random.uniform(0.75, 1.0)))
    stored = np.asarray(composed / 255, np.float32)
    return np.round(in_mood(stored, shown.mood) * 255).astype(np.uint8)


def _moved(plane: np.ndarray, across: int, down: int) -> np.ndarray:
    moved = np.zeros_like(plane)
    height, width = plane.shape[:2]
    moved[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)] = plane[
        max(-down, 0) : height + min(-down, 0), max(-across, 0) : width + min(-across, 0)
    ]
    return moved


def _look(colour: str, random: np.random.Generator) -> Look:
    """A product's materials: its body in the named colour, the rest in what goes with any colour."""
    red, green, blue = (
        int(np.clip(value + random.normal(0, 7), 0, 255)) for value in ImageColor.getrgb(COLOURS[colour])[:3]
    )
    body = f"#{red:02x}{green:02x}{blue:02x}"
    trims = (body, "#232426", "#e8e4da", "#b9bcc0")
    return {
        "body": Material(body, _choose(random, FINISHES)),
        "trim": Material(_choose(random, trims), "satin"),
        "accent": Material(_choose(random, (body, "#3a3436", "#b08a5a")), "satin"),
        "dark": Material("#2a2a2c", "matte"),
        "light": Material("#efe6d6", "matte"),
        "bright": Material(_choose(random, ("#c9ccd0", "#d8b26a")), "metal"),
        "wood": Material(_choose(random, ("#b98a57", "#7a4e2f")), "wood", "veined wood"),
    }


def main(
    folder: Path, products: int = 1300, places: int = 8000, wide: int = 2000, held_out: int = 90
) -> None:
    """Render everything that is not there yet, on two processes."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = list(parts(products, places, wide, held_out))
    with ProcessPoolExecutor(2) as pool:
        for name in pool.map(render_part, [folder] * len(todo), todo):
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
