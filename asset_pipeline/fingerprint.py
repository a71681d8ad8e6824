"""Names made from contents: the same content has the same name, on every machine, for ever."""

import hashlib
import json
from typing import Any

from pydantic_core import to_jsonable_python

ID_LENGTH = 20
"""Hexadecimal digits in an identifier: 80 bits, so a billion names collide with probability 4e-7."""


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON-like value: sorted keys, no blanks, UTF-8, no NaN or infinity.

    Accepts what pydantic can turn into JSON (models, dataclasses, dates, paths, enums).

    Raises:
        ValueError: the value holds a NaN or an infinity, which have no JSON spelling.
    """
    plain = to_jsonable_python(value, inf_nan_mode="constants")
    spelled = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return spelled.encode()


def fingerprint(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_of(data: bytes) -> str:
    """The SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def identifier(kind: str, content: Any) -> str:
    """A short name for content: the kind's letter and the first digits of its fingerprint."""
    return f"{kind}{fingerprint([kind, content])[:ID_LENGTH]}"


def seed_from(*parts: Any) -> int:
    """A 32-bit seed that depends on nothing but its parts."""
    return int(fingerprint(list(parts))[:8], 16)
