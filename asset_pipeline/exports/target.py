"""A target: one place that exports are delivered to. What it is handed, what it promises, what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import CAMPAIGN_ID, Campaign
from asset_pipeline.errors import NoRoute, NotFound
from asset_pipeline.exports.naming import is_safe

Outcome = Literal["delivered", "unchanged", "repaired"]


@dataclass(frozen=True)
class PackageFile:
    """One file of an export. Its bytes are asked for when it is their turn, and not kept."""

    path: str
    sha256: str
    size_bytes: int
    read: Callable[[], bytes]
    """Gives the bytes; may be called from several threads, and again for another target."""


@dataclass(frozen=True)
class Package:
    """An export on its way: its pictures and the documents that accompany them.

    Raises:
        ValueError: a name could lead out of the export's folder, or two files differ in capitals alone.
    """

    campaign_id: str
    export_id: str
    manifest_sha256: str
    """The hash of ``manifest.json``."""
    files: tuple[PackageFile, ...]
    """The documents come last: who finds them finds the pictures."""

    def __post_init__(self) -> None:
        """Refuse what no target must ever see."""
        wrong = [file.path for file in self.files if not is_safe(file.path)]
        if wrong or not is_safe(self.export_id) or not CAMPAIGN_ID.fullmatch(self.campaign_id):
            raise ValueError(f"not safe as names of files: {wrong or [self.campaign_id, self.export_id]}")
        if len({file.path.casefold() for file in self.files}) < len(self.files):
            raise ValueError("two files of an export have the same name")

    @property
    def size_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class DeliveryPlan:
    """What delivering a package would do to a target."""

    destination: str
    outcome: Outcome
    to_write: tuple[str, ...]
    """The paths of the files that are not there, or whose bytes are others."""


class Receipt(BaseModel):
    """What a target did with a package, after it read every file back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    export_id: str
    target: str
    destination: str
    files: int
    size_bytes: int
    manifest_sha256: str
    outcome: Outcome
    at: datetime


class Target(Protocol):
    """One place of delivery."""

    name: str
    is_remote: bool
    """Whether pictures leave this machine; such a target never gets ``local_only`` campaigns."""

    def plan(self, package: Package) -> DeliveryPlan:
        """Compare the target with the package, by the hash of each file, and change nothing.

        Raises:
            IncompleteExport: the target cannot be read.
        """

    def deliver(self, package: Package) -> Receipt:
        """Make the package the campaign's current export, and read it back.

        Whoever looks at the current export sees all of one export, never parts of two. A package that is
        there is not written again.

        Raises:
            IncompleteExport: it could not be finished; the current export is still the one before.
        """


def pick_targets(known: Mapping[str, Target], campaign: Campaign) -> list[Target]:
    """The campaign's targets.

    Raises:
        NotFound: one of them is not configured; the message lists those that are.
        NoRoute: a target is on another machine, and the campaign must not leave this one.
    """
    unknown = [name for name in campaign.targets if name not in known]
    if unknown:
        raise NotFound(
            f"there is no target {', '.join(map(repr, unknown))} (there are: {', '.join(sorted(known))})"
        )
    targets: Sequence[Target] = [known[name] for name in campaign.targets]
    remote = [target.name for target in targets if target.is_remote]
    if remote and campaign.sensitivity == "local_only":
        raise NoRoute(f"the campaign is local_only, and {', '.join(remote)} is on another machine")
    return list(targets)
