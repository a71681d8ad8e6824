"""HTML and entities become plain text.

Not with ``html.parser``: it needs minutes for a hundred kilobytes of tags that are never closed. Here every
sign is looked at a fixed number of times.
"""

import html
import re

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
_ATTRIBUTES = r"""(?:(?:"[^"<]*"|'[^'<]*'|[^<>"'])*|[^<>]*)"""
_TOKEN = re.compile(
    r"<!--|<!\[CDATA\[|\]\]>|<(?:!doctype|\?xml)\b[^<>]*>"
    rf"|<(/?)({_TAGS})(?![\w-]){_ATTRIBUTES}>",
    re.IGNORECASE,
)
"""What is markup. Any other “<” says something: “size <M”."""
_ENTITY = re.compile(r"&(?:#\d+|#x[\da-f]+|[a-z]\w*);", re.IGNORECASE)
_ENDS = {tag: re.compile(rf"</{tag}\s*>", re.IGNORECASE) for tag in _DROPPED}
_LAYERS = 4
"""How often text may have been escaped: ``&amp;amp;lt;b&amp;amp;gt;`` was three times."""


def without_markup(text: str) -> str:
    """The text that HTML shows: without tags, comments, scripts and styles, with entities resolved.

    Text that was escaped more than once is unescaped to the end. What looks like a tag but is none of
    HTML's stays. Ends of blocks become blanks, ends of inline tags nothing.
    """
    for _ in range(_LAYERS):
        shown = _ENTITY.sub(lambda match: html.unescape(match[0]), _without_tags(text))
        if shown == text:
            return text
        text = shown
    return text if _without_tags(text) == text else text.replace("<", " ")


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    parts = []
    at = 0
    while match := _TOKEN.search(text, at):
        parts.append(text[at : match.start()])
        at = match.end()
        closing, tag = match[1], (match[2] or "").lower()
        if match[0] == "<!--":
            end = text.find("-->", at)
            at = end + 3 if end >= 0 else len(text)
        elif tag in _DROPPED and not closing:
            found = _ENDS[tag].search(text, at)
            at = found.end() if found else len(text)
        if tag and tag not in _INLINE:
            parts.append(" ")
    return "".join([*parts, text[at:]])
