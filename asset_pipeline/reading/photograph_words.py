"""Which words a product carries, by what was read in its photograph. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asset_pipeline.reading.facing import which_way_up
from asset_pipeline.reading.orientation import TURNS, Orientation
from asset_pipeline.reading.text_box import ReadWord, TextBox, in_reading_order, words_in_order
from asset_pipeline.reading.wording import folded

CONFIDENT: Final = 0.9
"""The confidence from which on a word of a photograph is one that the product carries."""
FEWEST_LETTERS: Final = 3
"""A box with fewer letters and digits is no writing, for all that is known."""


@dataclass(frozen=True)
class PhotographWords:
    """What is written on a product."""

    phrases: tuple[str, ...]
    """Its confident words, a phrase for each box."""
    stands: Orientation
    """How they stand: not always upright, for names on flasks run up or down."""
    looks: tuple[tuple[TextBox, ...], ...]
    """All that was read, each time that the photograph was looked at."""

    def words(self, stands: Orientation) -> list[list[ReadWord]]:
        """All words of each look, if they stand that way."""
        return [words_in_order(look, stands) for look in self.looks]


def words_of_photograph(looks: Sequence[tuple[TextBox, ...]]) -> PhotographWords:
    """The words of the look, and of the way to turn it, that show the most letters with confidence."""
    ways = ((look, stands) for look in looks for stands in TURNS)
    best = max(ways, key=lambda way: sum(map(letters, _phrases(*way))))
    return PhotographWords(_phrases(*best), best[1], tuple(looks))


def expected_words(
    declared: tuple[str, ...] | None, photograph: PhotographWords | None
) -> tuple[tuple[str, ...], Orientation]:
    """The phrases that are expected, and how they shall stand: as in the photograph, if it shows them."""
    if declared is None:
        return (photograph.phrases, photograph.stands) if photograph else ((), "upright")
    if photograph:
        facing = which_way_up([box for look in photograph.looks for box in look], declared)
        if facing.stands in TURNS:
            return declared, facing.stands
    return declared, "upright"


def confident(words: Sequence[ReadWord]) -> list[ReadWord]:
    """The words that were read with confidence."""
    return [read for read in words if read.confidence >= CONFIDENT]


def letters(text: str) -> int:
    """How many letters and digits a text has."""
    return len(folded(text))


def _phrases(boxes: Sequence[TextBox], stands: Orientation) -> tuple[str, ...]:
    phrases = (
        " ".join(read.text for read in confident(box.readings[stands]))
        for box in in_reading_order(boxes, stands)
    )
    return tuple(phrase for phrase in phrases if letters(phrase) >= FEWEST_LETTERS)
