"""The provider that needs nothing. Photographs are drawn here; everything else is real."""

import io
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Profile, Rendered
from asset_pipeline.candidates.staging import CUTOUTS_KEPT
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.errors import BrokenFact, ProviderError, ProviderRefused, UnsupportedRequest
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.placing import bounding_box, cropped, place
from asset_pipeline.providers.packshot import COLOURS, Packshot, colour_of, understood
from asset_pipeline.yaml_model import read_model

Array = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def photograph(
    width: int = 640,
    height: int = 640,
    product: tuple[int, int, int, int] = (180, 140, 460, 520),
    colour: str = "#1f5fae",
    background: str | None = None,
) -> bytes:
    """A striped box with rounded corners; cut out, or before a background."""
    mode, ground = ("RGBA", (0, 0, 0, 0)) if background is None else ("RGB", background)
    canvas = Image.new(mode, (2 * width, 2 * height), ground)
    draw = ImageDraw.Draw(canvas)
    left, top, right, bottom = (2 * corner for corner in product)
    draw.rounded_rectangle((left, top, right, bottom), 60, fill=colour)
    for stripe in range(top + 80, bottom - 80, 90):
        draw.rectangle((left + 60, stripe, right - 60, stripe + 30), fill="#f2c14e")
    return png(canvas.resize((width, height), Image.Resampling.BOX))


BOX = photograph()


def reference(data: bytes, role: PhotographRole = "base") -> ImageReference:
    return ImageReference(
        role=role,
        sha256=sha256_of(data),
        media_type="image/png",
        width=640,
        height=640,
    )


def asked(
    prompt: str = "a box",
    seed: int = 1,
    size: tuple[int, int] = (320, 320),
    references: tuple[ImageReference, ...] = (reference(BOX),),
    **parameters: Any,
) -> Asked:
    request = ImageRequest(
        prompt=prompt,
        width=size[0],
        height=size[1],
        seed=seed,
        references=references,
        profile_fingerprint="0" * 64,
    )
    return Asked(request, parameters)


def answer(
    question: Asked, *photographs: bytes, provider: Packshot | None = None
) -> Rendered | ProviderError:
    by_name = {sha256_of(data): data for data in (BOX, *photographs)}
    ((same, found),) = (provider or Packshot()).render([question], by_name.__getitem__)
    assert same is question
    return found


def made(question: Asked, *photographs: bytes, provider: Packshot | None = None) -> Rendered:
    found = answer(question, *photographs, provider=provider)
    assert isinstance(found, Rendered), found
    return found


def mask_of(rendered: Rendered) -> Array:
    assert rendered.mask is not None
    return rendered.mask


def backdrop_of(rendered: Rendered) -> npt.NDArray[np.float64]:
    """The mean colour of the top corners, where no shadow falls."""
    corner = rendered.pixels.shape[1] // 10
    corners = np.concatenate([rendered.pixels[:corner, :corner], rendered.pixels[:corner, -corner:]])
    mean: npt.NDArray[np.float64] = corners.mean((0, 1))
    return mean


# --------------------------------------------------------------------------------------------- marketplace

SIZES = st.tuples(st.integers(64, 400), st.integers(64, 400))
PRODUCTS = st.tuples(st.integers(20, 250), st.integers(20, 250), st.integers(390, 620), st.integers(390, 620))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), SIZES, PRODUCTS)
def test_a_main_image_is_exact_white_outside_the_product_which_fills_it_and_is_centred(
    seed: int, size: tuple[int, int], product: tuple[int, int, int, int]
) -> None:
    data = photograph(product=product)
    question = asked("on a red background", seed, size, (reference(data),), mode="marketplace")
    rendered = made(question, data)
    mask = mask_of(rendered)
    assert rendered.pixels.shape == (size[1], size[0], 3)
    assert (rendered.pixels[mask == 0] == 255).all()
    left, top, right, bottom = bounding_box(mask)
    fills = (right - left) / size[0], (bottom - top) / size[1]
    assert 0.85 <= max(fills) <= 0.92
    assert abs((left + right) / 2 - size[0] / 2) <= 1
    assert abs((top + bottom) / 2 - size[1] / 2) <= 1
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0


def test_in_a_main_image_the_products_pixels_are_its_own() -> None:
    """The same picture as Pillow makes of the photograph: made smaller once, laid on white."""
    rendered = made(asked(size=(480, 480), mode="marketplace"))
    placed = place(cropped(cut_out(decode(BOX))), (0, 0, 480 * 0.88, 480 * 0.88))
    photo = Image.open(io.BytesIO(BOX)).crop((176, 136, 465, 525))
    small = photo.resize((placed.alpha.shape[1], placed.alpha.shape[0]), Image.Resampling.LANCZOS)
    left, top, _, _ = bounding_box(mask_of(rendered))
    inner_left, inner_top, _, _ = bounding_box(placed.alpha)
    expected = Image.new("RGBA", (480, 480), "white")
    expected.alpha_composite(small, (left - inner_left, top - inner_top))
    difference = np.abs(rendered.pixels.astype(int) - np.asarray(expected.convert("RGB"), int))
    assert difference.max() <= 3
    assert difference.mean() < 0.2


def test_a_main_image_is_the_same_for_every_seed() -> None:
    first, second = (made(asked(seed=seed, mode="marketplace")) for seed in (1, 2))
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_a_product_on_a_plain_background_leaves_no_background_behind() -> None:
    data = photograph(background="#3fae5a")
    rendered = made(asked(size=(480, 480), references=(reference(data),), mode="marketplace"), data)
    pixels = rendered.pixels.astype(int)
    green = pixels[..., 1] - np.maximum(pixels[..., 0], pixels[..., 2])
    assert (green > 25).sum() == 0
    assert (rendered.pixels[mask_of(rendered) == 0] == 255).all()


# -------------------------------------------------------------------------------------------------- studio


def test_shadows_lie_outside_the_mask_and_the_product_keeps_its_colours() -> None:
    on_red, on_white = (made(asked(f"on a {colour} background", 7)) for colour in ("red", "white"))
    mask = mask_of(on_red)
    np.testing.assert_array_equal(mask, mask_of(on_white))
    assert (on_red.pixels[mask == 255] == on_white.pixels[mask == 255]).all()
    plain = made(asked(mode="marketplace"))
    own = plain.pixels[mask_of(plain) == 255].astype(float).mean(0)
    assert np.abs(on_red.pixels[mask == 255].mean(0) - own).max() < 6
    left, _, right, bottom = bounding_box(mask)
    below = on_white.pixels[bottom : bottom + 5, left + 20 : right - 20].mean()
    assert below < backdrop_of(on_white).mean() - 15


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1), SIZES, st.sampled_from(["", "close-up", "wide shot", "copy space on the left"])
)
def test_the_product_is_always_whole_and_inside_the_frame(
    seed: int, size: tuple[int, int], words: str
) -> None:
    mask = mask_of(made(asked(words, seed, size)))
    left, top, right, bottom = bounding_box(mask)
    assert mask.shape == (size[1], size[0])
    assert left > 0
    assert top > 0
    assert right < size[0]
    assert bottom < size[1]


def test_seeds_give_visibly_different_pictures() -> None:
    pictures = [made(asked(seed=seed)).pixels.astype(int) for seed in range(6)]
    for one in range(6):
        for other in range(one):
            assert np.abs(pictures[one] - pictures[other]).mean() > 3
    named = [made(asked("on a sand background", seed=seed)).pixels.astype(int) for seed in range(6)]
    differences = [np.abs(one - other).mean() for one in named for other in named if one is not other]
    assert min(differences) > 1


def test_without_a_colour_word_the_product_stands_out_from_what_the_seed_chooses() -> None:
    pale, dark = photograph(colour="#f4f1eb"), photograph(colour="#333538")

    def chosen(data: bytes) -> set[str]:
        questions = [asked(seed=seed, size=(64, 64), references=(reference(data),)) for seed in range(40)]
        answers = [found for _, found in Packshot().render(questions, lambda _: data)]
        return {found.details["background"]["name"] for found in answers if isinstance(found, Rendered)}

    assert not chosen(pale) & {"off white", "linen"}
    assert "charcoal" not in chosen(dark)
    assert len(chosen(pale)) > 4


@pytest.mark.parametrize(
    ("words", "colour"),
    [
        ("on a red background", COLOURS["red"]),
        ("a red box on a navy backdrop", COLOURS["navy"]),
        ("on a sage green background", COLOURS["sage"]),
        ("a light grey studio", (218, 219, 219)),
        ("background in terracotta", COLOURS["terracotta"]),
        ("on a seamless mustard paper background", COLOURS["mustard"]),
        ("on a #336699 background", (51, 102, 153)),
        ("on a dark olive backdrop", (63, 64, 39)),
        ("on a chartreuse background", (127, 255, 0)),
        ("calm studio photography, on a cream background", COLOURS["cream"]),
    ],
)
def test_a_colour_before_the_background_is_the_backdrops(words: str, colour: tuple[int, int, int]) -> None:
    rendered = made(asked(words))
    assert rendered.details["background"]["rgb"] == pytest.approx(colour, abs=1)
    assert np.abs(backdrop_of(rendered) - colour).max() < 40


def test_a_red_box_is_no_red_background() -> None:
    for words in ("a red box", "a red box, studio photography", "a red box. Plain background"):
        assert "background" not in understood(words)


def test_light_from_the_left_throws_its_shadow_to_the_right() -> None:
    def darker_side(words: str) -> str:
        rendered = made(asked(f"on a white background, hard {words}", 5, (400, 400)))
        left, top, right, bottom = bounding_box(mask_of(rendered))
        beside = rendered.pixels[(top + bottom) // 2 : bottom].astype(float).mean(2)
        return (
            "right"
            if beside[:, right + 4 : right + 50].mean() < beside[:, left - 50 : left - 4].mean()
            else "left"
        )

    assert darker_side("light from the left") == "right"
    assert darker_side("light from the right") == "left"
    assert darker_side("lighting coming from left") == "right"


def test_framing_words_decide_the_size_and_space_words_the_place() -> None:
    def box(words: str) -> tuple[int, int, int, int]:
        return bounding_box(mask_of(made(asked(words, 3, (600, 400)))))

    heights = [bottom - top for _, top, _, bottom in map(box, ("wide shot", "", "close-up"))]
    assert heights == sorted(heights)
    assert heights[0] < 0.5 * 400
    assert heights[2] > 0.8 * 400
    assert box("copy space on the left")[0] > 300
    assert box("product on the left")[2] < 330


def test_a_reflection_is_the_product_upside_down_and_fainter() -> None:
    with_it, without = (
        made(asked("on a black background, with reflection", 4)),
        made(asked("on a black background", 4)),
    )
    left, _, right, bottom = bounding_box(mask_of(with_it))
    mirrored = with_it.pixels[bottom + 6 : bottom + 30, left + 20 : right - 20].astype(int)
    plain = without.pixels[bottom + 6 : bottom + 30, left + 20 : right - 20].astype(int)
    assert (mirrored - plain)[..., 2].mean() > 8
    assert made(asked("a mug with a glossy finish", 4)).details["reflection"] == 0


def test_clothing_lies_flat_and_other_things_stand() -> None:
    assert made(asked("Cotton T-Shirt, navy")).details["stage"] == "flat"
    assert made(asked("Steel bottle")).details["stage"] == "floor"
    assert made(asked("Steel bottle, flat lay")).details["stage"] == "flat"


def test_the_words_for_light_are_not_taken_for_a_view() -> None:
    said = understood("Light from above on a white background")
    assert said["light"][0] == "above"
    assert "view" not in said
    assert understood("seen from above")["view"][0] == "top"


def test_parameters_win_over_words() -> None:
    rendered = made(
        asked("on a red background, close-up", background="pale blue", framing="wide", stage="flat")
    )
    assert rendered.details["background"]["name"] == "pale blue"
    assert (rendered.details["framing"], rendered.details["stage"]) == ("wide", "flat")


@given(st.lists(st.sampled_from([*COLOURS, "warm", "light", "deep", "studio", "gray", "12", ""]), max_size=4))
def test_colours_are_colours_or_nothing(words: list[str]) -> None:
    found = colour_of(words)
    assert found is None or all(0 <= value <= 255 for value in found)


# ------------------------------------------------------------------------------------------------- choices


def test_a_side_view_is_shown_when_asked_for_and_there() -> None:
    side = photograph(product=(100, 300, 540, 460))
    both = (reference(BOX), reference(side, "side"))
    assert made(asked("side view", references=both), side).details["reference"]["role"] == "side"
    assert made(asked("a box", references=both), side).details["reference"]["role"] == "base"
    assert made(asked("side view")).details["reference"]["role"] == "base"
    assert made(asked(references=both, view="side"), side).details["reference"]["sha256"] == sha256_of(side)


def test_details_tell_the_scene_in_plain_json_values() -> None:
    details = made(asked("on a warm sand background, light from the left", 3)).details
    assert details["understood"] == {"background": "warm sand background", "light": "light from the left"}
    assert details["cutout"]["found_by"] == "alpha channel"
    assert details["box"] == list(
        bounding_box(mask_of(made(asked("on a warm sand background, light from the left", 3))))
    )

    def plain(value: Any) -> bool:
        if isinstance(value, Mapping):
            return all(type(key) is str and plain(part) for key, part in value.items())
        return all(map(plain, value)) if type(value) is list else type(value) in {str, int, float, bool}

    assert plain(details)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"mode": "poster"}, "'studio' or 'marketplace'"),
        ({"framing": "huge"}, "'close-up', 'standard' or 'wide'"),
        ({"background": "blurple"}, "one of white, off white"),
        ({"steps": 20}, "no parameter 'steps' .it has: mode, view, background"),
        ({"reflection": "yes"}, "reflection"),
        ({"mode": "marketplace", "background": "red"}, "leaves no choice of background"),
    ],
)
def test_parameters_without_meaning_are_refused_with_the_choices(
    parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnsupportedRequest, match=words):
        Packshot().check(Asked(asked().request, parameters))


def test_the_projects_own_profiles_are_understood() -> None:
    paths = list((Path(__file__).parents[1] / "data/profiles").glob("packshot*.yaml"))
    assert len(paths) == 2
    for path in paths:
        profile = read_model(path, Profile)
        assert profile.provider == Packshot.name
        Packshot().check(Asked(asked().request, profile.parameters))


def test_without_a_photograph_the_request_is_refused() -> None:
    found = answer(asked(references=(reference(BOX, "detail"),)))
    assert isinstance(found, ProviderRefused)
    assert str(found) == "no photograph of role base (the request has: detail)"
    assert "role top" in str(answer(asked(view="top")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"nothing", "not a picture"),
        (photograph(background="#1f5fae", colour="#1f5fae")[:900], "damaged or cut off"),
        (
            photograph(background="#2060b0", product=(-50, 100, 400, 700)),
            "cut off at the bottom and the left",
        ),
        (
            photograph(background="#e8e8e8", product=(200, 300, 400, 700)),
            "cut off at the bottom of its photograph",
        ),
        (photograph(120, 120, (30, 30, 80, 90)), "the picture needs it .* px large, more than 2 times"),
    ],
)
def test_a_photograph_that_will_not_do_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    found = answer(asked(size=(480, 480), references=(reference(data),)), data)
    assert isinstance(found, ProviderRefused)
    assert re.search(reason, str(found)), str(found)


def test_one_refusal_does_not_stop_the_batch() -> None:
    good, bad = asked(), asked(references=())
    answers = list(Packshot().render([bad, good], lambda _: BOX))
    assert [question for question, _ in answers] == [bad, good]
    assert isinstance(answers[0][1], ProviderRefused)
    assert isinstance(answers[1][1], Rendered)


def test_a_store_that_fails_once_is_asked_again() -> None:
    provider = Packshot()

    def fails(sha256: str) -> bytes:
        raise BrokenFact(sha256)

    with pytest.raises(BrokenFact):
        list(provider.render([asked()], fails))
    assert isinstance(made(asked(), provider=provider), Rendered)


# --------------------------------------------------------------------------------------------- determinism


def test_the_same_request_is_the_same_picture_in_any_batch_and_thread() -> None:
    questions = [asked("with reflection, light from the right", seed, (200, 160)) for seed in range(4)]
    alone = [made(question).pixels for question in questions]
    shared, opened, found = Packshot(), [], {}

    def open_reference(sha256: str) -> bytes:
        opened.append(sha256)
        return BOX

    def work(order: int) -> None:
        batch = questions[order:] + questions[:order]
        found[order] = {id(question): rendered for question, rendered in shared.render(batch, open_reference)}

    threads = [threading.Thread(target=work, args=(order,)) for order in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for order in range(4):
        for question, expected in zip(questions, alone, strict=True):
            rendered = found[order][id(question)]
            assert isinstance(rendered, Rendered)
            np.testing.assert_array_equal(rendered.pixels, expected)
    assert opened == [sha256_of(BOX)]


def test_only_the_last_few_cut_outs_are_kept() -> None:
    provider, opened = Packshot(), []
    photographs = {
        sha256_of(data): data for data in (photograph(160, 160, (20, 20, 120, 100 + n)) for n in range(12))
    }

    def open_reference(sha256: str) -> bytes:
        opened.append(sha256)
        return photographs[sha256]

    questions = [asked(size=(64, 64), references=(reference(data),)) for data in photographs.values()]
    list(provider.render(questions, open_reference))
    list(provider.render(questions[-CUTOUTS_KEPT:], open_reference))
    assert len(opened) == 12
    list(provider.render(questions[:1], open_reference))
    assert len(opened) == 13
