"""What exported files are called: alike on every file system, never two the same, never outside."""

import re
import unicodedata
from collections.abc import Mapping

from asset_pipeline.fingerprint import fingerprint

_PLAIN = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever their extension."""
_HASH_LENGTH = 8

SUFFIXES = {"jpeg": "jpg", "png": "png", "webp": "webp"}
MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "tif": "image/tiff",
               "gif": "image/gif"}  # fmt: skip


def file_path(  # noqa: PLR0913 - these are the parts of a name
    *,
    sku: str,
    asset_type: str,
    locale: str,
    variation: Mapping[str, str],
    candidate_id: str,
    channel: str,
    suffix: str,
) -> str:
    """The path of an exported file, relative to the export, with forward slashes.

    ``northwind-mug-blue/product_tile/en-GB/c0123456789abcdef0123-web_tile.webp``, with the words that the
    prompt varies before the candidate's name.
    """
    folders = (
        portable(sku, 48),
        portable(asset_type, 32),
        locale if _LOCALE.fullmatch(locale) and not _RESERVED.fullmatch(locale) else portable(locale, 16),
    )
    words = "-".join(variation[name] for name in sorted(variation))
    stem = [portable(words, 24)] if words else []
    return "/".join([*folders, "-".join([*stem, candidate_id, channel]) + f".{suffix}"])


def portable(text: str, longest: int) -> str:
    """A name for `text` that different texts never share.

    Lower-case letters, digits and single ``-`` or ``_`` stay as they are. Any other text becomes its nearest
    spelling of those with ``--`` and a hash of the exact text behind it, so that ``MUG``, ``mug`` and
    ``mug/`` differ even where the file system does not tell capitals apart.
    """
    if _PLAIN.fullmatch(text) and len(text) <= longest and not _RESERVED.fullmatch(text):
        return text
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9]+", "-", latin)[:longest].strip("-")
    return f"{near or 'x'}--{fingerprint(text)[:_HASH_LENGTH]}"


def is_safe(path: str) -> bool:
    """Whether a relative path stays in its folder and is spelled for every file system."""
    return all(_PART.fullmatch(part) and not part.endswith(".") for part in path.split("/"))
