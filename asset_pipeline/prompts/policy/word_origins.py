"""Where a word of a prompt came from: a variable, or a line of the template."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Product
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.policy.restricted_words import RestrictedWords, Violation, Where
from asset_pipeline.prompts.prompt import Prompt


@dataclass(frozen=True)
class Origins:
    """What the words of a campaign's prompts are put together from."""

    campaign: Campaign
    asset_types: Mapping[str, AssetType]
    brand: Brand
    products: Mapping[str, Product]
    """By the hash of their facts."""
    restricted: RestrictedWords
    languages: Collection[str]
    _found: dict[tuple[str, Where], frozenset[tuple[str, str]]] = field(default_factory=dict)
    """The rules and terms in each text that was looked at: descriptions come with every variation."""

    def of(self, violation: Violation, where: Where, prompt: Prompt) -> str:
        """The variables, or the lines of the template, that brought what was found; empty if nobody can tell.

        A variable counts if its value has the restricted words and stands in the text as it is; if none does,
        a filter may have changed it, and those count that have the words.
        """
        text = prompt.text if where == "prompt" else prompt.overlay_text
        brought = [
            (name, value) for name, value in self._variables(prompt) if self._says(value, where, violation)
        ]
        verbatim = [name for name, value in brought if " ".join(value.split()) in text]
        if not verbatim and where == "prompt" and _is_by_text_model(prompt):
            return "the text model"
        names = verbatim or list(self._lines(violation, where, prompt)) or [name for name, _ in brought]
        return " and ".join(dict.fromkeys(names))

    def _says(self, value: str, where: Where, violation: Violation) -> bool:
        if (value, where) not in self._found:
            found = self.restricted.violations(value, where, self.languages, in_any_company=True)
            self._found[value, where] = frozenset((each.rule.id, each.term) for each in found)
        return (violation.rule.id, violation.term) in self._found[value, where]

    def _variables(self, prompt: Prompt) -> Iterator[tuple[str, str]]:
        product = self.products[prompt.product_fact_sha256]
        for text in product.texts.values():
            yield "product.name", text.name
            yield "product.description", text.description
        yield from (("product.categories", category) for category in product.categories)
        yield from ((f"product.attributes.{name}", value) for name, value in product.attributes.items())
        yield "product.brand", product.brand or ""
        yield "product.sku", product.sku
        yield from self._varied(prompt)
        yield "campaign.title", self.campaign.title
        yield from ((f"campaign.{name}", value) for name, value in self.campaign.variables.items())
        words, _ = self.brand.in_locale(prompt.locale)
        for name, value in words.items():
            if name != "never_say":
                yield f"brand.{name}", value if isinstance(value, str) else ", ".join(value)

    def _varied(self, prompt: Prompt) -> Iterator[tuple[str, str]]:
        """The words of the prompt's variation in every locale, and those of the place's culture."""
        kind = self.asset_types[prompt.asset_type]
        for variable, name in prompt.variation.items():
            yield variable, name
            for value in self.campaign.variations.get(variable, ()):
                if value.name == name:
                    yield from ((variable, wording) for wording in value.wordings.values())
            for each in kind.locales.values():
                yield variable, each.variables.get(variable, "")
        yield from (("context", wording) for wording in (kind.context, *kind.wordings("context").values()))

    def _lines(self, violation: Violation, where: Where, prompt: Prompt) -> Iterator[str]:
        kind = self.asset_types[prompt.asset_type]
        part = "template" if where == "prompt" else "overlay"
        for wording in (getattr(kind, part), *kind.wordings(part).values()):
            for number, line in enumerate(wording.splitlines(), 1):
                if self._says(line, where, violation):
                    yield f"{part}, line {number}"


def _is_by_text_model(prompt: Prompt) -> bool:
    """Whether a text model wrote the words; a draft has the template's, and a step that says so."""
    return any(not step.startswith("draft ") for step in prompt.steps)
