"""A photograph's bytes as the catalog keeps them, wherever they came from."""

from dataclasses import dataclass

from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.decode import facts
from asset_pipeline.store.images import Images

LARGEST_FILE = 256 << 20
"""Bytes. A larger file is no product photograph."""
TOO_LARGE = f"it has more than {LARGEST_FILE >> 20} MiB"
_SUFFIXES = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/tiff": "tif",
}


@dataclass(frozen=True)
class PictureFile:
    """What a picture's bytes are: their name in the store, their type and their size in pixels."""

    sha256: str
    media_type: str
    width: int
    height: int


def keep_picture(data: bytes, images: Images | None) -> PictureFile:
    """Look at a picture's header and keep its bytes.

    Args:
        data: the file's bytes; their type is what they are, not what a name or a server says.
        images: where they go; None to keep nothing.

    Raises:
        UnreadablePicture: the bytes are no picture of a known type, or it is too large.
    """
    found = facts(data)
    if images is not None:
        images.put(data, _SUFFIXES.get(found.media_type, "bin"))
    return PictureFile(sha256_of(data), found.media_type, found.width, found.height)
