"""A score is a value, or the reason there is none. What a scorer is, and what it is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]


class Score(BaseModel):
    """One dimension's word on one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_id: str
    image_sha256: str
    dimension: str
    scorer_version: str
    value: float | None = None
    """The measurement, in the unit of its scorer."""
    reason: str | None = None
    """Why there is no value. A missing value is never a pass."""
    applies: bool = True
    """False where the dimension is none of this picture's, which ``reason`` then says: a product that is
    known to carry no words has none to be legible. What could not be measured applies all the same."""
    details: dict[str, Any] = {}
    """What else the scorer saw, for people."""

    @model_validator(mode="after")
    def _value_or_reason(self) -> "Score":
        if (self.value is None) == (self.reason is None):
            raise ValueError("a score is a value or a reason, and not both")
        if self.value is not None and not self.applies:
            raise ValueError("what does not apply has no value")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError("a score's value is a finite number")
        return self


@dataclass(frozen=True)
class Measured:
    """What a scorer found: a finite value with details, or the reason there is none."""

    value: float | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    applies: bool = True
    """False only where it is established that there is nothing to measure; see ``Score.applies``."""
    recorded: bool = True
    """False for a reason that says nothing of the picture, such as a process that died: the next run asks
    again."""


@dataclass(frozen=True)
class Expectation:
    """What a picture has to show, as catalog and asset type say it.

    A scorer names what it goes by in ``expects``, and measures anew where that changes.
    """

    words: tuple[str, ...] | None = None
    """The words on the product, in their order, as the catalog spells them (the product's attribute
    ``label_text``); empty where it says that there are none; none where the catalog does not tell."""
    people: bool = False
    """Whether the asset type shows people."""


@dataclass(frozen=True)
class Look:
    """What a scorer is shown of a candidate.

    What several scorers need of a picture is computed once, when the first asks; so a look is for one thread,
    and nobody writes into its arrays.
    """

    pixels: Pixels
    """Height × width × 3, sRGB."""
    mask: Mask | None
    """Where the product is, height × width, 0 to 255, as its provider knows it; none if nobody does."""
    encoded: bytes
    """The stored file."""
    expected_size: tuple[int, int]
    """The width and height that were asked for."""
    references: tuple["ReferenceLook", ...] = ()
    """The product's own photographs, the main view first."""
    prompt: str = ""
    """The words that the picture was asked for with."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What its provider recorded of it."""
    expectation: Expectation = Expectation()
    decoded: Pixels | None = None
    """What ``encoded`` decodes to, where that is known already; it is then the very array above."""

    @cached_property
    def grey(self) -> npt.NDArray[np.uint8]:
        """Rec. 601 luma, height × width, in whole levels, 0 to 255."""
        if not self.pixels.size:
            return np.zeros(self.pixels.shape[:2], np.uint8)
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def product(self) -> npt.NDArray[np.bool_] | None:
        """Where the product is for certain (mask over one half); none without a mask."""
        return None if self.mask is None else np.asarray(self.mask > 127, np.bool_)  # noqa: PLR2004

    @cached_property
    def product_box(self) -> tuple[slice, slice] | None:
        """The rows and columns that the product spans; none where nobody knows where it is.

        That is: without a mask, with one of another size than the picture, and with an empty one.
        """
        product = self.product
        if product is None or product.shape != self.pixels.shape[:2]:
            return None
        rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
        if not len(rows):
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True)
class ReferenceLook:
    """A photograph of the product itself, cut out where that was possible."""

    pixels: Pixels
    mask: Mask | None
    sha256: str = ""
    """The name of the photograph's file."""


class Scorer(Protocol):
    """One way of looking at an image."""

    dimension: str
    version: str
    """Changes when the same picture could get another value; only then is it measured again."""
    unit: str
    better: str
    """``higher``, ``lower`` or ``none``: which way is good."""
    expects: tuple[str, ...]
    """The parts of the ``Expectation`` that its values depend on."""

    def measure(self, look: Look) -> Measured:
        """Measure one image. What cannot be measured is a reason, not an exception and not a number."""


@runtime_checkable
class DetailedScorer(Scorer, Protocol):
    """A scorer some of whose details business rules may go by."""

    promises: tuple[str, ...]
    """These details, a number or a text each, come with every value: ``worst_ab``, ``margins_px.left``."""


@runtime_checkable
class ModelScorer(Scorer, Protocol):
    """A scorer with a model: it looks at many images at once, and its model may not be here."""

    def unable(self) -> str | None:
        """Why nothing can be measured for now; None when the model is in memory.

        Such a reason is not recorded as a measurement: the next run asks again.
        """

    def reduce(self, look: Look) -> object:
        """What the model needs of an image, small enough to be kept for many; called from several threads."""

    def measure_reduced(self, reduced: Sequence[Any]) -> Sequence[Measured]:
        """Measure many images, each with the result that it would have alone."""


def measure_alone(scorer: ModelScorer, look: Look) -> Measured:
    """What a scorer with a model says of a single image."""
    if reason := scorer.unable():
        return Measured(reason=reason)
    reduced = scorer.reduce(look)
    return reduced if isinstance(reduced, Measured) else scorer.measure_reduced([reduced])[0]
