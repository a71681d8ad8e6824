"""Room 6: what people's decisions make of scores: when a gate may decide alone, and when no longer.

It owns the guarantee. It reads every campaign's decisions and scores, and decides about no image itself: that
is the business of ``selection``, which asks the guarantee.
"""
