"""Where something stands in a vendor's answer: dotted paths, as an operator writes them. Pure."""

from collections.abc import Mapping
from typing import Any

from asset_pipeline.candidates.jobs.immediate import inline
from asset_pipeline.candidates.jobs.job import Output
from asset_pipeline.errors import OutputUnreachable


def values_at(body: Any, path: str) -> list[Any]:
    """Every value at a path (``outputs[].data.images[].url``) in their order; at an empty one the body.

    ``[]`` stands for each member of a list. What is not there, or is null, is no value.
    """
    values = [body]
    for part in path.split(".") if path else ():
        name = part.removesuffix("[]")
        if name:
            values = [value.get(name) for value in values if isinstance(value, Mapping)]
        if part.endswith("[]"):
            values = [each for value in values if isinstance(value, list) for each in value]
    return [value for value in values if value is not None]


def value_at(body: Any, path: str) -> Any:
    """The first value at a path; none if there is none, or no path."""
    return next(iter(values_at(body, path)), None) if path else None


def pictures_at(body: Any, path: str) -> tuple[Output, ...]:
    """The pictures at a path: addresses, data URIs, base64. Raises OutputUnreachable if one is not."""
    outputs = []
    for place in values_at(body, path):
        is_address = isinstance(place, str) and place.startswith(("https://", "http://"))
        output = Output(url=place) if is_address else inline(place)
        if output is None:
            raise OutputUnreachable("an output is neither an address nor a data URI nor base64")
        outputs.append(output)
    return tuple(outputs)
