"""The generation loop beside what a person would write: make, save and score, one picture after the other.

    python benchmarks/generation_loop.py [--pictures 48] [--memory 2000]

Three measurements, each on this machine alone, nothing else of weight running beside it:

* images/s where encoding dominates: pictures of 1024 x 1024 from a model that takes 20 ms (a stub that
  waits and hands out photographs), saved as lossless files and scored against their prompt with the shipped
  open_clip model. The plain loop saves PNG as Pillow does by default, reads it back, and embeds picture and
  prompt one at a time. Ours is what a run does: claims, lossless WebP, hashes, measures, facts, then scores
  from the store.
* model time over wall time with a model that takes 0.3 s a picture.
* resident memory over two thousand pictures of 1024 x 1024.

And with the shipped diffusion model in place of the stub: the same pictures through both loops, where the
model dominates and little can be gained.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import psutil
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.records import collect
from asset_pipeline.candidates.request import Asked, OpenReference, Pixels, Profile, Provider, Rendered
from asset_pipeline.candidates.wanted import want_candidates, wanted_sha256
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.errors import ProviderError
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.providers.diffusers import Diffusers
from asset_pipeline.scorers.prompt_alignment import PromptAlignment
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.score import Expectation
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working

DATA = Path(__file__).parent.parent / "data"
PLACES = (
    "a wooden table",
    "a marble counter",
    "sand",
    "fresh snow",
    "dark slate",
    "moss",
    "concrete",
    "a linen cloth",
)
BEHIND = ("a forest", "autumn leaves", "the sea", "mountains", "a kitchen", "a sunset sky", "a city at night")

GRAIN = 1.2
"""Standard deviation, in levels of 255, of the texture over the stub's photographs: its PNG files then have
1.2 MB or so, as diffusion models' pictures of this size have; rendered walls alone have a quarter of that."""


@dataclass
class Stub:
    """A model that takes its time and hands out photographs, each a little different."""

    seconds: float
    name: str = "stub"
    makers: int | None = 1

    def __post_init__(self) -> None:
        """Open the photographs."""
        photographs = sorted((DATA / "catalog" / "photographs").glob("*.jpg"))[:4]
        size = (1024, 1024)
        grain = np.random.default_rng(0).normal(0, GRAIN, (*size, 3))
        self._pictures = [
            np.clip(np.asarray(Image.open(path).convert("RGB").resize(size)) + grain, 0, 255).astype(np.uint8)
            for path in photographs
        ]

    def version_of(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002 - the protocol's
        """Always the same."""
        return "1"

    def observed(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def check(self, asked: Asked) -> None:
        """Anything can be said to a stub."""

    def picture(self, seed: int) -> Pixels:
        """Wait as for a GPU, and take a photograph, moved by the seed and with a sensor's noise."""
        time.sleep(self.seconds)
        moved = np.roll(self._pictures[seed % len(self._pictures)], seed % 1024, axis=1).copy()
        moved[::2, seed % 2 :: 2] ^= np.uint8(1)
        return moved

    def render(
        self,
        batch: Sequence[Asked],
        open_reference: OpenReference,  # noqa: ARG002 - the protocol's
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """One after the other."""
        for asked in batch:
            yield asked, Rendered(self.picture(asked.request.seed))


def prompts(count: int, side: int) -> list[Prompt]:
    """So many prompts of empty places."""
    return [
        Prompt(
            prompt_id=f"p{number}",
            sku=f"SKU-{number}",
            product_fact_sha256="f",
            asset_type="place",
            locale="en-GB",
            words_locale="en-GB",
            variation={},
            text=f"empty scene, on {PLACES[number % 8]}, {BEHIND[number % 7]} in the background",
            negative_text="",
            width=side,
            height=side,
            parameters={},
            references=(),
            template_sha256="t",
        )
        for number in range(count)
    ]


def order(provider: Provider, profile: Profile, count: int, side: int) -> Order:
    """What a run would be asked for."""
    campaign = Campaign(
        title="Benchmark",
        asset_types=("place",),
        locales=("en-GB",),
        profile="benchmark",
        candidates_per_prompt=1,
    )
    return Order(
        campaign_id="benchmark",
        wanted=want_candidates(prompts(count, side), campaign, profile, provider.version_of),
        profile_name="benchmark",
        profile=profile,
        provider=provider,
        budget_usd=0.0,
    )


def our_loop(folder: Path, what: Order, scorer: PromptAlignment) -> tuple[float, Progress]:
    """Seconds that making and scoring take, and what the loop says of itself."""
    store = Store(str(folder))
    started = time.monotonic()
    with working(store, "run") as worker:
        progress = produce(what, store, worker, lambda _: None)
    made = collect(what, store, planned_sha256=wanted_sha256(what.wanted))
    measuring = Measuring(store, [scorer], lambda _: Expectation())
    scores, _ = measure_missing(measuring, what.campaign_id, made, run_id="run", report=lambda _: None)
    seconds = time.monotonic() - started
    if any(score.value is None for score in scores):
        raise SystemExit(f"a picture was not scored: {scores[0].reason}")
    return seconds, progress


class PlainScore:
    """CLIP as its own page shows it: one picture, one prompt."""

    def __init__(self) -> None:
        source = f"local-dir:{DATA / 'models' / 'sample-clip'}"
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(source)
        self.tokenizer = open_clip.get_tokenizer(source)
        self.model.eval()

    def of(self, path: Path, prompt: str) -> float:
        """The cosine similarity of a picture's file and a prompt."""
        with torch.no_grad():
            image = self.model.encode_image(self.preprocess(Image.open(path))[None])
            text = self.model.encode_text(self.tokenizer([prompt]))
            return float(torch.cosine_similarity(image, text))


def plain_loop(folder: Path, what: Order, picture: Any) -> float:
    """Seconds that a person's own loop takes for the same pictures, once everything is loaded and warm."""
    folder.mkdir()
    score = PlainScore()
    Image.fromarray(picture(what.wanted[0].asked.request)).save(folder / "warm.png")
    score.of(folder / "warm.png", "warm")
    started = time.monotonic()
    for wanted in what.wanted:
        request = wanted.asked.request
        path = folder / f"{request.candidate_id}.png"
        Image.fromarray(picture(request)).save(path)
        score.of(path, request.prompt)
    return time.monotonic() - started


def in_a_thread(loop: Any, *what: Any) -> Any:
    """Run a loop in a thread that ends with it: an OpenMP pool that stays would slow the next one down."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(loop, *what).result()


def compare(folder: Path, name: str, what: Order, picture: Any) -> None:
    """Print both loops' images/s and their ratio."""
    theirs = in_a_thread(plain_loop, folder / f"{name}-plain", what, picture)
    scorer = PromptAlignment(Checkpoints(DATA, {}))
    warm = what.shard(0, max(1, len(what.wanted) // 4))
    in_a_thread(our_loop, folder / f"{name}-warm", warm, scorer)
    ours, progress = in_a_thread(our_loop, folder / f"{name}-ours", what, scorer)
    count = len(what.wanted)
    print(
        f"{name}: plain loop {count / theirs:.2f} images/s, ours {count / ours:.2f} images/s, "
        f"ratio {theirs / ours:.2f}; model time over wall time {progress.utilisation:.3f}"
    )


def memory(folder: Path, count: int) -> None:
    """Print resident memory after each tenth of a long run."""
    stub = Stub(seconds=0.0)
    profile = Profile(provider="stub", title="Stub", batch_size=8)
    process, seen = psutil.Process(), []
    store = Store(str(folder / "memory"))
    what = order(stub, profile, count, 1024)
    picture, made = stub.picture, 0

    def counted(seed: int) -> Pixels:
        nonlocal made
        if made % max(1, count // 10) == 0:
            seen.append(round(process.memory_info().rss / 2**20))
        made += 1
        return picture(seed)

    stub.picture = counted  # type: ignore[method-assign]
    with working(store, "run") as worker:
        produce(what, store, worker, lambda _: None)
    print(f"resident MiB over {count} pictures of 1024 x 1024, at each tenth: {seen}")


def main() -> None:
    """Print every measurement."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=48)
    arguments.add_argument("--memory", type=int, default=2000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quick, slow = Stub(0.02), Stub(0.3)
        profile = Profile(provider="stub", title="Stub", batch_size=8)
        compare(folder, "encoding dominates", order(quick, profile, options.pictures, 1024),
                lambda request: quick.picture(request.seed))  # fmt: skip
        what, scorer = order(slow, profile, options.pictures, 1024), PromptAlignment(Checkpoints(DATA, {}))
        _, progress = in_a_thread(our_loop, folder / "slow", what, scorer)
        print(f"a model of 0.3 s a picture: model time over wall time {progress.utilisation:.3f}")
        compare_checkpoint(folder, max(8, options.pictures // 2))
        memory(folder, options.memory)


def compare_checkpoint(folder: Path, count: int) -> None:
    """The shipped diffusion model through both loops."""
    settings = {"model": "sample-diffusion", "steps": 20, "guidance_scale": 3.0}
    profile = Profile(provider="diffusers", title="Sample", parameters=settings, batch_size=8)
    provider = Diffusers(Engine(Checkpoints(DATA, {})))

    @cache
    def pipeline() -> StableDiffusionPipeline:
        loaded = StableDiffusionPipeline.from_pretrained(
            DATA / "models" / "sample-diffusion", safety_checker=None, torch_dtype=torch.float32
        )
        loaded.set_progress_bar_config(disable=True)
        return loaded

    def picture(request: Any) -> Pixels:
        made = pipeline()(
            request.prompt, width=request.width, height=request.height, num_inference_steps=20,
            guidance_scale=3.0, generator=torch.Generator().manual_seed(request.seed), output_type="np",
        ).images[0]  # fmt: skip
        return np.asarray(np.round(made * 255), np.uint8)

    compare(folder, "shipped checkpoint, 128 px", order(provider, profile, count, 128), picture)


if __name__ == "__main__":
    main()
