"""Photographs of products at their standard size, each brought there once."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Final, Protocol

from asset_pipeline.pictures.aligned import Standard, alike_states, standard
from asset_pipeline.pictures.decode import Pixels, Plane

KEPT: Final = 32
"""Photographs in memory, 1.5 MB each: the candidates of a product share them, and come one after another."""


class Photograph(Protocol):
    """A photograph of the product, cut out where that was possible."""

    @property
    def pixels(self) -> Pixels:
        """Height × width × 3, sRGB."""

    @property
    def mask(self) -> Plane | None:
        """Where the product is; none if it could not be cut out."""

    @property
    def sha256(self) -> str:
        """The name of the photograph's file; empty if it has none."""


@dataclass(frozen=True)
class StandardPhotograph:
    """A photograph's product at its standard size."""

    standard: Standard
    sha256: str

    @cached_property
    def alike_states(self) -> frozenset[str]:
        """The states other than upright in which the product looks the same."""
        return alike_states(self.standard)


class StandardPhotographs:
    """The photographs that were asked for last; may be asked from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, StandardPhotograph | None] = OrderedDict()
        self._alone = Lock()

    def of(
        self, photographs: Sequence[Photograph], details: Mapping[str, Any]
    ) -> tuple[list[StandardPhotograph], bool]:
        """The photographs that a picture is to be compared with, and whether it is known to be of that view.

        Args:
            photographs: those of the product.
            details: what the picture's provider recorded. Where that names the photograph it was made from
                (``reference: {sha256: …}``), it is the only one; else all that are cut out.
        """
        reference = details.get("reference")
        named = reference.get("sha256") if isinstance(reference, Mapping) else None
        usable = [found for each in photographs if (found := self._get(each))]
        own = [each for each in usable if named and each.sha256 == named]
        return own or usable, bool(own)

    def _get(self, photograph: Photograph) -> StandardPhotograph | None:
        name = photograph.sha256
        if not name:
            return _brought(photograph)
        with self._alone:
            if name not in self._kept:
                self._kept[name] = _brought(photograph)
            self._kept.move_to_end(name)
            found = self._kept[name]
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found


def _brought(photograph: Photograph) -> StandardPhotograph | None:
    if photograph.mask is None:
        return None
    found = standard(photograph.pixels, photograph.mask)
    return None if found is None else StandardPhotograph(found, photograph.sha256)
