"""How many images may be chosen of each product, locale and asset type, and of a campaign as a whole."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from asset_pipeline.campaign.brief import Campaign, Quotas
from asset_pipeline.candidates.candidate import Candidate

Counted = tuple[str, str]
"""What has a quota: the kind (``product``, ``locale``, ``asset_type``, ``total``) and which of it."""

_CALLED = {"product": "the product", "locale": "the locale", "asset_type": "the asset type"}


class Places:
    """The places that quotas leave, as images are chosen one after the other."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._taken: Counter[Counted] = Counter()

    def none_left(self, candidate: Candidate) -> str | None:
        """Why there is no place for it, in words; none if there is one. The narrowest quota is named."""
        for (kind, name), limit in limits_of(candidate, self._quotas).items():
            if self._taken[kind, name] >= limit:
                whose = "the campaign" if kind == "total" else f"{_CALLED[kind]} {name}"
                return f"{whose} has its {limit}"
        return None

    def take(self, candidate: Candidate) -> None:
        """Give it a place."""
        self._taken.update(counted_of(candidate))


def places_in(campaign: Campaign, prompts: int) -> tuple[int, Quotas]:
    """How many images each of a campaign's prompts gets at most, and its quotas.

    A funnel keeps so many of the whole campaign: that is a quota, and each prompt has an even share of it.
    """
    if campaign.funnel is None:
        return campaign.keep, campaign.quotas
    totals = [total for total in (campaign.quotas.total, campaign.funnel.keep) if total is not None]
    quotas = campaign.quotas.model_copy(update={"total": min(totals)})
    return campaign.funnel.keep_per_prompt(prompts), quotas


def span_prompts(quotas: Quotas) -> bool:
    """Whether there is any quota, so that images of different prompts compete for places."""
    return quotas != Quotas()


def limits_of(candidate: Candidate, quotas: Quotas) -> dict[Counted, int]:
    """The quotas that concern a candidate, the narrowest first."""
    given = (quotas.product, quotas.locale, quotas.asset_type, quotas.total)
    return {
        counted: limit
        for counted, quota in zip(counted_of(candidate), given, strict=True)
        if (limit := quota.get(counted[1]) if isinstance(quota, Mapping) else quota) is not None
    }


def counted_of(candidate: Candidate) -> tuple[Counted, Counted, Counted, Counted]:
    """What a candidate counts for."""
    return (
        ("product", candidate.sku),
        ("locale", candidate.locale),
        ("asset_type", candidate.asset_type),
        ("total", ""),
    )


def unused(quotas: Quotas, candidates: Iterable[Candidate]) -> Iterator[str]:
    """Products that have a quota and no candidate: misspelt, or no longer in the catalog."""
    if isinstance(quotas.product, Mapping):
        yield from sorted(quotas.product.keys() - {candidate.sku for candidate in candidates})


def exceeded(quotas: Quotas, chosen: Iterable[Candidate]) -> list[str]:
    """What has more chosen images than its quota allows, in words."""
    taken: Counter[Counted] = Counter()
    limits: dict[Counted, int] = {}
    for candidate in chosen:
        limits |= limits_of(candidate, quotas)
        taken.update(counted_of(candidate))
    return [
        f"{name or 'the campaign'}: {taken[kind, name]} of {limit}"
        for (kind, name), limit in limits.items()
        if taken[kind, name] > limit
    ]
