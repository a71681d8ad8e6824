import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import DIALECTS, CatalogReading, read_catalog, recognise
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline_tests.dialect_promises import DialectPromises, promise_keepers
from asset_pipeline_tests.test_catalog import picture


def read(folder: Path, content: str | list[Any], *photographs: str) -> CatalogReading:
    """Read a feed with these photographs in its images folder: CSV as text, JSON as a list."""
    (folder / "images").mkdir(parents=True)
    for name in photographs:
        (folder / "images" / name).write_bytes(picture())
    if isinstance(content, str):
        (folder / "feed.csv").write_text(content)
    else:
        (folder / "feed.json").write_text(json.dumps(content))
    return read_catalog(folder)


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def codes(reading: CatalogReading) -> Counter[str]:
    return Counter(finding.code for finding in reading.findings if finding.code != "no_photograph")


def test_every_dialect_makes_the_promises() -> None:
    assert {each.dialect for each in promise_keepers()} == {dialect.NAME for dialect in DIALECTS}
    assert DIALECTS[-1].NAME == "own", "own knows many columns, so it is asked last"


@pytest.mark.parametrize("dialect", sorted(dialect.NAME for dialect in DIALECTS))
def test_every_dialect_is_documented(dialect: str) -> None:
    page = Path(__file__).parent.parent / "docs" / "catalog.md"
    assert f"\n| `{dialect}` | " in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [["sku", "price"], ["name", "price"], [], ["sku", "description-de"]])
def test_a_feed_in_no_known_dialect_is_refused_with_what_it_has(columns: list[str]) -> None:
    with pytest.raises(UnreadableFeed, match=", ".join(columns) or "none"):
        recognise(columns)


# --- own


class TestOwn(DialectPromises):
    dialect = "own"
    file = "feed.csv"
    content = (
        "sku,group,name-en,name-de,description-en,categories,brand,price,currency,photographs,colour\n"
        "T1,tee,Tee,T-Shirt,Soft cotton,Clothes|Tops,Acme,19.90,EUR,tee.png|tee-side.png,red\n"
        'T2,tee,Tee,T-Shirt,"Soft, warm",Clothes|Tops,Acme,19.90,EUR,,red\n'
        "M1,,Mug,Becher,,Home,,9.90,EUR,mug.png,blue\n"
    )
    photographs = ("tee.png", "tee-side.png", "mug.png")


def test_every_column_of_the_project_has_its_place(tmp_path: Path) -> None:
    (product,) = read(
        tmp_path,
        "sku,group,name,name-en,name-de-at,description-en,description,categories,brand,price,currency,"
        "photographs,Colour,Fits into\n"
        "M1,mugs,Mug,A mug,Ein Häferl,Holds tea,Fasst Tee,Home|Kitchen > Mugs|home,Acme,9.90,eur,"
        "m.png|m-side.png,red,a bag\n",
        "m.png",
        "m-side.png",
    ).products  # fmt: skip
    assert {locale: (text.name, text.description) for locale, text in product.texts.items()} == {
        "und": ("Mug", "Fasst Tee"),
        "en": ("A mug", "Holds tea"),
        "de-AT": ("Ein Häferl", ""),
    }
    assert product.categories == ("Home", "Kitchen", "Mugs")
    assert (product.group, product.brand, product.price, product.currency) == ("mugs", "Acme", "9.90", "EUR")
    assert [each.role for each in product.photographs] == ["base", "side"]
    assert product.attributes == {"colour": "red", "fits into": "a bag"}
    assert (product.feed, product.row) == ("feed.csv", 2)


def test_what_others_call_these_columns_is_understood(tmp_path: Path) -> None:
    (product,) = read(
        tmp_path,
        "id,item_group_id,title,Product Type,vendor,price,color,image_link,additional_image_link\n"
        'M1,mugs,Mug,Home > Mugs,Acme,105.29 USD,red,a.png,"b.png,c.png"\n',
        "a.png",
        "b.png",
        "c.png",
    ).products
    assert (product.sku, product.group, product.texts["und"].name) == ("M1", "mugs", "Mug")
    assert (product.brand, product.price, product.currency) == ("Acme", "105.29", "USD")
    assert product.categories == ("Home", "Mugs")
    assert product.attributes == {"colour": "red"}
    assert [each.reference for each in product.photographs] == ["a.png", "b.png", "c.png"]


def test_of_two_columns_for_the_same_the_better_name_wins_and_the_other_is_an_attribute(
    tmp_path: Path,
) -> None:
    (product,) = read(tmp_path, "id,sku,title,name\n7,M1,A title,A name\n").products
    assert (product.sku, product.texts["und"].name) == ("M1", "A name")
    assert product.attributes == {"id": "7", "title": "A title"}


def test_a_name_in_any_language_is_enough_and_none_is_refused(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name,name-fr,description-de\nM1,,Tasse,\nM2,,,Nur Text\nM3,Cup,,Becher\n")
    assert by_sku(reading).keys() == {"M1", "M3"}
    assert by_sku(reading)["M3"].texts["de"].name == "Cup"
    assert codes(reading) == {"missing_name": 1, "description_without_name": 1}


def test_a_photograph_with_a_comma_in_its_name_is_one_photograph(tmp_path: Path) -> None:
    (product,) = read(tmp_path, 'sku,name,image\nM1,Mug,"mug, red.png"\n', "mug, red.png").products
    assert len(product.photographs) == 1


def test_lists_and_numbers_of_json_are_understood(tmp_path: Path) -> None:
    record = {
        "sku": 7, "name": "Mug", "price": 1.299, "categories": ["Home", "Mugs"], "images": ["a.png"],
        "sizes": ["S", "M"], "dishwasher": True, "box": {"w": 1}, "empty": [], "nothing": None,
    }  # fmt: skip
    (product,) = read(tmp_path, [record], "a.png").products
    assert (product.sku, product.price, product.categories) == ("7", "1.299", ("Home", "Mugs"))
    assert product.attributes == {"sizes": "S, M", "dishwasher": "true", "box": '{"w": 1}'}
    assert len(product.photographs) == 1


# --- variants


def grouped(*rows: str) -> str:
    return "\n".join(["sku,group,name,size,colour,photographs", *rows])


def test_variants_that_share_their_photographs_are_one_product(tmp_path: Path) -> None:
    feed = grouped("T1,tee,Tee,S,red,t.png", "X,,Cup,,,", "T2,tee,Tee,M,red,t.png", "T3,tee,Tee,L,red,")
    reading = read(tmp_path, feed, "t.png")
    assert list(by_sku(reading)) == ["T1", "X"]
    assert by_sku(reading)["T1"].attributes == {"size": "S, M, L", "colour": "red", "variants": "T1|T2|T3"}
    assert "variants" not in by_sku(reading)["X"].attributes
    assert (reading.feeds[0].products, reading.feeds[0].variants) == (2, 2)


def test_a_variant_with_photographs_of_its_own_is_a_product_of_its_own(tmp_path: Path) -> None:
    feed = grouped(
        "T1,tee,Tee,S,red,r.png", "T2,tee,Tee,S,blue,b.png", "T3,tee,Tee,M,blue,b.png", "T4,tee,Tee,S,x,"
    )
    reading = read(tmp_path, feed, "r.png", "b.png")
    assert list(by_sku(reading)) == ["T1", "T2", "T4"]
    assert by_sku(reading)["T2"].attributes["variants"] == "T2|T3"
    assert by_sku(reading)["T4"].photographs == ()


def test_without_photographs_only_what_one_would_see_makes_two_products(tmp_path: Path) -> None:
    feed = grouped("T1,tee,Tee,S,red,", "T2,tee,Tee,M,Red,", "T3,tee,Tee,S,blue,")
    assert list(by_sku(read(tmp_path, feed))) == ["T1", "T3"]


def test_variants_are_one_group_only_within_their_feed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(grouped("T1,tee,Tee,S,red,"))
    (tmp_path / "b.csv").write_text(grouped("T2,tee,Tee,M,red,"))
    assert len(read_catalog(tmp_path).products) == 2


def test_rows_without_a_group_are_never_variants_of_each_other(tmp_path: Path) -> None:
    assert len(read(tmp_path, grouped("T1,,Tee,S,red,", "T2,,Tee,S,red,")).products) == 2


# --- vendure

VENDURE = (
    "name   ,slug ,description,assets    ,facets              ,optionGroups,optionValues ,sku ,"
    "price  ,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets\n"
)


class TestVendure(DialectPromises):
    dialect = "vendure"
    file = "products.csv"
    content = (
        VENDURE
        + 'Laptop ,laptop,"Fast, and light”" ,l.jpg|l-side.jpg,'
        + 'category:Electronics|brand:Apple,"size|RAM" ,"13 inch|8GB"  ,L1  ,1299.00,standard,100,false,,\n'
        + '       ,     ,           ,          ,     ,     ,"15 inch|8GB"  ,L2  ,1399.00,standard,100,,,\n'
        + "Mouse,mouse,,m.jpg,color:black|color:red,,,M1,18.99,standard,1,,,\n"
    )
    photographs = ("l.jpg", "l-side.jpg", "m.jpg")


def test_vendures_further_rows_are_variants_of_the_product_above(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        VENDURE
        + 'Laptop ,laptop,"Fast, and light”" ,l.jpg|l-side.jpg,'
        'category:Electronics|category:Computers|brand:Apple,"size|RAM" ,"13 inch|8GB"  ,'
        "L1  ,1299.00,standard,100,false,,\n"
        '       ,     ,           ,          ,     ,     ,"15 inch|8GB"  ,L2  ,1399.00,standard,100,,,\n'
        "Mouse,mouse,,m.jpg,color:black|color:red,,,M1,18.99,standard,1,,,\n",
        "l.jpg",
        "l-side.jpg",
        "m.jpg",
    )  # fmt: skip
    assert list(by_sku(reading)) == ["L1", "M1"]
    laptop = by_sku(reading)["L1"]
    assert (laptop.group, laptop.brand, laptop.price) == ("laptop", "Apple", "1299.00")
    assert laptop.categories == ("Electronics", "Computers")
    assert laptop.texts["und"].description == "Fast, and light”"
    assert laptop.attributes == {"size": "13 inch, 15 inch", "ram": "8GB", "variants": "L1|L2"}
    assert [each.role for each in laptop.photographs] == ["base", "side"]
    assert by_sku(reading)["M1"].attributes == {"colour": "black, red"}
    assert (reading.feeds[0].dialect, reading.feeds[0].rows, reading.feeds[0].variants) == ("vendure", 3, 1)
    assert codes(reading) == {}


def test_a_variant_with_vendure_assets_of_its_own_is_a_product(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        VENDURE
        + "Chair,chair,,c.jpg,color:wood,colour,mint,C1,1,,,,,\n"
        + ",,,,,,pearl,C2,1,,,,p.jpg,color:white\n",
        "c.jpg",
        "p.jpg",
    )
    assert by_sku(reading)["C2"].photographs[0].reference == "p.jpg"
    assert by_sku(reading)["C2"].texts["und"].name == "Chair"


def test_a_sku_that_vendure_has_three_times_is_one_product_and_two_findings(tmp_path: Path) -> None:
    rows = "".join(
        f"{name},,,,,size,{size},404.038.96,1,,,,,\n" for name, size in (("Chair", 1), ("", 2), ("", 3))
    )
    reading = read(tmp_path, VENDURE + rows)
    assert list(by_sku(reading)) == ["404.038.96"]
    assert codes(reading) == {"duplicate_sku": 2}


def test_a_variant_is_never_given_to_the_wrong_product(tmp_path: Path) -> None:
    broken = 'Cup,cup,"unclosed,,,,,C1,1,,,,,\n'
    reading = read(
        tmp_path, VENDURE + ",,,,,,,A1,1,,,,,\nMug,mug,,,,,,M1,1,,,,,\n" + broken + ",,,,,,,C2,1,,,,,\n"
    )
    assert list(by_sku(reading)) == ["M1"]
    assert codes(reading) == {"orphan_variant": 2, "broken_quotes": 1}


def test_vendures_translations_are_words_in_their_language(tmp_path: Path) -> None:
    header = "name:en,name:de,slug:en,assets,facets,optionGroups,optionValues,sku,price,variantAssets\n"
    (product,) = read(tmp_path, header + "Mug,Becher,mug,,,,,M1,1,\n").products
    assert {locale: text.name for locale, text in product.texts.items()} == {"en": "Mug", "de": "Becher"}
    assert product.group == "mug"


# --- saleor


def record(model: str, pk: int, **fields: Any) -> dict[str, Any]:
    return {"model": model, "pk": pk, "fields": fields}


def editor(*blocks: dict[str, Any]) -> dict[str, Any]:
    """A document of Editor.js: a time, a version and blocks."""
    return {"time": 1, "version": "2.22.2", "blocks": [{"id": "x", "data": data} for data in blocks]}


def price(pk: int, *, channel: int, amount: str, currency: str) -> dict[str, Any]:
    fields = {"variant": 70, "channel": channel, "currency": currency, "price_amount": amount}
    return record("product.productvariantchannellisting", pk, **fields)


def media(pk: int, product: int, image: str, *, order: int = 0) -> dict[str, Any]:
    return record("product.productmedia", pk, product=product, sort_order=order, image=image)


SALEOR = [
    record("channel.channel", 1, slug="default-channel", currency_code="USD"),
    record("product.category", 1, name="Apparel", parent=None),
    record("product.category", 2, name="Sneakers", parent=1),
    record("attribute.attribute", 1, name="Shoe size", slug="shoe-size"),
    record("attribute.attribute", 2, name="Brand", slug="brand"),
    record("attribute.attributevalue", 1, name="39", attribute=1),
    record("attribute.attributevalue", 2, name="40", attribute=1),
    record("attribute.attributevalue", 3, name="Saleor Loom", attribute=2),
    record("attribute.assignedproductattributevalue", 1, product=7, value=3),
    record("attribute.assignedvariantattribute", 1, variant=70, assignment=14),
    record("attribute.assignedvariantattribute", 2, variant=71, assignment=14),
    record("attribute.assignedvariantattributevalue", 1, assignment=1, value=1),
    record("attribute.assignedvariantattributevalue", 2, assignment=2, value=2),
    record(
        "product.product", 7, name="White Plimsolls", slug="white-plimsolls", category=2,
        description=editor({"text": "<b>PE</b> &amp; school"}, {"items": ["one", {"content": "two"}]}),
    ),
    record("product.product", 8, name="Apple Juice", slug="apple-juice", category=None, description=None,
           description_plaintext="Fell straight from the tree"),
    record("product.product", 9, name="Never sold", slug="never-sold", category=None),
    record("product.productvariant", 70, sku="918223582", name="39", product=7),
    record("product.productvariant", 71, sku="918223583", name="40", product=7),
    record("product.productvariant", 80, sku=None, name="UHJvZHVjdFZhcmlhbnQ6MzQ1", product=8),
    price(1, channel=2, amount="320.000", currency="PLN"),
    price(2, channel=1, amount="80.000", currency="USD"),
    media(2, 7, "products/plimsolls-2_5be43acb.png", order=1),
    media(1, 7, "products/plimsolls-1_89b84f81.png"),
    media(3, 8, "products/apple_60641056.png"),
    media(4, 8, ""),
]  # fmt: skip


class TestSaleor(DialectPromises):
    dialect = "saleor"
    file = "saleor.json"
    content = json.dumps([
        *(each for each in SALEOR if each["pk"] not in (8, 80)),
        *(each for each in SALEOR if each["pk"] in (8, 80)),
    ])  # fmt: skip
    photographs = ("plimsolls-1.png", "plimsolls-2.png")
    last_records = 2


def test_a_saleor_fixture_becomes_products(tmp_path: Path) -> None:
    reading = read(tmp_path, SALEOR, "plimsolls-1.png", "saleor-plimsolls-2.png")
    assert list(by_sku(reading)) == ["918223582", "apple-juice"]
    plimsolls = by_sku(reading)["918223582"]
    assert (plimsolls.group, plimsolls.brand) == ("white-plimsolls", "Saleor Loom")
    assert plimsolls.texts["und"].name == "White Plimsolls"
    assert plimsolls.texts["und"].description == "PE & school one two"
    assert plimsolls.categories == ("Sneakers", "Apparel")
    assert (plimsolls.price, plimsolls.currency) == ("80.000", "USD")
    assert plimsolls.attributes == {"shoe size": "39, 40", "variants": "918223582|918223583"}
    assert [(each.role, each.reference) for each in plimsolls.photographs] == [
        ("base", "products/plimsolls-1_89b84f81.png"),
        ("detail", "products/plimsolls-2_5be43acb.png"),
    ]
    assert by_sku(reading)["apple-juice"].texts["und"].description == "Fell straight from the tree"
    assert codes(reading) == {
        "markup_removed": 2,
        "photograph_renamed": 2,
        "photograph_not_found": 1,
        "sku_from_slug": 1,
        "no_variant": 1,
    }


def test_every_record_of_a_saleor_fixture_is_accounted_for(tmp_path: Path) -> None:
    (feed,) = read(tmp_path, SALEOR).feeds
    assert feed.is_balanced
    assert (feed.rows, feed.products, feed.variants, feed.refused) == (len(SALEOR), 2, 1, 1)
    assert feed.details == len(SALEOR) - 4


def test_a_saleor_variant_with_media_of_its_own_is_a_product(tmp_path: Path) -> None:
    reading = read(
        tmp_path, [*SALEOR, record("product.variantmedia", 1, variant=71, media=2)], "plimsolls-2.png"
    )
    assert [each.reference for each in by_sku(reading)["918223583"].photographs] == [
        "products/plimsolls-2_5be43acb.png"
    ]


def test_broken_saleor_records_are_refused_and_the_others_stay(tmp_path: Path) -> None:
    broken = [
        {"model": "product.product", "pk": None, "fields": {}},
        {"model": "product.product", "pk": [1], "fields": {"name": "x"}},
        {"pk": 1, "fields": []},
        record("product.productvariant", 90, sku="X", product=404),
        record("product.productvariant", 91, sku="Y", product=[1]),
        record("product.category", 3, name="Circle", parent=3),
        record("product.product", 92, name="Loop", slug="loop", category=3, description="not a document"),
        record("product.productvariant", 93, sku="Z", product=92),
        record("product.productvariantchannellisting", 3, variant=93, channel=None, price_amount="free"),
    ]
    reading = read(tmp_path, [*SALEOR, *broken])
    assert by_sku(reading).keys() == {"918223582", "apple-juice", "Z"}
    assert by_sku(reading)["Z"].categories == ("Circle",)
    assert by_sku(reading)["Z"].texts["und"].description == "not a document"
    assert by_sku(reading)["Z"].price is None
    assert codes(reading)["not_a_fixture"] == 3
    assert codes(reading)["orphan_variant"] == 2
    assert reading.feeds[0].is_balanced
