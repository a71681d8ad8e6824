"""Saleor's Django fixture: a JSON list of records of all its models, which refer to each other by number.

Each ``product.productvariant`` is a variant. Products, categories, media, listings and attributes are
details of those. Where a variant has no SKU, the product's slug takes its place. Descriptions are Editor.js
documents. The price is that of the first channel. Media files carry the hash that Saleor gave them when
they were uploaded, and are looked for without it too.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Any

from asset_pipeline.catalog.dialect import Detail, Draft, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, cell_text

NAME = "saleor"

_HASH_SUFFIX = re.compile(r"_[0-9a-f]{8}$")

_REFERENCES = frozenset(
    {"product", "variant", "media", "channel", "category", "parent", "attribute", "value", "assignment"}
)

_NO_FIXTURE = Remark("refused", "not_a_fixture", "the record has no model, pk and fields")
_NO_VARIANT = Remark("refused", "no_variant", "the product has no variant, so nothing of it can be sold")
_ORPHAN = Remark("refused", "orphan_variant", "the variant's product is not in the file")

Fields = Mapping[str, Any]


def recognises(columns: Sequence[str]) -> bool:
    """Whether the records are those of a Django fixture."""
    return {"model", "pk", "fields"} <= set(columns)


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each variant as a draft; every other record is a detail."""
    del columns
    fixture = _Fixture()
    kept: list[tuple[Row, str, Any, Fields]] = []
    for row in rows:
        model, key, fields = row.cells.get("model"), row.cells.get("pk"), row.cells.get("fields")
        if not (isinstance(model, str) and isinstance(key, int | str) and isinstance(fields, Mapping)):
            yield NoProduct(row.number, _NO_FIXTURE)
            continue
        fields = _with_references(fields)
        if model in ("product.product", "product.productvariant"):
            kept.append((row, model, key, fields))
            fixture.add(model, key, fields)
        else:
            fixture.add(model, key, fields)
            yield Detail(row.number)
    for row, model, key, fields in kept:
        if model == "product.productvariant":
            yield fixture.draft(row, key, fields)
        elif fixture.variants[key]:
            yield Detail(row.number)
        else:
            yield NoProduct(row.number, _NO_VARIANT, cell_text(fields.get("slug")) or None)


class _Fixture:
    """The records by what they refer to."""

    def __init__(self) -> None:
        self.records: dict[str, dict[Any, Fields]] = defaultdict(dict)
        self.variants: dict[Any, list[Any]] = defaultdict(list)
        self._media: dict[Any, list[tuple[Any, Fields]]] = defaultdict(list)
        self._variant_media: dict[Any, set[Any]] = defaultdict(set)
        self._listings: dict[Any, list[Fields]] = defaultdict(list)
        self._product_values: dict[Any, list[Any]] = defaultdict(list)
        self._assignments: dict[Any, list[Any]] = defaultdict(list)
        self._assigned_values: dict[Any, list[Any]] = defaultdict(list)

    def add(self, model: str, key: Any, fields: Fields) -> None:
        self.records[model][key] = fields
        if model == "product.productvariant":
            self.variants[fields.get("product")].append(key)
        elif model == "product.productmedia":
            self._media[fields.get("product")].append((key, fields))
        elif model == "product.variantmedia":
            self._variant_media[fields.get("variant")].add(fields.get("media"))
        elif model == "product.productvariantchannellisting":
            self._listings[fields.get("variant")].append(fields)
        elif model == "attribute.assignedproductattributevalue":
            self._product_values[fields.get("product")].append(fields.get("value"))
        elif model == "attribute.assignedvariantattribute":
            self._assignments[fields.get("variant")].append(key)
        elif model == "attribute.assignedvariantattributevalue":
            self._assigned_values[fields.get("assignment")].append(fields.get("value"))

    def draft(self, row: Row, key: Any, variant: Fields) -> Draft | NoProduct:
        product = self.records["product.product"].get(variant.get("product"))
        sku = cell_text(variant.get("sku")).strip()
        if product is None:
            return NoProduct(row.number, _ORPHAN, sku or None)
        slug = cell_text(product.get("slug"))
        remarks = row.remarks
        if not sku:
            sku = slug if len(self.variants[variant["product"]]) == 1 else f"{slug}-{key}"
            remarks = (
                *remarks,
                Remark("repaired", "sku_from_slug", f"it has no SKU; {sku!r} stands for it", "sku"),
            )
        attributes = self._attributes([
            *self._product_values[variant["product"]],
            *(value for assignment in self._assignments[key] for value in self._assigned_values[assignment]),
        ])  # fmt: skip
        price, currency = self._price(key)
        return Draft(
            row=row.number,
            source_sha256=row.source_sha256,
            sku=sku,
            group=slug,
            names={"und": cell_text(product.get("name"))},
            descriptions={"und": _description(product)},
            categories=tuple(self._categories(product.get("category"))),
            brand=attributes.pop("brand", ""),
            price=price,
            currency=currency,
            attributes=attributes,
            photographs=self._photographs(variant["product"], key),
            remarks=remarks,
        )

    def _attributes(self, values: Sequence[Any]) -> dict[str, str]:
        attributes: dict[str, str] = {}
        for value in dict.fromkeys(values):
            found = self.records["attribute.attributevalue"].get(value, {})
            attribute = self.records["attribute.attribute"].get(found.get("attribute"), {})
            name, text = cell_text(attribute.get("name")).lower(), cell_text(found.get("name"))
            if name and text:
                attributes[name] = f"{attributes[name]}, {text}" if name in attributes else text
        return attributes

    def _categories(self, key: Any) -> Iterator[str]:
        """A category's name, then those it is within."""
        seen: set[Any] = set()
        while key in self.records["product.category"] and key not in seen:
            seen.add(key)
            category = self.records["product.category"][key]
            yield cell_text(category.get("name"))
            key = category.get("parent")

    def _price(self, variant: Any) -> tuple[Decimal | str, str]:
        """Amount and currency in the first channel that has a price."""
        listings = sorted(self._listings[variant], key=lambda fields: str(fields.get("channel")).zfill(12))
        for listing in listings:
            amount = listing.get("price_amount")
            if amount is not None:
                try:
                    return Decimal(cell_text(amount)), cell_text(listing.get("currency"))
                except InvalidOperation:
                    return cell_text(amount), cell_text(listing.get("currency"))
        return "", ""

    def _photographs(self, product: Any, variant: Any) -> Any:
        media = sorted(
            self._media[product],
            key=lambda item: (cell_text(item[1].get("sort_order")).zfill(9), str(item[0]).zfill(12)),
        )
        own = self._variant_media[variant]
        paths = [
            cell_text(fields.get("image"))
            for key, fields in media
            if fields.get("image") and (not own or key in own)
        ]
        return photographs_from(paths, {path: _other_names(path) for path in paths})


def _with_references(fields: Fields) -> Fields:
    """The fields, with nothing where a reference to another record is not one."""
    broken = [name for name in _REFERENCES & fields.keys() if not isinstance(fields[name], int | str)]
    return {**fields, **dict.fromkeys(broken)}


def _other_names(path: str) -> tuple[str, ...]:
    """The names of a media file before it was uploaded: without folder and hash, with Saleor's prefix."""
    file = PurePosixPath(path)
    original = _HASH_SUFFIX.sub("", file.stem) + file.suffix
    return tuple(dict.fromkeys([file.name, original, f"saleor-{original}"]))


def _description(product: Fields) -> str:
    """The text of an Editor.js document, or what the record has as plain text."""
    document = product.get("description")
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return document
    if not isinstance(document, Mapping) or not isinstance(document.get("blocks"), list):
        return cell_text(product.get("description_plaintext"))
    return " ".join(text for block in document["blocks"] for text in _block_texts(block))


def _block_texts(block: Any) -> Iterator[str]:
    data = block.get("data") if isinstance(block, Mapping) else None
    if not isinstance(data, Mapping):
        return
    if isinstance(data.get("text"), str):
        yield data["text"]
    items = data.get("items")
    for item in items if isinstance(items, list) else []:
        yield (
            cell_text(item.get("content") or item.get("text"))
            if isinstance(item, Mapping)
            else cell_text(item)
        )
