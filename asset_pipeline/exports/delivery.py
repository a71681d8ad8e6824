"""An export on its way: packed once, handed to each target, and what each has of it is recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from asset_pipeline.errors import IncompleteExport
from asset_pipeline.exports.making import MadeFile
from asset_pipeline.exports.manifest import ManifestEntry, documents, export_id
from asset_pipeline.exports.records import (
    ExportedFile,
    load_exported_files,
    record_exported_files,
    record_receipt,
)
from asset_pipeline.exports.target import Package, PackageFile, Receipt, Target
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.store import Store


def pack(store: Store, campaign_id: str, entries: Sequence[ManifestEntry]) -> Package:
    """A package of files that are in the store, with their manifest."""
    told = documents(campaign_id, entries)
    pictures = [
        PackageFile(entry.path, entry.sha256, entry.size_bytes, partial(store.images.get, entry.sha256))
        for entry in entries
    ]
    words = [
        PackageFile(path, sha256_of(data), len(data), partial(bytes, data)) for path, data in told.items()
    ]
    return Package(
        campaign_id=campaign_id,
        export_id=export_id(campaign_id, entries),
        manifest_sha256=sha256_of(told["manifest.json"]),
        files=(*pictures, *words),
    )


def deliver(
    store: Store, campaign_id: str, made: Sequence[MadeFile], targets: Sequence[Target], *, run_id: str
) -> list[Receipt]:
    """Hand an export to every target, and record what each has of it.

    A target that fails keeps nobody else from getting the export, and keeps its earlier one.

    Raises:
        IncompleteExport: one target or more could not be served; the others were, and are recorded.
    """
    package = pack(store, campaign_id, [file.entry for file in made])
    earlier = load_exported_files(store, campaign_id)
    receipts: list[Receipt] = []
    exported: list[ExportedFile] = []
    failures: list[IncompleteExport] = []
    for target in targets:
        try:
            receipt = target.deliver(package)
        except IncompleteExport as failure:
            failures.append(failure)
            exported += [file for file in earlier if file.target == target.name]
            continue
        record_receipt(store, campaign_id, receipt, run_id=run_id)
        receipts.append(receipt)
        exported += [_exported(file, receipt) for file in made]
    record_exported_files(store, campaign_id, exported, run_id=run_id)
    if failures:
        raise IncompleteExport("\n".join(map(str, failures))) from failures[0]
    return receipts


@dataclass(frozen=True)
class Difference:
    """What is wrong with what a target has."""

    target: str
    reason: str
    paths: tuple[str, ...] = ()


def differences(store: Store, campaign_id: str, targets: Mapping[str, Target]) -> list[Difference]:
    """Where targets no longer have what was delivered to them, by the hash of every file."""
    by_target: dict[str, list[ExportedFile]] = {}
    for file in load_exported_files(store, campaign_id):
        by_target.setdefault(file.target, []).append(file)
    found = []
    for name, files in by_target.items():
        if name not in targets:
            found.append(Difference(name, "the target is no longer configured, so nobody can look"))
            continue
        package = pack(store, campaign_id, [file.entry for file in files])
        plan = targets[name].plan(package)
        if package.export_id != files[0].export_id:
            found.append(Difference(name, f"the recorded files do not add up to {files[0].export_id}"))
        elif plan.to_write:
            found.append(Difference(name, "missing or altered", plan.to_write))
        elif plan.outcome != "unchanged":
            found.append(Difference(name, f"{package.export_id} is there, but another one is current"))
    return found


def _exported(file: MadeFile, receipt: Receipt) -> ExportedFile:
    return ExportedFile(
        **file.entry.model_dump(),
        export_id=receipt.export_id,
        target=receipt.target,
        destination=receipt.destination,
        recipe_sha256=file.planned.recipe_sha256,
    )
