"""Is the stored file what the pipeline promises of an original, and as large as was asked for?"""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.pictures.decode import decode, facts
from asset_pipeline.scores.score import Look, Measured, Pixels

FLAT_SPAN: Final = 4
"""A picture whose every channel spans no more than this of 255 levels shows nothing: what a model returns
that produced NaN, or whose safety filter blacked the picture out."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"  # W3C PNG, section 5.2


class FileCheck:
    """Whether the stored file is a sound, lossless sRGB original that holds the very pixels that are scored.

    The value is 1 when every rule holds and 0 otherwise; details name the rules that do not.

    - decodes: every byte of it can be decoded;
    - lossless: PNG, or WebP whose picture is a ``VP8L`` chunk (Google's WebP container specification);
    - is_rgb: three 8-bit channels without transparency;
    - is_srgb: no embedded colour profile, or one that calls itself sRGB;
    - holds_the_pixels: decoding gives exactly the pixels that the other scorers saw. Where they were made by
      decoding this very file for them (``Look.decoded``), that holds without doing so again;
    - shows_something: it is not one flat colour.

    Failure modes: what was compressed before it was stored losslessly is not noticed here (see blockiness),
    nor is WebP's "near lossless" mode; a colour profile is believed by its name.
    """

    dimension = "file_check"
    version = "1"
    unit = "1 or 0"
    better = "higher"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Decode the file and try each rule."""
        try:
            decoded = decode(look.encoded).pixels if look.decoded is None else look.decoded
        except UnreadablePicture as error:
            return Measured(0.0, details={"failed": ["decodes"], "why": str(error)})
        with Image.open(io.BytesIO(look.encoded)) as image:
            mode, profile = image.mode, image.info.get("icc_profile")
        rules = {
            "lossless": _is_lossless(look.encoded),
            "is_rgb": mode == "RGB",
            "is_srgb": not profile or _is_srgb(profile),
            "holds_the_pixels": decoded is look.pixels or np.array_equal(decoded, look.pixels),
            "shows_something": not _is_flat(decoded),
        }
        failed = [rule for rule, holds in rules.items() if not holds]
        return Measured(0.0 if failed else 1.0, details={"failed": failed, "mode": mode})


class Dimensions:
    """Whether the stored file is exactly as wide and high as was asked for: 1 or 0.

    Read from the file's header. Failure mode: a picture that was enlarged to the right size passes; see
    sharpness.
    """

    dimension = "dimensions"
    version = "1"
    unit = "1 or 0"
    better = "higher"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Compare the file's size with the requested one."""
        try:
            found = facts(look.encoded)
        except UnreadablePicture as error:
            return Measured(reason=f"the file has no size: {error}")
        size = (found.width, found.height)
        return Measured(
            float(size == tuple(look.expected_size)),
            details={"size": list(size), "expected": list(look.expected_size)},
        )


def _is_lossless(data: bytes) -> bool:
    return data.startswith(_PNG_SIGNATURE) or _webp_chunks(data)[-1:] == ["VP8L"]


def _webp_chunks(data: bytes) -> list[str]:
    """The names of a WebP file's chunks up to the one that holds the picture; empty for other files."""
    names: list[str] = []
    position = 12
    while data[:4] == b"RIFF" and data[8:12] == b"WEBP" and position + 8 <= len(data):
        names.append(data[position : position + 4].decode("latin-1").strip())
        if names[-1] in {"VP8L", "VP8", "ANMF"}:
            break
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2  # chunks are padded to even sizes
    return names


def _is_srgb(profile: bytes) -> bool:
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return "sRGB" in name


def _is_flat(pixels: Pixels) -> bool:
    few = pixels[::16, ::16, 0]
    if int(few.max()) - int(few.min()) > FLAT_SPAN:  # these tell of nearly every picture
        return False
    channels = np.moveaxis(pixels, 2, 0)
    return all(int(channel.max()) - int(channel.min()) <= FLAT_SPAN for channel in channels)
