"""What prompt alignment promises: open_clip's number, the same in any company, and none without a model."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.checkpoints.checkpoint import describe_folder
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.pictures.encode import lossless_webp
from asset_pipeline.scorers.prompt_alignment import BATCH, VOCABULARY, PromptAlignment, exchanges, fitted
from asset_pipeline.scorers.sharpness import Sharpness
from asset_pipeline.scores import judging
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import judge_candidates, summed_up
from asset_pipeline.scores.score import Expectation, Look, ModelScorer, Pixels, Score, Scorer
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.store.store import Store
from asset_pipeline_tests.made_candidates import made_candidate

NAME = "sample-clip"
PROMPT = "a red mug on sand, light from the left"
CONTEXT = 24
SPECIAL = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>"}
WORDS = sorted(
    {word for kind in VOCABULARY for phrase in kind for word in phrase.split()} | {"mug", "on", ","}
)


def tiny_clip(folder: Path, seed: int = 1, **preprocessing: Any) -> None:
    """A randomly initialised open_clip model with its tokenizer, at the sizes of a toy."""
    folder.mkdir(parents=True, exist_ok=True)
    # open_clip takes the embedding at the greatest token, so the end of the text comes last
    vocabulary = {word: index for index, word in enumerate(["<pad>", "<unk>", "<bos>", *WORDS, "<eos>"])}
    words = Tokenizer(models.WordLevel(vocabulary, SPECIAL["unk_token"]))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[(each, vocabulary[each]) for each in ("<bos>", "<eos>")]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=words, **SPECIAL)
    fast.save_pretrained(folder)
    architecture = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(vocabulary),
            "hf_tokenizer_name": "here",
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    torch.manual_seed(seed)
    model = open_clip.CLIP(**architecture)
    strong = {
        name: value * 8 if "embedding" in name or "conv1" in name else value
        for name, value in model.state_dict().items()
    }
    save_file(strong, folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], **preprocessing}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": architecture, "preprocess_cfg": preprocess})
    )


def describe(data: Path) -> None:
    """Write the checkpoint's description, as its folder is now."""
    files = {path: file.model_dump() for path, file in describe_folder(data / "models" / NAME).items()}
    described = {"title": "Toy", "source": "a test", "license": "Apache-2.0", "files": files}
    (data / "models" / f"{NAME}.yaml").write_text(yaml.safe_dump(described))


def scorer(data: Path) -> PromptAlignment:
    return PromptAlignment(Checkpoints(data, {}), NAME)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project that has the model."""
    tiny_clip(tmp_path / "models" / NAME)
    describe(tmp_path)
    return tmp_path


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often open_clip is asked for a model, and how many texts and images the models embed."""
    asked: Counter[str] = Counter()
    create = open_clip.create_model

    def counting(name: str, embed: Callable[..., Any]) -> Callable[..., Any]:
        def counts(given: torch.Tensor, **options: Any) -> Any:
            asked[name] += len(given)
            return embed(given, **options)

        return counts

    def create_model(*arguments: Any, **options: Any) -> Any:
        asked["models"] += 1
        model = create(*arguments, **options)
        model.encode_text = counting("texts", model.encode_text)
        model.encode_image = counting("images", model.encode_image)
        return model

    monkeypatch.setattr(open_clip, "create_model", create_model)
    return asked


@cache
def picture(seed: int = 0, height: int = 48, width: int = 64) -> Pixels:
    """Soft coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.uint8)


def look(pixels: Pixels | None = None, prompt: str = PROMPT) -> Look:
    return Look(picture() if pixels is None else pixels, None, b"", (64, 48), prompt=prompt)


def similarity(data: Path, pixels: Pixels, prompt: str) -> float:
    """What anybody gets who follows open_clip's own instructions."""
    source = f"local-dir:{data / 'models' / NAME}"
    model, _, preprocess = open_clip.create_model_and_transforms(source)
    model.eval()
    with torch.inference_mode():
        image = model.encode_image(preprocess(Image.fromarray(pixels))[None], normalize=True)
        text = model.encode_text(open_clip.get_tokenizer(source)([prompt]), normalize=True)
    return float(image @ text.T)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_the_value_is_the_one_that_open_clips_own_loading_and_preprocessing_give(
    tmp_path: Path, mode: str
) -> None:
    tiny_clip(tmp_path / "models" / NAME, resize_mode=mode, interpolation="bilinear", fill_color=7)
    describe(tmp_path)
    for pixels in (picture(1, 90, 41), picture(2, 20, 70)):
        value = scorer(tmp_path).measure(look(pixels)).value
        assert value == pytest.approx(similarity(tmp_path, pixels, PROMPT), abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["shortest", "longest", "squash"]),
    st.sampled_from(["bicubic", "bilinear"]),
    st.integers(8, 70),
)
def test_a_fitted_image_has_the_pixels_of_open_clips_preprocessing(
    height: int, width: int, mode: str, interpolation: str, side: int
) -> None:
    # less than a pixel would be left of the shorter side, and open_clip fails
    assume(mode != "longest" or max(height, width) < 2 * side * min(height, width))
    pixels = picture(3, height, width)
    theirs = open_clip.image_transform(
        image_size=side,
        is_train=False,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        resize_mode=mode,
        interpolation=interpolation,
        fill_color=9,
    )
    expected = theirs(Image.fromarray(pixels)).permute(1, 2, 0).mul(255).round().numpy().astype(np.uint8)
    ours = {"size": (side, side), "resize_mode": mode, "interpolation": interpolation, "fill_color": 9}
    np.testing.assert_array_equal(fitted(pixels, ours), expected)


def test_a_picture_has_exactly_the_same_value_alone_and_in_any_company(data: Path) -> None:
    measuring = scorer(data)
    reduced = [measuring.reduce(look(picture(seed))) for seed in range(37)]
    together = measuring.measure_reduced(reduced)
    assert measuring.measure_reduced(reduced[::-1])[::-1] == together
    assert [scorer(data).measure_reduced([each])[0] for each in reduced[:3]] == together[:3]
    assert len({each.value for each in together}) > 30


def test_the_number_of_threads_that_torch_has_does_not_change_a_value(data: Path) -> None:
    measuring, threads = scorer(data), torch.get_num_threads()
    reduced = [measuring.reduce(look(picture(seed))) for seed in range(20)]
    try:
        values = []
        for number in (1, 2, 5):
            torch.set_num_threads(number)
            values.append(measuring.measure_reduced(reduced))
    finally:
        torch.set_num_threads(threads)
    assert values[0] == values[1] == values[2]


def test_a_run_gives_the_values_that_each_picture_has_alone(
    data: Path, local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "TOGETHER", 3)
    monkeypatch.setattr(judging, "CHUNK", 7)
    candidates = [candidate(local_store, seed) for seed in range(10)]
    scores, _ = measure(local_store, candidates, scorer(data))
    alone = scorer(data)
    assert [each.value for each in scores] == [
        alone.measure(look(picture(seed, 64, 64))).value for seed in range(10)
    ]


def test_a_short_batch_is_filled_up_because_last_digits_depend_on_its_size(
    data: Path, counted: Counter[str]
) -> None:
    scorer(data).measure(look())
    assert counted["images"] == BATCH


def test_a_prompt_is_embedded_once_however_many_pictures_answer_it(data: Path, counted: Counter[str]) -> None:
    measuring = scorer(data)
    for seed in range(3):
        measuring.measure(look(picture(seed)))
    assert counted["texts"] == 1 + len(exchanges(PROMPT))
    measuring.measure(look(prompt="a blue mug"))
    assert counted["texts"] == 1 + len(exchanges(PROMPT)) + 1 + len(exchanges("a blue mug"))


def test_many_threads_load_one_model_and_get_the_same_value(data: Path, counted: Counter[str]) -> None:
    measuring, values = scorer(data), []
    threads = [
        threading.Thread(target=lambda: values.append(measuring.measure(look()).value)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted["models"] == 1
    assert (len(values), len(set(values))) == (8, 1)


def test_the_margin_compares_with_the_nearest_prompt_that_says_one_thing_differently(data: Path) -> None:
    measured = scorer(data).measure(look())
    others = {each.prompt: similarity(data, picture(), each.prompt) for each in exchanges(PROMPT)}
    nearest = max(others, key=lambda prompt: others[prompt])
    assert measured.value is not None
    assert measured.details["margin"] == pytest.approx(measured.value - others[nearest], abs=2e-4)
    assert PROMPT.replace(measured.details["said"], measured.details["rival"]) == nearest


def test_an_exchange_says_one_thing_differently_and_takes_words_whole() -> None:
    made = exchanges("A mug on a Warm Sand background, light from the left, no redness")
    assert {each.said for each in made} == {"warm sand", "light from the left"}
    assert "A mug on a white background, light from the left, no redness" in {each.prompt for each in made}
    assert all(each.said != each.rival for each in made)
    assert exchanges("a mug") == []


def test_nothing_to_exchange_means_no_margin(data: Path) -> None:
    measured = scorer(data).measure(look(prompt="a mug"))
    assert measured.value is not None
    assert measured.details == {}


def test_a_prompt_longer_than_the_model_reads_has_no_value(data: Path) -> None:
    for words, is_read in ((CONTEXT - 2, True), (CONTEXT - 1, False), (400, False)):
        measured = scorer(data).measure(look(prompt=" ".join(["mug"] * words)))
        assert (measured.value is not None) is is_read
    assert measured.reason == f"the prompt has 402 tokens, and the model reads {CONTEXT}"


def test_a_picture_without_a_prompt_has_no_value(data: Path) -> None:
    assert scorer(data).measure(look(prompt=" ")).reason == "nobody knows what it was to show"


def candidate(store: Store, seed: int) -> Candidate:
    image = store.images.put(lossless_webp(picture(seed, 64, 64)), "webp")
    return made_candidate(image, seed=seed, prompt=PROMPT)


def measure(store: Store, candidates: list[Candidate], *scorers: Scorer) -> tuple[list[Score], int]:
    return measure_missing(
        Measuring(store, scorers, lambda _: Expectation()),
        "spring",
        candidates,
        run_id="r",
        report=lambda _: None,
    )


def test_a_campaigns_pictures_are_measured_together_and_once(
    data: Path, local_store: Store, counted: Counter[str]
) -> None:
    candidates = [candidate(local_store, seed) for seed in range(20)]
    scores, fresh = measure(local_store, candidates, scorer(data), Sharpness())
    assert (len(scores), fresh) == (40, 40)
    assert [each.dimension for each in scores] == ["prompt_alignment", "sharpness"] * 20
    expected = [scorer(data).measure(look(picture(seed, 64, 64))).value for seed in (0, 19)]
    assert [scores[0].value, scores[38].value] == expected
    counted.clear()
    assert measure(local_store, candidates, scorer(data), Sharpness()) == (scores, 0)
    assert not counted  # nothing is to be measured, so no model is loaded


def test_an_altered_picture_has_a_reason_and_the_others_their_values(data: Path, local_store: Store) -> None:
    candidates = [candidate(local_store, seed) for seed in range(3)]
    path = local_store.images.path(candidates[1].image_sha256 or "") or ""
    Path(local_store.files.root, path).write_bytes(b"not what it was")
    scores, _ = measure(local_store, candidates, scorer(data))
    assert [each.value is None for each in scores] == [False, True, False]
    assert "altered" in (scores[1].reason or "")


def test_without_its_model_nothing_passes_and_the_next_run_with_the_model_measures(
    data: Path, local_store: Store
) -> None:
    weights = data / "models" / NAME / "open_clip_model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    made = [candidate(local_store, 1)]
    scores, fresh = measure(local_store, made, scorer(data), Sharpness())
    assert (scores[0].value, fresh) == (None, 1)
    assert "the model files are not here" in (scores[0].reason or "")
    assert "open_clip_model.safetensors" in (scores[0].reason or "")
    rules = {"default": {"prompt_alignment": Threshold(min=-1)}}
    assert not summed_up(judge_candidates(made, scores[:1], rules)).passes
    weights.write_bytes(kept)
    scores, fresh = measure(local_store, made, scorer(data), Sharpness())
    assert (scores[0].reason, fresh) == (None, 1)


def test_another_model_measures_this_dimension_again_and_no_other(data: Path, local_store: Store) -> None:
    made = [candidate(local_store, 1)]
    first, _ = measure(local_store, made, scorer(data), Sharpness())
    tiny_clip(data / "models" / NAME, seed=2)
    describe(data)
    second, fresh = measure(local_store, made, scorer(data), Sharpness())
    assert fresh == 1
    assert first[0].scorer_version != second[0].scorer_version
    assert first[0].value != second[0].value
    assert first[1] == second[1]


def test_a_project_that_does_not_describe_the_model_has_a_reason(tmp_path: Path) -> None:
    assert "no model 'sample-clip'" in (scorer(tmp_path).measure(look()).reason or "")


def test_altered_weights_are_not_used(data: Path) -> None:
    weights = data / "models" / NAME / "open_clip_model.safetensors"
    altered = bytearray(weights.read_bytes())
    altered[-1] ^= 1
    weights.write_bytes(altered)
    measured = scorer(data).measure(look())
    assert measured.value is None
    assert "open_clip_model.safetensors" in (measured.reason or "")


def test_a_model_without_weights_is_not_filled_with_random_ones(data: Path) -> None:
    (data / "models" / NAME / "open_clip_model.safetensors").unlink()
    describe(data)
    assert "does not load" in (scorer(data).measure(look()).reason or "")


@pytest.mark.parametrize(
    ("tower", "settings"),
    [
        ("text_cfg", {"hf_model_name": "owner/name"}),
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}),
        ("vision_cfg", {"timm_model_name": "hf-hub:owner/name"}),
    ],
)
def test_a_configuration_that_fetches_parts_from_elsewhere_is_refused(
    data: Path, tower: str, settings: dict[str, Any], counted: Counter[str]
) -> None:
    path = data / "models" / NAME / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][tower] |= settings
    path.write_text(json.dumps(config))
    describe(data)
    assert "fetched from a hub" in (scorer(data).measure(look()).reason or "")
    assert not counted


def test_the_scorer_is_known_as_one_with_a_model_and_naming_it_does_not_import_torch() -> None:
    assert isinstance(scorer(Path("nowhere")), ModelScorer)
    assert not isinstance(Sharpness(), ModelScorer)
    program = "import sys, asset_pipeline.scorers.prompt_alignment; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_a_prompt_says_as_much_as_the_vocabulary_knows() -> None:
    assert all(len(set(kind)) == len(kind) for kind in VOCABULARY)
    words = [word for kind in VOCABULARY for word in kind]
    assert len(set(words)) == len(words)
    assert {each.said for each in exchanges(", ".join(words))} == set(words)
