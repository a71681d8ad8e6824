"""How a locale is written here: ``de``, ``de-AT``, ``zh-Hant-TW``; ``und`` where no language is told."""

import re

UNDETERMINED = "und"

_TAG = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|\d{3}))?", re.IGNORECASE)
"""Language, script and region of BCP 47; what may follow them says nothing of the words."""


def locale_of(name: str) -> str:
    """A locale as it is written here, from ``de_at``, ``DE-at`` and the like; ``und`` from anything else."""
    match = _TAG.fullmatch(name.strip())
    if not match:
        return UNDETERMINED
    language, script, region = match.groups()
    parts = [language.lower(), script.title() if script else "", region.upper() if region else ""]
    return "-".join(part for part in parts if part)
