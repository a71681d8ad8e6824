"""A SKU names one product in the whole catalog: the first feed in name order, and its first row, has it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from asset_pipeline.catalog.dialect import Draft
from asset_pipeline.catalog.formats.rows import NoProduct, Remark


def settle_duplicates(drafts: Iterable[tuple[str, Draft]]) -> Iterator[tuple[str, Draft | NoProduct]]:
    """Drop drafts whose SKU is taken: with the same content as a repetition, else refused, with the reason.

    Args:
        drafts: feed and draft, in the order in which they have a claim.
    """
    taken: dict[str, tuple[str, Draft]] = {}
    spellings: dict[str, str] = {}
    for feed, draft in drafts:
        owner = taken.get(draft.sku)
        if owner:
            yield feed, NoProduct(draft.row, _remark(owner, feed, draft), draft.sku)
            continue
        taken[draft.sku] = (feed, draft)
        spelling = spellings.setdefault(draft.sku.casefold(), draft.sku)
        if spelling != draft.sku:
            remark = Remark(
                "warning", "sku_differs_in_case", f"{spelling} is there too: which is meant?", "sku"
            )
            yield feed, replace(draft, remarks=(*draft.remarks, remark))
        else:
            yield feed, draft


def _remark(owner: tuple[str, Draft], feed: str, draft: Draft) -> Remark:
    owners_feed, first = owner
    where = f"row {first.row}" if owners_feed == feed else f"{owners_feed} row {first.row}"
    if _content(first) == _content(draft):
        return Remark("note", "repeated_row", f"says the same as {where}", "sku")
    return Remark("refused", "duplicate_sku", f"{where} has this SKU, with other content", "sku")


def _content(draft: Draft) -> Draft:
    return replace(draft, row=0, source_sha256="", remarks=())
