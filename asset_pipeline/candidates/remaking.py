"""What a change of words means for a campaign: how many pictures would be made anew, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asset_pipeline.candidates.jobs.attempt import FINAL, Attempt
from asset_pipeline.candidates.order import Order
from asset_pipeline.prompts.difference import Difference


@dataclass(frozen=True)
class Remaking:
    """What accepting a change would make of a campaign."""

    campaign_id: str
    because: tuple[str, ...]
    """What is not as it was when the campaign was last materialised."""
    counts: Mapping[str, int]
    """How many prompts stay, change, are new and go."""
    pictures: int
    """How many would be made; what was made of the same words before is not made again. Of a funnel's prompts
    the first round counts."""
    cost_usd: float
    profile: str


def remaking(
    order: Order, difference: Difference, because: Sequence[str], attempts: Mapping[str, Attempt]
) -> Remaking:
    """What a difference comes to.

    Args:
        order: what the campaign would want made.
        difference: of its words.
        because: what changed, as `reasons` says it.
        attempts: the newest state of each candidate's newest attempt.
    """
    asked = {prompt.prompt_id for prompt in difference.to_make}
    settled = {candidate_id for candidate_id, attempt in attempts.items() if attempt.state in FINAL}
    missing = [
        each for each in order.wanted if each.prompt.prompt_id in asked and each.candidate_id not in settled
    ]
    pictures, cost_usd = len(missing), order.expected_usd(missing)
    if order.rounds is not None:
        begins = order.rounds.first_round
        first = sum(begins.get(prompt_id, 0) for prompt_id in asked)
        pictures, cost_usd = pictures + first, cost_usd + first * order.most_usd
    return Remaking(
        campaign_id=order.campaign_id,
        because=tuple(because),
        counts=difference.counts,
        pictures=pictures,
        cost_usd=cost_usd,
        profile=order.profile_name,
    )


def reasons(difference: Difference, changed_files: Sequence[str]) -> list[str]:
    """What changed: files that decide words, products, or else the campaign itself."""
    found = list(changed_files)
    earlier = {gone.prompt.sku for gone in difference.gone}
    kept = {prompt.sku for prompt in (*difference.stays, *(change.after for change in difference.changed))}
    came_or_went = ({prompt.sku for prompt in difference.new} | earlier) - kept
    differs = any(
        change.before.product_fact_sha256 != change.after.product_fact_sha256 for change in difference.changed
    )
    if came_or_went or differs:
        found.append("products")
    if not found and not difference.is_empty:
        found.append("the campaign")
    return found
