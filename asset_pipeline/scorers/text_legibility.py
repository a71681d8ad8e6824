"""Do the words on the product say what they should?"""

from collections.abc import Sequence
from typing import Any

from asset_pipeline.reading.words_on_products import Judged, Reduced, WordsOnProducts
from asset_pipeline.scores.score import Look, Measured


class TextLegibility:
    """TODO"""

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
        if reason := self.unable():
            return Measured(reason=reason)
        return self.measure_reduced([self.reduce(look)])[0]

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
