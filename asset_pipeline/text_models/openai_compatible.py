"""Any endpoint that speaks OpenAI's chat completions: OpenAI, OpenRouter, vLLM, Ollama, llama.cpp ...

https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from asset_pipeline.errors import UnsupportedRequest
from asset_pipeline.prompts.writing.text_model import Message, TextAnswer, TextModelProfile, TextRequest
from asset_pipeline.text_models.transport import Endpoint, key_of, open_endpoint

_OWN_FIELDS = {"model", "messages", "stream", "stream_options", "response_format", "n", "tools"}
_NO_ANSWER = {"tool_calls", "function_call", "error"}
"""Reasons to end that leave no text to use."""


class OpenAICompatible:
    """Asks ``/chat/completions``, whole or as a stream."""

    name = "openai_compatible"
    version = "1"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def check(self, profile: TextModelProfile) -> None:
        """See TextModel."""
        if taken := sorted(_OWN_FIELDS & profile.parameters.keys()):
            raise UnsupportedRequest(f"{profile.title}: parameters: {', '.join(taken)}: the adapter's own")
        key_of(profile, self._environ)

    def ask(
        self,
        profile: TextModelProfile,
        request: TextRequest,
        submitted: Callable[[str], None],  # noqa: ARG002 - there is no name to come back by
    ) -> TextAnswer:
        """See TextModel."""
        return asyncio.run(self._ask(profile, request))

    def collect(self, profile: TextModelProfile, ticket: str) -> TextAnswer | None:  # noqa: ARG002 - the same
        """See TextModel: the endpoint keeps no answers."""
        return None

    async def _ask(self, profile: TextModelProfile, request: TextRequest) -> TextAnswer:
        url = f"{profile.base_url.rstrip('/')}/chat/completions"
        body = _body(profile, request)
        async with open_endpoint(profile, key_of(profile, self._environ)) as endpoint:
            if profile.stream:
                return await _streamed(endpoint, url, body)
            return _whole(endpoint, await endpoint.json("POST", url, body))


def _body(profile: TextModelProfile, request: TextRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": profile.model,
        "messages": [message.model_dump() for message in _in_roles(profile, request.messages)],
        profile.max_tokens_field: profile.max_tokens,
        "temperature": profile.temperature,
        "seed": profile.seed,
        **profile.parameters,
    }
    if profile.structured == "json_schema":
        schema = {"name": request.schema_name, "strict": True, "schema": request.answer_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if profile.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in body.items() if value is not None}


def _in_roles(profile: TextModelProfile, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages in roles that the model knows: instructions in front of the first question if need be."""
    if profile.system_role or messages[0].role != "system":
        return messages
    instructions, question, *rest = messages
    joined = Message(role="user", content=f"{instructions.content}\n\n{question.content}")
    return (joined, *rest)


class _Words(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Words = _Words()
    delta: _Words = _Words()
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    """A completion, or a chunk of one; of both only what is used."""

    model: str | None = None
    choices: list[_Choice] = []
    usage: _Usage | None = None


def _whole(endpoint: Endpoint, answer: dict[str, Any]) -> TextAnswer:
    completion = _read(endpoint, answer)
    if not completion.choices:
        raise endpoint.failure("answered without a choice")
    choice = completion.choices[0]
    return _answer(endpoint, completion, choice.message, choice.finish_reason)


async def _streamed(endpoint: Endpoint, url: str, body: dict[str, Any]) -> TextAnswer:
    """Put the chunks together. A stream without ``[DONE]`` is no answer, whatever came before."""
    together, text, refusal = _Completion(), "", ""
    finish_reason: str | None = None
    async for event in endpoint.events("POST", url, body):
        if event.data == "[DONE]":
            return _answer(endpoint, together, _Words(content=text, refusal=refusal), finish_reason)
        try:
            chunk = _Completion.model_validate_json(event.data)
        except ValidationError:
            raise endpoint.failure(f"sent a chunk that is none: {event.data[:200]}") from None
        if not chunk.choices and chunk.usage is None and '"error"' in event.data:
            raise endpoint.failure(f"broke off with an error: {event.data[:200]}")
        for choice in chunk.choices[:1]:
            text += choice.delta.content or ""
            refusal += choice.delta.refusal or ""
            finish_reason = choice.finish_reason or finish_reason
        together.model = chunk.model or together.model
        together.usage = chunk.usage or together.usage
    raise endpoint.failure("broke off its stream before the end")


def _answer(
    endpoint: Endpoint, completion: _Completion, words: _Words, finish_reason: str | None
) -> TextAnswer:
    if finish_reason is None or finish_reason in _NO_ANSWER:
        raise endpoint.failure(f"gave no answer: finish_reason {finish_reason}")
    ending: Literal["complete", "cut off", "refused"] = "complete"
    if finish_reason == "content_filter" or words.refusal:
        ending = "refused"
    elif finish_reason == "length":
        ending = "cut off"
    usage = completion.usage or _Usage()
    return TextAnswer(
        text=words.content or "",
        ending=ending,
        reason=words.refusal or finish_reason,
        model=completion.model or "",
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
    )


def _read(endpoint: Endpoint, answer: dict[str, Any]) -> _Completion:
    """A completion as the API describes it. Some gateways send their errors with status 200."""
    if answer.get("error"):
        raise endpoint.failure(f"answered with an error: {str(answer['error'])[:200]}")
    try:
        return _Completion.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise endpoint.failure(
            f"answered with another form than a completion: {where}: {first['msg']}"
        ) from None
