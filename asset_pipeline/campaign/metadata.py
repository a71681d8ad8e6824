"""How facts about a materialisation appear in Dagster's UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg


def shown(facts: Mapping[str, Any]) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata for Dagster: a text of several lines or with a picture is Markdown, the rest as it is."""
    return {
        name: dg.MetadataValue.md(value)
        if isinstance(value, str) and ("\n" in value or value.startswith("!["))
        else dg.MetadataValue.text(value)
        if isinstance(value, str)
        else dg.MetadataValue.bool(value)
        if isinstance(value, bool)
        else dg.MetadataValue.int(value)
        if isinstance(value, int)
        else dg.MetadataValue.float(float(value))
        for name, value in facts.items()
    }
