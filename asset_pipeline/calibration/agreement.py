"""How far people agree with each other, and scores with people, beyond what chance would give.

A rating is a word; a subject is rated by some of the raters. Three coefficients, 1 being full agreement and 0
what chance gives, each none where it is not defined: nobody rated the same subject twice, or, but for AC1,
all ratings are one word.

- Cohen's kappa (Educational and Psychological Measurement 20, 1960): two raters.
- Krippendorff's alpha, nominal (Content Analysis, 1980; Hayes and Krippendorff 2007): any number of raters,
  who need not rate everything.
- Gwet's AC1 (British Journal of Mathematical and Statistical Psychology 61, 2008): the same, and steady where
  nearly everything gets one word, where the other two sink to 0 although people hardly ever differ.

A score cannot agree with people more than people agree with each other. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

Ratings = Mapping[str, str]
"""What each rater said of one subject."""


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Two raters' agreement on subjects that both rated.

    Raises:
        ValueError: they rated different numbers of subjects.
    """
    pairs = list(zip(first, second, strict=True))
    if not pairs:
        return None
    observed = sum(one == other for one, other in pairs) / len(pairs)
    ours, theirs = Counter(first), Counter(second)
    expected = sum(ours[word] * theirs[word] for word in ours) / len(pairs) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorffs_alpha(subjects: Sequence[Ratings]) -> float | None:
    """Any number of raters' agreement; a subject with a single rating says nothing and is left out."""
    counts = [Counter(ratings.values()) for ratings in subjects if len(ratings) > 1]
    totals: Counter[str] = Counter()
    disagreeing = 0.0
    for each in counts:
        given = each.total()
        totals.update(each)
        disagreeing += (given**2 - sum(count**2 for count in each.values())) / (given - 1)
    values = totals.total()
    by_chance = values**2 - sum(count**2 for count in totals.values())
    return None if by_chance == 0 else 1 - (values - 1) * disagreeing / by_chance


def gwets_ac1(subjects: Sequence[Ratings]) -> float | None:
    """Any number of raters' agreement; how often each word is given is taken from all subjects."""
    rated = [Counter(ratings.values()) for ratings in subjects if ratings]
    twice = [each for each in rated if each.total() > 1]
    words = set(chain.from_iterable(rated))
    if not twice:
        return None
    observed = sum(
        sum(count * (count - 1) for count in each.values()) / (each.total() * (each.total() - 1))
        for each in twice
    ) / len(twice)
    shares = [sum(each[word] / each.total() for each in rated) / len(rated) for word in words]
    # another word could be given, even where nobody did
    expected = sum(share * (1 - share) for share in shares) / max(1, len(words) - 1)
    return (observed - expected) / (1 - expected)
