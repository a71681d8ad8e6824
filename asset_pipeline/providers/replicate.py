"""Replicate: a prediction is created, asked for until it has ended, its files are fetched within the hour.

https://replicate.com/docs/reference/http

The model is ``owner/name`` (an official one, which Replicate changes as it likes), the same with a
``version`` (pinned), ``owner/name:version``, or ``deployments/owner/name``. Nobody waits for the picture with
the submission: a connection that broke then would hide a prediction that is paid for.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from asset_pipeline.candidates.jobs.adapter import Abilities
from asset_pipeline.candidates.jobs.answers import amount, moment, places_in, reason, words
from asset_pipeline.candidates.jobs.job import Code, Draft, Failure, Job, JobState, Output, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import say
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import (
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnsupportedRequest,
)

LARGEST_INLINE = 256 * 1000
"""Bytes of a photograph as a data URI; Replicate wants larger ones by URL."""
KEPT = timedelta(hours=1)
"""For how long it keeps what came through the API."""
SHORTEST_DEADLINE = 5
"""Seconds: what ``Cancel-After`` takes at least."""
MOST_PAGES = 50
"""Of predictions, when one is looked for; beyond them nobody can tell."""
_NAMES = {
    "prompt": "prompt",
    "width": "width",
    "height": "height",
    "aspect_ratio": "aspect_ratio",
    "seed": "seed",
}
"""What nearly every image model calls them. Replicate ignores an input that a model does not know, without a
word, so a profile names all others."""
_MODEL = re.compile(r"(deployments/)?([\w.-]+/[\w.-]+)(?::([0-9a-f]{64}))?")
_VERSION = re.compile(r"[0-9a-f]{64}")
_ANY_PHOTOGRAPH = "\0any"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEED = re.compile(r"^Using seed: (\d+)\s*$", re.MULTILINE)
_FILTERED = re.compile(
    r"\bE005\b|\bnsfw\b|flagged|content (?:policy|moderation)|safety (?:filter|checker)", re.IGNORECASE
)
_RESET = re.compile(r"resets in ~?(\d+)s")
_NO_VERSION = re.compile(r"invalid version|version does not exist", re.IGNORECASE)
_STATES: Mapping[str, JobState] = {
    "starting": "queued",
    "processing": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
    "aborted": "expired",
}


class Replicate:
    """Puts jobs into Replicate's words."""

    name = "replicate"
    version = "1"
    abilities = Abilities(
        says=frozenset({"prompt", "width", "aspect_ratio", "seed"}),
        more_by_profile=True,
        references="upload",
        synchronous=False,
        finds="by listing",
        cancels=True,
        webhook="standard webhooks",
        reports=frozenset({"seconds"}),
        pins="version",
        retention_seconds=KEPT.total_seconds(),
        output_hosts=("replicate.delivery", "*.replicate.delivery"),
    )

    def headers(self, key: str | None) -> Mapping[str, str]:
        """See Adapter."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """See Adapter."""
        kind, name, version = _model(job)
        said = say(job, _NAMES, sent)
        payload: dict[str, Any] = {"input": said.payload}
        if version:
            payload["version"] = version
            url = "predictions"
        else:
            url = f"{kind}/{name}/predictions"
        return Draft(payload, said.dropped, url)

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """See Adapter. The prediction ends by itself when its time is over, if nobody is left to stop it."""
        del photographs
        body = dict(draft.payload)
        if job.webhook_url:
            body |= {"webhook": job.webhook_url, "webhook_events_filter": ["completed"]}
        deadline = max(SHORTEST_DEADLINE, math.ceil(job.start_seconds + job.run_seconds))
        try:
            answer = wire.submit(draft.url, body, explain=_explain, headers={"Cancel-After": f"{deadline}s"})
        except ProviderBusy as busy:
            if busy.retry_after is None and (said := _RESET.search(str(busy))):
                busy.retry_after = float(said[1])
            raise
        prediction = wire.read_submitted(answer)
        if not _ID.fullmatch(words(prediction.get("id")) or ""):
            raise SubmissionUnknown("Replicate accepted a submission without naming the prediction")
        return _standing(prediction, job)

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """See Adapter."""
        answer = wire.ask(f"predictions/{quote(ticket.job_id, safe='')}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return Standing("lost", ticket, failure=Failure("lost", "Replicate does not know the prediction"))
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"Replicate answered {answer.status} when asked for a prediction")
        return _standing({**wire.read(answer), "id": ticket.job_id}, job)

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """See Adapter. It is the newest that was created since, with the same model and the same inputs.

        Replicate takes no name from us and does not show its webhook's address. Photographs are not compared,
        as it may list them in another form. An earlier attempt at the same picture has the same inputs, and
        an earlier moment, by Replicate's clock, which the ``Date`` of its answer tells.
        """
        found, start, is_removed = None, None, False
        for number, (date, entries) in enumerate(_pages(wire), 1):
            start = start or _on_its_clock(since, date)
            young = [each for each in entries if (moment(each.get("created_at")) or start) >= start]
            alike = [each for each in young if _is_of_model(each, job)]
            found = next((each for each in alike if self._has_inputs_of(each, job)), None)
            is_removed = is_removed or any(each.get("data_removed") is True for each in alike)
            if found is not None or len(young) < len(entries):
                break
            if number == MOST_PAGES:
                return None
        if found is not None:
            return self.look(wire, job, Ticket(job_id=str(found.get("id"))))
        if is_removed:
            return None
        return Standing(
            "lost", failure=Failure("lost", "Replicate accepted no such prediction", is_billed=False)
        )

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """See Adapter."""
        del job
        answer = wire.ask(f"predictions/{quote(ticket.job_id, safe='')}/cancel", method="POST")
        return answer.status < HTTPStatus.BAD_REQUEST

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """See Adapter. A small photograph travels inside the payload, which keeps no copy of it there."""
        uri = f"data:{reference.media_type};base64,{base64.b64encode(data).decode()}"
        if len(uri) <= LARGEST_INLINE:
            return uri
        name = f"{reference.sha256}.{reference.media_type.rpartition('/')[2]}"
        answer = wire.ask("files", method="POST", files={"content": (name, data, reference.media_type)})
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ProviderRefused(f"Replicate takes no {reference.role} photograph: {answer.status}")
        urls = wire.read(answer).get("urls")
        place = words(urls.get("get")) if isinstance(urls, dict) else None
        if place is None:
            raise ProviderUnavailable("Replicate took a photograph and does not say where it is")
        return place

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """See Adapter: it is asked."""

    def _has_inputs_of(self, entry: Mapping[str, Any], job: Job) -> bool:
        sent = dict.fromkeys((each.sha256 for each in job.request.references), _ANY_PHOTOGRAPH)
        return _is_like(entry.get("input"), self.draft(job, sent).payload["input"])


def _model(job: Job) -> tuple[str, str, str | None]:
    """Which kind of thing a job runs on, its name, and the pinned version."""
    own = job.parameters
    found = _MODEL.fullmatch(own.model)
    if found is None:
        raise UnsupportedRequest(
            f"model: {own.model!r} is neither owner/name, owner/name:version nor deployments/owner/name"
        )
    version = own.version or found[3]
    if version and (found[1] or (found[3] and found[3] != version) or not _VERSION.fullmatch(version)):
        raise UnsupportedRequest(f"version: {version!r} is not the 64 hex digits of a version of {found[2]}")
    return "deployments" if found[1] else "models", found[2], version


def _explain(status: int, body: Any, headers: httpx.Headers) -> Failure | None:
    """What Replicate says of a submission that it did not accept: ``{"title", "detail", "status"}``."""
    del headers
    said = body if isinstance(body, dict) else {}
    text = ": ".join(str(said[name]) for name in ("title", "detail") if said.get(name))
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and _NO_VERSION.search(text):
        return Failure("not_found", text, is_billed=False)
    return None


def _standing(prediction: Mapping[str, Any], job: Job) -> Standing:
    """What a prediction stands at. A status that is not known goes on."""
    status = str(prediction.get("status"))
    state = _STATES.get(status, "running")
    metrics = prediction.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    outputs = _outputs(prediction) if state == "succeeded" else ()
    failure = _failure(prediction, state, outputs, job)
    if failure is not None and state == "succeeded":
        state = "failed"
    if failure is not None and failure.code == "timeout_run":
        state = "expired"
    ended = moment(prediction.get("completed_at"))
    count = metrics.get("image_count")
    return Standing(
        state,
        Ticket(job_id=str(prediction["id"])),
        outputs if state == "succeeded" else (),
        failure,
        Usage(
            images=count if isinstance(count, int) else len(outputs) or None,
            seconds=amount(metrics.get("predict_time")),
        ),
        model_version=_drawn_by(prediction),
        raw_status=status,
        expires_at=ended + KEPT if ended and outputs else None,
    )


def _failure(
    prediction: Mapping[str, Any], state: JobState, outputs: tuple[Output, ...], job: Job
) -> Failure | None:
    """Why a prediction that has ended has no picture."""
    has_begun = prediction.get("started_at") is not None
    match state:
        case "succeeded" if prediction.get("output") is None and prediction.get("data_removed") is True:
            return Failure(
                "output_expired", "Replicate keeps outputs for an hour, which is over", is_billed=True
            )
        case "succeeded" if not outputs:
            return Failure("output_invalid", "the prediction succeeded without a picture", is_billed=True)
        case "failed":
            error = str(prediction.get("error") or "")
            return Failure(_code(error), reason(error, job.request))
        case "expired":
            return Failure("timeout_start", "it did not begin before its deadline", is_billed=False)
        case "canceled":
            is_late = _is_past_deadline(prediction)
            code: Code = "timeout_run" if is_late else "canceled"
            said = "it was stopped at its deadline" if is_late else "it was cancelled"
            return Failure(code, said, is_billed=has_begun)
    return None


def _code(error: str) -> Code:
    """What the text of a failed prediction means; E1001 is what runs out of memory, E6716 never started."""
    if _FILTERED.search(error):
        return "content_filtered"
    if "E6716" in error:
        return "timeout_start"
    return "invalid_request" if error.startswith("Input validation error") else "model_error"


def _is_past_deadline(prediction: Mapping[str, Any]) -> bool:
    deadline, ended = moment(prediction.get("deadline")), moment(prediction.get("completed_at"))
    return deadline is not None and ended is not None and ended >= deadline


def _outputs(prediction: Mapping[str, Any]) -> tuple[Output, ...]:
    """The pictures: an address, a list of them, or an object that holds some. The seed stands in the log."""
    said = _SEED.search(str(prediction.get("logs") or ""))
    seed = int(said[1]) if said else None
    return tuple(Output(url=place, seed=seed) for place in places_in(prediction.get("output")))


def _drawn_by(prediction: Mapping[str, Any]) -> str | None:
    """``owner/name:version``; without the version where Replicate hides it."""
    model, version = words(prediction.get("model")), words(prediction.get("version"))
    return ":".join(part for part in (model, version if version != "hidden" else None) if part) or None


def _pages(wire: Wire) -> Iterator[tuple[str | None, list[dict[str, Any]]]]:
    """The account's predictions, the newest first, page by page; with the moment at which it was told."""
    place: str | None = "predictions"
    while place is not None:
        answer = wire.ask(place)
        if answer.status != HTTPStatus.OK:
            raise ProviderUnavailable(f"Replicate answered {answer.status} when asked for its predictions")
        body = wire.read(answer)
        listed = body.get("results")
        yield answer.headers.get("date"), [each for each in listed or () if isinstance(each, dict)]
        place = words(body.get("next"))


def _on_its_clock(since: datetime, date: str | None) -> datetime:
    """A moment of ours by Replicate's clock, or up to a second before, as ``Date`` knows no parts of one."""
    try:
        told = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
    except ValueError:
        return since
    return since - (datetime.now(UTC) - told)


def _is_of_model(entry: Mapping[str, Any], job: Job) -> bool:
    """Whether a listed prediction runs on what a job asks for, as far as it says."""
    kind, name, version = _model(job)
    if kind == "deployments":
        return entry.get("deployment") in (None, name)
    return entry.get("model") == name and version in (None, entry.get("version"))


def _is_like(listed: Any, sent: Any) -> bool:
    """Whether everything that was sent is listed as it was sent; photographs in whichever form."""
    if sent == _ANY_PHOTOGRAPH:
        return True
    if isinstance(sent, dict):
        return isinstance(listed, dict) and all(_is_like(listed.get(name), sent[name]) for name in sent)
    if isinstance(sent, list):
        return (
            isinstance(listed, list)
            and len(listed) == len(sent)
            and all(_is_like(*pair) for pair in zip(listed, sent, strict=True))
        )
    return bool(listed == sent)
