"""What the candidates room promises: nothing is made twice, nothing finished is lost, money has a limit."""

import multiprocessing
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.jobs.attempt import (
    ATTEMPTS,
    Attempt,
    affordable,
    event_name,
    newest,
    spent_usd,
    what_next,
)
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.plan import Ledger, Plan, plan_production
from asset_pipeline.candidates.price import PerImage
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.profile import objections
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.records import CANDIDATES, collect, load_candidates, record_candidates
from asset_pipeline.candidates.request import Profile
from asset_pipeline.candidates.wanted import Wanted, want_candidates, wanted_sha256
from asset_pipeline.errors import (
    BudgetExceeded,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnfinishedRun,
)
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import Written
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import HEARTBEATS, Heartbeat, Worker, is_alive, working
from asset_pipeline_tests.drawing import Drawing
from asset_pipeline_tests.written_prompts import written_prompt

CAMPAIGN = "spring"
FREE = Profile(provider="drawing", title="Drawing", concurrency=2)
DEAD = Worker(worker_id="wdead", host="elsewhere", pid=1, started=0.0, run_id="run-0")


def prompt(number: int, *, width: int = 64) -> Prompt:
    return written_prompt(number, size=(width, 64))


def campaign(**fields: object) -> Campaign:
    return Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], **fields}
    )


def order(
    provider: Drawing,
    *,
    prompts: int = 4,
    each: int = 1,
    profile: Profile = FREE,
    budget_usd: float = 0.0,
    afresh: bool = False,
) -> Order:
    wanted = want_candidates(
        [prompt(number) for number in range(prompts)],
        campaign(candidates_per_prompt=each),
        profile,
        provider.version_of,
    )
    return Order(
        campaign_id=CAMPAIGN,
        wanted=wanted,
        profile_name="drawing",
        profile=profile,
        provider=provider,
        budget_usd=budget_usd,
        afresh=afresh,
    )


def run(store: Store, work: Order, run_id: str = "run-1") -> Progress:
    with working(store, run_id) as worker:
        return produce(work, store, worker, lambda _: None)


def claim(store: Store, wanted: Wanted, worker: Worker, number: int = 1) -> None:
    attempt = Attempt(
        candidate_id=wanted.candidate_id,
        attempt=number,
        state="submitting",
        run_id=worker.run_id,
        worker=worker,
        profile="drawing",
    )
    assert store.events.append(ATTEMPTS, CAMPAIGN, event_name(attempt), attempt)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def test_every_wanted_image_is_made_and_kept(store: Store) -> None:
    work = order(Drawing(), prompts=3, each=2)
    progress = run(store, work)
    candidates = collect(work, store, planned_sha256=wanted_sha256(work.wanted))
    assert (progress.made, progress.reused) == (6, 0)
    assert [each.state for each in candidates] == ["made"] * 6
    assert all(store.images.get(each.image_sha256 or "") for each in candidates)


def test_a_second_run_makes_nothing(store: Store) -> None:
    provider = Drawing()
    run(store, order(provider))
    progress = run(store, order(provider), "run-2")
    assert (progress.made, progress.reused) == (0, 4)
    assert len(provider.calls) == 4


def test_asking_for_more_later_keeps_those_that_exist(store: Store) -> None:
    provider = Drawing()
    run(store, order(provider, each=1))
    progress = run(store, order(provider, each=3), "run-2")
    assert (progress.made, progress.reused) == (8, 4)


def test_another_version_of_the_provider_makes_other_candidates() -> None:
    first, second = order(Drawing(version="1")), order(Drawing(version="2"))
    assert not {each.candidate_id for each in first.wanted} & {each.candidate_id for each in second.wanted}
    assert [each.asked.request.seed for each in first.wanted] == [
        each.asked.request.seed for each in second.wanted
    ]


def test_the_title_and_price_of_a_profile_do_not_rename_its_candidates() -> None:
    dearer = FREE.model_copy(update={"title": "Other", "price_usd_per_image": 1.0, "concurrency": 7})
    assert wanted_sha256(order(Drawing()).wanted) == wanted_sha256(order(Drawing(), profile=dearer).wanted)


def test_what_is_asked_for_afresh_is_made_again_and_only_once(store: Store) -> None:
    provider = Drawing()
    run(store, order(provider))
    assert run(store, order(provider, afresh=True), "run-2").made == 4
    assert run(store, order(provider, afresh=True), "run-2").made == 0


def test_what_a_dead_worker_claimed_is_settled_as_lost_and_made(store: Store) -> None:
    work = order(Drawing())
    claim(store, work.wanted[0], DEAD)
    assert run(store, work).made == 4
    states = [
        event.body.state
        for event in store.events.read(ATTEMPTS, CAMPAIGN)
        if event.body.candidate_id == work.wanted[0].candidate_id
    ]
    assert states == ["submitting", "lost", "submitting", "succeeded"]


def test_what_a_living_worker_is_making_is_waited_for(store: Store) -> None:
    provider = Drawing()
    work = order(provider)
    with working(store, "run-0") as other:
        claim(store, work.wanted[0], other)
        finished = Attempt(
            candidate_id=work.wanted[0].candidate_id,
            attempt=1,
            state="succeeded",
            run_id="run-0",
            worker=other,
            profile="drawing",
            image_sha256="a" * 64,
        )
        timer = threading.Timer(
            1.0, store.events.append, (ATTEMPTS, CAMPAIGN, event_name(finished), finished)
        )
        timer.start()
        progress = run(store, work)
    assert (progress.made, progress.reused) == (3, 1)
    assert work.wanted[0].candidate_id not in provider.calls


def test_a_refusal_is_kept_and_not_asked_for_again(store: Store) -> None:
    provider = Drawing(failures={"picture 1": ProviderRefused("the photograph is a scene")})
    work = order(provider)
    assert run(store, work).refused == 1
    assert run(store, work, "run-2").made == 0
    refused = [
        each
        for each in collect(work, store, planned_sha256=wanted_sha256(work.wanted))
        if each.state == "refused"
    ]
    assert [each.reason for each in refused] == ["the photograph is a scene"]
    assert len(provider.calls) == 4


def test_what_failed_is_tried_again_by_the_next_run(store: Store) -> None:
    provider = Drawing(failures={"picture 1": ProviderUnavailable("busy")})
    assert run(store, order(provider)).failed == 1
    provider.failures.clear()
    assert run(store, order(provider), "run-2").made == 1


def test_a_provider_that_is_down_is_left_alone_and_the_run_says_so(store: Store) -> None:
    down: dict[str, ProviderError] = {
        f"picture {number}": ProviderUnavailable("down") for number in range(50)
    }
    provider = Drawing(failures=down)
    with pytest.raises(ProviderUnavailable, match="in a row"):
        run(store, order(provider, prompts=50))
    assert len(provider.calls) < 25


def test_a_bug_met_by_one_image_stops_no_other_and_is_raised_at_the_end(store: Store) -> None:
    provider = Drawing(bugs={"picture 2"})
    with pytest.raises(ExceptionGroup) as raised:
        run(store, order(provider))
    assert isinstance(raised.value.exceptions[0], ZeroDivisionError)
    states = Counter(attempt.state for attempt in newest(store.events.read(ATTEMPTS, CAMPAIGN)).values())
    assert states == {"succeeded": 3, "failed": 1}


def test_the_budget_is_never_exceeded_and_what_it_pays_for_is_made(store: Store) -> None:
    priced = FREE.model_copy(update={"price": PerImage(unit="image", usd=0.3, source="a test")})
    with pytest.raises(BudgetExceeded, match="raise budget_usd"):
        run(store, order(Drawing(), profile=priced, budget_usd=1.0))
    with pytest.raises(BudgetExceeded):
        run(store, order(Drawing(), profile=priced, budget_usd=1.0), "run-2")
    assert spent_usd(store.events.read(ATTEMPTS, CAMPAIGN)) == pytest.approx(0.9)


def test_an_attempt_without_an_end_counts_with_what_it_was_expected_to_cost(store: Store) -> None:
    paid = Attempt(
        candidate_id="c1", attempt=1, state="submitting", run_id="r", worker=DEAD, profile="p", cost_usd=0.5
    )
    store.events.append(ATTEMPTS, CAMPAIGN, event_name(paid), paid)
    assert spent_usd(store.events.read(ATTEMPTS, CAMPAIGN)) == 0.5


@given(st.integers(0, 50), st.floats(0.001, 10), st.floats(0, 100), st.floats(0, 100))
def test_what_is_affordable_never_exceeds_the_budget(
    wanted: int, price: float, spent: float, budget: float
) -> None:
    count = affordable([price] * wanted, budget - spent)
    assert 0 <= count <= wanted
    assert count == 0 or spent + count * price <= budget + 1e-6


def test_a_batch_holds_requests_of_one_shape_and_no_more_than_the_profile_says(store: Store) -> None:
    provider = Drawing()
    profile = FREE.model_copy(update={"batch_size": 3, "concurrency": 1})
    prompts = [prompt(number, width=64 if number < 4 else 128) for number in range(6)]
    wanted = want_candidates(prompts, campaign(), profile, provider.version_of)
    work = Order(CAMPAIGN, wanted, "drawing", profile, provider, 0.0)
    run(store, work)
    assert sorted(provider.batches) == [1, 2, 3]


def test_shards_share_a_campaign_without_overlap() -> None:
    work = order(Drawing(), prompts=40)
    shards = [work.shard(index, 3).wanted for index in range(3)]
    assert sorted(each.candidate_id for shard in shards for each in shard) == sorted(
        each.candidate_id for each in work.wanted
    )
    assert all(shards)


def test_collecting_refuses_when_something_has_no_end(store: Store) -> None:
    work = order(Drawing())
    run(store, work.shard(0, 2))
    with pytest.raises(UnfinishedRun, match="have no end"):
        collect(work, store, planned_sha256=wanted_sha256(work.wanted))


def test_collecting_refuses_when_the_prompts_changed_meanwhile(store: Store) -> None:
    work = order(Drawing())
    run(store, work)
    with pytest.raises(UnfinishedRun, match="changed"):
        collect(work, store, planned_sha256="what was planned")


def test_a_candidate_keeps_the_fact_that_it_was_made_from(store: Store) -> None:
    work = order(Drawing(), prompts=1)
    run(store, work)
    record_candidates(
        store, CAMPAIGN, collect(work, store, planned_sha256=wanted_sha256(work.wanted)), run_id="r1"
    )
    repriced = [replace(each, prompt_fact_sha256="another fact of the same words") for each in work.wanted]
    later = Order(CAMPAIGN, repriced, "drawing", FREE, work.provider, 0.0)
    assert collect(later, store, planned_sha256=wanted_sha256(repriced)) == load_candidates(store, CAMPAIGN)
    assert len(store.facts.materialisations(CANDIDATES, CAMPAIGN)) == 1


def _produce_in_another_process(root: str, run_id: str) -> None:
    run(Store(root), order(Drawing(seconds=0.01), prompts=40), run_id)


def test_two_runs_of_one_campaign_at_once_make_each_image_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [
        context.Process(target=_produce_in_another_process, args=(str(tmp_path), f"run-{number}"))
        for number in range(2)
    ]
    for process in runs:
        process.start()
    for process in runs:
        process.join(60)
    attempts = [event.body for event in Store(str(tmp_path)).events.read(ATTEMPTS, CAMPAIGN)]
    assert [process.exitcode for process in runs] == [0, 0]
    assert Counter(attempt.state for attempt in attempts) == {"submitting": 40, "succeeded": 40}


def test_a_process_that_lives_is_alive_and_one_that_ended_is_not(store: Store) -> None:
    with working(store, "run-1") as worker:
        assert is_alive(store, worker)
        assert not is_alive(store, worker.model_copy(update={"started": worker.started - 100}))
        assert not is_alive(store, worker.model_copy(update={"pid": 2**22 + 1}))


def test_a_worker_that_ended_is_not_alive_though_its_process_is(store: Store) -> None:
    with working(store, "run-1") as worker:
        pass
    assert not is_alive(store, worker)


def test_a_step_that_broke_off_does_not_keep_its_next_try_waiting(store: Store) -> None:
    work = order(Drawing())
    with working(store, "run-1") as worker:
        claim(store, work.wanted[0], worker)
    assert run(store, work, "run-1").made == 4


def test_a_worker_on_another_machine_is_alive_while_its_heartbeat_is_recent(store: Store) -> None:
    now = datetime.now(UTC)
    store.events.append(HEARTBEATS, DEAD.worker_id, "00000000", Heartbeat(worker=DEAD), now=now)
    assert is_alive(store, DEAD, now=now + timedelta(seconds=100))
    assert not is_alive(store, DEAD, now=now + timedelta(seconds=200))


@pytest.mark.parametrize(
    ("state", "alive", "action"),
    [
        ("submitting", True, "wait"),
        ("submitting", False, "bury"),
        ("succeeded", False, "reuse"),
        ("refused", False, "reuse"),
        ("failed", False, "make"),
        ("lost", False, "make"),
    ],
)
def test_what_follows_an_attempt_depends_on_its_end(state: str, alive: bool, action: str) -> None:
    last = Attempt.model_validate(
        {"candidate_id": "c", "attempt": 3, "state": state, "run_id": "run-0", "worker": DEAD, "profile": "p"}
    )
    step = what_next(last, owner_is_alive=alive, this_run="run-1", afresh=False)
    assert step.action == action
    assert step.attempt == (4 if action == "make" else 3)
    assert "run-0" in step.reason or state in step.reason


def test_local_only_material_never_goes_to_a_remote_profile() -> None:
    remote = FREE.model_copy(update={"is_remote": True})
    secret = campaign(sensitivity="local_only")
    assert objections(secret, remote, date(2026, 1, 1))
    assert not objections(secret, FREE, date(2026, 1, 1))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"sensitivity": "confidential"}, "cleared"),
        ({"deadline": "2026-01-01"}, "deadline"),
    ],
)
def test_a_profile_that_may_not_take_a_campaign_says_why(fields: dict[str, str], word: str) -> None:
    public = FREE.model_copy(update={"sensitivities": ("public", "internal")})
    found: Sequence[str] = objections(campaign(**fields), public, date(2026, 1, 2))
    assert len(found) == 1
    assert word in found[0]


def plan(work: Order, store: Store) -> Plan:
    written = Written([each.prompt for each in work.wanted], [], products=len(work.wanted), unknown_skus=[])
    events = store.events.read(ATTEMPTS, CAMPAIGN)
    ledger = Ledger(newest(events), load_candidates(store, CAMPAIGN), spent_usd(events))
    return plan_production(work, campaign(), written, ledger, date(2026, 1, 1))


def test_a_plan_says_what_is_new_what_is_reused_and_what_it_costs(store: Store) -> None:
    priced = FREE.model_copy(update={"price": PerImage(unit="image", usd=0.5, source="a test")})
    first = plan(order(Drawing(), prompts=2, profile=priced, budget_usd=3.0), store)
    assert (first.make, first.reuse, first.cost_usd, first.has_run) == (2, 0, 1.0, False)
    work = order(Drawing(), prompts=2, profile=priced, budget_usd=3.0)
    run(store, work)
    candidates = collect(work, store, planned_sha256=wanted_sha256(work.wanted))
    record_candidates(store, CAMPAIGN, candidates, run_id="r1")
    later = plan(order(Drawing(), prompts=3, profile=priced, budget_usd=3.0), store)
    assert (later.make, later.reuse, later.spent_usd, later.new_skus) == (1, 2, 1.0, ("SKU-2",))
    assert later.is_affordable


def test_a_plan_for_another_version_remakes_all_of_it_and_calls_no_product_new(store: Store) -> None:
    work = order(Drawing(), prompts=3)
    run(store, work)
    candidates = collect(work, store, planned_sha256=wanted_sha256(work.wanted))
    record_candidates(store, CAMPAIGN, candidates, run_id="r1")
    changed = plan(order(Drawing(version="2"), prompts=3), store)
    assert (changed.make, changed.reuse, changed.new_skus, changed.no_longer_wanted) == (3, 0, (), 3)


def test_a_plan_beyond_the_budget_says_so(store: Store) -> None:
    priced = FREE.model_copy(update={"price": PerImage(unit="image", usd=2.0, source="a test")})
    assert not plan(order(Drawing(), profile=priced, budget_usd=7.9), store).is_affordable
    assert plan(order(Drawing(), profile=priced, budget_usd=8.0), store).is_affordable


def test_a_plan_says_what_the_provider_has_no_words_for(store: Store) -> None:
    impossible = FREE.model_copy(update={"parameters": {"mode": "impossible"}})
    assert plan(order(Drawing(), profile=impossible), store).objections == (
        "drawing knows no mode 'impossible'",
    )


def test_an_attempt_that_gave_no_image_costs_nothing(store: Store) -> None:
    priced = FREE.model_copy(update={"price": PerImage(unit="image", usd=0.5, source="a test")})
    provider = Drawing(failures={"picture 1": ProviderRefused("no")}, bugs={"picture 2"})
    with pytest.raises(ExceptionGroup):
        run(store, order(provider, profile=priced, budget_usd=10.0))
    assert spent_usd(store.events.read(ATTEMPTS, CAMPAIGN)) == 1.0
