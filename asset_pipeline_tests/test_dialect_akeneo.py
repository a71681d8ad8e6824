import json
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.catalog.reader import CatalogReading, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read, write


class TestAkeneo(DialectPromises):
    dialect = "akeneo"
    file = "products.csv"
    content = (
        "sku;categories;enabled;family;parent;groups;brand;color;description-de_DE-ecommerce;"
        "description-en_US-ecommerce;description-en_US-print;ean;erp_name-en_US;image;name;PACK-products;"
        "price-EUR;price-USD;size;variation_image;variation_name-de_DE;variation_name-en_US;weight;weight-unit\n"
        "1111111171;master_accessories_bags,print_accessories;1;accessories;;;;;;;;1234567890183;;"
        "files/1111111171/image/bag.jpg;Bag;;10,25;;;;;;500;GRAM\n"
        "jacket-blue-m;master_men_blazers;1;clothing;jacket;;zaro;blue;Warm\\nund weich;"
        '"<b>Warm</b>\\nand soft";Warm;;Jacket ERP;;;1111111171;99,00;129.00;m;files/jacket/blue.jpg;'
        "Blaue Jacke;Blue jacket;;\n"
        "jacket-blue-l;master_men_blazers;1;clothing;jacket;;zaro;blue;;;;;Jacket ERP;;;;99,00;129.00;l;"
        "files/jacket/blue.jpg;Blaue Jacke;Blue jacket;;\n"
        "mug;kitchen;0;mugs;;;acme;;;;;;;files/mug/image/mug.png;Mug;;;8.00;;;;;0.3;KILOGRAM\n"
    )


def read_akeneo(folder: Path, **columns: str) -> CatalogReading:
    """Read a feed of one product, M1, with these columns besides those that make it one of Akeneo's."""
    cells = {"sku": "M1", "family": "mugs", "categories": "kitchen", **columns}
    header, row = ";".join(cells), ";".join(f'"{cell}"' for cell in cells.values())
    return read(folder, f"{header}\n{row}\n")


@pytest.mark.parametrize(
    "columns",
    [
        ["sku", "family", "categories"],
        ["identifier", "family", "enabled"],
        ["code", "family_variant", "parent"],
    ],
)
def test_a_family_an_identifier_and_another_column_of_its_own_make_it_akeneos(columns: list[str]) -> None:
    assert recognise([*columns, "name"]).NAME == "akeneo"


@pytest.mark.parametrize(
    "columns", [["sku", "family"], ["sku", "categories"], ["id", "family", "categories"]]
)
def test_two_of_them_do_not(columns: list[str]) -> None:
    assert recognise([*columns, "name"]).NAME == "own"


def test_an_export_becomes_products(tmp_path: Path) -> None:
    write(
        tmp_path, **{"files/1111111171/image/bag__jpg": picture(), "files/jacket/blue__jpg": picture("blue")}
    )
    bag, jacket, mug = read(tmp_path, TestAkeneo.content).products
    assert (bag.sku, bag.texts["und"].name, bag.price, bag.currency) == ("1111111171", "Bag", "10.25", "EUR")
    assert bag.categories == ("master_accessories_bags", "print_accessories", "accessories")
    assert bag.attributes == {"ean": "1234567890183", "enabled": "1", "weight": "500 gram"}
    assert [each.reference for each in bag.photographs] == ["files/1111111171/image/bag.jpg"]
    assert (jacket.sku, jacket.group, jacket.brand) == ("jacket-blue-m", "jacket", "zaro")
    assert {locale: (text.name, text.description) for locale, text in jacket.texts.items()} == {
        "de-DE": ("Blaue Jacke", "Warm und weich"),
        "en-US": ("Blue jacket", "Warm and soft"),
    }
    assert jacket.attributes["size"] == "m, l"
    assert jacket.attributes["variants"] == "jacket-blue-m|jacket-blue-l"
    assert not any("pack" in name for name in jacket.attributes)
    assert (mug.price, mug.currency) == ("8.00", "USD")


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"erp_name": "E", "variation_name": "V", "name": "N"}, "N"),
        ({"erp_name": "E", "variation_name": "V", "name": ""}, "V"),
        ({"camera_name": "C", "erp_name": "E"}, "E"),
        ({"camera_name": "C", "brand_name": "B"}, "C"),
    ],
)
def test_the_name_is_the_best_column_that_says_something(
    tmp_path: Path, columns: dict[str, str], name: str
) -> None:
    assert only(read_akeneo(tmp_path, **columns)).texts["und"].name == name


def test_a_brands_name_is_not_the_products(tmp_path: Path) -> None:
    assert codes(read_akeneo(tmp_path, brand_name="Acme")) == {"missing_name": 1}


def test_the_description_is_the_best_column_that_says_something(tmp_path: Path) -> None:
    product = only(
        read_akeneo(tmp_path, name="Mug", description="", short_description="Short", seo_description="x")
    )
    assert product.texts["und"].description == "Short"
    assert product.attributes == {"seo_description": "x"}


@pytest.mark.parametrize(
    ("columns", "used", "others"),
    [
        ({"b2b": "b", "ecommerce": "e", "print": "p"}, "e", "b2b, print"),
        ({"tablet": "t", "mobile": "m"}, "m", "tablet"),
        ({"ecommerce": "", "print": "p"}, "p", None),
        ({"ecommerce": "same", "print": "same"}, "same", None),
    ],
)
def test_of_several_channels_one_is_taken_and_it_is_said_where_others_differ(
    tmp_path: Path, columns: dict[str, str], used: str, others: str | None
) -> None:
    cells = {f"description-en_US-{channel}": text for channel, text in columns.items()}
    reading = read_akeneo(tmp_path, **{"name-en_US": "Mug", **cells})
    assert only(reading).texts["en-US"].description == used
    if others is None:
        assert codes(reading) == {}
    else:
        note = finding(reading, "several_channels")
        assert (note.level, note.field, note.sku) == ("note", "description-en-US", "M1")
        assert note.message.endswith(f"; {others} has others")


@pytest.mark.parametrize(
    ("columns", "price"),
    [
        ({"price-USD": "12.00", "price-EUR": "10,25"}, ("10.25", "EUR")),
        ({"price-USD": "12.00", "price-EUR": ""}, ("12.00", "USD")),
        ({"price-b2b-EUR": "9.00", "price-ecommerce-EUR": "8.00"}, ("8.00", "EUR")),
        ({"price-print-EUR": "9.00", "price-ecommerce-USD": "8.00"}, ("9.00", "EUR")),
        ({"price": "10.00 USD,9,50 EUR"}, ("9.50", "EUR")),
        ({"price": "7.5"}, ("7.5", None)),
    ],
)
def test_the_price_is_in_the_first_of_its_currencies(
    tmp_path: Path, columns: dict[str, str], price: tuple[str, str | None]
) -> None:
    product = only(read_akeneo(tmp_path, name="Mug", **columns))
    assert (product.price, product.currency) == price
    assert product.attributes == {}


def test_other_amounts_measures_and_languages_are_attributes(tmp_path: Path) -> None:
    product = only(
        read_akeneo(
            tmp_path,
            **{
                "name": "Mug", "cost-EUR": "3.00", "volume": "0,3", "volume-unit": "LITER",
                "care-de_DE": "Spülen", "care-en_GB": "Wash", "shape-fr_FR": "rond", "shape-de_DE": "rund",
            },
        )
    )  # fmt: skip
    assert product.attributes == {"cost-eur": "3.00", "volume": "0,3 liter", "care": "Wash", "shape": "rund"}


def test_a_column_of_any_name_with_a_pictures_path_is_a_photograph_and_the_variants_own_comes_first(
    tmp_path: Path,
) -> None:
    columns = {
        "back": "files/M1/back/b.jpg", "image": "files/M1/image/i.jpg", "variation_image": "v.png",
        "manual": "files/M1/manual.pdf", "note": "see b.jpg",
    }  # fmt: skip
    files = {
        name.replace(".", "__"): picture()
        for name in ("files/M1/back/b.jpg", "files/M1/image/i.jpg", "v.png")
    }
    write(tmp_path, **files)
    product = only(read_akeneo(tmp_path, name="Mug", **columns))
    assert [(each.role, each.reference) for each in product.photographs] == [
        ("base", "v.png"),
        ("detail", "files/M1/image/i.jpg"),
        ("detail", "files/M1/back/b.jpg"),
    ]
    assert product.attributes == {"manual": "files/M1/manual.pdf", "note": "see b.jpg"}


def test_a_url_in_a_column_for_pictures_is_a_photograph(tmp_path: Path) -> None:
    columns = {"image": "https://cdn.example/mug?size=2", "manual": "https://cdn.example/mug"}
    reading = read_akeneo(tmp_path, name="Mug", **columns)
    assert only(reading).attributes == {"manual": "https://cdn.example/mug"}
    assert [each.field for each in reading.findings if each.code != "no_photograph"] == ["photographs"]


def test_a_file_is_found_without_the_exports_folder_and_without_its_storages_hash(tmp_path: Path) -> None:
    stored = f"files/1/2/{'ab' * 20}_shirt.jpg"
    write(tmp_path, **{"images/shirt__jpg": picture(), "images/M1/image/mug__jpg": picture()})
    reading = read_akeneo(tmp_path, name="Mug", image=stored, picture="files/M1/image/mug.jpg")
    assert len(only(reading).photographs) == 2
    assert codes(reading) == {"photograph_renamed": 2}


def test_another_products_photograph_of_the_same_name_is_not_taken(tmp_path: Path) -> None:
    write(tmp_path, **{"images/front__jpg": picture()})
    reading = read_akeneo(tmp_path, name="Mug", image="files/M1/image/front.jpg")
    assert codes(reading) == {"photograph_not_found": 1}


MODELS = (
    "sku;code;family;family_variant;parent;categories;name-en_US;brand;color;size\n"
    ";jacket;;clothing_colour_size;;blazers;Jacket;zaro;any;\n"
    ";jacket-blue;;clothing_colour_size;jacket;;;;blue;any\n"
    "J-M;;clothing;;jacket-blue;;;;;m\n"
    "J-L;;clothing;;jacket-blue;;Jacket, large;;;l\n"
    ";unsold;;clothing_colour_size;;blazers;Unsold;;;\n"
)


def test_what_product_models_say_holds_for_the_variants_that_follow_from_them(tmp_path: Path) -> None:
    reading = read(tmp_path, MODELS)
    product = only(reading)
    assert (product.sku, product.group, product.brand) == ("J-M", "jacket", "zaro")
    assert product.texts["en-US"].name == "Jacket"
    assert product.categories == ("blazers", "clothing")
    assert product.attributes == {"colour": "blue", "size": "m, l", "variants": "J-M|J-L"}
    (feed,) = reading.feeds
    assert (feed.products, feed.variants, feed.details, feed.skipped, feed.refused) == (1, 1, 2, 1, 0)
    assert (finding(reading, "product_model").row, finding(reading, "product_model").sku) == (6, "unsold")


def test_models_that_follow_from_each_other_in_a_circle_stop_nothing(tmp_path: Path) -> None:
    text = "sku;code;family;parent;name\n;a;f;b;A\n;b;f;a;B\nM1;;f;a;\nM2;M2;f;;Mug\n"
    reading = read(tmp_path, text)
    assert [(product.sku, product.texts["und"].name) for product in reading.products] == [
        ("M1", "A"),
        ("M2", "Mug"),
    ]
    assert reading.feeds[0].details == 2


def test_a_file_of_models_alone_holds_no_products_and_says_why(tmp_path: Path) -> None:
    reading = read(tmp_path, "code;family_variant;parent;categories;name\namor;clothing;;blazers;Amor\n")
    assert reading.products == []
    assert finding(reading, "product_model").level == "note"
    assert "product models" in finding(reading, "product_model").message


def test_the_identifier_of_newer_versions_is_the_sku(tmp_path: Path) -> None:
    text = "uuid;identifier;family;enabled;name\n0d3b;M1;mugs;1;Mug\n0d3c;;mugs;1;Cup\n"
    reading = read(tmp_path, text)
    assert only(reading).sku == "M1"
    assert codes(reading) == {"missing_sku": 1}


def test_json_with_the_same_columns_is_read_the_same_way(tmp_path: Path) -> None:
    record: dict[str, Any] = {
        "sku": 7,
        "family": "mugs",
        "categories": "a,b",
        "name-de_DE": "Becher",
        "price-EUR": 9.5,
    }
    product = only(read(tmp_path, json.dumps([record]), "feed.json"))
    assert (product.sku, product.texts["de-DE"].name, product.price) == ("7", "Becher", "9.5")
