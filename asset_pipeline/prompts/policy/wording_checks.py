"""What must hold of words before anything is spent: policy, no picture twice, no more than is read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Product
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.policy.policy import Policy, never_say
from asset_pipeline.prompts.policy.restricted_words import RestrictedWords, Violation, Where
from asset_pipeline.prompts.policy.word_origins import Origins
from asset_pipeline.prompts.prompt import Prompt, PromptFailure

TokenCount = Callable[[str], tuple[int, int] | None]
"""How many tokens a text is and how many the model reads; none where nobody counts them."""
TokenCounts = Callable[[Campaign, Mapping[str, Any]], TokenCount]
"""Gives the count of what a campaign's profile draws with, for the parameters of an asset type."""


Breach = tuple[Violation, Where]
"""What a rule is about, and whether it describes the picture or is set over it."""


class PromptWarning(BaseModel):
    """Something about a prompt that a person should look at; the prompt is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_id: str
    sku: str
    asset_type: str
    locale: str
    variation: dict[str, str]
    feed: str
    row: int
    reason: str
    code: str
    """``policy`` or ``same_in_locale``, to count and filter by."""
    rule: str = ""
    """The policy's rule that was broken, if one was."""


@dataclass
class Checked:
    """Prompts that hold, those that do not with the reasons, and what people should look at."""

    prompts: list[Prompt] = field(default_factory=list)
    failures: list[PromptFailure] = field(default_factory=list)
    warnings: list[PromptWarning] = field(default_factory=list)
    most_tokens: tuple[int, int] | None = None
    """Of the longest prompt, and how many the model reads; none if nobody counted them."""


class WordingChecks:
    """The checks of one campaign's words.

    Args:
        campaign: what is asked for.
        asset_types: the campaign's asset types by name.
        brand: whose words are never said.
        products: the products that the campaign selects, by the hash of their facts.
        policy: what must not be said; none if nobody wrote one.
        tokens: gives the count of tokens; none if nobody counts them.
    """

    def __init__(
        self,
        campaign: Campaign,
        asset_types: Mapping[str, AssetType],
        brand: Brand,
        products: Mapping[str, Product],
        policy: Policy | None = None,
        tokens: TokenCounts | None = None,
    ) -> None:
        self._campaign = campaign
        self._products = products
        asked = {_language(locale) for locale in campaign.locales}
        known = (policy.languages if policy else set()) | asked
        self._languages = asked | set(policy.always if policy else ())
        self._every_language = known | self._languages
        banned = [word for locale in campaign.locales for word in brand.never_say_in(locale)]
        rules = (
            *(policy.rules if policy else ()),
            *never_say(tuple(dict.fromkeys(banned)), self._every_language),
        )
        self._restricted = RestrictedWords(rules)
        self._origins = Origins(
            campaign, asset_types, brand, products, self._restricted, frozenset(self._every_language)
        )
        self._counts = (
            {name: tokens(campaign, kind.parameters) for name, kind in asset_types.items()} if tokens else {}
        )

    def allowed(self, drafts: Iterable[Prompt | PromptFailure]) -> Iterator[Prompt | PromptFailure]:
        """Drafts, and failures in place of those that break a rule: no text model is asked about them."""
        for draft in drafts:
            blocked = self._blocked(self._broken(draft)) if isinstance(draft, Prompt) else []
            yield self._forbidden(draft, blocked) if isinstance(draft, Prompt) and blocked else draft

    def check(self, answers: Iterable[Prompt | PromptFailure]) -> Checked:
        """Sort prompts into those that hold and those that do not; the first of two that are alike holds."""
        checked = Checked()
        pictures: dict[Any, Prompt] = {}
        wordings: dict[Any, Prompt] = {}
        for prompt in answers:
            if isinstance(prompt, PromptFailure):
                checked.failures.append(prompt)
                continue
            broken = self._broken(prompt)
            if blocked := self._blocked(broken):
                checked.failures.append(self._forbidden(prompt, blocked))
                continue
            twin = pictures.setdefault(_picture(prompt), prompt)
            if twin is not prompt:
                checked.failures.append(self._failure(prompt, "duplicate", _alike(prompt, twin)))
                continue
            if reason := self._too_long(prompt, checked):
                checked.failures.append(self._failure(prompt, "too_long", reason))
                continue
            checked.prompts.append(prompt)
            for rule, told in self._told(prompt, broken).items():
                checked.warnings.append(self._warning(prompt, "policy", told, rule))
            first = wordings.setdefault(_wording(prompt), prompt)
            if first.locale != prompt.locale:
                reason = f"these are the words of {first.locale} too, so that the same picture is made twice"
                checked.warnings.append(self._warning(prompt, "same_in_locale", reason))
        return checked

    def _broken(self, prompt: Prompt) -> list[Breach]:
        """What rules are about in the prompt's words; a negative prompt says what shall not be seen."""
        spoken = _language(prompt.words_locale)
        languages = self._every_language if spoken == "und" else self._languages | {spoken}
        texts: tuple[tuple[str, Where], ...] = ((prompt.text, "prompt"), (prompt.overlay_text, "overlay"))
        return [
            (violation, where)
            for text, where in texts
            if text
            for violation in self._restricted.violations(text, where, languages)
        ]

    @staticmethod
    def _blocked(broken: Iterable[Breach]) -> list[Breach]:
        return [each for each in broken if each[0].rule.level == "block"]

    def _forbidden(self, prompt: Prompt, blocked: Sequence[Breach]) -> PromptFailure:
        reason = "; ".join(self._told(prompt, blocked).values())
        return self._failure(prompt, "policy", reason, blocked[0][0].rule.id)

    def _told(self, prompt: Prompt, broken: Iterable[Breach]) -> dict[str, str]:
        """For each rule which words it is about, where they came from, and why they must not be said."""
        found: dict[str, dict[str, None]] = {}
        rules = {}
        for violation, where in broken:
            rules[violation.rule.id] = violation.rule
            origin = self._origins.of(violation, where, prompt)
            brought = f" from {origin}" if origin else ""
            over = " in the overlay" if where == "overlay" else ""
            found.setdefault(violation.rule.id, {})[f"{violation.found!r}{over}{brought}"] = None
        return {
            name: f"{', '.join(words)}: {rules[name].title}: {rules[name].message}"
            for name, words in found.items()
        }

    def _too_long(self, prompt: Prompt, checked: Checked) -> str:
        counted = self._counts[prompt.asset_type](prompt.text) if self._counts else None
        if counted is None:
            return ""
        used, limit = counted
        if used > limit:
            return (
                f"the prompt has {used} tokens and the text encoder of the profile {self._campaign.profile} "
                f"reads {limit}; shorten the template, or what its variables say"
            )
        checked.most_tokens = max(checked.most_tokens or counted, counted)
        return ""

    def _failure(self, prompt: Prompt, code: str, reason: str, rule: str = "") -> PromptFailure:
        return PromptFailure(**self._about(prompt), code=code, reason=reason, rule=rule)

    def _warning(self, prompt: Prompt, code: str, reason: str, rule: str = "") -> PromptWarning:
        about = self._about(prompt) | {"prompt_id": prompt.prompt_id}
        return PromptWarning(**about, code=code, reason=reason, rule=rule)

    def _about(self, prompt: Prompt) -> dict[str, Any]:
        product = self._products[prompt.product_fact_sha256]
        return {
            "sku": prompt.sku,
            "asset_type": prompt.asset_type,
            "locale": prompt.locale,
            "variation": prompt.variation,
            "feed": product.feed,
            "row": product.row,
        }


def _language(locale: str) -> str:
    return locale.partition("-")[0]


def _picture(prompt: Prompt) -> Any:
    """What a picture of this asset type and locale depends on besides the seed."""
    references = tuple((picture.role, picture.sha256) for picture in prompt.references)
    return (
        prompt.asset_type,
        prompt.locale,
        prompt.text,
        prompt.negative_text,
        prompt.overlay_text,
        references,
    )


def _wording(prompt: Prompt) -> Any:
    return prompt.sku, *_picture(prompt)[:1], *_picture(prompt)[2:]


def _alike(prompt: Prompt, twin: Prompt) -> str:
    if prompt.sku != twin.sku:
        return (
            f"SKU {twin.sku} has the same words and the same photographs, or none; let the template say what "
            "is different"
        )
    differing = [name for name, value in prompt.variation.items() if twin.variation.get(name) != value]
    first = ", ".join(f"{name}: {twin.variation.get(name)}" for name in differing)
    return (
        f"the same words as the variation {first}; the template does not say {' and '.join(differing)}. For "
        "more pictures of the same words raise candidates_per_prompt"
    )
