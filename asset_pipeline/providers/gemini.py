"""Google's Gemini models that draw ("Nano Banana"), through the Gemini API.

https://ai.google.dev/gemini-api/docs/image-generation

A picture in a request has no role. What says it is the text right before it, so ``references`` gives each
role its tag, and the order counts: the main view first, the prompt last. The picture comes with the answer,
between texts and drafts (``thought``) that are none of it; an answer without one is a success to Google.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, reason, words
from asset_pipeline.candidates.jobs.immediate import Immediate, answered, filled, inline, mark
from asset_pipeline.candidates.jobs.job import Draft, Failure, Job, Output, Standing
from asset_pipeline.candidates.jobs.mapping import main_first, put, say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.errors import ProviderBusy, ProviderRefused, UnsupportedRequest

LARGEST_INLINE: Final = 7_000_000
"""Bytes of a photograph inside a request."""
LARGEST_REQUEST: Final = 20_000_000
"""Bytes of a request, its photographs in base64 included."""
SEEDS: Final = 2**31
"""Google's seeds are signed 32-bit integers; larger ones of ours are sent modulo this."""
_NAMES = {
    "prompt": "prompt",
    "aspect_ratio": "generationConfig.imageConfig.aspectRatio",
    "seed": "generationConfig.seed",
}
_MODEL = re.compile(r"[\w.-]+")
_FILTERED = {
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "RECITATION",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
}
"""A candidate's ``finishReason`` when a filter kept it back."""
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


class Gemini(Immediate):
    """Puts jobs into the words of ``generateContent``."""

    name = "gemini"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "aspect_ratio", "seed"}),
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
        return {"x-goog-api-key": key} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter. A photograph's mark stands where its bytes are put."""
        del sent
        own = job.parameters
        if not _MODEL.fullmatch(own.model):
            raise UnsupportedRequest(f"model: {own.model!r} is no name of a Gemini model")
        said = say(job, _NAMES)
        payload = dict(said.payload)
        parts, dropped = list[dict[str, Any]](), list(said.dropped)
        if own.version:
            dropped.append("version")
        for reference in main_first(job.request.references):
            if tag := own.references.get(reference.role):
                parts.append({"text": tag})
                parts.append({"inlineData": {"mimeType": reference.media_type, "data": mark(reference)}})
            else:
                dropped.append(f"references.{reference.role}")
        if prompt := payload.pop("prompt", None):
            parts.append({"text": prompt})
        put(payload, "contents", [{"role": "user", "parts": parts}])
        config = payload.setdefault("generationConfig", {})
        config.setdefault("responseModalities", ["TEXT", "IMAGE"])
        if "seed" in config:
            config["seed"] %= SEEDS
        return Draft(payload, tuple(dict.fromkeys(dropped)), f"models/{own.model}:generateContent")

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter.

        Raises:
            ProviderRefused: also for photographs that are too large to be sent inside of a request.
        """
        payload = filled(draft.payload, _inlined(job, photographs))
        if len(json.dumps(payload)) > LARGEST_REQUEST:
            raise ProviderRefused(
                f"the photographs are too large together: Google takes {LARGEST_REQUEST:,} bytes a request"
            )
        pauses: list[float] = []

        def explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
            del headers
            pauses.extend(_pauses(body))
            return _explain(status, body, job.request)

        seconds = wire.endpoint.timeouts.run
        try:
            answer = wire.submit(draft.url, payload, explain=explain, seconds=seconds)
        except ProviderBusy as busy:
            if busy.retry_after is None:
                busy.retry_after = next(iter(pauses), None)
            raise
        return _standing(wire.read_submitted(answer))


def _inlined(job: Job, photographs: Mapping[str, bytes]) -> dict[str, str]:
    """The photographs in base64, by their marks."""
    found = {}
    for reference in job.request.references:
        data = photographs.get(reference.sha256, b"")
        if len(data) > LARGEST_INLINE:
            raise ProviderRefused(
                f"the {reference.role} photograph has {len(data):,} bytes, and Google takes "
                f"{LARGEST_INLINE:,} inside of a request"
            )
        found[mark(reference)] = base64.b64encode(data).decode()
    return found


def _standing(body: Mapping[str, Any]) -> Standing:
    """What an answer of success comes to."""
    candidates = [each for each in _list(body.get("candidates")) if isinstance(each, dict)]
    reasons = [said for each in candidates if (said := words(each.get("finishReason")))]
    blocked = words(_object(body.get("promptFeedback")).get("blockReason"))
    usage = _usage(_object(body.get("usageMetadata")))
    version = words(body.get("modelVersion"))
    filtered = [each for each in reasons if each in _FILTERED]
    if blocked or filtered:
        said = (
            f"the prompt was blocked: {blocked}" if blocked else f"the picture was kept back: {filtered[0]}"
        )
        return Standing(
            "failed",
            failure=Failure("content_filtered", said),
            usage=usage,
            model_version=version,
            raw_status=blocked or filtered[0],
        )
    identifier = words(body.get("responseId"))
    return answered(
        [output for each in candidates for output in _outputs(each)],
        usage,
        nothing=f"the answer holds no picture: {', '.join(reasons) or 'no candidate'}",
        model_version=version,
        details={"id": identifier} if identifier else None,
    )


def _outputs(candidate: Mapping[str, Any]) -> Iterator[Output | None]:
    """The pictures of a candidate, without the drafts that the model made while it thought."""
    for part in _list(_object(candidate.get("content")).get("parts")):
        if isinstance(part, dict) and "inlineData" in part and part.get("thought") is not True:
            yield inline(_object(part["inlineData"]).get("data"))


def _usage(told: Mapping[str, Any]) -> Usage:
    """Tokens; what the model thought is paid for as output."""
    details = [each for each in _list(told.get("promptTokensDetails")) if isinstance(each, dict)]
    pictures = [
        int(amount(each.get("tokenCount")) or 0) for each in details if each.get("modality") == "IMAGE"
    ]
    given, made = amount(told.get("promptTokenCount")), amount(told.get("candidatesTokenCount"))
    thought = amount(told.get("thoughtsTokenCount")) or 0
    return Usage(
        input_text_tokens=None if given is None else int(given) - sum(pictures),
        input_image_tokens=None if given is None else sum(pictures),
        output_tokens=None if made is None else int(made + thought),
    )


def _explain(status: int, body: Any, request: ImageRequest) -> Failure | None:
    """``{"error": {"code", "message", "status", "details"}}``, where it says more than the status."""
    error = _object(_object(body).get("error"))
    message = reason(error.get("message"), request)
    told = {each.get("reason") for each in _list(error.get("details")) if isinstance(each, dict)}
    if "API_KEY_INVALID" in told or error.get("status") == "FAILED_PRECONDITION":
        return Failure("auth", f"{status}: {message}", is_billed=False)
    return None


def _pauses(body: Any) -> Iterator[float]:
    """The seconds that an error asks to be left alone for."""
    for each in _list(_object(_object(body).get("error")).get("details")):
        if isinstance(each, dict) and (found := _DELAY.fullmatch(str(each.get("retryDelay")))):
            yield float(found[1])


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
