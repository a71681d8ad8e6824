"""What asking a vision-language model promises: its own probability of yes, and none without the model."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from asset_pipeline import definitions
from asset_pipeline.checkpoints.checkpoint import read_checkpoint
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.scorers.question_answering import (
    QUESTION,
    QuestionAnswering,
    Shown,
    alike,
    question_answering,
)
from asset_pipeline.scores.own_process import InOwnProcess, in_own_process
from asset_pipeline.scores.records import judge_candidates, summed_up
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, ModelScorer, Pixels
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline_tests.made_candidates import made_candidate
from asset_pipeline_tests.tiny_models import BYTES, describe, transformers, write_model

ROOT = Path(__file__).parent.parent
NAME = "tiny-vlm"
PROMPT = 'a "red" mug on sand'
ANSWERS = ["Yes", "yes", "No", "no"]
QWEN_CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN_VISION = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA_CHAT = (
    "{% for message in messages %}USER: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}"
    "{% endfor %} {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tokenizer(control: list[str], answers: list[str] = ANSWERS) -> Any:
    """Every byte is a token, and so is each answer."""
    made = transformers.Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate([*BYTES, *control])},
        merges=[],
        additional_special_tokens=control[1:],
    )
    made.add_tokens(answers)
    return made


def qwen(folder: Path, seed: int = 0, answers: list[str] = ANSWERS) -> None:
    """A Qwen3-VL at the sizes of a toy."""
    torch.manual_seed(seed)
    words = tokenizer([*QWEN_CONTROL, *QWEN_VISION], answers)
    ids = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad")}
    vision = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
    config = transformers.Qwen3VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
    )
    model = transformers.Qwen3VLForConditionalGeneration(config)
    loud(model)
    model.save_pretrained(folder)
    size = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    transformers.Qwen3VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(**vision, size=size),
        tokenizer=words,
        video_processor=transformers.Qwen3VLVideoProcessor(**vision),
        chat_template=QWEN_CHAT,
    ).save_pretrained(folder)


def llava(folder: Path) -> None:
    """A LLaVA at the sizes of a toy: another architecture through the same code."""
    torch.manual_seed(1)
    words = tokenizer(["<|endoftext|>", "<image>", "<pad>"])
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=32,
        ),
        text_config=transformers.LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        ),
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    model = transformers.LlavaForConditionalGeneration(config)
    loud(model)
    model.save_pretrained(folder)
    transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_CHAT,
    ).save_pretrained(folder)


def loud(model: Any) -> None:
    """Make its answers depend on what it is shown by more than a rounding."""
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(6)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the model; no test changes it."""
    data = tmp_path_factory.mktemp("project")
    (data / "models").mkdir()
    write_model(data, NAME, qwen)
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project that has the model, to be broken."""
    (tmp_path / "models").mkdir()
    write_model(tmp_path, NAME, qwen)
    return tmp_path


def scorer(data: Path) -> QuestionAnswering:
    return QuestionAnswering(Checkpoints(data, {}), NAME)


def picture(seed: int = 0, height: int = 48, width: int = 64) -> Pixels:
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.uint8)


def look(pixels: Pixels | None = None, prompt: str = PROMPT) -> Look:
    return Look(picture() if pixels is None else pixels, None, b"", (64, 48), prompt=prompt)


def shown(*looks: Look) -> list[Shown]:
    reduced = [QuestionAnswering(Checkpoints(ROOT / "data", {}), NAME).reduce(each) for each in looks]
    return [each for each in reduced if isinstance(each, Shown)]


def by_hand(data: Path, pixels: Pixels, prompt: str) -> tuple[float, float]:
    """The probabilities of yes and no that anybody gets who follows transformers' own instructions."""
    folder = data / "models" / NAME
    dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
    question = f'Does this figure show "{prompt}"? Please answer yes or no.'
    content = [{"type": "image", "image": Image.fromarray(pixels)}, {"type": "text", "text": question}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    ).to(dtype=dtype)
    with torch.inference_mode():
        chances = model(**inputs).logits[0, -1].float().softmax(dim=-1)
    yes, no = (
        sum(float(chances[processor.tokenizer.convert_tokens_to_ids(word)]) for word in words)
        for words in (("Yes", "yes"), ("No", "no"))
    )
    return yes, no


needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the last digits differ")


@needs_no_gpu
@pytest.mark.parametrize("build", [qwen, llava])
def test_the_value_is_the_probability_of_yes_that_transformers_own_instructions_give(
    tmp_path: Path, build: Callable[[Path], None]
) -> None:
    (tmp_path / "models").mkdir()
    write_model(tmp_path, NAME, build)
    seen = set()
    for pixels, prompt in ((picture(1), PROMPT), (picture(2, 90, 40), "a blue lamp")):
        measured = scorer(tmp_path).measure(look(pixels, prompt))
        yes, no = by_hand(tmp_path, pixels, prompt)
        assert measured.value == pytest.approx(yes, abs=2e-3)
        assert measured.details["no"] == pytest.approx(no, abs=2e-3)
        seen.add(measured.value)
    assert len(seen) == 2


def test_the_question_is_that_of_vqascore() -> None:
    assert QUESTION.format(prompt="a mug") == 'Does this figure show "a mug"? Please answer yes or no.'


@needs_no_gpu
def test_a_picture_has_exactly_the_same_value_alone_and_in_any_company(project: Path) -> None:
    looks = [
        look(picture(seed, *((48, 64) if seed % 2 else (64, 48))), PROMPT if seed % 3 else "a lamp")
        for seed in range(9)
    ]
    kept = shown(*looks)
    together = scorer(project).measure_reduced(kept)
    assert scorer(project).measure_reduced(kept[::-1])[::-1] == together
    assert [scorer(project).measure(each) for each in looks[:3]] == together[:3]
    assert len({each.value for each in together}) > 6


def test_only_pictures_of_one_prompt_and_size_are_asked_about_together() -> None:
    wide, high = np.zeros((4, 6, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)
    kept = [
        Shown(prompt, pixels) for _ in range(5) for prompt in ("a mug", "a lamp") for pixels in (wide, high)
    ]
    groups = list(alike(kept, 3))
    assert sorted(place for group in groups for place in group) == list(range(20))
    assert sorted(len(group) for group in groups) == [2, 2, 2, 2, 3, 3, 3, 3]
    for group in groups:
        assert len({(kept[place].prompt, kept[place].pixels.shape) for place in group}) == 1
    assert all(len(group) == 1 for group in alike(kept, 1))


def test_it_computes_in_the_precision_that_the_processor_has(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("what a CPU has is asked of it where there is no GPU")
    told: dict[str, bool] = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    for able, dtype in (
        ({}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
    ):
        told.clear()
        told.update(able)
        assert scorer(project).measure(look()).details["dtype"] == dtype


def test_a_picture_without_prompt_or_pixels_has_a_reason(project: Path) -> None:
    assert scorer(project).measure(look(prompt=" ")).reason == "nobody knows what it was to show"
    assert scorer(project).measure(look(np.zeros((0, 4, 3), np.uint8))).reason == "it has no pixels"


def test_a_picture_that_the_models_preparation_refuses_has_a_reason_and_the_others_values(
    project: Path,
) -> None:
    measured = scorer(project).measure_reduced(
        shown(look(picture(1)), look(np.zeros((1, 500, 3), np.uint8)), look(np.zeros((1, 1, 3), np.uint8)))
    )
    assert [each.value is None for each in measured] == [False, True, False]
    assert "refuses a picture of 500 × 1" in (measured[1].reason or "")


@pytest.mark.parametrize("command", ["<|im_end|>", "<|image_pad|>"])
def test_a_prompt_cannot_give_the_model_commands(project: Path, command: str) -> None:
    measured = scorer(project).measure(look(prompt=f"a mug{command}"))
    assert measured.reason == f"the prompt holds {command}, which the model takes for a command"


def test_what_is_kept_of_a_picture_is_small_and_keeps_its_shape() -> None:
    (kept,) = shown(look(np.zeros((1200, 3000, 3), np.uint8)))
    assert kept.pixels.shape == (205, 512, 3)
    assert len(pickle.dumps(kept)) < 1_000_000


def test_without_its_model_nothing_is_measured_and_the_reason_says_what_to_do(data: Path) -> None:
    (data / "models" / NAME / "model.safetensors").unlink()
    reason = scorer(data).measure(look()).reason or ""
    assert "model.safetensors" in reason
    assert "put its files into" in reason
    assert "no model 'tiny-vlm'" in (scorer(data / "models").unable() or "")


def test_altered_weights_are_not_used(data: Path) -> None:
    weights = data / "models" / NAME / "model.safetensors"
    altered = bytearray(weights.read_bytes())
    altered[-1] ^= 1
    weights.write_bytes(altered)
    assert "altered" in (scorer(data).unable() or "")


def test_weights_that_are_not_there_are_not_made_up(data: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - one test needs them

    weights = data / "models" / NAME / "model.safetensors"
    tensors = load_file(weights)
    del tensors[next(name for name in tensors if "layers.1" in name)]
    save_file(tensors, weights, metadata={"format": "pt"})
    describe(data, NAME)
    assert "the files lack" in (scorer(data).unable() or "")


def test_code_of_the_models_own_is_never_run(data: Path) -> None:
    for file in ("config.json", "tokenizer_config.json"):
        path = data / "models" / NAME / file
        config = json.loads(path.read_text(encoding="utf-8"))
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoProcessor": "own.P"}}
        path.write_text(json.dumps(config), encoding="utf-8")
    describe(data, NAME)
    assert "does not load" in (scorer(data).unable() or "")


def test_a_model_that_cannot_say_yes_or_has_no_chat_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_model(tmp_path, NAME, partial(qwen, answers=["No", "no"]))
    assert "no token for 'Yes'" in (scorer(tmp_path).unable() or "")
    write_model(tmp_path, NAME, qwen)
    (tmp_path / "models" / NAME / "chat_template.jinja").unlink()
    describe(tmp_path, NAME)
    assert "chat template" in (scorer(tmp_path).unable() or "")


def test_another_model_has_another_version(data: Path) -> None:
    before = scorer(data).version
    write_model(data, NAME, partial(qwen, seed=5))
    assert scorer(data).version != before
    assert QuestionAnswering(Checkpoints(data, {}), "nobody").version == "1+none"


@needs_no_gpu
def test_in_a_process_of_its_own_it_measures_the_same(project: Path) -> None:
    checkpoints = Checkpoints(project, {"SECRET": "x"}, progress=lambda *_: None)
    (apart,) = in_own_process(partial(question_answering, checkpoints, NAME))
    here = QuestionAnswering(checkpoints, NAME)
    try:
        assert apart.version == here.version
        assert apart.unable() is None
        looks = [look(picture(seed)) for seed in range(3)]
        measured = apart.measure_reduced([apart.reduce(each) for each in looks])
        assert measured == [here.measure(each) for each in looks]
        assert apart.measure(look(prompt="")).reason == "nobody knows what it was to show"
    finally:
        apart.end()


# ------------------------------------------------------------------------------------- turning it on


def configured(environ: dict[str, str]) -> dict[str, Any]:
    made = definitions.scorers(Checkpoints(ROOT / "data", environ))
    return {each.dimension: each for each in made}


def test_it_is_measured_only_where_a_model_is_named() -> None:
    assert "question_answering" not in configured({})
    assert "question_answering" not in configured({"ASSET_PIPELINE_QUESTION_MODEL": ""})
    named = configured({"ASSET_PIPELINE_QUESTION_MODEL": "qwen3-vl-2b"})["question_answering"]
    assert isinstance(named, InOwnProcess)
    assert isinstance(named, ModelScorer)


def test_a_threshold_on_it_is_never_passed_where_no_model_is_named() -> None:
    made = made_candidate("0", prompt=PROMPT)
    judged = judge_candidates([made], [], {"default": {"question_answering": Threshold(min=0)}})
    assert [(each.verdict, each.reason) for each in judged] == [("missing", "no scorer measures it")]
    assert not summed_up(judged).passes


def test_the_model_that_ships_described_may_be_used_for_business() -> None:
    described = read_checkpoint(ROOT / "data", "qwen3-vl-2b")
    assert (described.license, described.is_on_hub) == ("Apache-2.0", True)
    assert not any(
        "question_answering" in rules for rules in load_requirements(ROOT / "data").thresholds.values()
    )


def test_naming_it_does_not_import_torch() -> None:
    program = (
        "import sys; from pathlib import Path; from asset_pipeline.checkpoints.resolver import Checkpoints;"
        "from asset_pipeline.scorers.question_answering import QuestionAnswering;"
        "QuestionAnswering(Checkpoints(Path('nowhere'), {}), 'm'); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
