"""Our books beside the vendors': whose job was for which attempt, who paid twice and why, what differs.

A job is matched to an attempt without believing what the attempt recorded of it: by the picture that it was
for, and by the moment at which it was accepted, which lies between this attempt's submission and the next.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asset_pipeline.candidates.jobs.attempt import (
    ATTEMPTS,
    OPEN,
    Attempt,
    histories,
    newest_of,
    standings,
    what_next,
)
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.errors import PipelineError
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.pictures.decode import decode
from asset_pipeline.store.store import Store
from asset_pipeline_tests.provider_fleet import Watched
from asset_pipeline_tests.remote_orders import SPRING
from asset_pipeline_tests.vendors.comfyui import ComfyUIVendor
from asset_pipeline_tests.vendors.server import Job

_PICTURE = re.compile(r"picture (\d+)")
MILLIONTH = 5e-7
"""Dollars: half of the smallest amount in any book."""


@dataclass(frozen=True)
class Line:
    """One attempt with what the vendor has of it."""

    attempt: Attempt
    jobs: tuple[Job, ...]

    @property
    def billed_usd(self) -> float:
        """What the vendor charges for it."""
        return total_usd(job.billed_usd for job in self.jobs)

    @property
    def difference_usd(self) -> float:
        """Ours less theirs."""
        return total_usd([self.attempt.cost_usd, -self.billed_usd])

    @property
    def is_named(self) -> bool:
        """Whether our books say themselves that this amount is not known: unreconciled, or estimated."""
        result = self.attempt.result
        return self.attempt.state == "unreconciled" or (
            result is not None and result.cost_basis == "estimated"
        )

    @property
    def told(self) -> str:
        """The attempt in a line."""
        attempt = self.attempt
        at_vendor = f"{len(self.jobs)} accepted, billed ${self.billed_usd:.3f}" if self.jobs else "nothing"
        return (
            f"{attempt.profile} {attempt.candidate_id[:9]} attempt {attempt.attempt}: {attempt.state}"
            f" ({attempt.code or 'delivered'}), ours ${attempt.cost_usd:.3f}; the vendor has {at_vendor}"
        )


@dataclass
class Books:
    """All attempts of a campaign, and all jobs of its vendors."""

    lines: list[Line]
    wanted: Sequence[str]
    strays: list[str] = field(default_factory=list)
    """Jobs that no attempt accounts for."""
    unpictured: list[str] = field(default_factory=list)
    """Attempts that succeeded, whose picture is not in the store or not the one that the vendor drew."""

    def of(self, provider: str) -> list[Line]:
        """Those at one provider."""
        return [line for line in self.lines if line.attempt.profile == provider]

    @property
    def without_end(self) -> list[str]:
        """Wanted candidates that have neither a picture nor a reason that waits for a person."""
        by_candidate = histories(line.attempt for line in self.lines)
        ends = {name: newest_of(history) for name, history in by_candidate.items()}
        return [name for name in self.wanted if not _has_ended(ends.get(name))]

    @property
    def doubled_attempts(self) -> list[Line]:
        """Attempts for which a vendor accepted more than one job."""
        return [line for line in self.lines if len(line.jobs) > 1]

    @property
    def doubled_candidates(self) -> list[list[Line]]:
        """The paid attempts of each candidate that has several."""
        paid: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            if line.billed_usd > 0:
                paid[line.attempt.candidate_id].append(line)
        return [lines for lines in paid.values() if len(lines) > 1]

    def needless(self, fleet: Mapping[str, Watched]) -> list[Line]:
        """Paid attempts of candidates that were paid again, though their picture could be found."""
        return [
            line
            for lines in self.doubled_candidates
            for line in lines
            if line.attempt.state != "succeeded"
            and fleet[line.attempt.profile].member.finding == "can be found"
            and any(job.behaviour.outcome == "succeeds" and job.billed_usd > 0 for job in line.jobs)
        ]

    @property
    def pictured_twice(self) -> int:
        """Candidates of which several attempts succeeded."""
        made = Counter(line.attempt.candidate_id for line in self.lines if line.attempt.state == "succeeded")
        return sum(count > 1 for count in made.values())

    @property
    def for_nothing(self) -> list[Line]:
        """The paid attempts without a picture of candidates that were paid again."""
        return [
            line for lines in self.doubled_candidates for line in lines if line.attempt.state != "succeeded"
        ]

    @property
    def unexplained(self) -> list[Line]:
        """Attempts whose amounts differ though our books are sure of theirs."""
        return [line for line in self.lines if not line.is_named and abs(line.difference_usd) > MILLIONTH]

    @property
    def named(self) -> list[Line]:
        """Attempts of which our books say that the amount is not known."""
        return [line for line in self.lines if line.is_named]

    @property
    def misattached(self) -> list[Line]:
        """Attempts that hold the job of another one."""
        return [
            line
            for line in self.lines
            if line.attempt.ticket is not None
            and line.jobs
            and line.attempt.ticket.job_id not in {job.job_id for job in line.jobs}
        ]


def audited(store: Store, fleet: Mapping[str, Watched], candidates: Mapping[str, str]) -> Books:
    """Compare a store with the vendors.

    Args:
        store: with our books and pictures.
        fleet: the vendors.
        candidates: by what the prompt says, ``picture 7``, the candidate's name.
    """
    attempts = standings(store.events.read(ATTEMPTS, SPRING)).values()
    jobs: dict[tuple[str, str, int], list[Job]] = defaultdict(list)
    books = Books([], list(candidates.values()))
    sent: defaultdict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.call is not None and attempt.call.sent_at is not None:
            sent[attempt.profile, attempt.candidate_id].append(attempt)
    for name, watched in fleet.items():
        for job in watched.vendor.jobs:
            candidate = candidates[_words_of(job)]
            earlier = [each for each in sent[name, candidate] if _sent_at(each) <= job.accepted_at]
            if not earlier:
                books.strays.append(f"{name} job {job.job_id} for {candidate}")
                continue
            owner = max(earlier, key=_sent_at)
            jobs[name, candidate, owner.attempt].append(job)
    for attempt in attempts:
        own = jobs.get((attempt.profile, attempt.candidate_id, attempt.attempt), [])
        line = Line(attempt, tuple(own))
        books.lines.append(line)
        if attempt.state == "succeeded":
            is_drawn_here = not isinstance(fleet[attempt.profile].vendor, ComfyUIVendor)
            wrong = _wrong_with(store, line, is_drawn_here=is_drawn_here)
            if wrong:
                books.unpictured.append(f"{line.told}: {wrong}")
    return books


def _sent_at(attempt: Attempt) -> float:
    if attempt.call is None or attempt.call.sent_at is None:
        raise ValueError("nothing was sent")
    return attempt.call.sent_at.timestamp()


def _words_of(job: Job) -> str:
    found = _PICTURE.search(json.dumps(job.payload))
    if found is None:
        raise ValueError(f"job {job.job_id} is for no picture of the campaign")
    return found[0]


def _wrong_with(store: Store, line: Line, *, is_drawn_here: bool) -> str | None:
    """What is wrong with the picture of an attempt that succeeded."""
    attempt = line.attempt
    try:
        data = store.images.get(attempt.image_sha256 or "")
        height, width = decode(data).pixels.shape[:2]
    except (PipelineError, FileNotFoundError) as error:
        return f"its picture is not in the store: {error}"
    if sha256_of(data) != attempt.image_sha256 or (width, height) != (128, 64):
        return "its picture is another one"
    drawn = {sha256_of(data) for job in line.jobs for data in job.pictures()}
    fetched = {picture.sha256 for picture in attempt.result.pictures} if attempt.result else set()
    if is_drawn_here and not fetched <= drawn:
        return "what was fetched is not what the vendor drew for it"
    return None


def table(books: Books, fleet: Mapping[str, Watched]) -> list[str]:
    """What came of it at each provider, and in all."""
    head = f"{'provider':14}{'found again':18}" + "".join(f"{name:>12}" for name in _COLUMNS)
    rows = [_row(books, name, fleet) for name in fleet]
    total = [sum(column) for column in zip(*rows, strict=True)]
    named = [(name, fleet[name].member.finding) for name in fleet]
    return [
        head,
        *(f"{name:14}{finding:18}" + _figures(row) for (name, finding), row in zip(named, rows, strict=True)),
        f"{'in all':32}" + _figures(total),
    ]


_COLUMNS = (
    *("submissions", "accepted", "delivered", "twice", "unreconc.", "estimated"),
    *("billed $", "ours $", "differ $"),
)
_AMOUNTS = 3
"""Of the columns, the last ones."""


def _row(books: Books, name: str, fleet: Mapping[str, Watched]) -> list[float]:
    lines, watched = books.of(name), fleet[name]
    billed = total_usd(job.billed_usd for job in watched.vendor.jobs)
    ours = total_usd(line.attempt.cost_usd for line in lines)
    unreconciled = sum(line.attempt.state == "unreconciled" for line in lines)
    return [
        watched.seen,
        len(watched.vendor.jobs),
        sum(line.attempt.state == "succeeded" for line in lines),
        sum(len(line.jobs) > 1 for line in lines),
        unreconciled,
        sum(line.is_named for line in lines) - unreconciled,
        billed,
        ours,
        total_usd([ours, -billed]),
    ]


def _figures(row: Sequence[float]) -> str:
    counts = "".join(f"{round(figure):12d}" for figure in row[:-_AMOUNTS])
    return counts + "".join(f"{figure:12.3f}" for figure in row[-_AMOUNTS:])


def explained(books: Books, fleet: Mapping[str, Watched]) -> list[str]:
    """The lists that stand behind the figures, one attempt a line."""
    told = ["unreconciled or estimated: our books name these amounts as not known"]
    told += [
        f"  {line.told}; differs ${line.difference_usd:+.3f}: {line.attempt.reason}" for line in books.named
    ]
    billed = total_usd(job.billed_usd for each in fleet.values() for job in each.vendor.jobs)
    ours = total_usd(line.attempt.cost_usd for line in books.lines)
    named = total_usd(line.difference_usd for line in books.named)
    told.append(
        f"our books ${ours:.3f} - the vendors' ${billed:.3f} = ${ours - billed:+.3f}; named ${named:+.3f}"
    )
    told.append(
        f"candidates with more than one paid job: {len(books.doubled_candidates)}; the paid attempts that"
    )
    told[-1] += " brought no picture: " + (
        _told(Counter(_why(line, fleet) for line in books.for_nothing)) or "none"
    )
    for lines in books.doubled_candidates:
        told += [f"  {lines[0].attempt.candidate_id[:9]}:"]
        told += [f"    {line.told}: {line.attempt.reason or 'it has the picture'}" for line in lines]
    return told


def _why(line: Line, fleet: Mapping[str, Watched]) -> str:
    """Why a paid attempt brought no picture, by what the vendor knows."""
    outcomes = {job.behaviour.outcome for job in line.jobs}
    if outcomes != {"succeeds"}:
        return f"the vendor's picture {' and '.join(sorted(outcomes))}"
    finding = fleet[line.attempt.profile].member.finding
    return f"its answer was lost ({'nobody can find it' if finding == 'never' else finding})"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def suspects(books: Books, fleet: Mapping[str, Watched]) -> list[str]:
    """What stands behind the figures that have to be 0, one a line."""
    lines = [*books.doubled_attempts, *books.misattached, *books.unexplained, *books.needless(fleet)]
    told = [f"{line.told}: {line.attempt.reason}" for line in lines]
    return [f"WRONG {each}" for each in [*told, *books.strays, *books.unpictured, *books.without_end]]


def broken_promises(books: Books, fleet: Mapping[str, Watched]) -> dict[str, int]:
    """What has to be 0."""
    named = total_usd(line.difference_usd for line in books.named)
    everything = total_usd(line.difference_usd for line in books.lines)
    return {
        "attempts with more than one accepted job": len(books.doubled_attempts),
        "accepted jobs that no attempt accounts for": len(books.strays),
        "attempts that hold another one's job": len(books.misattached),
        "paid attempts that were made again though their picture could be found": len(books.needless(fleet)),
        "candidates that have two pictures": books.pictured_twice,
        "wanted candidates without an end": len(books.without_end),
        "delivered pictures that are not there or not the vendor's": len(books.unpictured),
        "attempts whose amounts differ unexplained": len(books.unexplained),
        "thousandths of a dollar that differ and are not named": round(1000 * abs(everything - named)),
    }


def _has_ended(last: Attempt | None) -> bool:
    """Whether a candidate has a picture, a refusal, or waits for a person."""
    if last is None or last.state in OPEN:
        return False
    return what_next(last, owner_is_alive=False, this_run="", afresh=False).action in ("reuse", "hold")
