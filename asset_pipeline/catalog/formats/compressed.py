"""Feeds that come compressed with gzip, as exports of millions of rows do."""

import gzip
import io
import zlib

from asset_pipeline.errors import UnreadableFeed

MARK = b"\x1f\x8b"
"""How every gzip file begins (RFC 1952)."""
LARGEST = 2 << 30
"""Bytes of an unpacked feed. A megabyte of gzip can hold a gigabyte of nothing."""

_CHUNK = 1 << 20


def unpacked(data: bytes) -> bytes:
    """The bytes that a gzip file holds.

    They are counted before they are kept, so a file made to fill the memory costs time only.

    Raises:
        UnreadableFeed: the file is damaged, or holds more than `LARGEST`.
    """
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > LARGEST:
                    raise UnreadableFeed(
                        f"this gzip file holds more than {LARGEST >> 20} MiB; split the feed into several"
                    )
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableFeed(f"this gzip file is damaged ({error}); transfer it again") from error
