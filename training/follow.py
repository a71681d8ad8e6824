"""Step 8: what the models can do: ``python -m training.follow <pictures> <models> [captions]``.

Draws a picture for each of several hundred captions of combinations that training never saw, lets the judge
say what they show, and prints accuracy by attribute beside chance, and beside its accuracy on rendered
pictures of the same captions, as they are and after the autoencoder alone: what the denoiser cannot do better
than. Then the alignment model: retrieval, and telling a caption from one
with one attribute exchanged.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from PIL import Image
from torch.nn import functional

from training.alignment import seen, swapped
from training.captions import ATTRIBUTES, Shown, caption
from training.judge import judged, load_judge
from training.pictures import Pictures, load

STEPS = 20
GUIDANCE = 3.0
RESCALE = 0.5


@dataclass(frozen=True)
class Asked:
    """Held-out pictures and the caption that each is to be drawn from."""

    pictures: Pictures
    captions: list[str]


def held_out(folder: Path, count: int) -> Asked:
    """So many pictures of held-out combinations, of all kinds alike, with complete captions."""
    everything = load(folder, "test-")
    products = [place for place, each in enumerate(everything.described) if each["kind"] is not None]
    chosen = np.random.default_rng(5).permutation(products)[:count]
    return Asked(
        Pictures(
            everything.pixels[chosen],
            [everything.captions[place] for place in chosen],
            [everything.described[place] for place in chosen],
        ),
        [everything.captions[place][0] for place in chosen],
    )


def draw(
    pipeline: StableDiffusionPipeline, captions: list[str], first_seed: int = 0
) -> npt.NDArray[np.uint8]:
    """A picture for each caption, seeds counting up."""
    drawn = []
    for start in range(0, len(captions), 16):
        batch = captions[start : start + 16]
        seeds = [torch.Generator().manual_seed(first_seed + start + number) for number in range(len(batch))]
        made = pipeline(
            batch, height=128, width=128, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
            guidance_rescale=RESCALE, generator=seeds, output_type="np",
        ).images  # fmt: skip
        drawn.append(np.round(made * 255).astype(np.uint8))
    return np.concatenate(drawn)


@torch.inference_mode()
def through(autoencoder: AutoencoderTiny, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures as the autoencoder gives them back."""
    back = []
    for batch in torch.split(torch.from_numpy(pixels), 32):
        latents = autoencoder.encode(batch.permute(0, 3, 1, 2).float() / 127.5 - 1).latents
        decoded = autoencoder.decode(latents).sample.clamp(-1, 1)
        back.append(((decoded + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(back)


def follow(
    asked: Asked, drawn: npt.NDArray[np.uint8], autoencoder: AutoencoderTiny
) -> dict[str, dict[str, float]]:
    """By attribute: how often a picture shows what was asked, chance, the judge on rendered ones."""
    judge = load_judge()
    ours, rendered = judged(judge, drawn), judged(judge, asked.pictures.pixels)
    back = judged(judge, through(autoencoder, asked.pictures.pixels))
    table = {}
    for name, values in ATTRIBUTES.items():
        truth = asked.pictures.labels(name)
        table[name] = {
            "drawn": float((ours[name] == truth).mean()),
            "chance": 1 / len(values),
            "rendered": float((rendered[name] == truth).mean()),
            "autoencoder alone": float((back[name] == truth).mean()),
        }
    return table


@torch.inference_mode()
def alignment(asked: Asked, folder: Path) -> dict[str, float]:
    """Retrieval among 100 held-out pictures, and telling exchanged attributes apart, by attribute."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    image = functional.normalize(model.encode_image(seen(torch.from_numpy(asked.pictures.pixels))), dim=-1)

    def words(captions: list[str]) -> torch.Tensor:
        return functional.normalize(model.encode_text(tokenizer(captions)), dim=-1)

    found = {}
    scores = image @ words(asked.captions).T
    groups = [slice(start, start + 100) for start in range(0, len(scores) - 99, 100)]
    hits = [(scores[group, group].argmax(1) == torch.arange(100)).float().mean() for group in groups]
    found["retrieval top-1 of 100"] = float(torch.stack(hits).mean()) if hits else float("nan")
    told: dict[str, list[tuple[int, str, str]]] = {name: [] for name in ATTRIBUTES}
    for number, each in enumerate(asked.pictures.described):
        shown = Shown(**each)
        for seed in range(6):
            random = np.random.default_rng(1000 * number + seed)
            other = swapped(shown, random)
            name = next(name for name in ATTRIBUTES if getattr(shown, name) != getattr(other, name))
            told[name].append(
                (
                    number,
                    caption(shown, np.random.default_rng(number), complete=True),
                    caption(other, np.random.default_rng(number), complete=True),
                )
            )
    for name, cases in told.items():
        if not cases:
            continue
        true, false = words([case[1] for case in cases]), words([case[2] for case in cases])
        own = image[torch.tensor([case[0] for case in cases])]
        found[f"told apart: {name}"] = float(((own * true).sum(-1) > (own * false).sum(-1)).float().mean())
    return found


def sheet(drawn: npt.NDArray[np.uint8], columns: int) -> Image.Image:
    """Pictures side by side."""
    rows = [
        np.hstack(list(drawn[start : start + columns]))
        for start in range(0, len(drawn) - columns + 1, columns)
    ]
    return Image.fromarray(np.vstack(rows))


def main(folder: Path, models: Path, count: int) -> None:
    """Print the tables, and save a sheet of samples."""
    asked = held_out(folder, count)
    pipeline = StableDiffusionPipeline.from_pretrained(
        models / "sample-diffusion", safety_checker=None, torch_dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    drawn = draw(pipeline, asked.captions)
    sheet(drawn[:96], 12).save(folder / "sheet.png")
    table = {"captions": len(asked.captions), "follow": follow(asked, drawn, pipeline.vae)}
    if (models / "sample-clip").exists():
        table["alignment"] = alignment(asked, models / "sample-clip")
    sys.stdout.write(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 600)
