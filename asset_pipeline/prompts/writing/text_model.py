"""The one request to a text model, the one answer, what a text model is, and its profile."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asset_pipeline.campaign.brief import Campaign, Sensitivity
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.yaml_model import read_folder, read_named

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_TOKENS_BESIDE_WORDS = 16
"""What a message costs besides its words (its role and its separators), generously."""
_CHARACTERS_PER_TOKEN = 4
"""Of English prose; for what an endpoint does not count itself."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class TextRequest(_Frozen):
    """What a text model is asked, and the form that its answer has to have."""

    messages: tuple[Message, ...] = Field(min_length=1)
    schema_name: str
    answer_schema: dict[str, Any]
    """The JSON schema of the answer."""


class TextModelProfile(_Frozen):
    """A text model that an operator configured: ``data/text_models/<name>.yaml``."""

    adapter: str
    """How it is spoken to: a file in ``asset_pipeline/text_models``."""
    title: str
    base_url: str
    """Where its API is, up to and including the version: ``https://api.openai.com/v1``."""
    model: str = Field(min_length=1)
    key_env: str | None = None
    """The environment variable that holds the key; none for a server that asks for no key."""
    max_tokens: int = Field(default=1024, ge=16, le=65536)
    """The most that an answer may be long; it bounds what a call can cost."""
    max_tokens_field: str = "max_tokens"
    """What the endpoint calls that limit: also ``max_completion_tokens`` or ``max_new_tokens``."""
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    seed: int | None = Field(default=None, ge=0)
    parameters: dict[str, Any] = {}
    """Further fields of the request, as the endpoint names them (``top_p`` ...)."""
    structured: Literal["json_schema", "instructions"] = "instructions"
    """Whether the endpoint holds the model to a JSON schema, or words have to ask for it."""
    system_role: bool = True
    """Whether the model knows a system message; else the instructions stand before the first question."""
    stream: bool = False
    input_usd_per_million_tokens: float = Field(ge=0.0)
    output_usd_per_million_tokens: float = Field(ge=0.0)
    is_remote: bool = True
    """Whether material leaves this machine; such a model never sees ``local_only`` campaigns."""
    sensitivities: tuple[Sensitivity, ...] = ("public", "internal", "confidential", "local_only")
    """Which campaigns it may see."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """How many questions are asked side by side."""
    timeout_seconds: float = Field(default=120.0, gt=0.0, le=3600.0)
    """How long one answer may take, from the first byte sent to the last received."""
    wait_seconds: float = Field(default=60.0, ge=0.0, le=3600.0)
    """How long a busy endpoint (429, 503) is waited for altogether before a question is given up."""

    @model_validator(mode="before")
    @classmethod
    def _holds_no_secret(cls, content: Any) -> Any:
        """Checked for the file as a whole, because the error for a field would repeat the field's value."""
        if isinstance(content, dict):
            variable, url = content.get("key_env"), content.get("base_url")
            if variable is not None and not _VARIABLE.fullmatch(str(variable)):
                raise ValueError(
                    "key_env is the name of an environment variable (OPENAI_API_KEY), not the key itself"
                )
            if isinstance(url, str):
                _check_url(url)
        return content

    def fingerprint(self, adapter_version: str) -> str:
        """The hash of what decides the answers; keys, prices, patience and how bytes travel are not part."""
        decides = {
            "adapter",
            "base_url",
            "model",
            "max_tokens",
            "temperature",
            "seed",
            "parameters",
            "structured",
            "system_role",
        }
        return fingerprint({"version": adapter_version, **self.model_dump(mode="json", include=decides)})

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (
            input_tokens * self.input_usd_per_million_tokens
            + output_tokens * self.output_usd_per_million_tokens
        ) / 1e6

    def most_usd(self, request: TextRequest) -> float:
        """The most that a request can cost.

        A token is at least one byte of UTF-8 (tokenizers that work on bytes fall back to single ones), and
        the answer ends at ``max_tokens``.
        """
        written = sum(
            len(message.content.encode()) + _TOKENS_BESIDE_WORDS for message in request.messages
        ) + len(json.dumps(request.answer_schema))
        return self.cost_usd(written, self.max_tokens)


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, for endpoints that do not say."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


@dataclass(frozen=True)
class TextAnswer:
    """What a text model answered."""

    text: str
    ending: Literal["complete", "cut off", "refused"]
    """``cut off``: it reached ``max_tokens``. ``refused``: it, or a filter, did not want to."""
    reason: str = ""
    """The endpoint's own word for the ending."""
    model: str = ""
    """The model that answered, as the endpoint names it."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """None if the endpoint does not say."""


class TextModel(Protocol):
    """One way of speaking to text models."""

    name: str
    version: str
    """Part of every question's name; changes when the adapter says the same thing in other words."""

    def check(self, profile: TextModelProfile) -> None:
        """Refuse a profile that cannot be asked, before anything is claimed or sent.

        Raises:
            UnsupportedRequest: the profile asks for what this adapter cannot say.
            ProviderUnavailable: the key is not in the environment.
        """

    def ask(
        self, profile: TextModelProfile, request: TextRequest, submitted: Callable[[str], None]
    ) -> TextAnswer:
        """Ask once. Called from several threads.

        Args:
            profile: which model, and how.
            request: what to ask.
            submitted: is told the name under which the provider works on it, before it is waited for, where
                there is one: `collect` finds the answer by it.

        Raises:
            ProviderRefused: it will refuse this again.
            ProviderUnavailable: it is down, busy or closed to us; nothing was accepted.
            UnsupportedRequest: it has no words for this request.
            ProviderError: there was no whole answer; it may have been billed.
        """

    def collect(self, profile: TextModelProfile, ticket: str) -> TextAnswer | None:
        """The answer to what a dead process submitted; none where the provider keeps no answers.

        Raises what `ask` raises.
        """


def load_text_model(data: Path, name: str, adapters: Collection[str]) -> TextModelProfile:
    """Read ``data/text_models/<name>.yaml``.

    Raises:
        NotFound: there is no such file; the message lists those that exist.
        InvalidFile: the file is wrong, or names an adapter that is not there.
    """
    path = data / "text_models" / f"{name}.yaml"
    profile = read_named(path, TextModelProfile, "text model")
    if profile.adapter not in adapters:
        raise InvalidFile(
            f"{path}: adapter: there is no {profile.adapter!r} (there are: {', '.join(adapters)})"
        )
    return profile


def load_text_models(data: Path) -> dict[str, TextModelProfile]:
    """Every text model by name. Raises InvalidFile with the errors of all files at once."""
    return read_folder(data / "text_models", TextModelProfile)


def objections(campaign: Campaign, profile: TextModelProfile) -> list[str]:
    """Why this text model may not see this campaign; none if it may."""
    found = []
    if profile.is_remote and campaign.sensitivity == "local_only":
        found.append("the campaign is local_only and the text model is on another machine")
    if campaign.sensitivity not in profile.sensitivities:
        found.append(f"the text model is not cleared for {campaign.sensitivity} material")
    return found


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise ValueError(
            "base_url holds a password or a query; write the key's variable into key_env instead"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url is not an http or https URL")
