"""What became of each candidate: chosen or not, approved or not, and why."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Rule = Literal[
    "chosen",
    "no image",
    "gate",
    "person",
    "expired",
    "better kept",
    "near-duplicate",
    "quota",
    "not recorded",
]
"""Which rule decided about a candidate; ``not recorded`` before rules were."""


class Choice(BaseModel):
    """The selection's word on one candidate. Only ``approved`` ones may leave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    prompt_id: str
    sku: str
    asset_type: str
    locale: str
    position: int
    image_sha256: str | None
    state: Literal["approved", "pending", "rejected", "not_chosen"]
    """``pending``: chosen, and waiting for a person. ``rejected``: by a person or by a gate."""
    rule: Rule
    """The rule that decided; its words are the first of the reasons, where it has any."""
    rank: int | None
    """Its place among the chosen of its prompt, from 1."""
    quality: float | None
    """What the ranking went by: the mean margin over its thresholds, 0 at the gate; none without scores."""
    reasons: tuple[str, ...]
    """Why it is where it is, in words."""
    candidate_fact_sha256: str
    """The hash of the candidate's fact."""
    scores_sha256: str
    """The hash over the facts of all its scores."""
    rules_sha256: str
    """The hash of the thresholds that were applied."""
    is_audited: bool = False
    """Whether chance sends it to a person although nobody had to decide, to learn how often machines err."""
    decisions: tuple[str, ...] = ()
    """The names of people's decisions on it, oldest first."""
    guarantee_sha256: str | None = None
    """The hash of the calibration's guarantee that let it pass without a person."""
