"""What text models do for a campaign: words that replace the templates', each answer paid once and kept."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from asset_pipeline import cli, definitions
from asset_pipeline.automation import prompt_states
from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.commands import terminal
from asset_pipeline.errors import (
    BudgetExceeded,
    NoRoute,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.prompts.records import Written, load_prompts, prompts_from
from asset_pipeline.prompts.writing.question import (
    TEXT_ANSWERS,
    TEXT_CLAIMS,
    Question,
    State,
    TextAttempt,
    TextClaim,
    spent_usd,
    standings,
    what_next,
)
from asset_pipeline.prompts.writing.steps import Concept, ImagePrompt, image_prompt_question, read_answer
from asset_pipeline.prompts.writing.text_model import TextModelProfile, load_text_model
from asset_pipeline.prompts.writing.words import Writer
from asset_pipeline.store.store import Store
from asset_pipeline.store.worker import working
from asset_pipeline_tests.small_project import add_products, write_project
from asset_pipeline_tests.text_model_server import CONCEPT, TextModelServer, Turn, text_model_server

CAMPAIGN = """\
title: Boxes
asset_types: [product_tile]
locales: [en-GB]
variations: {background: [warm sand, sage green]}
writing: {model: local, budget_usd: 1.0}
"""
MODEL = """\
adapter: openai_compatible
title: the model
base_url: BASE
model: small
key_env: THE_KEY
max_tokens: 200
input_usd_per_million_tokens: 1.0
output_usd_per_million_tokens: 2.0
timeout_seconds: 5
wait_seconds: 2
concurrency: 1
"""
ON_REPLICATE = {
    "openai_compatible": "replicate",
    "model: small": "model: meta/llama",
    "timeout_seconds: 5": "timeout_seconds: 20",
}


class Project:
    """A project with a text model, and what a person does with it."""

    def __init__(self, folder: Path, server: TextModelServer) -> None:
        self.server = server
        self.data = write_project(folder, products=2, campaigns={"boxes": CAMPAIGN})
        (self.data / "text_models").mkdir()
        self.model()
        self.store = Store(str(self.data / "store"))
        self.environ = {"THE_KEY": server.key}

    def model(self, changes: Mapping[str, str] | None = None, name: str = "local") -> None:
        text = MODEL.replace("BASE", self.server.url)
        for before, after in (changes or {}).items():
            assert before in text
            text = text.replace(before, after)
        (self.data / "text_models" / f"{name}.yaml").write_text(text)

    def campaign(self, before: str, after: str, name: str = "boxes") -> None:
        assert before in CAMPAIGN
        (self.data / "campaigns" / f"{name}.yaml").write_text(CAMPAIGN.replace(before, after))

    def writer(self, run_id: str | None = "run-1") -> Writer:
        return Writer(self.store, definitions.text_models(self.environ), run_id)

    def write(self, run_id: str | None = "run-1", campaign: str = "boxes") -> Written:
        products = read_catalog(self.data / "catalog").products
        return prompts_from(products, self.data, campaign, writer=self.writer(run_id))

    def drafts(self) -> Written:
        return prompts_from(read_catalog(self.data / "catalog").products, self.data, "boxes")

    def attempts(self, campaign: str = "boxes") -> list[TextAttempt]:
        """Every state that was recorded."""
        return [event.body for event in self.store.events.read(TEXT_ANSWERS, campaign)]

    def settled(self, campaign: str = "boxes") -> list[TextAttempt]:
        return [each for each in self.attempts(campaign) if each.state not in ("asking", "submitted")]

    def spent(self, campaign: str = "boxes") -> float:
        return spent_usd(self.store.events.read(TEXT_ANSWERS, campaign))


@pytest.fixture
def server() -> Iterator[TextModelServer]:
    with text_model_server() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, server: TextModelServer) -> Project:
    return Project(tmp_path, server)


# Words


def test_a_campaign_gets_one_concept_and_the_words_of_each_picture(project: Project) -> None:
    templated = project.drafts().prompts
    written = project.write()
    assert [prompt.text for prompt in written.prompts] == [f"{each.text}, calm" for each in templated]
    assert [len(prompt.steps) for prompt in written.prompts] == [2, 2, 2, 2]
    assert len(project.server.questions) == 5
    assert project.server.told(0)["campaign"] == {"title": "Boxes", "variables": {}}
    assert project.server.told(0)["locales"] == ["en-GB"]
    assert project.server.told(1)["concept"] == CONCEPT
    assert project.server.told(1)["product"]["name"] == "Box number 0"


def test_everything_but_the_words_of_a_prompt_stays(project: Project) -> None:
    words = {"text", "negative_text", "steps", "prompt_id"}
    for draft, written in zip(project.drafts().prompts, project.write().prompts, strict=True):
        assert draft.model_dump(exclude=words) == written.model_dump(exclude=words)
        assert draft.prompt_id != written.prompt_id


def test_the_steps_of_a_prompt_lead_to_the_answers_it_was_written_with(project: Project) -> None:
    written = project.write()
    by_id = {each.question_id: each for each in project.settled()}
    for prompt in written.prompts:
        concept, words = (by_id[step] for step in prompt.steps)
        assert (concept.step, words.step) == ("concept", "image_prompt")
        assert words.answer == {"prompt": prompt.text, "negative_prompt": prompt.negative_text}


def test_a_campaign_without_writing_needs_no_model_no_key_and_no_network(project: Project) -> None:
    project.campaign("writing: {model: local, budget_usd: 1.0}\n", "")
    project.environ.clear()
    written = project.write()
    assert len(written.prompts) == 4
    assert written.words is None
    assert all(prompt.steps == () for prompt in written.prompts)
    assert not project.server.requests


def test_words_can_be_written_without_a_concept_and_a_concept_without_words(project: Project) -> None:
    project.campaign("budget_usd: 1.0", "budget_usd: 1.0, steps: [image_prompt]")
    words = project.write()
    assert [prompt.text[-12:] for prompt in words.prompts] == [", no concept"] * 4
    assert {len(prompt.steps) for prompt in words.prompts} == {1}
    project.campaign("budget_usd: 1.0", "budget_usd: 1.0, steps: [concept]")
    concept = project.write()
    assert {prompt.steps for prompt in concept.prompts} == {()}
    assert [each.step for each in project.settled()].count("concept") == 1


def test_what_a_model_writes_is_checked_like_all_other_words(project: Project) -> None:
    brand = project.data / "brand.yaml"
    brand.write_text(yaml.safe_dump(yaml.safe_load(brand.read_text()) | {"never_say": ["handmade"]}))
    project.server.turns = [Turn(), Turn(text='{"prompt": "a handmade box", "negative_prompt": ""}')]
    written = project.write()
    assert len(written.prompts) == 3
    (failure,) = written.failures
    assert "handmade" in failure.reason


def test_a_price_or_an_attribute_that_no_model_is_told_of_asks_nothing_again(project: Project) -> None:
    project.write()
    asked = len(project.server.questions)
    feed = project.data / "catalog" / "products.csv"
    rows = feed.read_text().replace("9.99", "7.77").splitlines()
    feed.write_text("\n".join([f"{rows[0]},stock,material", *(f"{row},12," for row in rows[1:])]) + "\n")
    project.write("run-2")
    assert len(project.server.questions) == asked
    feed.write_text(feed.read_text().replace(",12,", ",11,oak", 1))
    project.write("run-3")
    assert len(project.server.questions) == asked + 2


# Facts


def test_every_answer_is_a_fact_with_input_output_model_tokens_cost_and_time(project: Project) -> None:
    project.write()
    profile = load_text_model(project.data, "local", ["openai_compatible"])
    for attempt in project.settled():
        assert attempt.state == "answered"
        assert json.loads(attempt.text) == attempt.answer
        assert [message.role for message in attempt.messages] == ["system", "user"]
        assert attempt.model == "small-served"
        assert not attempt.tokens_are_estimated
        assert attempt.cost_usd == profile.cost_usd(attempt.input_tokens, attempt.output_tokens) > 0
        assert attempt.seconds > 0
        assert (attempt.attempt, attempt.repairs, attempt.profile) == (1, None, "local")
    asking = [each for each in project.attempts() if each.state == "asking"]
    assert len(asking) == 5
    for each, end in zip(asking, project.settled(), strict=True):
        assert each.cost_usd >= end.cost_usd


def test_tokens_that_nobody_counted_are_estimated_and_say_so(project: Project) -> None:
    project.server.turns = [Turn(usage=False)]
    project.write()
    concept = project.settled()[0]
    assert concept.tokens_are_estimated
    assert concept.output_tokens == -(-len(concept.text) // 4)
    assert concept.cost_usd > 0


def test_no_fact_and_no_line_of_the_log_holds_the_key(project: Project) -> None:
    key = project.server.key
    lines: list[str] = []
    project.server.turns = [Turn(), Turn(status=500, body=f"saw {key}".encode())]
    writer = Writer(project.store, definitions.text_models(project.environ), "run-1", lines.append)
    prompts_from(read_catalog(project.data / "catalog").products, project.data, "boxes", writer=writer)
    recorded = [path.read_text() for path in Path(project.store.files.root).rglob("*.json")]
    assert any("saw [key]" in text for text in recorded)
    assert not any(key in text for text in [*recorded, *lines])


# Paid once


def test_a_second_run_asks_nothing_and_writes_the_same(project: Project) -> None:
    first, second = project.write(), project.write("run-2")
    assert first.prompts == second.prompts
    assert len(project.server.questions) == 5


def test_another_campaign_with_the_same_question_does_not_pay_for_it(project: Project) -> None:
    project.write()
    project.campaign("budget_usd: 1.0", "budget_usd: 0", name="again")
    again = project.write("run-2", campaign="again")
    assert len(again.prompts) == 4
    assert len(project.server.questions) == 5
    assert project.spent("again") == 0.0


def test_the_same_model_in_another_file_is_the_same_model(project: Project) -> None:
    project.write()
    project.model({"title: the model": "title: our model", "concurrency: 1": "concurrency: 2"}, name="other")
    project.campaign("model: local", "model: other")
    project.write("run-2")
    assert len(project.server.questions) == 5


def test_another_temperature_is_another_question(project: Project) -> None:
    project.write()
    project.model({"max_tokens: 200": "max_tokens: 200\ntemperature: 0.3"})
    project.write("run-2")
    assert len(project.server.questions) == 10


def test_new_products_ask_only_for_their_own_words(project: Project) -> None:
    project.write()
    add_products(project.data, range(2, 3))
    assert len(project.write("run-2").prompts) == 6
    assert len(project.server.questions) == 7


def test_processes_side_by_side_pay_once_for_each_question(project: Project) -> None:
    project.server.seconds = 0.05
    stores = [Store(str(project.data / "store")) for _ in range(4)]
    products = read_catalog(project.data / "catalog").products

    def write(number: int) -> list[str]:
        writer = Writer(stores[number], definitions.text_models(project.environ), f"run-{number}")
        written = prompts_from(products, project.data, "boxes", writer=writer)
        return [prompt.text for prompt in written.prompts]

    with ThreadPoolExecutor(4) as threads:
        texts = list(threads.map(write, range(4)))
    assert texts.count(texts[0]) == 4
    assert len(project.server.questions) == 5


def test_two_pictures_with_the_same_question_share_its_answer(project: Project) -> None:
    feed = project.data / "catalog" / "products.csv"
    feed.write_text(feed.read_text().replace("Box number 1", "Box number 0"))
    written = project.write()
    assert len(project.server.questions) == 3
    assert len({prompt.steps for prompt in written.prompts}) == 2


# Budget


def test_what_can_exceed_the_budget_is_not_asked_and_what_is_answered_is_kept(project: Project) -> None:
    project.campaign("budget_usd: 1.0", "budget_usd: 0.0037")
    with pytest.raises(BudgetExceeded, match=r"raise writing\.budget_usd; \d of 4 questions are open"):
        project.write()
    answered = len(project.settled())
    assert 1 < answered < 5
    assert project.spent() <= 0.0037
    assert len(project.server.questions) == answered
    project.campaign("budget_usd: 1.0", "budget_usd: 1.0")
    assert len(project.write("run-2").prompts) == 4
    assert len(project.server.questions) == 5


def test_a_budget_of_nothing_asks_nothing_that_costs(project: Project) -> None:
    project.campaign("budget_usd: 1.0", "budget_usd: 0")
    with pytest.raises(BudgetExceeded):
        project.write()
    assert not project.server.requests
    free = {"input_usd_per_million_tokens: 1.0": "input_usd_per_million_tokens: 0"}
    project.model(free | {"output_usd_per_million_tokens: 2.0": "output_usd_per_million_tokens: 0"})
    assert len(project.write("run-2").prompts) == 4


def test_questions_side_by_side_never_exceed_the_budget_together(project: Project) -> None:
    project.model({"concurrency: 1": "concurrency: 4"})
    add_products(project.data, range(2, 6))
    project.campaign("budget_usd: 1.0", "budget_usd: 0.006")
    project.server.seconds = 0.2
    with pytest.raises(BudgetExceeded):
        project.write()
    assert project.spent() <= 0.006
    # One can cost $0.0026, so that only two fit side by side; what they did cost makes room for more.
    assert project.server.most_at_once <= 2
    assert len(project.settled()) > 4


def test_no_answer_costs_more_than_what_was_set_aside_for_it(project: Project) -> None:
    """Where a token is one byte, the most that tokenizers make of any text."""
    project.write()
    profile = load_text_model(project.data, "local", ["openai_compatible"])
    for attempt in project.settled():
        asked = "".join(message.content for message in attempt.messages)
        (asking,) = [
            each
            for each in project.attempts()
            if each.question_id == attempt.question_id and each.state == "asking"
        ]
        assert asking.cost_usd >= profile.cost_usd(len(asked.encode()), profile.max_tokens)


# The form of answers


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": " a  box\\n", "negative_prompt": ""}',
        '\n```json\n{"prompt": "a box", "negative_prompt": ""}\n```\n',
        'Here you are:\n```\n{"prompt": "a box", "negative_prompt": ""}\n```\nEnjoy!',
    ],
)
def test_an_answer_is_read_out_of_its_fence(text: str) -> None:
    assert read_answer(text, ImagePrompt) == {"prompt": "a box", "negative_prompt": ""}


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("", ImagePrompt, "Invalid JSON"),
        ("a box", ImagePrompt, "Invalid JSON"),
        ('{"prompt": "a box"', ImagePrompt, "Invalid JSON"),
        ('{"prompt": "a box", "negative_prompt": ""} and more', ImagePrompt, "Invalid JSON"),
        ('{"prompt": "a box"}', ImagePrompt, "negative_prompt: Field required"),
        ('{"prompt": " ", "negative_prompt": ""}', ImagePrompt, "prompt: Value error, it is empty"),
        ('{"prompt": 3, "negative_prompt": ""}', ImagePrompt, "prompt: Input should be a valid string"),
        ('{"prompt": "a", "negative_prompt": "", "steps": 1}', ImagePrompt, "steps: Extra inputs"),
        ('{"prompt": "%s", "negative_prompt": ""}' % ("x" * 2001), ImagePrompt, "at most 2000 characters"),
        (json.dumps({**CONCEPT, "scenes": []}), Concept, "scenes: Tuple should have at least 1 item"),
        (json.dumps({**CONCEPT, "palette": ["x"] * 9}), Concept, "at most 8 items"),
        ("[]", Concept, "Input should be an object"),
    ],
)
def test_an_answer_of_another_form_is_refused_with_what_is_wrong(
    text: str, form: type[BaseModel], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        read_answer(text, form)


def test_an_invalid_answer_is_shown_to_the_model_once_with_what_is_wrong(project: Project) -> None:
    project.server.turns = [Turn(), Turn(text='{"prompt": "a box"}')]
    written = project.write()
    assert len(written.prompts) == 4
    question = project.server.questions[2]
    assert [each["role"] for each in question["messages"]] == ["system", "user", "assistant", "user"]
    assert question["messages"][2]["content"] == '{"prompt": "a box"}'
    assert "negative_prompt: Field required" in question["messages"][3]["content"]
    (repair,) = [each for each in project.settled() if each.repairs]
    (invalid,) = [each for each in project.settled() if each.state == "invalid"]
    assert repair.repairs == invalid.question_id
    assert written.prompts[0].steps[1] == repair.question_id
    assert project.write("run-2").prompts == written.prompts
    assert len(project.server.questions) == 6


def test_an_answer_that_was_cut_off_is_repaired_too(project: Project) -> None:
    text = '{"prompt": "a box", "negative_prompt": ""}'
    project.server.turns = [Turn(), Turn(text=text, finish_reason="length")]
    project.write()
    assert "longer than 200 tokens" in project.server.questions[2]["messages"][3]["content"]


def test_a_picture_whose_answer_is_wrong_twice_fails_alone_and_is_never_asked_again(project: Project) -> None:
    project.server.turns = [Turn(), Turn(text="no"), Turn(text="no again")]
    written = project.write()
    assert len(written.prompts) == 3
    (failure,) = written.failures
    assert (failure.sku, failure.feed, failure.row) == ("BOX-0000", "products.csv", 2)
    assert failure.code == "text_model"
    assert "cannot be used, nor could it mend it" in failure.reason
    assert project.write("run-2").failures == written.failures
    assert len(project.server.questions) == 6


def test_a_campaign_whose_concept_is_wrong_twice_fails_with_the_reason(project: Project) -> None:
    project.server.turns = [Turn(text="no"), Turn(text="no again")]
    with pytest.raises(
        ProviderRefused, match=r"the campaign boxes has no concept.*change the campaign's words"
    ):
        project.write()
    with pytest.raises(ProviderRefused):
        project.write("run-2")
    assert len(project.server.questions) == 2


@pytest.mark.parametrize(
    "turn",
    [
        Turn(refusal="I will not"),
        Turn(finish_reason="content_filter"),
        Turn(status=400, body=b'{"error": {"message": "bad words", "code": "content_filter"}}'),
    ],
)
def test_a_refusal_is_a_picture_without_words_and_no_second_question(project: Project, turn: Turn) -> None:
    project.server.turns = [Turn(), turn]
    written = project.write()
    assert ["the text model refused" in failure.reason for failure in written.failures] == [True]
    assert len(written.prompts) == 3
    project.write("run-2")
    assert len(project.server.questions) == 5


# Failures


def test_a_question_without_a_whole_answer_is_asked_once_more(project: Project) -> None:
    project.model({"concurrency: 1": "concurrency: 1\nstream: true"})
    project.server.turns = [Turn(), Turn(chunks=3), Turn(), Turn(status=500), Turn()]
    written = project.write()
    assert len(written.prompts) == 4
    assert not written.failures
    assert [(each.attempt, each.state) for each in project.settled()] == [
        (1, "answered"),
        (1, "failed"),
        (2, "answered"),
        (1, "failed"),
        (2, "answered"),
        (1, "answered"),
        (1, "answered"),
    ]


def test_a_question_without_an_answer_twice_fails_its_picture_until_the_next_run(project: Project) -> None:
    project.server.turns = [Turn(), Turn(status=500), Turn(status=500)]
    written = project.write()
    assert [failure.reason.endswith("run again") for failure in written.failures] == [True]
    assert written.words is not None
    assert written.words.missing == 1
    again = project.write("run-2")
    assert len(again.prompts) == 4
    assert len(project.server.questions) == 7


def test_a_failed_attempt_counts_as_the_most_it_can_have_cost(project: Project) -> None:
    project.server.turns = [Turn(), Turn(status=500)]
    project.write()
    (failed,) = [each for each in project.settled() if each.state == "failed"]
    (asking,) = [
        each
        for each in project.attempts()
        if (each.question_id, each.attempt, each.state) == (failed.question_id, 1, "asking")
    ]
    assert failed.cost_usd == asking.cost_usd > 0
    assert project.spent() == pytest.approx(sum(each.cost_usd for each in project.settled()))


def test_a_model_that_gives_no_answer_again_and_again_is_left_alone(project: Project) -> None:
    project.server.turns = [Turn()]
    project.server.always = Turn(status=500)
    with pytest.raises(ProviderUnavailable, match=r"no answer 3 times in a row.*4 of 4 questions are open"):
        project.write()
    assert len(project.server.questions) == 4


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (Turn(status=403), ProviderUnavailable),
        (Turn(status=429, headers={"Retry-After": "100"}), ProviderUnavailable),
        (Turn(status=404), UnsupportedRequest),
    ],
)
def test_what_no_further_question_helps_ends_the_run_at_once_and_costs_nothing(
    project: Project, turn: Turn, kind: type[Exception]
) -> None:
    project.server.turns = [Turn(), Turn()]
    project.server.always = turn
    with pytest.raises(kind, match="3 of 4 questions are open, what is answered is kept"):
        project.write()
    assert len(project.server.questions) == 3
    assert [each.cost_usd for each in project.settled()][2:] == [0.0]
    project.server.always = None
    assert len(project.write("run-2").prompts) == 4
    assert len(project.server.questions) == 6


def test_a_concept_that_did_not_come_is_an_error_that_says_to_run_again(project: Project) -> None:
    project.server.turns = [Turn(status=500), Turn(status=500)]
    with pytest.raises(ProviderError, match=r"has no concept.*run again"):
        project.write()
    assert len(project.write("run-2").prompts) == 4


def test_a_key_that_is_not_set_is_told_before_anything_is_claimed(project: Project) -> None:
    project.environ.clear()
    with pytest.raises(ProviderUnavailable, match="THE_KEY is not set"):
        project.write()
    assert not project.store.events.names(TEXT_CLAIMS, "concept")


@pytest.mark.parametrize(
    ("campaign", "model", "words"),
    [
        ("sensitivity: local_only", "concurrency: 1", "on another machine"),
        ("sensitivity: confidential", "sensitivities: [public]", "not cleared for confidential"),
    ],
)
def test_a_model_that_may_not_see_a_campaign_is_never_asked(
    project: Project, campaign: str, model: str, words: str
) -> None:
    project.campaign("title: Boxes", f"title: Boxes\n{campaign}")
    project.model({"concurrency: 1": model})
    with pytest.raises(NoRoute, match=words):
        project.write()
    assert not project.server.requests
    planned = project.write(None)
    assert planned.words is not None
    assert words in planned.words.objections[0]


def test_a_model_on_this_machine_may_see_a_local_campaign(project: Project) -> None:
    project.campaign("title: Boxes", "title: Boxes\nsensitivity: local_only")
    project.model({"concurrency: 1": "concurrency: 1\nis_remote: false"})
    assert len(project.write().prompts) == 4


@pytest.mark.parametrize("steps", ["[]", "[concept, concept]", "[slogan]"])
def test_steps_that_make_no_sense_are_refused(steps: str) -> None:
    with pytest.raises(ValueError, match="steps"):
        Campaign.model_validate(
            {
                "title": "T",
                "asset_types": ["a"],
                "locales": ["en-GB"],
                "writing": {"model": "local", "steps": json.loads(json.dumps(steps.strip("[]").split(", ")))},
            }
        )


# Side by side


def test_no_more_questions_are_asked_at_once_than_the_profile_says(project: Project) -> None:
    project.model({"concurrency: 1": "concurrency: 3"})
    add_products(project.data, range(2, 6))
    project.server.seconds = 0.1
    written = project.write()
    assert project.server.most_at_once == 3
    assert [prompt.sku for prompt in written.prompts] == [prompt.sku for prompt in project.drafts().prompts]


def test_a_run_says_how_far_it_is(project: Project) -> None:
    lines: list[str] = []
    writer = Writer(project.store, definitions.text_models(project.environ), "run-1", lines.append)
    prompts_from(read_catalog(project.data / "catalog").products, project.data, "boxes", writer=writer)
    assert lines[0] == "1 questions for the model, 0 are answered"
    assert lines[2] == "4 questions for the model, 0 are answered"
    assert lines[3].startswith("4 of 4 questions settled; $0.00")


# Killed

PROGRAM = """\
import sys
from pathlib import Path
from asset_pipeline import definitions
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.prompts.records import prompts_from
from asset_pipeline.prompts.writing.words import Writer
from asset_pipeline.store.store import Store

data = Path(sys.argv[1])
writer = Writer(Store(str(data / "store")), definitions.text_models({"THE_KEY": sys.argv[2]}), "killed")
prompts_from(read_catalog(data / "catalog").products, data, "boxes", writer=writer)
"""


def kill_after(project: Project, questions: int, wait: float = 0.0) -> None:
    """Kill a run as soon as it has asked so many questions."""
    command = [sys.executable, "-c", PROGRAM, str(project.data), project.server.key]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while len(project.server.questions) < questions and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(wait)
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        os.kill(process.pid, signal.SIGKILL)


def test_after_a_kill_only_what_has_no_answer_is_asked(project: Project) -> None:
    project.server.seconds = 0.3
    kill_after(project, 3)
    project.server.seconds = 0.0
    answered = {each.question_id for each in project.settled()}
    assert len(answered) == 2
    assert len(project.write("run-2").prompts) == 4
    # The third question was on its way: nobody has its answer, so that it is asked again, and counted twice.
    assert len(project.server.questions) == 6
    lost = [each for each in project.settled() if each.state == "lost"]
    assert [each.attempt for each in lost] == [1]
    assert lost[0].cost_usd > 0
    assert project.spent() == pytest.approx(sum(each.cost_usd for each in project.settled()))
    assert sum(each.state == "answered" for each in project.settled()) == 5


def test_after_a_kill_a_prediction_that_was_paid_for_is_collected(project: Project) -> None:
    project.model(ON_REPLICATE)
    project.server.turns = [Turn(), Turn(polls=1000)]
    kill_after(project, 2, wait=0.5)
    for kept in project.server.predictions.values():
        kept["polls"] = 0
    asked = len(project.server.questions)
    assert asked == 2
    assert len(project.write("run-2").prompts) == 4
    assert len(project.server.questions) == 5
    assert {each.state for each in project.settled()} == {"answered"}
    assert {each.attempt for each in project.settled()} == {1}


def question() -> Question:
    profile = TextModelProfile.model_validate(
        {
            "adapter": "openai_compatible",
            "title": "M",
            "base_url": "http://127.0.0.1",
            "model": "m",
            "input_usd_per_million_tokens": 1,
            "output_usd_per_million_tokens": 1,
        }
    )
    return image_prompt_question({"words": "a"}, None, profile, "v")


@pytest.mark.parametrize(
    ("state", "alive", "step"),
    [
        (None, True, "wait"),
        (None, False, "bury"),
        ("asking", True, "wait"),
        ("asking", False, "bury"),
        ("submitted", True, "wait"),
        ("submitted", False, "bury"),
        ("answered", False, "use"),
        ("invalid", True, "use"),
        ("refused", True, "use"),
        ("failed", True, "ask"),
        ("lost", True, "ask"),
    ],
)
def test_what_is_done_about_a_question_follows_from_its_last_state(
    local_store: Store, state: State | None, alive: bool, step: str
) -> None:
    asked = question()
    with working(local_store, "run-1") as worker:
        claim = TextClaim(question_id=asked.question_id, attempt=1, campaign_id="boxes", worker=worker)
        local_store.events.append(TEXT_CLAIMS, asked.step, f"{asked.question_id}.0001", claim)
        if state is not None:
            attempt = TextAttempt(
                question_id=asked.question_id,
                attempt=1,
                state=state,
                step=asked.step,
                step_version="1",
                run_id="run-1",
                worker=worker,
                profile="local",
                model_version="v",
                messages=asked.request.messages,
            )
            moment = state if state in ("asking", "submitted") else "settled"
            local_store.events.append(TEXT_ANSWERS, "boxes", f"{asked.question_id}.0001.{moment}", attempt)
    (standing,) = standings(local_store, [asked]).values()
    assert what_next(standing, owner_is_alive=alive) == step
    assert what_next(None, owner_is_alive=alive) == "ask"


# Plans


def test_a_plan_and_a_sensor_never_ask(project: Project) -> None:
    planned = project.write(None)
    states = dict(prompt_states(read_catalog(project.data / "catalog").products, project.data, ["boxes"]))
    assert not project.server.requests
    assert planned.words is not None
    assert (planned.words.questions, planned.words.missing) == (5, 5)
    assert 0 < planned.words.missing_usd < 0.05
    assert all(prompt.steps[0].startswith("draft ") for prompt in planned.prompts)
    assert states["boxes"]


def test_a_plan_needs_no_key(project: Project) -> None:
    project.environ.clear()
    assert len(project.write(None).prompts) == 4


def test_a_plan_uses_the_answers_that_are_there(project: Project) -> None:
    written = project.write()
    add_products(project.data, range(2, 3))
    planned = project.write(None)
    assert [each for each in planned.prompts if not each.steps[0].startswith("draft ")] == written.prompts
    assert planned.words is not None
    assert (planned.words.questions, planned.words.missing) == (7, 2)
    assert planned.words.spent_usd == pytest.approx(project.spent(), abs=1e-6)


def test_what_a_plan_says_asking_can_cost_is_enough(project: Project) -> None:
    planned = project.write(None).words
    assert planned is not None
    project.campaign("budget_usd: 1.0", f"budget_usd: {planned.missing_usd}")
    assert len(project.write().prompts) == 4
    assert planned.missing_usd >= sum(each.cost_usd for each in project.attempts() if each.state == "asking")


def test_a_sensor_sees_a_change_that_only_a_model_would_be_told_of(project: Project) -> None:
    def state() -> str:
        products = read_catalog(project.data / "catalog").products
        return dict(prompt_states(products, project.data, ["boxes"]))["boxes"]

    before = state()
    project.write()
    assert state() == before
    feed = project.data / "catalog" / "products.csv"
    rows = feed.read_text().splitlines()
    feed.write_text("\n".join([f"{rows[0]},material", *(f"{row},oak" for row in rows[1:])]) + "\n")
    assert state() != before


def test_commands_say_how_many_answers_are_missing_and_ask_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = definitions.Places.of({"ASSET_PIPELINE_DATA": str(project.data)})
    for module in (cli, terminal):
        monkeypatch.setattr(module, "PLACES", places)
    monkeypatch.setenv("DAGSTER_HOME", str(project.data / "dagster"))
    before = CliRunner().invoke(cli.main, ["plan", "boxes"], catch_exceptions=False).output
    assert "5 of 5 answers of the text model local are missing, at most $0.0" in before
    shown = CliRunner().invoke(cli.main, ["prompts", "show", "boxes"], catch_exceptions=False).output
    assert "5 of 5 answers of the text model local are missing" in shown
    difference = CliRunner().invoke(cli.main, ["prompts", "diff", "boxes"], catch_exceptions=False).output
    assert "4 of them wait for a text model" in difference
    assert not project.server.requests
    project.write()
    after = CliRunner().invoke(cli.main, ["plan", "boxes", "--json"], catch_exceptions=False).output
    assert json.loads(after)[0]["words"]["missing"] == 0
    assert len(project.server.questions) == 5


# In Dagster


def test_a_run_has_the_words_written_and_records_them(project: Project) -> None:
    places = definitions.Places.of({"ASSET_PIPELINE_DATA": str(project.data)})
    defs = definitions.build(places, project.environ)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", ["boxes"])
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            partition_key="boxes",
            asset_selection=[dg.AssetKey("catalog"), dg.AssetKey("prompts")],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    assert result.success
    prompts = load_prompts(project.store, "boxes")
    assert [len(prompt.steps) for prompt in prompts] == [2, 2, 2, 2]
    assert len(project.server.questions) == 5
