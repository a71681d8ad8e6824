"""The life of one attempt at a remote provider: sent once, followed, fetched, verified, and priced.

Each step is recorded before what follows from it, so that whoever goes on after a crash knows what may have
been paid for: nothing was sent (``pending``); it may have been accepted (``submitting``), and is looked for
before anything else; it was accepted (``queued`` and later), and is asked for. Nothing here sends a second
submission.
"""

import base64
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from asset_pipeline.candidates.jobs.adapter import Adapter, TellsProgress
from asset_pipeline.candidates.jobs.costing import (
    Basis,
    Cost,
    cost_of_failure,
    cost_of_pictures,
    with_pictures,
)
from asset_pipeline.candidates.jobs.errand import STILL_OPEN, Carried, End, Errand
from asset_pipeline.candidates.jobs.job import (
    Code,
    Draft,
    Failure,
    ImageResult,
    Job,
    JobState,
    Output,
    Standing,
    Ticket,
)
from asset_pipeline.candidates.jobs.mapping import asked_size, refused_drops
from asset_pipeline.candidates.jobs.outputs import Arrivals, Arrived
from asset_pipeline.candidates.jobs.traffic import Interrupted, Traffic
from asset_pipeline.candidates.jobs.verify import Verified
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageReference, Rendered
from asset_pipeline.errors import (
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUnknown,
    UnreadablePicture,
    UnsupportedRequest,
)
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.pictures.decode import decode
from asset_pipeline.pictures.fitting import fitted

GLANCE_SECONDS: Final = 0.2
"""How often someone who waits looks whether the run ends or a webhook came."""
_FAILED_BEFORE_BELIEVED: Final = 2
"""How often in a row a job is to have failed: what stands between may have said so, and asking is free."""
_CANCEL_SECONDS: Final = 60.0
"""How long a cancelled job is asked for until it has ended; then its end is taken as said."""


@dataclass
class _Times:
    """When the attempt came to its states, in seconds since 1970."""

    accepted: float = field(default_factory=time.time)
    running: float | None = None
    over: float | None = None


def carry(adapter: Adapter, wire: Wire, traffic: Traffic, errand: Errand) -> Carried:
    """Carry an attempt to its end, from wherever it stands; see Carried."""
    return _Carrier(adapter, wire, traffic, errand).carry()


class _SupersededError(Exception):
    """Nobody waits for the picture any more."""


class _Carrier:
    def __init__(self, adapter: Adapter, wire: Wire, traffic: Traffic, errand: Errand) -> None:
        self._adapter = adapter
        self._wire = wire
        self._traffic = traffic
        self._errand = errand
        self._call = errand.call
        self._job: Job = errand.call.job
        self._ticket: Ticket | None = errand.attempt.ticket
        self._times = _Times()
        self._details = dict(errand.attempt.details)
        self._heard = 0
        self._is_cancelling = False

    def carry(self) -> Carried:
        try:
            return self._went_on() if self._call.sent_at is not None else self._submitted()
        except Interrupted:
            return STILL_OPEN
        except _SupersededError:
            return self._superseded()
        except (ProviderRefused, UnsupportedRequest) as error:
            return self._ended("refused", error.code, str(error))
        except ProviderUnavailable as error:
            if self._ticket is not None:  # whoever goes on asks for it again
                return STILL_OPEN
            return self._ended("failed", error.code, str(error))

    def _went_on(self) -> Carried:
        """Go on with what a run that ended has sent."""
        if self._ticket is None:
            return self._reconciled("the run that sent it ended before it was answered")
        if self._errand.attempt.state != "queued":
            self._times.running = time.time()
        return self._collected(self._followed(Standing("queued", self._ticket)))

    def _superseded(self) -> Carried:
        """Stop what nobody waits for any more; it costs what the provider charges for it.

        What was sent and cannot be asked for counts as paid.
        """
        reason = "another attempt was faster"
        if self._ticket is None:
            cost = self._call.expected_usd if self._call.sent_at is not None else 0.0
            return self._ended("superseded", "canceled", reason, cost_usd=cost, basis="estimated")
        standing = self._cancelled("canceled")
        cost, basis = self._cost_of_failure(standing)
        if standing.failure is None:
            usage = with_pictures(standing.usage, len(standing.outputs), ())
            cost, basis = cost_of_pictures(self._errand.price, usage, self._call.expected_usd)
        return self._ended("superseded", "canceled", reason, standing, cost_usd=cost, basis=basis)

    # Submission

    def _submitted(self) -> Carried:
        photographs = self._photographs()
        sent = {
            reference.sha256: self._standing_for(reference, data) for reference, data in photographs.items()
        }
        draft = self._adapter.draft(self._job, sent)
        require_sayable(self._job, draft.dropped)
        with self._traffic.lease(self._job.priority, self._errand.stopped) as is_held:
            if not is_held:
                raise Interrupted
            payloads = {reference.sha256: data for reference, data in photographs.items()}
            try:
                standing = self._traffic.send(lambda: self._sent(draft, payloads), self._errand.stopped)
            except SubmissionUnknown as error:
                return self._reconciled(str(error))
            self._accepted(standing)
            return self._collected(self._followed(standing))

    def _sent(self, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """Say that it is on its way, and send it."""
        self._call = self._call.model_copy(
            update={
                "payload_sha256": fingerprint([draft.url, draft.payload]),
                "sent_at": datetime.now(UTC),
                "dropped": draft.dropped,
            }
        )
        self._details = dict(draft.details)
        self._errand.record("submitting", {"call": self._call, "details": self._details})
        return self._adapter.submit(self._wire, self._job, draft, photographs)

    def _photographs(self) -> dict[ImageReference, bytes]:
        """The bytes of the photographs that the provider is given, each looked at before it goes out."""
        given = {}
        for reference in self._job.request.references:
            if reference.role in self._job.parameters.references:
                data = self._errand.open_reference(reference.sha256)
                try:
                    decode(data)
                except UnreadablePicture as error:
                    raise ProviderRefused(
                        f"the {reference.role} photograph cannot be used: {error}"
                    ) from error
                given[reference] = data
        return given

    def _standing_for(self, reference: ImageReference, data: bytes) -> str:
        """What stands for a photograph in the payload."""
        if self._adapter.abilities.references == "upload":
            return self._adapter.upload(self._wire, reference, data)
        if self._adapter.abilities.references == "data_uri":
            return f"data:{reference.media_type};base64,{base64.b64encode(data).decode()}"
        return f"reference:{reference.sha256}"

    def _accepted(self, standing: Standing) -> None:
        self._ticket = standing.ticket
        self._times = _Times()
        if standing.ticket is not None:
            self._errand.record("queued", {"call": self._call, "ticket": standing.ticket})

    # Reconciliation

    def _reconciled(self, because: str) -> Carried:
        """Look for a submission without an answer, in the provider's books and among webhooks."""
        polling, since = self._errand.endpoint.polling, self._call.sent_at or datetime.now(UTC)
        deadline = time.time() + self._errand.endpoint.timeouts.reconcile
        can_be_told = self._call.token is not None or self._adapter.abilities.finds != "never"
        absent, pause, was_asked = 0, polling.first, True
        while True:
            try:
                standing, was_asked = self._found(since), True
            except ProviderUnavailable:
                standing, was_asked = None, False
            if standing is not None and standing.state != "lost":
                self._accepted(standing)
                return self._collected(self._followed(standing))
            absent += standing is not None
            if absent >= polling.rechecks:
                return self._ended("lost", "lost", f"it was never accepted ({because})")
            if not can_be_told or time.time() >= deadline:
                break
            self._wait(pause)
            pause = min(2 * pause, polling.longest)
        if not was_asked:
            return STILL_OPEN
        is_held = self._errand.endpoint.lost == "hold" and self._call.expected_usd > 0
        cost = self._call.expected_usd
        state: End = "unreconciled" if is_held else "lost"
        return self._ended(state, "submit_unknown", because, cost_usd=cost, basis="estimated")

    def _found(self, since: datetime) -> Standing | None:
        """What the provider or a webhook knows of the submission; None: nobody can tell. Raises as `find`."""
        for heard in self._errand.hear():
            standing = self._adapter.heard(self._job, heard.body, self._errand.endpoint.settings)
            if standing is not None:
                return standing
            if heard.job_id is not None:
                return Standing("queued", Ticket(job_id=heard.job_id))
        return self._adapter.find(self._wire, self._job, since)

    # Following

    def _followed(self, standing: Standing) -> Standing:
        """Ask until it is over; cancel what takes too long to start or to run."""
        polling, timeouts = self._errand.endpoint.polling, self._errand.endpoint.timeouts
        pause, said, times, since = polling.first, standing.state, 0, time.time()
        doubts = {"lost": polling.rechecks, "failed": _FAILED_BEFORE_BELIEVED}
        while not standing.is_over:
            if standing.state == "running" and self._times.running is None:
                self._times.running = time.time()
                self._errand.record("running", {"call": self._call, "ticket": self._ticket})
            if late := self._late(timeouts.start, timeouts.run):
                return self._cancelled(late)
            self._wait_or_listen(pause)
            pause = min(2 * pause, polling.longest)
            try:
                asked = self._asked(standing)
            except ProviderUnavailable:
                if self._silence(timeouts.start + timeouts.run):
                    raise
                continue
            if asked.state != said:
                said, times, since = asked.state, 0, time.time()
            times += 1
            # Where only a webhook brings the result, it may be on its way.
            is_told_later = said == "lost" and self._call.token and time.time() - since < timeouts.reconcile
            if times >= doubts.get(said, 1) and not is_told_later:
                standing = asked
        self._times.over = time.time()
        return standing

    def _asked(self, standing: Standing) -> Standing:
        """What the job stands at now: the provider's word; a webhook's only where it keeps nothing."""
        heard = self._errand.hear()
        for each in heard:
            said = self._adapter.heard(self._job, each.body, self._errand.endpoint.settings)
            if said is not None and said.is_over:
                return said
        self._heard = len(heard)
        if self._ticket is None:
            return standing
        return self._adapter.look(self._wire, self._job, self._ticket)

    def _late(self, start: float, run: float) -> Code | None:
        now = time.time()
        if self._times.running is None:
            return "timeout_start" if now - self._times.accepted > start else None
        return "timeout_run" if now - self._times.running > run else None

    def _silence(self, longest: float) -> bool:
        """Whether the provider could not be asked for so long that a later run should."""
        return time.time() - self._times.accepted > longest

    def _cancelled(self, code: Code) -> Standing:
        """Stop a job, and wait until it has ended; one that succeeds in the meantime has succeeded.

        One of which nobody says that it has ended counts as billed: it may go on.
        """
        self._is_cancelling = True
        if self._ticket is not None:
            with suppress(ProviderUnavailable):
                self._adapter.cancel(self._wire, self._job, self._ticket)
            ends = time.time() + _CANCEL_SECONDS
            while time.time() < ends:
                try:
                    standing = self._asked(Standing("running", self._ticket))
                except ProviderUnavailable:
                    standing = None
                if standing is not None and standing.is_over:
                    self._times.over = time.time()
                    if standing.state in ("succeeded", "partial"):
                        return standing
                    is_billed = None if standing.failure is None else standing.failure.is_billed
                    return replace(standing, failure=Failure(code, _LATE[code], is_billed))
                if not self._adapter.abilities.cancels:
                    break
                self._wait(self._errand.endpoint.polling.first)
        self._times.over = time.time()
        return Standing("failed", self._ticket, failure=Failure(code, _LATE[code], is_billed=True))

    # The end

    def _collected(self, standing: Standing) -> Carried:
        """Fetch what was made, look at it, and say what it cost."""
        if standing.failure is not None or standing.state not in ("succeeded", "partial"):
            return self._failed(standing)
        self._errand.record("fetching", {"call": self._call, "ticket": self._ticket})
        arrivals = Arrivals(self._wire, self._errand.endpoint, self._adapter.abilities, self._wait)
        known = replace(standing, ticket=self._ticket)
        arrived = arrivals.look_at(known, asked_size(self._job), self._times.over or time.time())
        if arrived.best is not None:
            return self._succeeded(standing, arrived, *arrived.best)
        if arrived.is_filtered and not arrived.complaints:
            reason = "the provider's filter kept the picture back"
            return self._ended("refused", "content_filtered", reason, standing)
        nothing = ("output_invalid", "it succeeded without any output")
        code, reason = arrived.complaints[0] if arrived.complaints else nothing
        state: End = "expired" if code == "output_expired" else "failed"
        return self._ended(state, code, reason, standing)

    def _succeeded(self, standing: Standing, arrived: Arrived, found: Verified, output: Output) -> Carried:
        frame = (self._job.request.width, self._job.request.height)
        height, width = found.pixels.shape[:2]
        details: dict[str, Any] = {"drawn": [width, height]}
        if (width, height) != frame:
            details["enlarged"] = round(max(frame[0] / width, frame[1] / height), 3)
        if self._call.dropped:
            details["dropped"] = list(self._call.dropped)
        if output.seed is not None:
            details["seed"] = output.seed
        if standing.model_version:
            details["model_version"] = standing.model_version
        details |= self._details | dict(standing.details)
        usage = with_pictures(standing.usage, len(standing.outputs), arrived.pictures)
        cost, basis = cost_of_pictures(self._errand.price, usage, self._call.expected_usd)
        state: Literal["succeeded", "partial"] = "partial" if arrived.complaints else "succeeded"
        message = "; ".join(words for _, words in arrived.complaints) or None
        result = self._result(state, standing, cost, basis).model_copy(
            update={"pictures": arrived.pictures, "message": message, "usage": usage}
        )
        rendered = Rendered(fitted(found.pixels, frame), details=details)
        return Carried("succeeded", result, rendered, cost_usd=cost)

    def _failed(self, standing: Standing) -> Carried:
        code = _CODES.get(standing.state, "model_error")
        failure = standing.failure or Failure(code, f"it ended as {standing.raw_status or standing.state}")
        match failure.code:
            case "content_filtered" | "invalid_request" | "unsupported_feature":
                return self._ended("refused", failure.code, failure.message, standing)
            case "lost":
                message = f"the provider does not know its job any more: {failure.message}"
                return self._ended("lost", "lost", message, standing)
            case "canceled":
                return self._ended("canceled", failure.code, failure.message, standing)
            case "output_expired":
                return self._ended("expired", failure.code, failure.message, standing)
            case _:
                if failure.code in ("timeout_start", "timeout_run"):
                    self._traffic.failed(failure.message)
                return self._ended("failed", failure.code, failure.message, standing)

    def _ended(
        self,
        state: End,
        code: str,
        message: str,
        standing: Standing | None = None,
        *,
        cost_usd: float | None = None,
        basis: Basis = "none",
    ) -> Carried:
        message = self._wire.without_secrets(message)
        if cost_usd is None:
            cost_usd, basis = self._cost_of_failure(standing)
        said: Literal["failed", "canceled", "expired", "lost"] = (
            "lost"
            if state in ("lost", "unreconciled")
            else state
            if state in ("canceled", "expired")
            else "failed"
        )
        result = self._result(said, standing, cost_usd, basis).model_copy(
            update={"code": code, "message": message}
        )
        return Carried(state, result, None, message, cost_usd)

    def _cost_of_failure(self, standing: Standing | None) -> Cost:
        was_running = self._times.running is not None
        return cost_of_failure(self._errand.price, standing, self._call.expected_usd, was_running=was_running)

    def _result(
        self,
        state: Literal["succeeded", "partial", "failed", "canceled", "expired", "lost"],
        standing: Standing | None,
        cost_usd: float,
        basis: Basis,
    ) -> ImageResult:
        times = self._times
        started, over = times.running, times.over or time.time()
        ticket = self._ticket
        return ImageResult(
            request_id=self._errand.attempt.candidate_id,
            attempt=self._errand.attempt.attempt,
            state=state,
            provider=self._call.provider,
            account=self._call.account,
            endpoint=self._call.base_url,
            job_id=ticket.job_id if ticket else None,
            model=self._job.parameters.model,
            model_version=standing.model_version if standing else None,
            usage=standing.usage if standing else Usage(),
            expected_usd=self._call.expected_usd,
            cost_usd=cost_usd,
            cost_basis=basis,
            dropped=self._call.dropped,
            queue_seconds=None if ticket is None else round((started or over) - times.accepted, 3),
            run_seconds=None if started is None else round(over - started, 3),
            details=dict(standing.details) if standing else {},
        )

    def _wait_or_listen(self, seconds: float) -> None:
        """Sleep, or listen to a provider that tells how far it is; wake when the job has ended, it says."""
        if isinstance(self._adapter, TellsProgress):
            began = time.monotonic()
            if self._adapter.listen(self._wire, self._job, seconds, lambda _share: None):
                return
            seconds -= time.monotonic() - began
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        """Sleep; wake when a webhook comes. Raises Interrupted when the run ends."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._errand.stopped():
                raise Interrupted
            if self._errand.is_superseded() and not self._is_cancelling:
                raise _SupersededError
            if self._call.token is not None and len(self._errand.hear()) > self._heard:
                return
            time.sleep(min(left, GLANCE_SECONDS))
        if self._errand.stopped():
            raise Interrupted


_CODES: Final[Mapping[JobState, Code]] = {
    "lost": "lost",
    "canceled": "canceled",
    "expired": "output_expired",
}
"""Of a job that ended without a reason."""
_LATE: Final[Mapping[Code, str]] = {
    "canceled": "another attempt was faster",
    "timeout_start": "it did not start in the time that the profile gives it, and was cancelled",
    "timeout_run": "it did not finish in the time that the profile gives it, and was cancelled",
}


def require_sayable(job: Job, dropped: Sequence[str]) -> None:
    """Refuse what could not be said and may not be left unsaid.

    Raises:
        UnsupportedRequest: names it all.
    """
    refused = refused_drops(dropped, job.parameters.may_drop)
    if refused:
        raise UnsupportedRequest(
            f"the provider has no word for {', '.join(refused)}; give it one in the profile's fields or "
            "references, or let its may_drop leave it unsaid"
        )
