"""What expiry promises: bytes go by policy alone, and neither what is needed nor what is known goes."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from asset_pipeline.audit.audit import audit
from asset_pipeline.audit.story import Story
from asset_pipeline.campaign.partitions import campaigns
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.checks import every_image_is_kept
from asset_pipeline.candidates.expired import EXPIRIES, expired_words, load_expiries
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, event_name
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.records import (
    Workshop,
    collect,
    load_attempts,
    load_candidates,
    order_for,
    record_candidates,
)
from asset_pipeline.candidates.summary import contact_sheet_of, describe_candidates
from asset_pipeline.candidates.wanted import wanted_sha256
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import record_catalog
from asset_pipeline.commands.expire import expire as command_line
from asset_pipeline.decisions.decision import Decision, Verdict
from asset_pipeline.decisions.records import decide
from asset_pipeline.definitions import Places
from asset_pipeline.errors import BrokenFact, InvalidFile, UnfinishedRun
from asset_pipeline.exports.records import load_exported_files
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.retention.expiry import ExpiryPlan, expire, plan_expiry, totals
from asset_pipeline.retention.policy import Retention, load_retention
from asset_pipeline.retention.uses import needs_of
from asset_pipeline.scorers.file_rules import Dimensions, FileCheck
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.score import Expectation, Look, Measured
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import SELECTION, load_choices
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.test_audit import AUTUMN, Brush, export, run_campaign, select, write_data

POLICY = Retention.model_validate(
    {"not_chosen": "90 days", "rejected": "180 days", "no_longer_wanted": "30 days"}
)


@dataclass(frozen=True)
class Shop:
    """A project whose campaign keeps one of two pictures for each of two products, and has exported it."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def store(self) -> Store:
        return Store(str(self.root / "store"))

    def run(self, campaign: str = AUTUMN, *, run_id: str = "run-2", brush: Brush | None = None) -> None:
        run_campaign(
            self.store, self.data, self.root / "exports", campaign, provider=brush or Brush(), run_id=run_id
        )

    def select(self, campaign: str = AUTUMN) -> None:
        select(self.store, self.data, campaign)

    def made(self, campaign: str = AUTUMN) -> list[Candidate]:
        return load_candidates(self.store, campaign)

    def choice(self, candidate_id: str, campaign: str = AUTUMN) -> Choice:
        choices = load_choices(self.store, campaign)
        return next(each for each in choices if each.candidate_id == candidate_id)

    def in_state(self, state: str, campaign: str = AUTUMN) -> list[Candidate]:
        names = {each.candidate_id for each in load_choices(self.store, campaign) if each.state == state}
        return [each for each in self.made(campaign) if each.candidate_id in names]

    def decide(self, candidate: Candidate, verdict: Verdict, campaign: str = AUTUMN) -> None:
        image = str(candidate.image_sha256)
        named = {"candidate_id": candidate.candidate_id, "image_sha256": image, "verdict": verdict}
        decide(self.store, campaign, Decision.model_validate({**named, "reviewer": "ada"}))

    def edit(self, campaign: str, old: str, new: str) -> None:
        path = self.data / f"campaigns/{campaign}.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def plan(self, days: float, policy: Retention = POLICY) -> ExpiryPlan:
        sizes = self.store.images.sizes()
        return plan_expiry(needs_of(self.store), policy, sizes, datetime.now(UTC) + timedelta(days=days))

    def expire(self, days: float = 1000, policy: Retention = POLICY) -> ExpiryPlan:
        plan = self.plan(days, policy)
        expire(self.store, plan, lambda *_: None)
        return plan

    def has(self, sha256: str | None) -> bool:
        return self.store.images.has(str(sha256))

    def facts(self) -> list[Path]:
        return sorted((self.root / "store/facts").rglob("*.parquet"))


def due(plan: ExpiryPlan) -> list[tuple[str, str]]:
    return sorted((each.use.candidate_id, each.policy) for each in plan.due)


@dg.asset(partitions_def=campaigns)
def candidates() -> None:
    """They are recorded already; their check belongs to an asset of this name."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Shop(tmp_path_factory.mktemp("expiry") / "template")
    write_data(shop.data)
    record_catalog(shop.store, read_catalog(shop.data / "catalog", shop.store.images), run_id="run-1")
    shop.run(run_id="run-1")
    return shop.root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Shop:
    return Shop(shutil.copytree(template, tmp_path / "shop", symlinks=True))


# What goes, and what stays


def test_without_a_policy_nothing_ever_expires(shop: Shop, tmp_path: Path) -> None:
    assert load_retention(tmp_path) == Retention()
    plan = shop.plan(days=10_000, policy=Retention())
    assert not plan.due
    assert not plan.remove


def test_what_was_not_chosen_expires_when_its_days_are_over_and_what_left_stays(shop: Shop) -> None:
    losers, winners = shop.in_state("not_chosen"), shop.in_state("approved")
    assert (len(losers), len(winners)) == (2, 2)
    assert not shop.plan(days=89.9).due
    facts = shop.facts()
    plan = shop.expire(days=90.1)
    assert due(plan) == sorted((each.candidate_id, "not_chosen: 90 days") for each in losers)
    assert not any(shop.has(each.image_sha256) for each in losers)
    assert all(shop.has(each.image_sha256) and shop.has(each.mask_sha256) for each in winners)
    assert all(shop.has(file.sha256) for file in load_exported_files(shop.store, AUTUMN))
    assert shop.facts() == facts


def test_the_plan_says_how_much_goes_by_campaign_and_rule(shop: Shop) -> None:
    losers = shop.in_state("not_chosen")
    sizes = shop.store.images.sizes()
    plan = shop.plan(days=100)
    assert plan.remove == {str(each.image_sha256): sizes[str(each.image_sha256)] for each in losers}
    (total,) = totals(plan)
    assert (total.campaign_id, total.policy) == (AUTUMN, "not_chosen: 90 days")
    assert (total.pictures, total.size) == (2, sum(plan.remove.values()))


def test_what_waits_for_a_person_never_expires(shop: Shop) -> None:
    shop.edit(AUTUMN, "approval: gates", "approval: human")
    (shop.root / "store/facts/exports").rename(shop.root / "exports-before")
    shop.select()
    waiting = shop.in_state("pending")
    assert len(waiting) == 2
    shop.expire(days=10_000)
    assert all(shop.has(each.image_sha256) for each in waiting)


def test_what_was_rejected_has_days_of_its_own_even_if_it_left_no_trace_elsewhere(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    shop.decide(loser, "reject")
    shop.select()
    rejected = (loser.candidate_id, "rejected: 180 days")
    assert rejected not in due(shop.plan(days=179.9))
    assert rejected in due(shop.plan(days=180.1))


def test_days_are_counted_from_when_it_was_recorded_last_that_it_is_so(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    history = [each.row for each in shop.store.facts.read_recorded(SELECTION, AUTUMN)]
    long_ago = datetime.now(UTC) - timedelta(days=1000)
    other = [each.model_copy(update={"state": "rejected"}) for each in history]
    fresh = Shop(shop.root.with_name("other"))
    shutil.copytree(shop.root, fresh.root, symlinks=True, ignore=shutil.ignore_patterns("selection"))
    for days, rows in ((0, history), (100, other), (200, history), (300, [*reversed(history)])):
        fresh.store.facts.write(SELECTION, AUTUMN, rows, run_id="r", now=long_ago + timedelta(days=days))
    (found,) = (each for each in fresh.plan(days=0).due if each.use.candidate_id == loser.candidate_id)
    assert found.since == long_ago + timedelta(days=200)


def test_a_candidate_that_was_gone_in_between_begins_anew(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    rows = load_choices(shop.store, AUTUMN)
    shutil.rmtree(shop.root / "store/facts/selection")
    long_ago = datetime.now(UTC) - timedelta(days=1000)
    without = [each for each in rows if each.candidate_id != loser.candidate_id]
    for days, written in ((0, rows), (100, without), (200, rows)):
        shop.store.facts.write(SELECTION, AUTUMN, written, run_id="r", now=long_ago + timedelta(days=days))
    since = {each.use.candidate_id: each.since for each in shop.plan(days=0).due}
    assert since[loser.candidate_id] == long_ago + timedelta(days=200)
    assert set(since.values()) == {long_ago, long_ago + timedelta(days=200)}


def test_what_a_campaign_no_longer_wants_expires_unless_a_person_approved_it(shop: Shop) -> None:
    losers = shop.in_state("not_chosen")
    shop.decide(losers[0], "approve")
    shop.edit(AUTUMN, "title: Autumn", "title: Late autumn")
    shop.run()
    assert not {each.candidate_id for each in shop.made()} & {each.candidate_id for each in losers}
    plan = shop.plan(days=31)
    assert due(plan) == [(losers[1].candidate_id, "no_longer_wanted: 30 days")]


def test_a_picture_that_was_made_afresh_leaves_the_older_one_to_expire(shop: Shop) -> None:
    before = {each.candidate_id: each for each in shop.in_state("not_chosen")}
    remake(shop, Brush(darker=9))
    plan = shop.expire(days=31)
    assert [each.use.attempt for each in plan.due] == [1, 1]
    assert {each.use.image_sha256 for each in plan.due} == {each.image_sha256 for each in before.values()}
    assert all(shop.has(each.image_sha256) for each in shop.made())
    assert not expired_words(shop.store, AUTUMN, shop.made())


def test_what_a_run_has_made_and_not_recorded_stays(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    attempt = load_attempts(shop.store, AUTUMN)[loser.candidate_id]
    again = attempt.model_copy(update={"attempt": 2, "run_id": "run-9"})
    shop.store.events.append(ATTEMPTS, AUTUMN, event_name(again), again)
    shop.expire()
    assert shop.has(loser.image_sha256)


def test_a_run_that_is_at_work_is_named_and_one_that_died_is_not(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    with working(shop.store, "run-9") as worker:
        attempt = load_attempts(shop.store, AUTUMN)[loser.candidate_id]
        claim = attempt.model_copy(
            update={"attempt": 2, "run_id": "run-9", "worker": worker, "state": "submitting"}
        )
        shop.store.events.append(ATTEMPTS, AUTUMN, event_name(claim), claim)
        assert needs_of(shop.store).at_work == ("run-9",)
    assert needs_of(shop.store).at_work == ()


def test_a_picture_that_chance_sends_to_a_person_waits_for_that_person(shop: Shop) -> None:
    rows = load_choices(shop.store, AUTUMN)
    asked = [
        each.model_copy(update={"is_audited": True, "state": "rejected"}) if each.rank is None else each
        for each in rows
    ]
    shop.store.facts.write(SELECTION, AUTUMN, asked, run_id="r")
    assert not shop.plan(days=1000).due
    loser = shop.in_state("rejected")[0]
    shop.decide(loser, "reject")
    assert due(shop.plan(days=1000)) == [(loser.candidate_id, "rejected: 180 days")]


# Shared bytes


def test_bytes_that_another_campaign_needs_stay_and_the_plan_says_for_whom(shop: Shop) -> None:
    losers = shop.in_state("not_chosen")
    brief = (shop.data / f"campaigns/{AUTUMN}.yaml").read_text()
    (shop.data / "campaigns/twin.yaml").write_text(f"{brief}keep: 2\n")
    shop.run("twin")
    plan = shop.expire()
    assert not plan.due
    assert all(shop.has(each.image_sha256) for each in losers)
    (words,) = {words for each, words in plan.kept if each.use.candidate_id == losers[0].candidate_id}
    assert words == "it was exported"


def test_bytes_that_nobody_but_another_live_picture_shares_stay_until_that_has_expired_too(
    shop: Shop,
) -> None:
    losers = shop.in_state("not_chosen")
    shutil.copy(shop.data / f"campaigns/{AUTUMN}.yaml", shop.data / "campaigns/twin.yaml")
    shop.run("twin")
    younger = Retention.model_validate(
        {"not_chosen": "90 days", "campaigns": {"twin": {"not_chosen": "never"}}}
    )
    plan = shop.expire(policy=younger)
    assert not plan.due
    assert {words for _, words in plan.kept} == {
        f"{each.candidate_id} of twin has the same bytes" for each in losers
    }
    assert len(shop.expire().due) == 4
    assert not any(shop.has(each.image_sha256) for each in losers)


def test_a_mask_that_a_picture_shares_with_one_that_stays_is_kept(shop: Shop) -> None:
    loser, winner = shop.in_state("not_chosen")[0], shop.in_state("approved")[0]
    assert loser.mask_sha256 == winner.mask_sha256
    shop.expire()
    assert not shop.has(loser.image_sha256)
    assert shop.has(loser.mask_sha256)


def test_a_mask_goes_with_the_last_picture_that_needs_it(shop: Shop) -> None:
    remade = remake(shop, Brush(darker=9))
    uses = needs_of(shop.store)
    lonely = [replace(use, mask_sha256=sha256_of(b"m")) if use.attempt == 1 else use for use in uses.uses]
    shop.store.images.put(b"m", "webp")
    sizes = shop.store.images.sizes()
    plan = plan_expiry(
        replace(uses, uses=tuple(lonely)), POLICY, sizes, datetime.now(UTC) + timedelta(days=1000)
    )
    assert remade
    # those that were exported keep their pictures, and with them their masks
    assert sha256_of(b"m") not in plan.remove
    losers = replace(uses, uses=tuple(use for use in lonely if use.image_sha256 not in uses.kept))
    plan = plan_expiry(losers, POLICY, sizes, datetime.now(UTC) + timedelta(days=1000))
    assert plan.remove[sha256_of(b"m")] == 1


def test_the_bytes_of_a_photograph_stay_whatever_became_of_a_picture_with_the_same(shop: Shop) -> None:
    photograph = shop.made()[0].request.references[0].sha256
    needs = needs_of(shop.store)
    same = tuple(replace(use, image_sha256=photograph) for use in needs.uses)
    plan = plan_expiry(
        replace(needs, uses=same), POLICY, shop.store.images.sizes(), datetime.now(UTC) + timedelta(days=1000)
    )
    assert not plan.due
    assert photograph not in plan.remove


# Killed, repeated, broken


def test_killed_before_the_bytes_went_nothing_looks_lost_and_the_next_time_ends_it(shop: Shop) -> None:
    losers = shop.in_state("not_chosen")
    plan = shop.plan(days=1000)
    expire(shop.store, replace(plan, remove={}), lambda *_: None)
    assert all(shop.has(each.image_sha256) for each in losers)
    assert len(expired_words(shop.store, AUTUMN, shop.made())) == 2
    rest = shop.expire()
    assert not rest.due
    assert [total.policy for total in totals(rest)] == ["left from an earlier time"]
    assert not any(shop.has(each.image_sha256) for each in losers)


def test_repeated_it_changes_nothing(shop: Shop) -> None:
    shop.expire()
    before = load_expiries(shop.store, AUTUMN)
    plan = shop.expire()
    assert not plan.due
    assert not plan.remove
    assert load_expiries(shop.store, AUTUMN) == before


def test_the_end_is_recorded_before_a_byte_goes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    store, known = shop.store, []

    def remove(_sha256: str) -> None:
        known.append(len(store.events.names(EXPIRIES, AUTUMN)))
        raise OSError("the disk is gone")

    monkeypatch.setattr(store.images, "remove", remove)
    with pytest.raises(OSError, match="the disk is gone"):
        expire(store, shop.plan(days=1000), lambda *_: None)
    assert set(known) == {2}


def test_while_a_fact_is_broken_nothing_expires(shop: Shop) -> None:
    path = max((shop.root / f"store/facts/candidates/campaign={AUTUMN}").iterdir())
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenFact):
        shop.plan(days=1000)


# What everybody else makes of it


def test_an_audit_says_that_it_expired_by_policy_and_holds(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    shop.expire()
    story = heard(shop, loser.candidate_id)
    image = next(link for link in story.links if link.name == "image")
    assert image.state == "not checked"
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert image.words == f"its picture expired by policy on {today} (not_chosen: 90 days)"
    assert image.facts["outcome"] == "not_chosen"
    assert story.holds


def test_bytes_that_are_gone_without_a_recorded_end_are_missing(shop: Shop) -> None:
    loser, other = shop.in_state("not_chosen")
    shop.expire(policy=Retention())
    shop.store.images.remove(str(loser.image_sha256))
    story = heard(shop, loser.candidate_id)
    assert {link.name: link.state for link in story.broken} == {"image": "missing"}
    story = heard(shop, other.candidate_id)
    assert story.holds


def test_an_end_that_somebody_has_altered_counts_for_nothing(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    shop.expire()
    path = shop.root / f"store/events/expiries/campaign={AUTUMN}/{loser.candidate_id}.0001.json"
    path.write_text(path.read_text().replace("90 days", "10 days"))
    story = heard(shop, loser.candidate_id)
    assert {link.name: link.state for link in story.broken} == {"image": "altered"}


def test_what_has_expired_is_not_chosen_and_says_why(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    winner = next(each for each in shop.in_state("approved") if each.prompt_id == loser.prompt_id)
    shop.expire()
    shop.decide(winner, "reject")
    shop.decide(loser, "approve")
    shop.select()
    choice = shop.choice(loser.candidate_id)
    assert (choice.state, choice.rule, choice.rank) == ("not_chosen", "expired", None)
    assert choice.reasons[0].startswith("its picture expired by policy on ")
    assert choice.reasons[1] == "approved by ada"


def test_what_has_expired_is_not_measured_again_and_keeps_what_was_measured(shop: Shop) -> None:
    @dataclass
    class Newcomer:
        dimension: str = "newcomer"
        version: str = "1"
        unit: str = ""
        better: str = "higher"
        expects: tuple[str, ...] = ()
        looked_at: int = 0

        def measure(self, look: Look) -> Measured:
            self.looked_at += len(look.encoded) > 0
            return Measured(1.0)

    newcomer = Newcomer()
    shop.expire()
    gone = expired_words(shop.store, AUTUMN, shop.made())
    measuring = Measuring(shop.store, [FileCheck(), Dimensions(), newcomer], lambda _: Expectation())
    scores, fresh = measure_missing(measuring, AUTUMN, shop.made(), run_id="r", report=lambda _: None)
    assert (newcomer.looked_at, fresh) == (2, 2)
    for score in scores:
        is_unknown = score.dimension == "newcomer" and score.candidate_id in gone
        assert score.reason == (gone[score.candidate_id] if is_unknown else None)
    again, fresh = measure_missing(measuring, AUTUMN, shop.made(), run_id="r", report=lambda _: None)
    assert (again, fresh) == (scores, 0)


def test_the_check_of_kept_images_tells_what_expired_from_what_is_lost(shop: Shop) -> None:
    shop.expire()
    passed, told = kept(shop)
    assert passed
    assert told["expired"] == 2
    shop.store.images.remove(str(shop.in_state("approved")[0].image_sha256))
    assert not kept(shop)[0]


def test_contact_sheets_show_a_grey_field_for_what_has_expired(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    shop.expire()
    cells = [(str(loser.image_sha256), loser.sku, None)]
    assert contact_sheet_of(shop.store, cells, shown=4, cell_px=60, max_bytes=100_000)
    told = describe_candidates(shop.store, shop.made(), [])
    assert str(told["contact sheet"]).startswith("![contact sheet]")


# Wanted again


def test_a_run_that_wants_an_expired_picture_makes_nothing_and_goes_through(shop: Shop) -> None:
    shop.expire()
    before, attempts = shop.made(), load_attempts(shop.store, AUTUMN)
    shop.run(run_id="run-7")
    assert shop.made() == before
    assert load_attempts(shop.store, AUTUMN) == attempts
    assert len(expired_words(shop.store, AUTUMN, shop.made())) == 2
    export(shop.store, shop.data, shop.root / "exports", AUTUMN, "run-8")


def test_made_afresh_it_has_not_expired_any_more_even_with_the_same_bytes(shop: Shop) -> None:
    loser = shop.in_state("not_chosen")[0]
    shop.expire()
    remake(shop, Brush())
    assert shop.has(loser.image_sha256)
    assert not expired_words(shop.store, AUTUMN, shop.made())
    shop.select()
    assert shop.choice(loser.candidate_id).rule == "better kept"
    assert not shop.plan(days=89).due
    assert not shop.plan(days=89).remove


# The file


def test_the_shipped_policy_names_every_outcome() -> None:
    retention = load_retention(Path(__file__).parent.parent / "data")
    assert retention.lifetime("any", "not_chosen") == timedelta(days=90)
    assert retention.lifetime("any", "rejected") == timedelta(days=180)
    assert retention.lifetime("any", "no_longer_wanted") == timedelta(days=90)


def test_a_campaigns_own_days_replace_only_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text(
        "not_chosen: 90 days\nrejected: 1 day\n"
        "campaigns:\n  spring: {not_chosen: never, no_longer_wanted: 5 days}\n"
    )
    retention = load_retention(tmp_path)
    assert retention.lifetime("spring", "not_chosen") is None
    assert retention.lifetime("spring", "rejected") == timedelta(days=1)
    assert retention.lifetime("spring", "no_longer_wanted") == timedelta(days=5)
    assert retention.lifetime("other", "not_chosen") == timedelta(days=90)
    assert retention.lifetime("other", "no_longer_wanted") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not_chosen: 90", "1: not_chosen: write a number of days from 1, such as 90 days, or never"),
        ("not_chosen: 0 days", "write a number of days from 1"),
        ("not_chosen: 3 weeks", "write a number of days from 1"),
        ("not_chosen: yes", "write a number of days from 1"),
        ("not_choosen: 9 days", "did you mean not_chosen"),
        ("approved: 9 days", "no such field"),
    ],
)
def test_what_is_wrong_with_the_policy_is_told(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text(text)
    with pytest.raises(InvalidFile, match=words):
        load_retention(tmp_path)


# The command


@pytest.fixture
def command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``asset-pipeline expire`` in the shop, whose pictures were chosen long ago."""
    rows, folder = load_choices(shop.store, AUTUMN), shop.root / "store/facts/selection"
    shutil.rmtree(folder)
    long_ago = datetime.now(UTC) - timedelta(days=400)
    shop.store.facts.write(SELECTION, AUTUMN, rows, run_id="r", now=long_ago)
    environ = {"ASSET_PIPELINE_DATA": str(shop.data), "ASSET_PIPELINE_STORE": str(shop.root / "store")}
    for module in ("expire", "terminal"):
        monkeypatch.setattr(f"asset_pipeline.commands.{module}.PLACES", Places.of(environ))
    return lambda *arguments: CliRunner().invoke(command_line, arguments)


def test_the_command_changes_nothing_until_it_is_told_to(shop: Shop, command: Callable[..., Result]) -> None:
    losers = shop.in_state("not_chosen")
    assert "no picture has outlived its time" in command("--delete").output
    (shop.data / "retention.yaml").write_text("not_chosen: 90 days\n")
    told = command().output
    assert AUTUMN in told
    assert "not_chosen: 90 days" in told
    assert "nothing was changed" in told
    assert all(shop.has(each.image_sha256) for each in losers)
    assert not load_expiries(shop.store, AUTUMN)
    assert "2 pictures have expired" in command("--delete").output
    assert not any(shop.has(each.image_sha256) for each in losers)
    assert "no picture has outlived its time" in command().output


def test_the_command_refuses_while_a_run_is_making_pictures(
    shop: Shop, command: Callable[..., Result]
) -> None:
    loser = shop.in_state("not_chosen")[0]
    (shop.data / "retention.yaml").write_text("not_chosen: 90 days\n")
    with working(shop.store, "run-9") as worker:
        attempt = load_attempts(shop.store, AUTUMN)[loser.candidate_id]
        claim = {"attempt": 2, "run_id": "run-9", "worker": worker, "state": "submitting"}
        claimed = attempt.model_copy(update=claim)
        shop.store.events.append(ATTEMPTS, AUTUMN, event_name(claimed), claimed)
        result = command("--delete")
    assert isinstance(result.exception, UnfinishedRun)
    assert "run-9" in str(result.exception)
    assert shop.has(loser.image_sha256)


def test_a_campaign_that_nobody_knows_has_no_days_of_its_own(
    shop: Shop, command: Callable[..., Result]
) -> None:
    (shop.data / "retention.yaml").write_text("campaigns: {autum: {not_chosen: 9 days}}\n")
    result = command()
    assert isinstance(result.exception, InvalidFile)
    assert "there is no campaign autum (there are: autumn, spring)" in str(result.exception)


# The store


def test_bytes_are_given_up_by_their_hash_and_sizes_are_told(store: Store) -> None:
    one, two = store.images.put(b"one", "webp"), store.images.put(b"three", "png")
    assert store.images.put(b"one", "bin") == one
    assert store.images.sizes() == {one: 3, two: 5}
    store.images.remove(one)
    store.images.remove(one)
    assert not store.images.has(one)
    assert store.images.sizes() == {two: 5}
    assert store.images.put(b"one", "webp") == one
    assert store.images.get(one) == b"one"


def heard(shop: Shop, what: str) -> Story:
    """The story that an audit tells."""
    ((story, _),) = audit(shop.store, shop.data, shop.root / "exports", {"brush": Brush()}, what).stories
    return story


def kept(shop: Shop) -> tuple[bool, dict[str, object]]:
    defs = dg.Definitions(
        assets=[candidates],
        asset_checks=[every_image_is_kept],
        jobs=[dg.define_asset_job("check")],
        resources={"workshop": Workshop(shop.store, shop.data, {"brush": Brush()})},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", [AUTUMN])
        result = defs.resolve_job_def("check").execute_in_process(
            partition_key=AUTUMN, instance=instance, raise_on_error=False
        )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation.passed, {name: value.value for name, value in evaluation.metadata.items()}


def remake(shop: Shop, brush: Brush) -> list[Candidate]:
    """Make every picture of the campaign afresh."""
    order = order_for(Workshop(shop.store, shop.data, {"brush": brush}), AUTUMN, afresh=True)
    with working(shop.store, "run-5") as worker:
        produce(order, shop.store, worker, lambda _line: None)
    remade = collect(order, shop.store, planned_sha256=wanted_sha256(order.wanted))
    record_candidates(shop.store, AUTUMN, remade, run_id="run-5")
    return remade
