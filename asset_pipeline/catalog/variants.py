"""One product is one thing that is photographed: variants that look alike become one product.

Variants of a group that share their photographs are one product: it has the SKU of the first, and all their
SKUs in the attribute ``variants``. A variant with photographs of its own is a product of its own. A variant
without any joins those of its group if they all share the same ones. Where a group has no photographs,
variants are one product unless their colour, material or pattern differs.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asset_pipeline.catalog.dialect import Draft

VISIBLE_ATTRIBUTES = ("colour", "material", "pattern")
"""What Google's product data calls variant attributes and a photograph shows."""


def merge_variants(drafts: Sequence[Draft]) -> list[Draft]:
    """The products of a feed, each where its first variant stood."""
    albums: dict[str, set[Any]] = {}
    for draft in drafts:
        if draft.group:
            albums.setdefault(draft.group, set()).update({draft.photographs} - {()})
    alike: dict[Any, list[Draft]] = {}
    for draft in drafts:
        key = (draft.group, _looks(draft, albums[draft.group])) if draft.group else ("", draft.row)
        alike.setdefault(key, []).append(draft)
    return [_joined(variants) if len(variants) > 1 else variants[0] for variants in alike.values()]


def _looks(draft: Draft, albums: set[Any]) -> Any:
    """What decides whether two variants of a group look alike; `albums` are the group's photographs."""
    if draft.photographs:
        return draft.photographs
    if len(albums) == 1:
        return next(iter(albums))
    return tuple(draft.attributes.get(name, "").casefold() for name in VISIBLE_ATTRIBUTES)


def _joined(variants: Sequence[Draft]) -> Draft:
    first = variants[0]
    names = dict.fromkeys(name for variant in variants for name in variant.attributes)
    attributes = {
        name: ", ".join(dict.fromkeys(v.attributes[name] for v in variants if name in v.attributes))
        for name in names
    }
    return replace(
        first,
        attributes=attributes | {"variants": "|".join(variant.sku for variant in variants)},
        photographs=next((variant.photographs for variant in variants if variant.photographs), ()),
        variant_rows=tuple(variant.row for variant in variants[1:]),
    )
