"""Whether a product is upright: what is caught, what nobody could see, and what has no value."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from asset_pipeline.pictures.aligned import STATES, registered, standard
from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.scorers.product_orientation import ProductOrientation
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, Measured, ReferenceLook
from asset_pipeline_tests.composites import Layers, changed, look, photographed, reference, stretched, turned

DATA = Path(__file__).parent.parent / "data"
LEAST = load_requirements(DATA).thresholds["default"]["product_orientation"].min or 0.0
TEA, MUG, VASE = "nw-tea-20.jpg", "fj-mug-slate.png", "ar-vase-terra.jpg"
TURNS: dict[str, Callable[[Layers], Layers]] = {
    "mirrored": lambda layers: layers[:, ::-1],
    "flipped top to bottom": lambda layers: layers[::-1],
    "upside down": lambda layers: layers[::-1, ::-1],
    "turned left": np.rot90,
    "turned right": lambda layers: np.rot90(layers, 3),
    "mirrored and turned left": lambda layers: np.rot90(layers[:, ::-1]),
    "mirrored and turned right": lambda layers: np.rot90(layers[:, ::-1], 3),
}


def drawn(draw_on: Callable[[ImageDraw.ImageDraw], None]) -> Cutout:
    """A product of 300 × 300 pixels, cut out."""
    canvas = Image.new("RGBA", (320, 320), (0, 0, 0, 0))
    draw_on(ImageDraw.Draw(canvas))
    layers = np.asarray(canvas)
    return replace(photographed(MUG), pixels=layers[..., :3].copy(), alpha=layers[..., 3].copy())


BALL = drawn(lambda draw: draw.ellipse((10, 10, 310, 310), fill="#b03030"))
SLAB = drawn(lambda draw: draw.rectangle((90, 10, 230, 310), fill="#3070b0"))


def measured(shown: Look) -> Measured:
    return ProductOrientation().measure(shown)


def margin(shown: Look) -> float:
    found = measured(shown)
    assert found.value is not None, found.reason
    return found.value


@pytest.mark.parametrize("name", [TEA, MUG, "tr-court-navy.jpg", "au-hush-cream.png"])
def test_an_upright_product_passes_small_turned_a_little_and_on_any_backdrop(name: str) -> None:
    product = photographed(name)
    shots = [
        look(product, reference(product)),
        look(product, reference(product), fill=0.4, backdrop=(40, 44, 52)),
        look(changed(product, turned(8)), reference(product)),
    ]
    assert min(margin(shot) for shot in shots) > 0.7 > LEAST
    assert all(measured(shot).details["looks"] == "upright" for shot in shots)


@pytest.mark.parametrize("state", TURNS)
@pytest.mark.parametrize("name", [TEA, MUG])
def test_a_product_in_any_other_state_does_not_pass_and_the_state_is_named(name: str, state: str) -> None:
    product = photographed(name)
    found = measured(look(changed(product, TURNS[state]), reference(product)))
    assert found.value is not None
    assert found.value < -0.8
    assert found.details["looks"] == state


def test_the_states_are_all_there_are() -> None:
    assert {*TURNS, "upright"} == set(STATES)
    layers = np.random.default_rng(1).normal(size=(6, 6, 4)).astype(np.float32)
    assert len({become(layers).tobytes() for become in STATES.values()}) == 8


def test_a_product_that_looks_the_same_mirrored_passes_mirrored_and_still_fails_upside_down() -> None:
    vase = photographed(VASE)
    shown = measured(look(changed(vase, TURNS["mirrored"]), reference(vase)))
    assert shown.value is not None
    assert shown.value > LEAST
    assert shown.details["looks_the_same"] == ["mirrored"]
    assert margin(look(changed(vase, TURNS["upside down"]), reference(vase))) < -0.8


def test_a_ball_has_no_upright_so_it_does_not_apply() -> None:
    found = measured(look(BALL, reference(BALL)))
    assert found.value is None
    assert not found.applies
    assert found.reason == "the product looks the same mirrored and turned"


def test_a_plain_slab_can_lie_down_and_nothing_else() -> None:
    upright = measured(look(SLAB, reference(SLAB)))
    assert upright.details["looks_the_same"] == ["flipped top to bottom", "mirrored", "upside down"]
    assert (upright.value or 0) > 0.9
    assert margin(look(changed(SLAB, np.rot90), reference(SLAB))) < -0.9


def test_a_small_print_is_enough_to_tell_left_from_right() -> None:
    def printed(draw: ImageDraw.ImageDraw) -> None:
        draw.rectangle((60, 10, 260, 310), fill="#e8e0d0")
        for place, letter in enumerate("FERN"):
            draw.text((110 + 25 * place, 120), letter, fill="#202020", font_size=32)

    box = drawn(printed)
    assert margin(look(box, reference(box))) > 0.7
    assert margin(look(changed(box, TURNS["mirrored"]), reference(box))) < -0.7


def test_the_light_from_the_other_side_does_not_mirror_a_product() -> None:
    mug = photographed(MUG)
    shown = look(mug, reference(mug))
    darker = np.linspace(1.0, 0.6, shown.pixels.shape[1])[None, :, None]
    assert margin(replace(shown, pixels=(shown.pixels * darker).astype(np.uint8))) > LEAST


def test_another_product_is_in_no_orientation_and_that_is_a_reason() -> None:
    found = measured(look(photographed("st-chair-oak.webp"), reference(photographed(MUG))))
    assert found.value is None
    assert found.applies
    assert "in no orientation" in (found.reason or "")


def test_without_a_named_photograph_the_one_that_fits_best_decides() -> None:
    base, top = photographed(MUG), photographed("fj-mug-slate-top.jpg")
    references = (reference(base), reference(top, "top"))
    assert margin(look(top, *references, details={})) > LEAST
    assert margin(look(changed(top, TURNS["mirrored"]), *references, details={})) < -0.5


def test_a_registration_finds_size_turn_and_place() -> None:
    product = photographed(TEA)
    whole = standard(product.pixels, product.alpha)
    shown = look(changed(product, turned(-20)), fill=0.5)
    assert shown.mask is not None
    picture = standard(shown.pixels, shown.mask)
    assert whole is not None
    assert picture is not None
    found = registered(picture, whole)
    assert found.fit > 0.95
    assert found.worst > 0.85
    wide = changed(product, stretched)
    bent = standard(wide.pixels, wide.alpha)
    assert bent is not None
    assert registered(bent, whole).fit < 0.8


def test_measuring_twice_gives_the_same_and_leaves_the_picture_alone() -> None:
    product = photographed(MUG)
    shown = look(product, reference(product))
    before = shown.pixels.copy()
    scorer = ProductOrientation()
    first = scorer.measure(shown)
    scorer.measure(look(photographed(TEA), reference(photographed(TEA), "tea")))
    assert scorer.measure(shown) == first == ProductOrientation().measure(shown)
    assert np.array_equal(shown.pixels, before)


def test_what_cannot_be_compared_is_a_reason_that_applies() -> None:
    product = photographed(MUG)
    shown = look(product, reference(product))
    uncut = ReferenceLook(product.pixels, None, "uncut")
    assert shown.mask is not None
    for changes, words in (
        ({"references": ()}, "no reference photograph"),
        ({"references": (uncut,)}, "no reference photograph is cut out"),
        ({"mask": None}, "nobody knows where the product is"),
        ({"mask": shown.mask[1:]}, "nobody knows where the product is"),
        ({"mask": np.zeros_like(shown.mask)}, "nobody knows where the product is"),
    ):
        found = measured(replace(shown, **changes))
        assert found.value is None
        assert found.applies
        assert words in (found.reason or "")


sides = st.integers(0, 60)


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_whatever_it_is_shown_it_gives_a_value_in_its_range_or_a_reason(data: st.DataObject) -> None:
    shape = (data.draw(sides), data.draw(sides))
    mask = data.draw(st.none() | arrays(np.uint8, shape) | arrays(np.uint8, (7, 9)))
    pixels = data.draw(arrays(np.uint8, (*shape, 3)))
    found = measured(Look(pixels, mask, b"", shape, (ReferenceLook(pixels[::-1], mask, "a"),)))
    assert found.reason if found.value is None else -1 <= found.value <= 1
