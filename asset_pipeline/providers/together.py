"""Together: many open models behind one synchronous images API, in its own words.

https://docs.together.ai/reference/post-images-generations

A picture is asked for in base64 always: how long its addresses live is not said. Which of the fields a model
takes depends on the model; one that it does not know it may ignore without telling, so a profile takes the
word away (``fields: {negative_prompt: ""}``) and says what may be left unsaid.
"""

import re
from collections.abc import Mapping
from typing import Any

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import reason, words
from asset_pipeline.candidates.jobs.immediate import Immediate, answered, inline
from asset_pipeline.candidates.jobs.job import Draft, Failure, Job, Output, Standing
from asset_pipeline.candidates.jobs.mapping import put, say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.errors import UnsupportedRequest

PATH = "images/generations"
_NAMES = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "steps": "steps",
    "guidance_scale": "guidance_scale",
}
_FILTERED = re.compile(r"\bnsfw\b|safety|content[ _](?:policy|moderation|filter)|flagged", re.IGNORECASE)
"""What tells a filter's refusal; Together documents no code for it."""


class Together(Immediate):
    """Puts jobs into Together's words."""

    name = "together"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "negative_prompt", "width", "seed", "steps", "guidance_scale"}),
        more_by_profile=True,
        references="data_uri",
        synchronous=True,
        finds="never",
        cancels=False,
        webhook="none",
        reports=frozenset(),
        pins="model",
        retention_seconds=None,
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        own = job.parameters
        if not own.model:
            raise UnsupportedRequest("model: Together wants to know which")
        said = say(job, _NAMES, sent)
        payload = dict(said.payload)
        put(payload, "model", own.model)
        put(payload, "response_format", "base64")
        # Its models have no versions that could be pinned.
        return Draft(payload, (*said.dropped, *(("version",) if own.version else ())), PATH)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter."""
        del photographs

        def explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
            del headers
            return _explain(status, body, job.request)

        seconds = wire.endpoint.timeouts.run
        body = wire.read_submitted(wire.submit(draft.url, draft.payload, explain=explain, seconds=seconds))
        data = body.get("data")
        found = [_output(entry) for entry in data] if isinstance(data, list) else []
        identifier = words(body.get("id"))
        return answered(
            found,
            Usage(images=len(found) or None),
            nothing="the answer's data holds no picture",
            model_version=words(body.get("model")),
            details={"id": identifier} if identifier else None,
        )


def _output(entry: Any) -> Output | None:
    """One picture: in base64, or at an address where a model heeds no ``response_format``."""
    if not isinstance(entry, dict):
        return None
    place = words(entry.get("url"))
    return inline(entry.get("b64_json")) or (Output(url=place) if place else None)


def _explain(status: int, body: Any, request: ImageRequest) -> Failure | None:
    """``{"error": {"message", "type", "param", "code"}}``; other forms are read by their status."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    told = " ".join(str(error[name]) for name in ("code", "type", "message") if error.get(name))
    is_of_request = status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)
    if is_of_request and _FILTERED.search(reason(told, request)):
        return Failure("content_filtered", f"{status}: {reason(error.get('message'), request)}")
    return None
