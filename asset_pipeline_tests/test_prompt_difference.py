"""What the differences of prompts promise: what stays, changes, comes and goes, and what that costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline import definitions
from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.jobs.attempt import Attempt
from asset_pipeline.candidates.records import Workshop, order_from
from asset_pipeline.candidates.remaking import reasons, remaking
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import record_catalog
from asset_pipeline.prompts.difference import compare, word_difference
from asset_pipeline.prompts.editions import Edition, changes
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, prompt_id_of
from asset_pipeline.prompts.records import prompts_from, record_prompts
from asset_pipeline.prompts.report import difference_lines
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.small_project import add_products, write_project


def prompt(sku: str = "MUG", text: str = "a mug on sand", **fields: Any) -> Prompt:
    said = {
        "prompt_id": "",
        "sku": sku,
        "product_fact_sha256": "f",
        "asset_type": "tile",
        "locale": "en-GB",
        "words_locale": "en-GB",
        "variation": {"background": "sand"},
        "text": text,
        "negative_text": "",
        "width": 512,
        "height": 512,
        "parameters": {},
        "references": (),
        "template_sha256": "t",
    }
    made = Prompt.model_validate(said | fields)
    return made.model_copy(update={"prompt_id": prompt_id_of(made)})


def test_prompts_stay_change_come_and_go() -> None:
    before = [prompt("A"), prompt("B"), prompt("C")]
    after = [prompt("A"), prompt("B", "a mug on snow"), prompt("D")]
    difference = compare(before, after)
    assert difference.counts == {"stay": 1, "change": 1, "new": 1, "go": 1}
    assert (difference.changed[0].before.text, difference.changed[0].after.text) == (
        "a mug on sand",
        "a mug on snow",
    )
    assert [each.sku for each in difference.new] == ["D"]
    assert [each.prompt.sku for each in difference.gone] == ["C"]
    assert [each.sku for each in difference.to_make] == ["B", "D"]


def test_a_price_that_no_words_speak_of_changes_nothing() -> None:
    assert compare([prompt()], [prompt(product_fact_sha256="other")]).is_empty


def test_a_change_says_which_part_is_another() -> None:
    (change,) = compare([prompt()], [prompt(negative_text="hands", width=1024)]).changed
    assert change.parts == ("negative_text", "width")


def test_another_value_of_a_variation_is_another_prompt() -> None:
    difference = compare([prompt()], [prompt(variation={"background": "snow"})])
    assert difference.counts == {"stay": 0, "change": 0, "new": 1, "go": 1}


def test_an_asset_type_with_one_more_variable_changes_its_prompts() -> None:
    before = [prompt(), prompt(variation={"background": "snow"})]
    after = [
        prompt(text=f"a mug on {background}, calm", variation={"background": background, "mood": "calm"})
        for background in ("snow", "sand")
    ]
    difference = compare(before, after)
    assert difference.counts == {"stay": 0, "change": 2, "new": 0, "go": 0}
    assert all(
        each.before.variation["background"] == each.after.variation["background"]
        for each in difference.changed
    )


def test_what_goes_because_it_is_refused_now_says_why() -> None:
    gone = prompt()
    failure = PromptFailure(
        sku="MUG",
        asset_type="tile",
        locale="en-GB",
        variation={"background": "sand"},
        feed="mugs.csv",
        row=2,
        reason="'sand': no sand",
        code="policy",
    )
    assert [each.reason for each in compare([gone], [], [failure]).gone] == ["'sand': no sand"]
    assert [each.reason for each in compare([gone], []).gone] == [""]


def test_words_are_compared_one_by_one() -> None:
    assert word_difference("a mug on warm sand", "a big mug on snow") == [
        ("stays", "a"),
        ("comes", "big"),
        ("stays", "mug on"),
        ("goes", "warm sand"),
        ("comes", "snow"),
    ]


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_both_texts_can_be_read_from_their_difference(before: list[str], after: list[str]) -> None:
    pieces = word_difference(" ".join(before), " ".join(after))
    assert " ".join(words for fate, words in pieces if fate != "comes") == " ".join(before)
    assert " ".join(words for fate, words in pieces if fate != "goes") == " ".join(after)


def test_examples_are_limited_and_the_rest_is_counted() -> None:
    difference = compare([], [prompt(f"MUG-{number}") for number in range(5)])
    lines = [line.plain for line in difference_lines(difference, 2)]
    assert [line for line in lines if line.startswith("MUG")] == [
        "MUG-0 tile en-GB (background: sand) new",
        "MUG-1 tile en-GB (background: sand) new",
    ]
    assert lines[-1].startswith("... and 3 more that are new")


def test_a_changed_word_is_marked_and_coloured() -> None:
    difference = compare([prompt()], [prompt(text="a mug on snow")])
    line = list(difference_lines(difference, 1))[1]
    assert line.plain == "  prompt: a mug on [-sand-] {+snow+}"
    assert {str(span.style) for span in line.spans} >= {"red strike", "green"}


def edition(kind: Any, name: str, sha256: str, version: str = "1") -> Edition:
    return Edition(kind=kind, name=name, version=version, owner="a", sha256=sha256)


def test_files_that_decide_words_are_named_with_their_versions() -> None:
    before = [
        edition("brand", "Nordlicht", "a"),
        edition("asset type", "tile", "b"),
        edition("policy", "policy", "c"),
    ]
    after = [
        edition("brand", "Nordlicht", "a", "2"),
        edition("asset type", "tile", "x"),
        edition("policy", "policy", "y", "2"),
    ]
    assert changes(before, after) == ["asset type tile", "policy (1 → 2)"]
    assert changes(before, before[:2]) == ["policy is gone"]
    assert changes(before[:2], before) == ["policy is new"]
    assert changes([], before) == []


def test_what_no_file_changed_is_the_products_or_the_campaigns_doing() -> None:
    other_product = compare([prompt()], [prompt(text="a cup", product_fact_sha256="g")])
    other_campaign = compare([prompt()], [prompt(text="a cup")])
    new_product = compare([prompt("A")], [prompt("A"), prompt("B")])
    assert reasons(other_product, []) == ["products"]
    assert reasons(new_product, []) == ["products"]
    assert reasons(other_campaign, []) == ["the campaign"]
    assert reasons(other_campaign, ["brand Nordlicht"]) == ["brand Nordlicht"]
    assert reasons(compare([prompt()], [prompt()]), []) == []


TILES = """\
title: Tiles
asset_types: [product_tile]
locales: [en-GB]
profile: paid
candidates_per_prompt: 2
budget_usd: 10
"""
HEROES = TILES.replace("product_tile", "landing_hero").replace("paid", "packshot")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project of three boxes whose two campaigns have their prompts recorded; a third has never run."""
    folder = write_project(tmp_path, campaigns={"tiles": TILES, "heroes": HEROES, "waiting": TILES})
    packshot = (folder / "profiles" / "packshot.yaml").read_text()
    (folder / "profiles" / "paid.yaml").write_text(
        f"{packshot}price: {{unit: image, usd: 0.05, source: a test}}\n"
    )
    store = Store(str(folder / "store"))
    reading = read_catalog(folder / "catalog", images=store.images)
    record_catalog(store, reading, run_id="before")
    for campaign in ("tiles", "heroes"):
        record_prompts(store, campaign, prompts_from(reading.products, folder, campaign), run_id="before")
    return folder


def cli(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {
        "ASSET_PIPELINE_DATA": str(data),
        "DAGSTER_HOME": str(data / "dagster"),
        "COLUMNS": "250",
    }
    return subprocess.run(
        [sys.executable, "-m", "asset_pipeline.cli", "prompts", *arguments],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )


def facts_of(data: Path) -> set[str]:
    return {
        str(path) for path in (data / "store" / "facts").rglob("*.parquet") if "__schema__" not in str(path)
    }


def change_tile(data: Path, before: str, after: str) -> None:
    path = data / "asset_types" / "product_tile.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_a_changed_template_shows_its_words_its_campaigns_and_its_cost_and_writes_nothing(data: Path) -> None:
    change_tile(data, "with a soft shadow", "with a hard shadow")
    before = facts_of(data)
    ran = cli(data, "diff", "--limit", "1")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "tiles: of its prompts 0 stay, 3 change, 0 new, 0 go" in lines
    assert "heroes: of its prompts 3 stay, 0 change, 0 new, 0 go" in lines
    assert "with a [-soft-] {+hard+} shadow" in ran.stdout
    assert "... and 2 more that change; --limit shows more of them" in lines
    (row,) = [line for line in lines if line.strip("│ ").startswith("tiles ")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "tiles",
        "asset type product_tile",
        "3",
        "0",
        "0",
        "6",
        "$0.30",
        "paid",
    ]
    assert not any(line.strip("│ ").startswith(("heroes ", "waiting ")) for line in lines)
    assert facts_of(data) == before


def test_a_changed_brand_touches_every_campaign_even_if_one_is_asked_about(data: Path) -> None:
    brand = (data / "brand.yaml").read_text()
    (data / "brand.yaml").write_text(brand.replace("calm", "bright"))
    ran = cli(data, "diff", "tiles", "--json")
    told = json.loads(ran.stdout)
    assert list(told["campaigns"]) == ["tiles"]
    assert {each["campaign_id"]: each["because"] for each in told["stale"]} == {
        "tiles": ["brand Nordlicht"],
        "heroes": ["brand Nordlicht"],
    }
    (change, *_) = told["campaigns"]["tiles"]["changed"]
    assert ["goes", "calm,"] in change["words"]["text"]
    assert ["comes", "bright,"] in change["words"]["text"]


def test_a_policy_that_would_refuse_recorded_prompts_says_which_and_why(data: Path) -> None:
    (data / "policy.yaml").write_text(
        "version: 1\nowner: team:legal\n"
        'rules:\n  - {id: one, title: Ones, terms: {any: ["1"]}, message: no ones}\n'
    )
    ran = cli(data, "diff", "tiles")
    assert "tiles: of its prompts 2 stay, 0 change, 0 new, 1 go" in ran.stdout
    assert "because: '1' from product.name: Ones: no ones" in ran.stdout
    assert "policy is new" in ran.stdout


def test_new_rows_are_new_prompts_and_an_unrun_campaign_is_all_new(data: Path) -> None:
    add_products(data, range(3, 5))
    told = json.loads(cli(data, "diff", "tiles", "waiting", "--json").stdout)
    assert told["campaigns"]["tiles"]["counts"] == {"stay": 3, "change": 0, "new": 2, "go": 0}
    assert told["campaigns"]["waiting"]["counts"] == {"stay": 0, "change": 0, "new": 5, "go": 0}
    assert {each["campaign_id"]: each["because"] for each in told["stale"]} == {
        "tiles": ["products"],
        "heroes": ["products"],
    }


def test_nothing_changed_is_said_and_a_campaign_that_cannot_be_compared_stops_no_other(data: Path) -> None:
    assert "no campaign that has run would change" in cli(data, "diff").stdout
    (data / "campaigns" / "heroes.yaml").write_text("title: [\n")
    ran = cli(data, "diff")
    assert ran.returncode == 1
    assert "tiles: of its prompts 3 stay" in ran.stdout
    assert "heroes: cannot be compared:" in ran.stdout
    unknown = cli(data, "diff", "tyles")
    assert unknown.returncode == 1
    assert "there is no campaign 'tyles'" in unknown.stdout


def test_pictures_of_words_that_were_made_before_are_not_made_again(data: Path) -> None:
    store = Store(str(data / "store"))
    products = read_catalog(data / "catalog").products
    campaign = load_campaign(data, "tiles")
    written = prompts_from(products, data, "tiles")
    providers = definitions.providers(definitions.CHECKPOINTS)
    order = order_from(Workshop(store, data, providers), "tiles", campaign, written.prompts)
    difference = compare([], written.prompts)
    with working(store, "before") as worker:
        made = Attempt(
            candidate_id=order.wanted[0].candidate_id,
            attempt=1,
            state="succeeded",
            run_id="before",
            worker=worker,
            profile="paid",
        )
    remade = remaking(order, difference, ["products"], {made.candidate_id: made})
    assert (remade.pictures, round(remade.cost_usd, 6)) == (5, 0.25)


def test_the_words_as_they_would_be_written_now_are_shown(data: Path) -> None:
    change_tile(data, "with a soft shadow", "with a hard shadow")
    (data / "policy.yaml").write_text(
        "version: 1\nowner: team:legal\n"
        'rules:\n  - {id: one, title: Ones, terms: {any: ["1"]}, message: no ones}\n'
    )
    shown = cli(data, "show", "tiles").stdout
    assert shown.count("with a hard shadow") == 2
    assert "not written (products.csv row 3): '1' from product.name: Ones: no ones" in shown
    assert "2 prompts, 1 not written, 0 to look at" in shown
    one = json.loads(cli(data, "show", "tiles", "--sku", "BOX-0001", "--json").stdout)
    assert [each["sku"] for each in one["failures"]] == ["BOX-0001"]
    assert one["prompts"] == []
    assert {each["kind"] for each in one["decided_by"]} == {"asset type", "brand", "policy"}
    missing = cli(data, "show", "tiles", "--sku", "BOX-9")
    assert missing.returncode == 1
    assert "no prompt for the SKU 'BOX-9'" in missing.stdout
