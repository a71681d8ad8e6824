"""Which editions of people's files decided a campaign's words."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.policy.policy import Policy


class Edition(BaseModel):
    """An edition of a file that decided words: an asset type, the brand or the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["asset type", "brand", "policy"]
    name: str
    version: str
    owner: str
    sha256: str
    """The hash of what decides words; version and owner are not part of it."""

    def __str__(self) -> str:
        """As people call it."""
        return f"{self.kind} {self.name}".removesuffix(f" {self.kind}")


def editions_of(asset_types: Mapping[str, AssetType], brand: Brand, policy: Policy | None) -> list[Edition]:
    """Everything besides campaign and products that decides a campaign's words."""
    found = [
        Edition(
            kind="asset type", name=name, version=each.version, owner=each.owner, sha256=each.words_sha256
        )
        for name, each in asset_types.items()
    ]
    found.append(
        Edition(
            kind="brand",
            name=brand.name,
            version=brand.version,
            owner=brand.owner,
            sha256=brand.words_sha256,
        )
    )
    if policy is not None:
        found.append(
            Edition(
                kind="policy",
                name="policy",
                version=policy.version,
                owner=policy.owner,
                sha256=policy.words_sha256,
            )
        )
    return found


def changes(before: Sequence[Edition], after: Sequence[Edition]) -> list[str]:
    """Which of the files that decide words are not what they were, with their versions where those differ."""
    if not before:
        return []  # materialised before anybody recorded them, or never
    earlier = {(each.kind, each.name): each for each in before}
    later = {(each.kind, each.name): each for each in after}
    found = []
    for key in dict.fromkeys([*earlier, *later]):
        old, new = earlier.get(key), later.get(key)
        if old and new and old.sha256 != new.sha256:
            versions = f" ({old.version} → {new.version})" if old.version != new.version else ""
            found.append(f"{new}{versions}")
        elif new and not old:
            found.append(f"{new} is new")
        elif old and not new:
            found.append(f"{old} is gone")
    return found
