"""Prices as people and machines write them: ``1.299,00``, ``105.29 USD``, ``$12``, ``CHF 1'299.-``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from asset_pipeline.catalog.formats.rows import Remark, cell_text

DecimalMark = Literal[".", ","]

_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS "
    "KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR "
    "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
    "UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217."""

_SYMBOLS = {
    "€": "EUR", "£": "GBP", "zł": "PLN", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₫": "VND",
    "₪": "ILS", "₴": "UAH", "฿": "THB", "R$": "BRL", "US$": "USD", "C$": "CAD", "A$": "AUD",
}  # fmt: skip
_SHARED_SYMBOLS = ("$", "¥", "kr")
"""Signs of several currencies."""
_AMOUNT = re.compile(r"(?:(?<![A-Za-z])[.,])?\d[\d.,'’\s]*")
_LARGEST_EXPONENT = 15


@dataclass(frozen=True)
class Price:
    """An amount and its currency, each as far as it is known."""

    amount: str | None = None
    """A decimal number with a point, as exact as the feed has it."""
    currency: str | None = None
    remarks: tuple[Remark, ...] = ()


def decimal_mark(prices: Iterable[str | Decimal]) -> DecimalMark | None:
    """Which mark a feed's prices use for decimals; none if they do not tell, or contradict each other."""
    marks = {
        mark for price in prices if isinstance(price, str) for mark in [_own_mark(_digits(price))] if mark
    }
    return marks.pop() if len(marks) == 1 else None


def read_price(price: str | Decimal, currency: str, mark: DecimalMark | None) -> Price:
    """Read a price and its currency.

    Args:
        price: as the feed has it, perhaps with its currency.
        currency: what the feed says of the currency elsewhere; it counts before what stands at the price.
        mark: the decimal mark of the feed's other prices, for ``1.299``, which can be read both ways.

    Returns:
        What is certain; of what is not, a remark instead.
    """
    code, remarks = _currency(currency, cell_text(price))
    if isinstance(price, Decimal):
        exact = price.is_finite() and abs(price.adjusted()) < _LARGEST_EXPONENT and price >= 0
        return Price(format(price, "f") if exact else None, code, remarks if exact else (_unreadable(price),))
    if not price.strip():
        return Price(None, code, remarks)
    digits = _digits(price)
    own = _own_mark(digits)
    if own is None and _is_ambiguous(digits) and mark is None:
        return Price(None, code, (*remarks, _ambiguous(price)))
    amount = _amount(digits, own or mark or ".")
    if amount is None:
        return Price(None, code, (*remarks, _unreadable(price)))
    return Price(amount, code, remarks)


def _digits(price: str) -> str:
    """The number in a price, without blanks and apostrophes; empty if there is none, or more than one."""
    found = _AMOUNT.findall(price)
    signs = _AMOUNT.sub("", price).strip(" \xa0-–—.,")
    if len(found) != 1 or re.search(r"-\s*\d", price) or not _is_currency(signs):
        return ""
    return re.sub(r"['’\s]", "", found[0])


def _is_currency(signs: str) -> bool:
    word = signs.strip(" .-")
    return not word or word in _SYMBOLS or word in _SHARED_SYMBOLS or bool(re.fullmatch(r"[A-Za-z]{3}", word))


def _own_mark(digits: str) -> DecimalMark | None:
    """The decimal mark that a number shows by itself: the last of two kinds, or one before 1 or 2 digits."""
    if re.match(r"0?[.,]", digits):
        return "." if "." in digits[:2] else ","  # no thousands begin like that
    kinds = set(re.sub(r"\d", "", digits))
    if len(kinds) == 2:  # noqa: PLR2004 - point and comma
        return "." if digits.rfind(".") > digits.rfind(",") else ","
    if (
        len(kinds) == 1
        and re.search(r"[.,]\d{0,2}$|[.,]\d{4,}$", digits)
        and len(re.findall(r"[.,]", digits)) == 1
    ):
        return "." if "." in kinds else ","
    if len(re.findall(r"[.,]", digits)) > 1:
        return "," if "." in kinds else "."
    return None


def _is_ambiguous(digits: str) -> bool:
    return bool(re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", digits))


def _amount(digits: str, mark: DecimalMark) -> str | None:
    groups = "," if mark == "." else "."
    pattern = rf"(\d*|\d{{1,3}}(?:{re.escape(groups)}\d{{2,3}})+)(?:{re.escape(mark)}(\d*))?"
    match = re.fullmatch(pattern, digits)
    if not match or not digits or len(digits) > 2 * _LARGEST_EXPONENT:
        return None
    whole = match.group(1).replace(groups, "").lstrip("0") or "0"
    return f"{whole}.{match.group(2)}" if match.group(2) else whole


def _currency(stated: str, price: str) -> tuple[str | None, tuple[Remark, ...]]:
    told = stated.strip()
    code = _SYMBOLS.get(told, told.upper())
    if code in CURRENCIES:
        return code, ()
    if told:
        return None, (Remark("warning", "unknown_currency", f"{told!r} is no ISO 4217 code", "currency"),)
    signs = _AMOUNT.sub(" ", price).strip(" \xa0-–—.,")
    if signs in _SYMBOLS or signs.upper() in CURRENCIES:
        return _SYMBOLS.get(signs, signs.upper()), ()
    if signs in _SHARED_SYMBOLS:
        return None, (
            Remark("warning", "ambiguous_currency", f"{signs} is the sign of several currencies", "price"),
        )
    return None, ()


def _unreadable(price: str | Decimal) -> Remark:
    return Remark(
        "warning", "unreadable_price", f"{cell_text(price)[:60]!r} is no price; there is none now", "price"
    )


def _ambiguous(price: str) -> Remark:
    return Remark(
        "warning",
        "ambiguous_price",
        f"{price!r} may be thousands or decimals, and no other price tells; there is none now",
        "price",
    )
