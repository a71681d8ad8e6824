"""Any queue with an HTTP API, by configuration: a job is submitted, asked for until it has ended, and read.

What decides the picture is a profile's ``parameters``: ``native`` and ``fields`` make the body, the latter
also for ``model`` and ``version``. How the queue is spoken to is its endpoint's ``settings``: see `Plumbing`.
It serves Comfy Deploy, Modal, tasks of BentoML, comfyui-api of Salad (which tells its results to webhooks),
and what operators wrote themselves.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qs, quote, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, is_filtered, reason
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import put, say
from asset_pipeline.candidates.jobs.paths import pictures_at, value_at, values_at
from asset_pipeline.candidates.jobs.wire import Answer, Wire, may_have_key
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import (
    OutputUnreachable,
    ProviderError,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)

_WORD: Final = "status."
_STILL_RUNNING = (HTTPStatus.ACCEPTED, HTTPStatus.SEE_OTHER)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_CODES: Mapping[JobState, Code] = {
    "failed": "model_error",
    "canceled": "canceled",
    "expired": "timeout_run",
    "lost": "lost",
}


class Plumbing(BaseModel):
    """How a queue is spoken to: an endpoint's ``settings``.

    Paths of URLs are relative to ``base_url``, ``{id}`` in them is the job's; paths into answers are dotted
    (``outputs[].data.images[].url``), ``[]`` stands for each member of a list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    submit: str = ""
    """Where jobs are sent. A 303 is followed to its ``Location``, by asking for it alone."""
    submit_method: Literal["POST", "PUT"] = "POST"
    id: str = "id"
    """Where the answer names the job; after a 303, the parameter of the ``Location`` that does."""
    client_id: str = ""
    """The field of the body for an id of ours."""
    client_id_header: str = ""
    """The header for the same: ``Idempotency-Key``."""
    webhook: str = ""
    """The field of the body for the address to call back."""
    sender: str = ""
    """Whom the receiver takes it for, and so how it verifies what comes: ``salad``, ``comfy_deploy``."""
    look: str = ""
    """Where a job is asked for; none: a ``Location`` is, or the result comes by webhook."""
    status: str = ""
    """Where the answer says what the job stands at; none: the HTTP status does, 200 is the end."""
    states: Mapping[str, JobState] = {}
    """``status.<their word>: <our word>``; other words are ``running``."""
    find: str = ""
    """Where a job is asked for by our id, ``{client_id}``; 404 says that it was never accepted."""
    result: str = ""
    """Where a job that succeeded is read, if not in the same answer."""
    outputs: str = ""
    """Where the pictures are; none: the answer is the picture."""
    error: str = ""
    cancel: str = ""
    """Where a job is stopped; none: it cannot be."""
    cancel_method: Literal["POST", "PUT", "DELETE"] = "POST"
    progress: str = ""
    """Where the share of the work that is done stands, 0 to 1."""
    seconds: str = ""
    """Where the seconds stand that are paid for."""
    usd: str = ""

    @model_validator(mode="after")
    def _is_found_by_what_it_was_told(self) -> Self:
        if self.find and not (self.client_id or self.client_id_header):
            raise ValueError("find without client_id or client_id_header: it was not told our id")
        return self

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read an endpoint's settings. Raises UnsupportedRequest with each that is wrong."""
        states = {name.removeprefix(_WORD): word for name, word in settings.items() if name.startswith(_WORD)}
        rest = {name: value for name, value in settings.items() if not name.startswith(_WORD)}
        try:
            return cls.model_validate({**rest, "states": states})
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise UnsupportedRequest(f"endpoint.settings: {'; '.join(wrong)}") from None


class SubmitPoll:
    """Puts jobs into the words that a profile gives."""

    name = "submit_poll"
    version = "1"
    abilities = Abilities(
        says=frozenset(),
        more_by_profile=True,
        references="data_uri",
        synchronous=False,
        finds="by our id",
        cancels=True,
        webhook="url token",
        reports=frozenset({"seconds", "usd"}),
        pins="deployment",
        retention_seconds=None,
    )

    def objection_to(self, endpoint: Endpoint) -> str | None:
        """What is wrong with an endpoint's settings, if anything is."""
        try:
            Plumbing.of(endpoint.settings)
        except ProviderError as error:
            return str(error)
        return None

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter; other headers that are secrets are the endpoint's ``headers_env``."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        said = say(job, {}, sent)
        dropped = list(said.dropped)
        for name, value in (("model", job.parameters.model), ("version", job.parameters.version)):
            if path := job.parameters.fields.get(name) if value else None:
                put(said.payload, path, value)
            elif value:
                dropped.append(name)
        return Draft(said.payload, tuple(dropped))

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. Where nothing is asked for later, the answer may be the result, and is waited for."""
        del photographs
        plumbing = Plumbing.of(wire.endpoint.settings)
        body = dict(draft.payload)
        address = job.webhook_url
        if address and plumbing.sender:
            address = address.replace(f"/webhooks/{self.name}/", f"/webhooks/{plumbing.sender}/")
        for path, value in ((plumbing.client_id, job.client_id), (plumbing.webhook, address)):
            if path and value:
                put(body, path, value)
        headers = {plumbing.client_id_header: job.client_id} if plumbing.client_id_header else {}
        longest = None if plumbing.look else max(wire.endpoint.timeouts.submit, job.run_seconds)
        answer = wire.submit(
            plumbing.submit, body, method=plumbing.submit_method, seconds=longest, headers=headers
        )
        if answer.status == HTTPStatus.SEE_OTHER:
            return Standing("running", _followed(wire, plumbing, answer), raw_status=str(answer.status))
        if answer.status == HTTPStatus.OK and not plumbing.look:
            return _submitted_result(wire, plumbing, job, answer)
        accepted = wire.read_submitted(answer)
        ticket = _ticket(plumbing, accepted)
        if ticket is None:
            raise SubmissionUnknown(f"{wire.title} accepted a submission without naming the job")
        if value_at(accepted, plumbing.status) is None:
            return Standing("queued", ticket)
        return _finished(wire, plumbing, job, _told(plumbing, job, ticket, accepted), accepted)

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter. What only calls back is running, until it has called."""
        plumbing = Plumbing.of(wire.endpoint.settings)
        place = ticket.status_url or _filled(plumbing.look, id=ticket.job_id)
        if not place:
            return Standing("running", ticket)
        answer = wire.ask(place)
        if answer.status in _GONE:
            return Standing("lost", ticket, failure=Failure("lost", f"{wire.title} does not know the job"))
        if ticket.status_url or not plumbing.status:
            return _by_http_status(wire, plumbing, job, ticket, answer)
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"{wire.title} answered {answer.status} when asked for a job")
        body = wire.read(answer)
        return _finished(wire, plumbing, job, _told(plumbing, job, ticket, body), body)

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter."""
        del since
        plumbing = Plumbing.of(wire.endpoint.settings)
        if not plumbing.find:
            return None
        answer = wire.ask(_filled(plumbing.find, client_id=job.client_id))
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", failure=Failure("lost", f"{wire.title} never accepted it"))
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"{wire.title} answered {answer.status} when asked for a job")
        body = wire.read(answer)
        ticket = _ticket(plumbing, body)
        return None if ticket is None else self.look(wire, job, ticket)

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter."""
        del job
        plumbing = Plumbing.of(wire.endpoint.settings)
        if not plumbing.cancel:
            return False
        answer = wire.ask(_filled(plumbing.cancel, id=ticket.job_id), method=plumbing.cancel_method)
        return answer.status < HTTPStatus.BAD_REQUEST

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter: photographs travel inside the payload."""
        del reference, data
        raise UnsupportedRequest(f"{wire.title} takes photographs inside the payload alone")

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: of a queue that can be asked nothing is believed.

        Args:
            job: the job.
            body: what the webhook brought.
            settings: the endpoint's.
        """
        plumbing = Plumbing.of(settings)
        if plumbing.look or not plumbing.webhook:
            return None
        known = _told(plumbing, job, _ticket(plumbing, body), body)
        return _with_pictures(plumbing, job, known, body) if _is_done(known) else known


def _ticket(plumbing: Plumbing, body: Any) -> Ticket | None:
    found = value_at(body, plumbing.id)
    return Ticket(job_id=str(found)) if isinstance(found, str | int) and found != "" else None


def _followed(wire: Wire, plumbing: Plumbing, answer: Answer) -> Ticket:
    """Where an answer sent us on to; nothing is submitted there, so it is asked for by GET alone."""
    place = urljoin(wire.url(plumbing.submit), answer.headers.get("Location", ""))
    if not answer.headers.get("Location") or not may_have_key(wire.endpoint.base_url, place):
        raise SubmissionUnknown(f"{wire.title} accepted a submission and does not say where it is followed")
    parts = urlsplit(place)
    named = parse_qs(parts.query).get(plumbing.id)
    return Ticket(
        job_id=named[0] if named else parts._replace(scheme="", netloc="").geturl(), status_url=place
    )


def _submitted_result(wire: Wire, plumbing: Plumbing, job: Job, answer: Answer) -> Standing:
    """What an answer to a submission that is the result comes to; it has to be one to be believed."""
    if plumbing.outputs:
        wire.read_submitted(answer)
    elif not _is_bytes(answer):
        raise SubmissionUnknown(f"{wire.title} answered a submission with something that is no picture")
    return _by_http_status(wire, plumbing, job, None, answer)


def _by_http_status(
    wire: Wire, plumbing: Plumbing, job: Job, ticket: Ticket | None, answer: Answer
) -> Standing:
    """What a job stands at whose end is an answer of success, with the result in it."""
    status = str(answer.status)
    if answer.status in _STILL_RUNNING:
        return Standing("running", ticket, raw_status=status)
    if answer.status != HTTPStatus.OK:
        failure = _failure(plumbing, job, _body(answer), "failed")
        return Standing("failed", ticket, failure=failure, raw_status=status)
    known = Standing("succeeded", ticket, raw_status=status)
    if plumbing.outputs:
        body = wire.read(answer)
        known = replace(known, usage=_usage(plumbing, body))
        return _with_pictures(plumbing, job, known, body)
    if not _is_bytes(answer):
        failure = Failure("output_invalid", "the answer is no picture; where is it? (settings.outputs)")
        return replace(known, state="failed", failure=failure)
    return replace(known, outputs=(Output(data=answer.data),), usage=Usage(images=1))


def _told(plumbing: Plumbing, job: Job, ticket: Ticket | None, body: Any) -> Standing:
    """What an answer with a status word says, without the pictures."""
    word = value_at(body, plumbing.status)
    raw = "" if word is None else str(word)
    state = plumbing.states.get(raw, "running")
    share = amount(value_at(body, plumbing.progress))
    return Standing(
        state,
        ticket,
        failure=_failure(plumbing, job, body, state) if state in _CODES else None,
        usage=_usage(plumbing, body),
        raw_status=raw,
        progress=share if share is not None and 0 <= share <= 1 else None,
    )


def _finished(wire: Wire, plumbing: Plumbing, job: Job, known: Standing, body: Any) -> Standing:
    """The same with the pictures, if it is done; reads them elsewhere if they are there."""
    if not _is_done(known) or known.ticket is None:
        return known
    if not plumbing.result:
        return _with_pictures(plumbing, job, known, body)
    place = _filled(plumbing.result, id=known.ticket.job_id)
    if not plumbing.outputs:
        return replace(known, outputs=(Output(url=wire.url(place)),), usage=replace(known.usage, images=1))
    answer = wire.ask(place)
    if answer.status in _GONE:
        failure = Failure("output_expired", f"{wire.title} does not keep the result any more")
        return replace(known, state="lost", failure=failure)
    return _with_pictures(plumbing, job, known, wire.read(answer))


def _with_pictures(plumbing: Plumbing, job: Job, known: Standing, body: Any) -> Standing:
    try:
        outputs = pictures_at(body, plumbing.outputs)
    except OutputUnreachable as error:
        return replace(known, state="failed", failure=Failure("output_invalid", str(error)))
    if outputs:
        return replace(known, outputs=outputs, usage=replace(known.usage, images=len(outputs)))
    said = values_at(body, plumbing.error) if plumbing.error else []
    if said:
        return replace(known, state="failed", failure=_failure(plumbing, job, body, "failed"))
    failure = Failure("output_invalid", f"the answer has no picture at {plumbing.outputs}")
    return replace(known, state="failed", failure=failure)


def _failure(plumbing: Plumbing, job: Job, body: Any, state: JobState) -> Failure:
    said = "; ".join(str(each) for each in values_at(body, plumbing.error)) if plumbing.error else ""
    code = "content_filtered" if state == "failed" and is_filtered(said) else _CODES[state]
    return Failure(code, reason(said, job.request))


def _usage(plumbing: Plumbing, body: Any) -> Usage:
    return Usage(
        seconds=amount(value_at(body, plumbing.seconds)), reported_usd=amount(value_at(body, plumbing.usd))
    )


def _body(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _is_done(known: Standing) -> bool:
    return known.state in ("succeeded", "partial")


def _is_bytes(answer: Answer) -> bool:
    kind: str = answer.headers.get("Content-Type", "")
    return kind.startswith(("image/", "application/octet-stream"))


def _filled(path: str, **names: str) -> str:
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path
