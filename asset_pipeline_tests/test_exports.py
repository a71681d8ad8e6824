"""What leaves: in which shape, under which name, with which story, and that it is whole wherever it lands."""

import csv
import inspect
import io
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.errors import BrokenFact, IncompleteExport, InvalidFile, NoRoute, NotFound
from asset_pipeline.exports.asset import exports
from asset_pipeline.exports.channel import Channel, load_channels, pick_channels
from asset_pipeline.exports.checks import (
    delivered_files_match_their_manifest,
    every_approved_image_is_in_every_channel,
    only_approved_images_left,
)
from asset_pipeline.exports.delivery import deliver, differences
from asset_pipeline.exports.derivative import MAX_ENLARGEMENT, derive, encode, frame, product_box
from asset_pipeline.exports.making import LeftOut, MadeFile, make_files
from asset_pipeline.exports.manifest import ManifestEntry, documents, export_id
from asset_pipeline.exports.naming import file_path, is_safe
from asset_pipeline.exports.plan import plan_files, waiting
from asset_pipeline.exports.records import (
    EXPORTED_FILES,
    load_exported_files,
    load_receipts,
    missing_files,
    plan_export,
    withdrawn_files,
)
from asset_pipeline.exports.target import Package, PackageFile, Receipt, pick_targets
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.decode import Pixels, decode
from asset_pipeline.pictures.encode import decode_mask, lossless_webp, mask_webp
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import PROMPTS
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.store import Store
from asset_pipeline.targets.local_folder import LocalFolder

ROOT = Path(__file__).parents[1]
CAMPAIGN = "spring"


def channel(**changes: Any) -> Channel:
    given = {"title": "A channel", "width": 120, "height": 60, "format": "png", "fit": "pad", "version": 1,
             "as_of": date(2026, 1, 1), "source_kind": "house"}  # fmt: skip
    if changes.get("format", "png") != "png":
        given["quality"] = 90
    return Channel.model_validate(given | changes)


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain(width: int, height: int, colour: tuple[int, int, int]) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


# The shape of a channel's pictures

sides = st.integers(16, 300)


@st.composite
def framings(draw: st.DrawFn) -> tuple[int, int, Channel, tuple[int, int, int, int] | None]:
    width, height = draw(sides), draw(sides)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    wanted = channel(
        width=draw(st.integers(16, 700)),
        height=draw(st.integers(16, 700)),
        fit=draw(st.sampled_from(["pad", "crop", "contain"])),
    )
    return width, height, wanted, draw(st.sampled_from([None, (left, top, right, bottom)]))


@given(framings())
@settings(deadline=None)
def test_a_frame_has_the_channels_size_shows_the_product_and_never_blurs_or_stretches(
    given: tuple[int, int, Channel, tuple[int, int, int, int] | None],
) -> None:
    width, height, wanted, product = given
    framing = frame(width, height, wanted, product)
    left, top, right, bottom = framing.shown
    place_left, place_top, place_width, place_height = framing.place
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert framing.scale <= MAX_ENLARGEMENT
    assert place_left >= 0
    assert place_left + place_width <= framing.size[0]
    assert place_top >= 0
    assert place_top + place_height <= framing.size[1]
    assert abs((right - left) * framing.scale - place_width) <= 1
    assert abs((bottom - top) * framing.scale - place_height) <= 1
    if wanted.fit == "contain":
        assert framing.size[0] <= min(wanted.width, width)
        assert framing.size[1] <= min(wanted.height, height)
    else:
        assert framing.size == (wanted.width, wanted.height)
    if wanted.fit != "crop":
        assert framing.shown == (0, 0, width, height)
    elif product is not None:
        assert left <= product[0] + 1e-6
        assert top <= product[1] + 1e-6
        assert right >= product[2] - 1e-6
        assert bottom >= product[3] - 1e-6
    if wanted.fit == "crop" and not framing.reasons:
        assert framing.place == (0, 0, wanted.width, wanted.height)


@given(framings())
@settings(deadline=None, max_examples=40)
def test_a_derived_picture_has_exactly_the_size_of_its_frame(
    given: tuple[int, int, Channel, tuple[int, int, int, int] | None],
) -> None:
    width, height, wanted, product = given
    mask = None
    if product is not None:
        mask = np.zeros((height, width), np.uint8)
        mask[product[1] : product[3], product[0] : product[2]] = 255
        assert product_box(mask) == product
    derived = derive(noise(width, height), wanted, mask)
    size = frame(width, height, wanted, product).size
    assert derived.pixels.shape == (size[1], size[0], 3)
    assert derived.pixels.dtype == np.uint8


def test_a_crop_follows_the_product_to_the_edge_of_the_picture() -> None:
    pixels, mask = plain(200, 200, (240, 240, 240)), np.zeros((200, 200), np.uint8)
    pixels[150:190, 60:140], mask[150:190, 60:140] = (200, 0, 0), 255
    derived = derive(pixels, channel(width=200, height=100, fit="crop"), mask)
    is_red = (derived.pixels[..., 0] > 150) & (derived.pixels[..., 1] < 50)
    assert np.flatnonzero(is_red.any(axis=1)).tolist() == list(range(50, 90))
    assert derived.reasons == ()


def test_a_product_too_tall_for_a_crop_stays_whole_and_the_sides_are_filled() -> None:
    pixels, mask = plain(200, 200, (10, 20, 30)), np.zeros((200, 200), np.uint8)
    pixels[20:180, 80:120], mask[20:180, 80:120] = (250, 0, 0), 255
    derived = derive(pixels, channel(width=200, height=100, fit="crop"), mask)
    rows = np.flatnonzero((derived.pixels[..., 0] > 150).any(axis=1))
    assert rows[0] > 0
    assert rows[-1] < 99
    assert derived.pixels[50, 0].tolist() == [10, 20, 30]
    assert derived.reasons == ("the product does not fit a full crop; the sides are filled",)


def test_an_empty_mask_is_no_product_and_the_middle_is_kept() -> None:
    pixels = noise(100, 100)
    wanted = channel(width=100, height=50, fit="crop")
    assert product_box(np.zeros((100, 100), np.uint8)) is None
    assert np.array_equal(derive(pixels, wanted, np.zeros((100, 100), np.uint8)).pixels, pixels[25:75])


def test_a_picture_is_enlarged_twice_at_most_and_says_so() -> None:
    derived = derive(plain(20, 20, (0, 0, 200)), channel(width=100, height=100, background=(255, 255, 255)))
    is_blue = derived.pixels[..., 0] < 128
    assert is_blue.sum() == 40 * 40
    assert "5.0 times" in derived.reasons[0]


def test_padding_has_the_channels_colour_or_that_of_the_pictures_border() -> None:
    pixels = plain(60, 60, (11, 22, 33))
    pixels[10:50, 10:50] = (200, 100, 0)
    assert derive(pixels, channel()).pixels[0, 0].tolist() == [11, 22, 33]
    white = derive(pixels, channel(background=(255, 255, 255))).pixels
    assert white[:, :30].min() == 255
    assert white[:, 90:].min() == 255
    assert white[30, 31].tolist() == [11, 22, 33]


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_file_too_large_is_made_coarser_until_it_fits_and_says_so(kind: str) -> None:
    pixels = noise(120, 60)
    free = encode(pixels, channel(format=kind))
    assert free.data is not None
    assert free.reason is None
    limited = encode(pixels, channel(format=kind, max_bytes=int(len(free.data) * 0.7)))
    assert limited.data is not None
    assert len(limited.data) <= len(free.data) * 0.7
    assert "instead of 90" in (limited.reason or "")


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
def test_a_file_that_fits_at_no_quality_is_left_out_with_the_reason(kind: str) -> None:
    encoded = encode(noise(200, 200), channel(format=kind, max_bytes=1000))
    assert encoded.data is None
    assert "more than 1000" in (encoded.reason or "")


# Channels as people write them


def test_the_shipped_channels_are_valid_and_none_is_called_original() -> None:
    channels = load_channels(ROOT / "data")
    assert {"amazon_main", "google_merchant", "shopify_product", "meta_feed", "instagram_feed", "email_hero",
            "og_image", "web_tile"} <= channels.keys()  # fmt: skip
    assert channels["amazon_main"].background == (255, 255, 255)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"format": "png", "quality": 90}, "quality is for jpeg and webp"),
        ({"format": "jpeg"}, "quality is for jpeg and webp"),
        ({"source_kind": "official"}, "need sources"),
        ({"background": [0, 0, 256]}, "background"),
        ({"colour": "red"}, "no such field"),
    ],
)
def test_a_wrong_channel_is_refused_with_file_and_line(
    tmp_path: Path, written: dict[str, Any], complaint: str
) -> None:
    entry = channel().model_dump(mode="json", exclude={"quality", "sources"}) | written
    (tmp_path / "channels.yaml").write_text(yaml.safe_dump({"tile": entry}))
    with pytest.raises(InvalidFile, match=complaint) as refusal:
        load_channels(tmp_path)
    assert "channels.yaml:" in str(refusal.value)


def test_no_channel_may_be_called_original(tmp_path: Path) -> None:
    entry = channel().model_dump(mode="json", exclude={"quality", "sources"})
    (tmp_path / "channels.yaml").write_text(yaml.safe_dump({"original": entry}))
    with pytest.raises(InvalidFile, match="untouched original"):
        load_channels(tmp_path)


def test_an_unknown_channel_or_target_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'tiles'.*there are: tile"):
        pick_channels({"tile": channel()}, ["tiles"])
    campaign = Campaign(title="Spring", asset_types=("tile",), locales=("en",), targets=("bucket",))
    with pytest.raises(NotFound, match=r"'bucket'.*there are: local_folder"):
        pick_targets({"local_folder": LocalFolder(tmp_path)}, campaign)


def test_what_is_local_only_is_handed_to_no_target_elsewhere(tmp_path: Path) -> None:
    class Elsewhere(LocalFolder):
        is_remote = True

    campaign = Campaign(title="Spring", asset_types=("tile",), locales=("en",), sensitivity="local_only")
    assert pick_targets({"local_folder": LocalFolder(tmp_path)}, campaign)
    with pytest.raises(NoRoute, match="local_only"):
        pick_targets({"local_folder": Elsewhere(tmp_path)}, campaign)


# Names

awkward = st.text(min_size=1, max_size=100) | st.sampled_from(
    ["../../etc/passwd", "a/b", "A", "a", "con", "NUL", "mug.", " mug", "mug ", "👟", "mug", "MUG", "mug_",
     "\uff2d\uff35\uff27", "m" * 100, "m" * 99 + "n", "mug--1234abcd", "..", ".", "mug\x00", "mug\n", "-",
     "_", "é", "e\u0301"]
)  # fmt: skip


def name(sku: str, **changes: Any) -> str:
    given: dict[str, Any] = {"sku": sku, "asset_type": "product_tile", "locale": "en-GB", "variation": {},
                             "candidate_id": "c0123456789abcdef0123", "channel": "web_tile",
                             "suffix": "webp"}  # fmt: skip
    return file_path(**(given | changes))


def test_a_name_says_product_asset_type_locale_candidate_and_channel() -> None:
    assert (
        name("northwind-mug-blue")
        == "northwind-mug-blue/product_tile/en-GB/c0123456789abcdef0123-web_tile.webp"
    )
    assert name("mug", variation={"scene": "oak", "light": "dawn"}) == (
        "mug/product_tile/en-GB/dawn-oak-c0123456789abcdef0123-web_tile.webp"
    )
    assert name("MUG 7").startswith("mug-7--")


@given(awkward, awkward)
@settings(deadline=None, max_examples=400)
def test_different_skus_never_share_a_name_even_where_capitals_are_not_told_apart(a: str, b: str) -> None:
    assert (name(a).casefold() == name(b).casefold()) == (a == b)


@given(awkward, awkward, awkward, awkward)
@settings(deadline=None, max_examples=200)
def test_a_name_never_leaves_its_folder_and_fits_every_file_system(
    sku: str, asset_type: str, locale: str, scene: str
) -> None:
    path = name(sku, asset_type=asset_type, locale=locale, variation={"scene": scene})
    assert is_safe(path)
    assert path.isascii()
    assert len(path) < 220
    assert len(PurePosixPath(path).parts) == 4
    for part in path.split("/"):
        assert part.partition(".")[0].casefold() not in {"con", "nul", "aux", "prn"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../b", "a//b", "", "a/.b", "a\\b", "a/b.", "a\n"])
def test_a_package_with_a_path_that_could_lead_outside_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not safe"):
        Package(CAMPAIGN, "e1", "0" * 64, (PackageFile(path, sha256_of(b""), 0, bytes),))


def test_two_files_that_differ_in_capitals_alone_are_refused() -> None:
    files = tuple(PackageFile(path, sha256_of(b""), 0, bytes) for path in ("a/Tile.png", "a/tile.png"))
    with pytest.raises(ValueError, match="same name"):
        Package(CAMPAIGN, "e1", "0" * 64, files)


# The manifest


def entry(path: str = "mug/c1-original.webp", data: bytes = b"picture", **changes: Any) -> ManifestEntry:
    given: dict[str, Any] = {
        "path": path, "sha256": sha256_of(data), "size_bytes": len(data), "width": 4, "height": 3,
        "media_type": "image/webp", "channel": "original", "channel_version": None, "candidate_id": "c1",
        "sku": "mug", "asset_type": "tile", "locale": "en", "variation": {}, "prompt_id": "p1",
        "prompt": "A mug", "image_sha256": sha256_of(b"original"), "profile": "packshot",
        "provider": "packshot", "provider_version": "1", "seed": 7, "cost_usd": 0.04,
        "product_fact_sha256": "f1", "prompt_fact_sha256": "f2", "candidate_fact_sha256": "f3",
        "selection_fact_sha256": "f4", "decisions": ("c1.0001",), "notes": (),
    }  # fmt: skip
    return ManifestEntry.model_validate(given | changes)


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | st.sampled_from(
    ["=1+1", "+1", "-1", "@x", '=HYPERLINK("x")', 'a "b", c', "two\nlines", "'=1", "\t=1", "\uff1d1"]
)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_the_manifests_csv_and_json_say_the_same_and_no_cell_is_a_formula(
    said: list[tuple[str, str]],
) -> None:
    entries = [
        entry(f"mug/c{place}.webp", sku=sku, prompt=prompt, variation={"scene": prompt})
        for place, (sku, prompt) in enumerate(said)
    ]
    told = documents(CAMPAIGN, entries)
    as_json = json.loads(told["manifest.json"])
    rows = list(csv.DictReader(io.StringIO(told["manifest.csv"].decode(), newline="")))
    assert as_json["export_id"] == export_id(CAMPAIGN, entries)
    assert as_json["files"] == [each.model_dump(mode="json") for each in entries]
    assert len(rows) == len(entries)
    for row, file in zip(rows, as_json["files"], strict=True):
        assert list(row) == list(ManifestEntry.model_fields)
        for field, value in file.items():
            cell = row[field]
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))
            if isinstance(value, str):
                assert cell.removeprefix("'") == value.removeprefix("'")
            elif isinstance(value, list | dict):
                assert json.loads(cell) == value
            else:
                assert cell == ("" if value is None else str(value))


def test_the_same_content_has_the_same_manifest_and_any_other_content_another_name() -> None:
    one, same = [entry()], [entry()]
    assert documents(CAMPAIGN, one) == documents(CAMPAIGN, same)
    others = [entry(prompt="x"), entry(sha256="x"), entry(decisions=("x",)), entry(selection_fact_sha256="x")]
    for other in others:
        assert export_id(CAMPAIGN, [other]) != export_id(CAMPAIGN, one)
    assert export_id("summer", one) != export_id(CAMPAIGN, one)


# A campaign in a store


def campaign_with(
    tmp_path: Path,
    states: Sequence[str],
    channels: Sequence[str] = ("tile", "hero"),
) -> tuple[Store, Path]:
    """A store and a data folder with one candidate for each state."""
    store, data = Store(str(tmp_path / "store")), tmp_path / "data"
    (data / "campaigns").mkdir(parents=True, exist_ok=True)
    brief = {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], "channels": list(channels)}
    (data / "campaigns" / f"{CAMPAIGN}.yaml").write_text(yaml.safe_dump(brief))
    shapes = {
        "tile": channel(width=48, height=48, format="webp"),
        "hero": channel(width=64, height=32, format="jpeg", fit="crop"),
        "tiny": channel(width=64, height=64, format="png", max_bytes=1000),
    }
    written = {
        key: shape.model_dump(mode="json", exclude_none=True, exclude={"sources"})
        for key, shape in shapes.items()
    }
    (data / "channels.yaml").write_text(yaml.safe_dump(written))
    record(store, states)
    return store, data


def record(store: Store, states: Sequence[str]) -> None:
    where = np.zeros((64, 64), np.uint8)
    where[20:40, 20:40] = 255
    mask_sha256 = store.images.put(mask_webp(where), "webp")
    images = [store.images.put(lossless_webp(noise(64, 64, place)), "webp") for place in range(len(states))]
    rows = [facts(place, states[place], image, mask_sha256) for place, image in enumerate(images)]
    store.facts.write(PROMPTS, CAMPAIGN, [row[0] for row in rows], run_id="r1")
    store.facts.write(CANDIDATES, CAMPAIGN, [row[1] for row in rows], run_id="r1")
    store.facts.write(SELECTION, CAMPAIGN, [row[2] for row in rows], run_id="r1")


def change_candidate(store: Store, **changes: Any) -> None:
    candidate = store.facts.read(CANDIDATES, CAMPAIGN)[0].model_copy(update=changes)
    store.facts.write(CANDIDATES, CAMPAIGN, [candidate], run_id="r2")


def facts(
    place: int, state: str, image_sha256: str, mask_sha256: str | None
) -> tuple[Prompt, Candidate, Choice]:
    prompt = Prompt(
        prompt_id=f"p{place}", sku=f"MUG/{place}", product_fact_sha256="f" * 64, asset_type="tile",
        locale="en-GB", words_locale="en", variation={"scene": "oak"}, text="A mug on oak", negative_text="",
        width=64, height=64, parameters={}, references=(), template_sha256="0" * 64,
    )  # fmt: skip
    request = ImageRequest(prompt=prompt.text, width=64, height=64, seed=place, profile_fingerprint="x")
    candidate = Candidate(
        candidate_id=request.candidate_id, prompt_id=prompt.prompt_id,
        prompt_fact_sha256=PROMPTS.fact_sha256(prompt), sku=prompt.sku, asset_type="tile", locale="en-GB",
        position=0, profile="packshot", provider="packshot", provider_version="1", request=request,
        state="made", attempt=1, image_sha256=image_sha256, mask_sha256=mask_sha256, cost_usd=0.01,
    )  # fmt: skip
    choice = Choice.model_validate(
        {
            "candidate_id": candidate.candidate_id, "prompt_id": prompt.prompt_id, "sku": prompt.sku,
            "asset_type": "tile", "locale": "en-GB", "position": 0, "image_sha256": image_sha256,
            "state": state, "rule": "chosen", "rank": 1,
            "quality": 0.5, "reasons": (), "scores_sha256": "0" * 64,
            "candidate_fact_sha256": CANDIDATES.fact_sha256(candidate), "rules_sha256": "0" * 64,
            "decisions": ("d1",),
        }
    )  # fmt: skip
    return prompt, candidate, choice


def made_files(store: Store, data: Path) -> list[MadeFile]:
    files = make_files(store, plan_export(store, data, CAMPAIGN), load_exported_files(store, CAMPAIGN))
    return [file for file in files if isinstance(file, MadeFile)]


def export(store: Store, data: Path, target: LocalFolder, run_id: str = "r1") -> Receipt:
    return deliver(store, CAMPAIGN, made_files(store, data), [target], run_id=run_id)[0]


@given(st.lists(st.sampled_from(["approved", "pending", "rejected", "not_chosen"]), max_size=8))
@settings(deadline=None, max_examples=20)
def test_what_is_not_approved_is_never_planned(states: list[str]) -> None:
    rows = [facts(place, state, f"{place:064x}", None) for place, state in enumerate(states)]
    choices = [row[2] for row in rows]
    planned = plan_files(choices, [row[1] for row in rows], [row[0] for row in rows], {"tile": channel()})
    assert {file.choice.state for file in planned} <= {"approved"}
    assert len(planned) == 2 * states.count("approved")
    assert waiting(choices) == states.count("pending")


def test_the_plan_counts_the_files_of_each_channel(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved", "approved", "pending"])
    channels = Counter(file.channel_name for file in plan_export(store, data, CAMPAIGN))
    assert channels == {"original": 2, "tile": 2, "hero": 2}


def test_an_image_that_changed_since_the_selection_does_not_leave(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    change_candidate(store, image_sha256=store.images.put(lossless_webp(noise(64, 64, 99)), "webp"))
    with pytest.raises(IncompleteExport, match=r"MUG/0.*materialise selection"):
        plan_export(store, data, CAMPAIGN)


def test_the_original_leaves_untouched_and_each_file_tells_its_story(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    original, tile, hero = made_files(store, data)
    assert original.entry.sha256 == original.entry.image_sha256
    assert original.entry.media_type == "image/webp"
    assert original.entry.path.endswith("-original.webp")
    for file in (original, tile, hero):
        picture = decode(store.images.get(file.entry.sha256))
        assert (picture.width, picture.height) == (file.entry.width, file.entry.height)
        assert file.entry.size_bytes == len(store.images.get(file.entry.sha256))
        assert file.entry.seed == 0
        assert file.entry.prompt == "A mug on oak"
        assert file.entry.image_sha256 == original.entry.sha256
    assert (hero.entry.width, hero.entry.height, hero.entry.media_type) == (64, 32, "image/jpeg")


def test_every_file_is_made_from_its_own_candidates_picture(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved", "approved", "approved"])
    made = made_files(store, data)
    assert len({file.entry.sha256 for file in made}) == 9
    for file in made:
        wanted = file.planned.channel
        if wanted is not None:
            original = decode(store.images.get(file.entry.image_sha256)).pixels
            mask = decode_mask(store.images.get(str(file.planned.candidate.mask_sha256)))
            assert file.entry.sha256 == sha256_of(
                encode(derive(original, wanted, mask).pixels, wanted).data or b""
            )


def test_what_fits_no_channel_is_left_out_with_the_reason_and_the_rest_leaves(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"], channels=["tiny", "tile"])
    original, tiny, tile = make_files(store, plan_export(store, data, CAMPAIGN), [])
    assert isinstance(tiny, LeftOut)
    assert "more than 1000" in tiny.reason
    assert isinstance(original, MadeFile)
    assert isinstance(tile, MadeFile)


def test_a_mask_that_does_not_fit_its_picture_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    change_candidate(store, mask_sha256=store.images.put(mask_webp(np.ones((8, 8), np.uint8)), "webp"))
    notes = {file.entry.channel: file.entry.notes for file in made_files(store, data)}
    assert notes["hero"] == ("cut without the product's mask: it has another size",)
    assert notes["tile"] == ()


def test_an_altered_original_stops_the_export(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    path = tmp_path / "store" / str(store.images.path(plan_export(store, data, CAMPAIGN)[0].image_sha256))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BrokenFact, match="altered"):
        made_files(store, data)


def test_a_second_export_makes_no_file_again_but_another_picture_or_shape_does(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    target = LocalFolder(tmp_path / "exports")
    export(store, data, target)
    assert [file.is_new for file in made_files(store, data)] == [False, False, False]
    channels = yaml.safe_load((data / "channels.yaml").read_text())
    channels["tile"]["width"] = 40
    channels["hero"]["title"] = "other words"
    (data / "channels.yaml").write_text(yaml.safe_dump(channels))
    assert [file.is_new for file in made_files(store, data)] == [False, True, False]


# The local folder


def read_export(folder: Path) -> int:
    """Check every file of an export against its sums, as ``sha256sum -c`` does; count them."""
    lines = (folder / "sha256sums.txt").read_text().splitlines()
    for line in lines:
        expected, path = line.split("  ", 1)
        assert sha256_of((folder / path).read_bytes()) == expected, path
    return len(lines)


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with when it was written and its inode."""
    found = (path for path in folder.rglob("*") if path.name != ".lock")
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in found}


def package(*contents: bytes) -> Package:
    files = [
        PackageFile(f"mug/{place}.png", sha256_of(data), len(data), partial(bytes, data))
        for place, data in enumerate(contents)
    ]
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files).encode()
    last = PackageFile("sha256sums.txt", sha256_of(sums), len(sums), partial(bytes, sums))
    return Package(CAMPAIGN, f"e{sha256_of(sums)[:20]}", sha256_of(sums), (*files, last))


BEGINNING = f"""
import random, resource
from functools import partial
from pathlib import Path
from asset_pipeline.errors import IncompleteExport
from asset_pipeline.exports.target import Package, PackageFile
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.targets.local_folder import LocalFolder
CAMPAIGN = {CAMPAIGN!r}
{inspect.getsource(package)}
"""
"""The beginning of programs that deliver in a process of their own."""


def test_an_export_passes_sha256sum_and_latest_shows_it(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved", "pending", "approved"])
    receipt = export(store, data, LocalFolder(tmp_path / "exports"))
    latest = tmp_path / "exports" / CAMPAIGN / "latest"
    assert latest.resolve() == Path(receipt.destination).resolve()
    subprocess.run(["sha256sum", "--strict", "-c", "sha256sums.txt"], cwd=latest, check=True)
    manifest = json.loads((latest / "manifest.json").read_text())
    on_disk = {
        path.relative_to(latest.resolve()).as_posix()
        for path in latest.resolve().rglob("*")
        if path.is_file()
    }
    assert on_disk == {file["path"] for file in manifest["files"]} | {
        "manifest.json", "manifest.csv", "sha256sums.txt"
    }  # fmt: skip
    assert receipt.outcome == "delivered"
    assert receipt.files == len(on_disk)
    assert receipt.manifest_sha256 == sha256_of((latest / "manifest.json").read_bytes())


def test_delivering_twice_changes_nothing(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    target = LocalFolder(tmp_path / "exports")
    export(store, data, target, "r1")
    before = everything(tmp_path / "exports")
    assert export(store, data, target, "r2").outcome == "unchanged"
    assert everything(tmp_path / "exports") == before
    assert [receipt.outcome for receipt in load_receipts(store, CAMPAIGN)] == ["delivered", "unchanged"]
    assert len(store.facts.materialisations(EXPORTED_FILES, CAMPAIGN)) == 1


def test_a_flipped_byte_or_a_lost_file_is_found_and_mended_and_nothing_else_is_touched(
    tmp_path: Path,
) -> None:
    target, whole = LocalFolder(tmp_path), package(b"one", b"two", b"three")
    folder = Path(target.deliver(whole).destination)
    before = everything(folder)
    (folder / "mug/1.png").write_bytes(b"twO")
    (folder / "mug/2.png").unlink()
    assert target.plan(whole).to_write == ("mug/1.png", "mug/2.png")
    assert target.deliver(whole).outcome == "repaired"
    assert read_export(folder) == 3
    after = everything(folder)
    untouched = {str(folder / "mug/0.png"), str(folder / "sha256sums.txt")}
    assert {path: after[path] for path in untouched} == {path: before[path] for path in untouched}
    assert target.deliver(whole).outcome == "unchanged"


def test_an_earlier_export_becomes_current_again_without_being_written(tmp_path: Path) -> None:
    target, old, new = LocalFolder(tmp_path), package(b"one"), package(b"two")
    folder = Path(target.deliver(old).destination)
    target.deliver(new)
    before = everything(folder)
    assert target.plan(old).to_write == ()
    assert target.deliver(old).outcome == "delivered"
    assert everything(folder) == before
    assert (tmp_path / CAMPAIGN / "latest/mug/0.png").read_bytes() == b"one"


def test_a_failed_delivery_leaves_nothing_behind_and_the_earlier_export_current(tmp_path: Path) -> None:
    target = LocalFolder(tmp_path)
    target.deliver(package(b"one"))
    before = everything(tmp_path)

    def disk_full() -> bytes:
        raise OSError(28, "No space left on device")

    good = package(b"one", b"two", b"three")
    bad = Package(
        CAMPAIGN,
        "e2",
        good.manifest_sha256,
        (*good.files[:2], PackageFile("mug/9.png", "0" * 64, 1, disk_full)),
    )
    with pytest.raises(IncompleteExport, match="No space left"):
        target.deliver(bad)
    assert everything(tmp_path).keys() == before.keys()
    assert read_export(tmp_path / CAMPAIGN / "latest") == 1


def test_a_file_that_reads_back_with_other_bytes_is_not_published(tmp_path: Path) -> None:
    good = package(b"one")
    lying = Package(CAMPAIGN, "e2", "0" * 64, (PackageFile("a.png", "0" * 64, 1, lambda: b"x"), *good.files))
    with pytest.raises(IncompleteExport, match="reads back"):
        LocalFolder(tmp_path).deliver(lying)
    assert [path.name for path in (tmp_path / CAMPAIGN).iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_written_is_an_incomplete_export(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file stands in the way")
    with pytest.raises(IncompleteExport, match="materialise exports again"):
        LocalFolder(tmp_path / "exports").deliver(package(b"one"))


def test_a_real_limit_of_the_disk_is_an_incomplete_export(tmp_path: Path) -> None:
    program = (
        BEGINNING
        + f"""
target = LocalFolder(Path({str(tmp_path)!r}))
target.deliver(package(b"small"))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    target.deliver(package(b"x" * 5000))
except IncompleteExport as error:
    print(error)
"""
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "File too large" in ran.stdout
    assert read_export(tmp_path / CAMPAIGN / "latest") == 1
    assert not list((tmp_path / CAMPAIGN).glob(".staging-*"))


def test_two_deliveries_of_the_same_campaign_wait_for_each_other(tmp_path: Path) -> None:
    packages = [package(b"one", bytes([number]) * 50_000) for number in range(6)]
    threads = [threading.Thread(target=LocalFolder(tmp_path).deliver, args=(each,)) for each in packages * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = [path for path in (tmp_path / CAMPAIGN).iterdir() if path.name not in {".lock", "latest"}]
    assert {path.name for path in folders} == {each.export_id for each in packages}
    assert [read_export(path) for path in folders] == [2] * 6


def test_whenever_a_delivery_is_killed_latest_shows_a_whole_export(tmp_path: Path) -> None:
    program = (
        BEGINNING
        + f"""
target = LocalFolder(Path({str(tmp_path / "exports")!r}))
while True:
    target.deliver(package(*[random.randbytes(20_000) for _ in range(12)]))
"""
    )
    folder = tmp_path / "exports" / CAMPAIGN
    seen: set[str] = set()
    swept = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
        wait_for_a_change(folder, process)
        until = time.monotonic() + random.uniform(0.0, 0.25)  # noqa: S311 - any moment will do
        while time.monotonic() < until:
            current = os.readlink(folder / "latest")  # noqa: PTH115 - the link itself
            assert read_export(folder / current) == 12
            seen.add(current)
        process.kill()
        process.wait()
        assert read_export(folder / "latest") == 12
        for whole in folder.glob("e*"):
            assert read_export(whole) == 12
        swept += len(list(folder.glob(".staging-*")))
    LocalFolder(tmp_path / "exports").deliver(package(b"one"))
    assert not list(folder.glob(".staging-*"))
    assert len(seen) > 3
    assert swept > 0


def wait_for_a_change(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a started delivery has published something."""
    before = os.readlink(folder / "latest") if (folder / "latest").exists() else ""  # noqa: PTH115
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "latest").exists() and os.readlink(folder / "latest") != before:  # noqa: PTH115
            return
        time.sleep(0.005)
    pytest.fail("the program published nothing")


# What the targets have, as recorded


def test_a_target_that_fails_keeps_its_earlier_export_and_the_other_one_gets_the_new(tmp_path: Path) -> None:
    class Second(LocalFolder):
        name = "second"

    store, data = campaign_with(tmp_path, ["approved", "pending"])
    first, second = LocalFolder(tmp_path / "first"), Second(tmp_path / "second")
    deliver(store, CAMPAIGN, made_files(store, data), [first, second], run_id="r1")
    record(store, ["approved", "approved"])
    (tmp_path / "second" / CAMPAIGN / ".lock").unlink()
    (tmp_path / "second" / CAMPAIGN / ".lock").mkdir()
    with pytest.raises(IncompleteExport, match=r"\.lock"):
        deliver(store, CAMPAIGN, made_files(store, data), [second, first], run_id="r2")
    files = load_exported_files(store, CAMPAIGN)
    assert [file.target for file in files].count("local_folder") == 6
    assert [file.target for file in files].count("second") == 3
    assert differences(store, CAMPAIGN, {"local_folder": first}) != []


def test_withdrawn_and_missing_files_are_known_by_name(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved", "approved"])
    target = LocalFolder(tmp_path / "exports")
    export(store, data, target)
    assert withdrawn_files(store, CAMPAIGN) == []
    assert missing_files(store, data, CAMPAIGN) == []
    record(store, ["approved", "rejected"])
    assert {file.sku for file in withdrawn_files(store, CAMPAIGN)} == {"MUG/1"}
    record(store, ["approved", "approved", "approved"])
    assert len(missing_files(store, data, CAMPAIGN)) == 3


def test_what_a_target_lost_or_never_was_is_a_difference(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    target = LocalFolder(tmp_path / "exports")
    receipt = export(store, data, target)
    assert differences(store, CAMPAIGN, {"local_folder": target}) == []
    lost = Path(receipt.destination, "manifest.csv")
    lost.unlink()
    (found,) = differences(store, CAMPAIGN, {"local_folder": target})
    assert found.paths == ("manifest.csv",)
    assert differences(store, CAMPAIGN, {})[0].reason.startswith("the target is no longer")


# In Dagster


def materialise(
    tmp_path: Path, store: Store, data: Path
) -> tuple[dict[str, Any], dict[str, dg.AssetCheckEvaluation]]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", [CAMPAIGN, "another-that-has-no-file"])
        result = dg.materialize(
            [
                exports,
                only_approved_images_left,
                delivered_files_match_their_manifest,
                every_approved_image_is_in_every_channel,
            ],
            partition_key=CAMPAIGN,
            instance=instance,
            resources={
                "store": store,
                "data": data,
                "targets": {"local_folder": LocalFolder(tmp_path / "exports")},
            },
        )
        event = result.asset_materializations_for_node("exports")[0]
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
        return {key: value.value for key, value in event.metadata.items()}, checks


def test_the_asset_delivers_what_is_approved_and_its_checks_hold(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved", "pending", "rejected"])
    metadata, checks = materialise(tmp_path, store, data)
    assert metadata["images"] == 1
    assert metadata["files"] == 3
    assert metadata["waiting for a person"] == 1
    assert metadata["exported"].startswith("![contact sheet](data:image/jpeg;base64,")
    assert metadata["delivered to local_folder"] == str(
        (tmp_path / "exports" / CAMPAIGN / "latest").resolve()
    )
    assert {name: check.passed for name, check in checks.items()} == dict.fromkeys(checks, True)
    assert len(checks) == 3


def test_where_nothing_is_approved_nothing_is_delivered_and_the_asset_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    store, data = campaign_with(tmp_path, ["pending", "pending", "rejected"])
    metadata, _ = materialise(tmp_path, store, data)
    assert metadata["nothing exported"] == (
        "nothing is approved: 2 pictures wait; approve them with `asset-pipeline approve`"
    )
    assert not (tmp_path / "exports").exists()


def test_a_withdrawn_approval_is_told_by_the_check(tmp_path: Path) -> None:
    store, data = campaign_with(tmp_path, ["approved"])
    export(store, data, LocalFolder(tmp_path / "exports"))
    record(store, ["rejected"])
    metadata, checks = materialise(tmp_path, store, data)
    assert not checks["only_approved_images_left"].passed
    assert str(tmp_path) in metadata["still delivered"]
