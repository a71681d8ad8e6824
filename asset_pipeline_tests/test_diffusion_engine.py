"""The engine around diffusers, with real pipelines of random weights, on the CPU."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.settings import Role, Settings
from asset_pipeline.errors import (
    InvalidFile,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests import tiny_models

SIZE = 64
PICTURE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
MASK = np.zeros((SIZE, SIZE), np.uint8)
MASK[SIZE // 4 : 3 * SIZE // 4] = 255
PICTURES: dict[Role, Pixels] = {"image": PICTURE, "mask": MASK, "control": PICTURE, "reference": PICTURE}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with tiny models, each class once."""
    torch.set_num_threads(1)  # so small that sharing the work out takes longer than doing it
    data = tmp_path_factory.mktemp("engine")
    tiny_models.write_model(data, "sd", tiny_models.stable_diffusion)
    tiny_models.write_model(data, "tiny-vae", partial(tiny_models.stable_diffusion, tiny_vae=True))
    tiny_models.write_model(data, "sdxl", tiny_models.stable_diffusion_xl)
    tiny_models.write_model(data, "sd3", tiny_models.stable_diffusion_3)
    tiny_models.write_model(data, "flux", lambda folder: tiny_models.flux(folder, guidance_embeds=True))
    tiny_models.write_model(data, "qwen", tiny_models.qwen_image)
    for name in ("sd", "sdxl"):
        for build in (tiny_models.controlnet, tiny_models.lora, tiny_models.ip_adapter):
            base = data / "models" / name
            tiny_models.write_model(data, f"{name}-{build.__name__}", partial(build, pipeline=base))
    return data


@pytest.fixture(scope="session")
def engine(data: Path) -> Engine:
    return Engine(models(data))


@pytest.fixture(scope="session")
def plain(data: Path) -> Callable[..., list[str]]:
    """What a model draws with nothing added, each question asked once."""
    by_model: dict[str, Engine] = {}

    @cache
    def plain(model: str, steps: int, *seeds: int) -> list[str]:
        engine = by_model.setdefault(model, Engine(models(data)))
        return drawn(engine, settings(model, steps), *(drawing(seed=seed) for seed in seeds))

    return plain


def models(data: Path) -> Checkpoints:
    return Checkpoints(data, {"ASSET_PIPELINE_MODEL_CACHE": str(data / "cache")})


def settings(model: str = "sd", steps: int = 2, **others: Any) -> Settings:
    return Settings.of({"model": model, "steps": steps, **others})


def drawing(
    prompt: str = "a red mug", seed: int = 1, *, roles: Sequence[Role] = (), **others: Any
) -> Drawing:
    fields: dict[str, Any] = {"negative_prompt": "", "width": SIZE, "height": SIZE, **others}
    return Drawing(prompt=prompt, seed=seed, images={role: PICTURES[role] for role in roles}, **fields)


def results(engine: Engine, how: Settings, drawings: Sequence[Drawing]) -> list[Pixels | ProviderError]:
    by_index = dict(engine.draw(how, drawings))
    return [by_index[index] for index in range(len(drawings))]


def drawn(engine: Engine, how: Settings, *drawings: Drawing) -> list[str]:
    """The hashes of the pictures, all of which must have been made."""
    hashes = []
    for result in results(engine, how, drawings or (drawing(),)):
        assert isinstance(result, np.ndarray), result
        assert result.dtype == np.uint8
        hashes.append(sha256_of(result.tobytes()))
    return hashes


def unavailable(engine: Engine, how: Settings) -> str:
    """Why nothing can be drawn with these settings before somebody fetches something."""
    (why,) = results(engine, how, [drawing()])
    assert isinstance(why, ProviderUnavailable)
    return str(why)


def refusal(engine: Engine, how: Settings, what: Drawing) -> str:
    with pytest.raises(UnsupportedRequest) as refused:
        engine.check(how, what)
    return str(refused.value)


# ----------------------------------------------------------------------- the same picture, however it is made


def test_a_picture_has_the_same_bytes_alone_in_a_batch_of_three_and_in_one_of_eight(engine: Engine) -> None:
    how = settings(guidance_scale=5.0)
    eight = [drawing(f"a mug {seed % 3}", seed, negative_prompt="blur") for seed in range(8)]
    alone = [drawn(engine, how, each)[0] for each in eight]
    assert len(set(alone)) == 8
    assert drawn(engine, how, *eight) == alone
    assert drawn(engine, how, *eight[5:2:-1]) == alone[5:2:-1]


def test_a_picture_has_the_same_bytes_whatever_the_number_of_threads(engine: Engine) -> None:
    how, threads = settings("sdxl", guidance_scale=5.0), torch.get_num_threads()
    by_threads = []
    try:
        for number in (1, 2, 3, 4):
            torch.set_num_threads(number)
            by_threads.append(drawn(engine, how, drawing(width=256, height=256)))
    finally:
        torch.set_num_threads(threads)
    assert by_threads == [by_threads[0]] * 4


def test_a_picture_has_the_same_bytes_in_another_process(engine: Engine, data: Path) -> None:
    how = settings(guidance_scale=5.0)
    script = (
        "import sys; from pathlib import Path; from asset_pipeline_tests import test_diffusion_engine as t;"
        "print(t.drawn(t.Engine(t.models(Path(sys.argv[1]))), t.settings(guidance_scale=5.0))[0])"
    )
    other = subprocess.run(
        [sys.executable, "-c", script, data],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.split()[-1] == drawn(engine, how)[0]


def test_threads_that_draw_at_the_same_time_get_what_they_would_have_got_alone(engine: Engine) -> None:
    both = [(settings(), drawing()), (settings(task="image-to-image"), drawing(roles=["image"]))]
    asked = [*both, *both]
    alone = [drawn(engine, *each) for each in asked]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda each: drawn(engine, *each), asked)) == alone


@pytest.mark.parametrize(
    "name", ["PNDMScheduler", "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler"]
)
def test_no_state_of_a_scheduler_passes_to_the_next_picture(engine: Engine, name: str) -> None:
    how = settings(steps=5, scheduler={"name": name})
    first = drawn(engine, how)
    others = drawn(engine, how, drawing(seed=9), drawing(seed=10))
    assert drawn(engine, how) == first
    assert first[0] not in others
    assert first != drawn(engine, settings(steps=5))


def test_words_negative_words_seed_and_guidance_change_the_picture(engine: Engine) -> None:
    how = settings(guidance_scale=5.0)
    different = drawn(
        engine,
        how,
        drawing(),
        drawing(seed=2),
        drawing("a blue mug"),
        drawing(negative_prompt="blur"),
    )
    different += drawn(engine, settings(guidance_scale=2.0))
    assert len(set(different)) == 5


def test_a_prompt_is_encoded_once_whatever_batch_it_comes_in(data: Path) -> None:
    engine = Engine(models(data))
    drawn(engine, settings(), *(drawing(prompt, seed) for seed in range(3) for prompt in ("a mug", "a lamp")))
    drawn(engine, settings(), drawing("a mug", 7))
    observed = engine.observed()
    assert (observed["embeddings_made"], observed["embeddings_reused"]) == (2, 5)
    assert observed["pictures"] == 7
    assert observed["device"] == "cpu"
    assert observed["dtype"] == "float32"


# --------------------------------------------------------------------------------- what pipelines can be told


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize(
    ("more", "roles"),
    [
        ({"task": "image-to-image", "strength": 0.5}, ["image"]),
        ({"task": "inpainting", "strength": 1.0}, ["image", "mask"]),
        ({"controlnet": {"model": "controlnet", "scale": 0.8}}, ["control"]),
        ({"task": "inpainting", "controlnet": {"model": "controlnet"}}, ["image", "mask", "control"]),
        ({"loras": [{"model": "lora", "weight": 0.9}]}, []),
        ({"ip_adapter": {"model": "ip_adapter"}}, ["reference"]),
    ],
    ids=["image-to-image", "inpainting", "controlnet", "controlnet-inpainting", "lora", "ip-adapter"],
)
def test_pictures_and_added_weights_change_what_is_drawn(
    engine: Engine, plain: Callable[..., list[str]], model: str, more: dict[str, Any], roles: list[Role]
) -> None:
    more = json.loads(json.dumps(more).replace('"model": "', f'"model": "{model}-'))
    guided = settings(model, 4, **more)
    assert drawn(engine, guided, drawing(roles=roles)) != plain(model, 4, 1)
    for role in roles:
        assert f"it needs a picture as {role}" in refusal(
            engine, guided, drawing(roles=[each for each in roles if each != role])
        )


def test_the_weight_of_a_lora_counts(engine: Engine, plain: Callable[..., list[str]]) -> None:
    by_weight = [
        drawn(engine, settings(loras=[{"model": "sd-lora", "weight": weight}])) for weight in (0.0, 0.5, 1.0)
    ]
    assert by_weight[0] == plain("sd", 2, 1)
    assert by_weight[1] != by_weight[2] != by_weight[0]


def test_a_lora_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    def foreign(folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file({"encoder.lora_A.weight": torch.ones(2, 2)}, folder / "lora.safetensors")

    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    tiny_models.write_model(tmp_path, "foreign", foreign)
    assert "foreign" in unavailable(Engine(models(tmp_path)), settings(loras=[{"model": "foreign"}]))


def test_another_task_shares_the_weights_that_are_in_memory(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = _counted(monkeypatch, diffusers.DiffusionPipeline, "from_pretrained")
    engine = Engine(models(data))
    drawn(engine, settings("tiny-vae"))
    drawn(engine, settings("tiny-vae", task="inpainting"), drawing(roles=["image", "mask"]))
    drawn(engine, settings("tiny-vae", task="image-to-image"), drawing(roles=["image"]))
    drawn(engine, settings("tiny-vae", steps=3, guidance_scale=3.0))
    assert len(loads) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"step_cache": {"kind": "first_block", "options": {"threshold": 0.9}}},
        {
            "step_cache": {
                "kind": "taylorseer",
                "options": {"cache_interval": 2, "disable_cache_before_step": 2},
            }
        },
        {"step_cache": {"kind": "mag", "options": {"mag_ratios": [1.0] * 6, "threshold": 9.0}}},
        {"dtype": "bfloat16"},
        {"true_cfg_scale": 3.0},
        {
            "scheduler": {
                "name": "FlowMatchEulerDiscreteScheduler",
                "options": {"shift": 9.0, "use_dynamic_shifting": False},
            }
        },
    ],
    ids=str,
)
def test_what_a_profile_sets_has_an_effect(
    engine: Engine, plain: Callable[..., list[str]], more: dict[str, Any]
) -> None:
    how = settings("flux", 6, **more)
    once = drawn(engine, how, drawing(), drawing(seed=2))
    assert drawn(engine, how, drawing(seed=2), drawing()) == once[::-1]
    assert once != plain("flux", 6, 1, 2)


def test_attention_and_tiling_are_set_where_the_model_has_them(engine: Engine) -> None:
    assert len(drawn(engine, settings("flux", attention="_native_math", vae_tiling=True))) == 1


@pytest.mark.parametrize(
    ("how", "what", "reason"),
    [
        ({}, {"width": 60}, "60 x 64 does not divide by 8"),
        ({"model": "flux"}, {"width": 72}, "72 x 64 does not divide by 16"),
        ({"model": "sd3"}, {"width": 72}, "72 x 64 does not divide by 16"),
        ({"model": "qwen"}, {"width": 72}, "72 x 64 does not divide by 16"),
        ({"guidance_scale": 1.0}, {"negative_prompt": "blur"}, "does not hear a negative prompt"),
        ({"model": "flux"}, {"negative_prompt": "blur"}, "does not hear a negative prompt"),
        ({}, {"roles": ["image"]}, "it takes no picture as image"),
        ({}, {"roles": ["reference"]}, "it takes no picture as reference"),
        ({"true_cfg_scale": 4.0}, {}, "it has no true_cfg_scale"),
        ({"strength": 0.5}, {}, "it has no strength"),
        ({"max_sequence_length": 128}, {}, "it has no max_sequence_length"),
        ({"arguments": {"guidance_rescaling": 0.7}}, {}, "it has no argument guidance_rescaling"),
        ({"model": "qwen", "guidance_scale": 4.0}, {}, "is distilled and would ignore guidance_scale"),
        ({"step_cache": {"kind": "taylorseer"}}, {}, "its unet has no step caches"),
        ({"attention": "_native_math"}, {}, "its unet has no choice of attention"),
        ({"model": "flux", "attention": "flash"}, {}, "attention flash: "),
        ({"model": "sd3", "compile": True}, {}, "its transformer has no repeated blocks to compile"),
        ({"model": "qwen", "ip_adapter": {"model": "sd-ip_adapter"}}, {}, "it takes no IP-Adapter"),
        ({"scheduler": {"name": "FlowMatchEulerDiscreteScheduler"}}, {}, "does not solve what DDIMScheduler"),
        ({"scheduler": {"name": "DDIMScheduler", "options": {"use_karras": 1}}}, {}, "has no use_karras"),
        ({"task": "image-to-image", "strength": 0.1}, {"roles": ["image"]}, "are no step at all"),
        (
            {"model": "sd3", "task": "image-to-image", "controlnet": {"model": "sd-controlnet"}},
            {},
            "no image-to",
        ),
        ({"native_sizes": [[100, 100]]}, {}, "native size 100 x 100 does not divide by 8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_pipeline_has_no_words_for_is_refused(
    engine: Engine, how: dict[str, Any], what: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(engine, settings(**how), drawing(**what))


def test_what_may_be_dropped_is_dropped_and_named(engine: Engine) -> None:
    how, what = settings("flux", may_drop=["negative_prompt"]), drawing(negative_prompt="blur")
    engine.check(how, what)
    assert engine.drops(how, what) == ("negative_prompt",)
    assert drawn(engine, how, what) == drawn(engine, how)


def test_a_picture_of_another_size_than_the_drawing_is_refused(engine: Engine) -> None:
    how = settings(task="image-to-image")
    assert "the image is 64 x 64, the drawing 128 x 64" in refusal(
        engine, how, drawing(width=128, roles=["image"])
    )


@pytest.mark.parametrize(("model", "limit"), [("sd", 77), ("sdxl", 77), ("sd3", 256)])
def test_a_prompt_of_400_tokens_is_refused_with_its_count_and_the_limit(
    engine: Engine, model: str, limit: int
) -> None:
    long = "a" * 398
    for what in (drawing(long), drawing(negative_prompt=long)):
        reason = refusal(engine, settings(model, guidance_scale=5.0), what)
        assert "has 400 tokens" in reason or "has 401 tokens" in reason
        assert f"reads {limit}" in reason
    ((_, refused),) = engine.draw(settings(model), [drawing(long)])
    assert isinstance(refused, UnsupportedRequest)


def test_a_prompt_of_400_tokens_is_drawn_where_an_encoder_reads_512(engine: Engine) -> None:
    assert len(drawn(engine, settings("flux"), drawing("a" * 398))) == 1
    assert "reads 256" in refusal(engine, settings("flux", max_sequence_length=256), drawing("a" * 398))


def test_a_prompt_just_within_the_limit_is_drawn(engine: Engine) -> None:
    engine.check(settings(), drawing("a" * 75))
    assert "has 78 tokens" in refusal(engine, settings(), drawing("a" * 76))


def test_checking_needs_no_weights(tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    for weights in (tmp_path / "models" / "sd").rglob("*.safetensors"):
        weights.unlink()
    engine = Engine(models(tmp_path))
    engine.check(settings(), drawing())
    assert "tokens" in refusal(engine, settings(), drawing("a" * 400))
    assert "safetensors" in unavailable(engine, settings())


# ------------------------------------------------------------------------------------------ what can go wrong


Change = Callable[[dict[str, torch.Tensor]], object]
Broken = Callable[[str, Change], Engine]


@pytest.fixture
def broken(tmp_path: Path) -> Broken:
    """An engine over a checkpoint, some of whose tensors were changed before it was described."""

    def broken(file: str, change: Change) -> Engine:
        tiny_models.stable_diffusion(tmp_path / "models" / "sd")
        path = tmp_path / "models" / "sd" / file
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})
        tiny_models.describe(tmp_path, "sd")
        return Engine(models(tmp_path), batching=True)

    return broken


@pytest.fixture
def crowded(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Engine]:
    """An engine on a device that runs out of memory beyond so many pictures at once."""
    forward = diffusers.UNet2DConditionModel.forward

    def crowded(fits: int) -> Engine:
        def limited(self: Any, sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if len(sample) > fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return forward(self, sample, *args, **kwargs)

        monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", limited)
        return Engine(models(data), batching=True)

    return crowded


def test_out_of_memory_halves_the_batch_and_loses_nothing(crowded: Callable[[int], Engine]) -> None:
    engine, how = crowded(3), settings(max_batch=16, guidance_scale=1.0)
    seven = [drawing(f"mug {seed}", seed) for seed in range(7)]
    made = results(engine, how, seven)
    alone = [drawn(engine, how, each)[0] for each in seven]
    assert all(isinstance(each, np.ndarray) for each in made)
    assert len(set(alone)) == 7
    assert engine.observed()["out_of_memory"] == 1
    assert engine.observed()["batch_size"] == 3
    results(engine, how, seven)
    assert engine.observed()["out_of_memory"] == 1  # the size that fits is remembered


def test_pictures_of_a_batch_are_those_made_alone_within_a_step_of_eight_bits(
    crowded: Callable[[int], Engine],
) -> None:
    engine, how = crowded(99), settings("sd", guidance_scale=5.0)
    five = [drawing("mug" * length, 7**length, negative_prompt="blur") for length in (1, 3, 2, 4, 1)]
    together = results(engine, how, five)
    for each, picture in zip(five, together, strict=True):
        ((_, alone),) = engine.draw(how, [each])
        assert isinstance(alone, np.ndarray)
        assert isinstance(picture, np.ndarray)
        assert np.abs(alone.astype(int) - picture).max() <= 1


def test_prompts_of_different_lengths_are_sampled_together(data: Path) -> None:
    engine, how = Engine(models(data), batching=True), settings("qwen", true_cfg_scale=4.0)
    two = [drawing("mug"), drawing("a much longer prompt", 2)]
    for each, picture in zip(two, results(engine, how, two), strict=True):
        ((_, alone),) = engine.draw(how, [each])
        assert np.abs(np.asarray(alone, int) - np.asarray(picture, int)).max() <= 1


def test_a_picture_that_never_fits_says_what_to_set_and_the_next_is_drawn(
    crowded: Callable[[int], Engine],
) -> None:
    engine = crowded(1)
    with_guidance, without = settings(guidance_scale=5.0), settings(guidance_scale=1.0)
    for result in results(engine, with_guidance, [drawing(), drawing(seed=2)]):
        assert isinstance(result, ProviderUnavailable)
        assert "does not fit into memory" in str(result)
        assert "offload" in str(result)
    assert len(drawn(engine, without)) == 1


def test_values_that_are_not_numbers_refuse_that_picture_alone(broken: Broken, engine: Engine) -> None:
    def forget_z(tensors: dict[str, torch.Tensor]) -> None:
        letters = sorted(tiny_models.BYTES)
        table = next(name for name in tensors if name.endswith("token_embedding.weight"))
        tensors[table][[letters.index("z"), len(letters) + letters.index("z")]] = torch.nan

    three = [drawing("a mug"), drawing("a zebra"), drawing("a lamp")]
    mug, zebra, lamp = results(broken("text_encoder/model.safetensors", forget_z), settings(), three)
    assert isinstance(zebra, ProviderRefused)
    assert "values that are not numbers for 100% of the picture" in str(zebra)
    for each, picture in ((three[0], mug), (three[2], lamp)):
        ((_, alone),) = engine.draw(settings(), [each])
        assert np.abs(np.asarray(alone, int) - np.asarray(picture, int)).max() <= 1


@pytest.mark.parametrize(
    ("level", "seen"), [(-1.0, "a black picture"), (0.5, "nothing but one even colour (191, 191, 191)")]
)
def test_a_black_or_even_picture_is_refused_with_what_was_seen(
    broken: Broken, level: float, seen: str
) -> None:
    def paint(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.conv_out.weight"].zero_()
        tensors["decoder.conv_out.bias"].fill_(level)

    (refused,) = results(broken("vae/diffusion_pytorch_model.safetensors", paint), settings(), [drawing()])
    assert isinstance(refused, ProviderRefused)
    assert seen in str(refused)


def test_a_corrupt_safetensors_file_is_named_before_anything_is_drawn(tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    weights = tmp_path / "models" / "sd" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "unet/diffusion_pytorch_model.safetensors" in unavailable(Engine(models(tmp_path)), settings())
    tiny_models.describe(tmp_path, "sd")  # whoever describes a broken file finds out when it is loaded
    why = unavailable(Engine(models(tmp_path)), settings())
    assert "the model sd cannot be loaded: " in why
    assert "fetch it again" in why


@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "conv_in.weight"),
        ("text_encoder/model.safetensors", "token_embedding.weight"),
    ],
)
@pytest.mark.parametrize("what", ["missing", "of another shape"])
def test_weights_that_do_not_fit_their_configuration_are_refused(
    broken: Broken, file: str, tensor: str, what: str
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = next(name for name in tensors if name.endswith(tensor))
        whole = tensors.pop(name)
        if what != "missing":
            tensors[name] = whole[:, :2].contiguous()

    assert "the model sd cannot be loaded" in unavailable(broken(file, change), settings())


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    unet = tmp_path / "models" / "sd" / "unet"
    weights = load_file(unet / "diffusion_pytorch_model.safetensors")
    torch.save(weights, unet / "diffusion_pytorch_model.bin")
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InvalidFile, match="safetensors"):
        drawn(Engine(models(tmp_path)), settings())


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "MyOwnPipeline"},
        {"_class_name": ["pipeline", "MyOwnPipeline"]},
        {"unet": ["my_unet", "MyUNet"]},
    ],
    ids=str,
)
def test_code_that_comes_with_a_checkpoint_is_never_run(tmp_path: Path, change: dict[str, Any]) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    index = tmp_path / "models" / "sd" / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    tiny_models.describe(tmp_path, "sd")
    assert "is never run" in refusal(Engine(models(tmp_path)), settings(), drawing())


def test_the_version_changes_with_the_weights_and_with_nothing_else(data: Path, tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", lambda folder: tiny_models.stable_diffusion(folder, seed=7))
    engine, other = Engine(models(data)), Engine(models(tmp_path))
    version = engine.version_of(settings())
    assert engine.version_of(settings(steps=9)) == version
    assert other.version_of(settings()) != version
    assert engine.version_of(settings(loras=[{"model": "sd-lora"}])) != version
    assert engine.observed() == {}


def _counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Notes the class at every call of a class method of a library."""
    calls: list[str] = []
    original = getattr(owner, name).__func__

    def counting(cls: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(cls.__name__)
        return original(cls, *args, **kwargs)

    monkeypatch.setattr(owner, name, classmethod(counting))
    return calls
