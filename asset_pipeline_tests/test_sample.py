"""The sample: what the renderer promises of its pictures, and the catalog of its rows and photographs."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from asset_pipeline.sample.fields import (
    Field,
    Floats,
    Points,
    ball,
    box,
    cylinder,
    filleted,
    lathed,
    moved,
    ring,
    rod,
    swept,
)
from asset_pipeline.sample.kinds import KINDS, shape_of
from asset_pipeline.sample.labels import Label, drawn
from asset_pipeline.sample.materials import Material
from asset_pipeline.sample.photographs import PRODUCTS, SIZE, Photographed, picture, save
from asset_pipeline.sample.shading import Look, Rendered, shade
from asset_pipeline.sample.shape import Front, Part, Shape
from asset_pipeline.sample.tracing import Traced, trace

CATALOG = Path(__file__).parents[1] / "data" / "catalog"
RED: Look = {"body": Material("#c0392b", "matte")}
BLUE: Look = {"body": Material("#2456b0", "matte")}
BALL = Shape((Part("body", moved(ball(0.6), y=0.6)),))
BLOCK = Shape((Part("body", moved(box(1, 1, 1), y=0.5)),), Front("body", 0.9, 0.5, 0.5))


@pytest.fixture(scope="module")
def mug() -> Traced:
    return trace(shape_of("mug"), "base", 72, lights=("left", "right"))


def points(count: int, seed: int) -> Points:
    places = np.random.default_rng(seed).uniform(-1, 1, (3, count)).astype(np.float32)
    places[1] += 1
    return places


@lru_cache
def traced_ball() -> Traced:
    return trace(BALL, "front", 48)


def luminance(made: Rendered) -> Floats:
    return np.asarray(made.colour @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


def rows() -> list[dict[str, str]]:
    with (CATALOG / "products.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------ distances


@pytest.mark.parametrize(
    "field",
    [
        ball(0.4),
        box(0.8, 0.5, 0.6, 0.1),
        cylinder(0.4, 0.9, 0.05),
        ring(0.5, 0.1),
        rod((0, 0, 0), (0.3, 0.8, 0.2), 0.1),
        lathed((0.4, 0.1, 0.1), (0.2, 1.0, 0.05)),
        swept(filleted([(0, 0, 0), (0.4, 0.5, 0.1), (0, 1, 0)], closed=False), 0.06),
    ],
    ids=["ball", "box", "cylinder", "ring", "rod", "lathed", "swept"],
)
def test_there_is_nothing_within_the_distance_that_a_field_gives(field: Field) -> None:
    here = points(6000, 1)
    here = here[:, field(here) > 0]
    away = np.random.default_rng(2).normal(size=here.shape).astype(np.float32)
    away /= np.sqrt((away * away).sum(axis=0))
    assert (field(here + away * field(here)) > -1e-4).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_asking_only_the_parts_that_are_near_changes_no_distance(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = Shape(tuple(Part("body", moved(ball(0.2), *random.uniform((-1, 0.3, -1), 1))) for _ in range(5)))
    somewhere = points(1, seed) + points(40, seed) * np.float32(0.1)
    every = np.min([part.field(somewhere) for part in shape.parts], axis=0)
    outside = every > 0
    asked = shape.distance(somewhere)
    assert (asked[outside] == every[outside]).all()
    assert (asked[~outside] <= 0).all()


# ------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_product_stands_on_the_floor_and_fills_its_picture(kind: str) -> None:
    shape = shape_of(kind)
    low, _ = shape.bounds
    mask = trace(shape, "base", 48, fill=0.8).mask > 0.5
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longest = max(np.ptp(down), np.ptp(across)) + 1
    assert abs(float(low[1, 0])) < 0.12
    assert longest == pytest.approx(0.8 * 48, abs=2.5)
    assert down[0] + down[-1] == pytest.approx(47, abs=3)
    assert across[0] + across[-1] == pytest.approx(47, abs=3)


def test_a_ball_covers_the_area_of_a_circle() -> None:
    mask = trace(BALL, "base", 64, fill=0.75).mask
    assert mask.sum() == pytest.approx(np.pi * (0.75 * 64 / 2) ** 2, rel=0.02)


def test_edges_are_smooth_and_everything_else_is_in_or_out() -> None:
    mask = trace(BALL, "base", 64).mask
    between = (mask > 0) & (mask < 1)
    assert 60 < between.sum() < 420
    assert len(np.unique(np.round(mask[between] * 16))) > 8


def test_an_edge_within_the_product_leaves_no_gap() -> None:
    mask = trace(BLOCK, "base", 48).mask
    inner = ndimage.binary_erosion(mask > 0, np.ones((3, 3)), iterations=2)
    assert inner.sum() > 500
    assert (mask[inner] == 1).all()


def test_the_background_shows_exactly_where_the_mask_says(mug: Traced) -> None:
    made = shade(mug, shape_of("mug"), RED)
    white = made.before(np.ones((72, 72, 3), np.float32))
    black = made.before(np.zeros((72, 72, 3), np.float32))
    assert (white[made.mask == 0] == 255).all()
    assert (black[made.mask == 0] == 0).all()
    assert (white[made.mask == 1] == black[made.mask == 1]).all()
    assert (made.cut_out()[..., 3] == np.round(made.mask * 255)).all()


def test_a_packshot_is_white_at_its_border_with_a_soft_shadow_at_the_foot(mug: Traced) -> None:
    shot = shade(mug, shape_of("mug"), RED).on_white()
    around = mug.mask == 0
    assert (shot[:2] == 255).all()
    assert 90 < shot[around].min() < 240
    assert np.median(shot[around]) > 250
    assert (shot[around][shot[around][:, 0] < 235].max(axis=1) < 240).all()


def test_the_same_picture_comes_out_twice() -> None:
    first, second = (
        shade(trace(shape, "base", 48), shape, RED) for shape in (KINDS["jar"](), KINDS["jar"]())
    )
    assert first.cut_out().tobytes() == second.cut_out().tobytes()
    assert first.on_white().tobytes() == second.on_white().tobytes()


@settings(deadline=None, max_examples=25)
@given(st.tuples(*[st.integers(30, 225)] * 3))
def test_the_colour_that_was_asked_for_is_the_colour_that_is_seen(colour: tuple[int, int, int]) -> None:
    traced = traced_ball()
    made = shade(traced, BALL, {"body": Material("#{:02x}{:02x}{:02x}".format(*colour), "matte")})
    seen = np.median(made.cut_out()[..., :3][traced.mask == 1], axis=0)
    assert np.abs(seen - colour).max() < 45
    assert np.abs((seen - seen.mean()) - (np.array(colour) - np.mean(colour))).max() < 30


def test_one_trace_takes_any_look(mug: Traced) -> None:
    red = shade(mug, shape_of("mug"), RED).cut_out()
    blue = shade(mug, shape_of("mug"), BLUE).cut_out()
    opaque = red[..., 3] == 255
    assert (red[opaque][:, 0] > red[opaque][:, 2]).mean() > 0.95
    assert (blue[opaque][:, 2] > blue[opaque][:, 0]).mean() > 0.95
    assert (red[..., 3] == blue[..., 3]).all()


def test_an_inlay_has_a_material_of_its_own_within_its_region() -> None:
    lower_half = moved(box(3, 1, 3), y=0)
    shape = Shape((Part("body", moved(box(1, 1, 1), y=0.5), (("accent", lower_half),)),))
    look: Look = {**RED, "accent": Material("#2456b0", "matte")}
    made = shade(trace(shape, "front", 48), shape, look).cut_out().astype(int)
    assert made[18, 24, 0] > made[18, 24, 2]
    assert made[38, 24, 2] > made[38, 24, 0]


def test_the_side_towards_the_light_is_the_bright_one() -> None:
    traced = trace(BALL, "front", 48, lights=("left", "right"))
    left = luminance(shade(traced, BALL, RED, light="left"))
    right = luminance(shade(traced, BALL, RED, light="right"))
    assert left[:, :24].sum() > 1.15 * left[:, 24:].sum()
    assert right[:, 24:].sum() > 1.15 * right[:, :24].sum()


def test_a_glossy_surface_has_highlights_that_a_matte_one_lacks() -> None:
    matte = luminance(shade(traced_ball(), BALL, {"body": Material("#30343a", "matte")}))
    glossy = luminance(shade(traced_ball(), BALL, {"body": Material("#30343a", "glossy")}))
    assert glossy.max() > 2 * matte.max()


@pytest.mark.parametrize(
    ("finish", "pattern"), [("ceramic", "speckled"), ("fabric", "woven"), ("wood", "veined wood")]
)
def test_a_pattern_varies_the_surface_around_its_colour(finish: str, pattern: str) -> None:
    plain = Material("#a08060", finish)  # type: ignore[arg-type]
    patterned = Material("#a08060", finish, pattern)  # type: ignore[arg-type]
    inner = traced_ball().mask == 1
    smooth, rough = (luminance(shade(traced_ball(), BALL, {"body": m}))[inner] for m in (plain, patterned))
    assert np.std(rough - smooth) > 0.003
    assert np.mean(rough) == pytest.approx(np.mean(smooth), rel=0.25)


# --------------------------------------------------------------------------------------------------- labels


def test_words_appear_on_the_front_and_nowhere_else() -> None:
    traced = trace(BLOCK, "front", 72)
    label = Label("NORTH", ("No. 4",), ink="#ffffff", proportion=0.9 / 0.5)
    bare, worded = (shade(traced, BLOCK, RED, label=given).cut_out() for given in (None, label))
    changed = np.abs(bare.astype(int) - worded).max(axis=2) > 40
    down, across = np.nonzero(changed)
    assert 0.01 < changed.mean() < 0.25
    assert 15 < down.min() < down.max() < 57
    assert across.min() < 30
    assert across.max() > 42


def test_other_words_look_different() -> None:
    one, other = (np.asarray(drawn(Label(word)), int) for word in ("NORTH", "SOUTH"))
    assert (one[..., 3] > 0).mean() > 0.01
    assert (np.abs(one - other)[..., 3] > 128).mean() > 0.005


def test_a_paper_label_covers_what_is_beneath_it() -> None:
    traced = trace(BLOCK, "front", 48)
    made = shade(traced, BLOCK, RED, label=Label("A", ground="#2456b0", ink="#2456b0"))
    red, _, blue, _ = made.cut_out()[24, 24].astype(int)
    assert blue > red


def test_a_letter_that_the_font_lacks_is_refused_and_not_drawn_as_a_box() -> None:
    with pytest.raises(ValueError, match="no letters for ö in the label COFFEE"):
        drawn(Label("COFFEE", ("frisch geröstet",)))


# -------------------------------------------------------------------------------------- the sample's catalog


def test_the_sample_has_24_products_of_many_kinds_with_words_on_many_of_them() -> None:
    assert len({product.sku for product in PRODUCTS}) == len(PRODUCTS) == 24
    assert len({product.kind for product in PRODUCTS}) >= 16
    assert sum(product.label is not None for product in PRODUCTS) >= 8
    assert {view for product in PRODUCTS for view in product.media} >= {"base", "side", "top"}
    assert all(len(product.media) in {2, 3} and "base" in product.media for product in PRODUCTS)


def test_every_row_has_words_in_both_languages_a_price_and_a_category() -> None:
    for row in rows():
        for column in (
            "name-en-GB",
            "name-de-DE",
            "description-en-GB",
            "description-de-DE",
            "categories",
            "brand",
        ):
            assert row[column].strip(), (row["sku"], column)
        assert row["currency"] == "EUR"
        assert float(row["price"]) > 0
        assert row["description-en-GB"] != row["description-de-DE"]


def test_some_products_are_variants_of_one_group() -> None:
    groups = [row["group"] for row in rows() if row["group"]]
    assert all(groups.count(group) >= 2 for group in groups)
    assert len(set(groups)) >= 3


def test_the_rows_name_exactly_the_pictures_that_are_rendered() -> None:
    named = {row["sku"]: row["photographs"].split("|") for row in rows()}
    assert named == {p.sku: [f"photographs/{name}" for _, name in p.files()] for p in PRODUCTS}
    stored = {f"photographs/{path.name}" for path in (CATALOG / "photographs").iterdir()}
    assert stored == {path for paths in named.values() for path in paths}


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.sku)
def test_a_photograph_is_a_cut_out_or_stands_on_white(product: Photographed) -> None:
    for view, name in product.files():
        with Image.open(CATALOG / "photographs" / name) as image:
            assert image.size == (SIZE, SIZE)
            assert min(image.size) >= 1024
            assert image.mode == ("RGB" if product.media[view] == "jpg" else "RGBA")
            small = np.asarray(image.resize((64, 64), Image.Resampling.BOX), int)
        border = np.concatenate([small[0], small[:, 0], small[:, -1]])
        if image.mode == "RGBA":
            assert (border[:, 3] == 0).all()
            assert 0.1 < (small[..., 3] > 127).mean() < 0.8
        else:
            assert border.min() >= 250
            assert 0.1 < (small.min(axis=2) < 225).mean() < 0.8


def test_the_whole_catalog_is_small_enough_to_clone() -> None:
    assert sum(path.stat().st_size for path in CATALOG.rglob("*") if path.is_file()) < 10_000_000


@pytest.mark.parametrize("sku", ["BT-HONEY-500", "RU-FLASK-TEAL", "OL-OIL-750"])
def test_a_file_is_of_the_kind_that_its_name_says(tmp_path: Path, sku: str) -> None:
    product = next(product for product in PRODUCTS if product.sku == sku)
    view, name = next(product.files())
    save(picture(product, view, 40), tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}[product.media[view]]
        assert image.mode == ("RGB" if product.media[view] == "jpg" else "RGBA")


def test_the_supplier_s_feed_is_as_dirty_as_feeds_are() -> None:
    text = (CATALOG / "dirty-supplier-feed.csv").read_bytes().decode("cp1252")
    with pytest.raises(UnicodeDecodeError):
        (CATALOG / "dirty-supplier-feed.csv").read_bytes().decode("utf-8")
    header, *lines = list(csv.reader(text.splitlines(), delimiter=";"))
    skus = [line[0].strip() for line in lines]
    assert header[0] == " sku "
    assert skus.count("GH-1001") == 2
    assert any("/" in sku and ".." in sku for sku in skus)
    assert any(len(line) > len(header) for line in lines)
    assert any(not "".join(line).strip() for line in lines)
    assert any(sku and not line[1].strip() for sku, line in zip(skus, lines, strict=True))
    assert all(flaw in text for flaw in ("1.299,00", "4,00638E+12", "=1+1", "&szlig;", "<!--", "„"))
