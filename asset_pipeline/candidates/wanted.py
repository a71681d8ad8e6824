"""Which candidates a campaign wants, before any is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Profile
from asset_pipeline.fingerprint import fingerprint, seed_from
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import PROMPTS


@dataclass(frozen=True)
class Wanted:
    """A candidate that a campaign wants: the prompt it answers, its place among them, its request."""

    candidate_id: str
    prompt: Prompt
    prompt_fact_sha256: str
    position: int
    asked: Asked
    provider_version: str
    """The code and weights that its name says it is drawn by."""


VersionOf = Callable[[Mapping[str, Any]], str]
"""See ``Provider.version_of``."""


def want_candidates(
    prompts: Sequence[Prompt], campaign: Campaign, profile: Profile, version_of: VersionOf
) -> list[Wanted]:
    """Every candidate of the campaign, in the order of its prompts.

    The seed depends on the prompt and the position alone: asking for more later keeps those that exist, and
    another model starts from the same seeds.

    Raises:
        UnsupportedRequest: the provider knows no version of itself that draws with these parameters.
        NotFound: the parameters name a model that is not there.
    """
    versions: dict[str, str] = {}

    def version(parameters: Mapping[str, Any]) -> str:
        """Asked once for each set of parameters: the answer may hash files."""
        name = fingerprint(parameters)
        if name not in versions:
            versions[name] = version_of(parameters)
        return versions[name]

    return [
        _want(prompt, position, profile, version(profile.parameters | prompt.parameters))
        for prompt in prompts
        for position in range(campaign.candidates_per_prompt)
    ]


def wanted_sha256(wanted: Sequence[Wanted]) -> str:
    """The hash of what is wanted, to notice that it changed between two looks."""
    return fingerprint(sorted(each.candidate_id for each in wanted))


def _want(prompt: Prompt, position: int, profile: Profile, provider_version: str) -> Wanted:
    request = ImageRequest(
        prompt=prompt.text,
        negative_prompt=prompt.negative_text,
        width=prompt.width,
        height=prompt.height,
        seed=seed_from("candidate", prompt.prompt_id, position),
        parameters=prompt.parameters,
        references=tuple(
            ImageReference(
                role=picture.role,
                sha256=picture.sha256,
                media_type=picture.media_type,
                width=picture.width,
                height=picture.height,
            )
            for picture in prompt.references
        ),
        profile_fingerprint=profile.fingerprint(provider_version),
    )
    return Wanted(
        candidate_id=request.candidate_id,
        prompt=prompt,
        prompt_fact_sha256=PROMPTS.fact_sha256(prompt),
        position=position,
        asked=Asked(request, profile.parameters | request.parameters),
        provider_version=provider_version,
    )
