"""What an adapter is: one vendor's words for the one internal request, and nothing else.

An adapter keeps no state, waits for nothing, sends nothing twice, catches no error that the wire raises
(unless that error is an answer in this vendor's words), and decides nothing about retries, money or time:
``carry.py`` does, for all of them alike. It is used by several threads at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from asset_pipeline.candidates.jobs.job import Draft, Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference

Travel = Literal["none", "data_uri", "upload", "bytes"]
"""How a photograph gets there: not at all, inside the payload as a data URI, uploaded before the submission,
or as bytes beside the payload (a multipart form, inline data)."""


@dataclass(frozen=True)
class Abilities:
    """What a vendor can do: the matrix in docs/provider-matrix.md, which the promise suite holds it to."""

    says: frozenset[str]
    """Fields of ours that it has words for without further configuration: ``prompt``, ``negative_prompt``,
    ``width`` (then also height), ``aspect_ratio``, ``seed``, ``steps``, ``guidance_scale``, ``sampler``,
    ``scheduler``, ``strength``."""
    more_by_profile: bool
    """Whether a profile's ``fields`` can give it words for the others."""
    references: Travel
    synchronous: bool
    """Whether the submission is answered with the picture."""
    finds: Literal["by our id", "by listing", "never"]
    """How a submission without an answer is found again."""
    cancels: bool
    webhook: Literal["standard webhooks", "ed25519", "hmac", "url token", "none"]
    reports: frozenset[str]
    """What its answers say of the cost: ``seconds``, ``tokens``, ``usd``."""
    pins: Literal["version", "model", "deployment", "workflow"]
    """What makes a model the same tomorrow."""
    retention_seconds: float | None
    """How long it keeps outputs; none: they come with the answer, or for good."""
    output_hosts: tuple[str, ...] = ()
    """Where its outputs are fetched from, besides the endpoint's own host: ``*.fal.media``."""
    streams_progress: bool = False


class Adapter(Protocol):
    """One vendor."""

    name: str
    version: str
    """Changes whenever what the adapter says of the same request changes."""
    abilities: Abilities

    def headers(self, key: str | None) -> Mapping[str, str]:
        """The headers that authorise: ``{"Authorization": f"Bearer {key}"}``."""

    def draft(self, job: Job, sent: Mapping[str, str]) -> Draft:
        """Put a job into the vendor's words. Pure; nothing is dropped without being named.

        Args:
            job: the job.
            sent: by SHA-256 what stands for each photograph in the payload: its data URI, or what `upload`
                returned. Before anything is spent the same is asked with placeholders.

        Raises:
            UnsupportedRequest: the parameters mean nothing to this vendor (no model, an unknown role ...).
        """

    def submit(self, wire: Wire, job: Job, draft: Draft, photographs: Mapping[str, bytes]) -> Standing:
        """Send it, once, with ``wire.submit``; say what it stands at, with the ticket if there is one.

        Args:
            wire: the way there.
            job: the job.
            draft: what `draft` said.
            photographs: the bytes by SHA-256, for vendors whose photographs travel as bytes.

        Raises:
            ProviderError: as the wire raises. An answer of success whose body is none raises
                SubmissionUnknown.
        """

    def look(self, wire: Wire, job: Job, ticket: Ticket) -> Standing:
        """Ask what an accepted job stands at, with its outputs if it is over. Costs nothing.

        A status that it does not know is ``running`` with its raw word. A job that the vendor does not know
        is ``lost``. Synchronous vendors are never asked.

        Raises:
            ProviderUnavailable: it could not be asked now.
        """

    def find(self, wire: Wire, job: Job, since: datetime) -> Standing | None:
        """Look for a submission that had no answer.

        Args:
            wire: the way there.
            job: the job as it was sent (``client_id``, request, parameters).
            since: when it was sent.

        Returns:
            What it stands at, with its ticket; ``lost`` if the vendor certainly never accepted it; None if
            this vendor cannot tell.

        Raises:
            ProviderUnavailable: it could not be asked now.
        """

    def cancel(self, wire: Wire, job: Job, ticket: Ticket) -> bool:
        """Ask the vendor to stop a job; whether it takes such a wish. What became of it, `look` says."""

    def upload(self, wire: Wire, reference: ImageReference, data: bytes) -> str:
        """Bring a photograph there, where they are uploaded; say what stands for it in the payload."""

    def heard(self, job: Job, body: Mapping[str, object], settings: Mapping[str, Any]) -> Standing | None:
        """What a webhook's body says, for vendors that keep no result to ask for; None for all others.

        Args:
            job: the job.
            body: what came with the attempt's own token.
            settings: the endpoint's.
        """


@runtime_checkable
class TellsProgress(Protocol):
    """An adapter whose vendor tells how far a job is, to those who listen."""

    def listen(self, wire: Wire, job: Job, seconds: float, told: Callable[[float], None]) -> bool:
        """Wait for a job; whether it is said to have ended. What it came to, `look` says.

        Args:
            wire: the way there.
            job: the job.
            seconds: how long to listen.
            told: is told the share of the work that is done, 0 to 1.
        """
