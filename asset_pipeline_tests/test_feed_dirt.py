"""Accidents of real feeds, from the file's bytes to the product, that no other test of the catalog has."""

import io
from pathlib import Path

import pytest
from PIL import Image

from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests.test_catalog import codes, finding, only, photographed, picture, read, write

GREETING = "Größe „M“ – 5 €"


def test_what_excel_saves_as_unicode_text_is_a_feed(tmp_path: Path) -> None:
    text = f"sku\tname\tprice\r\nM1\t{GREETING}\t1.299,00\r\nM2\tكوب 🎁\t12,50\r\n"
    reading = read(tmp_path, text.encode("utf-16"), "Mappe1.txt")
    assert [(each.texts["und"].name, each.price) for each in reading.products] == [
        (GREETING, "1299.00"),
        ("كوب 🎁", "12.50"),
    ]
    assert codes(reading) == {}


def test_what_a_german_excel_saves_as_csv_is_a_feed(tmp_path: Path) -> None:
    text = f'sep=;\r\nsku;name;price;ean\r\nM1;"{GREETING}; blau";1.299;4,01234E+12\r\nM2;Tasse;9,90;\r\n'
    reading = read(tmp_path, text.encode("cp1252"))
    mug = reading.products[0]
    assert (mug.texts["und"].name, mug.price) == (f"{GREETING}; blau", "1299")
    assert codes(reading) == {"not_utf8": 1, "gtin_lost_digits": 1}


def test_a_mark_of_utf8_before_a_quoted_header_is_no_part_of_it(tmp_path: Path) -> None:
    assert only(read(tmp_path, '\ufeff"sku","name"\r\n"M1","Mug"\r\n')).sku == "M1"


def test_spaces_that_do_not_break_are_blanks_like_others(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku\u00a0;\u00a0name\nM1\u00a0;\u00a0Red\u00a0mug\n")
    assert (only(reading).sku, only(reading).texts["und"].name) == ("M1", "Red mug")


def test_line_breaks_in_a_cell_and_a_paragraph_that_is_not_closed_are_one_line(tmp_path: Path) -> None:
    text = 'sku,name,description\nM1,"Red\nmug","<p>Soft\r\n<p>and <li>warm"\nM2,Cup,\n'
    reading = read(tmp_path, text)
    words = reading.products[0].texts["und"]
    assert (words.name, words.description) == ("Red mug", "Soft and warm")
    assert [product.sku for product in reading.products] == ["M1", "M2"]


def test_what_was_escaped_three_times_says_what_was_meant(tmp_path: Path) -> None:
    text = "sku,name,description\nM1,Salt &amp;amp; pepper,&amp;lt;b&amp;gt;Fine&amp;lt;/b&amp;gt; set\n"
    words = only(read(tmp_path, text)).texts["und"]
    assert (words.name, words.description) == ("Salt & pepper", "Fine set")


def test_scripts_and_comments_never_reach_a_product(tmp_path: Path) -> None:
    text = (
        "sku,name,description,categories,brand,colour\n"
        'M1,Mug<script>alert(1)</script>,"a<!-- stock: 7 -->b",Home<style>p{}</style>,<i>Acme</i>,red<!-- x\n'
    )
    product = only(read(tmp_path, text))
    assert (product.texts["und"].name, product.texts["und"].description) == ("Mug", "ab")
    assert (product.categories, product.brand, product.attributes) == (("Home",), "Acme", {"colour": "red"})


@pytest.mark.parametrize(
    "name", ["red mug.png", "red, mug.png", "mug (1).png", "Größe.png", "كوب.png", "🎁.png"]
)
def test_a_photographs_name_may_have_blanks_commas_and_letters_of_all_scripts(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / name).write_bytes(picture())
    reading = photographed(tmp_path, name)
    assert [each.reference for each in only(reading).photographs] == [name]
    assert codes(reading) == {}


@pytest.mark.parametrize(
    "reference", ["mug.png", "./mug.png", "images/mug.png", "./images/mug.png", "images//mug.png"]
)
def test_a_relative_reference_is_relative_to_the_feed(tmp_path: Path, reference: str) -> None:
    write(tmp_path, **{"supplier/images/mug__png": picture(), "images/mug__png": picture("blue")})
    feed = f"sku,name,image\nM1,Mug,{reference}\n"
    product = only(read_catalog(write(tmp_path, **{"supplier/feed__csv": feed})))
    assert [photograph.sha256 for photograph in product.photographs] == [sha256_of(picture())]


def test_a_reference_relative_to_a_shops_root_is_not_looked_for_on_this_disk(tmp_path: Path) -> None:
    reading = photographed(tmp_path, "/media/catalog/mug.png", **{"media/catalog/mug__png": picture()})
    assert only(reading).photographs == ()
    assert finding(reading, "photograph_outside").sku == "M1"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "I;16", "1"])
def test_a_photograph_in_any_mode_is_a_photograph(tmp_path: Path, mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (9, 7)).save(file, "TIFF" if mode == "CMYK" else "PNG")
    reading = photographed(tmp_path, "mug.png", mug__png=file.getvalue())
    (photograph,) = only(reading).photographs
    assert (photograph.width, photograph.height) == (9, 7)
    assert codes(reading) == {}


def test_an_animated_photograph_is_one_photograph(tmp_path: Path) -> None:
    file = io.BytesIO()
    frames = [Image.new("P", (9, 7), colour) for colour in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    (photograph,) = only(photographed(tmp_path, "mug.gif", mug__gif=file.getvalue())).photographs
    assert (photograph.media_type, photograph.width, photograph.height) == ("image/gif", 9, 7)


def test_a_header_of_two_hundred_thousand_cells_is_read_like_any_other(tmp_path: Path) -> None:
    names = ",".join(f"c{number}" for number in range(200_000))  # looked up one by one this takes an hour
    reading = read(tmp_path, f"sku,name,{names},c7\nM1,Mug\n")
    assert only(reading).sku == "M1"
    assert codes(reading) == {"repeated_column": 1, "too_few_cells": 1}


def test_ten_megabytes_in_a_cell_beside_two_hundred_columns_are_read(tmp_path: Path) -> None:
    header = ",".join(["sku", "name", "description", *(f"c{number}" for number in range(200))])
    long = "soft and warm " * (10 * 2**20 // 14)
    reading = read(tmp_path, f'{header}\nM1,Mug,"{long}",{",".join(["x"] * 200)}\nM2,Cup\n')
    assert len(reading.products[0].texts["und"].description) == len(long.strip())
    assert len(reading.products[0].attributes) == 200
    assert reading.products[1].sku == "M2"


def test_a_cell_larger_than_sixteen_megabytes_costs_one_row(tmp_path: Path) -> None:
    reading = read(tmp_path, f"sku,name\nM1,{'x' * (17 << 20)}\nM2,Cup\n")
    assert only(reading).sku == "M2"
    assert reading.feeds[0].is_balanced
    assert reading.feeds[0].refused == 1


def test_hostile_skus_are_products_like_others_and_name_no_file(tmp_path: Path) -> None:
    skus = ["../../etc/passwd", "a/b", "a\\b", "..", "CON", "{{ 7*7 }}", "m1", "M1", "🎁"]
    reading = read(tmp_path, "sku,name\n" + "".join(f"{sku},Mug\n" for sku in skus))
    assert [product.sku for product in reading.products] == skus
    assert codes(reading) == {"sku_is_no_file_name": 4, "sku_differs_in_case": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["feed.csv"]
