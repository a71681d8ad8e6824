"""Whether a chosen image may leave: by a person, by a calibrated gate, or by any gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from asset_pipeline.calibration.guarantee import Guarantee
from asset_pipeline.selection.entry import Entry

How = Literal["human", "auto", "gates"]


@dataclass(frozen=True)
class Approving:
    """How a campaign's images are approved."""

    how: How
    guarantees: Mapping[str, Guarantee] = field(default_factory=dict)
    """What calibration answers for, by asset type; nothing for a type that is not named."""
    audit_share: float = 0.0
    """The share of what is decided without a person that a person is asked about all the same, 0 to 1."""


@dataclass(frozen=True)
class Approved:
    """What becomes of an image that was chosen."""

    state: Literal["approved", "pending"]
    reasons: tuple[str, ...]
    is_audited: bool = False
    """Whether a person is asked to look all the same."""


def approval(entry: Entry, approving: Approving) -> Approved:
    """What becomes of an image that passed every gate and that no person rejected."""
    decision = entry.standing
    if decision is not None:
        return Approved("approved", (f"approved by {decision.reviewer}", *entry.judged.reasons))
    if approving.how != "gates":
        return Approved("pending", ("waits for a person", *entry.judged.reasons))
    words = "passed every gate, and the campaign asks for no more"
    return Approved("approved", (words, *entry.judged.reasons))


def is_audited(candidate_id: str, approving: Approving) -> bool:
    """Whether chance, which is the same for the same candidate, sends it to a person all the same."""
    return int(candidate_id[1:9], 16) % 10_000 < approving.audit_share * 10_000
