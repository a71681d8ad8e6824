"""One attempt at a vendor that answers with the picture, and photographs to send along."""

from collections.abc import Mapping
from typing import Any

from asset_pipeline.candidates.jobs.job import Job, Standing
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.server import Vendor, picture


def photograph(role: PhotographRole, seed: int) -> tuple[ImageReference, bytes]:
    """A small photograph and how a request names it."""
    data = picture(32, 32, seed)
    reference = ImageReference(role=role, sha256=sha256_of(data), media_type="image/png", width=32, height=32)
    return reference, data


def attempt(
    case: Case,
    vendor: Vendor,
    job: Job | None = None,
    photographs: Mapping[str, bytes] | None = None,
    **endpoint: Any,
) -> Standing:
    """Draft a job and submit it, as the life of an attempt does."""
    job = job or job_for(case.parameters)
    with case.wire(vendor, **endpoint) as wire:
        draft = case.adapter.draft(job, {})
        return case.adapter.submit(wire, job, draft, photographs or {})
