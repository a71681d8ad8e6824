"""The model profiles that an operator configured, and whether one may take a campaign."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.clearance import sensitivity_objections
from asset_pipeline.candidates.jobs.remote import Remote
from asset_pipeline.candidates.request import Profile, Provider
from asset_pipeline.errors import InvalidFile
from asset_pipeline.yaml_model import read_folder, read_named


def load_profile(data: Path, name: str, providers: Mapping[str, Provider]) -> Profile:
    """Read ``data/profiles/<name>.yaml``.

    Raises:
        NotFound: there is no such profile; the message lists those that exist.
        InvalidFile: the file is wrong, or names a provider that is not there.
    """
    path = data / "profiles" / f"{name}.yaml"
    profile = read_named(path, Profile, "model profile")
    _require_provider(path, profile, providers)
    return profile


def _require_provider(path: Path, profile: Profile, providers: Mapping[str, Provider]) -> None:
    if profile.provider not in providers:
        raise InvalidFile(
            f"{path}: provider: there is no provider {profile.provider!r} (there are: {', '.join(providers)})"
        )
    if isinstance(providers[profile.provider], Remote) != (profile.endpoint is not None):
        has = "is asked through an endpoint: give it one" if profile.endpoint is None else "has no endpoint"
        raise InvalidFile(f"{path}: endpoint: the provider {profile.provider!r} {has}")


def load_profiles(data: Path) -> dict[str, Profile]:
    """Every profile by name. Raises InvalidFile with the errors of all files at once."""
    return read_folder(data / "profiles", Profile)


def objections(campaign: Campaign, profile: Profile, today: date) -> list[str]:
    """Why this profile may not make this campaign's images; none if it may."""
    found = sensitivity_objections(campaign.sensitivity, profile)
    if campaign.deadline is not None and today > campaign.deadline:
        found.append(f"the campaign's deadline was {campaign.deadline}")
    return found
