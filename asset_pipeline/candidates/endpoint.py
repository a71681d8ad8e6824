"""How a remote provider is reached: where, with which key, how patiently. In no candidate's name."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(_Frozen):
    """How long each part of an attempt may take, in seconds."""

    connect: float = Field(default=10.0, gt=0)
    submit: float = Field(default=60.0, gt=0)
    """Until a submission is answered; a synchronous provider answers with the picture: `run` counts for
    it."""
    start: float = Field(default=900.0, gt=0)
    """In the provider's queue, cold start included; then the job is cancelled."""
    run: float = Field(default=600.0, gt=0)
    """From the start of the work; then the job is cancelled."""
    reconcile: float = Field(default=120.0, ge=0)
    """How long a submission without an answer is looked for, by lookup or by a webhook with its token."""


class Polling(_Frozen):
    """How a job is looked at, in seconds."""

    first: float = Field(default=1.0, gt=0)
    longest: float = Field(default=15.0, gt=0)
    """The pause doubles up to this; a webhook shortens it."""
    rechecks: int = Field(default=3, ge=1)
    """How often in a row a provider must not know a job before it counts as lost."""


class Limits(_Frozen):
    """What the account allows, over all processes that use this store together."""

    requests_per_second: float | None = Field(default=None, gt=0)
    """Submissions; polling is not counted."""
    concurrency: int | None = Field(default=None, ge=1)
    """Jobs that are queued or running there."""
    most_queued: int | None = Field(default=None, ge=1)
    """Jobs of a run that may wait there without having begun; while there are so many, it submits no more."""


class Endpoint(_Frozen):
    """How a remote provider is reached."""

    base_url: str
    """Up to and including the version: ``https://api.replicate.com/v1``."""
    account: str = ""
    """Profiles with one key share limits, and pauses after an expired key or an empty purse; the provider's
    name unless given."""
    key_env: str | None = None
    """The environment variable with the key; none for a server without keys."""
    headers_env: dict[str, str] = {}
    """Further headers that are secrets, each with its environment variable: ``{Modal-Key: MODAL_KEY}``."""
    output_hosts: tuple[str, ...] = ()
    """Hosts that pictures may be fetched from besides the provider's own: ``*.example.com``,
    ``host:8188``."""
    timeouts: Timeouts = Timeouts()
    polling: Polling = Polling()
    limits: Limits = Limits()
    retention_seconds: float | None = Field(default=None, gt=0)
    """How long outputs are kept there, where it is not what the adapter knows; they are fetched within
    half."""
    webhook: bool = False
    """Whether the provider is asked to call back (``ASSET_PIPELINE_WEBHOOK_URL``); it is polled all the
    same."""
    lost: Literal["hold", "remake"] = "hold"
    """A submission of which nothing can be learnt may have been paid for. ``hold``: a person releases it.
    ``remake``: it counts as paid, and another attempt is made within the budget."""
    settings: dict[str, str | int | float | bool] = {}
    """What an adapter wants to know besides: see docs/providers.md."""
