"""Finding restricted words in texts, quickly: rules are prepared once, each distinct word is stemmed once."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from asset_pipeline.prompts.policy.policy import ANY, Rule, Terms
from asset_pipeline.prompts.policy.word_forms import (
    beginning,
    extent,
    folded,
    plain,
    readings,
    stem,
    stems,
    words,
)

Where = Literal["prompt", "overlay"]
Key = tuple[str, str]
"""A language and a stem."""
Phrase = tuple[frozenset[Key], ...]
"""What each of its words may be."""
Said = list[tuple[Key, ...]]
"""What each word of a text is, in each language; nothing for a word that no rule knows."""


@dataclass(frozen=True)
class Violation:
    """Words that a rule is about, found in a text."""

    rule: Rule
    term: str
    """As the rule says it."""
    found: str
    """As the text says it."""


@dataclass(frozen=True)
class _Term:
    """A term of a rule in one language, in one way of writing it."""

    number: int
    """Its place among all terms, so that what is found has one order."""
    rule: Rule
    language: str
    term: str
    phrase: Phrase


@dataclass(frozen=True)
class _Pattern:
    """A term of a rule that is a regular expression."""

    number: int
    rule: Rule
    language: str
    expression: re.Pattern[str]


class RestrictedWords:
    """Looks for the words of rules.

    Args:
        rules: what must not be said.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._keys = _Keys()
        self._terms: dict[Key, list[_Term]] = {}
        """By each key that their first word may have."""
        self._patterns: list[_Pattern] = []
        numbered = enumerate((rule, *term) for rule in rules for term in _listed(rule.terms))
        for number, (rule, language, term) in numbered:
            if rule.match == "pattern":
                self._patterns.append(_Pattern(number, rule, language, re.compile(term, re.IGNORECASE)))
                continue
            for phrase in self._keys.phrases(language, term):
                for key in phrase[0]:
                    self._terms.setdefault(key, []).append(_Term(number, rule, language, term, phrase))
        self._unless = {rule.id: self._phrases(rule.unless) for rule in rules if rule.unless}
        self._together = {rule.id: self._phrases(rule.together_with) for rule in rules if rule.together_with}

    def violations(
        self, text: str, where: Where, languages: Collection[str], *, in_any_company: bool = False
    ) -> list[Violation]:
        """What the rules are about in a text, once for each term, in the order of the rules.

        Args:
            text: what a prompt says.
            where: whether it describes the picture or is set over it.
            languages: those whose terms count, besides the terms of any language.
            in_any_company: whether a rule counts though what it asks to be said too is not.
        """
        shown = plain(text)
        found: dict[int, Violation] = {}
        for pattern in self._patterns:
            if _counts(pattern, where, languages) and (match := pattern.expression.search(shown)):
                found[pattern.number] = Violation(pattern.rule, pattern.expression.pattern, match[0])
        read = [(reading, [self._keys[word] for word in words(reading)]) for reading in readings(shown)]
        for reading, said in read:
            for start, term in self._said_terms(said):
                if term.number not in found and _counts(term, where, languages):
                    spoken = extent(reading, start, len(term.phrase))
                    found[term.number] = Violation(term.rule, term.term, spoken)
        return [
            found[number]
            for number in sorted(found)
            if in_any_company or self._is_in_company(found[number].rule, read)
        ]

    def _said_terms(self, said: Said) -> Iterator[tuple[int, _Term]]:
        """The terms that are said where no rule finds them fine, each with the number of its first word."""
        for start, keys in enumerate(said):
            if not keys:
                continue
            for term in (each for key in keys for each in self._terms.get(key, ())):
                if _is_said(term.phrase, said, start) and not any(
                    _is_said(fine, said, start - offset)
                    for fine in self._unless.get(term.rule.id, ())
                    for offset in range(len(fine) - len(term.phrase) + 1)
                ):
                    yield start, term

    def _is_in_company(self, rule: Rule, read: Sequence[tuple[str, Said]]) -> bool:
        """Whether what the rule asks to be said too is said, if it asks for anything."""
        company = self._together.get(rule.id)
        return company is None or any(
            _is_said(phrase, said, start)
            for _, said in read
            for start in range(len(said))
            for phrase in company
        )

    def _phrases(self, terms: Terms) -> list[Phrase]:
        return [phrase for language, term in _listed(terms) for phrase in self._keys.phrases(language, term)]


class _Keys(dict[str, tuple[Key, ...]]):
    """What a word is, for each word that was asked for; only words that begin like a rule's are stemmed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[Key] = set()
        self._beginnings: dict[str, set[str]] = {}
        """By language; of a short word the first two letters, since the third may be its ending's."""

    def phrases(self, language: str, term: str) -> list[Phrase]:
        """A term, in each way to read its hyphens; its words are known from now on."""
        return [tuple(self._learn(language, word) for word in words(each)) for each in readings(plain(term))]

    def _learn(self, language: str, word: str) -> frozenset[Key]:
        keys = frozenset((language, each) for each in stems(language, folded(word)))
        self._known |= keys
        self._beginnings.setdefault(language, set()).update(
            beginning(each)[: 3 if len(each) > 3 else 2]  # noqa: PLR2004 - see above
            for _, each in keys
        )
        return keys

    def __missing__(self, word: str) -> tuple[Key, ...]:
        lower = folded(word)
        start = beginning(lower)
        possible = (
            (language, stem(language, lower))
            for language, beginnings in self._beginnings.items()
            if start in beginnings or start[:2] in beginnings
        )
        self[word] = tuple(key for key in possible if key in self._known)
        return self[word]


def _counts(term: _Term | _Pattern, where: Where, languages: Collection[str]) -> bool:
    return term.rule.where in ("both", where) and (term.language == ANY or term.language in languages)


def _is_said(phrase: Phrase, said: Said, start: int) -> bool:
    return 0 <= start <= len(said) - len(phrase) and all(
        not word.isdisjoint(keys) for word, keys in zip(phrase, said[start:], strict=False)
    )


def _listed(terms: Terms) -> Iterator[tuple[str, str]]:
    return ((language, term) for language, each in terms.items() for term in each)
