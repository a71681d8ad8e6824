"""Akeneo's CSV of products, as its export and import profiles write it, mostly with ``;`` between cells.

A column is an attribute's code, then the locale, the channel and the currency where it has them, with ``-``
between: ``description-de_DE-ecommerce``, ``price-EUR``. ``weight-unit`` is the unit of ``weight``.

* The name is ``name``; where a row has none, ``title``, ``label``, ``variation_name``, ``erp_name`` or
  another attribute that ends in ``_name``. The description likewise.
* Of several channels ``ecommerce`` counts, else the first in alphabetical order that says something; if
  another one says something else, a note tells so.
* Of several currencies the first in alphabetical order counts. Of an attribute in several languages that
  is no name and no description English counts, else the first.
* ``categories`` are codes; the family is the last of them. Associations and groups are left out.
* Rows with a ``code`` in place of a SKU are product models. What they say fills blanks of the variants that
  name them as ``parent``; they are no products themselves.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from asset_pipeline.catalog.dialect import Detail, Draft, PhotographReference, photographs_from
from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row, cell_text
from asset_pipeline.catalog.locales import UNDETERMINED, locale_of
from asset_pipeline.catalog.price import CURRENCIES

NAME = "akeneo"

_SKUS = ("sku", "identifier")
_FAMILIES = ("family", "family_variant")
_STRUCTURE = frozenset({*_SKUS, *_FAMILIES, "uuid", "code", "parent", "categories", "groups"})
_ASSOCIATION = re.compile(r"-(groups|products|product_models|product_uuids)(-quantity)?$")
_LOCALE = re.compile(r"[a-z]{2,3}(?:_[a-z]{4})?_[a-z]{2}", re.IGNORECASE)
_NAMES = ("name", "product_name", "title", "label", "variation_name", "erp_name")
_DESCRIPTIONS = ("description", "long_description", "short_description")
_OTHERS_NAMES = ("brand", "supplier", "manufacturer", "vendor", "meta")
"""``brand_name`` is not the product's."""
_BRANDS = ("brand", "manufacturer")
_PHOTOGRAPHS = ("variation_image", "image", "picture", "photo", "packshot")
"""The best first: a variant's own photograph shows its colour."""
_PICTURE = re.compile(r"[^,]+\.(?:jpe?g|png|webp|gif|tiff?|avif|bmp)", re.IGNORECASE)
_PICTURE_COLUMN = re.compile(r"image|picture|photo|packshot|visual|_view$|thumbnail")
_STORED = re.compile(r"[0-9a-f]{40}_(?=.)")
"""What Akeneo's storage puts before the name of an uploaded file: a hash."""
_AMOUNT = re.compile(r"(\d[\d.,]*)\s*([A-Z]{3})\b")

_MODEL = Remark(
    "note",
    "product_model",
    "a product model is sold as its variants alone, and none of them is in this feed; "
    "export products and product models into one file if variants lack what it says",
)


def recognises(columns: Sequence[str]) -> bool:
    """Whether there is a family, an identifier or model's code, and another of Akeneo's own columns."""
    keys = {column.lower() for column in columns}
    return (
        not keys.isdisjoint(_FAMILIES)
        and not keys.isdisjoint({*_SKUS, "code"})
        and not keys.isdisjoint({"categories", "enabled", "groups", "parent"})
    )


def drafts(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
    """Each product as a draft; product models are details of those that follow from them."""
    names = {column.lower(): column for column in reversed(columns)}
    parsed: dict[str, _Column | None] = {}
    if "code" not in names:
        for row in rows:
            yield _draft(row, names, parsed, [])
        return
    kept = list(rows)  # a variant's model may come after it
    models = {_model_code(row, names): row for row in kept}
    models.pop("", None)
    used: set[str] = set()
    for row in kept:
        if not _model_code(row, names):
            line = list(_line(row, names, models))
            used.update(_model_code(model, names) for model in line)
            yield _draft(row, names, parsed, line)
    for row in kept:
        code = _model_code(row, names)
        if code:
            yield Detail(row.number) if code in used else NoProduct(row.number, _MODEL, code)


def _model_code(row: Row, names: Mapping[str, str]) -> str:
    """The code of a product model; empty if the row is a product."""
    return "" if _structure(row, names, *_SKUS) else _structure(row, names, "code")


def _structure(row: Row, names: Mapping[str, str], *columns: str) -> str:
    """The first of these columns that says something."""
    return next((text for column in columns if (text := row.text(names.get(column, column)).strip())), "")


def _line(row: Row, names: Mapping[str, str], models: Mapping[str, Row]) -> Iterator[Row]:
    """The models that a variant follows from, the nearest first."""
    seen: set[str] = set()
    code = _structure(row, names, "parent")
    while code in models and code not in seen:
        seen.add(code)
        yield models[code]
        code = _structure(models[code], names, "parent")


@dataclass(frozen=True)
class _Column:
    """What a column's name says."""

    attribute: str
    locale: str = UNDETERMINED
    channel: str = ""
    currency: str = ""
    is_unit: bool = False


def _column(name: str) -> _Column | None:
    """The parts of a column's name; none if the column is no attribute."""
    attribute, *suffixes = name.split("-")
    attribute = attribute.strip().lower()
    if _ASSOCIATION.search(name) or attribute in _STRUCTURE:
        return None
    if suffixes == ["unit"]:
        return _Column(attribute, is_unit=True)
    locale = next((part for part in suffixes if _LOCALE.fullmatch(part)), "")
    currency = next((part for part in suffixes[-1:] if part in CURRENCIES), "")
    channel = "-".join(part for part in suffixes if part not in (locale, currency))
    return _Column(attribute, locale_of(locale), channel, currency)


class _Values:
    """A product's attributes."""

    def __init__(self, cells: Mapping[str, Any], parsed: dict[str, _Column | None]) -> None:
        self._texts: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
        self._units: dict[str, str] = {}
        self._amounts: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
        for name, value in cells.items():
            if name not in parsed:
                parsed[name] = _column(name)
            column, text = parsed[name], cell_text(value).strip()
            if column is None or not text:
                continue
            if column.is_unit:
                self._units[column.attribute] = text
            elif column.currency:
                self._amounts[column.attribute][column.currency, column.channel] = text
            else:
                self._texts[column.attribute][column.locale][column.channel] = text

    def names(self) -> list[str]:
        """The attributes that have a text, in alphabetical order."""
        return sorted(self._texts)

    def peek(self, attribute: str) -> str:
        """The text of an attribute in one language; empty if it has none."""
        by_locale = self._texts.get(attribute)
        if not by_locale:
            return ""
        by_channel = by_locale[min(by_locale, key=_locale_order)]
        return by_channel[min(by_channel, key=_channel_order)]

    def take_words(self, *attributes: str) -> tuple[dict[str, str], list[Remark]]:
        """The words by locale of the first of these attributes that has any; it is no attribute any more."""
        chosen = next((name for name in attributes if name in self._texts), None)
        if chosen is None:
            return {}, []
        words: dict[str, str] = {}
        remarks = []
        for locale, by_channel in self._texts.pop(chosen).items():
            channel = min(by_channel, key=_channel_order)
            words[locale] = by_channel[channel]
            others = sorted(other for other in by_channel if by_channel[other] != words[locale])
            if others:
                remarks.append(_several_channels(chosen, locale, channel, others))
        return words, remarks

    def take(self, *attributes: str) -> str:
        """The text of the first of these attributes that has one, in one language, with its unit."""
        for name in attributes:
            text = self.peek(name)
            if text:
                del self._texts[name]
                return f"{text} {self._units.get(name, '').lower()}".strip()
        return ""

    def take_price(self) -> tuple[str, str]:
        """Amount and currency: of a column for each currency, or of a cell ``10.00 EUR,9.00 GBP``."""
        amounts = self._amounts.pop("price", {})
        if amounts:
            currency, channel = min(amounts, key=lambda key: (key[0], _channel_order(key[1])))
            return amounts[currency, channel], currency
        text = self.take("price")
        found = sorted((currency, amount) for amount, currency in _AMOUNT.findall(text))
        return (found[0][1], found[0][0]) if found else (text, "")

    def rest(self) -> dict[str, str]:
        """What has not been taken, by lower-case name; amounts by name and currency."""
        texts = {name: self.take(name) for name in self.names()}
        amounts = {
            f"{name}-{currency.lower()}": text
            for name, by_currency in sorted(self._amounts.items())
            for (currency, _), text in sorted(by_currency.items(), reverse=True)
        }
        return texts | amounts


def _draft(
    row: Row, names: Mapping[str, str], parsed: dict[str, _Column | None], models: Sequence[Row]
) -> Draft:
    cells: dict[str, Any] = {}
    for each in (*reversed(models), row):
        cells |= each.cells
    values = _Values(cells, parsed)
    photographs = _take_photographs(values)
    words, remarks = values.take_words(*_NAMES, *_ending(values.names(), "_name"))
    descriptions, more = values.take_words(*_DESCRIPTIONS, *_ending(values.names(), "_description"))
    price, currency = values.take_price()
    parents = [_structure(each, names, "parent") for each in (row, *models)]
    described = next((each for each in (row, *models) if _structure(each, names, "categories")), row)
    family = next((text for each in (row, *models) if (text := _structure(each, names, *_FAMILIES))), "")
    return Draft(
        row=row.number,
        source_sha256=row.source_sha256,
        sku=_structure(row, names, *_SKUS),
        group=next((parent for parent in reversed(parents) if parent), ""),
        names=words,
        descriptions=descriptions,
        categories=(*_list(_structure(described, names, "categories")), family),
        brand=values.take(*_BRANDS),
        price=price,
        currency=currency,
        photographs=photographs,
        attributes=values.rest(),
        remarks=(*row.remarks, *remarks, *more),
    )


def _take_photographs(values: _Values) -> tuple[PhotographReference, ...]:
    """The pictures that a product's attributes name, the best first; they are no attributes any more."""
    found: list[str] = []
    ordered = [*_PHOTOGRAPHS, *(name for name in values.names() if name not in _PHOTOGRAPHS)]
    for name in ordered:
        text = values.peek(name)
        paths = _list(text) if "." in text else ()
        is_for_pictures = bool(paths and _PICTURE_COLUMN.search(name))
        if paths and all(_is_picture(path, in_column_for_pictures=is_for_pictures) for path in paths):
            values.take(name)
            found.extend(paths)
    return photographs_from(found, {path: _other_names(path) for path in found})


def _is_picture(path: str, *, in_column_for_pictures: bool) -> bool:
    """Whether a cell is a picture's file: a name, path or URL in a column for them, else a path of one."""
    if in_column_for_pictures:
        return bool(_PICTURE.fullmatch(path)) or path.startswith(("https://", "http://"))
    return "/" in path and bool(_PICTURE.fullmatch(path))


def _other_names(path: str) -> tuple[str, ...]:
    """Where a file may lie besides: without the export's folder, and by the name it had before its upload."""
    file = PurePosixPath(path)
    inner = path.removeprefix("files/")
    hashed = [file.name, _STORED.sub("", file.name)] if _STORED.match(file.name) else []
    return tuple(name for name in dict.fromkeys([inner, *hashed]) if name != path)


def _ending(attributes: Iterable[str], end: str) -> list[str]:
    """Attributes of the product's own with this end to their names."""
    return [name for name in attributes if name.endswith(end) and not name.startswith(_OTHERS_NAMES)]


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(",") if part.strip())


def _channel_order(channel: str) -> tuple[bool, str]:
    return (channel not in ("", "ecommerce"), channel)


def _locale_order(locale: str) -> tuple[bool, bool, str]:
    return (locale != UNDETERMINED, locale.partition("-")[0] != "en", locale)


def _several_channels(attribute: str, locale: str, channel: str, others: Sequence[str]) -> Remark:
    field = attribute if locale == UNDETERMINED else f"{attribute}-{locale}"
    return Remark(
        "note",
        "several_channels",
        f"the words of {channel or 'no channel'} are used; {', '.join(others)} has others",
        field,
    )
