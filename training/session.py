"""What every training step shares: a budget of minutes, its learning rate, and going on after a kill."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SAVED_EVERY = 60.0
"""Seconds between two saved states."""
LONGEST_STEP = 5.0
"""A step that took more seconds was held up by the machine; no more than this is taken from the budget."""


def autocast() -> torch.autocast:
    """Mixed precision in bfloat16, where the processor or the GPU has it."""
    processor = Path("/proc/cpuinfo")  # where there is none, nothing says that the processor has it
    described = processor.read_text() if processor.exists() else ""
    has_bfloat16 = DEVICE.type == "cuda" or "avx512_bf16" in described or "amx_bf16" in described
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=has_bfloat16)


class Averaged:
    """An exponential moving average of weights, which is what gets published."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone().float() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model; faster at first."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value.float(), share)

    def copy_to(self, model: torch.nn.Module) -> None:
        """Put the averaged weights into a model."""
        model.load_state_dict(self.weights)


def train(  # noqa: PLR0913, PLR0917 - everything that training takes
    name: str,
    work: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    minutes: float,
    losses: Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]],
    average: Averaged,
) -> None:
    """Train for so many minutes, over all the times that this was started.

    The learning rate rises over the first 2 % and falls as a cosine to nothing at the end.
    """
    state = work / f"{name}.state.pt"
    spent, step = 0.0, 0
    if state.exists():
        saved = torch.load(state, map_location=DEVICE, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average.weights = saved["average"]
        spent, step = saved["spent"], saved["step"]
    peaks = [group.get("peak", group["lr"]) for group in optimiser.param_groups]
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["peak"] = peak
    last = saved_at = said_at = time.monotonic()
    shown: dict[str, float] = {}
    for loss_of in losses:
        share = spent / (60 * minutes)
        if share >= 1:
            break
        factor = min(share / 0.02 + 0.01, 0.5 * (1 + math.cos(math.pi * share)))
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        loss, measured = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update(model, step)
        step += 1
        now = time.monotonic()
        spent, last = spent + min(now - last, LONGEST_STEP), now
        for key, value in ({"loss": loss.item()} | measured).items():
            shown[key] = 0.98 * shown.get(key, value) + 0.02 * value
        if now - said_at > 15:
            said_at = now
            values = " ".join(f"{key} {value:.4f}" for key, value in shown.items())
            sys.stdout.write(f"{name} {spent / 60:6.2f} min, step {step}: {values}\n")
            sys.stdout.flush()
        if now - saved_at > SAVED_EVERY:
            saved_at = now
            _save(state, model, optimiser, average, spent, step)
    _save(state, model, optimiser, average, spent, step)


def _save(
    state: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Averaged,
    spent: float,
    step: int,
) -> None:
    unfinished = state.with_suffix(".unfinished")
    torch.save(
        {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": average.weights,
            "spent": spent,
            "step": step,
        },
        unfinished,
    )
    unfinished.rename(state)
