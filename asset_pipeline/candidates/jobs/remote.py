"""A remote provider: an adapter, with what all of them have in common. Its pictures are made by `carry`."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol, runtime_checkable

from pydantic_core import from_json

from asset_pipeline.campaign.brief import Priority, Sensitivity
from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.adapter import Adapter
from asset_pipeline.candidates.jobs.attempt import Call
from asset_pipeline.candidates.jobs.carry import carry, require_sayable
from asset_pipeline.candidates.jobs.delivery import DELIVERIES, body_of, day_of, new_token
from asset_pipeline.candidates.jobs.errand import STILL_OPEN, Carried, Errand, Heard
from asset_pipeline.candidates.jobs.job import Job, RemoteParameters
from asset_pipeline.candidates.jobs.traffic import Traffic
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.parameters import parameters_as
from asset_pipeline.candidates.request import Asked, OpenReference, Rendered
from asset_pipeline.errors import ProviderError, ProviderUnavailable
from asset_pipeline.store.store import Store

WEBHOOK_URL = "ASSET_PIPELINE_WEBHOOK_URL"
"""The environment variable with the receiver's public address."""
_CACHED_SECONDS = 1.0
"""How old a listing of deliveries may be: a webhook is a hint, and the next look comes in any case."""
_NOBODY = "00000000-0000-4000-8000-000000000000"


@runtime_checkable
class NamesItsVersion(Protocol):
    """An adapter whose pictures depend on more than its code and the parameters: on a workflow's graph."""

    def version_of(self, parameters: RemoteParameters) -> str:
        """What else draws, in a word; raises as `draft` does."""


@runtime_checkable
class ReadsSettings(Protocol):
    """An adapter that is told by an endpoint's settings how to speak."""

    def objection_to(self, endpoint: Endpoint) -> str | None:
        """What is wrong with them; none if nothing is."""


@dataclass(frozen=True)
class Envelope:
    """What an attempt is about, besides the picture."""

    campaign: str
    profile: str
    attempt: int
    sensitivity: Sensitivity
    priority: Priority
    expected_usd: float


class Remote:
    """A provider that is asked through an endpoint.

    Args:
        adapter: the vendor's words.
        environ: where the keys are; read when something is sent, so that a changed key needs no restart.
    """

    makers = None

    def __init__(self, adapter: Adapter, environ: Mapping[str, str]) -> None:
        self.adapter = adapter
        self.name = adapter.name
        self._environ = environ

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        """The adapter's code, and what else it knows that draws; the rest is in the parameters."""
        own, _ = self.parsed(parameters)
        if isinstance(self.adapter, NamesItsVersion):
            return f"{self.adapter.version}+{self.adapter.version_of(own)}"
        return self.adapter.version

    def check(self, asked: Asked) -> None:
        """Refuse what cannot be said to this provider, before anything is spent.

        Raises:
            UnsupportedRequest: names all that it has no words for.
        """
        own, extra = self.parsed(asked.parameters)
        job = Job(
            request=asked.request,
            attempt=1,
            campaign="",
            profile="",
            parameters=own,
            extra=extra,
            client_id=_NOBODY,
        )
        sent = {each.sha256: f"reference:{each.sha256}" for each in asked.request.references}
        require_sayable(job, self.adapter.draft(job, sent).dropped)

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        """Nothing is made without an attempt that was claimed: see `carry`."""
        del open_reference
        for asked in batch:
            yield asked, ProviderError(f"{self.name} makes pictures in attempts of a campaign alone")

    def observed(self) -> Mapping[str, Any]:
        """It measures nothing of itself in this process."""
        return {}

    def parsed(self, parameters: Mapping[str, Any]) -> tuple[RemoteParameters, dict[str, Any]]:
        """What remote providers know of these parameters, and what else an asset type asks for.

        Raises:
            UnsupportedRequest: a value is wrong.
        """
        known = {name: value for name, value in parameters.items() if name in RemoteParameters.model_fields}
        extra = {name: value for name, value in parameters.items() if name not in known}
        return parameters_as(RemoteParameters, known, self.name), extra

    def unready(self, endpoint: Endpoint) -> str | None:
        """Why nothing can be sent from here: wrong settings, keys that are not set; none if it can."""
        if isinstance(self.adapter, ReadsSettings) and (objection := self.adapter.objection_to(endpoint)):
            return objection
        named = [endpoint.key_env, *endpoint.headers_env.values()]
        missing = [name for name in named if name and not self._environ.get(name, "").strip()]
        return (
            f"the environment variable {', '.join(missing)} is not set; put the key there"
            if missing
            else None
        )

    def call(self, endpoint: Endpoint, asked: Asked, envelope: Envelope) -> Call:
        """All that is recorded of an attempt before anything is sent."""
        own, extra = self.parsed(asked.parameters)
        public = self._environ.get(WEBHOOK_URL, "").rstrip("/")
        is_called_back = endpoint.webhook and bool(public) and self.adapter.abilities.webhook != "none"
        token = new_token(datetime.now(UTC)) if is_called_back else None
        job = Job(
            request=asked.request,
            attempt=envelope.attempt,
            campaign=envelope.campaign,
            profile=envelope.profile,
            parameters=own,
            extra=extra,
            client_id=str(uuid.uuid4()),
            webhook_url=f"{public}/webhooks/{self.name}/{token}" if token else None,
            sensitivity=envelope.sensitivity,
            priority=envelope.priority,
            start_seconds=endpoint.timeouts.start,
            run_seconds=endpoint.timeouts.run,
        )
        return Call(
            provider=self.name,
            account=account_of(endpoint, self.name),
            base_url=endpoint.base_url,
            job=job,
            token=token,
            expected_usd=envelope.expected_usd,
        )

    def carry(self, errand: Errand, traffic: Traffic) -> Carried:
        """Carry an attempt to its end; see Carried.

        Raises:
            ProviderUnavailable: a key is not set here.
        """
        endpoint = errand.endpoint.model_copy(update={"base_url": errand.call.base_url})
        unready = self.unready(endpoint)
        if unready is not None and errand.call.sent_at is not None:
            return STILL_OPEN
        if unready is not None:
            raise ProviderUnavailable(unready)
        key = self._environ[endpoint.key_env].strip() if endpoint.key_env else None
        secrets = {name: self._environ[variable].strip() for name, variable in endpoint.headers_env.items()}
        headers = {**self.adapter.headers(key), **secrets}
        with Wire(self.name, endpoint, headers, self.adapter.abilities.output_hosts) as wire:
            return carry(self.adapter, wire, traffic, errand)


def account_of(endpoint: Endpoint, provider: str) -> str:
    """The name of the account that an endpoint belongs to."""
    return endpoint.account or provider


class Hearing:
    """What webhooks said of attempts, for the threads of a run that wait for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._listings: dict[str, tuple[float, list[str]]] = {}
        self._heard: dict[str, Heard] = {}

    def of(self, token: str | None) -> list[Heard]:
        """What came under a token so far, in order of its names."""
        day = day_of(token) if token else None
        if token is None or day is None:
            return []
        partition = day.isoformat()
        with self._lock:
            listed_at, names = self._listings.get(partition, (0.0, []))
            if time.monotonic() - listed_at > _CACHED_SECONDS:
                names = self._store.events.names(DELIVERIES, partition)
                self._listings[partition] = time.monotonic(), names
        own = [name for name in names if name.startswith(f"{token}.")]
        return [self._read(partition, name) for name in own]

    def _read(self, partition: str, name: str) -> Heard:
        if name not in self._heard:
            event = self._store.events.get(DELIVERIES, partition, name)
            body: Any = None
            if event is not None:
                try:
                    body = from_json(body_of(self._store, event.body))
                except ValueError:
                    body = None
            job_id = event.body.provider_job_id if event else None
            self._heard[name] = Heard(job_id, body if isinstance(body, dict) else {})
        return self._heard[name]
