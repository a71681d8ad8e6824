"""Whether a picture that one attempt did not bring is asked for again in the same run, and of whom. Pure."""

from collections import Counter
from collections.abc import Sequence

from asset_pipeline.candidates.jobs.attempt import OPEN, Attempt, newest_of

ASK_ELSEWHERE = frozenset(
    {"auth", "insufficient_funds", "not_found", "rate_limited", "provider_unavailable", "timeout_start"}
)
"""Codes that are about the provider: another one may do it now, the same one would not."""
ONCE_MORE = 2
"""How often one profile is asked for one picture in a run, where the picture was at fault."""


def is_settled_for_now(history: Sequence[Attempt]) -> bool:
    """Whether a run leaves a picture alone, after these attempts of its own."""
    if not history:
        return False
    if any(attempt.state in OPEN for attempt in history):
        return True
    last = newest_of(history)
    return last is not None and last.state in ("succeeded", "refused", "unreconciled")


def tried(history: Sequence[Attempt]) -> dict[str, str]:
    """The profiles that a run does not ask again for a picture, and why, after these attempts of its own."""
    counted = [attempt for attempt in history if attempt.state != "lost" or attempt.result is not None]
    failures = Counter(attempt.profile for attempt in counted)
    return {
        attempt.profile: attempt.reason or attempt.state
        for attempt in counted
        if attempt.code is None or attempt.code in ASK_ELSEWHERE or failures[attempt.profile] >= ONCE_MORE
    }
