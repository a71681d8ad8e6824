"""Prompts and their differences for people, as lines, and for programs, as plain data."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from asset_pipeline.prompts.difference import Change, Difference, Gone, Operation, word_difference
from asset_pipeline.prompts.policy.wording_checks import PromptWarning
from asset_pipeline.prompts.prompt import Prompt, PromptFailure
from asset_pipeline.prompts.records import Written

_WORDS = ("text", "negative_text", "overlay_text")
_CALLED = {"text": "prompt", "negative_text": "negative prompt", "overlay_text": "overlay"}
_MARKS: dict[Operation, tuple[str, str, str]] = {
    "stays": ("", "", ""),
    "goes": ("[-", "-]", "red strike"),
    "comes": ("{+", "+}", "green"),
}
"""As ``git diff --word-diff`` marks words, and in colour on a terminal."""


def written_lines(written: Written) -> Iterator[Text]:
    """The words as they would be written now, then what would not be written, then what to look at."""
    for prompt in written.prompts:
        yield _heading(prompt)
        yield from (
            Text(f"  {_CALLED[part]}: {words}") for part in _WORDS if (words := getattr(prompt, part))
        )
        yield from (Text(f"  not in its own words: {fallback}", "yellow") for fallback in prompt.fallbacks)
    for failure in written.failures:
        where = f"  not written ({failure.feed} row {failure.row}): {failure.reason}"
        yield _heading(failure)
        yield Text(where, "red")
    for warning in written.warnings:
        yield _heading(warning)
        yield Text(f"  to look at ({warning.feed} row {warning.row}): {warning.reason}", "yellow")


def written_json(written: Written) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "prompts": [each.model_dump(mode="json") for each in written.prompts],
        "failures": [each.model_dump(mode="json") for each in written.failures],
        "warnings": [each.model_dump(mode="json") for each in written.warnings],
        "decided_by": [each.model_dump(mode="json") for each in written.editions],
    }


def only(written: Written, sku: str) -> Written | None:
    """What is written for one SKU; none if nothing is."""
    kept = Written(
        prompts=[each for each in written.prompts if each.sku == sku],
        failures=[each for each in written.failures if each.sku == sku],
        products=1,
        unknown_skus=[],
        warnings=[each for each in written.warnings if each.sku == sku],
        editions=written.editions,
    )
    return kept if kept.prompts or kept.failures else None


def difference_lines(difference: Difference, limit: int) -> Iterator[Text]:
    """Examples of what changes, comes and goes: at most `limit` of each."""
    for change in difference.changed[:limit]:
        yield from _change_lines(change)
    yield from _more("change", difference.changed, limit)
    for prompt in difference.new[:limit]:
        yield _heading(prompt, "new")
        yield Text(f"  {{+{prompt.text}+}}", "green")
    yield from _more("are new", difference.new, limit)
    for gone in difference.gone[:limit]:
        yield _heading(gone.prompt, "goes")
        yield Text(f"  [-{gone.prompt.text}-]", "red")
        if gone.reason:
            yield Text(f"  because: {gone.reason}")
    yield from _more("go", difference.gone, limit)


def difference_json(difference: Difference) -> dict[str, Any]:
    """All of a difference as plain data."""
    return {
        "counts": difference.counts,
        "changed": [_change_json(change) for change in difference.changed],
        "new": [_named(prompt) | {"text": prompt.text} for prompt in difference.new],
        "gone": [_gone_json(gone) for gone in difference.gone],
    }


def _change_lines(change: Change) -> Iterator[Text]:
    yield _heading(change.after, "changes")
    for part in change.parts:
        before, after = getattr(change.before, part), getattr(change.after, part)
        if part not in _WORDS:
            shown = "" if part in ("references", "steps") else f": {before} → {after}"
            yield Text(f"  other {'photographs' if part == 'references' else part}{shown}")
            continue
        line = Text(f"  {_CALLED[part]}: ")
        for number, (operation, words) in enumerate(word_difference(before, after)):
            opening, closing, style = _MARKS[operation]
            line.append(" " if number else "")
            line.append(f"{opening}{words}{closing}", style)
        yield line


def _change_json(change: Change) -> dict[str, Any]:
    return _named(change.after) | {
        "prompt_id_before": change.before.prompt_id,
        "parts": list(change.parts),
        "words": {
            part: [
                list(piece)
                for piece in word_difference(getattr(change.before, part), getattr(change.after, part))
            ]
            for part in change.parts
            if part in _WORDS
        },
        "before": {part: getattr(change.before, part) for part in _WORDS},
        "after": {part: getattr(change.after, part) for part in _WORDS},
    }


def _gone_json(gone: Gone) -> dict[str, Any]:
    return _named(gone.prompt) | {"text": gone.prompt.text, "reason": gone.reason}


def _named(prompt: Prompt) -> dict[str, Any]:
    return {
        "prompt_id": prompt.prompt_id,
        "sku": prompt.sku,
        "asset_type": prompt.asset_type,
        "locale": prompt.locale,
        "variation": prompt.variation,
    }


def _heading(about: Prompt | PromptFailure | PromptWarning, what: str = "") -> Text:
    varied = ", ".join(f"{name}: {value}" for name, value in about.variation.items())
    parts = (about.sku, about.asset_type, about.locale, f"({varied})" if varied else "", what)
    return Text(" ".join(part for part in parts if part), "bold")


def _more(what: str, every: Sequence[Any], limit: int) -> Iterator[Text]:
    if limit and len(every) > limit:
        yield Text(f"... and {len(every) - limit} more that {what}; --limit shows more of them", "dim")
