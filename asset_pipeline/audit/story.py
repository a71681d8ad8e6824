"""A picture's story: links from a published file back to a catalog row, each with what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline.audit.ledger import Finding, State
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.exports.records import ExportedFile
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.selection.choice import Choice


@dataclass(frozen=True)
class Link:
    """One step of the way."""

    name: str
    """``exported file``, ``export record``, ``receipt``, ``manifest``, ``selection``, ``decisions``,
    ``guarantee``, ``scores``, ``candidate``, ``attempts``, ``image``, ``mask``, ``prompt``, ``template``,
    ``product``, ``photograph`` or ``catalog row``."""
    identity: str
    """The id or hash that it goes by."""
    state: State
    words: str
    """What looking at it came to, as a sentence."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What it says, JSON-like; only of what is certain to be what was recorded."""


@dataclass(frozen=True)
class Story:
    """All links of one asset, from what left to where it came from."""

    campaign_id: str
    candidate_id: str
    links: tuple[Link, ...]
    exported: tuple[ExportedFile, ...] = ()
    """What is recorded of its exported files, if that is certain to be what was recorded; so below."""
    choice: Choice | None = None
    candidate: Candidate | None = None
    prompt: Prompt | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is altered or missing. What could not be checked is told, and does not count."""
        return not self.broken

    @property
    def broken(self) -> tuple[Link, ...]:
        """The links that are altered or missing."""
        return tuple(link for link in self.links if link.state in {"altered", "missing"})

    @property
    def unchecked(self) -> tuple[Link, ...]:
        """The links that could not be checked."""
        return tuple(link for link in self.links if link.state == "not checked")


def link_of(
    name: str,
    identity: str,
    finding: Finding[Any],
    facts: Mapping[str, Any],
    disagreements: Sequence[str] = (),
) -> Link:
    """A link for a fact that was looked up.

    Args:
        name: the link's name.
        identity: the id that the fact goes by.
        finding: what looking it up came to.
        facts: what it says, if it was found.
        disagreements: where it says something else than the records around it.
    """
    if finding.recorded is None:
        return Link(name, identity, finding.state, finding.words)
    envelope = {
        "fact_sha256": finding.recorded.fact_sha256,
        "recorded_at": finding.recorded.recorded_at.isoformat(),
        "run_id": finding.recorded.run_id,
    }
    if disagreements:
        return Link(name, identity, "altered", "; ".join(disagreements), {**facts, **envelope})
    return Link(name, identity, finding.state, finding.words, {**facts, **envelope})
