"""``asset-pipeline attempts``: what is under way, what waits for a person, and how a person lets it go on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import click
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.jobs.attempt import (
    ATTEMPTS,
    OPEN,
    Attempt,
    event_name,
    histories,
    newest_of,
    what_next,
)
from asset_pipeline.candidates.price import total_usd
from asset_pipeline.candidates.profile import load_profiles
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.candidates.request import Profile
from asset_pipeline.commands.telling import lasting, named, unfolded, usd
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import PLACES
from asset_pipeline.errors import NotFound
from asset_pipeline.spending.claims import Claim, load_claims
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import is_alive

_WHY = 60
"""Columns of a terminal that a reason takes before it goes on in the next line."""
Kind = Literal["open", "held", "dead", "all"]


@dataclass(frozen=True)
class Listed:
    """An attempt as it is listed."""

    claim: Claim
    kind: Literal["open", "held", "dead", "settled"]
    """``held``: nobody knows whether it was paid for. ``dead``: so many came to nothing that no run makes
    another. Both wait for a person."""
    reason: str


@click.group()
def attempts() -> None:
    """Show attempts that are under way or wait for a person, and release those that do."""


@attempts.command("list")
@click.argument("campaigns", nargs=-1)
@click.option(
    "--state",
    type=click.Choice(["open", "held", "dead", "all"]),
    help="Only these; all: settled ones, too. Those that are open, held or dead if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_attempts(campaigns: Sequence[str], state: Kind | None, *, as_json: bool) -> None:
    """List attempts: open ones, held ones (maybe paid for), and the dead (as many failed as are made).

    CAMPAIGNS are all that have attempts if none is named.
    """
    store = the_store()
    found = [
        each
        for each in _listed(store, load_claims(store, named(store, campaigns)))
        if state in ("all", each.kind) or (state is None and each.kind != "settled")
    ]
    now = datetime.now(UTC)
    if as_json:
        click.echo(json.dumps([_as_json(each, now) for each in found], indent=2, ensure_ascii=False))
        return
    console.print(unfolded(_table(found, now), console) if found else "no such attempts")
    waiting = {each.claim.campaign: None for each in found if each.kind in ("held", "dead")}
    for campaign in waiting:
        console.print(
            f"to make another attempt: asset-pipeline attempts release {campaign} CANDIDATE --reason ...;"
            " docs/runbook.md says what to look at first",
            markup=False,
        )


@attempts.command()
@click.argument("campaign")
@click.argument("candidates", nargs=-1)
@click.option("--all-held", is_flag=True, help="Every attempt of the campaign that is held or dead.")
@click.option("--who", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why another attempt is right.")
def release(campaign: str, candidates: Sequence[str], who: str, reason: str, *, all_held: bool) -> None:
    """Let the next run make another attempt at CANDIDATES that are held or dead. Makes nothing itself.

    What the released attempts cost stays in the books.
    """
    store = the_store()
    named(store, [campaign])
    if not candidates and not all_held:
        raise click.UsageError("name the candidates, or write --all-held")
    listed = {
        each.claim.attempt.candidate_id: each for each in _newest(store, load_claims(store, [campaign]))
    }
    _require_held(campaign, listed, candidates)
    chosen = [
        each
        for name, each in listed.items()
        if each.kind in ("held", "dead") and (all_held or name in candidates)
    ]
    released = [each.claim for each in chosen if _release(store, each, who, reason)]
    there = sum(listed[name].claim.attempt.state == "released" for name in dict.fromkeys(candidates))
    console.print(
        f"{len(released)} attempts released, {there} were before; asset-pipeline run {campaign} makes others",
        markup=False,
    )
    if released:
        _tell_cost(store, campaign, released)


def _listed(store: Store, claims: Sequence[Claim]) -> Iterator[Listed]:
    """Every attempt, with what would come next; those before a candidate's newest one are settled."""
    newest = {(each.claim.campaign, *_key(each.claim)): each for each in _newest(store, claims)}
    for claim in claims:
        attempt = claim.attempt
        found = newest.get((claim.campaign, *_key(claim)))
        yield found or Listed(claim, "open" if claim.is_open else "settled", attempt.reason or "")


def _newest(store: Store, claims: Sequence[Claim]) -> Iterator[Listed]:
    """The newest attempt of each candidate, and whether a run would go on with it."""
    alive: dict[str, bool] = {}
    by_campaign: dict[str, list[Claim]] = {}
    for claim in claims:
        by_campaign.setdefault(claim.campaign, []).append(claim)
    for its in by_campaign.values():
        by_key = {_key(each): each for each in its}
        for history in histories(each.attempt for each in its).values():
            last = newest_of(history)
            if last is None:
                continue
            if last.state in OPEN and last.worker.worker_id not in alive:
                alive[last.worker.worker_id] = is_alive(store, last.worker)
            is_owned = last.state in OPEN and alive[last.worker.worker_id]
            step = what_next(last, owner_is_alive=is_owned, this_run="", afresh=False)
            kind: Literal["open", "held", "dead", "settled"] = "settled"
            if last.state in OPEN:
                kind = "open"
            elif step.action == "hold":
                kind = "held" if last.state == "unreconciled" else "dead"
            reason = step.reason if last.state in OPEN else last.reason or ""
            yield Listed(by_key[last.candidate_id, last.attempt], kind, reason)


def _key(claim: Claim) -> tuple[str, int]:
    return claim.attempt.candidate_id, claim.attempt.attempt


def _require_held(campaign: str, listed: Mapping[str, Listed], candidates: Sequence[str]) -> None:
    """Refuse to release what does not wait for a person; what is released already is none of that."""
    unknown = [name for name in candidates if name not in listed]
    if unknown:
        raise NotFound(
            f"campaign {campaign} has no attempt at {', '.join(unknown)}; "
            f"see asset-pipeline attempts list {campaign} --state all"
        )
    wrong = [
        f"{name} (its newest attempt is {attempt.state})"
        for name in dict.fromkeys(candidates)
        if listed[name].kind not in ("held", "dead")
        and (attempt := listed[name].claim.attempt).state != "released"
    ]
    if wrong:
        raise NotFound(
            f"nothing is held of {', '.join(wrong)}; nothing was released, "
            f"see asset-pipeline attempts list {campaign}"
        )


def _release(store: Store, each: Listed, who: str, reason: str) -> bool:
    """Record that a person allows another attempt; False if that is recorded already."""
    attempt = each.claim.attempt
    words = f"{who} released it: {reason} (it was {attempt.state}: {attempt.reason})"
    released = attempt.model_copy(update={"state": "released", "reason": words})
    return store.events.append(ATTEMPTS, each.claim.campaign, event_name(released), released)


def _tell_cost(store: Store, campaign: str, released: Sequence[Claim]) -> None:
    """What was spent stays; what another attempt at each takes, by the profile that made the last one."""
    profiles = load_profiles(PLACES.data)
    candidates = {each.candidate_id: each for each in load_candidates(store, campaign)}
    costs = [_another_usd(each, profiles, candidates.get(each.attempt.candidate_id)) for each in released]
    expected, most = (total_usd(amounts) for amounts in zip(*costs, strict=True))
    kept = total_usd(each.attempt.cost_usd for each in released)
    names = ", ".join(sorted({each.attempt.profile for each in released}))
    console.print(
        f"another attempt at each costs {usd(expected)} as expected and {usd(most)} at most with {names}; "
        f"{usd(kept)} stays booked for those that were released",
        markup=False,
    )


def _another_usd(
    claim: Claim, profiles: Mapping[str, Profile], candidate: Candidate | None
) -> tuple[float, float]:
    """What another attempt is expected to cost, and can cost at most; as the last one where that is all."""
    call, profile = claim.attempt.call, profiles.get(claim.attempt.profile)
    request = call.job.request if call else candidate.request if candidate else None
    if profile is None or request is None:
        return (call.expected_usd if call else claim.set_aside_usd), claim.set_aside_usd
    size = request.width, request.height
    return profile.expected_usd(*size), profile.most_usd(*size)


def _table(found: Sequence[Listed], now: datetime) -> Table:
    table = Table(
        Column("candidate", no_wrap=True),
        Column("#", justify="right"),
        Column("profile", no_wrap=True),
        Column("state", no_wrap=True),
        Column("age", justify="right", no_wrap=True),
        Column("cost", justify="right", no_wrap=True),
        Column("job", no_wrap=True),
        Column("why", max_width=_WHY),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for each in found:
        attempt = each.claim.attempt
        state = attempt.state if each.kind in ("open", "settled") else f"{attempt.state}, {each.kind}"
        table.add_row(
            f"{each.claim.campaign}/{attempt.candidate_id}",
            str(attempt.attempt),
            attempt.profile,
            state,
            lasting((now - each.claim.claimed_at).total_seconds()),
            usd(attempt.cost_usd),
            _job_id(attempt) or "",
            each.reason,
        )
    return table


def _job_id(attempt: Attempt) -> str | None:
    """The provider's name of the job, as its books have it."""
    return attempt.ticket.job_id if attempt.ticket else attempt.result.job_id if attempt.result else None


def _as_json(each: Listed, now: datetime) -> dict[str, Any]:
    attempt, claim = each.claim.attempt, each.claim
    return {
        "campaign": claim.campaign,
        "candidate_id": attempt.candidate_id,
        "attempt": attempt.attempt,
        "profile": attempt.profile,
        "account": claim.account,
        "state": attempt.state,
        "kind": each.kind,
        "code": attempt.code,
        "claimed_at": claim.claimed_at.isoformat(),
        "age_seconds": round((now - claim.claimed_at).total_seconds(), 1),
        "cost_usd": attempt.cost_usd,
        "job_id": _job_id(attempt),
        "reason": each.reason,
    }
