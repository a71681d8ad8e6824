"""Requests to the diffusers provider, with real pipelines of random weights."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Rendered
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.sizes import Size, native_size
from asset_pipeline.errors import (
    MissingModel,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.fitting import fitted
from asset_pipeline.providers.diffusers import Diffusers
from asset_pipeline_tests import tiny_models

PROFILE: dict[str, Any] = {"model": "sd", "steps": 2, "guidance_scale": 1.0}


def photograph(colour: str) -> bytes:
    image = Image.new("RGB", (120, 80), "white")
    ImageDraw.Draw(image).rectangle((40, 20, 80, 60), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE, BROKEN = photograph("#a01010"), photograph("#1020a0"), b"no picture"
BY_NAME = {sha256_of(data): data for data in (RED, BLUE, BROKEN)}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("provider")
    tiny_models.write_model(data, "sd", tiny_models.stable_diffusion)
    tiny_models.write_model(data, "klein", tiny_models.flux2_klein)
    return data


@pytest.fixture(scope="session")
def provider(data: Path) -> Diffusers:
    return Diffusers(Engine(models(data)))


def reference(data: bytes, role: PhotographRole = "base") -> ImageReference:
    return ImageReference(role=role, sha256=sha256_of(data), media_type="image/png", width=120, height=80)


def models(data: Path) -> Checkpoints:
    return Checkpoints(data, {"ASSET_PIPELINE_MODEL_CACHE": str(data / "cache")})


def asked(
    *references: ImageReference,
    prompt: str = "a mug",
    seed: int = 1,
    size: Size = (64, 64),
    **parameters: Any,
) -> Asked:
    request = ImageRequest(
        prompt=prompt,
        negative_prompt=parameters.pop("negative_prompt", ""),
        width=size[0],
        height=size[1],
        seed=seed,
        references=references,
        profile_fingerprint="0" * 64,
    )
    return Asked(request, {**PROFILE, **parameters})


def answers(provider: Diffusers, *batch: Asked) -> list[Rendered | ProviderError]:
    by_request = {
        answer.request.candidate_id: result for answer, result in provider.render(batch, BY_NAME.__getitem__)
    }
    return [by_request[each.request.candidate_id] for each in batch]


def made(provider: Diffusers, *batch: Asked) -> list[Rendered]:
    for each in batch:
        provider.check(each)
    results = answers(provider, *batch)
    for result in results:
        assert isinstance(result, Rendered), result
    return results  # type: ignore[return-value] # asserted above


def refusal(provider: Diffusers, question: Asked) -> str:
    with pytest.raises(UnsupportedRequest) as refused:
        provider.check(question)
    (answer,) = answers(provider, question)
    assert isinstance(answer, UnsupportedRequest)
    assert str(answer) == str(refused.value)
    return str(answer)


def same(pictures: Sequence[Rendered], others: Sequence[Rendered]) -> bool:
    return all(np.array_equal(one.pixels, other.pixels) for one, other in zip(pictures, others, strict=True))


def test_a_request_is_drawn_at_its_size_and_says_so(provider: Diffusers) -> None:
    (rendered,) = made(provider, asked(size=(96, 64)))
    assert rendered.pixels.shape == (64, 96, 3)
    assert rendered.pixels.dtype == np.uint8
    assert rendered.details == {"drawn": [96, 64]}


def test_the_same_requests_alone_or_together_are_the_same_pictures(provider: Diffusers) -> None:
    batch = [
        asked(seed=1),
        asked(seed=2, size=(96, 64)),
        asked(seed=3, steps=3),
        asked(reference(RED), seed=4, task="image-to-image", references={"base": "image"}),
    ]
    alone = [made(provider, each)[0] for each in batch]
    assert same(made(provider, *batch), alone)
    assert same(made(provider, *batch[::-1]), alone[::-1])


def test_with_native_sizes_the_nearest_shape_is_drawn_and_fitted(provider: Diffusers) -> None:
    sizes: dict[str, Any] = {"native_sizes": [[64, 64], [128, 64]]}
    (square,) = made(provider, asked(size=(150, 140), **sizes))
    assert square.pixels.shape == (140, 150, 3)
    assert square.details == {"drawn": [64, 64], "enlarged": 2.344}
    (wide,) = made(provider, asked(size=(256, 128), **sizes))
    assert wide.details == {"drawn": [128, 64], "enlarged": 2.0}
    (native,) = made(provider, asked(size=(128, 64), **sizes))
    assert native.details == {"drawn": [128, 64]}
    assert np.array_equal(wide.pixels, fitted(native.pixels, (256, 128)))


@given(
    st.tuples(st.integers(64, 4096), st.integers(64, 4096)),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6),
)
def test_no_native_size_is_nearer_in_shape_than_the_chosen_one(frame: Size, sizes: list[Size]) -> None:
    def distance(size: Size) -> float:
        return abs(math.log(size[0] / size[1]) - math.log(frame[0] / frame[1]))

    assert distance(native_size(frame, sizes)) <= min(map(distance, sizes)) + 1e-5
    assert native_size(frame, ()) == frame


def test_a_size_that_the_pipeline_cannot_draw_is_refused_without_native_sizes(provider: Diffusers) -> None:
    assert "100 x 64 does not divide by 8" in refusal(provider, asked(size=(100, 64)))
    made(provider, asked(size=(100, 64), native_sizes=[[64, 64]]))


def test_what_the_pipeline_cannot_be_told_is_refused_or_dropped_and_recorded(provider: Diffusers) -> None:
    question: dict[str, Any] = {"negative_prompt": "blur", "mode": "studio"}
    assert "mode" in refusal(provider, asked(**question))
    assert "does not hear a negative prompt" in refusal(provider, asked(negative_prompt="blur"))
    assert "base photograph no place" in refusal(provider, asked(reference(RED)))
    may_drop = ["negative_prompt", "references", "mode"]
    (dropped,) = made(provider, asked(reference(RED), **question, may_drop=may_drop))
    assert dropped.details["dropped"] == ["mode", "negative_prompt", "references: base"]
    assert same([dropped], made(provider, asked()))


def test_photographs_are_shown_to_the_pipeline_in_the_roles_of_the_profile(provider: Diffusers) -> None:
    profiles: list[dict[str, Any]] = [
        {"task": "image-to-image", "references": {"base": "image"}},
        {"task": "inpainting", "references": {"base": "image"}},
        {"model": "klein", "references": {"base": "reference"}},
    ]
    for parameters in profiles:
        red, blue = made(provider, *(asked(reference(data), **parameters) for data in (RED, BLUE)))
        assert not np.array_equal(red.pixels, blue.pixels), parameters


def test_two_photographs_in_one_role_are_refused(provider: Diffusers) -> None:
    two = [reference(RED), reference(BLUE, "style")]
    roles = {"base": "reference", "style": "reference"}
    assert "takes one picture as reference" in refusal(provider, asked(*two, model="klein", references=roles))


def test_a_photograph_that_cannot_be_used_refuses_its_own_picture_alone(provider: Diffusers) -> None:
    parameters: dict[str, Any] = {"task": "image-to-image", "references": {"base": "image"}}
    bad, good = answers(provider, asked(reference(BROKEN), **parameters), asked(reference(RED), **parameters))
    assert isinstance(bad, ProviderRefused)
    assert "photograph" in str(bad)
    assert isinstance(good, Rendered)


def test_a_prompt_of_400_tokens_is_refused_before_anything_is_drawn(provider: Diffusers) -> None:
    assert "has 400 tokens, its text encoder reads 77" in refusal(provider, asked(prompt="a" * 398))


def test_wrong_parameters_are_refused_all_at_once(provider: Diffusers) -> None:
    reason = refusal(provider, asked(steps=0, scheduler={"name": "MyScheduler"}, lorras=[]))
    assert "steps" in reason
    assert "scheduler.name" in reason
    assert "lorras" in reason


def test_a_missing_model_is_a_matter_of_fetching_it(data: Path) -> None:
    weights = data / "models" / "klein" / "vae" / "diffusion_pytorch_model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    try:
        fresh = Diffusers(Engine(models(data)))
        failed, made_anyway = answers(fresh, asked(model="klein"), asked(seed=2))
        assert isinstance(failed, ProviderUnavailable)
        assert "vae/diffusion_pytorch_model.safetensors" in str(failed)
        assert isinstance(made_anyway, Rendered)
        (data / "models" / "klein" / "model_index.json").rename(data / "hidden")
        with pytest.raises(MissingModel, match=r"model_index\.json"):
            Diffusers(Engine(models(data))).check(asked(model="klein"))
    finally:
        weights.write_bytes(kept)
        (data / "hidden").rename(data / "models" / "klein" / "model_index.json")


def test_the_version_names_the_weights(provider: Diffusers) -> None:
    assert provider.version_of(PROFILE) == provider.version_of({**PROFILE, "steps": 9})
    assert provider.version_of(PROFILE) != provider.version_of({**PROFILE, "model": "klein"})


def test_it_tells_what_it_measured(provider: Diffusers) -> None:
    made(provider, asked())
    assert {
        "device",
        "dtype",
        "model_load_seconds",
        "batch_size",
        "memory_peak_bytes",
    } <= provider.observed().keys()
