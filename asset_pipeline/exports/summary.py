"""What a person wants to see of an export."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asset_pipeline.candidates.summary import sheet_markdown
from asset_pipeline.exports.channel import ORIGINAL
from asset_pipeline.exports.making import LeftOut, MadeFile
from asset_pipeline.exports.plan import waiting
from asset_pipeline.exports.records import ExportedFile
from asset_pipeline.exports.target import Receipt
from asset_pipeline.selection.choice import Choice
from asset_pipeline.store.store import Store

_ROWS = 50


def describe_exports(
    store: Store,
    choices: Sequence[Choice],
    made: Sequence[MadeFile],
    left_out: Sequence[LeftOut],
    receipts: Sequence[Receipt],
) -> dict[str, Any]:
    """Counts, bytes, where it went, the pictures, and what was left out."""
    originals = [file for file in made if file.planned.channel_name == ORIGINAL]
    return {
        "images": len({file.entry.candidate_id for file in made}),
        "files": len(made),
        "files made in this run": sum(file.is_new for file in made),
        "megabytes": round(sum(file.entry.size_bytes for file in made) / 1e6, 3),
        "left out": len(left_out),
        "waiting for a person": waiting(choices),
        **{f"{receipt.outcome} to {receipt.target}": receipt.destination for receipt in receipts},
        "files by channel": _table(
            ("channel", "files"), sorted(Counter(file.entry.channel for file in made).items())
        ),
        "exported": sheet_markdown(
            store,
            [
                (file.entry.image_sha256, f"{file.entry.sku} {file.entry.asset_type}", "approved")
                for file in originals
            ],
        ),
        "first files": _table(
            ("path", "width", "height", "bytes", "notes"),
            [
                (entry.path, entry.width, entry.height, entry.size_bytes, "; ".join(entry.notes))
                for entry in (file.entry for file in made[:_ROWS])
            ],
        ),
        **({"left out, and why": _left_out_table(left_out)} if left_out else {}),
    }


def describe_nothing(
    choices: Sequence[Choice], left_out: Sequence[LeftOut], earlier: Sequence[ExportedFile]
) -> dict[str, Any]:
    """Why nothing was exported, and what to do."""
    pending = waiting(choices)
    if left_out:
        reason = "no file could be made; see what was left out"
    elif pending:
        wait = "1 picture waits; approve it" if pending == 1 else f"{pending} pictures wait; approve them"
        reason = f"nothing is approved: {wait} with `asset-pipeline approve`"
    elif choices:
        reason = "nothing is approved, and nothing waits for a person; see why in selection"
    else:
        reason = "nothing is approved: the campaign has no candidates yet; materialise selection first"
    told: dict[str, Any] = {"files": 0, "nothing exported": reason, "waiting for a person": pending}
    if left_out:
        told["left out, and why"] = _left_out_table(left_out)
    if earlier:
        told["still delivered"] = ", ".join(sorted({file.destination for file in earlier}))
    return told


def _left_out_table(left_out: Sequence[LeftOut]) -> str:
    reasons = [(file.planned.choice.sku, file.planned.channel_name, file.reason) for file in left_out]
    return _table(("SKU", "channel", "reason"), reasons[:_ROWS])


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
