"""Which images of a prompt are chosen: gates, then people, then best first, without near-duplicates.

The order of the rules is the policy. A failed gate or a person's rejection ends it; what a person approved
comes before what nobody has looked at; among the rest quality decides, and an image that looks like one
that is already chosen is passed over.
"""

from collections import defaultdict
from collections.abc import Sequence

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.selection.approval import Approving, approval
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.entry import Entry

NEAR_DUPLICATE_BITS = 31
"""PDQ hashes that differ in at most so many of 256 bits show the same picture (PDQ's own recommendation)."""


def choose(entries: Sequence[Entry], *, keep: int, approving: Approving) -> list[Choice]:
    """Choose up to `keep` images of each prompt; say of every candidate what became of it and why.

    Args:
        entries: the candidates of a campaign.
        keep: how many images each prompt gets at most.
        approving: who approves an image before it may leave.
    """
    by_prompt: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_prompt[entry.candidate.prompt_id].append(entry)
    return [choice for alike in by_prompt.values() for choice in _choose_for_prompt(alike, keep, approving)]


def _choose_for_prompt(entries: Sequence[Entry], keep: int, approving: Approving) -> list[Choice]:
    chosen: list[Entry] = []
    choices: list[Choice] = []
    for entry in sorted(entries, key=_best_first):
        refusal = _refusal(entry)
        if refusal is not None:
            choices.append(_choice(entry, "rejected", None, refusal))
        elif len(chosen) == keep:
            choices.append(_choice(entry, "not_chosen", None, (f"{keep} better ones are kept",)))
        elif twin := next(
            (other for other in chosen if _near_duplicates(entry.candidate, other.candidate)), None
        ):
            reason = f"looks like {twin.candidate.candidate_id}, which is better"
            choices.append(_choice(entry, "not_chosen", None, (reason,)))
        else:
            chosen.append(entry)
            approved = approval(entry, approving)
            choices.append(_choice(entry, approved.state, len(chosen), approved.reasons))
    return choices


def _best_first(entry: Entry) -> tuple[bool, float, int]:
    """People's approvals first, then quality, then the order in which they were asked for."""
    approved = entry.standing is not None and entry.standing.verdict == "approve"
    quality = entry.judged.quality if entry.judged.quality is not None else -1.0
    return not approved, -quality, entry.candidate.position


def _refusal(entry: Entry) -> tuple[str, ...] | None:
    if entry.candidate.image_sha256 is None:
        return (f"there is no image: {entry.candidate.reason}",)
    if not entry.judged.passes:
        return entry.judged.reasons
    decision = entry.standing
    if decision is not None and decision.verdict == "reject":
        return (f"rejected by {decision.reviewer}" + (f": {decision.reason}" if decision.reason else ""),)
    return None


def _choice(entry: Entry, state: str, rank: int | None, reasons: tuple[str, ...]) -> Choice:
    candidate = entry.candidate
    return Choice.model_validate(
        {
            "candidate_id": candidate.candidate_id,
            "prompt_id": candidate.prompt_id,
            "sku": candidate.sku,
            "asset_type": candidate.asset_type,
            "locale": candidate.locale,
            "position": candidate.position,
            "image_sha256": candidate.image_sha256,
            "state": state,
            "rank": rank,
            "quality": entry.judged.quality,
            "reasons": reasons,
            "candidate_fact_sha256": entry.candidate_fact_sha256,
            "scores_sha256": entry.judged.scores_sha256,
            "rules_sha256": entry.judged.rules_sha256,
            "decisions": tuple(decision.name for decision in entry.decisions),
        }
    )


def _near_duplicates(one: Candidate, other: Candidate) -> bool:
    if one.perceptual_hash is None or other.perceptual_hash is None:
        return False
    differing = (int(one.perceptual_hash, 16) ^ int(other.perceptual_hash, 16)).bit_count()
    return differing <= NEAR_DUPLICATE_BITS
