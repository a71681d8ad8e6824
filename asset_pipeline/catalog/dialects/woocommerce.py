"""WooCommerce's product export: variations point to their parent by SKU, or by number as ``id:44``.

A parent gives its variations what they do not say themselves: text, categories, brand, attributes and
photographs. It is no product of its own then; without variations in the file it is one. WooCommerce calls a
variation ``Hoodie - Red, Large``: it has its parent's name here, and what differs as attributes. Products and
variations without a SKU are called by their number, ``id:78``.

The regular price is the price; the sale price is an attribute, for its days may be over. Stock, shipping, tax
and downloads say nothing of a picture and are left out, and so is what plugins add.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from asset_pipeline.catalog.dialect import Detail, Draft, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row

NAME = "woocommerce"

_MARKS = frozenset({
    "is featured?", "visibility in catalog", "in stock?", "backorders allowed?", "sold individually?",
    "allow customer reviews?", "tax status", "date sale price starts", "download limit",
    "attribute 1 name", "attribute 1 value(s)",
})  # fmt: skip
"""Columns that are in nobody else's file."""
_SHORTEST = frozenset({"type", "published", "regular price"})
"""Columns of a file with fewer, which nobody else has together."""
_ATTRIBUTE = re.compile(r"attribute ([1-9][0-9]{0,3}) name")
_GTIN = "gtin, upc, ean, or isbn"
_STATES = {"1": "active", "true": "active", "0": "private", "-1": "draft", "false": "draft"}
_GUARD = re.compile(r"\A'(?=[=+\-@])")
"""What the export puts before a cell that a spreadsheet would run."""
_MOST_INHERITED = 250
"""Photographs. A parent with more is no real one, and each of its variations would have them all."""


@dataclass(frozen=True)
class _Record:
    """A row as it is before anyone knows its parent."""

    draft: Draft
    """With the attributes that a variation takes over; the SKU is the row's own, or blank."""
    number: str
    """``id:44``, or blank."""
    is_variation: bool
    parent: str
    own: Mapping[str, str]
    """Attributes that no variation takes over."""
    status: str

    @property
    def sku(self) -> str:
        """What it is called."""
        return self.draft.sku or self.number


def recognises(columns: Sequence[str]) -> bool:
    """Whether there are a name, a SKU or number, and columns that only WooCommerce's file has."""
    keys = {column.lower() for column in columns}
    return (
        "name" in keys
        and not keys.isdisjoint({"sku", "id"})
        and (len(keys & _MARKS) > 1 or keys >= _SHORTEST)
    )


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each row in its order, when all are read: parents may stand behind their variations."""
    by_key = {column.lower(): column for column in reversed(columns)}
    attributes = _attribute_columns(by_key)
    records = [_read(row, by_key, attributes) for row in rows]
    named: dict[str, _Record] = {}
    for record in records:
        if not record.is_variation:
            for key in (record.draft.sku, record.number):
                named.setdefault(key.casefold(), record)
    named.pop("", None)
    parents = {
        named[key].draft.row: named[key]
        for record in records
        if record.is_variation and (key := record.parent.casefold()) in named
    }
    told: set[int] = set()
    for record in records:
        parent = named.get(record.parent.casefold()) if record.is_variation else None
        same = named.get(record.sku.casefold(), record)
        if record.draft.row in parents:
            yield Detail(record.draft.row)
        elif not record.is_variation and same.draft.row in parents:
            yield NoProduct(record.draft.row, _other_parent(same, record), record.sku)
        else:
            yield _draft(record, parent, told)


def _attribute_columns(by_key: Mapping[str, str]) -> list[tuple[str, str]]:
    """Columns of the attributes' names and values, in the order of their numbers."""
    numbers = sorted(int(match[1]) for key in by_key if (match := _ATTRIBUTE.fullmatch(key)))
    pairs = ((by_key[f"attribute {n} name"], by_key.get(f"attribute {n} value(s)")) for n in numbers)
    return [(name, value) for name, value in pairs if value is not None]


def _read(row: Row, by_key: Mapping[str, str], attribute_columns: Iterable[tuple[str, str]]) -> _Record:
    def cell(*keys: str) -> str:
        """The first of these columns that says something."""
        texts = (_text(row, by_key[key]) for key in keys if key in by_key)
        return next((text for text in texts if text), "")

    kinds = {kind.strip().lower() for kind in cell("type").split(",")}
    attributes: dict[str, str] = {}
    for name_column, value_column in attribute_columns:
        name = _text(row, name_column).lower().removeprefix("pa_")
        value = ", ".join(_values(_text(row, value_column)))
        if name and value:
            attributes.setdefault(name, value)
    own = {"gtin": cell(_GTIN), "sale price": cell("sale price")}
    number = cell("id")
    name, text = cell("name"), cell("description", "short description")
    return _Record(
        draft=Draft(
            row=row.number,
            source_sha256=row.source_sha256,
            sku=cell("sku"),
            names={"und": name} if name else {},
            descriptions={"und": text} if text else {},
            categories=tuple(_categories(cell("categories"), cell("tags"))),
            brand=attributes.pop("brand", "") or cell("brands", "brand"),
            price=cell("regular price") or cell("sale price"),
            attributes=attributes,
            photographs=photographs_from(_values(cell("images"))),
            remarks=row.remarks,
        ),
        number=f"id:{number}" if number else "",
        is_variation=any(kind.endswith("variation") for kind in kinds)
        or (kinds == {""} and cell("parent") != ""),
        parent=cell("parent"),
        own={key: value for key, value in own.items() if value},
        status=_STATES.get(cell("published").lower(), cell("published").lower()),
    )


def _text(row: Row, column: str) -> str:
    return _GUARD.sub("", row.text(column).strip())


def _values(cell: str) -> list[str]:
    """The parts of a list; a comma within one is written with a backslash before it."""
    parts = (part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", cell))
    return [part for part in parts if part]


def _categories(paths: str, tags: str) -> Iterator[str]:
    """Each path from its end, then the tags."""
    for path in _values(paths):
        yield from reversed(re.split(r">|&gt;", path))
    yield from _values(tags)


def _draft(record: _Record, parent: _Record | None, told: set[int]) -> Draft:
    """A record with what its parent gives; `told` are products whose state has been remarked on."""
    draft, remarks = record.draft, list(record.draft.remarks)
    if parent:
        draft = _with_parent(draft, parent)
    elif record.is_variation:
        draft = replace(draft, group=record.parent)
        remarks.append(_no_parent(record.parent))
    sku = draft.sku or record.number
    if not sku and parent and parent.sku:
        sku = ":".join([parent.sku, *record.draft.attributes.values()])
    if sku and not draft.sku:
        code = "sku_from_number" if record.number else "sku_from_parent"
        remarks.append(Remark("repaired", code, f"it has no SKU; {sku!r} stands for it", "sku"))
    states = (record.status, parent.status if parent else "")
    status = next((state for state in states if state not in ("", "active")), record.status)
    product = (parent or record).draft.row
    if status not in ("", "active") and product not in told:
        told.add(product)
        remarks.append(_not_on_sale(status))
    attributes = {**draft.attributes, **record.own} | ({"status": status} if status else {})
    return replace(draft, sku=sku, attributes=attributes, remarks=tuple(remarks))


def _with_parent(draft: Draft, parent: _Record) -> Draft:
    """A variation with what it leaves to its parent to say."""
    given = parent.draft
    name, parents_name = draft.names.get("und", ""), given.names.get("und", "")
    named_by_shop = bool(parents_name) and name.startswith(f"{parents_name} - ")
    return replace(
        draft,
        sku="" if draft.sku == given.sku else draft.sku,
        group=parent.sku,
        names=given.names if named_by_shop or not name else draft.names,
        descriptions=draft.descriptions or given.descriptions,
        categories=draft.categories or given.categories,
        brand=draft.brand or given.brand,
        attributes={**given.attributes, **draft.attributes},
        photographs=draft.photographs or given.photographs[:_MOST_INHERITED],
    )


def _other_parent(first: _Record, other: _Record) -> Remark:
    """What is wrong with a row that has the SKU or number of a product with variations."""
    if first.draft.source_sha256 == other.draft.source_sha256:
        return Remark("note", "repeated_row", f"says the same as row {first.draft.row}", "sku")
    return Remark(
        "refused", "duplicate_sku", f"row {first.draft.row} has this SKU, with other content", "sku"
    )


def _no_parent(parent: str) -> Remark:
    return Remark(
        "warning",
        "parent_not_found",
        f"its parent {parent[:60]!r} is not in the file, so it has nothing from there; export it too",
        "parent",
    )


def _not_on_sale(status: str) -> Remark:
    return Remark(
        "note",
        "not_on_sale",
        f"its status is {status[:60]!r}; it is used all the same: a campaign for products with the attribute "
        "status: active leaves it out",
        "published",
    )
