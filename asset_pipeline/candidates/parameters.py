"""What a profile or a request says to a provider, checked before anything is spent."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asset_pipeline.errors import UnsupportedRequest

Parameters = TypeVar("Parameters", bound=BaseModel)


def parameters_as(model: type[Parameters], given: Mapping[str, Any], provider: str) -> Parameters:
    """The parameters of a request, checked.

    Raises:
        UnsupportedRequest: one of them is unknown or has an unknown value; the message names the choices.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        complaints = (_complaint(details, model, provider) for details in error.errors())
        raise UnsupportedRequest("; ".join(complaints)) from None


def _complaint(details: ErrorDetails, model: type[BaseModel], provider: str) -> str:
    field = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{provider} has no parameter {field!r} (it has: {', '.join(model.model_fields)})"
    message = details["msg"].removeprefix("Value error, ")
    return f"{provider}, {field}: {message} (got {details['input']!r})" if field else f"{provider}: {message}"
