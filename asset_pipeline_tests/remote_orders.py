"""Campaigns made by remote providers in tests: orders of a few pictures, profiles with quick polling,
books."""

from collections.abc import Mapping, Sequence
from typing import Any

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, Attempt, newest, spent_usd, standings
from asset_pipeline.candidates.jobs.remote import Remote
from asset_pipeline.candidates.order import Lane, Order
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.request import Profile, Provider
from asset_pipeline.candidates.wanted import want_candidates
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Vendor
from asset_pipeline_tests.written_prompts import written_prompt

SPRING = "spring"
QUICK = {
    "polling": {"first": 0.05, "longest": 0.1, "rechecks": 2},
    "timeouts": {"connect": 2.0, "submit": 2.0, "start": 20.0, "run": 20.0, "reconcile": 0.5},
}


def prompt(number: int, **parameters: Any) -> Prompt:
    """A small one that is wider than high."""
    return written_prompt(number, size=(128, 64), **parameters)


def lane(
    case: Case,
    vendor: Vendor,
    *,
    name: str | None = None,
    endpoint: Mapping[str, Any] | None = None,
    usd: float | None = None,
    **profile: Any,
) -> Lane:
    """A profile for a vendor that listens, with its key in an environment of its own."""
    given: dict[str, Any] = {
        "provider": case.adapter.name,
        "title": case.adapter.name,
        "is_remote": True,
        "parameters": dict(case.parameters),
        "price": {"unit": "image", "usd": vendor.price_usd if usd is None else usd, "source": "a test"},
        "endpoint": {
            "base_url": vendor.base_url,
            "key_env": "KEY",
            **QUICK,
            **case.endpoint,
            **(endpoint or {}),
        },
        "concurrency": 4,
    }
    provider: Provider = Remote(case.adapter, {"KEY": vendor.key})
    return Lane(name or case.adapter.name, Profile.model_validate(given | profile), provider)


def order(
    lanes: Lane | Sequence[Lane],
    prompts: int | Sequence[Prompt] = 3,
    *,
    budget_usd: float = 100.0,
    **more: Any,
) -> Order:
    """A campaign of one candidate for each prompt; the first lane is its own profile."""
    first, *others = [lanes] if isinstance(lanes, Lane) else lanes
    asked = [prompt(number) for number in range(prompts)] if isinstance(prompts, int) else prompts
    campaign = Campaign.model_validate({"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"]})
    wanted = want_candidates(asked, campaign, first.profile, first.provider.version_of)
    given: dict[str, Any] = {"sensitivity": "public", "alternatives": tuple(others), "budget_usd": budget_usd}
    return Order(SPRING, wanted, first.name, first.profile, first.provider, **(given | more))


def run(store: Store, work: Order, run_id: str = "run-1", log: list[str] | None = None) -> Progress:
    with working(store, run_id) as worker:
        return produce(work, store, worker, (log if log is not None else []).append)


def attempts(store: Store) -> dict[str, Attempt]:
    """The newest state of each candidate's newest attempt."""
    return newest(store.events.read(ATTEMPTS, SPRING))


def every_attempt(store: Store) -> list[Attempt]:
    """The newest state of every attempt."""
    return list(standings(store.events.read(ATTEMPTS, SPRING)).values())


def spent(store: Store) -> float:
    return spent_usd(store.events.read(ATTEMPTS, SPRING))
