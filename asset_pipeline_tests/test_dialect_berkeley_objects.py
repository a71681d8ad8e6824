import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.catalog.reader import CatalogReading, read_catalog, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read, write


def words(**by_language: str) -> list[dict[str, str]]:
    """Words as a listing has them."""
    return [{"language_tag": language, "value": text} for language, text in by_language.items()]


def inches(value: float) -> dict[str, Any]:
    return {
        "normalized_value": {"unit": "inches", "value": value},
        "unit": "centimeters",
        "value": value * 2.54,
    }


CHAIRS: dict[str, Any] = {
    "item_id": "B073P5PZ5P",
    "domain_name": "amazon.com",
    "marketplace": "Amazon",
    "country": "US",
    "item_name": words(zh_CN="椅子木框墙壁艺术", en_US="Rivet Chairs in White Wood Frame Wall Art"),
    "brand": words(en_US="Rivet"),
    "bullet_point": [*words(en_US="A modern print"), *words(en_US="Made to order!")],
    "color": [{"language_tag": "en_US", "standardized_values": ["Multi"], "value": "Multicolor"}],
    "material": words(de_DE="Holz", en_GB="Wood"),
    "style": words(en_US="White"),
    "product_type": [{"value": "HOME"}],
    "node": [{"node_id": 1, "node_name": "/Home & Kitchen/Wall Art/Posters"}],
    "model_number": [{"value": "16523-frwa30"}],
    "main_image_id": "91e1hw35cDL",
    "other_image_id": ["51-Fqps5k9YL", "91e1hw35cDL"],
    "item_dimensions": {"height": inches(12), "length": inches(12), "width": inches(1.5)},
    "item_weight": [{"normalized_value": {"unit": "pounds", "value": 2.5}, "unit": "pounds", "value": 2.5}],
    "item_keywords": [*words(en_US="wall art"), *words(en_US="posters"), *words(en_US="wall art")],
    "3dmodel_id": "B073P5PZ5P",
    "spin_id": "4b0d1b0c",
}
GERMAN: dict[str, Any] = {
    "item_id": "B073P5PZ5P",
    "domain_name": "amazon.de",
    "item_name": words(de_DE="Rivet Stühle, Wandbild", en_US="Not these words"),
    "product_description": words(de_DE="<p>Ein Bild</p>"),
    "main_image_id": "another",
}
SLIDES: dict[str, Any] = {
    "item_id": "B07P8ML82R",
    "domain_name": "amazon.com.mx",
    "item_name": words(es_MX='22" Drawer Slides'),
    "bullet_point": words(es_MX="White Powder Coat Finish"),
    "main_image_id": "619y9YG9cnL",
}


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def read_listings(folder: Path, *records: dict[str, Any]) -> CatalogReading:
    return read(folder, lines(*records), "listings_0.json")


class TestBerkeleyObjects(DialectPromises):
    dialect = "berkeley_objects"
    file = "listings_0.json"
    content = lines(CHAIRS, GERMAN, SLIDES)
    photographs = ("91e1hw35cDL.jpg", "619y9YG9cnL.png")


@pytest.mark.parametrize("column", ["bullet_point", "main_image_id", "domain_name", "node"])
def test_an_item_with_a_name_and_a_field_of_its_own_is_a_listing(column: str) -> None:
    assert recognise(["item_id", "item_name", column]).NAME == "berkeley_objects"


def test_an_item_with_a_name_alone_is_not() -> None:
    assert recognise(["item_id", "item_name", "price"]).NAME == "own"


def test_a_listing_becomes_a_product(tmp_path: Path) -> None:
    product = only(read_listings(tmp_path, CHAIRS))
    assert (product.sku, product.brand, product.price) == ("B073P5PZ5P", "Rivet", None)
    assert {locale: (text.name, text.description) for locale, text in product.texts.items()} == {
        "zh-CN": ("椅子木框墙壁艺术", ""),
        "en-US": ("Rivet Chairs in White Wood Frame Wall Art", "A modern print. Made to order!"),
    }
    assert product.categories == ("HOME", "Posters", "Wall Art", "Home & Kitchen")
    assert product.attributes == {
        "colour": "Multicolor",
        "material": "Wood",
        "style": "White",
        "model_number": "16523-frwa30",
        "item_keywords": "wall art, posters",
        "height": "12 inches",
        "length": "12 inches",
        "width": "1.5 inches",
        "weight": "2.5 pounds",
        "country": "US",
        "marketplace": "Amazon",
        "domain_name": "amazon.com",
    }


def test_listings_are_read_as_they_are_published_compressed(tmp_path: Path) -> None:
    write(tmp_path, listings_0__json__gz=gzip.compress(lines(CHAIRS, SLIDES).encode()))
    assert [product.sku for product in read_catalog(tmp_path).products] == ["B073P5PZ5P", "B07P8ML82R"]


def test_photographs_are_found_by_their_id_with_any_suffix(tmp_path: Path) -> None:
    write(tmp_path, **{"91e1hw35cDL__jpg": picture(), "images/51-Fqps5k9YL__png": picture("blue")})
    reading = read_listings(tmp_path, CHAIRS)
    assert [(each.role, each.reference, each.media_type) for each in only(reading).photographs] == [
        ("base", "91e1hw35cDL.jpg", "image/png"),
        ("detail", "51-Fqps5k9YL.jpg", "image/png"),
    ]
    assert codes(reading) == {"photograph_renamed": 1}


def test_the_same_item_in_another_marketplace_adds_the_words_of_its_language(tmp_path: Path) -> None:
    reading = read_listings(tmp_path, CHAIRS, GERMAN, SLIDES)
    assert [product.sku for product in reading.products] == ["B073P5PZ5P", "B07P8ML82R"]
    texts = reading.products[0].texts
    assert (texts["de-DE"].name, texts["de-DE"].description) == ("Rivet Stühle, Wandbild", "Ein Bild")
    assert texts["en-US"].name == "Rivet Chairs in White Wood Frame Wall Art"
    (feed,) = reading.feeds
    assert (feed.products, feed.details, feed.refused, feed.skipped) == (2, 1, 0, 0)


def test_a_listing_twice_is_noted_and_another_one_of_the_same_marketplace_is_refused(tmp_path: Path) -> None:
    other = {**SLIDES, "item_name": words(es_MX="Something else")}
    english = {**SLIDES, "domain_name": "amazon.com", "item_name": words(en_US="Drawer slides")}
    reading = read_listings(tmp_path, SLIDES, english, SLIDES, other)
    assert only(reading).texts["es-MX"].name == '22" Drawer Slides'
    assert (finding(reading, "repeated_row").row, finding(reading, "duplicate_sku").row) == (3, 4)


def test_a_description_counts_before_bullet_points(tmp_path: Path) -> None:
    listing = {**SLIDES, "product_description": words(es_MX="<b>Whole</b> text", en_US="Text")}
    texts = only(read_listings(tmp_path, listing)).texts
    assert texts["es-MX"].description == "Whole text"
    assert texts["en-US"].description == "Text"


def test_a_size_without_a_normalised_one_is_taken_as_it_is(tmp_path: Path) -> None:
    listing = {
        **SLIDES,
        "item_dimensions": {"height": {"unit": "inches", "value": 0.9}, "width": {"unit": "inches"}},
    }
    attributes = only(read_listings(tmp_path, listing)).attributes
    assert attributes == {"domain_name": "amazon.com.mx", "height": "0.9 inches"}


@pytest.mark.parametrize(
    "broken",
    [
        {"item_name": "Slides"},
        {"item_name": [{"value": "Slides"}]},
        {"item_name": [None, 7, {"language_tag": ["x"], "value": "Slides"}]},
        {"item_dimensions": [1], "item_weight": {"value": 3}, "node": {"node_name": "x"}, "brand": [[]]},
        {
            "item_dimensions": {"height": "tall"},
            "node": ["x"],
            "main_image_id": ["a", "b"],
            "other_image_id": "c",
        },
    ],
)
def test_values_of_another_shape_stop_nothing(tmp_path: Path, broken: dict[str, Any]) -> None:
    reading = read_listings(tmp_path, SLIDES, {**CHAIRS, **broken})
    assert [product.sku for product in reading.products] == ["B07P8ML82R", "B073P5PZ5P"]
    assert reading.feeds[0].is_balanced


def test_a_listing_without_a_name_or_an_item_is_refused(tmp_path: Path) -> None:
    nameless = {**CHAIRS, "item_name": []}
    reading = read_listings(tmp_path, nameless, {**SLIDES, "item_id": " "}, SLIDES)
    assert only(reading).sku == "B07P8ML82R"
    assert codes(reading) == {"missing_name": 1, "missing_sku": 1, "photograph_not_found": 1}


def test_the_collections_list_of_images_beside_it_does_no_harm(tmp_path: Path) -> None:
    images = "image_id,height,width,path\n010-mllS7JL,106,106,14/14.jpg\n01dkn0Gyx0L,122,122,da/da.jpg\n"
    write(
        tmp_path, images__csv=images, listings_0__json=lines(SLIDES), **{"images/619y9YG9cnL__jpg": picture()}
    )
    reading = read_catalog(tmp_path)
    assert only(reading).sku == "B07P8ML82R"
    assert reading.findings == []
    assert [(feed.file, feed.details, feed.is_balanced) for feed in reading.feeds] == [
        ("images.csv", 2, True),
        ("listings_0.json", 0, True),
    ]
