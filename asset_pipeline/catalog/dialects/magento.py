"""Magento's product export: one row is one product, and configurables name their variations.

A configurable gives its variations what they do not say themselves: text, categories, brand, attributes and
photographs. It is no product of its own then; without variations in the file it is one. Magento calls a
variation ``Hoodie-XS-Black``: it has the configurable's name here, and what differs as attributes. A row for
a store view adds words in its language, if the view is called by a language or locale (``de``, ``fr_ca``).

The price is the price; the special price is an attribute, for its days may be over. Stock, tax and layout say
nothing of a picture and are left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from asset_pipeline.catalog.dialect import Detail, Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row

NAME = "magento"

_MARKS = frozenset({
    "product_type", "attribute_set_code", "store_view_code", "additional_attributes",
    "configurable_variations", "product_websites", "product_online",
})  # fmt: skip
_ATTRIBUTE_COLUMNS = (
    "color", "material", "pattern", "size", "gender", "brand", "manufacturer", "ean", "gtin", "upc", "isbn",
    "mpn",
)  # fmt: skip
"""Attributes that some exports have as columns of their own."""
_TECHNICAL = frozenset({"has_options", "required_options"})
_STATES = dict.fromkeys(("1", "enabled", "yes"), "active") | dict.fromkeys(("2", "0", "no"), "disabled")
_ROOT = "default category"
"""The category above all others says nothing."""
_LONGEST_NAME = 255
"""Magento's own limit for a category's name."""
_NO_IMAGE = "no_selection"
_PAIR = re.compile(r',(?=\s*"?[A-Za-z]\w*=)')
_LANGUAGES = frozenset({
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id",
    "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr",
    "sv", "th", "tr", "vi", "zh",
})  # fmt: skip
"""Of ISO 639-1 those that nobody means as a country: not ``uk``, ``ca``, ``be``, ``ch``."""
_VIEW = re.compile(r"([a-z]{2})(?:[-_]([a-z]{2}))?")
_MOST_INHERITED = 250
"""Photographs. A configurable with more is no real one, and each of its variations would have them all."""

Words = Mapping[str, str]


@dataclass(frozen=True)
class _Record:
    """A row as it is before anyone knows what others say of it."""

    draft: Draft
    """With the words of its store view, by the view's locale."""
    view: str
    """The store view's code; blank for what counts in all of them."""
    variations: Mapping[str, Words]
    """Attributes of a configurable's variations by their SKU."""
    special_price: str
    status: str

    @property
    def key(self) -> str:
        """The SKU as Magento compares it."""
        return self.draft.sku.casefold()


def recognises(columns: Sequence[str]) -> bool:
    """Whether there are a SKU and two columns that only Magento's file has."""
    keys = {column.lower() for column in columns}
    return "sku" in keys and len(keys & _MARKS) > 1


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each row in its order, when all are read: configurables stand behind their variations."""
    by_key = {column.lower(): column for column in reversed(columns)}
    records = [_read(row, by_key) for row in rows]
    main: dict[str, _Record] = {}
    for record in sorted(records, key=lambda record: record.view != ""):
        if record.key:  # a view's row only where there is none for all views
            main.setdefault(record.key, record)
    views = _words_of_views(record for record in records if main.get(record.key, record) is not record)
    parents: dict[str, _Record] = {}
    for record in main.values():
        for sku in record.variations:
            if sku in main and not main[sku].variations:
                parents.setdefault(sku, record)
    configurables = {parent.draft.row for parent in parents.values()}
    told: set[int] = set()
    for record in records:
        first = main.get(record.key, record)
        if record.view and first is not record:
            yield _view(record)
        elif first.draft.row in configurables:
            yield _configurable(record, first)
        else:
            yield _product(record, parents.get(record.key), views, told)


def _words_of_views(records: Iterable[_Record]) -> dict[str, _Record]:
    """The words that rows for store views add to a product, the first of each language, by the SKU's key."""
    found: dict[str, _Record] = {}
    for record in records:
        if record.view:
            known = found.get(record.key, record)
            found[record.key] = replace(known, draft=_with_words(known.draft, record.draft))
    return found


def _read(row: Row, by_key: Mapping[str, str]) -> _Record:
    cells = {key: text for key, column in by_key.items() if (text := row.text(column).strip())}
    view = cells.get("store_view_code", "").lower()
    locale = _locale(view) or "und"
    name, text = cells.get("name", ""), cells.get("description") or cells.get("short_description", "")
    attributes = {name: cells[name] for name in _ATTRIBUTE_COLUMNS if name in cells}
    attributes |= _pairs(cells.get("additional_attributes", ""))
    brand = attributes.pop("brand", "") or attributes.pop("manufacturer", "")
    online = cells.get("product_online", "").lower()
    return _Record(
        draft=Draft(
            row=row.number,
            source_sha256=row.source_sha256,
            sku=cells.get("sku", ""),
            names={locale: name} if name else {},
            descriptions={locale: text} if text else {},
            categories=tuple(_categories(cells.get("categories", ""))),
            brand=brand,
            price=cells.get("price", ""),
            attributes={name: value for name, value in attributes.items() if name not in _TECHNICAL},
            photographs=_photographs(cells),
            remarks=row.remarks,
        ),
        view=view,
        variations=_variations(cells.get("configurable_variations", "")),
        special_price=cells.get("special_price", ""),
        status=_STATES.get(online, online),
    )


def _pairs(cell: str) -> dict[str, str]:
    """The attributes in ``color=Black,size=XS``; a comma before anything but a name belongs to the value.

    Several values have ``|`` between. With the export's field enclosure values are in quotes.
    """
    pairs = {}
    for part in _PAIR.split(cell):
        name, _, value = _unquoted(part).partition("=")
        text = ", ".join(filter(None, (_unquoted(each) for each in value.split("|"))))
        if name.strip().isidentifier() and text:
            pairs[name.strip().lower()] = text
    return pairs


def _unquoted(text: str) -> str:
    plain = text.strip()
    is_quoted = len(plain) > 1 and plain[0] == plain[-1] == '"'
    return plain[1:-1].replace('""', '"').strip() if is_quoted else plain


def _variations(cell: str) -> Mapping[str, Words]:
    """The attributes in ``sku=A,size=M|sku=B,size=L`` by SKU, as Magento compares them."""
    found = {}
    for part in cell.split("|"):
        pairs = _pairs(part)
        sku = pairs.pop("sku", "").casefold()
        if sku:
            found[sku] = pairs
    return found


def _categories(cell: str) -> Iterator[str]:
    """The categories of ``Default Category/Men/Tops,Default Category/Men``, each path from its end.

    A comma before a blank is part of a name, unless a path with the same root follows.
    """
    lists = re.sub(r"[|\r\n]+", ",", cell)
    before, slash, _ = lists.partition("/")
    root = re.escape(before.rpartition(",")[2].strip()[:_LONGEST_NAME])
    for path in re.split(rf",(?! )|, (?={root}(?:[/,]|$))" if slash else ",", lists):
        names = [name.replace("\\/", "/").strip() for name in re.split(r"(?<!\\)/", path)]
        yield from filter(None, reversed(names[1:] if names[0].casefold() == _ROOT else names))


def _photographs(cells: Mapping[str, str]) -> tuple[PhotographReference, ...]:
    """The base image, then the additional ones that the product's page shows.

    Magento's media folder has them as ``/m/h/mh01-main.jpg``; they may lie like that beside the feed, or
    without these folders.
    """
    bases = (cells.get(f"{kind}_image", _NO_IMAGE) for kind in ("base", "small", "thumbnail"))
    base = next((path for path in bases if path != _NO_IMAGE), "")
    hidden = set(_files(cells.get("hide_from_product_page", "")))
    others = [path for path in _files(cells.get("additional_images", "")) if path not in hidden]
    paths = [path if path.startswith("//") else path.lstrip("/") for path in (base, *others)]
    return photographs_from(paths, {path: (PurePosixPath(path).name,) for path in paths if "/" in path})


def _files(cell: str) -> list[str]:
    return [path for part in re.split(r"[,|\n\r]", cell) if (path := part.strip()) not in ("", _NO_IMAGE)]


def _locale(view: str) -> str | None:
    """The locale that a store view's code names, language first or country first; none if it does not.

    ``de_en`` is English in Germany, for no country is called EN.
    """
    match = _VIEW.fullmatch(view)
    if not match:
        return None
    first, second = match[1], match[2] or ""
    if first in _LANGUAGES and second != "en":
        return f"{first}-{second.upper()}" if second else first
    return f"{second}-{first.upper()}" if second in _LANGUAGES else None


def _view(record: _Record) -> Detail | NoProduct:
    """A row with words for one store view, or why they cannot be used."""
    draft = record.draft
    if "und" in draft.names or "und" in draft.descriptions:
        return NoProduct(draft.row, _no_language(record.view), draft.sku)
    return Detail(draft.row)


def _configurable(record: _Record, first: _Record) -> Detail | NoProduct:
    """A row of a configurable whose variations are products; what a second one says is not used."""
    row = record.draft.row
    if record is first:
        return Detail(row)
    remark = Remark("note", "repeated_row", f"says the same as row {first.draft.row}", "sku")
    if record.draft.source_sha256 != first.draft.source_sha256:
        message = f"row {first.draft.row} has this SKU, with other content"
        remark = Remark("refused", "duplicate_sku", message, "sku")
    return NoProduct(row, remark, record.draft.sku)


def _with_words(draft: Draft, others: Draft) -> Draft:
    """A product with the words that others have in languages that it does not have."""
    return replace(
        draft,
        names={**_told(others.names), **draft.names},
        descriptions={**_told(others.descriptions), **draft.descriptions},
    )


def _told(words: Words) -> Words:
    return {locale: text for locale, text in words.items() if locale != "und"}


def _product(record: _Record, parent: _Record | None, views: Mapping[str, _Record], told: set[int]) -> Draft:
    """A product, with what its configurable gives; `told` are those whose state has been remarked on."""
    draft = _with_words(record.draft, views.get(record.key, record).draft)
    if parent:
        given = _with_words(parent.draft, views.get(parent.key, parent).draft)
        draft = _variation(draft, given, parent.variations[record.key])
    states = (record.status, parent.status if parent else "")
    status = next((state for state in states if state not in ("", "active")), record.status)
    remarks = draft.remarks
    row = (parent or record).draft.row
    if status not in ("", "active") and row not in told:
        told.add(row)
        remarks = (*remarks, _not_on_sale(status))
    own = {"sale price": record.special_price, "status": status}
    attributes = {**draft.attributes, **{name: value for name, value in own.items() if value}}
    return replace(draft, attributes=attributes, remarks=remarks)


def _variation(draft: Draft, given: Draft, chosen: Words) -> Draft:
    """A variation with what it leaves to its configurable to say."""
    names = {
        locale: given.names[locale] if name.startswith(f"{given.names.get(locale, name)}-") else name
        for locale, name in draft.names.items()
    }
    return replace(
        draft,
        group=given.sku,
        names={**given.names, **names},
        descriptions={**given.descriptions, **draft.descriptions},
        categories=draft.categories or given.categories,
        brand=draft.brand or given.brand,
        attributes={**given.attributes, **chosen, **draft.attributes},
        photographs=draft.photographs or given.photographs[:_MOST_INHERITED],
    )


def _no_language(view: str) -> Remark:
    message = (
        f"the store view {view[:60]!r} is not called by a language such as de_at; its words are left out"
    )
    return Remark("note", "unknown_language", message, "store_view_code")


def _not_on_sale(status: str) -> Remark:
    return Remark(
        "note",
        "not_on_sale",
        f"its status is {status[:60]!r}; it is used all the same: a campaign for products with the attribute "
        "status: active leaves it out",
        "product_online",
    )
