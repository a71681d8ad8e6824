"""Step 5: the alignment model: ``python -m training.alignment <pictures> <work> [minutes]``.

A small open_clip model learns which caption belongs to which picture. Every batch also holds each picture's
caption with one attribute exchanged: telling these apart is what scoring a prompt is about.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from torch.nn import functional
from transformers import CLIPTokenizer

from training.captions import ATTRIBUTES, Shown, caption
from training.pictures import Pictures, batches, load
from training.session import DEVICE, Averaged, autocast, train
from training.text_encoder import TOKENS, tokens_of

BATCH = 96
SIZE = 96
SMOOTHING = 0.02
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's own means and standard deviations of red, green and blue."""


def configuration(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    """The model in open_clip's own words."""
    return {
        "embed_dim": 192,
        "vision_cfg": {
            "timm_model_name": "resnet10t",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": SIZE,
        },
        "text_cfg": {
            "context_length": TOKENS,
            "vocab_size": len(tokenizer),
            "hf_tokenizer_name": "tokenizer",
            "width": 128,
            "heads": 4,
            "layers": 3,
            "pool_type": "eos",
            "eos_id": tokenizer.eos_token_id,
            "pad_id": tokenizer.pad_token_id,
        },
    }


def build(tokenizer: CLIPTokenizer) -> CLIP:
    """An untrained model."""
    return CLIP(**configuration(tokenizer))


def swapped(shown: Shown, random: np.random.Generator) -> Shown:
    """The same but for one attribute, which has another value."""
    names = [name for name, value in shown.attributes().items() if value is not None]
    name = names[int(random.integers(len(names)))]
    if shown.kind is not None and random.random() < 0.45:  # the product is learnt last
        name = "kind"
    others = [value for value in ATTRIBUTES[name] if value not in {getattr(shown, name), "studio"}]
    exchanged: dict[str, Any] = {name: others[int(random.integers(len(others)))]}
    return replace(shown, **exchanged)


def pair(shown: Shown, seed: int, *, complete: bool = False) -> tuple[str, str]:
    """A caption, and one in the same words but for one attribute, which both of them say."""
    other = swapped(shown, np.random.default_rng(seed))
    true, false = (
        caption(each, np.random.default_rng(seed + 1), complete=complete) for each in (shown, other)
    )
    if true == false:
        true, false = (
            caption(each, np.random.default_rng(seed + 1), complete=True) for each in (shown, other)
        )
    return true, false


def seen(pixels: torch.Tensor) -> torch.Tensor:
    """Uint8 pictures (n × height × width × 3) as the image tower takes them."""
    pictures = pixels.permute(0, 3, 1, 2).to(DEVICE).float() / 255
    small = functional.interpolate(pictures, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(0, 1)
    mean, spread = (torch.tensor(values, device=DEVICE)[:, None, None] for values in (MEAN, SPREAD))
    return ((small - mean) / spread).contiguous(memory_format=torch.channels_last)


def roughened(pictures: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Now and then blurred or noisy, as generated pictures are."""
    if random.random() < 0.4:
        factor = random.uniform(0.45, 0.9)
        small = functional.interpolate(pictures, scale_factor=factor, mode="bilinear", antialias=True)
        pictures = functional.interpolate(small, (SIZE, SIZE), mode="bilinear")
    return pictures + random.uniform(0, 0.25) * torch.randn_like(pictures)


class Aligned(torch.nn.Module):
    """The model, and heads on its pictures that only training uses."""

    def __init__(self, clip: CLIP) -> None:
        super().__init__()
        self.clip = clip
        self.heads = torch.nn.ModuleDict(
            {name: torch.nn.Linear(192, len(values)) for name, values in ATTRIBUTES.items()}
        )


def losses(
    model: Aligned, pictures: Pictures, tokenizer: CLIPTokenizer
) -> Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]]:
    """How badly pictures and captions of a batch find each other."""
    labels = {name: torch.from_numpy(pictures.labels(name)) for name in ATTRIBUTES}
    everything = [Shown(**each) for each in pictures.described]
    random = np.random.default_rng()
    pixels = torch.from_numpy(pictures.pixels)
    for places in batches(len(pixels), BATCH, 3):
        index = torch.from_numpy(places)
        shown = [everything[place] for place in places]
        said = [pair(each, int(random.integers(2**31))) for each in shown]
        tokens = tokens_of(tokenizer, [true for true, _ in said] + [false for _, false in said]).to(DEVICE)
        batch = roughened(seen(pixels[index]), random)
        names = [(each.kind, each.colour, each.background) for each in shown]
        alike = torch.tensor([[a == b for b in names] for a in names]) & ~torch.eye(BATCH, dtype=torch.bool)

        def loss(
            index: torch.Tensor = index,
            batch: torch.Tensor = batch,
            tokens: torch.Tensor = tokens,
            alike: torch.Tensor = alike,
        ) -> tuple[torch.Tensor, dict[str, float]]:
            with autocast():
                features = model.clip.encode_image(batch)
                image = functional.normalize(features.float(), dim=-1)
                text = functional.normalize(model.clip.encode_text(tokens).float(), dim=-1)
            logits = model.clip.logit_scale.exp().clamp(max=100) * image @ text.T
            matching = logits[:, :BATCH].masked_fill(alike.to(DEVICE), -1e4)
            target = torch.arange(BATCH, device=DEVICE)
            to_text = functional.cross_entropy(
                torch.cat([matching, logits[:, BATCH:]], dim=1), target, label_smoothing=SMOOTHING
            )
            to_image = functional.cross_entropy(matching.T, target, label_smoothing=SMOOTHING)
            own = logits[target, target + BATCH]
            named = torch.stack(
                [
                    functional.cross_entropy(
                        head(features.float()), labels[name][index].to(DEVICE), ignore_index=-1
                    )
                    for name, head in model.heads.items()
                ]
            ).mean()
            hard = functional.softplus(own - logits[target, target]).mean()
            told = (own < logits[target, target]).float().mean().item()
            return (to_text + to_image) / 2 + hard + 0.5 * named, {"told apart": told, "named": named.item()}

        yield loss


def main(folder: Path, work: Path, minutes: float) -> None:
    """Train, and save as ``work/clip`` in open_clip's own format."""
    torch.manual_seed(3)
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    model = Aligned(build(tokenizer)).to(DEVICE).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.02)
    average = Averaged(model, 0.995)
    train(
        "alignment",
        work,
        model,
        optimiser,
        minutes,
        losses(model, load(folder, "train-"), tokenizer),
        average,
    )
    average.copy_to(model)
    torch.save(model.clip.state_dict(), work / "clip.pt")
    (work / "clip.json").write_text(json.dumps(configuration(tokenizer)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 16.0)
