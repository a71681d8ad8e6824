"""What people write down once for all campaigns: asset types with their templates, and the brand."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.errors import NotFound
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.yaml_model import read_folder, read_model


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssetType(_Strict):
    """A kind of picture: its words, its size and what it shows.

    Read from ``data/asset_types/<name>.yaml``.
    """

    title: str
    width: int = Field(ge=64, le=8192)
    height: int = Field(ge=64, le=8192)
    template: str = Field(min_length=1)
    """The prompt, in Jinja: ``product``, ``brand``, ``campaign``, ``locale`` and the declared variables."""
    negative_template: str = ""
    variables: dict[str, str] = {}
    """The words that campaigns may vary, each with the value it has where nobody varies it."""
    parameters: dict[str, Any] = {}
    """What the picture asks of its provider, such as a background mode."""
    references: tuple[PhotographRole, ...] = ("base",)
    """Which photographs of the product go with the prompt, as far as the product has them."""

    @property
    def words_sha256(self) -> str:
        """The hash of what decides prompts."""
        return fingerprint(self.model_dump(mode="json", exclude={"title"}))


class Brand(_Strict):
    """How everything of the brand looks: ``data/brand.yaml``."""

    name: str
    style: str = ""
    lighting: str = ""
    composition: str = ""
    palette: tuple[str, ...] = ()
    negative_prompt: str = ""


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


def load_brand(data: Path) -> Brand:
    """Read ``data/brand.yaml``. Raises NotFound or InvalidFile."""
    return read_model(data / "brand.yaml", Brand)
