"""What calibration answers for: from which quality on a gate may decide alone, and with what promise."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Guarantee(BaseModel):
    """Calibration's word on one asset type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset_type: str
    state: Literal["calibrated", "uncalibrated", "frozen"]
    least_quality: float | None = None
    """From this quality on an image may be approved without a person; none unless calibrated."""
    words: str
    """The promise, or why there is none, as a sentence."""
