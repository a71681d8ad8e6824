"""Google's product data: RSS or Atom with its elements, or TSV and CSV with the same names as columns.

One item is one variant; those of the same ``item_group_id`` belong together. Names of columns may have blanks
for underscores and what they are made of in brackets: ``product detail(section_name:attribute_name:…)``.
Words are in ``content_language`` or the document's language. What is about the sale and the web page only
(links, shipping, tax, where to advertise) is left out; every other fact is an attribute.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from asset_pipeline.catalog.dialect import Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.rows import Row, cell_text
from asset_pipeline.catalog.locales import UNDETERMINED, locale_of

NAME = "google_merchant"

_NEEDED = frozenset({"id", "title", "price"})
_TELLING = frozenset(
    {"link", "image_link", "availability", "condition", "google_product_category", "lifestyle_image_link"}
)
_NOT_GOOGLES = re.compile(
    r"sku|name|group|categories|photographs|vendor|(?:name|title|description)[-_][a-z]{2}(?:[-_].*)?"
)
"""Columns by which one knows the project's own, which share many names with Google's."""
_DESCRIPTIONS = ("description", "summary", "content")
"""Atom's own names come second."""
_LANGUAGES = ("content_language", "xml:lang")
_USED = frozenset({
    "id", "title", "item_group_id", "brand", "price", "image_link", "additional_image_link",
    "lifestyle_image_link", "product_type", "google_product_category", "product_detail",
    *_DESCRIPTIONS, *_LANGUAGES,
})  # fmt: skip
_ABOUT_THE_SALE = re.compile(
    r"(?:\w+_)?link(?:_\w+)?|ads_redirect|shipping\w*|tax\w*|\w*destination|\w*_cost|cost_\w+|\w*_handling_time|loyalty_\w+|installment|"
    r"promotion_id|identifier_exists|\w+_date|pause|auto_pricing_min_price|ships_from_country|"
    r"transit_time_label|shopping_ads_excluded_country|updated|published|guid|pubdate|author"
)
_BRACKETS = re.compile(r"\([^()]*\)$")
_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "bmp", "avif")
_BETWEEN_PICTURES = re.compile(
    "(?:" + "|".join(rf"(?<=\.{suffix})" for suffix in _SUFFIXES) + r")\s*,|,(?=\s*(?:https?:)?//)",
    re.IGNORECASE,
)
"""The comma between two pictures; one within a file's name is not."""
_PARTS_OF_DETAIL = 3
"""``section:name:value``."""


def recognises(columns: Sequence[str]) -> bool:
    """Whether the names are Google's, and none is one of the project's own."""
    keys = {_key(column) for column in columns}
    is_googles = keys >= _NEEDED and not keys.isdisjoint(_TELLING)
    return is_googles and not any(map(_NOT_GOOGLES.fullmatch, keys))


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft]:
    """Each item as a draft."""
    del columns  # an item of XML may have names that none of the first has
    return map(_draft, rows)


def _draft(row: Row) -> Draft:
    cells: dict[str, Any] = {}
    for column, value in row.cells.items():
        cells.setdefault(_key(column), value)
    locale = next((locale_of(_first(cells[key])) for key in _LANGUAGES if key in cells), UNDETERMINED)
    description = next((_first(cells[key]) for key in _DESCRIPTIONS if key in cells), "")
    return Draft(
        row=row.number,
        source_sha256=row.source_sha256,
        sku=_first(cells.get("id")),
        group=_first(cells.get("item_group_id")).strip(),
        names={locale: _first(cells.get("title"))},
        descriptions={locale: description},
        categories=tuple(_categories(cells)),
        brand=_first(cells.get("brand")),
        price=_first(cells.get("price")),
        attributes=_attributes(cells),
        photographs=_photographs(cells),
        remarks=row.remarks,
    )


@lru_cache(maxsize=4096)
def _key(column: str) -> str:
    """A column's name as Google's documentation has it."""
    name = _BRACKETS.sub("", column.strip().lower()).strip().removeprefix("g:")
    return name if name in _LANGUAGES else re.sub(r"[\s_]+", "_", name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first(value: Any) -> str:
    """A value as text; of an element that is there several times, the first that says something."""
    return next((text for text in map(cell_text, _list(value)) if text.strip()), "")


def _categories(cells: Mapping[str, Any]) -> Iterator[str]:
    """The shop's own categories, then Google's; of a path the last part first, it says most."""
    for key in ("product_type", "google_product_category"):
        for path in map(cell_text, _list(cells.get(key))):
            if not path.strip().isdigit():
                yield from reversed(re.split(r"\s*(?:>|&gt;)\s*", path))


def _attributes(cells: Mapping[str, Any]) -> dict[str, str]:
    attributes = {
        key: ", ".join(map(cell_text, _list(value)))
        for key, value in cells.items()
        if key not in _USED and not _ABOUT_THE_SALE.fullmatch(key)
    }
    for detail in _list(cells.get("product_detail")):
        for name, value in _details(detail):
            if name.strip():
                attributes.setdefault(name.strip().lower(), value)
    category = _first(cells.get("google_product_category")).strip()
    return attributes | ({"google_product_category": category} if category.isdigit() else {})


def _details(detail: Any) -> Iterator[tuple[str, str]]:
    """Names and values of a ``product_detail``: an element, which may hold several, or text."""
    if isinstance(detail, Mapping):
        names, values = (_list(detail.get(key)) for key in ("attribute_name", "attribute_value"))
        yield from zip(map(cell_text, names), map(cell_text, values), strict=False)
        return
    for part in cell_text(detail).split(","):
        section_name_value = part.strip().strip('"').split(":", _PARTS_OF_DETAIL - 1)
        if len(section_name_value) == _PARTS_OF_DETAIL:
            yield section_name_value[1], section_name_value[2]


def _photographs(cells: Mapping[str, Any]) -> tuple[PhotographReference, ...]:
    main = [path for key in ("image_link", "additional_image_link") for path in _paths(cells.get(key))]
    lifestyle = dict.fromkeys(path.strip() for path in _paths(cells.get("lifestyle_image_link")))
    style = [PhotographReference(path, "style") for path in lifestyle if path and path not in main]
    return (*photographs_from(main), *style)


def _paths(value: Any) -> Iterator[str]:
    for text in map(cell_text, _list(value)):
        yield from _BETWEEN_PICTURES.split(text)
