"""Files that are written once, on a local disk or on S3. The one place that joins path parts."""

import errno
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fsspec
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from asset_pipeline.errors import UnsafeStore

_SAFE_PART = re.compile(r"[A-Za-z0-9_=][A-Za-z0-9._=+-]{0,199}")
_INCOMPLETE = "incomplete"
_LEFT_OVER_SECONDS = 24 * 60 * 60
"""An incomplete file of this age has no living writer: the largest takes minutes."""
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}
_LARGEST_PUT = 5 * 2**30
"""What S3 takes in one request, in bytes; only single requests are exclusive on every server."""
_CONFLICT_TRIES = 5


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

    def sizes(self, folder: str) -> dict[str, int]:
        """The sizes in bytes of the files directly below `folder`, by name; none if it is not there."""

    def first(self, stem: str, suffixes: Sequence[str]) -> str | None:
        """The path of the file that is called `stem` with one of these suffixes, if there is one."""

    def remove(self, path: str) -> None:
        """Delete a file, if it is there: an event that was packed, or a picture that has expired."""

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
    """Files on a local disk: written and synced in ``incomplete/``, then linked into their place."""

    def __init__(self, root: Path) -> None:
        root = root.resolve()
        self.root = str(root)
        self.filesystem = fsspec.filesystem("file")
        self._incomplete = root / _INCOMPLETE
        self._incomplete.mkdir(parents=True, exist_ok=True)
        self._remove_left_overs()

    def create(self, path: str, data: bytes) -> bool:
        """See Files. A hard link is exclusive and shows the whole file at once, unlike ``open(.., 'x')``.

        Raises:
            UnsafeStore: the disk has no hard links, or the root spans several disks.
        """
        place = Path(self.root, path)
        if place.exists():
            return False
        _make_folder(place.parent)
        incomplete = self._incomplete / secrets.token_hex(8)
        try:
            with incomplete.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not _link(incomplete, place):
                return False
        finally:
            incomplete.unlink(missing_ok=True)
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
        """See Files."""
        try:
            return sorted(os.listdir(Path(self.root, folder)))  # noqa: PTH208 - a third of iterdir's time
        except FileNotFoundError:
            return []

    def sizes(self, folder: str) -> dict[str, int]:
        """See Files."""
        try:
            with os.scandir(Path(self.root, folder)) as found:
                return {each.name: each.stat().st_size for each in found if each.is_file()}
        except FileNotFoundError:
            return {}

    def first(self, stem: str, suffixes: Sequence[str]) -> str | None:
        """See Files."""
        paths = (f"{stem}.{suffix}" for suffix in suffixes)
        return next((path for path in paths if Path(self.root, path).is_file()), None)

    def remove(self, path: str) -> None:
        """See Files."""
        Path(self.root, path).unlink(missing_ok=True)

    def _remove_left_overs(self) -> None:
        """Delete what killed writers left behind; nothing outside ``incomplete/`` is ever half-written."""
        for path in self._incomplete.iterdir():
            try:
                if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue


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
        place = f"{self.root}/{path}"
        writer = secrets.token_hex(8)
        for _ in range(_CONFLICT_TRIES):
            try:
                self.filesystem.pipe_file(
                    place, data, mode="create", chunksize=_LARGEST_PUT, Metadata={"writer": writer}
                )
            except OSError as error:
                status = _http_status(error)
                if status == HTTPStatus.PRECONDITION_FAILED:
                    return self._writer(place) == writer
                if status != HTTPStatus.CONFLICT:
                    raise
            else:
                return True
        raise OSError(errno.EBUSY, "the server did not decide between writers of the same name", place)

    def read(self, path: str) -> bytes:
        """See Files."""
        return bytes(self.filesystem.cat_file(f"{self.root}/{path}"))

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """See Files; the objects are fetched side by side."""
        wanted = {f"{self.root}/{path}".removeprefix("s3://"): path for path in paths}
        found = self.filesystem.cat(list(wanted), on_error="return") if wanted else {}
        contents = {}
        for key, data in found.items():
            if isinstance(data, bytes):
                contents[wanted[key]] = data
            elif not isinstance(data, FileNotFoundError):
                raise data
        return contents

    def names(self, folder: str) -> list[str]:
        """See Files."""
        try:
            found = self.filesystem.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(name).name for name in found)

    def sizes(self, folder: str) -> dict[str, int]:
        """See Files."""
        place = f"{self.root}/{folder}/".removeprefix("s3://")
        try:
            found = self.filesystem.ls(place, detail=True)
        except FileNotFoundError:
            return {}
        # some servers keep an object for a folder that became empty
        return {
            each["name"].removeprefix(place): each["size"]
            for each in found
            if each["type"] == "file" and len(each["name"]) > len(place)
        }

    def first(self, stem: str, suffixes: Sequence[str]) -> str | None:
        """See Files; one listing answers for all suffixes."""
        folder, _, name = stem.rpartition("/")
        found = self.filesystem.find(f"{self.root}/{folder}", prefix=f"{name}.")
        existing = {PurePosixPath(path).suffix for path in found}
        return next((f"{stem}.{suffix}" for suffix in suffixes if f".{suffix}" in existing), None)

    def remove(self, path: str) -> None:
        """See Files."""
        self.filesystem.rm_file(f"{self.root}/{path}")

    def _writer(self, place: str) -> str | None:
        """Who wrote an object: a request that was sent again after a lost answer meets its own first try."""
        try:
            writer: str | None = self.filesystem.metadata(place, refresh=True).get("writer")
        except FileNotFoundError:
            return None
        return writer

    def _probe(self) -> None:
        """Refuse a server on which two writers of the same name could both succeed."""
        try:
            both = self.create("probes/exclusive", b"1") and self.create("probes/exclusive", b"2")
        except (OSError, BotoCoreError) as error:
            raise UnsafeStore(f"{self.root}: cannot write there: {error}") from error
        if both:
            raise UnsafeStore(
                f"{self.root}: this S3 server ignores If-None-Match, so two writers could overwrite each "
                "other; use a server that honours conditional writes (AWS S3, SeaweedFS, recent MinIO ...)"
            )


def _http_status(error: OSError) -> int | None:
    """The status behind an s3fs error; its type tells an existing object apart on some servers only."""
    response = getattr(error.__cause__, "response", {})
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _link(source: Path, place: Path) -> bool:
    """Give a file its second name unless that is taken; say whether it was free."""
    try:
        os.link(source, place)
    except FileExistsError:
        # Over NFS a request that was sent again meets its own first try: see O_EXCL in open(2).
        return source.stat().st_nlink > 1
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            raise UnsafeStore(
                f"{place}: the store needs a root on one disk with hard links (ext4, xfs, apfs, ntfs, nfs): "
                f"{error.strerror}"
            ) from error
        raise
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that their names survive a power cut too."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
