"""``asset-pipeline providers``: which remote profiles are asked now, what waits there, how one goes on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from asset_pipeline.candidates.breaker import health_of
from asset_pipeline.candidates.breaker import resume as close
from asset_pipeline.candidates.health import Health
from asset_pipeline.candidates.jobs.remote import account_of
from asset_pipeline.candidates.jobs.traffic import account_subject
from asset_pipeline.candidates.profile import load_profiles
from asset_pipeline.candidates.request import Profile
from asset_pipeline.commands.telling import lasting, unfolded
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.definitions import PLACES
from asset_pipeline.errors import NotFound
from asset_pipeline.spending.claims import load_claims
from asset_pipeline.spending.queue import Queue, queues
from asset_pipeline.store.store import Store


@dataclass(frozen=True)
class Seen:
    """A remote profile as it stands now."""

    profile: str
    provider: str
    account: str
    health: Health
    account_health: Health
    queue: Queue


@click.group()
def providers() -> None:
    """Show how remote providers are, and resume what a person has mended."""


@providers.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_providers(*, as_json: bool) -> None:
    """Say of each profile with an endpoint whether it is asked now, and what of ours waits there.

    Asks nobody: it tells what the store knows.
    """
    store, now = the_store(), datetime.now(UTC)
    under_way = queues(load_claims(store), now)
    seen = [
        _seen(store, name, profile, under_way, now)
        for name, profile in sorted(load_profiles(PLACES.data).items())
        if profile.endpoint is not None
    ]
    known = {(each.profile, each.account) for each in seen}
    elsewhere = {key: queue for key, queue in under_way.items() if key not in known and queue.depth}
    if as_json:
        rest = [
            {"profile": name, "account": account, **_queue_json(queue)}
            for (name, account), queue in elsewhere.items()
        ]
        told = {"profiles": [_as_json(each) for each in seen], "no_profile_any_more": rest}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    console.print(unfolded(_table(seen, now), console) if seen else "no profile has an endpoint")
    for each in seen:
        for note in _notes(each):
            console.print(note, markup=False)
    for (name, account), queue in elsewhere.items():
        console.print(
            f"{queue.depth} attempts are open at {name} ({account}), which is no profile any more",
            markup=False,
        )


@providers.command()
@click.argument("subject")
@click.option("--who", required=True, help="Who has mended it.")
def resume(subject: str, who: str) -> None:
    """Let requests go again to SUBJECT: a profile's name, or account-<name>, whether paused or left alone.

    Mend the cause first: an account whose key is refused pauses again with the next request.
    """
    known = _subjects(load_profiles(PLACES.data))
    if subject not in known:
        raise NotFound(
            f"there is no remote profile or account {subject!r} (there are: {', '.join(known) or 'none'})"
        )
    store = the_store()
    before = health_of(store, subject)
    after = close(store, subject, who)
    if before.state == "closed":
        console.print(f"{subject} is asked already; nothing was changed", markup=False)
    else:
        console.print(f"{subject} was {_word(before)} ({before.because}); now {after.because}", markup=False)


def _subjects(profiles: Mapping[str, Profile]) -> list[str]:
    """Whatever has a breaker: remote profiles, then their accounts."""
    remote = {name: each for name, each in sorted(profiles.items()) if each.endpoint is not None}
    accounts = {account_subject(_account(each)) for each in remote.values()}
    return [*remote, *sorted(accounts)]


def _account(profile: Profile) -> str:
    return "" if profile.endpoint is None else account_of(profile.endpoint, profile.provider)


def _seen(
    store: Store,
    name: str,
    profile: Profile,
    under_way: Mapping[tuple[str, str], Queue],
    now: datetime,
) -> Seen:
    account = _account(profile)
    return Seen(
        profile=name,
        provider=profile.provider,
        account=account,
        health=health_of(store, name, now=now),
        account_health=health_of(store, account_subject(account), now=now),
        queue=under_way.get((name, account), Queue()),
    )


def _table(seen: Sequence[Seen], now: datetime) -> Table:
    numbers = ("to send", "queued", "running", "fetching", "oldest", "turned away")
    table = Table(
        Column("profile", no_wrap=True),
        Column("is", no_wrap=True),
        Column("account", no_wrap=True),
        *(Column(each, justify="right", no_wrap=True) for each in numbers),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for each in seen:
        queue = each.queue
        table.add_row(
            each.profile,
            _standing(each.health, now),
            f"{each.account}: {_standing(each.account_health, now)}",
            *(str(queue.stages.get(stage, 0)) for stage in ("to send", "queued", "running", "fetching")),
            "" if queue.oldest_seconds is None else lasting(queue.oldest_seconds),
            str(queue.turned_away),
        )
    return table


def _standing(health: Health, now: datetime) -> str:
    """The state, for how long, and how long still."""
    words = _word(health)
    if health.state == "closed":
        return words
    if health.since is not None:
        words += f" for {lasting((now - health.since).total_seconds())}"
    if health.until is not None:
        words += f", {lasting((health.until - now).total_seconds())} to go"
    return words


def _word(health: Health) -> str:
    return {"closed": "asked", "open": "left alone", "half_open": "probed", "paused": "paused"}[health.state]


def _notes(each: Seen) -> list[str]:
    """Why something is not asked, and what a person does about it."""
    notes = [
        f"{subject} is {_word(health)}: {health.because}"
        for subject, health in (
            (each.profile, each.health),
            (account_subject(each.account), each.account_health),
        )
        if health.state != "closed"
    ]
    if each.account_health.state == "paused":
        notes.append(
            "mend that, then: asset-pipeline providers resume "
            f"{account_subject(each.account)} --who YOUR-NAME"
        )
    return notes


def _as_json(each: Seen) -> dict[str, Any]:
    return {
        "profile": each.profile,
        "provider": each.provider,
        "account": each.account,
        "health": each.health.model_dump(mode="json"),
        "account_health": each.account_health.model_dump(mode="json"),
        **_queue_json(each.queue),
    }


def _queue_json(queue: Queue) -> dict[str, Any]:
    return {
        "stages": dict(queue.stages),
        "oldest_seconds": queue.oldest_seconds,
        "turned_away_in_the_last_hour": queue.turned_away,
    }
