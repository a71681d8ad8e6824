"""The story that travels with an export: what each file is, what it was made from, and who approved it.

Holds no times and no places, so that the same content has the same manifest, and the same name, for ever.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from asset_pipeline.fingerprint import canonical_json, identifier, sha256_of

MANIFEST_VERSION = 1
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - as written
"""A cell that starts so may run as a formula when a spreadsheet opens the file (OWASP, CSV Injection)."""


class ManifestEntry(BaseModel):
    """One exported file and its whole story."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the export's folder, with forward slashes."""
    sha256: str
    size_bytes: int
    width: int
    height: int
    media_type: str
    channel: str
    """A name from ``data/channels.yaml``, or ``original``: the lossless original itself."""
    channel_version: int | None
    candidate_id: str
    sku: str
    asset_type: str
    locale: str
    variation: dict[str, str]
    prompt_id: str
    prompt: str
    image_sha256: str
    """The lossless original that the file was made from."""
    profile: str
    provider: str
    provider_version: str
    seed: int
    cost_usd: float
    """What the candidate's image cost; every file made from it says the same, so do not add these up."""
    product_fact_sha256: str
    """The hash of the product's fact that the words were made from."""
    prompt_fact_sha256: str
    candidate_fact_sha256: str
    selection_fact_sha256: str
    """The hash of the selection's fact that let it leave."""
    decisions: tuple[str, ...]
    """The names of people's decisions on it, oldest first."""
    notes: tuple[str, ...]
    """Where the file is not quite what the channel asks for, and why."""


def export_id(campaign_id: str, entries: Sequence[ManifestEntry]) -> str:
    """The name of an export: a fingerprint of all that its manifest says."""
    return identifier("e", [MANIFEST_VERSION, campaign_id, entries])


def documents(campaign_id: str, entries: Sequence[ManifestEntry]) -> dict[str, bytes]:
    """What accompanies the pictures, by path: for programs, for spreadsheets, for ``sha256sum -c``."""
    content = {
        "schema_version": MANIFEST_VERSION,
        "campaign": campaign_id,
        "export_id": export_id(campaign_id, entries),
        "files": [entry.model_dump(mode="json") for entry in entries],
    }
    as_json = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    told = {"manifest.json": as_json.encode(), "manifest.csv": _csv(entries).encode()}
    hashes = {entry.path: entry.sha256 for entry in entries}
    hashes |= {path: sha256_of(data) for path, data in told.items()}
    sums = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(hashes.items()))
    return told | {"sha256sums.txt": sums.encode()}


def _csv(entries: Sequence[ManifestEntry]) -> str:
    text = io.StringIO()
    # Everything is quoted: the csv module leaves a lone carriage return bare, and readers end a row there.
    rows = csv.DictWriter(text, list(ManifestEntry.model_fields), lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writeheader()
    rows.writerows(_cells(entry.model_dump(mode="json")) for entry in entries)
    return text.getvalue()


def _cells(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and mappings as JSON; an apostrophe before what a spreadsheet could take for a formula."""
    return {
        name: canonical_json(value).decode()
        if isinstance(value, list | dict)
        else f"'{value}"
        if isinstance(value, str) and value.startswith(_FORMULA_STARTS)
        else value
        for name, value in fields.items()
    }
