"""What people require of pictures, read from data/thresholds.yaml and data/rules.yaml and checked.

A name that nothing has (an asset type, a dimension, a measure) is an error with file, line and field, so that
a slip does not stand there as a requirement which nothing can meet, or which nothing ever asks for.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.scores.business_rules import NUMBERS, TEXTS, Rule, RulesFile
from asset_pipeline.scores.score import DetailedScorer, Scorer
from asset_pipeline.scores.verdict import Threshold
from asset_pipeline.yaml_model import located, read_model

DEFAULT = "default"
"""The block of thresholds that every asset type starts from."""
USUAL_PASS_RATE = 0.5
"""Where the file says nothing: if more than half of the images fail, it is not the images."""


def _unless_off(given: Any) -> Any:
    if given is None:
        raise ValueError("write a threshold such as {max: 0.5}, or off")
    return None if given is False or given == "off" else given


class _Block(BaseModel):
    """What ``data/thresholds.yaml`` says of an asset type: thresholds by dimension, a share of images."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Annotated[Threshold | None, BeforeValidator(_unless_off)]] = Field(
        init=False
    )

    pass_rate: float | None = Field(default=None, ge=0.0, le=1.0)

    @property
    def thresholds(self) -> Mapping[str, Threshold | None]:
        """By dimension; none where it says ``off``."""
        return self.__pydantic_extra__


class _ThresholdsFile(RootModel[dict[str, _Block]]):
    """``data/thresholds.yaml``."""


@dataclass(frozen=True)
class Requirements:
    """What pictures must be."""

    thresholds: dict[str, dict[str, Threshold]]
    """All thresholds of each asset type that is named, by dimension; ``default`` is for the others."""
    pass_rates: dict[str, float]
    """By the same names: the least share of a campaign's images that passes if all is well."""
    rules: tuple[Rule, ...]
    """What holds for a reason of the business."""


def load_requirements(data: Path, scorers: Sequence[Scorer] | None = None) -> Requirements:
    """Read ``data/thresholds.yaml`` and, if there is one, ``data/rules.yaml``.

    Args:
        data: the folder.
        scorers: all there are, if the names of dimensions and asset types are to be checked too.

    Raises:
        NotFound: there are no thresholds.
        InvalidFile: a file is wrong, has no ``default``, or names what there is not.
    """
    thresholds_path, rules_path = data / "thresholds.yaml", data / "rules.yaml"
    blocks = read_model(thresholds_path, _ThresholdsFile).root
    if DEFAULT not in blocks or not blocks[DEFAULT].thresholds:
        raise InvalidFile(f"{thresholds_path}:1: default: the thresholds for every asset type are missing")
    rules = read_model(rules_path, RulesFile).rules if rules_path.exists() else ()
    if scorers is not None:
        asset_types = load_asset_types(data)
        wrong = [*_wrong_thresholds(thresholds_path, blocks, asset_types, scorers),
                 *_wrong_rules(rules_path, rules, asset_types, measures(scorers))]  # fmt: skip
        if wrong:
            raise InvalidFile("\n".join(wrong))
    shared, usual = blocks[DEFAULT].thresholds, blocks[DEFAULT].pass_rate
    return Requirements(
        thresholds={
            name: {
                dimension: threshold
                for dimension, threshold in {**shared, **block.thresholds}.items()
                if threshold is not None
            }
            for name, block in blocks.items()
        },
        pass_rates={
            name: next(rate for rate in (block.pass_rate, usual, USUAL_PASS_RATE) if rate is not None)
            for name, block in blocks.items()
        },
        rules=rules,
    )


def measures(scorers: Sequence[Scorer]) -> list[str]:
    """All that a business rule can go by: properties of a candidate, dimensions, promised details."""
    details = [
        f"{scorer.dimension}.{detail}"
        for scorer in scorers
        if isinstance(scorer, DetailedScorer)
        for detail in scorer.promises
    ]
    return sorted([*NUMBERS, *TEXTS, *(scorer.dimension for scorer in scorers), *details])


def _wrong_thresholds(
    path: Path, blocks: Mapping[str, _Block], asset_types: Collection[str], scorers: Sequence[Scorer]
) -> Iterator[str]:
    dimensions = {scorer.dimension for scorer in scorers}
    for name, block in blocks.items():
        if name not in {DEFAULT, *asset_types}:
            yield f"{located(path, name)}: {_unknown('asset type', name, {DEFAULT, *asset_types})}"
        for dimension, threshold in block.thresholds.items():
            if dimension not in dimensions:
                yield f"{located(path, name, dimension)}: {_unknown('dimension', dimension, dimensions)}"
            elif threshold is None and dimension not in blocks[DEFAULT].thresholds:
                yield f"{located(path, name, dimension)}: default has none that could be off"


def _wrong_rules(
    path: Path, rules: Sequence[Rule], asset_types: Collection[str], known: Collection[str]
) -> Iterator[str]:
    for index, rule in enumerate(rules):
        if rule.measure not in known:
            yield f"{located(path, 'rules', index, 'measure')}: {_unknown('measure', rule.measure, known)}"
        for place, name in enumerate(rule.asset_types):
            if name not in asset_types:
                where = located(path, "rules", index, "asset_types", place)
                yield f"{where}: {_unknown('asset type', name, asset_types)}"


def _unknown(called: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    suggestion = f"did you mean {near[0]}? " if near else ""
    return f"there is no {called} {name!r}; {suggestion}There are: {', '.join(sorted(known))}"
