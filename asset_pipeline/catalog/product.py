"""A product as every later room knows it, whatever feed it came from."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from asset_pipeline.fingerprint import fingerprint

PhotographRole = Literal["base", "side", "top", "detail", "logo", "style"]
"""What a photograph shows of the product; ``base`` is the main view."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Frozen):
    """A product's words in one locale, as plain text: no HTML, no entities, single blanks."""

    name: str
    description: str = ""


class Photograph(_Frozen):
    """A photograph of a product, as the feed refers to it and as the bytes are."""

    role: PhotographRole
    reference: str
    """What the feed says: a path relative to the feed, or a URL."""
    sha256: str
    """The hash of the file's bytes, which the store keeps."""
    media_type: str
    width: int
    height: int
    """Size in pixels after its EXIF orientation is applied."""


class Product(_Frozen):
    """A product or variant with an identity of its own, fit to be prompted."""

    sku: str = Field(min_length=1, max_length=100)
    group: str | None = None
    """The SKU or handle that variants of the same product share."""
    texts: dict[str, Text] = Field(min_length=1)
    """Words by locale; the key ``und`` holds words whose language the feed does not tell."""
    categories: tuple[str, ...] = ()
    brand: str | None = None
    price: str | None = None
    """A decimal number as text, with a point, as exact as the feed has it."""
    currency: str | None = None
    """ISO 4217, upper case."""
    attributes: dict[str, str] = {}
    """Further facts such as colour and material, by lower-case name."""
    photographs: tuple[Photograph, ...] = ()
    feed: str
    """The file it came from, relative to the catalog folder."""
    row: int
    """The row of that file, counting the header as row 1; for other formats the record's number."""
    source_sha256: str
    """The hash of the source row's cells, so that a lineage ends at what was delivered."""

    @property
    def content_sha256(self) -> str:
        """The hash of what the product is, wherever in a feed it stands."""
        return fingerprint(self.model_dump(mode="json", exclude={"feed", "row", "source_sha256"}))

    def words_locale(self, locale: str) -> str:
        """Whose words to use for a locale: its own, its language's, English, the feed's, or any."""
        language = locale.partition("-")[0]
        same_language = [key for key in sorted(self.texts) if key.partition("-")[0] == language]
        english = [key for key in sorted(self.texts) if key.partition("-")[0] == "en"]
        order = [locale, language, *same_language, *english, "und", *sorted(self.texts)]
        return next(key for key in order if key in self.texts)

    def text(self, locale: str) -> Text:
        """The words for a locale."""
        return self.texts[self.words_locale(locale)]


class Finding(_Frozen):
    """Something about a feed that a person should know: what was repaired, refused or missing."""

    feed: str
    row: int | None
    """The row, counting the header as row 1; none for the file as a whole."""
    sku: str | None
    field: str | None
    level: Literal["note", "repaired", "warning", "refused"]
    """``refused``: the row gave no product. ``repaired``: its value was mended and is used."""
    code: str
    """A short, stable name such as ``duplicate_sku``, to count and filter by."""
    message: str
    """What was found and what was done, in words."""
