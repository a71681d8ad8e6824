"""Asking text models: side by side, within a budget, and never what was answered before. See `question`."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from asset_pipeline.errors import (
    BudgetExceeded,
    PipelineError,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.prompts.writing.question import (
    FINAL,
    TEXT_ANSWERS,
    TEXT_CLAIMS,
    Question,
    State,
    TextAttempt,
    TextClaim,
    event_name,
    known_answers,
    may_be_repaired,
    repair_of,
    spent_usd,
    standings,
    what_next,
)
from asset_pipeline.prompts.writing.text_model import (
    TextAnswer,
    TextModel,
    TextModelProfile,
    estimated_tokens,
)
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import Worker, is_alive, working

TRIES = 2
"""How often one run asks a question that gets no whole answer."""
FAILURES_IN_A_ROW = 3
"""After so many the text model is left alone for the rest of the run."""
WAIT_SECONDS = 0.5
"""Time between two looks at a question that another process is asking."""
REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Asking:
    """Who asks which text model, and from which budget."""

    campaign_id: str
    profile_name: str
    profile: TextModelProfile
    model: TextModel
    budget_usd: float

    @property
    def model_version(self) -> str:
        """The hash of what decides the answers."""
        return self.profile.fingerprint(self.model.version)


def ask_all(
    asking: Asking, questions: Sequence[Question], store: Store, run_id: str, report: Callable[[str], None]
) -> dict[str, TextAttempt]:
    """Ask every question that has no answer yet; return what became of each, by its name.

    What is answered is kept, whatever ends this.

    Raises:
        BudgetExceeded: the next question could cost more than is left.
        ProviderUnavailable: the text model is down, busy or closed to us, or gave no answer several times in
            a row.
        UnsupportedRequest: it has no words for the questions.
    """
    known = known_answers(store, questions)
    missing = list({each.question_id: each for each in questions if each.question_id not in known}.values())
    if not missing:
        return known
    asking.model.check(asking.profile)
    report(f"{len(missing)} questions for {asking.profile.title}, {len(known)} are answered")
    with working(store, run_id) as worker:
        return known | _Interview(asking, store, worker, report).ask(missing)


class _Interview:
    """One run's questions to one text model."""

    def __init__(self, asking: Asking, store: Store, worker: Worker, report: Callable[[str], None]) -> None:
        self._asking = asking
        self._store = store
        self._worker = worker
        self._report = report
        self._accounts = threading.Condition()
        self._spent = spent_usd(store.events.read(TEXT_ANSWERS, asking.campaign_id))
        self._held: dict[str, float] = {}
        self._paid = 0.0
        self._failures = 0
        self._stopped: PipelineError | None = None
        self._last_report = time.monotonic()

    def ask(self, questions: Sequence[Question]) -> dict[str, TextAttempt]:
        """Ask them side by side; the result is in their order."""
        with ThreadPoolExecutor(self._asking.profile.concurrency, "questioner") as threads:
            futures = [threads.submit(self._resolve, question) for question in questions]
            try:
                pending = set(futures)
                while pending:
                    done, pending = wait(pending, REPORT_SECONDS, FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    self._tell(len(futures) - len(pending), len(futures))
            except BaseException:
                self._stop(PipelineError("stopped"))
                raise
        attempts = {
            question.question_id: future.result() for question, future in zip(questions, futures, strict=True)
        }
        answers = {name: attempt for name, attempt in attempts.items() if attempt is not None}
        final = sum(attempt.state in FINAL for attempt in answers.values())
        self._tell(final, len(questions), at_once=True)
        if self._stopped is not None:
            raise type(self._stopped)(
                f"{self._stopped}; {len(questions) - final} of {len(questions)} questions are open, "
                "what is answered is kept"
            )
        return answers

    def _resolve(self, question: Question) -> TextAttempt | None:
        """What becomes of a question, and, if its answer is invalid, of the one repair it gets."""
        attempt = self._until_settled(question)
        if attempt is not None and may_be_repaired(attempt):
            return self._until_settled(repair_of(question, attempt))
        return attempt

    def _until_settled(self, question: Question) -> TextAttempt | None:
        """Ask a question until it is settled; none if the run was stopped before."""
        tries = 0
        attempt: TextAttempt | None = None
        while self._stopped is None:
            standing = standings(self._store, [question]).get(question.question_id)
            alive = standing is None or self._is_alive(standing.claim.worker)
            step = what_next(standing, owner_is_alive=alive)
            if standing is not None and step == "use":
                return standing.last
            if step == "wait":
                time.sleep(WAIT_SECONDS)
            elif step == "bury":
                self._bury(question)
            elif tries == TRIES:
                break
            else:
                number = 1 if standing is None else standing.claim.attempt + 1
                attempt = self._attempt(question, number)
                tries += attempt is not None
        return attempt

    def _attempt(self, question: Question, number: int) -> TextAttempt | None:
        """Claim a question and ask it; none if another process was faster, or the budget does not pay."""
        most = self._asking.profile.most_usd(question.request)
        if not self._hold(question, most):
            return None
        cost = 0.0
        try:
            asking = self._state(question, number, cost_usd=most)
            claim = TextClaim(
                question_id=question.question_id,
                attempt=number,
                campaign_id=self._asking.campaign_id,
                worker=self._worker,
            )
            if not self._store.events.append(TEXT_CLAIMS, question.step, event_name(asking), claim):
                return None
            cost = most
            self._record(self._asking.campaign_id, asking)
            settled = self._ask(question, asking)
            cost = settled.cost_usd
            self._record(self._asking.campaign_id, settled)
            return settled
        finally:
            self._release(question, cost)

    def _ask(self, question: Question, asking: TextAttempt) -> TextAttempt:
        """Send a question; its end, however it ends."""
        began = time.monotonic()

        def submitted(ticket: str) -> None:
            self._record(
                self._asking.campaign_id,
                asking.model_copy(update={"state": "submitted", "ticket": ticket}),
            )

        try:
            answer = self._asking.model.ask(self._asking.profile, question.request, submitted)
        except (ProviderUnavailable, UnsupportedRequest) as error:
            self._stop(error)
            end: dict[str, Any] = {"state": "failed", "reason": str(error), "cost_usd": 0.0}
        except ProviderRefused as error:
            end = {"state": "refused", "reason": str(error), "cost_usd": 0.0}
        except ProviderError as error:
            end = {"state": "failed", "reason": str(error)}
        else:
            end = self._read(question, answer)
        self._count(end["state"], end["reason"])
        return asking.model_copy(update={**end, "seconds": round(time.monotonic() - began, 3)})

    def _read(self, question: Question, answer: TextAnswer) -> dict[str, Any]:
        """What is to be recorded of an answer."""
        given, made = answer.input_tokens, answer.output_tokens
        asked = sum(estimated_tokens(message.content) for message in question.request.messages)
        tokens = (asked if given is None else given, estimated_tokens(answer.text) if made is None else made)
        end: dict[str, Any] = {
            "model": answer.model,
            "text": answer.text,
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "tokens_are_estimated": given is None or made is None,
            "cost_usd": self._asking.profile.cost_usd(*tokens),
            "reason": answer.reason or None,
        }
        if answer.ending == "refused":
            return {**end, "state": "refused"}
        if answer.ending == "cut off":
            limit = self._asking.profile.max_tokens
            return {**end, "state": "invalid", "reason": f"it is longer than {limit} tokens and was cut off"}
        try:
            return {**end, "state": "answered", "answer": question.read(answer.text)}
        except ValueError as error:
            return {**end, "state": "invalid", "reason": str(error)}

    def _bury(self, question: Question) -> None:
        """Settle what a worker did not live to settle: with its answer, if the provider has it."""
        # Looked at again: it may have gone on between the last look and its death.
        standing = standings(self._store, [question])[question.question_id]
        if what_next(standing, owner_is_alive=False) != "bury":
            return
        claim = standing.claim
        last = standing.last or self._state(question, claim.attempt)
        reason = f"run {claim.worker.run_id} died while it was asking"
        end: dict[str, Any] = {"state": "lost", "reason": reason}
        if last.ticket is not None:
            try:
                answer = self._asking.model.collect(self._asking.profile, last.ticket)
            except ProviderUnavailable as error:
                self._stop(error)
                return
            except ProviderError as error:
                end["reason"] = f"{reason}; {error}"
            else:
                end = end if answer is None else self._read(question, answer)
        settled = last.model_copy(update={**end, "run_id": self._worker.run_id})
        self._record(claim.campaign_id, settled)

    def _state(self, question: Question, number: int, *, cost_usd: float = 0.0) -> TextAttempt:
        return TextAttempt(
            question_id=question.question_id,
            attempt=number,
            state="asking",
            step=question.step,
            step_version=question.step_version,
            repairs=question.repairs,
            run_id=self._worker.run_id,
            worker=self._worker,
            profile=self._asking.profile_name,
            model_version=question.model_version,
            messages=question.request.messages,
            cost_usd=cost_usd,
        )

    def _record(self, campaign_id: str, attempt: TextAttempt) -> None:
        moment = attempt.state if attempt.state in ("asking", "submitted") else "settled"
        self._store.events.append(TEXT_ANSWERS, campaign_id, f"{event_name(attempt)}.{moment}", attempt)

    def _is_alive(self, worker: Worker) -> bool:
        return worker == self._worker or is_alive(self._store, worker)

    def _hold(self, question: Question, most: float) -> bool:
        """Set aside what a question can cost, once those under way have said what they did cost."""
        budget = self._asking.budget_usd
        with self._accounts:
            while self._spent + sum(self._held.values()) + most > budget + 1e-9 and most > 0:
                if not self._held:
                    self._stopped = self._stopped or BudgetExceeded(
                        f"the next question to {self._asking.profile.title} can cost ${most:.4f}, and "
                        f"${self._spent:.4f} of ${budget:.2f} are spent; raise writing.budget_usd"
                    )
                if self._stopped is not None:
                    return False
                self._accounts.wait()
            self._held[question.question_id] = most
            return True

    def _release(self, question: Question, cost: float) -> None:
        with self._accounts:
            del self._held[question.question_id]
            self._spent += cost
            self._paid += cost
            self._accounts.notify_all()

    def _count(self, state: State, reason: str | None) -> None:
        with self._accounts:
            self._failures = self._failures + 1 if state == "failed" else 0
            if self._failures >= FAILURES_IN_A_ROW:
                self._stop(ProviderUnavailable(f"no answer {self._failures} times in a row: {reason}"))

    def _stop(self, error: PipelineError) -> None:
        with self._accounts:
            self._stopped = self._stopped or error
            self._accounts.notify_all()

    def _tell(self, done: int, of: int, *, at_once: bool = False) -> None:
        """A line for the log, now and then."""
        if at_once or time.monotonic() - self._last_report >= REPORT_SECONDS:
            self._last_report = time.monotonic()
            self._report(f"{done} of {of} questions settled; ${self._paid:.4f}")
