"""What people write down once for all campaigns: the kinds of picture, with their templates."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asset_pipeline.campaign.brief import Locale
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.errors import NotFound
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.yaml_model import read_folder

GIVEN_NAMES = frozenset({"product", "brand", "campaign", "locale", "photographs", "context"})
"""What every template may speak of; no variable can have such a name."""

_ADDED_LATER = ("context", "overlay", "locales", "requires")
"""Fields that count only where they are used, so that asset types without them keep their hash."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssetTypeInLocale(_Strict):
    """What an asset type says in other words in one locale or language. Each part may be left out."""

    template: str | None = Field(default=None, min_length=1)
    negative_template: str | None = None
    variables: dict[str, str] = {}
    """Wordings of the declared variables' own values."""
    context: str | None = None
    overlay: str | None = None


class AssetType(_Strict):
    """A kind of picture: its words, its size and what it shows.

    Read from ``data/asset_types/<name>.yaml``.
    """

    title: str
    version: str = ""
    """For people: which edition this is."""
    owner: str = ""
    """Who may be asked about it."""
    width: int = Field(ge=64, le=8192)
    height: int = Field(ge=64, le=8192)
    template: str = Field(min_length=1)
    """The prompt, in Jinja: it may speak of ``GIVEN_NAMES`` and of the declared variables."""
    negative_template: str = ""
    variables: dict[str, str] = {}
    """The words that campaigns may vary, each with the value it has where nobody varies it."""
    context: str = ""
    """What a place's culture adds, for the templates."""
    overlay: str = ""
    """The text that is set on the picture later, in Jinja like the template; no model sees it."""
    locales: dict[Locale, AssetTypeInLocale] = {}
    """Other words by locale (``de-DE``) or language (``de``)."""
    parameters: dict[str, Any] = {}
    """What the picture asks of its provider, such as a background mode."""
    references: tuple[PhotographRole, ...] = ("base",)
    """Which photographs of the product go with the prompt, as far as the product has them."""
    requires: tuple[PhotographRole, ...] = ()
    """Photographs without which no prompt is written for a product."""
    people: bool = False
    """Whether people are to be seen; their faces are looked for then."""

    @model_validator(mode="after")
    def _variables_make_sense(self) -> "AssetType":
        if taken := sorted(GIVEN_NAMES & self.variables.keys()):
            raise ValueError(f"variables: {', '.join(taken)}: templates know something else by that name")
        for locale, wording in self.locales.items():
            if undeclared := sorted(wording.variables.keys() - self.variables.keys()):
                raise ValueError(f"locales.{locale}.variables: {', '.join(undeclared)}: not under variables")
        return self

    @property
    def words_sha256(self) -> str:
        """The hash of what decides prompts."""
        unused = {name for name in _ADDED_LATER if not getattr(self, name)}
        return fingerprint(
            self.model_dump(mode="json", exclude={"title", "version", "owner", "people", *unused})
        )

    def wordings(self, part: str) -> dict[str, str]:
        """Another wording of a part, such as ``template``, for each locale that has one."""
        given = {locale: getattr(each, part) for locale, each in self.locales.items()}
        return {locale: wording for locale, wording in given.items() if wording is not None}


def load_asset_types(data: Path) -> dict[str, AssetType]:
    """Every asset type by name. Raises InvalidFile with the errors of all files at once."""
    return read_folder(data / "asset_types", AssetType)


def pick_asset_types(known: dict[str, AssetType], names: tuple[str, ...]) -> dict[str, AssetType]:
    """The named asset types.

    Raises:
        NotFound: one of them does not exist; the message lists those that do.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NotFound(
            f"there is no asset type {', '.join(map(repr, unknown))} (there are: {', '.join(sorted(known))})"
        )
    return {name: known[name] for name in names}
