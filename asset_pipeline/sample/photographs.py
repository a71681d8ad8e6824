"""The sample catalog's products and how each is photographed.

``python -m asset_pipeline.sample.photographs [folder]`` renders the pictures that ``products.csv`` names anew
into ``folder/photographs``; without a folder, into ``data/catalog``. The pixels are the same on every machine
up to its rounding of floating point, the files up to its encoders' versions.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from asset_pipeline.sample.camera import View
from asset_pipeline.sample.kinds import shape_of
from asset_pipeline.sample.labels import Label
from asset_pipeline.sample.materials import Material
from asset_pipeline.sample.shading import Look, Rendered, shade
from asset_pipeline.sample.tracing import trace

SIZE = 1100
"""Width and height of the sample's photographs in pixels: above the 1000 that marketplaces zoom into."""

Medium = Literal["png", "webp", "jpg"]
"""``png`` and ``webp``: a cut-out with an alpha channel, lossless. ``jpg``: a packshot on white."""

_FILL: dict[Medium, float] = {"png": 0.90, "webp": 0.90, "jpg": 0.80}


@dataclass(frozen=True)
class Photographed:
    """A product of the sample: what it looks like, and which pictures of it there are."""

    sku: str
    kind: str
    look: Look
    media: dict[View, Medium]
    """The views there are pictures of, each as what kind of file."""
    label: Label | None = None

    def files(self) -> Iterator[tuple[View, str]]:
        """Views and file names; the main view's name is the SKU alone."""
        for view, medium in self.media.items():
            role = "" if view == "base" else f"-{view}"
            yield view, f"{self.sku.lower()}{role}.{medium}"


def rendered(product: Photographed, view: View, size: int = SIZE) -> Rendered:
    """A product seen from a view, without a background."""
    shape = shape_of(product.kind)
    label = product.label
    if label is not None and shape.front is not None:
        label = replace(label, proportion=shape.front.width / shape.front.height)
    return shade(trace(shape, view, size, fill=_FILL[product.media[view]]), shape, product.look, label=label)


def picture(product: Photographed, view: View, size: int = SIZE) -> Image.Image:
    """A product's photograph: RGBA where it is a cut-out, RGB on white where it is a packshot."""
    made = rendered(product, view, size)
    return Image.fromarray(made.on_white() if product.media[view] == "jpg" else made.cut_out())


def save(image: Image.Image, path: Path) -> None:
    """Write a photograph in the format that its name says."""
    match path.suffix:
        case ".jpg":
            image.save(path, quality=88, subsampling=0, optimize=True)
        case ".webp":
            image.save(path, lossless=True, quality=100, method=6)
        case _:
            image.save(path, optimize=True)


def main(folder: Path) -> None:
    """Render every photograph of the sample into a catalog folder."""
    target = folder / "photographs"
    target.mkdir(parents=True, exist_ok=True)
    for product in PRODUCTS:
        for view, name in product.files():
            save(picture(product, view), target / name)
            sys.stdout.write(f"{target / name}\n")
            sys.stdout.flush()


_OAK = Material("#b98a57", "wood", "veined wood")
_WALNUT = Material("#7a4e2f", "wood", "veined wood")
_STEEL = Material("#c9ccd0", "brushed metal")
_CHROME = Material("#d3d6da", "metal")
_BRASS = Material("#d8b26a", "metal")

PRODUCTS: tuple[Photographed, ...] = (
    Photographed(
        "FJ-MUG-SLATE", "mug",
        {"body": Material("#5f7486", "ceramic", "speckled"), "light": Material("#b89f82", "matte")},
        {"base": "png", "side": "webp", "top": "jpg"},
        Label("FJORDELL", ink="#e8e4da", title_share=0.72),
    ),
    Photographed(
        "FJ-MUG-OAT", "mug",
        {"body": Material("#dccdb2", "ceramic", "speckled"), "light": Material("#b08d68", "matte")},
        {"base": "png", "side": "webp", "top": "webp"},
        Label("FJORDELL", ink="#5b5146", title_share=0.72),
    ),
    Photographed(
        "FJ-TEAPOT-SAGE", "teapot",
        {"body": Material("#8fa58a", "ceramic", "speckled"), "wood": _OAK},
        {"base": "webp", "side": "jpg", "top": "webp"},
    ),
    Photographed(
        "KA-COFFEE-250", "can",
        {"body": Material("#1f4a40", "satin"), "bright": _BRASS, "trim": Material("#173a32", "satin")},
        {"base": "jpg", "side": "jpg"},
        Label("KALDERA", ("Filterkaffee · Ground coffee", "Hochland No. 4", "250 g"), ink="#1f3d35",
              ground="#f3ead7",
              accent="#c8843c", style="stripe"),
    ),
    Photographed(
        "BT-HONEY-500", "jar",
        {"body": Material("#c9770e", "glass"), "trim": Material("#e9dcc0", "satin")},
        {"base": "png", "side": "webp"},
        Label("BIENENTAL", ("Lindenhonig", "Linden blossom honey", "500 g"), ink="#4a2f12", ground="#fbf4e2",
              accent="#c9861a", style="frame"),
    ),
    Photographed(
        "OL-OIL-750", "bottle",
        {"body": Material("#2f4a1f", "glass"), "trim": Material("#1c1c1a", "satin")},
        {"base": "webp", "side": "jpg"},
        Label("OLIVARA", ("Olio extra vergine", "Coratina", "750 ml"), ink="#2b3320",
              ground="#f4efdf",
              accent="#6d7f3a", style="seal"),
    ),
    Photographed(
        "RU-FLASK-TEAL", "flask",
        {"body": Material("#15706f", "matte"), "trim": Material("#232628", "matte"), "bright": _STEEL},
        {"base": "jpg", "side": "webp"},
        Label("RUNDLE", ink="#e9f2f0", title_share=0.9),
    ),
    Photographed(
        "NW-TEA-20", "box",
        {"body": Material("#3f6f63", "matte")},
        {"base": "jpg", "side": "jpg", "top": "jpg"},
        Label("NEBELWALD", ("Bergtee · Mountain herbs", "20 Beutel / 20 bags"), ink="#f5efe0",
              ground="#3f6f63",
              accent="#e3b65b", style="seal"),
    ),
    Photographed(
        "AR-VASE-TERRA", "vase",
        {"body": Material("#c26a45", "matte", "grained")},
        {"base": "jpg", "top": "webp"},
    ),
    Photographed(
        "AR-RING-SAND", "ring vase",
        {"body": Material("#e3d6c3", "matte", "grained")},
        {"base": "png", "side": "webp"},
    ),
    Photographed(
        "LL-CANDLE-FIG", "candle",
        {"body": Material("#5b2f43", "glossy"), "light": Material("#efe3cf", "matte"),
         "dark": Material("#3a3330")},
        {"base": "webp", "top": "webp"},
        Label("LUMEN & LAUB", ("Feige · Fig", "220 g · 45 h"), ink="#3d2430", ground="#f3e9df",
              accent="#9a6b78",
              style="frame"),
    ),
    Photographed(
        "ST-CHAIR-OAK", "chair",
        {"body": Material("#7d8b93", "fabric", "grained"), "wood": _OAK},
        {"base": "webp", "side": "jpg"},
    ),
    Photographed(
        "PV-LAMP-OPAL", "lamp",
        {"body": Material("#7d9a8c", "satin"), "light": Material("#f1dcb4", "glow"), "bright": _BRASS},
        {"base": "png", "top": "webp"},
    ),
    Photographed(
        "PV-DESK-MUSTARD", "desk lamp",
        {"body": Material("#d9a229", "satin"), "light": Material("#fff3d6", "glow"), "bright": _BRASS},
        {"base": "webp", "side": "jpg"},
    ),
    Photographed(
        "AU-ONE-CORAL", "speaker",
        {"body": Material("#d8604f", "fabric", "woven"), "trim": Material("#2c2b2d", "matte"),
         "light": Material("#d9d6d0", "satin"), "accent": Material("#3a3436", "leather")},
        {"base": "jpg", "side": "jpg", "top": "webp"},
        Label("AUDEN", ink="#2c2b2d", title_share=0.8),
    ),
    Photographed(
        "AU-SHELF-WALNUT", "bookshelf speaker",
        {"body": Material("#2a2a2c", "matte"), "wood": _WALNUT, "dark": Material("#1a1a1b", "satin"),
         "accent": Material("#c9a24f", "metal"), "bright": _STEEL},
        {"base": "jpg", "side": "jpg"},
    ),
    Photographed(
        "AU-HUSH-BLACK", "headphones",
        {"body": Material("#26272a", "matte"), "trim": Material("#1b1b1d", "leather", "grained"),
         "accent": Material("#3a3b40", "brushed metal"), "bright": _STEEL},
        {"base": "webp", "side": "webp"},
    ),
    Photographed(
        "AU-HUSH-CREAM", "headphones",
        {"body": Material("#e6dccb", "satin"), "trim": Material("#a9805b", "leather", "grained"),
         "accent": Material("#d9b98a", "brushed metal"), "bright": _BRASS},
        {"base": "png", "side": "webp"},
    ),
    Photographed(
        "VE-MARA-TAN", "handbag",
        {"body": Material("#b0713c", "leather", "grained"), "trim": Material("#7d4b25", "leather"),
         "bright": _BRASS},
        {"base": "jpg", "side": "jpg", "top": "jpg"},
    ),
    Photographed(
        "VE-MARA-EMERALD", "handbag",
        {"body": Material("#1f6b4f", "leather", "grained"), "trim": Material("#174d3a", "leather"),
         "bright": _BRASS},
        {"base": "webp", "side": "jpg"},
    ),
    Photographed(
        "SV-HAND-75", "tube",
        {"body": Material("#b9cdb8", "satin"), "trim": Material("#f4f1e9", "satin")},
        {"base": "webp", "side": "jpg"},
        Label("SALVIA", ("Handcreme", "Salbei & Hafer", "75 ml"), ink="#2f4a3a"),
    ),
    Photographed(
        "SV-FACE-50", "cream pot",
        {"body": Material("#a3bda4", "glossy"), "trim": Material("#efe9dc", "satin"), "bright": _BRASS},
        {"base": "png", "top": "webp"},
        Label("SALVIA", ("Gesichtscreme", "50 ml"), ink="#24402f"),
    ),
    Photographed(
        "ME-NORD-38", "watch",
        {"body": Material("#7a4526", "leather", "grained"), "bright": _CHROME, "light": Material("#f1eee6",
         "satin"),
         "dark": Material("#1d2430", "satin"), "accent": Material("#c8442f", "satin")},
        {"base": "jpg", "side": "webp"},
        Label("MERIDIAN", ink="#1d2430", title_share=0.86),
    ),
    Photographed(
        "TR-COURT-NAVY", "sneaker",
        {"body": Material("#2f4a74", "leather"), "accent": Material("#e2803a", "leather"),
         "trim": Material("#22304a", "fabric"), "light": Material("#f1ede4", "matte")},
        {"base": "jpg", "side": "jpg", "top": "webp"},
    ),
)  # fmt: skip
"""The sample's 24 products, in the order of its rows."""


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data/catalog"))
