"""What the store's pictures are needed for, as everything that was ever recorded says it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.expired import Outcome, load_expiries
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS, OPEN, Attempt, newest
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.catalog.records import PRODUCTS, WHOLE, load_photograph_files, load_remote_photographs
from asset_pipeline.decisions.decision import standing
from asset_pipeline.decisions.records import load_decisions
from asset_pipeline.errors import BrokenFact
from asset_pipeline.exports.records import EXPORTED_FILES
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.events import Event
from asset_pipeline.store.parquet import stamped
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Recorded, Row, Table
from asset_pipeline.store.worker import is_alive


@dataclass(frozen=True)
class Use:
    """A candidate's picture, and what became of it."""

    campaign_id: str
    candidate_id: str
    attempt: int
    image_sha256: str
    mask_sha256: str | None
    outcome: Outcome | None
    """None while it is needed."""
    since: datetime | None = None
    """When the outcome was recorded."""
    has_expired: bool = False
    """Whether its end is recorded already."""

    @property
    def named(self) -> frozenset[str]:
        """The hashes of its image and its mask."""
        return frozenset({self.image_sha256, *([self.mask_sha256] if self.mask_sha256 else [])})


@dataclass(frozen=True)
class Needs:
    """Everything that names bytes of the store."""

    uses: tuple[Use, ...]
    kept: Mapping[str, str]
    """Bytes that are kept whatever became of a candidate, each with the reason in words."""
    at_work: tuple[str, ...]
    """Runs that are making pictures."""


def needs_of(store: Store) -> Needs:
    """Everything that the store's bytes are needed for.

    Raises:
        BrokenFact: a fact is unreadable or altered, so that nobody can tell what it needed.
    """
    uses: list[Use] = []
    kept = dict.fromkeys(_photographs(store), "a photograph of a product")
    at_work: dict[str, None] = {}
    for campaign_id in sorted({*store.facts.partitions(CANDIDATES), *store.events.partitions(ATTEMPTS)}):
        history = _intact(store, CANDIDATES, campaign_id)
        attempts = store.events.read(ATTEMPTS, campaign_id)
        uses += _uses(store, campaign_id, history)
        recorded = {(each.row.candidate_id, each.row.attempt) for each in history}
        for last in newest(attempts).values():
            if last.state in OPEN and is_alive(store, last.worker):
                at_work[last.run_id] = None
        kept |= dict.fromkeys(_not_collected(attempts, recorded), "a run that has not ended made it")
        references = (reference for each in history for reference in each.row.request.references)
        kept |= dict.fromkeys((each.sha256 for each in references), "a photograph of a product")
    for campaign_id in store.facts.partitions(EXPORTED_FILES):
        files = [each.row for each in _intact(store, EXPORTED_FILES, campaign_id)]
        kept |= {sha256: "it was exported" for file in files for sha256 in (file.sha256, file.image_sha256)}
    return Needs(tuple(uses), kept, tuple(at_work))


def _uses(store: Store, campaign_id: str, history: Sequence[Recorded[Candidate]]) -> Iterator[Use]:
    """Each picture that the campaign ever recorded."""
    materialisations = store.facts.materialisations(CANDIDATES, campaign_id)
    choices = _choices(store, campaign_id)
    decisions, expiries = load_decisions(store, campaign_id), load_expiries(store, campaign_id)
    last: dict[tuple[str, int], Recorded[Candidate]] = {
        (each.row.candidate_id, each.row.attempt): each for each in history
    }
    for (candidate_id, attempt), recorded in last.items():
        candidate = recorded.row
        if candidate.image_sha256 is None:
            continue
        outcome: Outcome | None = None
        since = None
        decision = standing(decisions.get(candidate_id, ()), candidate.image_sha256)
        if recorded.materialisation == materialisations[-1]:
            said = choices.get(candidate_id, [])
            outcome, since = _became(said, candidate.image_sha256, is_decided=decision is not None)
        elif decision is None or decision.body.verdict != "approve":
            later = materialisations.index(recorded.materialisation) + 1
            outcome, since = "no_longer_wanted", stamped(materialisations[later])
        yield Use(
            campaign_id=campaign_id,
            candidate_id=candidate_id,
            attempt=attempt,
            image_sha256=candidate.image_sha256,
            mask_sha256=candidate.mask_sha256,
            outcome=outcome,
            since=since,
            has_expired=(candidate_id, attempt) in expiries,
        )


def _became(
    latest_first: Sequence[Recorded[Choice]], image_sha256: str, *, is_decided: bool
) -> tuple[Outcome | None, datetime | None]:
    """What the selections made of a picture, and since when they have said so without a break."""
    if not latest_first:
        return None, None
    now, since = latest_first[0].row, latest_first[0].recorded_at
    awaits_a_person = now.is_audited and not is_decided
    if now.image_sha256 != image_sha256 or awaits_a_person or now.state not in ("not_chosen", "rejected"):
        return None, None
    for each in latest_first:
        if (each.row.state, each.row.image_sha256) != (now.state, image_sha256):
            break
        since = each.recorded_at
    return now.state, since


def _choices(store: Store, campaign_id: str) -> dict[str, list[Recorded[Choice]]]:
    """What the selections say of each candidate, the newest first, as long as every one of them knows it."""
    names = store.facts.materialisations(SELECTION, campaign_id)
    age = {name: place for place, name in enumerate(reversed(names))}
    found: dict[str, list[Recorded[Choice]]] = {}
    for each in reversed(_intact(store, SELECTION, campaign_id)):
        known = found.setdefault(each.row.candidate_id, [])
        if len(known) == age[each.materialisation]:
            known.append(each)
    return found


def _not_collected(attempts: Sequence[Event[Attempt]], recorded: set[tuple[str, int]]) -> Iterator[str]:
    """The bytes of attempts that succeeded, and that no finished run has recorded as a candidate yet."""
    for event in attempts:
        attempt = event.body
        if (attempt.candidate_id, attempt.attempt) not in recorded:
            yield from (each for each in (attempt.image_sha256, attempt.mask_sha256) if each)


def _photographs(store: Store) -> Iterator[str]:
    for recorded in _intact(store, PRODUCTS, WHOLE):
        yield from (photograph.sha256 for photograph in recorded.row.photographs)
    yield from (each.sha256 for each in load_photograph_files(store))
    yield from (each.sha256 for each in load_remote_photographs(store) if each.sha256)


def _intact(store: Store, table: Table[Row], partition: str) -> list[Recorded[Row]]:
    """Every row that was ever recorded, oldest first."""
    history = store.facts.history(table, partition)
    altered = next((each for each in history if not each.is_intact), None)
    if altered:
        raise BrokenFact(
            f"{altered.materialisation} of {table.name} in {partition} is altered: nothing expires while a "
            "fact is broken, for nobody can tell what it needed; restore it from a backup"
        )
    return history
