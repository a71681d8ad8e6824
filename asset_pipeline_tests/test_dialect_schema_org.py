import json
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import CatalogReading
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, picture
from asset_pipeline_tests.test_catalog import read as read_feed

MUG = {"@type": "Product", "sku": "M1", "name": "Mug"}
CUP = {"@type": "Product", "sku": "C1", "name": "Cup"}


def read(folder: Path, document: Any, *photographs: str) -> CatalogReading:
    """Read a document; a text as it is."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in photographs:
        (folder / "images" / name).write_bytes(picture())
    return read_feed(folder, document if isinstance(document, str) else json.dumps(document), "feed.jsonld")


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def product(folder: Path, *photographs: str, **facts: Any) -> Product:
    """The product that a mug with these facts is."""
    (found,) = read(folder, {**MUG, **facts}, *photographs).products
    return found


GRAPH: dict[str, Any] = {
    "@context": "https://schema.org",
    "@graph": [
        {"@type": "Organization", "@id": "#acme", "name": "Acme", "url": "https://shop.example"},
        {
            "@type": "BreadcrumbList",
            "itemListElement": [
                {"@type": "ListItem", "position": 1, "item": {"@id": "https://shop.example", "name": "Home"}}
            ],
        },
        {"@type": "ImageObject", "@id": "#front", "contentUrl": "tee.png"},
        {
            "@type": "ProductGroup",
            "@id": "#tee",
            "productGroupID": "tee",
            "name": "Tee",
            "description": "<p>Soft</p>",
            "brand": {"@id": "#acme"},
            "material": "cotton",
            "url": "https://shop.example/tee",
            "variesBy": ["https://schema.org/color", "https://schema.org/size"],
            "image": {"@id": "#front"},
            "hasVariant": [
                {
                    "@type": "Product",
                    "sku": "T1",
                    "name": "Tee red",
                    "color": "red",
                    "offers": {"@type": "Offer", "price": "19.90", "priceCurrency": "EUR"},
                },
                {"@type": "Product", "sku": "T2", "color": "blue", "image": "blue.png"},
                {"@id": "#t3"},
                {"url": "https://shop.example/tee?colour=green"},
            ],
        },
        {"@type": "Product", "@id": "#t3", "sku": "T3", "color": "red", "size": "L"},
        {
            "@type": ["Product", "https://schema.org/Thing"],
            "sku": "M1",
            "name": "Mug",
            "image": ["mug.png", {"@type": "ImageObject", "url": "mug-side.png"}],
            "category": "Home > Mugs",
            "offers": [{"@type": "Offer", "price": 9.9, "priceCurrency": "EUR"}],
        },
    ],
}


class TestSchemaOrg(DialectPromises):
    dialect = "schema_org"
    file = "products.jsonld"
    content = json.dumps(GRAPH)
    photographs = ("tee.png", "blue.png", "mug.png", "mug-side.png")

    def test_every_node_of_a_graph_has_its_place(self, tmp_path: Path) -> None:
        reading = self.read(tmp_path, self.content)
        products = by_sku(reading)
        assert list(products) == ["T1", "T2", "M1"]
        tee = products["T1"]
        assert (tee.group, tee.brand, tee.price, tee.currency) == ("tee", "Acme", "19.90", "EUR")
        assert (tee.texts["und"].name, tee.texts["und"].description) == ("Tee red", "Soft")
        assert tee.attributes == {
            "colour": "red",
            "material": "cotton",
            "size": "L",
            "variants": "T1|T3",
        }
        assert [each.reference for each in tee.photographs] == ["tee.png"]
        assert products["T2"].texts["und"].name == "Tee"
        assert [each.reference for each in products["T2"].photographs] == ["blue.png"]
        mug = products["M1"]
        assert (mug.price, mug.currency, mug.categories) == ("9.9", "EUR", ("Home", "Mugs"))
        assert [each.role for each in mug.photographs] == ["base", "side"]
        (feed,) = reading.feeds
        assert (feed.rows, feed.products, feed.variants, feed.details) == (8, 3, 1, 4)


class TestSchemaOrgLines(DialectPromises):
    dialect = "schema_org"
    file = "products.jsonl"
    content = "".join(
        json.dumps(each) + "\n"
        for each in (
            {**MUG, "@context": "https://schema.org", "image": "mug.png"},
            {
                **CUP,
                "offers": {"@type": "Offer", "price": 5},
                "additionalProperty": [{"name": "Fit", "value": 1}],
            },
        )
    )
    photographs = ("mug.png",)


@pytest.mark.parametrize(
    "document",
    [
        MUG,
        [MUG],
        {"@context": "https://schema.org", "@graph": [MUG]},
        {"@context": "https://schema.org", "@graph": MUG},
        [{"@context": "https://schema.org", "@graph": [MUG]}],
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "position": 1, "item": MUG}]},
        {"@type": "ItemList", "itemListElement": [MUG]},
        {**MUG, "@type": ["Thing", "Product"]},
        {**MUG, "@type": "https://schema.org/Product"},
        {**MUG, "@type": "http://schema.org/Product"},
        {**MUG, "@type": "schema:Product"},
        {"@type": ["http://schema.org/Product"], "http://schema.org/sku": [{"@value": "M1"}],
         "http://schema.org/name": [{"@value": "Mug"}]},
        {"products": [MUG], "total": 1},
        {"items": [MUG]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 1])
def test_a_product_may_lie_in_any_of_these_places(tmp_path: Path, document: Any, indent: int | None) -> None:
    reading = read(tmp_path, json.dumps(document, indent=indent))
    assert [(each.sku, each.texts["und"].name) for each in reading.products] == [("M1", "Mug")]
    assert [(feed.dialect, feed.rows) for feed in reading.feeds] == [("schema_org", 1)]
    assert codes(reading) == {}


def test_what_a_page_is_about_is_a_product_and_the_page_a_detail(tmp_path: Path) -> None:
    reading = read(tmp_path, {"@type": "ItemPage", "name": "A page", "mainEntity": MUG})
    assert list(by_sku(reading)) == ["M1"]
    assert (reading.feeds[0].rows, reading.feeds[0].details) == (2, 1)


def test_lines_of_json_may_hold_a_graph_each(tmp_path: Path) -> None:
    lines = [{"@graph": [MUG, {"@type": "WebPage", "name": "x"}]}, {"@graph": [CUP]}]
    reading = read(tmp_path, "\n".join(map(json.dumps, lines)) + "\n{broken\n")
    assert list(by_sku(reading)) == ["M1", "C1"]
    assert (reading.feeds[0].rows, finding(reading, "not_json").row) == (4, 4)


@pytest.mark.parametrize(
    ("offers", "price", "currency"),
    [
        ({"price": "19.90", "priceCurrency": "EUR"}, "19.90", "EUR"),
        ({"price": 19.90, "priceCurrency": "EUR"}, "19.9", "EUR"),
        ({"price": "1.299", "priceCurrency": "EUR"}, "1.299", "EUR"),
        ({"price": "1.299,00 €"}, "1299.00", "EUR"),
        ([{"availability": "x"}, {"price": 5, "priceCurrency": "USD"}, {"price": 7}], "5", "USD"),
        ({"@type": "AggregateOffer", "lowPrice": 3, "highPrice": 9, "priceCurrency": "EUR"}, "3", "EUR"),
        ({"@type": "AggregateOffer", "offers": [{"price": 4, "priceCurrency": "EUR"}]}, "4", "EUR"),
        ({"priceSpecification": [{"x": 1}, {"price": 6, "priceCurrency": "EUR"}]}, "6", "EUR"),
        ({"priceCurrency": "EUR", "priceSpecification": {"price": 6}}, "6", "EUR"),
        ({"price": "", "lowPrice": None}, None, None),
        ({"price": True}, None, None),
        ("free", None, None),
        ([], None, None),
    ],
)
def test_a_price_is_found_wherever_an_offer_has_it(
    tmp_path: Path, offers: Any, price: str | None, currency: str | None
) -> None:
    found = product(tmp_path, offers=offers)
    assert (found.price, found.currency) == (price, currency)


def test_offers_that_refer_to_each_other_in_a_circle_end(tmp_path: Path) -> None:
    circle = {"@id": "#a", "@type": "AggregateOffer", "offers": [{"@id": "#a"}, {"@id": "#a"}]}
    reading = read(tmp_path, {"@graph": [circle, {**MUG, "offers": {"@id": "#a"}}]})
    assert by_sku(reading)["M1"].price is None


@pytest.mark.parametrize(
    "image",
    [
        "a.png",
        ["a.png"],
        {"@type": "ImageObject", "url": "a.png"},
        {"@type": "ImageObject", "contentUrl": "a.png", "url": "page.html"},
        [{"@type": "ImageObject", "url": ["a.png"]}],
        {"@list": ["a.png"]},
        {"@id": "a.png"},
        ["", None, 7, {}, "a.png"],
    ],
)
def test_a_picture_is_found_however_it_is_written(tmp_path: Path, image: Any) -> None:
    (photograph,) = product(tmp_path, "a.png", image=image).photographs
    assert (photograph.reference, photograph.role) == ("a.png", "base")


def test_a_logo_has_its_role(tmp_path: Path) -> None:
    found = product(tmp_path, "a.png", "logo.png", image="a.png", logo={"url": "logo.png"})
    assert [each.role for each in found.photographs] == ["base", "logo"]


@pytest.mark.parametrize(
    ("brand", "name"),
    [
        ("Acme", "Acme"),
        ({"@type": "Brand", "name": "Acme"}, "Acme"),
        ([{"@type": "Brand", "name": {"@value": "Acme", "@language": "en"}}, "Other"], "Acme"),
        ({"@type": "Brand"}, None),
        (None, None),
    ],
)
def test_a_brand_is_text_or_a_node(tmp_path: Path, brand: Any, name: str | None) -> None:
    assert product(tmp_path, brand=brand).brand == name


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"name": "Mug"}, {"und": "Mug"}),
        ({"name": {"@value": "Häferl", "@language": "de-at"}}, {"de-AT": "Häferl"}),
        (
            {
                "name": [
                    "Mug",
                    {"@value": "Becher", "@language": "de"},
                    {"@value": "Tasse", "@language": "fr"},
                ]
            },
            {"und": "Mug", "de": "Becher", "fr": "Tasse"},
        ),
        ({"name": {"de": "Becher", "en": "Mug"}}, {"de": "Becher", "en": "Mug"}),
        ({"name": "Becher", "inLanguage": "de"}, {"de": "Becher"}),
        ({"name": "Becher", "@context": ["https://schema.org", {"@language": "de"}]}, {"de": "Becher"}),
        ({"name": {"@value": "Mug", "@language": "plain English"}}, {"und": "Mug"}),
    ],
)
def test_a_name_is_in_the_language_that_is_told(
    tmp_path: Path, facts: dict[str, Any], names: dict[str, str]
) -> None:
    found = product(tmp_path, **facts)
    assert {locale: text.name for locale, text in found.texts.items()} == names


def test_the_language_of_a_graph_is_that_of_its_nodes(tmp_path: Path) -> None:
    document = {"@context": {"@language": "de"}, "@graph": [{**MUG, "description": "Aus Ton"}]}
    (found,) = read(tmp_path, document).products
    assert found.texts["de"].description == "Aus Ton"


@pytest.mark.parametrize(
    ("numbers", "sku", "stands_in"),
    [
        ({"sku": "S", "productID": "P", "gtin13": "G", "mpn": "M"}, "S", None),
        ({"sku": " ", "productID": "P", "gtin13": "G", "mpn": "M"}, "P", "productID"),
        ({"gtin": "G1", "gtin13": "G", "mpn": "M"}, "G1", "gtin"),
        ({"gtin13": 4006381333931, "mpn": "M"}, "4006381333931", "gtin13"),
        ({"mpn": "M"}, "M", "mpn"),
    ],
)
def test_another_number_stands_for_a_sku_that_is_missing(
    tmp_path: Path, numbers: dict[str, Any], sku: str, stands_in: str | None
) -> None:
    reading = read(tmp_path, {"@type": "Product", "name": "Mug", **numbers})
    assert [each.sku for each in reading.products] == [sku]
    if stands_in is None:
        assert codes(reading) == {}
    else:
        remark = finding(reading, "sku_from_other_number")
        assert remark.level == "repaired"
        assert stands_in in remark.message


def test_a_product_without_any_number_is_refused(tmp_path: Path) -> None:
    reading = read(tmp_path, [{"@type": "Product", "name": "Mug"}, CUP])
    assert list(by_sku(reading)) == ["C1"]
    assert codes(reading) == {"missing_sku": 1}


def test_properties_of_any_kind_are_attributes(tmp_path: Path) -> None:
    found = product(
        tmp_path,
        color="red",
        material=["clay", {"@type": "DefinedTerm", "name": "glaze"}],
        itemCondition="https://schema.org/NewCondition",
        weight={"@type": "QuantitativeValue", "value": 1.5, "unitText": "kg"},
        size={"@type": "SizeSpecification", "name": "L"},
        gtin13="4006381333931",
        isFamilyFriendly=True,
        additionalProperty=[
            {"@type": "PropertyValue", "name": "Volume", "value": 300, "unitCode": "MLT"},
            {"@type": "PropertyValue", "propertyID": "Colours", "value": ["red", "blue"]},
            {"@type": "PropertyValue", "name": "Color", "value": "any"},
            {"@type": "PropertyValue", "value": "nameless"},
            "a text",
        ],
        review={"@type": "Review", "name": "Nice"},
        aggregateRating={"@type": "AggregateRating", "ratingValue": 4},
        isRelatedTo={"@type": "Product", "name": "Cup"},
        url="https://shop.example/mug",
        audience={"@type": "PeopleAudience"},
    )
    assert found.attributes == {
        "colour": "red",
        "material": "clay, glaze",
        "itemcondition": "NewCondition",
        "weight": "1.5 kg",
        "size": "L",
        "gtin13": "4006381333931",
        "isfamilyfriendly": "true",
        "volume": "300 MLT",
        "colours": "red, blue",
    }


@pytest.mark.parametrize(
    "relation",
    [
        {"inProductGroupWithID": "mugs"},
        {"isVariantOf": {"@id": "#mugs"}},
        {"isVariantOf": "#mugs"},
        {"isVariantOf": {"@type": "ProductGroup", "productGroupID": "mugs"}},
        {"@id": "#m1"},
    ],
)
@pytest.mark.parametrize("group_first", [True, False])
def test_a_variant_is_given_to_its_group_by_any_relation(
    tmp_path: Path, relation: dict[str, Any], *, group_first: bool
) -> None:
    group = {
        "@type": "ProductGroup", "@id": "#mugs", "productGroupID": "mugs", "sku": "G", "name": "Mugs",
        "brand": "Acme", "hasVariant": [{"@id": "#m1"}],
    }  # fmt: skip
    nodes = [group, {"@type": "Product", "sku": "M1", **relation}]
    reading = read(tmp_path, {"@graph": nodes if group_first else nodes[::-1]})
    (found,) = reading.products
    assert (found.sku, found.group, found.brand, found.texts["und"].name) == ("M1", "mugs", "Acme", "Mugs")
    assert (reading.feeds[0].products, reading.feeds[0].details) == (1, 1)


def test_a_group_without_its_variants_is_a_product(tmp_path: Path) -> None:
    group = {
        "@type": "ProductGroup", "productGroupID": "mugs", "name": "Mugs",
        "hasVariant": [{"@type": "Product", "url": "https://shop.example/red"}],
    }  # fmt: skip
    reading = read(tmp_path, group)
    assert list(by_sku(reading)) == ["mugs"]
    assert codes(reading) == {"sku_from_other_number": 1}


def test_a_variant_s_number_is_never_its_group_s(tmp_path: Path) -> None:
    variants = [{"@type": "Product", "color": "red"}, {"@type": "Product", "color": "blue", "sku": "M2"}]
    group = {"@type": "ProductGroup", "sku": "G", "mpn": "G", "name": "Mugs", "hasVariant": variants}
    reading = read(tmp_path, group)
    assert list(by_sku(reading)) == ["M2"]
    assert (by_sku(reading)["M2"].group, by_sku(reading)["M2"].attributes) == ("G", {"colour": "blue"})
    assert codes(reading) == {"missing_sku": 1}


def test_what_one_page_calls_its_picture_is_not_that_of_another(tmp_path: Path) -> None:
    pages = [
        {
            "@graph": [
                {"@type": "ImageObject", "@id": "#image", "url": f"{sku}.png"},
                {"@type": "Product", "@id": "#product", "sku": sku, "name": sku, "image": {"@id": "#image"}},
            ]
        }
        for sku in ("M1", "C1")
    ]
    reading = read(tmp_path, pages, "M1.png", "C1.png")
    assert list(by_sku(reading)) == ["M1", "C1"]
    assert all(each.photographs == () for each in reading.products), "which is meant nobody knows"


def test_nodes_that_are_no_products_are_details_where_there_are_products(tmp_path: Path) -> None:
    organisation = {"@type": "Organization", "name": "Acme"}
    with_product = read(tmp_path / "1", [organisation, MUG])
    assert (with_product.feeds[0].details, codes(with_product)) == (1, {})
    without = read(tmp_path / "2", [organisation])
    assert (without.feeds[0].skipped, finding(without, "not_a_product").level) == (1, "note")


def test_a_record_without_a_type_is_refused(tmp_path: Path) -> None:
    reading = read(tmp_path, [MUG, {"sku": "C1", "name": "Cup"}, {"@type": 7, "name": "x"}])
    assert codes(reading) == {"no_type": 2}
    assert reading.feeds[0].is_balanced


def test_a_list_that_names_pages_only_is_no_product(tmp_path: Path) -> None:
    element = {"@type": "ListItem", "position": 1, "url": "https://shop.example/mug"}
    reading = read(tmp_path, {"@graph": [{"@type": "ItemList", "itemListElement": [element]}, MUG]})
    assert list(by_sku(reading)) == ["M1"]
    assert reading.feeds[0].is_balanced
