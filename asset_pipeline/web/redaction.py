"""Takes secrets out of what providers send, before it is kept: some send back what they were asked."""

import json
import re
from typing import Any

from pydantic_core import from_json

REMOVED = "[removed]"
_KEY_SHAPES = re.compile(
    rb"(?<![A-Za-z0-9_-])(?:whsec_[\w+/=-]{8,}|r8_\w{16,}|rf_(?:live|test)_\w{8,}|rpa_\w{16,}|hf_\w{16,}"
    rb"|sk-[\w-]{16,}|comfyui-[0-9a-f]{32,})"
    rb"|(?<=://)[^\s/\"'@:]+:[^\s/\"'@]+(?=@)"
    rb"|(?i:(?<=bearer )[\w.~+/=-]{8,})"
)
"""What keys of the vendors look like, and names and passwords in URLs."""
_KEY_NAMES = re.compile(
    r"apikey|secret|password|passwd|passphrase|authorization|credential|accesskey|accessid|privatekey|cookie"
    r"|^(access|auth|api|session|bearer|refresh|id)?token$"
)
_QUERY = re.compile(r"(https?://[^\s\"'?#]+)\?[^\s\"'#]*")
_ASKED = {"input", "prompt", "inputs"}
"""What we asked comes back under these names; the queries of its URLs are signatures that open files."""


def without_secrets(body: bytes) -> bytes:
    """A body without the secrets in it; byte for byte the same if there are none."""
    kept = _KEY_SHAPES.sub(REMOVED.encode(), body)
    try:
        said = from_json(kept)
    except ValueError:
        return kept
    clean = _clean(said, is_asked=False)
    return kept if clean == said else json.dumps(clean).encode()


def _clean(value: Any, *, is_asked: bool) -> Any:
    if isinstance(value, dict):
        return {
            name: REMOVED
            if each and isinstance(each, str | list | dict) and _is_secret(name)
            else _clean(each, is_asked=is_asked or name in _ASKED)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_clean(each, is_asked=is_asked) for each in value]
    if is_asked and isinstance(value, str):
        return _QUERY.sub(r"\1", value)
    return value


def _is_secret(name: str) -> bool:
    return bool(_KEY_NAMES.search(re.sub(r"[^a-z0-9]", "", name.lower())))
