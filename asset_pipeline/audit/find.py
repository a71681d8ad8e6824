"""Finding out which asset a file, a hash, a SKU or an id speaks of."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.compute as pc

from asset_pipeline.audit.ledger import UNREADABLE, materialisations_with, read_materialisation, scan
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.errors import NotFound
from asset_pipeline.exports.records import EXPORTED_FILES, ExportedFile
from asset_pipeline.fingerprint import ID_LENGTH, sha256_of
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Recorded, Table

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ASSET_ID = re.compile(rf"(?<![0-9a-z])c[0-9a-f]{{{ID_LENGTH}}}(?![0-9a-f])")
"""An asset's id, as it stands in the name of every exported file."""

Place = tuple[Table[Any], str]
"""A table and one of its columns."""
_IMAGES: Sequence[Place] = (
    (EXPORTED_FILES, "image_sha256"),
    (SELECTION, "image_sha256"),
    (CANDIDATES, "image_sha256"),
)
_IDS: Sequence[Place] = (
    (EXPORTED_FILES, "candidate_id"),
    (SELECTION, "candidate_id"),
    (CANDIDATES, "candidate_id"),
)


@dataclass(frozen=True)
class Copy:
    """A file that somebody asks about, wherever it came from."""

    place: str
    sha256: str | None
    """The hash of its bytes; none if it is not there."""
    expected_sha256: str | None
    """The hash it should have, as far as its name alone tells."""


@dataclass(frozen=True)
class Subject:
    """An asset of a campaign that an audit is about."""

    campaign_id: str
    candidate_id: str
    exported: tuple[Recorded[ExportedFile], ...] = ()
    """The records of its exported files; those of the file that was asked about, if it was a file."""
    copy: Copy | None = None
    """The file that was asked about, if it was one."""


Asset = tuple[str, str]
"""A campaign and a candidate in it."""


def find(store: Store, exports_folder: Path, what: str) -> list[Subject]:
    """The assets that `what` speaks of, in the order of campaigns.

    Args:
        store: where facts are.
        exports_folder: where exported files are, for paths relative to it.
        what: the path of an exported file, or of any copy of one; the SHA-256 of an exported file or of a
            stored image; an asset's id; a SKU, which means every asset of it that was exported or chosen.

    Raises:
        NotFound: nothing here knows it.
    """
    path = next((place for place in (Path(what), exports_folder / what) if place.is_file()), None)
    if path is not None:
        return _of_file(store, path)
    if _SHA256.fullmatch(what):
        found = _of_hash(store, what, ())
    else:
        found = _whole(store, _having(store, _IDS, what) or _of_sku(store, what))
    if not found and _ASSET_ID.search(Path(what).name):
        copy = Copy(what, None, None)
        found = _by_name(store, copy, Path(what))
    if not found:
        raise NotFound(
            f"{what}: there is no such file, and nothing of that name or hash among {_searched(store)}"
        )
    return found


def _of_file(store: Store, path: Path) -> list[Subject]:
    """Whose file it is: by its bytes, and where nobody knows them, by its name."""
    sha256 = sha256_of(path.read_bytes())
    copy = Copy(str(path), sha256, None)
    found = _of_hash(store, sha256, path.resolve().parts)
    if found:
        return [Subject(each.campaign_id, each.candidate_id, each.exported, copy) for each in found]
    if _SHA256.fullmatch(path.stem):
        copy = Copy(str(path), sha256, path.stem)
        found = _of_hash(store, path.stem, ())
        if found:
            return [Subject(each.campaign_id, each.candidate_id, (), copy) for each in found]
    found = _by_name(store, copy, path)
    if not found:
        raise NotFound(
            f"{path}: its bytes (sha256 {sha256}) are those of no exported file and no stored image, and its "
            f"name is that of no asset; searched were {_searched(store)}"
        )
    return found


def _of_hash(store: Store, sha256: str, folders: Collection[str]) -> list[Subject]:
    """The assets with these bytes in an exported file, or else as their image."""
    exported = _having(store, [(EXPORTED_FILES, "sha256")], sha256)
    if exported:
        return [
            Subject(*asset, _records(store, asset, lambda file: file.sha256 == sha256, folders))
            for asset in exported
        ]
    return _whole(store, _having(store, _IMAGES, sha256))


def _by_name(store: Store, copy: Copy, path: Path) -> list[Subject]:
    """The assets that a file's name speaks of; each with the record of the file of that name."""
    match = _ASSET_ID.search(path.name)
    assets = _having(store, _IDS, match.group()) if match else []
    return [
        Subject(*asset, _records(store, asset, _named_like(path.stem), path.resolve().parts), copy)
        for asset in assets
    ]


def _named_like(stem: str) -> Callable[[ExportedFile], bool]:
    """Whether a file was called so; what browsers and people put around a name is overlooked."""
    return lambda file: (
        PurePosixPath(file.path).stem == stem
        or stem.startswith((f"{PurePosixPath(file.path).stem} ", f"{PurePosixPath(file.path).stem}("))
    )


def _whole(store: Store, assets: Iterable[Asset]) -> list[Subject]:
    """Assets with all files of their newest export."""
    return [Subject(*asset, _records(store, asset, lambda _: True, ())) for asset in assets]


def _of_sku(store: Store, sku: str) -> list[Asset]:
    """Every asset of a SKU that was ever exported or is chosen now; failing that, all its candidates."""
    exported = _having(store, [(EXPORTED_FILES, "sku")], sku)
    chosen = {
        (campaign_id, row["candidate_id"])
        for campaign_id, row in _newest_rows(store, SELECTION, ("sku", "candidate_id", "rank"))
        if row["sku"] == sku and row["rank"] is not None
    }
    return sorted({*exported, *chosen}) or _having(store, [(CANDIDATES, "sku")], sku)


def _having(store: Store, places: Sequence[Place], value: str) -> list[Asset]:
    """The assets for which a table has the value in a column, in any materialisation."""
    found: set[Asset] = set()
    for table, column in places:
        columns = tuple(dict.fromkeys((column, "candidate_id")))
        for campaign_id in store.facts.partitions(table):
            for _, rows in scan(store, table, campaign_id, columns):
                if rows is not None:
                    hits = rows.filter(pc.equal(rows[column], value))
                    found |= {
                        (campaign_id, candidate_id) for candidate_id in hits["candidate_id"].to_pylist()
                    }
    return sorted(found)


def _newest_rows(
    store: Store, table: Table[Any], columns: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for campaign_id in store.facts.partitions(table):
        _, rows = next(scan(store, table, campaign_id, columns), ("", None))
        if rows is not None:
            yield from ((campaign_id, row) for row in rows.to_pylist())


def _records(
    store: Store, asset: Asset, fits: Callable[[ExportedFile], bool], folders: Collection[str]
) -> tuple[Recorded[ExportedFile], ...]:
    """The asset's exported files that fit: of the export whose folder the file lies in, or of the newest."""
    campaign_id, candidate_id = asset
    newest: tuple[Recorded[ExportedFile], ...] = ()
    for name in materialisations_with(store, EXPORTED_FILES, campaign_id, "candidate_id", candidate_id):
        try:
            rows = read_materialisation(store, EXPORTED_FILES, campaign_id, name)
        except UNREADABLE:
            continue  # the story says so where it looks for records
        fitting = [each for each in rows if each.row.candidate_id == candidate_id and fits(each.row)]
        here = tuple(each for each in fitting if each.row.export_id in folders)
        newest = newest or tuple(fitting)
        if here or (newest and not folders):
            return here or newest
    return newest


def _searched(store: Store) -> str:
    counts = [f"the {table.name} of {len(store.facts.partitions(table))} campaigns" for table, _ in _IDS]
    return ", ".join(counts)
