"""What a changed feed changes, from the catalog to the pictures that are wanted: as little as it can."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.records import Workshop, order_from
from asset_pipeline.catalog.asset import catalog
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import (
    load_products,
    load_remote_photographs,
    record_catalog,
    record_remote_photographs,
)
from asset_pipeline.catalog.remote.fetching import Fetcher
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.definitions import PROVIDERS
from asset_pipeline.prompts.records import load_prompts, prompts_from, record_prompts
from asset_pipeline.store.store import Store
from asset_pipeline_tests.picture_server import PictureServer, Reply, picture_server
from asset_pipeline_tests.small_project import CAMPAIGN, draw_box, write_project
from asset_pipeline_tests.test_remote_photographs import allowing

FEED = "products.csv"


@dataclass
class Project:
    """A small project, and what a run of it would want made."""

    data: Path
    store: Store
    rules: FetchRules

    @property
    def feed(self) -> Path:
        return self.data / "catalog" / FEED

    def edit(self, old: str, new: str) -> None:
        text = self.feed.read_text()
        assert old in text
        self.feed.write_text(text.replace(old, new))

    def rows(self) -> list[str]:
        return self.feed.read_text().splitlines()

    def wanted(self) -> dict[str, set[str]]:
        """Run the catalog and the prompts; the candidates that are wanted then, by SKU."""
        fetcher = Fetcher(
            self.rules,
            self.store.images,
            load_remote_photographs(self.store),
            partial(record_remote_photographs, self.store, run_id="r"),
        )
        reading = read_catalog(self.data / "catalog", self.store.images, remote=fetcher)
        record_catalog(self.store, reading, run_id="r")
        record_prompts(
            self.store, "boxes", prompts_from(load_products(self.store), self.data, "boxes"), run_id="r"
        )
        order = order_from(
            Workshop(self.store, self.data, PROVIDERS),
            "boxes",
            load_campaign(self.data, "boxes"),
            load_prompts(self.store, "boxes"),
        )
        found: dict[str, set[str]] = {}
        for each in order.wanted:
            found.setdefault(each.prompt.sku, set()).update({each.candidate_id, each.prompt.prompt_id})
        return found

    def data_version(self) -> str:
        """What Dagster is told of the catalog's content."""
        result = dg.materialize(
            [catalog], resources={"store": self.store, "data": self.data, "fetch_rules": self.rules}
        )
        (materialisation,) = result.asset_materializations_for_node("catalog")
        return (materialisation.tags or {})["dagster/data_version"]


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with picture_server() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, server: PictureServer, local_store: Store) -> Project:
    data = write_project(tmp_path, campaigns={"boxes": CAMPAIGN})
    found = Project(data, local_store, allowing(server, again_after=timedelta(0)))
    header, *rows = found.rows()
    described = [f"{row},A fine box" for row in rows]
    found.feed.write_text("\n".join([f"{header},description-en-GB", *described]) + "\n")
    return found


def changed(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """The SKUs of which other pictures are wanted now."""
    return sorted(sku for sku in before.keys() | after.keys() if before.get(sku) != after.get(sku))


def test_the_project_wants_two_prompts_of_two_pictures_for_each_box(project: Project) -> None:
    assert {sku: len(names) for sku, names in project.wanted().items()} == {
        f"BOX-{n:04d}": 2 * (1 + 2) for n in range(3)
    }


def test_a_feed_that_is_sent_again_changes_nothing(project: Project) -> None:
    before, version, prompts = project.wanted(), project.data_version(), load_prompts(project.store, "boxes")
    text = project.feed.read_text()
    project.feed.unlink()
    project.feed.write_text(text)
    assert project.wanted() == before
    assert project.data_version() == version
    assert load_prompts(project.store, "boxes") == prompts


def test_a_feed_in_another_order_changes_nothing_that_is_wanted(project: Project) -> None:
    before, version = project.wanted(), project.data_version()
    header, *rows = project.rows()
    project.feed.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert project.wanted() == before
    assert project.data_version() == version


def test_a_feed_under_another_name_or_in_two_files_changes_nothing_that_is_wanted(project: Project) -> None:
    before, version = project.wanted(), project.data_version()
    header, *rows = project.rows()
    project.feed.rename(project.feed.with_name("autumn.csv"))
    assert project.wanted() == before
    (project.data / "catalog" / "autumn.csv").unlink()
    (project.data / "catalog" / "a.csv").write_text(f"{header}\n{rows[2]}\n")
    (project.data / "catalog" / "b.csv").write_text("\n".join([header, *rows[:2]]))
    assert project.wanted() == before
    assert project.data_version() == version


def test_columns_in_another_order_and_another_dress_change_nothing(project: Project) -> None:
    before = project.wanted()
    rows = [row.split(",") for row in project.rows()]
    turned = "\r\n".join(";".join(f'"{cell}"' for cell in reversed(row)) for row in rows)
    project.feed.write_bytes(turned.encode("utf-16"))
    assert project.wanted() == before


def test_a_row_at_the_top_wants_pictures_of_its_own_and_no_others(project: Project) -> None:
    before, version = project.wanted(), project.data_version()
    header, *rows = project.rows()
    new = rows[0].replace("BOX-0000", "BOX-9999").replace("number 0", "number 9999")
    project.feed.write_text("\n".join([header, new, *rows]) + "\n")
    assert changed(before, project.wanted()) == ["BOX-9999"]
    assert project.data_version() != version


def test_a_price_changes_no_picture_unless_a_template_speaks_of_it(project: Project) -> None:
    before = project.wanted()
    recorded = load_prompts(project.store, "boxes")
    project.edit("Box number 1,9.99", "Box number 1,12.49")
    assert project.wanted() == before
    assert load_prompts(project.store, "boxes") == recorded  # so that nothing is delivered again either
    assert next(each for each in load_products(project.store) if each.sku == "BOX-0001").price == "12.49"


def test_a_price_that_a_template_speaks_of_changes_the_pictures_of_its_product(project: Project) -> None:
    place = project.data / "asset_types" / "product_tile.yaml"
    place.write_text(
        place.read_text().replace("{{ product.name }}", "{{ product.name }} {{ product.price }}")
    )
    before = project.wanted()
    project.edit("Box number 1,9.99", "Box number 1,12.49")
    assert changed(before, project.wanted()) == ["BOX-0001"]


def test_a_description_that_no_template_speaks_of_changes_no_picture(project: Project) -> None:
    before = project.wanted()
    project.edit("box-1.png,A fine box", "box-1.png,A finer box")
    assert project.wanted() == before


def test_a_name_changes_the_pictures_of_its_product(project: Project) -> None:
    before = project.wanted()
    project.edit("Box number 2", "Chest number 2")
    assert changed(before, project.wanted()) == ["BOX-0002"]


def test_other_bytes_of_a_photograph_change_the_pictures_of_its_product(project: Project) -> None:
    before, version = project.wanted(), project.data_version()
    draw_box(project.data / "catalog" / "box-1.png", 77)
    assert changed(before, project.wanted()) == ["BOX-0001"]
    assert project.data_version() != version


def test_a_photograph_that_is_copied_or_renamed_changes_no_picture(project: Project) -> None:
    before = project.wanted()
    place = project.data / "catalog" / "box-1.png"
    data = place.read_bytes()
    place.unlink()
    place.with_name("chest.png").write_bytes(data)
    project.edit("box-1.png", "chest.png")
    assert project.wanted() == before


def test_a_photograph_at_a_url_changes_pictures_with_its_bytes_and_not_with_its_address(
    project: Project, server: PictureServer
) -> None:
    local = project.wanted()
    data = (project.data / "catalog" / "box-1.png").read_bytes()
    server.replies = {"/one.png": Reply(data, headers={"ETag": "1"}), "/two.png": Reply(data)}
    project.edit("box-1.png", server.url("/one.png?signature=a"))
    assert project.wanted() == local
    assert project.wanted() == local
    project.edit("/one.png?signature=a", "/two.png?signature=b")
    assert project.wanted() == local
    server.replies = {"/two.png": Reply((project.data / "catalog" / "box-2.png").read_bytes())}
    assert changed(local, project.wanted()) == ["BOX-0001"]


def test_a_url_that_is_signed_anew_is_the_same_product(project: Project, server: PictureServer) -> None:
    server.replies = {"/one.png": Reply((project.data / "catalog" / "box-1.png").read_bytes())}
    project.edit("box-1.png", server.url("/one.png?signature=a"))
    version = project.data_version()
    project.edit("signature=a", "signature=b")
    assert project.data_version() == version


def test_a_photograph_that_cannot_be_fetched_again_changes_no_picture(
    project: Project, server: PictureServer
) -> None:
    server.replies = {"/one.png": Reply((project.data / "catalog" / "box-1.png").read_bytes())}
    project.edit("box-1.png", server.url("/one.png"))
    before, version = project.wanted(), project.data_version()
    server.replies = {}
    assert project.wanted() == before
    assert project.data_version() == version
