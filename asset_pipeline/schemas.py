"""Request, job, result and profile as JSON Schemas in docs/schemas, for programs in other languages.

``python -m asset_pipeline.schemas`` writes them anew.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from asset_pipeline.candidates.jobs.job import ImageResult, Job
from asset_pipeline.candidates.request import ImageRequest, Profile

FOLDER: Final = Path(__file__).parent.parent / "docs" / "schemas"
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "image_request": ImageRequest,
    "job": Job,
    "image_result": ImageResult,
    "profile": Profile,
}


def schemas() -> dict[str, str]:
    """Each schema as the text of its file, by the file's name."""
    return {f"{name}.json": _text(model) for name, model in _MODELS.items()}


class _Explained(GenerateJsonSchema):
    """Takes the words under a field in the code for the field's description."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _explained(schema["cls"], super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _explained(schema["cls"], super().dataclass_schema(schema))


def _explained(cls: type, found: JsonSchemaValue) -> JsonSchemaValue:
    words = _words(cls)
    for name, field in found.get("properties", {}).items():
        if name in words:
            field["description"] = words[name]
    return found


def _words(cls: type) -> dict[str, str]:
    """What stands under the fields of a class and of those that it is made from."""
    words: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.startswith(f"{__package__}."):
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            body = tree.body if isinstance(tree, ast.ClassDef) else []
            for field, below in pairwise(body):
                if (name := _name(field)) and (said := _docstring(below)):
                    words[name] = said
    return words


def _name(node: ast.stmt) -> str | None:
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None


def _docstring(node: ast.stmt) -> str | None:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return inspect.cleandoc(node.value.value)
    return None


def _text(model: type[BaseModel]) -> str:
    schema: dict[str, Any] = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **model.model_json_schema(schema_generator=_Explained),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in schemas().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
