"""Making the files of an export: each once, kept in the store by its content, a few at a time."""

import itertools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.exports.derivative import derive, encode
from asset_pipeline.exports.manifest import ManifestEntry
from asset_pipeline.exports.naming import MEDIA_TYPES, SUFFIXES
from asset_pipeline.exports.plan import PlannedFile
from asset_pipeline.exports.records import ExportedFile
from asset_pipeline.pictures.decode import Pixels, Plane, decode
from asset_pipeline.pictures.encode import decode_mask
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.store import Store

WORKERS = min(4, os.cpu_count() or 1)
"""Pictures in memory at once; Pillow works outside the interpreter's lock."""


@dataclass(frozen=True)
class MadeFile:
    """A file that is in the store, ready to leave."""

    planned: PlannedFile
    entry: ManifestEntry
    is_new: bool
    """Whether it was made now and not found from an earlier export."""


@dataclass(frozen=True)
class LeftOut:
    """A planned file that could not be made, and why."""

    planned: PlannedFile
    reason: str


def make_files(
    store: Store, planned: Sequence[PlannedFile], earlier: Iterable[ExportedFile]
) -> list[MadeFile | LeftOut]:
    """Make what is missing, in the order of the plan.

    What an earlier export made by the same recipe is used again as long as the store has its bytes.

    Raises:
        BrokenFact: the bytes of an approved original are missing or altered.
    """
    known = {file.recipe_sha256: file for file in earlier}
    groups = [
        list(group) for _, group in itertools.groupby(planned, key=lambda file: file.choice.candidate_id)
    ]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="export") as pool:
        made = pool.map(lambda group: _make_group(store, group, known), groups)
        return list(itertools.chain.from_iterable(made))


def _make_group(
    store: Store, group: Sequence[PlannedFile], known: dict[str, ExportedFile]
) -> list[MadeFile | LeftOut]:
    """All files of one candidate's image, which is decoded once, and not at all if nothing is missing."""
    original: _Original | None = None
    made: list[MadeFile | LeftOut] = []
    for planned in group:
        file = known.get(planned.recipe_sha256)
        if file is not None and store.images.has(file.sha256):
            made.append(MadeFile(planned, _entry(planned, _bytes_of(file)), is_new=False))
            continue
        try:
            original = original or _Original.read(store, planned)
            measured = _make(store, planned, original)
        except (UnreadablePicture, _CannotMake) as error:
            made.append(LeftOut(planned, str(error)))
        else:
            made.append(MadeFile(planned, _entry(planned, measured), is_new=True))
    return made


class _CannotMake(Exception):
    """A channel cannot have this picture; the message is the reason."""


@dataclass(frozen=True)
class _Original:
    """An approved image, decoded."""

    data: bytes
    pixels: Pixels
    mask: Plane | None
    mask_note: tuple[str, ...]

    @classmethod
    def read(cls, store: Store, planned: PlannedFile) -> "_Original":
        data = store.images.get(planned.image_sha256)
        pixels = decode(data).pixels
        if planned.candidate.mask_sha256 is None:
            return cls(data, pixels, None, ())
        try:
            mask = decode_mask(store.images.get(planned.candidate.mask_sha256))
        except UnreadablePicture as error:
            return cls(data, pixels, None, (f"cut without the product's mask: {error}",))
        if mask.shape != pixels.shape[:2]:
            return cls(data, pixels, None, ("cut without the product's mask: it has another size",))
        return cls(data, pixels, mask, ())


@dataclass(frozen=True)
class _Bytes:
    """What is measured of a file, beside its story."""

    sha256: str
    size_bytes: int
    width: int
    height: int
    suffix: str
    notes: tuple[str, ...] = ()


def _make(store: Store, planned: PlannedFile, original: _Original) -> _Bytes:
    if planned.channel is None:
        suffix = PurePosixPath(store.images.path(planned.image_sha256) or "").suffix.removeprefix(".")
        height, width = original.pixels.shape[:2]
        return _Bytes(planned.image_sha256, len(original.data), width, height, suffix)
    derived = derive(original.pixels, planned.channel, original.mask)
    encoded = encode(derived.pixels, planned.channel)
    if encoded.data is None:
        raise _CannotMake(encoded.reason)
    suffix = SUFFIXES[planned.channel.format]
    height, width = derived.pixels.shape[:2]
    return _Bytes(
        sha256=store.images.put(encoded.data, suffix),
        size_bytes=len(encoded.data),
        width=width,
        height=height,
        suffix=suffix,
        notes=(
            *(original.mask_note if planned.channel.fit == "crop" else ()),
            *derived.reasons,
            *([encoded.reason] if encoded.reason else ()),
        ),
    )


def _bytes_of(file: ExportedFile) -> _Bytes:
    suffix = PurePosixPath(file.path).suffix.removeprefix(".")
    return _Bytes(file.sha256, file.size_bytes, file.width, file.height, suffix, file.notes)


def _entry(planned: PlannedFile, measured: _Bytes) -> ManifestEntry:
    """The file's story as it is now: its bytes may be old while decisions have been added since."""
    choice, candidate, prompt = planned.choice, planned.candidate, planned.prompt
    return ManifestEntry(
        path=planned.path(measured.suffix),
        sha256=measured.sha256,
        size_bytes=measured.size_bytes,
        width=measured.width,
        height=measured.height,
        media_type=MEDIA_TYPES[measured.suffix],
        channel=planned.channel_name,
        channel_version=planned.channel.version if planned.channel else None,
        candidate_id=choice.candidate_id,
        sku=choice.sku,
        asset_type=choice.asset_type,
        locale=choice.locale,
        variation=prompt.variation,
        prompt_id=prompt.prompt_id,
        prompt=prompt.text,
        image_sha256=planned.image_sha256,
        profile=candidate.profile,
        provider=candidate.provider,
        provider_version=candidate.provider_version,
        seed=candidate.request.seed,
        cost_usd=candidate.cost_usd,
        product_fact_sha256=prompt.product_fact_sha256,
        prompt_fact_sha256=candidate.prompt_fact_sha256,
        candidate_fact_sha256=choice.candidate_fact_sha256,
        selection_fact_sha256=SELECTION.fact_sha256(choice),
        decisions=choice.decisions,
        notes=measured.notes,
    )
