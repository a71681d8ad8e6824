"""Which wording a locale gets where wordings differ by locale."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

Wording = TypeVar("Wording")

DEFAULT = "default"
"""What is used where neither a locale nor its language has a wording of its own; taken to be English."""


@lru_cache(maxsize=256)
def own_keys(locale: str) -> tuple[str, ...]:
    """The keys whose wordings are a locale's own, the closest first: ``de-DE``, ``de``."""
    tags = locale.split("-")
    return tuple("-".join(tags[:length]) for length in range(len(tags), 0, -1))


def worded(wordings: Mapping[str, Wording], default: Wording, locale: str) -> tuple[Wording, str | None]:
    """The wording for a locale, and the key of the one it fell back to; none if the wording is its own.

    What is worded for no locale at all is the same in all of them, so nothing fell back.
    """
    for key in own_keys(locale):
        if key in wordings:
            return wordings[key], None
    return default, DEFAULT if wordings and not is_own(DEFAULT, locale) else None


def is_own(key: str, locale: str) -> bool:
    """Whether the words under a key are in a locale's language as its country has it."""
    keys = own_keys(locale)
    return key in keys or (key == DEFAULT and keys[-1] == "en")
