"""The brand: how everything looks, and what is never said."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Locale
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.locale import own_keys, worded
from asset_pipeline.yaml_model import read_model


def _each_once(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Phrases with composed letters and single blanks, each once, whatever its case."""
    once: dict[str, str] = {}
    for phrase in phrases:
        spelled = " ".join(unicodedata.normalize("NFC", phrase).split())
        if not spelled:
            raise ValueError("one of them is empty")
        once.setdefault(spelled.casefold(), spelled)
    return tuple(once.values())


Phrases = Annotated[tuple[str, ...], AfterValidator(_each_once)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BrandInLocale(_Strict):
    """What the brand says in other words in a locale or language. What is left out is said as everywhere."""

    style: str | None = None
    lighting: str | None = None
    composition: str | None = None
    background: str | None = None
    palette: tuple[str, ...] | None = None
    negative_prompt: str | None = None
    never_say: Phrases = ()
    """Besides those of the brand as a whole."""


class Brand(_Strict):
    """How everything of the brand looks, and what is never said: ``data/brand.yaml``."""

    name: str
    version: str = ""
    """For people: which edition of the brand's rules this is."""
    owner: str = ""
    """Who may be asked about them."""
    style: str = ""
    lighting: str = ""
    composition: str = ""
    background: str = ""
    palette: tuple[str, ...] = ()
    negative_prompt: str = ""
    never_say: Phrases = ()
    """Words that no prompt and no overlay may hold."""
    locales: dict[Locale, BrandInLocale] = {}
    """Other words by locale (``de-DE``) or language (``de``)."""

    @property
    def words_sha256(self) -> str:
        """The hash of what decides prompts."""
        return fingerprint(self.model_dump(mode="json", exclude={"version", "owner"}))

    def in_locale(self, locale: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What templates may say of the brand in a locale, and what of it is not in the locale's words."""
        words: dict[str, Any] = {"name": self.name}
        fallbacks = []
        for name in ("style", "lighting", "composition", "background", "palette", "negative_prompt"):
            wordings = {key: getattr(each, name) for key, each in self.locales.items()}
            given = {key: wording for key, wording in wordings.items() if wording is not None}
            words[name], fallback = worded(given, getattr(self, name), locale)
            if fallback:
                fallbacks.append(f"brand {name}: {fallback}")
        words |= {"palette": list(words["palette"]), "never_say": list(self.never_say_in(locale))}
        return words, tuple(fallbacks)

    def never_say_in(self, locale: str) -> tuple[str, ...]:
        """The words that are never said in a locale: those of the brand, its language and its country."""
        keys = [key for key in reversed(own_keys(locale)) if key in self.locales]
        return _each_once((*self.never_say, *(word for key in keys for word in self.locales[key].never_say)))


def load_brand(data: Path) -> Brand:
    """Read ``data/brand.yaml``. Raises NotFound or InvalidFile."""
    return read_model(data / "brand.yaml", Brand)
