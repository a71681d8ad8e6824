"""An audit of whatever somebody asks about: its assets, their stories, and making them again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from asset_pipeline.audit.find import find
from asset_pipeline.audit.lineage import trace
from asset_pipeline.audit.report import story_json, story_table
from asset_pipeline.audit.reproduce import Reproduction
from asset_pipeline.audit.reproduce import reproduce as make_again
from asset_pipeline.audit.story import Story
from asset_pipeline.candidates.request import Provider
from asset_pipeline.store.store import Store


@dataclass(frozen=True)
class AuditResult:
    """The stories of all assets that were asked about."""

    what: str
    stories: tuple[tuple[Story, tuple[Reproduction, ...]], ...]
    """Each story, with what making it again came to, if that was asked for."""

    @property
    def holds(self) -> bool:
        """Whether nothing is altered or missing, and nothing comes out differently when it is made again."""
        return all(
            story.holds and all(each.outcome != "differs" for each in reproductions)
            for story, reproductions in self.stories
        )

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "what": self.what,
            "holds": self.holds,
            "stories": [story_json(story, reproductions) for story, reproductions in self.stories],
        }

    def tables(self) -> list[Table]:
        """A table for each asset."""
        return [story_table(story, reproductions) for story, reproductions in self.stories]


def audit(
    store: Store,
    data: Path,
    exports_folder: Path,
    providers: Mapping[str, Provider],
    what: str,
    *,
    reproduce: bool = False,
) -> AuditResult:
    """Tell the whole story of what somebody asks about, checking every link. Writes nothing.

    Args:
        store: where facts, events and images are.
        data: what people write: asset types, profiles, channels, and the feeds in ``catalog/``.
        exports_folder: where exported files are, as ``<campaign>/<export>/...``.
        providers: who can make images, by name.
        what: a file, a SHA-256, a SKU or an asset's id; see ``find``.
        reproduce: whether to make the picture again as well.

    Raises:
        NotFound: nothing here knows it.
    """
    stories = [trace(store, data, exports_folder, subject) for subject in find(store, exports_folder, what)]
    return AuditResult(
        what=what,
        stories=tuple(
            (story, tuple(make_again(store, data, providers, story)) if reproduce else ())
            for story in stories
        ),
    )
