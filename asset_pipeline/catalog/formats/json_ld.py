"""JSON-LD laid flat: the nodes of a document, each a record of its own.

Nodes lie within a ``@graph``, as items of an ItemList, as what a page is mainly about, and as variants within
their ProductGroup. A variant is told its group: a copy without the variants, as ``isVariantOf``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 20
"""Lists within groups within graphs; real documents have three."""

Node = Mapping[str, Any]


def nodes(record: Any, depth: int = 0) -> Iterator[Any]:
    """The nodes of a record in the order in which they stand; what is no JSON-LD is one record as it is."""
    if not isinstance(record, Mapping) or depth > _DEEPEST:
        yield record
        return
    rest = dict(record)
    inner: list[Any] = []
    for key in ("@graph", "itemListElement", "mainEntity", "hasVariant"):
        members = _list(record.get(key))
        if not any(_is_node(member) for member in members) or not _is_container(record, key):
            continue
        if key == "hasVariant":
            members = _variants(record, members)
        else:
            del rest[key]
        inner += [_with_language(_item(member), record.get("@context")) for member in members]
    is_wrapper = bool(inner) and ("@type" not in rest or types(record) == {"ItemList"})
    if not is_wrapper:
        yield rest
    for node in inner:
        yield from nodes(node, depth + 1)


def types(node: Node) -> frozenset[str]:
    """The types of a node, without the vocabulary: ``https://schema.org/Product`` is ``Product``."""
    return frozenset(
        re.split(r"[/#:]", name)[-1] for name in _list(node.get("@type")) if isinstance(name, str)
    )


def language(context: Any) -> str:
    """The language that a ``@context`` tells for all words; empty if it tells none."""
    found = (part.get("@language") for part in _list(context) if isinstance(part, Mapping))
    return next((name for name in found if isinstance(name, str)), "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_node(value: Any) -> bool:
    """Whether it describes something, and does not merely name it."""
    return isinstance(value, Mapping) and bool(types(value)) and not value.keys() <= {"@type", "@id", "url"}


def _is_container(record: Node, key: str) -> bool:
    """Whether what lies under the key are records and not facts; a BreadcrumbList's items are facts."""
    kinds = {"itemListElement": {"ItemList"}, "hasVariant": {"ProductGroup", "ProductModel"}}
    return key not in kinds or not types(record).isdisjoint(kinds[key])


def _item(member: Any) -> Any:
    """What a ListItem holds."""
    if isinstance(member, Mapping) and "ListItem" in types(member) and _is_node(member.get("item")):
        return member["item"]
    return member


def _variants(group: Node, members: list[Any]) -> list[Any]:
    """The variants that a group describes; those that it only names stand elsewhere."""
    prototype = {key: value for key, value in group.items() if key != "hasVariant"}
    return [{**member, "isVariantOf": prototype} for member in members if _is_node(member)]


def _with_language(member: Any, context: Any) -> Any:
    if isinstance(member, Mapping) and "@context" not in member and language(context):
        return {"@context": context, **member}
    return member
