"""An adapter with the vendor it is tried on: what the promise suite is run over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.adapter import Adapter
from asset_pipeline.candidates.jobs.job import Job, RemoteParameters
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference, ImageRequest
from asset_pipeline_tests.vendors.server import Vendor


@dataclass(frozen=True)
class Case:
    """One adapter, the vendor that it speaks to, and how a profile configures it."""

    adapter: Adapter
    vendor: Callable[[], Vendor]
    parameters: Mapping[str, Any]
    """A profile's parameters with which a plain prompt, a size and a seed can be said or may be dropped."""
    endpoint: Mapping[str, Any] = field(default_factory=dict)
    """An endpoint's fields besides ``base_url`` and the key."""

    def wire(self, vendor: Vendor, **changes: Any) -> Wire:
        """The way to a vendor that listens."""
        endpoint = Endpoint.model_validate({"base_url": vendor.base_url, **self.endpoint, **changes})
        abilities = self.adapter.abilities
        return Wire(self.adapter.name, endpoint, self.adapter.headers(vendor.key), abilities.output_hosts)


def job_for(
    parameters: Mapping[str, Any],
    *,
    seed: int = 7,
    references: tuple[ImageReference, ...] = (),
    attempt: int = 1,
    **request: Any,
) -> Job:
    """A job as the adapter is handed it: a small picture of a mug."""
    given = {"prompt": "a mug on a table", "width": 128, "height": 64, **request}
    return Job(
        request=ImageRequest(seed=seed, references=references, profile_fingerprint="f", **given),
        attempt=attempt,
        campaign="spring",
        profile="remote",
        parameters=RemoteParameters.model_validate(dict(parameters)),
        client_id=f"00000000-0000-5000-8000-{seed:012x}",
    )
