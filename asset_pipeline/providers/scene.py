"""The product's own pixels in a scene that a diffusion model drew: product lock.

Two methods. ``background``: the model draws the empty place that the prompt describes, at one of the
checkpoint's native sizes; enlarged, it is a soft backdrop in which the product's cut-out stands at full size,
with shadows on the surface, lit by the scene as far as is promised, its edges touched by the scene's colour.
``inpaint``: the model paints everything but the product, at full size; then the product's own pixels are put
back.

What of the product's pixels is promised, and how closely, is stated in ``pictures/in_scene.py``; the
dimension ``product_lock`` checks it with the placement that each image's ``details`` record.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from asset_pipeline.candidates.parameters import parameters_as
from asset_pipeline.candidates.request import (
    Asked,
    ImageReference,
    ImageRequest,
    OpenReference,
    Pixels,
    Rendered,
)
from asset_pipeline.candidates.staging import (
    FILLS,
    STAGING_WORDS,
    Cutouts,
    Framing,
    between,
    choose_reference,
    extent,
    framing_of,
    understood_as,
)
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.settings import Role, Settings
from asset_pipeline.diffusion.sizes import native_size
from asset_pipeline.errors import (
    ProviderError,
    ProviderRefused,
    UnsupportedRequest,
)
from asset_pipeline.pictures.backdrop import Side, covering, enlarged, side_of_light
from asset_pipeline.pictures.contact import without_contact_shadow
from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.in_scene import (
    EDGE_BAND,
    LOCKED_LEVELS,
    LOCKED_MEAN_LEVELS,
    Light,
    Temperature,
    departure,
    gain_of,
    in_scene,
    locked,
    put_back,
)
from asset_pipeline.pictures.placing import Placed, bounding_box, cropped, place
from asset_pipeline.pictures.studio import Scene as Studio
from asset_pipeline.pictures.studio import in_studio

VERSION = "1"
"""Of what is composed around and into a drawing: raised when the same request would give another picture."""
TASKS: Mapping[str, str] = {"background": "text-to-image", "inpaint": "inpainting"}
"""What each method asks of the engine."""
FOOT = (0.79, 0.84)
"""How far down the frame a product stands, where it is not too tall for that."""
MARGIN = 0.04
"""The least share of the frame that stays free around a product."""
PAINTABLE_MULTIPLE = 16
"""What a painted picture's width and height are multiples of: the autoencoder's 8 times the denoiser's 2."""

HARDNESSES: Mapping[str, tuple[float, float]] = {"soft": (0.0, 0.2), "hard": (0.8, 1.0), "": (0.3, 0.6)}
"""How hard the light is, by the words for it."""
LIGHT_WORDS: Sequence[tuple[str, str, str]] = (
    ("temperature", "warm", r"warm (?:\w+ )?(?:light|sun)|golden hour|candle ?light"),
    ("temperature", "cool", r"(?:cool|cold) (?:\w+ )?light|blue hour|moon ?light"),
    ("temperature", "neutral", r"day ?light|neutral light"),
    ("hardness", "soft", r"soft day ?light"),
)


class Parameters(BaseModel):
    """What a profile or a request may decide besides the engine's settings; the prompt decides the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: Literal["background", "inpaint"] = "background"
    view: Literal["base", "side"] | None = None
    """The photograph to show; one from above cannot stand on anything."""
    framing: Framing | None = None
    light: Side | None = None
    """Where the light comes from; neither said here nor in the prompt, it is seen in the drawn scene."""
    temperature: Temperature | None = None
    """The same of the light's colour."""
    hardness: Literal["soft", "hard"] | None = None


@dataclass(frozen=True)
class _Order:
    """One request, with the product where it will be and what the engine is to draw."""

    asked: Asked
    parameters: Parameters
    settings: Settings
    said: Mapping[str, tuple[str, str]]
    reference: ImageReference
    cutout: Cutout
    placed: Placed
    drawing: Drawing

    @property
    def frame(self) -> tuple[int, int]:
        return self.asked.request.width, self.asked.request.height


class Scene:
    """Sets a product's own pixels into scenes that the diffusion engine draws, on this machine."""

    name = "scene"
    makers = 2  # while one batch is composed, the engine draws another

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cutouts = Cutouts(lambda cutout: cropped(without_contact_shadow(cutout)))

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        """This provider's code, the engine's, and the weights that the parameters name.

        Raises:
            UnsupportedRequest: a parameter is unknown or wrong.
            NotFound: a parameter names a model that is not there.
        """
        return f"{VERSION}+{self._engine.version_of(_parsed(parameters)[1])}"

    def observed(self) -> Mapping[str, Any]:
        """What the engine measured of itself in this process."""
        return self._engine.observed()

    def check(self, asked: Asked) -> None:
        """Refuse what the method or the pipeline has no words for; loads no weights.

        Raises:
            UnsupportedRequest: with every reason.
            MissingModel: a file of the model is missing or altered.
        """
        parameters, settings = _parsed(asked.parameters)
        blank: dict[Role, Pixels] = {}
        if parameters.method == "inpaint":
            width, height = _paintable_size(asked.request)
            blank = {
                "image": np.zeros((height, width, 3), np.uint8),
                "mask": np.zeros((height, width), np.uint8),
            }
        self._engine.check(settings, _drawing(asked.request, settings, blank))

    def tokens(self, parameters: Mapping[str, Any], text: str) -> tuple[int, int]:
        """How many tokens a prompt is, and how many the model reads. Raises as `check` does."""
        return self._engine.tokens(_parsed(parameters)[1], text)

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """Make the pictures of a batch; yield each as it is finished, or why it was not made."""
        alike: dict[str, list[_Order]] = {}
        for asked in batch:
            try:
                order = self._order(asked, open_reference)
            except ProviderError as error:
                yield asked, error
            else:
                alike.setdefault(order.settings.model_dump_json(), []).append(order)
        for orders in alike.values():
            yield from self._draw(orders)

    def _order(self, asked: Asked, open_reference: OpenReference) -> _Order:
        request = asked.request
        parameters, settings = _parsed(asked.parameters)
        said, _ = understood_as(request.prompt, (*LIGHT_WORDS, *STAGING_WORDS))
        wished = said.get("view", ("base", ""))[0]
        reference = choose_reference(
            request.references, parameters.view, wished if wished == "side" else "base"
        )
        cutout = self._cutouts.get(reference.sha256, open_reference)
        if cutout.cut_off_at:
            raise ProviderRefused(
                f"the product is cut off at the {' and the '.join(cutout.cut_off_at)} of its photograph"
            )
        placed = _placed(request, parameters, said, cutout)
        images = _around(placed, request) if parameters.method == "inpaint" else {}
        drawing = _drawing(request, settings, images)
        return _Order(asked, parameters, settings, said, reference, cutout, placed, drawing)

    def _draw(self, orders: Sequence[_Order]) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        drawings = [order.drawing for order in orders]
        for index, result in self._engine.draw(orders[0].settings, drawings):
            order = orders[index]
            yield (
                order.asked,
                result if isinstance(result, ProviderError) else self._composed(order, result),
            )

    def _composed(self, order: _Order, drawn: Pixels) -> Rendered:
        rendered = _composed(order, drawn)
        if dropped := self._engine.drops(order.settings, order.drawing):
            return replace(rendered, details={**rendered.details, "dropped": sorted(dropped)})
        return rendered


def _parsed(given: Mapping[str, Any]) -> tuple[Parameters, Settings]:
    own = {name: value for name, value in given.items() if name in Parameters.model_fields}
    parameters = parameters_as(Parameters, own, Scene.name)
    settings = Settings.of({name: value for name, value in given.items() if name not in own})
    if settings.task != TASKS[parameters.method]:
        raise UnsupportedRequest(
            f"scene, method {parameters.method}: needs the task {TASKS[parameters.method]},"
            f" and the profile says {settings.task}"
        )
    return parameters, settings


def _drawing(request: ImageRequest, settings: Settings, images: Mapping[Role, Pixels]) -> Drawing:
    frame = request.width, request.height
    size = _paintable_size(request) if images else native_size(frame, settings.native_sizes)
    return Drawing(request.prompt, request.negative_prompt, *size, request.seed, images)


def _paintable_size(request: ImageRequest) -> tuple[int, int]:
    width, height = (
        PAINTABLE_MULTIPLE * -(-side // PAINTABLE_MULTIPLE) for side in (request.width, request.height)
    )
    return width, height


def _placed(
    request: ImageRequest, parameters: Parameters, said: Mapping[str, tuple[str, str]], cutout: Cutout
) -> Placed:
    """The product at its size, standing on its place in the frame.

    Raises:
        ProviderRefused: the photograph is too small for it.
    """
    seed, width, height = request.seed, request.width, request.height
    fill = between(seed, "fill", *FILLS[_framing(parameters, said)])
    across, down = extent(cutout, (width, height), fill)
    foot = max(between(seed, "foot", *FOOT) * height, min(down + MARGIN * height, (1 - MARGIN) * height))
    middle = {"left": 0.68, "right": 0.32}.get(said.get("space", ("", ""))[0], 0.5)
    x = (middle + between(seed, "across", -0.04, 0.04)) * width - across / 2
    x = min(max(x, MARGIN * width), (1 - MARGIN) * width - across)
    return place(cutout, (x, foot - down, x + across, foot))


def _framing(parameters: Parameters, said: Mapping[str, tuple[str, str]]) -> Framing:
    return parameters.framing or framing_of(said.get("framing", ("", ""))[0])


def _around(placed: Placed, request: ImageRequest) -> dict[Role, Pixels]:
    """The product in a neutral studio, and where to paint: everything but the product, over its edges too."""
    pixels, mask = in_studio(placed, (request.width, request.height), Studio(backdrop=(150, 150, 150)))
    paintable = np.where(ndimage.binary_erosion(mask > 127, iterations=EDGE_BAND), 0, 255)  # noqa: PLR2004
    width, height = _paintable_size(request)
    more = ((0, height - request.height), (0, width - request.width))
    return {
        "image": np.pad(pixels, (*more, (0, 0)), mode="edge"),
        "mask": np.pad(paintable.astype(np.uint8), more, mode="edge"),
    }


def _composed(order: _Order, drawn: Pixels) -> Rendered:
    request, placed = order.asked.request, order.placed
    width, height = order.frame
    details: dict[str, Any] = {}
    if order.parameters.method == "inpaint":
        pixels, mask = put_back(placed, drawn[:height, :width])
    else:
        foot = (placed.top + bounding_box(placed.alpha)[3]) / height
        backdrop = enlarged(drawn, order.frame, foot, request.seed)
        light, details["light"] = _light(order, covering(drawn, order.frame))
        pixels, mask = in_scene(placed, backdrop, light)
        details["horizon"] = backdrop.horizon
    most, mean = _kept(pixels, placed)
    left, top, right, bottom = bounding_box(mask)
    return Rendered(
        pixels,
        mask,
        {
            "method": order.parameters.method,
            "reference": {"role": order.reference.role, "sha256": order.reference.sha256},
            "cutout": {"found_by": order.cutout.found_by, "share": round(order.cutout.share, 4)},
            "drawn": {"size": [drawn.shape[1], drawn.shape[0]], "seed": request.seed},
            "framing": _framing(order.parameters, order.said),
            "placement": _placement(order.cutout, placed),
            "box": [left, top, right, bottom],
            "lock": {
                "levels": most,
                "mean_levels": mean,
                "promised_levels": LOCKED_LEVELS,
                "promised_mean_levels": LOCKED_MEAN_LEVELS,
            },
            "understood": {choice: phrase for choice, (_, phrase) in sorted(order.said.items())},
        }
        | details,
    )


def _light(order: _Order, drawn: Pixels) -> tuple[Light, dict[str, Any]]:
    """The light that is stated, else the one that the drawn scene shows; and the same for the details."""
    words = {choice: value for choice, (value, _) in order.said.items()}
    stated: Any = order.parameters.light or words.get("light")
    side: Side = stated if stated in {"left", "right", "above"} else side_of_light(drawn)
    temperature: Any = order.parameters.temperature or words.get("temperature")
    hard = order.parameters.hardness or words.get("hardness", "")
    hardness = round(between(order.asked.request.seed, "hardness", *HARDNESSES[hard]), 3)
    light = Light(side, gain_of(drawn, temperature), hardness)
    return light, {
        "from": side,
        "from_seen_in": "request" if side == stated else "scene",
        "temperature": temperature or "as in the scene",
        "gain": list(light.gain),
        "hardness": hardness,
    }


def _placement(cutout: Cutout, placed: Placed) -> dict[str, Any]:
    """Which part of the photograph is shown (left, top, right, bottom), and where and how large."""
    left, top = cutout.origin
    height, width = cutout.alpha.shape
    return {
        "of_photograph": [left, top, left + width, top + height],
        "left": placed.left,
        "top": placed.top,
        "width": placed.alpha.shape[1],
        "height": placed.alpha.shape[0],
        "scale": round(placed.scale, 4),
    }


def _kept(pixels: Pixels, placed: Placed) -> tuple[float | None, float | None]:
    """How closely the product's pixels were kept; nothing of a product that is all edge."""
    lock = locked(placed.alpha)
    if not lock.any():
        return None, None
    most, mean = departure(pixels, placed, lock)
    return most, round(mean, 2)
