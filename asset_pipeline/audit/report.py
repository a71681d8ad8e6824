"""A story for people, as a table, and for programs, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from asset_pipeline.audit.reproduce import Reproduction
from asset_pipeline.audit.story import Link, Story

_STYLES = {
    "holds": "green",
    "altered": "bold red",
    "missing": "bold red",
    "not checked": "yellow",
    "reproduced": "green",
    "differs": "bold red",
    "impossible": "yellow",
}
_SHOWN = 24
"""How much of a hash a table shows where nobody has to compare it."""
_NAME_WIDTH = 36
_COLUMNS: Mapping[str, Sequence[str]] = {
    "export record": ("target", "destination"),
    "selection": ("state", "rank", "quality"),
    "candidate": ("profile", "provider", "provider_version", "seed", "cost_usd"),
    "prompt": ("text", "locale", "variation", "policy"),
    "template": ("asset_type",),
    "product": ("sku", "brand"),
    "photograph": ("role", "reference"),
    "catalog row": ("source_sha256",),
}
"""What a table shows of a link's facts; the JSON has all."""


def story_table(story: Story, reproductions: Sequence[Reproduction] = ()) -> Table:
    """A story as a table, one row for each link, from what left to where it came from."""
    table = Table(
        title=Text(f"{story.candidate_id} in {story.campaign_id}: {verdict(story)}"),
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("link", overflow="fold", max_width=_NAME_WIDTH)
    table.add_column("state", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for link in story.links:
        table.add_row(Text(f"{link.name}\n{_value(link.identity)}"), _state(link.state), Text(_words(link)))
    for each in reproductions:
        table.add_row(Text(f"made again\n{each.what}"), _state(each.outcome), Text(each.words))
    return table


def verdict(story: Story) -> str:
    """What the whole story comes to, in a few words."""
    broken, unchecked = story.broken, story.unchecked
    if broken:
        return "does not hold: " + ", ".join(f"{link.name} {link.state}" for link in broken)
    if unchecked:
        return f"holds, as far as could be checked ({', '.join(link.name for link in unchecked)} could not)"
    return "holds at every link"


def story_json(story: Story, reproductions: Sequence[Reproduction] = ()) -> dict[str, Any]:
    """A story as plain data."""
    return {
        "campaign": story.campaign_id,
        "candidate_id": story.candidate_id,
        "holds": story.holds,
        "verdict": verdict(story),
        "links": [
            {
                "name": link.name,
                "identity": link.identity,
                "state": link.state,
                "words": link.words,
                "facts": dict(link.facts),
            }
            for link in story.links
        ],
        "made_again": [asdict(each) for each in reproductions],
    }


def _state(state: str) -> Text:
    return Text(state, style=_STYLES[state])


def _words(link: Link) -> str:
    told = [
        f"{name}: {_value(link.facts[name])}"
        for name in _COLUMNS.get(link.name, ())
        if link.facts.get(name) not in (None, {}, [])
    ]
    told += [_score(score) for score in link.facts.get("scores", ())]
    return "\n".join([link.words, *told])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    text = str(value)
    return f"{text[:_SHOWN]}…" if len(text) == 64 and " " not in text else text  # noqa: PLR2004 - a hash


def _score(score: Mapping[str, Any]) -> str:
    value = f"no value: {score['reason']}" if score["value"] is None else f"{score['value']:.4g}"
    return f"{score['dimension']}: {value} ({score['verdict']})"
