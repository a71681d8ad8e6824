"""What calibration answers for: from which quality on a gate may decide alone, and with what promise."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from asset_pipeline.calibration.settings import Settings
from asset_pipeline.scores.records import Judged


class Guarantee(BaseModel):
    """Calibration's word on one asset type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset_type: str
    state: Literal["calibrated", "uncalibrated", "frozen"]
    least_quality: float | None = None
    """From this quality on an image may be approved without a person; none unless calibrated."""
    words: str
    """The promise, or why there is none, as a sentence."""
    alpha: float | None = None
    """At most this share of what is approved without a person would be rejected by one ..."""
    delta: float | None = None
    """... unless this probability struck: the sample of decisions was a lucky one."""
    decisions: int = 0
    """Pictures with a decision that counted."""
    accepted: int = 0
    """How many of them have at least the quality that is asked for."""
    errors: int = 0
    """How many of those people rejected."""
    share: float | None = None
    """The share of the decided pictures that would have been approved without a person."""
    attempted_with: int = 0
    """How many decisions there were at the last attempt; the next one is made when there are twice as
    many."""
    decisions_since: AwareDatetime | None = None
    """Decisions before this moment do not count, as a person said; none if all do."""
    rules_sha256: tuple[str, ...] = ()
    """The hashes of the thresholds and business rules by which the decided pictures were judged."""
    scorer_versions: dict[str, str] = {}
    """The versions of the scorers that quality is made of, by dimension."""
    reference: dict[str, tuple[float, ...]] = {}
    """The decided pictures' quality and dimensions, each as sorted values, at most ``KEPT`` of them."""
    made_at: AwareDatetime | None = None
    frozen_at: AwareDatetime | None = None
    reasons: tuple[str, ...] = ()
    """Why it is frozen, each alarm a sentence."""

    def objection(self, judged: Judged, settings: Settings) -> str | None:
        """Why it does not answer for an image with these scores; none if it does.

        Args:
            judged: the image's scores as they are recorded.
            settings: what ``data/calibration.yaml`` asks of the asset type now.
        """
        if self.state != "calibrated" or self.least_quality is None:
            return self.words
        again = "materialise calibration to calibrate anew"
        if (self.alpha, self.delta) != (settings.alpha, settings.delta):
            return f"uncalibrated: data/calibration.yaml asks for another promise since; {again}"
        if judged.rules_sha256 not in self.rules_sha256:
            return f"uncalibrated: judged by other thresholds or rules than the decided pictures; {again}"
        other = sorted(
            dimension
            for dimension, version in judged.versions.items()
            if self.scorer_versions.get(dimension) != version
        )
        if other:
            return f"uncalibrated: another version of {', '.join(other)} measured it; {again}"
        if judged.quality is None or judged.quality < self.least_quality:
            quality = "unknown" if judged.quality is None else f"{judged.quality:.4g}"
            return f"its quality, {quality}, is below the calibrated {self.least_quality:.4g}"
        return None


def promise(alpha: float, delta: float) -> str:
    """The promise as a sentence."""
    return (
        f"at most {alpha:.3g} of what is approved without a person would be rejected by one, "
        f"with probability {1 - delta:.3g}"
    )
