"""When are two words the same? Case and accents do not count, and neither do letters that are drawn alike."""

import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

INSIDE: Final = "'’.,-+%°&"
"""What may stand within a word besides letters and digits; anything else parts two words."""
_ACCENTS: Final = range(0x0300, 0x0370)
_DRAWN_ALIKE: Final = str.maketrans({"I": "l", "|": "l", "1": "l", "0": "O"})
"""A capital I, a small l and a 1 are one stroke in many fonts; so are O and 0 one ring."""


def words_of(text: str) -> list[str]:
    """The words of a text in their order; what has neither letters nor digits is none."""
    parted = "".join(sign if is_of_word(sign) else " " for sign in unicodedata.normalize("NFC", text))
    return [word for word in parted.split() if folded(word)]


def is_of_word(sign: str) -> bool:
    """Whether a character may be a part of a word."""
    return _is_letter(sign) or sign in INSIDE


@lru_cache(4096)
def folded(word: str) -> str:
    """What of a word counts: its letters and digits without case and accents.

    A point or comma counts between digits: 2.5 is not 25.
    """
    return _what_counts(unicodedata.normalize("NFKD", word).casefold())


def same_word(expected: str, read: str) -> bool:
    """Whether what was read is the expected word, to the letter.

    Letters that are drawn alike are told apart by nobody: an expected ILLY may be read as lLLY. It is
    compared as it is spelled, in capitals, in small letters and with a capital, for case does not count.
    """
    return folded(expected) == folded(read) or _drawn(read) in _ways_to_draw(expected)


@lru_cache(65536)
def likeness(expected: str, read: str) -> float:
    """How like a word what was read is, 0 to 1 (twice the letters in common over the letters of both)."""
    if same_word(expected, read):
        return 1.0
    return SequenceMatcher(None, folded(expected), folded(read), autojunk=False).ratio()


LONG_ENOUGH: Final = 3
"""Letters and digits of a word below which it is found by chance, in any writing and any orientation."""


@lru_cache(4096)
def _ways_to_draw(word: str) -> frozenset[str]:
    return frozenset(_drawn(way) for way in (word, word.upper(), word.lower(), word.capitalize()))


@lru_cache(4096)
def _drawn(word: str) -> str:
    return _what_counts(unicodedata.normalize("NFKD", word)).translate(_DRAWN_ALIKE)


def _what_counts(word: str) -> str:
    plain = unicodedata.normalize("NFC", "".join(sign for sign in word if ord(sign) not in _ACCENTS))
    return "".join(
        sign
        for before, sign, after in zip(" " + plain, plain, plain[1:] + " ", strict=False)
        if _is_letter(sign) or (sign in ".," and before.isdigit() and after.isdigit())
    )


def _is_letter(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LMN"
