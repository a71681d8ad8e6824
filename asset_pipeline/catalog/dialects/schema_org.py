"""schema.org's Product as JSON-LD: a product, a list, a graph or JSON lines of them.

Each Product is a variant or product by itself. What it does not say (words, brand, pictures, offers), its
ProductGroup says for it. A ProductGroup none of whose variants is in the file is a product too. Every other
node (Organization, BreadcrumbList, ImageObject ...) is a detail, which products may refer to by ``@id``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from asset_pipeline.catalog.dialect import Detail, Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.json_ld import language, types
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, cell_text
from asset_pipeline.catalog.locales import UNDETERMINED, locale_of

NAME = "schema_org"

_PRODUCT_TYPES = (
    "Product ProductGroup ProductModel ProductCollection IndividualProduct SomeProducts DietarySupplement "
    "Drug Vehicle BusOrCoach Car Motorcycle MotorizedBicycle"
)
_PRODUCTS = frozenset(_PRODUCT_TYPES.split())
"""Product and the types that schema.org has below it."""
_NUMBERS = ("productID", "gtin", "gtin14", "gtin13", "gtin12", "gtin8", "mpn")
"""What may stand for a SKU, best first."""
_IDENTITY = frozenset({
    "@id", "@type", "url", "sku", *_NUMBERS, "productGroupID", "hasVariant", "variesBy", "isVariantOf",
    "inProductGroupWithID", "aggregateRating", "review", "reviews",
})  # fmt: skip
"""What is a group's own and no variant's."""
_NO_ATTRIBUTES = (_IDENTITY - {*_NUMBERS}) | {
    "name", "description", "image", "logo", "brand", "category", "offers", "additionalProperty", "inLanguage",
    "mainEntityOfPage", "mainEntity", "sameAs", "additionalType", "subjectOf", "potentialAction",
    "isRelatedTo", "isSimilarTo", "isAccessoryOrSparePartFor", "isConsumableFor", "hasMerchantReturnPolicy",
}  # fmt: skip
_VOCABULARY = re.compile(r"^(?:https?://schema\.org/|schema:)")
_EXACT = re.compile(r"\d+(?:\.\d+)?")
"""A price as schema.org asks for: a point for decimals, nothing for thousands."""
_MOST_OFFERS = 100
_WITHIN_A_PAGE = ("#", "_:")
"""Identifiers that mean something within one page only; a file may hold many pages."""

Node = Mapping[str, Any]


def recognises(columns: Sequence[str]) -> bool:
    """Whether the records are JSON-LD's."""
    return "@type" in columns


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each product as a draft; groups with variants and all other nodes are details."""
    del columns
    records = [(row, _plain_keys(row.cells)) for row in rows]
    graph = _Graph([node for _, node in records])
    for row, node in records:
        if not types(node):
            yield NoProduct(row.number, _NO_TYPE)
        elif types(node).isdisjoint(_PRODUCTS):
            yield Detail(row.number) if graph.has_products else NoProduct(row.number, _NOT_A_PRODUCT)
        elif graph.has_variants(node):
            yield Detail(row.number)
        else:
            yield graph.draft(row, node)


class _Graph:
    """The nodes of a file by what refers to them."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._by_id: dict[str, Node] = {}
        self._ambiguous: set[str] = set()
        for node in _all_nodes(nodes):
            key = node.get("@id")
            if not isinstance(key, str) or node.keys() <= {"@id", "@type"}:
                continue
            known = self._by_id.setdefault(key, node)
            if key.startswith(_WITHIN_A_PAGE) and known is not node and known != node:
                self._ambiguous.add(key)
        groups = [node for node in nodes if "ProductGroup" in types(node)]
        self._groups = {_text(group.get("productGroupID")): group for group in reversed(groups)}
        self._group_of = {
            variant["@id"]: group
            for group in reversed(groups)
            for variant in _list(group.get("hasVariant"))
            if isinstance(variant, Mapping) and isinstance(variant.get("@id"), str)
        }
        products = [node for node in nodes if types(node) & _PRODUCTS]
        self.has_products = bool(products)
        self._groups_with_variants = {self._group_name(self._group(node)) for node in products} - {""}

    def has_variants(self, node: Node) -> bool:
        """Whether it is a group whose variants are in the file."""
        return "ProductGroup" in types(node) and self._group_name(node) in self._groups_with_variants

    def draft(self, row: Row, node: Node) -> Draft:
        """What a product says, and its group for it."""
        group = self._group(node)
        facts = {**{key: value for key, value in group.items() if key not in _IDENTITY}, **node}
        locale = locale_of(language(facts.get("@context")) or _text(facts.get("inLanguage")))
        sku, remarks = _sku(node)
        price, currency = self._price(facts.get("offers"))
        return Draft(
            row=row.number,
            source_sha256=row.source_sha256,
            sku=sku,
            group=self._group_name(group),
            names=_words(facts.get("name"), locale),
            descriptions=_words(facts.get("description"), locale),
            categories=tuple(self._texts(facts.get("category"))),
            brand=next(self._texts(facts.get("brand")), ""),
            price=price,
            currency=currency,
            attributes=self._attributes(facts),
            photographs=self._photographs(facts),
            remarks=(*row.remarks, *remarks),
        )

    def _resolved(self, value: Any) -> Any:
        """The node that a mere reference means; anything else, and what is not in the file, as it is."""
        key = value.get("@id") if isinstance(value, Mapping) and value.keys() <= {"@id", "@type"} else None
        return self._by_id.get(key, value) if isinstance(key, str) and key not in self._ambiguous else value

    def _group(self, node: Node) -> Node:
        """The group of a variant; empty if it has none."""
        if "ProductGroup" in types(node):
            return {}
        for value in _list(node.get("isVariantOf")):
            found = self._resolved({"@id": value} if isinstance(value, str) else value)
            if isinstance(found, Mapping):
                group = _plain_keys(found)
                return {**self._groups.get(_text(group.get("productGroupID")), {}), **group}
        number = _text(node.get("inProductGroupWithID"))
        if number:
            return self._groups.get(number, {"productGroupID": number})
        key = node.get("@id")
        return self._group_of.get(key, {}) if isinstance(key, str) and key not in self._ambiguous else {}

    def _group_name(self, group: Node) -> str:
        """What a group is called by all its variants; empty if it has no name of any kind."""
        names = (_text(group.get(key)) for key in ("productGroupID", "sku", "url", "@id", "name"))
        return next((name for name in names if name and name not in self._ambiguous), "")

    def _price(self, offers: Any) -> tuple[Decimal | str, str]:
        """Amount and currency of the first offer that tells a price; of several together, the lowest."""
        waiting = _list(offers)[:_MOST_OFFERS]
        for place in range(_MOST_OFFERS):  # offers may hold further ones, and refer to each other in a circle
            offer = self._resolved(waiting[place]) if place < len(waiting) else None
            if not isinstance(offer, Mapping):
                continue
            offer = _plain_keys(offer)
            for terms in (offer, *_list(offer.get("priceSpecification"))):
                plain = _plain_keys(terms) if isinstance(terms, Mapping) else {}
                amount = _text(plain.get("price")) or _text(plain.get("lowPrice"))
                if amount:
                    currency = _text(plain.get("priceCurrency")) or _text(offer.get("priceCurrency"))
                    return Decimal(amount) if _EXACT.fullmatch(amount) else amount, currency
            waiting += _list(offer.get("offers"))[:_MOST_OFFERS]
        return "", ""

    def _photographs(self, facts: Node) -> tuple[PhotographReference, ...]:
        pictures = photographs_from(self._addresses(facts.get("image")))
        seen = {picture.path for picture in pictures}
        logos = dict.fromkeys(self._addresses(facts.get("logo")))
        return (*pictures, *(PhotographReference(path, "logo") for path in logos if path not in seen))

    def _addresses(self, value: Any) -> Iterator[str]:
        """Where pictures lie: texts, or ImageObjects, which have it in one of several places."""
        for picture in map(self._resolved, _list(value)):
            if isinstance(picture, str):
                yield picture
            elif isinstance(picture, Mapping):
                node = _plain_keys(picture)
                keys = ("contentUrl", "url", "@id")
                yield next((text for text in (_text(node.get(key)) for key in keys) if text), "")

    def _texts(self, value: Any) -> Iterator[str]:
        """The texts of a value, or of each of a list; of a node its value with the unit, name or code."""
        for part in map(self._resolved, _list(value)):
            text = _text(part)
            if text:
                yield _VOCABULARY.sub("", text, count=1)
            elif isinstance(part, Mapping):
                node = _plain_keys(part)
                key = next((key for key in ("value", "name", "codeValue") if _text(node.get(key))), "")
                unit = _text(node.get("unitText")) or _text(node.get("unitCode"))
                for each in filter(None, map(_text, _list(node.get(key)))):
                    yield f"{each} {unit}" if unit else _VOCABULARY.sub("", each, count=1)

    def _attributes(self, facts: Node) -> dict[str, str]:
        attributes = {
            key: ", ".join(self._texts(value))
            for key, value in facts.items()
            if key not in _NO_ATTRIBUTES and not key.startswith("@")
        }
        for part in map(self._resolved, _list(facts.get("additionalProperty"))):
            if isinstance(part, Mapping):
                fact = _plain_keys(part)
                name = _text(fact.get("name")) or _text(fact.get("propertyID"))
                if name:
                    attributes.setdefault(name.lower(), ", ".join(self._texts({**fact, "name": None})))
        return attributes


def _all_nodes(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes and all within them, without recursion: a feed may be nested as deeply as it likes."""
    waiting: list[Any] = list(reversed(nodes))
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield value
            waiting.extend(part for part in value.values() if isinstance(part, Mapping | list))
        else:
            waiting.extend(part for part in value if isinstance(part, Mapping | list))


def _plain_keys(node: Node) -> Node:
    """A node with its properties by name, where they are written with their vocabulary."""
    if not any(_VOCABULARY.match(key) for key in node):
        return node
    return {_VOCABULARY.sub("", key, count=1): value for key, value in node.items()}


def _list(value: Any) -> list[Any]:
    if isinstance(value, Mapping) and isinstance(value.get("@list", value.get("@set")), list):
        value = value.get("@list", value.get("@set"))
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    """A text or number, also in its expanded form; the first of a list; of anything else nothing."""
    for part in _list(value):
        plain = part.get("@value") if isinstance(part, Mapping) else part
        if not isinstance(plain, Mapping | list) and cell_text(plain).strip():
            return cell_text(plain).strip()
    return ""


def _words(value: Any, locale: str) -> dict[str, str]:
    """Words by locale: text, ``{"@value", "@language"}``, a list of these, or ``{"de": …, "en": …}``."""
    words: dict[str, str] = {}
    for part in _list(value):
        told = _text(part.get("@language")) if isinstance(part, Mapping) else ""
        if _text(part):
            words.setdefault(locale_of(told) if told else locale, _text(part))
        elif isinstance(part, Mapping):
            for key, text in part.items():
                if locale_of(key) != UNDETERMINED and _text(text):
                    words.setdefault(locale_of(key), _text(text))
    return words


def _sku(node: Node) -> tuple[str, tuple[Remark, ...]]:
    """A product's SKU, or the number that stands for it, with a remark."""
    sku = _text(node.get("sku"))
    keys = ("productGroupID", *_NUMBERS) if "ProductGroup" in types(node) else _NUMBERS
    stands_in = next((key for key in keys if _text(node.get(key))), None)
    if sku or not stands_in:
        return sku, ()
    sku = _text(node[stands_in])
    message = f"it has no SKU; its {stands_in} {sku!r} stands for it"
    return sku, (Remark("repaired", "sku_from_other_number", message, "sku"),)


_NO_TYPE = Remark("refused", "no_type", "the record has no @type, so what it describes is unknown", "@type")
_NOT_A_PRODUCT = Remark("note", "not_a_product", "it describes something, but no product", "@type")
