"""The project's own columns, and what else people call them. One row is one product or variant.

``sku``, ``group``, ``name-<locale>`` (``name`` where the language is not told), ``description-<locale>``,
``description``, ``categories`` (``|`` between), ``brand``, ``price``, ``currency``, ``photographs`` (``|``
between, relative to the feed). Every other column is an attribute by its lower-case name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from asset_pipeline.catalog.dialect import Draft, photographs_from
from asset_pipeline.catalog.formats.rows import Row, cell_text

NAME = "own"

_FIELDS = {
    "sku": ("sku", "id", "item_id", "product_id", "article_number", "item_number"),
    "group": ("group", "group_id", "item_group_id", "parent", "parent_sku"),
    "name": ("name", "title", "product_name", "item_name"),
    "description": ("description", "long_description", "body_html", "body"),
    "categories": ("categories", "category", "product_type", "google_product_category"),
    "brand": ("brand", "brands", "vendor", "manufacturer"),
    "price": ("price", "regular_price"),
    "currency": ("currency", "price_currency", "currency_code"),
}
"""What a field may be called, best first; the others of its names are attributes then."""
_PHOTOGRAPHS = (
    "photographs", "photograph", "photos", "photo", "image", "images", "image_link", "image_url", "picture",
    "pictures", "additional_image_link", "additional_images",
)  # fmt: skip
"""All of these are photographs, in this order."""
_LOCALISED = re.compile(r"(name|title|description)[-_](und|[a-z]{2}(?:[-_][a-z]{4})?(?:[-_][a-z]{2})?)")
_FILE_LIST = re.compile(r"(?:[^,|]+\.(?:jpe?g|png|webp|gif|tiff?|avif|bmp)\s*(?:,|$)){2,}", re.IGNORECASE)
"""Several picture files with commas between; a name with a comma in it is not."""


def recognises(columns: Sequence[str]) -> bool:
    """Whether there is a column for the SKU and one for the name."""
    keys = [_key(column) for column in columns]
    named = any(key in _FIELDS["name"] or (_LOCALISED.fullmatch(key) and key[0] != "d") for key in keys)
    return named and any(key in _FIELDS["sku"] for key in keys)


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft]:
    """Each row as a draft."""
    keys = {_key(column): column for column in reversed(columns)}
    fields = {
        field: next((keys[name] for name in names if name in keys), field) for field, names in _FIELDS.items()
    }
    meanings: dict[str, tuple[str, str]] = {}
    for row in rows:
        for column in row.cells.keys() - meanings.keys():
            meanings[column] = _meaning(column, fields)
        yield _draft(row, fields, meanings)


def _draft(row: Row, fields: Mapping[str, str], meanings: Mapping[str, tuple[str, str]]) -> Draft:
    found: dict[str, dict[str, str]] = {"name": {}, "description": {}, "attribute": {}, "photographs": {}}
    for column, value in row.cells.items():
        kind, name = meanings[column]
        if kind in found:
            found[kind][name] = _attribute(value) if kind == "attribute" else cell_text(value)
    pictures = (found["photographs"][name] for name in _PHOTOGRAPHS if name in found["photographs"])
    return Draft(
        row=row.number,
        source_sha256=row.source_sha256,
        sku=row.text(fields["sku"]),
        group=row.text(fields["group"]),
        names=found["name"],
        descriptions=found["description"],
        categories=tuple(row.text(fields["categories"]).split("|")),
        brand=row.text(fields["brand"]),
        price=_amount(row.cells.get(fields["price"])),
        currency=row.text(fields["currency"]),
        attributes=found["attribute"],
        photographs=photographs_from(path for cell in pictures for path in _paths(cell)),
        remarks=row.remarks,
    )


def _meaning(column: str, fields: Mapping[str, str]) -> tuple[str, str]:
    """What a column is for, and its name there: a locale, or an attribute's or picture column's name."""
    key = _key(column)
    localised = _LOCALISED.fullmatch(key)
    if localised:
        return "description" if localised[1] == "description" else "name", _locale(localised[2])
    field = next((field for field, chosen in fields.items() if chosen == column), None)
    if field in ("name", "description"):
        return field, "und"
    if field:
        return "field", field
    return ("photographs", key) if key in _PHOTOGRAPHS else ("attribute", column.lower())


def _key(column: str) -> str:
    return re.sub(r"[\s_]+", "_", column.strip().lower())


def _locale(name: str) -> str:
    language, *others = name.replace("_", "-").split("-")
    return "-".join([language, *(part.title() if len(part) == 4 else part.upper() for part in others)])  # noqa: PLR2004


def _attribute(value: Any) -> str:
    return ", ".join(map(cell_text, value)) if isinstance(value, list) else cell_text(value)


def _amount(value: Any) -> str | Decimal:
    """A number is exact; a text may be read in several ways."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Decimal(str(value)) if is_number else cell_text(value)


def _paths(cell: str) -> list[str]:
    return [
        path
        for part in cell.split("|")
        for path in (part.split(",") if _FILE_LIST.fullmatch(part) else [part])
    ]
