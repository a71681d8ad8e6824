"""Reading and writing the facts of exports."""

from collections.abc import Sequence
from pathlib import Path

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.records import load_candidates
from asset_pipeline.exports.channel import load_channels, pick_channels
from asset_pipeline.exports.manifest import ManifestEntry
from asset_pipeline.exports.plan import PlannedFile, plan_files
from asset_pipeline.exports.target import Receipt
from asset_pipeline.prompts.records import load_prompts
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table


class ExportedFile(ManifestEntry):
    """A file that a target has: its story, where it is, and how it can be made again."""

    export_id: str
    target: str
    destination: str
    """The export's folder at the target."""
    recipe_sha256: str
    """The hash of what decided the file's bytes."""

    @property
    def entry(self) -> ManifestEntry:
        """What the manifest says of it."""
        return ManifestEntry.model_validate(self.model_dump(include=set(ManifestEntry.model_fields)))


EXPORTED_FILES = Table("exports", ExportedFile, partitioned_by="campaign")
RECEIPTS = EventStream("receipts", Receipt, partitioned_by="campaign")


def load_exported_files(store: Store, campaign_id: str) -> list[ExportedFile]:
    """The files of the campaign's current export at each target."""
    return store.facts.read(EXPORTED_FILES, campaign_id)


def load_receipts(store: Store, campaign_id: str) -> list[Receipt]:
    """What every delivery of the campaign came to, oldest first."""
    return [event.body for event in store.events.read(RECEIPTS, campaign_id)]


def record_exported_files(
    store: Store, campaign_id: str, files: Sequence[ExportedFile], *, run_id: str
) -> None:
    """Record what the targets have now, unless it is as recorded already."""
    store.facts.write_if_changed(EXPORTED_FILES, campaign_id, files, run_id=run_id)


def record_receipt(store: Store, campaign_id: str, receipt: Receipt, *, run_id: str) -> None:
    """Record what a delivery came to; a step that is retried within its run leaves one receipt."""
    name = f"{receipt.export_id}.{receipt.target}.{run_id}"
    store.events.append(RECEIPTS, campaign_id, name, receipt)


def plan_export(store: Store, data: Path, campaign_id: str) -> list[PlannedFile]:
    """The files that an export of the campaign would consist of, as it is recorded now.

    Raises:
        NotFound: there is no such campaign, or one of its channels does not exist.
        InvalidFile: its file or the channels' is wrong.
        IncompleteExport: the selection speaks of images that the candidates or prompts no longer have.
    """
    campaign = load_campaign(data, campaign_id)
    channels = pick_channels(load_channels(data), campaign.channels) if campaign.channels else {}
    choices = load_choices(store, campaign_id)
    return plan_files(
        choices, load_candidates(store, campaign_id), load_prompts(store, campaign_id), channels
    )


def withdrawn_files(store: Store, campaign_id: str) -> list[ExportedFile]:
    """The files that targets still have of images that are not approved, or no longer."""
    approved = {
        (choice.candidate_id, choice.image_sha256)
        for choice in load_choices(store, campaign_id)
        if choice.state == "approved"
    }
    files = load_exported_files(store, campaign_id)
    return [file for file in files if (file.candidate_id, file.image_sha256) not in approved]


def missing_files(store: Store, data: Path, campaign_id: str) -> list[tuple[str, str]]:
    """Target, and candidate with channel, of each file that should have left and has not."""
    planned = {
        (file.choice.candidate_id, file.channel_name) for file in plan_export(store, data, campaign_id)
    }
    exported = {
        (file.target, file.candidate_id, file.channel) for file in load_exported_files(store, campaign_id)
    }
    return sorted(
        (target, f"{candidate_id} {channel}")
        for target in load_campaign(data, campaign_id).targets
        for candidate_id, channel in planned
        if (target, candidate_id, channel) not in exported
    )
