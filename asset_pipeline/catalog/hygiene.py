"""Pure repairs: what a draft says becomes plain, safe text, with a remark for everything that was done.

A SKU is somebody else's name for the product: it is trimmed and otherwise kept, even ``a/b`` or ``../x``.
It is never a path in this project; files are named by a slug of it.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from asset_pipeline.catalog.dialect import Draft
from asset_pipeline.catalog.formats.rows import NoProduct, Remark
from asset_pipeline.catalog.markup import without_markup
from asset_pipeline.catalog.price import DecimalMark, read_price

LONGEST_SKU = 100
NUMBER_FIELDS = frozenset({"gtin", "ean", "ean13", "upc", "isbn", "barcode", "mpn", "gtin13", "gtin14"})
ATTRIBUTE_NAMES = {"color": "colour"}
"""Attributes that are written in two ways, and how they are called here."""

_PLAIN = re.compile(r"(?![=@+-])[!-%'-;=-\[\]-~]+(?: [!-%'-;=-\[\]-~]+)*")
"""Text in which nothing can be wrong: printable ASCII without ``<``, ``&`` and backslash, single blanks."""
_LITERAL_BREAK = re.compile(r"\\r\\n|\\[nr]")
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF])
_CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)
"""Controls that are no blanks, and the marks that turn the direction of text around."""
_MOJIBAKE = re.compile("[ÂÃ][\u0080-\u00bf]|â€[\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]")
"""UTF-8 that was read as Windows-1252 and saved again."""
_FORMULA = re.compile(r"=|@\w+\(|[+-](?!\s)[^\s]*[|!(]")
_SCIENTIFIC = re.compile(r"\d[.,]\d+E\+\d+", re.IGNORECASE)

Value = TypeVar("Value")


def clean(draft: Draft, mark: DecimalMark | None) -> Draft | NoProduct:
    """A draft with everything in it repaired, or why its row gives no product.

    Args:
        draft: as its dialect understood the row.
        mark: the decimal mark of the feed's prices, if they tell.
    """
    sku = draft.sku.strip()
    remarks = [*draft.remarks, *_sku_remarks(sku)]
    refusal = next((remark for remark in remarks if remark.level == "refused"), None)
    if refusal:
        return NoProduct(draft.row, refusal, sku[:LONGEST_SKU] or None)
    names = _texts(draft.names, "name", remarks)
    descriptions = _texts(draft.descriptions, "description", remarks)
    if not names:
        return NoProduct(draft.row, _NO_NAME, sku)
    known = names.get("und") or names[min(names)]
    for locale in sorted(descriptions.keys() - names.keys()):
        names[locale] = known
        remarks.append(_description_alone(locale))
    price = read_price(draft.price, draft.currency, mark)
    cleaned = replace(
        draft,
        sku=sku,
        group=_text(draft.group, "group", remarks),
        names=names,
        descriptions=descriptions,
        categories=_categories(draft.categories, remarks),
        brand=_text(draft.brand, "brand", remarks),
        price=price.amount or "",
        currency=price.currency or "",
        attributes=_attributes(draft.attributes, remarks),
    )
    return replace(cleaned, remarks=tuple(dict.fromkeys([*remarks, *price.remarks])))


def plain_text(raw: str) -> tuple[str, list[Remark]]:
    """Text without HTML, entities, line breaks, control characters and double blanks; in Unicode's form NFC.

    Quotes, emoji and text from right to left stay as they are, and so does what a spreadsheet would take for
    a formula: only the spreadsheet is in danger.
    """
    if _PLAIN.fullmatch(raw):
        return raw, []
    remarks = []
    text = raw
    if "<" in text or "&" in text:
        text = without_markup(text)
        if text.split() != raw.split():
            remarks.append(_MARKUP_REMOVED)
    if "\\" in text and _LITERAL_BREAK.search(text):
        text = _LITERAL_BREAK.sub(" ", text)
        remarks.append(_LITERAL_BREAKS)
    if _CONTROL.search(text):
        text = _CONTROL.sub("", text)
        remarks.append(_CONTROLS)
    text = " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())
    if "\ufffd" in text:
        remarks.append(_BROKEN)
    if _MOJIBAKE.search(text):
        remarks.append(_GARBLED)
    if _FORMULA.match(text):
        remarks.append(_IS_FORMULA)
    return text, remarks


def _text(raw: str, field: str, remarks: list[Remark]) -> str:
    text, found = plain_text(raw)
    remarks.extend(replace(remark, field=field) for remark in found)
    return text


def _texts(raw: Mapping[str, str], field: str, remarks: list[Remark]) -> dict[str, str]:
    named = {
        locale: _text(text, field if locale == "und" else f"{field}-{locale}", remarks)
        for locale, text in raw.items()
    }
    return {locale: text for locale, text in named.items() if text}


def _categories(raw: Iterable[str], remarks: list[Remark]) -> tuple[str, ...]:
    """Each category once; a path ``A > B`` is both of its parts."""
    found: dict[str, str] = {}
    for part in (part for path in raw for part in re.split(r"\s>\s|&gt;", path)):
        text = _text(part, "categories", remarks)
        found.setdefault(text.casefold(), text)
    return tuple(text for text in found.values() if text)


def _attributes(raw: Mapping[str, str], remarks: list[Remark]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for column, value in raw.items():
        lower = column.lower()
        name = ATTRIBUTE_NAMES.get(lower, lower)
        text = _text(value, column, remarks)
        if text:
            attributes.setdefault(name, text)
        if name in NUMBER_FIELDS and _SCIENTIFIC.fullmatch(text):
            remarks.append(_lost_digits("gtin_lost_digits", text, column))
    return attributes


def _sku_remarks(sku: str) -> list[Remark]:
    if not sku:
        return [Remark("refused", "missing_sku", "the row has no SKU, so nothing can refer to it", "sku")]
    if len(sku) > LONGEST_SKU:
        return [Remark("refused", "sku_too_long", f"a SKU has at most {LONGEST_SKU} characters", "sku")]
    if not sku.isprintable() or _CONTROL.search(sku):
        return [Remark("refused", "unprintable_sku", f"{sku!r} has characters nobody can see or type", "sku")]
    remarks = []
    if "/" in sku or "\\" in sku or sku.startswith("."):
        remarks.append(
            Remark("note", "sku_is_no_file_name", "files are named by a slug of it instead", "sku")
        )
    if _SCIENTIFIC.fullmatch(sku):
        remarks.append(_lost_digits("sku_lost_digits", sku, "sku"))
    if _FORMULA.match(sku):
        remarks.append(replace(_IS_FORMULA, field="sku"))
    return remarks


def _lost_digits(code: str, text: str, field: str) -> Remark:
    return Remark(
        "warning", code, f"{text} is a number as a spreadsheet shows it; its last digits are lost", field
    )


def _description_alone(locale: str) -> Remark:
    return Remark(
        "note", "description_without_name", f"there is no name in {locale}; another one is used", "name"
    )


_NO_NAME = Remark("refused", "missing_name", "the row has no name in any language", "name")
_MARKUP_REMOVED = Remark("repaired", "markup_removed", "HTML or its entities became plain text")
_LITERAL_BREAKS = Remark("repaired", "literal_line_break", "a written-out \\n became a blank")
_CONTROLS = Remark("repaired", "control_characters", "characters that nobody can see were removed")
_BROKEN = Remark("warning", "broken_characters", "some characters were lost before the feed came here")
_GARBLED = Remark("warning", "garbled_characters", "looks like UTF-8 that was once read as Windows-1252")
_IS_FORMULA = Remark("note", "formula_cell", "kept as text; a spreadsheet would run it as a formula")
