"""Product lock: the product's own pixels in a scene. The places are drawn; everything else is real."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Pixels, Rendered
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.errors import ProviderError, ProviderRefused, ProviderUnavailable, UnsupportedRequest
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.backdrop import enlarged, horizon_of, side_of_light
from asset_pipeline.pictures.contact import without_contact_shadow
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import Plane, decode
from asset_pipeline.pictures.in_scene import LOCKED_LEVELS, LOCKED_MEAN_LEVELS, locked
from asset_pipeline.pictures.placing import bounding_box
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.providers.scene import Scene
from asset_pipeline.sample.scenes import Place, Side, place
from asset_pipeline_tests import tiny_models
from asset_pipeline_tests.scene_engine import PlaceEngine

DATA = Path(__file__).parent.parent / "data"
PARAMETERS = {"model": "drawn", "steps": 4, "native_sizes": [[128, 128], [176, 96]]}
WOOD = "empty scene, on a wooden table, autumn leaves in the background"


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def photograph(colour: str = "#2f6fae", *, cut_off: bool = False) -> bytes:
    """A labelled box, cut out already."""
    canvas = Image.new("RGBA", (480, 480), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    box = (0, 0, 479, 340) if cut_off else (140, 90, 340, 420)
    draw.rounded_rectangle(box, 24, fill=colour)
    draw.rectangle((180, 200, 300, 300), fill="#f4efe2")
    for line in range(215, 290, 18):
        draw.line((195, line, 285, line), fill="#222222", width=5)
    return png(canvas)


BOX, SIDE, CUT_OFF = photograph(), photograph("#40a060"), photograph(cut_off=True)
WHITE = photograph("#f6f4ee")
BY_NAME = {sha256_of(data): data for data in (BOX, SIDE, CUT_OFF, WHITE)}


def reference(data: bytes, role: PhotographRole = "base") -> ImageReference:
    return ImageReference(role=role, sha256=sha256_of(data), media_type="image/png", width=480, height=480)


def asked(
    prompt: str = WOOD,
    seed: int = 1,
    size: tuple[int, int] = (256, 256),
    references: tuple[ImageReference, ...] = (reference(BOX),),
    negative_prompt: str = "",
    **parameters: Any,
) -> Asked:
    request = ImageRequest(
        prompt=prompt,
        negative_prompt=negative_prompt,
        width=size[0],
        height=size[1],
        seed=seed,
        references=references,
        profile_fingerprint="0" * 64,
    )
    return Asked(request, PARAMETERS | parameters)


def answers(*questions: Asked, engine: Engine | None = None) -> dict[str, Rendered | ProviderError]:
    found = Scene(engine or PlaceEngine()).render(questions, BY_NAME.__getitem__)
    return {question.request.candidate_id: answer for question, answer in found}


def made(question: Asked, engine: Engine | None = None) -> Rendered:
    (answer,) = answers(question, engine=engine).values()
    assert isinstance(answer, Rendered), answer
    return answer


def mask_of(rendered: Rendered) -> Plane:
    assert rendered.mask is not None
    return rendered.mask


def own_pixels(rendered: Rendered, data: bytes = BOX) -> tuple[Pixels, Pixels]:
    """What is promised of the product: in the picture, and in its photograph as Pillow reduces it."""
    at = rendered.details["placement"]
    part = Image.open(io.BytesIO(data)).crop(at["of_photograph"])
    reduced = part.convert("RGBa").resize((at["width"], at["height"]), Image.Resampling.LANCZOS)
    layers = np.asarray(reduced)
    inside = locked(np.ascontiguousarray(layers[..., 3]))
    there = rendered.pixels[at["top"] : at["top"] + at["height"], at["left"] : at["left"] + at["width"]]
    return there[inside], layers[..., :3][inside]


# -------------------------------------------------------------------------------------------- the promise


@settings(deadline=None, max_examples=12)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        ["dark slate, a city at night", "a marble counter, a kitchen", "fresh snow, a teal wall"]
    ),
    st.sampled_from(["warm evening light", "cool morning light", "soft daylight", "close-up"]),
)
def test_the_products_pixels_are_those_of_its_photograph_within_what_is_promised(
    seed: int, where: str, words: str
) -> None:
    rendered = made(asked(f"empty scene, on {where} in the background, {words}", seed))
    found, own = own_pixels(rendered)
    levels = np.abs(found.astype(int) - own)
    assert len(levels) > 1000
    assert levels.max() <= LOCKED_LEVELS
    assert levels.mean() <= LOCKED_MEAN_LEVELS
    assert rendered.details["lock"]["levels"] == levels.max()
    assert rendered.details["lock"]["mean_levels"] == pytest.approx(levels.mean(), abs=0.01)
    assert rendered.details["lock"]["promised_levels"] == LOCKED_LEVELS


def test_a_pale_product_in_warm_light_is_not_tinted_by_more_than_is_promised_on_average() -> None:
    found, own = own_pixels(made(asked(f"{WOOD}, warm light", references=(reference(WHITE),))), WHITE)
    levels = np.abs(found.astype(int) - own)
    assert levels.max() <= LOCKED_LEVELS
    assert 4 < levels.mean() <= LOCKED_MEAN_LEVELS


def test_light_that_is_stated_tints_the_product_and_never_beyond_the_promise() -> None:
    warm, cool = (
        own_pixels(made(asked(f"{WOOD}, {words} light")))[0].astype(int) for words in ("warm", "cool")
    )
    redder = (warm[:, 0] - warm[:, 2]).mean() - (cool[:, 0] - cool[:, 2]).mean()
    assert 5 < redder <= 4 * LOCKED_LEVELS
    by_parameter = made(asked(f"{WOOD}, warm light", temperature="cool"))
    np.testing.assert_array_equal(own_pixels(by_parameter)[0], cool)


# ----------------------------------------------------------------------------------------------- the scene


def test_the_prompt_is_drawn_as_it_stands_at_the_native_size_of_the_nearest_shape() -> None:
    engine = PlaceEngine()
    for size, native in (((320, 180), (176, 96)), ((256, 256), (128, 128)), ((200, 300), (128, 128))):
        rendered = made(asked(size=size), engine)
        drawing = engine.drawn[-1]
        assert (drawing.width, drawing.height) == native
        assert (drawing.prompt, drawing.seed, dict(drawing.images)) == (WOOD, 1, {})
        assert rendered.pixels.shape == (size[1], size[0], 3)
        assert rendered.details["drawn"] == {"size": list(native), "seed": 1}


def test_the_product_stands_whole_below_the_horizon() -> None:
    for seed in range(6):
        rendered = made(asked(seed=seed))
        left, top, right, bottom = bounding_box(mask_of(rendered))
        assert rendered.details["box"] == [left, top, right, bottom]
        assert 0 < left < right < 256
        assert top > 0
        assert 0.77 < bottom / 256 < 0.86
        assert rendered.details["horizon"] < 0.6


@pytest.mark.parametrize(("side", "darker"), [("left", "right"), ("right", "left")])
def test_the_shadow_falls_away_from_the_light(side: str, darker: str) -> None:
    """Beside the product's foot, against the same place without a product."""
    rendered = made(asked(f"{WOOD}, light from the {side}", hardness="hard"))
    engine = PlaceEngine()
    made(asked(f"{WOOD}, light from the {side}"), engine)
    ((_, empty),) = PlaceEngine().draw(None, engine.drawn)  # type: ignore[arg-type]
    assert not isinstance(empty, ProviderError)
    left, top, right, bottom = rendered.details["box"]
    backdrop = enlarged(empty, (256, 256), bottom / 256, 1).colours
    share = rendered.pixels.mean(axis=2) / backdrop.mean(axis=2)
    beside = {
        "left": share[bottom - 30 : bottom - 5, left - 35 : left - 5].mean(),
        "right": share[bottom - 30 : bottom - 5, right + 5 : right + 35].mean(),
    }
    assert rendered.details["light"]["from"] == side
    assert beside[darker] < 0.93 * beside[side]
    assert share[bottom : bottom + 3, left + 20 : right - 20].mean() < 0.8, "contact"
    assert share[:top].mean() == pytest.approx(1, abs=0.01), "nothing falls on what is far away"


@pytest.mark.parametrize("side", ["left", "right", "above"])
@pytest.mark.parametrize("seed", [1, 2])
def test_light_that_nobody_states_is_seen_in_the_scene(side: Side, seed: int) -> None:
    for where in (Place("autumn leaves", "wood", side), Place("sage green", "marble", side)):
        picture = np.asarray(255 * place(where, 128, 128, seed), np.uint8)
        assert side_of_light(picture) == side


def test_a_table_has_a_horizon_and_a_seamless_studio_has_none() -> None:
    for seed in range(8):
        for backdrop in ("kitchen", "night city", "sage green"):
            table = np.asarray(255 * place(Place(backdrop, "concrete"), 128, 128, seed), np.uint8)
            found = horizon_of(table)
            assert found is not None
            assert 0.44 < found < 0.60
        studio = np.asarray(255 * place(Place("warm sand"), 128, 128, seed), np.uint8)
        assert horizon_of(studio) is None


def test_the_surface_is_sharper_at_the_products_foot_than_behind_it() -> None:
    drawn = np.asarray(255 * place(Place("sage green", "moss"), 128, 128, 3), np.uint8)
    colours = enlarged(drawn, (512, 512), 0.8, 1).colours.mean(axis=2)
    assert (
        np.abs(np.diff(colours[400:430], axis=1)).mean()
        > 2 * np.abs(np.diff(colours[285:315], axis=1)).mean()
    )


# ------------------------------------------------------------------------------------------------ requests


def test_a_picture_depends_on_its_request_alone() -> None:
    questions = [asked(seed=seed) for seed in range(3)]
    together = answers(*questions)
    assert list(together) == [each.request.candidate_id for each in reversed(questions)], "as they are drawn"
    for question in questions:
        alone, among = made(question), together[question.request.candidate_id]
        assert isinstance(among, Rendered)
        np.testing.assert_array_equal(alone.pixels, among.pixels)
        np.testing.assert_array_equal(mask_of(alone), mask_of(among))
        assert alone.details == among.details
    pictures = [each.pixels.tobytes() for each in together.values() if isinstance(each, Rendered)]
    assert len(set(pictures)) == 3


def test_what_cannot_be_made_is_refused_alone_and_nothing_is_drawn_for_it() -> None:
    engine = PlaceEngine()
    engine.refused[7] = ProviderUnavailable("out of memory")
    no_photograph = asked(references=())
    cut_off = asked(references=(reference(CUT_OFF),))
    too_small = asked(size=(1600, 1600))
    unlucky, lucky = asked(seed=7), asked(seed=8)
    found = answers(no_photograph, cut_off, too_small, unlucky, lucky, engine=engine)
    for question, reason in (
        (no_photograph, "no photograph of role base"),
        (cut_off, "cut off at the"),
        (too_small, "bring a larger one"),
    ):
        refusal = found[question.request.candidate_id]
        assert isinstance(refusal, ProviderRefused)
        assert reason in str(refusal)
    assert isinstance(found[unlucky.request.candidate_id], ProviderUnavailable)
    assert isinstance(found[lucky.request.candidate_id], Rendered)
    assert sorted(drawing.seed for drawing in engine.drawn) == [7, 8]


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"method": "guess"}, "method"),
        ({"light": "behind"}, "light"),
        ({"view": "top"}, "view"),
        ({"mode": "studio"}, "mode"),
        ({"method": "inpaint"}, "needs the task inpainting"),
        ({"task": "inpainting"}, "needs the task text-to-image"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_before_anything_is_drawn(
    parameters: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UnsupportedRequest, match=complaint):
        Scene(PlaceEngine()).check(asked(**parameters))


def test_the_side_view_is_shown_where_it_is_asked_for_and_a_view_from_above_never() -> None:
    both = (reference(BOX), reference(SIDE, "side"), reference(CUT_OFF, "top"))
    for words, role in (("side view", "side"), ("top view", "base"), ("", "base")):
        assert made(asked(f"{WOOD}, {words}", references=both)).details["reference"]["role"] == role


def test_framing_and_space_are_the_prompts_or_the_parameters() -> None:
    heights = []
    for framing in ("wide", "standard", "close-up"):
        _, top, _, bottom = made(asked(framing=framing)).details["box"]
        heights.append(bottom - top)
    assert heights == sorted(heights)
    assert heights[0] * 1.6 < heights[2]
    left, _, right, _ = made(asked(f"{WOOD}, product on the right", size=(512, 256))).details["box"]
    assert (left + right) / 2 > 0.6 * 512


def test_its_version_names_the_weights_and_what_is_left_unsaid_is_recorded() -> None:
    one, other = (Scene(PlaceEngine()).version_of(PARAMETERS | {"model": name}) for name in ("one", "two"))
    assert one != other
    assert made(asked(negative_prompt="hands")).details["dropped"] == ["negative_prompt"]
    assert "dropped" not in made(asked()).details


def test_the_words_of_the_lifestyle_scene_describe_the_place_alone() -> None:
    template = load_asset_types(DATA)["lifestyle_scene"].template
    assert template.startswith("empty scene, on {{ surface }}, {{ behind }} in the background")
    assert "product" not in template


# ----------------------------------------------------------------------------------------------- inpainting


def test_an_inpainting_checkpoint_paints_around_the_product_at_full_size(tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    engine = Engine(Checkpoints(tmp_path, {}))
    question = asked(
        size=(136, 120),
        model="sd",
        steps=2,
        native_sizes=(),
        method="inpaint",
        task="inpainting",
        strength=1.0,
    )
    Scene(engine).check(question)
    rendered = made(question, engine)
    assert rendered.pixels.shape == (120, 136, 3)
    assert rendered.details["drawn"]["size"] == [144, 128]
    found, own = own_pixels(rendered)
    assert len(found) > 100
    np.testing.assert_array_equal(found, own)
    around = rendered.pixels[mask_of(rendered) == 0].astype(int)
    assert np.abs(around - 150).mean() > 10, "the neutral studio is painted over"


def test_a_checkpoint_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    tiny_models.write_model(tmp_path, "sd", tiny_models.stable_diffusion)
    next((tmp_path / "models" / "sd" / "unet").glob("*.safetensors")).unlink()
    (answer,) = answers(asked(model="sd"), engine=Engine(Checkpoints(tmp_path, {}))).values()
    assert isinstance(answer, ProviderUnavailable)
    assert "safetensors" in str(answer)


# ----------------------------------------------------------------------------------- shadows of photographs


def shaded_photograph() -> bytes:
    """A dark box on white with the soft shadow of its foot, as photographs for shops have it."""
    shadow = Image.new("L", (600, 600), 255)
    ImageDraw.Draw(shadow).rounded_rectangle((194, 460, 406, 508), 12, fill=180)
    canvas = shadow.filter(ImageFilter.GaussianBlur(5)).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle((200, 120, 400, 500), 10, fill="#7c2d3e")
    draw.rectangle((240, 250, 360, 350), fill="#f2efe9")
    return png(canvas)


def test_the_shadow_at_the_foot_of_a_photographed_product_is_left_behind() -> None:
    before = cut_out(decode(shaded_photograph()))
    after = without_contact_shadow(before)
    box = np.zeros((600, 600), bool)
    box[120:501, 200:401] = True
    assert (before.alpha[~box] > 127).sum() > 300, "the cut-out keeps a rim"
    assert (after.alpha[~box] > 127).sum() < 0.2 * (before.alpha[~box] > 127).sum()
    core = box & (before.alpha == 255)
    core[494:] = core[:, :206] = core[:, 395:] = False
    assert (after.alpha[core] == 255).all(), "and the product is whole"


def test_a_cut_out_that_came_with_an_alpha_channel_is_left_as_it_is() -> None:
    cutout = cut_out(decode(BOX))
    assert without_contact_shadow(cutout) is cutout
