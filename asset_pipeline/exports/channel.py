"""What a channel wants its pictures to be, read from ``data/channels.yaml``."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from asset_pipeline.errors import NotFound
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.yaml_model import read_model

ORIGINAL = "original"
"""The name under which the untouched original is exported; no channel may have it."""
QUALITY_FLOOR = 50
"""Below this JPEG and WebP show blocks and rings on plain backgrounds; rather no file than such a one."""

ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=32)]
Byte = Annotated[int, Field(ge=0, le=255)]
Format = Literal["jpeg", "png", "webp"]


class Channel(BaseModel):
    """One shape of picture that a place of publication takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    width: int = Field(ge=16, le=10_000)
    height: int = Field(ge=16, le=10_000)
    """Size in pixels: exact for ``pad`` and ``crop``, the most for ``contain``."""
    format: Format
    quality: int | None = Field(default=None, ge=QUALITY_FLOOR, le=95)
    """The encoder's quality to begin with; JPEG and WebP only."""
    fit: Literal["pad", "crop", "contain"]
    """``pad``: all of the picture, the rest filled. ``crop``: the frame full, edges cut off, the product
    kept. ``contain``: all of the picture in its own shape, never enlarged."""
    background: Literal["auto"] | tuple[Byte, Byte, Byte] = "auto"
    """What fills the rest: an sRGB colour, or ``auto``, the colour of the picture's own border."""
    max_bytes: int | None = Field(default=None, ge=1_000)
    """The largest file that the channel takes, or that we want to send."""
    version: int = Field(ge=1)
    """Counts the changes of this entry."""
    as_of: date
    """When the numbers were last compared with their sources."""
    source_kind: Literal["official", "secondary", "house"]
    """``official``: the platform's own words. ``secondary``: others about it. ``house``: our own default."""
    sources: tuple[str, ...] = ()
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _consistent(self) -> "Channel":
        if (self.quality is None) != (self.format == "png"):
            raise ValueError("quality is for jpeg and webp, and they need it; png has none")
        if self.source_kind != "house" and not self.sources:
            raise ValueError(f"numbers that are {self.source_kind} need sources")
        return self

    @property
    def picture_sha256(self) -> str:
        """The hash of what decides the pixels and bytes of its files; other words may change freely."""
        words = {"title", "version", "as_of", "source_kind", "sources"}
        return fingerprint(self.model_dump(mode="json", exclude=words))


class Channels(RootModel[dict[ChannelName, Channel]]):
    """Every channel by name."""

    @model_validator(mode="after")
    def _original_is_taken(self) -> "Channels":
        if ORIGINAL in self.root:
            raise ValueError(f"{ORIGINAL!r} names the untouched original; call the channel something else")
        return self


def load_channels(data: Path) -> dict[str, Channel]:
    """Read ``data/channels.yaml``. Raises NotFound or InvalidFile."""
    return read_model(data / "channels.yaml", Channels).root


def pick_channels(known: Mapping[str, Channel], names: Sequence[str]) -> dict[str, Channel]:
    """The named channels, in that order.

    Raises:
        NotFound: one of them does not exist; the message lists those that do.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NotFound(
            f"there is no channel {', '.join(map(repr, unknown))} (there are: {', '.join(sorted(known))})"
        )
    return {name: known[name] for name in names}
