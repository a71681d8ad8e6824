"""The real vendors, one picture each. Skipped unless ASSET_PIPELINE_LIVE names the profile and a key is set.

Each costs what its profile says (``price`` in ``data/profiles``): mostly a few cents, at most 70.

    ASSET_PIPELINE_LIVE=flux1-schnell-replicate pytest asset_pipeline_tests/test_live_providers.py
"""

import os
from pathlib import Path

import pytest

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.jobs.remote import Remote
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.profile import load_profile, load_profiles
from asset_pipeline.candidates.wanted import want_candidates
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.definitions import providers
from asset_pipeline.store.store import Store
from asset_pipeline_tests.remote_orders import SPRING, attempts, run, spent
from asset_pipeline_tests.written_prompts import written_prompt

DATA = Path(__file__).parent.parent / "data"
MOST_USD = 0.70
CHOSEN = {name for name in os.environ.get("ASSET_PIPELINE_LIVE", "").split(",") if name}
REMOTE = sorted(name for name, profile in load_profiles(DATA).items() if profile.endpoint is not None)


@pytest.mark.parametrize("name", REMOTE)
def test_a_profile_makes_one_picture_and_its_books_say_what_it_cost(name: str, tmp_path: Path) -> None:
    made_by = providers(Checkpoints(DATA, os.environ))
    profile = load_profile(DATA, name, made_by)
    provider, endpoint = made_by[profile.provider], profile.endpoint
    cost = profile.most_usd(1024, 1024)
    if name not in CHOSEN:
        pytest.skip(f"costs up to ${cost:.4f}: name it in ASSET_PIPELINE_LIVE")
    assert isinstance(provider, Remote)
    assert endpoint is not None
    if unready := provider.unready(endpoint):
        pytest.skip(unready)
    assert cost <= MOST_USD
    words = "a blue mug on a wooden table, soft morning light"
    asked = written_prompt(1, words, size=(1024, 1024))
    campaign = Campaign.model_validate({"title": "Live", "asset_types": ["tile"], "locales": ["en-GB"]})
    wanted = want_candidates([asked], campaign, profile, provider.version_of)
    store = Store(str(tmp_path / "store"))
    run(store, Order(SPRING, wanted, name, profile, provider, budget_usd=MOST_USD, sensitivity="public"))
    (attempt,) = attempts(store).values()
    assert attempt.state == "succeeded", attempt.reason
    assert store.images.has(attempt.image_sha256 or "")
    assert spent(store) <= MOST_USD
