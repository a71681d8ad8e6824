"""The shipped profiles draw the day the weights are there: shown with random weights of the same classes."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asset_pipeline.candidates.request import Pixels, Profile
from asset_pipeline.checkpoints.checkpoint import read_checkpoint
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.settings import Role, Settings
from asset_pipeline.yaml_model import read_model
from asset_pipeline_tests import tiny_models

DATA = Path(__file__).parent.parent / "data"
CLASSES: dict[str, tiny_models.Build] = {
    "sample-diffusion": partial(tiny_models.stable_diffusion, tiny_vae=True),
    "sdxl": tiny_models.stable_diffusion_xl,
    "sdxl-turbo": tiny_models.stable_diffusion_xl,
    "sd35-large": tiny_models.stable_diffusion_3,
    "flux1-schnell": lambda folder: tiny_models.flux(folder, guidance_embeds=False),
    "flux1-dev": lambda folder: tiny_models.flux(folder, guidance_embeds=True),
    "flux2-klein": tiny_models.flux2_klein,
    "qwen-image": tiny_models.qwen_image,
    "z-image-turbo": tiny_models.z_image,
}
HUB = sorted(CLASSES.keys() - {"sample-diffusion"})


def profile(name: str) -> Profile:
    return read_model(DATA / "profiles" / f"{name}.yaml", Profile)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shipped")


@pytest.fixture(scope="session")
def engine(data: Path) -> Engine:
    return Engine(Checkpoints(data, {"ASSET_PIPELINE_MODEL_CACHE": str(data / "cache")}))


@pytest.fixture(scope="session")
def tiny(data: Path) -> Callable[[str], Settings]:
    """The settings of a profile, with a tiny checkpoint of the class of its own."""

    def tiny(name: str) -> Settings:
        if not (data / "models" / f"{name}.yaml").exists():
            tiny_models.write_model(data, name, CLASSES[name])
        return Settings.of({**profile(name).parameters, "model": name})

    return tiny


@pytest.mark.parametrize("name", CLASSES)
def test_a_shipped_profile_draws_with_weights_of_its_class(
    engine: Engine, tiny: Callable[[str], Settings], name: str
) -> None:
    settings = tiny(name)
    negative = "" if "negative_prompt" in settings.may_drop else "blurry"
    images: dict[Role, Pixels] = (
        {"reference": np.full((64, 96, 3), 90, np.uint8)}
        if "reference" in settings.references.values()
        else {}
    )
    picture = Drawing("a red mug on a marble counter", negative, 64, 64, seed=1, images=images)
    for width, height in settings.native_sizes:
        engine.check(settings, Drawing("a mug", negative, width, height, seed=1, images=images))
    # Two steps instead of up to fifty: what is shown is that everything is understood, not how it looks.
    ((_, drawn),) = engine.draw(settings.model_copy(update={"steps": 2}), [picture])
    assert isinstance(drawn, np.ndarray), drawn
    assert drawn.shape == (64, 64, 3)
    assert drawn.std() > 5


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_profile_may_drop_its_pipeline_has_no_words_for(
    engine: Engine, tiny: Callable[[str], Settings], name: str
) -> None:
    settings = tiny(name)
    picture = Drawing("a mug", "blurry", 64, 64, seed=1)
    assert engine.drops(settings, picture) == tuple({"negative_prompt"} & set(settings.may_drop))


@pytest.mark.parametrize("name", HUB)
def test_a_hub_profile_says_source_licence_and_memory_of_a_pinned_revision(name: str) -> None:
    shipped = profile(name)
    checkpoint = read_checkpoint(DATA, shipped.parameters["model"])
    assert shipped.source == f"https://huggingface.co/{checkpoint.source}"
    assert shipped.license == checkpoint.license
    assert re.fullmatch("[0-9a-f]{40}", checkpoint.revision or "")
    assert checkpoint.memory_gb is not None
    assert shipped.concurrency == 1
    assert not shipped.is_remote
