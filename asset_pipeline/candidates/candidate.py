"""A candidate: one requested image, made or not, with where it came from and what it cost."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from asset_pipeline.candidates.request import ImageRequest


class Candidate(BaseModel):
    """One image that a campaign asked for, as the last run left it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    prompt_id: str
    prompt_fact_sha256: str
    """The hash of the prompt's fact that it was made from."""
    sku: str
    asset_type: str
    locale: str
    position: int
    """Its place among the candidates of its prompt, from 0; it decides the seed."""
    profile: str
    provider: str
    provider_version: str
    request: ImageRequest
    state: Literal["made", "refused", "failed"]
    """``refused``: it will not be tried again as it is. ``failed``: the next run tries again."""
    reason: str | None = None
    """Why there is no image."""
    attempt: int
    """The attempt that settled it, from 1."""
    image_sha256: str | None = None
    mask_sha256: str | None = None
    """Where the product is in the image, if the provider knows it."""
    perceptual_hash: str | None = None
    """PDQ hash of the image as 64 hexadecimal digits; near-duplicates differ in few bits."""
    details: dict[str, Any] = {}
    """What the provider chose itself; under ``glance``, the cheap measures of the picture."""
    cost_usd: float = 0.0
    seconds: float = 0.0
    """How long the provider took for it; a batch that is drawn at once counts with its first picture."""

    @model_validator(mode="after")
    def _image_or_reason(self) -> "Candidate":
        if (self.state == "made") != (self.image_sha256 is not None and self.reason is None):
            raise ValueError("a candidate has an image, or the reason there is none")
        return self
