"""Every adapter with the vendor it is tried on, by the name of the vendor's file."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from asset_pipeline.candidates.jobs.adapter import Abilities, Adapter
from asset_pipeline.candidates.jobs.job import Job, Standing, Ticket
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline_tests import comfyui_fake, vendors
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.server import Behaviour, Reply, Request, Vendor
from asset_pipeline_tests.vendors.server import serving as serving_one


def _found() -> dict[str, Case]:
    modules = (
        importlib.import_module(f"{vendors.__name__}.{each.name}")
        for each in pkgutil.iter_modules(vendors.__path__)
        if each.name != "cases"
    )
    return {each.__name__.rpartition(".")[2]: each.case() for each in modules if hasattr(each, "case")}


CASES: dict[str, Case] = _found()


@contextmanager
def serving(vendor: Vendor) -> Iterator[Vendor]:
    """Let a vendor listen, each in its own way."""
    if isinstance(vendor, comfyui_fake.ComfyUI):
        with comfyui_fake.serving(vendor):
            yield vendor
    else:
        with serving_one(vendor):
            yield vendor


@dataclass
class Stage:
    """An adapter, its vendor at work, and everything that the vendor was told and answered."""

    case: Case
    vendor: Vendor
    wire: Wire
    told: list[Request]
    change: Callable[[Request, Reply], Reply] = field(default=lambda _, reply: reply)
    """What becomes of an answer on its way."""

    @property
    def adapter(self) -> Adapter:
        return self.case.adapter

    @property
    def abilities(self) -> Abilities:
        return self.case.adapter.abilities

    @property
    def submissions(self) -> list[Request]:
        """Those requests that may have cost money."""
        return [each for each in self.told if self.vendor.is_submission(each)]

    def job(self, **changes: Any) -> Job:
        return job_for(self.case.parameters).model_copy(update=changes)

    def submit(self, job: Job | None = None) -> Standing:
        job = job or self.job()
        return self.adapter.submit(self.wire, job, self.adapter.draft(job, {}), {})

    def look(self, ticket: Ticket | None, job: Job | None = None) -> Standing:
        assert ticket is not None
        return self.adapter.look(self.wire, job or self.job(), ticket)

    def forget(self) -> None:
        """Let the vendor lose all jobs, as after a restart or beyond its retention."""
        for each in self.vendor.jobs:
            each.is_forgotten = True
        self.vendor.restart()


@contextmanager
def staged(case: Case, *, always: Behaviour | None = None, **endpoint: Any) -> Iterator[Stage]:
    """Let a case's vendor listen, with the way to it."""
    with serving(case.vendor()) as vendor:
        vendor.always = always or vendor.always
        with case.wire(vendor, **endpoint) as wire:
            stage = Stage(case, vendor, wire, [])
            answer = vendor.answer

            def overheard(request: Request) -> Reply:
                stage.told.append(request)
                return stage.change(request, answer(request))

            setattr(vendor, "answer", overheard)  # noqa: B010 - for mypy a method is nothing to assign to
            yield stage


def copied(case: Case, **parameters: Any) -> Case:
    """A case with other parameters."""
    return replace(case, parameters={**case.parameters, **parameters})
