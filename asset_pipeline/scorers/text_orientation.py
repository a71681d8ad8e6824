"""Are the words on the product upright, and not mirrored?"""

from collections.abc import Sequence

from asset_pipeline.reading.words_on_products import Judged, Reduced, WordsOnProducts
from asset_pipeline.scores.score import Look, Measured, measure_alone


class TextOrientation:
    """How much better the expected words can be read upright than in the best other orientation, -1 to 1.

    Each box with writing is read upright, upside down, turned by a quarter either way, mirrored and flipped,
    by PP-OCRv6 (see ``reading/reader.py``; Apache-2.0, in rapidocr's wheel). An orientation's score is the
    mean, over the expected words that were seen at all, of likeness × confidence (``reading/facing.py``). The
    value is a margin and not yes or no, for how sure it is differs: 0 is undecided, below it the words stand
    some other way, which ``stands`` says. An OCR pipeline of the usual kind would not do: it rights
    upside-down and turned lines in silence.

    Measured (``benchmarks/text_orientation.py``): 358 of 360 renderings in six orientations were told right,
    two were not read, none was taken for upright that was not; RapidOCR's default pipeline was right about
    208.

    Cost: shared with ``text_legibility``.

    Failure modes: words that look the same in another orientation (OTTO mirrored) are upright in both; a
    label that stands right on a product that does not is another dimension's; where a single word is turned
    and others are not, the mean decides.
    """

    dimension = "text_orientation"
    version = f"1+{WordsOnProducts.version}"
    unit = "margin, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ("words",)
    promises: tuple[str, ...] = ("stands",)

    def __init__(self, words: WordsOnProducts) -> None:
        self._words = words

    def unable(self) -> str | None:
        """Load the models, or say why they cannot be."""
        return self._words.unable()

    def measure(self, look: Look) -> Measured:
        """Read one image in six orientations."""
        return measure_alone(self, look)

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
