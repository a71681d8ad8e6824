"""What the scores room promises: measured once, judged by today's rules, and nothing missing passes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.errors import InvalidFile
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import (
    JudgedScore,
    judge_candidates,
    load_thresholds,
    scores_sha256,
    summed_up,
)
from asset_pipeline.scores.score import Expectation, Look, Measured, Score
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store

STRICT = {"default": {"brightness": Threshold(min=100)}}


@dataclass
class Brightness:
    """Measures the mean of the pixels, and counts how often."""

    dimension: str = "brightness"
    version: str = "1"
    unit: str = "levels"
    expects: tuple[str, ...] = ()
    better: str = "higher"
    measured: list[float] = field(default_factory=list)

    def measure(self, look: Look) -> Measured:
        self.measured.append(float(look.pixels.mean()))
        return Measured(value=self.measured[-1])


class Blind(Brightness):
    """Never sees anything."""

    def measure(self, look: Look) -> Measured:  # noqa: ARG002 - the protocol's
        return Measured(reason="it is dark")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def candidate(store: Store, level: int, asset_type: str = "tile") -> Candidate:
    image = store.images.put(lossless_webp(np.full((64, 64, 3), level, np.uint8)), "webp")
    request = ImageRequest(prompt="a", width=64, height=64, seed=level, profile_fingerprint="x")
    return Candidate(
        candidate_id=request.candidate_id,
        prompt_id="p",
        prompt_fact_sha256="f",
        sku="SKU",
        asset_type=asset_type,
        locale="en-GB",
        position=0,
        profile="drawing",
        provider="drawing",
        provider_version="1",
        request=request,
        state="made",
        attempt=1,
        image_sha256=image,
    )


def measure(store: Store, candidates: list[Candidate], *scorers: Brightness) -> tuple[list[Score], int]:
    return measure_missing(
        Measuring(store, scorers, lambda _: Expectation()),
        "spring",
        candidates,
        run_id="r",
        report=lambda _: None,
    )


def judged(
    store: Store, made: Candidate, scorer: Brightness, thresholds: dict[str, dict[str, Threshold]]
) -> list[JudgedScore]:
    return judge_candidates([made], measure(store, [made], scorer)[0], thresholds)


def test_what_was_measured_once_is_not_measured_again(store: Store) -> None:
    scorer, candidates = Brightness(), [candidate(store, 50), candidate(store, 200)]
    first = measure(store, candidates, scorer)
    again = measure(store, candidates, scorer)
    assert (first[1], again[1]) == (2, 0)
    assert first[0] == again[0]
    assert sorted(scorer.measured) == [50, 200]


def test_a_scorer_of_another_version_measures_its_own_dimension_again_and_no_other(store: Store) -> None:
    made = [candidate(store, 50)]
    kept = Brightness(dimension="kept")
    measure(store, made, Brightness(), kept)
    newer = Brightness(version="2")
    assert measure(store, made, newer, kept)[1] == 1
    assert (len(newer.measured), len(kept.measured)) == (1, 1)


def test_a_changed_threshold_judges_anew_without_measuring(store: Store) -> None:
    scorer, made = Brightness(), candidate(store, 50)
    strict = summed_up(judged(store, made, scorer, STRICT))
    lenient = summed_up(judged(store, made, scorer, {"default": {"brightness": Threshold(min=10)}}))
    assert (strict.passes, lenient.passes) == (False, True)
    assert strict.rules_sha256 != lenient.rules_sha256
    assert len(scorer.measured) == 1


def test_what_could_not_be_measured_does_not_pass_and_says_why(store: Store) -> None:
    verdict = summed_up(judged(store, candidate(store, 200), Blind(), STRICT))
    assert not verdict.passes
    assert verdict.quality is None
    assert "it is dark" in verdict.reasons[0]


def test_a_threshold_that_nothing_measures_does_not_pass(store: Store) -> None:
    rules = {"default": {"brightness": Threshold(min=1), "beauty": Threshold(min=1)}}
    verdict = summed_up(judged(store, candidate(store, 200), Brightness(), rules))
    assert not verdict.passes
    assert "no scorer measures it" in verdict.reasons[0]


def test_a_warning_is_said_and_does_not_block(store: Store) -> None:
    rules = {"default": {"brightness": Threshold(min=250, level="warn")}}
    verdict = summed_up(judged(store, candidate(store, 200), Brightness(), rules))
    assert verdict.passes
    assert len(verdict.reasons) == 1


def test_an_asset_type_has_its_own_thresholds_or_the_default_ones(store: Store) -> None:
    rules = STRICT | {"dark": {"brightness": Threshold(max=100)}}
    for asset_type, passes in (("tile", False), ("dark", True)):
        made = candidate(store, 50, asset_type)
        assert summed_up(judged(store, made, Brightness(), rules)).passes is passes


def test_an_image_that_is_altered_is_not_measured(store: Store) -> None:
    made = candidate(store, 50)
    path = Path(store.files.root, store.images.path(made.image_sha256 or "") or "")
    path.write_bytes(b"not what it was")
    ((score,), _) = measure(store, [made], Brightness())
    assert score.value is None
    assert "altered" in (score.reason or "")


def test_the_hash_over_scores_does_not_depend_on_their_order(store: Store) -> None:
    made = candidate(store, 50)
    scores = judge_candidates(
        [made], measure(store, [made], Brightness(), Brightness(dimension="b"))[0], STRICT
    )
    assert scores_sha256(scores) == scores_sha256(scores[::-1])
    assert scores_sha256(scores) != scores_sha256(scores[:1])


def test_thresholds_without_a_default_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thresholds.yaml").write_text("tile: {brightness: {min: 1}}\n")
    with pytest.raises(InvalidFile, match="default"):
        load_thresholds(tmp_path)
