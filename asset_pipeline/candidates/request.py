"""The one request for an image, the one answer, and what a provider is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from asset_pipeline.campaign.brief import Sensitivity
from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.price import Free, Price, expected_usd, most_usd
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.errors import ProviderError
from asset_pipeline.fingerprint import fingerprint, identifier

Pixels = npt.NDArray[np.uint8]
"""An image as height × width × 3, sRGB."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageReference(_Frozen):
    """A picture that the request builds on. Its identity is its content; how it travels is the provider's."""

    role: PhotographRole
    sha256: str
    media_type: str
    width: int
    height: int


class ImageRequest(_Frozen):
    """Everything that decides what an image looks like, and nothing else.

    Two requests with the same content are the same candidate, whoever asks and whenever.
    """

    schema_version: Literal[1] = 1
    prompt: str
    negative_prompt: str = ""
    width: int = Field(ge=64, le=8192)
    height: int = Field(ge=64, le=8192)
    seed: int = Field(ge=0, lt=2**32)
    parameters: dict[str, Any] = {}
    """What the asset type asks of the picture (``background``, ``framing`` ...), over the profile's own."""
    references: tuple[ImageReference, ...] = ()
    profile_fingerprint: str
    """The model profile in the version that is to make it, its provider's version included."""

    @property
    def candidate_id(self) -> str:
        """The name of the image that answers this request."""
        return identifier("c", self)


class Profile(_Frozen):
    """A way of making images that an operator configured: ``data/profiles/<name>.yaml``."""

    provider: str
    """The provider that makes the images: a file in ``asset_pipeline/providers``."""
    title: str
    parameters: dict[str, Any] = {}
    """Parameters of the provider; what a request brings wins."""
    price: Price = Free(unit="free")
    """What a picture costs; for plans, budgets, routing and books."""
    is_remote: bool = False
    """Whether material leaves this machine; such a profile never sees ``local_only`` campaigns."""
    endpoint: Endpoint | None = None
    """How a remote provider is reached; none for what runs in this process."""
    sensitivities: tuple[Sensitivity, ...] = ("public", "internal", "confidential", "local_only")
    """Which campaigns it may see."""
    batch_size: int = Field(default=1, ge=1, le=256)
    """How many requests of the same shape a provider is handed at once."""
    concurrency: int = Field(default=0, ge=0, le=64)
    """How many batches are made side by side; 0 means one for each processor."""
    license: str = ""
    source: str = ""

    def expected_usd(self, width: int, height: int) -> float:
        """What a picture of that size is expected to cost."""
        return expected_usd(self.price, width, height)

    def most_usd(self, width: int, height: int) -> float:
        """What is set aside for a picture of that size, so that a budget is a hard stop."""
        return most_usd(self.price, width, height)

    def fingerprint(self, provider_version: str) -> str:
        """The hash of what decides the pictures: provider, its version and the parameters."""
        return fingerprint(
            {"provider": self.provider, "version": provider_version, "parameters": self.parameters}
        )


@dataclass(frozen=True)
class Rendered:
    """An image that a provider made, before it is encoded."""

    pixels: Pixels
    mask: npt.NDArray[np.uint8] | None = None
    """Where the product is, height × width, 0 to 255; none if the provider does not know."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the provider chose itself (scene, placement ...), JSON-like; kept with the candidate."""


@dataclass(frozen=True)
class Asked:
    """A request on its way to a provider, with the parameters that hold for it."""

    request: ImageRequest
    parameters: Mapping[str, Any]
    """The profile's parameters, overlaid with the request's."""


OpenReference = Callable[[str], bytes]
"""Gives the bytes of a reference by its SHA-256."""


class Provider(Protocol):
    """One way of making an image."""

    name: str

    @property
    def makers(self) -> int | None:
        """How many batches it can be busy with at once: 1 for a model on a device; None: one a processor."""

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        """The code and the weights that draw with these parameters; part of every candidate's name.

        Changing what the provider draws means changing this. Loads no weights.

        Raises:
            UnsupportedRequest: the parameters mean nothing to this provider.
            NotFound: they name something that is not there.
        """

    def check(self, asked: Asked) -> None:
        """Refuse what cannot be said to this provider, before anything is spent.

        Raises:
            UnsupportedRequest: the provider has no words for the request.
        """

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """Make the images of a batch; yield each as it is finished, or why it was not made.

        The result of a request does not depend on the batch it is in. May be called from several threads.
        """

    def observed(self) -> Mapping[str, Any]:
        """What it measured of itself in this process, JSON-like; empty if nothing.

        What ``candidates.progress.TOTALS`` lists (``model_load_seconds``, ``embeddings_made`` ...) counts
        from the start of the process; anything else (``device``, ``batch_size`` ...) is as it was last.
        """
