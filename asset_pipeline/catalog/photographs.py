"""Photographs that feeds refer to: found beside the feed or named by URL, kept in the store by their content.

A reference is looked for relative to the feed's folder and in ``images`` beside the feed, never outside the
catalog folder, wherever ``..``, absolute paths and symbolic links point.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from asset_pipeline.catalog.dialect import PhotographReference
from asset_pipeline.catalog.formats.rows import Remark
from asset_pipeline.catalog.picture_file import LARGEST_FILE, TOO_LARGE, PictureFile, keep_picture
from asset_pipeline.catalog.product import Photograph
from asset_pipeline.catalog.remote.photograph import shown_url
from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.store.images import Images

FOLDER = "images"
_THREADS = 8
"""Reading waits for disks and S3, not for the processor."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)
_WEB = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_ABSOLUTE = re.compile(r"/|[a-z]:", re.IGNORECASE)


class PhotographFile(BaseModel):
    """What is known of a photograph's file, so that it is read again only when it has changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the catalog folder."""
    size: int
    """Bytes."""
    mtime_ns: int
    sha256: str
    media_type: str
    width: int
    height: int

    @property
    def picture(self) -> PictureFile:
        """Its bytes."""
        return PictureFile(self.sha256, self.media_type, self.width, self.height)


@dataclass(frozen=True)
class Remote:
    """A photograph that is not in the catalog folder but at a URL."""

    url: str


@dataclass(frozen=True)
class Found:
    """A file for a reference, and what is to be said of how it was found."""

    path: Path
    remarks: tuple[Remark, ...] = ()


class Shelf:
    """The catalog folder, as one that looks for photographs sees it."""

    def __init__(self, catalog: Path) -> None:
        self._catalog = catalog.resolve()
        self._listings: dict[Path, dict[str, str]] = {}
        self._answers: dict[tuple[PhotographReference, PurePosixPath], Found | Remote | Remark] = {}

    def find(self, reference: PhotographReference, feed: str) -> Found | Remote | Remark:
        """The file of a reference, the URL that it is, or why there is neither.

        Args:
            reference: as the feed has it.
            feed: the feed's path relative to the catalog folder.
        """
        home = PurePosixPath(feed).parent
        key = (reference, home)
        if key not in self._answers:
            self._answers[key] = self._find(reference, self._catalog / home)
        return self._answers[key]

    def _find(self, reference: PhotographReference, home: Path) -> Found | Remote | Remark:
        written = reference.path.strip().replace("\\", "/")
        if _URL.match(written) and not re.match(r"[a-z]:", written, re.IGNORECASE):
            # Shops write //host/path for "as this page"; with backslashes it is a share of a Windows machine.
            url = f"https:{written}" if reference.path.strip().startswith("//") else written
            return Remote(url) if _WEB.match(url) and url.isprintable() else _not_fetched(written)
        if _leads_out(written):
            return _outside(written)
        for name in (written, *reference.other_names):
            for folder in (home, home / FOLDER):
                place = self._existing(folder / name)
                if place is None:
                    continue
                if not place.resolve().is_relative_to(self._catalog):
                    return _outside(written)
                is_as_written = name == written and place.name == PurePosixPath(written).name
                return Found(place, () if is_as_written else (_renamed(written, place.name),))
        return _missing(written)

    def _existing(self, place: Path) -> Path | None:
        """The file at a place, or the one whose name differs only in case or in Unicode's form."""
        try:
            if place.is_file():
                return place
        except (OSError, ValueError):  # a name too long, or with a zero byte in it
            return None
        name = self._listing(place.parent).get(_alike(place.name))
        return place.with_name(name) if name else None

    def _listing(self, folder: Path) -> dict[str, str]:
        if folder not in self._listings:
            self._listings[folder] = {_alike(name): name for name in _file_names(folder)}
        return self._listings[folder]


def read_photographs(
    paths: Iterable[Path],
    catalog: Path,
    *,
    images: Images | None,
    known: Iterable[PhotographFile] = (),
) -> dict[Path, PhotographFile | Remark]:
    """Read photographs and keep their bytes; one whose size and time are known is not read again.

    Args:
        paths: files below `catalog`.
        catalog: the catalog folder.
        images: where the bytes go; None to keep nothing.
        known: what was known of files when their bytes were kept the last time.

    Returns:
        For each path its facts, or why it cannot be used.
    """
    wanted = sorted(set(paths))
    before = {file.path: file for file in known}
    root = catalog.resolve()

    def read(path: Path) -> PhotographFile | Remark:
        return _read(path, path.relative_to(root).as_posix(), before, images)

    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip(wanted, threads.map(read, wanted), strict=True))


def album(found: Iterable[tuple[PhotographReference, PictureFile]]) -> tuple[Photograph, ...]:
    """A product's photographs: what the feed says, without a URL's secrets, and what the files are.

    Of those whose role is not told, the first is the main view, ``base``; others show more of the product:
    ``detail``.
    """
    photographs: list[Photograph] = []
    for reference, file in found:
        has_base = any(photograph.role == "base" for photograph in photographs)
        photographs.append(
            Photograph(
                role=reference.role or ("detail" if has_base else "base"),
                reference=shown_url(reference.path) if _URL.match(reference.path) else reference.path,
                **asdict(file),
            )
        )
    return tuple(photographs)


def _read(
    path: Path, relative: str, before: Mapping[str, PhotographFile], images: Images | None
) -> PhotographFile | Remark:
    try:
        status = path.stat()
        last = before.get(relative)
        if last and (last.size, last.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return last
        if status.st_size > LARGEST_FILE:
            return _unusable(relative, TOO_LARGE)
        picture = keep_picture(path.read_bytes(), images)
    except UnreadablePicture as error:
        return _unusable(relative, str(error))
    except OSError as error:
        return _unusable(relative, error.strerror or str(error))
    return PhotographFile(path=relative, size=status.st_size, mtime_ns=status.st_mtime_ns, **asdict(picture))


def _leads_out(written: str) -> bool:
    return bool(_ABSOLUTE.match(written)) or ".." in PurePosixPath(written).parts or not written.isprintable()


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _file_names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted((entry.name for entry in entries if entry.is_file()), reverse=True)
    except (OSError, ValueError):
        return


def _not_fetched(written: str) -> Remark:
    return _warning(
        "remote_photograph",
        f"{shown_url(written)!r} is not fetched, only http and https are; put the file beside the feed",
    )


def _outside(written: str) -> Remark:
    return _warning("photograph_outside", f"{written[:200]!r} leads out of the catalog folder: not opened")


def _missing(written: str) -> Remark:
    return _warning(
        "photograph_not_found", f"{written[:200]!r} is not beside the feed nor in {FOLDER}/ there"
    )


def _unusable(relative: str, reason: str) -> Remark:
    return _warning("unreadable_photograph", f"{relative}: {reason}")


def _warning(code: str, message: str) -> Remark:
    """The product stays, without this photograph."""
    return Remark("warning", code, message, "photographs")


def _renamed(written: str, name: str) -> Remark:
    return Remark("repaired", "photograph_renamed", f"{written[:200]!r} was found as {name!r}", "photographs")
