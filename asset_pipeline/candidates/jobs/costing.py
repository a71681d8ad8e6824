"""What an attempt cost, by what the provider says of it and by our price. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from asset_pipeline.candidates.jobs.job import Picture, Standing
from asset_pipeline.candidates.price import Price, Usage, billed_usd

Basis = Literal["reported", "computed", "estimated", "none"]
"""Said by the provider; our price times what it says it used; what was expected, because it said nothing."""
Cost = tuple[float, Basis]

NOTHING: Final[Cost] = (0.0, "none")
_BILLED: Final = frozenset({"output_invalid", "output_expired", "content_filtered"})
"""Codes of what was made, though it cannot be used."""
_BILLED_IF_BEGUN: Final = frozenset({"timeout_run", "timeout_start", "canceled"})


def cost_of_pictures(price: Price, usage: Usage, expected_usd: float) -> Cost:
    """What an attempt cost that brought something."""
    billed = billed_usd(price, usage)
    if billed is None:
        return expected_usd, "estimated"
    return billed, "computed" if usage.reported_usd is None else "reported"


def cost_of_failure(
    price: Price, standing: Standing | None, expected_usd: float, *, was_running: bool
) -> Cost:
    """What an attempt cost that brought no picture: what was delivered, used, or said to be billed.

    Where a provider says nothing, these count as billed: what a filter kept back, what was stopped while it
    ran, and what was accepted and then forgotten.

    Args:
        price: of the profile.
        standing: what its job came to; none if it never had one.
        expected_usd: what it was expected to cost.
        was_running: whether it was seen at work.
    """
    if standing is None:
        return NOTHING
    if standing.usage.reported_usd is not None:
        return standing.usage.reported_usd, "reported"
    failure, outputs = standing.failure, len(standing.outputs)
    code = "output_invalid" if failure is None else failure.code
    if code == "lost" or standing.state == "lost":
        return expected_usd, "estimated"
    has_begun = was_running or standing.usage.seconds is not None
    is_billed = None if failure is None else failure.is_billed
    if is_billed is None:
        is_billed = code in _BILLED or (has_begun and code in _BILLED_IF_BEGUN)
    if is_billed:
        outputs = max(1, outputs)
    elif failure is not None and (failure.is_billed is False or not has_begun):
        return NOTHING
    return cost_of_pictures(price, with_pictures(standing.usage, outputs, ()), expected_usd)


def with_pictures(usage: Usage, outputs: int, pictures: Sequence[Picture]) -> Usage:
    """What the provider reports, with the pictures counted where it does not."""
    megapixels = sum(each.width * each.height for each in pictures) / 1_000_000
    return replace(
        usage,
        images=outputs if usage.images is None else usage.images,
        megapixels=megapixels if usage.megapixels is None and pictures else usage.megapixels,
    )
