"""What each remote provider can do, as tables for docs/provider-matrix.md, which this module writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from asset_pipeline.candidates.jobs.adapter import Abilities, Adapter
from asset_pipeline.candidates.jobs.mapping import FIELDS
from asset_pipeline.definitions import adapters

ROOT = Path(__file__).parent.parent
DOCUMENT: Final = "docs/provider-matrix.md"
_PREFACE = """# What remote providers can do

Written by `python -m asset_pipeline.provider_matrix` from what the adapters declare. The promise suite
(`asset_pipeline_tests/test_adapter_promises.py`) holds each adapter to its row, against a server that behaves
like the provider. [providers.md](providers.md) says how they are configured.

## What can be said to them

*yes*: without further configuration; *profile*: once the profile's `fields` give a word for it; *–*: not at
all. What cannot be said is refused, unless the profile's `may_drop` names it. A size is pixels, a shape is a
ratio by its name.
"""
_MANNERS = """## How they work

- **Photographs** travel inside the payload (*data URI*), as *bytes* beside it, or are *uploaded* before it.
- **Answer**: the picture itself (*picture*), or a job that is asked for (*job*).
- **Found again**: how a submission is found whose answer was lost, before anything may be sent again.
  *never*: only a webhook can tell; without one the attempt is held, or counts as paid.
- **Webhook**: how a delivery is known to be genuine. *url token*: by the attempt's own address alone.
- **Tells**: what its answers say of the cost. What they do not say, the profile's price does.
- **Same tomorrow**: what pins the model.
- **Keeps**: how long outputs can be fetched; they are fetched at once in any case.
"""
_SIZES = {"width": "size", "aspect_ratio": "shape"}
_FIELDS: Final = tuple(name for name in FIELDS if name != "height")
_TRAVEL = {"none": "–", "data_uri": "data URI", "upload": "uploaded", "bytes": "bytes"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def document(known: Sequence[Adapter]) -> str:
    """The whole document."""
    rows = sorted(known, key=lambda each: each.name)
    said = _table(
        ("provider", *(_SIZES.get(name, name).replace("_", " ") for name in _FIELDS)),
        ((f"`{each.name}`", *(_word(each.abilities, name) for name in _FIELDS)) for each in rows),
    )
    manners = _table(
        (
            "provider",
            "photographs",
            "answer",
            "found again",
            "cancels",
            "webhook",
            "tells",
            "same tomorrow",
            "keeps",
            "progress",
        ),
        ((f"`{each.name}`", *_manners(each.abilities)) for each in rows),
    )
    return f"{_PREFACE}\n{said}\n\n{_MANNERS}\n{manners}\n"


def _word(abilities: Abilities, name: str) -> str:
    if name in abilities.says:
        return "yes"
    return "profile" if abilities.more_by_profile else "–"


def _manners(abilities: Abilities) -> tuple[str, ...]:
    return (
        _TRAVEL[abilities.references],
        "picture" if abilities.synchronous else "job",
        abilities.finds,
        "yes" if abilities.cancels else "–",
        abilities.webhook if abilities.webhook != "none" else "–",
        ", ".join(sorted(abilities.reports)) or "–",
        abilities.pins,
        _duration(abilities.retention_seconds),
        "yes" if abilities.streams_progress else "–",
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    (ROOT / DOCUMENT).write_text(document(adapters(ROOT / "data")), encoding="utf-8")
