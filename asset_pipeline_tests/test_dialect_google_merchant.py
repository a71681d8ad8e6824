import gzip
from pathlib import Path

import pytest

from asset_pipeline.catalog.dialects import google_merchant
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import CatalogReading, recognise
from asset_pipeline_tests.dialect_promises import DialectPromises
from asset_pipeline_tests.test_catalog import codes, finding, only, picture, read

G = 'xmlns:g="http://base.google.com/ns/1.0"'


def item(**elements: str) -> str:
    """An item with Google's elements; ``_`` before a name is for one without a prefix."""
    found = {"id": "M1", "title": "Mug", "link": "https://shop.example/m1", "price": "9.90 EUR", **elements}
    texts = (
        f"<{name[1:]}>{text}</{name[1:]}>" if name[0] == "_" else f"<g:{name}>{text}</g:{name}>"
        for name, text in found.items()
        if text
    )
    return f"<item>{''.join(texts)}</item>"


def rss(*items: str, declared: str = G, channel: str = "") -> str:
    return f'<rss version="2.0" {declared}><channel>{channel}{"".join(items)}</channel></rss>'


def by_sku(reading: CatalogReading) -> dict[str, Product]:
    return {product.sku: product for product in reading.products}


def with_pictures(folder: Path, *names: str) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name in names:
        (folder / "images" / name).write_bytes(picture())
    return folder


RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0">
  <channel>
    <title>A shop</title>
    <link>https://shop.example</link>
    <description>All that it sells</description>
    <item>
      <g:id>T1</g:id>
      <g:item_group_id>tee</g:item_group_id>
      <title>A tee, says RSS</title>
      <g:title><![CDATA[Tee <Soft> & warm]]></g:title>
      <g:description>&lt;p&gt;Cotton &amp;amp; linen&lt;/p&gt;</g:description>
      <g:link>https://shop.example/tee?colour=red</g:link>
      <g:image_link>tee.png</g:image_link>
      <g:additional_image_link>tee-side.png</g:additional_image_link>
      <g:additional_image_link>label, big.png</g:additional_image_link>
      <g:lifestyle_image_link>beach.png</g:lifestyle_image_link>
      <g:availability>in_stock</g:availability>
      <g:price>105.29 USD</g:price>
      <g:sale_price>99.00 USD</g:sale_price>
      <g:google_product_category>Apparel &amp; Accessories &gt; Clothing</g:google_product_category>
      <g:product_type>Home &gt; Women &gt; Tees</g:product_type>
      <g:brand>Acme</g:brand>
      <g:gtin>3234567890126</g:gtin>
      <g:mpn>A-1</g:mpn>
      <g:condition>new</g:condition>
      <g:color>red</g:color>
      <g:size>M</g:size>
      <g:material>cotton</g:material>
      <g:pattern>plain</g:pattern>
      <g:gender>female</g:gender>
      <g:age_group>adult</g:age_group>
      <g:product_highlight>Washable</g:product_highlight>
      <g:product_highlight>Light</g:product_highlight>
      <g:product_detail>
        <g:section_name>General</g:section_name>
        <g:attribute_name>Fit</g:attribute_name>
        <g:attribute_value>loose</g:attribute_value>
      </g:product_detail>
      <g:product_detail>
        <g:attribute_name>Neck</g:attribute_name>
        <g:attribute_value>round</g:attribute_value>
      </g:product_detail>
      <g:shipping><g:country>US</g:country><g:price>6.49 USD</g:price></g:shipping>
      <g:shipping><g:country>DE</g:country><g:price>9.49 USD</g:price></g:shipping>
    </item>
    <item>
      <g:id>T2</g:id>
      <g:item_group_id>tee</g:item_group_id>
      <g:title>Tee</g:title>
      <g:link>https://shop.example/tee?colour=blue</g:link>
      <g:image_link>blue.png</g:image_link>
      <g:availability>in_stock</g:availability>
      <g:price>105.29 USD</g:price>
      <g:color>blue</g:color>
    </item>
    <item>
      <g:id>M1</g:id>
      <g:title>Mug</g:title>
      <g:link>https://shop.example/mug</g:link>
      <g:image_link>mug.png</g:image_link>
      <g:availability>out_of_stock</g:availability>
      <g:price>9.90 EUR</g:price>
    </item>
  </channel>
</rss>
"""
RSS_PHOTOGRAPHS = (
    "tee.png",
    "tee-side.png",
    "label, big.png",
    "beach.png",
    "blue.png",
    "mug.png",
)


class TestRss(DialectPromises):
    dialect = "google_merchant"
    file = "feed.xml"
    content = RSS
    photographs = RSS_PHOTOGRAPHS

    def test_every_element_has_its_place(self, tmp_path: Path) -> None:
        reading = self.read(tmp_path, RSS)
        tee = by_sku(reading)["T1"]
        assert (tee.group, tee.brand, tee.price, tee.currency) == ("tee", "Acme", "105.29", "USD")
        assert tee.texts["und"].name == "Tee <Soft> & warm"
        assert tee.texts["und"].description == "Cotton & linen"
        assert tee.categories == ("Tees", "Women", "Home", "Clothing", "Apparel & Accessories")
        assert [(each.role, each.reference) for each in tee.photographs] == [
            ("base", "tee.png"),
            ("side", "tee-side.png"),
            ("detail", "label, big.png"),
            ("style", "beach.png"),
        ]
        assert tee.attributes == {
            "availability": "in_stock",
            "sale_price": "99.00 USD",
            "gtin": "3234567890126",
            "mpn": "A-1",
            "condition": "new",
            "colour": "red",
            "size": "M",
            "material": "cotton",
            "pattern": "plain",
            "gender": "female",
            "age_group": "adult",
            "product_highlight": "Washable, Light",
            "fit": "loose",
            "neck": "round",
        }
        assert by_sku(reading).keys() == {"T1", "T2", "M1"}
        assert tee.row == 1

    def test_it_is_read_compressed_too(self, tmp_path: Path) -> None:
        plain = self.contents(tmp_path, RSS)
        (tmp_path / "project" / "catalog" / self.file).unlink()
        packed = self.read(tmp_path, gzip.compress(RSS.encode()), "feed.xml.gz")
        assert {product.sku: product.content_sha256 for product in packed.products} == plain


TSV = (
    "id\ttitle\tdescription\tlink\timage link\tadditional image link\tlifestyle image link\tprice\t"
    "availability\titem group id\tcolor\tproduct detail(section_name:attribute_name:attribute_value)\n"
    "T1\tTee\tSoft\thttps://shop.example/t1\ttee.png\ttee-side.png,label, big.png\tbeach.png,sea.png\t"
    '105.29 USD\tin stock\ttee\tred\t"General:Fit:loose,General:Care:wash at 30:60"\n'
    "T2\tTee\tSoft\thttps://shop.example/t2\ttee.png\ttee-side.png,label, big.png\tbeach.png,sea.png\t"
    "105.29 USD\tin stock\ttee\tred\t\n"
    "M1\tMug\t\thttps://shop.example/m1\tmug.png\t\t\t9.90 EUR\tin stock\t\tblue\t\n"
)


class TestTsv(DialectPromises):
    dialect = "google_merchant"
    file = "feed.tsv"
    content = TSV
    photographs = ("tee.png", "tee-side.png", "label, big.png", "beach.png", "sea.png", "mug.png")

    def test_every_column_has_its_place(self, tmp_path: Path) -> None:
        reading = self.read(tmp_path, TSV)
        tee = by_sku(reading)["T1"]
        assert (tee.group, tee.price, tee.currency) == ("tee", "105.29", "USD")
        assert tee.attributes == {
            "availability": "in stock",
            "colour": "red",
            "fit": "loose",
            "care": "wash at 30:60",
            "variants": "T1|T2",
        }
        assert [(each.role, each.reference) for each in tee.photographs] == [
            ("base", "tee.png"),
            ("side", "tee-side.png"),
            ("detail", "label, big.png"),
            ("style", "beach.png"),
            ("style", "sea.png"),
        ]
        assert list(by_sku(reading)) == ["T1", "M1"]


ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom" {G} xml:lang="de-at">
<title>Ein Laden</title>
<entry>
  <title>Häferl</title><link rel="alternate" href="https://shop.example/m1"/>
  <summary>Aus Ton</summary><id>tag:shop.example,2026:m1</id><updated>2026-01-01</updated>
  <g:id>M1</g:id><g:price>9,90 EUR</g:price><g:availability>in stock</g:availability>
</entry>
</feed>"""


def test_an_atom_feed_says_the_same_with_its_own_elements(tmp_path: Path) -> None:
    product = only(read(tmp_path, ATOM, "feed.xml"))
    assert (product.sku, product.price) == ("M1", "9.90")
    assert {locale: (text.name, text.description) for locale, text in product.texts.items()} == {
        "de-AT": ("Häferl", "Aus Ton")
    }
    assert product.attributes == {"availability": "in stock"}


@pytest.mark.parametrize(
    "feed",
    [
        rss(item(), declared='xml:lang="de-DE" ' + G),
        rss(item(content_language="de_de")),
        rss(item(), channel="<language>de-de</language>"),
        rss(item()).replace("<item>", '<item xml:lang="de-DE">'),
        "id\ttitle\tprice\tlink\tcontent language\nM1\tMug\t9.90 EUR\tx\tde-DE\n",
    ],
)
def test_words_are_in_the_language_that_the_feed_tells(tmp_path: Path, feed: str) -> None:
    product = only(read(tmp_path, feed, "feed.xml"))
    assert product.texts.keys() == {"de-DE"}
    assert "language" not in str(product.attributes)


def test_a_language_that_is_none_tells_nothing(tmp_path: Path) -> None:
    assert only(read(tmp_path, rss(item(content_language="German")), "feed.xml")).texts.keys() == {"und"}


def test_an_item_may_be_in_another_language_than_the_others(tmp_path: Path) -> None:
    feed = rss(item(), item(id="M2", content_language="fr"), declared=f'{G} xml:lang="en"')
    assert [list(each.texts) for each in read(tmp_path, feed, "feed.xml").products] == [["en"], ["fr"]]


@pytest.mark.parametrize(
    "feed",
    [
        rss(item()).replace("g:", "merchant:").replace('xmlns:g="', 'xmlns:merchant="'),
        rss(item(), declared='xmlns:g="https://base.google.com/ns/1.0/"'),
        rss(item()).replace("<g:", "<").replace("</g:", "</"),
        rss(item(), declared=""),
        rss(item(), declared='xmlns="http://base.google.com/ns/1.0" ' + G),
        "\n\n" + rss(item()),
    ],
)
def test_google_s_elements_are_known_by_any_prefix_and_by_none(tmp_path: Path, feed: str) -> None:
    reading = read(tmp_path, feed, "feed.xml")
    assert (only(reading).sku, only(reading).price, only(reading).attributes) == ("M1", "9.90", {})
    assert reading.feeds[0].dialect == "google_merchant"


def test_a_prefix_that_is_not_declared_is_said(tmp_path: Path) -> None:
    remark = finding(read(tmp_path, rss(item(), declared=""), "feed.xml"), "undeclared_namespace")
    assert (remark.level, remark.row) == ("repaired", None)
    assert "prefix g" in remark.message


def test_google_s_element_counts_before_those_of_the_same_name(tmp_path: Path) -> None:
    dublin = G + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    words = "<dc:title>Third</dc:title><title>Second</title><g:title>First</g:title>"
    feed = rss(item(title="").replace("</item>", f"{words}</item>"), declared=dublin)
    assert only(read(tmp_path, feed, "feed.xml")).texts["und"].name == "First"
    feed = feed.replace("<g:title>First</g:title>", "")
    assert only(read(tmp_path / "2", feed, "feed.xml")).texts["und"].name == "Second"


def test_html_that_is_written_as_elements_is_plain_text(tmp_path: Path) -> None:
    feed = rss(item(description="<p>Soft <b>cot</b>ton</p>and<ul><li>warm</li><li>light</li></ul>"))
    assert only(read(tmp_path, feed, "feed.xml")).texts["und"].description == "Soft cotton and warm light"


def test_several_pictures_in_one_element_name_are_all_taken(tmp_path: Path) -> None:
    links = "a.png</g:image_link><g:image_link>b.png"
    product = only(read(with_pictures(tmp_path, "a.png", "b.png"), rss(item(image_link=links)), "feed.xml"))
    assert [each.reference for each in product.photographs] == ["a.png", "b.png"]


def test_pictures_are_parted_at_the_comma_before_the_next() -> None:
    cell = "https://shop.example/a.jpg?w=1,2,https://shop.example/b.jpg, //shop.example/c.png ,e, f.webp"
    sheet = read_sheet(f'id,title,price,link,additional_image_link\nM1,Mug,9 EUR,x,"{cell}"\n'.encode())
    (row,) = (row for row in sheet.rows if isinstance(row, Row))
    (draft,) = google_merchant.drafts(sheet.columns, [row])
    assert [each.path for each in draft.photographs] == [
        "https://shop.example/a.jpg?w=1,2",
        "https://shop.example/b.jpg",
        "//shop.example/c.png",
        "e, f.webp",
    ]


def test_one_detail_may_hold_several_and_text_without_a_name_is_none(tmp_path: Path) -> None:
    several = (
        "<g:attribute_name>Fit</g:attribute_name><g:attribute_value>loose</g:attribute_value>"
        "<g:attribute_name>Neck</g:attribute_name><g:attribute_value>round</g:attribute_value>"
    )
    text = "</g:product_detail><g:product_detail>Rating: 4 of 5"
    assert only(read(tmp_path, rss(item(product_detail=several + text)), "feed.xml")).attributes == {
        "fit": "loose",
        "neck": "round",
    }


def test_a_detail_does_not_take_the_place_of_an_attribute(tmp_path: Path) -> None:
    detail = "<g:attribute_name>Color</g:attribute_name><g:attribute_value>any</g:attribute_value>"
    feed = rss(item(color="red", product_detail=detail))
    assert only(read(tmp_path, feed, "feed.xml")).attributes == {"colour": "red"}


def test_a_category_s_number_is_an_attribute(tmp_path: Path) -> None:
    product = only(read(tmp_path, rss(item(google_product_category="2271")), "feed.xml"))
    assert (product.categories, product.attributes) == ((), {"google_product_category": "2271"})


def test_items_without_id_or_title_are_refused_and_the_others_stay(tmp_path: Path) -> None:
    reading = read(tmp_path, rss(item(id=""), item(title="", id="M2"), item(id="M3")), "feed.xml")
    assert by_sku(reading).keys() == {"M3"}
    assert codes(reading) == {"missing_sku": 1, "missing_name": 1}
    assert reading.feeds[0].is_balanced


@pytest.mark.parametrize(
    ("columns", "dialect"),
    [
        ("id title link price", "google_merchant"),
        ("id title image_link price", "google_merchant"),
        ("ID|Title|Availability|Price|Image Link", "google_merchant"),
        ("g:id g:title g:link g:price", "google_merchant"),
        ("sku name price link availability", "own"),
        ("id sku title price link", "own"),
        ("id title title-de price link", "own"),
        ("id title name_de_DE price link", "own"),
        ("id title price", "own"),
        ("id title link", "own"),
    ],
)
def test_it_is_known_by_what_google_asks_for(columns: str, dialect: str) -> None:
    found = recognise(columns.split("|") if "|" in columns else columns.split())
    assert dialect == found.NAME
