"""Which files of the catalog folder are feeds, and whether anything in it has changed."""

import os
from collections.abc import Iterator
from pathlib import Path

from asset_pipeline.catalog.photographs import FOLDER
from asset_pipeline.catalog.product import Finding
from asset_pipeline.fingerprint import fingerprint

_FEED_SUFFIXES = ".csv .json .jsonld .jsonl .ndjson .parquet .pq .tsv .txt .xml"
_FEEDS = frozenset(_FEED_SUFFIXES.split())
_COMPRESSED = ".gz"
_IMAGE_SUFFIXES = ".avif .bmp .gif .heic .heif .jpe .jpeg .jpg .jxl .png .psd .svg .tif .tiff .webp"
_IMAGES = frozenset(_IMAGE_SUFFIXES.split())
_NOT_FEEDS = ("readme", "license", "licence", "notice", "changelog")


def find_feeds(folder: Path) -> tuple[list[str], list[Finding]]:
    """The feeds of a folder relative to it, in name order, and findings for files that nobody reads."""
    feeds, others = [], []
    for path in _files(folder):
        relative = path.relative_to(folder).as_posix()
        suffix = path.suffix.lower()
        if suffix in _IMAGES or path.name.lower().startswith(_NOT_FEEDS) or suffix == ".md":
            continue
        if suffix == _COMPRESSED:
            suffix = path.with_suffix("").suffix.lower()
        is_near = len(path.relative_to(folder).parts) <= 2 and path.parent.name != FOLDER  # noqa: PLR2004 - one level
        if suffix in _FEEDS and is_near:
            feeds.append(relative)
        elif suffix in _FEEDS and path.parent.name != FOLDER:
            others.append(
                _not_read(relative, "too_deep", "feeds lie in the catalog folder or one level below it")
            )
        else:
            others.append(
                _not_read(
                    relative, "unknown_file", "not a CSV, JSON, XML or Parquet file; save it as one of these"
                )
            )
    return feeds, others


def catalog_fingerprint(folder: Path) -> str:
    """A cheap hash that changes when a feed or photograph does: names, sizes and times, no contents."""
    states = []
    for path in _files(folder):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        states.append([path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns])
    return fingerprint(states)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder that are not hidden, in name order; links to folders are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith((".", "~$"))]
    return iter(sorted(found))


def _not_read(file: str, code: str, message: str) -> Finding:
    return Finding(feed=file, row=None, sku=None, field=None, level="warning", code=code, message=message)
