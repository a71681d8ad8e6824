"""Amazon Berkeley Objects: listings of products as JSON lines, words by language, photographs by their id.

A listing is ``item_id`` in a marketplace (``domain_name``). The first listing of an ``item_id`` in a feed is
the product; those of other marketplaces add its words in languages that it lacks.

Names are ``item_name``, descriptions ``product_description`` or else ``bullet_point``. The product type is
the first category, then the browse nodes from the narrowest on. Of other facts in several languages English
counts, else the first in alphabetical order. Sizes and weight are the normalised ones.

``main_image_id`` and ``other_image_id`` are names without a suffix: a photograph is ``<id>.jpg`` (or png,
webp, jpeg). The collection's own ``images.csv`` says which file an id is; its rows are details here, so it
does no harm beside a feed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asset_pipeline.catalog.dialect import Detail, Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, cell_text
from asset_pipeline.catalog.locales import UNDETERMINED, locale_of

NAME = "berkeley_objects"

_LISTING = frozenset({"item_id", "item_name"})
_OWN = frozenset({"bullet_point", "main_image_id", "domain_name", "node"})
_IMAGES_CSV = frozenset({"image_id", "height", "width", "path"})
_SIZES = ("height", "width", "length")
_TAKEN = frozenset({
    "item_id", "item_name", "product_description", "bullet_point", "brand", "product_type", "node",
    "main_image_id", "other_image_id", "item_dimensions", "item_weight", "spin_id", "3dmodel_id",
})  # fmt: skip
_SUFFIXES = ("png", "webp", "jpeg")


def recognises(columns: Sequence[str]) -> bool:
    """Whether these are listings with one of the collection's own fields, or the collection's images.csv."""
    keys = set(columns)
    return (keys >= _LISTING and not keys.isdisjoint(_OWN)) or keys == _IMAGES_CSV


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each item's first listing as a draft; its listings elsewhere, and rows of images.csv, are details."""
    del columns
    items: dict[str, Draft] = {}
    listings: dict[tuple[str, str], Row] = {}
    contradicting: list[Draft] = []
    for row in rows:
        listing = _draft(row)
        if not listing.sku:
            yield Detail(row.number) if "image_id" in row.cells else listing
            continue
        first = listings.setdefault((listing.sku, row.text("domain_name")), row)
        if listing.sku not in items:
            items[listing.sku] = listing
        elif first is row:
            items[listing.sku] = _with_words(items[listing.sku], listing)
            yield Detail(row.number)
        elif first.source_sha256 == row.source_sha256:
            yield NoProduct(row.number, _repeated(first), listing.sku)
        else:
            contradicting.append(listing)
    yield from (*items.values(), *contradicting)  # whose SKU comes first has it


def _draft(row: Row) -> Draft:
    cells = row.cells
    names = {locale: words[0] for locale, words in _by_locale(cells.get("item_name")).items()}
    points = {locale: _sentences(words) for locale, words in _by_locale(cells.get("bullet_point")).items()}
    described = _by_locale(cells.get("product_description"))
    texts = {locale: " ".join(words) for locale, words in described.items()}
    return Draft(
        row=row.number,
        source_sha256=row.source_sha256,
        sku=row.text("item_id").strip(),
        names=names,
        descriptions=points | texts,
        categories=tuple(_categories(cells)),
        brand=_in_one_language(cells.get("brand")),
        attributes=_attributes(cells),
        photographs=_photographs(cells),
        remarks=row.remarks,
    )


def _with_words(item: Draft, listing: Draft) -> Draft:
    """An item with the words of another listing in languages that it has none in."""
    return replace(
        item,
        names={**listing.names, **item.names},
        descriptions={**listing.descriptions, **item.descriptions},
    )


def _by_locale(value: Any) -> dict[str, list[str]]:
    """The texts of ``[{language_tag, value}]`` by locale, each once; ``und`` of a plain value."""
    found: dict[str, list[str]] = {}
    for entry in value if isinstance(value, list) else [value]:
        is_tagged = isinstance(entry, Mapping)
        text = cell_text(entry.get("value") if is_tagged else entry).strip()
        locale = locale_of(cell_text(entry.get("language_tag"))) if is_tagged else UNDETERMINED
        if text and text not in found.setdefault(locale, []):
            found[locale].append(text)
    return {locale: texts for locale, texts in found.items() if texts}


def _in_one_language(value: Any) -> str:
    """The texts in English, or else in the first language."""
    found = _by_locale(value)
    if not found:
        return ""
    return ", ".join(found[min(found, key=lambda locale: (locale.partition("-")[0] != "en", locale))])


def _sentences(points: Sequence[str]) -> str:
    return " ".join(point if point.endswith((".", "!", "?", "。")) else f"{point}." for point in points)


def _categories(cells: Mapping[str, Any]) -> Iterator[str]:
    """The product type, then the browse nodes, the narrowest first: ``/Home/Chairs`` is within ``/Home``."""
    for texts in _by_locale(cells.get("product_type")).values():
        yield from texts
    nodes = cells.get("node")
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, Mapping):
            yield from reversed(cell_text(node.get("node_name")).split("/"))


def _attributes(cells: Mapping[str, Any]) -> dict[str, str]:
    sizes = cells.get("item_dimensions")
    measures = {name: sizes.get(name) for name in _SIZES} if isinstance(sizes, Mapping) else {}
    weights = cells.get("item_weight")
    measures["weight"] = weights[0] if isinstance(weights, list) and weights else weights
    texts = {name: _in_one_language(value) for name, value in cells.items() if name not in _TAKEN}
    return texts | {name: text for name, value in measures.items() if (text := _measure(value))}


def _measure(value: Any) -> str:
    """``12 inches`` of ``{normalized_value: {unit, value}, unit, value}``; empty if it is none."""
    if not isinstance(value, Mapping):
        return ""
    normalised = value.get("normalized_value")
    found = normalised if isinstance(normalised, Mapping) else value
    amount, unit = cell_text(found.get("value")), cell_text(found.get("unit"))
    return f"{amount} {unit}".strip() if amount else ""


def _photographs(cells: Mapping[str, Any]) -> tuple[PhotographReference, ...]:
    others = cells.get("other_image_id")
    ids = [cells.get("main_image_id"), *(others if isinstance(others, list) else [others])]
    names = [name for each in ids if (name := cell_text(each).strip())]
    return photographs_from(
        [f"{name}.jpg" for name in names],
        {f"{name}.jpg": tuple(f"{name}.{suffix}" for suffix in _SUFFIXES) for name in names},
    )


def _repeated(first: Row) -> Remark:
    return Remark("note", "repeated_row", f"says the same as row {first.number}", "item_id")
