"""The ``asset-pipeline`` command. Materialising stays Dagster's: ``run`` is its campaign job, in here."""

import atexit
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from asset_pipeline.audit.audit import audit as audit_story
from asset_pipeline.campaign.brief import CAMPAIGN_TEMPLATE, campaign_ids, campaign_path, load_campaign
from asset_pipeline.campaign.partitions import register_campaigns
from asset_pipeline.candidates.plan import Foreseen, Ledger, Plan, plan_production
from asset_pipeline.candidates.records import (
    Workshop,
    load_attempts,
    load_candidates,
    load_spent_usd,
    order_from,
)
from asset_pipeline.candidates.remaking import Remaking, reasons, remaking
from asset_pipeline.candidates.summary import contact_sheet_of
from asset_pipeline.candidates.token_count import token_counts
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.catalog.records import load_photograph_files, recorded_photographs
from asset_pipeline.catalog.report import hygiene_report
from asset_pipeline.checkpoints.local_files import Progress as Told
from asset_pipeline.checkpoints.pinning import pin as pin_model
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.commands.attempts import attempts
from asset_pipeline.commands.calibrate import calibrate
from asset_pipeline.commands.compare import compare
from asset_pipeline.commands.cost import cost
from asset_pipeline.commands.expire import expire
from asset_pipeline.commands.like import like
from asset_pipeline.commands.providers import providers
from asset_pipeline.commands.route import route
from asset_pipeline.commands.serve import serve
from asset_pipeline.commands.spend import spend
from asset_pipeline.commands.terminal import console, the_store
from asset_pipeline.commands.workflows import workflows
from asset_pipeline.decisions.decision import Decision, Verdict
from asset_pipeline.decisions.records import decide
from asset_pipeline.definitions import (
    CHECKPOINTS,
    PLACES,
    PROVIDERS,
    STREAMS,
    TEXT_MODELS,
    defs,
    scorers,
)
from asset_pipeline.doctor import examine
from asset_pipeline.errors import InvalidFile, NotFound, PipelineError
from asset_pipeline.exports.records import load_exported_files, load_receipts
from asset_pipeline.prompts.difference import Difference
from asset_pipeline.prompts.difference import compare as compare_words
from asset_pipeline.prompts.editions import changes
from asset_pipeline.prompts.records import PROMPTS, Written, load_editions, load_prompts, prompts_from
from asset_pipeline.prompts.report import difference_json, difference_lines, only, written_json, written_lines
from asset_pipeline.prompts.writing.words import WordsWritten, Writer, count_drafts
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import load_choices
from asset_pipeline.selection.summary import MARKS
from asset_pipeline.store.store import Store

SHOWN_CAMPAIGNS = 50


class FailingClearly(click.Group):
    """Shows a failure on purpose as its message with status 1; anything else is a bug and shows itself."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PipelineError as error:
            console.print(f"[bold red]{type(error).__name__}:[/]", end=" ")
            console.print(str(error), markup=False)
            sys.exit(1)


@click.group(cls=FailingClearly)
def main() -> None:
    """Marketing images from a product catalog, each one defensible."""
    os.environ.setdefault("DAGSTER_HOME", str(PLACES.data / "dagster"))
    Path(os.environ["DAGSTER_HOME"]).mkdir(parents=True, exist_ok=True)
    atexit.register(_end_quietly)


def _end_quietly() -> None:
    """Let DuckDB's binding not list what the interpreter did not tear down before it, once torch is loaded.

    It writes from C after everything else has ended, two screens long, and means nothing to anybody here.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stderr__.fileno() if sys.__stderr__ else 2)


@main.command()
@click.argument("campaign")
def init(campaign: str) -> None:
    """Write a campaign file to start from, with every field explained."""
    path = campaign_path(PLACES.data, campaign)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(CAMPAIGN_TEMPLATE)
    except FileExistsError:
        raise InvalidFile(f"{path} exists already; edit it, or choose another name") from None
    console.print(f"wrote {path}; edit it, then: asset-pipeline plan {campaign}")


@main.command()
@click.argument("campaigns", nargs=-1)
@click.option("--changed", is_flag=True, help="Only campaigns that have run and would make something now.")
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def plan(campaigns: Sequence[str], *, changed: bool, as_json: bool) -> None:
    """Say what a run would make, reuse and cost. Makes and records nothing.

    CAMPAIGNS are all campaigns if none is named.
    """
    load_requirements(PLACES.data, scorers(CHECKPOINTS))  # its errors are told before anything is made
    store = the_store()
    reading = read_catalog(
        PLACES.data / "catalog", known=load_photograph_files(store), remote=recorded_photographs(store)
    )
    plans = [_plan(store, campaign, reading.products) for campaign in campaigns or campaign_ids(PLACES.data)]
    if changed:
        plans = [each for each in plans if each.make and each.has_run]
    if as_json:
        print(json.dumps([asdict(each) for each in plans], indent=2, default=list))
        return
    console.print(_plans_table(plans))
    if not_fetched := sum(each.code == "photograph_not_fetched" for each in reading.findings):
        console.print(f"{not_fetched} photographs are not fetched yet: the plan is without them until a run")
    for each in plans:
        for note in _plan_notes(each):
            console.print(f"{each.campaign_id}: {note}", markup=False)
    to_run = [each.campaign_id for each in plans if each.make]
    if changed and to_run:
        console.print("to make it, as one backfill that the UI shows (with `make dev` running):")
        console.print(
            f"  dagster job backfill -w workspace.yaml -j campaign --noprompt --partitions {','.join(to_run)}"
        )


@main.command()
@click.argument("campaigns", nargs=-1, required=True)
@click.option("--afresh", is_flag=True, help="Make every image again; what it costs is spent again.")
@click.option(
    "--shards", default=1, show_default=True, help="Parts that several workers can make side by side."
)
def run(campaigns: Sequence[str], *, afresh: bool, shards: int) -> None:
    """Materialise campaigns, from the feeds to the exports, in this process. Makes only what is missing."""
    instance = dg.DagsterInstance.get()
    register_campaigns(instance, PLACES.data)
    job = defs.resolve_job_def("campaign")
    load_requirements(PLACES.data, scorers(CHECKPOINTS))
    for campaign in campaigns:
        load_campaign(PLACES.data, campaign)
    for campaign in campaigns:
        result = job.execute_in_process(
            partition_key=campaign,
            instance=instance,
            raise_on_error=False,
            run_config={
                "loggers": {"console": {"config": {"log_level": "INFO"}}},
                "ops": {
                    "candidates": {"ops": {"plan_shards": {"config": {"afresh": afresh, "shards": shards}}}}
                },
            },
        )
        _tell(the_store(), campaign)
        for event in result.all_events:
            if event.is_step_failure:
                error = event.step_failure_data.error
                reason = (error.cause or error).message.strip() if error else "no reason given"
                console.print(f"{campaign}: {event.step_key} failed: {reason}", markup=False)
        if not result.success:
            sys.exit(1)


@main.command()
@click.argument("campaign")
@click.option(
    "--state",
    type=click.Choice(["approved", "pending", "rejected", "not_chosen"]),
    help="Only candidates in this state.",
)
@click.option("--audited", is_flag=True, help="Only those that chance sends to a person all the same.")
def show(campaign: str, state: str | None, *, audited: bool) -> None:
    """List a campaign's candidates, what became of each and why, and draw its contact sheet."""
    store = the_store()
    load_campaign(PLACES.data, campaign)
    table = Table(Column("candidate", no_wrap=True), "SKU", "state", "quality", "why")
    for choice in load_choices(store, campaign):
        if state in (None, choice.state) and (choice.is_audited or not audited):
            quality = "" if choice.quality is None else f"{choice.quality:.2f}"
            table.add_row(choice.candidate_id, choice.sku, choice.state, quality, "; ".join(choice.reasons))
    console.print(table)
    _tell(store, campaign)


def _deciding(command: Callable[..., None]) -> click.Command:
    """A command of what a person decides about, who decides, and why."""
    for add in (
        click.option("--reason", default="", help="Why."),
        click.option(
            "--reviewer", default=getpass.getuser, help="Who decides; your login name if not given."
        ),
        click.option("--all-pending", is_flag=True, help="Every image that waits for a person."),
        click.argument("candidates", nargs=-1),
        click.argument("campaign"),
    ):
        command = add(command)
    return main.command()(command)


@_deciding
def approve(**decision: Any) -> None:
    """Approve images, so that the next run exports them."""
    _decide("approve", **decision)


@_deciding
def reject(**decision: Any) -> None:
    """Reject images; the next run chooses the next best."""
    _decide("reject", **decision)


@main.command()
@click.argument("what")
@click.option("--reproduce", is_flag=True, help="Make the picture again and compare it.")
@click.option("--json", "as_json", is_flag=True, help="Print the story as JSON.")
def audit(what: str, *, reproduce: bool, as_json: bool) -> None:
    """Tell the whole story of an exported file, a SHA-256, a SKU or an asset id, checking every link.

    Ends with status 2 if a link does not hold.
    """
    result = audit_story(the_store(), PLACES.data, PLACES.exports, PROVIDERS, what, reproduce=reproduce)
    if as_json:
        print(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
    else:
        for table in result.tables():
            console.print(table)
    sys.exit(0 if result.holds else 2)


@main.command()
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as a page here."
)
def hygiene(html: Path | None) -> None:
    """Say what is wrong with the feeds in data/catalog, by row and SKU. Records nothing."""
    reading = read_catalog(PLACES.data / "catalog", remote=recorded_photographs(the_store()))
    if html:
        html.write_text(hygiene_report(reading), encoding="utf-8")
        console.print(f"wrote {html}")
    for finding in reading.findings:
        where = finding.feed + (f":{finding.row}" if finding.row else "")
        console.print(
            f"{where}: {finding.sku or '-'}: {finding.level} {finding.code}: {finding.message}", markup=False
        )
    console.print(f"{len(reading.products)} products, {len(reading.findings)} findings")


@main.command()
def register() -> None:
    """Make every campaign file a partition; a sensor does the same while Dagster runs."""
    new = register_campaigns(dg.DagsterInstance.get(), PLACES.data)
    console.print(f"new partitions: {', '.join(new) or 'none'}")


@main.command()
@click.option("--older-than-days", default=7.0, show_default=True, help="Leave younger events alone.")
def pack(older_than_days: float) -> None:
    """Roll old event files into Parquet, so that folders stay small. Nothing is lost; safe at any time."""
    store = the_store()
    for stream in STREAMS:
        rolled = [
            store.events.pack(stream, partition, older_than=timedelta(days=older_than_days))
            for partition in store.events.partitions(stream)
        ]
        console.print(f"{stream.name}: {sum(rolled)} events packed")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def doctor(*, as_json: bool) -> None:
    """Show device, memory, models and profiles, and whether each campaign can run here. Loads no model.

    Ends with status 2 if a campaign cannot.
    """
    with _progress() as told:
        checkpoints = Checkpoints(PLACES.data, os.environ, told)
        examination = examine(PLACES.data, os.environ, PROVIDERS, checkpoints, date.today())  # noqa: DTZ011
    if as_json:
        print(json.dumps(examination.as_json(), indent=2, ensure_ascii=False))
    else:
        for table in examination.tables():
            console.print(table)
    sys.exit(0 if examination.can_run else 2)


@main.group()
def models() -> None:
    """Get the files of models, each verified by its hash."""


@models.command()
@click.argument("names", nargs=-1, required=True)
def fetch(names: Sequence[str]) -> None:
    """Bring all files of models to this machine and verify them."""
    for name in names:
        with _progress() as told:
            folder = Checkpoints(PLACES.data, os.environ, told).folder(name)
        console.print(f"{name}: every file is here and verified: {folder}", markup=False)


@models.command()
@click.argument("name")
@click.option("--variant", help="Which weights of a repository that has them several times, such as fp16.")
def pin(name: str, variant: str | None) -> None:
    """Write the hashes of a model's files into data/models, from its folder here or from the hub."""
    with _progress() as told:
        pinned = pin_model(PLACES.data, os.environ, name, variant=variant, progress=told)
    where = f" at {pinned.revision}" if pinned.revision else ""
    console.print(f"{name}{where}: {len(pinned.files)} files, {pinned.bytes / 1e9:.2f} GB", markup=False)


@main.group()
def prompts() -> None:
    """Show the words of campaigns, and what a change would do to them. Makes and records nothing."""


@prompts.command("show")
@click.argument("campaign")
@click.option("--sku", help="Only this product.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def show_prompts(campaign: str, sku: str | None, *, as_json: bool) -> None:
    """Print a campaign's words as they would be written now, and what would not be written."""
    store = the_store()
    written: Written | None = _words(store, campaign, _products_now(store))
    if sku is not None and written is not None:
        written = only(written, sku)
    if written is None:
        raise NotFound(f"the campaign {campaign} has no prompt for the SKU {sku!r}")
    if as_json:
        print(json.dumps(written_json(written), indent=2, ensure_ascii=False))
        return
    for line in written_lines(written):
        console.print(line)
    counts = (len(written.prompts), len(written.failures), len(written.warnings))
    console.print("{} prompts, {} not written, {} to look at".format(*counts))
    for note in _writing_notes(written.words):
        console.print(note, markup=False)


@prompts.command("diff")
@click.argument("campaigns", nargs=-1)
@click.option(
    "--limit", default=5, show_default=True, type=click.IntRange(min=0), help="Examples of each kind."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, all examples included.")
def diff_prompts(campaigns: Sequence[str], *, limit: int, as_json: bool) -> None:
    """Show what a change of template, brand, policy or feed would do to the words that were recorded last.

    CAMPAIGNS are all that have run if none is named. The table at the end is of every campaign that has run
    and that the change touches, named or not.
    """
    store = the_store()
    have_run = [each for each in campaign_ids(PLACES.data) if store.facts.materialisations(PROMPTS, each)]
    products = _products_now(store)
    for campaign in campaigns:
        load_campaign(PLACES.data, campaign)
    found, wrong = {}, {}
    for campaign in dict.fromkeys([*campaigns, *have_run]):
        try:
            found[campaign] = _difference(store, campaign, products)
        except PipelineError as error:
            wrong[campaign] = str(error)
    touched = [remade for _, remade in found.values() if remade.because and remade.campaign_id in have_run]
    if as_json:
        shown = {name: difference_json(found[name][0]) for name in campaigns or have_run if name in found}
        told = {"campaigns": shown, "stale": [asdict(each) for each in touched], "not_compared": wrong}
        print(json.dumps(told, indent=2, ensure_ascii=False, default=list))
    else:
        for campaign in (name for name in campaigns or have_run if name in found):
            difference = found[campaign][0]
            counts = ", ".join(f"{count} {name}" for name, count in difference.counts.items())
            console.print(f"{campaign}: of its prompts {counts}", markup=False, style="bold")
            if waiting := count_drafts([*difference.new, *(each.after for each in difference.changed)]):
                console.print(f"{waiting} of them wait for a text model, in the templates' words until then")
            for line in difference_lines(difference, limit):
                console.print(line)
        console.print(_remakings_table(touched) if touched else "no campaign that has run would change")
        for campaign, reason in wrong.items():
            console.print(f"{campaign}: cannot be compared: {reason}", markup=False)
    if wrong:
        sys.exit(1)


@contextmanager
def _progress() -> Iterator[Told]:
    """Bars on the terminal for files that take long, gone when all is done."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            task = tasks.setdefault(what, TaskID(-1))
            if task < 0:
                task = tasks[what] = bars.add_task(what, total=total)
            bars.update(task, completed=done, total=total, visible=done < total)

        yield tell


def _plan(store: Store, campaign_id: str, products: Sequence[Any]) -> Plan:
    campaign = load_campaign(PLACES.data, campaign_id)
    written = _words(store, campaign_id, products)
    order = order_from(
        Workshop(store, PLACES.data, PROVIDERS), campaign_id, campaign, written.prompts, products
    )
    ledger = Ledger(
        load_attempts(store, campaign_id),
        load_candidates(store, campaign_id),
        load_spent_usd(store, campaign_id),
    )
    return plan_production(order, campaign, written, ledger, datetime.now(UTC).date())


def _words(store: Store, campaign_id: str, products: Sequence[Any]) -> Written:
    """What the campaign's prompts would say now; asks no model and records nothing."""
    tokens = token_counts(PLACES.data, PROVIDERS)
    return prompts_from(products, PLACES.data, campaign_id, tokens, Writer(store, TEXT_MODELS))


def _products_now(store: Store) -> Sequence[Any]:
    """The products that the feeds hold now."""
    return read_catalog(
        PLACES.data / "catalog", known=load_photograph_files(store), remote=recorded_photographs(store)
    ).products


def _difference(store: Store, campaign_id: str, products: Sequence[Any]) -> tuple[Difference, Remaking]:
    """What became of the words that were recorded last, and the pictures that this means."""
    campaign, written = load_campaign(PLACES.data, campaign_id), _words(store, campaign_id, products)
    difference = compare_words(load_prompts(store, campaign_id), written.prompts, written.failures)
    because = reasons(difference, changes(load_editions(store, campaign_id), written.editions))
    order = order_from(
        Workshop(store, PLACES.data, PROVIDERS), campaign_id, campaign, written.prompts, products
    )
    return difference, remaking(order, difference, because, load_attempts(store, campaign_id))


def _remakings_table(found: Sequence[Remaking]) -> Table:
    table = Table(
        Column("campaign", no_wrap=True), "because of", "change", "new", "go", "pictures", "cost", "profile"
    )
    for each in found:
        counts = (str(each.counts[name]) for name in ("change", "new", "go"))
        table.add_row(
            each.campaign_id,
            ", ".join(each.because),
            *counts,
            str(each.pictures),
            f"${each.cost_usd:.2f}",
            each.profile,
        )
    return table


def _plans_table(plans: Sequence[Plan]) -> Table:
    table = Table(
        Column("campaign", no_wrap=True), "products", "prompts", "there", "to make", "cost", "spent", "budget"
    )
    for each in plans[:SHOWN_CAMPAIGNS]:
        money = (each.cost_usd, each.spent_usd, each.budget_usd)
        counts = (each.products, each.prompts, each.reuse, each.make)
        table.add_row(each.campaign_id, *map(str, counts), *(f"${amount:.2f}" for amount in money))
    return table


def _plan_notes(each: Plan) -> Iterator[str]:
    """What a person should know of a plan besides its numbers."""
    if each.funnel is not None:
        yield from _funnel_notes(each, each.funnel)
    elif each.make:
        by_type = ", ".join(f"{count} {name}" for name, count in each.make_by_asset_type.items())
        whom = ", ".join(f"{name} ({count})" for name, count in each.by_profile.items())
        makers = whom if len(each.by_profile) > 1 else ", ".join(each.by_profile)
        yield f"makes {by_type} with {makers}; {len(each.new_skus)} products are new"
    yield from _writing_notes(each.words)
    if each.failures:
        yield f"{each.failures} prompts cannot be written; the prompts asset says why"
    if each.unknown_skus:
        yield f"not in the catalog: {', '.join(each.unknown_skus)}"
    if each.no_longer_wanted:
        yield f"{each.no_longer_wanted} earlier candidates are not wanted any more; they stay in the history"
    if not each.is_affordable:
        yield f"${each.spent_usd + each.cost_usd:.2f} in all is beyond the budget of ${each.budget_usd:.2f}"
    yield from (f"a run would not start: {objection}" for objection in each.objections)


def _funnel_notes(each: Plan, funnel: Foreseen) -> Iterator[str]:
    """What a person should know of rounds that are still to come."""
    if funnel.open_prompts == 0:
        yield f"its funnel has ended: {each.reuse} of {each.wanted} pictures that it asked for are there"
        return
    seen = (
        f"about {funnel.expected} at the pass rate of {funnel.pass_rate:.2f} that was seen"
        if funnel.expected is not None and funnel.pass_rate is not None
        else "how many it takes depends on the pass rate, of which nothing was seen yet"
    )
    yield (
        f"makes at most {funnel.paid} pictures for ${each.cost_usd:.2f} with {each.profile}, in rounds, until"
        f" {funnel.keep_per_prompt} of each of {funnel.open_prompts} prompts pass; {seen}"
    )
    if funnel.paid < funnel.most:
        yield f"the budget of ${each.budget_usd:.2f} pays for {funnel.paid} of at most {funnel.most} pictures"


def _writing_notes(words: WordsWritten | None) -> Iterator[str]:
    """What a person should know of words that a text model writes."""
    if words is None:
        return
    if words.missing:
        yield (
            f"{words.missing} of {words.questions} answers of the text model {words.text_model} are missing, "
            f"at most ${words.missing_usd:.4f} (spent ${words.spent_usd:.4f} of ${words.budget_usd:.2f}); "
            "what waits for one is in the templates' words"
        )
    yield from (f"a run would not ask the text model: {objection}" for objection in words.objections)


def _decide(
    verdict: Verdict,
    campaign: str,
    candidates: Sequence[str],
    reviewer: str,
    reason: str,
    *,
    all_pending: bool,
) -> None:
    store = the_store()
    load_campaign(PLACES.data, campaign)
    choices = {choice.candidate_id: choice for choice in load_choices(store, campaign)}
    unknown = [candidate_id for candidate_id in candidates if candidate_id not in choices]
    if unknown:
        raise NotFound(
            f"campaign {campaign} has no candidate {', '.join(unknown)}; see asset-pipeline show {campaign}"
        )
    named = [choices[candidate_id] for candidate_id in candidates]
    waiting = [choice for choice in choices.values() if all_pending and choice.state == "pending"]
    decided = [
        choice
        for choice in {each.candidate_id: each for each in [*named, *waiting]}.values()
        if _record(store, campaign, choice, verdict, reviewer, reason)
    ]
    console.print(f"{len(decided)} decisions recorded; run or materialise the campaign to act on them")


def _record(
    store: Store, campaign: str, choice: Choice, verdict: Verdict, reviewer: str, reason: str
) -> bool:
    if choice.image_sha256 is None:
        raise NotFound(f"{choice.candidate_id} has no image to decide about")
    decision = Decision(
        candidate_id=choice.candidate_id,
        image_sha256=choice.image_sha256,
        verdict=verdict,
        reviewer=reviewer,
        reason=reason,
    )
    return decide(store, campaign, decision)


def _tell(store: Store, campaign: str) -> None:
    """Say where the contact sheet and the exports of a campaign are."""
    choices = [choice for choice in load_choices(store, campaign) if choice.rank is not None]
    if choices:
        sheet = PLACES.data / "reports" / f"{campaign}-contact-sheet.jpg"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        cells = [(each.image_sha256 or "", each.sku, MARKS[each.state]) for each in choices]
        sheet.write_bytes(contact_sheet_of(store, cells, shown=48, cell_px=300, max_bytes=3_000_000))
        console.print(f"contact sheet: {sheet}")
    receipts = load_receipts(store, campaign)
    states = {state: sum(choice.state == state for choice in choices) for state in ("approved", "pending")}
    made = sum(candidate.image_sha256 is not None for candidate in load_candidates(store, campaign))
    files = len(load_exported_files(store, campaign))
    console.print(
        f"{campaign}: {made} images, {states['approved']} approved, {states['pending']} waiting for people, "
        f"{files} files exported" + (f" to {receipts[-1].destination}" if receipts else "")
    )


main.add_command(attempts)
main.add_command(calibrate)
main.add_command(compare)
main.add_command(cost)
main.add_command(expire)
main.add_command(like)
main.add_command(providers)
main.add_command(route)
main.add_command(serve)
main.add_command(spend)
main.add_command(workflows)

if __name__ == "__main__":
    main()
