"""Which expected words stand in a picture, to the letter? Pure: from what was read."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from asset_pipeline.reading.text_box import ReadWord
from asset_pipeline.reading.wording import LONG_ENOUGH, folded, likeness, same_word, words_of

SURE: Final = 0.9
"""The confidence from which on a word counts that nobody expected."""
RESEMBLING: Final = 0.5
"""The likeness from which on a word was read as another one, and is not missing."""
VARIANT: Final = 0.7
"""The likeness from which on a word is another reading of one that is known."""
TOGETHER: Final = 4
"""As many words may have been read as one, or one as so many: blanks are easily missed and seen."""


@dataclass(frozen=True)
class Misread:
    """An expected word, and what stands in its place."""

    expected: str
    read: str
    confidence: float


@dataclass(frozen=True)
class Spelling:
    """What became of the expected words."""

    right: tuple[str, ...] = ()
    wrong: tuple[Misread, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    """Words that nobody expected."""

    @property
    def unread(self) -> tuple[str, ...]:
        """The expected words that were not read right."""
        return *(each.expected for each in self.wrong), *self.missing

    @property
    def share(self) -> float | None:
        """The share of words that are right, 0 to 1; added ones are not. None if no word was expected."""
        expected = len(self.right) + len(self.wrong) + len(self.missing)
        return len(self.right) / (expected + len(self.added)) if expected else None

    def without(self, excused: AbstractSet[str]) -> "Spelling":
        """The same, some words not expected after all."""
        return replace(
            self,
            wrong=tuple(each for each in self.wrong if each.expected not in excused),
            missing=tuple(word for word in self.missing if word not in excused),
        )


def spelled(
    phrases: Sequence[str], looks: Sequence[Sequence[ReadWord]], known: Sequence[str] = ()
) -> Spelling:
    """Compare expected phrases with what was read.

    A word is right if it was read exactly, not nearly: a typo is read with full confidence. Words of a phrase
    that were read as one, and a word that was read in pieces, are put together. What is right in one look is
    right; what is wrong is told from the look that shows the most. A word is added if its confidence is at
    least SURE, it has three letters and resembles no word that is expected or known: a lone 1 where light
    falls on a bottle is a ghost, and half a word at the edge of a box is no word.

    Args:
        phrases: what is expected, one after another.
        looks: the words that were read, in their order, each time that the picture was looked at.
        known: other words that may stand there.
    """
    expected = [words_of(phrase) for phrase in phrases]
    words = [word for phrase in expected for word in phrase]
    matches = [_matched(expected, look) for look in looks]
    right = set().union(*(found for found, _ in matches))
    best = max(range(len(looks)), key=lambda place: len(matches[place][0]), default=None)
    left = (
        []
        if best is None
        else [read for place, read in enumerate(looks[best]) if place not in matches[best][1]]
    )
    wrong, left = _misread([word for place, word in enumerate(words) if place not in right], left)
    misread = [each.expected for each in wrong]
    missing = [word for place, word in enumerate(words) if place not in right]
    for word in misread:
        missing.remove(word)
    may_stand = [*words, *known]
    return Spelling(
        right=tuple(word for place, word in enumerate(words) if place in right),
        wrong=tuple(wrong),
        missing=tuple(missing),
        added=tuple(
            read.text
            for read in left
            if read.confidence >= SURE
            and sum(sign.isalpha() for sign in read.text) >= LONG_ENOUGH
            and not any(_is_of(read.text, word) for word in may_stand)
        ),
    )


def _is_of(read: str, word: str) -> bool:
    """Whether what was read is a piece, or another reading, of a word."""
    return folded(read) in folded(word) or likeness(word, read) >= VARIANT


def _matched(phrases: Sequence[Sequence[str]], read: Sequence[ReadWord]) -> tuple[set[int], set[int]]:
    """The places of the expected words that were read, and those of the words that they were read in."""
    found: set[int] = set()
    used: set[int] = set()
    counts = range(1, TOGETHER + 1)
    for expected_count, read_count in sorted(product(counts, counts), key=sum):
        for places, run in _runs(phrases, expected_count):
            if found & {*places}:
                continue
            for start in range(len(read) - read_count + 1):
                there = range(start, start + read_count)
                if not used & {*there} and same_word(run, "".join(read[place].text for place in there)):
                    found |= {*places}
                    used |= {*there}
                    break
    return found, used


def _runs(phrases: Sequence[Sequence[str]], count: int) -> Iterator[tuple[range, str]]:
    """So many words of a phrase that follow one another: their places among all words, and they together."""
    first = 0
    for phrase in phrases:
        for start in range(len(phrase) - count + 1):
            yield range(first + start, first + start + count), "".join(phrase[start : start + count])
        first += len(phrase)


def _misread(words: Sequence[str], read: Sequence[ReadWord]) -> tuple[list[Misread], list[ReadWord]]:
    """Words with what comes nearest to each, the nearest pairs first; and what is left of what was read."""
    pairs = sorted(
        ((likeness(word, each.text), -i, -j) for i, word in enumerate(words) for j, each in enumerate(read)),
        reverse=True,
    )
    taken: dict[int, int] = {}
    for like, i, j in pairs:
        if like >= RESEMBLING and -i not in taken and -j not in taken.values():
            taken[-i] = -j
    wrong = [Misread(words[i], read[j].text, round(read[j].confidence, 2)) for i, j in sorted(taken.items())]
    return wrong, [each for j, each in enumerate(read) if j not in taken.values()]
