"""Which scores catch which defects: planted into pictures whose truth is known, and counted.

    python benchmarks/planted_defects.py [--pictures 200] [--without text] [--scenes 6]

Products of the sample catalog are set into studios, onto white and into scenes by the project's own
providers. A quarter of the pictures stay as they are; into the others a defect is planted, at one of three
strengths, the three of a kind into the same picture. All are measured and judged as in a campaign, by every
scorer that `data/thresholds.yaml` has a threshold for. A defect is caught in a dimension where its picture
does not pass and the picture without it does; what those without one do not pass is falsely flagged.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from skimage.color import lab2rgb, rgb2lab

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import (
    Asked,
    ImageReference,
    ImageRequest,
    OpenReference,
    Pixels,
    Provider,
    Rendered,
)
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import scorers
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.errors import ProviderError
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.encode import jpeg, lossless_webp, mask_webp
from asset_pipeline.pictures.placing import bounding_box
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.providers.packshot import Packshot
from asset_pipeline.providers.scene import Scene
from asset_pipeline.sample.labels import Label
from asset_pipeline.sample.photographs import PRODUCTS, Photographed, picture, save
from asset_pipeline.scores.expectation import expectations
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import JudgedScore, judge_candidates
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.store.store import Store

DATA = Path(__file__).parent.parent / "data"
FEED = "products.csv"
SCENE: Mapping[str, Any] = {
    "model": "sample-diffusion",
    "task": "text-to-image",
    "steps": 20,
    "guidance_scale": 3.0,
    "arguments": {"guidance_rescale": 0.5},
    "native_sizes": [[128, 128], [176, 96]],
}
SCENES = (
    "empty scene, on a wooden table, autumn leaves in the background, light from the left, soft daylight",
    "empty scene, on a marble counter, a kitchen in the background, light from the right, soft daylight",
)
STUDIO = "on a {colour} background, light from the {side}, centred, with a soft shadow"
COLOURS = ("warm sand", "pale blue", "sage green", "blush")

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Clean:
    """A picture as it should be, with what it takes to make it again from another photograph."""

    product: Product
    photographed: Photographed
    asset_type: str
    asked: Asked
    photograph: bytes
    made: Rendered

    @property
    def mask(self) -> Mask:
        """Where the product is."""
        if self.made.mask is None:
            raise SystemExit("a provider of this project does not say where the product is")
        return self.made.mask


Defect = Callable[[Clean, int, np.random.Generator], Rendered]
"""Plants itself into a picture, with strength 0, 1 or 2."""


# ---------------------------------------------------------------------------------------------- the pictures


def provider_of(asset_type: str, engine: Engine) -> Provider:
    """A provider with an empty memory: one that knows a photograph would not open another of its name."""
    return Scene(engine) if asset_type == "lifestyle_scene" else Packshot()


def clean_pictures(count: int, scenes: int, engine: Engine) -> Iterator[Clean]:
    """Pictures of the catalog's products in turn: studio, white, studio, white, and at the end scenes."""
    photographed = {each.sku: each for each in PRODUCTS}
    feed = read_catalog(DATA / "catalog")
    products = [each for each in feed.products if each.feed == FEED and each.sku in photographed]
    # products with words first, so that few pictures too have some to plant a wrong label into
    products.sort(key=lambda product: photographed[product.sku].label is None)
    turns = itertools.cycle(products)
    for number in range(count):
        product = next(turns)
        kind = ("product_tile", "marketplace_main")[(number + number // len(products)) % 2]
        if number >= count - scenes:
            kind = "lifestyle_scene"
        reference = next(each for each in product.photographs if each.role == "base")
        asked = asked_for(kind, number, ImageReference(**reference.model_dump(exclude={"reference"})))
        photograph = (DATA / "catalog" / reference.reference).read_bytes()
        made = rendered(provider_of(kind, engine), asked, partial(lambda data, _: data, photograph))
        if isinstance(made, ProviderError):
            told(f"{product.sku}: {made}")
            continue
        yield Clean(product, photographed[product.sku], kind, asked, photograph, made)
        told(f"{number + 1} of {count} pictures without a defect made", end="\r")
    told("")


def asked_for(kind: str, number: int, reference: ImageReference) -> Asked:
    """A request for the picture of that number."""
    studio = STUDIO.format(colour=COLOURS[number % len(COLOURS)], side=("left", "right")[number % 2])
    prompt, side, parameters = {
        "lifestyle_scene": (SCENES[number % len(SCENES)], 1024, SCENE),
        "product_tile": (studio, 896, {"mode": "studio"}),
        "marketplace_main": ("the product alone on a pure white background", 1024, {"mode": "marketplace"}),
    }[kind]
    request = ImageRequest(
        prompt=prompt,
        width=side,
        height=side,
        seed=number,
        references=(reference,),
        profile_fingerprint="planted",
    )
    return Asked(request, parameters)


def rendered(provider: Provider, asked: Asked, photograph: OpenReference) -> Rendered | ProviderError:
    """What a provider makes of one request."""
    ((_, made),) = provider.render([asked], photograph)
    return made


# ----------------------------------------------------------------------------------------------- the defects


def whole(change: Callable[[Pixels, int, np.random.Generator], Pixels]) -> Defect:
    """A defect of all pixels."""
    return lambda clean, strength, random: replace(
        clean.made, pixels=change(clean.made.pixels, strength, random)
    )


def blurred(pixels: Pixels, strength: int, _: np.random.Generator) -> Pixels:
    """Out of focus: Gaussian, standard deviation in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur((1.5, 3, 6)[strength])))


def noisy(pixels: Pixels, strength: int, random: np.random.Generator) -> Pixels:
    """A sensor's noise: Gaussian in each channel, standard deviation in levels of 255."""
    return rounded(pixels + random.normal(0, (5, 10, 20)[strength], pixels.shape))


def compressed(pixels: Pixels, strength: int, _: np.random.Generator) -> Pixels:
    """Through a JPEG file of this quality."""
    return decode(jpeg(pixels, (40, 20, 8)[strength])).pixels


def black(pixels: Pixels, strength: int, _: np.random.Generator) -> Pixels:
    """A tenth of the light, three hundredths, none."""
    return rounded(pixels * (0.1, 0.03, 0.0)[strength])


def colour_shifted(clean: Clean, strength: int, random: np.random.Generator) -> Rendered:
    """The product alone has another hue: moved by so much in a*b*, in any direction."""
    angle, distance = random.uniform(0, 2 * np.pi), (8, 16, 32)[strength]
    lab = rgb2lab(clean.made.pixels)
    lab[..., 1:] += distance * np.array([np.cos(angle), np.sin(angle)])
    moved = 255 * lab2rgb(lab)
    share = clean.mask[..., None] / 255
    return replace(clean.made, pixels=rounded(share * moved + (1 - share) * clean.made.pixels))


def mirrored(clean: Clean, strength: int, _: np.random.Generator) -> Rendered:
    """The product turned left to right where it stands; with what is around it; and upside down as well."""
    pixels, mask = clean.made.pixels, clean.mask
    if strength:
        flipped = slice(None, None, -1 if strength == 2 else 1), slice(None, None, -1)  # noqa: PLR2004
        return replace(clean.made, pixels=pixels[flipped].copy(), mask=mask[flipped].copy())
    left, top, right, bottom = bounding_box(mask)
    box = slice(top, bottom), slice(left, right)
    turned, turned_mask = pixels.copy(), mask.copy()
    turned[box], turned_mask[box] = pixels[box][:, ::-1], mask[box][:, ::-1]
    return replace(clean.made, pixels=turned, mask=turned_mask)


def cropped(clean: Clean, strength: int, _: np.random.Generator) -> Rendered:
    """The frame cuts off a tenth, a quarter, half of the product; what is revealed repeats the edge."""
    left, right = bounding_box(clean.mask)[::2]
    off = left + round((right - left) * (0.1, 0.25, 0.5)[strength])
    pixels = np.pad(clean.made.pixels[:, off:], ((0, 0), (0, off), (0, 0)), mode="edge")
    return replace(clean.made, pixels=pixels, mask=np.pad(clean.mask[:, off:], ((0, 0), (0, off))))


def dirty(clean: Clean, strength: int, random: np.random.Generator) -> Rendered:
    """Dust behind the product: a few grey specks; many dark ones; these, and a smudge of a tenth."""
    height, width = clean.mask.shape
    dirt = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(dirt)
    for x, y, radius in random.uniform((0, 0, 1), (width, height, 4), ((8, 60, 60)[strength], 3)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(90, 160, 160)[strength])
    if strength == 2:  # noqa: PLR2004
        smudge = Image.new("L", (width, height), 0)
        x, y = random.uniform(0, 0.6, 2) * (width, height)
        ImageDraw.Draw(smudge).ellipse((x, y, x + 0.4 * width, y + 0.3 * height), fill=70)
        dirt = Image.fromarray(
            np.maximum(np.asarray(dirt), np.asarray(smudge.filter(ImageFilter.GaussianBlur(12))))
        )
    share = np.asarray(dirt, np.float64)[..., None] / 255 * (clean.mask[..., None] == 0)
    return replace(clean.made, pixels=rounded(clean.made.pixels * (1 - share) + 60 * share))


def relabelled(change: Callable[[Label, int, np.random.Generator], Label]) -> Defect:
    """The product, photographed with another label, set into the picture in place of the true one."""

    def plant(clean: Clean, strength: int, random: np.random.Generator) -> Rendered:
        if clean.photographed.label is None:
            raise ValueError(f"{clean.product.sku} has no label")
        label = change(clean.photographed.label, strength, random)
        data = photograph_with(clean.photographed, label)
        made = rendered(provider_of(clean.asset_type, ENGINE), clean.asked, lambda _: data)
        if isinstance(made, ProviderError):
            raise made
        return made

    return plant


def photograph_with(photographed: Photographed, label: Label) -> bytes:
    """The product's main photograph, rendered with another label."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"base.{photographed.media['base']}"
        save(picture(replace(photographed, label=label), "base"), path)
        return path.read_bytes()


def mistyped(label: Label, strength: int, random: np.random.Generator) -> Label:
    """Two neighbouring letters of the name exchanged; one replaced; one in every line too."""
    if strength == 0:
        places = [i for i in range(len(label.title) - 1) if label.title[i] != label.title[i + 1]]
        i = int(random.choice(places))
        return replace(
            label, title=label.title[:i] + label.title[i + 1] + label.title[i] + label.title[i + 2 :]
        )
    lines = label.lines if strength == 1 else tuple(another_letter(line, random) for line in label.lines)
    return replace(label, title=another_letter(label.title, random), lines=lines)


def another_letter(words: str, random: np.random.Generator) -> str:
    """One letter replaced by another of its case."""
    i = int(random.choice([i for i, letter in enumerate(words) if letter.isascii() and letter.isalpha()]))
    other = str(random.choice([letter for letter in "AEIOURSTLN" if letter != words[i].upper()]))
    return words[:i] + (other if words[i].isupper() else other.lower()) + words[i + 1 :]


def of_another(label: Label, strength: int, random: np.random.Generator) -> Label:
    """Another product's name; its name and lines; its whole label with ink and paper."""
    others = [each.label for each in PRODUCTS if each.label and each.label.title != label.title]
    other = others[int(random.integers(len(others)))]
    if strength == 2:  # noqa: PLR2004
        return other
    return replace(label, title=other.title, lines=other.lines if strength else label.lines)


DEFECTS: Mapping[str, Defect] = {
    "blur": whole(blurred),
    "noise": whole(noisy),
    "JPEG": whole(compressed),
    "colour shift": colour_shifted,
    "wrong label": relabelled(of_another),
    "typo": relabelled(mistyped),
    "mirrored": mirrored,
    "cropped": cropped,
    "dirty background": dirty,
    "black": whole(black),
}
ON_LABELS = ("wrong label", "typo")
STRENGTHS = ("slight", "clear", "strong")
ENGINE = Engine(Checkpoints(DATA, {}))
"""One for all scenes, so that the model is loaded once."""


def rounded(pixels: npt.NDArray[np.floating]) -> Pixels:
    """Levels from 0 to 255."""
    return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)


# ----------------------------------------------------------------------------------------------- the judging


@dataclass(frozen=True)
class Planted:
    """A candidate with its defect, and the candidate without it."""

    candidate: Candidate
    of: Candidate
    defect: str
    strength: str


def candidate(store: Store, name: str, clean: Clean, made: Rendered) -> Candidate:
    """A picture as a campaign would have recorded it."""
    return Candidate(
        candidate_id=name,
        prompt_id=name,
        prompt_fact_sha256="",
        sku=clean.product.sku,
        asset_type=clean.asset_type,
        locale="en-GB",
        position=0,
        profile="planted",
        provider="planted",
        provider_version="1",
        request=clean.asked.request,
        state="made",
        attempt=1,
        image_sha256=store.images.put(lossless_webp(made.pixels), "webp"),
        mask_sha256=None if made.mask is None else store.images.put(mask_webp(made.mask), "webp"),
        details=dict(made.details),
    )


def plant_all(store: Store, cleans: Sequence[Clean], count: int) -> tuple[list[Candidate], list[Planted]]:
    """Candidates of all clean pictures, and `count` with a defect: every kind and strength in turn."""
    without = []
    for number, clean in enumerate(cleans):
        store.images.put(clean.photograph, Path(clean.product.photographs[0].reference).suffix.lstrip("."))
        without.append(candidate(store, f"clean{number}", clean, clean.made))
    planted: list[Planted] = []
    kinds = [(defect, strength) for defect in DEFECTS for strength in range(len(STRENGTHS))]
    labelled = [number for number, clean in enumerate(cleans) if clean.photographed.label]
    for number, (defect, strength) in zip(range(count), itertools.cycle(kinds), strict=False):
        among = labelled if defect in ON_LABELS else range(len(cleans))
        chosen = among[number // len(STRENGTHS) % len(among)]
        made = DEFECTS[defect](cleans[chosen], strength, np.random.default_rng(number))
        planted.append(
            Planted(candidate(store, f"planted{number}", cleans[chosen], made), without[chosen], defect,
                    STRENGTHS[strength])
        )  # fmt: skip
        told(f"{number + 1} of {count} defects planted", end="\r")
    told("")
    return without, planted


def judge(
    store: Store, candidates: Sequence[Candidate], left_out: Sequence[str]
) -> dict[str, dict[str, JudgedScore]]:
    """The verdicts of every candidate, by dimension."""
    looking = [each for each in scorers(Checkpoints(DATA, {})) if each.dimension not in left_out]
    thresholds = {
        name: {dimension: each for dimension, each in block.items() if dimension not in left_out}
        for name, block in load_requirements(DATA).thresholds.items()
    }
    expected = expectations(read_catalog(DATA / "catalog").products, load_asset_types(DATA))
    measured, _ = measure_missing(
        Measuring(store, looking, expected), "planted", candidates, run_id="benchmark", report=told
    )
    verdicts: dict[str, dict[str, JudgedScore]] = defaultdict(dict)
    for score in judge_candidates(candidates, measured, thresholds):
        verdicts[score.candidate_id][score.dimension] = score
    return verdicts


def flagged(score: JudgedScore) -> bool:
    """Whether a picture does not pass."""
    return score.verdict in ("failed", "missing")


# --------------------------------------------------------------------------------------------------- telling


def table(
    without: Sequence[Candidate], planted: Sequence[Planted], verdicts: Mapping[str, dict[str, JudgedScore]]
) -> str:
    """Shares in percent, as a Markdown table.

    A dimension counts as blocking for a picture where it blocks for the picture's asset type.
    """
    rows: dict[tuple[str, str], list[dict[str, bool]]] = {("none: false flags", ""): []}
    for each in without:
        scores = verdicts[each.candidate_id].values()
        rows["none: false flags", ""].append(
            {score.dimension: score.level == "block" for score in scores if flagged(score)}
        )
    for one in sorted(planted, key=lambda one: [*DEFECTS].index(one.defect)):
        before = verdicts[one.of.candidate_id]
        caught = {
            score.dimension: score.level == "block"
            for score in verdicts[one.candidate.candidate_id].values()
            if flagged(score) and not flagged(before[score.dimension])
        }
        rows.setdefault((one.defect, one.strength), []).append(caught)
    columns = sorted({dimension for found in rows.values() for each in found for dimension in each})
    lines = [
        f"| defect | strength | pictures | {' | '.join(columns)} | any that blocks | any |",
        "| --- " * (len(columns) + 5) + "|",
    ]
    for (defect, strength), found in rows.items():
        shares = [share(dimension in each for each in found) for dimension in columns]
        totals = [share(any(each.values()) for each in found), share(bool(each) for each in found)]
        lines.append(f"| {defect} | {strength} | {len(found)} | {' | '.join([*shares, *totals])} |")
    return "\n".join(lines)


def share(of: Iterator[bool]) -> str:
    """In percent; nothing for none."""
    counted = list(of)
    return f"{100 * sum(counted) / len(counted):.0f}" if any(counted) else ""


def told(line: str, end: str = "\n") -> None:
    """Progress, which is not the result."""
    print(line, end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Plant, judge and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pictures", type=int, default=200, help="with and without a defect together")
    arguments.add_argument("--scenes", type=int, default=6, help="how many of those without are scenes")
    arguments.add_argument("--without", action="append", default=[], metavar="DIMENSION")
    options = arguments.parse_args()
    started = time.monotonic()
    count = max(2, options.pictures // 4)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        cleans = list(clean_pictures(count, min(options.scenes, count // 4), ENGINE))
        without, planted = plant_all(store, cleans, options.pictures - len(cleans))
        made = time.monotonic()
        verdicts = judge(store, [*without, *(each.candidate for each in planted)], options.without)
    print(table(without, planted, verdicts))
    seconds = f"made in {made - started:.0f} s, judged in {time.monotonic() - made:.0f} s"
    print(f"\n{len(without)} pictures without a defect, {len(planted)} with one; {seconds}")


if __name__ == "__main__":
    main()
