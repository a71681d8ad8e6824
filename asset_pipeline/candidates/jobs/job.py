"""One attempt as an adapter is asked for it, and what a provider's job stands at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from asset_pipeline.campaign.brief import Priority, Sensitivity
from asset_pipeline.candidates.price import Usage
from asset_pipeline.candidates.request import ImageRequest
from asset_pipeline.catalog.product import PhotographRole

Code = Literal[
    "invalid_request",
    "unsupported_feature",
    "auth",
    "insufficient_funds",
    "not_found",
    "rate_limited",
    "provider_unavailable",
    "submit_unknown",
    "timeout_start",
    "timeout_run",
    "model_error",
    "content_filtered",
    "output_invalid",
    "output_expired",
    "canceled",
    "lost",
]
"""Why there is no picture, in the words of docs/runbook.md."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sizes(_Frozen):
    """Which sizes the provider can be asked for; the nearest is asked for and fitted into the frame."""

    grid: int = Field(default=1, ge=1)
    """Width and height are multiples of this."""
    exact: tuple[tuple[int, int], ...] = ()
    """These sizes and no others."""
    ratios: tuple[str, ...] = ()
    """Aspect ratios by name (``16:9``); the provider chooses the pixels."""
    largest: int = Field(default=8192, ge=64)
    """Pixels of the longer side."""


class RemoteParameters(_Frozen):
    """What a profile says of a picture to a remote provider: part of every candidate's name."""

    model: str = ""
    """As the provider names it; empty where the endpoint is one model."""
    version: str | None = None
    """The pinned version or revision of the model."""
    steps: int | None = Field(default=None, ge=1, le=500)
    guidance_scale: float | None = Field(default=None, ge=0.0, le=50.0)
    sampler: str | None = None
    scheduler: str | None = None
    strength: float | None = Field(default=None, gt=0.0, le=1.0)
    """How much of the picture that it starts from is made anew."""
    native: dict[str, Any] = {}
    """Further fields as the provider names them, sent as they are."""
    fields: dict[str, str] = {}
    """What the provider calls a field of ours, as a dotted path (``{guidance_scale: guidance}``); an empty
    path says that it has no word for it."""
    references: dict[PhotographRole, str] = {}
    """Which photographs it is given, and as what: the field's dotted path, or the tag in front of the
    picture. A path that ends in ``[]`` is a list that the photographs are appended to."""
    sizes: Sizes = Sizes()
    workflow: str | None = None
    """A ComfyUI workflow: a folder in ``data/workflows``."""
    workflow_sha256: str | None = None
    """The hash of its graph, which the profile may pin."""
    environment: str = "default"
    """Which model names a workflow's manifest resolves to."""
    may_drop: tuple[str, ...] = ()
    """What may be left unsaid: our names (``negative_prompt``, ``seed``), an asset type's parameter
    (``framing``), ``references`` or ``references.<role>``. Recorded with the picture; all else is refused."""


class Job(_Frozen):
    """The one internal request: everything that an adapter is told about an attempt."""

    schema_version: Literal[1] = 1
    request: ImageRequest
    """What the picture is to be; its ``candidate_id`` is the request's id."""
    attempt: int = Field(ge=1)
    campaign: str
    profile: str
    parameters: RemoteParameters
    extra: dict[str, Any] = {}
    """What an asset type asks for that is no parameter of remote providers; dropped by permission or
    refused."""
    client_id: str
    """A canonical lower-case UUID that names the attempt; told to providers that take a name from us."""
    webhook_url: str | None = None
    """Where the provider is to call back, with the attempt's own token in the path."""
    sensitivity: Sensitivity = "internal"
    priority: Priority = "normal"
    start_seconds: float = 900.0
    run_seconds: float = 600.0


class Ticket(_Frozen):
    """How a job that a provider accepted is found again; recorded before anything is waited for."""

    job_id: str
    status_url: str | None = None
    result_url: str | None = None
    cancel_url: str | None = None
    details: dict[str, str] = {}
    """What else the adapter needs to come back: a server's version, a client's id."""


@dataclass(frozen=True)
class Draft:
    """A request in the provider's words."""

    payload: Any
    """JSON-like."""
    dropped: tuple[str, ...] = ()
    """What could not be said, in our names."""
    url: str = ""
    """Where it is sent, relative to the endpoint's ``base_url``."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What is recorded with the picture besides: a workflow's hash, the size that was asked for."""


@dataclass(frozen=True)
class Output:
    """One picture that a provider says it made: where it is, or its bytes."""

    url: str | None = None
    data: bytes | None = None
    seed: int | None = None
    is_flagged: bool = False
    """Whether the provider says that its filter blanked it."""


@dataclass(frozen=True)
class Failure:
    """Why there is no picture."""

    code: Code
    message: str
    """In words without secrets, inputs or tracebacks."""
    is_billed: bool | None = None
    """Whether the provider charges for it; none: unknown, counted as charged if it had begun to run."""


JobState = Literal["queued", "running", "succeeded", "partial", "failed", "canceled", "expired", "lost"]


@dataclass(frozen=True)
class Standing:
    """What a job stands at. ``lost``: the provider does not know it; others are what the provider says."""

    state: JobState
    ticket: Ticket | None = None
    """None where the provider gives no job to come back to."""
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    """Set where the state is ``failed``, ``canceled``, ``expired`` or ``lost``."""
    usage: Usage = field(default_factory=Usage)
    """What the provider reports: seconds, tokens, money."""
    model_version: str | None = None
    """What really drew, as the provider says."""
    raw_status: str = ""
    """The provider's own word."""
    queue_position: int | None = None
    progress: float | None = None
    """The share of the work that is done, 0 to 1."""
    expires_at: datetime | None = None
    """When the provider forgets the outputs, where it says so."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for the candidate, JSON-like, without the request's own content."""

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, whichever way."""
        return self.state not in ("queued", "running")


class Picture(_Frozen):
    """One output as it was fetched and found."""

    index: int
    sha256: str
    """Of the bytes as they came; the candidate's picture is made from them."""
    media_type: str
    width: int
    height: int
    size_bytes: int
    seed: int | None = None
    source: Literal["url", "inline"] = "inline"
    host: str | None = None
    """Whose host it came from; the URL itself may be a secret."""


class ImageResult(_Frozen):
    """What came of an attempt at a remote provider: recorded with its end."""

    schema_version: Literal[1] = 1
    request_id: str
    attempt: int
    state: Literal["succeeded", "partial", "failed", "canceled", "expired", "lost"]
    provider: str
    account: str
    endpoint: str
    job_id: str | None = None
    model: str = ""
    model_version: str | None = None
    pictures: tuple[Picture, ...] = ()
    code: Code | None = None
    message: str | None = None
    usage: Usage = Usage()
    expected_usd: float = 0.0
    cost_usd: float = 0.0
    cost_basis: Literal["reported", "computed", "estimated", "none"] = "none"
    """Said by the provider; our price times what it reports; what was expected, because it said nothing."""
    dropped: tuple[str, ...] = ()
    queue_seconds: float | None = None
    run_seconds: float | None = None
    details: dict[str, Any] = {}
