"""A feed's books: every row of it is a product, a variant, a detail, refused or skipped; nothing is lost."""

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Feed(BaseModel):
    """A file of the catalog folder, and what became of its rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """Relative to the catalog folder."""
    sha256: str | None
    """The hash of the file's bytes; none if they could not be read."""
    dialect: str | None = None
    """None if the file could not be read as a whole."""
    error: str | None = None
    """Why it could not."""
    rows: int = 0
    """Rows after the header, or records."""
    products: int = 0
    """Rows that are products."""
    variants: int = 0
    """Rows that are variants of another row's product."""
    details: int = 0
    """Rows that only say something of other rows' products."""
    refused: int = 0
    skipped: int = 0
    """Rows that are empty, or repeat another one."""
    unaccounted: tuple[int, ...] = ()
    """Rows that are none of these, or more than one: a fault of the reader, at most a hundred of them."""

    @property
    def is_balanced(self) -> bool:
        """Whether every row is one thing: rows = products + variants + details + refused + skipped."""
        fates = self.products + self.variants + self.details + self.refused + self.skipped
        return self.rows == fates and not self.unaccounted


def account(
    rows: Iterable[int],
    *,
    products: Iterable[int],
    variants: Iterable[int] = (),
    details: Iterable[int] = (),
    refused: Iterable[int] = (),
    skipped: Iterable[int] = (),
) -> dict[str, int | tuple[int, ...]]:
    """The books of a feed, from the numbers of its rows and what each became.

    Returns:
        The counts of `Feed`, with the rows that are not exactly one thing, and the numbers that are no rows.
    """
    read = set(rows)
    fates = {
        "products": list(products),
        "variants": list(variants),
        "details": list(details),
        "refused": list(refused),
        "skipped": list(skipped),
    }
    times = Counter(row for numbers in fates.values() for row in numbers)
    wrong = sorted(row for row in read | times.keys() if times[row] != 1 or row not in read)
    counts = {name: len(numbers) for name, numbers in fates.items()}
    return {"rows": len(read), **counts, "unaccounted": tuple(wrong[:100])}
