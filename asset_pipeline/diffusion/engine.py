"""The engine around Hugging Face diffusers: one pipeline in memory, drawings in, pixels out."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.settings import Settings
from asset_pipeline.errors import MissingModel, ProviderError, ProviderUnavailable, UnsupportedRequest
from asset_pipeline.fingerprint import fingerprint

if TYPE_CHECKING:
    from asset_pipeline.diffusion.sampler import Sampler

VERSION = "1"
"""Changes whenever the same settings, files and seed would be drawn differently."""


class Engine:
    """One for each process; loads a pipeline once and keeps it until other weights are asked for.

    A drawing's result depends on its settings and its seed, not on the batch it is in. On a CPU every picture
    is sampled alone, and its bytes are always the same; a GPU samples batches, whose kernels differ in the
    last bits. Safe to use from several threads; one drawing is made at a time, or one batch.

    Args:
        checkpoints: where model files are.
        batching: whether pictures are sampled together; None: on a GPU only.
    """

    def __init__(self, checkpoints: Checkpoints, *, batching: bool | None = None) -> None:
        self._checkpoints = checkpoints
        self._batching = batching
        # All drawing in one thread: OpenMP has a pool for each thread that computes. Where the pools together
        # are larger than the machine, their barriers sleep, and a small model takes 1.8 times as long.
        self._drawing = ThreadPoolExecutor(1, "engine")

    def check(self, settings: Settings, drawing: Drawing) -> None:
        """Refuse what the pipeline has no words for; loads tokenizers, no weights.

        Raises:
            UnsupportedRequest: the pipeline cannot be told that; with every reason.
            MissingModel: a file of the checkpoint is missing or altered.
        """
        self._sampler.vocabulary(settings).check(drawing)

    def tokens(self, settings: Settings, text: str) -> tuple[int, int]:
        """How many tokens a prompt is, and how many the pipeline reads; loads tokenizers, no weights.

        Raises:
            UnsupportedRequest: the pipeline has no words for the settings.
            MissingModel: a file of the checkpoint is missing or altered.
        """
        return self._sampler.vocabulary(settings).tokens(text)

    def drops(self, settings: Settings, drawing: Drawing) -> tuple[str, ...]:
        """What the settings allow to be left unsaid and will be, to be recorded with the picture."""
        return self._sampler.vocabulary(settings).drops(drawing)

    def draw(
        self, settings: Settings, drawings: Sequence[Drawing]
    ) -> Iterator[tuple[int, Pixels | ProviderError]]:
        """Draw them; yield each with its index as it is finished, or why it was not made.

        A file of the checkpoint that is missing, altered or broken is `ProviderUnavailable` for every drawing
        that waits: another attempt may find it.
        """
        waiting = set(range(len(drawings)))
        try:
            for index, drawn in self._drawn(settings, drawings):
                waiting.discard(index)
                yield index, drawn
        except (MissingModel, UnsupportedRequest) as error:
            failure = ProviderUnavailable(str(error)) if isinstance(error, MissingModel) else error
            yield from ((index, failure) for index in sorted(waiting))

    def _drawn(
        self, settings: Settings, drawings: Sequence[Drawing]
    ) -> Iterator[tuple[int, Pixels | ProviderError]]:
        vocabulary = self._sampler.vocabulary(settings)
        alike: dict[tuple[int, int, bool, bool], list[int]] = {}
        for index, drawing in enumerate(drawings):
            try:
                vocabulary.check(drawing)
            except UnsupportedRequest as error:
                yield index, error
                continue
            shape = (drawing.width, drawing.height, bool(drawing.negative_prompt), bool(drawing.images))
            alike.setdefault(shape, []).append(index)
        for waiting in alike.values():
            while waiting:
                batch = [drawings[index] for index in waiting]
                drawn = self._drawing.submit(self._sampler.first_of, settings, batch).result()
                done, waiting[:] = waiting[: len(drawn)], waiting[len(drawn) :]
                yield from zip(done, drawn, strict=True)

    def version_of(self, settings: Settings) -> str:
        """The code and the weights that draw with these settings; part of every candidate's name.

        Raises:
            NotFound: there is no such checkpoint.
        """
        added = [each for each in (settings.controlnet, settings.ip_adapter) if each]
        models = [settings.model, *(each.model for each in (*settings.loras, *added))]
        weights = fingerprint([self._checkpoints.checkpoint(name).fingerprint for name in models])
        return f"{VERSION}+{weights[:16]}"

    def observed(self) -> Mapping[str, float | int | str]:
        """What the engine measured of itself in this process; empty before it drew."""
        return self._sampler.observed() if "_sampler" in self.__dict__ else {}

    @cached_property
    def _sampler(self) -> "Sampler":
        from asset_pipeline.diffusion.sampler import Sampler  # noqa: PLC0415 - seconds, and most commands never draw

        return Sampler(self._checkpoints, batching=self._batching)
