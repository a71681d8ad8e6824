"""Write down which files a checkpoint is made of, so that these and no others are loaded from then on."""

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path

import yaml

from asset_pipeline.checkpoints.checkpoint import (
    ACCEPTED,
    Checkpoint,
    ModelFile,
    checkpoint_path,
    describe_folder,
    read_checkpoint,
)
from asset_pipeline.checkpoints.local_files import EXECUTABLE, Progress, sha256_of_file, silently
from asset_pipeline.checkpoints.resolver import local_folders
from asset_pipeline.checkpoints.sources import Hub
from asset_pipeline.errors import InvalidFile, MissingModel

_INDEX = "model_index.json"
_SHARD = re.compile(r"-\d{5}-of-\d{5}")
_VARIANT = re.compile(r"\.([A-Za-z]\w*)(?=\.safetensors|\.index\.json|\.json)")


def pin(
    data: Path,
    environ: Mapping[str, str],
    name: str,
    *,
    variant: str | None = None,
    progress: Progress = silently,
) -> Checkpoint:
    """Write the files of a checkpoint, with their hashes, into ``data/models/<name>.yaml``.

    They are those of its folder on this machine, if there is one. Else they are those of its hub repository
    at the revision that the description names, or the newest, which is then written down too: the files that
    the description lists already, or those that a loader reads. The hub has the hashes of large files; small
    ones are read.

    Args:
        data: the project's data folder.
        environ: what the environment says.
        name: the checkpoint.
        variant: which weights of a repository that has them several times (``fp16``); the plain ones if none.
        progress: is told how far reading is.

    Raises:
        NotFound, InvalidFile: the description is not there or wrong, or what it describes is no checkpoint.
        MissingModel: there is no folder, and the hub is closed or did not answer.
    """
    checkpoint = read_checkpoint(data, name)
    folders = local_folders(data, environ, name)
    folder = next((each for each in folders if each.is_dir()), None)
    if folder:
        revision, files = checkpoint.revision, describe_folder(folder, progress)
    elif checkpoint.is_on_hub:
        try:
            revision, files = _on_hub(Hub(environ), checkpoint, variant, progress)
        except MissingModel as reason:
            raise MissingModel(f"{name}: {checkpoint.origin}: {reason}") from reason
    else:
        raise MissingModel(
            f"{name} comes from {checkpoint.source}; put it into {' or '.join(map(str, folders))}"
        )
    return _write(checkpoint_path(data, name), checkpoint, revision, files)


def chosen(paths: Iterable[str], parts: Collection[str] | None, variant: str | None) -> list[str]:
    """Which files of a repository a loader reads.

    A repository in diffusers' format has a folder for each part of the pipeline, and often the same weights
    again: as one file at its root, for other frameworks, in other precisions (diffusers' "variants").

    Args:
        paths: all files of the repository.
        parts: the folders that its ``model_index.json`` names; None if it has no such file.
        variant: which weights, where a folder has them several times.

    Raises:
        InvalidFile: a folder has no safetensors, or only those of other variants.
    """
    kept: list[str] = []
    paths = list(paths)
    if any(".safetensors" in path for path in paths):  # then ONNX files are the same for other frameworks
        paths = [path for path in paths if not path.endswith(".onnx")]
    for folder, group in groupby(sorted(paths, key=_folder), key=_folder):
        files = list(group)
        if parts is not None and folder and folder.partition("/")[0] not in parts:
            continue
        weights = {path: _variant(path) for path in files if ".safetensors" in path}
        kept += [path for path in files if path.endswith(ACCEPTED) and path not in weights]
        if parts is not None and not folder:
            continue
        wanted = variant if variant in weights.values() else None
        read = [path for path, found in weights.items() if found == wanted]
        if not read and weights:
            raise InvalidFile(
                f"{folder}: has weights as {set(weights.values())} alone; choose with --variant"
            )
        if not read and any(path.endswith(EXECUTABLE) for path in files):
            raise InvalidFile(f"{folder}: has its weights as pickles alone; only safetensors are loaded")
        kept += read
    return sorted(kept)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _variant(path: str) -> str | None:
    """``fp16`` of ``model.fp16.safetensors``, ``model.fp16-00001-of-00002.safetensors`` and their indices."""
    name = _SHARD.sub("", path.rpartition("/")[2])
    named = [match[1] for match in _VARIANT.finditer(name)]
    return next((each for each in named if each not in {"safetensors", "index"}), None)


def _on_hub(
    hub: Hub, checkpoint: Checkpoint, variant: str | None, progress: Progress
) -> tuple[str, dict[str, ModelFile]]:
    revision, listed = hub.listing(checkpoint.source, checkpoint.revision)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "file")

        def read(path: str) -> ModelFile:
            hub.download(checkpoint.source, revision, path, progress, place)
            return ModelFile(sha256=sha256_of_file(place), bytes=place.stat().st_size)

        parts = None
        if _INDEX in listed:
            read(_INDEX)
            index = json.loads(place.read_text(encoding="utf-8"))
            parts = [part for part, loader in index.items() if isinstance(loader, list) and all(loader)]
        paths = list(checkpoint.files) or chosen(listed, parts, variant)
        gone = [path for path in paths if path not in listed]
        if gone:
            raise InvalidFile(f"{checkpoint.origin} has no {', '.join(gone)}; empty `files` and pin again")
        return revision, {path: listed[path] or read(path) for path in paths}


def _write(
    path: Path, checkpoint: Checkpoint, revision: str | None, files: Mapping[str, ModelFile]
) -> Checkpoint:
    """Write revision and files into a description and leave the rest of it as a person wrote it."""
    if not files:
        raise InvalidFile(f"{path}: there is nothing to load: no {', '.join(ACCEPTED)}")
    pinned = Checkpoint.model_validate(
        {
            **checkpoint.model_dump(),
            "revision": revision,
            "files": {name: files[name] for name in sorted(files)},
        }
    )
    spelled = {"files": {name: file.model_dump() for name, file in pinned.files.items()}}
    kept = re.sub(r"^(files|revision):.*\n(?:[ \t]+.*\n|[ \t]*\n)*", "", _text(path), flags=re.MULTILINE)
    text = kept + (f"revision: {revision}\n" if revision else "") + yaml.safe_dump(spelled, sort_keys=False)
    growing = path.with_suffix(".yaml.incomplete")
    growing.write_text(text, encoding="utf-8")
    growing.replace(path)
    return pinned


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8-sig")
    return text if text.endswith("\n") else f"{text}\n"
