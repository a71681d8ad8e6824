"""Files that are written once, on a local disk or on S3. The one place that joins path parts."""

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fsspec

from asset_pipeline.errors import UnsafeStore

_SAFE_PART = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9._=+-]{0,199}")
_TEMPORARY = ".partial-"


class Files(Protocol):
    """A folder of immutable files. Paths are relative, with forward slashes."""

    root: str
    """Where the folder is: an absolute local path, or ``s3://bucket/prefix``."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a new file, whole and durable, unless one is there; say whether this call wrote it."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; FileNotFoundError if there is none."""

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes of many files by path; one that is gone by now is left out."""

    def names(self, folder: str) -> list[str]:
        """The names of the files and folders directly below `folder`, sorted; none if it is not there."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def remove(self, path: str) -> None:
        """Delete a file whose content is kept elsewhere (compaction is the only caller)."""

    @property
    def filesystem(self) -> fsspec.AbstractFileSystem:
        """The fsspec filesystem behind the folder, for engines that read files themselves."""


def safe_path(*parts: str) -> str:
    """Join path parts that were checked: no separators, no leading dot, no odd characters.

    Raises:
        ValueError: a part could lead out of its folder or is not portable.
    """
    for part in parts:
        if not _SAFE_PART.fullmatch(part):
            raise ValueError(f"{part!r} is not a safe name for a file")
    return "/".join(parts)


def open_files(root: str, storage_options: Mapping[str, Any] | None = None) -> Files:
    """Open a root folder: a local path (made if missing) or an ``s3://bucket/prefix`` URL.

    Args:
        root: the folder.
        storage_options: for S3, the arguments of ``s3fs.S3FileSystem`` (key, secret, client_kwargs ...).

    Raises:
        UnsafeStore: the S3 server does not honour exclusive creation, or cannot be reached.
    """
    if root.startswith("s3://"):
        return S3Files(root, storage_options or {})
    return LocalFiles(Path(root))


class LocalFiles:
    """Files on a local disk: written beside their place, synced, then linked into it."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = str(root.resolve())
        self.filesystem = fsspec.filesystem("file")

    def create(self, path: str, data: bytes) -> bool:
        """See Files. A hard link is exclusive and shows the whole file at once, unlike ``open(.., 'x')``."""
        place = Path(self.root, path)
        if place.exists():
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(partial, place)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(place.parent)
        return True

    def read(self, path: str) -> bytes:
        """See Files."""
        return Path(self.root, path).read_bytes()

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See Files."""
        contents = {}
        for path in paths:
            try:
                contents[path] = self.read(path)
            except FileNotFoundError:
                continue
        return contents

    def names(self, folder: str) -> list[str]:
        """See Files. What a killed writer left half-written is never listed."""
        try:
            found = os.listdir(Path(self.root, folder))  # noqa: PTH208 - a third of iterdir's time
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith(_TEMPORARY))

    def exists(self, path: str) -> bool:
        """See Files."""
        return Path(self.root, path).is_file()

    def remove(self, path: str) -> None:
        """See Files."""
        Path(self.root, path).unlink(missing_ok=True)


class S3Files:
    """Objects below a prefix of a bucket; exclusive creation is the server's ``If-None-Match: *``."""

    def __init__(self, root: str, storage_options: Mapping[str, Any]) -> None:
        self.root = root.rstrip("/")
        self.filesystem = fsspec.filesystem(
            "s3", use_listings_cache=False, skip_instance_cache=True, **storage_options
        )
        self._probe()

    def create(self, path: str, data: bytes) -> bool:
        """See Files."""
        try:
            self.filesystem.pipe_file(f"{self.root}/{path}", data, mode="create")
        except FileExistsError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """See Files."""
        return bytes(self.filesystem.cat_file(f"{self.root}/{path}"))

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See Files; the objects are fetched side by side."""
        wanted = {f"{self.root}/{path}".removeprefix("s3://"): path for path in paths}
        if not wanted:
            return {}
        found = self.filesystem.cat(list(wanted), on_error="return")
        return {wanted[key]: data for key, data in found.items() if isinstance(data, bytes)}

    def names(self, folder: str) -> list[str]:
        """See Files."""
        try:
            found = self.filesystem.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(name).name for name in found)

    def exists(self, path: str) -> bool:
        """See Files."""
        return bool(self.filesystem.isfile(f"{self.root}/{path}"))

    def remove(self, path: str) -> None:
        """See Files."""
        self.filesystem.rm_file(f"{self.root}/{path}")

    def _probe(self) -> None:
        """Refuse a server on which two writers of the same name could both succeed."""
        probe = f"probes/{secrets.token_hex(8)}"
        try:
            first, second = self.create(probe, b"1"), self.create(probe, b"2")
            kept = self.read(probe)
            self.remove(probe)
        except OSError as error:
            raise UnsafeStore(f"{self.root}: cannot write and read back: {error}") from error
        if not (first and not second and kept == b"1"):
            raise UnsafeStore(
                f"{self.root}: this S3 server ignores If-None-Match, so two writers could overwrite each "
                "other; use a server that honours conditional writes (AWS S3, SeaweedFS, recent MinIO ...)"
            )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
