"""What makes words the same, right and upright, told from readings alone: no picture, no model."""

from collections.abc import Sequence

import pytest

from asset_pipeline.reading.facing import which_way_up
from asset_pipeline.reading.orientation import ORIENTATIONS, Orientation, looks_the_same
from asset_pipeline.reading.photograph_words import words_of_photograph
from asset_pipeline.reading.spelling import Misread, Spelling, spelled
from asset_pipeline.reading.text_box import ReadWord, TextBox, in_reading_order
from asset_pipeline.reading.wording import likeness, same_word, words_of


def read(*words: str, confidence: float = 0.99) -> list[ReadWord]:
    return [ReadWord(word, confidence) for word in words]


def box(
    readings: dict[Orientation, Sequence[ReadWord]], across: float = 0, down: float = 0, *, tall: bool = False
) -> TextBox:
    width, height = (20.0, 100.0) if tall else (100.0, 20.0)
    right, bottom = across + width, down + height
    return TextBox(
        ((across, down), (right, down), (right, bottom), (across, bottom)),
        {way: tuple(readings.get(way, ())) for way in ORIENTATIONS},
    )


# ---------------------------------------------------------------------------------------------- the same word


@pytest.mark.parametrize(
    ("expected", "as_read"),
    [
        ("Alpine", "ALPINE"),
        ("Crème", "CREME"),
        ("L’Oréal", "L'OREAL"),
        ("Ever-ready", "Everready"),
        ("STRASSE", "Straße"),
        ("No.", "No"),
        ("ILLY", "lLLY"),
        ("Illy", "1LLY"),
        ("N°10", "N°IO"),
        ("VÍA", "V1A"),
    ],
)
def test_case_accents_marks_and_letters_that_are_drawn_alike_do_not_count(
    expected: str, as_read: str
) -> None:
    assert same_word(expected, as_read)


@pytest.mark.parametrize(
    ("expected", "as_read"),
    [
        ("ALPINE", "ALPNIE"),
        ("ALPINE", "ALPINEE"),
        ("Olivara", "Oiivara"),
        ("250", "260"),
        ("2.5", "25"),
        ("1,5", "15"),
        ("が", "か"),
        ("कि", "का"),
    ],
)
def test_any_other_letter_or_digit_makes_another_word(expected: str, as_read: str) -> None:
    assert not same_word(expected, as_read)


def test_words_are_parted_by_blanks_and_by_signs_that_stand_in_no_word() -> None:
    assert words_of("Feige·Fig / 220 g – “Hafer & Salbei”") == ["Feige", "Fig", "220", "g", "Hafer", "Salbei"]


def test_likeness_is_the_share_of_letters_in_common() -> None:
    assert likeness("ALPINE", "alpine") == 1
    assert likeness("ALPINE", "ALPINA") == pytest.approx(10 / 12)
    assert likeness("ALPINE", "") == likeness("ALPINE", "oudy") == 0


# ------------------------------------------------------------ spelling


def test_the_share_is_that_of_the_words_that_are_right_to_the_letter() -> None:
    found = spelled(["ALPINE", "Spring water"], [read("Alpine", "SPRING", "WATRE")])
    assert found == Spelling(("ALPINE", "Spring"), (Misread("water", "WATRE", 0.99),))
    assert found.share == pytest.approx(2 / 3)


def test_what_is_not_there_is_missing_and_what_was_not_expected_is_added() -> None:
    found = spelled(["ALPINE", "Spring water"], [read("ALPINE", "Deluxe")])
    assert (found.right, found.missing, found.added) == (("ALPINE",), ("Spring", "water"), ("Deluxe",))
    assert found.share == pytest.approx(1 / 4)


def test_an_added_word_alone_makes_it_less_than_right() -> None:
    assert spelled(["ALPINE"], [read("ALPINE", "Deluxe")]).share == 0.5


@pytest.mark.parametrize(
    ("ghost", "confidence"),
    [
        ("1", 0.99),
        ("20", 0.99),
        ("1234", 0.99),
        ("ab1", 0.99),
        ("Deluxe", 0.89),
        ("PINE", 0.99),
        ("oney", 0.99),
    ],
)
def test_ghosts_and_pieces_of_words_are_not_added_words(ghost: str, confidence: float) -> None:
    seen = [*read("ALPINE", "HONEY"), ReadWord(ghost, confidence)]
    assert spelled(["ALPINE HONEY"], [seen]).added == ()


def test_what_else_is_known_to_stand_there_is_not_added() -> None:
    assert spelled(["ALPINE"], [read("ALPINE", "Filterkaffee")], ["Filterkaf"]).added == ()
    assert spelled(["ALPINE"], [read("ALPINE", "Filterkaffee")]).added == ("Filterkaffee",)


def test_words_that_were_read_as_one_and_a_word_that_was_read_in_pieces_are_right() -> None:
    assert spelled(["Olio extra vergine"], [read("OLIOEXTRA", "VERGINE")]).share == 1
    assert spelled(["SUNFLOWER oil"], [read("SUN", "FLOWER", "OIL")]).share == 1
    assert spelled(["Hochland No. 4"], [read("Hochland", "No.4")]).share == 1
    assert spelled(["SUNFLOWER"], [read("FLOWER", "SUN")]).share == 0


def test_words_of_two_phrases_are_not_put_together() -> None:
    assert spelled(["SUN", "FLOWER"], [read("SUNFLOWER")]).share == 0


def test_a_word_that_is_expected_twice_has_to_be_there_twice() -> None:
    found = spelled(["Honey", "Blossom honey"], [read("HONEY", "BLOSSOM")])
    assert (len(found.right), found.missing) == (2, ("honey",))


def test_what_was_right_in_one_look_is_right_and_the_rest_is_told_by_the_best_look() -> None:
    found = spelled(
        ["ALPINE spring WATER"], [read("ALPINE", "WATRE"), read("ALPINE", "spring", "WATTER"), []]
    )
    assert found == Spelling(("ALPINE", "spring"), (Misread("WATER", "WATTER", 0.99),))


def test_the_nearest_reading_is_told_for_each_wrong_word_once() -> None:
    found = spelled(["Linden", "Lindenhonig"], [read("Lindenhonik", "Lindem")])
    assert {(each.expected, each.read) for each in found.wrong} == {
        ("Linden", "Lindem"),
        ("Lindenhonig", "Lindenhonik"),
    }


def test_without_any_reading_all_is_missing_and_without_words_there_is_no_share() -> None:
    assert spelled(["ALPINE"], []).missing == ("ALPINE",)
    assert spelled(["ALPINE"], [[]]).share == 0
    assert spelled([], [read("ALPINE")]).share is None


def test_words_that_are_excused_do_not_count() -> None:
    found = spelled(["ALPINE spring water"], [read("ALPINE", "WATRE")]).without({"spring", "water"})
    assert (found.share, found.unread) == (1, ())


# ------------------------------------------------------------ orientation


def test_the_way_in_which_the_words_are_read_with_most_confidence_is_how_they_stand() -> None:
    label = box({"upright": read("KALDERA", confidence=0.4), "upside down": read("KALDERA", confidence=0.98)})
    found = which_way_up([label], ["KALDERA"])
    assert (found.stands, found.words) == ("upside down", ("KALDERA",))
    assert found.margin == pytest.approx(0.4 - 0.98)
    assert found.scores["upright"] == pytest.approx(0.4)


def test_likeness_counts_as_much_as_confidence() -> None:
    label = box({"upright": read("KALDERA", confidence=0.8), "mirrored": read("ARDLA", confidence=1.0)})
    assert which_way_up([label], ["KALDERA"]).stands == "upright"


def test_a_word_is_found_in_a_line_whose_blanks_were_not_seen_but_a_short_one_is_not() -> None:
    line = box({"upright": read("Olioextravergine"), "mirrored": read("extru", "Hamlet")})
    assert which_way_up([line], ["extra"]).scores["upright"] == pytest.approx(0.99)
    assert which_way_up([line], ["ml"]).reason


def test_words_that_were_not_seen_whichever_way_say_nothing() -> None:
    label = box({"upright": read("KALDERA")})
    assert which_way_up([label], ["KALDERA", "Ground coffee"]).margin == pytest.approx(0.99)


def test_short_words_are_found_anywhere_and_decide_only_where_there_are_no_others() -> None:
    label = box({"mirrored": read("g", "ml"), "upright": read("OIL", confidence=0.7)})
    assert which_way_up([label], ["OIL 75 ml", "g"]).stands == "upright"
    assert which_way_up([label], ["ml"]).stands == "mirrored"


def test_where_no_expected_word_was_read_there_is_a_reason_and_no_number() -> None:
    for boxes in (
        [],
        [box({"upright": read("Something")})],
        [box({"upright": read("KALDERA", confidence=0.4)})],
    ):
        found = which_way_up(boxes, ["KALDERA"])
        assert (found.stands, found.margin) == (None, None)
        assert "whichever way" in (found.reason or "")


def test_a_word_that_looks_the_same_mirrored_is_upright_in_both() -> None:
    same = box({"upright": read("OTTO"), "mirrored": read("OTTO"), "upside down": read("0110")})
    assert which_way_up([same], ["OTTO"]).margin == pytest.approx(0.99)
    with_another = box({"upright": read("OTTO"), "mirrored": read("OTTO", "KALDERA")})
    assert which_way_up([with_another], ["OTTO", "KALDERA"]).stands == "mirrored"


@pytest.mark.parametrize(
    ("word", "ways"),
    [
        ("OTTO", {"upright", "mirrored"}),
        ("SIS", {"upright", "upside down"}),
        ("HIDE", {"upright", "flipped"}),
        ("OXO", {"upright", "upside down", "mirrored", "flipped"}),
        ("KALDERA", {"upright"}),
        ("TOM", {"upright"}),
    ],
)
def test_which_words_look_the_same_when_they_are_turned(word: str, ways: set[Orientation]) -> None:
    assert {way for way in ORIENTATIONS if looks_the_same(word, way)} == ways


def test_words_that_are_meant_to_stand_on_their_side_are_as_meant() -> None:
    label = box({"anticlockwise": read("RUNDLE"), "upright": read("12")}, tall=True)
    assert which_way_up([label], ["RUNDLE"], "anticlockwise").margin == pytest.approx(0.99)
    assert which_way_up([label], ["RUNDLE"]).margin == pytest.approx(-0.99)


@pytest.mark.parametrize(
    ("way", "places"),
    [
        ("upright", [(0, 0), (120, 3), (10, 40)]),
        ("upside down", [(120, 40), (0, 37), (110, 0)]),
        ("mirrored", [(120, 0), (0, 3), (110, 40)]),
        ("flipped", [(0, 40), (120, 37), (10, 0)]),
    ],
)
def test_boxes_are_read_line_by_line_as_their_words_stand(
    way: Orientation, places: list[tuple[float, float]]
) -> None:
    boxes = [box({way: read(str(number))}, *place) for number, place in enumerate(places)]
    ordered = in_reading_order(boxes[::-1], way)
    assert [each.readings[way][0].text for each in ordered] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("way", "places"),
    [
        ("clockwise", [(40, 0), (37, 120), (0, 10)]),
        ("anticlockwise", [(0, 120), (3, 0), (40, 110)]),
    ],
)
def test_lines_that_run_down_or_up_are_read_so(way: Orientation, places: list[tuple[float, float]]) -> None:
    boxes = [box({way: read(str(number))}, *place, tall=True) for number, place in enumerate(places)]
    ordered = in_reading_order(boxes[::-1], way)
    assert [each.readings[way][0].text for each in ordered] == ["0", "1", "2"]


# ---------------------------------------------------------------------------------------------- photographs


def test_a_photograph_says_the_confident_words_of_boxes_with_three_letters_or_digits() -> None:
    look = (
        box({"upright": read("1")}),
        box({"upright": [*read("75", "ml"), *read("e", confidence=0.8)]}, down=40),
        box({"upright": read("20")}, down=80),
        box({"upright": read("SALVIA", confidence=0.89)}, down=120),
    )
    found = words_of_photograph([look])
    assert (found.phrases, found.stands) == (("75 ml",), "upright")


def test_of_several_looks_the_one_that_shows_most_says_the_words() -> None:
    looks = [(box({"upright": read("SALV")}),), (box({"anticlockwise": read("SALVIA")}),), ()]
    found = words_of_photograph(looks)
    assert (found.phrases, found.stands) == (("SALVIA",), "anticlockwise")
