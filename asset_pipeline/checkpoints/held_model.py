"""A model that is loaded when it is first needed, and then held for as long as its owner lives."""

from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Generic, TypeVar

from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import PipelineError

Model = TypeVar("Model")


class HeldModel(Generic[Model]):
    """One of the models in ``data/models``, for one thread at a time."""

    def __init__(self, checkpoints: Checkpoints, name: str, load: Callable[[Path], Model]) -> None:
        self._checkpoints = checkpoints
        self._name = name
        self._load = load
        self._model: Model | None = None
        self.lock = RLock()
        """Held while it is loaded; whoever uses the model holds it too, if the model is for one at a time."""

    @property
    def weights(self) -> str:
        """The first twelve digits of the fingerprint of its files, or ``none`` where it is not described."""
        try:
            return self._checkpoints.checkpoint(self._name).fingerprint[:12]
        except PipelineError:
            return "none"

    def get(self) -> Model:
        """The model, loaded from its verified folder the first time.

        Raises:
            MissingModel: its files are not here, altered, or no such model.
            NotFound: nothing in ``data/models`` describes it.
        """
        with self.lock:
            if self._model is None:
                self._model = self._load(self._checkpoints.folder(self._name))
            return self._model

    def unable(self) -> str | None:
        """Load it, or say why that cannot be."""
        try:
            self.get()
        except PipelineError as error:
            return f"the model files are not here, or cannot be used: {error}"
        return None
