"""Templates: Jinja in a sandbox that reaches no Python, draws no lots and stops at an unknown word."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from asset_pipeline.errors import InvalidFile


class Words(dict[str, Any]):
    """Words by name, and what a template calls them together: ``product.attributes``."""

    __slots__ = ("_called",)

    def __init__(self, called: str, words: Mapping[str, Any]) -> None:
        super().__init__(words)
        self._called = called

    def name_of(self, word: str) -> str:
        """What a template calls one of the words."""
        return f"{self._called}.{word}"


class _MissingWord(jinja2.UndefinedError):
    """A template speaks of a word that is not there; the message is the word's name."""


class _Missing(jinja2.StrictUndefined):
    """Stands for a word that is not there: whatever a template does with it fails with its full name."""

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[jinja2.TemplateRuntimeError] = _MissingWord,
    ) -> None:
        super().__init__(hint, obj, name, jinja2.UndefinedError if hint and exc is _MissingWord else exc)

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name, owner = str(self._undefined_name), self._undefined_obj
        return Words.name_of(owner, name) if isinstance(owner, Words) else name


_REMEDIES = {
    "product": "give the row one, or let the template ask whether it is defined",
    "photographs": "list its role under the asset type's references",
    "campaign": "say it under the campaign's variables",
    "brand": "the brand file has no such field",
}
_SANDBOX = ImmutableSandboxedEnvironment(undefined=_Missing, autoescape=False)
# The same words must come out every time, or a prompt's name would not be that of its content.
del _SANDBOX.globals["lipsum"], _SANDBOX.filters["random"]


class TemplateFailure(Exception):
    """A template could not be written out for some words.

    Args:
        reason: what is wrong, in words.
        line: the line of the template, if one is to blame.
        variable: the word that is missing, as the template calls it; none if something else is wrong.
    """

    def __init__(self, reason: str, line: int | None = None, variable: str | None = None) -> None:
        super().__init__(reason)
        self.line = line
        self.variable = variable


@dataclass(frozen=True)
class Template:
    """A template that is ready to be written out."""

    part: str
    """What an asset type calls it: ``template``, ``locales.de.overlay``."""
    names: frozenset[str]
    """What it speaks of: ``product``, ``brand``, variables."""
    compiled: jinja2.Template

    def write(self, words: dict[str, Any]) -> str:
        """Write the template out, with single blanks.

        Raises:
            TemplateFailure: a word is missing, or the template does something wrong with one.
        """
        try:
            # As Template.render does, less the copy of all words and a search through Jinja's own frames.
            context = self.compiled.new_context(words, shared=True)
            return " ".join("".join(self.compiled.root_render_func(context)).split())
        except Exception as error:
            variable = error.message if isinstance(error, _MissingWord) else None
            wrong = _unknown(variable) if variable else str(error) or type(error).__name__
            line = _line_of(self.compiled, error.__traceback__)
            raise TemplateFailure(f"{self.part}, line {line}: {wrong}", line, variable) from error


def prepared(asset_type: str, part: str, text: str) -> Template:
    """A template of an asset type. Raises InvalidFile with its line if it is not valid."""
    try:
        names, compiled = _compiled(text)
    except jinja2.TemplateSyntaxError as error:
        raise InvalidFile(
            f"asset type {asset_type}: {part}, its line {error.lineno}: {error.message}"
        ) from error
    return Template(part, names, compiled)


def known_to_every_template() -> dict[str, Any]:
    """What Jinja itself lets a template say: ``range``, ``namespace`` ..."""
    return dict(_SANDBOX.globals)


@lru_cache(maxsize=256)
def _compiled(text: str) -> tuple[frozenset[str], jinja2.Template]:
    names = meta.find_undeclared_variables(_SANDBOX.parse(text))
    compiled = _SANDBOX.from_string(text)
    # They come with the words. Otherwise each writing would list them again, half of its time.
    compiled.globals = {}
    return frozenset(names), compiled


def _unknown(variable: str) -> str:
    remedy = _REMEDIES.get(variable.partition(".")[0], "declare it under the asset type's variables")
    return f"there is no {variable}: {remedy}"


def _line_of(compiled: jinja2.Template, traceback: TracebackType | None) -> int:
    """The template's line at which an error came up: the innermost one of its own code."""
    line = 1
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__jinja_template__") is compiled:
            line = compiled.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line
