"""What a checkpoint is made of: the files of a model, each with its hash, as ``data/models`` says it."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from asset_pipeline.checkpoints.local_files import Progress, files_below, sha256_of_file, silently
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.yaml_model import read_named

WEIGHTS = (".safetensors", ".onnx")
"""Tensors without code, alone or as the graph of known operators that ONNX is."""
ACCEPTED = (*WEIGHTS, ".json", ".txt", ".md", ".model", ".jinja")
"""What a checkpoint's files may end in: weights, plain data, and chat templates, which transformers renders
in a sandbox that cannot reach Python."""

_HUB_SOURCE = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def _plain_path(path: str) -> str:
    """Accept a path that stays below its folder on every system and names data, not code."""
    if not all(re.fullmatch(r"\w[\w. +-]*", part) for part in path.split("/")):
        raise ValueError(
            f"{path!r} is no plain relative path; use letters, digits and . _ + - between slashes"
        )
    if not path.endswith(ACCEPTED):
        raise ValueError(f"{path!r}: a checkpoint is made of {', '.join(ACCEPTED)} files alone")
    return path


class ModelFile(BaseModel):
    """One file of a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Checkpoint(BaseModel):
    """A model's files and where they come from: ``data/models/<name>.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    """A repository of the hub, as ``owner/name``, or words about where the files were made."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of the hub repository."""
    license: str = Field(min_length=1)
    memory_gb: float | None = Field(default=None, gt=0)
    """Memory of the device, in 10^9 bytes, that the model needs with its recommended settings, if known."""
    files: dict[Annotated[str, AfterValidator(_plain_path)], ModelFile] = {}
    """Every file by its path in the checkpoint's folder; none until it is pinned."""

    @model_validator(mode="after")
    def _revision_as_its_source(self) -> "Checkpoint":
        if self.is_on_hub and self.files and not self.revision:
            raise ValueError("revision: the commit that these files are of is missing; it has 40 digits")
        if self.revision and not self.is_on_hub:
            raise ValueError(f"revision: {self.source!r} is no hub repository (owner/name)")
        return self

    @property
    def is_on_hub(self) -> bool:
        """Whether the source is a repository of the hub."""
        return _HUB_SOURCE.fullmatch(self.source) is not None

    @property
    def origin(self) -> str:
        """Where the files come from, for people."""
        if not self.is_on_hub:
            return self.source
        return f"the hub repository {self.source}" + (f" at {self.revision}" if self.revision else "")

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files.values())

    @property
    def configuration(self) -> dict[str, ModelFile]:
        """The files that are no weights: configuration and tokenizers, small and soon there."""
        return {path: file for path, file in self.files.items() if not path.endswith(WEIGHTS)}

    @property
    def fingerprint(self) -> str:
        """What the weights are: the hash over the files' hashes, or over the source until it is pinned."""
        if not self.files:
            return fingerprint(f"{self.source}@{self.revision}")
        return fingerprint({path: file.sha256 for path, file in self.files.items()})


def read_checkpoint(data: Path, name: str) -> Checkpoint:
    """Read ``data/models/<name>.yaml``.

    Raises:
        NotFound: there is no such file; the message lists those that exist.
        InvalidFile: the file or its name is wrong.
    """
    return read_named(checkpoint_path(data, name), Checkpoint, "model")


def checkpoint_path(data: Path, name: str) -> Path:
    """Where a checkpoint is described. Raises InvalidFile if that cannot be a checkpoint's name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
        raise InvalidFile(
            f"{name!r} cannot name a model: use at most 63 of a-z, 0-9 and . _ -, a-z or 0-9 first"
        )
    return data / "models" / f"{name}.yaml"


def describe_folder(folder: Path, progress: Progress = silently) -> dict[str, ModelFile]:
    """The files of a folder as a checkpoint lists them; what no loader reads is left out.

    Raises:
        InvalidFile: a file could run code when it is loaded, or is a link that leads out of the folder.
    """
    return {
        name: ModelFile(sha256=sha256_of_file(path, progress), bytes=path.stat().st_size)
        for name, path in files_below(folder).items()
        if name.endswith(ACCEPTED)
    }
