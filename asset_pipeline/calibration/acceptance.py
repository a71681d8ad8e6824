"""A person's word that a frozen asset type was looked at and may be calibrated anew."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from asset_pipeline.store.events import EventStream


class Acceptance(BaseModel):
    """What a person says after looking at why an asset type is frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewer: str = Field(min_length=1, max_length=100)
    reason: str = Field(default="", max_length=2000)
    decisions_since: AwareDatetime | None = None
    """Only decisions from this moment on count; none if all still do."""


ACCEPTANCES = EventStream("calibration_acceptances", Acceptance, partitioned_by="asset_type")
