"""What a person wants to see of a campaign's selection."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asset_pipeline.candidates.summary import SheetCell, inline_pictures, sheet_markdown
from asset_pipeline.pictures.contact_sheet import State
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.shortages import Shortage
from asset_pipeline.store.store import Store

MARKS: dict[str, State] = {
    "approved": "approved",
    "pending": "pending",
    "rejected": "rejected",
    "not_chosen": "not chosen",
}


SHOWN_SHORTAGES = 30


def describe_choices(
    store: Store, choices: Sequence[Choice], missing: Sequence[Shortage] = ()
) -> dict[str, Any]:
    """Counts, the reasons of those that were not chosen, and a contact sheet of those that were.

    Args:
        store: where the pictures are.
        choices: what became of the campaign's candidates.
        missing: the places that nothing was chosen for.
    """
    states = Counter(choice.state for choice in choices)
    prompts = {choice.prompt_id for choice in choices}
    chosen = [choice for choice in choices if choice.rank is not None]
    cells: list[SheetCell] = [
        (choice.image_sha256 or "", f"{choice.sku} {choice.candidate_id}", MARKS[choice.state])
        for choice in chosen
    ]
    return {
        "candidates": len(choices),
        "approved": states["approved"],
        "waiting for a person": states["pending"],
        "rejected": states["rejected"],
        "not chosen": states["not_chosen"],
        "prompts without a chosen image": len(prompts - {choice.prompt_id for choice in chosen}),
        "chosen": sheet_markdown(store, cells),
        "not chosen, and why": _reasons_table(choices),
        "approved by people, without a place": sum(
            choice.rule in {"quota", "near-duplicate", "better kept"}
            and any(reason.startswith("approved by ") for reason in choice.reasons)
            for choice in choices
        ),
        "empty places": sum(each.places - each.chosen for each in missing),
        "empty places, and why": _shortages_table(missing),
    } | inline_pictures(store, cells)


def _shortages_table(missing: Sequence[Shortage]) -> str:
    """Which prompts got fewer images than they have places."""
    if not missing:
        return "none"
    lines = [
        "| SKU | asset type | locale | chosen | became of the others |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each.sku} | {each.asset_type} | {each.locale} | {each.chosen} of {each.places} | {each.why} |"
        for each in missing[:SHOWN_SHORTAGES]
    ]
    more = len(missing) - SHOWN_SHORTAGES
    return "\n".join([*lines, *([f"| … | | | | {more} more |"] if more > 0 else [])])


def _reasons_table(choices: Sequence[Choice]) -> str:
    reasons = Counter(
        choice.reasons[0] if choice.reasons else "" for choice in choices if choice.rank is None
    )
    lines = [f"| {count} | {reason} |" for reason, count in reasons.most_common(30)]
    return "\n".join(["| images | first reason |", "| --- | --- |", *lines])
