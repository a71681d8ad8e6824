"""Where a checkpoint's files are, place by place, and that they are the ones that were meant."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from asset_pipeline.checkpoints.cache import Cache
from asset_pipeline.checkpoints.checkpoint import Checkpoint, ModelFile, read_checkpoint
from asset_pipeline.checkpoints.local_files import Progress, files_below, sha256_of_file, silently
from asset_pipeline.checkpoints.sources import sources
from asset_pipeline.errors import MissingModel

_VERIFIERS = 4
"""Files hashed side by side: one core does about 1 GB/s, a disk several times that."""


class Checkpoints:
    """The project's models: hands out folders in which every file was verified by its hash.

    A file is looked up in ``data/models/<name>/``, then in ``<ASSET_PIPELINE_MODELS>/<name>/``, then in the
    cache of what was fetched; else it is fetched from ``ASSET_PIPELINE_MODELS_S3``, or from the hub where
    that is allowed.

    Args:
        data: the project's data folder.
        environ: what the environment says.
        progress: is told how far verifying and fetching are, from several threads.
    """

    def __init__(self, data: Path, environ: Mapping[str, str], progress: Progress = silently) -> None:
        self._data = data
        self._environ = environ
        self._progress = progress
        self._cache = Cache(_cache_root(environ), progress)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process has its own, which verifies what it loads and tells nobody how far it is."""
        return Checkpoints, (self._data, dict(self._environ))

    @property
    def data(self) -> Path:
        """The project's data folder."""
        return self._data

    @property
    def environ(self) -> Mapping[str, str]:
        """What the environment says, also of which models are used."""
        return self._environ

    def checkpoint(self, name: str) -> Checkpoint:
        """How a model is described. Raises NotFound or InvalidFile."""
        return read_checkpoint(self._data, name)

    def folder(self, name: str, *, weights: bool = True) -> Path:
        """A folder on this machine with a model's files and no others, verified, fetched if need be.

        Args:
            name: the model.
            weights: whether weights are to be loaded. Without, only the files beside them are sure to be
                there and verified, which takes no time even for a large model.

        Raises:
            NotFound, InvalidFile: the description is not there or wrong, or a folder holds what can run code.
            MissingModel: a file is nowhere to be had, or is not the one that was meant.
        """
        checkpoint = self._pinned(name)
        wanted = checkpoint.files if weights else checkpoint.configuration
        found = self._verified(name, wanted)
        for path in [each for each in wanted if each not in found]:
            found[path] = self._fetched(name, checkpoint, path)
        for folder in local_folders(self._data, self._environ, name):
            there = files_below(folder)
            if found.items() <= there.items() and there.keys() <= checkpoint.files.keys():
                return folder
        return self._cache.folder(name, found)

    def absent(self, name: str) -> dict[str, ModelFile]:
        """The files of a model that are not on this machine; fetches nothing, and verifies those that are.

        Raises:
            NotFound, InvalidFile: as `folder` does.
            MissingModel: nobody pinned the model, or a file is not the one that was meant.
        """
        checkpoint = self._pinned(name)
        found = self._verified(name, checkpoint.files)
        return {path: file for path, file in checkpoint.files.items() if path not in found}

    def how_to_get(self, name: str) -> str:
        """What a person does next to have a model's files on this machine."""
        checkpoint = self.checkpoint(name)
        command = "fetch" if checkpoint.files else "pin"
        allowing = "ASSET_PIPELINE_HUB=allow " if checkpoint.is_on_hub else ""
        ways = [f"put its files into {' or '.join(map(str, local_folders(self._data, self._environ, name)))}"]
        if not checkpoint.files or checkpoint.is_on_hub or self._environ.get("ASSET_PIPELINE_MODELS_S3"):
            ways.insert(0, f"run {allowing}asset-pipeline models {command} {name}")
        return ", or ".join(ways)

    def _pinned(self, name: str) -> Checkpoint:
        checkpoint = self.checkpoint(name)
        if checkpoint.files:
            return checkpoint
        raise MissingModel(
            f"the model {name!r} is not pinned: the hashes of its files are not written down, so none can be "
            f"verified. {_origin(checkpoint)}; {self.how_to_get(name)}"
        )

    def _verified(self, name: str, wanted: Mapping[str, ModelFile]) -> dict[str, Path]:
        """Where each of these files is that is on this machine, by its path in the checkpoint."""
        folders = [files_below(folder) for folder in local_folders(self._data, self._environ, name)]

        def find(path: str) -> Path | None:
            file = wanted[path]
            place = next((files[path] for files in folders if path in files), None)
            if place is None:
                return self._cache.find(file)
            got = sha256_of_file(place, self._progress)
            if got == file.sha256:
                return place
            raise MissingModel(
                f"{place} is altered: its sha256 is {got}, and {file.sha256} was meant. Remove it and get it "
                f"again. {_origin(self.checkpoint(name))}; {self.how_to_get(name)}"
            )

        with ThreadPoolExecutor(_VERIFIERS) as verifiers:
            places = zip(wanted, verifiers.map(find, wanted), strict=True)
            return {path: place for path, place in places if place}

    def _fetched(self, name: str, checkpoint: Checkpoint, path: str) -> Path:
        file = checkpoint.files[path]
        looked_in = [*map(str, local_folders(self._data, self._environ, name)), str(self._cache.root)]
        for source in sources(self._environ):
            try:
                return self._cache.receive(
                    file, partial(source.fetch, name, checkpoint, path, self._progress)
                )
            except MissingModel as reason:
                looked_in.append(f"{source.name} ({reason})")
        raise MissingModel(
            f"{path} of the model {name!r} is missing: {file.bytes} bytes with the sha256 {file.sha256}. "
            f"Looked in {', '.join(looked_in)}. {_origin(checkpoint)}; {self.how_to_get(name)}"
        )


def local_folders(data: Path, environ: Mapping[str, str], name: str) -> list[Path]:
    """Where people put a model's files on this machine, in the order in which they are looked up."""
    given = environ.get("ASSET_PIPELINE_MODELS")
    return [data / "models" / name, *([Path(given, name).expanduser()] if given else [])]


def _origin(checkpoint: Checkpoint) -> str:
    return f"It comes from {checkpoint.origin} (licence: {checkpoint.license})"


def _cache_root(environ: Mapping[str, str]) -> Path:
    given = environ.get("ASSET_PIPELINE_MODEL_CACHE")
    return Path(given or "~/.cache/asset-pipeline/models").expanduser()
