"""Files of a folder on this machine: which they are, that none can run code, what their hashes are."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from asset_pipeline.errors import InvalidFile

EXECUTABLE = (
    ".bin",
    ".ckpt",
    ".joblib",
    ".npy",
    ".npz",
    ".pickle",
    ".pkl",
    ".pt",
    ".pth",
    ".py",
    ".pyc",
    ".so",
)
"""What runs code, or can, when it is loaded; a folder that holds such a file is never loaded from."""

Progress = Callable[[str, int, int], None]
"""Is told what is being done to which file, the bytes that are done, and the bytes there are."""

_BLOCK = 2**23
_HASHES: dict[tuple[int, ...], str] = {}


def silently(_what: str, _done: int, _total: int) -> None:
    """The progress that nobody watches."""


def files_below(folder: Path) -> dict[str, Path]:
    """Every file of a folder and its subfolders by its path in there, sorted; none if it is not there.

    Raises:
        InvalidFile: one of them could run code when it is loaded, or is a link that leads out of the folder.
    """
    entries = sorted(folder.rglob("*"))
    root = folder.resolve()
    for path in entries:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise InvalidFile(
                f"{path}: leads out of its folder, to {path.resolve()}; put the file itself there"
            )
    files = {path.relative_to(folder).as_posix(): path for path in entries if path.is_file()}
    code = [name for name in files if name.lower().endswith(EXECUTABLE)]
    if code:
        raise InvalidFile(
            f"{folder}: holds {code[0]} and {len(code) - 1} more of the kind: pickles and programs run code "
            "when they are loaded, so nothing is loaded from there; keep the safetensors, remove those"
        )
    return files


def sha256_of_file(path: Path, progress: Progress = silently) -> str:
    """The SHA-256 of a file, computed once in a process for as long as the file stays as it is."""
    with path.open("rb") as file:
        state = _state(file)
        if state not in _HASHES:
            digest = hashlib.sha256()
            total = path.stat().st_size
            while block := file.read(_BLOCK):
                digest.update(block)
                progress(f"verify {path.name}", file.tell(), total)
            if _state(file) != state:
                return digest.hexdigest()
            _HASHES[state] = digest.hexdigest()
        return _HASHES[state]


def _state(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
