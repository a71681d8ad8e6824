"""Does the product look like its photographs to a network that knows what things look like?"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from asset_pipeline.checkpoints.held_model import HeldModel
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import MissingModel
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.decode import Pixels, Plane
from asset_pipeline.pictures.placing import bounding_box
from asset_pipeline.scores.score import Look, Measured, measure_alone

MODEL: Final = "efficientnet-lite0"
"""In ``data/models``."""
ARCHITECTURE: Final = "tf_efficientnet_lite0"
"""timm's name of the network; its weights were carried over from TensorFlow, with its padding."""
SIDE: Final = 224
"""The size the network was trained at."""
NEUTRAL: Final = 127
"""The ground, and what the network's preprocessing subtracts: (value - 127) / 128."""
MARGIN: Final = 0.06
"""The ground around the product, as a share of the longer side of its box."""
SMALLEST: Final = 16
"""The least longer side of a product in the picture, in pixels, that looks like anything."""
EMBEDDINGS_KEPT: Final = 2048
"""Embeddings of photographs in memory, 5 KB each, because the candidates of a product share them."""

Embedding = npt.NDArray[np.float32]
"""1280 numbers, of unit length."""


class ProductFidelity:
    """The cosine similarity of the product's and its photograph's features in EfficientNet-Lite0, -1 to 1.

    The product, cut out by its mask on neutral grey, is embedded by the network (the 1280 features before its
    classifier; Tan and Le, ICML 2019, in the Lite variant of 2020), and so is each photograph's; the value is
    the best over the photographs. 1 is the same.

    The weights (Apache-2.0, 7 MB) are the project's model ``efficientnet-lite0``: nothing is fetched. The
    network is timm's (Apache-2.0). About 30 ms for a picture and core, a photograph the same once.

    On the CPU the same picture and photographs have the same value, whatever is measured beside them.

    Measured at 1024² on 24 rendered products, median (least to greatest): 0.995 (0.957 to 0.999) for 168
    faithful composites; 0.29 (0.21 to 0.52) for other products; 0.92 (0.70 to 0.93) for another product of
    the same kind; 0.98 (0.94 to 1.00) with the wrong words, 0.984 (0.95 to 0.99) mirrored, 0.97 stretched by
    a fifth; 0.91 and 0.81 where a third is cut off. Noise of 10 levels: 0.92; blur of 2 pixels: 0.96.

    Failure modes: an embedding of the whole knows the kind of thing and its general look, so it is one gate
    of several. Typos, wrong words, mirrored products and wrong shades come out at 0.95 to 0.999, as faithful
    pictures do: ``product_structure``, ``product_orientation``, ``colour`` and the text scorer see those.
    Another view of the same product can come out lower than another product of its kind in the same view, so
    give it photographs of all views. Noise and blur lower it.
    """

    dimension = "product_fidelity"
    unit = "cosine similarity, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ()

    def __init__(self, checkpoints: Checkpoints, model: str = MODEL) -> None:
        self._held = HeldModel(checkpoints, model, Network)
        self._kept: OrderedDict[str, Embedding] = OrderedDict()
        self.version = f"1+{self._held.weights}"

    def unable(self) -> str | None:
        """Load the network, or say why it cannot be."""
        return self._held.unable()

    def measure(self, look: Look) -> Measured:
        """Compare one product with its photographs."""
        return measure_alone(self, look)

    def reduce(self, look: Look) -> "Reduced | Measured":
        """Product and photographs at the network's size, or why there is nothing to compare."""
        photographs = [
            (each.sha256, crop)
            for each in look.references
            if each.mask is not None and (crop := on_neutral(each.pixels, each.mask)) is not None
        ]
        if not photographs:
            return Measured(
                reason="no reference photograph is cut out" if look.references else "no reference photograph"
            )
        product = None if look.mask is None else on_neutral(look.pixels, look.mask)
        if product is None:
            return Measured(reason="nobody knows where the product is, or it is too small to look like it")
        return Reduced(product, tuple(photographs))

    def measure_reduced(self, reduced: Sequence["Reduced"]) -> list[Measured]:
        """Compare many products with their photographs; each photograph is embedded once in a process.

        Raises:
            MissingModel: the network is not here; ``unable`` says so before.
        """
        with self._held.lock:
            network = self._held.get()
            return [
                _compared(
                    network.embed(each.product),
                    {name: self._photograph(crop, network) for name, crop in each.photographs},
                )
                for each in reduced
            ]

    def _photograph(self, crop: Pixels, network: "Network") -> Embedding:
        key = sha256_of(crop.tobytes())
        if key not in self._kept:
            self._kept[key] = network.embed(crop)
        self._kept.move_to_end(key)
        found = self._kept[key]
        if len(self._kept) > EMBEDDINGS_KEPT:
            self._kept.popitem(last=False)
        return found


@dataclass(frozen=True)
class Reduced:
    """What the network looks at: crops of ``SIDE`` × ``SIDE`` × 3."""

    product: Pixels
    photographs: tuple[tuple[str, Pixels], ...]
    """The names of the photographs' files, and their crops."""


def on_neutral(pixels: Pixels, mask: Plane) -> Pixels | None:
    """A product in the middle of a square of neutral grey; none without one that could be looked at."""
    if mask.shape != pixels.shape[:2] or not np.any(mask > 127):  # noqa: PLR2004
        return None
    left, top, right, bottom = bounding_box(mask)
    height, width = bottom - top, right - left
    if max(height, width) < SMALLEST:
        return None
    alpha = np.ascontiguousarray(mask[top:bottom, left:right])
    opaque = cv2.merge([alpha, alpha, alpha])
    product = cv2.multiply(np.ascontiguousarray(pixels[top:bottom, left:right]), opaque, scale=1 / 255)
    ground = cv2.multiply(np.full_like(opaque, NEUTRAL), 255 - opaque, scale=1 / 255)
    side = round(max(height, width) * (1 + 2 * MARGIN))
    square = np.full((side, side, 3), NEUTRAL, np.uint8)
    row, column = (side - height) // 2, (side - width) // 2
    square[row : row + height, column : column + width] = cv2.add(product, ground)
    method = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=method), np.uint8)


def _compared(product: Embedding, photographs: Mapping[str, Embedding]) -> Measured:
    cosines = {name: round(float(product @ embedding), 4) for name, embedding in photographs.items()}
    best = max(cosines, key=lambda name: cosines[name])
    return Measured(
        cosines[best],
        details={"photograph": best, "cosines": {name[:12]: cosine for name, cosine in cosines.items()}},
    )


class Network:
    """EfficientNet-Lite0 in memory, on the CPU; for one thread at a time.

    Raises:
        MissingModel: its weights are not here, or not those that were meant.
    """

    def __init__(self, folder: Path) -> None:
        # they take seconds to import, and most processes never look at a picture
        import timm  # noqa: PLC0415
        import torch  # noqa: PLC0415
        from safetensors.torch import load_file  # noqa: PLC0415

        self._torch: Any = torch
        network = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0)
        try:
            network.load_state_dict(load_file(folder / "model.safetensors"))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise MissingModel(f"{folder} does not hold the weights of {ARCHITECTURE}: {error}") from error
        self._network: Any = network.eval()

    def embed(self, crop: Pixels) -> Embedding:
        """The features of one crop. It goes alone: in a batch its last digits would depend on the others."""
        torch = self._torch
        values = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float().sub(NEUTRAL).div(128)
        with torch.inference_mode():
            features = self._network.forward_head(self._network.forward_features(values), pre_logits=True)[0]
        found = features.numpy()
        return np.asarray(found / max(float(np.linalg.norm(found)), 1e-12), np.float32)
