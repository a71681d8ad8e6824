import contextlib
import csv
import io
import json
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from asset_pipeline.catalog import checks
from asset_pipeline.catalog.asset import catalog
from asset_pipeline.catalog.feed import Feed, account
from asset_pipeline.catalog.feed_files import catalog_fingerprint
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import NoProduct, Row
from asset_pipeline.catalog.hygiene import plain_text
from asset_pipeline.catalog.markup import without_markup
from asset_pipeline.catalog.price import decimal_mark, read_price
from asset_pipeline.catalog.product import Finding, Product
from asset_pipeline.catalog.reader import CatalogReading, read_catalog
from asset_pipeline.catalog.records import (
    FEEDS,
    FINDINGS,
    PRODUCTS,
    load_feeds,
    load_findings,
    load_photograph_files,
    load_products,
    record_catalog,
)
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.catalog.report import hygiene_report
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline.fingerprint import fingerprint, sha256_of
from asset_pipeline.store.store import Store
from asset_pipeline_tests.conftest import Address


def picture(
    colour: str = "red", size: tuple[int, int] = (8, 6), kind: str = "PNG", **options: object
) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def write(folder: Path, **feeds: str | bytes) -> Path:
    """Write files into a folder; ``__`` in a name stands for a point."""
    for name, content in feeds.items():
        place = folder / name.replace("__", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path, content: str | bytes, name: str = "feed.csv") -> CatalogReading:
    """Read a catalog of one feed."""
    return read_catalog(write(folder, **{name.replace(".", "__"): content}))


def codes(reading: CatalogReading) -> Counter[str]:
    """The findings by code; that there are no photographs goes without saying here."""
    return Counter(finding.code for finding in reading.findings if finding.code != "no_photograph")


def finding(reading: CatalogReading, code: str) -> Finding:
    (found,) = [each for each in reading.findings if each.code == code]
    return found


def only(reading: CatalogReading) -> Product:
    (product,) = reading.products
    return product


def rows(data: str | bytes) -> list[Row | NoProduct]:
    return list(read_sheet(data.encode() if isinstance(data, str) else data).rows)


def cells(data: str | bytes) -> list[dict[str, object]]:
    return [dict(row.cells) for row in rows(data) if isinstance(row, Row)]


TWO_MUGS = "sku,name\nM1,Red mug\nM2,Blue mug\n"


# --- bytes become rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_common_delimiter_is_found_whatever_the_file_is_called(tmp_path: Path, delimiter: str) -> None:
    text = 'sku,name,price\nM1,Red mug,"9"\nM2,Blue mug,8\n'.replace(",", delimiter)
    assert [product.price for product in read(tmp_path, text).products] == ["9", "8"]


def test_decimal_commas_do_not_pass_for_the_delimiter() -> None:
    assert cells("sku;name;price\nM1;Mug, red;1.299,00\n") == [
        {"sku": "M1", "name": "Mug, red", "price": "1.299,00"}
    ]


def test_a_first_line_that_names_the_delimiter_is_no_row() -> None:
    (row,) = rows("sep=;\r\nsku;name\r\nM1;Mug\r\n")
    assert isinstance(row, Row)
    assert (row.number, row.cells) == (2, {"sku": "M1", "name": "Mug"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    text = "sku,name\nM1,Größe ✓ 🎁 كوب\n"
    assert cells(text.encode(encoding)) == [{"sku": "M1", "name": "Größe ✓ 🎁 كوب"}]


def test_what_older_exports_write_is_read_as_windows_1252_and_said(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name\nM1,Café “Größe” 5 €\n".encode("cp1252"))
    assert only(reading).texts["und"].name == "Café “Größe” 5 €"
    assert finding(reading, "not_utf8").level == "repaired"


def test_one_broken_byte_does_not_garble_a_file_of_utf8(tmp_path: Path) -> None:
    rows_of_umlauts = "".join(f"M{n},Größe {n}\n" for n in range(20))
    reading = read(tmp_path, f"sku,name\n{rows_of_umlauts}".encode() + b"X,caf\xe9\n")
    assert reading.products[0].texts["und"].name == "Größe 0"
    assert reading.products[-1].texts["und"].name == "caf\ufffd"
    assert {each.row for each in reading.findings if each.code == "broken_characters"} == {None, 22}


def test_line_endings_of_all_systems_and_line_breaks_in_cells_are_read() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = f'sku,name{end}M1,"Red{end}mug"{end}M2,Cup{end}'
        assert [cell["sku"] for cell in cells(text)] == ["M1", "M2"], repr(end)


def test_padding_around_headers_cells_and_quotes_means_nothing() -> None:
    text = 'sku   , name      ,"sizes"  \n  M1  ,"Mug, red"   ,  "S|M"  \n'
    assert cells(text) == [{"sku": "M1  ", "name": "Mug, red", "sizes": "S|M"}]


def test_rows_keep_the_number_that_a_spreadsheet_shows() -> None:
    found = rows("sku,name\n\nM1,Mug\n,,\nM2,Cup\n")
    assert [(row.number, bool(row.cells)) for row in found if isinstance(row, Row)] == [
        (2, False),
        (3, True),
        (4, False),
        (5, True),
    ]


def test_a_row_is_named_by_the_fingerprint_of_its_raw_cells() -> None:
    (row,) = rows("sku,name,note\nM1, Mug ,\n")
    assert isinstance(row, Row)
    assert row.source_sha256 == fingerprint(["M1", "Mug ", ""])


def test_a_row_with_too_many_cells_is_refused_and_one_with_too_few_is_used(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name,brand\nM1,Mug, red,Acme\nM2,Cup\nM3,Pot,Acme,,\n")
    assert [product.sku for product in reading.products] == ["M2", "M3"]
    assert (finding(reading, "too_many_cells").row, finding(reading, "too_many_cells").level) == (
        2,
        "refused",
    )
    assert (finding(reading, "too_few_cells").row, finding(reading, "too_few_cells").level) == (3, "warning")


def test_a_semicolon_of_an_entity_is_no_delimiter(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku;name;note\nM1;Salt&nbsp;&amp; pepper &#8211; set;x\nM2;R&D;y\nM3;a;b;c\n")
    assert [product.texts["und"].name for product in reading.products] == ["Salt & pepper – set", "R&D"]
    assert (finding(reading, "split_entity").row, finding(reading, "too_many_cells").row) == (2, 4)


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    others = "".join(f"M{n},Mug {n}\n" for n in range(3, 1500))
    reading = read(tmp_path, f'sku,name\nM1,Mug\nM2,"Cup\n{others}')
    assert len(reading.products) == 1498
    assert finding(reading, "broken_quotes").row == 3


def test_a_quote_that_swallows_the_next_row_is_not_taken_for_a_cell(tmp_path: Path) -> None:
    reading = read(tmp_path, 'sku,name,stock\nM1,"Mug,9\nM2,"Cup",8\nM3,Pot,7\n')
    assert [product.sku for product in reading.products] == ["M2", "M3"]
    assert finding(reading, "broken_quotes").row == 2


def test_inches_in_a_quoted_cell_are_read_with_a_finding(tmp_path: Path) -> None:
    reading = read(tmp_path, 'sku,name\nM1,"5" pipe"\nM2,7" pipe\n')
    assert [product.texts["und"].name for product in reading.products] == ['5 pipe"', '7" pipe']
    assert finding(reading, "stray_quote").row == 2


def test_a_cell_of_more_than_five_hundred_lines_is_a_quote_that_was_not_closed(tmp_path: Path) -> None:
    tall, taller = '"' + "\n" * 400 + 'Mug"', '"' + "\n" * 600 + 'Cup"'
    reading = read(tmp_path, f"sku,name\nM1,{tall}\nM2,{taller}\nM3,Pot\n")
    assert [product.sku for product in reading.products] == ["M1", "M3"]
    assert {each.row for each in reading.findings if each.code == "broken_quotes"} >= {3}


def test_hostile_quotes_do_not_make_reading_slow() -> None:
    assert len(rows("sku,name\n" + 'a","b\n' * 3_000)) == 3_000


def test_columns_with_the_same_name_or_none_lose_nothing(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name,Name,,size,\nM1,Mug,Becher,x,9,\n")
    assert only(reading).texts["und"].name == "Mug"
    assert only(reading).attributes == {"name (column 3)": "Becher", "column 4": "x", "size": "9"}
    assert finding(reading, "repeated_column").row is None


def test_two_hundred_columns_and_very_large_cells_are_read(tmp_path: Path) -> None:
    header = ",".join(["sku", "name", "description", *(f"column {n}" for n in range(200))])
    reading = read(tmp_path, f"{header}\nM1,Mug,{'word ' * 100_000},{','.join(map(str, range(200)))}\n")
    assert len(only(reading).attributes) == 200
    assert len(only(reading).texts["und"].description) == 499_999


def test_json_lines_arrays_and_parquet_say_the_same_as_csv(tmp_path: Path) -> None:
    records = [{"sku": "M1", "name": "Mug", "size": 9}, {"sku": "M2", "name": "Cup", "size": 8}]
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), parquet)
    feeds: dict[str, str | bytes] = {
        "csv": "sku,name,size\nM1,Mug,9\nM2,Cup,8\n",
        "jsonl": "\n".join(json.dumps(record) for record in records),
        "json": json.dumps(records, indent=1),
        "parquet": parquet.getvalue(),
    }
    contents = {
        suffix: [each.content_sha256 for each in read(tmp_path / suffix, feed, f"feed.{suffix}").products]
        for suffix, feed in feeds.items()
    }
    assert len(contents["csv"]) == 2
    assert all(content == contents["csv"] for content in contents.values())


def test_numbers_in_json_are_as_exact_as_they_are_written(tmp_path: Path) -> None:
    reading = read(tmp_path, '{"sku": 404.10, "name": "Mug", "price": 9.90, "ratio": NaN}', "feed.jsonl")
    assert (only(reading).sku, only(reading).price, only(reading).attributes) == ("404.10", "9.90", {})


def test_whole_numbers_that_parquet_keeps_as_floats_are_whole_again(tmp_path: Path) -> None:
    data = io.BytesIO()
    pq.write_table(pa.table({"sku": [41.0, 42.0], "name": ["Mug", "Cup"], "price": [9.5, None]}), data)
    products = read(tmp_path, data.getvalue(), "feed.parquet").products
    assert [(product.sku, product.price) for product in products] == [("41", "9.5"), ("42", None)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"sku": "M2", "name": ', "not_json"),
        ("[1, 2]", "not_json"),
        ('{"sku": "M2", "name": "\\ud800"}', "not_text"),
        ("[" * 100_000, "not_json"),
    ],
)
def test_a_broken_line_of_json_costs_one_row(tmp_path: Path, line: str, code: str) -> None:
    good = '{"sku": "M1", "name": "Mug"}'
    for number, text in ((2, f"{good}\n{line}\n\n"), (1, f"{line}\n{good}\n")):
        if text.startswith("["):
            continue  # the first sign says that this is a list
        reading = read(tmp_path, text, "feed.jsonl")
        assert only(reading).sku == "M1"
        assert (finding(reading, code).level, finding(reading, code).row) == ("refused", number)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"PK\x03\x04rest of a workbook", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8bxx", "gzip"),
        (b"PAR1 but not to the end", "Parquet"),
        (b"<!DOCTYPE html><h1>404</h1>", "HTML"),
        (b"\x01\x02\x03\x04\x05" * 50, "binary"),
        (b'[{"sku": 1}, ', "JSON"),
        (b"colour,size\nred,9\n", "no known dialect"),
    ],
)
def test_what_is_no_feed_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    reading = read_catalog(write(tmp_path, feed__csv=data, other__csv=TWO_MUGS))
    assert reason in finding(reading, "unreadable_feed").message
    assert [feed.dialect for feed in reading.feeds] == [None, "own"]
    assert len(reading.products) == 2


def test_a_parquet_file_that_is_damaged_in_the_middle_gives_nothing(tmp_path: Path) -> None:
    data = io.BytesIO()
    table = pa.table(
        {"sku": [f"M{n}" for n in range(20_000)], "name": [f"Mug {n * n}" for n in range(20_000)]}
    )
    pq.write_table(table, data, row_group_size=5_000, write_page_checksum=True)
    damaged = bytearray(data.getvalue())
    damaged[len(damaged) // 2] ^= 0xFF
    reading = read(tmp_path, bytes(damaged), "feed.parquet")
    assert reading.products == []
    assert reading.feeds[0].error is not None
    assert reading.feeds[0].is_balanced


def test_a_header_alone_is_a_feed_without_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "sku,name\n").feeds[0].rows == 0


@given(data=st.binary(max_size=300))
@settings(deadline=None, max_examples=200)
def test_whatever_the_bytes_they_are_rows_or_unreadable(data: bytes) -> None:
    with contextlib.suppress(UnreadableFeed):
        numbers = [row.number if isinstance(row, Row) else row.row for row in read_sheet(data).rows]
        assert numbers == sorted(set(numbers))


# --- words


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>Soft &amp; warm</p><p>wool</p>", "Soft & warm wool"),
        ("A<b>B</b>C<br>D", "ABC D"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("a <!-- secret --> b <!-- never closed", "a b"),
        ("x<script>alert('<p>1</p>')</script>y<style>p{}</style>z", "x y z"),
        ("<p>unclosed <li>list", "unclosed list"),
        ("size <M and >L, I <3 it", "size <M and >L, I <3 it"),
        ("Salt & Pepper", "Salt & Pepper"),
        ("R&D &copy 2024", "R&D &copy 2024"),
        ("one\\ntwo\\r\\nthree", "one two three"),
        ("  much \t space\u00a0here\u2003now ", "much space here now"),
        ("“curly” and „low“ – kept", "“curly” and „low“ – kept"),
        ("🎁 family 👨‍👩‍👧 كوب أحمر", "🎁 family 👨‍👩‍👧 كوب أحمر"),
        ("a\x00b\x07c\u202edc", "abcdc"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("Cafe\u0301", "Café"),
        ("<![CDATA[Mug]]>", "Mug"),
    ],
)
def test_words_become_plain_text(raw: str, text: str) -> None:
    assert plain_text(raw)[0] == text


@pytest.mark.parametrize(
    "raw", ["Mug", "a  b", "“curly”", "Salt & Pepper", "5 < 6", "– dash", "+49 30 123", "-5"]
)
def test_what_is_right_is_not_called_wrong(raw: str) -> None:
    assert plain_text(raw)[1] == []


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("<b>x</b>", "markup_removed"),
        ("x&nbsp;y &eacute;", "markup_removed"),
        ("x\\ny", "literal_line_break"),
        ("x\x07y", "control_characters"),
        ("\u202egnp.exe", "control_characters"),
        ("caf\ufffd", "broken_characters"),
        ("GrÃ¶ÃŸe", "garbled_characters"),
        ("donâ€™t", "garbled_characters"),
        ("=1+1", "formula_cell"),
        ('=HYPERLINK("http://x")', "formula_cell"),
        ("@SUM(A1)", "formula_cell"),
        ("+cmd|' /C calc'!A0", "formula_cell"),
    ],
)
def test_what_was_done_to_words_is_said(raw: str, code: str) -> None:
    assert [remark.code for remark in plain_text(raw)[1]] == [code]


def test_a_formula_stays_the_text_that_it_is(tmp_path: Path) -> None:
    assert only(read(tmp_path, "sku,name\nM1,=1+1\n")).texts["und"].name == "=1+1"


@given(st.text())
@settings(deadline=None)
def test_plain_text_is_plain_at_the_first_attempt(raw: str) -> None:
    text, _ = plain_text(raw)
    assert text == " ".join(text.split())
    assert not any(ord(char) < 32 or char in "\u202e\u200b" for char in text)


@given(st.text(alphabet="<>/!-&;#ampltscriptbr \"'=", max_size=60))
@settings(deadline=None)
def test_no_tag_of_html_is_left_whatever_was_tried(raw: str) -> None:
    text = without_markup(raw).casefold()
    assert not any(tag in text for tag in ("<script>", "<br>", "<p>", "<!--"))


@pytest.mark.parametrize(
    "part", ["<!--", "<p ", "&amp;", "<script>", "<![CDATA[", '<a href="', "<b>", "</", "&#"]
)
def test_hostile_html_does_not_make_cleaning_slow(part: str) -> None:
    plain_text(part * 20_000)


# --- prices


@pytest.mark.parametrize(
    ("price", "amount", "currency"),
    [
        ("12.99", "12.99", None),
        ("12,99", "12.99", None),
        ("1.299,00", "1299.00", None),
        ("1,299.00", "1299.00", None),
        ("1.234.567", "1234567", None),
        ("1'299.50 CHF", "1299.50", "CHF"),
        ("105.29 USD", "105.29", "USD"),
        ("usd 105.29", "105.29", "USD"),
        ("€ 1 299,00", "1299.00", "EUR"),
        ("12,- €", "12", "EUR"),
        ("£0.50", "0.50", "GBP"),
        ("US$5", "5", "USD"),
        (".5", "0.5", None),
        (",500", "0.500", None),
        ("0", "0", None),
        ("0.125", "0.125", None),
        ("1,23,456.00", "123456.00", None),
    ],
)
def test_prices_are_read_as_people_write_them(price: str, amount: str | None, currency: str | None) -> None:
    found = read_price(price, "", None)
    assert (found.amount, found.currency) == (amount, currency)


def test_a_dollar_sign_alone_does_not_tell_which_dollar() -> None:
    found = read_price("$12", "", None)
    assert (found.amount, found.currency) == ("12", None)
    assert [remark.code for remark in found.remarks] == ["ambiguous_currency"]
    assert read_price("$12", "cad", None).currency == "CAD"


@pytest.mark.parametrize("price", ["free", "-5", "12 or 14", "1.2.3,4", "12 apples", "1e5", "9" * 50])
def test_what_is_no_price_is_none_and_said(price: str) -> None:
    found = read_price(price, "EUR", None)
    assert found.amount is None
    assert [remark.code for remark in found.remarks] == ["unreadable_price"]


def test_a_price_that_can_be_read_two_ways_is_decided_by_the_feed_or_not_at_all() -> None:
    assert [remark.code for remark in read_price("1.299", "EUR", None).remarks] == ["ambiguous_price"]
    assert read_price("1.299", "EUR", decimal_mark(["12,90", "1.299"])).amount == "1299"
    assert read_price("1.299", "EUR", decimal_mark(["12.90", "1.299"])).amount == "1.299"
    assert decimal_mark(["12,90", "12.90"]) is None


def test_a_number_of_a_format_that_knows_numbers_is_never_ambiguous() -> None:
    assert read_price(Decimal("10.000"), "USD", None).amount == "10.000"
    assert read_price(Decimal("NaN"), "USD", None).amount is None


def test_what_is_no_currency_is_said() -> None:
    assert [remark.code for remark in read_price("5", "EURO", None).remarks] == ["unknown_currency"]


@given(st.decimals(min_value=0, max_value=10**9, places=2))
@settings(deadline=None)
def test_a_price_means_the_same_in_german_english_and_swiss(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert {read_price(text, "", None).amount for text in (english, german, english.replace(",", "'"))} == {
        f"{amount:.2f}"
    }


# --- identity


@pytest.mark.parametrize("sku", ["A/B", "../../etc/passwd", "C:\\x", ".hidden", "404.038.96", "كوب", "a b"])
def test_a_sku_is_kept_whatever_it_looks_like(tmp_path: Path, sku: str) -> None:
    assert only(read(tmp_path, f"sku,name\n{sku},Mug\n")).sku == sku


def test_a_sku_that_would_lead_out_of_a_folder_is_noted(tmp_path: Path) -> None:
    assert codes(read(tmp_path, "sku,name\n../x,Mug\n")) == {"sku_is_no_file_name": 1}


@pytest.mark.parametrize(
    ("sku", "code"),
    [
        ("", "missing_sku"),
        ("A\u0007B", "unprintable_sku"),
        ("A\u202eB", "unprintable_sku"),
        ("x" * 101, "sku_too_long"),
    ],
)
def test_a_row_without_a_usable_sku_is_refused(tmp_path: Path, sku: str, code: str) -> None:
    reading = read(tmp_path, f"sku,name\n{sku},Mug\nM1,Cup\n")
    assert only(reading).sku == "M1"
    assert (finding(reading, code).row, finding(reading, code).level) == (2, "refused")


def test_a_number_that_a_spreadsheet_cut_is_a_warning(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name,gtin\n1.23E+12,Mug,4.01234E+12\n")
    assert codes(reading) == {"sku_lost_digits": 1, "gtin_lost_digits": 1}


def test_the_same_row_twice_is_noted_and_another_one_with_its_sku_is_refused(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name\nM1,Mug\nM1, Mug \nM1,Cup\n")
    assert only(reading).texts["und"].name == "Mug"
    assert (finding(reading, "repeated_row").row, finding(reading, "repeated_row").level) == (3, "note")
    assert (finding(reading, "duplicate_sku").row, finding(reading, "duplicate_sku").level) == (4, "refused")
    assert (reading.feeds[0].skipped, reading.feeds[0].refused) == (1, 1)


def test_skus_that_differ_in_case_alone_stay_with_a_warning(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name\nm1,Mug\nM1,Cup\n")
    assert len(reading.products) == 2
    assert finding(reading, "sku_differs_in_case").level == "warning"


def test_of_two_feeds_the_first_in_name_order_has_the_sku(tmp_path: Path) -> None:
    reading = read_catalog(write(tmp_path, b__csv="sku,name\nM1,Cup\n", a__csv=TWO_MUGS))
    assert [(product.sku, product.feed) for product in reading.products] == [("M1", "a.csv"), ("M2", "a.csv")]
    assert finding(reading, "duplicate_sku").feed == "b.csv"
    assert "a.csv row 2" in finding(reading, "duplicate_sku").message


# --- photographs


def photographed(folder: Path, reference: str, **files: bytes) -> CatalogReading:
    return read_catalog(write(folder, feed__csv=f'sku,name,photographs\nM1,Mug,"{reference}"\n', **files))


def test_photographs_are_found_beside_the_feed_and_in_its_images_folder(tmp_path: Path) -> None:
    files = {"mug__png": picture(), "images/mug-side__jpg": picture(kind="JPEG", size=(5, 4))}
    product = only(photographed(tmp_path, "mug.png|mug-side.jpg", **files))
    assert [(each.role, each.media_type, each.width) for each in product.photographs] == [
        ("base", "image/png", 8),
        ("side", "image/jpeg", 5),
    ]
    assert product.photographs[0].sha256 == sha256_of(picture())


def test_the_first_photograph_that_exists_is_the_main_view(tmp_path: Path) -> None:
    files = {f"images/{name}__png": picture() for name in ("b", "c", "c-logo", "c-top", "c-detail")}
    product = only(photographed(tmp_path, "a.png|b.png|c.png|c-logo.png|c-top.png|c-detail.png", **files))
    assert [each.role for each in product.photographs] == ["base", "detail", "logo", "top", "detail"]


def test_a_feed_in_a_folder_of_its_own_has_its_photographs_there(tmp_path: Path) -> None:
    feed = b"sku,name,photographs\nM1,Mug,mug.png\n"
    write(tmp_path, **{"supplier/feed__csv": feed, "supplier/images/mug__png": picture()})
    assert only(read_catalog(tmp_path)).photographs[0].reference == "mug.png"


@pytest.mark.parametrize("reference", ["MUG.png", "images\\mug.PNG", "images/Mug.Png"])
def test_a_name_in_another_case_is_found_and_said(tmp_path: Path, reference: str) -> None:
    reading = photographed(tmp_path, reference, **{"images/mug__png": picture()})
    assert len(only(reading).photographs) == 1
    assert codes(reading) == {"photograph_renamed": 1}


@pytest.mark.parametrize(
    "reference",
    ["../secret.png", "images/../../secret.png", "/etc/hostname", "C:\\x.png", "\\\\server\\x.png"],
)
def test_no_reference_leads_out_of_the_catalog(tmp_path: Path, reference: str) -> None:
    write(tmp_path, secret__png=picture())
    reading = photographed(tmp_path / "catalog", reference)
    assert only(reading).photographs == ()
    assert sorted(codes(reading)) in (["photograph_outside"], ["remote_photograph"])


def test_a_link_that_leads_out_of_the_catalog_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, secret__png=picture())
    folder = tmp_path / "catalog"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "mug.png").symlink_to(tmp_path / "secret.png")
    (folder / "outside").symlink_to(tmp_path, target_is_directory=True)
    assert codes(photographed(folder, "mug.png|outside/secret.png")) == {"photograph_outside": 2}


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("none.png", "photograph_not_found"),
        ("ftp://cdn.example/mug, red.png", "remote_photograph"),
        ("data:image/png;base64,AAAA", "remote_photograph"),
        ("mug\x00.png", "photograph_outside"),
        ("x" * 5_000, "photograph_not_found"),
        ("images", "photograph_not_found"),
        ("page.png", "unreadable_photograph"),
        ("half.png", "unreadable_photograph"),
    ],
)
def test_what_is_no_photograph_is_a_warning_and_the_product_stays(
    tmp_path: Path, reference: str, code: str
) -> None:
    files = {"images/page__png": b"<html>404</html>", "images/half__png": picture()[:20]}
    reading = photographed(tmp_path, reference, **files)
    assert only(reading).photographs == ()
    assert codes(reading) == {code: 1}
    assert finding(reading, "no_photograph").level == "warning"


def test_a_photograph_has_the_size_that_it_is_seen_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"mug__jpg": picture(kind="JPEG", exif=exif)}
    (photograph,) = only(photographed(tmp_path, "mug.jpg", **files)).photographs
    assert (photograph.width, photograph.height) == (6, 8)


def test_bytes_of_photographs_are_kept_once_in_the_store(tmp_path: Path, local_store: Store) -> None:
    feed = "sku,name,photographs\nM1,Mug,mug.png\nM2,Cup,mug.png|copy.png\n"
    folder = write(tmp_path / "catalog", feed__csv=feed, mug__png=picture(), copy__png=picture())
    reading = read_catalog(folder, local_store.images)
    assert local_store.images.get(sha256_of(picture())) == picture()
    assert [file.path for file in reading.photograph_files] == ["copy.png", "mug.png"]


def test_a_photograph_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    first = photographed(tmp_path, "mug.bmp", mug__bmp=picture("red", kind="BMP"))
    status = (tmp_path / "mug.bmp").stat()
    blue = picture("blue", kind="BMP")
    write(tmp_path, mug__bmp=blue)
    os.utime(tmp_path / "mug.bmp", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_catalog(tmp_path, known=first.photograph_files).products == first.products
    os.utime(tmp_path / "mug.bmp")
    (photograph,) = only(read_catalog(tmp_path, known=first.photograph_files)).photographs
    assert photograph.sha256 == sha256_of(blue)


# --- the whole folder


def test_feeds_lie_in_the_folder_or_one_level_below(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__csv=TWO_MUGS,
        README="not a feed",
        README__txt="not a feed",
        __hidden="not a feed",
        mug__png=picture(),
        sheet__xlsx=b"PK\x03\x04",
        **{"supplier/b__csv": "sku,name\nM3,Pot\n", "a/b/c__csv": TWO_MUGS, "images/list__csv": TWO_MUGS},
    )
    reading = read_catalog(tmp_path)
    assert [feed.file for feed in reading.feeds] == ["a.csv", "supplier/b.csv"]
    assert {(each.feed, each.code) for each in reading.findings if each.row is None} == {
        ("a/b/c.csv", "too_deep"),
        ("images/list.csv", "unknown_file"),
        ("sheet.xlsx", "unknown_file"),
    }


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_catalog(tmp_path / "none") == CatalogReading([], [], [], [])


def test_reading_the_same_twice_says_the_same_twice(tmp_path: Path) -> None:
    write(tmp_path, a__csv=TWO_MUGS, b__csv="sku,name\nM1,<b>Cup</b>\n")
    assert read_catalog(tmp_path) == read_catalog(tmp_path)


def test_content_is_the_same_wherever_the_row_stands(tmp_path: Path) -> None:
    one = read(tmp_path / "1", TWO_MUGS).products
    other = read(tmp_path / "2", "sku,name\nM2,Blue mug\n\nM1,Red mug\n").products
    assert {each.content_sha256 for each in one} == {each.content_sha256 for each in other}


def test_the_folders_fingerprint_changes_with_every_feed_and_photograph(tmp_path: Path) -> None:
    write(tmp_path, a__csv=TWO_MUGS, **{"images/mug__png": picture()})
    seen = [catalog_fingerprint(tmp_path)]
    assert catalog_fingerprint(tmp_path) == seen[0]
    write(tmp_path, b__csv=TWO_MUGS)
    seen.append(catalog_fingerprint(tmp_path))
    write(tmp_path, **{"images/mug__png": picture("blue", (9, 9))})
    seen.append(catalog_fingerprint(tmp_path))
    (tmp_path / "b.csv").unlink()
    seen.append(catalog_fingerprint(tmp_path))
    assert len(set(seen)) == 4


def test_feeds_are_hashed_by_content(tmp_path: Path) -> None:
    write(tmp_path, a__csv=TWO_MUGS, **{"images/mug__png": picture()})
    assert [feed.sha256 for feed in read_catalog(tmp_path).feeds] == [sha256_of(TWO_MUGS.encode())]


# --- the books


def test_a_row_that_is_lost_or_counted_twice_shows_in_the_books() -> None:
    assert account([2, 3, 4], products=[2], variants=[3], refused=[4])["unaccounted"] == ()
    assert account([2, 3, 4], products=[2], refused=[4])["unaccounted"] == (3,)
    assert account([2, 3], products=[2, 3], refused=[3])["unaccounted"] == (3,)
    assert account([2], products=[2, 9])["unaccounted"] == (9,)
    assert not Feed(file="a", sha256=None, rows=3, products=2).is_balanced


cell = st.text(alphabet=st.sampled_from('ab1 ,;"|\t\n\r<&=é\u202e'), max_size=6)
raw_row = st.lists(st.one_of(cell, st.sampled_from(["", "M1", "m1", "M2", "Mug", "a.png|b.png"])), max_size=7)


@given(found=st.lists(raw_row, max_size=12), quoted=st.booleans(), delimiter=st.sampled_from(",;\t|"))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_of_any_feed_is_accounted_for(
    tmp_path: Path, found: list[list[str]], delimiter: str, *, quoted: bool
) -> None:
    header = ["sku", "group", "name", "colour", "photographs"]
    if quoted:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerows([header, *found])
        text = buffer.getvalue()
    else:
        text = "\n".join(delimiter.join(cells) for cells in [header, *found])
    reading = read(tmp_path, text)
    (feed,) = reading.feeds
    assert feed.is_balanced
    assert feed.dialect == "own"
    if quoted:
        assert feed.rows == len(found)
    assert len(reading.products) == feed.products
    assert feed.refused == sum(each.level == "refused" for each in reading.findings)


# --- facts, asset and report


def test_what_is_recorded_is_read_back(address: Address, tmp_path: Path) -> None:
    store = address.open()
    feed = "sku,name,photographs\nM1,<b>Mug</b>,mug.png\n"
    folder = write(tmp_path / "catalog", a__csv=feed, mug__png=picture())
    reading = read_catalog(folder, store.images)
    assert record_catalog(store, reading, run_id="r1") == [
        "photograph_files",
        "feeds",
        "findings",
        "products",
    ]
    assert load_products(store) == reading.products
    assert load_findings(store) == reading.findings
    assert load_feeds(store) == reading.feeds
    assert load_photograph_files(store) == reading.photograph_files
    assert record_catalog(store, read_catalog(folder, store.images), run_id="r2") == []


def materialise(data: Path, store: Store) -> dg.ExecuteInProcessResult:
    assets = [
        catalog,
        checks.every_row_is_accounted_for,
        checks.there_is_a_product,
        checks.every_feed_is_readable,
    ]
    resources = {"store": store, "data": data, "fetch_rules": FetchRules()}
    return dg.materialize(assets, resources=resources, raise_on_error=False)


def test_the_asset_records_the_catalog_once_and_says_when_nothing_has_changed(
    tmp_path: Path, local_store: Store
) -> None:
    dirty = "sku,name,photographs\nM1,<b>Mug</b>,mug.png\nM2 | [x](y),,\n"
    write(tmp_path / "catalog", a__csv=dirty, mug__png=picture(), broken__csv=b"PK\x03\x04")
    first, second = materialise(tmp_path, local_store), materialise(tmp_path, local_store)
    assert first.success
    assert second.success
    metadata = first.asset_materializations_for_node("catalog")[0].metadata
    again = second.asset_materializations_for_node("catalog")[0].metadata
    assert (metadata["products"].value, metadata["findings: refused"].value) == (1, 2)
    worst = str(metadata["worst findings"].value)
    assert "[x](y)" not in worst
    assert all(line.replace("\\|", "").count("|") == 7 for line in worst.splitlines())
    assert again["written"].value == "nothing: the feeds say what they said the last time"
    assert len(local_store.facts.materialisations(PRODUCTS, "all")) == 1
    assert {each.check_name: each.passed for each in first.get_asset_check_evaluations()} == {
        "every_row_is_accounted_for": True,
        "there_is_a_product": True,
        "every_feed_is_readable": False,
    }


def test_a_catalog_without_products_stops_what_comes_after(tmp_path: Path, local_store: Store) -> None:
    result = materialise(tmp_path, local_store)
    assert not result.success
    evaluated = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert evaluated["there_is_a_product"] is False


def test_books_that_do_not_balance_fail_the_check(local_store: Store) -> None:
    feed = Feed(file="a.csv", sha256=None, rows=2, products=1, unaccounted=(3,))
    local_store.facts.write(FEEDS, "all", [feed], run_id="r")
    local_store.facts.write(FINDINGS, "all", [], run_id="r")
    result = checks.every_row_is_accounted_for(local_store)
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed


def test_the_report_needs_nothing_else_and_shows_feeds_as_text(tmp_path: Path) -> None:
    reading = read(tmp_path, "sku,name\n<img src=x onerror=alert(1)>,\n")
    page = hygiene_report(reading)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "missing_name" in page
    assert "http" not in page
    assert "src=" not in page.replace("src=x", "")
