"""A text model writes a campaign's words: a concept for all of it, then the words of each picture.

What a model wrote replaces the templated words of a prompt; everything else of the prompt stays, and it is
checked like any other. Without a run that asks, only answers that are there are used, and a prompt that waits
for its words keeps the templated ones: a draft, which says so in its steps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asset_pipeline.campaign.brief import Campaign, Writing
from asset_pipeline.catalog.product import Product
from asset_pipeline.errors import NoRoute, ProviderError, ProviderRefused
from asset_pipeline.fingerprint import identifier
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, prompt_id_of
from asset_pipeline.prompts.writing.asking import Asking, ask_all
from asset_pipeline.prompts.writing.question import (
    TEXT_ANSWERS,
    Question,
    TextAttempt,
    known_answers,
    spent_usd,
)
from asset_pipeline.prompts.writing.steps import (
    STEP_VERSIONS,
    Concept,
    ImagePrompt,
    concept_question,
    image_prompt_question,
    told_of,
)
from asset_pipeline.prompts.writing.text_model import TextModel, load_text_model, objections
from asset_pipeline.store.store import Store

Answers = list[Prompt | PromptFailure]

_DRAFT = "draft "
"""How the only step of a prompt begins that waits for its words."""


@dataclass(frozen=True)
class Writer:
    """What writing words takes: where answers are kept, and who can be asked."""

    store: Store
    models: Mapping[str, TextModel]
    run_id: str | None = None
    """The run that asks; none: nothing is asked and nothing is recorded."""
    report: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Material:
    """What the words of a campaign are made from."""

    campaign_id: str
    campaign: Campaign
    asset_types: Mapping[str, AssetType]
    brand: Brand
    products: Mapping[str, Product]
    """The products that the campaign selects, by the hash of their facts."""
    data: Path


@dataclass(frozen=True)
class WordsWritten:
    """How far a campaign's words are written, and what the rest can cost."""

    text_model: str
    questions: int
    """How many questions the words take, each once."""
    missing: int
    """How many of them have no answer yet."""
    missing_usd: float
    """The most that asking them can cost."""
    spent_usd: float
    budget_usd: float
    objections: tuple[str, ...] = ()
    """Why a run would refuse to ask."""


def write_words(
    drafted: Iterable[Prompt | PromptFailure], material: Material, writer: Writer | None
) -> tuple[Answers, WordsWritten | None]:
    """Have a text model write the words of drafted prompts, if the campaign wants that.

    Args:
        drafted: the prompts in their templated words.
        material: what they are made from.
        writer: who writes; none: every prompt stays a draft, named by what its words would be made from.

    Raises:
        NotFound: there is no such text model.
        InvalidFile: its file is wrong.
        NoRoute: it may not see this campaign.
        ProviderRefused: it will not give the campaign a concept.
        ProviderError: it gave none this time.
        BudgetExceeded, ProviderUnavailable, UnsupportedRequest: see `ask_all`.
    """
    writing = material.campaign.writing
    if writing is None:
        return list(drafted), None
    if writer is None:
        return [_draft(each, material, writing) for each in drafted], None
    return _Writing(material, writing, writer).write(list(drafted))


def count_drafts(prompts: Iterable[Prompt]) -> int:
    """How many prompts wait for their words."""
    return sum(any(step.startswith(_DRAFT) for step in prompt.steps) for prompt in prompts)


class _Writing:
    """One campaign's words, written by one model."""

    def __init__(self, material: Material, writing: Writing, writer: Writer) -> None:
        profile = load_text_model(material.data, writing.model, writer.models)
        self._material = material
        self._writing = writing
        self._writer = writer
        self._asking = Asking(
            campaign_id=material.campaign_id,
            profile_name=writing.model,
            profile=profile,
            model=writer.models[profile.adapter],
            budget_usd=writing.budget_usd,
        )
        self._objections = objections(material.campaign, profile)
        if self._objections and writer.run_id is not None:
            raise NoRoute(f"the text model {writing.model!r} may not be asked: {'; '.join(self._objections)}")

    def write(self, drafted: Sequence[Prompt | PromptFailure]) -> tuple[Answers, WordsWritten]:
        asking, steps = self._asking, self._writing.steps
        questions: list[Question] = []
        concept_attempt: TextAttempt | None = None
        if "concept" in steps:
            material = self._material
            question = concept_question(
                material.campaign, material.asset_types, material.brand, asking.profile, asking.model_version
            )
            questions.append(question)
            concept_attempt = self._answers([question]).get(question.question_id)
            self._require_concept(concept_attempt)
        concept = _concept(concept_attempt)
        waits = "concept" in steps and concept is None
        asked = {
            number: self._question(each, concept)
            for number, each in enumerate(drafted)
            if "image_prompt" in steps and isinstance(each, Prompt)
        }
        answers = {} if waits else self._answers(list(asked.values()))
        written = [
            self._reworded(each, answers.get(asked[number].question_id), concept_attempt)
            if number in asked and isinstance(each, Prompt)
            else each
            for number, each in enumerate(drafted)
        ]
        questions += list({question.question_id: question for question in asked.values()}.values())
        return written, self._so_far(questions, {**answers, **self._named(concept_attempt, questions)})

    def _answers(self, questions: Sequence[Question]) -> dict[str, TextAttempt]:
        if self._writer.run_id is None:
            return known_answers(self._writer.store, questions)
        return ask_all(self._asking, questions, self._writer.store, self._writer.run_id, self._writer.report)

    def _require_concept(self, attempt: TextAttempt | None) -> None:
        """A run does not go on without a concept; a plan says that there is none."""
        if attempt is None or attempt.state == "answered":
            return
        why = f"the campaign {self._material.campaign_id} has no concept: {_why(attempt)}"
        if self._writer.run_id is None:
            self._objections.append(why)
        elif attempt.state == "failed":
            raise ProviderError(f"{why}; run again")
        else:
            raise ProviderRefused(f"{why}; change the campaign's words or its text model")

    def _question(self, prompt: Prompt, concept: Concept | None) -> Question:
        told = _told(prompt, self._material, self._writing)
        return image_prompt_question(told, concept, self._asking.profile, self._asking.model_version)

    def _reworded(
        self, prompt: Prompt, attempt: TextAttempt | None, concept: TextAttempt | None
    ) -> Prompt | PromptFailure:
        if attempt is None:
            return _draft(prompt, self._material, self._writing)
        if attempt.state == "answered":
            words = ImagePrompt.model_validate(attempt.answer)
            steps = tuple(each.question_id for each in (concept, attempt) if each is not None)
            return _with_words(prompt, words.prompt, words.negative_prompt, steps)
        product = self._material.products[prompt.product_fact_sha256]
        again = "; run again" if attempt.state == "failed" else ""
        return PromptFailure(
            sku=prompt.sku,
            asset_type=prompt.asset_type,
            locale=prompt.locale,
            variation=prompt.variation,
            feed=product.feed,
            row=product.row,
            reason=f"{_why(attempt)}{again}",
            code="text_model",
        )

    @staticmethod
    def _named(attempt: TextAttempt | None, questions: Sequence[Question]) -> dict[str, TextAttempt]:
        """The concept's answer under its question's name, which is another one if it was repaired."""
        return {} if attempt is None else {questions[0].question_id: attempt}

    def _so_far(self, questions: Sequence[Question], answers: Mapping[str, TextAttempt]) -> WordsWritten:
        missing = [
            each
            for each in questions
            if each.question_id not in answers or answers[each.question_id].state == "failed"
        ]
        profile = self._asking.profile
        most = sum((profile.most_usd(each.request) for each in missing), 0.0)
        if any(each.step == "concept" for each in missing):
            # The concept is part of every further question, and as long as an answer may be.
            most += sum(each.step != "concept" for each in missing) * profile.cost_usd(profile.max_tokens, 0)
        events = self._writer.store.events.read(TEXT_ANSWERS, self._material.campaign_id)
        return WordsWritten(
            text_model=self._writing.model,
            questions=len(questions),
            missing=len(missing),
            missing_usd=round(most, 6),
            spent_usd=round(spent_usd(events), 6),
            budget_usd=self._writing.budget_usd,
            objections=tuple(self._objections),
        )


def _told(prompt: Prompt, material: Material, writing: Writing) -> dict[str, Any]:
    product = material.products[prompt.product_fact_sha256]
    asset_type = material.asset_types[prompt.asset_type]
    return told_of(prompt, product, asset_type, material.brand, writing.attributes)


def _draft(prompt: Prompt | PromptFailure, material: Material, writing: Writing) -> Prompt | PromptFailure:
    """A prompt in templated words; it has another name when its own would be made from other facts."""
    if isinstance(prompt, PromptFailure) or "image_prompt" not in writing.steps:
        return prompt
    made_from = [writing.model, writing.steps, STEP_VERSIONS, _told(prompt, material, writing)]
    return _with_words(prompt, prompt.text, prompt.negative_text, (f"{_DRAFT}{identifier('d', made_from)}",))


def _with_words(prompt: Prompt, text: str, negative_text: str, steps: tuple[str, ...]) -> Prompt:
    changed = prompt.model_copy(update={"text": text, "negative_text": negative_text, "steps": steps})
    return changed.model_copy(update={"prompt_id": prompt_id_of(changed)})


def _concept(attempt: TextAttempt | None) -> Concept | None:
    if attempt is None or attempt.state != "answered":
        return None
    return Concept.model_validate(attempt.answer)


def _why(attempt: TextAttempt) -> str:
    if attempt.state == "refused":
        return f"the text model refused: {attempt.reason}"
    if attempt.state == "invalid":
        return f"the text model's answer cannot be used, nor could it mend it: {attempt.reason}"
    return f"the text model gave no answer: {attempt.reason}"
