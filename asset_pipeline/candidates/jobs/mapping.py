"""Our fields in a vendor's words: what is put where in the payload, and what could not be said. Pure."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asset_pipeline.candidates.jobs.job import Job, Sizes
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import UnsupportedRequest

FIELDS: Final = (
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "aspect_ratio",
    "seed",
    "steps",
    "guidance_scale",
    "sampler",
    "scheduler",
    "strength",
)
"""Everything of a job that a vendor may have a word for, besides photographs."""


@dataclass(frozen=True)
class AskedSize:
    """The size that a provider is asked for."""

    width: int
    height: int
    ratio: str | None = None
    """Its name, where the provider knows shapes by name; width and height are then only that shape."""


@dataclass(frozen=True)
class Said:
    """What could be said of a job, and what could not."""

    payload: dict[str, Any]
    dropped: tuple[str, ...]
    size: AskedSize


def asked_size(job: Job) -> AskedSize:
    """The size that is nearest to the request's of those that the profile says the provider knows."""
    return nearest_size(job.request.width, job.request.height, job.parameters.sizes)


def nearest_size(width: int, height: int, sizes: Sizes) -> AskedSize:
    """The nearest shape first, then the nearest area; on a grid the next one up, within the longest side."""
    if sizes.ratios:
        name = min(sizes.ratios, key=lambda each: abs(math.log(_ratio(each) * height / width)))
        across, down = (int(part) for part in name.split(":"))
        return AskedSize(across, down, name)
    if sizes.exact:

        def distance(size: tuple[int, int]) -> tuple[float, float]:
            shape = abs(math.log(size[0] / size[1] * height / width))
            return round(shape, 6), abs(math.log(size[0] * size[1] / (width * height)))

        return AskedSize(*min(sizes.exact, key=distance))
    scale = min(1.0, sizes.largest / max(width, height))
    largest = sizes.largest // sizes.grid * sizes.grid

    def on_grid(side: int) -> int:
        return min(largest, math.ceil(side * scale / sizes.grid - 1e-9) * sizes.grid)

    return AskedSize(on_grid(width), on_grid(height))


def say(job: Job, names: Mapping[str, str], sent: Mapping[str, str] | None = None) -> Said:
    """Put a job's fields into a payload.

    Args:
        job: the job; its parameters' ``fields`` are words over `names`, their ``native`` fields are put
            beside.
        names: the vendor's dotted path for each of `FIELDS` that it has a word for.
        sent: what stands for each photograph, by SHA-256; None where the adapter places photographs itself.

    Raises:
        UnsupportedRequest: a native field is one of ours too.
    """
    own = job.parameters
    words = {name: path for name, path in {**names, **own.fields}.items() if path}
    size, dropped = asked_size(job), list[str]()
    # Of its own, down to the leaves: a path may lead into what the profile says.
    payload = copy.deepcopy(own.native)
    for name, value in _values(job, size).items():
        if name in words:
            put(payload, words[name], value)
        else:
            dropped.append(name)
    if "aspect_ratio" in dropped:
        dropped.remove("aspect_ratio")
        dropped.append("width")
    if own.workflow is not None:
        dropped.append("workflow")
    if sent is not None:
        dropped += place_photographs(job, sent, payload)
    return Said(payload, (*dict.fromkeys(dropped), *job.extra), size)


def place_photographs(job: Job, sent: Mapping[str, str], payload: dict[str, Any]) -> list[str]:
    """Put photographs where the profile says; return those without a place, as ``references.<role>``."""
    dropped = []
    for reference in main_first(job.request.references):
        path = job.parameters.references.get(reference.role)
        if path:
            put(payload, path, sent[reference.sha256])
        else:
            dropped.append(f"references.{reference.role}")
    return dropped


def main_first(references: Sequence[ImageReference]) -> list[ImageReference]:
    """Photographs with the main view first, as models look closest at it; else in the request's order."""
    return sorted(references, key=lambda each: each.role != "base")


def labels(job: Job) -> tuple[str, ...]:
    """What a profile calls a deployment that is not told which model it is: ``model``, ``version``.

    They rename the candidates when another image is deployed, and are dropped by permission.
    """
    own = job.parameters
    return tuple(name for name, value in (("model", own.model), ("version", own.version)) if value)


def put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path; one that ends in ``[]`` is appended to.

    Raises:
        UnsupportedRequest: something else is there already.
    """
    *folders, last = path.split(".")
    place = payload
    for folder in folders:
        place = place.setdefault(folder, {})
        if not isinstance(place, dict):
            raise UnsupportedRequest(f"the field {path} lies inside of one that is no object")
    if last.endswith("[]"):
        place.setdefault(last.removesuffix("[]"), []).append(value)
    elif last in place:
        raise UnsupportedRequest(f"the field {path} is said twice; leave it out of native, or name another")
    else:
        place[last] = value


def refused_drops(dropped: Sequence[str], may_drop: Sequence[str]) -> list[str]:
    """What could not be said and may not be left unsaid."""
    allowed = set(may_drop)
    return [
        name
        for name in dropped
        if name not in allowed and not (name.startswith("references.") and "references" in allowed)
    ]


def _values(job: Job, size: AskedSize) -> dict[str, Any]:
    """Our fields that have something to say."""
    request, own = job.request, job.parameters
    shape = {"aspect_ratio": size.ratio} if size.ratio else {"width": size.width, "height": size.height}
    values = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        **shape,
        "seed": request.seed,
        "steps": own.steps,
        "guidance_scale": own.guidance_scale,
        "sampler": own.sampler,
        "scheduler": own.scheduler,
        "strength": own.strength,
    }
    return {name: value for name, value in values.items() if value is not None}


def _ratio(name: str) -> float:
    across, _, down = name.partition(":")
    return int(across) / int(down)
