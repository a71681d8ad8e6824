"""Which providers' deliveries are received, as the environment says, and with which secrets."""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import httpx
from pydantic import SecretBytes

from asset_pipeline.errors import InvalidFile, ProviderUnavailable
from asset_pipeline.web import fal, runflow, standard_webhooks, url_token
from asset_pipeline.web.verification import Verifier

PREFIX = "ASSET_PIPELINE_WEBHOOK_"
UNSIGNED = ("runpod", "cog", "comfy_deploy")
PROVIDERS = ("replicate", "salad", "runflow", "fal", *UNSIGNED)
FAL_KEYS = "https://rest.fal.ai/.well-known/jwks.json"
_ON = "on"
_FETCH_SECONDS = 5.0


def variable(provider: str) -> str:
    """The environment variable that switches a provider's deliveries on."""
    return f"{PREFIX}{provider.upper()}"


def verifiers(environ: Mapping[str, str]) -> dict[str, Verifier]:
    """The verifier of each provider that the environment switches on; see docs/webhooks.md.

    Raises:
        InvalidFile: none is switched on, or a variable is not what it should be; never says what it is.
    """
    found: dict[str, Verifier] = {}
    for provider in PROVIDERS:
        name = variable(provider)
        if name in environ:
            found[provider] = _verifier(provider, name, environ[name].strip())
    if not found:
        names = ", ".join(map(variable, PROVIDERS))
        raise InvalidFile(
            f"no provider's deliveries are switched on: set one of {names}; see docs/webhooks.md"
        )
    return found


def _verifier(provider: str, name: str, value: str) -> Verifier:
    if provider == "replicate":
        return partial(standard_webhooks.verify, secrets=_secrets(name, value, standard_webhooks.key_of))
    if provider == "salad":
        keys = _secrets(name, value, standard_webhooks.key_of)
        return partial(standard_webhooks.verify, secrets=keys, one_id_for_several_events=True)
    if provider == "runflow":
        return partial(runflow.verify, secrets=_secrets(name, value, runflow.key_of))
    if provider == "fal":
        return partial(fal.verify, keys=fal.KeySet(partial(_fetch, _key_set_url(name, value))))
    if value != _ON:
        raise InvalidFile(f"{name}: write {_ON}; {provider} signs nothing, so there is no secret to give")
    return url_token.verify


def _secrets(name: str, value: str, key_of: Callable[[str], SecretBytes | None]) -> tuple[SecretBytes, ...]:
    keys = []
    for number, each in enumerate(value.split(","), 1):
        key = key_of(each.strip())
        if key is None:
            raise InvalidFile(
                f"{name}: secret {number} is empty, too short or malformed: copy what the provider shows, "
                "with whsec_ in front where it signs by Standard Webhooks, and a comma between two"
            )
        keys.append(key)
    return tuple(keys)


def _key_set_url(name: str, value: str) -> str:
    if value == _ON:
        return FAL_KEYS
    try:
        url = urlsplit(value)
        is_safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1"))
    except ValueError:
        is_safe = False
    if not is_safe:
        raise InvalidFile(f"{name}: write {_ON}, or the https:// URL of fal's key set where that has moved")
    return value


def _fetch(url: str) -> bytes:
    try:
        return httpx.get(url, timeout=_FETCH_SECONDS).raise_for_status().content
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"fal's keys: {type(error).__name__}") from error
