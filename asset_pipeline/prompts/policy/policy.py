"""What words must not say: restricted terms and claims, as ``data/policy.yaml`` lists them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.policy.word_forms import plain, words
from asset_pipeline.yaml_model import read_model

ANY = "any"
"""Stands for every language: names, and patterns that are the same everywhere."""
NEVER_SAY = "never_say"
"""The rule that the brand's own list of words is."""

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""A language as locales begin with it, such as ``en``, or ``any``."""
Terms = dict[Language, tuple[Annotated[str, Field(min_length=1)], ...]]
"""Words by language."""
Level = Literal["block", "warn"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """Words that must not be said, and what is done about it where they are."""

    id: str = Field(pattern=r"^[a-z0-9_]{1,60}$")
    title: str = Field(min_length=1)
    terms: Terms
    match: Literal["word", "phrase", "pattern"] = "word"
    """``word``: a word in any of its forms. ``phrase``: several in this order, each in any of its forms.
    ``pattern``: a regular expression, whatever the case."""
    unless: Terms = {}
    """Phrases in which a term is fine: ``cured ham``."""
    together_with: Terms = {}
    """Only where one of these is said too: ``child`` with ``wine``."""
    level: Level = "block"
    """``block``: the prompt is not written. ``warn``: it is, and people see the warning."""
    where: Literal["prompt", "overlay", "both"] = "both"
    """In the words that describe the picture, in those that are set over it, or in either."""
    message: str = Field(min_length=1)
    """Why, and what to write instead."""

    @model_validator(mode="after")
    def _can_match(self) -> "Rule":
        if not any(self.terms.values()):
            raise ValueError(f"the rule {self.id} has no terms")
        if self.match == "pattern":
            _require_patterns(_listed(self.terms))
        else:
            _require_words(_listed(self.terms), alone=self.match == "word")
        _require_words([*_listed(self.unless), *_listed(self.together_with)], alone=False)
        if self.match == "pattern" and self.unless:
            raise ValueError(
                "unless is for words and phrases; a pattern can say for itself what it leaves out"
            )
        return self


class Policy(_Strict):
    """Everything that must not be said: ``data/policy.yaml``."""

    version: str = Field(min_length=1, coerce_numbers_to_str=True)
    """For people: which edition of the rules this is."""
    owner: str = Field(min_length=1)
    """Who may be asked about them."""
    always: tuple[Language, ...] = ("en",)
    """The languages whose terms count in every campaign, since templates are written in them."""
    rules: tuple[Rule, ...] = ()

    @field_validator("rules")
    @classmethod
    def _every_rule_has_its_own_name(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.id for rule in rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two rules with the id {', '.join(twice)}")
        if NEVER_SAY in names:
            raise ValueError(f"{NEVER_SAY} is the list of the brand file; call the rule something else")
        return rules

    @property
    def words_sha256(self) -> str:
        """The hash of what decides about words."""
        return fingerprint(self.model_dump(mode="json", exclude={"version", "owner"}))

    @property
    def languages(self) -> set[str]:
        """The languages that it has terms in."""
        return {language for rule in self.rules for language in rule.terms} - {ANY}


def load_policy(data: Path) -> Policy | None:
    """Read ``data/policy.yaml``; none if there is no such file. Raises InvalidFile."""
    path = data / "policy.yaml"
    return read_model(path, Policy) if path.exists() else None


def never_say(banned: Sequence[str], languages: Iterable[str]) -> tuple[Rule, ...]:
    """The words that a brand never says as a rule, in any form that one of the languages gives them.

    Raises:
        InvalidFile: there is no word in one of them.
    """
    if not banned:
        return ()
    try:
        _require_words(banned, alone=False)
    except ValueError as error:
        raise InvalidFile(f"the brand file: never_say: {error}") from None
    rule = Rule(
        id=NEVER_SAY,
        title="Words that the brand never says",
        terms=dict.fromkeys([*sorted(languages), ANY], tuple(banned)),
        match="phrase",
        message="the brand file lists it under never_say",
    )
    return (rule,)


def _listed(terms: Terms) -> list[str]:
    return [term for each in terms.values() for term in each]


def _require_patterns(patterns: Iterable[str]) -> None:
    for pattern in patterns:
        try:
            compiled = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        if compiled.search(""):
            raise ValueError(f"{pattern!r} is found in every text, even an empty one")


def _require_words(terms: Iterable[str], *, alone: bool) -> None:
    for term in terms:
        count = len(words(plain(term)))
        if not count:
            raise ValueError(f"{term!r} has no word in it")
        if alone and count > 1 and " " in term.strip():
            raise ValueError(f"{term!r} is several words; say match: phrase")
