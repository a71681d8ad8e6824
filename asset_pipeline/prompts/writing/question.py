"""Questions to text models, the events that tell what became of them, and what is to be done about one.

A question is named by its content: model, step, messages, form of the answer. Who wants to ask it claims it
under that name, one exclusive file for all campaigns; then its campaign's own books say what it may cost, and
then what became of it. A claim without an end belongs to its worker while that one lives; after that, what a
provider still has is collected, anything else is settled as lost, and only then may it be asked again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from asset_pipeline.fingerprint import identifier
from asset_pipeline.prompts.writing.text_model import Message, TextRequest
from asset_pipeline.store.events import Event, EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker

State = Literal["asking", "submitted", "answered", "invalid", "refused", "failed", "lost"]
FINAL = ("answered", "invalid", "refused")
"""After these the same question is never asked again."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextClaim(_Frozen):
    """Who asks a question, for which campaign, and which attempt at it this is."""

    question_id: str
    attempt: int
    campaign_id: str
    worker: Worker


class TextAttempt(_Frozen):
    """A state that one attempt at a question came to."""

    question_id: str
    attempt: int
    state: State
    """``invalid``: there is an answer, and it is not of the form that was asked for."""
    step: str
    step_version: str
    repairs: str | None = None
    """The question whose answer was invalid and is asked for again by this one."""
    run_id: str
    worker: Worker
    profile: str
    model_version: str
    """The hash of what decides the model's answers."""
    model: str = ""
    """The model that answered, as the endpoint names it."""
    messages: tuple[Message, ...]
    text: str = ""
    """What the model wrote."""
    answer: dict[str, Any] | None = None
    """The same, read as the form that was asked for."""
    reason: str | None = None
    ticket: str | None = None
    """The name under which the provider works on it, where it gives one."""
    input_tokens: int = 0
    output_tokens: int = 0
    tokens_are_estimated: bool = False
    cost_usd: float = 0.0
    """``asking``: the most it can cost. Settled: what it did cost; of a failed one, the most."""
    seconds: float = 0.0


TEXT_CLAIMS = EventStream("text_claims", TextClaim, partitioned_by="step")
"""Of all campaigns together, so that no two pay for the same question."""
TEXT_ANSWERS = EventStream("text_answers", TextAttempt, partitioned_by="campaign")
"""Each campaign's own books."""


@dataclass(frozen=True)
class Question:
    """A question to a text model."""

    step: str
    step_version: str
    model_version: str
    request: TextRequest
    read: Callable[[str], dict[str, Any]] = field(compare=False)
    """Reads an answer; ValueError with what is wrong with it."""
    repairs: str | None = None

    @property
    def question_id(self) -> str:
        """Its name: the same for the same question, whoever asks and whenever."""
        return identifier("q", [self.step, self.step_version, self.model_version, self.request])


@dataclass(frozen=True)
class Standing:
    """How far a question has come: its newest claim, and the newest state of that."""

    claim: TextClaim
    last: TextAttempt | None
    """None: claimed, and nothing sent yet."""


def what_next(standing: Standing | None, *, owner_is_alive: bool) -> Literal["ask", "use", "wait", "bury"]:
    """Decide about one question. ``bury``: settle its last attempt, because its worker is gone."""
    if standing is None:
        return "ask"
    if standing.last is None or standing.last.state in ("asking", "submitted"):
        return "wait" if owner_is_alive else "bury"
    return "use" if standing.last.state in FINAL else "ask"


def repair_of(question: Question, invalid: TextAttempt) -> Question:
    """The question that shows the model its answer and what is wrong with it."""
    messages = (
        *question.request.messages,
        Message(role="assistant", content=invalid.text),
        Message(
            role="user",
            content=f"That answer cannot be used: {invalid.reason}. Write it again, whole and corrected, "
            "in the form that was asked for, and nothing else.",
        ),
    )
    return Question(
        step=question.step,
        step_version=question.step_version,
        model_version=question.model_version,
        request=question.request.model_copy(update={"messages": messages}),
        read=question.read,
        repairs=question.question_id,
    )


def known_answers(store: Store, questions: Sequence[Question]) -> dict[str, TextAttempt]:
    """What became of questions, by their names, as far as it is final; nothing is asked.

    An invalid answer that was not repaired yet is not final.
    """
    found = _final(store, questions)
    asked = {each.question_id: each for each in questions}
    invalid = [each for each in found.values() if may_be_repaired(each)]
    repairs = {each.question_id: repair_of(asked[each.question_id], each) for each in invalid}
    repaired = _final(store, list(repairs.values()))
    final = {name: each for name, each in found.items() if name not in repairs}
    return final | {
        name: repaired[repair.question_id]
        for name, repair in repairs.items()
        if repair.question_id in repaired
    }


def spent_usd(events: Iterable[Event[TextAttempt]]) -> float:
    """What a campaign's attempts cost: settled ones what they did cost, the others the most they can."""
    by_attempt: dict[tuple[str, int], TextAttempt] = {}
    for event in events:
        attempt = event.body
        key = (attempt.question_id, attempt.attempt)
        if key not in by_attempt or attempt.state not in ("asking", "submitted"):
            by_attempt[key] = attempt
    return sum((attempt.cost_usd for attempt in by_attempt.values()), 0.0)


def standings(store: Store, questions: Sequence[Question]) -> dict[str, Standing]:
    """How far questions have come, by their names; those that nobody has claimed are left out."""
    claims: dict[str, TextClaim] = {}
    for step in {question.step for question in questions}:
        wanted = [question.question_id for question in questions if question.step == step]
        number = 0
        while wanted:
            number += 1
            names = [f"{question_id}.{number:04d}" for question_id in wanted]
            found = [event.body for event in store.events.read(TEXT_CLAIMS, step, names=names)]
            claims |= {claim.question_id: claim for claim in found}
            wanted = [claim.question_id for claim in found]
    last: dict[str, TextAttempt] = {}
    for campaign_id in {claim.campaign_id for claim in claims.values()}:
        names = [
            f"{event_name(claim)}.{moment}"
            for claim in claims.values()
            if claim.campaign_id == campaign_id
            for moment in ("asking", "submitted", "settled")
        ]
        for event in store.events.read(TEXT_ANSWERS, campaign_id, names=names):
            known = last.get(event.body.question_id)
            if known is None or _progress(event.body) > _progress(known):
                last[event.body.question_id] = event.body
    return {question_id: Standing(claim, last.get(question_id)) for question_id, claim in claims.items()}


def _final(store: Store, questions: Sequence[Question]) -> dict[str, TextAttempt]:
    return {
        question_id: standing.last
        for question_id, standing in standings(store, questions).items()
        if standing.last is not None and standing.last.state in FINAL
    }


def may_be_repaired(attempt: TextAttempt) -> bool:
    """Whether an answer is of another form than was asked for, and may be repaired."""
    return attempt.state == "invalid" and attempt.repairs is None


def _progress(attempt: TextAttempt) -> int:
    return {"asking": 0, "submitted": 1}.get(attempt.state, 2)


def event_name(attempt: TextAttempt | TextClaim) -> str:
    """The name under which an attempt is claimed; its states add theirs."""
    return f"{attempt.question_id}.{attempt.attempt:04d}"
