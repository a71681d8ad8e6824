"""The links of a story that are about what left: the file, its record, the receipt and the manifest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asset_pipeline.audit.find import Copy, Subject
from asset_pipeline.audit.ledger import (
    UNREADABLE,
    first_line,
    read_event,
    read_materialisation,
    scan,
    short,
    worst,
)
from asset_pipeline.audit.story import Link
from asset_pipeline.exports.manifest import documents, export_id
from asset_pipeline.exports.records import EXPORTED_FILES, RECEIPTS, ExportedFile
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Recorded

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Delivery:
    """One export at one target, and what is recorded of the asset's files in it."""

    campaign_id: str
    export_id: str
    target: str
    files: tuple[Recorded[ExportedFile], ...]
    manifest: bytes | None
    """The manifest as the records of all its files make it; none if they do not add up to the export."""
    words: str
    """How its records were found."""

    @property
    def holds(self) -> bool:
        """Whether the records are certain to be what was recorded."""
        return self.manifest is not None

    @property
    def folder(self) -> str:
        """Where the target has it."""
        return self.files[0].row.destination


def deliveries(store: Store, subject: Subject) -> list[Delivery]:
    """The exports that the asset's records belong to, each checked against its name.

    An export's name is the fingerprint of all that its manifest says, so its records vouch for each other.
    """
    groups: dict[tuple[str, str, str], list[Recorded[ExportedFile]]] = {}
    for each in subject.exported:
        groups.setdefault((each.materialisation, each.row.export_id, each.row.target), []).append(each)
    return [
        _delivery(store, subject.campaign_id, materialisation, files)
        for (materialisation, _, _), files in groups.items()
    ]


def _delivery(
    store: Store, campaign_id: str, materialisation: str, files: Sequence[Recorded[ExportedFile]]
) -> Delivery:
    one = files[0].row
    alike = [
        each
        for each in read_materialisation(store, EXPORTED_FILES, campaign_id, materialisation)
        if (each.row.export_id, each.row.target) == (one.export_id, one.target)
    ]
    entries = [each.row.entry for each in alike]
    manifest = None
    if not all(each.is_intact for each in files):
        words = f"{materialisation}.parquet of exports is not as it was written"
    elif export_id(campaign_id, entries) != one.export_id:
        words = f"the records of {len(alike)} files do not add up to the export {one.export_id}"
    else:
        words = f"the records of {len(alike)} files add up to the export's name"
        manifest = documents(campaign_id, entries)[MANIFEST]
    return Delivery(campaign_id, one.export_id, one.target, tuple(files), manifest, words)


def record_links(store: Store, subject: Subject, found: Sequence[Delivery]) -> Iterator[Link]:
    """The records of what was exported."""
    for delivery in found:
        facts = [
            each.row.model_dump(
                mode="json", include={"path", "channel", "channel_version", "sha256", "notes"}
            )
            for each in delivery.files
        ]
        yield Link(
            "export record",
            delivery.export_id,
            "holds" if delivery.holds else "altered",
            delivery.words,
            {"target": delivery.target, "destination": delivery.folder, "files": facts}
            if delivery.holds
            else {},
        )
    if not found:
        yield _without_record(store, subject)


def _without_record(store: Store, subject: Subject) -> Link:
    """Why there is no record: it was never exported, or the record is gone."""
    recorded: set[str] = set()
    unreadable = []
    for name, rows in scan(store, EXPORTED_FILES, subject.campaign_id, ("export_id",)):
        try:
            read_materialisation(store, EXPORTED_FILES, subject.campaign_id, name)
        except UNREADABLE as error:
            unreadable.append(f"{name}.parquet cannot be read: {first_line(error)}")
        if rows is not None:
            recorded |= set(rows["export_id"].to_pylist())
    if unreadable:
        return Link("export record", "", "altered", "; ".join(unreadable))
    delivered = {name.partition(".")[0] for name in store.events.names(RECEIPTS, subject.campaign_id)}
    lost = sorted(delivered - recorded)
    if lost:
        words = f"there are receipts of {', '.join(lost)}, and no record left of what was in them"
        return Link("export record", lost[-1], "missing", words)
    if subject.copy is not None and subject.copy.expected_sha256 is None:
        return Link(
            "export record", "", "missing", "no record of an export has a file of these bytes or that name"
        )
    return Link("export record", "", "not checked", "no export has it")


def file_links(
    exports_folder: Path, subject: Subject, found: Sequence[Delivery], image_sha256: str | None
) -> Iterator[Link]:
    """The exported files themselves: the one that was asked about, or those in the exports folder."""
    if subject.copy is not None:
        yield _copy_link(subject.copy, subject.candidate_id, found, image_sha256)
        return
    for delivery in found:
        if not delivery.holds:
            continue
        folder = _local_folder(exports_folder, delivery)
        for each in delivery.files:
            yield _local_link(folder, each.row)


def _copy_link(copy: Copy, candidate_id: str, found: Sequence[Delivery], image_sha256: str | None) -> Link:
    record = next((delivery.files[0].row for delivery in found if delivery.holds), None)
    expected = copy.expected_sha256 or (record.sha256 if record else None)
    if record is None or (copy.sha256 == image_sha256 != record.sha256):
        told = f"the image of {candidate_id}"
    else:
        told = f"{record.path} of export {record.export_id}"
    if copy.sha256 is None:
        return Link("exported file", copy.place, "missing", "the file is not there")
    if copy.sha256 in {expected, image_sha256}:
        facts = {"sha256": copy.sha256, "is": told}
        return Link("exported file", copy.place, "holds", f"its bytes are those of {told}", facts)
    if expected is None:
        words = "no record that holds says what its bytes should be"
        return Link("exported file", copy.place, "not checked", words, {"sha256": copy.sha256})
    words = (
        f"the file's bytes are not those that were exported as {told}: "
        f"sha256 {copy.sha256} instead of {expected}"
    )
    return Link("exported file", copy.place, "altered", words, {"sha256": copy.sha256})


def _local_link(folder: Path | None, file: ExportedFile) -> Link:
    if folder is None:
        words = f"what {file.target} has in {file.destination} cannot be looked at from here"
        return Link("exported file", file.path, "not checked", words)
    place = folder / file.path
    if not place.is_file():
        return Link("exported file", file.path, "missing", f"{file.export_id} in the exports folder lacks it")
    sha256 = sha256_of(place.read_bytes())
    if sha256 != file.sha256:
        words = f"the file's bytes are not those that were exported: sha256 {sha256} instead of {file.sha256}"
        return Link("exported file", file.path, "altered", words, {"sha256": sha256})
    words = "its bytes are those that were exported"
    return Link("exported file", file.path, "holds", words, {"sha256": sha256, "target": file.target})


def receipt_links(store: Store, found: Sequence[Delivery]) -> Iterator[Link]:
    """What the targets confirmed."""
    for delivery in found:
        if delivery.manifest is None:
            continue
        wanted = sha256_of(delivery.manifest)
        prefix = f"{delivery.export_id}.{delivery.target}."
        names = [
            name for name in store.events.names(RECEIPTS, delivery.campaign_id) if name.startswith(prefix)
        ]
        complaints, states, receipts = [], [], []
        for name in names:
            event, state, words = read_event(store, RECEIPTS, delivery.campaign_id, name)
            if event is not None and event.body.manifest_sha256 != wanted:
                state = "altered"
                words = (
                    f"{name} confirms the manifest {short(event.body.manifest_sha256)}, not {short(wanted)}"
                )
            states.append(state)
            complaints += [words] if words else []
            receipts += [event.body.model_dump(mode="json")] if event is not None else []
        if not names:
            states, complaints = ["missing"], [f"no receipt of {delivery.target} for {delivery.export_id}"]
        words = f"{delivery.target} confirmed the manifest {short(wanted)}"
        yield Link(
            "receipt",
            names[-1] if names else f"{prefix}*",
            worst(states),
            "; ".join(complaints) or words,
            {"receipts": receipts},
        )


def manifest_links(exports_folder: Path, found: Sequence[Delivery]) -> Iterator[Link]:
    """The manifests that lie beside the exported files."""
    for delivery in found:
        if delivery.manifest is None:
            continue
        folder = _local_folder(exports_folder, delivery)
        identity = f"{delivery.export_id}/{MANIFEST}"
        wanted = sha256_of(delivery.manifest)
        if folder is None:
            words = f"what {delivery.target} has in {delivery.folder} cannot be looked at from here"
            yield Link("manifest", identity, "not checked", words, {"expected_sha256": wanted})
        elif not (folder / MANIFEST).is_file():
            yield Link("manifest", identity, "missing", "the export's folder lacks it")
        elif (sha256 := sha256_of((folder / MANIFEST).read_bytes())) != wanted:
            words = f"its bytes are not those that were delivered: sha256 {sha256} instead of {wanted}"
            yield Link("manifest", identity, "altered", words)
        else:
            words = "it says what is recorded, byte for byte"
            yield Link("manifest", identity, "holds", words, {"sha256": wanted})


def _local_folder(exports_folder: Path, delivery: Delivery) -> Path | None:
    """Where the export lies on this machine: where it was delivered to, or where the folder is now."""
    recorded = Path(delivery.folder)
    if not recorded.is_absolute():
        return None
    places = (recorded, exports_folder / delivery.campaign_id / delivery.export_id)
    return next((place for place in places if place.is_dir()), None)
