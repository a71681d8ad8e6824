"""Vendure's import file: a row with a name begins a product, rows without one are its further variants.

``assets`` are the product's photographs, ``variantAssets`` a variant's own. Facets are ``name:value`` with
``|`` between; those named category and brand are that. ``name:de`` and ``description:de`` are words in a
language. Stock and tax say nothing of a picture and are left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from asset_pipeline.catalog.dialect import Draft, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row

NAME = "vendure"

_COLUMNS = frozenset({"slug", "assets", "facets", "optiongroups", "optionvalues", "sku", "variantassets"})
_WORDS = re.compile(r"(name|description)(?::([a-z]{2})(?:[-_]([a-z]{2}))?)?", re.IGNORECASE)

_ORPHAN = Remark(
    "refused",
    "orphan_variant",
    "the row has no name, and the row above it is none of a product it could belong to",
)


@dataclass(frozen=True)
class _Head:
    """What a product's first row says for all its variants."""

    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    group: str
    facets: Mapping[str, tuple[str, ...]]
    options: tuple[str, ...]
    assets: str


def recognises(columns: Sequence[str]) -> bool:
    """Whether Vendure's columns are there."""
    plain = {column.partition(":")[0].lower() for column in columns}
    return plain >= _COLUMNS and "name" in plain


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct]:
    """Each row as a variant's draft, with what its product's first row says."""
    names = {column.lower(): column for column in reversed(columns)}
    head: _Head | None = None
    last = 0
    for row in rows:
        cells = {key: row.text(column) for key, column in names.items()}
        own_words = any(cells[key].strip() for key in cells if key.partition(":")[0] == "name")
        if own_words:
            head = _head(cells)
        elif row.number != last + 1:
            head = None  # a row between was empty or unreadable: it may have begun another product
        last = row.number
        if head is None:
            yield NoProduct(row.number, _ORPHAN, cells["sku"].strip() or None)
        else:
            yield _draft(row, cells, head)


def _head(cells: Mapping[str, str]) -> _Head:
    words: dict[str, dict[str, str]] = {"name": {}, "description": {}}
    for key, text in cells.items():
        match = _WORDS.fullmatch(key)
        if match and text.strip():
            language, region = match[2], match[3]
            locale = f"{language}-{region.upper()}" if region else language or "und"
            words[match[1]][locale] = text
    return _Head(
        names=words["name"],
        descriptions=words["description"],
        group=_first(cells, "slug"),
        facets=_facets(cells["facets"]),
        options=_split(cells["optiongroups"]),
        assets=cells["assets"],
    )


def _draft(row: Row, cells: Mapping[str, str], head: _Head) -> Draft:
    facets = {**head.facets, **_facets(cells.get("variantfacets", ""))}
    attributes = {
        name: ", ".join(values) for name, values in facets.items() if name not in ("category", "brand")
    }
    options = zip_longest(head.options, _split(cells["optionvalues"]))
    for place, (option, value) in enumerate(options, start=1):
        if value:
            attributes[(option or f"option {place}").lower()] = value
    return Draft(
        row=row.number,
        source_sha256=row.source_sha256,
        sku=cells["sku"],
        group=head.group,
        names=head.names,
        descriptions=head.descriptions,
        categories=facets.get("category", ()),
        brand=", ".join(facets.get("brand", ())),
        price=cells.get("price", ""),
        attributes=attributes,
        photographs=photographs_from(_split(cells["variantassets"]) or _split(head.assets)),
        remarks=row.remarks,
    )


def _facets(cell: str) -> dict[str, tuple[str, ...]]:
    facets: dict[str, tuple[str, ...]] = {}
    for part in _split(cell):
        name, _, value = part.partition(":")
        if value.strip():
            facets[name.strip().lower()] = (*facets.get(name.strip().lower(), ()), value.strip())
    return facets


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _first(cells: Mapping[str, str], name: str) -> str:
    """A cell, or the first of its languages that says something."""
    return next(
        (cells[key].strip() for key in cells if key.partition(":")[0] == name and cells[key].strip()), ""
    )
