"""The model profiles that an operator configured, and whether one may take a campaign."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.request import Profile, Provider
from asset_pipeline.errors import InvalidFile, NoRoute
from asset_pipeline.yaml_model import read_folder, read_named


def load_profile(data: Path, name: str, providers: Mapping[str, Provider]) -> Profile:
    """Read ``data/profiles/<name>.yaml``.

    Raises:
        NotFound: there is no such profile; the message lists those that exist.
        InvalidFile: the file is wrong, or names a provider that is not there.
    """
    path = data / "profiles" / f"{name}.yaml"
    profile = read_named(path, Profile, "model profile")
    if profile.provider not in providers:
        raise InvalidFile(
            f"{path}: provider: there is no provider {profile.provider!r} (there are: {', '.join(providers)})"
        )
    return profile


def load_profiles(data: Path) -> dict[str, Profile]:
    """Every profile by name. Raises InvalidFile with the errors of all files at once."""
    return read_folder(data / "profiles", Profile)


def objections(campaign: Campaign, profile: Profile, today: date) -> list[str]:
    """Why this profile may not make this campaign's images; none if it may."""
    found = []
    if profile.is_remote and campaign.sensitivity == "local_only":
        found.append("the campaign is local_only and the profile sends its material to another machine")
    if campaign.sensitivity not in profile.sensitivities:
        found.append(f"the profile is not cleared for {campaign.sensitivity} material")
    if campaign.deadline is not None and today > campaign.deadline:
        found.append(f"the campaign's deadline was {campaign.deadline}")
    return found


def require_route(campaign: Campaign, profile: Profile, today: date) -> None:
    """Raise NoRoute with every objection, if there are any."""
    found = objections(campaign, profile, today)
    if found:
        raise NoRoute(f"the profile {campaign.profile!r} cannot take this campaign: {'; '.join(found)}")
