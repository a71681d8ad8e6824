"""The part of the engine that holds the model. It imports torch and diffusers, which takes seconds."""

import contextlib
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import psutil
import torch
from diffusers.models.attention_dispatch import attention_backend

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.embeddings import RememberedPrompts
from asset_pipeline.diffusion.loading import choose_device, choose_dtype, load, offloading
from asset_pipeline.diffusion.settings import Settings
from asset_pipeline.diffusion.vocabulary import Vocabulary
from asset_pipeline.errors import ProviderError, ProviderRefused, ProviderUnavailable

EMBEDDINGS_KEPT = 256
"""Prompts whose embeddings stay on the device: 1 GB for T5 at 512 tokens in bfloat16."""
MEMORY_SHARE = 0.85
"""How much of the free memory a batch may take: allocators need room between blocks."""
BLACK = 16
"""A picture whose brightest value (of 255) is no more than this is black, as in video (ITU-R BT.709)."""
EVEN = 6
"""A picture whose channels all span no more than this shows nothing."""

_IN_MEMORY = {
    "model",
    "variant",
    "dtype",
    "offload",
    "compile",
    "step_cache",
    "vae_tiling",
    "loras",
    "controlnet",
    "ip_adapter",
}
"""The settings that are part of the pipeline in memory; the others are said with every call."""
_SAMPLED_ALONE = ("first_block",)
"""Step caches that decide by the mean of a batch."""


@dataclass
class _Measured:
    pictures: int = 0
    drawing_seconds: float = 0.0
    model_load_seconds: float = 0.0
    batch_size: int = 0
    memory_peak_bytes: int = 0
    out_of_memory: int = 0


class Sampler:
    """Keeps one pipeline in memory and samples with it. Not safe for threads: the engine has one for it."""

    def __init__(self, checkpoints: Checkpoints, *, batching: bool | None) -> None:
        # What the libraries warn of is checked or refused here; else they would warn once for each picture.
        diffusers.utils.logging.set_verbosity_error()
        self._checkpoints = checkpoints
        self._device = choose_device()
        self._batching = self._device.type == "cuda" if batching is None else batching
        self._vocabularies: dict[str, Vocabulary] = {}
        self._loaded = ""
        self._by_task: dict[str, Any] = {}
        self._scheduler: Any = None
        self._prompts = RememberedPrompts(EMBEDDINGS_KEPT)
        self._sizes: dict[tuple[int, int], int] = {}
        self._dtype = torch.float32
        self._measured = _Measured()

    def vocabulary(self, settings: Settings) -> Vocabulary:
        """What the pipeline of these settings has words for; read once."""
        key = settings.model_dump_json()
        if key not in self._vocabularies:
            guide = settings.controlnet
            self._vocabularies[key] = Vocabulary(
                settings,
                self._checkpoints.folder(settings.model, weights=False),
                self._checkpoints.folder(guide.model, weights=False) if guide else None,
            )
        return self._vocabularies[key]

    def first_of(self, settings: Settings, drawings: Sequence[Drawing]) -> list[Pixels | ProviderError]:
        """Sample as many of the first drawings as memory allows, at least one; all are of one size.

        Out of memory, the batch is halved and sampled again, so that nothing is lost.

        Raises:
            MissingModel: a file of the checkpoint is missing, altered or broken.
        """
        while True:
            batch = drawings[: self._batch_size(settings, drawings[0])]
            try:
                return self._sample(settings, batch)
            except torch.OutOfMemoryError as error:
                reason = str(error).split(". ")[0]
            # Out here the error is gone, and with it the tensors that its frames held.
            self._measured.out_of_memory += 1
            self._free()
            if len(batch) == 1:
                return [
                    ProviderUnavailable(
                        f"{settings.model} at {batch[0].width} x {batch[0].height} does not fit into memory "
                        f"({reason}); set offload: model, vae_tiling: true or smaller native_sizes, or free "
                        "the device"
                    )
                ]
            self._sizes[batch[0].width, batch[0].height] = len(batch) // 2

    def observed(self) -> Mapping[str, float | int | str]:
        """What was measured so far."""
        measured = self._measured
        return {
            "device": torch.cuda.get_device_name() if self._device.type == "cuda" else self._device.type,
            "dtype": str(self._dtype).removeprefix("torch."),
            "pictures": measured.pictures,
            "drawing_seconds": round(measured.drawing_seconds, 3),
            "model_load_seconds": round(measured.model_load_seconds, 3),
            "batch_size": measured.batch_size,
            "memory_peak_bytes": measured.memory_peak_bytes,
            "embeddings_made": self._prompts.made,
            "embeddings_reused": self._prompts.reused,
            "out_of_memory": measured.out_of_memory,
        }

    def _sample(self, settings: Settings, batch: Sequence[Drawing]) -> list[Pixels | ProviderError]:
        vocabulary = self.vocabulary(settings)
        pipeline = self._pipeline(settings, vocabulary)
        pipeline.scheduler = self._fresh_scheduler(settings)
        attention = (
            contextlib.nullcontext()
            if settings.attention == "auto"
            else attention_backend(settings.attention)
        )
        if self._device.type == "cpu":
            _use_a_power_of_two_of_threads()
        before = self._start_measuring()
        started = time.monotonic()
        with attention:
            output = pipeline(**vocabulary.say(batch))
        drawn = _judged(output, batch)
        self._measured.drawing_seconds += time.monotonic() - started
        self._measured.pictures += len(batch)
        self._measured.batch_size = max(self._measured.batch_size, len(batch))
        self._measure_memory(settings, batch, before)
        return drawn

    def _pipeline(self, settings: Settings, vocabulary: Vocabulary) -> Any:
        """The pipeline of these settings, loaded unless it is there; another task's shares the weights."""
        key = settings.model_dump_json(include=_IN_MEMORY)
        offload = offloading(settings, self._checkpoints, self._device)
        if key != self._loaded or (settings.task not in self._by_task and offload != "none"):
            self._by_task.clear()
            self._sizes.clear()
            self._prompts.forget()
            self._loaded = ""
            self._free()
        if settings.task not in self._by_task:
            started = time.monotonic()
            beside = next(iter(self._by_task.values()), None)
            pipeline = load(settings, vocabulary, self._checkpoints, self._device, beside=beside)
            self._prompts.listen_to(pipeline)
            if beside is None:
                self._scheduler = pipeline.scheduler
            self._by_task[settings.task] = pipeline
            self._loaded = key
            self._dtype = choose_dtype(self._device, settings.dtype)
            self._measured.model_load_seconds += time.monotonic() - started
        return self._by_task[settings.task]

    def _fresh_scheduler(self, settings: Settings) -> Any:
        """A scheduler that no picture has used: several keep state that ``set_timesteps`` does not reset."""
        own = self._scheduler
        if settings.scheduler is None:
            return type(own).from_config(own.config)
        return getattr(diffusers, settings.scheduler.name).from_config(
            own.config, **settings.scheduler.options
        )

    def _batch_size(self, settings: Settings, drawing: Drawing) -> int:
        """How many drawings like this one are sampled together.

        On CUDA the first is sampled alone, and its peak of memory says how many fit. A picture that builds on
        others is sampled alone: pipelines do not agree on what a list of pictures means.
        """
        by_the_mean = settings.step_cache is not None and settings.step_cache.kind in _SAMPLED_ALONE
        if not self._batching or drawing.images or by_the_mean:
            return 1
        fits = self._sizes.get(
            (drawing.width, drawing.height), 1 if self._device.type == "cuda" else settings.max_batch
        )
        return min(fits, settings.max_batch)

    def _start_measuring(self) -> int:
        if self._device.type != "cuda":
            return 0
        torch.cuda.reset_peak_memory_stats(self._device)
        return torch.cuda.memory_allocated(self._device)

    def _measure_memory(self, settings: Settings, batch: Sequence[Drawing], before: int) -> None:
        if self._device.type != "cuda":
            peak = int(psutil.Process().memory_info().rss)
        else:
            peak = torch.cuda.max_memory_allocated(self._device)
            idle = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
            free = torch.cuda.mem_get_info(self._device)[0] + idle
            fits = int(MEMORY_SHARE * free / max(1, peak - before))
            self._sizes.setdefault((batch[0].width, batch[0].height), max(1, min(fits, settings.max_batch)))
        self._measured.memory_peak_bytes = max(self._measured.memory_peak_bytes, peak)

    def _free(self) -> None:
        """Give memory back, and forget what an unfinished call left in offloading hooks and step caches."""
        for pipeline in self._by_task.values():
            pipeline.maybe_free_model_hooks()
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _use_a_power_of_two_of_threads() -> None:
    """Share work out evenly: functions such as GELU round the odd end of an uneven share otherwise.

    With `_steady` in loading.py this makes pixels the same for 1, 2, 4, 8 ... threads, and 3 of them are 2.
    """
    threads = torch.get_num_threads()
    even = 1 << (threads.bit_length() - 1)
    if even != threads:
        torch.set_num_threads(even)


def _judged(output: Any, batch: Sequence[Drawing]) -> list[Pixels | ProviderError]:
    """The pictures as uint8, made so on the device; or what is wrong with each."""
    images = output.images
    finite = images.isfinite().flatten(1).float().mean(1).tolist()
    pixels = images.float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    censored = getattr(output, "nsfw_content_detected", None) or [False] * len(batch)
    return [
        _picture_or_reason(drawing, picture, share, is_censored=bool(flag))
        for drawing, picture, share, flag in zip(
            batch, np.ascontiguousarray(pixels), finite, censored, strict=True
        )
    ]


def _picture_or_reason(
    drawing: Drawing, pixels: Pixels, finite: float, *, is_censored: bool
) -> Pixels | ProviderError:
    height, width = pixels.shape[:2]
    if finite < 1:
        return ProviderRefused(
            f"the model returned values that are not numbers for {1 - finite:.0%} of the picture; "
            "a wider dtype (bfloat16 or float32) may help"
        )
    if is_censored:
        return ProviderRefused("the checkpoint's own safety checker refused the picture")
    if (width, height) != (drawing.width, drawing.height):
        return ProviderRefused(
            f"the model drew {width} x {height} instead of {drawing.width} x {drawing.height}"
        )
    if pixels.max() <= BLACK:
        return ProviderRefused(f"the model drew a black picture (no value above {pixels.max()} of 255)")
    if np.ptp(pixels, axis=(0, 1)).max() <= EVEN:
        colour = ", ".join(str(round(float(value))) for value in pixels.mean((0, 1)))
        return ProviderRefused(f"the model drew nothing but one even colour ({colour})")
    return pixels
