"""What an audit promises: the whole story of a picture, and that whatever is broken in it is named."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from asset_pipeline.audit.audit import AuditResult, audit
from asset_pipeline.audit.find import find
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.production import produce
from asset_pipeline.candidates.records import CANDIDATES, Workshop, collect, order_for, record_candidates
from asset_pipeline.candidates.request import Asked, OpenReference, Provider, Rendered
from asset_pipeline.candidates.wanted import wanted_sha256
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import PRODUCTS, load_products, record_catalog
from asset_pipeline.decisions.decision import DECISIONS, Decision
from asset_pipeline.decisions.records import decide
from asset_pipeline.errors import NotFound, ProviderError, ProviderRefused
from asset_pipeline.exports.delivery import deliver
from asset_pipeline.exports.making import MadeFile, make_files
from asset_pipeline.exports.records import (
    EXPORTED_FILES,
    RECEIPTS,
    ExportedFile,
    load_exported_files,
    plan_export,
)
from asset_pipeline.fingerprint import canonical_json, fingerprint, sha256_of
from asset_pipeline.prompts.prompt import prompt_id_of
from asset_pipeline.prompts.records import PROMPTS, load_prompts, prompts_from, record_prompts
from asset_pipeline.scorers.file_rules import Dimensions, FileCheck
from asset_pipeline.scores.judging import Measuring, measure_missing
from asset_pipeline.scores.records import SCORES, judge_candidates, record_scores
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Expectation, Scorer
from asset_pipeline.selection.records import SELECTION, choices_for, load_choices, record_choices
from asset_pipeline.store.events import EventStream
from asset_pipeline.store.parquet import write_named
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.store.worker import working
from asset_pipeline.targets.local_folder import LocalFolder
from asset_pipeline_tests.conftest import Address

SPRING, AUTUMN, MUG = "spring", "autumn", "MUG-1"
TABLES: dict[str, Table[Any]] = {
    "products": PRODUCTS,
    "prompts": PROMPTS,
    "candidates": CANDIDATES,
    "scores": SCORES,
    "selection": SELECTION,
    "exports": EXPORTED_FILES,
}


@dataclass
class Brush:
    """Draws noise from the seed, in the colour of the first photograph."""

    name: str = "brush"
    version: str = "1"
    makers: int | None = 1
    darker: int = 0

    def version_of(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002 - the protocol's
        return self.version

    def observed(self) -> Mapping[str, Any]:
        return {}

    def check(self, asked: Asked) -> None:
        """Nothing is refused."""

    def render(
        self, batch: Sequence[Asked], open_reference: OpenReference
    ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
        for asked in batch:
            request = asked.request
            if "refuse" in request.prompt:
                yield asked, ProviderRefused("it refuses")
                continue
            colour = len(open_reference(request.references[0].sha256)) % 100
            size = (request.height, request.width, 3)
            pixels = np.random.default_rng(request.seed).integers(50, 200, size, np.uint8)
            pixels = pixels + np.uint8(colour % 50) - np.uint8(self.darker)
            yield asked, Rendered(pixels, mask=np.full(size[:2], 255, np.uint8), details={"colour": colour})


@dataclass(frozen=True)
class World:
    """A project on disk: what people wrote, the store, and what was exported."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def store(self) -> Store:
        return Store(str(self.root / "store"))

    def audit(
        self, what: object, *, provider: Provider | None = None, reproduce: bool = False
    ) -> AuditResult:
        providers = {"brush": provider or Brush()}
        return audit(self.store, self.data, self.exports, providers, str(what), reproduce=reproduce)

    def record(self, channel: str = "tile", campaign: str = SPRING) -> ExportedFile:
        files = load_exported_files(self.store, campaign)
        return next(file for file in files if file.sku == MUG and file.channel == channel)

    def file(self, channel: str = "tile", campaign: str = SPRING) -> Path:
        record = self.record(channel, campaign)
        return self.exports / campaign / record.export_id / record.path

    def image(self, sha256: str | None) -> Path:
        return self.root / "store" / str(self.store.images.path(str(sha256)))

    def table(self, table: Table[Any]) -> list[Path]:
        partition = "all" if table is PRODUCTS else SPRING
        return sorted(
            (self.root / "store/facts" / table.name / f"{table.partitioned_by}={partition}").iterdir()
        )

    def event(self, stream: EventStream[Any], name: str) -> Path:
        folder = self.root / "store/events" / stream.name / f"campaign={SPRING}"
        return next(path for path in sorted(folder.iterdir()) if name in path.name)


def write_data(data: Path) -> None:
    """What people write."""
    for folder in ("campaigns", "asset_types", "profiles", "catalog/images"):
        (data / folder).mkdir(parents=True)

    def write(path: str, content: dict[str, Any]) -> None:
        (data / path).write_text(yaml.safe_dump(content))

    campaign = {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], "profile": "brush",
                "candidates_per_prompt": 2, "channels": ["tile"]}  # fmt: skip
    write(f"campaigns/{SPRING}.yaml", campaign)
    write(f"campaigns/{AUTUMN}.yaml", campaign | {"title": "Autumn", "approval": "gates"})
    write("asset_types/tile.yaml", {"title": "Tile", "width": 96, "height": 64,
                                    "template": "{{ product.name }}, {{ campaign.title }}"})  # fmt: skip
    write("brand.yaml", {"name": "Northwind"})
    write("profiles/brush.yaml", {"provider": "brush", "title": "Brush", "parameters": {"size": 3}})
    write("thresholds.yaml", {"default": {"file_check": {"min": 1}, "dimensions": {"min": 1}}})
    write("channels.yaml", {"tile": {"title": "Tile", "width": 48, "height": 48, "format": "webp",
                                     "quality": 90, "fit": "crop", "version": 1, "as_of": "2026-01-01",
                                     "source_kind": "house"}})  # fmt: skip
    for number, name in enumerate(("mug", "lamp")):
        Image.new("RGB", (40 + number, 30), (200, 40 * number, 30)).save(data / f"catalog/images/{name}.png")
    (data / "catalog/products.csv").write_text(
        "sku,name-en,brand,photographs\n"
        "MUG-1,Blue mug,Northwind,mug.png\n"
        "LAMP-1,Desk lamp,Northwind,lamp.png\n"
    )


def run_campaign(
    store: Store,
    data: Path,
    exports: Path,
    campaign: str,
    *,
    provider: Provider | None = None,
    run_id: str = "run-1",
) -> None:
    """One campaign from prompts to exports, as the assets run it."""
    record_prompts(store, campaign, prompts_from(load_products(store), data, campaign), run_id=run_id)
    order = order_for(Workshop(store, data, {"brush": provider or Brush()}), campaign)
    with working(store, run_id) as worker:
        produce(order, store, worker, lambda _line: None)
    candidates = collect(order, store, planned_sha256=wanted_sha256(order.wanted))
    record_candidates(store, campaign, candidates, run_id=run_id)
    made = [candidate for candidate in candidates if candidate.image_sha256 is not None]
    scorers: list[Scorer] = [FileCheck(), Dimensions()]
    measured, _ = measure_missing(
        Measuring(store, scorers, lambda _: Expectation()),
        campaign,
        made,
        run_id=run_id,
        report=lambda _line: None,
    )
    record_scores(
        store, campaign, judge_candidates(made, measured, load_requirements(data).thresholds), run_id=run_id
    )
    select(store, data, campaign)
    if campaign == SPRING:
        for choice in load_choices(store, campaign):
            if choice.rank is not None:
                approve(store, choice.candidate_id, str(choice.image_sha256))
        select(store, data, campaign)
    export(store, data, exports, campaign, run_id)


def approve(store: Store, candidate_id: str, image_sha256: str, reviewer: str = "ada") -> None:
    decision = Decision(
        candidate_id=candidate_id,
        image_sha256=image_sha256,
        verdict="approve",
        reviewer=reviewer,
        reason="fine",
    )
    decide(store, SPRING, decision)


def select(store: Store, data: Path, campaign: str) -> None:
    record_choices(store, campaign, choices_for(store, data, campaign), run_id="run-1")


def export(store: Store, data: Path, exports: Path, campaign: str, run_id: str = "run-1") -> None:
    files = make_files(store, plan_export(store, data, campaign), load_exported_files(store, campaign))
    made = [file for file in files if isinstance(file, MadeFile)]
    deliver(store, campaign, made, [LocalFolder(exports)], run_id=run_id)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world that was built once, and then moved: nobody finds anything where it was recorded."""
    built = World(tmp_path_factory.mktemp("audit") / "built")
    write_data(built.data)
    record_catalog(built.store, read_catalog(built.data / "catalog", built.store.images), run_id="run-1")
    run_campaign(built.store, built.data, built.exports, SPRING)
    run_campaign(built.store, built.data, built.exports, AUTUMN)
    return built.root.rename(built.root.with_name("template"))


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    """A world of one's own."""
    return World(shutil.copytree(template, tmp_path / "world", symlinks=True))


def states(result: AuditResult) -> dict[str, str]:
    """The state of each link of the only story."""
    [(story, _)] = result.stories
    return {link.name: link.state for link in story.links}


def broken(result: AuditResult) -> dict[str, str]:
    """The links that do not hold, with their states."""
    return {link.name: link.state for story, _ in result.stories for link in story.broken}


def told(result: AuditResult) -> str:
    """All that is said, as text."""
    console = Console(width=200, no_color=True, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in result.tables():
        console.print(table)
    return console.export_text()


# Ways of breaking something

FILES = ("tile", "original")


def flip(path: Path, at: int = -20) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def delete_table(world: World, table: Table[Any]) -> None:
    for path in world.table(table):
        path.unlink()


def garble_table(world: World, table: Table[Any]) -> None:
    for path in world.table(table):
        path.write_bytes(b"PAR1 is all that is left")


CHANGES: dict[str, tuple[str, Any]] = {
    "products": ("brand", "Somebody else"),
    "prompts": ("text", "A red mug"),
    "candidates": ("cost_usd", 0.5),
    "scores": ("value", 0.99),
    "selection": ("quality", 0.77),
    "exports": ("cost_usd", 0.5),
}
"""A value of each table that somebody might want to be another one."""


def forge_table(world: World, table: Table[Any], *, rehash: bool, rename: bool) -> None:
    """Change one value of the mug's rows in every materialisation.

    Args:
        world: where.
        table: what.
        rehash: whether the row gets the hash of its new content.
        rename: whether the file gets the name of its new content.
    """
    column, value = CHANGES[table.name]
    for path in world.table(table):
        written = pq.read_table(path)
        rows = written.to_pylist()
        for row in rows:
            if row.get("sku", MUG) == MUG and row.get("dimension", "file_check") == "file_check":
                row[column] = value
                flat = {name: row[name] for name in table.columns}
                if rehash:
                    row["fact_sha256"] = fingerprint([table.name, table.version, flat])
        changed = type(written).from_pylist(rows, schema=written.schema)
        if rename:
            prefix, folder = path.stem.rpartition("-")[0], path.parent.relative_to(world.root / "store")
            path.unlink()
            write_named(world.store.files, folder.as_posix(), prefix, changed)
        else:
            pq.write_table(changed, path)


def forge_event(
    world: World, stream: EventStream[Any], name: str, *, rehash: bool, **changes: object
) -> None:
    """Change an event's body, with the hash of its new content or the old one."""
    path = world.event(stream, name)
    content = json.loads(path.read_bytes())
    content["body"] |= changes
    if rehash:
        del content["event_sha256"]
        content["event_sha256"] = fingerprint(content)
    path.write_bytes(canonical_json(content) + b"\n")


Break = Callable[[World], None]


def breakages() -> Iterator[tuple[str, Break, str, str]]:
    """What is done, how, and the one link that must be named, with its state."""
    for name, table in TABLES.items():
        link = {
            "products": "product",
            "prompts": "prompt",
            "candidates": "candidate",
            "exports": "export record",
        }
        named = link.get(name, name)
        yield f"{name} deleted", partial(delete_table, table=table), named, "missing"
        yield f"{name} garbled", partial(garble_table, table=table), named, "altered"
        for rehash, rename in ((False, False), (True, False), (True, True)):
            what = f"{name} forged{' with its hash' * rehash}{' and its name' * rename}"
            yield what, partial(forge_table, table=table, rehash=rehash, rename=rename), named, "altered"

    def mug(world: World) -> str:
        return world.record().candidate_id

    def unlink(find: Callable[[World], Path]) -> Break:
        return lambda world: find(world).unlink()

    def flipped(find: Callable[[World], Path]) -> Break:
        return lambda world: flip(find(world))

    def forged(stream: EventStream[Any], *, rehash: bool, **changes: object) -> Break:
        ending = {"attempts": ".settled", "decisions": "", "receipts": ""}[stream.name]
        return lambda world: forge_event(
            world, stream, f"{world.record().export_id if stream is RECEIPTS else mug(world)}"
            f"{'.0001' + ending if stream is ATTEMPTS else ''}", rehash=rehash, **changes,
        )  # fmt: skip

    places: dict[str, tuple[str, Callable[[World], Path]]] = {
        "exported file": ("exported file", World.file),
        "manifest": ("manifest", lambda world: next(world.exports.glob(f"{SPRING}/e*/manifest.json"))),
        "image": ("image", lambda world: world.image(world.record().image_sha256)),
        "mask": ("mask", lambda world: world.image(mask_of(world))),
        "photograph": ("photograph", lambda world: world.image(photograph_of(world))),
        "claim": ("attempts", lambda world: world.event(ATTEMPTS, f"{mug(world)}.0001.submitting")),
        "attempt": ("attempts", lambda world: world.event(ATTEMPTS, f"{mug(world)}.0001.settled")),
        "decision": ("decisions", lambda world: world.event(DECISIONS, mug(world))),
        "receipt": ("receipt", lambda world: world.event(RECEIPTS, world.record().export_id)),
    }
    for what, (link_name, place) in places.items():
        yield f"{what} deleted", unlink(place), link_name, "missing"
        yield f"{what} flipped", flipped(place), link_name, "altered"
    yield (
        "claim forged with its hash",
        lambda world: forge_event(
            world, ATTEMPTS, f"{mug(world)}.0001.submitting", rehash=True, profile="another"
        ),
        "attempts",
        "altered",
    )
    for rehash in (False, True):
        how = "with its hash" if rehash else "as it is"
        yield (
            f"reviewer forged {how}",
            forged(DECISIONS, rehash=rehash, reviewer="bob"),
            "decisions",
            "altered",
        )
        yield (
            f"verdict forged {how}",
            forged(DECISIONS, rehash=rehash, verdict="reject"),
            "decisions",
            "altered",
        )
        yield f"cost forged {how}", forged(ATTEMPTS, rehash=rehash, cost_usd=9.0), "attempts", "altered"
        yield f"asset forged {how}", forged(ATTEMPTS, rehash=rehash, candidate_id="c0"), "attempts", "altered"
        yield (
            f"receipt forged {how}",
            forged(RECEIPTS, rehash=rehash, manifest_sha256="0" * 64),
            "receipt",
            "altered",
        )


def mask_of(world: World) -> str:
    candidates = world.store.facts.read(CANDIDATES, SPRING)
    return next(
        str(each.mask_sha256) for each in candidates if each.candidate_id == world.record().candidate_id
    )


def photograph_of(world: World) -> str:
    return next(product.photographs[0].sha256 for product in load_products(world.store) if product.sku == MUG)


BREAKAGES = [pytest.param(*rest, id=what) for what, *rest in breakages()]


# The story of what nobody touched


def test_an_untouched_story_holds_at_every_link(world: World) -> None:
    result = world.audit(world.file())
    assert result.holds
    assert list(states(result)) == [
        "exported file", "export record", "receipt", "manifest", "selection", "decisions", "scores",
        "candidate", "attempts", "image", "mask", "prompt", "template", "product", "photograph",
        "catalog row",
    ]  # fmt: skip
    assert set(states(result).values()) == {"holds"}


def test_a_story_answers_which_row_prompt_model_seed_cost_scores_reviewer_and_rules(world: World) -> None:
    [story] = json.loads(json.dumps(world.audit(world.file()).as_json()))["stories"]
    facts = {link["name"]: link["facts"] for link in story["links"]}
    assert (facts["catalog row"]["feed"], facts["catalog row"]["row"]) == ("products.csv", 2)
    assert facts["prompt"]["text"] == "Blue mug, Spring"
    assert (facts["candidate"]["provider"], facts["candidate"]["provider_version"]) == ("brush", "1")
    assert facts["candidate"]["seed"] == world.record().seed
    assert facts["candidate"]["cost_usd"] == 0.0
    assert {score["dimension"] for score in facts["scores"]["scores"]} == {"file_check", "dimensions"}
    assert facts["scores"]["rules_sha256"] == facts["selection"]["rules_sha256"]
    assert facts["decisions"]["decisions"][0]["reviewer"] == "ada"
    assert [attempt["state"] for attempt in facts["attempts"]["attempts"]] == ["submitting", "succeeded"]
    assert (facts["image"]["width"], facts["image"]["height"]) == (96, 64)


def test_people_read_the_same_as_a_table(world: World) -> None:
    text = told(world.audit(world.file(), reproduce=True))
    for words in (
        "Blue mug, Spring",
        "approved by ada",
        "products.csv, row 2",
        "reproduced",
        "holds at every",
    ):
        assert words in text


def test_an_audit_writes_nothing(world: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.root.rglob("*") if path.is_file()}
    world.audit(world.file(), reproduce=True)
    assert {path: path.stat().st_mtime_ns for path in world.root.rglob("*") if path.is_file()} == before


# Finding what is asked about


def test_a_copy_of_an_exported_file_is_known_by_its_bytes_wherever_it_is_and_whatever_it_is_called(
    world: World, tmp_path: Path
) -> None:
    copy = shutil.copy(world.file(), tmp_path / "from a web page.webp")
    [subject] = find(world.store, world.exports, str(copy))
    assert subject.candidate_id == world.record().candidate_id
    assert world.audit(copy).holds


@pytest.mark.parametrize("channel", FILES)
def test_an_exported_file_may_be_asked_about_by_path_hash_or_path_in_the_exports_folder(
    world: World, channel: str
) -> None:
    record, file = world.record(channel), world.file(channel)
    for what in (str(file), record.sha256, file.relative_to(world.exports).as_posix()):
        [subject] = find(world.store, world.exports, what)
        assert (subject.campaign_id, subject.candidate_id) == (SPRING, record.candidate_id)
        assert [each.row.path for each in subject.exported] == [record.path]
        assert world.audit(what).holds


def test_a_stored_image_is_known_by_its_hash_and_leads_to_all_its_files(world: World) -> None:
    image = world.record().image_sha256
    other = next(
        each.image_sha256
        for each in load_choices(world.store, SPRING)
        if each.sku == MUG and each.rank is None
    )
    assert image != other
    assert world.audit(other).holds
    assert states(world.audit(other))["export record"] == "not checked"
    assert world.audit(image).holds


def test_an_asset_id_means_all_its_exported_files(world: World) -> None:
    [(story, _)] = world.audit(world.record().candidate_id).stories
    assert story.holds
    assert [link.state for link in story.links if link.name == "exported file"] == ["holds", "holds"]


def test_a_sku_means_every_asset_that_was_exported_or_chosen_in_every_campaign(world: World) -> None:
    result = world.audit(MUG)
    assert result.holds
    assert [(story.campaign_id, story.candidate_id) for story, _ in result.stories] == [
        (AUTUMN, world.record(campaign=AUTUMN).candidate_id),
        (SPRING, world.record().candidate_id),
    ]


def test_a_file_that_was_altered_is_known_by_its_name_and_both_hashes_are_told(
    world: World, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(world.file(), tmp_path / f"{world.file().stem} (1).webp"))
    flip(copy)
    result = world.audit(copy)
    assert broken(result) == {"exported file": "altered"}
    [(story, _)] = result.stories
    assert story.broken[0].words.endswith(
        f"sha256 {sha256_of(copy.read_bytes())} instead of {world.record().sha256}"
    )


def test_a_file_that_is_gone_is_known_by_its_name(world: World) -> None:
    world.file().unlink()
    assert broken(world.audit(world.file())) == {"exported file": "missing"}
    assert broken(world.audit(world.record().candidate_id)) == {"exported file": "missing"}


def test_an_altered_copy_of_a_stored_image_is_told_from_the_image(world: World, tmp_path: Path) -> None:
    copy = Path(shutil.copy(world.image(world.record().image_sha256), tmp_path))
    assert world.audit(copy).holds
    flip(copy)
    assert broken(world.audit(copy)) == {"exported file": "altered"}


@pytest.mark.parametrize(
    "what", ["holiday.jpg", "MUG-2", "c" + "0" * 20, "0" * 64, "c" + "0" * 20 + "-tile.webp"]
)
def test_what_nobody_knows_is_not_found_and_the_answer_says_what_was_searched(
    world: World, tmp_path: Path, what: str
) -> None:
    with pytest.raises(NotFound, match="2 campaigns"):
        world.audit(what)
    (tmp_path / "holiday.jpg").write_bytes(b"snow")
    with pytest.raises(NotFound, match=sha256_of(b"snow")):
        world.audit(tmp_path / "holiday.jpg")


def test_an_unreadable_file_of_another_campaign_does_not_stop_an_audit(world: World) -> None:
    for path in (world.root / "store/facts/exports" / f"campaign={AUTUMN}").iterdir():
        path.write_bytes(b"nothing")
    assert world.audit(world.file()).holds


# Whatever is broken is named


@pytest.mark.parametrize(("how", "link", "state"), BREAKAGES)
def test_what_is_broken_is_named_and_nothing_else_is(world: World, how: Break, link: str, state: str) -> None:
    asked, asset = world.file(), world.record().candidate_id
    how(world)
    result = world.audit(asked)
    assert broken(result) == {link: state}
    assert not result.holds
    assert f"does not hold: {link} {state}" in told(result)
    assert broken(world.audit(asset)) == {link: state}


@pytest.mark.parametrize(
    ("table", "unchecked"),
    [
        ("products", {"catalog row"}),
        ("prompts", {"template"}),
        ("candidates", {"attempts"}),
        ("scores", set()),
        ("selection", {"scores"}),
        ("exports", {"exported file", "selection"}),
    ],
)
def test_the_walk_goes_on_behind_what_is_gone_by_what_the_other_records_name(
    world: World, table: str, unchecked: set[str]
) -> None:
    asked = world.file()
    delete_table(world, TABLES[table])
    found = states(world.audit(asked))
    assert {name for name, state in found.items() if state == "not checked"} == unchecked


def test_a_chain_that_was_made_anew_around_another_seed_is_betrayed_by_the_candidates_own_name(
    world: World,
) -> None:
    made = world.store.facts.read(CANDIDATES, SPRING)
    other = [
        each.model_copy(update={"request": each.request.model_copy(update={"seed": 7})}) for each in made
    ]
    record_candidates(world.store, SPRING, other, run_id="run-2")
    select(world.store, world.data, SPRING)
    export(world.store, world.data, world.exports, SPRING, run_id="run-2")
    assert broken(world.audit(world.file())) == {"candidate": "altered"}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_byte_of_a_story_can_change_unnoticed(story: "Untouched", data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(story.files))
    content = path.read_bytes()
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 2))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        assert not story.world.audit(story.asked).holds
    finally:
        path.write_bytes(content)


@dataclass(frozen=True)
class Untouched:
    """A world whose files are put back after every look, and the files that a story rests on."""

    world: World
    asked: Path
    files: list[Path]


@pytest.fixture(scope="module")
def story(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Untouched:
    world = World(shutil.copytree(template, tmp_path_factory.mktemp("story") / "world", symlinks=True))
    asset = world.record().candidate_id
    rows = [world.table(table)[-1] for table in TABLES.values()]
    events = [world.event(ATTEMPTS, f"{asset}.0001.{each}") for each in ("submitting", "settled")]
    events += [world.event(DECISIONS, asset), world.event(RECEIPTS, world.record().export_id)]
    pictures = [world.file(), world.image(world.record().image_sha256), world.image(photograph_of(world))]
    return Untouched(world, world.file(), [*rows, *events, *pictures])


# What has moved on since


def test_later_prompts_products_and_exports_do_not_change_the_story_of_what_left(world: World) -> None:
    asked, store = world.file(), world.store
    feed = world.data / "catalog/products.csv"
    header, *rows = feed.read_text().splitlines(keepends=True)
    feed.write_text(header + "CUP-1,Cup,Northwind,\n" + "".join(rows))
    record_catalog(store, read_catalog(world.data / "catalog", store.images), run_id="run-2")
    record_prompts(store, SPRING, prompts_from(load_products(store), world.data, SPRING), run_id="run-2")
    approve(store, world.record().candidate_id, world.record().image_sha256, reviewer="grace")
    select(store, world.data, SPRING)
    export(store, world.data, world.exports, SPRING, run_id="run-2")
    old, new = world.audit(asked), world.audit(world.file())
    assert old.holds
    assert new.holds
    decided = [
        next(link for link in each.stories[0][0].links if link.name == "decisions") for each in (old, new)
    ]
    assert "decided again since" in decided[0].words
    assert "grace" not in decided[0].words
    assert "grace" in decided[1].words
    row = next(link for link in old.stories[0][0].links if link.name == "catalog row")
    assert (row.state, row.words) == ("holds", "the feed on disk still has this row, now as row 3")


def test_a_feed_or_template_that_has_changed_since_is_said_and_breaks_nothing(world: World) -> None:
    feed, asset_type = world.data / "catalog/products.csv", world.data / "asset_types/tile.yaml"
    feed.write_text(feed.read_text().replace("Blue mug", "Green mug"))
    asset_type.write_text(asset_type.read_text().replace("product.name", "product.sku"))
    result = world.audit(world.file())
    assert result.holds
    assert states(result)["catalog row"] == states(result)["template"] == "not checked"
    assert "holds, as far as could be checked (template, catalog row could not)" in told(result)
    feed.unlink()
    asset_type.unlink()
    assert states(world.audit(world.file()))["catalog row"] == "not checked"


def test_an_exports_folder_that_is_elsewhere_is_not_called_missing(world: World) -> None:
    asset = world.record().candidate_id
    shutil.rmtree(world.exports)
    result = world.audit(asset)
    assert result.holds
    assert states(result)["exported file"] == states(result)["manifest"] == "not checked"


def test_packed_events_tell_the_same_story(world: World) -> None:
    asked = world.file()
    streams: list[EventStream[Any]] = [ATTEMPTS, DECISIONS, RECEIPTS]
    for stream in streams:
        world.store.events.pack(stream, SPRING, older_than=-timedelta(minutes=1))
        for path in (world.root / "store/events" / stream.name / f"campaign={SPRING}").iterdir():
            path.unlink()
    assert world.audit(asked).holds


def test_a_prompts_id_is_that_of_its_content(world: World) -> None:
    for prompt in load_prompts(world.store, SPRING):
        assert prompt_id_of(prompt) == prompt.prompt_id
        assert prompt_id_of(prompt.model_copy(update={"text": "another"})) != prompt.prompt_id
        assert prompt_id_of(prompt.model_copy(update={"references": ()})) != prompt.prompt_id


def test_an_attempt_that_failed_before_belongs_to_the_story(world: World) -> None:
    class Moody(Brush):
        moods = 0

        def render(
            self, batch: Sequence[Asked], open_reference: OpenReference
        ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
            self.moods += 1
            if self.moods == 1:
                yield batch[0], ProviderError("not today")
            else:
                yield from super().render(batch, open_reference)

    brief = world.data / f"campaigns/{AUTUMN}.yaml"
    (world.data / "campaigns/winter.yaml").write_text(brief.read_text().replace("Autumn", "Winter"))
    moody = Moody()
    for run in ("run-1", "run-2"):
        run_campaign(world.store, world.data, world.exports, "winter", provider=moody, run_id=run)
    names = world.store.events.names(ATTEMPTS, "winter")
    [failed] = {name.partition(".")[0] for name in names if ".0002." in name}
    result = world.audit(failed)
    assert result.holds
    [(story, _)] = result.stories
    words = next(link.words for link in story.links if link.name == "attempts")
    assert words == "attempt 1 failed, attempt 2 succeeded; $0.0000 in all"
    (world.root / f"store/events/attempts/campaign=winter/{failed}.0001.settled.json").unlink()
    assert broken(world.audit(failed)) == {"attempts": "missing"}


def test_where_no_person_was_asked_the_story_says_so(world: World) -> None:
    [(story, _)] = world.audit(world.file(campaign=AUTUMN)).stories
    words = next(link.words for link in story.links if link.name == "decisions")
    assert words == "nobody decided: passed every gate, and the campaign asks for no more"


def test_one_intact_record_of_a_fact_is_enough(world: World) -> None:
    for table in (PRODUCTS, PROMPTS, CANDIDATES, SCORES, SELECTION):
        partition = "all" if table is PRODUCTS else SPRING
        world.store.facts.write(table, partition, world.store.facts.read(table, partition), run_id="run-2")
    asked = world.file()
    for table in (PRODUCTS, PROMPTS, CANDIDATES, SCORES, SELECTION):
        world.table(table)[-1].write_bytes(b"damaged")
    assert world.audit(asked).holds


def test_several_broken_links_are_all_named(world: World) -> None:
    asked = world.file()
    delete_table(world, CANDIDATES)
    world.image(photograph_of(world)).unlink()
    world.event(DECISIONS, world.record().candidate_id).unlink()
    assert broken(world.audit(asked)) == {
        "candidate": "missing", "photograph": "missing", "decisions": "missing",
    }  # fmt: skip


@pytest.mark.s3
def test_the_story_is_the_same_when_the_store_is_on_s3(s3_address: Address, tmp_path: Path) -> None:
    store, data, exports = s3_address.open(), tmp_path / "data", tmp_path / "exports"
    write_data(data)
    record_catalog(store, read_catalog(data / "catalog", store.images), run_id="run-1")
    run_campaign(store, data, exports, SPRING)
    file = next(exports.rglob("e*/mug*/**/*-tile.webp"))
    result = audit(store, data, exports, {"brush": Brush()}, str(file), reproduce=True)
    assert set(states(result).values()) == {"holds"}


# Making it again


def test_a_picture_and_its_channel_files_are_made_again_byte_for_byte(world: World) -> None:
    [(_, made)] = world.audit(world.record().candidate_id, reproduce=True).stories
    assert [(each.what, each.outcome) for each in made] == [
        ("image", "reproduced"),
        (world.record().path, "reproduced"),
    ]
    assert made[1].sha256 == world.record().sha256


def test_a_provider_that_draws_something_else_is_told_by_how_much(world: World) -> None:
    result = world.audit(world.file(), provider=Brush(darker=7), reproduce=True)
    [(_, [image, file])] = result.stories
    assert (image.outcome, image.largest_difference) == ("differs", 7)
    assert file.outcome == "reproduced"
    assert not result.holds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"profiles/brush.yaml": ("size: 3", "size: 4")}, "the profile brush has changed since"),
        (
            {"profiles/brush.yaml": ("title:", "price: {unit: image, usd: 0.1, source: a test}\ntitle:")},
            "an audit spends nothing",
        ),
        ({"profiles/brush.yaml": ("title:", "titel:")}, "no such field"),
        ({"channels.yaml": ("width: 48", "width: 40")}, "the channel tile or the codecs have changed since"),
    ],
)
def test_what_has_changed_since_cannot_be_made_again_and_is_not_called_different(
    world: World, change: dict[str, tuple[str, str]], words: str
) -> None:
    for path, (old, new) in change.items():
        (world.data / path).write_text((world.data / path).read_text().replace(old, new))
    result = world.audit(world.file(), reproduce=True)
    [(_, made)] = result.stories
    [impossible] = [each for each in made if each.outcome == "impossible"]
    assert words in impossible.words
    assert result.holds


def test_another_version_of_the_provider_cannot_make_it_again(world: World) -> None:
    [(_, [image, _])] = world.audit(world.file(), provider=Brush(version="2"), reproduce=True).stories
    assert image.outcome == "impossible"
    assert image.words == (
        "cannot be reproduced exactly: provider brush is version 2, the picture was made by version 1"
    )


def test_without_its_photograph_a_picture_cannot_be_made_again(world: World) -> None:
    asked = world.file()
    world.image(photograph_of(world)).unlink()
    [(_, [image, file])] = world.audit(asked, reproduce=True).stories
    assert (image.outcome, file.outcome) == ("impossible", "reproduced")


def test_what_the_provider_no_longer_makes_is_impossible(world: World) -> None:
    class Shy(Brush):
        def render(
            self, batch: Sequence[Asked], open_reference: OpenReference
        ) -> Iterator[tuple[Asked, Rendered | ProviderError]]:
            del open_reference
            yield batch[0], ProviderRefused("it refuses now")

    [(_, [image, _])] = world.audit(world.file(), provider=Shy(), reproduce=True).stories
    assert (image.outcome, image.words) == ("impossible", "cannot be reproduced exactly: it refuses now")
