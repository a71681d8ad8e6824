"""A folder on this machine, or one that is mounted: ``<root>/<campaign>/<export>``, and ``latest`` beside it.

An export is written under a name that starts with a dot, synced, read back, and renamed in one step; then
``latest``, a symbolic link, is replaced in one step. Whoever reads through ``latest`` never sees half an
export. A damaged export is mended file by file, each replaced in one step.

One delivery at a time works on a campaign: it holds a lock that ends with its process. Whoever holds the
lock may sweep away what a killed one left.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from asset_pipeline.errors import IncompleteExport
from asset_pipeline.exports.target import DeliveryPlan, Outcome, Package, PackageFile, Receipt

LATEST = "latest"
_STAGING = ".staging-"
_LOCK = ".lock"
_WORKERS = min(4, os.cpu_count() or 1)
"""Files in memory at once; a disk is busy syncing one while another is hashed."""


class LocalFolder:
    """Delivers to a folder. See Target."""

    name = "local_folder"
    is_remote = False

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def plan(self, package: Package) -> DeliveryPlan:
        """See Target."""
        folder = self._root / package.campaign_id
        destination = folder / package.export_id
        try:
            if not destination.is_dir():
                return DeliveryPlan(str(destination), "delivered", tuple(file.path for file in package.files))
            with ThreadPoolExecutor(_WORKERS) as pool:
                held = list(pool.map(partial(_holds, destination), package.files))
            is_current = _link(folder) == package.export_id
        except OSError as error:
            raise IncompleteExport(f"{destination} cannot be read: {error}") from error
        wrong = tuple(file.path for file, is_held in zip(package.files, held, strict=True) if not is_held)
        outcome: Outcome = "repaired" if wrong else "unchanged" if is_current else "delivered"
        return DeliveryPlan(str(destination), outcome, wrong)

    def deliver(self, package: Package) -> Receipt:
        """See Target."""
        folder = self._root / package.campaign_id
        destination = folder / package.export_id
        try:
            with _alone_in(folder):
                _sweep(folder)
                plan = self.plan(package)
                wanted = [file for file in package.files if file.path in set(plan.to_write)]
                if wanted:
                    staging = folder / f"{_STAGING}{secrets.token_hex(8)}"
                    _write(staging, wanted)
                    if destination.is_dir():
                        _replace(staging, destination, wanted)
                    else:
                        staging.rename(destination)
                        _sync(folder)
                if _link(folder) != package.export_id:
                    _point_latest(folder, package.export_id)
        except OSError as error:
            raise IncompleteExport(
                f"{destination}: {error}; what was published before is as it was. "
                "Mend the cause (space, permissions) and materialise exports again"
            ) from error
        return Receipt(
            export_id=package.export_id,
            target=self.name,
            destination=str(destination),
            files=len(package.files),
            size_bytes=package.size_bytes,
            manifest_sha256=package.manifest_sha256,
            outcome=plan.outcome,
            at=datetime.now(UTC),
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until nobody else delivers to this folder. The kernel gives a dead process's lock away."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(folder: Path) -> None:
    """Remove what a killed delivery left; only for who holds the lock."""
    for left in folder.glob(f"{_STAGING}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _write(staging: Path, files: Iterable[PackageFile]) -> None:
    """Write files durably and read them back; leave nothing behind if one fails."""
    try:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for _ in pool.map(partial(_write_one, staging), files):
                pass
        for parent, _, _ in os.walk(staging):
            _sync(Path(parent))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _write_one(staging: Path, file: PackageFile) -> None:
    place = staging / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as written:
        written.write(file.read())
        written.flush()
        os.fsync(written.fileno())
    if not _holds(staging, file):
        raise IncompleteExport(f"{place} reads back with other bytes than were written; check the disk")


def _replace(staging: Path, destination: Path, files: Iterable[PackageFile]) -> None:
    """Put files into an export that is there, each in one step."""
    for file in files:
        place = destination / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        (staging / file.path).replace(place)
        _sync(place.parent)
    shutil.rmtree(staging)


def _holds(folder: Path, file: PackageFile) -> bool:
    """Whether the folder has the file with its bytes."""
    try:
        with (folder / file.path).open("rb") as found:
            return hashlib.file_digest(found, "sha256").hexdigest() == file.sha256
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _link(folder: Path) -> str | None:
    """What ``latest`` names, if it is there."""
    latest = folder / LATEST
    return str(latest.readlink()) if latest.is_symlink() else None


def _point_latest(folder: Path, export_id: str) -> None:
    new = folder / f"{_STAGING}{secrets.token_hex(8)}"
    new.symlink_to(export_id, target_is_directory=True)
    new.replace(folder / LATEST)
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
