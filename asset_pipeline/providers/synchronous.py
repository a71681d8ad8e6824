"""Any server that answers a JSON request with the picture, by configuration.

What is said to it is a profile's ``parameters``, and so part of every candidate's name: ``native`` and
``fields`` (also for ``model`` and ``version``) make the body, ``references`` name the photographs' places.
How it is spoken to is its endpoint's ``settings`` and in no name: the same server behind another path, or one
that wraps the same picture in other JSON, draws the same picture. It serves inference endpoints of Hugging
Face, ViewComfy, comfy-pack of BentoML, comfyui-api of Salad, and what operators wrote themselves.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, is_filtered, reason, words
from asset_pipeline.candidates.jobs.immediate import Immediate, answered, data_uri, filled, mark
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, Output, Standing
from asset_pipeline.candidates.jobs.mapping import put, say
from asset_pipeline.candidates.jobs.paths import pictures_at, value_at, values_at
from asset_pipeline.candidates.jobs.wire import Answer, Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.errors import (
    AccountClosed,
    OutputUnreachable,
    ProviderBusy,
    ProviderError,
    SubmissionUnknown,
    UnreadablePicture,
)
from asset_pipeline.pictures.decode import facts

ACCEPTED: Final = "image/png"
"""What is asked for where the answer is the picture; Hugging Face takes one type and no list."""
_NAME = re.compile(r"[^.\[\]]+(\[\])?")


def _dotted(path: str) -> str:
    """A path into an answer, if it is one."""
    if path and not all(_NAME.fullmatch(name) for name in path.split(".")):
        raise ValueError("names with dots between them, [] behind those that are lists: outputs[].data")
    return path


def _own(path: str) -> str:
    """A path at the endpoint, if it is one."""
    if urlsplit(path).scheme or path.startswith("//"):
        raise ValueError("a path at base_url, no address of its own")
    return path


Dotted = Annotated[str, AfterValidator(_dotted)]


class Speech(BaseModel):
    """How a server is spoken to: an endpoint's ``settings``.

    Paths into answers are dotted (``outputs[].data``); ``[]`` stands for each member of a list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    submit: Annotated[str, AfterValidator(_own)] = ""
    """Where requests are sent, relative to ``base_url``."""
    outputs: Dotted = ""
    """Where the pictures are: base64, data URIs or addresses; none: the answer is the picture."""
    error: Dotted = ""
    """Where an answer of success says what went wrong."""
    seed: Dotted = ""
    model_version: Dotted = ""
    seconds: Dotted = ""
    """Where the seconds stand that are paid for."""
    photographs: Literal["data_uri", "base64"] = "data_uri"
    """How photographs are written into the body."""

    @model_validator(mode="after")
    def _reads_json_alone(self) -> Self:
        read = [name for name in ("error", "seed", "model_version", "seconds") if getattr(self, name)]
        if read and not self.outputs:
            raise ValueError(f"{', '.join(read)} without outputs: an answer that is the picture says nothing")
        return self

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Read an endpoint's settings.

        Raises:
            AccountClosed: with the name of each that is wrong; nothing can be sent until a person mends it.
        """
        try:
            return cls.model_validate(endpoint.settings)
        except ValidationError as error:
            wrong = (
                f"{'.'.join(('endpoint', 'settings', *map(str, each['loc'])))}: {each['msg']}"
                for each in error.errors()
            )
            raise AccountClosed("; ".join(wrong), "invalid_request") from None


class Synchronous(Immediate):
    """Puts jobs into the words that a profile gives."""

    name = "synchronous"
    version = "1"
    abilities = Abilities(
        says=frozenset(),
        more_by_profile=True,
        references="bytes",
        synchronous=True,
        finds="never",
        cancels=False,
        webhook="none",
        reports=frozenset({"seconds"}),
        pins="deployment",
        retention_seconds=None,
    )

    def objection_to(self, endpoint: Endpoint) -> str | None:
        """What is wrong with an endpoint's settings, if anything is."""
        try:
            Speech.of(endpoint)
        except ProviderError as error:
            return str(error)
        return None

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter; other headers that are secrets are the endpoint's ``headers_env``."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter. A photograph's mark stands where it is put."""
        del sent
        own = job.parameters
        said = say(job, {}, {each.sha256: mark(each) for each in job.request.references})
        payload, dropped = dict(said.payload), list(said.dropped)
        for name, value in (("model", own.model), ("version", own.version)):
            if value and (path := own.fields.get(name)):
                put(payload, path, value)
            elif value:
                dropped.append(name)
        return Draft(payload, tuple(dropped))

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter.

        Raises:
            AccountClosed: also for settings that are wrong, before anything is sent.
        """
        speech = Speech.of(wire.endpoint)
        body = filled(draft.payload, _written(speech, job, photographs))
        pauses: list[float] = []

        def explain(status: int, told: Any, headers: httpx.Headers) -> Failure | None:
            del status, headers
            if (pause := amount(value_at(told, "estimated_time"))) is not None:
                pauses.append(pause)
            return None

        headers = {} if speech.outputs else {"Accept": ACCEPTED}
        seconds = wire.endpoint.timeouts.run
        try:
            answer = wire.submit(speech.submit, body, explain=explain, seconds=seconds, headers=headers)
        except ProviderBusy as busy:
            if busy.retry_after is None:
                busy.retry_after = next(iter(pauses), None)
            raise
        return _told(wire, speech, job, answer) if speech.outputs else _shown(wire, answer)


def _written(speech: Speech, job: Job, photographs: Mapping[str, bytes]) -> dict[str, str]:
    """The photographs as text, by their marks."""
    written = {}
    for reference in job.request.references:
        if reference.sha256 in photographs:
            uri = data_uri(reference, photographs[reference.sha256])
            written[mark(reference)] = uri if speech.photographs == "data_uri" else uri.partition(",")[2]
    return written


def _told(wire: Wire, speech: Speech, job: Job, answer: Answer) -> Standing:
    """What an answer in JSON comes to."""
    body = wire.read_submitted(answer)
    said = "; ".join(str(each) for each in values_at(body, speech.error)) if speech.error else ""
    nothing = f"no picture at {speech.outputs} (endpoint.settings.outputs)"
    found: tuple[Output, ...] = ()
    try:
        found = pictures_at(body, speech.outputs)
    except OutputUnreachable as error:
        nothing = f"{error}, at {speech.outputs} (endpoint.settings.outputs)"
    usage = Usage(images=len(found) or None, seconds=amount(value_at(body, speech.seconds)))
    version = words(value_at(body, speech.model_version))
    if said and not found:
        code: Code = "content_filtered" if is_filtered(said) else "model_error"
        failure = Failure(code, reason(said, job.request))
        return Standing("failed", failure=failure, usage=usage, model_version=version)
    seed = amount(value_at(body, speech.seed))
    outputs = [Output(each.url, each.data, None if seed is None else int(seed)) for each in found]
    return answered(outputs, usage, nothing=nothing, model_version=version)


def _shown(wire: Wire, answer: Answer) -> Standing:
    """What an answer comes to that is the picture; a page of a proxy in its place says nothing.

    Raises:
        SubmissionUnknown: it is neither a picture nor an answer in JSON.
    """
    try:
        facts(answer.data)
    except UnreadablePicture:
        if answer.data and not _is_object(answer):
            raise SubmissionUnknown(f"{wire.title} answered with something that is no picture") from None
        nothing = (
            "the answer is empty" if not answer.data else "the answer is JSON; where is the picture in it?"
        )
        return answered([], Usage(), nothing=f"{nothing} (endpoint.settings.outputs)")
    return answered([Output(data=answer.data)], Usage(images=1))


def _is_object(answer: Answer) -> bool:
    try:
        return isinstance(json.loads(answer.data), dict)
    except ValueError:
        return False
