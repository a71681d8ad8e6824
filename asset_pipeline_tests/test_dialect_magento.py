import csv
import io
import time
from pathlib import Path

import pytest

from asset_pipeline.catalog.dialects import magento
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import CatalogReading, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read, write

COLUMNS = [
    "sku", "store_view_code", "attribute_set_code", "product_type", "categories", "product_websites", "name",
    "description", "short_description", "weight", "product_online", "tax_class_name", "visibility", "price",
    "special_price", "url_key", "base_image", "base_image_label", "small_image", "thumbnail_image",
    "swatch_image", "created_at", "additional_attributes", "qty", "is_in_stock", "website_id", "related_skus",
    "additional_images", "hide_from_product_page", "bundle_values", "configurable_variations",
    "configurable_variation_labels", "associated_skus",
]  # fmt: skip


def export(*rows: dict[str, str], columns: list[str] = COLUMNS) -> str:
    """A file as Magento writes it, with all columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def simple(sku: str, name: str, **more: str) -> dict[str, str]:
    """A row of a simple product that is on sale."""
    return {
        "sku": sku,
        "product_type": "simple",
        "name": name,
        "product_online": "1",
        "price": "52.00",
        **more,
    }


def view(sku: str, code: str, **words: str) -> dict[str, str]:
    """A row for a store view, which says only what differs there."""
    return {"sku": sku, "store_view_code": code, **words}


BLACK = simple(
    "H-S-Black", "Hoodie-S-Black", base_image="/h/o/black_main.jpg", small_image="/h/o/black_main.jpg",
    additional_attributes="has_options=0,required_options=0,size=S,color=Black",
)  # fmt: skip
BLACK_M = simple(
    "H-M-Black", "Hoodie-M-Black", base_image="/h/o/black_main.jpg", price="1.299,00",
    additional_attributes="has_options=0,required_options=0,size=M,color=Black",
)  # fmt: skip
GRAY = simple("H-S-Gray", "Hoodie-S-Gray", special_price="40", additional_attributes="has_options=0")
HOODIE = {
    "sku": "H",
    "product_type": "configurable",
    "name": "Hoodie",
    "description": "<p>Warm &amp; soft.</p>\n<ul><li>Drawstring</li></ul>",
    "short_description": "Warm",
    "categories": "Default Category/Men/Tops/Hoodies & Sweatshirts,Default Category/Eco,Default Category",
    "product_online": "1",
    "price": "52",
    "base_image": "/h/o/gray_main.jpg",
    "additional_attributes": (
        "has_options=1,material=Wool,climate=Cool|Windy,manufacturer=Acme,care=Cold, by hand"
    ),
    "additional_images": "/h/o/gray_back.jpg,\n/h/o/gray_alt.jpg,/h/o/hidden.jpg",
    "hide_from_product_page": "/h/o/hidden.jpg",
    "configurable_variations": (
        "sku=H-S-Black,size=S,color=Black|sku=h-m-black,size=M,color=Black|sku=H-S-Gray,size=S,color=Gray"
    ),
}
BAG = simple("BAG", "Bag", description="A bag", categories="Default Category/Gear", base_image="bag.png")
BUNDLE = simple("SET", "Set", product_type="bundle", price="9.50")
PICTURES = ("black_main.jpg", "gray_main.jpg", "gray_back.jpg", "gray_alt.jpg", "bag.png")


class TestPromises(DialectPromises):
    dialect = "magento"
    file = "export_catalog_product_20261121.csv"
    content = export(
        BLACK, BLACK_M, GRAY, HOODIE, view("H-S-Black", "de", name="Kapuzenjacke"), BLACK, BAG, BUNDLE
    )
    photographs = PICTURES


def read_with_pictures(folder: Path, content: str) -> CatalogReading:
    write(folder, **{f"images/{name.replace('.', '__')}": picture() for name in PICTURES})
    return read(folder, content)


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def paths(product: Product) -> list[str]:
    return [each.reference for each in product.photographs]


def names(product: Product) -> dict[str, str]:
    return {locale: text.name for locale, text in product.texts.items()}


# --- recognising it


@pytest.mark.parametrize(
    "header",
    [
        COLUMNS,
        ["SKU", "Product_Type", "name", "attribute_set_code"],
        ["sku", "store_view_code", "product_online"],
    ],
)
def test_exports_with_many_columns_and_with_few_are_recognised(header: list[str]) -> None:
    assert recognise(header).NAME == "magento"


@pytest.mark.parametrize(
    "header", ["sku,name,product_type,categories", "sku,name,price,special_price,visibility"]
)
def test_a_few_names_that_others_have_too_do_not_make_it_magentos(header: str) -> None:
    assert not magento.recognises(header.split(","))
    assert recognise(header.split(",")).NAME == "own"


# --- configurables and their variations


def test_a_configurable_gives_its_variations_what_they_do_not_say(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(BLACK, BLACK_M, GRAY, HOODIE))
    assert list(by_sku(reading)) == ["H-S-Black", "H-S-Gray"]
    black, gray = reading.products
    for each in (black, gray):
        assert (each.group, each.brand) == ("H", "Acme")
        assert (each.texts["und"].name, each.texts["und"].description) == (
            "Hoodie",
            "Warm & soft. Drawstring",
        )
        assert each.categories == ("Hoodies & Sweatshirts", "Tops", "Men", "Eco")
    assert black.attributes == {
        "material": "Wool", "climate": "Cool, Windy", "care": "Cold, by hand", "size": "S, M",
        "colour": "Black", "status": "active", "variants": "H-S-Black|H-M-Black",
    }  # fmt: skip
    assert gray.attributes == {
        "material": "Wool", "climate": "Cool, Windy", "care": "Cold, by hand", "size": "S", "colour": "Gray",
        "sale price": "40", "status": "active",
    }  # fmt: skip
    assert paths(black) == ["h/o/black_main.jpg"]
    assert paths(gray) == ["h/o/gray_main.jpg", "h/o/gray_back.jpg", "h/o/gray_alt.jpg"]
    assert [each.role for each in gray.photographs] == ["base", "detail", "detail"]
    (feed,) = reading.feeds
    assert (feed.rows, feed.products, feed.variants, feed.details) == (4, 2, 1, 1)
    assert codes(reading) == {"markup_removed": 3, "photograph_renamed": 4}


def test_a_configurable_may_stand_anywhere(tmp_path: Path) -> None:
    behind = read(tmp_path / "behind", export(BLACK, GRAY, HOODIE)).products
    before = read(tmp_path / "before", export(HOODIE, BLACK, GRAY)).products
    assert [each.content_sha256 for each in before] == [each.content_sha256 for each in behind]


def test_a_configurable_without_variations_in_the_file_is_a_product(tmp_path: Path) -> None:
    hoodie = only(read_with_pictures(tmp_path, export(HOODIE)))
    assert (hoodie.sku, hoodie.group, hoodie.price) == ("H", None, "52")
    assert len(hoodie.photographs) == 3


@pytest.mark.parametrize(
    ("name", "shown"), [("Hoodie-S-Black", "Hoodie"), ("", "Hoodie"), ("Black", "Black")]
)
def test_a_variation_has_its_configurables_name_unless_it_has_one_of_its_own(
    tmp_path: Path, name: str, shown: str
) -> None:
    assert names(only(read(tmp_path, export(BLACK | {"name": name}, HOODIE)))) == {"und": shown}


def test_a_variations_own_words_attributes_and_categories_count_first(tmp_path: Path) -> None:
    own = {
        "description": "Black",
        "categories": "Default Category/New",
        "additional_attributes": "size=XS,brand=Zaro",
    }
    black = only(read(tmp_path, export(BLACK | own, HOODIE)))
    assert (black.texts["und"].description, black.categories, black.brand) == ("Black", ("New",), "Zaro")
    assert (black.attributes["size"], black.attributes["colour"]) == ("XS", "Black")


def test_configurables_that_name_each_other_or_themselves_are_products(tmp_path: Path) -> None:
    one = HOODIE | {"sku": "A", "configurable_variations": "sku=B,size=S|sku=A,size=M|sku=,size=L|nonsense"}
    two = HOODIE | {"sku": "B", "configurable_variations": "sku=A,size=S"}
    reading = read(tmp_path, export(one, two))
    assert list(by_sku(reading)) == ["A", "B"]


def test_the_first_configurable_of_two_has_the_variation(tmp_path: Path) -> None:
    other = HOODIE | {"sku": "H2", "name": "Other", "configurable_variations": "sku=H-S-Black,size=S"}
    reading = read(tmp_path, export(BLACK, HOODIE, other))
    assert [(each.sku, each.group) for each in reading.products] == [("H-S-Black", "H"), ("H2", None)]


def test_a_second_row_for_a_configurable_is_never_lost_in_silence(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(BLACK, HOODIE, HOODIE, HOODIE | {"name": "Other"}))
    assert names(only(reading)) == {"und": "Hoodie"}
    assert codes(reading) == {
        "markup_removed": 1, "photograph_renamed": 1, "repeated_row": 1, "duplicate_sku": 1
    }  # fmt: skip
    assert finding(reading, "duplicate_sku").row == 5


# --- store views


@pytest.mark.parametrize(
    ("code", "locale"),
    [
        ("de", "de"), ("DE", "de"), ("de_at", "de-AT"), ("fr-ca", "fr-CA"), ("ch_de", "de-CH"),
        ("us_en", "en-US"), ("de_en", "en-DE"), ("de_de", "de-DE"), ("pt_br", "pt-BR"),
    ],
)  # fmt: skip
def test_a_row_for_a_store_view_adds_words_in_its_language(tmp_path: Path, code: str, locale: str) -> None:
    rows = [view("BAG", code, name="Tasche", description="Eine Tasche"), BAG]
    bag = only(read_with_pictures(tmp_path, export(*rows)))
    assert names(bag) == {"und": "Bag", locale: "Tasche"}
    assert bag.texts[locale].description == "Eine Tasche"
    assert bag.categories == ("Gear",)


@pytest.mark.parametrize("code", ["uk", "ca", "us", "default", "store_de", "xx_yy", "de_at_b2b"])
def test_words_of_a_store_view_that_is_no_language_are_left_out_with_a_note(
    tmp_path: Path, code: str
) -> None:
    reading = read_with_pictures(tmp_path, export(BAG, view("BAG", code, name="Sac")))
    assert names(only(reading)) == {"und": "Bag"}
    assert (finding(reading, "unknown_language").level, finding(reading, "unknown_language").sku) == (
        "note",
        "BAG",
    )
    assert reading.feeds[0].skipped == 1


def test_a_store_view_that_has_no_words_is_a_detail(tmp_path: Path) -> None:
    reading = read_with_pictures(
        tmp_path, export(BAG, view("BAG", "us", price="9"), view("BAG", "de", price="8"))
    )
    assert only(reading).price == "52.00"
    assert reading.feeds[0].details == 2
    assert codes(reading) == {}


def test_where_two_store_views_have_a_language_the_first_counts(tmp_path: Path) -> None:
    rows = [BAG, view("bag", "de", name="Tasche"), view("BAG", "de", name="Beutel", description="Ein Beutel")]
    bag = only(read(tmp_path, export(*rows)))
    assert (names(bag)["de"], bag.texts["de"].description) == ("Tasche", "Ein Beutel")


@pytest.mark.parametrize(("code", "locale"), [("de", "de"), ("default", "und")])
def test_a_row_for_a_store_view_is_the_product_where_there_is_no_other(
    tmp_path: Path, code: str, locale: str
) -> None:
    bag = only(read(tmp_path, export(BAG | {"store_view_code": code}, view("BAG", "fr", name="Sac"))))
    assert names(bag) == {locale: "Bag", "fr": "Sac"}
    assert bag.row == 2


def test_words_for_a_store_view_reach_the_variations(tmp_path: Path) -> None:
    rows = [
        BLACK, GRAY, HOODIE, view("H", "de", name="Jacke", description="Warm."),
        view("H-S-Black", "de", name="Jacke-S"), view("H-S-Gray", "de", name="Graue Jacke"),
    ]  # fmt: skip
    black, gray = read(tmp_path, export(*rows)).products
    assert names(black) == {"und": "Hoodie", "de": "Jacke"}
    assert names(gray) == {"und": "Hoodie", "de": "Graue Jacke"}
    assert (black.texts["de"].description, gray.texts["de"].description) == ("Warm.", "Warm.")


# --- cells


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Default Category/Men/Tops,Default Category/Sale", ("Tops", "Men", "Sale")),
        ("Default Category/Men|Default Category/Sale|Default Category", ("Men", "Sale")),
        (
            "Default Category/Bed, bath & more/Towels, Default Category/Sale",
            ("Towels", "Bed, bath & more", "Sale"),
        ),
        ("Default Category/Men,\n Default Category/Sale", ("Men", "Sale")),
        ("default category/A\\/B testing", ("A/B testing",)),
        ("Shop/Men,Outlet/Women", ("Men", "Shop", "Women", "Outlet")),
        ("Men, Women", ("Men", "Women")),
        ("Default Category", ()),
    ],
)
def test_categories_are_paths_without_the_root(tmp_path: Path, cell: str, expected: tuple[str, ...]) -> None:
    assert only(read(tmp_path, export(BAG | {"categories": cell}))).categories == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("color=Black,size=XS", {"colour": "Black", "size": "XS"}),
        ("care=Wash cold, dry flat, 3 times,size=XS", {"care": "Wash cold, dry flat, 3 times", "size": "XS"}),
        ('climate=Cool|Windy,\nsize=12"', {"climate": "Cool, Windy", "size": '12"'}),
        ('color="Black ""soft""",care="Cold"|"Dry, flat"',
         {"colour": 'Black "soft"', "care": "Cold, Dry, flat"}),
        ('color=Black,"fits=Pad|Book, 15 inches"', {"colour": "Black", "fits": "Pad, Book, 15 inches"}),
        ("formula=a=b,Size=M", {"formula": "a=b", "size": "M"}),
        ("no pair at all,=x,empty=,has_options=1,required_options=0", {}),
    ],
)  # fmt: skip
def test_attributes_are_split_only_before_a_name(tmp_path: Path, cell: str, expected: dict[str, str]) -> None:
    bag = only(read(tmp_path, export(BAG | {"additional_attributes": cell, "product_online": ""})))
    assert bag.attributes == expected


def test_attributes_in_columns_of_their_own_are_attributes_too(tmp_path: Path) -> None:
    row = BAG | {
        "color": "Black",
        "ean": "4006381333931",
        "manufacturer": "Acme",
        "additional_attributes": "color=Red",
    }
    bag = only(read(tmp_path, export(row, columns=[*COLUMNS, "color", "ean", "manufacturer"])))
    assert (bag.brand, bag.attributes) == (
        "Acme",
        {"colour": "Red", "ean": "4006381333931", "status": "active"},
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"base_image": "/g/a/gray_main.jpg"}, ["g/a/gray_main.jpg"]),
        ({"base_image": "no_selection", "small_image": "bag.png"}, ["bag.png"]),
        ({"base_image": "", "thumbnail_image": "bag.png"}, ["bag.png"]),
        ({"base_image": "no_selection", "additional_images": "no_selection,bag.png"}, ["bag.png"]),
        ({"additional_images": "bag.png|gray_back.jpg\r\n gray_alt.jpg"},
         ["bag.png", "gray_back.jpg", "gray_alt.jpg"]),
    ],
)  # fmt: skip
def test_photographs_are_the_base_image_and_the_additional_ones(
    tmp_path: Path, cells: dict[str, str], expected: list[str]
) -> None:
    reading = read_with_pictures(tmp_path, export(BAG | cells))
    assert paths(only(reading)) == expected
    assert codes(reading)["photograph_not_found"] == 0


def test_a_photograph_lies_in_magentos_folders_or_without_them(tmp_path: Path) -> None:
    write(tmp_path, **{"images/h/o/black_main__jpg": picture("blue"), "images/black_main__jpg": picture()})
    black = only(read(tmp_path, export(BLACK)))
    (tmp_path / "images" / "h" / "o" / "black_main.jpg").unlink()
    assert only(read(tmp_path, export(BLACK))).photographs[0].sha256 != black.photographs[0].sha256


@pytest.mark.parametrize("path", ["https://shop.example/m/bag.png", "//shop.example/m/bag.png"])
def test_a_photograph_at_a_url_is_never_a_file_of_the_same_name(tmp_path: Path, path: str) -> None:
    assert only(read_with_pictures(tmp_path, export(BAG | {"base_image": path}))).photographs == ()


def test_the_price_counts_and_the_special_price_is_an_attribute(tmp_path: Path) -> None:
    bag = only(read(tmp_path, export(BAG | {"special_price": "40.00"})))
    assert (bag.price, bag.attributes["sale price"]) == ("52.00", "40.00")


def test_the_short_description_stands_in_for_the_long_one(tmp_path: Path) -> None:
    bag = only(read(tmp_path, export(BAG | {"description": "", "short_description": "Short"})))
    assert bag.texts["und"].description == "Short"


@pytest.mark.parametrize(
    ("online", "status"), [("1", "active"), ("Yes", "active"), ("2", "disabled"), ("0", "disabled")]
)
def test_what_the_shop_does_not_show_is_a_product_with_a_note(
    tmp_path: Path, online: str, status: str
) -> None:
    reading = read(tmp_path, export(BAG | {"product_online": online}))
    assert only(reading).attributes["status"] == status
    assert codes(reading)["not_on_sale"] == (status == "disabled")


def test_variations_of_a_disabled_configurable_are_disabled_and_one_note_says_so(tmp_path: Path) -> None:
    reading = read_with_pictures(tmp_path, export(BLACK, GRAY, HOODIE | {"product_online": "2"}))
    assert [each.attributes["status"] for each in reading.products] == ["disabled", "disabled"]
    assert codes(reading)["not_on_sale"] == 1


# --- dirt


def test_rows_without_a_sku_are_refused_whatever_they_are(tmp_path: Path) -> None:
    rows = [HOODIE | {"sku": ""}, BLACK, view("", "de", name="Tasche"), simple("", "Bag"), simple("", "Bag")]
    reading = read(tmp_path, export(*rows))
    assert only(reading).group is None
    assert codes(reading)["missing_sku"] == 4
    assert reading.feeds[0].is_balanced


def test_a_sku_that_two_products_have_is_the_firsts(tmp_path: Path) -> None:
    reading = read_with_pictures(
        tmp_path, export(BAG, BAG, BAG | {"name": "Other"}, view("BAG", "de", name="Tasche"))
    )
    assert names(only(reading)) == {"und": "Bag", "de": "Tasche"}
    assert codes(reading) == {"repeated_row": 1, "duplicate_sku": 1}


def test_what_was_repaired_in_a_row_is_said(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,product_type,product_online,name,price\nM,simple,1,Mug\n")
    assert codes(reading) == {"too_few_cells": 1}


@pytest.mark.parametrize(
    "cell",
    [
        ", a" * 200_000 + "/x",
        "Default Category/x" + " ," * 200_000,
        "/".join("a" * 200_000),
        "," * 400_000,
        "a=" * 200_000,
        "a" * 5_000_000 + "/x",
    ],
)
def test_hostile_lists_do_not_make_reading_slow(cell: str) -> None:
    columns = ("categories", "additional_attributes", "configurable_variations", "additional_images")
    sheet = read_sheet(export(BAG | dict.fromkeys(columns, cell)).encode())
    start = time.process_time()
    rows = (row for row in sheet.rows if isinstance(row, Row))
    assert len(list(magento.drafts(sheet.columns, rows))) == 1
    assert time.process_time() - start < 5
