"""Providers that answer a submission with the picture: no ticket, nothing to ask for, one way to read it."""

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from asset_pipeline.candidates.jobs.job import Failure, Job, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import OutputUnreachable, UnsupportedRequest


class Immediate:
    """The part of an adapter that such a provider has nothing to say to."""

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter: a job whose answer did not come cannot be asked for."""
        del job
        return Standing("lost", ticket, failure=Failure("lost", f"{wire.title} keeps no jobs"))

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter: nobody can tell."""

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter: it works until it answers, whether or not anybody listens."""
        del wire, job, ticket
        return False

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel with the submission."""
        del reference, data
        raise UnsupportedRequest(f"{wire.title} takes photographs with the submission, and no other way")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it calls nobody."""


def inline(text: Any) -> Output | None:
    """The picture in base64 or a data URI, which some servers break into lines; none if it is neither."""
    if not isinstance(text, str):
        return None
    try:
        data = Wire.inline("".join(text.split()))
    except OutputUnreachable:
        return None
    return Output(data=data) if data else None


def answered(
    found: Iterable[Output | None],
    usage: Usage,
    *,
    nothing: str = "the answer holds no picture",
    model_version: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Standing:
    """What an answer of success comes to: its pictures, or the failure that it holds none.

    Args:
        found: what stands where pictures belong; None where it is no picture.
        usage: what the provider says of the cost.
        nothing: the words of the failure.
        model_version: what really drew, as the provider says.
        details: further facts.
    """
    outputs = tuple(output for output in found if output is not None)
    failure = None if outputs else Failure("output_invalid", nothing)
    return Standing(
        "succeeded" if outputs else "failed",
        outputs=outputs,
        failure=failure,
        usage=usage,
        model_version=model_version,
        details=details or {},
    )


def mark(reference: ImageReference) -> str:
    """What stands for a photograph in a draft until it is sent, so that no draft holds its bytes."""
    return f"sha256:{reference.sha256}"


def data_uri(reference: ImageReference, data: bytes) -> str:
    """A photograph as a data URI."""
    return f"data:{reference.media_type};base64,{base64.b64encode(data).decode()}"


def filled(payload: Any, photographs: Mapping[str, str]) -> Any:
    """The payload with photographs, as text, in the place of their marks."""
    if isinstance(payload, str):
        return photographs.get(payload, payload)
    if isinstance(payload, Mapping):
        return {name: filled(value, photographs) for name, value in payload.items()}
    if isinstance(payload, list):
        return [filled(value, photographs) for value in payload]
    return payload
