"""The models that read words: pinned, offline, and the same words whatever is read beside them."""

import pickle
import socket

import numpy as np
import pytest

from asset_pipeline.reading import reader
from asset_pipeline.reading.reader import WEIGHTS, Reader, words_of_line
from asset_pipeline.reading.text_box import ReadWord, TextBox
from asset_pipeline.reading.words_on_products import WordsOnProducts
from asset_pipeline.scorers.text_legibility import TextLegibility
from asset_pipeline.scorers.text_orientation import TextOrientation
from asset_pipeline.scores.score import Pixels
from asset_pipeline_tests.test_reading_of_text import ALPINE, LEGIBILITY, ORIENTATION, look, pack


class Counting(Reader):
    """A reader that counts what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, pixels: Pixels, longest: int) -> tuple[TextBox, ...]:
        self.reads += 1
        return super().read(pixels, longest)


def test_a_picture_is_read_once_for_both_dimensions_and_its_photograph_once_for_all() -> None:
    counting = Counting()
    words = WordsOnProducts(counting)
    legibility, orientation = TextLegibility(words), TextOrientation(words)
    photograph = pack(*ALPINE)
    first = look(pack(*ALPINE, ground="#ffffff"), None, photograph)
    legibility.measure(first)
    for_both = counting.reads
    orientation.measure(first)
    assert counting.reads == for_both
    legibility.measure(look(pack(*ALPINE, ground="#eeeeee"), None, photograph))
    assert counting.reads == for_both + 1


def test_the_same_picture_has_the_same_value_whatever_is_measured_beside_it_and_by_however_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = [look(pack(*lines), ALPINE) for lines in (ALPINE, ("Spring",))]
    reduced = [ORIENTATION.reduce(each) for each in looks]
    legible, upright = LEGIBILITY.measure_reduced(reduced), ORIENTATION.measure_reduced(reduced)
    monkeypatch.setattr(reader, "THREADS", 1)
    words = WordsOnProducts()
    assert [TextLegibility(words).measure(each) for each in looks[::-1]][::-1] == legible
    assert [TextOrientation(words).measure(each) for each in looks[::-1]][::-1] == upright


def test_what_is_kept_of_a_picture_can_be_sent_to_another_process() -> None:
    kept = LEGIBILITY.reduce(look(pack(*ALPINE), None, photograph=pack(*ALPINE)))
    assert len(pickle.dumps(kept)) < 100_000
    assert LEGIBILITY.measure_reduced([pickle.loads(pickle.dumps(kept))])[0].value == 1  # noqa: S301


def test_nothing_is_fetched_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert Reader().read(pack("ALPINE"), 640)


def test_models_that_are_not_those_that_were_pinned_are_the_reason_and_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(WEIGHTS, next(iter(WEIGHTS)), "0" * 64)
    words = WordsOnProducts()
    for scorer in (TextLegibility(words), TextOrientation(words)):
        assert "not the model that was pinned" in (scorer.unable() or "")
        assert scorer.measure(look(pack("ALPINE"), ALPINE)).value is None


def test_the_version_names_the_weights() -> None:
    assert LEGIBILITY.version.endswith(Reader.version)
    assert ORIENTATION.version.endswith(Reader.version)


def test_a_letter_that_goes_on_is_one_and_after_a_blank_it_is_another_one() -> None:
    path = [(1, 0.9), (1, 0.6), (2, 0.8), (0, 0.9), (2, 0.5), (3, 0.9), (4, 0.9), (1, 0.7), (0, 0.9)]
    probabilities = np.zeros((len(path), 5), np.float32)
    for place, (letter, probability) in enumerate(path):
        probabilities[place, letter] = probability
    words = words_of_line(probabilities, ["", "A", "B", "·", "-"])
    assert words == (ReadWord("ABB", round(0.9 * 0.8 * 0.5, 4)), ReadWord("-A", round(0.9 * 0.7, 4)))
    assert words_of_line(probabilities[5:7], ["", "A", "B", "·", "-"]) == ()
