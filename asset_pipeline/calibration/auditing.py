"""Which of the decisions that nobody had to make are shown to a person all the same."""

from asset_pipeline.fingerprint import seed_from

_SALT = "audit"
"""Shards go by the beginning of a candidate's name; the audit must not be one shard's candidates alone."""


def is_audited(candidate_id: str, share: float) -> bool:
    """Whether chance, which is the same for the same candidate, sends it to a person.

    Args:
        candidate_id: the candidate.
        share: of all candidates, 0 to 1; with a larger share those of a smaller one are audited too.
    """
    return seed_from(_SALT, candidate_id) < share * 2**32
