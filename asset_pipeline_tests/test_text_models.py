"""What the text models' adapters promise: a whole answer, or an error that says what to do, no secret."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.wire import may_have_key
from asset_pipeline.errors import (
    InvalidFile,
    NotFound,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    UnsupportedRequest,
)
from asset_pipeline.prompts.writing.steps import Concept, ImagePrompt, schema_of
from asset_pipeline.prompts.writing.text_model import (
    Message,
    TextAnswer,
    TextModel,
    TextModelProfile,
    TextRequest,
    load_text_model,
    load_text_models,
)
from asset_pipeline.text_models.openai_compatible import OpenAICompatible
from asset_pipeline.text_models.replicate import Replicate
from asset_pipeline_tests.text_model_server import TextModelServer, Turn, text_model_server

ROOT = Path(__file__).parent.parent
TOLD = json.dumps({"words": "a mug on sand", "negative_words": "hands"})
REQUEST = TextRequest(
    messages=(Message(role="system", content="Write."), Message(role="user", content=TOLD)),
    schema_name="image_prompt",
    answer_schema=schema_of(ImagePrompt),
)
WRITTEN = {"prompt": "a mug on sand, no concept", "negative_prompt": "hands"}


@pytest.fixture
def server() -> Iterator[TextModelServer]:
    with text_model_server() as running:
        yield running


def profile(server: TextModelServer, adapter: str = "openai_compatible", **fields: Any) -> TextModelProfile:
    return TextModelProfile.model_validate(
        {
            "adapter": adapter,
            "title": "the model",
            "base_url": server.url,
            "model": "meta/llama" if adapter == "replicate" else "small",
            "key_env": "THE_KEY",
            "max_tokens": 200,
            "input_usd_per_million_tokens": 1.0,
            "output_usd_per_million_tokens": 2.0,
            "timeout_seconds": 5,
            "wait_seconds": 2,
            **fields,
        }
    )


def adapter_for(server: TextModelServer, wanted: TextModelProfile) -> TextModel:
    environ = {"THE_KEY": server.key}
    return Replicate(environ) if wanted.adapter == "replicate" else OpenAICompatible(environ)


def ask(
    server: TextModelServer, wanted: TextModelProfile | None = None, request: TextRequest = REQUEST
) -> TextAnswer:
    wanted = wanted or profile(server)
    return adapter_for(server, wanted).ask(wanted, request, lambda _: None)


WAYS = [
    pytest.param({}, id="openai"),
    pytest.param({"stream": True}, id="openai-stream"),
    pytest.param({"structured": "json_schema"}, id="openai-schema"),
    pytest.param({"adapter": "replicate"}, id="replicate"),
    pytest.param({"adapter": "replicate", "stream": True}, id="replicate-stream"),
]


@pytest.mark.parametrize("way", WAYS)
def test_a_question_is_answered_whole_with_its_tokens_and_model(
    server: TextModelServer, way: dict[str, Any]
) -> None:
    answer = ask(server, profile(server, **way))
    assert json.loads(answer.text) == WRITTEN
    assert answer.ending == "complete"
    assert answer.input_tokens
    assert answer.output_tokens
    assert answer.model in {"small-served", "meta/llama:hidden"}
    assert len(server.questions) == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_an_endpoint_does_not_count_is_not_made_up(server: TextModelServer, way: dict[str, Any]) -> None:
    server.turns = [Turn(usage=False)]
    answer = ask(server, profile(server, **way))
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


@pytest.mark.parametrize("way", WAYS)
def test_letters_that_line_splitters_trip_over_arrive_as_they_were_written(
    server: TextModelServer, way: dict[str, Any]
) -> None:
    text = "Grün\u2028\u0085 – 茶碗\nund\n\neine  Zeile: \N{TEACUP WITHOUT HANDLE}"
    server.turns = [Turn(text=text)]
    assert ask(server, profile(server, **way)).text == text


def test_a_profile_says_what_is_sent(server: TextModelServer) -> None:
    wanted = profile(
        server,
        max_tokens_field="max_completion_tokens",
        temperature=0.5,
        seed=7,
        parameters={"top_p": 0.9},
        structured="json_schema",
    )
    ask(server, wanted)
    (sent,) = server.questions
    assert {name: sent[name] for name in ("max_completion_tokens", "temperature", "seed", "top_p")} == {
        "max_completion_tokens": 200,
        "temperature": 0.5,
        "seed": 7,
        "top_p": 0.9,
    }
    assert sent["response_format"]["json_schema"]["name"] == "image_prompt"
    assert [each["role"] for each in sent["messages"]] == ["system", "user"]


def test_instructions_stand_before_the_question_where_a_model_knows_no_system_message(
    server: TextModelServer,
) -> None:
    ask(server, profile(server, system_role=False))
    ask(server, profile(server, "replicate", system_role=False))
    completion, prediction = server.questions
    assert [each["role"] for each in completion["messages"]] == ["user"]
    assert completion["messages"][0]["content"] == f"Write.\n\n{TOLD}"
    assert prediction["input"]["prompt"] == f"Write.\n\n{TOLD}"
    assert "system_prompt" not in prediction["input"]


def test_replicate_gets_instructions_apart_and_a_deadline_of_its_own(server: TextModelServer) -> None:
    ask(server, profile(server, "replicate", temperature=0.6))
    (sent,) = server.questions
    assert sent["input"] == {
        "prompt": TOLD,
        "system_prompt": "Write.",
        "max_tokens": 200,
        "temperature": 0.6,
    }
    assert server.headers[0]["cancel-after"] == "5s"
    assert server.requests[0] == "POST /models/meta/llama/predictions"


def test_a_pinned_version_on_replicate_is_asked_for_by_its_version(server: TextModelServer) -> None:
    version = "0" * 64
    ask(server, profile(server, "replicate", model=f"someone/model:{version}"))
    assert server.requests[0] == "POST /predictions"
    assert server.questions[0]["version"] == version


def test_a_repair_shows_replicate_the_whole_conversation(server: TextModelServer) -> None:
    turns = (
        *REQUEST.messages,
        Message(role="assistant", content="oops"),
        Message(role="user", content="Again"),
    )
    ask(server, profile(server, "replicate"), REQUEST.model_copy(update={"messages": turns}))
    prompt = server.questions[0]["input"]["prompt"]
    assert prompt.startswith(TOLD)
    assert prompt.index("oops") < prompt.index("Again")


@pytest.mark.parametrize("form", [Concept, ImagePrompt])
def test_the_schemas_of_the_steps_are_ones_that_strict_endpoints_take(
    server: TextModelServer, form: type[Concept | ImagePrompt]
) -> None:
    request = REQUEST.model_copy(update={"answer_schema": schema_of(form)})
    assert ask(server, profile(server, structured="json_schema"), request).ending == "complete"


# How an answer ends


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("turn", "ending"),
    [
        (Turn(finish_reason="length"), "cut off"),
        (Turn(finish_reason="content_filter"), "refused"),
        (Turn(refusal="I cannot help with that"), "refused"),
        (Turn(finish_reason="eos"), "complete"),
    ],
)
def test_why_an_answer_ended_is_told(server: TextModelServer, turn: Turn, ending: str, stream: bool) -> None:
    server.turns = [turn]
    answer = ask(server, profile(server, stream=stream))
    assert answer.ending == ending
    assert answer.reason


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("finish_reason", [None, "tool_calls", "error"])
def test_an_end_without_a_text_is_no_answer(
    server: TextModelServer, finish_reason: str | None, stream: bool
) -> None:
    server.turns = [Turn(finish_reason=finish_reason)]
    with pytest.raises(ProviderError, match="gave no answer"):
        ask(server, profile(server, stream=stream))


def test_an_answer_on_replicate_that_is_as_long_as_allowed_was_cut_off(server: TextModelServer) -> None:
    server.turns = [Turn(text="x" * 7 * 200)]
    assert ask(server, profile(server, "replicate")).ending == "cut off"


@pytest.mark.parametrize("chunks", [1, 4, -1])
def test_a_stream_that_ends_early_is_no_answer_however_properly_it_ends(
    server: TextModelServer, chunks: int
) -> None:
    server.turns = [Turn(chunks=chunks)]
    with pytest.raises(ProviderError, match="broke off its stream"):
        ask(server, profile(server, stream=True))


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_breaks_in_the_middle_is_no_answer(server: TextModelServer, stream: bool) -> None:
    server.turns = [Turn(drops=True, chunks=3)]
    with pytest.raises(ProviderError, match="broke the connection"):
        ask(server, profile(server, stream=stream))


@pytest.mark.parametrize("adapter", ["openai_compatible", "replicate"])
def test_a_stream_is_read_until_it_says_that_it_ends_and_no_longer(
    server: TextModelServer, adapter: str
) -> None:
    server.turns = [Turn(lingers=3)]
    began = time.monotonic()
    assert json.loads(ask(server, profile(server, adapter, stream=True)).text) == WRITTEN
    assert time.monotonic() - began < 2


def test_an_error_in_the_middle_of_a_stream_is_told(server: TextModelServer) -> None:
    server.turns = [Turn(error="the model is overloaded")]
    with pytest.raises(ProviderError, match="the model is overloaded"):
        ask(server, profile(server, stream=True))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>Bad gateway</html>", "not JSON: <html>Bad gateway"),
        (b"[]", "list instead of an object"),
        (b"{}", "without a choice"),
        (b'{"error": {"message": "no such deployment"}}', "no such deployment"),
        (b'{"choices": [{"message": {"content": 3}}]}', "choices.0.message.content"),
        (b" " * (4 * 2**20 + 1), "more than 4194304 bytes"),
    ],
)
def test_an_answer_of_another_form_is_told_as_what_it_is(
    server: TextModelServer, body: bytes, words: str
) -> None:
    server.turns = [Turn(body=body)]
    with pytest.raises(ProviderError) as raised:
        ask(server)
    assert words in str(raised.value)


# Errors by what the caller does next


@pytest.mark.parametrize("adapter", ["openai_compatible", "replicate"])
@pytest.mark.parametrize(
    ("turn", "kind", "words"),
    [
        (
            Turn(status=402, body=b'{"detail": "Insufficient credit"}'),
            ProviderUnavailable,
            "THE_KEY.*Insufficient",
        ),
        (Turn(status=403), ProviderUnavailable, "THE_KEY.*says no"),
        (
            Turn(status=429, body=b'{"error": {"message": "quota", "code": "insufficient_quota"}}'),
            ProviderUnavailable,
            "THE_KEY.*quota",
        ),
        (Turn(status=404), UnsupportedRequest, "check base_url, model and parameters"),
        (Turn(status=422), UnsupportedRequest, "check base_url, model and parameters"),
        (Turn(status=307, headers={"Location": "/"}), UnsupportedRequest, "307"),
        (
            Turn(status=400, body=b'{"error": {"message": "filtered", "code": "content_filter"}}'),
            ProviderRefused,
            "filtered",
        ),
        (Turn(status=500), ProviderError, "failed: the server says no"),
        (Turn(status=502, body=b"<html>"), ProviderError, "502.*<html>"),
        (Turn(status=503, headers={"Retry-After": "3600"}), ProviderUnavailable, "3600 s"),
        (Turn(status=529, headers={"Retry-After": "60"}), ProviderUnavailable, "60 s"),
    ],
)
def test_an_error_is_told_by_what_to_do_next_and_nothing_is_sent_twice(
    server: TextModelServer, adapter: str, turn: Turn, kind: type[Exception], words: str
) -> None:
    server.turns = [turn]
    with pytest.raises(kind, match=words) as raised:
        ask(server, profile(server, adapter))
    assert issubclass(type(raised.value), kind)
    assert (kind is ProviderError) == (type(raised.value) is ProviderError)
    assert len(server.questions) == 1


@pytest.mark.parametrize("adapter", ["openai_compatible", "replicate"])
def test_a_key_that_is_not_accepted_names_its_variable_and_never_itself(
    server: TextModelServer, adapter: str
) -> None:
    wanted = profile(server, adapter)
    environ = {"THE_KEY": "sk-0123456789abcdef"}
    model = Replicate(environ) if adapter == "replicate" else OpenAICompatible(environ)
    with pytest.raises(ProviderUnavailable, match="THE_KEY") as raised:
        model.ask(wanted, REQUEST, lambda _: None)
    assert "0123" not in str(raised.value)
    assert "cdef" not in str(raised.value)


def test_a_server_that_repeats_the_key_does_not_get_it_into_a_message(server: TextModelServer) -> None:
    server.turns = [Turn(status=500, body=f"bad header: Bearer {server.key}".encode())]
    with pytest.raises(ProviderError, match=r"bad header: Bearer \[key\]") as raised:
        ask(server)
    assert server.key not in str(raised.value)


@pytest.mark.parametrize("adapter", ["openai_compatible", "replicate"])
def test_a_key_that_is_not_set_is_told_before_anything_is_sent(server: TextModelServer, adapter: str) -> None:
    model = Replicate({}) if adapter == "replicate" else OpenAICompatible({"THE_KEY": " "})
    with pytest.raises(ProviderUnavailable, match="THE_KEY is not set"):
        model.check(profile(server, adapter))
    assert not server.requests


@pytest.mark.parametrize(
    "wait",
    [
        {"Retry-After": "1"},
        {"retry-after-ms": "200"},
        {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=-5), usegmt=True)},
        {},
        {"Retry-After": "soon"},
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_is_waited_for_as_it_asks(
    server: TextModelServer, status: int, wait: dict[str, str]
) -> None:
    server.turns = [Turn(status=status, headers=wait)]
    began = time.monotonic()
    assert ask(server).ending == "complete"
    assert len(server.questions) == 2
    if wait.get("Retry-After") == "1":
        assert time.monotonic() - began >= 1.0


def test_waiting_ends_where_the_profile_says(server: TextModelServer) -> None:
    server.always = Turn(status=429, headers={"Retry-After": "0.4"})
    with pytest.raises(ProviderUnavailable, match="wait_seconds"):
        ask(server, profile(server, wait_seconds=1))
    assert len(server.questions) == 3


def test_waiting_for_a_busy_endpoint_is_no_part_of_an_answers_time(server: TextModelServer) -> None:
    server.turns = [Turn(status=503, headers={"Retry-After": "1"})]
    assert ask(server, profile(server, timeout_seconds=0.8)).ending == "complete"


@pytest.mark.parametrize("stream", [False, True])
def test_headers_that_do_not_come_end_at_the_profiles_time(server: TextModelServer, stream: bool) -> None:
    server.turns = [Turn(seconds_before_headers=3)]
    began = time.monotonic()
    with pytest.raises(ProviderError, match=r"no whole answer in 0\.5 s"):
        ask(server, profile(server, timeout_seconds=0.5, stream=stream))
    assert time.monotonic() - began < 2


def test_an_endpoint_that_is_not_there_is_told(server: TextModelServer) -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        ask(server, profile(server, base_url="http://127.0.0.1:9/v1"))


# Replicate's predictions


@pytest.mark.parametrize("stream", [False, True])
def test_a_prediction_is_asked_for_until_it_has_ended(server: TextModelServer, stream: bool) -> None:
    server.turns = [Turn(polls=2, streams=False)]
    assert json.loads(ask(server, profile(server, "replicate", stream=stream)).text) == WRITTEN
    assert sum(each.startswith("GET /predictions/") for each in server.requests) == 3


@pytest.mark.parametrize("turn", [Turn(chunks=2), Turn(chunks=2, drops=True), Turn(chunks=0)])
def test_a_stream_that_ends_early_never_shortens_what_a_prediction_wrote(
    server: TextModelServer, turn: Turn
) -> None:
    server.turns = [turn]
    answer = ask(server, profile(server, "replicate", stream=True))
    assert json.loads(answer.text) == WRITTEN
    assert len(server.questions) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("turn", "kind", "words"),
    [
        (Turn(status_of_prediction="failed", error="CUDA out of memory (E1001)"), ProviderError, "E1001"),
        (Turn(status_of_prediction="canceled"), ProviderError, "ended as canceled"),
        (Turn(status_of_prediction="aborted"), ProviderError, "ended as aborted"),
        (
            Turn(status_of_prediction="failed", error="The input was flagged as sensitive (E005)"),
            ProviderRefused,
            "flagged as sensitive",
        ),
    ],
)
def test_how_a_prediction_ended_is_told(
    server: TextModelServer, turn: Turn, kind: type[Exception], words: str, stream: bool
) -> None:
    server.turns = [turn]
    with pytest.raises(kind, match=words):
        ask(server, profile(server, "replicate", stream=stream))


def test_a_prediction_that_nobody_waits_for_any_more_is_cancelled(server: TextModelServer) -> None:
    server.turns = [Turn(polls=1000, streams=False)]
    with pytest.raises(ProviderError, match="no whole answer"):
        ask(server, profile(server, "replicate", timeout_seconds=1))
    assert server.canceled == list(server.predictions)


def test_a_prediction_is_named_before_it_is_waited_for_and_found_again_by_its_name(
    server: TextModelServer,
) -> None:
    wanted = profile(server, "replicate", timeout_seconds=1)
    model = adapter_for(server, wanted)
    tickets: list[str] = []

    def submitted(ticket: str) -> None:
        assert not any(each.startswith("GET") for each in server.requests)
        tickets.append(ticket)

    model.ask(wanted, REQUEST, submitted)
    found = model.collect(wanted, tickets[0])
    assert found is not None
    assert json.loads(found.text) == WRITTEN
    assert len(server.questions) == 1
    with pytest.raises(ProviderError, match="does not know the prediction"):
        model.collect(wanted, "gone")


@pytest.mark.parametrize(
    ("base_url", "url", "goes"),
    [
        ("https://api.replicate.com/v1", "https://stream.replicate.com/x", True),
        ("https://api.replicate.com/v1", "http://stream.replicate.com/x", False),
        ("https://api.replicate.com/v1", "https://replicate.com.evil.net/x", False),
        ("https://api.replicate.com/v1", "https://evilreplicate.com/x", False),
        ("https://models.co.uk/v1", "https://models.co.uk/x", True),
        ("https://models.co.uk/v1", "https://evil.co.uk/x", False),
        ("http://127.0.0.1:8000/v1", "http://128.0.0.1:8000/x", False),
    ],
)
def test_a_key_leaves_for_no_host_but_the_apis_own(base_url: str, url: str, goes: bool) -> None:
    assert may_have_key(base_url, url) is goes


def test_the_key_goes_to_the_apis_own_domain_alone(server: TextModelServer) -> None:
    # A stream on another host, as replicate.net is for replicate.com: localhost for 127.0.0.1.
    wanted = profile(server, "replicate", stream=True)
    server.url = server.url.replace("127.0.0.1", "localhost")
    ask(server, wanted)
    streamed = [
        headers
        for request, headers in zip(server.requests, server.headers, strict=True)
        if request.startswith("GET /stream/")
    ]
    assert len(streamed) == 1
    assert "authorization" not in streamed[0]
    assert all(
        headers["authorization"] == f"Bearer {server.key}"
        for request, headers in zip(server.requests, server.headers, strict=True)
        if not request.startswith("GET /stream/")
    )


@pytest.mark.parametrize(
    ("adapter", "fields", "words"),
    [
        ("replicate", {"model": "llama"}, "neither owner/name"),
        ("replicate", {"structured": "json_schema"}, "write instructions"),
        ("replicate", {"parameters": {"prompt": "x"}}, "the adapter's own"),
        ("openai_compatible", {"parameters": {"messages": []}}, "the adapter's own"),
    ],
)
def test_what_an_adapter_cannot_say_is_refused_before_anything_is_sent(
    server: TextModelServer, adapter: str, fields: dict[str, Any], words: str
) -> None:
    wanted = profile(server, adapter, **fields)
    with pytest.raises(UnsupportedRequest, match=words):
        adapter_for(server, wanted).check(wanted)


# Their files


def write_file(folder: Path, text: str) -> Path:
    (folder / "text_models").mkdir()
    (folder / "text_models" / "mine.yaml").write_text(text)
    return folder


GOOD = """\
adapter: openai_compatible
title: Mine
base_url: https://example.org/v1
model: small
input_usd_per_million_tokens: 1
output_usd_per_million_tokens: 2
"""


def test_the_shipped_files_are_valid_and_hold_no_key() -> None:
    shipped = load_text_models(ROOT / "data")
    environ = {each.key_env or "": "k" for each in shipped.values()}
    for each in shipped.values():
        assert each.key_env
        (Replicate(environ) if each.adapter == "replicate" else OpenAICompatible(environ)).check(each)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("model: small\n", ""), "model: Field required"),
        (("openai_compatible", "openai"), "there is no 'openai' (there are: openai_compatible)"),
        (("input_usd", "imput_usd"), "did you mean input_usd_per_million_tokens?"),
        (("https://example.org/v1", "example.org"), "base_url is not an http or https URL"),
    ],
)
def test_a_wrong_file_is_told_by_field(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        load_text_model(write_file(tmp_path, GOOD.replace(*change)), "mine", ["openai_compatible"])
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        "key_env: sk-verysecret",
        "base_url: https://me:verysecret@example.org",
        "base_url: https://a/?k=verysecret",
    ],
)
def test_a_key_in_a_file_is_refused_without_repeating_it(tmp_path: Path, line: str) -> None:
    text = "\n".join(each for each in GOOD.splitlines() if not each.startswith(line.partition(":")[0]))
    with pytest.raises(InvalidFile, match="key_env") as raised:
        load_text_model(write_file(tmp_path, f"{text}\n{line}\n"), "mine", ["openai_compatible"])
    assert "verysecret" not in str(raised.value)


def test_a_text_model_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'yours'.*mine"):
        load_text_model(write_file(tmp_path, GOOD), "yours", ["openai_compatible"])


def test_prices_patience_and_keys_are_no_part_of_a_models_version(server: TextModelServer) -> None:
    first = profile(server).fingerprint("1")
    others: dict[str, Any] = {"key_env": "OTHER", "concurrency": 9, "timeout_seconds": 9, "stream": True}
    dearer = profile(server, **others, title="T", input_usd_per_million_tokens=9)
    assert dearer.fingerprint("1") == first
    changes: list[dict[str, Any]] = [
        {"temperature": 0.1},
        {"model": "large"},
        {"max_tokens": 201},
        {"parameters": {"top_p": 1}},
    ]
    for change in changes:
        assert profile(server, **change).fingerprint("1") != first
    assert profile(server).fingerprint("2") != first
