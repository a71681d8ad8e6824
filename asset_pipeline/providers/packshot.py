"""The product's own photograph, cut out and set into a studio: no model, no key, nothing invented.

Two modes. ``studio``: a coloured backdrop with light, shadow and framing, chosen by the request's words and
parameters, and by its seed where they are silent. ``marketplace``: what marketplaces demand of a main image:
the product alone on pure white, its longer side at least 85 % of the frame.

A prompt is followed as far as its words are in the tables below; ``details`` of each image lists the phrases
that were understood. A negative prompt has nothing to forbid here: nothing is drawn but what is listed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import ImageColor
from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from skimage.color import rgb2lab

from asset_pipeline.candidates.parameters import parameters_as
from asset_pipeline.candidates.request import Asked, ImageRequest, OpenReference, Rendered
from asset_pipeline.candidates.staging import (
    FILLS,
    STAGING_WORDS,
    Cutouts,
    Framing,
    View,
    between,
    choose_reference,
    extent,
    framing_of,
    one_of,
    understood_as,
)
from asset_pipeline.errors import ProviderError, ProviderRefused, UnsupportedRequest
from asset_pipeline.fingerprint import seed_from
from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.placing import Placed, bounding_box, place
from asset_pipeline.pictures.studio import Colour, Scene, Stage, in_studio, on_plain

VERSION = "1"
"""Of what it draws: raised when the same request would give another picture."""
MARKETPLACE_FILL = 0.88
"""The share of the frame that a main image's product spans, safely above the 85 % that is demanded."""
MARKETPLACE_WHITE: Colour = (255, 255, 255)

Light = Literal["left", "right", "above", "behind"]

COLOURS: Mapping[str, Colour] = {
    "white": (250, 250, 250),
    "off white": (244, 241, 235),
    "ivory": (245, 240, 226),
    "cream": (243, 233, 212),
    "linen": (236, 226, 210),
    "beige": (226, 210, 186),
    "sand": (219, 196, 163),
    "oat": (222, 209, 188),
    "taupe": (158, 142, 126),
    "tan": (203, 170, 128),
    "camel": (190, 148, 100),
    "terracotta": (196, 108, 78),
    "rust": (168, 82, 48),
    "brown": (112, 78, 54),
    "chocolate": (84, 56, 42),
    "grey": (188, 189, 190),
    "stone": (196, 192, 184),
    "concrete": (170, 170, 167),
    "slate": (94, 104, 116),
    "graphite": (66, 68, 72),
    "charcoal": (54, 56, 60),
    "black": (24, 24, 26),
    "red": (196, 40, 44),
    "coral": (240, 128, 108),
    "peach": (250, 206, 178),
    "pink": (242, 184, 198),
    "blush": (240, 212, 206),
    "rose": (214, 140, 150),
    "burgundy": (110, 28, 46),
    "orange": (238, 138, 50),
    "amber": (232, 168, 62),
    "mustard": (214, 168, 58),
    "yellow": (246, 212, 84),
    "lime": (186, 212, 80),
    "green": (92, 148, 96),
    "sage": (172, 186, 162),
    "olive": (126, 128, 78),
    "mint": (188, 224, 206),
    "emerald": (22, 122, 92),
    "forest": (42, 78, 58),
    "teal": (32, 124, 128),
    "turquoise": (84, 192, 190),
    "sky": (172, 208, 234),
    "blue": (70, 120, 188),
    "navy": (28, 42, 78),
    "indigo": (62, 62, 132),
    "lavender": (204, 196, 226),
    "lilac": (200, 176, 216),
    "purple": (120, 78, 150),
}
"""Studio colours in sRGB. A name that is not here may be one of CSS (``chartreuse``), or ``#rrggbb``."""

TONES: Mapping[str, tuple[Colour, float]] = {
    "light": ((255, 255, 255), 0.45),
    "pale": ((255, 255, 255), 0.55),
    "pastel": ((255, 255, 255), 0.50),
    "soft": ((255, 255, 255), 0.20),
    "dark": ((0, 0, 0), 0.50),
    "deep": ((0, 0, 0), 0.30),
    "warm": ((255, 176, 96), 0.14),
    "cool": ((120, 176, 255), 0.14),
    "muted": ((150, 150, 150), 0.35),
}
"""Words before a colour: what they mix into it (as light, in sRGB), and how much."""

BACKDROP_NOUNS = ("background", "backdrop", "studio", "surface")
"""What a colour must stand before to be the backdrop's, the surest first: a red mug is no red background."""
BACKDROP_FILLERS = frozenset(
    {"coloured", "colored", "seamless", "paper", "plain", "solid", "clean", "simple"}
)

NEUTRALS = (
    "off white",
    "linen",
    "sand",
    "stone",
    "grey",
    "sage",
    "blush",
    "slate",
    "sky",
    "terracotta",
    "charcoal",
)
"""What the seed chooses from where nobody names a colour."""
LEAST_CONTRAST = 22.0
"""dE (CIE 1976) between such a colour and the product, so that a white shoe is not set on white."""

GARMENTS = (
    r"t-?shirt|tee|shirt|hoodie|polo|sweater|sweatshirt|jumper|cardigan|jacket|dress(?! shoe)|skirt"
    r"|trousers|jeans"
)
"""What lies flat, since it does not stand."""

WORDS = (
    *STAGING_WORDS,
    ("reflection", "yes", r"reflections?\b|(?:reflective|glossy|mirror(?:ed)?) (?:floor|surface|table)"),
    ("stage", "flat", rf"flat[- ]?lay|(?:lying|laid) flat|top view|from above|\b(?:{GARMENTS})s?\b"),
)
"""What a prompt may ask for."""


class Parameters(BaseModel):
    """What a profile or a request may decide. What is left out is decided by the prompt, then by the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mode: Literal["studio", "marketplace"] = "studio"
    view: View | None = None
    """The photograph to show; ``base`` is the main view."""
    background: str | None = None
    """A colour as in a prompt (``warm sand``), or ``#rrggbb``."""
    light: Light | None = None
    hardness: Literal["soft", "hard"] | None = None
    framing: Framing | None = None
    stage: Stage | None = None
    reflection: bool | None = None

    @field_validator("background")
    @classmethod
    def _known_colour(cls, background: str | None) -> str | None:
        if background is not None and colour_of(background.lower().split()) is None:
            raise ValueError(f"no known colour; use #rrggbb, or one of {', '.join(COLOURS)}")
        return background

    @model_validator(mode="after")
    def _nothing_to_choose_in_a_marketplace(self) -> "Parameters":
        chosen = sorted(self.model_fields_set - {"mode", "view"})
        if self.mode == "marketplace" and chosen:
            raise ValueError(f"mode marketplace leaves no choice of {', '.join(chosen)}: leave it out")
        return self


@dataclass(frozen=True)
class Direction:
    """What is to be made, once words, parameters and seed are put together."""

    backdrop_name: str
    scene: Scene
    framing: Framing
    fill: float
    centre: tuple[float, float]
    """The middle of the product in the frame, 0 to 1 from the left and from the top."""


class Packshot:
    """Sets photographs into a studio, on this machine, for nothing."""

    name = "packshot"
    makers = None

    def __init__(self) -> None:
        self._cutouts = Cutouts()

    def version_of(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002 - they are in the name already
        """One version, whatever the parameters."""
        return VERSION

    def observed(self) -> Mapping[str, Any]:
        """Nothing: it has no model to load."""
        return {}

    def check(self, asked: Asked) -> None:
        """Refuse parameters that mean nothing here.

        Raises:
            UnsupportedRequest: a parameter or its value is unknown; the message names the choices.
        """
        parameters_as(Parameters, asked.parameters, self.name)

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """Make the pictures of a batch, one after the other."""
        for asked in batch:
            try:
                yield asked, self._render(asked, open_reference)
            except ProviderError as error:
                yield asked, error

    def _render(self, asked: Asked, open_reference: OpenReference) -> Rendered:
        request, parameters = asked.request, parameters_as(Parameters, asked.parameters, self.name)
        said = understood(request.prompt)
        reference = choose_reference(request.references, parameters.view, said.get("view", ("base", ""))[0])
        cutout = self._cutouts.get(reference.sha256, open_reference)
        if cutout.cut_off_at:
            raise ProviderRefused(
                f"the product is cut off at the {' and the '.join(cutout.cut_off_at)} of its photograph"
            )
        size = request.width, request.height
        details: dict[str, Any] = {
            "mode": parameters.mode,
            "reference": {"role": reference.role, "sha256": reference.sha256},
            "cutout": {
                "found_by": cutout.found_by,
                "share": round(cutout.share, 4),
                "edge_softness": round(cutout.edge_softness, 2),
            },
        }
        if parameters.mode == "marketplace":
            placed = _placed(cutout, size, MARKETPLACE_FILL, (0.5, 0.5))
            pixels, mask = on_plain(placed, size, MARKETPLACE_WHITE)
            details["background"] = {"name": "pure white", "rgb": list(MARKETPLACE_WHITE)}
        else:
            direction = direct(request, parameters, said, cutout)
            placed = _placed(cutout, size, direction.fill, direction.centre)
            pixels, mask = in_studio(placed, size, direction.scene)
            details |= _story(direction, said)
        return Rendered(
            pixels, mask, details | {"scale": round(placed.scale, 4), "box": list(bounding_box(mask))}
        )


# --------------------------------------------------------------------------------------------------- words


def understood(prompt: str) -> dict[str, tuple[str, str]]:
    """What a prompt decides: for each choice its value and the phrase that says so."""
    said, rest = understood_as(prompt, WORDS)
    if background := _backdrop_in(rest):
        said["background"] = background
    return said


def _backdrop_in(text: str) -> tuple[str, str] | None:
    """The colour words that stand before (or, with *in* or *of*, after) a word for the backdrop."""
    words = re.findall(r"#[0-9a-f]{6}\b|[a-z]+|[.,;:]", text.replace("-", " "))
    for noun in BACKDROP_NOUNS:
        for place_of_noun in (index for index, word in enumerate(words) if word == noun):
            before = words[max(0, place_of_noun - 5) : place_of_noun]
            phrases = [before[start:] for start in range(len(before))]
            after = words[place_of_noun + 1 : place_of_noun + 6]
            if after[:1] in (["in"], ["of"]):
                phrases += [after[1:end] for end in range(len(after), 1, -1)]
            for phrase in phrases:
                if colour_of(phrase) is not None:
                    name = " ".join(word for word in phrase if word not in BACKDROP_FILLERS)
                    return name, f"{' '.join(phrase)} {noun}"
    return None


def colour_of(words: Sequence[str]) -> Colour | None:
    """The sRGB values of colour words such as ``light warm grey``; None if they are no colour."""
    rest = [word for word in words if word not in BACKDROP_FILLERS]
    for named in (_studio_colour, _css_colour):
        for split in range(len(rest)):
            colour = named(" ".join(rest[split:]).replace("gray", "grey"))
            if colour is not None and all(word in TONES for word in rest[:split]):
                for word in reversed(rest[:split]):
                    colour = _mixed(colour, *TONES[word])
                return colour
    return None


def _studio_colour(name: str) -> Colour | None:
    first, _, family = name.partition(" ")
    if first in COLOURS and family in COLOURS:  # sage green, navy blue
        return COLOURS[first]
    return COLOURS.get(name)


def _css_colour(name: str) -> Colour | None:
    if not (re.fullmatch(r"#[0-9a-f]{6}", name) or name.replace(" ", "") in ImageColor.colormap):
        return None
    red, green, blue = ImageColor.getrgb(name.replace(" ", ""))[:3]
    return red, green, blue


def _mixed(colour: Colour, tint: Colour, share: float) -> Colour:
    red, green, blue = (
        round((1 - share) * own + share * other) for own, other in zip(colour, tint, strict=True)
    )
    return red, green, blue


# -------------------------------------------------------------------------------------------------- choices


def direct(
    request: ImageRequest, parameters: Parameters, said: Mapping[str, tuple[str, str]], cutout: Cutout
) -> Direction:
    """Put parameters, words and seed together, in this order of precedence."""
    seed = request.seed
    words = {choice: value for choice, (value, _) in said.items()}
    light: str = parameters.light or words.get("light") or one_of(seed, "light", ("left", "right"))
    stage: Stage = parameters.stage or ("flat" if words.get("stage") == "flat" else "floor")
    framing: Framing = parameters.framing or framing_of(words.get("framing"))
    reflects = words.get("reflection") == "yes" if parameters.reflection is None else parameters.reflection
    name = parameters.background or words.get("background") or _contrasting(seed, cutout)
    colour = colour_of(name.lower().split())
    if colour is None:
        raise UnsupportedRequest(f"packshot, background: {name!r} is no known colour")
    hard = parameters.hardness or words.get("hardness")
    hardness = {"soft": (0.0, 0.15), "hard": (0.85, 1.0), None: (0.15, 0.5)}[hard]
    scene = Scene(
        backdrop=colour,
        stage=stage,
        light_from=_light_from(seed, light),
        hardness=between(seed, "hardness", *hardness),
        horizon=between(seed, "horizon", 0.58, 0.70),
        pool=(between(seed, "pool x", 0.36, 0.64), between(seed, "pool y", 0.32, 0.52)),
        vignette=between(seed, "vignette", 0.05, 0.16),
        reflection=between(seed, "reflection", 0.24, 0.34) if reflects and stage == "floor" else 0.0,
    )
    fill = between(seed, "fill", *FILLS[framing])
    middle = {"left": 0.68, "right": 0.32}.get(words.get("space", ""), 0.5)
    return Direction(
        backdrop_name=name,
        scene=scene,
        framing=framing,
        fill=fill,
        centre=(
            middle + between(seed, "across", -0.03, 0.03),
            0.5 + between(seed, "down", -0.01, 0.03) * (stage == "floor"),
        ),
    )


def _light_from(seed: int, light: str) -> tuple[float, float]:
    strength = between(seed, "light side", 0.55, 0.95)
    across = {"left": -strength, "right": strength}.get(light, 0.5 * strength - 0.375)
    before = {"above": 0.25, "behind": -0.7}.get(light, between(seed, "light before", 0.4, 0.9))
    return across, before


def _contrasting(seed: int, cutout: Cutout) -> str:
    """A neutral that the product stands out from, by the seed; the one it differs from most if none does."""
    solid = cutout.pixels[::8, ::8][cutout.alpha[::8, ::8] > 127]  # noqa: PLR2004
    product = rgb2lab(solid[None].astype(np.float32) / 255)[0]
    # A product of several colours disappears where its largest part does, so compare with the nearest third.
    contrast = {
        name: float(np.percentile(np.linalg.norm(product - _lab(COLOURS[name]), axis=1), 33))
        for name in NEUTRALS
    }
    order = sorted(NEUTRALS, key=lambda name: seed_from(seed, "background", name))
    distinct = [name for name in order if contrast[name] >= LEAST_CONTRAST]
    return distinct[0] if distinct else max(order, key=lambda name: contrast[name])


def _lab(colour: Colour) -> Any:
    return rgb2lab(np.array([[colour]], np.float32) / 255)[0, 0]


def _placed(cutout: Cutout, size: tuple[int, int], fill: float, centre: tuple[float, float]) -> Placed:
    """The cut-out at its size and place, inside the frame.

    Raises:
        ProviderRefused: the photograph is too small for it.
    """
    width, height = size
    across, down = extent(cutout, size, fill)
    x = min(max(centre[0] * width - across / 2, 0.03 * width), 0.97 * width - across)
    y = min(max(centre[1] * height - down / 2, 0.03 * height), 0.97 * height - down)
    return place(cutout, (x, y, x + across, y + down))


def _story(direction: Direction, said: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """What was chosen, for the candidate's details."""
    scene = direction.scene
    return {
        "background": {"name": direction.backdrop_name, "rgb": list(scene.backdrop)},
        "light_from": [round(part, 3) for part in scene.light_from],
        "hardness": round(scene.hardness, 3),
        "stage": scene.stage,
        "framing": direction.framing,
        "fill": round(direction.fill, 3),
        "reflection": round(scene.reflection, 3),
        "understood": {choice: phrase for choice, (_, phrase) in sorted(said.items())},
    }
