"""What a campaign varies: the combinations of words, and how many prompts they come to."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from asset_pipeline.campaign.brief import Campaign, VariationValue
from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.locale import worded

Combination = dict[str, VariationValue]
"""A value for each variable that an asset type declares."""

MOST_COMBINATIONS = 1_000_000
"""The most combinations that are looked at, for one asset type, to find those that are not excluded."""


@dataclass(frozen=True)
class PromptCount:
    """How many prompts a campaign comes to, known before any is written."""

    prompts: int
    arithmetic: str
    """Where the number comes from: ``120 products × 2 asset types × 3 locales × 4 scenes = 2,880``."""


def combinations(campaign: Campaign, asset_type: AssetType) -> list[Combination]:
    """The combinations of values that the campaign asks of an asset type; its own values elsewhere.

    Raises:
        InvalidFile: there are more than ``MOST_COMBINATIONS``.
    """
    choices = _choices(campaign, asset_type)
    if math.prod(map(len, choices.values())) > MOST_COMBINATIONS:
        raise InvalidFile(
            f"the campaign {campaign.title!r} varies too much at once: {_matrix(choices, 0)} are more than "
            f"{MOST_COMBINATIONS:,} combinations, before any is excluded"
        )
    every = (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))
    return [each for each in every if not _is_excluded(named(each), campaign)]


def named(combination: Combination) -> dict[str, str]:
    """A combination by the names of its values, which are the same in all locales."""
    return {variable: value.name for variable, value in combination.items()}


def words_of(
    combination: Combination, asset_type: AssetType, locale: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What templates say for a combination in a locale, and which variables are not in its own words."""
    words, in_default = {}, []
    for variable, value in combination.items():
        wordings: Mapping[str, str] = value.wordings
        if not wordings and value.name == asset_type.variables[variable]:
            wordings = {
                key: each.variables[variable]
                for key, each in asset_type.locales.items()
                if variable in each.variables
            }
        words[variable], fallback = worded(wordings, value.name, locale)
        if fallback:
            in_default.append(variable)
    return words, tuple(in_default)


def check_variations(campaign: Campaign, asset_types: Mapping[str, AssetType]) -> None:
    """Refuse a campaign that varies or excludes something that none of its asset types has a place for.

    Raises:
        InvalidFile: says what, and what there is.
    """
    known: dict[str, dict[str, None]] = {}
    for asset_type in asset_types.values():
        for variable, values in _choices(campaign, asset_type).items():
            known.setdefault(variable, {}).update(dict.fromkeys(value.name for value in values))
    if unknown := sorted(campaign.variations.keys() - known.keys()):
        raise InvalidFile(
            f"variations: {', '.join(unknown)}: declared by none of the campaign's asset types "
            f"(they declare: {', '.join(sorted(known)) or 'nothing'})"
        )
    for variable, value in (pair for exclusion in campaign.exclude for pair in exclusion.items()):
        if value not in known.get(variable, {}):
            of = f"the campaign's values of {variable}" if variable in known else "variables"
            raise InvalidFile(
                f"exclude: {variable}: {value}: there is no such combination "
                f"({of}: {', '.join(known.get(variable, sorted(known))) or 'none'})"
            )


def count_prompts(products: int, campaign: Campaign, asset_types: Mapping[str, AssetType]) -> PromptCount:
    """How many prompts the campaign comes to with so many products; no template is looked at.

    Raises:
        InvalidFile: there are too many combinations to tell, or none is left of an asset type.
    """
    locales = len(campaign.locales)
    matrices = {name: _kept(name, campaign, asset_type) for name, asset_type in asset_types.items()}
    total = sum(products * locales * kept for kept, _ in matrices.values())
    if len({words for _, words in matrices.values()}) == 1:
        factors = (_many(products, "product"), _many(len(matrices), "asset type"), _many(locales, "locale"))
        words = " × ".join([*factors, *{words for _, words in matrices.values() if words}])
        return PromptCount(total, f"{words} = {total:,}")
    parts = [
        f"{name}: {' × '.join(filter(None, (_many(products, 'product'), _many(locales, 'locale'), words)))}"
        f" = {products * locales * kept:,}"
        for name, (kept, words) in matrices.items()
    ]
    return PromptCount(total, f"{'; '.join(parts)}; together {total:,}")


def require_few_enough(count: PromptCount, campaign: Campaign) -> None:
    """Refuse a campaign that comes to more prompts than it may. Raises InvalidFile with the arithmetic."""
    if count.prompts > campaign.max_prompts:
        raise InvalidFile(
            f"the campaign {campaign.title!r} comes to {count.prompts:,} prompts, more than its max_prompts "
            f"of {campaign.max_prompts:,}: {count.arithmetic}. Select fewer products, vary less, exclude "
            "combinations, or raise max_prompts"
        )


def _choices(campaign: Campaign, asset_type: AssetType) -> dict[str, tuple[VariationValue, ...]]:
    return {
        variable: campaign.variations.get(variable) or (VariationValue(name=default),)
        for variable, default in asset_type.variables.items()
    }


def _is_excluded(names: Mapping[str, str], campaign: Campaign) -> bool:
    return any(exclusion.items() <= names.items() for exclusion in campaign.exclude)


def _kept(name: str, campaign: Campaign, asset_type: AssetType) -> tuple[int, str]:
    """How many combinations of an asset type are left, and in words."""
    choices = _choices(campaign, asset_type)
    asked = math.prod(map(len, choices.values()))
    kept = len(combinations(campaign, asset_type)) if campaign.exclude else asked
    if not kept:
        raise InvalidFile(f"exclude: nothing is left of the asset type {name}")
    return kept, _matrix(choices, asked - kept)


def _matrix(choices: Mapping[str, tuple[VariationValue, ...]], excluded: int) -> str:
    """``4 scenes × 2 angles``; empty where nothing is varied."""
    words = " × ".join(_many(len(values), name) for name, values in choices.items() if len(values) > 1)
    return f"({words} less {excluded:,} excluded)" if excluded else words


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 or noun.endswith('s') else 's'}"
