"""Scorers that are made in a process of their own, where that process can import them without Dagster."""

from asset_pipeline.reading.words_on_products import WordsOnProducts
from asset_pipeline.scorers.text_legibility import TextLegibility
from asset_pipeline.scorers.text_orientation import TextOrientation


def text_scorers() -> tuple[TextLegibility, TextOrientation]:
    """Both ways of looking at words; they share what was read."""
    words = WordsOnProducts()
    return TextLegibility(words), TextOrientation(words)
