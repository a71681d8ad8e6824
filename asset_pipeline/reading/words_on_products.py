"""What the words on a product are in a picture: read once, for all dimensions that ask."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, TypeVar

import numpy as np

from asset_pipeline.errors import MissingModel
from asset_pipeline.reading.crop import Crop, Mask, cropped
from asset_pipeline.reading.facing import Facing, which_way_up
from asset_pipeline.reading.orientation import TURNS, Orientation
from asset_pipeline.reading.photograph_words import (
    FEWEST_LETTERS,
    PhotographWords,
    confident,
    expected_words,
    letters,
    words_of_photograph,
)
from asset_pipeline.reading.reader import Reader
from asset_pipeline.reading.spelling import RESEMBLING, Spelling, spelled
from asset_pipeline.reading.text_box import ReadWord, TextBox, words_in_order
from asset_pipeline.reading.wording import likeness, same_word, words_of
from asset_pipeline.scores.score import Look, ReferenceLook

LOOKS: Final = (960, 640, 1280)
"""The sizes at which a product is looked at, one after another until every expected word was read.

Measured on 360 renderings with 1644 words, of which some are hidden: 1565 are read at the first size, 1599
with the second, 1615 with the third; of other threes none finds more than four words more.
"""
CLEAR: Final = 0.3
"""The margin from which on there is no doubt about how words stand."""
READABLE: Final = 14.0
"""The height in pixels of a box, margins included, below which words may be misread.

Measured on 15 renderings, made smaller in six steps: of words whose box would be 12 to 14 pixels high 97 %
were read to the letter, 10 to 12 high 83 %, 8 to 10 high 74 %, 6 to 8 high 30 %. Boxes that low come out
higher.
"""
TOO_SMALL: Final = "the words are too small to be read at this size"
KEPT: Final = 512
"""Pictures of which is kept what was read."""
CROPS_KEPT: Final = 64
"""Photographs' crops that are kept, because the candidates of a product share them."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Reduced:
    """What is needed of a picture to judge the words in it."""

    picture: Crop | None
    photograph: Crop | None
    """The product's own; none if there is none."""
    declared: tuple[str, ...] | None
    """The phrases that the catalog declares, if it does."""


@dataclass(frozen=True)
class Judged:
    """What became of the words in a picture, or why that cannot be told."""

    reason: str | None = None
    applies: bool = True
    source: str = ""
    """Who says which words there are: ``catalog`` or ``photograph``."""
    spelling: Spelling = field(default_factory=Spelling)
    facing: Facing = field(default_factory=Facing)
    too_small: tuple[str, ...] = ()
    """Words that are not expected, because they cannot be read at the picture's size."""
    not_in_photograph: tuple[str, ...] = ()
    """Declared words that are not expected, because the photograph does not show them either."""


@dataclass(frozen=True)
class _Compared:
    """What was read in a picture, against what was expected."""

    spelling: Spelling
    facing: Facing
    way: Orientation
    """The way in which it was read."""
    boxes: Sequence[TextBox]


class WordsOnProducts:
    """Reads pictures and photographs, each once however many dimensions ask, and keeps what it read.

    The words that are expected are those of the catalog; where it does not tell, those of the product's
    photograph that are read with confidence. The words of a photograph may stand on their side, as names on
    flasks do; then so they shall in the picture.

    Making one loads no model.

    Args:
        reader: who reads.
    """

    version: Final = f"1+{Reader.version}"

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader or Reader()
        self._reading, self._cropping = Lock(), Lock()
        self._crops: OrderedDict[Hashable, Crop | None] = OrderedDict()
        self._boxes: OrderedDict[Hashable, tuple[TextBox, ...]] = OrderedDict()
        self._judged: OrderedDict[Hashable, Judged] = OrderedDict()

    def unable(self) -> str | None:
        """Why nothing can be read for now; None when the models are in memory."""
        try:
            self._reader.load()
        except MissingModel as error:
            return str(error)
        return None

    def reduce(self, look: Look) -> Reduced:
        """What is needed of a picture; from any thread."""
        photograph = next((each for each in look.references if each.mask is not None), None)
        photograph = photograph or next(iter(look.references), None)
        return Reduced(
            picture=cropped(look.pixels, look.mask),
            photograph=None if photograph is None else self._photograph_crop(photograph),
            declared=look.expectation.words,
        )

    def judge(self, reduced: Reduced) -> Judged:
        """What became of a picture's words; each picture is judged once.

        Raises:
            MissingModel: the models are not here; ``unable`` says so before.
        """
        sources = [crop.sha256 if crop else "" for crop in (reduced.picture, reduced.photograph)]
        with self._reading:
            return _kept(self._judged, (*sources, reduced.declared), KEPT, lambda: self._judge(reduced))

    def _judge(self, reduced: Reduced) -> Judged:
        declared = reduced.declared
        if declared is not None and not any(map(words_of, declared)):
            return Judged(applies=False, reason="the catalog says that the product carries no words")
        if reduced.picture is None:
            return Judged(reason="the picture is empty")
        photograph = self._read_photograph(reduced.photograph) if reduced.photograph else None
        if declared is None and photograph is None:
            return Judged(
                reason="nobody says which words it carries: no label_text in the catalog, and no photograph"
            )
        if declared is None and photograph and not photograph.phrases:
            return Judged(applies=False, reason="its photograph shows no words that can be read")
        phrases, meant = expected_words(declared, photograph)
        source = "photograph" if declared is None else "catalog"
        compared = self._compared(reduced.picture, phrases, meant, photograph)
        judged = Judged(source=source, spelling=compared.spelling, facing=compared.facing)
        if not compared.spelling.unread:
            return judged
        return self._excused(judged, reduced, photograph, compared)

    def _compared(
        self, picture: Crop, phrases: Sequence[str], meant: Orientation, photograph: PhotographWords | None
    ) -> _Compared:
        """Look until every word was read, or as often as there are ways to look."""
        known = [read.text for look in photograph.words(meant) for read in look] if photograph else []
        looks: list[tuple[TextBox, ...]] = []
        for longest in LOOKS:
            looks.append(self._read(picture, longest))
            boxes = [box for look in looks for box in look]
            facing = which_way_up(boxes, phrases, meant)
            # what stands on its side or its head may be spelled right all the same; a mirrored word is not
            way = facing.stands if facing.stands in TURNS else meant
            spelling = spelled(phrases, [words_in_order(look, way) for look in looks], known)
            compared = _Compared(spelling, facing, way, boxes)
            if not spelling.unread or _is_reversed(facing):
                break
        return compared

    def _excused(
        self, judged: Judged, reduced: Reduced, photograph: PhotographWords | None, compared: _Compared
    ) -> Judged:
        """Leave out the words that nobody could have read, whatever the picture shows."""
        unread = judged.spelling.unread
        shown = spelled(unread, photograph.words(photograph.stands)) if photograph else Spelling()
        elsewhere: tuple[str, ...] = ()
        if photograph and reduced.photograph and reduced.picture and (shown.right or judged.spelling.right):
            elsewhere = shown.unread
            smaller = self._read_photograph(reduced.photograph.reduced_to(reduced.picture.span))
            legible = [confident(look) for look in smaller.words(photograph.stands)]
            too_small = spelled(shown.right, legible).unread
        else:
            too_small = _too_small(compared)
        spelling = judged.spelling.without({*elsewhere, *too_small})
        if not spelling.right and not spelling.unread:
            # where its photograph cannot be read at this size either, it is certain that nothing can be
            return replace(judged, reason=TOO_SMALL, applies=not shown.right)
        return replace(judged, spelling=spelling, too_small=too_small, not_in_photograph=elsewhere)

    def _read_photograph(self, crop: Crop) -> PhotographWords:
        return words_of_photograph([self._read(crop, longest) for longest in LOOKS])

    def _read(self, crop: Crop, longest: int) -> tuple[TextBox, ...]:
        def read() -> tuple[TextBox, ...]:
            pixels, mask = crop.opened()
            return tuple(box for box in self._reader.read(pixels, longest) if _on_product(box, mask))

        return _kept(self._boxes, (crop.sha256, longest), KEPT * len(LOOKS), read)

    def _photograph_crop(self, photograph: ReferenceLook) -> Crop | None:
        def crop() -> Crop | None:
            return cropped(photograph.pixels, photograph.mask)

        if not photograph.sha256:
            return crop()
        with self._cropping:
            return _kept(self._crops, (photograph.sha256, photograph.mask is None), CROPS_KEPT, crop)


def _is_reversed(facing: Facing) -> bool:
    """Whether the words are mirrored or flipped beyond doubt, so that no other look will find them right."""
    return facing.stands not in (None, *TURNS) and (facing.margin or 0) < -CLEAR


def _too_small(compared: _Compared) -> tuple[str, ...]:
    """The unread words that are written too low to be read, as far as that can be told without a photograph.

    These are the words that something in a low box resembles, unless a higher one shows them clearly wrong;
    and where low boxes have writing that is none of the words that were read, also those that are missing.
    """
    spelling = compared.spelling
    low: list[ReadWord] = []
    high: list[ReadWord] = []
    for box in compared.boxes:
        is_low = min(box.size(compared.way)) < READABLE
        (low if is_low else high).extend(box.readings[compared.way])
    clear = {each.expected for each in spelling.wrong if each.read in {read.text for read in confident(high)}}
    is_more_written = any(
        letters(read.text) >= FEWEST_LETTERS
        and not any(same_word(word, read.text) for word in spelling.right)
        for read in low
    )
    return tuple(
        word
        for word in spelling.unread
        if word not in clear
        and (
            any(likeness(word, read.text) >= RESEMBLING for read in low)
            or (is_more_written and word in spelling.missing)
        )
    )


def _on_product(box: TextBox, mask: Mask) -> bool:
    """Whether most of a box lies on the product: what is written behind it is not on it."""
    across, down = np.asarray(box.corners).T
    left, right, top, bottom = int(across.min()), int(across.max()) + 1, int(down.min()), int(down.max()) + 1
    return bool(mask[top:bottom, left:right].mean() > 127)  # noqa: PLR2004 - half


def _kept(store: OrderedDict[Hashable, Made], key: Hashable, most: int, make: Callable[[], Made]) -> Made:
    """What is kept under a key, made if need be; the one that was not asked for the longest gives way."""
    if key not in store:
        store[key] = make()
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
    return store[key]
