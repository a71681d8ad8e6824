"""What a funnel promises: no more than is needed, never more than was allowed, and all of it on record."""

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asset_pipeline import definitions
from asset_pipeline.campaign.brief import Campaign, Funnel, load_campaign
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.funnel import (
    Decision,
    Left,
    Share,
    Standing,
    Stop,
    Terms,
    Tried,
    deal,
    decide,
    first_round,
    next_knobs,
    pass_rates,
    pictures_for,
)
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, spent_usd
from asset_pipeline.candidates.judge import Gated
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.plan import Ledger, Plan, plan_production
from asset_pipeline.candidates.progress import Progress
from asset_pipeline.candidates.records import (
    Workshop,
    collect,
    load_attempts,
    load_candidates,
    load_spent_usd,
    order_for,
    record_candidates,
    recorded_order,
)
from asset_pipeline.candidates.shard import Shard, make_shard
from asset_pipeline.candidates.summary import describe_rounds
from asset_pipeline.candidates.waves import WAVES, Rounds, Wave, load_waves, record_wave
from asset_pipeline.decisions.decision import Decision as PersonsDecision
from asset_pipeline.decisions.records import decide as person_decides
from asset_pipeline.errors import (
    InvalidFile,
    NoRoute,
    ProviderError,
    ProviderRefused,
    UnfinishedRun,
    UnsupportedRequest,
)
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import PROMPTS, Written, load_prompts
from asset_pipeline.scores.gates import Gates
from asset_pipeline.scores.records import MEASUREMENTS, load_measurements
from asset_pipeline.store.store import Store
from asset_pipeline_tests.drawing import Drawing
from asset_pipeline_tests.small_project import write_project

SPRING = "spring"
TERMS = Terms(keep=3, make=240, rounds=4, budget_usd=10.0)
PLENTY = Left(make=120, affordable=1000)
PLAIN = Funnel(make=240, keep=60)
ALIGNMENT = "prompt_alignment"


# In the campaign's file


def brief(**fields: Any) -> Campaign:
    return Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], **fields}
    )


@pytest.mark.parametrize("line", ["240 -> 60", "240->60", " 240 → 60 "])
def test_one_line_says_how_many_are_made_and_kept(line: str) -> None:
    funnel = brief(funnel=line).funnel
    assert funnel == Funnel(make=240, keep=60, rounds=4, first=0.5)


def test_a_campaign_without_a_funnel_is_as_it_was() -> None:
    campaign = brief(candidates_per_prompt=3, keep=2)
    assert (campaign.funnel, campaign.candidates_per_prompt, campaign.keep) == (None, 3, 2)


def test_what_is_kept_is_dealt_over_the_prompts_and_rounded_up() -> None:
    assert [PLAIN.keep_per_prompt(prompts) for prompts in (1, 7, 20, 60, 61, 240)] == [60, 9, 3, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("funnel: 60 -> 240", "funnel: keep (240) is more than make (60)"),
        ("funnel: 240", "funnel: write how many are made and kept, as in 240 -> 60"),
        ("funnel: many", "funnel: write how many are made and kept, as in 240 -> 60"),
        ("funnel: {make: 240}", "funnel.keep: Field required"),
        ("funnel: {make: 240, keep: 60, round: 3}", "funnel.round: no such field"),
        ("funnel: {make: 240, keep: 60, first: 0}", "funnel.first"),
        ("funnel: {make: 240, keep: 60, vary: {steps: []}}", "funnel.vary.steps.values"),
        ("funnel: {make: 240, keep: 60, vary: {steps: [9, 9]}}", "a value stands there twice"),
        ("funnel: 240 -> 60\nkeep: 2", "leave out keep"),
        ("funnel: 240 -> 60\ncandidates_per_prompt: 2", "leave out candidates_per_prompt"),
    ],
)
def test_what_contradicts_itself_is_told_by_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "campaigns").mkdir()
    path = tmp_path / "campaigns" / "spring.yaml"
    path.write_text(f"title: Spring\nasset_types: [tile]\nlocales: [en-GB]\n{text}\n")
    with pytest.raises(InvalidFile) as error:
        load_campaign(tmp_path, SPRING)
    assert words in str(error.value)
    assert str(error.value).startswith(f"{path}:")


# How many more


def tried(outcomes: str, *, failed: str = ALIGNMENT, wave: int = 1) -> list[Tried]:
    """A candidate for each sign: + passes, - does not."""
    return [
        Tried(wave, "made", Gated(passes=sign == "+", failed=() if sign == "+" else (failed,)))
        for sign in outcomes
    ]


def share(size: int, number: int = 1, first: int = 0, **knobs: Any) -> Share:
    return Share(
        prompt_id="p0",
        profile_fingerprint="f",
        round=number,
        positions=tuple(range(first, first + size)),
        knobs=knobs,
        why="",
    )


def standing(passed: int, made: int, prompt: int = 0, kind: str = "tile", **fields: Any) -> Standing:
    outcomes = tried("+" * passed + "-" * (made - passed))
    return Standing(f"p{prompt}", kind, "f", **{"rounds": [share(made)], "tried": outcomes, **fields})


def new(prompt: int = 0) -> Standing:
    return Standing(f"p{prompt}", "tile", "f")


def sizes(decision: Decision) -> dict[str, int]:
    return {each.prompt_id: len(each.positions) for each in decision.shares}


def ends(decision: Decision) -> dict[str, str]:
    return {each.prompt_id: each.by for each in decision.stops}


def test_the_first_round_is_the_first_share_dealt_over_the_prompts() -> None:
    decision = decide(PLAIN, TERMS, [new(number) for number in range(20)], Left(240, 1000))
    assert sizes(decision) == {f"p{number}": 6 for number in range(20)}
    assert decision.shares[0].positions == (0, 1, 2, 3, 4, 5)
    assert not decision.stops


def test_the_first_round_is_never_fewer_than_a_prompt_needs() -> None:
    assert first_round(Funnel(make=60, keep=60), 20) == 3
    assert first_round(Funnel(make=240, keep=60, first=0.01), 20) == 3


def test_the_next_round_is_what_is_missing_over_the_pass_rate() -> None:
    half = [standing(2, 6, 0), standing(4, 6, 1), *(standing(3, 6, number) for number in range(2, 12))]
    decision = decide(PLAIN, TERMS, half, PLENTY)
    assert sizes(decision) == {"p0": pictures_for(1, pass_rates(half)["p0"])} == {"p0": 3}
    assert decision.shares[0].positions == (6, 7, 8)
    assert decision.shares[0].round == 2
    assert "2 of the 3 wanted passed, of 6 made" in decision.shares[0].why
    assert ends(decision) == {f"p{number}": "enough" for number in range(1, 12)}


def test_a_prompt_with_few_pictures_has_nearly_its_asset_types_rate_and_one_with_many_its_own() -> None:
    bad, good = [standing(5, 50, 1, "hero")], [standing(45, 50, 2)]
    few = pass_rates([*bad, *good, standing(0, 1, 3, "hero"), standing(0, 1, 4)])
    assert few["p3"] < 0.15
    assert few["p4"] > 0.6
    many = pass_rates([*bad, *good, standing(0, 40, 3, "hero"), standing(0, 40, 4)])
    assert many["p4"] < 0.1


def test_nothing_seen_is_taken_for_one_half() -> None:
    assert pass_rates([new()]) == {"p0": 0.5}


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_no_round_asks_for_more_than_is_left_nor_for_more_than_a_prompt_needs(
    seen: list[tuple[int, int]], make: int, affordable: int
) -> None:
    those = [
        standing(min(passed, made), made, number) if made else new(number)
        for number, (passed, made) in enumerate(seen)
    ]
    decision = decide(PLAIN, TERMS, those, Left(make, affordable))
    rates = pass_rates(those)
    assert sum(sizes(decision).values()) <= min(make, affordable)
    for each in decision.shares:
        one = those[int(each.prompt_id[1:])]
        needed = (
            pictures_for(3 - one.passed, rates[each.prompt_id])
            if one.rounds
            else first_round(PLAIN, len(those))
        )
        assert 1 <= len(each.positions) <= needed
    assert not sizes(decision).keys() & ends(decision).keys()


def test_what_is_left_is_shared_and_those_that_need_least_come_first() -> None:
    assert deal({"a": 9, "b": 2, "c": 9}, 12) == {"a": 5, "b": 2, "c": 5}
    assert deal({"a": 9, "b": 2, "c": 1}, 2) == {"a": 0, "b": 1, "c": 1}
    assert deal({"a": 9}, 0) == {"a": 0}
    decision = decide(PLAIN, TERMS, [standing(0, 6, number) for number in range(2)], Left(6, 1000))
    assert sizes(decision) == {"p0": 3, "p1": 3}
    assert "3 is its share of the 6 that are left" in decision.shares[0].why


# What ends it


@pytest.mark.parametrize(
    ("left", "by", "words"),
    [
        (Left(0, 10), "make", "has asked for all 240 that it may"),
        (Left(10, 0), "budget", "the budget of $10.00 pays for no further one"),
        (Left(10, 10, is_late=True), "deadline", "the campaign's deadline was"),
    ],
)
def test_the_campaigns_bounds_end_it_for_all_that_are_short(left: Left, by: str, words: str) -> None:
    decision = decide(PLAIN, TERMS, [standing(1, 6, 0), standing(3, 6, 1), new(2)], left)
    assert not decision.shares
    assert ends(decision) == {"p0": by, "p1": "enough", "p2": by}
    assert decision.stops[0].why.startswith("1 of the 3 wanted passed, of 6 made: ")
    assert words in decision.stops[0].why


def test_the_most_rounds_end_it_for_the_prompt_that_had_them() -> None:
    four = standing(0, 8, 0, rounds=[share(2, number, 2 * number - 2) for number in (1, 2, 3, 4)])
    decision = decide(PLAIN, TERMS, [four, standing(1, 2, 1)], PLENTY)
    assert ends(decision) == {"p0": "rounds"}
    assert sizes(decision).keys() == {"p1"}


def test_a_prompt_that_is_always_refused_is_not_asked_again() -> None:
    refused = [Tried(1, "refused", reason="no faces")] * 6
    decision = decide(PLAIN, TERMS, [standing(0, 6, tried=refused)], PLENTY)
    assert ends(decision) == {"p0": "refused"}
    assert "no faces" in decision.stops[0].why
    some = [*refused[:5], *tried("-")]
    assert sizes(decide(PLAIN, TERMS, [standing(0, 6, tried=some)], PLENTY)).keys() == {"p0"}


def test_a_round_that_failed_waits_for_the_next_run_and_one_that_failed_in_part_goes_on() -> None:
    failed = [Tried(1, "failed", reason="time out")] * 6
    decision = decide(PLAIN, TERMS, [standing(0, 6, tried=failed)], PLENTY)
    assert (ends(decision), decision.stops[0].made) == ({"p0": "failed"}, 0)
    assert "time out" in decision.stops[0].why
    partly = [*failed[:5], *tried("+")]
    assert sizes(decide(PLAIN, TERMS, [standing(0, 6, tried=partly)], PLENTY)).keys() == {"p0"}


def test_what_can_be_measured_on_no_picture_is_not_tried_on_more_of_them() -> None:
    blind = [Tried(1, "made", Gated(passes=False, unmeasured=("colour", "noise")))] * 5
    other = Tried(1, "made", Gated(passes=False, unmeasured=("colour",)))
    decision = decide(PLAIN, TERMS, [standing(0, 6, tried=[*blind, other])], PLENTY)
    assert ends(decision) == {"p0": "unmeasured"}
    assert "colour could be measured on none of them" in decision.stops[0].why
    assert decide(PLAIN, TERMS, [standing(0, 6, tried=[*blind, *tried("-")])], PLENTY).shares


def test_a_round_that_the_budget_pays_for_in_part_ends_by_the_budget() -> None:
    partly = [*tried("--"), Tried(1, "unmade")]
    decision = decide(PLAIN, TERMS, [standing(0, 3, tried=partly)], Left(0, 0))
    assert ends(decision) == {"p0": "budget"}


def test_what_was_said_is_not_said_again() -> None:
    blind = [Tried(1, "made", Gated(passes=False, unmeasured=("colour",)))] * 6
    first = decide(PLAIN, TERMS, [standing(0, 6, tried=blind)], PLENTY)
    again = decide(PLAIN, TERMS, [standing(0, 6, tried=blind, stop=first.stops[0])], PLENTY)
    assert again == Decision((), ())


def stopped(by: str) -> Stop:
    return Stop.model_validate(
        {"prompt_id": "p0", "profile_fingerprint": "f", "by": by, "passed": 1, "made": 6, "why": ""}
    )


@pytest.mark.parametrize("by", ["rounds", "make", "budget", "deadline", "refused"])
@pytest.mark.parametrize(
    "wider", [{"make": 300}, {"rounds": 5}, {"budget_usd": 11.0}, {"keep": 4}, {"deadline": None}]
)
def test_a_prompt_that_is_short_goes_on_when_a_bound_is_wider(by: str, wider: dict[str, Any]) -> None:
    then = TERMS.model_copy(update={"deadline": date(2030, 1, 1)})
    assert stopped(by).holds(then, then)
    assert not stopped(by).holds(then, then.model_copy(update=wider))
    assert stopped(by).holds(then.model_copy(update=wider), then)


def test_what_was_enough_stays_enough_until_more_is_wanted() -> None:
    assert stopped("enough").holds(TERMS, TERMS.model_copy(update={"make": 999, "rounds": 9, "keep": 2}))
    assert not stopped("enough").holds(TERMS, TERMS.model_copy(update={"keep": 4}))


def test_the_last_word_on_a_prompt_is_what_counts() -> None:
    ended = Wave(number=1, run_id="r", terms=TERMS, stops=(stopped("budget"),))
    reopened = Wave(number=2, run_id="r", terms=TERMS.model_copy(update={"make": 300}), shares=(share(2),))
    rounds = Rounds(PLAIN, reopened.terms, [prompt(0)], {"p0": "f"}, [ended])
    assert (rounds.going_on, rounds.open) == ([], ["p0"])
    assert replace(rounds, terms=TERMS).open == []
    assert replace(rounds, waves=[ended, reopened]).going_on == ["p0"]
    assert replace(rounds, profiles={"p0": "another"}, terms=TERMS).going_on == ["p0"]


# What may change


VARIED = Funnel.model_validate(
    {
        "make": 240,
        "keep": 60,
        "vary": {"guidance_scale": {"values": [3.0, 4.0, 5.0], "when": [ALIGNMENT]}, "steps": [20, 30]},
    }
)


def moved(outcomes: Sequence[Tried], before: Mapping[str, Any] = {}) -> dict[str, Any]:
    one = standing(0, 0, rounds=[share(len(outcomes), **before)], tried=outcomes)
    return next_knobs(VARIED, replace(one, parameters={"guidance_scale": 3.0}))[0]


def test_a_failed_dimension_moves_its_parameter_to_the_next_value() -> None:
    assert moved(tried("+--")) == {"guidance_scale": 4.0, "steps": 20}
    assert moved(tried("--"), {"guidance_scale": 4.0, "steps": 20}) == {
        "guidance_scale": 5.0,
        "steps": 30,
    }


def test_a_parameter_stays_at_the_end_of_its_values() -> None:
    last = {"guidance_scale": 5.0, "steps": 30}
    assert moved(tried("--"), last) == last


def test_only_the_dimension_that_a_parameter_is_for_moves_it() -> None:
    assert moved(tried("--", failed="noise")) == {"steps": 20}


def test_what_keeps_fewer_than_half_from_passing_moves_nothing() -> None:
    assert moved(tried("++-")) == {}
    assert moved(tried("+-")) == {"guidance_scale": 4.0, "steps": 20}


def test_a_parameter_that_is_not_among_its_values_goes_to_the_first_of_them() -> None:
    assert moved(tried("-"), {"guidance_scale": 9.0, "steps": 20})["guidance_scale"] == 3.0


def test_the_reason_of_a_move_is_told() -> None:
    one = standing(1, 4, parameters={"guidance_scale": 3.0})
    (each,) = decide(VARIED, TERMS, [one], PLENTY).shares
    assert "guidance_scale 3.0 → 4.0, as prompt_alignment kept 3 of 4 from passing" in each.why
    assert "steps not set → 20" in each.why


def test_without_declared_parameters_nothing_changes() -> None:
    assert decide(PLAIN, TERMS, [standing(0, 4)], PLENTY).shares[0].knobs == {}


# Rounds, made and recorded


@dataclass
class Sieve:
    """Lets through what `passes` says; looks at each picture once, as a journal would have it."""

    passes: Callable[[Candidate], bool] = lambda candidate: candidate.request.seed % 2 == 0
    measured: list[str] = field(default_factory=list)
    unmeasured: tuple[str, ...] = ()
    before: Callable[[], None] = lambda: None

    def dimensions(self) -> set[str]:
        return {ALIGNMENT}

    def judge(
        self, campaign_id: str, candidates: Sequence[Candidate], *, run_id: str, report: Callable[[str], None]
    ) -> Mapping[str, Gated]:
        assert campaign_id == SPRING
        self.before()
        report(f"{run_id}: {len(candidates)} looked at")
        self.measured += [each.candidate_id for each in candidates if each.candidate_id not in self.measured]
        return {
            each.candidate_id: Gated(
                passes=self.passes(each),
                failed=() if self.passes(each) or self.unmeasured else (ALIGNMENT,),
                unmeasured=() if self.passes(each) else self.unmeasured,
            )
            for each in candidates
        }


class Picky(Drawing):
    """Knows one parameter and no other."""

    def version_of(self, parameters: Mapping[str, Any]) -> str:
        if unknown := parameters.keys() - {"guidance_scale"}:
            raise UnsupportedRequest(f"drawing has no parameter {min(unknown)!r}")
        return "1"

    def check(self, asked: Any) -> None:
        if asked.parameters.get("guidance_scale", 1) > 9:
            raise UnsupportedRequest("drawing has no guidance_scale above 9")


def prompt(number: int, **fields: Any) -> Prompt:
    said = {
        "prompt_id": f"p{number}",
        "sku": f"SKU-{number}",
        "product_fact_sha256": "f",
        "asset_type": "tile",
        "locale": "en-GB",
        "words_locale": "en-GB",
        "variation": {},
        "text": f"picture {number}",
        "negative_text": "",
        "width": 64,
        "height": 64,
        "parameters": {},
        "references": (),
        "template_sha256": "t",
    }
    return Prompt.model_validate(said | fields)


@dataclass
class Studio:
    """A project with recorded prompts, one profile and a campaign with a funnel."""

    folder: Path
    provider: Drawing = field(default_factory=Drawing)
    judge: Sieve | None = field(default_factory=Sieve)
    price: float = 0.0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("campaigns", "profiles"):
            (self.folder / name).mkdir(parents=True)
        self.write_profile()
        self.write_prompts(range(4))

    @property
    def store(self) -> Store:
        return Store(str(self.folder / "store"))

    @property
    def workshop(self) -> Workshop:
        return Workshop(self.store, self.folder, {"drawing": self.provider}, self.judge)

    def write_profile(self, **parameters: Any) -> None:
        profile = {
            "provider": "drawing",
            "title": "Drawing",
            "parameters": {"guidance_scale": 3.0} | parameters,
            "price": {"unit": "image", "usd": self.price, "source": "a test"},
            "concurrency": 2,
        }
        (self.folder / "profiles" / "drawing.yaml").write_text(yaml.safe_dump(profile))

    def write_campaign(self, funnel: Any = "40 -> 8", **fields: Any) -> "Studio":
        campaign = {
            "title": "Spring",
            "asset_types": ["tile"],
            "locales": ["en-GB"],
            "profile": "drawing",
            "funnel": funnel,
            "budget_usd": 100.0,
        }
        (self.folder / "campaigns" / "spring.yaml").write_text(yaml.safe_dump(campaign | fields))
        return self

    def write_prompts(self, numbers: Sequence[int], **fields: Any) -> None:
        prompts = [prompt(number, **fields) for number in numbers]
        self.store.facts.write(PROMPTS, SPRING, prompts, run_id="before")

    def make(self, run_id: str = "run-1", *, shards: int = 1, afresh: bool = False) -> list[Progress]:
        return [
            make_shard(
                self.workshop,
                Shard(campaign=SPRING, index=index, of=shards, afresh=afresh),
                run_id,
                self.log.append,
            )
            for index in range(shards)
        ]

    def run(self, run_id: str = "run-1", **how: Any) -> Progress:
        """A materialisation: planned, made, collected, recorded."""
        planned = order_for(self.workshop, SPRING).basis_sha256
        (progress, *others) = self.make(run_id, **how)
        order = recorded_order(self.workshop, SPRING)
        record_candidates(
            self.store, SPRING, collect(order, self.store, planned_sha256=planned), run_id=run_id
        )
        for other in others:
            progress.made += other.made
            progress.reused += other.reused
            progress.cost_usd += other.cost_usd
        return progress

    @property
    def order(self) -> Order:
        return recorded_order(self.workshop, SPRING)

    @property
    def waves(self) -> list[Wave]:
        return load_waves(self.store, SPRING)

    @property
    def candidates(self) -> list[Candidate]:
        return load_candidates(self.store, SPRING)

    @property
    def passed(self) -> Counter[str]:
        assert self.judge is not None
        return Counter(
            each.prompt_id for each in self.candidates if each.image_sha256 and self.judge.passes(each)
        )

    @property
    def plan(self) -> Plan:
        store = self.store
        written = Written(load_prompts(store, SPRING), [], 4, [])
        ledger = Ledger(
            load_attempts(store, SPRING), load_candidates(store, SPRING), load_spent_usd(store, SPRING)
        )
        campaign = load_campaign(self.folder, SPRING)
        return plan_production(self.order, campaign, written, ledger, datetime.now(UTC).date())

    def files(self) -> dict[str, bytes]:
        found = (self.folder / "store").rglob("*")
        heartbeats = os.sep + "heartbeats" + os.sep
        return {
            str(path): path.read_bytes() for path in found if path.is_file() and heartbeats not in str(path)
        }


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "data").write_campaign()


def test_rounds_are_made_until_every_prompt_has_enough(studio: Studio) -> None:
    progress = studio.run()
    assert set(studio.passed) == {"p0", "p1", "p2", "p3"}
    assert min(studio.passed.values()) >= 2
    assert progress.made == len(studio.candidates) < 40
    assert [each.positions for each in studio.waves[0].shares] == [(0, 1, 2, 3, 4)] * 4
    last = studio.waves[-1]
    assert not last.shares
    assert {stop.by for wave in studio.waves for stop in wave.stops} == {"enough"}
    told = describe_rounds(studio.order)
    assert told["ended by"] == "every prompt has the 2 that it needs"
    assert told["prompts that are short"] == "none"
    assert told["passed when it ended"] == sum(studio.passed.values())


def test_a_prompt_that_has_enough_is_made_no_more_of(studio: Studio) -> None:
    studio.judge = Sieve(lambda each: each.prompt_id != "p3" or each.position > 8)
    studio.run()
    counts = Counter(each.prompt_id for each in studio.candidates)
    assert counts.pop("p3") == 9 + studio.passed["p3"] > 10
    assert counts == {"p0": 5, "p1": 5, "p2": 5}


def test_an_unchanged_partition_makes_judges_spends_and_records_nothing(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "data", price=0.01).write_campaign()
    studio.run()
    assert studio.judge is not None
    before, measured = studio.files(), len(studio.judge.measured)
    waves, calls = studio.waves, len(studio.provider.calls)
    studio.judge.before = lambda: pytest.fail("it was judged anew")
    progress = studio.run("run-2")
    assert (progress.made, progress.reused, progress.cost_usd) == (0, len(studio.candidates), 0.0)
    assert (len(studio.judge.measured), len(studio.provider.calls)) == (measured, calls)
    assert studio.waves == waves
    assert studio.files() == before
    assert studio.log[-1].startswith("0 made")


def test_a_wave_is_recorded_before_anything_of_it_is_made(studio: Studio) -> None:
    known: list[bool] = []

    @dataclass
    class Watching(Drawing):
        def render(self, batch: Any, open_reference: Any) -> Iterator[Any]:
            asked = {each.candidate_id for each in studio.order.wanted}
            known.extend(each.request.candidate_id in asked for each in batch)
            yield from super().render(batch, open_reference)

    studio.provider, studio.judge = Watching(), Sieve(lambda each: each.position > 5)
    studio.run()
    assert len(known) > 20
    assert all(known)
    names = studio.store.events.names(WAVES, SPRING)
    assert names == [f"wave-{number:04d}" for number in range(1, len(names) + 1)]


def test_nothing_of_a_request_changes_but_its_seed_and_what_is_declared(studio: Studio) -> None:
    vary = {"guidance_scale": {"values": [3.0, 4.0, 5.0], "when": [ALIGNMENT]}}
    studio.provider, studio.judge = Picky(), Sieve(lambda _: False)
    studio.write_campaign({"make": 40, "keep": 8, "vary": vary}).run()
    requests = [each.request for each in studio.candidates if each.prompt_id == "p0"]
    assert len({request.seed for request in requests}) == len(requests)
    same = {
        request.model_copy(update={"seed": 0, "parameters": {}}).model_dump_json() for request in requests
    }
    assert len(same) == 1
    by_wave = [
        [dict(share.knobs) for share in wave.shares if share.prompt_id == "p0"] for wave in studio.waves
    ]
    assert by_wave[:3] == [[{}], [{"guidance_scale": 4.0}], []] or by_wave[2] == [{"guidance_scale": 5.0}]
    assert {request.parameters.get("guidance_scale") for request in requests} <= {None, 4.0, 5.0}
    assert {None, 4.0} <= {request.parameters.get("guidance_scale") for request in requests}


def test_more_later_keeps_the_seeds_of_what_exists(studio: Studio) -> None:
    studio.write_campaign("8 -> 8").run()
    before = {(each.prompt_id, each.position): each.request.seed for each in studio.candidates}
    studio.write_campaign("40 -> 8").run("run-2")
    after = {(each.prompt_id, each.position): each.request.seed for each in studio.candidates}
    assert before.items() < after.items()


# What ends the rounds of a campaign


def test_no_more_is_made_than_the_funnel_allows(studio: Studio) -> None:
    studio.judge = Sieve(lambda _: False)
    studio.run()
    assert len(studio.candidates) == 40
    told = describe_rounds(studio.order)
    assert told["ended by"] == "4 of 4 prompts have fewer than 2: 4 by the most pictures"
    assert (
        "| SKU-0 | tile | en-GB | 0 of the 2 wanted passed, of 10 made: the campaign has asked for all 40"
        in (told["prompts that are short"])
    )
    assert "| 1 | 20 | 20 | 0 | 0.00 |" in told["rounds"]


def test_no_prompt_has_more_rounds_than_the_funnel_allows(studio: Studio) -> None:
    studio.judge = Sieve(lambda _: False)
    studio.write_campaign({"make": 1000, "keep": 8, "rounds": 2, "first": 0.01}).run()
    assert Counter(share.prompt_id for wave in studio.waves for share in wave.shares) == dict.fromkeys(
        ("p0", "p1", "p2", "p3"), 2
    )
    assert describe_rounds(studio.order)["ended by"].endswith("4 by the most rounds")
    assert Counter(each.prompt_id for each in studio.candidates) == {"p0": 4, "p1": 4, "p2": 4, "p3": 4}
    assert "2 doubles what it has asked for" in studio.waves[1].shares[0].why


def test_the_budget_ends_the_rounds_and_is_never_passed(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "data", judge=Sieve(lambda _: False), price=0.25)
    studio.write_campaign(budget_usd=6.0).run()
    assert load_spent_usd(studio.store, SPRING) == 6.0
    assert describe_rounds(studio.order)["ended by"].endswith("4 by the budget")
    assert studio.run("run-2").made == 0
    studio.write_campaign(budget_usd=7.0)
    assert studio.run("run-3").made == 4
    assert load_spent_usd(studio.store, SPRING) == 7.0


def test_a_wave_that_the_budget_no_longer_pays_for_is_left_as_it_is(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "data", judge=Sieve(lambda _: False), price=0.25).write_campaign(
        budget_usd=10.0
    )
    recorded_before_making(studio)
    studio.write_campaign(budget_usd=2.0)
    progress = studio.run("run-2")
    assert (progress.made, len(studio.candidates)) == (8, 8)
    assert load_spent_usd(studio.store, SPRING) == 2.0
    assert describe_rounds(studio.order)["ended by"].endswith("4 by the budget")
    assert studio.run("run-3").made == 0


def test_a_deadline_that_passes_between_two_rounds_ends_them(studio: Studio) -> None:
    today = datetime.now(UTC).date()

    def late() -> None:
        studio.write_campaign(deadline=today - timedelta(1))

    studio.judge = Sieve(lambda _: False, before=late)
    studio.write_campaign(deadline=today)
    studio.make()
    order = studio.order
    assert order.rounds is not None
    assert len(studio.waves) == 2
    assert describe_rounds(order)["ended by"].endswith("4 by the deadline")
    assert len(collect(order, studio.store, planned_sha256=order.basis_sha256)) == len(order.wanted)
    with pytest.raises(NoRoute, match="deadline was"):
        studio.run("run-2")


def test_a_provider_that_refuses_a_prompt_is_not_asked_for_ever(studio: Studio) -> None:
    refusal: dict[str, ProviderError] = {"picture 1": ProviderRefused("no such thing")}
    studio.provider = Drawing(failures=refusal)
    studio.run()
    refused = [each for each in studio.candidates if each.state == "refused"]
    assert Counter(each.prompt_id for each in refused) == {"p1": 5}
    assert "1 by the provider's refusals" in describe_rounds(studio.order)["ended by"]
    assert studio.run("run-2").made == 0


def test_a_prompt_that_fails_is_tried_again_by_the_next_run_and_then_goes_on(studio: Studio) -> None:
    studio.provider = Drawing(failures={"picture 1": ProviderError("time out")})
    studio.run()
    assert studio.passed["p1"] == 0
    assert "1 by failures, which the next run tries again" in describe_rounds(studio.order)["ended by"]
    waves = len(studio.waves)
    assert studio.run("run-2").made == 0
    assert len(studio.waves) == waves
    studio.provider = Drawing()
    assert studio.run("run-3").made >= 5
    assert studio.passed["p1"] >= 2
    assert describe_rounds(studio.order)["ended by"].startswith("every prompt")


def test_what_cannot_be_measured_costs_one_round_and_is_looked_at_again(studio: Studio) -> None:
    studio.judge = Sieve(lambda _: False, unmeasured=("colour",))
    studio.run()
    assert len(studio.candidates) == 20
    assert "4 by what could not be measured" in describe_rounds(studio.order)["ended by"]
    files = studio.files()
    assert studio.run("run-2").made == 0
    assert studio.files() == files
    assert (studio.plan.make, studio.plan.funnel and studio.plan.funnel.open_prompts) == (0, 0)
    studio.judge = Sieve(lambda _: True)
    assert studio.run("run-3").made == 0
    assert describe_rounds(studio.order)["ended by"].startswith("every prompt")


# What changes afterwards


def test_gates_that_change_afterwards_remake_nothing(studio: Studio) -> None:
    studio.run()
    studio.judge = Sieve(lambda _: False)
    assert studio.run("run-2").made == 0
    assert studio.judge.measured == []


def test_peoples_decisions_reopen_no_round(studio: Studio) -> None:
    studio.run()
    waves = studio.waves
    for each in studio.candidates:
        person_decides(
            studio.store,
            SPRING,
            PersonsDecision(
                candidate_id=each.candidate_id,
                image_sha256=each.image_sha256 or "",
                verdict="reject",
                reviewer="anna",
            ),
        )
    assert studio.run("run-2").made == 0
    assert studio.waves == waves


def test_a_new_prompt_starts_with_its_first_round_and_no_other_is_made_again(studio: Studio) -> None:
    studio.judge = Sieve(lambda _: True)
    studio.run()
    studio.write_prompts(range(5))
    progress = studio.run("run-2")
    assert (progress.made, progress.reused) == (4, 20)
    assert [(each.prompt_id, each.round) for each in studio.waves[-2].shares] == [("p4", 1)]


def test_a_changed_profile_starts_every_prompt_anew_and_going_back_finds_everything(studio: Studio) -> None:
    studio.run()
    first, waves = studio.candidates, len(studio.waves)
    studio.write_profile(guidance_scale=7.0)
    assert studio.run("run-2").made > 0
    assert {(share.round, share.positions) for share in studio.waves[waves].shares} == {(1, (0, 1, 2, 3, 4))}
    assert not {each.candidate_id for each in first} & {each.candidate_id for each in studio.candidates}
    calls = len(studio.provider.calls)
    studio.write_profile()
    assert studio.run("run-3").made == 0
    assert (studio.candidates, len(studio.provider.calls)) == (first, calls)
    assert describe_rounds(studio.order)["passed when it ended"] == sum(studio.passed.values())


def test_afresh_makes_all_of_it_again_and_asks_for_no_more(studio: Studio) -> None:
    studio.run()
    made, waves = len(studio.candidates), studio.waves
    assert studio.run("run-2", afresh=True, shards=2).made == made
    assert studio.waves == waves


# Killed, twice at once, in parts


def recorded_before_making(studio: Studio) -> None:
    """As a run leaves it that was killed after it recorded its first wave."""
    order = order_for(studio.workshop, SPRING)
    assert order.rounds is not None
    standings = order.rounds.standings([], {}, {})
    decision = decide(order.rounds.funnel, order.rounds.terms, standings, Left(40, 40))
    assert record_wave(studio.store, SPRING, order.rounds.wave(decision, standings, "run-0"))


def test_a_run_that_was_killed_after_it_recorded_a_wave_goes_on_in_it(studio: Studio) -> None:
    recorded_before_making(studio)
    with pytest.raises(UnfinishedRun, match="4 of 4 prompts have rounds to come"):
        collect(studio.order, studio.store, planned_sha256=studio.order.basis_sha256)
    studio.run("run-2")
    assert [wave.run_id for wave in studio.waves][:2] == ["run-0", "run-2"]
    assert Counter(Counter(studio.provider.calls).values()) == {1: len(studio.candidates)}


@pytest.mark.parametrize("at", [3, 21])
def test_a_run_that_was_killed_in_a_wave_goes_on_in_it_and_the_books_balance(tmp_path: Path, at: int) -> None:
    judge = Sieve(lambda each: each.position % 4 == 3)
    studio = Studio(tmp_path / "data", judge=judge, price=0.01).write_campaign()
    whole = Studio(tmp_path / "other", judge=judge, price=0.01).write_campaign()
    whole.run()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_die_at, args=(studio, at))
    process.start()
    process.join()
    assert process.exitcode == 9
    studio.run("run-2")
    assert [each.candidate_id for each in studio.candidates] == [
        each.candidate_id for each in whole.candidates
    ]
    attempts = [event.body for event in studio.store.events.read(ATTEMPTS, SPRING)]
    assert Counter(each.candidate_id for each in attempts if each.state == "succeeded") == Counter(
        each.candidate_id for each in studio.candidates
    )
    lost = sum(each.cost_usd for each in attempts if each.state == "lost")
    spent = spent_usd(studio.store.events.read(ATTEMPTS, SPRING))
    assert spent == pytest.approx(sum(each.cost_usd for each in studio.candidates) + lost)


def _die_at(studio: Studio, at: int) -> None:
    @dataclass
    class Dying(Drawing):
        def render(self, batch: Any, open_reference: Any) -> Iterator[Any]:
            if len(self.calls) >= at:
                os._exit(9)
            yield from super().render(batch, open_reference)

    studio.provider = Dying()
    studio.make()


def test_two_runs_at_once_record_each_wave_once_and_make_each_picture_once(studio: Studio) -> None:
    studio.provider = Drawing(seconds=0.002)
    errors: list[BaseException] = []

    def one(run_id: str) -> None:
        try:
            studio.make(run_id)
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [threading.Thread(target=one, args=(f"run-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [wave.number for wave in studio.waves] == list(range(1, len(studio.waves) + 1))
    assert len(studio.provider.calls) == len(set(studio.provider.calls)) == len(studio.order.wanted)
    asked = [
        (share.prompt_id, position)
        for wave in studio.waves
        for share in wave.shares
        for position in share.positions
    ]
    assert len(asked) == len(set(asked)) <= 40
    assert studio.run("run-9").made == 0


def test_a_run_whose_wave_another_has_recorded_goes_on_with_that_one(studio: Studio) -> None:
    other = [Wave(number=1, run_id="other", terms=TERMS, shares=())]

    def interfere() -> None:
        if other:
            taken = other.pop()
            order = studio.order
            assert order.rounds is not None
            shares = [
                share(2).model_copy(
                    update={
                        "prompt_id": f"p{number}",
                        "profile_fingerprint": order.rounds.profiles[f"p{number}"],
                    }
                )
                for number in range(4)
            ]
            assert record_wave(studio.store, SPRING, taken.model_copy(update={"shares": tuple(shares)}))

    studio.judge = Sieve(lambda _: True, before=interfere)
    studio.run()
    assert [wave.run_id for wave in studio.waves] == ["other", "run-1"]
    assert len(studio.candidates) == 8


def test_another_number_of_shards_finds_everything(studio: Studio) -> None:
    progress = studio.run(shards=3)
    made = len(studio.candidates)
    assert progress.made == made
    for number, shards in enumerate((1, 2, 5), 2):
        again = studio.run(f"run-{number}", shards=shards)
        assert (again.made, again.reused) == (0, made)


def test_a_shard_begins_with_its_own_prompts_and_takes_over_the_others_from_their_end(studio: Studio) -> None:
    studio.write_prompts(range(12))
    studio.write_campaign("48 -> 12")
    recorded_before_making(studio)
    order = studio.order.shard(1, 3)
    assert order.wanted == studio.order.wanted
    turn = [each for each, _ in order.in_turn([(each, 1) for each in order.wanted])]
    own = [each for each in order.wanted if order.is_own(each)]
    assert 0 < len(own) < len(order.wanted)
    assert turn[: len(own)] == own
    assert turn[len(own) :] == [each for each in reversed(order.wanted) if not order.is_own(each)]
    parts = [{each.candidate_id for each in order.wanted if order.shard(n, 3).is_own(each)} for n in range(3)]
    assert sum(map(len, parts)) == len(set[str]().union(*parts)) == len(order.wanted)


def test_prompts_that_change_between_two_rounds_end_the_run(studio: Studio) -> None:
    studio.judge = Sieve(lambda _: False, before=lambda: studio.write_prompts(range(5)))
    with pytest.raises(UnfinishedRun, match="prompts or profile changed"):
        studio.make()


# Refused before anything is spent


def test_a_funnel_without_a_judge_is_refused(studio: Studio) -> None:
    studio.judge = None
    with pytest.raises(NoRoute, match="nobody here can say which pictures pass"):
        studio.run()
    assert studio.provider.calls == []


def test_more_prompts_than_pictures_are_refused_and_planned_as_such(studio: Studio) -> None:
    studio.write_campaign("3 -> 2")
    with pytest.raises(NoRoute, match="at most 3 pictures and the campaign has 4 prompts"):
        studio.run()
    assert any("at most 3 pictures" in objection for objection in studio.plan.objections)


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"emphasis": [1.0, 1.2]}, "drawing has no parameter 'emphasis'"),
        ({"guidance_scale": [3.0, 10.0]}, "no guidance_scale above 9"),
    ],
)
def test_a_parameter_that_the_provider_does_not_have_is_refused(
    studio: Studio, vary: dict[str, Any], words: str
) -> None:
    studio.provider = Picky()
    studio.write_campaign({"make": 40, "keep": 8, "vary": vary})
    with pytest.raises(UnsupportedRequest, match=words):
        studio.run()
    assert any(words in objection for objection in studio.plan.objections)
    assert studio.waves == []


def test_a_parameter_that_waits_for_a_dimension_that_is_not_there_is_refused(studio: Studio) -> None:
    vary = {"guidance_scale": {"values": [3.0, 4.0], "when": ["prompt_aligment"]}}
    studio.write_campaign({"make": 40, "keep": 8, "vary": vary})
    with pytest.raises(
        InvalidFile, match=r"spring.yaml:\d+: funnel.vary.guidance_scale.when: .*'?prompt_aligment"
    ):
        studio.run()


# Planned


def test_a_plan_says_how_much_it_is_at_most_and_what_it_is_by_the_pass_rate(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "data", price=0.25).write_campaign(budget_usd=6.0)
    plan = studio.plan
    assert plan.funnel is not None
    assert (plan.make, plan.cost_usd, plan.wanted, plan.funnel.most) == (24, 6.0, 0, 40)
    assert (plan.funnel.keep_per_prompt, plan.funnel.open_prompts) == (2, 4)
    assert (plan.funnel.pass_rate, plan.funnel.expected) == (None, None)
    assert plan.is_affordable
    assert studio.waves == []
    studio.judge = Sieve(lambda each: each.position in (0, 7))
    studio.run()
    studio.write_campaign(budget_usd=100.0)
    later = studio.plan
    assert later.funnel is not None
    assert later.funnel.pass_rate == pytest.approx(4 / 24)
    assert later.funnel.expected == 16
    assert (later.make, later.funnel.open_prompts) == (16, 4)


def test_a_plan_of_a_funnel_that_has_ended_makes_nothing(studio: Studio) -> None:
    studio.run()
    plan = studio.plan
    assert plan.funnel is not None
    assert (plan.make, plan.funnel.open_prompts, plan.reuse) == (0, 0, len(studio.candidates))


# In Dagster, with real pictures, scorers and gates


FUNNELLED = """\
title: Boxes
asset_types: [product_tile]
locales: [en-GB]
variations: {background: [warm sand, sage green]}
funnel: 4 -> 2
approval: gates
"""


def materialise(data: Path, instance: dg.DagsterInstance, shards: int) -> dict[str, Any]:
    environ = {"ASSET_PIPELINE_DATA": str(data)}
    defs = definitions.build(definitions.Places.of(environ), environ)
    result = defs.resolve_job_def("campaign").execute_in_process(
        partition_key="boxes",
        instance=instance,
        run_config={
            "ops": {"candidates": {"ops": {"plan_shards": {"config": {"shards": shards}}}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("candidates")
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_campaign_with_a_funnel_goes_to_its_scores_which_measure_nothing_again(tmp_path: Path) -> None:
    data = write_project(tmp_path, products=1, campaigns={"boxes": FUNNELLED})
    asset_type = data / "asset_types" / "product_tile.yaml"
    asset_type.write_text(asset_type.read_text().replace("1024", "256"))
    thresholds = {"default": {"file_check": {"min": 1}, "product_fill": {"min": 64.0}}}
    (data / "thresholds.yaml").write_text(yaml.safe_dump(thresholds))
    store = Store(str(data / "store"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", ["boxes"])
        first = materialise(data, instance, 2)
        measured = len(store.facts.history(MEASUREMENTS, "boxes"))
        waves = load_waves(store, "boxes")
        second = materialise(data, instance, 1)
    made = len(load_candidates(store, "boxes"))
    assert first["made in this run"] == made <= 4
    assert "| wave | asked for |" in first["rounds"]
    assert sum(seen.made for seen in waves[-1].seen) == made
    assert measured == len(load_measurements(store, "boxes")) >= 5 * made
    assert (second["made in this run"], second["ended by"]) == (0, first["ended by"])
    assert len(store.facts.history(MEASUREMENTS, "boxes")) == measured
    assert load_waves(store, "boxes") == waves


def test_the_gates_say_what_failed_and_what_was_not_measured(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "data").write_campaign("4 -> 4")
    (studio.folder / "asset_types").mkdir()
    (studio.folder / "asset_types" / "tile.yaml").write_text("{title: T, width: 64, height: 64, template: x}")
    thresholds = {"default": {"dimensions": {"min": 1}, "noise": {"max": 0}, "colour": {"max": 6}}}
    (studio.folder / "thresholds.yaml").write_text(yaml.safe_dump(thresholds))
    studio.run()
    scorers = [
        each
        for each in definitions.scorers(definitions.CHECKPOINTS)
        if each.dimension in ("dimensions", "noise", "colour")
    ]
    gates = Gates(studio.store, studio.folder, scorers)
    assert gates.dimensions() == {"dimensions", "noise", "colour"}
    made = studio.candidates
    said = gates.judge(SPRING, made, run_id="run-1", report=studio.log.append)
    assert said.keys() == {each.candidate_id for each in made}
    assert {(each.passes, each.failed, each.unmeasured) for each in said.values()} == {
        (False, ("noise",), ("colour",))
    }
