"""What a person wants to see of a campaign's candidates."""

import base64
import io
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.funnel import End, Stop
from asset_pipeline.candidates.order import Order
from asset_pipeline.candidates.progress import performance
from asset_pipeline.candidates.waves import Seen
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.pictures.contact_sheet import Cell, State, contact_sheet
from asset_pipeline.pictures.decode import Pixels, decode
from asset_pipeline.pictures.encode import thumbnail
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.store.store import Store

SHEET_CELLS = 24
SHEET_BYTES = 90_000
"""Dagster keeps about four bytes for each byte of metadata, so that a sheet stays small."""


INLINE = 4
INLINE_CHARACTERS = 1000
"""Dagster's UI shows Markdown shorter than this in place, and longer one behind a click."""

ENDS: Mapping[End, str] = {
    "rounds": "the most rounds",
    "make": "the most pictures",
    "budget": "the budget",
    "deadline": "the deadline",
    "refused": "the provider's refusals",
    "failed": "failures, which the next run tries again",
    "unmeasured": "what could not be measured",
}
"""What ended a short prompt's rounds, in words."""

SheetCell = tuple[str, str, State | None]
"""An image's hash, its caption and its state."""


def sheet_markdown(store: Store, cells: Sequence[SheetCell]) -> str:
    """A small contact sheet as Markdown with the picture inside, for Dagster's UI."""
    if not cells:
        return "no pictures"
    picture = contact_sheet_of(store, cells, shown=SHEET_CELLS, cell_px=170, max_bytes=SHEET_BYTES)
    return f"![contact sheet](data:image/jpeg;base64,{base64.b64encode(picture).decode()})"


def inline_pictures(store: Store, cells: Sequence[SheetCell]) -> dict[str, str]:
    """Thumbnails so small that Dagster shows them in place, by what they are called in its table."""
    shown = [(caption, _inline(_pixels(store, sha256))) for sha256, caption, _ in cells[:INLINE]]
    return {
        f"picture {place}: {caption}": picture for place, (caption, picture) in enumerate(shown, 1) if picture
    }


def _inline(pixels: Pixels) -> str | None:
    """A picture as Markdown of fewer characters than Dagster shows in place, as large as that allows."""
    for side, quality in itertools.product((128, 112, 96, 80, 64), (45, 30, 15)):
        picture = io.BytesIO()
        Image.fromarray(thumbnail(pixels, side)).save(picture, "WEBP", quality=quality, method=6)
        markdown = f"![picture](data:image/webp;base64,{base64.b64encode(picture.getvalue()).decode()})"
        if len(markdown) < INLINE_CHARACTERS:
            return markdown
    return None


def contact_sheet_of(
    store: Store, cells: Sequence[SheetCell], *, shown: int, cell_px: int, max_bytes: int
) -> bytes:
    """A contact sheet of stored images as a JPEG: an even sample of the cells, at most `shown` of them."""
    step = max(1, -(-len(cells) // shown))
    pictures = [
        Cell(pixels=thumbnail(_pixels(store, sha256), cell_px), caption=caption, state=state)
        for sha256, caption, state in cells[::step]
    ]
    return contact_sheet(pictures, columns=6, cell_px=cell_px, max_bytes=max_bytes)


def _pixels(store: Store, sha256: str) -> Pixels:
    """A stored picture; a grey field for one that is gone: a check says which of those should be there."""
    if not store.images.has(sha256):
        return np.full((64, 64, 3), 200, np.uint8)
    return decode(store.images.get(sha256)).pixels


def describe_candidates(
    store: Store, candidates: Sequence[Candidate], shards: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Counts, cost, how the run performed if it made anything, and a contact sheet."""
    states = Counter(candidate.state for candidate in candidates)
    made: list[SheetCell] = [(each.image_sha256, each.sku, None) for each in candidates if each.image_sha256]
    return {
        "candidates": len(candidates),
        "images": states["made"],
        "refused": states["refused"],
        "failed": states["failed"],
        "made in this run": sum(shard["made"] for shard in shards),
        "reused": sum(shard["reused"] for shard in shards),
        "cost of this run (USD)": sum(shard["cost_usd"] for shard in shards),
        "cost of all (USD)": round(sum(candidate.cost_usd for candidate in candidates), 6),
        "made by": made_by(candidates),
        "still at a provider": sum(shard.get("open", 0) for shard in shards),
        "wait for a person's release": max((shard.get("held", 0) for shard in shards), default=0),
        **performance(shards),
        "refusals": refusals_table(candidates),
        "contact sheet": sheet_markdown(store, made),
    } | inline_pictures(store, made)


def made_by(candidates: Sequence[Candidate]) -> str:
    """How many pictures each profile made, in words."""
    counts = Counter(each.profile for each in candidates if each.image_sha256)
    return ", ".join(f"{name}: {count}" for name, count in counts.most_common()) or "nobody"


def candidates_sha256(candidates: Sequence[Candidate]) -> str:
    """The hash of the images: the same ones, made by whatever run, are the same data."""
    return fingerprint([(each.candidate_id, each.image_sha256, each.reason) for each in candidates])


def refusals_table(candidates: Sequence[Candidate], limit: int = 50) -> str:
    """The products that got no image, with the reason, as a Markdown table."""
    reasons = sorted(
        {(each.sku, each.asset_type, each.reason or "") for each in candidates if each.image_sha256 is None}
    )
    if not reasons:
        return "none"
    lines = ["| SKU | asset type | reason |", "| --- | --- | --- |"]
    lines += [
        f"| {sku} | {asset_type} | {reason} |".replace("\n", " ")
        for sku, asset_type, reason in reasons[:limit]
    ]
    return "\n".join([*lines, *([f"| … | | {len(reasons) - limit} more |"] if len(reasons) > limit else [])])


def describe_rounds(order: Order) -> dict[str, Any]:
    """What a funnel's rounds came to, and why prompts that are short have no further one."""
    rounds = order.rounds
    if rounds is None or not rounds.seen:
        return {}
    stops = [stop for prompt in rounds.prompts if (stop := rounds.stop(prompt.prompt_id))]
    short = [stop for stop in stops if stop.by != "enough"]
    return {
        "rounds": rounds_table(rounds.seen),
        "ended by": ended_by(stops, rounds.terms.keep),
        "passed when it ended": sum(seen.passed for seen in rounds.seen),
        "prompts that are short": short_table(rounds.prompts, short),
    }


def ended_by(stops: Sequence[Stop], keep: int) -> str:
    """What ended a funnel, in words."""
    short = Counter(stop.by for stop in stops if stop.by != "enough")
    if not short:
        return f"every prompt has the {keep} that it needs"
    reasons = ", ".join(f"{count} by {ENDS[by]}" for by, count in short.most_common())
    return f"{short.total()} of {len(stops)} prompts have fewer than {keep}: {reasons}"


def rounds_table(seen: Sequence[Seen]) -> str:
    """What each wave came to, as a Markdown table."""
    lines = ["| wave | asked for | made | passed | rate | cost (USD) |", "| --- " * 6 + "|"]
    lines += [
        f"| {each.wave} | {each.asked_for} | {each.made} | {each.passed} | "
        f"{f'{each.passed / each.made:.2f}' if each.made else '–'} | {each.cost_usd:.4f} |"
        for each in seen
    ]
    return "\n".join(lines)


def short_table(prompts: Sequence[Prompt], short: Sequence[Stop], limit: int = 50) -> str:
    """The prompts with fewer pictures that pass than are wanted, and why, as a Markdown table."""
    if not short:
        return "none"
    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    lines = ["| SKU | asset type | locale | why |", "| --- | --- | --- | --- |"]
    for stop in short[:limit]:
        prompt = by_id[stop.prompt_id]
        lines.append(
            f"| {prompt.sku} | {prompt.asset_type} | {prompt.locale} | {stop.why} |".replace("\n", " ")
        )
    if len(short) > limit:
        lines.append(f"| … | | | {len(short) - limit} more |")
    return "\n".join(lines)
