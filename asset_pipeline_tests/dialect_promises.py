"""What every dialect promises, as tests that its test class inherits.

A dialect's test class shows a small feed as an export writes it, and adds tests of what its columns mean::

    class TestAkeneo(DialectPromises):
        dialect = "akeneo"
        file = "products.csv"
        content = "sku;family;categories;name-en_US\\n..."
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.reader import DIALECTS, CatalogReading, read_catalog
from asset_pipeline_tests.feed_forms import Delimited, Form, Json, Place, form_of
from asset_pipeline_tests.test_catalog import picture

HOSTILE = (
    "../../etc/passwd",
    '=HYPERLINK("x")',
    "<script>alert(1)</script>",
    "a\x00b",
    "\u202egnp.exe",
    "{{ 7*7 }}",
)
TEN_MEGABYTES = "ten megabytes of it " * (10 * 2**20 // 20)
LONE_SURROGATE = "half a character: \ud800"

_settings = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # each example overwrites the feed
        HealthCheck.differing_executors,  # each dialect inherits the test
        HealthCheck.too_slow,
    ],
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


class DialectPromises:
    """The promises; a subclass says which dialect makes them."""

    dialect: ClassVar[str]
    """Its NAME."""
    file: ClassVar[str]
    """What an export's file is called, with its suffix."""
    content: ClassVar[str | bytes]
    """A small feed as an export writes it, with at least two products."""
    photographs: ClassVar[tuple[str, ...]] = ()
    """Files that lie in ``images`` beside the feed; each a picture."""
    last_records: ClassVar[int] = 1
    """How many records at the feed's end are products on which no record before them has a bearing."""

    def test_it_is_recognised_as_itself_and_by_no_other_dialect(self, tmp_path: Path) -> None:
        reading = self.read(tmp_path, self.content)
        columns = read_sheet((tmp_path / "project" / "catalog" / self.file).read_bytes()).columns
        others = {each.NAME for each in DIALECTS if each.recognises(columns)} - {self.dialect, "own"}
        assert [feed.dialect for feed in reading.feeds] == [self.dialect]
        assert others == set(), "own comes last and may know the columns too; nobody else may"

    def test_every_row_is_accounted_for(self, tmp_path: Path) -> None:
        (feed,) = self.read(tmp_path, self.content).feeds
        assert feed.error is None
        assert feed.is_balanced, feed
        assert feed.unaccounted == ()
        assert feed.products >= 2, "an example has at least two products"

    def test_reading_twice_says_the_same_twice(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, self.content) == self.read(tmp_path, self.content)

    def test_reading_changes_no_file(self, tmp_path: Path) -> None:
        self.read(tmp_path, self.content)
        before = _files(tmp_path)
        self.read(tmp_path, self.content)
        assert _files(tmp_path) == before

    def test_the_order_of_columns_means_nothing(self, tmp_path: Path) -> None:
        form = self.form()
        if not isinstance(form, Delimited):
            pytest.skip("its records have no order of columns")
        expected = self.contents(tmp_path, self.content)
        count = len(form.header)
        for order in (range(count)[::-1], [*range(1, count), 0]):
            assert self.contents(tmp_path, form.with_columns(order)) == expected

    def test_blanks_around_the_names_of_columns_mean_nothing(self, tmp_path: Path) -> None:
        form = self.form()
        if not isinstance(form, Delimited):
            pytest.skip("its columns have no header")
        padded = Delimited(form.delimiter, [f"  {name.strip()}   " for name in form.header], form.records)
        assert self.contents(tmp_path, padded.written(padded.records)) == self.contents(
            tmp_path, self.content
        )

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
    def test_every_encoding_of_unicode_says_the_same(self, tmp_path: Path, encoding: str) -> None:
        expected = self.contents(tmp_path, self.content)
        assert self.contents(tmp_path, self.text().encode(encoding)) == expected

    def test_the_ends_of_lines_of_windows_mean_nothing(self, tmp_path: Path) -> None:
        windows = self.text().replace("\r\n", "\n").replace("\n", "\r\n")
        assert self.contents(tmp_path, windows) == self.contents(tmp_path, self.content)

    @pytest.mark.parametrize("count", [1, 200])
    def test_columns_that_nobody_knows_do_no_harm(self, tmp_path: Path, count: int) -> None:
        form = self.form()
        expected = self.read(tmp_path, form.written(form.records)).products
        more = [form.with_unknown_columns(record, count) for record in form.records]
        products = self.read(tmp_path, form.written(more)).products
        assert [_without_attributes(each) for each in products] == [
            _without_attributes(each) for each in expected
        ]
        for product, before in zip(products, expected, strict=True):
            assert product.attributes.items() >= before.attributes.items()

    def test_a_row_more_or_less_changes_no_other_product(self, tmp_path: Path) -> None:
        form, first, last = self.parts()
        bystanders = self.bystanders(tmp_path)
        for number in range(len(first)):
            fewer = form.written([*first[:number], *first[number + 1 :], *last])
            assert bystanders.items() <= self.contents(tmp_path, fewer).items(), f"without record {number}"
            more = form.written([*first, first[number], *last])
            assert bystanders.items() <= self.contents(tmp_path, more).items(), f"record {number} twice"

    @pytest.mark.parametrize("hostile", HOSTILE, ids=["path", "formula", "script", "nul", "rtl", "template"])
    def test_a_hostile_cell_harms_nothing_but_its_own_row(self, tmp_path: Path, hostile: str) -> None:
        form, first, _ = self.parts()
        if not form.can_say(hostile):
            pytest.skip("this format cannot say it")
        bystanders = self.bystanders(tmp_path)
        secret = tmp_path / "etc" / "passwd"
        secret.parent.mkdir(exist_ok=True)
        secret.write_bytes(picture("green", (7, 7)))
        for number, place in _each_place_once(form, first):
            self.check_beside(tmp_path, bystanders, number, form.with_value(first[number], place, hostile))

    def test_ten_megabytes_in_a_cell_harm_nothing_but_its_own_row(self, tmp_path: Path) -> None:
        form, first, _ = self.parts()
        bystanders = self.bystanders(tmp_path)
        texts = [place for place in form.places(first[0]) if isinstance(form.value(first[0], place), str)]
        place = max(texts, key=lambda place: len(form.value(first[0], place)))
        self.check_beside(tmp_path, bystanders, 0, form.with_value(first[0], place, TEN_MEGABYTES))

    def test_half_a_character_harms_nothing_but_its_own_row(self, tmp_path: Path) -> None:
        form, first, last = self.parts()
        bystanders = self.bystanders(tmp_path)
        for number, place in _each_place_once(form, first):
            changed = form.with_value(first[number], place, LONE_SURROGATE)
            records = [*first[:number], changed, *first[number + 1 :], *last]
            data = form.written(records).encode(
                "ascii" if isinstance(form, Json) else "utf-16", "surrogatepass"
            )
            assert bystanders.items() <= self.contents(tmp_path, data).items(), place

    @given(data=st.data())
    @_settings
    def test_whatever_stands_in_its_cells_every_row_is_accounted_for(
        self, tmp_path: Path, data: st.DataObject
    ) -> None:
        form = self.form()
        known = [form.value(record, place) for record in form.records for place in form.places(record)]
        values = st.sampled_from(known) | _json_values | st.sampled_from(HOSTILE)
        records = data.draw(st.lists(st.sampled_from(form.records), max_size=6))
        changed = []
        for record in records:
            places = data.draw(st.lists(st.sampled_from(form.places(record)), max_size=4))
            for place in places:
                value = data.draw(values)
                if form.can_say(str(value)):
                    record = form.with_value(record, place, value)  # noqa: PLW2901 - changed step by step
            changed.append(record)
        reading = self.read(tmp_path, form.written(changed))
        assert all(feed.is_balanced for feed in reading.feeds), reading.feeds

    @given(data=st.data())
    @_settings
    def test_whatever_json_has_in_its_columns_every_record_is_accounted_for(
        self, tmp_path: Path, data: st.DataObject
    ) -> None:
        columns = read_sheet(
            self.content if isinstance(self.content, bytes) else self.content.encode()
        ).columns
        some = data.draw(st.lists(st.sampled_from(columns), max_size=12, unique=True))
        records = data.draw(
            st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(some, _json_values)), max_size=5)
        )
        (feed,) = self.read(tmp_path, Json([]).written(records), "feed.json").feeds
        assert feed.is_balanced, feed
        assert feed.rows in (0, len(records))

    def read(self, folder: Path, content: str | bytes, file: str = "") -> CatalogReading:
        """Read a catalog of this feed alone, with the example's photographs."""
        catalog = folder / "project" / "catalog"
        (catalog / "images").mkdir(parents=True, exist_ok=True)
        for name in self.photographs:
            if not (catalog / "images" / name).exists():
                (catalog / "images" / name).write_bytes(picture())
        (catalog / (file or self.file)).write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
        return read_catalog(catalog)

    def contents(self, folder: Path, content: str | bytes) -> dict[str, str]:
        """The hash of each product's content by SKU."""
        return _contents(self.read(folder, content))

    def text(self) -> str:
        """The example as text."""
        if isinstance(self.content, str):
            return self.content
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            pytest.skip("this feed is no text")

    def form(self) -> Form:
        """The example, taken apart."""
        return form_of(self.text())

    def parts(self) -> tuple[Form, Sequence[Any], Sequence[Any]]:
        """The example's records: those that a test may change, and the last ones."""
        form = self.form()
        return form, form.records[: -self.last_records], form.records[-self.last_records :]

    def bystanders(self, folder: Path) -> dict[str, str]:
        """The products of the last records; those before them are the same without them."""
        form, first, _ = self.parts()
        without = self.contents(folder, form.written(first))
        everything = self.contents(folder, form.written(form.records))
        assert without.items() <= everything.items(), "the last records change products of others"
        bystanders = {sku: content for sku, content in everything.items() if sku not in without}
        assert bystanders, "the last records are no product of their own"
        return bystanders

    def check_beside(self, folder: Path, bystanders: dict[str, str], number: int, record: Any) -> None:
        """Read the example with another record in this place, and look for harm."""
        form, first, last = self.parts()
        reading = self.read(folder, form.written([*first[:number], record, *first[number + 1 :], *last]))
        (feed,) = reading.feeds
        assert feed.is_balanced, feed
        assert bystanders.items() <= _contents(reading).items()
        assert {file.path for file in reading.photograph_files} <= {
            f"images/{name}" for name in self.photographs
        }
        assert all(finding.model_dump_json() for finding in reading.findings)


def promise_keepers() -> list[type[DialectPromises]]:
    """The test class of every dialect: those of the modules ``test_dialect*`` that make the promises."""
    for path in sorted(Path(__file__).parent.glob("test_dialect*.py")):
        importlib.import_module(f"{__package__}.{path.stem}")
    return sorted(DialectPromises.__subclasses__(), key=lambda each: (each.dialect, each.__name__))


def _contents(reading: CatalogReading) -> dict[str, str]:
    return {product.sku: product.content_sha256 for product in reading.products}


def _without_attributes(product: Product) -> dict[str, Any]:
    return product.model_dump(exclude={"attributes", "source_sha256"})


def _each_place_once(form: Form, records: Sequence[Any]) -> Iterator[tuple[int, Place]]:
    """Each column of a feed, in the first record that says something there, else in the first that has it."""
    filled: dict[Place, int] = {}
    for number, record in enumerate(records):
        for place in form.places(record):
            if place not in filled or not form.value(records[filled[place]], place):
                filled[place] = number
    yield from ((number, place) for place, number in filled.items())


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
