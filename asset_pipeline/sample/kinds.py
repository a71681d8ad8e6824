"""The kinds of product there are shapes for, by the word a person would use."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from asset_pipeline.sample.containers import (
    bottle,
    can,
    candle,
    carton,
    flask,
    jar,
    pot,
    ring_vase,
    tube,
    vase,
)
from asset_pipeline.sample.devices import (
    bookshelf_speaker,
    desk_lamp,
    headphones,
    mushroom_lamp,
    speaker,
    watch,
)
from asset_pipeline.sample.shape import Shape
from asset_pipeline.sample.tableware import bowl, mug, teapot
from asset_pipeline.sample.wearables import cap, chair, handbag, sneaker

KINDS: Mapping[str, Callable[[], Shape]] = {
    "bookshelf speaker": bookshelf_speaker,
    "bottle": bottle,
    "bowl": bowl,
    "box": carton,
    "can": can,
    "candle": candle,
    "cap": cap,
    "chair": chair,
    "cream pot": pot,
    "desk lamp": desk_lamp,
    "flask": flask,
    "handbag": handbag,
    "headphones": headphones,
    "jar": jar,
    "lamp": mushroom_lamp,
    "mug": mug,
    "ring vase": ring_vase,
    "sneaker": sneaker,
    "speaker": speaker,
    "teapot": teapot,
    "tube": tube,
    "vase": vase,
    "watch": watch,
}


@lru_cache(maxsize=len(KINDS))
def shape_of(kind: str) -> Shape:
    """The shape of a kind, built once.

    Raises:
        KeyError: there is no such kind.
    """
    return KINDS[kind]()
