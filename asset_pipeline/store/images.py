"""Images and other bytes, named by their SHA-256, written once and never changed."""

from pathlib import PurePosixPath

from asset_pipeline.errors import BrokenFact
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.files import Files, safe_path

_SUFFIXES = ("webp", "png", "jpg", "tif", "gif", "bin")


class Images:
    """Bytes by content. The suffix is for people who look into the folder; the name alone finds them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def put(self, data: bytes, suffix: str) -> str:
        """Keep bytes and return their SHA-256; the same bytes are kept once.

        Args:
            data: an encoded image, usually lossless WebP.
            suffix: one of webp, png, jpg, tif, gif, bin.
        """
        if suffix not in _SUFFIXES:
            raise ValueError(f"{suffix!r} is none of {_SUFFIXES}")
        sha256 = sha256_of(data)
        self._files.create(f"{_stem(sha256)}.{suffix}", data)
        return sha256

    def path(self, sha256: str) -> str | None:
        """Where the bytes of that hash are, relative to the store's root, if they are there."""
        return self._files.first(_stem(sha256), _SUFFIXES)

    def has(self, sha256: str) -> bool:
        """Whether bytes of that name are kept; their content is checked when they are read."""
        return self.path(sha256) is not None

    def get(self, sha256: str) -> bytes:
        """The bytes of that hash.

        Raises:
            BrokenFact: they are missing, or no longer have the hash that is their name.
        """
        path = self.path(sha256)
        if path is None:
            raise BrokenFact(f"the image {sha256} is not in the store")
        data = self._files.read(path)
        if sha256_of(data) != sha256:
            raise BrokenFact(f"the image {path} is altered: its bytes hash to {sha256_of(data)}")
        return data

    def sizes(self) -> dict[str, int]:
        """Everything that is kept: the size in bytes by SHA-256."""
        return {
            PurePosixPath(name).stem: size
            for folder in self._files.names("images")
            for name, size in self._files.sizes(safe_path("images", folder)).items()
        }

    def remove(self, sha256: str) -> None:
        """Give up the bytes of that hash, if they are kept.

        Whoever asks for this has recorded before why they are gone, and knows that nobody else needs them.
        """
        while path := self.path(sha256):
            self._files.remove(path)


def _stem(sha256: str) -> str:
    return safe_path("images", sha256[:2], sha256)
