"""HTML and entities become plain text."""

import html
import re
from html.parser import HTMLParser

_DROPPED = frozenset({"script", "style", "template", "iframe", "noscript"})
_INLINE_TAGS = (
    "a abbr b bdi bdo big cite code dfn em font i kbd mark q s samp small span strike strong sub sup "
    "tt u var wbr"
)
_BLOCK_TAGS = (
    "address area article aside audio base blockquote body br button caption center col colgroup dd "
    "del details dialog div dl dt embed fieldset figcaption figure footer form frame h1 h2 h3 h4 h5 "
    "h6 head header hr html img input ins label legend li link main map meta nav object ol option p "
    "param picture pre section select source summary svg table tbody td textarea tfoot th thead title "
    "tr track ul video"
)
_INLINE = frozenset(_INLINE_TAGS.split())
_TAGS = "|".join(sorted(_INLINE | {*_BLOCK_TAGS.split()} | _DROPPED, key=len, reverse=True))
_NOT_MARKUP = re.compile(rf"<(?!/?(?:{_TAGS})(?![\w-])|!--|!doctype\b|!\[CDATA\[|\?xml\b)", re.IGNORECASE)
"""A “<” that begins no tag of HTML: “size <M” says something."""
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MARKUP = re.compile(rf"</?(?:{_TAGS})(?![\w-])|<!--|&(?:#\d|#x[\da-f]|[a-z]\w*;)", re.IGNORECASE)
_LAYERS = 4
"""How often text may have been escaped: ``&amp;amp;lt;b&amp;amp;gt;`` was three times."""


def without_markup(text: str) -> str:
    """The text that HTML shows: without tags, comments, scripts and styles, with entities resolved.

    Text that was escaped more than once is unescaped to the end. What looks like a tag but is none of
    HTML's stays. Ends of blocks become blanks, ends of inline tags nothing.
    """
    for _ in range(_LAYERS):
        if not _MARKUP.search(text):
            break
        text = _shown(text) if "<" in text else html.unescape(text)
    return text


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._dropping: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if self._dropping is None and tag in _DROPPED:
            self._dropping = tag
        self._separate(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._dropping:
            self._dropping = None
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if self._dropping is None:
            self.parts.append(data)

    def unknown_decl(self, data: str) -> None:
        self.parts.append(data.removeprefix("CDATA["))

    def _separate(self, tag: str) -> None:
        if tag not in _INLINE:
            self.parts.append(" ")


def _shown(text: str) -> str:
    parser = _Shown()
    parser.feed(_NOT_MARKUP.sub("&lt;", _COMMENT.sub(" ", text)))
    parser.close()
    return "".join(parser.parts)
