"""The links of a story that are about where it began: template, photographs and the row of the feed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from asset_pipeline.audit.ledger import first_line, short
from asset_pipeline.audit.made import stored_bytes
from asset_pipeline.audit.story import Link
from asset_pipeline.catalog.formats.reading import read_sheet
from asset_pipeline.catalog.formats.rows import Row
from asset_pipeline.catalog.product import Product
from asset_pipeline.errors import InvalidFile, UnreadableFeed
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.store.store import Store


def template_link(data: Path, prompt: Prompt | None) -> Link:
    """The version of the template that the words were made from, compared with today's file."""
    if prompt is None:
        return Link("template", "", "not checked", "no prompt that holds names it")
    facts = {"asset_type": prompt.asset_type, "sha256": prompt.template_sha256}
    try:
        today = load_asset_types(data).get(prompt.asset_type)
    except InvalidFile as error:
        words = f"today's file cannot be read: {first_line(error)}"
        return Link("template", prompt.template_sha256, "not checked", words, facts)
    if today is None:
        words = f"there is no asset type {prompt.asset_type} any more; its version is known by its hash alone"
        return Link("template", prompt.template_sha256, "not checked", words, facts)
    if today.words_sha256 != prompt.template_sha256:
        words = (
            f"the asset type {prompt.asset_type} has changed since; that version is known by its hash alone"
        )
        return Link("template", prompt.template_sha256, "not checked", words, facts)
    words = f"the asset type {prompt.asset_type} is still that version"
    return Link("template", prompt.template_sha256, "holds", words, facts | {"template": today.template})


def photograph_links(
    store: Store, photographs: Mapping[str, str] | None, product: Product | None
) -> Iterator[Link]:
    """The bytes of the photographs that the picture builds on.

    Args:
        store: where they are kept.
        photographs: roles by hash; none if no record that holds names any.
        product: the product, to say what the feed calls them.
    """
    if photographs is None:
        yield Link("photograph", "", "not checked", "no record that holds says which were used")
        return
    known = {picture.sha256: picture for picture in product.photographs} if product else {}
    for sha256, role in photographs.items():
        state, words, data = stored_bytes(store, sha256)
        facts = {"role": role, "size_bytes": len(data)} if data is not None else {"role": role}
        if sha256 in known:
            facts |= {"reference": known[sha256].reference, "media_type": known[sha256].media_type}
        yield Link("photograph", sha256, state, words, facts)


def row_link(data: Path, product: Product | None) -> Link:
    """The row of the feed, and whether the feed on disk still has it; feeds may change, facts do not."""
    if product is None:
        return Link("catalog row", "", "not checked", "no product that holds says where it came from")
    identity = f"{product.feed}, row {product.row}"
    facts = {"feed": product.feed, "row": product.row, "source_sha256": product.source_sha256}
    place = data / "catalog" / product.feed
    if not place.is_file():
        words = f"{product.feed} is not in the catalog folder any more; the product says what it held"
        return Link("catalog row", identity, "not checked", words, facts)
    try:
        rows = [row for row in read_sheet(place.read_bytes()).rows if isinstance(row, Row)]
    except UnreadableFeed as error:
        return Link("catalog row", identity, "not checked", f"{product.feed} cannot be read: {error}", facts)
    there = [row.number for row in rows if row.source_sha256 == product.source_sha256]
    if product.row in there:
        return Link("catalog row", identity, "holds", "the feed on disk still has this row", facts)
    if there:
        words = f"the feed on disk still has this row, now as row {there[0]}"
        return Link("catalog row", identity, "holds", words, facts)
    words = f"the feed has changed since: no row has the hash {short(product.source_sha256)} any more"
    return Link("catalog row", identity, "not checked", words, facts)
