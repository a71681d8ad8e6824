import csv
import io
import json
import time
from pathlib import Path

import pytest

from asset_pipeline.catalog.dialect import Draft
from asset_pipeline.catalog.dialects import shopify
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import CatalogReading, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read, write

COLUMNS = [
    "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published",
    "Option1 Name", "Option1 Value", "Option1 Linked To", "Option2 Name", "Option2 Value",
    "Variant SKU", "Variant Grams", "Variant Price", "Variant Compare At Price", "Variant Barcode",
    "Image Src", "Image Position", "Image Alt Text", "Gift Card", "Google Shopping / Google Product Category",
    "Google Shopping / Gender", "Google Shopping / Age Group", "Google Shopping / MPN",
    "Google Shopping / Custom Label 0", "Material (product.metafields.custom.material)",
    "Rating (product.metafields.reviews.rating)", "Variant Image", "Variant Weight Unit", "Status",
]  # fmt: skip
TEMPLATE_OF_2024 = (
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,"
    "Barcode,Option1 name,Option1 value,Price,Compare-at price,Product image URL,Image position,"
    "Image alt text,Variant image URL,Google Shopping / Manufacturer part number (MPN)\n"
)
OF_2016 = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Image Src"
)


def export(*rows: dict[str, str], columns: list[str] = COLUMNS) -> str:
    """A file as Shopify writes it: all columns, ends of lines as on Windows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def first(handle: str, title: str, **more: str) -> dict[str, str]:
    """The row with which a product begins."""
    return {"Handle": handle, "Title": title, "Variant Price": "9.90", **more}


def variant(handle: str, *values: str, sku: str = "", image: str = "") -> dict[str, str]:
    """A row of a further variant."""
    options = {f"Option{place} Value": value for place, value in enumerate(values, start=1)}
    return {"Handle": handle, "Variant Price": "9.90", "Variant SKU": sku, "Variant Image": image, **options}


def image(handle: str, path: str, position: int) -> dict[str, str]:
    """A row that only carries an image."""
    return {"Handle": handle, "Image Src": path, "Image Position": str(position)}


TEE = [
    first(
        "linen-tee",
        "Linen Tee",
        **{
            "Body (HTML)": "<p>Cool &amp; light.</p>\n<ul><li>Linen</li></ul>",
            "Vendor": "Acme ",
            "Type": "Tops",
            "Product Category": "Apparel & Accessories > Clothing > Shirts",
            "Tags": "summer, linen",
            "Published": "true",
            "Status": "active",
            "Option1 Name": "Color",
            "Option1 Value": "Red",
            "Option2 Name": "Size",
            "Option2 Value": "S",
            "Variant SKU": "TEE-R-S",
            "Variant Barcode": "'4006381333931",
            "Variant Price": "1.299,00",
            "Image Src": "tee-red.png",
            "Image Position": "1",
            "Variant Image": "tee-red.png",
            "Google Shopping / Gender": "unisex",
            "Google Shopping / Age Group": "adult",
            "Google Shopping / Custom Label 0": "margin",
            "Material (product.metafields.custom.material)": "linen",
            "Rating (product.metafields.reviews.rating)": "4.9",
        },
    ),
    variant("linen-tee", "Red", "M", sku="TEE-R-M", image="tee-red.png"),
    variant("linen-tee", "Blue", "M", image="tee-blue.png")
    | {"Image Src": "tee-blue.png", "Image Position": "3"},
    image("linen-tee", "tee-label.png", 2),
    variant("linen-tee", "Red", "M", sku="TEE-R-M", image="tee-red.png"),
]
MUG = [
    first("mug", "Mug", **{"Option1 Name": "Title", "Option1 Value": "Default Title", "Image Src": "mug.png"})
]
PICTURES = ("tee-red.png", "tee-blue.png", "tee-label.png", "mug.png")


class TestPromises(DialectPromises):
    dialect = "shopify"
    file = "products_export_1.csv"
    content = export(*TEE, *MUG)
    photographs = PICTURES


def read_with_pictures(folder: Path, content: str, *names: str) -> CatalogReading:
    write(folder, **{f"images/{name.replace('.', '__')}": picture() for name in names or PICTURES})
    return read(folder, content, "products.csv")


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def paths(product: Product) -> list[str]:
    return [each.reference for each in product.photographs]


# --- recognising it


@pytest.mark.parametrize(
    "header",
    [
        ",".join(COLUMNS),
        OF_2016,
        TEMPLATE_OF_2024,
        "Variant Price,title,HANDLE",
        "ID,Handle,Command,Title,Body HTML,Variant ID",
    ],
)
def test_exports_of_every_age_are_recognised(header: str) -> None:
    assert recognise(header.strip().split(",")).NAME == "shopify"


@pytest.mark.parametrize(
    "header", ["sku,name,handle", "id,title,price,link,variant", "handle,sku,name,title"]
)
def test_a_handle_and_a_title_alone_are_not_shopifys(header: str) -> None:
    assert not shopify.recognises(header.split(","))


# --- products and variants


def test_rows_of_a_handle_are_variants_of_one_product(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(*TEE, *MUG))
    assert list(by_sku(reading)) == ["TEE-R-S", "linen-tee:Blue:M", "mug"]
    tee = by_sku(reading)["TEE-R-S"]
    assert (tee.group, tee.brand, tee.price) == ("linen-tee", "Acme", "1299.00")
    assert tee.texts["und"].name == "Linen Tee"
    assert tee.texts["und"].description == "Cool & light. Linen"
    assert tee.categories == ("Tops", "Shirts", "Clothing", "Apparel & Accessories", "summer", "linen")
    assert tee.attributes == {
        "colour": "Red",
        "size": "S, M",
        "gender": "unisex",
        "age group": "adult",
        "material": "linen",
        "gtin": "4006381333931",
        "status": "active",
        "variants": "TEE-R-S|TEE-R-M",
    }
    blue = by_sku(reading)["linen-tee:Blue:M"]
    assert (blue.attributes["colour"], blue.attributes["material"], blue.price) == ("Blue", "linen", "9.90")
    assert "gtin" not in blue.attributes
    (feed,) = reading.feeds
    assert (feed.rows, feed.products, feed.variants, feed.details, feed.skipped) == (6, 3, 1, 1, 1)
    assert codes(reading) == {"sku_from_handle": 2, "markup_removed": 3, "repeated_row": 1}


def test_the_template_of_2024_says_the_same_under_other_names(tmp_path: Path) -> None:
    content = (
        TEMPLATE_OF_2024
        + "Tee,tee,<b>Soft</b>,Acme,Clothing > Shirts,Tops,summer,TRUE,Active,T-S,4006381333931,"
        "Size,S,19.90,25,tee.png,1,,,M-1\n"
        ",tee,,,,,,,,,,,M,21.90,,,,,,\n"
    )
    tee = only(read_with_pictures(tmp_path, content, "tee.png"))
    assert (tee.sku, tee.group, tee.brand, tee.price) == ("T-S", "tee", "Acme", "19.90")
    assert tee.texts["und"].description == "Soft"
    assert tee.categories == ("Tops", "Shirts", "Clothing", "summer")
    assert paths(tee) == ["tee.png"]
    assert tee.attributes == {
        "size": "S, M", "mpn": "M-1", "gtin": "4006381333931", "status": "active", "variants": "T-S|tee:M"
    }  # fmt: skip


def test_a_variant_without_a_sku_gets_its_handle_and_options(tmp_path: Path) -> None:
    rows = [first("tee", "Tee", **{"Option1 Value": "Röt &amp; <b>blue</b>"}), variant("tee", "S/M", "a\nb")]
    reading = read(tmp_path, export(*rows))
    assert [product.attributes["variants"] for product in reading.products] == ["tee:Röt & blue|tee:S/M:a b"]
    assert [each.message for each in reading.findings if (each.row, each.code) == (3, "sku_from_handle")] == [
        "it has no SKU; 'tee:S/M:a b' stands for it"
    ]


def test_an_option_that_is_none_is_no_attribute_and_no_part_of_the_name(tmp_path: Path) -> None:
    mug = only(read(tmp_path, export(*MUG)))
    assert (mug.sku, mug.attributes) == ("mug", {})


def test_a_made_up_sku_is_never_anothers(tmp_path: Path) -> None:
    rows = [
        first("tee", "Tee", **{"Option1 Value": "long"}),
        first("tee-long", "Long tee", **{"Option1 Value": "Default Title"}),
    ]
    assert list(by_sku(read(tmp_path, export(*rows)))) == ["tee:long", "tee-long"]


def test_a_handle_too_long_for_a_sku_ends_in_a_hash_that_stays(tmp_path: Path) -> None:
    long = "a-very-long-handle-" * 8
    rows = [first(long + end, "Tee", **{"Option1 Value": "Default Title"}) for end in ("1", "2")]
    one, two = read(tmp_path, export(*rows)).products
    assert (len(one.sku), one.sku[:83]) == (100, long[:83])
    assert one.sku != two.sku
    assert [one.sku, two.sku] == [product.sku for product in read(tmp_path, export(*rows)).products]


def test_rows_of_a_handle_need_not_be_neighbours(tmp_path: Path) -> None:
    red, red_m, blue, label, again = TEE
    apart = [label, blue, *MUG, again, red, red_m]
    found = by_sku(read_with_pictures(tmp_path / "apart", export(*apart)))
    together = by_sku(read_with_pictures(tmp_path / "together", export(*TEE, *MUG)))
    assert found.keys() == {"linen-tee:Blue:M", "mug", "TEE-R-M"}
    assert found["linen-tee:Blue:M"].content_sha256 == together["linen-tee:Blue:M"].content_sha256
    assert paths(found["TEE-R-M"]) == paths(together["TEE-R-S"])


def test_handles_that_differ_in_case_alone_are_one(tmp_path: Path) -> None:
    tee = only(read(tmp_path, export(first("tee", "Tee", **{"Option1 Value": "S"}), variant("TEE", "M"))))
    assert tee.attributes["variants"] == "tee:S|tee:M"


def test_two_titles_for_a_handle_are_a_warning_and_the_first_counts(tmp_path: Path) -> None:
    rows = [first("tee", "Tee", **{"Variant SKU": "A"}), first("tee", "Cup", **{"Variant SKU": "B"})]
    reading = read(tmp_path, export(*rows))
    assert only(reading).texts["und"].name == "Tee"
    assert (finding(reading, "other_title").sku, finding(reading, "other_title").level) == ("B", "warning")


def test_a_title_on_every_row_is_fine(tmp_path: Path) -> None:
    rows = [first("tee", "Tee", **{"Option1 Value": value}) for value in ("S", "M")]
    reading = read(tmp_path, export(*rows))
    assert only(reading).attributes["variants"] == "tee:S|tee:M"
    assert codes(reading) == {"sku_from_handle": 2}


def test_an_image_row_that_repeats_the_title_is_no_variant(tmp_path: Path) -> None:
    rows = [first("tee", "Tee", **{"Option1 Value": "S"}), image("tee", "x.png", 1) | {"Title": "TEE"}]
    reading = read(tmp_path, export(*rows))
    assert only(reading).sku == "tee:S"
    assert reading.feeds[0].details == 1


def test_rows_that_belong_to_no_product_are_refused(tmp_path: Path) -> None:
    rows = [image("ghost", "x.png", 1), {"Image Src": "y.png"}, variant("", "S", sku="LOST"), *MUG]
    reading = read(tmp_path, export(*rows))
    assert only(reading).sku == "mug"
    assert {(each.row, each.code, each.sku) for each in reading.findings if each.level == "refused"} == {
        (2, "orphan_row", "ghost"),
        (3, "missing_handle", None),
        (4, "missing_handle", "LOST"),
    }
    assert reading.feeds[0].is_balanced


def test_a_product_without_a_handle_has_its_sku_alone(tmp_path: Path) -> None:
    rows = [
        {"Title": "Cup", "Variant SKU": "C"},
        {"Title": "Cup", "Variant SKU": "D"},
        {"Title": "Bowl"},
    ]
    reading = read(tmp_path, export(*rows))
    assert list(by_sku(reading)) == ["C", "D"]
    assert by_sku(reading)["C"].group is None
    assert codes(reading) == {"missing_sku": 1}


def test_a_handle_without_any_title_is_refused(tmp_path: Path) -> None:
    reading = read(tmp_path, export(variant("tee", "S"), image("tee", "x.png", 1)))
    assert reading.products == []
    assert codes(reading) == {"missing_name": 1}
    assert reading.feeds[0].details == 1


# --- photographs


def test_photographs_stand_in_the_order_of_their_positions(tmp_path: Path) -> None:
    positions = {"d.png": "", "c.png": "10", "a.png": "1", "b.png": "2.0"}
    rows = [
        first("mug", "Mug"),
        *(image("mug", path, 0) | {"Image Position": at} for path, at in positions.items()),
    ]
    mug = only(read_with_pictures(tmp_path, export(*rows), *positions))
    assert paths(mug) == ["a.png", "b.png", "c.png", "d.png"]
    assert [each.role for each in mug.photographs] == ["base", "detail", "detail", "detail"]


def test_a_variants_own_image_is_its_main_photograph_and_no_other_variants(tmp_path: Path) -> None:
    found = by_sku(read_with_pictures(tmp_path, export(*TEE)))
    assert paths(found["TEE-R-S"]) == ["tee-red.png", "tee-label.png"]
    assert paths(found["linen-tee:Blue:M"]) == ["tee-blue.png", "tee-label.png"]
    assert found["linen-tee:Blue:M"].photographs[0].role == "base"


def test_a_variant_without_an_image_of_its_own_has_those_of_no_other_variant(tmp_path: Path) -> None:
    found = by_sku(read_with_pictures(tmp_path, export(*TEE, variant("linen-tee", "Green", "S", sku="G"))))
    assert paths(found["G"]) == ["tee-label.png"]


def test_where_every_image_is_a_variants_own_the_others_have_all(tmp_path: Path) -> None:
    rows = [
        first(
            "tee", "Tee", **{"Variant SKU": "R", "Image Src": "tee-red.png", "Variant Image": "tee-red.png"}
        ),
        variant("tee", "Blue", sku="B", image="tee-blue.png") | {"Image Src": "tee-blue.png"},
        variant("tee", "Green", sku="G"),
    ]
    found = by_sku(read_with_pictures(tmp_path, export(*rows)))
    assert [paths(found[sku]) for sku in "RBG"] == [
        ["tee-red.png"],
        ["tee-blue.png"],
        ["tee-red.png", "tee-blue.png"],
    ]


def test_variants_without_images_of_their_own_are_one_product_with_all(tmp_path: Path) -> None:
    rows = [
        first("tee", "Tee", **{"Option1 Name": "Size", "Option1 Value": "S", "Image Src": "tee-red.png"}),
        variant("tee", "M") | {"Image Src": "tee-label.png", "Image Position": "1"},
        variant("tee", "L"),
    ]
    tee = only(read_with_pictures(tmp_path, export(*rows)))
    assert tee.attributes["size"] == "S, M, L"
    assert paths(tee) == ["tee-label.png", "tee-red.png"]


# --- attributes and state


def test_an_option_says_more_than_what_the_product_has_for_google(tmp_path: Path) -> None:
    columns = [
        *COLUMNS,
        "Google Shopping / Color",
        "Google Shopping / Size (product.metafields.mm-google-shopping.size)",
    ]
    rows = [
        first("tee", "Tee", **{
            "Option1 Name": "Colour", "Option1 Value": "Red", "Google Shopping / Color": "multi",
            "Option2 Name": "Gender", "Option2 Value": "female", "Google Shopping / Gender": "unisex",
            "Google Shopping / Size (product.metafields.mm-google-shopping.size)": "M",
        })
    ]  # fmt: skip
    tee = only(read(tmp_path, export(*rows, columns=columns)))
    assert tee.attributes == {"colour": "Red", "gender": "female", "size": "M"}


def test_googles_category_stands_in_unless_it_is_a_number(tmp_path: Path) -> None:
    key = "Google Shopping / Google Product Category"
    rows = [
        first("a", "A", **{"Variant SKU": "A", key: "Home > Kitchen"}),
        first("b", "B", **{"Variant SKU": "B", key: "1604"}),
        first("c", "C", **{"Variant SKU": "C", key: "Home", "Product Category": "Mugs"}),
    ]
    found = by_sku(read(tmp_path, export(*rows)))
    assert {sku: product.categories for sku, product in found.items()} == {
        "A": ("Kitchen", "Home"), "B": (), "C": ("Mugs",)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "published", "expected"),
    [
        ("active", "TRUE", "active"),
        ("Draft", "TRUE", "draft"),
        ("archived", "FALSE", "archived"),
        ("active", "FALSE", "unpublished"),
        ("", "false", "unpublished"),
        ("", "true", "active"),
    ],
)
def test_what_the_shop_does_not_show_is_a_product_with_a_note(
    tmp_path: Path, status: str, published: str, expected: str
) -> None:
    rows = [
        first("tee", "Tee", **{"Option1 Value": "S", "Status": status, "Published": published}),
        variant("tee", "M"),
    ]
    reading = read(tmp_path, export(*rows))
    assert only(reading).attributes["status"] == expected
    assert codes(reading)["not_on_sale"] == (expected != "active")


def test_a_file_that_does_not_tell_the_state_has_none(tmp_path: Path) -> None:
    assert "status" not in only(read(tmp_path, export(*MUG))).attributes


# --- dirt


@pytest.mark.parametrize("cell", ["a" + " " * 1_000_000 + "b", ">" * 500_000, "," * 500_000])
def test_hostile_lists_do_not_make_reading_slow(cell: str) -> None:
    row = first(
        "a", "A", **{"Product Category": cell, "Tags": cell, "Option1 Value": cell, "Variant SKU": "A"}
    )
    sheet = read_sheet(export(row).encode())
    start = time.process_time()
    readable = (row for row in sheet.rows if isinstance(row, Row))
    assert len(list(shopify.drafts(sheet.columns, readable))) == 1
    assert time.process_time() - start < 5


def test_a_sku_that_two_variants_have_is_one_products(tmp_path: Path) -> None:
    rows = [first("tee", "Tee", **{"Option1 Value": "S", "Variant SKU": "T"}), variant("tee", "M", sku="T")]
    reading = read(tmp_path, export(*rows))
    assert only(reading).sku == "T"
    assert codes(reading) == {"duplicate_sku": 1}


def test_what_was_repaired_in_a_row_is_said(tmp_path: Path) -> None:
    reading = read(tmp_path, "Handle,Title,Variant SKU,Vendor\nmug,Mug,M\n")
    assert codes(reading) == {"too_few_cells": 1}


def test_records_of_json_with_these_columns_are_read_alike(tmp_path: Path) -> None:
    records = [
        {"Handle": "mug", "Title": "Mug", "Variant Price": 9.5, "Image Src": "a.png", "Image Position": 1.0}
    ]
    mug = only(read(tmp_path, json.dumps(records), "feed.json"))
    assert (mug.sku, mug.price) == ("mug", "9.5")


def test_a_file_with_one_handle_for_all_is_read_as_fast_as_any() -> None:
    rows = [
        variant("x", f"v{number}", image=f"own-{number}.png") | {"Image Src": f"{number}.png"}
        for number in range(5_000)
    ]
    sheet = read_sheet(export(first("x", "X"), *rows).encode())
    start = time.process_time()
    readable = (row for row in sheet.rows if isinstance(row, Row))
    drafts = [each for each in shopify.drafts(sheet.columns, readable) if isinstance(each, Draft)]
    assert len(drafts) == 5_001
    assert max(len(draft.photographs) for draft in drafts) == 251
    assert time.process_time() - start < 5
