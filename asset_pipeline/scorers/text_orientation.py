"""Are the words on the product upright, and not mirrored?"""

from collections.abc import Sequence

from asset_pipeline.reading.words_on_products import Judged, Reduced, WordsOnProducts
from asset_pipeline.scores.score import Look, Measured


class TextOrientation:
    """TODO"""

    dimension = "text_orientation"
    version = f"1+{WordsOnProducts.version}"
    unit = "margin, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ("words",)

    def __init__(self, words: WordsOnProducts) -> None:
        self._words = words

    def unable(self) -> str | None:
        """Load the models, or say why they cannot be."""
        return self._words.unable()

    def measure(self, look: Look) -> Measured:
        """Read one image in six orientations."""
        if reason := self.unable():
            return Measured(reason=reason)
        return self.measure_reduced([self.reduce(look)])[0]

    def reduce(self, look: Look) -> Reduced:
        """The product's part of the image, and what is known of its words."""
        return self._words.reduce(look)

    def measure_reduced(self, reduced: Sequence[Reduced]) -> list[Measured]:
        """Read many images in six orientations.

        Raises:
            MissingModel: the models are not here; ``unable`` says so before.
        """
        return [_measured(self._words.judge(each)) for each in reduced]


def _measured(judged: Judged) -> Measured:
    facing = judged.facing
    reason = judged.reason or facing.reason
    if reason or facing.margin is None:
        return Measured(reason=reason, applies=judged.applies)
    return Measured(
        round(facing.margin, 4),
        details={
            "stands": facing.stands,
            "scores": {way: round(score, 3) for way, score in facing.scores.items()},
            "words": list(facing.words),
            "words_from": judged.source,
        },
    )
