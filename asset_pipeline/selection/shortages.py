"""Places of a prompt that nothing was chosen for, and why; no rule gives way to fill them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asset_pipeline.selection.choice import Choice, Rule

_WHY: Mapping[Rule, str] = {
    "no image": "without an image",
    "gate": "did not pass a gate",
    "person": "rejected by people",
    "near-duplicate": "looked like a chosen one",
    "expired": "with an expired picture",
}


@dataclass(frozen=True)
class Shortage:
    """A prompt that got fewer images than it has places."""

    sku: str
    asset_type: str
    locale: str
    chosen: int
    places: int
    why: str
    """What became of its other candidates, in words."""


def shortages(choices: Sequence[Choice], keep: int) -> list[Shortage]:
    """The prompts that got fewer than `keep` images. Where a quota took a place it is not missing."""
    by_prompt: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        by_prompt[choice.prompt_id].append(choice)
    found = []
    for alike in by_prompt.values():
        rules = Counter(choice.rule for choice in alike)
        if rules["chosen"] < keep and not rules["quota"]:
            why = ", ".join(f"{rules[rule]} {words}" for rule, words in _WHY.items() if rules[rule])
            one = alike[0]
            found.append(Shortage(one.sku, one.asset_type, one.locale, rules["chosen"], keep, why))
    return found
