"""Making a picture again from what is recorded of it, and comparing it with what left; keeps nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from asset_pipeline.audit.story import Story
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.profile import load_profile
from asset_pipeline.candidates.request import Asked, Profile, Provider
from asset_pipeline.errors import (
    BrokenFact,
    InvalidFile,
    NotFound,
    PipelineError,
    ProviderError,
    UnreadablePicture,
)
from asset_pipeline.exports.channel import ORIGINAL, load_channels
from asset_pipeline.exports.derivative import derive, encode
from asset_pipeline.exports.plan import PlannedFile
from asset_pipeline.exports.records import ExportedFile
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.decode import Pixels, Plane, decode
from asset_pipeline.pictures.encode import decode_mask, lossless_webp
from asset_pipeline.store.store import Store

Outcome = Literal["reproduced", "differs", "impossible"]


@dataclass(frozen=True)
class Reproduction:
    """What making something again came to."""

    what: str
    """``image``, or the path of an exported file."""
    outcome: Outcome
    words: str
    sha256: str | None = None
    """The hash of what was made again."""
    largest_difference: int | None = None
    """The most by which a colour of a pixel differs, 0 to 255; none where nothing could be compared."""


class _Impossible(Exception):
    """It cannot be made again; the message is the reason."""


def reproduce(
    store: Store, data: Path, providers: Mapping[str, Provider], story: Story
) -> Iterator[Reproduction]:
    """Make a story's image again by the recorded request, and its channel files from the stored image.

    Nothing is spent: where a picture costs money, it is not made again.
    """
    try:
        yield _again(store, data, providers, story)
    except _Impossible as reason:
        yield Reproduction("image", "impossible", f"cannot be reproduced exactly: {reason}")
    for path, file in {file.path: file for file in story.exported if file.channel != ORIGINAL}.items():
        try:
            yield _file_again(store, data, story, file)
        except _Impossible as reason:
            yield Reproduction(path, "impossible", f"cannot be reproduced exactly: {reason}")


def _again(store: Store, data: Path, providers: Mapping[str, Provider], story: Story) -> Reproduction:
    candidate = story.candidate
    if candidate is None or candidate.image_sha256 is None:
        raise _Impossible("there is no record that holds of how the image was made")
    profile = _profile(data, providers, candidate)
    asked = Asked(candidate.request, profile.parameters | candidate.request.parameters)
    try:
        _, rendered = next(iter(providers[candidate.provider].render([asked], store.images.get)))
    except (ProviderError, BrokenFact, StopIteration) as error:
        raise _Impossible(str(error) or f"{candidate.provider} gives no answer") from error
    if isinstance(rendered, ProviderError):
        raise _Impossible(str(rendered)) from rendered
    made = lossless_webp(rendered.pixels)
    if sha256_of(made) == candidate.image_sha256:
        words = f"{candidate.provider} {candidate.provider_version} makes the same bytes again"
        return Reproduction("image", "reproduced", words, candidate.image_sha256, 0)
    return _compared("image", made, _stored(store, candidate.image_sha256))


def _profile(data: Path, providers: Mapping[str, Provider], candidate: Candidate) -> Profile:
    """Today's profile, if it is the one that the image was made by."""
    provider = providers.get(candidate.provider)
    if provider is None:
        raise _Impossible(f"there is no provider {candidate.provider} here")
    try:
        profile = load_profile(data, candidate.profile, providers)
        version = provider.version_of(profile.parameters | candidate.request.parameters)
    except PipelineError as error:
        raise _Impossible(str(error)) from error
    if version != candidate.provider_version:
        raise _Impossible(
            f"provider {provider.name} is version {version}, the picture was made by version "
            f"{candidate.provider_version}"
        )
    if profile.fingerprint(version) != candidate.request.profile_fingerprint:
        raise _Impossible(f"the profile {candidate.profile} has changed since")
    if profile.endpoint is not None:
        raise _Impossible(f"{candidate.profile} is a remote provider's, and an audit sends nothing out")
    cost = profile.expected_usd(candidate.request.width, candidate.request.height)
    if cost > 0:
        raise _Impossible(f"it would cost ${cost:.4f}, and an audit spends nothing")
    return profile


def _file_again(store: Store, data: Path, story: Story, file: ExportedFile) -> Reproduction:
    """Derive a channel's file from the stored image."""
    if story.candidate is None or story.choice is None or story.prompt is None:
        raise _Impossible("there is no record that holds of what it was made from")
    try:
        channel = load_channels(data).get(file.channel)
    except (NotFound, InvalidFile) as error:
        raise _Impossible(str(error)) from error
    planned = PlannedFile(
        story.choice, story.candidate, story.prompt, file.image_sha256, file.channel, channel
    )
    if channel is None or planned.recipe_sha256 != file.recipe_sha256:
        raise _Impossible(f"the channel {file.channel} or the codecs have changed since")
    original = _stored(store, file.image_sha256)
    if original is None:
        raise _Impossible(f"the store no longer has the image {file.image_sha256}")
    made = encode(derive(original, channel, _mask(store, story.candidate, original)).pixels, channel).data
    if made is None:
        raise _Impossible(f"the channel {file.channel} no longer takes it")
    if sha256_of(made) == file.sha256:
        return Reproduction(
            file.path, "reproduced", "the stored image gives the same bytes again", file.sha256, 0
        )
    return _compared(file.path, made, _stored(store, file.sha256))


def _mask(store: Store, candidate: Candidate, original: Pixels) -> Plane | None:
    """The product's mask as exports use it: none where there is none of the image's size."""
    if candidate.mask_sha256 is None:
        return None
    try:
        mask = decode_mask(store.images.get(candidate.mask_sha256))
    except BrokenFact as error:
        raise _Impossible(str(error)) from error
    except UnreadablePicture:
        return None
    return mask if mask.shape == original.shape[:2] else None


def _stored(store: Store, sha256: str) -> Pixels | None:
    try:
        return decode(store.images.get(sha256)).pixels
    except (BrokenFact, UnreadablePicture):
        return None


def _compared(what: str, made: bytes, before: Pixels | None) -> Reproduction:
    """Say how much another result differs from the one that is stored."""
    sha256, now = sha256_of(made), decode(made).pixels
    if before is None:
        words = "other bytes come out, and the store no longer has the first ones to compare them with"
        return Reproduction(what, "differs", words, sha256)
    if before.shape != now.shape:
        words = f"another size comes out: {_size(now)} instead of {_size(before)}"
        return Reproduction(what, "differs", words, sha256)
    largest = int(np.abs(before.astype(np.int16) - now.astype(np.int16)).max())
    words = f"other bytes come out; colours differ by at most {largest} of 255"
    if largest == 0:
        words = "every pixel is the same, and only its encoding differs"
    return Reproduction(what, "differs", words, sha256, largest)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} × {pixels.shape[0]}"
