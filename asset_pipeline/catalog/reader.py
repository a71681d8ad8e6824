"""The catalog folder becomes products and findings. Reads files and changes none.

Feeds lie in the folder or one level below it. One that cannot be read never stops the others, a row that is
wrong never stops the rows that are right, and every row is accounted for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asset_pipeline.catalog.books import Books
from asset_pipeline.catalog.dialect import Detail, Dialect, Draft, PhotographReference
from asset_pipeline.catalog.dialects import (
    akeneo,
    berkeley_objects,
    google_merchant,
    magento,
    own,
    saleor,
    schema_org,
    shopify,
    vendure,
    woocommerce,
)
from asset_pipeline.catalog.duplicates import settle_duplicates
from asset_pipeline.catalog.feed import Feed
from asset_pipeline.catalog.feed_files import find_feeds
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, Sheet
from asset_pipeline.catalog.hygiene import clean
from asset_pipeline.catalog.photographs import (
    Found,
    PhotographFile,
    Remote,
    Shelf,
    album,
    read_photographs,
)
from asset_pipeline.catalog.picture_file import PictureFile
from asset_pipeline.catalog.price import decimal_mark
from asset_pipeline.catalog.product import Finding, Product, Text
from asset_pipeline.catalog.remote.photograph import RemotePhotograph, remark_on
from asset_pipeline.catalog.variants import merge_variants
from asset_pipeline.errors import UnreadableFeed
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.images import Images

DIALECTS: tuple[Dialect, ...] = (
    vendure,
    shopify,
    woocommerce,
    magento,
    saleor,
    berkeley_objects,
    akeneo,
    schema_org,
    google_merchant,
    own,
)
"""Asked in this order whether a feed is theirs."""


@dataclass(frozen=True)
class CatalogReading:
    """What the catalog folder says."""

    products: list[Product]
    findings: list[Finding]
    feeds: list[Feed]
    photograph_files: list[PhotographFile]
    remote_photographs: list[RemotePhotograph] = field(default_factory=list)
    """What is known of those that feeds name by URL."""

    @property
    def photographs(self) -> int:
        """How many photographs there are, from here and from elsewhere."""
        return len(self.photograph_files) + sum(each.picture is not None for each in self.remote_photographs)


KnownByUrl = Callable[[Iterable[str]], Mapping[str, RemotePhotograph]]
"""Gives what is known of the photographs at some URLs, after asking for them or without."""


def read_catalog(
    folder: Path,
    images: Images | None = None,
    known: Iterable[PhotographFile] = (),
    remote: KnownByUrl = lambda _urls: {},
    report: Callable[[str], None] = lambda _line: None,
) -> CatalogReading:
    """Read all feeds of a folder.

    Args:
        folder: the catalog folder; one that is not there holds nothing.
        images: where photographs' bytes go; None to keep nothing.
        known: photographs' files whose bytes are kept already.
        remote: who knows photographs by URL; without, they are not fetched yet.
        report: is told how far it is.
    """
    files, others = find_feeds(folder)
    books = [_read_feed(folder, file) for file in files]
    for each in books:
        report(f"{each.file}: {each.error or f'{len(each.rows)} rows, dialect {each.dialect}'}")
    _settle(books)
    shelf = Shelf(folder)
    found = [_find_photographs(each, shelf) for each in books]
    finds = [find for of_feed in found for sightings in of_feed for _, find in sightings]
    paths = {find.path for find in finds if isinstance(find, Found)}
    urls = {find.url for find in finds if isinstance(find, Remote)}
    report(f"{sum(len(each.drafts) for each in books)} products, {len(paths) + len(urls)} photographs")
    files_read = read_photographs(paths, folder, images=images, known=known)
    fetched = dict(remote(urls))
    products = [
        _product(each, draft, sightings, _Album(files_read, fetched))
        for each, finds in zip(books, found, strict=True)
        for draft, sightings in zip(each.drafts, finds, strict=True)
    ]
    findings = [*others, *(finding for each in books for finding in each.findings)]
    return CatalogReading(
        products=products,
        findings=sorted(findings, key=lambda finding: (finding.feed, finding.row or 0)),
        feeds=[each.closed() for each in books],
        photograph_files=[file for file in files_read.values() if isinstance(file, PhotographFile)],
        remote_photographs=[fetched[url] for url in sorted(fetched)],
    )


def recognise(columns: Sequence[str]) -> Dialect:
    """The dialect of a feed with these columns.

    Raises:
        UnreadableFeed: nobody knows it.
    """
    dialect = next((dialect for dialect in DIALECTS if dialect.recognises(columns)), None)
    if dialect is None:
        some = ", ".join(columns[:20]) + (" ..." if len(columns) > 20 else "")  # noqa: PLR2004 - fits on a line
        raise UnreadableFeed(
            f"no known dialect ({', '.join(each.NAME for each in DIALECTS)}) has these columns: "
            f"{some or 'none'}; the project's own needs at least sku and name"
        )
    return dialect


def _read_feed(folder: Path, file: str) -> Books:
    books = Books(file)
    try:
        data = (folder / file).read_bytes()
        books.sha256 = sha256_of(data)
        sheet = read_sheet(data)
        dialect = recognise(sheet.columns)
        for remark in sheet.remarks:
            books.note(remark)
        answers = deque(dialect.drafts(sheet.columns, _rows(sheet, books)))
    except (UnreadableFeed, OSError) as error:
        books.fail("unreadable_feed", str(error))
        return books
    books.dialect = dialect.NAME
    mark = decimal_mark(answer.price for answer in answers if isinstance(answer, Draft))
    while answers:  # each is let go of as soon as it is cleaned: a large feed is not in memory twice
        answer = answers.popleft()
        judged = clean(answer, mark) if isinstance(answer, Draft) else answer
        if isinstance(judged, Draft):
            books.drafts.append(judged)
        elif isinstance(judged, Detail):
            books.details.append(judged.row)
        else:
            books.drop(judged)
    return books


def _rows(sheet: Sheet, books: Books) -> Iterator[Row]:
    """The rows that a dialect can read anything from; the others go straight into the books."""
    for row in sheet.rows:
        if isinstance(row, NoProduct):
            books.rows.append(row.row)
            books.drop(row)
            continue
        books.rows.append(row.number)
        if row.cells:
            yield row
        else:
            books.skipped.append(row.number)


def _settle(books: Sequence[Books]) -> None:
    """Give every SKU to one row of the catalog, then make one product of variants that look alike."""
    by_file = {each.file: each for each in books}
    claims = [(each.file, draft) for each in books for draft in each.drafts]
    for each in books:
        each.drafts = []
    for file, answer in settle_duplicates(claims):
        if isinstance(answer, NoProduct):
            by_file[file].drop(answer)
        else:
            by_file[file].drafts.append(answer)
    for each in books:
        for draft in each.drafts:
            for remark in draft.remarks:
                each.note(remark, draft.row, draft.sku)
        each.drafts = merge_variants(each.drafts)


_Sightings = list[tuple[PhotographReference, Found | Remote]]
"""Which of a draft's references lead somewhere, and where."""


@dataclass(frozen=True)
class _Album:
    """All photographs that were looked at, by where they are."""

    files: Mapping[Path, PhotographFile | Remark]
    fetched: Mapping[str, RemotePhotograph]

    def at(self, place: Found | Remote) -> tuple[PictureFile | None, Remark | None]:
        """The picture that is there, and what is to be said of it."""
        if isinstance(place, Remote):
            known = self.fetched.get(place.url)
            return known.picture if known else None, remark_on(place.url, known)
        file = self.files[place.path]
        return (None, file) if isinstance(file, Remark) else (file.picture, None)


def _find_photographs(books: Books, shelf: Shelf) -> list[_Sightings]:
    found = []
    for draft in books.drafts:
        sightings: _Sightings = []
        for reference in draft.photographs:
            answer = shelf.find(reference, books.file)
            if isinstance(answer, Remark):
                books.note(answer, draft.row, draft.sku)
                continue
            for remark in answer.remarks if isinstance(answer, Found) else ():
                books.note(remark, draft.row, draft.sku)
            sightings.append((reference, answer))
        found.append(sightings)
    return found


def _product(books: Books, draft: Draft, sightings: _Sightings, album_of_all: _Album) -> Product:
    usable: list[tuple[PhotographReference, PictureFile]] = []
    is_waited_for = False
    for reference, place in sightings:
        picture, remark = album_of_all.at(place)
        if remark:
            books.note(remark, draft.row, draft.sku)
        if picture:
            usable.append((reference, picture))
        is_waited_for |= isinstance(place, Remote) and place.url not in album_of_all.fetched
    if not usable and not is_waited_for:
        books.note(_NO_PHOTOGRAPH, draft.row, draft.sku)
    texts = {
        locale: Text(name=name, description=draft.descriptions.get(locale, ""))
        for locale, name in draft.names.items()
    }
    return Product(
        sku=draft.sku,
        group=draft.group or None,
        texts=texts,
        categories=draft.categories,
        brand=draft.brand or None,
        price=str(draft.price) or None,
        currency=draft.currency or None,
        attributes=dict(draft.attributes),
        photographs=album(usable),
        feed=books.file,
        row=draft.row,
        source_sha256=draft.source_sha256,
    )


_NO_PHOTOGRAPH = Remark(
    "warning", "no_photograph", "no photograph of it can be used; words alone describe it", "photographs"
)
