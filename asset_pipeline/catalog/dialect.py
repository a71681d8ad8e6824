"""What a dialect is: a way of writing products into rows, recognised by what the feed holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Protocol

from asset_pipeline.catalog.formats.rows import NoProduct, Remark, Row
from asset_pipeline.catalog.product import PhotographRole

_ROLES: dict[str, PhotographRole] = {
    "-side": "side", "-top": "top", "-detail": "detail", "-logo": "logo", "-style": "style"
}  # fmt: skip


@dataclass(frozen=True)
class PhotographReference:
    """What a feed says of a photograph."""

    path: str
    """A path relative to the feed, or a URL, as the feed has it."""
    role: PhotographRole | None = None
    """None where the feed does not tell: the first of those that are found is the main view."""
    other_names: tuple[str, ...] = ()
    """Names that the file may have instead, best first."""


@dataclass(frozen=True)
class Draft:
    """A row as the dialect understands it: words not cleaned, photographs not looked for."""

    row: int
    source_sha256: str
    sku: str
    group: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names by locale; ``und`` where the feed does not tell."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    """The most telling one first where the dialect knows it; ``A > B`` may stand for several."""
    brand: str = ""
    price: str | Decimal = ""
    """As the feed has it; a Decimal where the format leaves no doubt about thousands and decimals."""
    currency: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    photographs: tuple[PhotographReference, ...] = ()
    remarks: tuple[Remark, ...] = ()
    variant_rows: tuple[int, ...] = ()
    """Rows of variants that this product stands for as well."""


@dataclass(frozen=True)
class Detail:
    """A row that is no product itself but gives facts to those of other rows."""

    row: int


class Dialect(Protocol):
    """A way of writing products into rows. A module is enough: one file for each in ``dialects/``."""

    NAME: str

    def recognises(self, columns: Sequence[str]) -> bool:
        """Whether a feed with these columns is written in this dialect."""

    def drafts(self, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Draft | NoProduct | Detail]:
        """Say of every row what it is, once: a product or variant, refused, or a detail of others.

        Empty and unreadable rows are not among `rows`, so numbers may be missing.
        """


def photographs_from(
    paths: Iterable[str], other_names: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[PhotographReference, ...]:
    """References to photographs, each once, with the role that the end of the file's name tells.

    ``-side``, ``-top``, ``-detail``, ``-logo`` and ``-style`` do; without one of these, the role depends on
    which photographs there are.
    """
    return tuple(
        PhotographReference(path, _role(path), (other_names or {}).get(path, ()))
        for path in dict.fromkeys(path.strip() for path in paths if path.strip())
    )


def _role(path: str) -> PhotographRole | None:
    name = PurePosixPath(path.replace("\\", "/")).stem.lower()
    return next((role for end, role in _ROLES.items() if name.endswith(end)), None)
