"""What calibration has to promise and to watch, as people write it in ``data/calibration.yaml``."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, RootModel

from asset_pipeline.errors import NotFound
from asset_pipeline.yaml_model import read_model

DEFAULT = "default"


class Settings(BaseModel):
    """What is asked of one asset type. A block with its name says only what differs from ``default``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """The greatest share of automatic approvals that a person would reject."""
    delta: float = Field(default=0.1, gt=0, lt=1)
    """The probability that the promise may fail with, over the chance of which pictures people decided."""
    audit_share: float = Field(default=0.02, ge=0, le=1)
    """The share of what is decided without a person that a person is asked about all the same."""
    psi: float = Field(default=0.2, gt=0)
    """A population stability index above this is an alarm, where chance does not make it so large."""
    ks_p: float = Field(default=0.001, gt=0, lt=1)
    """A Kolmogorov-Smirnov test with a smaller p-value is an alarm."""
    fewest_compared: int = Field(default=200, ge=20)
    """With fewer new pictures nothing is said about their distribution."""
    most_compared: int = Field(default=1000, ge=20)
    """So many of the newest pictures are compared."""
    cusum: float = Field(default=3.0, gt=0)
    """The sum of log-likelihood ratios from which rejected audits are an alarm; see ``cusum.py``."""
    golden: int = Field(default=8, ge=0)
    """How many pictures are measured again at each calibration."""
    golden_difference: float = Field(default=1e-3, ge=0)
    """The greatest difference to the recorded value that is none."""


class SettingsFile(RootModel[dict[str, Settings]]):
    """``data/calibration.yaml``: settings by asset type."""


def load_settings(data: Path) -> dict[str, Settings]:
    """Read ``data/calibration.yaml``; without that file everything is as it is unless said otherwise.

    Raises:
        InvalidFile: it is wrong.
    """
    try:
        blocks = read_model(data / "calibration.yaml", SettingsFile).root
    except NotFound:
        return {DEFAULT: Settings()}
    shared = blocks.get(DEFAULT, Settings()).model_dump(exclude_unset=True)
    return {DEFAULT: Settings()} | {
        name: Settings.model_validate(shared | block.model_dump(exclude_unset=True))
        for name, block in blocks.items()
    }


def settings_of(asset_type: str, settings: Mapping[str, Settings]) -> Settings:
    """The settings of one asset type: those it is named with, or the default ones."""
    return settings.get(asset_type) or settings.get(DEFAULT) or Settings()
