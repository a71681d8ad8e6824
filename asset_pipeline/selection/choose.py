"""Which images are chosen: gates, then people, then best first, without near-duplicates, within the quotas.

The order of the rules is the policy. A failed gate or a person's rejection ends it; what a person approved
comes before what nobody has looked at; every prompt's best comes before any prompt's second; among equals
quality decides. An image that looks like one that is already chosen is passed over, and so is one for which
its product, locale, asset type or the campaign has no place left. No rule gives way because another left too
few: what is missing is said (``shortages``).

A quota is a promise about what leaves, so that a person's approval does not exceed it either; such an image
says both.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asset_pipeline.campaign.brief import Quotas
from asset_pipeline.selection.approval import Approving, approval, is_audited
from asset_pipeline.selection.choice import Choice, Rule
from asset_pipeline.selection.entry import Entry
from asset_pipeline.selection.near_duplicates import ChosenPictures
from asset_pipeline.selection.quotas import Places, span_prompts

_WORST = -9.0
"""In place of a quality that is not known; margins are -1 to 1."""


@dataclass(frozen=True)
class _Settled:
    """What a rule decided about a candidate."""

    state: str
    rule: Rule
    reasons: tuple[str, ...]
    rank: int | None = None
    is_audited: bool = False
    guarantee_sha256: str | None = None


def choose(
    entries: Sequence[Entry], *, keep: int, approving: Approving, quotas: Quotas | None = None
) -> list[Choice]:
    """Choose among a campaign's candidates; say of every one what became of it and why.

    Args:
        entries: the candidates of a campaign.
        keep: how many images each prompt gets at most.
        approving: who approves an image before it may leave.
        quotas: at most so many of each product, locale, asset type and in all; none if not given.
    """
    by_prompt: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=_best_first):
        by_prompt[entry.candidate.prompt_id].append(entry)
    settled: dict[str, _Settled] = {}
    waiting: dict[str, list[Entry]] = defaultdict(list)
    for prompt_id, alike in by_prompt.items():
        for entry in alike:
            refused = _refused(entry, approving)
            if refused is None:
                waiting[prompt_id].append(entry)
            else:
                settled[entry.candidate.candidate_id] = refused
    settled |= _dealt(waiting, keep, approving, quotas or Quotas())
    in_order = dict.fromkeys(entry.candidate.prompt_id for entry in entries)
    return [
        _choice(entry, settled[entry.candidate.candidate_id])
        for prompt_id in in_order
        for entry in by_prompt[prompt_id]
    ]


def _best_first(entry: Entry) -> tuple[bool, float, int, str]:
    """People's approvals first, then quality, then the order in which they were asked for."""
    return not _is_approved(entry), -_quality(entry), entry.candidate.position, entry.candidate.candidate_id


def _refused(entry: Entry, approving: Approving) -> _Settled | None:
    """Whether nothing can be chosen here: no image, a gate, a person, or a picture that is gone."""
    candidate, decision = entry.candidate, entry.standing
    if candidate.image_sha256 is None:
        return _Settled("rejected", "no image", (f"there is no image: {candidate.reason}",))
    if not entry.judged.passes:
        looked_at = approving.how != "human" and entry.expired is None
        return _Settled(
            "rejected",
            "gate",
            _refused_all_the_same(entry),
            is_audited=looked_at and is_audited(candidate, approving),
        )
    if decision is not None and decision.verdict == "reject":
        why = f"rejected by {decision.reviewer}" + (f": {decision.reason}" if decision.reason else "")
        return _Settled("rejected", "person", (why,))
    if entry.expired is not None:
        return _Settled("not_chosen", "expired", _said(entry, entry.expired))
    return None


def _refused_all_the_same(entry: Entry) -> tuple[str, ...]:
    """Why a gate refuses an image; where a person approved it, that the two disagree."""
    decision = entry.standing
    if decision is None or not _is_approved(entry):
        return entry.judged.reasons
    return (*entry.judged.reasons, f"approved by {decision.reviewer}, which lets nothing past a gate")


def _dealt(
    waiting: Mapping[str, Sequence[Entry]], keep: int, approving: Approving, quotas: Quotas
) -> dict[str, _Settled]:
    """Deal the places: approved ones first, then every prompt's best, then every prompt's second, and so on.

    Each prompt offers its best candidate that nothing was decided about; the best offer of a round is next.
    """
    chosen: dict[str, list[Entry]] = {prompt_id: [] for prompt_id in waiting}
    shown: dict[tuple[str, ...], ChosenPictures] = defaultdict(ChosenPictures)
    places, settled = Places(quotas), {}
    offers = [_offer(prompt_id, entries, 0, 0) for prompt_id, entries in waiting.items()]
    heapq.heapify(offers)
    while offers:
        *_, prompt_id, place = heapq.heappop(offers)
        entry, kept = waiting[prompt_id][place], chosen[prompt_id]
        candidate = entry.candidate
        alike = shown[_compared_with(entry, quotas)]
        if len(kept) >= keep:
            outcome = _Settled("not_chosen", "better kept", _said(entry, _better(entry, kept)))
        elif twin := alike.twin_of(candidate):
            other = next(each for each in chosen[twin.prompt_id] if each.candidate is twin)
            outcome = _Settled("not_chosen", "near-duplicate", _said(entry, _alike(entry, other)))
        elif full := places.none_left(candidate):
            outcome = _Settled("not_chosen", "quota", _said(entry, full))
        else:
            kept.append(entry)
            alike.add(candidate)
            places.take(candidate)
            leaves = approval(entry, approving)
            outcome = _Settled(
                leaves.state, "chosen", leaves.reasons, len(kept), leaves.is_audited, leaves.guarantee_sha256
            )
        settled[candidate.candidate_id] = outcome
        if place + 1 < len(waiting[prompt_id]):
            heapq.heappush(offers, _offer(prompt_id, waiting[prompt_id], place + 1, len(kept)))
    return settled


def _offer(
    prompt_id: str, entries: Sequence[Entry], place: int, kept: int
) -> tuple[bool, int, float, str, str, int]:
    """When a prompt's candidate is looked at, as something that sorts."""
    entry = entries[place]
    return (
        not _is_approved(entry), kept, -_quality(entry), entry.candidate.candidate_id, prompt_id, place,
    )  # fmt: skip


def _compared_with(entry: Entry, quotas: Quotas) -> tuple[str, ...]:
    """Among which images no two may look the same.

    Those of a prompt; where prompts compete for places, those of a product's pictures of one type in one
    locale: the same picture in two locales, or in two sizes for two purposes, is meant to look the same.
    """
    candidate = entry.candidate
    if span_prompts(quotas):
        return candidate.sku, candidate.asset_type, candidate.locale
    return (candidate.prompt_id,)


def _is_approved(entry: Entry) -> bool:
    return entry.standing is not None and entry.standing.verdict == "approve"


def _quality(entry: Entry) -> float:
    return _WORST if entry.judged.quality is None else entry.judged.quality


def _said(entry: Entry, reason: str) -> tuple[str, ...]:
    """A reason not to choose an image; where a person approved it, that too."""
    decision = entry.standing
    return (reason, f"approved by {decision.reviewer}") if decision and _is_approved(entry) else (reason,)


def _better(entry: Entry, kept: Sequence[Entry]) -> str:
    if any(_quality(other) < _quality(entry) for other in kept):
        return f"{len(kept)} that people approved, or that are better, are kept"
    return f"{len(kept)} better ones are kept" if len(kept) > 1 else "1 better one is kept"


def _alike(entry: Entry, other: Entry) -> str:
    """Which one it looks like, and why that one is kept: it is better, approved, or had the earlier turn."""
    name = other.candidate.candidate_id
    if _is_approved(other) and not _is_approved(entry):
        return f"looks like {name}, which a person approved"
    if _quality(other) >= _quality(entry):
        return f"looks like {name}, which is better"
    return f"looks like {name}, which is among the first of another prompt"


def _choice(entry: Entry, settled: _Settled) -> Choice:
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
            "state": settled.state,
            "rule": settled.rule,
            "rank": settled.rank,
            "quality": entry.judged.quality,
            "reasons": settled.reasons,
            "is_audited": settled.is_audited,
            "candidate_fact_sha256": entry.candidate_fact_sha256,
            "scores_sha256": entry.judged.scores_sha256,
            "rules_sha256": entry.judged.rules_sha256,
            "decisions": tuple(decision.name for decision in entry.decisions),
            "guarantee_sha256": settled.guarantee_sha256,
        }
    )
