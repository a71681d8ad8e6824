"""What providers have in common that show a product's own photograph: which, how large, how it is cut out.

Also the words of a prompt that stage a product, and choices that the seed makes where nobody makes them.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Literal

from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderRefused, UnreadablePicture
from asset_pipeline.fingerprint import seed_from
from asset_pipeline.pictures.cutout import Cutout, cut_out
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.placing import bounding_box, cropped

MAX_ENLARGEMENT = 2.0
"""A photograph is never enlarged beyond this: there would be nothing to see in the additional pixels."""
CUTOUTS_KEPT = 8
"""How many cut-outs stay in memory; at 2160 × 2160 pixels each is at most 19 MB."""

Framing = Literal["close-up", "standard", "wide"]
View = Literal["base", "side", "top"]

FROM_LEFT = r"light(?:ing)? (?:coming )?from (?:the )?left|lit from (?:the )?left|left[- ](?:key )?light"

STAGING_WORDS: Sequence[tuple[str, str, str]] = (
    ("light", "left", FROM_LEFT),
    ("light", "right", FROM_LEFT.replace("left", "right")),
    (
        "light",
        "above",
        r"light(?:ing)? (?:coming )?from (?:above|the top)|lit from above|overhead light(?:ing)?",
    ),
    (
        "light",
        "behind",
        r"light(?:ing)? (?:coming )?from behind|lit from behind|back-?lit|back-?light(?:ing)?",
    ),
    ("hardness", "hard", r"(?:hard|harsh|dramatic|crisp) (?:\w+ )?(?:light(?:ing)?|shadows?|sun(?:light)?)"),
    ("hardness", "soft", r"(?:soft|diffused?|gentle) (?:\w+ )?(?:light(?:ing)?|shadows?)|soft ?box"),
    ("space", "left", r"(?:copy|negative|empty) space (?:on|at|to) the left|product on the right"),
    ("space", "right", r"(?:copy|negative|empty) space (?:on|at|to) the right|product on the left"),
    ("framing", "close-up", r"close[- ]?up|tight (?:crop|framing|shot)|fills? the frame"),
    ("framing", "wide", r"wide (?:shot|framing)|(?:copy|negative|empty) space|(?:plenty|lots) of space"),
    ("view", "side", r"side view|from the side|in profile"),
    ("view", "top", r"top view|top-?down|from above|overhead view|bird'?s[- ]eye"),
)
"""What a prompt may ask for: what it decides, its value, and the words that say so. The first row that is
found decides; light's words are taken out before ``from above`` is looked for."""

FILLS: Mapping[Framing, tuple[float, float]] = {
    "close-up": (0.82, 0.90),
    "standard": (0.58, 0.70),
    "wide": (0.38, 0.48),
}
"""The share of the frame that the product spans in its tighter direction."""


def understood_as(
    prompt: str, words: Sequence[tuple[str, str, str]]
) -> tuple[dict[str, tuple[str, str]], str]:
    """What a prompt decides (for each choice its value and the phrase that says so), and the text to read on.

    Light's words are taken out of that text.
    """
    text = " ".join(prompt.lower().split())
    said: dict[str, tuple[str, str]] = {}
    for choice, value, pattern in words:
        if choice not in said and (found := re.search(pattern, text)):
            said[choice] = (value, found.group())
            if choice == "light":
                text = text[: found.start()] + "." + text[found.end() :]
    return said, text


def choose_reference(
    references: Sequence[ImageReference], demanded: View | None, wished: str
) -> ImageReference:
    """The photograph to show: the demanded view; else the wished one if there is such, else the main view.

    Raises:
        ProviderRefused: there is no photograph of that view.
    """
    by_role: dict[str, ImageReference] = {}
    for reference in references:
        by_role.setdefault(reference.role, reference)
    role = demanded or (wished if wished in by_role else "base")
    if role not in by_role:
        has = ", ".join(by_role) or "none at all"
        raise ProviderRefused(f"no photograph of role {role} (the request has: {has})")
    return by_role[role]


def framing_of(word: str | None) -> Framing:
    """The framing that a word of ``STAGING_WORDS`` means; ``standard`` without one."""
    if word == "close-up":
        return "close-up"
    return "wide" if word == "wide" else "standard"


def extent(cutout: Cutout, size: tuple[int, int], fill: float) -> tuple[float, float]:
    """The product's width and height in a frame of that size when it spans `fill` of its tighter direction.

    Raises:
        ProviderRefused: the photograph is too small for it.
    """
    left, top, right, bottom = bounding_box(cutout.alpha)
    scale = min(fill * size[0] / (right - left), fill * size[1] / (bottom - top))
    if scale > MAX_ENLARGEMENT:
        longer = max(right - left, bottom - top)
        raise ProviderRefused(
            f"the photograph shows the product {longer} px large and the picture needs it"
            f" {round(longer * scale)} px large, more than {MAX_ENLARGEMENT:g} times: bring a larger one"
        )
    return (right - left) * scale, (bottom - top) * scale


def between(seed: int, what: str, low: float, high: float) -> float:
    """A number that the seed decides, the same for ever and independent of every other choice."""
    return low + (high - low) * seed_from(seed, what) / 2**32


def one_of(seed: int, what: str, values: Sequence[str]) -> str:
    """A choice that the seed makes."""
    return values[seed_from(seed, what) % len(values)]


class Cutouts:
    """The last few cut-outs by the SHA-256 of their photographs; each is made once, whoever waits for it.

    Args:
        finish: what else is done to each cut-out.
    """

    def __init__(self, finish: Callable[[Cutout], Cutout] = cropped) -> None:
        self._finish = finish
        self._lock = Lock()
        self._kept: OrderedDict[str, Future[Cutout | str]] = OrderedDict()

    def get(self, sha256: str, open_reference: Callable[[str], bytes]) -> Cutout:
        """The cut-out of a photograph.

        Raises:
            ProviderRefused: the photograph cannot be read or cut; the message is the reason.
        """
        with self._lock:
            is_mine = sha256 not in self._kept
            made = self._kept.setdefault(sha256, Future())
            self._kept.move_to_end(sha256)
            while len(self._kept) > CUTOUTS_KEPT:
                self._kept.popitem(last=False)
        if is_mine:
            self._make(sha256, made, open_reference)
        cutout = made.result()
        if isinstance(cutout, str):
            raise ProviderRefused(cutout)
        return cutout

    def _make(
        self, sha256: str, made: "Future[Cutout | str]", open_reference: Callable[[str], bytes]
    ) -> None:
        try:
            made.set_result(self._finish(cut_out(decode(open_reference(sha256)))))
        except UnreadablePicture as error:
            made.set_result(str(error))
        except BaseException as error:
            # A store that fails now may answer the next time, so nobody else is to be told of it.
            with self._lock:
                self._kept.pop(sha256, None)
            made.set_exception(error)
            raise
