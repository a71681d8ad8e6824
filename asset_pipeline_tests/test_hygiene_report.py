"""The hygiene report: a page by SKU that says at a glance what was repaired, refused and missing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asset_pipeline.catalog.formats.rows import Level
from asset_pipeline.catalog.product import Finding
from asset_pipeline.catalog.reader import CatalogReading, read_catalog
from asset_pipeline.catalog.records import load_feeds, load_findings, record_catalog
from asset_pipeline.catalog.report import MOST_FINDINGS, hygiene_report
from asset_pipeline.store.store import Store
from asset_pipeline_tests.test_catalog import picture, write

GOOD = 'sku,name,photographs\nM1,Mug,mug.png\nM2,"<b>Cup</b>",mug.png\n'
BAD = "sku,name\nM3,\n,Pot\nM1,Other\nM4,Jug\nM4,Jug\n"


class Page(HTMLParser):
    """What a browser without scripts sees: texts in order, groups with their summaries and findings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.groups: list[tuple[str, str]] = []
        """What stands in the fold and what stands under it."""
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._open.append(tag)
        if tag == "details":
            self.groups.append(("", ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & {*self._open}:
            return
        words = " ".join(data.split())
        self.text = f"{self.text} {words}".strip()
        if "details" in self._open:
            fold, under = self.groups[-1]
            is_fold = "summary" in self._open
            fold, under = (f"{fold} {words}", under) if is_fold else (fold, f"{under} {words}")
            self.groups[-1] = " ".join(fold.split()), " ".join(under.split())


def report(folder: Path, **feeds: str | bytes) -> Page:
    return Page(hygiene_report(read_catalog(write(folder, **feeds))))


def made(*findings: Finding) -> Page:
    return Page(hygiene_report(CatalogReading([], list(findings), [], [])))


def found(sku: str | None, level: Level, code: str = "x", message: str = "", feed: str = "a.csv") -> Finding:
    return Finding(feed=feed, row=2, sku=sku, field=None, level=level, code=code, message=message)


def test_the_books_of_each_feed_and_of_all_stand_as_an_equation(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD, b__csv=BAD, mug__png=picture())
    a, b, together = (
        "a.csv own 2 rows = 2 products + 0 variants + 0 details + 0 refused + 0 skipped",
        "b.csv own 5 rows = 1 products + 0 variants + 0 details + 3 refused + 1 skipped",
        "all feeds 7 rows = 3 products + 0 variants + 0 details + 3 refused + 1 skipped",
    )
    assert f"{a} {b} {together}" in page.text


def test_a_single_feed_needs_no_total(tmp_path: Path) -> None:
    assert "all feeds" not in report(tmp_path, a__csv=GOOD, mug__png=picture()).text


def test_books_that_do_not_add_up_are_said_to(tmp_path: Path) -> None:
    reading = read_catalog(write(tmp_path, a__csv=BAD))
    (feed,) = reading.feeds
    broken = CatalogReading([], [], [feed.model_copy(update={"rows": 6, "unaccounted": (9,)})], [])
    page = Page(hygiene_report(broken))
    assert "does not add up, which is a fault of the reader: look at rows 9" in page.text


def test_a_glance_tells_products_photographs_and_findings_of_each_level(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD, b__csv=BAD, mug__png=picture())
    assert "1 of 3 products need no attention." in page.text
    assert "3 products 1 photographs 3 refused 1 warning 1 repaired 1 note" in page.text


def test_what_was_found_is_counted_by_level_and_code_the_worst_first(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD, b__csv=BAD, mug__png=picture())
    expected = (
        "What was found refused 1 duplicate_sku , 1 missing_name , 1 missing_sku "
        "warning 1 no_photograph repaired 1 markup_removed note 1 repeated_row"
    )
    assert expected in page.text


def test_findings_are_folded_by_sku_with_the_products_name_and_where_they_are(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD, b__csv=BAD, mug__png=picture())
    folds = dict(page.groups)
    assert "M2 Cup 1 repaired" in folds
    assert "repaired markup_removed" in folds["M2 Cup 1 repaired"]
    assert folds["M2 Cup 1 repaired"].endswith("a.csv, row 3, name")
    assert "M1 Mug 1 refused" in folds
    assert "M4 Jug 1 warning 1 note" in folds
    assert "b.csv rows without a SKU, and the file itself 1 refused" in folds


def test_groups_stand_with_the_worst_first_then_the_largest_then_by_name() -> None:
    page = made(
        found("N", "note"),
        found("W1", "warning"),
        found("W2", "warning"),
        found("W2", "warning"),
        found("R", "refused"),
        found("B", "warning"),
        found("M", "note"),
        found("M", "repaired"),
        found("R", "note"),
    )
    assert [fold.split()[0] for fold, _ in page.groups] == ["R", "W2", "B", "W1", "M", "N"]
    assert page.groups[0][0] == "R 1 refused 1 note"


def test_a_feed_and_a_sku_of_the_same_name_are_two_groups() -> None:
    page = made(found("a.csv", "note"), found(None, "refused"))
    assert [fold for fold, _ in page.groups] == [
        "a.csv rows without a SKU, and the file itself 1 refused",
        "a.csv 1 note",
    ]


def test_a_product_with_notes_and_repairs_alone_needs_no_attention(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD + "M3,Jug,none.png\n", mug__png=picture())
    assert "2 of 3 products need no attention." in page.text


def test_whatever_feeds_say_is_text(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    quoted = evil.replace('"', '""')
    page = report(tmp_path, a__csv="sku,name,photographs\n" + ",".join([f'"{quoted}"'] * 3))
    assert evil in page.text
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    written = hygiene_report(read_catalog(write(tmp_path, a__csv=BAD)))
    page = Page(written)
    assert not {"link", "iframe", "object", "img"} & {*page.tags}
    assert not {"src", "href"} & {name for name, _ in page.attributes}
    assert "url(" not in written
    assert "@import" not in written
    assert "//" not in re.sub(r"<!doctype.*?<style>", "", written, flags=re.DOTALL)


def test_it_is_made_for_phones_and_for_both_colour_schemes(tmp_path: Path) -> None:
    page = hygiene_report(read_catalog(write(tmp_path, a__csv=BAD)))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


def test_findings_can_be_filtered_by_level_code_and_words(tmp_path: Path) -> None:
    page = report(tmp_path, a__csv=GOOD, b__csv=BAD, mug__png=picture())
    given = {value for name, value in page.attributes if name == "value"}
    assert given >= {"refused", "warning", "repaired", "note", "duplicate_sku", "markup_removed", ""}
    assert ("type", "search") in page.attributes
    levels = {value for name, value in page.attributes if name == "data-level"}
    codes = {value for name, value in page.attributes if name == "data-code"}
    assert levels == {"refused", "warning", "repaired", "note"}
    assert codes == given - levels - {""}
    assert ("data-name", "M2 Cup") in page.attributes


def test_a_page_of_very_many_findings_has_the_worst_and_says_how_many_there_are() -> None:
    few = [found(f"S{n}", "note") for n in range(MOST_FINDINGS)]
    page = made(*few, found("BAD", "refused"), found("WORSE", "warning"))
    assert f"The worst {MOST_FINDINGS:,} of {MOST_FINDINGS + 2:,}" in page.text
    assert len(page.groups) == MOST_FINDINGS
    assert [fold.split()[0] for fold, _ in page.groups[:2]] == ["BAD", "WORSE"]
    assert f"note {MOST_FINDINGS:,}" in page.text


def test_a_clean_catalog_and_an_empty_one_have_a_page_too(tmp_path: Path) -> None:
    clean = report(tmp_path / "1", a__csv="sku,name,photographs\nM1,Mug,mug.png\n", mug__png=picture())
    assert "1 of 1 products need no attention." in clean.text
    assert "What was found Nothing." in clean.text
    assert "There is no feed in the catalog folder." in made().text


@pytest.mark.parametrize("name", ["findings", "feeds"])
def test_the_same_is_recorded_as_facts(tmp_path: Path, local_store: Store, name: str) -> None:
    reading = read_catalog(write(tmp_path / "catalog", a__csv=GOOD, b__csv=BAD))
    assert name in record_catalog(local_store, reading, run_id="r")
    recorded = {"findings": load_findings(local_store), "feeds": load_feeds(local_store)}
    assert recorded[name] == getattr(reading, name)
