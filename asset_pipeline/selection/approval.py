"""Whether a chosen image may leave: by a person, by a calibrated gate, or by any gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from asset_pipeline.calibration import auditing
from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.calibration.records import CALIBRATIONS
from asset_pipeline.calibration.settings import Settings, settings_of
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.selection.entry import Entry

How = Literal["human", "auto", "gates"]


@dataclass(frozen=True)
class Approving:
    """How a campaign's images are approved."""

    how: How
    guarantees: Mapping[str, Guarantee] = field(default_factory=dict)
    """What calibration answers for, by asset type; nothing for a type that is not named."""
    settings: Mapping[str, Settings] = field(default_factory=lambda: {"default": Settings(audit_share=0.0)})
    """What is asked of calibration, and the share of what is decided without a person that a person is asked
    about all the same, by asset type; nobody is asked unless they are given."""

    @cached_property
    def facts_sha256(self) -> Mapping[str, str]:
        """The hash of each guarantee."""
        return {name: CALIBRATIONS.fact_sha256(each) for name, each in self.guarantees.items()}


@dataclass(frozen=True)
class Approved:
    """What becomes of an image that was chosen."""

    state: Literal["approved", "pending"]
    reasons: tuple[str, ...]
    is_audited: bool = False
    """Whether a person is asked to look all the same."""
    guarantee_sha256: str | None = None
    """The hash of the guarantee that let it pass."""


def approval(entry: Entry, approving: Approving) -> Approved:
    """What becomes of an image that passed every gate and that no person rejected."""
    candidate, decision, how = entry.candidate, entry.standing, approving.how
    objection = _objection(entry, approving)
    audited = how != "human" and objection is None and is_audited(candidate, approving)
    if decision is not None:
        words = f"approved by {decision.reviewer}"
        return Approved("approved", (words, *entry.judged.reasons), audited)
    if objection is not None:
        return Approved("pending", (objection, *entry.judged.reasons))
    words = "passed every gate, and the campaign asks for no more"
    if how == "auto":
        words = approving.guarantees[candidate.asset_type].words
    fact = approving.facts_sha256[candidate.asset_type] if how == "auto" else None
    return Approved("approved", (words, *entry.judged.reasons), audited, fact)


def _objection(entry: Entry, approving: Approving) -> str | None:
    """Why a person has to decide; none if nobody has to."""
    asset_type = entry.candidate.asset_type
    if approving.how == "gates":
        return None
    if approving.how == "human":
        return "waits for a person"
    guarantee = approving.guarantees.get(asset_type)
    if guarantee is None:
        return (
            f"waits for a person: uncalibrated: materialise calibration, which knows nothing of {asset_type}"
        )
    why = guarantee.objection(entry.judged, settings_of(asset_type, approving.settings))
    return None if why is None else f"waits for a person: {why}"


def is_audited(candidate: Candidate, approving: Approving) -> bool:
    """Whether chance, which is the same for the same candidate, sends it to a person all the same."""
    share = settings_of(candidate.asset_type, approving.settings).audit_share
    return auditing.is_audited(candidate.candidate_id, share)
