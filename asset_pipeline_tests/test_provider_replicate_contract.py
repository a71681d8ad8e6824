"""Every request to Replicate is one that its own description of the API allows."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.job import Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import ProviderRefused
from asset_pipeline.providers.replicate import Replicate
from asset_pipeline_tests.peers.replicate_validator import ReplicateValidator
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.replicate import VERSION

ADAPTER = Replicate()
HASH = "0" * 64
BASE = ImageReference(role="base", sha256=HASH, media_type="image/png", width=8, height=8)


@pytest.fixture
def wire(replicate_validator: ReplicateValidator) -> Iterator[Wire]:
    endpoint = Endpoint(base_url=replicate_validator.url)
    with Wire("Replicate", endpoint, ADAPTER.headers("r8_key")) as wire:
        yield wire


@pytest.mark.parametrize("model", ["acme/mugs", f"acme/mugs:{VERSION}", "deployments/acme/fast-mugs"])
@pytest.mark.parametrize("webhook_url", [None, "https://hooks.example/webhooks/replicate/token"])
def test_a_submission_is_as_described(wire: Wire, model: str, webhook_url: str | None) -> None:
    parameters: dict[str, Any] = {
        "model": model,
        "native": {"output_format": "png"},
        "references": {"base": "image_prompts[]"},
    }
    job = job_for(parameters, references=(BASE,)).model_copy(update={"webhook_url": webhook_url})
    standing = ADAPTER.submit(wire, job, ADAPTER.draft(job, {HASH: "data:image/png;base64,AAAA"}), {})
    assert standing.ticket is not None


def test_what_is_asked_is_as_described(wire: Wire) -> None:
    job, ticket = job_for({"model": "acme/mugs"}), Ticket(job_id="p1")
    assert ADAPTER.look(wire, job, ticket).ticket == ticket
    assert ADAPTER.cancel(wire, job, ticket)
    assert ADAPTER.upload(wire, BASE, bytes(300_000))


def test_the_validator_would_say_otherwise(wire: Wire) -> None:
    with pytest.raises(ProviderRefused):
        wire.submit("models/acme/mugs/predictions", {"input": {}, "webhook_events_filter": ["finished"]})
    listing = httpx.get(wire.url("predictions"))
    assert listing.status_code == 401
