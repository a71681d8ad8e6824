"""Controlled variations of a picture: what is varied, what is locked, and whether all else is as it was.

The variations are a campaign of their own, whose words have the picture's values for every variable but those
that are varied. The same campaign with nothing varied wants one candidate: the picture itself, by its name.
Where it wants another one, something has changed since the picture was made, and what that is can be named.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from asset_pipeline.campaign.brief import Campaign, Like, VariationValue
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.request import ImageReference, Profile
from asset_pipeline.candidates.wanted import Wanted
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.prompt import Prompt


@dataclass(frozen=True)
class Parent:
    """The picture whose variations are wanted, and where it came from."""

    campaign_id: str
    campaign: Campaign
    candidate: Candidate
    prompt: Prompt

    @property
    def knobs(self) -> dict[str, Any]:
        """Parameters of the provider that its request has and its prompt has not: a funnel moved them."""
        asked = self.prompt.parameters
        parameters = self.candidate.request.parameters
        return {name: value for name, value in parameters.items() if asked.get(name) != value}


@dataclass(frozen=True)
class Wish:
    """What is to vary."""

    vary: Mapping[str, Sequence[str]]
    """Values for variables; each combination is a picture."""
    seeds: int = 0
    """How many new seeds each combination is drawn with; 0 keeps the picture's own."""
    count: int | None = None
    """At most so many pictures: the first combinations."""


def name_for(parent: Parent, wish: Wish) -> str:
    """What the campaign of these variations is called, the same whenever the same is asked for."""
    asked = fingerprint([parent.campaign_id, wish.vary, wish.seeds, wish.count])
    return f"like-{parent.candidate.candidate_id[:9]}-{asked[:6]}"


def like(parent: Parent, wish: Wish, asset_type: AssetType, profile: Profile) -> Campaign:
    """The campaign of a picture's variations.

    Raises:
        InvalidFile: it varies nothing, what the asset type does not declare, or what is there already.
    """
    _require_sense(parent, wish, asset_type)
    seeds = wish.seeds or 1
    each = min(seeds, wish.count or seeds)
    most = wish.count // each if wish.count else None
    asked = {name: tuple(dict.fromkeys(values)) for name, values in wish.vary.items()}
    combinations = list(itertools.product(*asked.values()))
    left_out = [dict(zip(asked, values, strict=True)) for values in combinations[most:]] if most else []
    return _campaign(parent, asked, asset_type).model_copy(
        update={
            "exclude": tuple(left_out),
            "candidates_per_prompt": each,
            "keep": each,
            "budget_usd": len(combinations[:most]) * each * _most_usd(parent, profile),
            "like": _like(parent, keeps_seed=wish.seeds == 0),
        }
    )


def _most_usd(parent: Parent, profile: Profile) -> float:
    """The most that a picture of the same size costs."""
    return profile.most_usd(parent.candidate.request.width, parent.candidate.request.height)


def unvaried(parent: Parent, asset_type: AssetType) -> Campaign:
    """The campaign that wants the picture itself, if everything is as it was."""
    return _campaign(parent, {}, asset_type).model_copy(update={"like": _like(parent, keeps_seed=True)})


def brief_of(campaign: Campaign, parent: Parent) -> str:
    """The campaign's file: the same campaign has the same text."""
    content = campaign.model_dump(mode="json", exclude_defaults=True)
    content |= {"profile": campaign.profile, "approval": campaign.approval}
    content["variations"] = {
        name: [_plain(value) for value in values] for name, values in campaign.variations.items()
    }
    content["like"] = content.pop("like")
    one = parent.candidate
    head = f"""\
# Variations of {one.candidate_id} ({one.sku}, {one.asset_type}, {one.locale})
# of the campaign {parent.campaign_id}, written by `asset-pipeline like`: what does not vary is as it was.
"""
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


def _plain(value: VariationValue) -> str | dict[str, str]:
    """A value as people write it."""
    return {"default": value.name, **value.wordings} if value.wordings else value.name


def changes_since(parent: Parent, now: Wanted, asset_type: AssetType, profile: Profile) -> list[str]:
    """What has changed since the picture was made, in words; nothing if it would be made again as it is.

    Args:
        parent: the picture.
        now: what `unvaried` wants.
        asset_type: the picture's, as it is now.
        profile: the one that made it, as it is now.
    """
    candidate, before, after = parent.candidate, parent.candidate.request, now.asked.request
    if now.candidate_id == candidate.candidate_id:
        return []
    is_other_version = now.provider_version != candidate.provider_version
    is_other_profile = profile.fingerprint(candidate.provider_version) != before.profile_fingerprint
    sizes = f"{after.width} × {after.height} instead of {before.width} × {before.height}"
    photographs = ", ".join(_other_roles(before.references, after.references))
    told = {
        f"the asset type {candidate.asset_type} is another version than its words were written with": (
            asset_type.words_sha256 != parent.prompt.template_sha256
        ),
        "its words were written by a text model, which would write others": bool(parent.prompt.steps),
        f"the words would be {after.prompt!r} instead of {before.prompt!r}": after.prompt != before.prompt,
        f"the negative words would be {after.negative_prompt!r} instead of {before.negative_prompt!r}": (
            after.negative_prompt != before.negative_prompt
        ),
        f"the product has other photographs ({photographs})": after.references != before.references,
        f"the size would be {sizes}": (after.width, after.height) != (before.width, before.height),
        f"the parameters would be {after.parameters} instead of {before.parameters}": (
            after.parameters != before.parameters
        ),
        f"the provider {profile.provider} is version {now.provider_version}, the picture was made by version "
        f"{candidate.provider_version}": is_other_version,
        f"the profile {candidate.profile} has other parameters or another provider": is_other_profile,
    }
    return [words for words, has_changed in told.items() if has_changed] or [
        "its request would be another one"
    ]


def differences(parent: Parent, wanted: Wanted) -> list[str]:
    """How a variation differs from the picture, in words."""
    before, after = parent.prompt.variation, wanted.prompt.variation
    found = [
        f"{name}: {after[name]} (was {before.get(name, 'nothing')})"
        for name in sorted(after)
        if after[name] != before.get(name)
    ]
    seeds = parent.candidate.request.seed, wanted.asked.request.seed
    return [*found, *([f"seed: {seeds[1]} (was {seeds[0]})"] if seeds[0] != seeds[1] else [])]


def _require_sense(parent: Parent, wish: Wish, asset_type: AssetType) -> None:
    declared = ", ".join(sorted(asset_type.variables)) or "none"
    if unknown := sorted(wish.vary.keys() - asset_type.variables.keys()):
        raise InvalidFile(
            f"the asset type {parent.prompt.asset_type} declares no variable {', '.join(unknown)} "
            f"(it declares: {declared})"
        )
    if not any(wish.vary.values()) and not wish.seeds:
        raise InvalidFile(f"nothing varies: give new seeds, or a value for one of its variables ({declared})")
    for name, values in wish.vary.items():
        if parent.prompt.variation.get(name) in values and not wish.seeds:
            raise InvalidFile(f"{name}: the picture has {parent.prompt.variation[name]!r} already")


def _campaign(parent: Parent, vary: Mapping[str, Sequence[str]], asset_type: AssetType) -> Campaign:
    """The picture's campaign narrowed to it, with values for what varies and the picture's own elsewhere."""
    own, prompt = parent.campaign, parent.prompt
    values = {
        name: vary.get(name) or (prompt.variation[name],)
        for name in asset_type.variables
        if name in vary or name in prompt.variation
    }
    narrowed = {
        "products": {"skus": [prompt.sku]},
        "asset_types": [prompt.asset_type],
        "locales": [prompt.locale],
        "profile": parent.candidate.profile,
    }
    kept = own.model_dump(include={"title", "variables", "writing", "approval", "sensitivity", "deadline"})
    made = Campaign.model_validate(kept | narrowed | {"channels": own.channels, "targets": own.targets})
    variations = {name: tuple(_worded(own, name, value) for value in each) for name, each in values.items()}
    return made.model_copy(update={"variations": variations})


def _worded(campaign: Campaign, name: str, value: str) -> VariationValue:
    """A value as the picture's campaign words it by locale, if it knows it."""
    known = {each.name: each for each in campaign.variations.get(name, ())}
    return known.get(value) or VariationValue(name=value)


def _like(parent: Parent, *, keeps_seed: bool) -> Like:
    return Like.model_validate(
        {
            "campaign": parent.campaign_id,
            "candidate_id": parent.candidate.candidate_id,
            "seed": parent.candidate.request.seed,
            "keeps_seed": keeps_seed,
            "knobs": parent.knobs,
        }
    )


def _other_roles(before: Sequence[ImageReference], after: Sequence[ImageReference]) -> list[str]:
    """The roles of photographs that are not on both sides."""
    one_sided = [each.role for each in (*before, *after) if each not in before or each not in after]
    return list(dict.fromkeys(one_sided))
