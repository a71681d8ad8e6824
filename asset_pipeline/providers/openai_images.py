"""The images API of OpenAI, and of servers of one's own that speak it (vLLM-Omni, SGLang-Diffusion).

https://platform.openai.com/docs/api-reference/images

Without photographs a picture is generated (JSON), with them they are edited (a form). OpenAI's own models
know no seed, negative prompt, steps or guidance; a profile's ``fields`` say what another server calls them.
The picture comes with the answer, so an answer that is lost is a picture that is lost.
"""

import json
import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, reason, words
from asset_pipeline.candidates.jobs.immediate import Immediate, answered, inline, mark
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, Output, Standing
from asset_pipeline.candidates.jobs.mapping import say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference, ImageRequest
from asset_pipeline.errors import UnsupportedRequest

GENERATIONS = "images/generations"
EDITS = "images/edits"
_NAMES = {"prompt": "prompt", "width": "size.width", "height": "size.height"}
"""Of all servers; ``size`` is then written as one word: ``1024x768``."""
_PLACES = ("image[]", "image", "mask")
"""Where the form takes photographs."""
_STREAMS = ("stream", "partial_images")
_CODES: Mapping[str, Code] = {
    "moderation_blocked": "content_filtered",
    "image_generation_user_error": "content_filtered",
    "content_policy_violation": "content_filtered",
    "insufficient_quota": "insufficient_funds",
    "billing_hard_limit_reached": "insufficient_funds",
}
"""What ``code`` or ``type`` of an error say beyond its status."""
_DETAILS = ("size", "quality", "background", "output_format", "id")
"""What an answer says of the picture besides."""


class OpenAIImages(Immediate):
    """Puts jobs into the words of the images API."""

    name = "openai_images"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "width"}),
        more_by_profile=True,
        references="bytes",
        synchronous=True,
        finds="never",
        cancels=False,
        webhook="none",
        reports=frozenset({"tokens"}),
        pins="model",
        retention_seconds=None,
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter. A photograph's mark stands where its bytes are put into the form."""
        del sent
        own, references = job.parameters, job.request.references
        if foreign := sorted({place for place in own.references.values() if place and place not in _PLACES}):
            raise UnsupportedRequest(
                f"references: {', '.join(foreign)}: the form has {', '.join(_PLACES)} for photographs"
            )
        if streamed := sorted(own.native.keys() & set(_STREAMS)):
            raise UnsupportedRequest(f"native: {', '.join(streamed)}: the answer has to come in one piece")
        said = say(job, _NAMES, {each.sha256: mark(each) for each in references})
        payload, dropped = dict(said.payload), list(said.dropped)
        if own.version:
            dropped.append("version")
        if own.model:
            payload["model"] = own.model
        size = payload.get("size")
        if isinstance(size, dict):
            if size.keys() != {"width", "height"}:
                raise UnsupportedRequest("fields: width and height are one word here: name both or neither")
            payload["size"] = f"{size['width']}x{size['height']}"
        is_edit = any(own.references.get(each.role) for each in references)
        return Draft(payload, tuple(dropped), EDITS if is_edit else GENERATIONS)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter."""

        def explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
            del headers
            return _explain(status, body, job.request)

        seconds = wire.endpoint.timeouts.run
        if draft.url == EDITS:
            parts = list(_parts(draft.payload, job.request.references, photographs))
            answer = wire.submit(draft.url, files=parts, explain=explain, seconds=seconds)
        else:
            answer = wire.submit(draft.url, draft.payload, explain=explain, seconds=seconds)
        body = wire.read_submitted(answer)
        data = body.get("data")
        found = [_output(entry, wire) for entry in data] if isinstance(data, list) else []
        details = {name: body[name] for name in _DETAILS if words(body.get(name))}
        if identifier := answer.headers.get("x-request-id"):
            details["request_id"] = identifier
        return answered(
            found,
            _usage(body, len(found)),
            nothing="the answer's data holds no picture",
            model_version=words(body.get("model")),
            details=details,
        )


_Part = tuple[str, tuple[None, bytes] | tuple[str, bytes, str]]


def _parts(
    payload: Mapping[str, Any], references: tuple[ImageReference, ...], photographs: Mapping[str, bytes]
) -> Iterator[_Part]:
    """The form: photographs as files, everything else as text."""
    by_mark = {mark(each): each for each in references}
    for name, value in payload.items():
        for each in value if isinstance(value, list) else [value]:
            reference = by_mark.get(each) if isinstance(each, str) else None
            field = f"{name}[]" if isinstance(value, list) else name
            if reference is None:
                text = each if isinstance(each, str) else json.dumps(each)
                yield field, (None, text.encode())
            else:
                kind = reference.media_type
                file_name = f"{reference.role}{mimetypes.guess_extension(kind) or ''}"
                yield field, (file_name, photographs[reference.sha256], kind)


def _output(entry: Any, wire: Wire) -> Output | None:
    """One picture: in base64, or at an address, which may be relative to the server."""
    if not isinstance(entry, dict):
        return None
    place = words(entry.get("url"))
    if place is None:
        return inline(entry.get("b64_json"))
    return Output(url=place if place.startswith("data:") else urljoin(wire.endpoint.base_url, place))


def _usage(body: Mapping[str, Any], images: int) -> Usage:
    """Tokens as OpenAI counts them; seconds as SGLang-Diffusion does."""
    told = body.get("usage")
    usage = told if isinstance(told, dict) else {}
    split = usage.get("input_tokens_details")
    details = split if isinstance(split, dict) else {}
    return Usage(
        images=images or None,
        seconds=amount(body.get("inference_time_s")),
        input_text_tokens=_count(details.get("text_tokens")),
        input_image_tokens=_count(details.get("image_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
    )


def _count(value: Any) -> int | None:
    found = amount(value)
    return None if found is None else int(found)


def _explain(status: int, body: Any, request: ImageRequest) -> Failure | None:
    """``{"error": {"message", "type", "param", "code"}}``; other forms are read by their status."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    said = (str(error.get(name)) for name in ("code", "type"))
    code = next((_CODES[each] for each in said if each in _CODES), None)
    if code is None:
        return None
    return Failure(code, f"{status}: {reason(error.get('message'), request)}")
