"""Cog: a model packed as a container, with Replicate's predictions and without Replicate.

https://github.com/replicate/cog/blob/main/docs/http.md

The server cannot be asked: what a prediction came to is in the answer to its submission, or, where a webhook
was given, told to that webhook and nobody else. A submission whose connection breaks is cancelled by the
server.

A prediction's name is ours, and the same name again is the same prediction only while it is worked on; after
that the server draws again. So nothing is ever submitted again to learn of it. What can be learnt without
drawing is whether the server works on it: the same name is sent with an input that is none. A server that
works on it answers without a look at the input; any other refuses before the model sees anything. Servers
from before coglet, which are known by what they say of their health, look at the input first and so tell
nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, places_in, reason, words
from asset_pipeline.candidates.jobs.immediate import inline
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import labels, say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderBusy, ProviderUnavailable, SubmissionUnknown, UnsupportedRequest

NO_INPUT = 0
"""In the place of a prediction's inputs, which are always an object: nothing that a model could draw."""
_NAMES = {
    "prompt": "prompt",
    "width": "width",
    "height": "height",
    "aspect_ratio": "aspect_ratio",
    "seed": "seed",
}
"""What nearly every image model calls them. Cog ignores an input that a model does not know, without a word,
so a profile names all others."""
_STATES: Mapping[str, JobState] = {
    "starting": "queued",
    "processing": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
}
_NOT_AT_IT = {HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
"""How a server refuses no input under a name that it does not work on: as a failed prediction where it knows
no schema of its inputs, for want of a free place, as invalid."""
_BROKEN = {"UNHEALTHY": "its worker has crashed", "SETUP_FAILED": "the model's setup has failed"}
_FILTERED = ("nsfw", "flagged as sensitive", "safety checker")


class Cog:
    """Puts jobs into the words of a Cog server."""

    name = "cog"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "width", "aspect_ratio", "seed"}),
        more_by_profile=True,
        references="data_uri",
        synchronous=True,
        finds="by our id",
        cancels=True,
        webhook="url token",
        reports=frozenset({"seconds"}),
        pins="deployment",
        retention_seconds=None,
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter. Cog itself knows no keys; a proxy before it may."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        said = say(job, _NAMES, sent)
        dropped = (*said.dropped, *labels(job))
        return Draft({"input": said.payload}, dropped, f"predictions/{job.client_id}")

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. The answer is the picture, or with a webhook only that it was accepted.

        Raises:
            ProviderUnavailable: also if the server is broken, and stays busy until it is restarted.
        """
        del photographs
        try:
            if job.webhook_url:
                body = draft.payload | {"webhook": job.webhook_url, "webhook_events_filter": ["completed"]}
                told = {"Prefer": "respond-async"}
                answer = wire.submit(draft.url, body, method="PUT", headers=told)
            else:
                answer = wire.submit(draft.url, draft.payload, method="PUT", seconds=job.run_seconds)
        except ProviderBusy:
            if because := _BROKEN.get(str(_health(wire).get("status"))):
                raise ProviderUnavailable(f"{wire.title}: {because}; restart the server") from None
            raise
        prediction = wire.read_submitted(answer)
        if words(prediction.get("status")) is None:
            raise SubmissionUnknown(
                f"{wire.title} answered a submission with something that is no prediction"
            )
        standing = _standing(prediction, job)
        # Without a webhook the answer is all there will ever be: there is nothing to come back to.
        return standing if job.webhook_url else replace(standing, ticket=None)

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter. Says whether the server works on it; what it came to, only the webhook hears."""
        at_work = _at_work(wire, job)
        if at_work is not None:
            return at_work
        version = _health(wire).get("version")
        if isinstance(version, Mapping) and "coglet" in version:
            return Standing("lost", ticket, failure=Failure("lost", "the server works on it no longer"))
        return Standing("running", ticket)

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter. What is not worked on may be over, or may never have come: nobody can tell."""
        del since
        return _at_work(wire, job)

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter."""
        del job
        answer = wire.ask(f"predictions/{quote(ticket.job_id, safe='')}/cancel", method="POST")
        return answer.status < HTTPStatus.BAD_REQUEST

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel inside the payload."""
        del reference, data
        raise UnsupportedRequest(f"{wire.title} takes photographs with the submission, and no other way")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: the webhook alone is told what became of a prediction."""
        del settings
        return _standing(body, job) if body.get("id") == job.client_id else None


def _at_work(wire: Wire, job: Job) -> Standing | None:
    """What a prediction stands at that the server works on; None if it does not. Nothing is drawn."""
    answer = wire.ask(f"predictions/{job.client_id}", {"input": NO_INPUT}, method="PUT")
    if answer.status == HTTPStatus.ACCEPTED:
        return _standing(wire.read(answer), job)
    if answer.status in _NOT_AT_IT:
        return None
    raise ProviderUnavailable(
        f"{wire.title} answered {answer.status} when asked whether it works on a prediction"
    )


def _health(wire: Wire) -> dict[str, Any]:
    """What the server says of itself; nothing if it says nothing."""
    try:
        return wire.read(wire.ask("health-check"))
    except ProviderUnavailable:
        return {}


def _standing(prediction: Mapping[str, Any], job: Job) -> Standing:
    """What a prediction stands at. A status that is not known goes on."""
    status = str(prediction.get("status"))
    state = _STATES.get(status, "running")
    metrics = prediction.get("metrics")
    outputs = _outputs(prediction.get("output")) if state == "succeeded" else ()
    failure = None
    if state == "failed":
        error = str(prediction.get("error") or "")
        failure = Failure(_code(error), reason(error, job.request))
    elif state == "canceled":
        failure = Failure("canceled", "it was cancelled")
    elif state == "succeeded" and not outputs:
        state, failure = "failed", Failure("output_invalid", "it succeeded without a picture", is_billed=True)
    return Standing(
        state,
        Ticket(job_id=job.client_id),
        outputs,
        failure,
        Usage(
            images=len(outputs) or None,
            seconds=amount(metrics.get("predict_time")) if isinstance(metrics, Mapping) else None,
        ),
        raw_status=status,
    )


def _outputs(output: Any) -> tuple[Output, ...]:
    """The pictures inside the answer; addresses where the server was started with ``--upload-url``."""
    found = (inline(place) if place.startswith("data:") else Output(url=place) for place in places_in(output))
    return tuple(each for each in found if each is not None)


def _code(error: str) -> Code:
    """What the text of a failed prediction means."""
    said = error.lower()
    if any(each in said for each in _FILTERED):
        return "content_filtered"
    return "invalid_request" if said.startswith("input validation error") else "model_error"
