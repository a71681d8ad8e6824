"""What agreement means: published examples come out as published, and chance is 0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.calibration.agreement import Ratings, cohens_kappa, gwets_ac1, krippendorffs_alpha


def rated(*raters: str) -> list[Ratings]:
    """Each rater's ratings as words, in the order of the subjects; a point where there is none."""
    rows = [rater.split() for rater in raters]
    return [
        {str(number): word for number, word in enumerate(words) if word != "."}
        for words in zip(*rows, strict=True)
    ]


def table(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[str], list[str]]:
    """Two raters who say yes or no, by how often they said what together."""
    first = ["yes"] * (both + only_first) + ["no"] * (only_second + neither)
    second = ["yes"] * both + ["no"] * only_first + ["yes"] * only_second + ["no"] * neither
    return first, second


def paired(first: list[str], second: list[str]) -> list[Ratings]:
    return [{"first": one, "second": other} for one, other in zip(first, second, strict=True)]


def test_two_readers_of_fifty_proposals_have_a_kappa_of_0_4() -> None:
    assert cohens_kappa(*table(20, 5, 10, 15)) == pytest.approx(0.4)


@pytest.mark.parametrize(("cells", "kappa"), [((45, 15, 25, 15), 0.1304), ((25, 35, 5, 35), 0.2593)])
def test_the_same_observed_agreement_is_worth_more_where_chance_gives_less(
    cells: tuple[int, int, int, int], kappa: float
) -> None:
    assert cohens_kappa(*table(*cells)) == pytest.approx(kappa, abs=5e-5)


def test_krippendorffs_four_observers_with_missing_ratings() -> None:
    subjects = rated(
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    assert krippendorffs_alpha(subjects) == pytest.approx(0.743, abs=5e-4)


def test_krippendorffs_two_observers_of_two_and_of_five_words() -> None:
    assert krippendorffs_alpha(rated("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")) == pytest.approx(
        0.095, abs=5e-4
    )
    assert krippendorffs_alpha(rated("a a b b d c c c e d d a", "b a b b b c c c e d d d")) == pytest.approx(
        0.692, abs=5e-4
    )


def test_gwets_example_where_kappa_falls_below_nothing_though_raters_hardly_differ() -> None:
    first, second = table(118, 5, 2, 0)
    assert cohens_kappa(first, second) == pytest.approx(-0.0234, abs=5e-5)
    assert gwets_ac1(paired(first, second)) == pytest.approx(0.9408, abs=5e-5)


def test_krippendorffs_four_observers_by_gwets_coefficient() -> None:
    subjects = rated(
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    assert gwets_ac1(subjects) == pytest.approx(0.77544, abs=5e-6)


def test_where_nothing_can_be_said_nothing_is() -> None:
    assert cohens_kappa([], []) is None
    assert cohens_kappa(["yes"] * 3, ["yes"] * 3) is None
    assert krippendorffs_alpha([{"anna": "yes"}]) is None
    assert krippendorffs_alpha([{"anna": "yes", "ben": "yes"}]) is None
    assert gwets_ac1([{"anna": "yes"}]) is None


def test_raters_who_all_say_the_same_word_agree_fully_by_gwets_coefficient() -> None:
    assert gwets_ac1([{"anna": "yes", "ben": "yes"}] * 5) == 1


def test_two_raters_of_different_subjects_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="longer"):
        cohens_kappa(["yes"], ["yes", "no"])


subjects = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["approve", "reject"]), max_size=4), max_size=20
)


@given(subjects, st.randoms(use_true_random=False))
def test_neither_names_nor_order_matter_and_nothing_exceeds_full_agreement(
    given_subjects: list[Ratings], random: object
) -> None:
    shuffled = [dict(each) for each in given_subjects]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    swapped = [
        {name.upper(): {"approve": "reject", "reject": "approve"}[word] for name, word in each.items()}
        for each in shuffled
    ]
    for coefficient in (krippendorffs_alpha, gwets_ac1):
        found = coefficient(given_subjects)
        assert found == pytest.approx(coefficient(swapped))
        assert found is None or found <= 1


@given(subjects)
def test_a_subject_with_one_rating_changes_nothing_for_krippendorff(given_subjects: list[Ratings]) -> None:
    with_more = [*given_subjects, {"a": "approve"}]
    assert krippendorffs_alpha(with_more) == krippendorffs_alpha(given_subjects)


@given(st.lists(st.sampled_from(["approve", "reject"]), min_size=2, max_size=20))
def test_raters_who_never_differ_agree_fully(words: list[str]) -> None:
    kappa, ratings = cohens_kappa(words, words), paired(words, words)
    assert kappa == (None if len(set(words)) == 1 else 1)
    assert krippendorffs_alpha(ratings) == (None if len(set(words)) == 1 else 1)
    assert gwets_ac1(ratings) == 1
