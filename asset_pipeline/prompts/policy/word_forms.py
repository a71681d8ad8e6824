"""What counts as the same word: spelling, hyphens and invisible characters aside, and in every form of it.

Forms are found by Snowball's stemmers (https://snowballstem.org/algorithms/), which cut endings by rules:
small, quick, and of use for words that no dictionary has. What they cannot see, German's ``heilt`` and
``geheilt`` for ``heilen``, is said here for regular verbs.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

import snowballstemmer

STEMMERS: Mapping[str, str] = {
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch_porter",  # the newer one cuts beginnings too
    "no": "norwegian",
    "nb": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "sv": "swedish",
    "tr": "turkish",
}
"""By language; words of any other language count as they are written."""

_MARKS = "\u2122\u2120\u00ae\u00a9\u00b9\u00b2\u00b3\u2070\u2074\u2075\u2076\u2077\u2078\u2079"
"""Signs beside a word that are not part of it; Unicode's compatible forms would make letters of them."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|%")
_HYPHEN = re.compile(r"[-\u2010\u2012\u2013](?<=[^\W\d_].)\s?(?=[^\W\d_])")
_BETWEEN_WORDS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_UMLAUT = re.compile("([aou])e")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_NOT_A_FORM = frozenset({("de", "sich")})
"""What a stemmer takes for a form of another word: ``sich`` for ``sicher``."""
_VERB = re.compile(r"[a-z]{3,}en")
_GERMAN_PREFIX = re.compile(r"(be|emp|ent|er|ge|miss|ver|zer)|.*ieren$")
"""German verbs that form their participle without ``ge-``."""


class _Plain(dict[int, str]):
    """For each character what stands for it: nothing for what nobody sees, a blank for what is no letter."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        hidden = unicodedata.category(character) in {"Cf", "Mn", "Me"}
        self[code] = "" if hidden else "'" if character in "\u2018\u2019\u02bc" else character
        return self[code]


_PLAIN = _Plain()
_WITHOUT_MARKS = str.maketrans(dict.fromkeys(_MARKS, " "))


def plain(text: str) -> str:
    """Text in one spelling of each character, without those that nobody sees, such as soft hyphens."""
    if text.isascii():
        return text
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text.translate(_WITHOUT_MARKS))
    return text.translate(_PLAIN)


def readings(text: str) -> list[str]:
    """The ways to read plain text: with a hyphen between two words, and with none at all."""
    joined = _HYPHEN.sub("", text)
    return [text] if joined == text else [text, joined]


def words(text: str) -> list[str]:
    """The words of plain text, and its percent signs."""
    if text.isascii() and "'" not in text and "%" not in text:
        return text.translate(_BETWEEN_WORDS).split()  # the same, ten times as fast
    return _WORD.findall(text)


def extent(text: str, first: int, count: int) -> str:
    """The part of plain text from its word number `first` on, `count` words long, as it is written there."""
    spans = [match.span() for match in _WORD.finditer(text)][first : first + count]
    return text[spans[0][0] : spans[-1][1]]


def folded(word: str) -> str:
    """A word in lower case, its umlauts and ß as two letters, its accents gone."""
    lower = word.casefold()
    if lower.isascii():
        return lower
    letters = unicodedata.normalize("NFD", lower.translate(_UMLAUTS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@lru_cache(maxsize=2**17)
def stem(language: str, word: str) -> str:
    """What all forms of a folded word have in common; the word itself in a language without a stemmer."""
    algorithm, word = STEMMERS.get(language), word.removesuffix("'s")
    if algorithm is None or not word.isalpha():
        return word
    if (language, word) in _NOT_A_FORM:
        return f"={word}"
    # One for each call: a stemmer keeps the word it is at in itself, and is not for two threads.
    return str(snowballstemmer.stemmer(algorithm).stemWord(word))


def stems(language: str, word: str) -> set[str]:
    """The stems of a folded word and of those forms of it that the stemmer takes for other words."""
    return {stem(language, form) for form in _forms(language, word)}


def beginning(word: str) -> str:
    """The first three letters of a folded word as they are in all its forms: umlauts and ``y`` may change.

    Stemmers cut endings, so that most words are told apart by this alone, which is much quicker.
    """
    return _UMLAUT.sub(r"\1", word[:6]).replace("y", "i")[:3]


def _forms(language: str, word: str) -> list[str]:
    if language != "de" or not _VERB.fullmatch(word):
        return [word]
    base = word.removesuffix("en")
    participle = base if _GERMAN_PREFIX.match(word) else f"ge{base}"
    e = "e" if base.endswith(("d", "t")) else ""
    return [word, f"{base}{e}t", f"{base}{e}st", f"{base}{e}te", f"{participle}{e}t", f"{base}end"]
