import contextlib
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asset_pipeline.catalog.formats import compressed
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline_tests.test_catalog import cells, codes, finding, only, read, rows, write
from asset_pipeline_tests.test_dialect_google_merchant import RSS
from asset_pipeline_tests.test_dialect_schema_org import GRAPH

ITEM = "<item><id>M{}</id><title>Mug</title><link>x</link><price>9 EUR</price></item>"


def rss(items: str, before: str = "") -> str:
    return f'{before}<rss version="2.0"><channel>{items}</channel></rss>'


def reason(data: str | bytes) -> str:
    """Why a feed cannot be read."""
    with pytest.raises(UnreadableFeed) as caught:
        rows(data)
    return str(caught.value)


@contextlib.contextmanager
def quickly(seconds: float) -> Iterator[None]:
    """Whatever else the machine does: the time is the processor's."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


# --- numbers


def test_a_number_beyond_all_use_stays_the_text_that_it_is(tmp_path: Path) -> None:
    feed = '{"sku": "M1", "name": "Mug", "weight": 1.5E+99999999999999999999, "price": 9.90}\n'
    product = only(read(tmp_path, feed, "feed.jsonl"))
    assert (product.price, product.attributes["weight"]) == ("9.90", "1.5E+99999999999999999999")


# --- XML


@pytest.mark.parametrize("name", ["item", "entry", "product"])
def test_items_entries_and_products_of_xml_are_rows(name: str) -> None:
    text = f"<all><head>x</head><{name}><sku>M1</sku><name>Mug</name><note/></{name}><{name}/></all>"
    assert [(row.number, dict(row.cells)) for row in rows(text) if isinstance(row, Row)] == [
        (1, {"sku": "M1", "name": "Mug"}),
        (2, {}),
    ]


def test_xml_in_the_project_s_own_words_is_read_too(tmp_path: Path) -> None:
    feed = "<products><product><sku>M1</sku><name>Mug</name><colour>red</colour></product></products>"
    reading = read(tmp_path, feed, "feed.xml")
    assert (only(reading).sku, only(reading).attributes) == ("M1", {"colour": "red"})
    assert reading.feeds[0].dialect == "own"


def test_elements_within_elements_are_objects_and_repeated_ones_lists() -> None:
    item = (
        '<item><a>1</a><b><c> x </c><c>y</c></b><a>2</a><d href="z" xml:lang="de"/>'
        "<e><![CDATA[<&]]></e></item>"
    )
    assert cells(rss(item)) == [{"a": ["1", "2"], "b": {"c": ["x", "y"]}, "d": {"href": "z"}, "e": "<&"}]


def test_a_product_within_an_item_is_part_of_it() -> None:
    assert cells(rss("<item><product><name>x</name></product></item>")) == [{"product": {"name": "x"}}]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-8"),
        ("iso-8859-2", "ISO-8859-2"),
        ("cp1251", "windows-1251"),
        ("shift_jis", "Shift_JIS"),
        ("utf-8", "ISO-8859-1"),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_has(encoding: str, declared: str) -> None:
    words = {"iso-8859-2": "łóżko ľ", "cp1251": "кружка", "shift_jis": "湯のみ茶碗"}.get(
        encoding, "Größe ✓ كوب"
    )
    text = rss(f"<item><name>{words}</name></item>", f'<?xml version="1.0" encoding="{declared}"?>')
    sheet = read_sheet(text.encode(encoding))
    assert [row.cells for row in sheet.rows if isinstance(row, Row)] == [{"name": words}]
    assert sheet.remarks == []


@pytest.mark.parametrize("declared", ["UTF-8", "nonsense", "hex", "idna"])
def test_a_wrong_word_on_the_encoding_does_no_harm(tmp_path: Path, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>'
    text = rss("<item><sku>M1</sku><name>Café</name></item>", head)
    reading = read(tmp_path, text.encode("cp1252"), "feed.xml")
    assert only(reading).texts["und"].name == "Café"
    assert finding(reading, "not_utf8").level == "repaired"


def test_control_characters_that_xml_forbids_are_taken_out(tmp_path: Path) -> None:
    reading = read(tmp_path, rss("<item><sku>M1</sku><name>Red\x0b mug\x00</name></item>"), "feed.xml")
    assert only(reading).texts["und"].name == "Red mug"
    assert codes(reading) == {"control_characters": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("<!DOCTYPE html><html><body>404</body></html>", "error page"),
        ("<html><body>503<br></body></html>", "error page"),
        ('<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML" "x"><html/>', "error page"),
        ("<Error><Code>NoSuchKey</Code></Error>", "no item, entry or product"),
        (rss(""), "no item, entry or product"),
        (rss(ITEM.format(1))[:-20], "damaged"),
        (rss("<item><name>Salt & pepper</name></item>"), "&amp;"),
        (rss("<item><name>a&nbsp;b</name></item>"), "&amp;"),
        (rss("<item><name>x</item>"), "damaged"),
        (rss(ITEM) + rss(ITEM), "damaged"),
        ("<", "damaged"),
    ],
)
def test_xml_that_is_no_feed_is_refused_with_what_to_do(data: str, words: str) -> None:
    assert words in reason(data)


def test_a_feed_that_ends_in_the_middle_is_to_be_transferred_again() -> None:
    assert "transfer it again" in reason(rss(ITEM.format(1))[:-3])


@pytest.mark.parametrize("before", [1, 99, 100, 250])
def test_rows_before_the_damage_are_refused_and_none_is_lost(tmp_path: Path, before: int) -> None:
    feed = rss("".join(map(ITEM.format, range(before))) + "<item><id>&broken;</id></item>")
    reading = read_catalog(write(tmp_path, feed__xml=feed, other__csv="sku,name\nX,Cup\n"))
    assert [each.sku for each in reading.products] == ["X"]
    damaged = reading.feeds[0]
    assert (damaged.rows, damaged.refused, damaged.is_balanced) == (before, before, True)
    assert "undefined entity" in finding(reading, "unreadable_feed").message


LAUGHS = (
    "<!DOCTYPE rss [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    + "]>"
)


@pytest.mark.parametrize(
    "feed",
    [
        rss("<item><name>&a11;</name></item>", LAUGHS),
        rss("<item><name>&x;</name></item>", '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        rss("<item><name>x</name></item>", '<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd">'),
        rss("<item><name>x</name></item>", "<!DOCTYPE rss [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>"),
    ],
)
def test_xml_that_declares_entities_is_refused_before_they_are_used(feed: str) -> None:
    with quickly(1):
        assert "<!DOCTYPE" in reason(feed)


def test_an_included_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    include = (
        f'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{tmp_path}/secret.txt" parse="text"/>'
    )
    (found,) = cells(rss(f"<item><name>{include}</name></item>"))
    assert "secret" not in json.dumps(found).replace("secret.txt", "")


def test_elements_a_hundred_deep_are_refused() -> None:
    with quickly(2):
        assert "deep" in reason("<a>" * 1_000_000)
        assert "deep" in reason(rss("<item>" + "<a>" * 1_000_000))
        assert "deep" in reason(rss("<item><a>" + "<b>" * 1_000_000))


def test_a_text_of_ten_megabytes_is_read_and_a_longer_one_costs_its_row(tmp_path: Path) -> None:
    texts = ("word " * (2 << 20), "word " * (4 << 20), "short")
    feed = rss("".join(f"<item><sku>M{n}</sku><name>{text}</name></item>" for n, text in enumerate(texts)))
    with quickly(20):
        reading = read(tmp_path, feed, "feed.xml")
    assert [each.sku for each in reading.products] == ["M0", "M2"]
    assert finding(reading, "record_too_large").row == 2


def test_a_record_of_hundreds_of_thousands_of_elements_costs_its_row() -> None:
    with quickly(10):
        found = rows(rss("<item>" + "<a/>" * 400_000 + "</item>" + ITEM.format(1)))
    assert [isinstance(row, Row) for row in found] == [False, True]


def test_a_name_of_ten_megabytes_and_ten_thousand_attributes_are_harmless() -> None:
    many = " ".join(f'a{n}="{n}"' for n in range(10_000))
    with quickly(5):
        assert len(rows(rss(f"<item {many}><a {many}/><name>x</name></item>"))) == 1
        assert len(rows(rss(f'<item><name title="{"x" * (10 << 20)}">x</name></item>'))) == 1
        assert len(rows(rss(f"<!-- {'<g:' * (3 << 20)} -->" + ITEM.format(1)))) == 1


def test_a_long_feed_takes_no_more_memory_than_a_short_one() -> None:
    item = ITEM.replace("Mug", "Mug " * 1_000)

    def peak(count: int) -> int:
        sheet = read_sheet(rss("".join(map(item.format, range(count)))).encode())
        tracemalloc.start()
        assert sum(1 for _ in sheet.rows) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(1_000), peak(4_000)
    assert many < few * 1.3


# --- JSON


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("key", ["products", "items"])
def test_the_products_of_an_interface_s_answer_are_rows(tmp_path: Path, key: str, indent: int | None) -> None:
    answer = {"total": 2, key: [{"sku": "M1", "name": "Mug"}, {"sku": "M2", "name": "Cup"}], "next": None}
    reading = read(tmp_path, json.dumps(answer, indent=indent), "feed.json")
    assert [(each.sku, each.row) for each in reading.products] == [("M1", 1), ("M2", 2)]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_product_with_items_in_it_is_one_product(tmp_path: Path, indent: int | None) -> None:
    record = {"sku": "M1", "name": "Mugs", "items": [{"sku": "M2"}]}
    assert only(read(tmp_path, json.dumps(record, indent=indent), "feed.json")).sku == "M1"


def test_what_is_no_record_in_a_list_of_products_is_refused() -> None:
    found = rows(json.dumps({"products": [{"sku": "M1"}, 7, None, [1]]}))
    assert [isinstance(row, Row) for row in found] == [True, False, False, False]


@pytest.mark.parametrize("depths", [range(1, 400, 20), range(900, 1000)])
def test_however_deep_a_graph_is_it_is_harmless(tmp_path: Path, depths: range) -> None:
    head = '{"@type": "ProductGroup", "@id": "#x", "sku": "G", "name": "Mugs", "hasVariant": '
    graph = '{"@type": "Thing", "name": "x", "@graph": '
    with quickly(20):
        for depth in depths:
            for start in (head, graph):
                nested = start * depth + '{"@type": "Product", "sku": "M1", "name": "Mug"}' + "}" * depth
                (feed,) = read(tmp_path, f"[{nested}]", "feed.json").feeds
                assert feed.is_balanced
                assert feed.rows < 30


# --- gzip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("feed.csv.gz", "sku,name\nM1,Mug\n"),
        ("feed.jsonl.GZ", '{"sku": "M1", "name": "Mug"}\n'),
        ("feed.xml.gz", "<products><product><sku>M1</sku><name>Mug</name></product></products>"),
    ],
)
def test_any_feed_may_be_compressed(tmp_path: Path, name: str, text: str) -> None:
    reading = read(tmp_path, gzip.compress(text.encode()), name)
    assert (only(reading).sku, only(reading).texts["und"].name) == ("M1", "Mug")
    assert reading.feeds[0].file == name


def test_what_is_compressed_is_known_by_its_bytes(tmp_path: Path) -> None:
    assert only(read(tmp_path, gzip.compress(b"sku,name\nM1,Mug\n"), "feed.csv")).sku == "M1"


def test_parts_that_were_compressed_one_by_one_are_one_feed() -> None:
    assert len(rows(gzip.compress(b"sku,name\nM1,Mug\n") + gzip.compress(b"M2,Cup\n"))) == 2


def test_only_what_holds_a_feed_is_taken_for_one(tmp_path: Path) -> None:
    packed = gzip.compress(b"sku,name\nM1,Mug\n")
    reading = read_catalog(write(tmp_path, photographs__tar__gz=packed, page__html="<p>x", feed__jsonld="{}"))
    assert [feed.file for feed in reading.feeds] == ["feed.jsonld"]
    assert codes(reading)["unknown_file"] == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "no deflate", "followed", "nothing"])
def test_a_damaged_gzip_file_is_refused_with_what_to_do(damage: str) -> None:
    whole = gzip.compress(b"sku,name\n" + b"".join(b"M%d,Mug\n" % n for n in range(1_000)))
    middle = len(whole) // 2
    data = {
        "cut": whole[:-10],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        "no deflate": whole[:10] + b"\xff" * 20,
        "followed": whole + b"rubbish",
        "nothing": b"\x1f\x8b",
    }[damage]
    assert "transfer it again" in reason(data)


def test_a_bomb_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "LARGEST", 64 << 20)
    bomb = gzip.compress(bytes(32 << 20)) * 100
    tracemalloc.start()
    with quickly(10):
        assert "more than 64 MiB" in reason(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_two_gibibytes_are_the_limit() -> None:
    assert compressed.LARGEST == 2 << 30


def test_gzip_within_gzip_is_not_followed() -> None:
    assert "unpack it" in reason(gzip.compress(gzip.compress(b"sku,name\nM1,Mug\n")))


# --- whatever happens to the bytes


@given(data=st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["xml", "jsonld", "gz"])
def test_whatever_happens_to_a_feed_s_bytes_it_is_accounted_for(
    tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    whole = {
        "xml": RSS.encode(),
        "jsonld": json.dumps(GRAPH, indent=1).encode(),
        "gz": gzip.compress(RSS.encode()),
    }
    feed = bytearray(whole[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(feed)))
        length = data.draw(st.sampled_from([0, 0, 1, 1, 3, 40]))
        feed[at : at + length] = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"<", b"&", b"</item>", b"<item>", b'"', b"{", b"]", b"\xff\xfe"])
        )
    (tmp_path / f"feed.{kind}").unlink(missing_ok=True)
    reading = read(tmp_path, bytes(feed), f"feed.{kind}" if kind != "gz" else "feed.xml.gz")
    (found,) = reading.feeds
    assert found.is_balanced, found
    assert found.error is None or found.products == 0
