"""Shopify's product export: rows with the same handle are one product, wherever in the file they stand.

A row with an option, SKU or price is a variant; one with nothing but an image is a detail. What the product's
rows say of the product (title, text, vendor, categories) counts for all its variants, the first that says it.
The columns may have the names of the exports (``Handle``, ``Variant SKU``) or of the template of 2024
(``URL handle``, ``SKU``).

A variant without a SKU is called by its handle and the values of its options, with colons between, for no
handle has a colon. A variant's own image is its main photograph; those that belong to no variant follow, in
the order of their positions. Stock, shipping, tax and texts for search engines say nothing of a picture and
are left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from asset_pipeline.catalog.dialect import Detail, Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row
from asset_pipeline.catalog.hygiene import LONGEST_SKU, plain_text
from asset_pipeline.fingerprint import sha256_of

NAME = "shopify"

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "text": ("body (html)", "body html", "description"),
    "vendor": ("vendor",),
    "type": ("type", "custom product type"),
    "category": ("product category", "standardized product type", "standard product type"),
    "google category": ("google shopping / google product category",),
    "tags": ("tags",),
    "status": ("status",),
    "published": ("published", "published on online store"),
    "sku": ("variant sku", "sku"),
    "price": ("variant price", "price"),
    "barcode": ("variant barcode", "barcode"),
    "variant image": ("variant image", "variant image url"),
    "image": ("image src", "product image url"),
    "position": ("image position",),
}
"""What a field is called in exports, and in the template of 2024."""
_OF_PRODUCTS = (
    "title", "text", "vendor", "type", "category", "google category", "tags", "status", "published"
)  # fmt: skip
_OF_VARIANTS = ("sku", "price", "barcode", "variant image")
"""A row with one of these is a variant; so is one with an option, and one that begins a product."""

_MARK = re.compile(r"variant (sku|price|barcode|grams|image)|option1 (name|value)|body \(?html\)?|image src")
_GOOGLE = "google shopping / "
_GOOGLE_ATTRIBUTES = {"manufacturer part number (mpn)": "mpn"} | {
    name: name for name in ("color", "material", "pattern", "size", "gender", "age group", "mpn")
}
_METAFIELD = re.compile(
    r"(.+) \((?:product|variant)\.metafields\.(?:custom|shopify|mm-google-shopping)\.[^()]+\)"
)
"""A shop's own fields. Those of other namespaces are what apps keep there: ratings, recommendations."""

_MOST_PHOTOGRAPHS = 250
"""Shopify's own limit for a product."""
_HASH_DIGITS = 16

_ORPHAN = Remark("refused", "orphan_row", "no row with its handle is a product, so nothing can use it")
_NO_HANDLE = Remark(
    "refused", "missing_handle", "the row has no handle and no title, so its product is unknown", "handle"
)


@dataclass(frozen=True)
class _Columns:
    """Where in this file things stand."""

    fields: Mapping[str, str]
    options: tuple[tuple[str, str], ...]
    """Columns of the options' names and values."""
    attributes: Mapping[str, str]
    """Column by attribute."""


@dataclass
class _Product:
    """What the rows of a handle say together."""

    handle: str
    facts: dict[str, str] = field(default_factory=dict)
    options: dict[int, str] = field(default_factory=dict)
    """Names of options by their place."""
    attributes: dict[str, str] = field(default_factory=dict)
    images: list[tuple[float, str]] = field(default_factory=list)
    """Position and address."""
    own_images: set[str] = field(default_factory=set)
    """Those of variants; the blank one of variants that have none."""
    is_remarked: bool = False
    """Whether a variant already tells that the product is not on sale."""

    @cached_property
    def gallery(self) -> tuple[PhotographReference, ...]:
        """Its images in the order of their positions, as they are when all rows are read."""
        paths = [path for _, path in sorted(self.images, key=lambda image: image[0])]
        return photographs_from(paths)[:_MOST_PHOTOGRAPHS]

    @cached_property
    def shared(self) -> tuple[PhotographReference, ...]:
        """Those that belong to no variant."""
        return tuple(image for image in self.gallery if image.path not in self.own_images)


@dataclass(frozen=True)
class _Variant:
    """What a row says of itself."""

    row: int
    source_sha256: str
    product: _Product
    facts: Mapping[str, str]
    options: tuple[tuple[int, str], ...]
    """Places of options and their values."""
    attributes: Mapping[str, str]
    remarks: tuple[Remark, ...]

    def photographs(self) -> tuple[PhotographReference, ...]:
        """Its own, then those of no variant; if there are none, all of the product."""
        own = photographs_from([self.facts.get("variant image", "")])
        return (*own, *self.product.shared) or self.product.gallery


def recognises(columns: Sequence[str]) -> bool:
    """Whether there are a handle, a title and something that only Shopify's file has."""
    keys = {column.lower() for column in columns}
    return "title" in keys and (
        "url handle" in keys or ("handle" in keys and any(map(_MARK.fullmatch, keys)))
    )


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each variant as a draft, when all rows are read: a handle's rows may stand anywhere."""
    where = _columns(columns)
    products: dict[tuple[str, int], _Product] = {}
    variants: list[_Variant] = []
    others: list[tuple[int, _Product]] = []
    for row in rows:
        facts = {name: text for name, column in where.fields.items() if (text := row.text(column).strip())}
        handle = plain_text(facts.get("handle", ""))[0]
        if not handle and "title" not in facts:
            yield NoProduct(row.number, _NO_HANDLE, facts.get("sku", "")[:LONGEST_SKU] or None)
            continue
        key = (handle.casefold(), 0 if handle else row.number)
        product = products.setdefault(key, _Product(handle))
        variant = _read(row, where, product, facts)
        if variant:
            variants.append(variant)
        else:
            others.append((row.number, product))
    for number, product in others:
        has_variants = bool(product.own_images)
        yield Detail(number) if has_variants else NoProduct(number, _ORPHAN, product.handle[:LONGEST_SKU])
    for variant in variants:
        yield _draft(variant)


def _columns(columns: Sequence[str]) -> _Columns:
    by_key = {column.lower(): column for column in reversed(columns)}
    return _Columns(
        fields={
            name: next(by_key[key] for key in keys if key in by_key)
            for name, keys in _FIELDS.items()
            if not by_key.keys().isdisjoint(keys)
        },
        options=tuple(
            (by_key.get(f"option{place} name", ""), by_key[f"option{place} value"])
            for place in (1, 2, 3)
            if f"option{place} value" in by_key
        ),
        attributes={name: column for key, column in by_key.items() if (name := _attribute(key))},
    )


def _attribute(key: str) -> str | None:
    """The attribute that a column holds, if it does."""
    match = _METAFIELD.fullmatch(key)
    name = match[1] if match else key
    if name.startswith(_GOOGLE):
        return _GOOGLE_ATTRIBUTES.get(name.removeprefix(_GOOGLE))
    return name if match else None


def _read(row: Row, where: _Columns, product: _Product, facts: Mapping[str, str]) -> _Variant | None:
    """Keep what a row says of its product; the row's variant, if it is one."""
    options = []
    for place, (name, value) in enumerate(where.options, start=1):
        if row.text(name).strip():
            product.options.setdefault(place, row.text(name).strip().lower())
        if row.text(value).strip():
            options.append((place, row.text(value).strip()))
    attributes = {
        name: text for name, column in where.attributes.items() if (text := row.text(column).strip())
    }
    if "image" in facts:
        product.images.append((_position(facts.get("position", "")), facts["image"]))
    first = product.facts.get("title", "")
    title = facts.get("title", first)
    is_title_new = title.casefold() != first.casefold()
    if not (options or is_title_new) and facts.keys().isdisjoint(_OF_VARIANTS):
        return None
    remarks = row.remarks
    if first and is_title_new:
        remarks = (*remarks, _other_title(title, first))
    product.facts = {name: facts[name] for name in _OF_PRODUCTS if name in facts} | product.facts
    product.attributes = {**attributes, **product.attributes}
    product.own_images.add(facts.get("variant image", ""))
    return _Variant(
        row=row.number,
        source_sha256=row.source_sha256,
        product=product,
        facts={name: facts[name] for name in _OF_VARIANTS if name in facts},
        options=tuple(options),
        attributes=attributes,
        remarks=remarks,
    )


def _position(cell: str) -> float:
    """An image's position; behind all others where there is none."""
    return float(cell) if re.fullmatch(r"[0-9]{1,9}(\.0*)?", cell) else float("inf")


def _draft(variant: _Variant) -> Draft:
    """A variant with what its product's rows say."""
    product, facts = variant.product, variant.facts
    remarks = variant.remarks
    chosen = {place: value for place, value in variant.options if value.casefold() != "default title"}
    sku = facts.get("sku") or _identity(product.handle, chosen.values())
    if sku and "sku" not in facts:
        made_up = f"it has no SKU; {sku!r} stands for it"
        remarks = (*remarks, Remark("repaired", "sku_from_handle", made_up, "sku"))
    status = _status(product.facts)
    if status not in ("", "active") and not product.is_remarked:
        product.is_remarked = True
        remarks = (*remarks, _not_on_sale(status))
    attributes = {product.options.get(place, f"option {place}"): value for place, value in chosen.items()}
    for name, value in (*variant.attributes.items(), *product.attributes.items()):
        attributes.setdefault(name, value)
    own = {"gtin": facts.get("barcode", "").lstrip("'"), "status": status}
    attributes |= {name: value for name, value in own.items() if value}
    return Draft(
        row=variant.row,
        source_sha256=variant.source_sha256,
        sku=sku,
        group=product.handle,
        names={"und": product.facts.get("title", "")},
        descriptions={"und": product.facts.get("text", "")},
        categories=tuple(_categories(product.facts)),
        brand=product.facts.get("vendor", ""),
        price=facts.get("price", ""),
        attributes=attributes,
        photographs=variant.photographs(),
        remarks=remarks,
    )


def _categories(facts: Mapping[str, str]) -> Iterator[str]:
    """The shop's own type, then Shopify's or Google's category from its end, then the tags."""
    yield facts.get("type", "")
    path = facts.get("category") or facts.get("google category", "")
    if not path.isdecimal():  # Google's categories have numbers too
        yield from reversed(re.split(r">|&gt;", path))
    yield from facts.get("tags", "").split(",")


def _status(facts: Mapping[str, str]) -> str:
    """``active``, ``draft``, ``archived``, or ``unpublished`` for what the online shop does not show."""
    status = facts.get("status", "").lower()
    if status in ("", "active") and facts.get("published", "").lower() in ("false", "no", "0"):
        return "unpublished"
    return status or ("active" if "published" in facts else "")


def _identity(handle: str, values: Iterable[str]) -> str:
    """What a variant without a SKU is called; the end of a long name becomes its hash."""
    if not handle:
        return ""
    name = ":".join([handle, *(plain_text(value)[0] for value in values)])
    if len(name) <= LONGEST_SKU:
        return name
    return f"{name[: LONGEST_SKU - _HASH_DIGITS - 1]}-{sha256_of(name.encode())[:_HASH_DIGITS]}"


def _other_title(title: str, first: str) -> Remark:
    return Remark(
        "warning",
        "other_title",
        f"a row before has the same handle with the title {first[:60]!r}, which counts, not {title[:60]!r}; "
        "give two products two handles",
        "title",
    )


def _not_on_sale(status: str) -> Remark:
    return Remark(
        "note",
        "not_on_sale",
        f"its status is {status[:60]!r}; it is used all the same: a campaign for products with the attribute "
        "status: active leaves it out",
        "status",
    )
