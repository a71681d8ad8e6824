"""Which encoding a text file has: UTF-8 if it can be, or what Excel and older exports write instead."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

import charset_normalizer

from asset_pipeline.catalog.formats.rows import Remark
from asset_pipeline.errors import UnreadableFeed

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's, so it is asked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "an Excel workbook or another ZIP file; save the sheet as “CSV UTF-8”"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as “CSV UTF-8”"),
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"%PDF", "a PDF; ask for the data as CSV, JSON lines or Parquet"),
)
_SAMPLE = 4096
_CHUNK = 1 << 20
_NULS_OF_UTF16 = 0.4
"""The share of zero bytes in every second place of European text in UTF-16."""
_FEW = 0.25
"""Fewer broken than good characters outside ASCII by this factor: damaged UTF-8, not another encoding."""
_BINARY = 0.1
"""More control characters than this are no text."""


@dataclass(frozen=True)
class Encoding:
    """How to turn bytes into text."""

    name: str
    errors: str = "replace"
    remark: Remark | None = None


def find_encoding(data: bytes) -> Encoding:
    """The encoding of a text file.

    Raises:
        UnreadableFeed: the bytes are no text; the message says what they are, and what to do.
    """
    for start, what in _OTHER_FILES:
        if data.startswith(start):
            raise UnreadableFeed(f"this is {what}")
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if marked:
        return Encoding(marked)
    unmarked = _utf16_without_mark(data[:_SAMPLE])
    if unmarked:
        return Encoding(unmarked)
    sample = data[:_SAMPLE]
    if sum(byte < 9 or 13 < byte < 32 for byte in sample) > _BINARY * len(sample):  # noqa: PLR2004 - ASCII's blanks
        raise UnreadableFeed(
            "this is a binary file of an unknown kind; the reader knows CSV, JSON and Parquet"
        )
    if _is_utf8(data):
        return Encoding("utf-8")
    return _not_quite_utf8(data)


def _utf16_without_mark(sample: bytes) -> str | None:
    half = len(sample) // 2
    if not half:
        return None
    if sample[1::2].count(0) > _NULS_OF_UTF16 * half:
        return "utf-16-le"
    return "utf-16-be" if sample[0::2].count(0) > _NULS_OF_UTF16 * half else None


def _is_utf8(data: bytes) -> bool:
    try:
        for _ in codecs.iterdecode(_chunks(data), "utf-8"):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _not_quite_utf8(data: bytes) -> Encoding:
    broken = others = 0
    for text in codecs.iterdecode(_chunks(data), "utf-8", "replace"):
        broken += text.count("\ufffd")
        others += sum(not char.isascii() for char in text) if not text.isascii() else 0
    if broken < _FEW * (others - broken):
        return Encoding(
            "utf-8",
            remark=Remark(
                "warning", "broken_characters", f"{broken} places are not UTF-8; “\ufffd” stands there"
            ),
        )
    try:
        for _ in codecs.iterdecode(_chunks(data), "cp1252"):
            pass
    except UnicodeDecodeError:
        return _guessed(data)
    return Encoding("cp1252", remark=_not_utf8("Windows-1252"))


def _guessed(data: bytes) -> Encoding:
    guess = charset_normalizer.from_bytes(data[:_CHUNK]).best()
    if guess is None:
        raise UnreadableFeed("its encoding is unknown; save the file as UTF-8")
    return Encoding(guess.encoding, remark=_not_utf8(guess.encoding))


def _not_utf8(name: str) -> Remark:
    return Remark(
        "repaired", "not_utf8", f"read as {name}; if letters look wrong, save the file as UTF-8 instead"
    )


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
