"""Which pictures look the same, by what was recorded when they were made; no picture is opened.

PDQ hashes that differ in at most 31 of 256 bits show the same picture, which is PDQ's own recommendation
(https://github.com/facebook/ThreatExchange/tree/main/pdq). The hash reads brightness alone: of pack shots of
three products that differ in the colour of their background and in nothing else, 47 of 120 pairs are that
near. So pictures of different prompts, whose words may ask for nothing else than another colour, are the same
only if their mean colours are near as well.

A mirrored or cropped picture is another one to PDQ: the same photographs, mirrored, were 70 bits and more
away, cut by a twentieth 66 and more.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asset_pipeline.candidates.candidate import Candidate

NEAR_DUPLICATE_BITS = 31
SAME_COLOUR_LEVELS = 6.0
"""The mean colours of pictures that look the same differ by at most so many of 255 levels in each channel.

Pack shots that differ in their light differ by 0.2, in their background (cream and pale pink) by 12 and more.
"""
_CHANNELS = ("mean_red", "mean_green", "mean_blue")
_WORDS = 4
"""A hash of 256 bits in words of 64."""


class ChosenPictures:
    """The pictures that are chosen so far among those that are compared with one another."""

    def __init__(self) -> None:
        self._chosen: list[Candidate] = []
        self._hashes: npt.NDArray[np.uint64] = np.empty((16, _WORDS), np.uint64)

    def add(self, candidate: Candidate) -> None:
        """Compare with this one too, from now on; one without a hash looks like no other."""
        if candidate.perceptual_hash is None:
            return
        if len(self._chosen) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self._chosen)] = _bits(candidate.perceptual_hash)
        self._chosen.append(candidate)

    def twin_of(self, candidate: Candidate) -> Candidate | None:
        """The first of them that looks the same, if there is one."""
        if candidate.perceptual_hash is None or not self._chosen:
            return None
        differing = self._hashes[: len(self._chosen)] ^ _bits(candidate.perceptual_hash)
        near = np.flatnonzero(np.bitwise_count(differing).sum(axis=1) <= NEAR_DUPLICATE_BITS)
        return next((self._chosen[at] for at in near if _same_colour(self._chosen[at], candidate)), None)


def _bits(perceptual_hash: str) -> npt.NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex(perceptual_hash), np.uint64)


def _same_colour(one: Candidate, other: Candidate) -> bool:
    """Whether colour tells them apart: within a prompt never, elsewhere not where it is not recorded."""
    if one.prompt_id == other.prompt_id:
        return True
    colours = _mean_colour(one), _mean_colour(other)
    if not all(colours):
        return False
    return all(abs(a - b) <= SAME_COLOUR_LEVELS for a, b in zip(*colours, strict=True))


def _mean_colour(candidate: Candidate) -> Sequence[float]:
    """Red, green and blue, 0 to 255; nothing for a picture that was made before colours were recorded."""
    measures = candidate.details.get("glance", {})
    return [measures[channel] for channel in _CHANNELS] if _CHANNELS[0] in measures else []
