"""Where model files can be fetched from: a prefix on S3, a hub of models."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import fsspec
import huggingface_hub
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from asset_pipeline.checkpoints.checkpoint import Checkpoint, ModelFile
from asset_pipeline.checkpoints.local_files import Progress
from asset_pipeline.errors import MissingModel

_PART = 2**25
"""What one request to S3 asks for, in bytes: large enough to fill a line, small enough to lose."""


class Source(Protocol):
    """A place that model files are fetched from."""

    name: str

    def fetch(self, name: str, checkpoint: Checkpoint, path: str, progress: Progress, place: Path) -> None:
        """Write one file of a checkpoint to `place`, where a killed fetch may have left its beginning.

        Raises:
            MissingModel: it could not be had; the message is the reason alone.
        """


def sources(environ: Mapping[str, str]) -> list[Source]:
    """The places to ask, in their order; one that is switched off answers with that."""
    prefix = environ.get("ASSET_PIPELINE_MODELS_S3")
    return [*([S3Prefix(prefix, environ)] if prefix else []), Hub(environ)]


def is_on(environ: Mapping[str, str], switch: str) -> bool:
    """Whether an environment variable that is a switch is set to anything but no."""
    return environ.get(switch, "").strip().lower() not in {"", "0", "false", "no", "off"}


def require_network(environ: Mapping[str, str]) -> None:
    """Raise MissingModel if the project was told to stay offline."""
    if is_on(environ, "ASSET_PIPELINE_OFFLINE"):
        raise MissingModel("not asked: ASSET_PIPELINE_OFFLINE is set")


class S3Prefix:
    """Folders of checkpoints below an ``s3://bucket/prefix``, laid out as in ``data/models``."""

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self.name = root.rstrip("/")
        self._environ = environ

    def fetch(self, name: str, checkpoint: Checkpoint, path: str, progress: Progress, place: Path) -> None:
        """See Source; goes on where an earlier fetch ended."""
        require_network(self._environ)
        total = checkpoint.files[path].bytes
        try:
            with (
                self._filesystem.open(
                    f"{self.name}/{name}/{path}", "rb", block_size=_PART, cache_type="readahead"
                ) as remote,
                place.open("ab") as local,
            ):
                if local.tell() > remote.size:
                    local.truncate(0)
                remote.seek(local.tell())
                while block := remote.read(_PART):
                    local.write(block)
                    progress(f"fetch {path}", local.tell(), total)
        except FileNotFoundError:
            raise MissingModel("there is no such file") from None
        except (OSError, BotoCoreError) as error:
            raise MissingModel(f"{type(error).__name__}: {error}") from error

    @cached_property
    def _filesystem(self) -> Any:
        settings = {
            "key": "AWS_ACCESS_KEY_ID",
            "secret": "AWS_SECRET_ACCESS_KEY",
            "token": "AWS_SESSION_TOKEN",
            "profile": "AWS_PROFILE",
            "endpoint_url": "AWS_ENDPOINT_URL",
        }
        given = {name: self._environ[key] for name, key in settings.items() if self._environ.get(key)}
        region = self._environ.get("AWS_REGION")
        return fsspec.filesystem(
            "s3",
            use_listings_cache=False,
            skip_instance_cache=True,
            client_kwargs={"region_name": region} if region else {},
            **given,
        )


class Hub:
    """The hub of models that ``huggingface_hub`` speaks to; tokens and proxies are that library's."""

    name = "the hub"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._endpoint = environ.get("HF_ENDPOINT") or None

    def fetch(self, _name: str, checkpoint: Checkpoint, path: str, progress: Progress, place: Path) -> None:
        """See Source; a fetch that was killed starts again."""
        if not checkpoint.is_on_hub:
            raise MissingModel("the model does not come from there")
        self.download(checkpoint.source, checkpoint.revision, path, progress, place)

    def download(
        self, repository: str, revision: str | None, path: str, progress: Progress, place: Path
    ) -> None:
        """Write a file of a repository to `place`. Raises MissingModel with the reason alone."""
        self.require_open()
        folder = place.with_name(f"{place.name}.hub")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with _refusals():
                got = huggingface_hub.hf_hub_download(
                    repository,
                    path,
                    revision=revision,
                    local_dir=folder,
                    endpoint=self._endpoint,
                    tqdm_class=_bar(f"fetch {path}", progress),
                )
            Path(got).replace(place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def require_open(self) -> None:
        """Raise MissingModel with the switch that keeps the hub closed, if one does."""
        require_network(self._environ)
        if is_on(self._environ, "HF_HUB_OFFLINE"):
            raise MissingModel("not asked: HF_HUB_OFFLINE is set")
        if self._environ.get("ASSET_PIPELINE_HUB") != "allow":
            raise MissingModel("not asked: ASSET_PIPELINE_HUB is not allow")

    def listing(self, repository: str, revision: str | None) -> tuple[str, dict[str, ModelFile | None]]:
        """The commit behind a revision and its files; None for those that the hub keeps no SHA-256 of.

        Raises:
            MissingModel: the hub did not say; the message is the reason alone.
        """
        self.require_open()
        with _refusals():
            info = huggingface_hub.HfApi(endpoint=self._endpoint).model_info(
                repository, revision=revision, files_metadata=True
            )
        if not info.sha:
            raise MissingModel("the hub named no commit")
        return info.sha, {
            each.rfilename: ModelFile(sha256=each.lfs.sha256, bytes=each.lfs.size) if each.lfs else None
            for each in info.siblings or ()
        }


@contextmanager
def _refusals() -> Iterator[None]:
    """Say why the hub's client gave nothing; it raises errors of four libraries, and each means just that."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise MissingModel(f"{type(error).__name__}: {reason}") from error


def _bar(what: str, progress: Progress) -> type:
    """A progress bar as the hub's client makes and moves them, that draws nothing and tells `progress`."""

    class Bar:
        def __init__(self, *, total: float | None = None, initial: float = 0, **_options: Any) -> None:
            self.total = total
            self.n = initial

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def update(self, done: float | None = 1) -> None:
            self.n += done or 0
            progress(what, int(self.n), int(self.total or 0))

        def update_transfer(self, done: float) -> None:
            """What came over the line; `update` counts what it unpacks to."""

        def set_transfer_postfix_str(self, *_: object, **__: object) -> None: ...

        def set_postfix_str(self, *_: object, **__: object) -> None: ...

        def refresh(self) -> None: ...

        def close(self) -> None: ...

    return Bar
