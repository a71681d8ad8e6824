"""Candidates as a finished run would have recorded them, for tests of what comes after."""

from typing import Any

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageRequest


def made_candidate(image_sha256: str, *, seed: int = 1, prompt: str = "a", **changes: Any) -> Candidate:
    """A candidate with that image, of a product that is called SKU."""
    request = ImageRequest(prompt=prompt, width=64, height=64, seed=seed, profile_fingerprint="x")
    given: dict[str, Any] = {
        "candidate_id": request.candidate_id,
        "prompt_id": "p",
        "prompt_fact_sha256": "f",
        "sku": "SKU",
        "asset_type": "tile",
        "locale": "en-GB",
        "position": 0,
        "profile": "drawing",
        "provider": "drawing",
        "provider_version": "1",
        "request": request,
        "state": "made",
        "attempt": 1,
        "image_sha256": image_sha256,
    }
    return Candidate(**given | changes)
