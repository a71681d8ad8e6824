import csv
import io
import time
from pathlib import Path

import pytest

from asset_pipeline.catalog.dialects import woocommerce
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import CatalogReading, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read, write

COLUMNS = [
    "ID", "Type", "SKU", "GTIN, UPC, EAN, or ISBN", "Name", "Published", "Is featured?",
    "Visibility in catalog", "Short description", "Description", "Date sale price starts",
    "Date sale price ends", "Tax status", "In stock?", "Stock", "Weight (kg)", "Sale price", "Regular price",
    "Categories", "Tags", "Images", "Parent", "Grouped products", "Brands", "Attribute 1 name",
    "Attribute 1 value(s)", "Attribute 1 visible", "Attribute 1 global", "Attribute 2 name",
    "Attribute 2 value(s)", "Attribute 2 visible", "Attribute 2 global", "Meta: _wpcom_is_markdown",
]  # fmt: skip


def export(*rows: dict[str, str]) -> str:
    """A file as WooCommerce writes it, with all columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def product(number: int, kind: str, sku: str, name: str, **more: str) -> dict[str, str]:
    """A row of a product, published and in stock."""
    cells = {"ID": str(number), "Type": kind, "SKU": sku, "Name": name, "Published": "1", "In stock?": "1"}
    return cells | more


def attributes(**values: str) -> dict[str, str]:
    """The cells of attributes."""
    cells: dict[str, str] = {}
    for place, (name, value) in enumerate(values.items(), start=1):
        cells |= {f"Attribute {place} name": name, f"Attribute {place} value(s)": value}
    return cells


HOODIE = product(
    45,
    "variable",
    "hoodie",
    "Hoodie",
    **{
        "Description": "<p>Warm &amp; soft.</p>",
        "Short description": "Warm",
        "Categories": "Clothing > Hoodies, Sale",
        "Tags": "winter",
        "Brands": "Acme",
        "Images": "hoodie.png, hoodie-label.png",
    },
    **attributes(Color="Blue, Red", Material="Cotton\\, organic"),
)
RED = product(
    79,
    "variation",
    "hoodie-red",
    "Hoodie - Red",
    **{"Regular price": "1.299,00", "Sale price": "42", "Images": "hoodie-red.png", "Parent": "hoodie"},
    **attributes(Color="Red"),
)
BLUE = product(
    80,
    "variation",
    "",
    "Hoodie - Blue",
    **{"Regular price": "45.50", "Parent": "id:45"},
    **attributes(Color="Blue"),
)
ALBUM = product(
    73, "simple, downloadable, virtual", "album", "Album", **{"Regular price": "15", "Categories": "Music"}
)
CAP = product(
    60, "simple", "cap", "Cap", **{"Regular price": "18.00", "Images": "cap.png"}, **attributes(Color="Red")
)
PICTURES = ("hoodie.png", "hoodie-label.png", "hoodie-red.png", "cap.png")


class TestPromises(DialectPromises):
    dialect = "woocommerce"
    file = "wc-product-export-21-11-2026.csv"
    content = export(HOODIE, RED, BLUE, RED, ALBUM, CAP)
    photographs = PICTURES


def read_with_pictures(folder: Path, content: str) -> CatalogReading:
    write(folder, **{f"images/{name.replace('.', '__')}": picture() for name in PICTURES})
    return read(folder, content)


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def paths(product: Product) -> list[str]:
    return [each.reference for each in product.photographs]


# --- recognising it


@pytest.mark.parametrize(
    "header",
    [
        ",".join(COLUMNS[:1] + COLUMNS[1:3] + COLUMNS[4:]),
        "Type,SKU,Name,Published,Regular price",
        "SKU,Name,Attribute 1 name,Attribute 1 value(s)",
        "id,NAME,is featured?,in stock?",
    ],
)
def test_exports_with_many_columns_and_with_few_are_recognised(header: str) -> None:
    assert recognise(header.split(",")).NAME == "woocommerce"


@pytest.mark.parametrize(
    "header", ["sku,name,type,regular price", "sku,name,categories,images,sale price", "sku,name,in stock?"]
)
def test_a_few_names_that_others_have_too_do_not_make_it_woocommerces(header: str) -> None:
    assert not woocommerce.recognises(header.split(","))
    assert recognise(header.split(",")).NAME == "own"


# --- parents and variations


def test_a_parent_gives_its_variations_what_they_do_not_say(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(HOODIE, RED, BLUE))
    assert list(by_sku(reading)) == ["hoodie-red", "id:80"]
    red, blue = reading.products
    for each in (red, blue):
        assert (each.group, each.brand) == ("hoodie", "Acme")
        assert (each.texts["und"].name, each.texts["und"].description) == ("Hoodie", "Warm & soft.")
        assert each.categories == ("Hoodies", "Clothing", "Sale", "winter")
    assert red.attributes == {
        "colour": "Red", "material": "Cotton, organic", "sale price": "42", "status": "active"
    }  # fmt: skip
    assert blue.attributes == {"colour": "Blue", "material": "Cotton, organic", "status": "active"}
    assert [red.price, blue.price] == ["1299.00", "45.50"]
    assert paths(red) == ["hoodie-red.png"]
    assert paths(blue) == ["hoodie.png", "hoodie-label.png"]
    assert [each.role for each in blue.photographs] == ["base", "detail"]
    (feed,) = reading.feeds
    assert (feed.rows, feed.products, feed.details) == (3, 2, 1)
    assert codes(reading) == {"markup_removed": 2, "sku_from_number": 1}


def test_a_parent_may_stand_behind_its_variations(tmp_path: Path) -> None:
    before = read(tmp_path / "before", export(HOODIE, RED, BLUE)).products
    behind = read(tmp_path / "behind", export(RED, BLUE, HOODIE)).products
    assert [each.content_sha256 for each in behind] == [each.content_sha256 for each in before]


def test_a_parent_without_variations_in_the_file_is_a_product(tmp_path: Path) -> None:
    hoodie = only(read_with_pictures(tmp_path, export(HOODIE)))
    assert (hoodie.sku, hoodie.attributes["colour"]) == ("hoodie", "Blue, Red")
    assert paths(hoodie) == ["hoodie.png", "hoodie-label.png"]


def test_a_variation_for_any_value_has_those_of_its_parent(tmp_path: Path) -> None:
    any_colour = RED | attributes(Color="", Size="L")
    hoodie = only(read(tmp_path, export(HOODIE, any_colour)))
    assert hoodie.attributes["colour"] == "Blue, Red"
    assert hoodie.attributes["size"] == "L"


@pytest.mark.parametrize(
    ("name", "shown"), [("Hoodie - Red, Large", "Hoodie"), ("", "Hoodie"), ("Red hoodie", "Red hoodie")]
)
def test_a_variation_has_its_parents_name_unless_it_has_one_of_its_own(
    tmp_path: Path, name: str, shown: str
) -> None:
    assert only(read(tmp_path, export(HOODIE, RED | {"Name": name}))).texts["und"].name == shown


def test_a_variations_own_words_and_categories_count_before_its_parents(tmp_path: Path) -> None:
    own = {"Description": "Red and warm", "Categories": "Red things", "Brands": "Zaro"}
    red = only(read(tmp_path, export(HOODIE, RED | own)))
    assert (red.texts["und"].description, red.categories, red.brand) == (
        "Red and warm",
        ("Red things",),
        "Zaro",
    )


def test_a_variation_whose_parent_is_missing_stands_alone_with_a_warning(tmp_path: Path) -> None:
    nameless = BLUE | {"Name": ""}
    reading = read_with_pictures(tmp_path, export(RED, nameless, CAP))
    assert list(by_sku(reading)) == ["hoodie-red", "cap"]
    assert (by_sku(reading)["hoodie-red"].group, by_sku(reading)["cap"].group) == ("hoodie", None)
    assert finding(reading, "parent_not_found").sku == "hoodie-red"
    assert codes(reading) == {"parent_not_found": 1, "missing_name": 1}


def test_a_variation_is_nobodys_parent(tmp_path: Path) -> None:
    loop = RED | {"Parent": "hoodie-red"}
    child = BLUE | {"Parent": "hoodie-red"}
    reading = read(tmp_path, export(loop, child))
    assert codes(reading)["parent_not_found"] == 2
    assert reading.feeds[0].is_balanced
    assert reading.feeds[0].details == 0


def test_a_second_row_for_a_parent_is_never_lost_in_silence(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(HOODIE, RED, HOODIE, HOODIE | {"Name": "Other"}))
    assert only(reading).texts["und"].name == "Hoodie"
    assert codes(reading) == {"markup_removed": 1, "repeated_row": 1, "duplicate_sku": 1}
    assert finding(reading, "duplicate_sku").row == 5


def test_without_a_type_a_row_with_a_parent_is_a_variation(tmp_path: Path) -> None:
    reading = read(tmp_path, export(HOODIE | {"Type": ""}, RED | {"Type": ""}))
    assert only(reading).sku == "hoodie-red"


@pytest.mark.parametrize("kind", ["simple", "grouped", "external", "simple, downloadable, virtual", "bundle"])
def test_every_other_type_is_a_product(tmp_path: Path, kind: str) -> None:
    cap = only(
        read(tmp_path, export(CAP | {"Type": kind, "Parent": "hoodie"}, HOODIE | {"Type": "?", "Name": ""}))
    )
    assert (cap.sku, cap.group) == ("cap", None)


@pytest.mark.parametrize("kind", ["variation", "Variation, virtual", "subscription_variation"])
def test_every_kind_of_variation_is_one(tmp_path: Path, kind: str) -> None:
    assert only(read(tmp_path, export(HOODIE, RED | {"Type": kind}))).group == "hoodie"


# --- identity


def test_without_a_sku_the_number_is_the_name(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(CAP | {"SKU": ""}, ALBUM | {"SKU": "", "ID": ""}))
    assert only(reading).sku == "id:60"
    assert finding(reading, "sku_from_number").level == "repaired"
    assert codes(reading) == {"sku_from_number": 1, "missing_sku": 1}


def test_a_variation_with_neither_gets_its_parents_and_its_values(tmp_path: Path) -> None:
    unnumbered = BLUE | {"ID": "", "Parent": "hoodie", "Images": "cap.png"}
    reading = read(tmp_path, export(HOODIE, RED, unnumbered))
    assert list(by_sku(reading)) == ["hoodie-red", "hoodie:Blue"]
    assert codes(reading)["sku_from_parent"] == 1


def test_a_variation_with_its_parents_sku_has_none_of_its_own(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(HOODIE, RED | {"SKU": "hoodie"}, BLUE | {"SKU": "hoodie"}))
    assert list(by_sku(reading)) == ["id:79", "id:80"]


# --- cells


def test_lists_are_split_at_commas_that_are_not_escaped(tmp_path: Path) -> None:
    rows = CAP | {"Categories": "Hats\\, caps > Caps,  Sale ,", "Images": " cap.png ,, hoodie.png"}
    cap = only(read_with_pictures(tmp_path, export(rows)))
    assert cap.categories == ("Caps", "Hats, caps", "Sale")
    assert paths(cap) == ["cap.png", "hoodie.png"]


def test_what_the_export_guards_from_spreadsheets_is_itself_again(tmp_path: Path) -> None:
    guarded = (
        CAP
        | {"Name": "'+1 Cap", "SKU": "'-7", "Published": "'-1"}
        | attributes(Cold="'-5 °C", Song="Rock 'n'-roll")
    )
    cap = only(read(tmp_path, export(guarded)))
    assert (cap.sku, cap.texts["und"].name) == ("-7", "+1 Cap")
    assert cap.attributes == {"cold": "-5 °C", "song": "Rock 'n'-roll", "status": "draft"}


def test_the_short_description_stands_in_for_the_long_one(tmp_path: Path) -> None:
    assert (
        only(read(tmp_path, export(CAP | {"Short description": "Short"}))).texts["und"].description == "Short"
    )


def test_the_regular_price_counts_and_the_sale_price_where_there_is_no_other(tmp_path: Path) -> None:
    both, sale = CAP | {"Sale price": "9"}, ALBUM | {"Regular price": "", "Sale price": "8.50"}
    found = by_sku(read(tmp_path, export(both, sale)))
    assert (found["cap"].price, found["cap"].attributes["sale price"]) == ("18.00", "9")
    assert found["album"].price == "8.50"


def test_brand_gtin_and_global_attributes_have_their_names(tmp_path: Path) -> None:
    row = CAP | {"GTIN, UPC, EAN, or ISBN": "4006381333931"} | attributes(pa_size="L", Brand="Acme")
    cap = only(read(tmp_path, export(row)))
    assert cap.brand == "Acme"
    assert cap.attributes == {"size": "L", "gtin": "4006381333931", "status": "active"}


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("1", "active"),
        ("true", "active"),
        ("0", "private"),
        ("-1", "draft"),
        ("FALSE", "draft"),
        ("later", "later"),
    ],
)
def test_what_the_shop_does_not_show_is_a_product_with_a_note(
    tmp_path: Path, published: str, expected: str
) -> None:
    reading = read(tmp_path, export(CAP | {"Published": published}))
    assert only(reading).attributes["status"] == expected
    assert codes(reading)["not_on_sale"] == (expected != "active")


def test_variations_of_a_draft_are_drafts_and_one_note_says_so(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(HOODIE | {"Published": "-1"}, RED, BLUE))
    assert [each.attributes["status"] for each in reading.products] == ["draft", "draft"]
    assert codes(reading)["not_on_sale"] == 1


def test_what_was_repaired_in_a_row_is_said(tmp_path: Path) -> None:
    reading = read(tmp_path, "SKU,Name,In stock?,Is featured?,Categories\nM,Mug,1,0\n")
    assert codes(reading) == {"too_few_cells": 1}


@pytest.mark.parametrize("cell", ["a" + " " * 1_000_000 + "b", ">" * 500_000, "," * 500_000, "\\," * 500_000])
def test_hostile_lists_do_not_make_reading_slow(cell: str) -> None:
    row = CAP | {"Categories": cell, "Tags": cell, "Images": cell, "Type": cell, **attributes(Color=cell)}
    sheet = read_sheet(export(row).encode())
    start = time.process_time()
    readable = (row for row in sheet.rows if isinstance(row, Row))
    assert len(list(woocommerce.drafts(sheet.columns, readable))) == 1
    assert time.process_time() - start < 5


def test_attributes_stand_in_the_order_of_their_numbers_and_odd_ones_do_no_harm(tmp_path: Path) -> None:
    header = "SKU,Name,Attribute 10 name,Attribute 10 value(s),Attribute 1 name,Attribute 1 value(s),"
    header += "Attribute 01 name,Attribute 3 name,Attribute x name\n"
    cap = only(read(tmp_path, header + "cap,Cap,size,XL,size,L,a,b,c\n"))
    assert cap.attributes == {"size": "L"}
