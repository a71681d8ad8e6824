"""Whatever the pipeline calls a failure, the runbook says what to do about it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from asset_pipeline.candidates.jobs.job import Code
from asset_pipeline.cli import main
from asset_pipeline.commands.attempts import attempts
from asset_pipeline.commands.providers import providers
from asset_pipeline.commands.spend import spend
from asset_pipeline.errors import ProviderError

TEXT = (Path(__file__).parent.parent / "docs" / "runbook.md").read_text(encoding="utf-8")
STATES = ("`unreconciled`", "`lost`: what ran here", "`expired`", "`superseded`", "`paused`", "Dead letter")
PARTS = ("What happened", "By itself", "Cost", "Do")


def sections(part: str) -> dict[str, str]:
    """The text under each heading of a part of the runbook."""
    (body,) = re.findall(rf"^## {part}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", body, re.DOTALL | re.MULTILINE))


def errors(kind: type[ProviderError] = ProviderError) -> Iterator[type[ProviderError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == ProviderError.__module__:
            yield from errors(each)


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    assert set(sections("Codes")) == {f"`{code}`" for code in get_args(Code)}


def test_every_error_of_a_provider_has_a_section() -> None:
    assert set(sections("Errors")) == {f"`{each.__name__}`" for each in errors()}


def test_the_states_that_a_person_meets_have_a_section() -> None:
    assert tuple(sections("States")) == STATES


@pytest.mark.parametrize("title", [*(f"`{code}`" for code in get_args(Code)), *STATES])
def test_a_section_says_what_happened_what_was_done_what_it_cost_and_what_to_do(title: str) -> None:
    body = {**sections("States"), **sections("Codes")}[title]
    assert tuple(re.findall(r"^\*\*(.+?)\.\*\*", body, re.MULTILINE)) == PARTS


def test_an_error_leads_to_the_section_of_the_code_that_it_has_by_itself() -> None:
    for each in errors():
        if each is not ProviderError:
            assert f"](#{each.code})" in sections("Errors")[f"`{each.__name__}`"]


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= anchors


def test_every_command_that_it_names_exists() -> None:
    known = {*main.commands, spend.name, attempts.name, providers.name}
    assert set(re.findall(r"asset-pipeline ([a-z]+)", TEXT)) <= known
    for group in (attempts, providers):
        assert set(re.findall(rf"asset-pipeline {group.name} (\w+)", TEXT)) == set(group.commands)
