"""A YAML file that a person wrote, read into a pydantic model, with errors that name file, line and field."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asset_pipeline.errors import InvalidFile, NotFound

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model]) -> Model:
    """Read one YAML file into `model`.

    Raises:
        NotFound: there is no such file.
        InvalidFile: it is not YAML, or not what the model asks for; one line for each error, each with
            the file, the line number and the field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidFile(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    duplicates = list(_duplicate_keys(node)) if node is not None else []
    if duplicates:
        raise InvalidFile("\n".join(f"{path}:{line}: {key}: written twice" for key, line in duplicates))
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        described = [_describe(path, node, model, details) for details in error.errors()]
        raise InvalidFile("\n".join(described)) from error


def read_named(path: Path, model: type[Model], called: str) -> Model:
    """Read the file that somebody meant by its stem, one of those in its folder.

    Args:
        path: the file.
        model: what it holds.
        called: what such a file describes, for the message: ``campaign``.

    Raises:
        NotFound: there is no such file; the message lists those that exist.
        InvalidFile: the file is wrong; see `read_model`.
    """
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise NotFound(f"there is no {called} {path.stem!r} in {path.parent} (there are: {known})")
    return read_model(path, model)


def read_folder(folder: Path, model: type[Model]) -> dict[str, Model]:
    """Every ``*.yaml`` of a folder by its stem, in name order.

    Raises:
        InvalidFile: any of the files is wrong; the errors of all of them at once.
    """
    models: dict[str, Model] = {}
    wrong: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            models[path.stem] = read_model(path, model)
        except InvalidFile as error:
            wrong.append(str(error))
    if wrong:
        raise InvalidFile("\n".join(wrong))
    return models


def located(path: Path, *location: int | str) -> str:
    """A part of a YAML file that is there, as its errors begin: ``data/rules.yaml:7: rules.1.measure``.

    It is for what a model cannot know to be wrong, such as the name of something that is in no other file.
    """
    node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    return f"{path}:{_line_of(node, location)}: {'.'.join(str(part) for part in location)}"


def _describe(path: Path, node: yaml.Node | None, model: type[BaseModel], details: ErrorDetails) -> str:
    location = details["loc"]
    field = ".".join(str(part) for part in location) or "the file"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _field_names(model), n=1)
        message = "no such field" + (f"; did you mean {near[0]}?" if near else "")
    elif details["type"] != "missing" and isinstance(details["input"], str | int | float | bool):
        message += f" (got {details['input']!r})"
    return f"{path}:{_line_of(node, location)}: {field}: {message}"


def _field_names(model: type[BaseModel]) -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        names.append(name)
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names.extend(_field_names(part))
    return names


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `location` that is written in the file."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                continue  # a union's tag, which is in the location and not in the file
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _duplicate_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _duplicate_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicate_keys(value)
