"""Business rules: what a picture must be for a reason of the business, as people write it in data/rules.yaml.

Pure: no picture, no store, no clock, and nothing that a file says is evaluated. A rule that speaks of a
picture becomes a score and a threshold of the dimension ``rule:<name>``, so that all that holds of thresholds
holds of it: what was not measured never passes, and what does not apply is passed over.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from asset_pipeline.campaign.brief import Locale
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.catalog.product import Product
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.scores.score import Score
from asset_pipeline.scores.verdict import Level, Threshold, Verdict, compared

NUMBERS = ("width", "height", "cost_usd", "seconds")
"""Properties of a candidate that are numbers: the size that was asked for, its cost and how long it took."""
TEXTS = ("locale", "sku", "profile", "provider")
"""Properties of a candidate that are words."""
PREFIX = "rule:"
"""What the dimension of a rule's verdict begins with."""


def _text_or_number(given: Any) -> Any:
    if not isinstance(given, str) and not _is_number(given):
        raise ValueError("write a text or a finite number, and words such as yes, no and off in quotes")
    return given


Value = Annotated[str | float, BeforeValidator(_text_or_number)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Where(_Strict):
    """Which pictures a rule speaks of. Every part that is given must hold; case does not matter."""

    campaigns: tuple[str, ...] = ()
    locales: tuple[Locale, ...] = ()
    """``de`` stands for every locale of that language."""
    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    attributes: dict[str, tuple[str, ...]] = {}

    @property
    def asks_of_product(self) -> bool:
        """Whether the product decides."""
        return bool(self.brands or self.categories or self.attributes)


class Rule(_Strict):
    """One business rule."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)
    asset_types: tuple[str, ...] = ()
    """The asset types it is for; none means all."""
    where: Where = Where()
    measure: str
    """A dimension (``colour``), a detail of one (``colour.worst_ab``) or a property of the candidate
    (``width``)."""
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None
    between: tuple[FiniteFloat, FiniteFloat] | None = None
    equals: Value | None = None
    one_of: tuple[Value, ...] | None = Field(default=None, min_length=1)
    differs_from: Value | None = None
    level: Level = "block"
    message: str = Field(min_length=1)
    """What people read where it is not kept; ``{value}`` stands for what was found."""
    owner: str = Field(min_length=1)
    """Who may be asked about it."""

    @field_validator("message")
    @classmethod
    def _only_the_value(cls, message: str) -> str:
        others = sorted(set(re.findall(r"\{[^{}]*\}", message)) - {"{value}"})
        if others:
            raise ValueError(f"only {{value}} can stand in a message, and not {', '.join(others)}")
        return message

    @model_validator(mode="after")
    def _one_comparison_that_can_hold(self) -> "Rule":
        given = [name for name in _COMPARISONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a rule has exactly one comparison, and this has {', '.join(given) or 'none'}; there are "
                f"{', '.join(_COMPARISONS)}"
            )
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError(f"between {self.between[0]:g} and {self.between[1]:g} nothing can be")
        if self.is_of_numbers and self.measure in TEXTS:
            raise ValueError(f"{self.measure} is a text, and {given[0]} compares numbers")
        is_number = self.measure in NUMBERS or ("." not in self.measure and self.measure not in TEXTS)
        if is_number and any(isinstance(value, str) for value in self.values):
            raise ValueError(f"{self.measure} is a number, and {given[0]} names a text")
        return self

    @property
    def is_of_numbers(self) -> bool:
        """Whether it bounds a number; else it says which values are right or wrong."""
        return self.at_least is not None or self.at_most is not None or self.between is not None

    @property
    def values(self) -> tuple[str | float, ...]:
        """What it says is right, or with ``differs_from`` is wrong."""
        single = self.equals if self.equals is not None else self.differs_from
        return self.one_of or (() if single is None else (single,))

    @property
    def dimension(self) -> str:
        """What its verdicts are called beside those of the thresholds."""
        return PREFIX + self.name

    @property
    def threshold(self) -> Threshold:
        """Its bounds; for values 1, which stands for right."""
        low, high = self.between or (self.at_least, self.at_most)
        if not self.is_of_numbers:
            low = 1.0
        return Threshold(min=low, max=high, level=self.level)


_COMPARISONS = ("at_least", "at_most", "between", "equals", "one_of", "differs_from")


class RulesFile(_Strict):
    """``data/rules.yaml``."""

    rules: tuple[Rule, ...] = ()

    @field_validator("rules")
    @classmethod
    def _names_of_their_own(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.name for rule in rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are called {', '.join(twice)}")
        return rules


@dataclass(frozen=True)
class BusinessRules:
    """The rules, with what has to be known of a picture besides itself to know which speak of it."""

    rules: Sequence[Rule] = ()
    campaign_id: str = ""
    products: Mapping[str, Product] = field(default_factory=dict)
    """By SKU."""

    def of(self, candidate: Candidate) -> list[Rule]:
        """The rules that speak of a picture.

        A rule that asks about a product which is no longer in the catalog speaks of it too: it will say that
        it does not know, and that is no pass.
        """
        return [rule for rule in self.rules if self._speaks(rule, candidate)]

    def score(self, rule: Rule, candidate: Candidate, scores: Mapping[str, Score]) -> Score:
        """What a rule goes by, as a score: a number as it is, anything else as 1 for right and 0 for wrong.

        Args:
            rule: one that speaks of the picture.
            candidate: whose picture it is.
            scores: what was measured of it, by dimension.
        """
        dimension, _, detail = rule.measure.partition(".")
        measured = scores.get(dimension)
        own = _properties(candidate)
        found = own[rule.measure] if rule.measure in own else _found(measured, detail)
        reason = _no_value(rule, measured, found)
        if rule.where.asks_of_product and candidate.sku not in self.products:
            reason = (
                f"{candidate.sku} is no longer in the catalog, so nobody knows whether the rule is for it"
            )
        version = rule_sha256(rule)[:8]
        value = None
        if reason is None:
            value = float(found) if rule.is_of_numbers else float(_is_right(rule, found))
        return Score(
            candidate_id=candidate.candidate_id,
            image_sha256=candidate.image_sha256 or "",
            dimension=rule.dimension,
            scorer_version=f"{version}+{measured.scorer_version}" if measured else version,
            value=value,
            reason=reason,
            applies=measured is None or measured.applies,
            details={"measure": rule.measure, "owner": rule.owner}
            | ({} if reason is not None else {"found": found}),
        )

    def _speaks(self, rule: Rule, candidate: Candidate) -> bool:
        where, product = rule.where, self.products.get(candidate.sku)
        language = candidate.locale.partition("-")[0]
        if rule.asset_types and candidate.asset_type not in rule.asset_types:
            return False
        if where.campaigns and self.campaign_id not in where.campaigns:
            return False
        if where.locales and candidate.locale not in where.locales and language not in where.locales:
            return False
        if not where.asks_of_product or product is None:
            return True
        return (
            (not where.brands or _same(product.brand or "", where.brands))
            and (not where.categories or any(_same(each, where.categories) for each in product.categories))
            and all(
                _same(product.attributes.get(name.lower(), ""), values)
                for name, values in where.attributes.items()
            )
        )


NO_RULES = BusinessRules()


def rule_sha256(rule: Rule) -> str:
    """The hash of all that a rule says."""
    return fingerprint(rule)


def words_of(rule: Rule, score: Score, verdict: Verdict) -> str:
    """A rule's verdict as a sentence: its own message where it is not kept."""
    if score.value is None:
        return verdict.reason
    found = score.details["found"]
    spelled = found if isinstance(found, str) else f"{found:.4g}"
    if verdict.outcome == "failed":
        return f"{rule.name}: {rule.message.replace('{value}', spelled)}"
    if rule.is_of_numbers:
        return f"{rule.name}: {rule.measure} {compared(score.value, rule.threshold)}"
    return f"{rule.name}: {rule.measure} is {spelled}"


def _properties(candidate: Candidate) -> dict[str, str | float]:
    """What `NUMBERS` and `TEXTS` name."""
    request = candidate.request
    numbers = (request.width, request.height, candidate.cost_usd, candidate.seconds)
    return {**dict(zip(NUMBERS, numbers, strict=True)), **{name: getattr(candidate, name) for name in TEXTS}}


def _found(score: Score | None, detail: str) -> Any:
    """A score's value, or the detail that a path (``margins_px.left``) leads to; None if there is none."""
    if score is None or not detail:
        return score and score.value
    found: Any = score.details
    for part in detail.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) or _is_number(found) else None


def _no_value(rule: Rule, measured: Score | None, found: Any) -> str | None:
    """Why a rule has nothing to go by; None if it has."""
    if measured is not None and measured.reason is not None:
        return f"{measured.dimension}: {measured.reason}"
    if found is None:
        return f"there is no {rule.measure} of this picture"
    if rule.is_of_numbers and not _is_number(found):
        return f"{rule.measure} is {found!r}, which is no number"
    return None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _is_right(rule: Rule, found: str | float) -> bool:
    named = any(_equal(found, value) for value in rule.values)
    return not named if rule.differs_from is not None else named


def _equal(found: str | float, value: str | float) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return _same(found, (value,))
    return found == value


def _same(word: str, words: Sequence[str]) -> bool:
    return word.casefold() in {each.casefold() for each in words}
