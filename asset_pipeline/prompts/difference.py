"""What a change of template, brand, policy or feed does to a campaign's words, before it is accepted."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from asset_pipeline.prompts.prompt import Prompt, PromptFailure

Operation = Literal["stays", "goes", "comes"]
Piece = tuple[Operation, str]
"""Words that follow each other and share a fate."""
Place = tuple[str, str, str]
"""SKU, asset type and locale."""

_PARTS = ("text", "negative_text", "overlay_text", "width", "height", "parameters", "references", "steps")
"""What makes a prompt another one."""


@dataclass(frozen=True)
class Change:
    """A prompt that is written otherwise than it was."""

    before: Prompt
    after: Prompt

    @property
    def parts(self) -> tuple[str, ...]:
        """What of it is not what it was: ``text``, ``negative_text``, ``references`` ..."""
        parts = tuple(part for part in _PARTS if getattr(self.before, part) != getattr(self.after, part))
        return parts or ("variation",)


@dataclass(frozen=True)
class Gone:
    """A prompt that would not be written any more."""

    prompt: Prompt
    reason: str
    """Why it is left out; empty if nobody asks for it any more."""


@dataclass(frozen=True)
class Difference:
    """What was recorded last against what would be written now."""

    stays: tuple[Prompt, ...]
    changed: tuple[Change, ...]
    new: tuple[Prompt, ...]
    gone: tuple[Gone, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many prompts stay, change, are new and go."""
        return {
            "stay": len(self.stays),
            "change": len(self.changed),
            "new": len(self.new),
            "go": len(self.gone),
        }

    @property
    def to_make(self) -> tuple[Prompt, ...]:
        """The prompts that nobody has had before."""
        return (*(change.after for change in self.changed), *self.new)

    @property
    def is_empty(self) -> bool:
        """Whether every prompt stays and none is new."""
        return not (self.changed or self.new or self.gone)


def compare(
    before: Sequence[Prompt], after: Sequence[Prompt], failures: Iterable[PromptFailure] = ()
) -> Difference:
    """Compare the recorded prompts with those that would be written now, each in the order it has.

    A prompt is the same one as before if SKU, asset type, locale and variation are; where an asset type has
    more or fewer variables than it had, if the values of those agree that both know.

    Args:
        before: what was recorded.
        after: what would be written.
        failures: what would not be, and why.
    """
    earlier = {_key(prompt): prompt for prompt in before}
    later = {_key(prompt): prompt for prompt in after}
    pairs = [(earlier[key], later[key]) for key in later if key in earlier]
    pairs += _of_other_variables(
        [prompt for key, prompt in earlier.items() if key not in later],
        [prompt for key, prompt in later.items() if key not in earlier],
    )
    known = {id(prompt) for pair in pairs for prompt in pair}
    reasons = {(_place(failure), _named(failure.variation)): failure.reason for failure in failures}
    return Difference(
        stays=tuple(new for old, new in pairs if old.prompt_id == new.prompt_id),
        changed=tuple(Change(old, new) for old, new in pairs if old.prompt_id != new.prompt_id),
        new=tuple(prompt for prompt in later.values() if id(prompt) not in known),
        gone=tuple(
            Gone(prompt, reasons.get(key, "")) for key, prompt in earlier.items() if id(prompt) not in known
        ),
    )


def word_difference(before: str, after: str) -> list[Piece]:
    """Two texts word by word: what stays, what goes and what comes in its place."""
    old, new = before.split(), after.split()
    pieces: list[Piece] = []
    for operation, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if operation == "equal":
            pieces.append(("stays", " ".join(old[start:end])))
            continue
        if start < end:
            pieces.append(("goes", " ".join(old[start:end])))
        if new_start < new_end:
            pieces.append(("comes", " ".join(new[new_start:new_end])))
    return pieces


def _of_other_variables(
    earlier: Iterable[Prompt], later: Iterable[Prompt]
) -> Iterator[tuple[Prompt, Prompt]]:
    """Pairs of prompts whose asset type has other variables now, each prompt in one pair at most."""
    waiting: dict[Place, list[Prompt]] = {}
    for prompt in earlier:
        waiting.setdefault(_place(prompt), []).append(prompt)
    for prompt in later:
        before = waiting.get(_place(prompt), [])
        match = next((each for each in before if _agree(each.variation, prompt.variation)), None)
        if match is not None:
            before.remove(match)
            yield match, prompt


def _agree(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    return all(before[name] == after[name] for name in before.keys() & after.keys())


def _key(prompt: Prompt) -> tuple[Place, frozenset[tuple[str, str]]]:
    return _place(prompt), _named(prompt.variation)


def _place(prompt: Prompt | PromptFailure) -> Place:
    return prompt.sku, prompt.asset_type, prompt.locale


def _named(variation: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(variation.items())
