"""Which way do words stand in a picture? Pure: from what was read, and what was expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from asset_pipeline.reading.orientation import ORIENTATIONS, Orientation, looks_the_same
from asset_pipeline.reading.text_box import TextBox
from asset_pipeline.reading.wording import LONG_ENOUGH, folded, likeness, words_of

SEEN: Final = 0.5
"""The score from which on a word counts as seen: half way between chance and certainty."""


@dataclass(frozen=True)
class Facing:
    """Which way the words stand, or why that cannot be told."""

    stands: Orientation | None = None
    """The way that fits best; none without a margin."""
    margin: float | None = None
    """How much better the way that is meant fits than the best other one, -1 to 1."""
    scores: Mapping[Orientation, float] = field(default_factory=dict)
    """How well each way fits, 0 to 1."""
    words: tuple[str, ...] = ()
    """The words that were seen, whichever way, and decided."""
    reason: str | None = None


def which_way_up(boxes: Sequence[TextBox], phrases: Sequence[str], meant: Orientation = "upright") -> Facing:
    """Compare the six ways by how well the expected words can be read.

    A way's score is the mean over words of the best product, over all that was read that way, of likeness
    and confidence. Likeness alone would not do: a good recogniser reads words that stand upside down, but is
    not sure of them. Words that are not seen in any way say nothing, and neither do those that are too short.
    A way in which all seen words would look the same, as OTTO does mirrored, is no alternative.

    Args:
        boxes: what was read.
        phrases: what is expected.
        meant: the way it should stand.
    """
    every = [word for phrase in phrases for word in words_of(phrase)]
    words = [word for word in every if len(folded(word)) >= LONG_ENOUGH] or every
    found = {word: {way: _best(word, boxes, way) for way in ORIENTATIONS} for word in dict.fromkeys(words)}
    seen = {word: scores for word, scores in found.items() if max(scores.values()) >= SEEN}
    if not seen:
        return Facing(
            reason="none of the words that it should carry can be read in it, whichever way it is turned"
        )
    scores = {way: sum(each[way] for each in seen.values()) / len(seen) for way in ORIENTATIONS}
    others = [
        way
        for way in ORIENTATIONS
        if way != meant and not (meant == "upright" and all(looks_the_same(word, way) for word in seen))
    ]
    # where two fit alike, it stands as it is meant to
    stands = max([meant, *others], key=scores.__getitem__)
    margin = scores[meant] - max(scores[way] for way in others)
    return Facing(stands, margin, scores, tuple(seen))


def _best(word: str, boxes: Sequence[TextBox], way: Orientation) -> float:
    best = 0.0
    for box in boxes:
        for read in box.readings[way]:
            if read.confidence > best:
                # in a line whose blanks were not seen the word is a part of what was read
                within = len(folded(word)) >= LONG_ENOUGH and folded(word) in folded(read.text)
                best = max(best, (1.0 if within else likeness(word, read.text)) * read.confidence)
    return best
