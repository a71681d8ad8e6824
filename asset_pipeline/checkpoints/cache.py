"""Model files that were fetched, by their SHA-256: whole, verified, shared by all processes."""

import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from asset_pipeline.checkpoints.checkpoint import ModelFile
from asset_pipeline.checkpoints.local_files import Progress, sha256_of_file
from asset_pipeline.errors import MissingModel
from asset_pipeline.fingerprint import fingerprint


class Cache:
    """A folder of files named by their content, and of folders that link to them."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self.root = root
        self._progress = progress

    def find(self, file: ModelFile) -> Path | None:
        """A file that is there and is itself; one that was damaged on this disk is thrown away."""
        place = self._place(file)
        if not place.is_file():
            return None
        if sha256_of_file(place, self._progress) == file.sha256:
            return place
        place.unlink(missing_ok=True)
        return None

    def receive(self, file: ModelFile, fetch: Callable[[Path], None]) -> Path:
        """Fetch a file, unless another process did so meanwhile.

        Args:
            file: what is to be fetched.
            fetch: writes the file to a path. What a killed fetch has left there is a beginning to go on from.

        Raises:
            MissingModel: what came is not the file that was meant, and nothing of it is kept; or the cache
                cannot be written.
        """
        incomplete = self.root / "incomplete" / file.sha256
        with _writing(self.root), _alone(incomplete.with_suffix(".lock")):
            if there := self.find(file):
                return there
            for _ in ("goes on", "afresh") if incomplete.exists() else ("afresh",):
                fetch(incomplete)
                got = sha256_of_file(incomplete, self._progress)
                if got == file.sha256:
                    return self._keep(incomplete, file)
                incomplete.unlink()
            raise MissingModel(f"what came from there is another file, with the sha256 {got}")

    def folder(self, name: str, files: Mapping[str, Path]) -> Path:
        """A folder with a link to each file by its path in there, and nothing else."""
        links = {path: str(place.resolve()) for path, place in files.items()}
        folder = self.root / "folders" / f"{name}-{fingerprint(links)[:16]}"
        if folder.exists():
            if _links_below(folder) == links:
                return folder
            shutil.rmtree(folder)  # someone changed it
        growing = folder.with_name(f"incomplete-{secrets.token_hex(8)}")
        with _writing(self.root):
            for path, place in links.items():
                (growing / path).parent.mkdir(parents=True, exist_ok=True)
                (growing / path).symlink_to(place)
        try:
            growing.rename(folder)
        except OSError:
            shutil.rmtree(growing)
            if _links_below(folder) != links:  # else another process has just made the same folder
                raise
        return folder

    def _keep(self, incomplete: Path, file: ModelFile) -> Path:
        incomplete.chmod(0o444)
        place = self._place(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        return incomplete.replace(place)

    def _place(self, file: ModelFile) -> Path:
        return self.root / "sha256" / file.sha256


def _links_below(folder: Path) -> dict[str, str]:
    """What a folder of links holds: each file's path and where it leads."""
    files = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix(): str(path.resolve()) for path in files}


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Say which folder it was that could not be written."""
    try:
        yield
    except OSError as error:
        raise MissingModel(f"{root} cannot be written: {error}; set ASSET_PIPELINE_MODEL_CACHE") from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that the system lets go of if this process dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
