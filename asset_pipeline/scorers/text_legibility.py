"""Do the words on the product say what they should?"""

from collections.abc import Sequence
from typing import Any

from asset_pipeline.reading.words_on_products import Judged, Reduced, WordsOnProducts
from asset_pipeline.scores.score import Look, Measured, measure_alone


class TextLegibility:
    """The share of words that are read in the picture to the letter, 0 to 1; an added word is a wrong one.

    The words are read by PP-OCRv6 (see ``reading/reader.py``; Apache-2.0, in rapidocr's wheel) in the
    product's part of the picture. A word is right only if it was read exactly, whatever its case and accents:
    a typo is read with full confidence, so a likeness would pass it. The value is right ÷ (expected + added);
    ``wrong`` says what stands in a word's place, ``missing`` and ``added`` what is not there and what nobody
    expected.

    Expected are the words of the catalog (``label_text``), or those that are read with confidence in the
    product's photograph. Words that cannot be read in the photograph at the picture's size are not expected.

    Cost: 0.4 s of processor time for a product 900 pixels high, up to 1.3 s where words are not found at
    once; a photograph 1.3 s, once. Both dimensions share it. Measured on a 2-core machine.

    Failure modes: ornate lettering, and words on a strongly curved or tilted surface, are not read, and so
    are not expected if the photograph says what is; letters that most fonts draw alike (capital I, small l
    and 1; O and 0) are not told apart; a wrong letter in words too small to be read is not seen.
    """

    dimension = "text_legibility"
    version = f"1+{WordsOnProducts.version}"
    unit = "share of words"
    better = "higher"
    expects: tuple[str, ...] = ("words",)

    def __init__(self, words: WordsOnProducts) -> None:
        self._words = words

    def unable(self) -> str | None:
        """Load the models, or say why they cannot be."""
        return self._words.unable()

    def measure(self, look: Look) -> Measured:
        """Read one image."""
        return measure_alone(self, look)

    def reduce(self, look: Look) -> Reduced:
        """The product's part of the image, and what is known of its words."""
        return self._words.reduce(look)

    def measure_reduced(self, reduced: Sequence[Reduced]) -> list[Measured]:
        """Read many images.

        Raises:
            MissingModel: the models are not here; ``unable`` says so before.
        """
        return [_measured(self._words.judge(each)) for each in reduced]


def _measured(judged: Judged) -> Measured:
    if judged.reason:
        return Measured(reason=judged.reason, applies=judged.applies)
    spelling = judged.spelling
    details: dict[str, Any] = {
        "read": list(spelling.right),
        "wrong": [
            {"expected": each.expected, "read": each.read, "confidence": each.confidence}
            for each in spelling.wrong
        ],
        "missing": list(spelling.missing),
        "added": list(spelling.added),
        "words_from": judged.source,
    }
    if judged.too_small:
        details["too_small"] = list(judged.too_small)
    if judged.not_in_photograph:
        details["not_in_photograph"] = list(judged.not_in_photograph)
    return Measured(spelling.share, details=details)
