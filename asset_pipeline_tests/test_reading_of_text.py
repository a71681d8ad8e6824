"""Words on products, read by the models in the wheel: what the two dimensions say of pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from asset_pipeline.reading.orientation import ORIENTATIONS, Orientation
from asset_pipeline.reading.reader import Reader
from asset_pipeline.reading.words_on_products import WordsOnProducts
from asset_pipeline.scorers.text_legibility import TextLegibility
from asset_pipeline.scorers.text_orientation import TextOrientation
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Expectation, Look, Measured, ModelScorer, Pixels, ReferenceLook
from asset_pipeline_tests.labelled_products import Labelled, Turned, labelled, seen, turned_to

DATA = Path(__file__).parent.parent / "data"
WORDS = WordsOnProducts()
LEGIBILITY, ORIENTATION = TextLegibility(WORDS), TextOrientation(WORDS)
ALPINE = ("ALPINE", "Spring water")
PRODUCTS = (labelled(1), labelled(3))
"""A box and a bottle."""


def pack(
    *lines: str, letters: int = 44, width: int = 420, height: int = 380, ground: str = "#f3ead7"
) -> Pixels:
    """A plain box on white with lines of words in its upper half, large ones first."""
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((20, 20, width - 20, height - 20), fill=ground)
    down = 50.0
    for place, line in enumerate(lines):
        font = ImageFont.load_default(letters if place == 0 else letters * 0.65)
        pen.text((width / 2, down), line, "#1f3d35", font, anchor="mt")
        down += letters * (1.6 if place == 0 else 1.1)
    return np.asarray(image)


def mask_of(pixels: Pixels) -> Pixels:
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[20:-20, 20:-20] = 255
    return mask


def look(
    pixels: Pixels, words: tuple[str, ...] | None = None, photograph: Pixels | None = None, **changes: Any
) -> Look:
    references = () if photograph is None else (ReferenceLook(photograph, mask_of(photograph), ""),)
    made = Look(
        pixels=pixels,
        mask=mask_of(pixels),
        encoded=b"",
        expected_size=(pixels.shape[1], pixels.shape[0]),
        references=references,
        expectation=Expectation(words=words),
    )
    return replace(made, **changes)


def both(seen_as: Look) -> tuple[Measured, Measured]:
    return LEGIBILITY.measure(seen_as), ORIENTATION.measure(seen_as)


def passes(measured: Measured, scorer: ModelScorer) -> bool:
    threshold = load_requirements(DATA).thresholds["default"][scorer.dimension]
    return measured.value is not None and measured.value >= (threshold.min or 0)


# ----------------------------------------------------------------------------------------------- which way up


@pytest.mark.parametrize("stands", ORIENTATIONS)
@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.kind)
def test_how_a_label_stands_is_found_and_only_upright_passes(product: Labelled, stands: Orientation) -> None:
    turned: Turned = "label" if ORIENTATIONS.index(stands) % 2 else "product"
    found = ORIENTATION.measure(seen(product, stands, turned, 480))
    assert found.details["stands"] == stands
    assert passes(found, ORIENTATION) == (stands == "upright")
    assert found.value is not None
    assert abs(found.value) > 0.2


def test_the_details_show_all_six_scores_and_the_words_that_decided() -> None:
    details = ORIENTATION.measure(look(pack(*ALPINE), ALPINE)).details
    assert set(details["scores"]) == set(ORIENTATIONS)
    assert details["scores"]["upright"] > 0.9
    assert set(details["words"]) == {"ALPINE", "Spring", "water"}
    assert details["words_from"] == "catalog"


@pytest.mark.parametrize(
    ("stands", "least", "most"), [("upside down", 1, 1), ("clockwise", 1, 1), ("mirrored", 0, 0.4)]
)
def test_what_stands_on_its_head_is_spelled_right_and_what_is_mirrored_is_not(
    stands: Orientation, least: float, most: float
) -> None:
    found = LEGIBILITY.measure(look(turned_to(pack(*ALPINE), stands), ALPINE))
    assert found.value is not None
    assert least <= found.value <= most


def test_a_picture_in_which_none_of_the_words_is_read_has_no_orientation() -> None:
    legibility, orientation = both(look(pack("QUARRY", "Sea salt"), ("KALDERA", "Hochland")))
    assert legibility.value == 0
    assert orientation.value is None
    assert "whichever way" in (orientation.reason or "")
    assert orientation.applies


# ------------------------------------------------------------------------------------------------- legibility


def test_a_label_as_the_catalog_spells_it_is_read_to_the_letter() -> None:
    found = LEGIBILITY.measure(look(pack(*ALPINE), ALPINE))
    assert found.value == 1
    assert found.details == {
        "read": ["ALPINE", "Spring", "water"],
        "wrong": [],
        "missing": [],
        "added": [],
        "words_from": "catalog",
    }


def test_a_typo_is_wrong_however_well_it_can_be_read() -> None:
    found = LEGIBILITY.measure(look(pack("ALPNIE", "Spring water"), ALPINE))
    assert found.value == pytest.approx(2 / 3)
    (wrong,) = found.details["wrong"]
    assert (wrong["expected"], wrong["read"]) == ("ALPINE", "ALPNIE")
    assert wrong["confidence"] > 0.9


def test_a_missing_word_and_an_added_one_are_told() -> None:
    missing = LEGIBILITY.measure(look(pack("ALPINE"), ALPINE))
    assert missing.value == pytest.approx(1 / 3)
    assert missing.details["missing"] == ["Spring", "water"]
    added = LEGIBILITY.measure(look(pack(*ALPINE, "Deluxe"), ALPINE))
    assert added.value == pytest.approx(3 / 4)
    assert added.details["added"] == ["Deluxe"]


def test_a_lone_digit_is_no_added_word() -> None:
    found = LEGIBILITY.measure(look(pack(*ALPINE, "1"), ALPINE))
    assert (found.value, found.details["added"]) == (1, [])


def test_a_word_that_is_spelled_across_two_boxes_is_one_word() -> None:
    pixels = pack("ALPINE", width=560)
    image = Image.fromarray(pixels)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(44)
    pen.text((60, 200), "SUN", "#1f3d35", font, anchor="lt")
    pen.text((320, 200), "FLOWER", "#1f3d35", font, anchor="lt")
    boxes = Reader().read(np.asarray(image), 960)
    assert len(boxes) == 3
    assert LEGIBILITY.measure(look(np.asarray(image), ("Alpine", "Sunflower"))).value == 1


def test_words_behind_the_product_are_not_on_it() -> None:
    image = Image.new("RGB", (900, 380), "#c9d6cf")
    image.paste(Image.fromarray(pack(*ALPINE)), (0, 0))
    font = ImageFont.load_default(50)
    ImageDraw.Draw(image).text((450, 120), "Wonderful morning", "#1f3d35", font, anchor="lt")
    pixels = np.asarray(image)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[20:360, 20:400] = 255
    mask[355:360, 20:880] = 255  # a foot that reaches below the words
    assert LEGIBILITY.measure(look(pixels, ALPINE, mask=mask)).value == 1
    found = LEGIBILITY.measure(look(pixels, ALPINE, mask=None))
    assert found.details["added"] == ["Wonderful", "morning"]


# ---------------------------------------------------------------------------------- which words it carries


def test_a_product_that_is_known_to_carry_no_words_has_nothing_to_be_read() -> None:
    for found in both(look(pack("ALPINE"), ())):
        assert (found.value, found.applies) == (None, False)
        assert "carries no words" in (found.reason or "")


def test_words_that_are_not_declared_are_those_of_the_photograph() -> None:
    legibility, orientation = both(look(pack(*ALPINE), None, photograph=pack(*ALPINE, letters=60)))
    assert (legibility.value, legibility.details["words_from"]) == (1, "photograph")
    assert passes(orientation, ORIENTATION)
    wrong = LEGIBILITY.measure(look(pack("ALPINE", "Spring wafer"), None, photograph=pack(*ALPINE)))
    assert [each["read"] for each in wrong.details["wrong"]] == ["wafer"]


def test_a_photograph_without_words_settles_that_there_are_none() -> None:
    for found in both(look(pack("ALPINE"), None, photograph=pack("1"))):
        assert (found.value, found.applies) == (None, False)
        assert "photograph" in (found.reason or "")


def test_where_nobody_knows_the_words_that_is_the_reason() -> None:
    for found in both(look(pack("ALPINE"))):
        assert (found.value, found.applies) == (None, True)
        assert "label_text" in (found.reason or "")


def test_a_photograph_that_is_cut_out_goes_before_one_that_is_not() -> None:
    one, other = pack("KALDERA"), pack("ALPINE")
    references = (ReferenceLook(one, None, "a"), ReferenceLook(other, mask_of(other), "b"))
    assert LEGIBILITY.measure(look(pack("ALPINE"), references=references)).value == 1
    assert LEGIBILITY.measure(look(pack("ALPINE"), references=references[:1])).value == 0


def test_words_that_stand_on_their_side_in_the_photograph_shall_do_so_in_the_picture() -> None:
    lying = turned_to(pack("RUNDLE", "Insulated flask"), "anticlockwise")
    legibility, orientation = both(look(lying, None, photograph=lying))
    assert legibility.value == 1
    assert orientation.details["stands"] == "anticlockwise"
    assert passes(orientation, ORIENTATION)
    stood_up = ORIENTATION.measure(look(turned_to(lying, "clockwise"), None, photograph=lying))
    assert not passes(stood_up, ORIENTATION)


def test_declared_words_that_the_photograph_does_not_show_either_are_not_expected() -> None:
    declared = (*ALPINE, "Bottled at the source")
    found = LEGIBILITY.measure(look(pack(*ALPINE), declared, photograph=pack(*ALPINE)))
    assert found.value == 1
    assert set(found.details["not_in_photograph"]) == {"Bottled", "at", "the", "source"}
    assert LEGIBILITY.measure(look(pack(*ALPINE), declared)).value == pytest.approx(3 / 7)


# ------------------------------------------------------------ sizes


def shrunk(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def test_words_too_small_to_be_read_are_left_out_and_not_called_wrong() -> None:
    photograph = pack("KALDERA", "Ground coffee from the highlands", letters=40, width=520)
    for words in (None, ("KALDERA", "Ground coffee from the highlands")):
        small = shrunk(photograph, 0.18)
        found = LEGIBILITY.measure(look(small, words, photograph, mask=None))
        assert (found.value, found.details["read"][0]) == (1, "KALDERA")
        assert "highlands" in found.details["too_small"]


def test_where_all_words_are_too_small_that_is_the_reason_and_a_photograph_settles_it() -> None:
    photograph = pack(*ALPINE)
    for known in (photograph, None):
        for found in both(look(shrunk(photograph, 0.12), ALPINE, known, mask=None)):
            assert (found.value, found.applies) == (None, known is None)
            assert "too small" in (found.reason or "")


def test_a_missing_label_is_missing_and_not_too_small() -> None:
    for photograph in (pack(*ALPINE), None):
        found = LEGIBILITY.measure(look(pack(), ALPINE, photograph))
        assert (found.value, found.details["missing"]) == (0, ["ALPINE", "Spring", "water"])


@pytest.mark.parametrize("mask", [None, np.zeros((380, 420), np.uint8), np.full((7, 9), 255, np.uint8)])
def test_without_a_mask_that_says_where_the_product_is_the_whole_picture_is_read(mask: Pixels | None) -> None:
    legibility, orientation = both(look(pack(*ALPINE), ALPINE, mask=mask))
    assert legibility.value == 1
    assert passes(orientation, ORIENTATION)


def test_huge_pictures_are_read() -> None:
    huge = pack(*ALPINE, letters=110, width=3000, height=2400)
    assert LEGIBILITY.measure(look(huge, ALPINE)).value == 1


@pytest.mark.parametrize("shape", [(0, 0, 3), (1, 1, 3), (5, 9, 3), (3, 700, 3)])
@pytest.mark.parametrize("words", [None, ALPINE, ("·",)])
def test_pictures_too_small_to_carry_words_get_a_reason_or_nothing_right(
    shape: tuple[int, int, int], words: tuple[str, ...] | None
) -> None:
    tiny = np.full(shape, 128, np.uint8)
    legibility, orientation = both(look(tiny, words, photograph=pack(*ALPINE), mask=None))
    assert legibility.value == 0 or legibility.reason
    assert orientation.value is None
    assert orientation.reason


def test_an_upside_down_label_blocks_and_a_typo_warns() -> None:
    thresholds = load_requirements(DATA).thresholds["default"]
    assert (thresholds["text_orientation"].level, thresholds["text_legibility"].level) == ("block", "warn")
    assert passes(ORIENTATION.measure(look(pack(*ALPINE), ALPINE)), ORIENTATION)
    assert not passes(LEGIBILITY.measure(look(pack("ALPNIE", "Spring water"), ALPINE)), LEGIBILITY)
