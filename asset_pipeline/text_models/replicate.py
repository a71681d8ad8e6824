"""Text models on Replicate: a prediction is created, its stream watched, and the finished prediction read.

https://replicate.com/docs/reference/http and https://replicate.com/docs/reference/streaming

The answer is what the finished prediction holds, never what came through the stream: a stream may break off,
the prediction (which is paid for) goes on, and is then asked for at intervals.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from asset_pipeline.errors import ProviderError, ProviderRefused, UnsupportedRequest
from asset_pipeline.prompts.writing.text_model import Message, TextAnswer, TextModelProfile, TextRequest
from asset_pipeline.text_models.transport import Endpoint, key_of, open_endpoint

_MODEL = re.compile(r"([\w.-]+/[\w.-]+)(?::([0-9a-f]{64}))?")
"""``owner/name`` of an official model, or ``owner/name:version`` of any other."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OWN_INPUTS = {"prompt", "system_prompt"}
_RUNNING = {"starting", "processing"}
_SENSITIVE = re.compile(r"flagged as sensitive|\bE005\b|nsfw", re.IGNORECASE)
"""How a failed prediction says that the words were the reason."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_CANCEL_SECONDS = 10.0
_SHORTEST_DEADLINE = 5
"""Seconds: what Replicate takes for ``Cancel-After`` at least."""


class Replicate:
    """Runs a prediction for each question."""

    name = "replicate"
    version = "1"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def check(self, profile: TextModelProfile) -> None:
        """See TextModel."""
        _reference(profile)
        if profile.structured == "json_schema":
            raise UnsupportedRequest(
                f"{profile.title}: structured: Replicate's models take no JSON schema; write instructions"
            )
        if taken := sorted(_OWN_INPUTS & profile.parameters.keys()):
            raise UnsupportedRequest(f"{profile.title}: parameters: {', '.join(taken)}: the adapter's own")
        key_of(profile, self._environ)

    def ask(
        self, profile: TextModelProfile, request: TextRequest, submitted: Callable[[str], None]
    ) -> TextAnswer:
        """See TextModel."""
        return asyncio.run(self._ask(profile, request, submitted))

    def collect(self, profile: TextModelProfile, ticket: str) -> TextAnswer | None:
        """See TextModel: predictions are kept for an hour."""
        return asyncio.run(self._collect(profile, ticket))

    async def _ask(
        self, profile: TextModelProfile, request: TextRequest, submitted: Callable[[str], None]
    ) -> TextAnswer:
        base = profile.base_url.rstrip("/")
        body: dict[str, Any] = {"input": _input(profile, request.messages)}
        if profile.stream:
            body["stream"] = True
        model, version = _reference(profile)
        url = f"{base}/models/{model}/predictions"
        if version:
            url, body = f"{base}/predictions", body | {"version": version}
        # It then ends by itself, should this process die.
        deadline = {"Cancel-After": f"{max(_SHORTEST_DEADLINE, round(profile.timeout_seconds))}s"}
        prediction_id = ""
        try:
            async with open_endpoint(profile, key_of(profile, self._environ)) as endpoint:
                prediction = _read(endpoint, await endpoint.json("POST", url, body, deadline))
                prediction_id = prediction.id
                submitted(prediction_id)
                stream = prediction.urls.get("stream")
                if stream and prediction.status in _RUNNING:
                    await _watch(endpoint, stream)
                return await _finished(endpoint, profile, prediction_id)
        except ProviderError:
            if prediction_id:
                await self._cancel(profile, prediction_id)
            raise

    async def _collect(self, profile: TextModelProfile, ticket: str) -> TextAnswer | None:
        async with open_endpoint(profile, key_of(profile, self._environ)) as endpoint:
            return await _finished(endpoint, profile, ticket)

    async def _cancel(self, profile: TextModelProfile, prediction_id: str) -> None:
        """Stop what nobody waits for any more; one that has ended does not mind."""
        brief = profile.model_copy(update={"timeout_seconds": _CANCEL_SECONDS, "wait_seconds": 0.0})
        with contextlib.suppress(ProviderError):
            async with open_endpoint(brief, key_of(profile, self._environ)) as endpoint:
                await endpoint.json("POST", f"{_place(profile, prediction_id)}/cancel")


class _Prediction(BaseModel):
    """A prediction; of it only what is used."""

    id: str
    status: str
    output: list[str] | str | None = None
    error: str | None = None
    model: str | None = None
    version: str | None = None
    metrics: dict[str, Any] | None = None
    urls: dict[str, str | None] = {}


def _reference(profile: TextModelProfile) -> tuple[str, str | None]:
    """The model's name and its version, if it has one."""
    match = _MODEL.fullmatch(profile.model)
    if match is None:
        raise UnsupportedRequest(
            f"{profile.title}: model: {profile.model!r} is neither owner/name nor owner/name:version"
        )
    return match[1], match[2]


def _input(profile: TextModelProfile, messages: tuple[Message, ...]) -> dict[str, Any]:
    """The conversation in the fields that Replicate's text models have: instructions, and one prompt."""
    system = messages[0].content if messages[0].role == "system" else ""
    turns = [message for message in messages if message.role != "system"]
    prompt = turns[0].content
    for turn in turns[1:]:
        prompt += f"\n\n{'Your answer was' if turn.role == 'assistant' else 'To that'}:\n\n{turn.content}"
    given = {
        "prompt": prompt if profile.system_role or not system else f"{system}\n\n{prompt}",
        "system_prompt": system if profile.system_role and system else None,
        profile.max_tokens_field: profile.max_tokens,
        "temperature": profile.temperature,
        "seed": profile.seed,
        **profile.parameters,
    }
    return {name: value for name, value in given.items() if value is not None}


async def _watch(endpoint: Endpoint, url: str) -> None:
    """Follow a prediction's stream to its end: ``done``, ``error``, or a stream that could not be followed.

    Whichever it was, the prediction itself says what came of it.
    """
    with contextlib.suppress(ProviderError):
        async for event in endpoint.events("GET", url):
            if event.event in {"done", "error"}:
                return


async def _finished(endpoint: Endpoint, profile: TextModelProfile, prediction_id: str) -> TextAnswer:
    """Ask for a prediction until it has ended, within the endpoint's time; it is paid for by now.

    Asking costs nothing, so that a question that fails on the way is asked again.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            prediction = _read(endpoint, await endpoint.json("GET", _place(profile, prediction_id)))
        except UnsupportedRequest:
            raise endpoint.failure(f"does not know the prediction {prediction_id} any more") from None
        except ProviderError:
            prediction = None
        if prediction is not None and prediction.status not in _RUNNING:
            return _answer(endpoint, profile, prediction)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _answer(endpoint: Endpoint, profile: TextModelProfile, prediction: _Prediction) -> TextAnswer:
    if prediction.status == "failed" and _SENSITIVE.search(prediction.error or ""):
        raise ProviderRefused(str(endpoint.failure(f"refused: {prediction.error}")))
    if prediction.status != "succeeded":
        raise endpoint.failure(f"ended as {prediction.status}: {prediction.error or 'no reason given'}")
    if prediction.output is None:
        raise endpoint.failure("has finished, but its output is gone; it is kept for an hour")
    metrics = prediction.metrics or {}
    given, made = (metrics.get(f"{kind}_token_count") for kind in ("input", "output"))
    return TextAnswer(
        text="".join(prediction.output),
        ending="cut off" if isinstance(made, int) and made >= profile.max_tokens else "complete",
        reason=prediction.status,
        model=":".join(part for part in (prediction.model, prediction.version) if part),
        input_tokens=given if isinstance(given, int) else None,
        output_tokens=made if isinstance(made, int) else None,
    )


def _read(endpoint: Endpoint, answer: dict[str, Any]) -> _Prediction:
    try:
        prediction = _Prediction.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise endpoint.failure(
            f"answered with another form than a prediction: {where}: {first['msg']}"
        ) from None
    if not _ID.fullmatch(prediction.id):
        raise endpoint.failure("gave a prediction a name that is none")
    return prediction


def _place(profile: TextModelProfile, prediction_id: str) -> str:
    return f"{profile.base_url.rstrip('/')}/predictions/{prediction_id}"
