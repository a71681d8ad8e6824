"""Step 6: the judge: ``python -m training.judge <pictures> <work> [minutes]``.

A classifier of pictures' attributes that shares nothing with the generator, neither weights nor captions. It
says whether a generated picture shows what its prompt asked for, and how sure a judgement is: its own
accuracy on rendered pictures stands beside every table.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from training.captions import ATTRIBUTES
from training.pictures import Pictures, batches, load
from training.session import DEVICE, Averaged, autocast, train

BATCH = 64
WEIGHTS = Path(__file__).with_name("judge.safetensors")


class Judge(nn.Module):
    """A small residual network with a head for each attribute."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96, 160)) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, after in zip(widths, (*widths[1:], widths[-1]), strict=True):
            layers.append(_Block(before, after))
        self.layers = nn.Sequential(*layers)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(4 * widths[-1], len(values)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of every value of every attribute, for pictures from -1 to 1 (n × 3 × 128 × 128)."""
        found = self.layers(pictures)
        # Light and framing are about where things are: the four quarters are looked at separately.
        pooled = functional.adaptive_avg_pool2d(found, 2).flatten(1)
        return {name: head(pooled) for name, head in self.heads.items()}


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.past = nn.Conv2d(before, after, 1, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.past(x))


def seen(pixels: torch.Tensor) -> torch.Tensor:
    """Uint8 pictures (n × height × width × 3) as the judge takes them."""
    pictures = pixels.permute(0, 3, 1, 2).to(DEVICE).float() / 127.5 - 1
    return pictures.contiguous(memory_format=torch.channels_last)


def load_judge() -> Judge:
    """The judge as it was trained."""
    judge = Judge()
    judge.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()}, strict=False)
    return judge.eval().to(DEVICE)


@torch.inference_mode()
def judged(judge: Judge, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What pictures show, as the place of each attribute's likeliest value."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in ATTRIBUTES}
    for batch in torch.split(torch.from_numpy(pixels), 128):
        for name, score in judge(seen(batch)).items():
            found[name].append(score.argmax(-1).cpu())
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def losses(model: Judge, pictures: Pictures) -> Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]]:
    """How surprised the judge is by what pictures show."""
    labels = {name: torch.from_numpy(pictures.labels(name)) for name in ATTRIBUTES}
    pixels = torch.from_numpy(pictures.pixels)
    random = np.random.default_rng()
    for places in batches(len(pixels), BATCH, 4):
        index = torch.from_numpy(places)
        batch = seen(pixels[index])
        if random.random() < 0.5:  # generated pictures are softer than rendered ones
            small = functional.interpolate(
                batch, scale_factor=random.uniform(0.4, 0.9), mode="bilinear", antialias=True
            )
            batch = functional.interpolate(small, (128, 128), mode="bilinear")
        batch = batch + random.uniform(0, 0.06) * torch.randn_like(batch)

        def loss(
            index: torch.Tensor = index, batch: torch.Tensor = batch
        ) -> tuple[torch.Tensor, dict[str, float]]:
            with autocast():
                scores = model(batch)
            each = {
                name: functional.cross_entropy(score.float(), labels[name][index].to(DEVICE), ignore_index=-1)
                for name, score in scores.items()
            }
            return torch.stack(list(each.values())).mean(), {
                name: value.item() for name, value in each.items()
            }

        yield loss


def main(folder: Path, work: Path, minutes: float) -> None:
    """Train, measure on held-out pictures, and save beside this file."""
    torch.manual_seed(4)
    model = Judge().to(DEVICE).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    average = Averaged(model, 0.995)
    train("judge", work, model, optimiser, minutes, losses(model, load(folder, "train-")), average)
    average.copy_to(model)
    save_file({name: (value.half() if value.is_floating_point() else value).contiguous()
               for name, value in model.state_dict().items()}, WEIGHTS)  # fmt: skip
    held_out = load(folder, "test-")
    found = judged(load_judge(), held_out.pixels)
    for name in ATTRIBUTES:
        truth = held_out.labels(name)
        known = truth >= 0
        sys.stdout.write(f"{name}: {(found[name] == truth)[known].mean():.3f} of {known.sum()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 14.0)
