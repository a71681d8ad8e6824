"""What a workflow's manifest says: which inputs of the graph are ours, and what they take."""

import math
import re
from pathlib import PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from asset_pipeline.catalog.product import PhotographRole

InputType = Literal["text", "integer", "number", "choice", "image", "seed"]

REQUEST_FIELDS: dict[str, InputType | Literal["named"]] = {
    "prompt": "text",
    "negative_prompt": "text",
    "width": "integer",
    "height": "integer",
    "seed": "seed",
    "steps": "integer",
    "guidance_scale": "number",
    "sampler": "named",
    "scheduler": "named",
    "strength": "number",
}
"""Inputs with these names are the fields of an image request, and have its types (``named``: a choice)."""

HARMLESS_WEIGHTS = (".safetensors", ".sft", ".gguf")
"""Model files that hold numbers and no code; a pickle would run on the server that loads it."""

LARGEST_SEED = 2**64 - 1
"""What ComfyUI's samplers take."""

_NAME = r"^[a-z][a-z0-9_]{0,63}$"
_OUTSIDE = re.compile(r"^\s*[/\\~]|^\s*[A-Za-z]:[/\\]|(?:^|[/\\])\.\.(?:[/\\]|$)|\w://|\x00")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def leads_outside(value: str) -> bool:
    """Whether a string names something outside the server's folders: a path from a root, ``..``, a URL."""
    return _OUTSIDE.search(value) is not None


def _inside(value: str) -> str:
    if leads_outside(value):
        raise ValueError("leads out of the server's own folders")
    return value


def _harmless(value: str) -> str:
    if PureWindowsPath(value).suffix.lower() not in HARMLESS_WEIGHTS:
        raise ValueError(f"not a file without code in it ({', '.join(HARMLESS_WEIGHTS)})")
    return _inside(value)


Name = Annotated[str, StringConstraints(pattern=_NAME)]
ModelFileName = Annotated[str, AfterValidator(_harmless)]


class NodePath(_Frozen):
    """An input of a node of the graph."""

    node: str
    """The node's key in ``graph.json``."""
    input: str


class WorkflowInput(NodePath):
    """Something that the workflow can be told."""

    type: InputType
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = Field(default=None, ge=1)
    """Sizes in between would be rounded down by the server, in silence."""
    choices: tuple[str, ...] = ()
    role: PhotographRole | None = None
    """Images: which of the product's photographs it is."""
    default: str | int | float | None = None
    """Holds when nobody says otherwise; without one the input has to be given."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> "WorkflowInput":
        is_range = self.minimum is not None or self.maximum is not None
        if is_range and self.type not in {"integer", "number", "seed"}:
            raise ValueError(f"a {self.type} has no minimum and no maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        if self.multiple_of is not None and self.type != "integer":
            raise ValueError(f"a {self.type} has no multiple_of")
        if bool(self.choices) != (self.type == "choice"):
            raise ValueError("choices are what a choice has, and nothing else does")
        if (self.role is not None) != (self.type == "image"):
            raise ValueError("a role is what an image has, and nothing else does")
        if self.default is not None:
            if self.type == "image":
                raise ValueError("an image has no default")
            if objection := self.objection(self.default):
                raise ValueError(f"default: {objection}")
        return self

    def objection(self, value: Any) -> str | None:
        """Why this input does not take `value`; None if it does."""
        if (wrong := unfit(self.type, value)) is not None:
            return wrong
        if self.type == "choice" and value not in self.choices:
            return f"{value!r} is none of {', '.join(self.choices)}"
        if self.type in {"integer", "number", "seed"}:
            return self._out_of_range(value)
        return None

    def _out_of_range(self, value: float) -> str | None:
        minimum, maximum = self.minimum, self.maximum
        if self.type == "seed":
            minimum, maximum = minimum or 0, LARGEST_SEED if maximum is None else maximum
        if minimum is not None and value < minimum:
            return f"{value} is below {minimum:g}"
        if maximum is not None and value > maximum:
            return f"{value} is above {maximum:g}"
        if self.multiple_of and value % self.multiple_of:
            return f"{value} is no multiple of {self.multiple_of}"
        return None


class ModelName(NodePath):
    """A model file that the graph loads, by the name it has in each environment."""

    environments: dict[Name, ModelFileName] = Field(min_length=1)


class Manifest(_Frozen):
    """``data/workflows/<name>/manifest.yaml``."""

    title: str
    version: int = Field(ge=1)
    """Counted up by whoever changes what the workflow draws."""
    graph_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The canonical hash of ``graph.json``, written by ``asset-pipeline workflows pin``."""
    inputs: dict[Name, WorkflowInput]
    outputs: tuple[str, ...] = Field(min_length=1)
    """The nodes whose images count; what others save or preview is not looked at."""
    allowed_classes: tuple[str, ...] = Field(min_length=1)
    """The classes of nodes that may be in the graph."""
    models: dict[Name, ModelName] = {}

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "Manifest":
        paths: dict[tuple[str, str], str] = {}
        for name, place in [*self.inputs.items(), *self.models.items()]:
            other = paths.setdefault((place.node, place.input), name)
            if other != name:
                raise ValueError(f"{other} and {name} are the same input of node {place.node}")
        roles = [given.role for given in self.inputs.values() if given.role]
        if twice := sorted({role for role in roles if roles.count(role) > 1}):
            raise ValueError(f"two inputs have the role {', '.join(twice)}")
        for name, given in self.inputs.items():
            meant = REQUEST_FIELDS.get(name)
            if meant is not None and given.type != ("choice" if meant == "named" else meant):
                raise ValueError(f"inputs.{name} is a field of every request and no {given.type}")
        return self


def unfit(declared: InputType, value: Any) -> str | None:
    """Why a value is not of the declared type; None if it is."""
    if declared in {"text", "choice", "image"}:
        return None if isinstance(value, str) else f"{value!r} is no text"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"{value!r} is no number"
    if declared != "number" and not isinstance(value, int):
        return f"{value!r} is no whole number"
    return None
