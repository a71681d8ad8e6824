"""Scoring beside what a person would write: each measure a function of a file, one picture after the other.

    python benchmarks/scoring.py [--products 12] [--candidates 4] [--rounds 2]

The pictures are pack shots of the sample catalog at 1024 x 1024, every other one with the grain of a
generated picture, in the store as lossless WebP. Models are loaded and warm before time is taken, and the
best of some rounds counts.

The plain script opens the file anew in each of its functions, as functions of a path do. It takes similarity
as open_clip's page shows it (one picture, one prompt), and every measure from the whole picture at full size
in the libraries' own words: scikit-image's ``blur_effect`` on all of it, Immerkaer's noise by ``convolve2d``,
colour differences of the whole border, and so on. A second script decodes each file once for all of its
measures, and does the same otherwise. Ours is ``measure_missing`` for the same dimensions: it also hashes
every file, embeds some sixteen more texts for each prompt (what it says exchanged for something else), and
records the measurements. No prompt's embedding is kept from one round to the next.

Reading labels: RapidOCR's default pipeline over each whole picture, beside the project's own scorers of text,
which read each product's photograph as well, for the words that are to be there.
"""

import argparse
import itertools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from rapidocr import RapidOCR
from scipy.signal import convolve2d
from skimage.color import deltaE_ciede2000, rgb2gray, rgb2lab
from skimage.measure import blur_effect

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.glance import glance
from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Pixels, Rendered
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import scorers
from asset_pipeline.pictures.decode import decode, facts
from asset_pipeline.pictures.encode import decode_mask, lossless_webp, mask_webp
from asset_pipeline.providers.packshot import Packshot
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.score import Expectation, Look, ModelScorer, Scorer
from asset_pipeline.store.store import Store

DATA = Path(__file__).parent.parent / "data"
SIDE = 1024
GRAIN = 1.2
"""Standard deviation, in levels of 255, of the texture over every other picture: such a file has 1.3 MB, as
those of diffusion models have; a plain pack shot has a quarter of that."""
CHEAP = (
    "file_check", "dimensions", "blank", "sharpness", "noise", "blockiness", "exposure", "background_white",
    "background_uniformity", "product_fill", "product_inside",
)  # fmt: skip
TEXT = ("text_legibility", "text_orientation")
LABELLED = ("honey 500", "face 50")
READ = 8
"""How many pictures are read: a whole one takes most of a second."""
BACKDROPS = ("warm sand", "pale blue", "charcoal", "sage green")
LIGHTS = ("left", "right", "above")

Mask = Pixels


@dataclass(frozen=True)
class Filed:
    """A picture as both find it."""

    path: Path
    mask_path: Path
    candidate: Candidate


def filed(store: Store, products: int, candidates: int) -> list[Filed]:
    """Pack shots of so many products, so many of each, in the store."""
    photographs = sorted((DATA / "catalog" / "photographs").glob("*.png"))
    made = []
    for number, seed in itertools.product(range(products), range(candidates)):
        photograph = photographs[number % len(photographs)]
        words = " ".join(photograph.stem.split("-")[1:])
        prompt = f"a {words} on a {BACKDROPS[number % 4]} background, light from the {LIGHTS[number % 3]}"
        made.append(_filed(store, photograph.read_bytes(), prompt, 97 * number + seed, grainy=bool(seed % 2)))
    return made


def _filed(store: Store, photograph: bytes, prompt: str, seed: int, *, grainy: bool) -> Filed:
    found, sha256 = facts(photograph), store.images.put(photograph, "bin")
    reference = ImageReference(
        role="base", sha256=sha256, media_type=found.media_type, width=found.width, height=found.height
    )
    request = ImageRequest(
        prompt=prompt, width=SIDE, height=SIDE, seed=seed, references=(reference,), profile_fingerprint="x"
    )
    ((_, rendered),) = Packshot().render([Asked(request, {"mode": "studio"})], store.images.get)
    if not isinstance(rendered, Rendered) or rendered.mask is None:
        raise SystemExit(f"no picture was made: {rendered}")
    noise = np.random.default_rng(seed).normal(0, GRAIN if grainy else 0, rendered.pixels.shape)
    pixels = np.clip(rendered.pixels + noise, 0, 255).astype(np.uint8)
    image = store.images.put(lossless_webp(pixels), "webp")
    mask = store.images.put(mask_webp(rendered.mask), "webp")
    candidate = Candidate(
        candidate_id=request.candidate_id, prompt_id=prompt, prompt_fact_sha256="f", sku=sha256[:8],
        asset_type="tile", locale="en-GB", position=seed, profile="benchmark", provider="packshot",
        provider_version="1", request=request, state="made", attempt=1, image_sha256=image, mask_sha256=mask,
    )  # fmt: skip
    path, mask_path = (Path(store.files.root, store.images.path(each) or "") for each in (image, mask))
    return Filed(path, mask_path, candidate)


# ---------------------------------------------------------------------------------------- the plain script


class Similarity:
    """CLIP as its own page shows it: one picture, one prompt."""

    def __init__(self) -> None:
        source = f"local-dir:{DATA / 'models' / 'sample-clip'}"
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(source)
        self.tokenizer = open_clip.get_tokenizer(source)
        self.model.eval()

    def of(self, image: Image.Image, prompt: str) -> float:
        """The cosine similarity of a picture and a prompt."""
        with torch.no_grad():
            seen = self.model.encode_image(self.preprocess(image)[None])
            said = self.model.encode_text(self.tokenizer([prompt]))
            return float(torch.cosine_similarity(seen, said))


def shows_something(pixels: Pixels, _: Mask) -> float:
    """Whether any channel varies."""
    return float(np.ptp(pixels, axis=(0, 1)).max() > 4)  # noqa: PLR2004


def size(pixels: Pixels, _: Mask) -> float:
    """Whether it has the size that was asked for."""
    return float(pixels.shape[:2] == (SIDE, SIDE))


def spread(pixels: Pixels, _: Mask) -> float:
    """The contrast of the picture."""
    return float(pixels.std())


def blur(pixels: Pixels, _: Mask) -> float:
    """The blur effect of the whole picture."""
    return float(blur_effect(rgb2gray(pixels)))  # type: ignore[no-untyped-call]


def noise(pixels: Pixels, _: Mask) -> float:
    """Immerkaer's estimate."""
    grey = rgb2gray(pixels) * 255
    response = convolve2d(grey, [[1, -2, 1], [-2, 4, -2], [1, -2, 1]], mode="valid")
    return float(np.abs(response).mean() * np.sqrt(np.pi / 2) / 6)


def blocks(pixels: Pixels, _: Mask) -> float:
    """Steps across the 8 x 8 grid over the other steps."""
    grey = rgb2gray(pixels)
    across, down = np.abs(np.diff(grey, axis=1)).mean(axis=0), np.abs(np.diff(grey, axis=0)).mean(axis=1)
    on_grid = across[7::8].mean() + down[7::8].mean()
    return float(on_grid / (across.mean() + down.mean()))


def clipped(pixels: Pixels, mask: Mask) -> float:
    """The share of the product that is as good as black or white."""
    grey = rgb2gray(pixels)[mask > 127] * 255  # noqa: PLR2004
    return float(np.mean((grey <= 2) | (grey >= 253)))  # noqa: PLR2004


def white(pixels: Pixels, mask: Mask) -> float:
    """The share of the background that is white."""
    return float(np.all(pixels[mask == 0] == 255, axis=1).mean())  # noqa: PLR2004


def uneven(pixels: Pixels, _: Mask) -> float:
    """How far the border is from its median colour."""
    border = np.concatenate([pixels[:20], pixels[-20:]]).reshape(-1, 3)
    sides = np.concatenate([pixels[20:-20, :20], pixels[20:-20, -20:]]).reshape(-1, 3)
    lab = rgb2lab(np.concatenate([border, sides]))
    differences = deltaE_ciede2000(lab, np.median(lab, axis=0)[None])  # type: ignore[no-untyped-call]
    return float(np.percentile(differences, 95))


def fill(_: Pixels, mask: Mask) -> float:
    """The product's longer side in the frame."""
    rows, columns = np.where(mask > 127)  # noqa: PLR2004
    return float(max(np.ptp(rows), np.ptp(columns)) + 1) / SIDE


def inside(_: Pixels, mask: Mask) -> float:
    """The share of the edge that is product."""
    return float(np.mean(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]) > 127))  # noqa: PLR2004


Measure = Callable[[Pixels, Mask], float]
OF_THE_PICTURE: Sequence[Measure] = (shows_something, size, spread, blur, noise, blocks, uneven)
OF_BOTH: Sequence[Measure] = (clipped, white)
OF_THE_MASK: Sequence[Measure] = (fill, inside)
NOTHING = np.zeros((0, 0), np.uint8)


def opened(path: Path) -> Pixels:
    """A file's pixels."""
    return np.asarray(Image.open(path))


def mask_opened(path: Path) -> Mask:
    """A mask's file, as levels."""
    return np.asarray(Image.open(path).convert("L"))


def each_opens(files: Sequence[Filed], similarity: Similarity) -> None:
    """The plain script: every function opens what it needs."""
    for file in files:
        similarity.of(Image.open(file.path), file.candidate.request.prompt)
        for measure in OF_THE_PICTURE:
            measure(opened(file.path), NOTHING)
        for measure in OF_BOTH:
            measure(opened(file.path), mask_opened(file.mask_path))
        for measure in OF_THE_MASK:
            measure(NOTHING, mask_opened(file.mask_path))


def opened_once(files: Sequence[Filed], similarity: Similarity) -> None:
    """The same, with each file decoded once."""
    for file in files:
        pixels, mask = opened(file.path), mask_opened(file.mask_path)
        similarity.of(Image.fromarray(pixels), file.candidate.request.prompt)
        for measure in (*OF_THE_PICTURE, *OF_BOTH, *OF_THE_MASK):
            measure(pixels, mask)


# -------------------------------------------------------------------------------------------- side by side


@dataclass(frozen=True)
class Took:
    """Seconds of the processor and of the clock."""

    cpu: float
    wall: float

    def over(self, other: "Took") -> str:
        """How many times as long as another."""
        return f"{self.cpu / other.cpu:.1f} x in CPU, {self.wall / other.wall:.1f} x in wall time"

    def each(self, count: int) -> str:
        """Of one picture."""
        return f"{1000 * self.cpu / count:.0f} ms CPU, {1000 * self.wall / count:.0f} ms wall a picture"


def best(rounds: int, run: Callable[[int], None]) -> Took:
    """The least that a run took; in a thread of its own, or OpenMP's pool would slow the next run down."""

    def timed(number: int) -> Took:
        cpu, wall = cpu_seconds(), time.perf_counter()
        run(number)
        return Took(cpu_seconds() - cpu, time.perf_counter() - wall)

    took = []
    for number in range(rounds):
        with ThreadPoolExecutor(1) as thread:
            took.append(thread.submit(timed, number).result())
    return Took(min(each.cpu for each in took), min(each.wall for each in took))


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended, as scorers' own processes have."""
    return sum(os.times()[:4])


def ours(store: Store, files: Sequence[Filed], by: Sequence[Scorer], campaign: str) -> None:
    """What a run does, from the store to recorded measurements."""
    measuring = Measuring(store, by, lambda _: Expectation())
    made = [file.candidate for file in files]
    scores, fresh = measure_missing(measuring, campaign, made, run_id="run", report=lambda _: None)
    if fresh != len(scores):
        raise SystemExit(
            f"not everything was measured: {next(each.reason for each in scores if each.reason)}"
        )


def loaded(dimensions: Sequence[str]) -> list[Scorer]:
    """Those of the project's scorers that there are, in this order, new and with their models in memory."""
    there = {each.dimension: each for each in scorers(Checkpoints(DATA, {}))}
    for name in dimensions:
        if isinstance(model := there.get(name), ModelScorer) and (reason := model.unable()):
            raise SystemExit(reason)
    return [there[name] for name in dimensions if name in there]


@dataclass(frozen=True)
class Pictures:
    """What is measured, and a few of another prompt to get warm with."""

    store: Store
    files: Sequence[Filed]
    warm: Sequence[Filed]


def best_of_ours(pictures: Pictures, dimensions: Sequence[str], rounds: int) -> Took:
    """The least that ours took, each time with scorers that have not read these prompts before."""
    ready = [loaded(dimensions) for _ in range(rounds)]
    for number, by in enumerate(ready):
        ours(pictures.store, pictures.warm, by, f"warm-{dimensions[0]}-{number}")
    return best(
        rounds,
        lambda number: ours(pictures.store, pictures.files, ready[number], f"{dimensions[0]}-{number}"),
    )


def compare(pictures: Pictures, dimensions: Sequence[str], rounds: int) -> None:
    """Print what both take for similarity and cheap measures."""
    files, count = pictures.files, len(pictures.files)
    similarity = Similarity()
    each_opens(pictures.warm, similarity)
    anew = best(rounds, lambda _: each_opens(files, similarity))
    once = best(rounds, lambda _: opened_once(files, similarity))
    own = best_of_ours(pictures, dimensions, rounds)
    print(f"scoring {count} pictures: {', '.join(dimensions)}")
    print(f"  plain script, each measure opens the file: {anew.each(count)}")
    print(f"  plain script, each file decoded once:      {once.each(count)}")
    print(f"  ours:                                      {own.each(count)}")
    print(f"  ratio to the plain script {anew.over(own)}; to the one with one decode {once.over(own)}")


def compare_reading(pictures: Pictures, dimensions: Sequence[str], rounds: int) -> None:
    """Print what reading takes: the whole picture by RapidOCR as it comes, and our scorers of text."""
    if not loaded(dimensions):
        print("reading labels: the project has no scorer of text")
        return
    reader, files = RapidOCR(params={"Global.log_level": "warning"}), pictures.files

    def read(_: int) -> None:
        for file in files:
            reader(opened(file.path))

    read(0)
    theirs = best(rounds, read)
    own = best_of_ours(pictures, dimensions, rounds)
    print(f"reading {len(files)} pictures: {', '.join(dimensions)}")
    print(f"  RapidOCR's own pipeline on the whole picture: {theirs.each(len(files))}")
    print(f"  ours, its process started anew, tells how the label stands too: {own.each(len(files))}")
    print(f"  ratio to RapidOCR's own pipeline {theirs.over(own)}")


def cheap(files: Sequence[Filed], by: Sequence[Scorer]) -> None:
    """Print the time of everything that is done to a picture without a model, on one thread."""
    costs: dict[str, list[float]] = {"pack shot": [], "grainy": []}
    for file in files:
        pixels, mask = decode(file.path.read_bytes()).pixels, decode_mask(file.mask_path.read_bytes())
        took = best(5, lambda _, pixels=pixels, mask=mask: _cheap(pixels, mask, by)).cpu  # type: ignore[misc]
        costs["grainy" if file.candidate.position % 2 else "pack shot"].append(1000 * took)
    words = ", ".join(
        f"{kind} {np.median(each):.0f} (at most {max(each):.0f})" for kind, each in costs.items() if each
    )
    print(f"encoding, glance and {len(by)} cheap measures, ms CPU a picture of {SIDE} x {SIDE}: {words}")


def _cheap(pixels: Pixels, mask: Mask, by: Sequence[Scorer]) -> None:
    encoded = lossless_webp(pixels)
    glance(pixels)
    decoded = decode(encoded).pixels
    look = Look(pixels=decoded, mask=mask, encoded=encoded, expected_size=(SIDE, SIDE), decoded=decoded)
    for scorer in by:
        scorer.measure(look)


def main() -> None:
    """Print every measurement."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--products", type=int, default=12)
    arguments.add_argument("--candidates", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=2)
    options = arguments.parse_args()
    print(f"{os.cpu_count()} processors, {platform.machine()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        store = Store(str(Path(name) / "store"))
        files = filed(store, options.products + 1, options.candidates)
        warm, files = files[: options.candidates], files[options.candidates :]
        cheap(files[:8], loaded(CHEAP))
        compare(Pictures(store, files, warm), [*CHEAP, "prompt_alignment"], options.rounds)
        labelled = [file for file in files if any(name in file.candidate.request.prompt for name in LABELLED)]
        compare_reading(Pictures(store, labelled[:READ], warm[:1]), TEXT, options.rounds)


if __name__ == "__main__":
    main()
