"""Which candidates a campaign wants, before any is made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asset_pipeline.campaign.brief import Campaign, Like
from asset_pipeline.candidates.request import Asked, ImageReference, ImageRequest, Profile
from asset_pipeline.candidates.waves import Rounds
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
    prompts: Sequence[Prompt],
    campaign: Campaign,
    profile: Profile,
    version_of: VersionOf,
    rounds: Rounds | None = None,
) -> list[Wanted]:
    """Every candidate of the campaign, in the order of its prompts; with a funnel, what its waves ask for.

    The seed depends on the prompt and the position alone: asking for more later keeps those that exist, and
    another model starts from the same seeds. Variations of a picture have its seed, or new ones made of it.

    Raises:
        UnsupportedRequest: the provider knows no version of itself that draws with these parameters.
        NotFound: the parameters name a model that is not there.
    """
    version = asked_once(version_of)
    return [
        _want(
            prompt,
            position,
            profile,
            version({**profile.parameters, **prompt.parameters, **knobs}),
            knobs,
            campaign.like,
        )
        for prompt in prompts
        for position, knobs in _places(prompt, campaign, rounds)
    ]


def asked_once(version_of: VersionOf) -> VersionOf:
    """The same answers, asked for once for each set of parameters: finding one may hash files."""
    versions: dict[str, str] = {}

    def version(parameters: Mapping[str, Any]) -> str:
        name = fingerprint(parameters)
        if name not in versions:
            versions[name] = version_of(parameters)
        return versions[name]

    return version


def profiles_of(prompts: Sequence[Prompt], profile: Profile, version_of: VersionOf) -> dict[str, str]:
    """The fingerprint of the profile as it is for each prompt, by the prompt's name; raises as above."""
    version = asked_once(version_of)
    return {
        prompt.prompt_id: profile.fingerprint(version(profile.parameters | prompt.parameters))
        for prompt in prompts
    }


def rehearsed(rounds: Rounds, profile: Profile, version_of: VersionOf) -> Iterator[Asked]:
    """What a funnel will ask for, to see whether it can be: each prompt once, each moved parameter once.

    Raises:
        UnsupportedRequest: the provider has no such parameter.
    """
    version = asked_once(version_of)
    moved = [{name: value} for name, knob in rounds.funnel.vary.items() for value in knob.values]
    alike: set[str] = set()
    for prompt in rounds.prompts:
        variants: list[Mapping[str, Any]] = [{}]
        if fingerprint(prompt.parameters) not in alike:
            alike.add(fingerprint(prompt.parameters))
            variants += moved
        for knobs in variants:
            own_version = version({**profile.parameters, **prompt.parameters, **knobs})
            yield _want(prompt, 0, profile, own_version, knobs).asked


def wanted_sha256(wanted: Sequence[Wanted]) -> str:
    """The hash of what is wanted, to notice that it changed between two looks."""
    return fingerprint(sorted(each.candidate_id for each in wanted))


def _places(
    prompt: Prompt, campaign: Campaign, rounds: Rounds | None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The positions that are wanted of a prompt, and the parameters that a funnel moved for each."""
    knobs: Mapping[str, Any] = campaign.like.knobs if campaign.like else {}
    if rounds is None:
        yield from ((position, knobs) for position in range(campaign.candidates_per_prompt))
        return
    for share in rounds.shares(prompt.prompt_id):
        yield from ((position, {**knobs, **share.knobs}) for position in share.positions)


def _seed(prompt: Prompt, position: int, like: Like | None) -> int:
    """A candidate's seed; variations of a picture have the same at each position, whatever else varies."""
    if like is None:
        return seed_from("candidate", prompt.prompt_id, position)
    number = position if like.keeps_seed else position + 1
    return like.seed if number == 0 else seed_from("like", like.seed, number)


def _want(
    prompt: Prompt,
    position: int,
    profile: Profile,
    provider_version: str,
    knobs: Mapping[str, Any],
    like: Like | None = None,
) -> Wanted:
    request = ImageRequest(
        prompt=prompt.text,
        negative_prompt=prompt.negative_text,
        width=prompt.width,
        height=prompt.height,
        seed=_seed(prompt, position, like),
        parameters={**prompt.parameters, **knobs},
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
