"""What the UI shows of scores: numbers a person can trust, and checks that name the right culprit."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from asset_pipeline.campaign.metadata import shown
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scores.checks import the_pass_rate_is_usual, what_blocks_is_measured
from asset_pipeline.scores.records import JudgedScore, judge_candidates, record_scores
from asset_pipeline.scores.score import Score
from asset_pipeline.scores.summary import PLOTTED, describe_scores, tallies
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_candidates import made_candidate

THRESHOLDS = {
    "default": {"sharpness": Threshold(max=0.5), "exposure": Threshold(max=0.1, level="warn")},
    "hero": {"sharpness": Threshold(max=0.7), "legible": Threshold(min=1)},
}
Given = list[tuple[Candidate, tuple[JudgedScore, ...]]]
"""Candidates with their scores."""

UNSEEN = "no mask"
NONE_THERE = "it has no label"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def candidate(store: Store, number: int, asset_type: str = "tile") -> Candidate:
    pixels = np.full((64, 64, 3), 40 + number, np.uint8)
    image = store.images.put(lossless_webp(pixels), "webp")
    return made_candidate(
        image, seed=number, candidate_id=f"c{number:02d}", sku=f"SKU-{number}", asset_type=asset_type
    )


def judged(made: Candidate, **values: float | str) -> tuple[JudgedScore, ...]:
    """A candidate's scores: a number, or the reason that there is none."""
    scores = [
        Score(
            candidate_id=made.candidate_id,
            image_sha256=made.image_sha256 or "",
            dimension=dimension,
            scorer_version="1",
            value=None if isinstance(value, str) else value,
            reason=value if isinstance(value, str) else None,
            applies=value != NONE_THERE,
        )
        for dimension, value in values.items()
    ]
    return tuple(judge_candidates([made], scores, THRESHOLDS))


def described(store: Store, given: Given) -> dict[str, Any]:
    return describe_scores(store, *apart(given), 0)


def apart(given: Given) -> tuple[list[Candidate], list[JudgedScore]]:
    return [made for made, _ in given], [score for _, scores in given for score in scores]


def row_of(table: str, dimension: str) -> list[str]:
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {dimension} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.fixture
def metadata(store: Store) -> dict[str, Any]:
    tiles = [candidate(store, number) for number in range(4)]
    heroes = [candidate(store, number, "hero") for number in range(4, 7)]
    return describe_scores(
        store,
        [*tiles, *heroes],
        [
            *judged(tiles[0], sharpness=0.2, exposure=0.0),
            *judged(tiles[1], sharpness=0.4, exposure=0.5),
            *judged(tiles[2], sharpness=0.9, exposure=0.0),
            *judged(tiles[3], sharpness=UNSEEN, exposure=0.0),
            *judged(heroes[0], sharpness=0.6, exposure=0.9, legible=1.0),
            *judged(heroes[1], sharpness=0.6, exposure=0.9, legible=NONE_THERE),
            *judged(heroes[2], sharpness=0.6, exposure=0.9, legible=NONE_THERE),
        ],
        fresh=3,
    )


def test_the_verdicts_are_counted_by_dimension_with_the_threshold(metadata: dict[str, Any]) -> None:
    assert row_of(metadata["verdicts"], "sharpness") == [
        "sharpness",
        "≤ 0.5, ≤ 0.7",
        "block",
        "5",
        "1",
        "1",
        "0",
    ]
    assert row_of(metadata["verdicts"], "exposure") == ["exposure", "≤ 0.1", "warn", "3", "1", "0", "0"]
    assert row_of(metadata["verdicts"], "legible") == ["legible", "≥ 1", "block", "1", "0", "0", "2"]


def test_a_pass_rate_leaves_out_what_does_not_apply_and_counts_what_is_missing(
    metadata: dict[str, Any],
) -> None:
    assert metadata["pass rate"] == pytest.approx(5 / 7)
    assert metadata["pass rate: sharpness"] == pytest.approx(5 / 7)
    assert metadata["pass rate: exposure"] == pytest.approx(3 / 4)
    assert metadata["pass rate: legible"] == 1.0
    assert metadata["does not apply"] == 2


def test_pass_rates_are_numbers_that_dagster_plots(metadata: dict[str, Any]) -> None:
    of_dagster = shown(metadata)
    rates = [value for name, value in of_dagster.items() if name.startswith("pass rate")]
    assert len(rates) == 4
    assert all(isinstance(rate, dg.FloatMetadataValue) for rate in rates)


def test_a_dimension_that_applies_to_no_image_has_no_pass_rate(store: Store) -> None:
    hero = candidate(store, 1, "hero")
    found = described(store, [(hero, judged(hero, sharpness=0.1, legible=NONE_THERE))])
    assert "pass rate: legible" not in found
    assert found["pass rate"] == 1.0


def test_so_many_rates_are_plotted_and_those_that_block_come_first(store: Store) -> None:
    made = candidate(store, 1)
    level = {"block": 30, "warn": 30}
    thresholds = {
        f"{name}-{number:02d}": Threshold(min=0, level=name)
        for name, count in level.items()
        for number in range(count)
    }
    found = describe_scores(store, [made], judge_candidates([made], [], {"default": thresholds}), 0)
    rates = [name for name in found if name.startswith("pass rate: ")]
    assert len(rates) == PLOTTED
    assert sum("block" in name for name in rates) == 30
    assert len(found["verdicts"].splitlines()) == 62


def test_the_worst_come_with_their_reasons_and_the_best_beside_them(metadata: dict[str, Any]) -> None:
    rows = metadata["worst"].splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows[:2]] == ["c03", "c02"]
    assert "sharpness was not measured: no mask" in rows[0]
    assert "sharpness 0.9 is above 0.5" in rows[1]
    for sheet in ("worst images", "best images"):
        assert metadata[sheet].startswith("![contact sheet](data:image/jpeg;base64,")
    assert metadata["worst images"] != metadata["best images"]


def test_a_persons_words_do_not_break_the_table(store: Store) -> None:
    made = candidate(store, 1)
    found = described(store, [(made, judged(made, sharpness="a | b\nc"))])
    (row,) = found["worst"].splitlines()[2:]
    assert row.endswith("a \\| b c |")


def test_a_campaign_without_images_is_described_too(store: Store) -> None:
    found = describe_scores(store, [], [], 0)
    assert (found["pass rate"], found["worst images"]) == (0.0, "no pictures")


def test_what_is_not_judged_is_in_the_values_and_in_no_tally(store: Store) -> None:
    made = candidate(store, 1)
    scores = judged(made, sharpness=0.1, noise=2.0)
    assert [tally.dimension for tally in tallies(scores)] == ["sharpness", "exposure"]
    assert row_of(described(store, [(made, scores)])["by dimension"], "noise")[1:3] == ["1", "2"]


# -------------------------------------------------------------------------------------------------- checks


@dg.asset(name="scores", partitions_def=campaigns)
def scored() -> None:
    """The scores are recorded already; their checks belong to an asset of this name."""


def checked(
    check: dg.AssetChecksDefinition, store: Store, data: Path, given: Given
) -> dg.AssetCheckEvaluation:
    """What a check says of a campaign in Dagster."""
    candidates, scores = apart(given)
    store.facts.write(CANDIDATES, "spring", candidates, run_id="r")
    record_scores(store, "spring", scores, run_id="r")
    defs = dg.Definitions(
        assets=[scored],
        asset_checks=[check],
        jobs=[dg.define_asset_job("check")],
        resources={"store": store, "data": data},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", ["spring"])
        result = defs.resolve_job_def("check").execute_in_process(partition_key="spring", instance=instance)
        (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def pass_rates(data: Path, **rates: float) -> Path:
    blocks = {"default": "{sharpness: {max: 0.5}}", "hero": "{sharpness: {max: 0.7}}"}
    for name, rate in rates.items():
        blocks[name] = f"{{pass_rate: {rate}, {blocks[name][1:]}"
    data.mkdir(exist_ok=True)
    (data / "thresholds.yaml").write_text("\n".join(f"{name}: {block}" for name, block in blocks.items()))
    return data


def half_pass(store: Store, asset_type: str) -> Given:
    given: Given = []
    for number in range(4):
        made = candidate(store, number, asset_type)
        given.append((made, judged(made, sharpness=0.1 if number < 2 else 0.9, exposure=0.0, legible=1.0)))
    return given


@pytest.mark.parametrize(
    ("asset_type", "rates", "passed"),
    [
        ("tile", {}, True),
        ("tile", {"default": 0.6}, False),
        ("tile", {"default": 0.3}, True),
        ("tile", {"hero": 0.9}, True),
        ("hero", {"hero": 0.6}, False),
        ("hero", {"default": 0.6}, False),
        ("hero", {"default": 0.9, "hero": 0.4}, True),
    ],
)
def test_the_usual_pass_rate_is_that_of_the_asset_type(
    store: Store, tmp_path: Path, asset_type: str, rates: dict[str, float], passed: bool
) -> None:
    data = pass_rates(tmp_path / "data", **rates)
    result = checked(the_pass_rate_is_usual, store, data, half_pass(store, asset_type))
    assert result.passed is passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    if not passed:
        assert f"{asset_type}: 50% of the images pass" in (result.description or "")


def test_a_scorer_without_its_model_is_told_as_such(store: Store, tmp_path: Path) -> None:
    given: Given = []
    for number in range(10):
        made = candidate(store, number)
        given.append((made, judged(made, sharpness="the model files are not here", exposure=0.0)))
    result = checked(what_blocks_is_measured, store, tmp_path, given)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "10 of 10 images: sharpness was not measured: the model files are not here" in (
        result.description or ""
    )


@pytest.mark.parametrize(("missing", "passed"), [(0, True), (1, True), (2, False)])
def test_a_few_images_without_a_value_are_the_images_own_matter(
    store: Store, tmp_path: Path, missing: int, passed: bool
) -> None:
    given: Given = []
    for number in range(20):
        made = candidate(store, number)
        sharpness = UNSEEN if number < missing else 0.1
        given.append((made, judged(made, sharpness=sharpness, exposure=UNSEEN)))
    assert checked(what_blocks_is_measured, store, tmp_path, given).passed is passed


def test_images_that_fail_or_to_which_it_does_not_apply_are_measured(store: Store, tmp_path: Path) -> None:
    given: Given = []
    for number in range(10):
        made = candidate(store, number, "hero")
        given.append((made, judged(made, sharpness=0.9, exposure=0.0, legible=NONE_THERE)))
    assert checked(what_blocks_is_measured, store, tmp_path, given).passed
