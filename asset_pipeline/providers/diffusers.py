"""Any Hugging Face pipeline by profile: a thin provider over the diffusion engine.

A picture is drawn at the size that is asked for where the profile names no native sizes; otherwise at the
native size of the nearest shape, enlarged with Lanczos and cut to the frame. A photograph that the pipeline
starts from is fitted into the frame as a whole. ``details`` say what was drawn, how much it was enlarged, and
what was left unsaid.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from asset_pipeline.candidates.request import Asked, ImageReference, OpenReference, Pixels, Rendered
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.diffusion.settings import Role, Settings
from asset_pipeline.diffusion.sizes import Size, native_size
from asset_pipeline.errors import (
    ProviderError,
    ProviderRefused,
    UnreadablePicture,
    UnsupportedRequest,
)
from asset_pipeline.pictures.cutout import cut_out
from asset_pipeline.pictures.decode import Picture, Plane, decode
from asset_pipeline.pictures.fitting import fitted

VERSION = "1"
"""Changes whenever fitting photographs or enlarging pictures changes."""


@dataclass(frozen=True)
class _Order:
    """One request in the engine's terms."""

    asked: Asked
    settings: Settings
    drawing: Drawing
    dropped: tuple[str, ...]


class Diffusers:
    """Draws with the checkpoint that the profile names, on the best device of this machine."""

    name = "diffusers"
    makers = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        """This provider's code, the engine's, and the weights that the parameters name.

        Raises:
            UnsupportedRequest: a parameter is unknown or wrong.
            NotFound: a parameter names a model that is not there.
        """
        return f"{VERSION}+{self._engine.version_of(Settings.of(parameters))}"

    def observed(self) -> Mapping[str, Any]:
        """What the engine measured of itself in this process."""
        return self._engine.observed()

    def check(self, asked: Asked) -> None:
        """Refuse what the pipeline has no words for; reads configuration and tokenizers, no weights.

        Raises:
            UnsupportedRequest: with every reason.
            MissingModel: a file of the model is missing or altered.
        """
        order = _order(asked, _blank, lambda picture: picture.pixels[..., 0])
        self._engine.check(order.settings, order.drawing)

    def tokens(self, parameters: Mapping[str, Any], text: str) -> tuple[int, int]:
        """How many tokens a prompt is, and how many the model reads. Raises as `check` does."""
        return self._engine.tokens(Settings.of(parameters), text)

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """Make the images of a batch; yield each as it is finished, or why it was not made."""
        by_settings: dict[str, list[_Order]] = {}
        for asked in batch:
            try:
                order = _order(asked, lambda reference: decode(open_reference(reference.sha256)), _paintable)
            except UnreadablePicture as error:
                yield asked, ProviderRefused(f"the photograph cannot be used: {error}")
            except ProviderError as error:
                yield asked, error
            else:
                by_settings.setdefault(order.settings.model_dump_json(), []).append(order)
        for orders in by_settings.values():
            yield from self._draw(orders)

    def _draw(self, orders: Sequence[_Order]) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        drawings = [order.drawing for order in orders]
        for index, result in self._engine.draw(orders[0].settings, drawings):
            order = orders[index]
            yield (
                order.asked,
                result if isinstance(result, ProviderError) else self._in_frame(order, result),
            )

    def _in_frame(self, order: _Order, drawn: Pixels) -> Rendered:
        height, width = drawn.shape[:2]
        frame = (order.asked.request.width, order.asked.request.height)
        details: dict[str, Any] = {"drawn": [width, height]}
        if (width, height) != frame:
            details["enlarged"] = round(max(frame[0] / width, frame[1] / height), 3)
        dropped = (*order.dropped, *self._engine.drops(order.settings, order.drawing))
        if dropped:
            details["dropped"] = sorted(dropped)
        return Rendered(fitted(drawn, frame), details=details)


def _order(
    asked: Asked, look: Callable[[ImageReference], Picture], paintable: Callable[[Picture], Plane]
) -> _Order:
    """The request in the engine's terms.

    Args:
        asked: the request with its parameters.
        look: gives a photograph.
        paintable: gives the mask of a photograph that is painted around.

    Raises:
        UnsupportedRequest: the settings have no words for the request.
        UnreadablePicture: a photograph cannot be read, or the product not found on it.
    """
    request, settings = asked.request, Settings.of(asked.parameters)
    size = native_size((request.width, request.height), settings.native_sizes)
    images: dict[Role, Pixels] = {}
    dropped = [name for name in asked.parameters if name not in Settings.model_fields]
    for reference in request.references:
        role = settings.references.get(reference.role)
        if role is None and "references" not in settings.may_drop:
            raise UnsupportedRequest(
                f"the profile gives the {reference.role} photograph no place in the pipeline (its references "
                "can, or its may_drop can leave references unsaid)"
            )
        if role is None:
            dropped.append(f"references: {reference.role}")
        elif role in images:
            raise UnsupportedRequest(f"the pipeline takes one picture as {role}, the request has two")
        elif role == "reference":
            images[role] = look(reference).pixels
        else:
            picture = look(reference)
            images[role] = _fitted(picture.pixels, size)
            if settings.task == "inpainting" and role == "image":
                images["mask"] = _fitted(paintable(picture), size, around=255)
    drawing = Drawing(request.prompt, request.negative_prompt, *size, request.seed, images)
    return _Order(asked, settings, drawing, tuple(dropped))


def _blank(reference: ImageReference) -> Picture:
    """Stands for a photograph where the question is not what is on it; takes no memory."""
    return Picture(np.broadcast_to(np.uint8(0), (reference.height, reference.width, 3)))


def _paintable(picture: Picture) -> Plane:
    """Everything but the product."""
    return 255 - cut_out(picture).alpha


def _fitted(pixels: Pixels, size: Size, around: int | tuple[int, ...] | None = None) -> Pixels:
    """A photograph as a whole within the frame; around it, its corner's colour unless another is given."""
    corner = tuple(int(value) for value in pixels[0, 0]) if around is None else around
    return np.array(ImageOps.pad(Image.fromarray(pixels), size, Image.Resampling.LANCZOS, corner), np.uint8)
