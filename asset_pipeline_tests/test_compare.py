"""Two campaigns side by side: the same kind of pictures is told from another kind."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from asset_pipeline.candidates.records import record_candidates
from asset_pipeline.cli import main
from asset_pipeline.commands import compare, terminal
from asset_pipeline.definitions import Places
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scores.records import judge_candidates, record_scores
from asset_pipeline.scores.score import Score
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_candidates import made_candidate
from asset_pipeline_tests.small_project import CAMPAIGN, write_project


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ("before", "after", "drawn", "short")
    data = write_project(tmp_path, products=1, campaigns=dict.fromkeys(names, CAMPAIGN))
    places = Places.of({"ASSET_PIPELINE_DATA": str(data)})
    for module in (terminal, compare):
        monkeypatch.setattr(module, "PLACES", places)
    monkeypatch.setenv("DAGSTER_HOME", str(data / "dagster"))
    store = terminal.the_store()
    record(store, "before", range(12), striped=False)
    record(store, "after", range(100, 112), striped=False)
    record(store, "drawn", range(12), striped=True)
    record(store, "short", range(9), striped=False)
    return data


def record(store: Store, campaign: str, seeds: range, *, striped: bool) -> None:
    """Pictures of blocks, or of stripes; every third of them is too dark."""
    made = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        blocks = random.integers(40, 220, (1, 16, 3) if striped else (4, 4, 3))
        tall, wide = (96, 6) if striped else (24, 24)
        pixels = blocks.repeat(tall, axis=0).repeat(wide, axis=1).astype(np.uint8)
        image = store.images.put(lossless_webp(pixels), "webp")
        made.append(made_candidate(image, seed=seed, cost_usd=0.01))
    scores = [
        Score(candidate_id=each.candidate_id, image_sha256=each.image_sha256 or "", dimension="light",
              scorer_version="1", value=float(place % 3 > 0))
        for place, each in enumerate(made)
    ]  # fmt: skip
    record_candidates(store, campaign, made, run_id="r")
    judged = judge_candidates(made, scores, {"default": {"light": Threshold(min=1)}})
    record_scores(store, campaign, judged, run_id="r")


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", *arguments])


@pytest.mark.usefixtures("data")
def test_other_pictures_of_one_kind_show_no_difference() -> None:
    said = asked("before", "after").output
    assert "no difference is shown" in said
    assert "Fréchet" not in said


@pytest.mark.usefixtures("data")
def test_another_kind_of_pictures_differs() -> None:
    said = asked("before", "drawn").output
    assert "they differ" in said
    assert "by chance in 0.1% of shuffles" in said


@pytest.mark.usefixtures("data")
def test_pass_rates_and_cost_stand_beside_each_other() -> None:
    lines = {
        line.split("│")[1].strip(): line
        for line in asked("before", "after").output.splitlines()
        if "│" in line
    }
    assert lines["passes light"].count("67%") == 2
    assert lines["cost of a picture"].count("$0.0100") == 2
    assert lines["pictures"].count("12") == 2


@pytest.mark.usefixtures("data")
def test_too_few_pictures_are_an_answer_in_words() -> None:
    result = asked("before", "short")
    assert result.exit_code == 1
    assert "short has 9 pictures, and a comparison takes 10" in result.output


@pytest.mark.usefixtures("data")
def test_a_campaign_that_is_none_is_named() -> None:
    result = asked("before", "nothing")
    assert result.exit_code == 1
    assert "there is no campaign 'nothing'" in result.output
