"""What the scores room promises: measured once, judged by today's rules, and nothing missing passes."""

import io
import json
import logging
import os
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, WebPImagePlugin

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageReference, ImageRequest
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import scorers
from asset_pipeline.errors import InvalidFile
from asset_pipeline.pictures.encode import jpeg, lossless_webp, mask_webp, png
from asset_pipeline.scorers.blockiness import Blockiness
from asset_pipeline.scorers.file_rules import Dimensions, FileCheck
from asset_pipeline.scorers.noise import Noise
from asset_pipeline.scorers.sharpness import Sharpness
from asset_pipeline.scores import judging
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.own_process import ending
from asset_pipeline.scores.records import (
    JudgedScore,
    judge_candidates,
    scores_sha256,
    summed_up,
)
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Expectation, Look, Measured, Pixels, ReferenceLook, Score, Scorer
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_candidates import made_candidate

DATA = Path(__file__).parent.parent / "data"
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
    return made_candidate(image, seed=level, asset_type=asset_type)


def measure(store: Store, candidates: list[Candidate], *scorers: Brightness) -> tuple[list[Score], int]:
    return measure_missing(
        Measuring(store, scorers, lambda _: Expectation()),
        "spring",
        candidates,
        run_id="r",
        report=lambda _: None,
    )


SIDE = 96


def drawn(seed: int, side: int = SIDE) -> Pixels:
    """A lettered box before a studio's wall, each seed another, with a little noise."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), (214, 210, 205))
    drawing = ImageDraw.Draw(image)
    fill = tuple(int(part) for part in random.integers(30, 200, 3))
    drawing.rectangle((side * 0.2, side * 0.15, side * 0.8, side * 0.85), fill=fill)
    drawing.text((side * 0.25, side * 0.4), "HONEY", fill=(250, 250, 240), font_size=side / 7)
    noise = random.normal(0, 2 + seed % 3, (side, side, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def boxed() -> Pixels:
    """The mask of what is drawn."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[round(SIDE * 0.15) : round(SIDE * 0.85) + 1, round(SIDE * 0.2) : round(SIDE * 0.8) + 1] = 255
    return mask


def pictured(
    store: Store,
    picture: Pixels | bytes,
    *,
    prompt: str = "a",
    mask: bytes | None = None,
    references: Sequence[str] = (),
    seed: int = 0,
) -> Candidate:
    """A candidate with this picture."""
    encoded = picture if isinstance(picture, bytes) else lossless_webp(picture)
    image = store.images.put(encoded, "bin")
    request = ImageRequest(
        prompt=prompt,
        width=SIDE,
        height=SIDE,
        seed=seed or int(image[:6], 16),
        references=tuple(
            ImageReference(role="base", sha256=sha256, media_type="image/webp", width=SIDE, height=SIDE)
            for sha256 in references
        ),
        profile_fingerprint="x",
    )
    plain = candidate(store, 0)
    return plain.model_copy(
        update={
            "candidate_id": request.candidate_id,
            "request": request,
            "image_sha256": image,
            "mask_sha256": None if mask is None else store.images.put(mask, "bin"),
            "details": {"placement": {"left": "?"}, "reference": {"sha256": "none of them"}},
        }
    )


def nothing_expected(_: Candidate) -> Expectation:
    return Expectation()


def measured_by(
    store: Store, made: list[Candidate], by: Sequence[Scorer], campaign: str = "spring"
) -> tuple[list[Score], int]:
    return measure_missing(
        Measuring(store, by, nothing_expected), campaign, made, run_id="r", report=lambda _: None
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
        load_requirements(tmp_path)


# ---------------------------------------------------------------------------------- many pictures in one run


@dataclass
class Company:
    """A scorer with a model: notes who is measured together, and how many reduced copies are alive."""

    dimension: str = "company"
    version: str = "1"
    unit: str = "levels"
    expects: tuple[str, ...] = ()
    better: str = "none"
    together: list[list[str]] = field(default_factory=list)
    alive: "Counter[type]" = field(default_factory=Counter)
    most: "Counter[type]" = field(default_factory=Counter)
    """How many reduced copies and opened pictures are in memory, and how many were at most."""

    def unable(self) -> str | None:
        return None

    def measure(self, look: Look) -> Measured:
        return self.measure_reduced([self.reduce(look)])[0]

    def reduce(self, look: Look) -> "Reduced":
        reduced = Reduced(look.prompt, float(look.pixels.mean()))
        for each in (reduced, look):
            self.alive[type(each)] += 1
            weakref.finalize(each, self.alive.subtract, [type(each)])
        self.most |= self.alive
        return reduced

    def measure_reduced(self, reduced: Sequence["Reduced"]) -> list[Measured]:
        self.together.append([each.prompt for each in reduced])
        return [Measured(each.mean) for each in reduced]


@dataclass(eq=False)
class Reduced:
    """What Company keeps of a picture."""

    prompt: str
    mean: float


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of few pictures, as a long one would be."""
    monkeypatch.setattr(judging, "CHUNK", 8)
    monkeypatch.setattr(judging, "TOGETHER", 3)
    monkeypatch.setattr(judging, "AHEAD", 4)


@pytest.mark.parametrize(("threads", "chunk", "together", "ahead"), [(1, 1, 1, 1), (5, 7, 3, 2)])
def test_values_depend_neither_on_threads_nor_on_how_many_are_measured_together(
    local_store: Store, monkeypatch: pytest.MonkeyPatch, threads: int, chunk: int, together: int, ahead: int
) -> None:
    made = [pictured(local_store, drawn(seed)) for seed in range(11)]
    by: list[Scorer] = [Sharpness(), Noise(), Blockiness(), FileCheck(), Company()]
    expected, _ = measured_by(local_store, made, by)
    for name, size in (("CHUNK", chunk), ("TOGETHER", together), ("AHEAD", ahead)):
        monkeypatch.setattr(judging, name, size)
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    again, fresh = measured_by(local_store, made, by, campaign="summer")
    assert fresh == len(again) == 55
    assert again == expected
    assert len({each.value for each in again}) > 30


@pytest.mark.usefixtures("small_chunks")
def test_a_run_that_is_ended_keeps_what_it_has_recorded(local_store: Store) -> None:
    made, scorer = [pictured(local_store, drawn(seed)) for seed in range(20)], Brightness()

    def stop(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="8 of 20 images scored"):
        measure_missing(Measuring(local_store, [scorer], nothing_expected), "spring", made, run_id="r",
                        report=stop)  # fmt: skip
    assert measured_by(local_store, made, [scorer])[1] == 12


@pytest.mark.usefixtures("small_chunks")
def test_progress_is_told_chunk_by_chunk(local_store: Store) -> None:
    made, lines = [pictured(local_store, drawn(seed)) for seed in range(20)], list[str]()
    for _ in range(2):
        measure_missing(Measuring(local_store, [Brightness()], nothing_expected), "spring", made, run_id="r",
                        report=lines.append)  # fmt: skip
    assert lines == [f"{done} of 20 images scored, 0 were known" for done in (8, 16, 20)]


@pytest.mark.usefixtures("small_chunks")
def test_memory_holds_few_pictures_however_many_there_are(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    scorer = Company()
    measured_by(local_store, [pictured(local_store, drawn(seed)) for seed in range(60)], [scorer])
    assert sum(map(len, scorer.together)) == 60
    assert 3 < scorer.most[Reduced] <= 3 + 4 + 1  # measured together, waiting, and the next in turn
    assert 0 < scorer.most[Look] <= 2 + 1


@pytest.mark.usefixtures("small_chunks")
def test_the_candidates_of_a_prompt_are_measured_together_whatever_their_order(local_store: Store) -> None:
    made = [pictured(local_store, drawn(seed), prompt=f"prompt {seed % 5}") for seed in range(15)]
    scorer = Company()
    scores, _ = measured_by(local_store, made, [scorer])
    assert [prompt for together in scorer.together for prompt in together] == [
        f"prompt {number}" for number in range(5) for _ in range(3)
    ]
    assert [each.candidate_id for each in scores] == [each.candidate_id for each in made]


def test_a_file_is_decoded_once_for_all_of_its_dimensions(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Image.Image] = []
    load = WebPImagePlugin.WebPImageFile.load

    def counting(image: WebPImagePlugin.WebPImageFile) -> Any:
        loaded.append(image)
        return load(image)

    monkeypatch.setattr(WebPImagePlugin.WebPImageFile, "load", counting)
    by: list[Scorer] = [FileCheck(), Dimensions(), Sharpness(), Noise(), Blockiness()]
    scores, _ = measured_by(local_store, [pictured(local_store, drawn(1))], by)
    assert scores[0].value == 1.0
    assert len({id(image) for image in loaded}) == 1


@dataclass
class References(Brightness):
    """Measures how many photographs are shown."""

    def measure(self, look: Look) -> Measured:
        return Measured(len(look.references), details={"sha256": [each.sha256 for each in look.references]})


def test_a_photograph_is_opened_once_for_all_the_candidates_that_share_it(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    photographs = [local_store.images.put(lossless_webp(drawn(seed, 200)), "webp") for seed in (50, 51)]
    opened: list[str] = []
    read = local_store.images.get

    def counting(sha256: str) -> bytes:
        opened.append(sha256)
        return read(sha256)

    monkeypatch.setattr(local_store.images, "get", counting)
    made = [pictured(local_store, drawn(seed), references=photographs) for seed in range(24)]
    scores, _ = measured_by(local_store, made, [References()])
    assert {each.value for each in scores} == {2.0}
    assert [opened.count(sha256) for sha256 in photographs] == [1, 1]


def test_a_photograph_that_cannot_be_opened_is_not_shown_and_the_others_are(local_store: Store) -> None:
    broken = local_store.images.put(b"no picture", "bin")
    sound = local_store.images.put(lossless_webp(drawn(50)), "webp")
    made = [pictured(local_store, drawn(1), references=[broken, sound, "0" * 64])]
    ((score,), _) = measured_by(local_store, made, [References()])
    assert score.details == {"sha256": [sound]}


# -------------------------------------------------------------------------------- pictures as they may come


def saved(pixels: Any, container: str, mode: str | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.convert(mode or image.mode).save(buffer, container, **options)
    return buffer.getvalue()


def animated(container: str) -> bytes:
    rest = [Image.fromarray(drawn(seed)) for seed in (2, 3)]
    return saved(drawn(1), container, save_all=True, append_images=rest, duration=40)


def sixteen_bits() -> bytes:
    grey = Image.fromarray(drawn(1)).convert("L")
    return saved(np.asarray(grey, np.uint16) * 257, "PNG")


def transparent() -> bytes:
    return lossless_webp(drawn(1), np.zeros((SIDE, SIDE), np.uint8))


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "sound": lambda: lossless_webp(drawn(1)),
    "cut off": lambda: lossless_webp(drawn(1))[:-200],
    "a cut-off JPEG": lambda: jpeg(drawn(1), 90)[:-200],
    "no picture": lambda: b"<html>504 Gateway Timeout</html>",
    "16 bits": sixteen_bits,
    "CMYK": lambda: saved(drawn(1), "JPEG", "CMYK"),
    "animated WebP": lambda: animated("WEBP"),
    "animated GIF": lambda: animated("GIF"),
    "20 000 pixels wide": lambda: png(np.tile(drawn(1), (1, 20_000 // SIDE + 1, 1))[:40, :20_000]),
    "alpha only": transparent,
    "one pixel": lambda: lossless_webp(drawn(1)[:1, :1]),
    "two pixels high": lambda: lossless_webp(drawn(1)[:2]),
    "grey": lambda: saved(drawn(1), "PNG", "L"),
    "one colour": lambda: lossless_webp(np.full((SIDE, SIDE, 3), 128, np.uint8)),
    "white": lambda: lossless_webp(np.full((SIDE, SIDE, 3), 255, np.uint8)),
}
MASKS: Mapping[str, Callable[[], bytes | None]] = {
    "none": lambda: None,
    "sound": lambda: mask_webp(boxed()),
    "empty": lambda: mask_webp(np.zeros((SIDE, SIDE), np.uint8)),
    "everywhere": lambda: mask_webp(np.full((SIDE, SIDE), 255, np.uint8)),
    "of another size": lambda: mask_webp(boxed()[:-1, :-7]),
    "cut off": lambda: mask_webp(boxed())[:-10],
    "one pixel": lambda: mask_webp(np.pad(np.full((1, 1), 255, np.uint8), ((9, SIDE - 10), (9, SIDE - 10)))),
}
REGISTERED = scorers(Checkpoints(DATA, {}))


@pytest.fixture(scope="module")
def odd_pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, Candidate]]:
    """Every odd picture with every mask, of a product with a sound photograph and two broken ones."""
    store = Store(str(tmp_path_factory.mktemp("odd")))
    photographs = [
        store.images.put(data, "bin")
        for data in (lossless_webp(drawn(1)), lossless_webp(drawn(2))[:-50], b"none", lossless_webp(drawn(3)))
    ]
    shapes = [(name, "sound") for name in PICTURES] + [("sound", name) for name in MASKS if name != "sound"]
    made = {
        f"{picture}, mask: {mask}": pictured(
            store, PICTURES[picture](), mask=MASKS[mask](), references=photographs, seed=number,
            prompt="a red mug on sand, light from the left",
        )
        for number, (picture, mask) in enumerate(shapes)
    }  # fmt: skip
    return store, made


@pytest.mark.parametrize("scorer", REGISTERED, ids=lambda scorer: scorer.dimension)
def test_every_dimension_gives_a_value_or_a_reason_for_whatever_the_store_holds(
    scorer: Scorer,
    odd_pictures: tuple[Store, dict[str, Candidate]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, made = odd_pictures
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        scores, _ = measure_missing(
            Measuring(store, [scorer], lambda _: Expectation(words=("Honey", "500 g"))),
            "odd",
            [*made.values()],
            run_id="r",
            report=lambda _: None,
        )
    found = dict(zip(made, scores, strict=True))
    assert all(each.value is not None or each.reason for each in scores)
    for name in ("cut off", "a cut-off JPEG", "no picture"):
        assert found[f"{name}, mask: sound"].value is None or scorer.dimension == "file_check"
    json.dumps([each.model_dump() for each in scores], allow_nan=False)
    assert [str(each.message) for each in warned] == []
    assert caplog.messages == []


@pytest.mark.parametrize("scorer", REGISTERED, ids=lambda scorer: scorer.dimension)
def test_no_scorer_writes_into_what_it_is_shown(scorer: Scorer) -> None:
    pixels, mask = drawn(1), boxed()
    shown = Look(pixels.copy(), mask.copy(), lossless_webp(pixels), (SIDE, SIDE),
                 (ReferenceLook(pixels.copy(), mask.copy(), "a"),), prompt="a mug on sand")  # fmt: skip
    grey = shown.grey.copy()
    with ending([scorer]):
        scorer.measure(shown)
    assert np.array_equal(shown.pixels, pixels)
    assert shown.mask is not None
    assert np.array_equal(shown.mask, mask)
    assert np.array_equal(shown.references[0].pixels, pixels)
    assert np.array_equal(shown.grey, grey)


def test_a_picture_that_the_store_holds_cut_off_has_no_value_and_the_reason_says_so(
    odd_pictures: tuple[Store, dict[str, Candidate]],
) -> None:
    store, made = odd_pictures
    ((score,), _) = measured_by(store, [made["cut off, mask: sound"]], [Brightness()], campaign="autumn")
    assert "damaged" in (score.reason or "")
