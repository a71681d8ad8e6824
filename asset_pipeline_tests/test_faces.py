"""Faces where there are to be people, by the detector that the project ships."""

import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import yaml

from asset_pipeline.checkpoints.checkpoint import describe_folder
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.scorers.faces import SIDE, Faces, Reduced
from asset_pipeline.scores.judging import version_for
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Expectation, Look, Measured, ModelScorer, Pixels

DATA = Path(__file__).parent.parent / "data"
LEAST = load_requirements(DATA).thresholds["default"]["faces"].min or 0.0
WEIGHTS = DATA / "models" / "yunet" / "face_detection_yunet_2023mar.onnx"
PERSON: Pixels = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
"""Eileen Collins, by NASA; 512 × 512, her face at 178 to 268 from the left and 63 to 176 from the top."""
PEOPLE = Expectation(people=True)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(Checkpoints(DATA, {}))


def look(pixels: Pixels, expectation: Expectation = PEOPLE) -> Look:
    return Look(pixels, None, b"", (1, 1), expectation=expectation)


def value(faces: Faces, pixels: Pixels) -> float:
    measured = faces.measure(look(pixels))
    assert measured.value is not None, measured.reason
    return measured.value


def beside(*pictures: Pixels) -> Pixels:
    return np.hstack(pictures)


def at_size(side: int) -> Pixels:
    """The person at another size, in the corner of a grey frame of 512 × 512."""
    frame = np.full((512, 512, 3), 120, np.uint8)
    frame[:side, :side] = cv2.resize(PERSON, (side, side), interpolation=cv2.INTER_AREA)
    return frame


def test_a_person_has_a_face_and_the_details_say_where(faces: Faces) -> None:
    measured = faces.measure(look(PERSON))
    assert measured.value is not None
    assert measured.value > 0.9 > LEAST
    assert measured.details["faces"] == 1
    ((left, top, width, height, sure),) = measured.details["boxes"]
    assert left == pytest.approx(178 / 512, abs=0.03)
    assert top == pytest.approx(63 / 512, abs=0.03)
    assert width == pytest.approx(90 / 512, abs=0.04)
    assert height == pytest.approx(113 / 512, abs=0.04)
    assert sure == measured.value


def test_every_face_is_counted_and_the_surest_one_is_the_value(faces: Faces) -> None:
    blurred = np.asarray(cv2.GaussianBlur(PERSON, (0, 0), 6), np.uint8)
    measured = faces.measure(look(beside(blurred, PERSON)))
    assert measured.details["faces"] == 2
    assert measured.value == max(box[4] for box in measured.details["boxes"])
    assert measured.details["least_sure"] == min(box[4] for box in measured.details["boxes"])
    assert measured.details["least_sure"] < measured.value


@pytest.mark.parametrize("name", ["coffee", "cat", "rocket"])
def test_where_nobody_is_there_is_no_face_and_that_fails(faces: Faces, name: str) -> None:
    measured = faces.measure(look(np.asarray(getattr(skimage.data, name)(), np.uint8)))
    assert measured.value == 0 < LEAST
    assert measured.details == {"faces": 0, "tiny": 0, "boxes": []}


def test_people_without_their_heads_are_without_a_face(faces: Faces) -> None:
    assert value(faces, PERSON[200:]) == 0


@pytest.mark.parametrize("side", [768, 1536, 3000])
def test_it_does_not_depend_on_how_large_the_picture_is(faces: Faces, side: int) -> None:
    larger = np.asarray(cv2.resize(PERSON, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    measured = faces.measure(look(larger))
    assert (measured.value or 0) > 0.85
    assert measured.details["boxes"][0][0] == pytest.approx(178 / 512, abs=0.03)


def test_wide_and_tall_pictures_are_searched_as_a_whole(faces: Faces) -> None:
    wide = np.full((512, 1900, 3), 90, np.uint8)
    wide[:, -512:] = PERSON
    measured = faces.measure(look(wide))
    assert (measured.value or 0) > LEAST
    left, top = measured.details["boxes"][0][:2]
    assert left == pytest.approx((1900 - 512 + 178) / 1900, abs=0.02)
    assert top == pytest.approx(63 / 512, abs=0.05)
    tall = np.full((1900, 512, 3), 90, np.uint8)
    tall[-512:] = PERSON
    assert value(faces, tall) > LEAST


def test_a_face_that_is_tiny_in_the_picture_is_counted_and_does_not_count(faces: Faces) -> None:
    small = faces.measure(look(at_size(160)))
    assert (small.value or 0) > LEAST
    tiny = faces.measure(look(at_size(64)))
    assert tiny.value == 0
    assert tiny.details["faces"] == 0
    assert tiny.details["tiny"] == 1


def test_where_no_people_are_to_be_seen_it_does_not_apply(faces: Faces) -> None:
    for measured in (
        faces.measure(look(PERSON, Expectation())),
        faces.reduce(look(PERSON, Expectation())),
    ):
        assert isinstance(measured, Measured)
        assert measured.value is None
        assert not measured.applies
        assert measured.reason == "its asset type shows no people"


def test_an_asset_type_that_begins_to_show_people_is_measured_anew(faces: Faces) -> None:
    assert version_for(faces, PEOPLE) != version_for(faces, Expectation())
    assert version_for(faces, PEOPLE) == version_for(faces, replace(PEOPLE, words=("other",)))


def test_a_picture_has_exactly_the_same_value_alone_and_in_any_company(faces: Faces) -> None:
    pictures = [PERSON, np.ascontiguousarray(PERSON[:, ::-1]), at_size(300), at_size(200), PERSON[200:]]
    reduced = [found for each in pictures if isinstance(found := faces.reduce(look(each)), Reduced)]
    together = faces.measure_reduced(reduced)
    assert len(together) == 5
    assert faces.measure_reduced(reduced[::-1])[::-1] == together
    assert [faces.measure(look(each)) for each in pictures] == together
    values: list[list[Measured]] = []
    threads = [
        threading.Thread(target=lambda: values.append(faces.measure_reduced(reduced))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [together] * 3


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (1, 1), (3, 2000), (2000, 3)])
def test_odd_pictures_are_a_reason_or_have_no_face(faces: Faces, shape: tuple[int, int]) -> None:
    measured = faces.measure(look(np.zeros((*shape, 3), np.uint8)))
    assert measured.reason == "it has no pixels" if 0 in shape else measured.value == 0


def test_what_is_kept_of_a_picture_is_small(faces: Faces) -> None:
    reduced = faces.reduce(look(np.zeros((4000, 3000, 3), np.uint8)))
    assert isinstance(reduced, Reduced)
    assert reduced.square.shape == (SIDE, SIDE, 3)
    assert reduced.size == (480, 640)


def a_project(folder: Path, content: bytes | None, name: str = "face.onnx") -> Checkpoints:
    """A project whose detector is other bytes; or one whose files are not here."""
    (folder / "models" / "yunet").mkdir(parents=True)
    (folder / "models" / "yunet" / name).write_bytes(content or b"once")
    files = {path: file.model_dump() for path, file in describe_folder(folder / "models" / "yunet").items()}
    described = {"title": "Faces", "source": "a test", "license": "MIT", "files": files}
    (folder / "models" / "yunet.yaml").write_text(yaml.safe_dump(described))
    if content is None:
        (folder / "models" / "yunet" / name).unlink()
    return Checkpoints(folder, {"ASSET_PIPELINE_MODEL_CACHE": str(folder / "cache")})


def test_without_its_files_it_says_so_and_nothing_passes(tmp_path: Path) -> None:
    scorer = Faces(a_project(tmp_path, None))
    assert "the model files are not here" in (scorer.unable() or "")
    measured = scorer.measure(look(PERSON))
    assert measured.value is None
    assert measured.applies
    assert "yunet" in (measured.reason or "")
    assert not scorer.measure(look(PERSON, Expectation())).applies


def test_a_file_that_is_no_detector_is_a_reason(tmp_path: Path) -> None:
    assert "does not load" in (Faces(a_project(tmp_path, b"no model")).unable() or "")


def test_a_checkpoint_without_onnx_is_a_reason(tmp_path: Path) -> None:
    assert "one .onnx file" in (Faces(a_project(tmp_path, b"{}", "face.json")).unable() or "")


def test_altered_weights_are_not_loaded(tmp_path: Path) -> None:
    checkpoints = a_project(tmp_path, WEIGHTS.read_bytes())
    place = tmp_path / "models" / "yunet" / "face.onnx"
    place.write_bytes(WEIGHTS.read_bytes()[:-1] + b"x")
    assert "is altered" in (Faces(checkpoints).unable() or "")


def test_other_weights_are_another_version(tmp_path: Path, faces: Faces) -> None:
    assert Faces(a_project(tmp_path, b"no model")).version != faces.version
    assert Faces(Checkpoints(tmp_path / "nowhere", {})).version == "1+none"


def test_it_is_a_scorer_with_a_model_that_goes_by_whether_people_are_to_be_seen(faces: Faces) -> None:
    assert isinstance(faces, ModelScorer)
    assert faces.expects == ("people",)
