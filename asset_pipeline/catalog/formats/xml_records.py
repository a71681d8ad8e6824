"""XML becomes records: every ``item`` of RSS, ``entry`` of Atom, or ``product`` of any other document.

Records are handed over as they end, and nothing is kept of them here, so a feed of any length takes the same
memory. No feed is trusted: documents that declare entities, or a type at all, are refused before anything of
them is expanded or fetched.

A record's elements are its cells by their names without prefix. Of elements with the same name in several
namespaces Google's counts, then those of the feed's own format. Repeated elements are a list, elements with
elements in them an object, elements with nothing but attributes (``<link href="…"/>``) an object of these.
HTML that is written as elements is text again.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TextIO

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from asset_pipeline.catalog.formats.rows import Remark
from asset_pipeline.errors import UnreadableFeed

LANGUAGE = "xml:lang"
"""The cell for the language that the document tells for a record's words."""
LARGEST_RECORD = 16 << 20
"""Characters. A longer record is refused; the others are read."""

_RECORDS = frozenset({"item", "entry", "product"})
_GOOGLE = "http://base.google.com/ns/1.0"
_FORMATS = frozenset({"", "http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/"})
_LANG_ATTRIBUTE = "{http://www.w3.org/XML/1998/namespace}lang"
_DEEPEST = 100
"""Elements within elements. Feeds have five."""
_ELEMENT_COST = 64
"""Characters that an element counts for, so that a record of empty elements has an end too."""
_CHUNK = 1 << 20
_HTML = (
    "a b blockquote br caption center div em font h1 h2 h3 h4 h5 h6 hr i img li ol p small span strong sub "
    "sup table tbody td tfoot th thead tr u ul"
)
_HTML_TAGS = frozenset(_HTML.split())
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STAND_IN = "\x7f"
"""A control character that XML allows: taken out with a finding like any other when words are cleaned."""
_ROOT = re.compile(r"<[A-Za-z_][\w.-]*(?::[\w.-]+)?")
_PREFIX = re.compile(r"</?([A-Za-z_][\w.-]*):")
_DECLARED = re.compile(r"\sxmlns:([\w.-]+)\s*=")

_HTML_PAGE = "this is an HTML page; is it an error page instead of the feed?"
_TOO_LARGE = Remark(
    "refused", "record_too_large", f"the record has more than {LARGEST_RECORD >> 20} million characters"
)


def read_records(text: TextIO, remarks: list[Remark]) -> Iterator[dict[str, Any] | Remark]:
    """The records of a document in order; a remark instead of one that cannot be used.

    Args:
        text: the document.
        remarks: gets what is to be said of the document as a whole, before the first record.

    Raises:
        UnreadableFeed: the document is damaged, hostile or no feed; the records before that were handed over.
    """
    collector = _Collector()
    parser = XMLParser(target=collector, forbid_dtd=True)
    failure: UnreadableFeed | None = None
    start = _with_declarations(_FORBIDDEN.sub(_STAND_IN, text.read(_CHUNK)).lstrip("\ufeff \t\r\n"), remarks)
    try:
        parser.feed(start)
        yield from collector.taken()
        while chunk := text.read(_CHUNK):
            parser.feed(_FORBIDDEN.sub(_STAND_IN, chunk))
            yield from collector.taken()
        parser.close()
    except ParseError as error:
        failure = UnreadableFeed(f"this XML is damaged: {error}; {_advice(str(error))}")
    except DefusedXmlException:
        is_page = re.search(r"<!doctype\s+html", start[:1000], re.IGNORECASE)
        failure = UnreadableFeed(_HTML_PAGE if is_page else _DECLARES_A_TYPE)
    except UnreadableFeed as error:
        failure = error
    yield from collector.taken()
    if failure:
        raise failure
    if not collector.has_records:
        raise UnreadableFeed("this XML has no item, entry or product in it; is it another kind of file?")


@dataclass
class _Element:
    """An element that has begun and not ended, within a record."""

    attributes: Mapping[str, str]
    texts: list[str] = field(default_factory=list)
    children: dict[str, list[Any]] = field(default_factory=dict)

    def cells(self) -> dict[str, Any]:
        """The elements within it by name."""
        chosen: dict[str, list[Any]] = {}
        for tag in sorted(self.children, key=_rank):
            chosen.setdefault(_name(tag), self.children[tag])
        return {name: values[0] if len(values) == 1 else values for name, values in chosen.items()}

    def value(self) -> Any:
        """What it says, as text or, if it holds elements or nothing but attributes, as an object."""
        if self.children:
            return self.cells()
        text = "".join(self.texts).strip()
        return text or {_name(name): value for name, value in self.attributes.items() if name[0] != "{"}


class _Collector:
    """Is told by the parser what begins and ends, and gathers records of it."""

    def __init__(self) -> None:
        self.has_records = False
        self._done: deque[dict[str, Any] | Remark] = deque()
        self._depth = 0
        self._languages: list[str] = []
        self._language_element: list[str] | None = None
        self._open: list[_Element] = []
        self._size = 0

    def taken(self) -> Iterator[dict[str, Any] | Remark]:
        """The records that have ended since the last time."""
        while self._done:
            yield self._done.popleft()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableFeed(f"this XML has elements {_DEEPEST} deep; no feed has: export it again")
        name = _name(tag)
        if self._open:
            self._start_within(name, attributes)
            return
        if self._depth == 1 and name.lower() == "html":
            raise UnreadableFeed(_HTML_PAGE)
        inherited = self._languages[-1] if self._languages else ""
        self._languages.append(attributes.get(_LANG_ATTRIBUTE, inherited))
        if name in _RECORDS:
            self.has_records = True
            self._size = 0
            self._open.append(_Element(attributes))
        elif name == "language":
            self._language_element = []

    def end(self, tag: str) -> None:
        """An element ends."""
        self._depth -= 1
        if self._open:
            self._end_within(tag)
            return
        self._languages.pop()
        if self._language_element is not None:  # RSS: <channel><language>de-at</language>
            if self._languages and not self._languages[-1]:
                self._languages[-1] = "".join(self._language_element).strip()
            self._language_element = None

    def data(self, text: str) -> None:
        """Text within an element."""
        if self._open:
            self._size += len(text)
            if self._size <= LARGEST_RECORD:
                self._open[-1].texts.append(text)
        elif self._language_element is not None and len(self._language_element) < _DEEPEST:
            self._language_element.append(text[:_DEEPEST])

    def _start_within(self, name: str, attributes: dict[str, str]) -> None:
        self._size += _ELEMENT_COST + sum(map(len, attributes.values()))
        is_html = len(self._open) > 1 and name.lower() in _HTML_TAGS
        if is_html:
            self._open[-1].texts.append(f"<{name}>")
        self._open.append(self._open[-1] if is_html else _Element(attributes))

    def _end_within(self, tag: str) -> None:
        element = self._open.pop()
        if not self._open:
            self._done.append(self._record(element))
            self._languages.pop()
        elif element is self._open[-1]:
            element.texts.append(f"</{_name(tag)}>")
        elif self._size <= LARGEST_RECORD:
            self._open[-1].children.setdefault(tag, []).append(element.value())

    def _record(self, element: _Element) -> dict[str, Any] | Remark:
        if self._size > LARGEST_RECORD:
            return _TOO_LARGE
        language = self._languages[-1]
        return {**element.cells(), **({LANGUAGE: language} if language else {})}


@lru_cache(maxsize=4096)
def _name(tag: str) -> str:
    """A tag without its namespace, which stands before it in braces."""
    return tag.rpartition("}")[2]


@lru_cache(maxsize=4096)
def _rank(tag: str) -> int:
    namespace = tag[1:].rpartition("}")[0] if tag[0] == "{" else ""
    if "base.google.com" in namespace:  # also with https, without version ...
        return 0
    return 1 if namespace in _FORMATS else 2


def _with_declarations(start: str, remarks: list[Remark]) -> str:
    """A document's start with the namespaces that it uses and does not declare."""
    missing = sorted(set(_PREFIX.findall(start)) - set(_DECLARED.findall(start)) - {"xml"})
    root = _ROOT.search(start)
    if not missing or not root:
        return start
    remarks.append(
        Remark(
            "repaired",
            "undeclared_namespace",
            f"the document does not declare its prefix {', '.join(missing)}; it is read as if it did",
        )
    )
    declarations = "".join(
        f' xmlns:{prefix}="{_GOOGLE if prefix == "g" else f"urn:undeclared:{prefix}"}"' for prefix in missing
    )
    return start[: root.end()] + declarations + start[root.end() :]


def _advice(error: str) -> str:
    if error.startswith(("no element found", "unclosed")):
        return "it ends in the middle: transfer it again"
    if error.startswith(("not well-formed", "undefined entity")):
        return "is an & or < there that should be &amp; or &lt;? Export it again"
    return "export it again"


_DECLARES_A_TYPE = (
    "this XML declares a document type, which could make it open files and fill the memory; "
    "take the line with <!DOCTYPE out"
)
