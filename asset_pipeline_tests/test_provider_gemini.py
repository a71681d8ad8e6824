"""What Gemini is told, and what its answers mean."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from asset_pipeline.errors import (
    AccountClosed,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline.providers.gemini import LARGEST_INLINE
from asset_pipeline_tests.vendors.attempts import attempt, photograph
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.gemini import PARAMETERS, GeminiVendor, case, error
from asset_pipeline_tests.vendors.server import Behaviour, Fault, Reply, serving


@pytest.fixture
def vendor() -> Iterator[GeminiVendor]:
    gemini = GeminiVendor()
    with serving(gemini):
        yield gemini


def test_a_picture_is_asked_for_in_geminis_words() -> None:
    draft = case().adapter.draft(job_for(PARAMETERS, negative_prompt="hands"), {})
    assert draft.url == "models/gemini-3.1-flash-image:generateContent"
    assert draft.payload == {
        "contents": [{"role": "user", "parts": [{"text": "a mug on a table"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "seed": 7,
            "imageConfig": {"imageSize": "1K", "aspectRatio": "16:9"},
        },
    }
    assert draft.dropped == ("negative_prompt",)


def test_each_photograph_stands_right_after_its_tag_the_main_view_first_and_the_prompt_last(
    vendor: GeminiVendor,
) -> None:
    logo, side, base = photograph("logo", 1), photograph("side", 2), photograph("base", 3)
    sent = (logo, side, base)
    job = job_for(PARAMETERS, references=tuple(reference for reference, _ in sent))
    attempt(case(), vendor, job, {reference.sha256: data for reference, data in sent})
    (content,) = vendor.jobs[0].payload["contents"]

    def shown(data: bytes) -> dict[str, Any]:
        return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}

    assert content["parts"] == [
        {"text": "[product, main view]"},
        shown(base[1]),
        {"text": "[logo]"},
        shown(logo[1]),
        {"text": "[product, side view]"},
        shown(side[1]),
        {"text": "a mug on a table"},
    ]


def test_a_photograph_without_a_tag_is_dropped_by_name_and_a_draft_holds_none() -> None:
    style, base = photograph("style", 1)[0], photograph("base", 2)[0]
    draft = case().adapter.draft(job_for(PARAMETERS, references=(style, base)), {})
    assert draft.dropped == ("references.style",)
    assert draft.payload["contents"][0]["parts"][1]["inlineData"]["data"] == f"sha256:{base.sha256}"


def test_what_gemini_has_no_word_for_is_named() -> None:
    job = job_for({**PARAMETERS, "sizes": {}, "steps": 20, "strength": 0.5, "version": "001"})
    assert case().adapter.draft(job, {}).dropped == ("width", "height", "steps", "strength", "version")


def test_a_seed_beyond_googles_integers_is_brought_into_them(vendor: GeminiVendor) -> None:
    assert attempt(case(), vendor, job_for(PARAMETERS, seed=2**32 - 1)).state == "succeeded"
    assert vendor.jobs[0].payload["generationConfig"]["seed"] == 2**31 - 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": ""}, "model"),
        ({"model": "models/x?key=1"}, "model"),
        ({"native": {"contents": []}}, "contents"),
        ({"native": {"generationConfig": {"seed": 1}}}, "seed"),
    ],
)
def test_what_means_nothing_to_gemini_is_refused_with_its_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedRequest, match=named):
        case().adapter.draft(job_for({**PARAMETERS, **changes}), {})


def test_the_picture_is_found_among_texts_and_drafts(vendor: GeminiVendor) -> None:
    standing = attempt(case(), vendor)
    (job,) = vendor.jobs
    assert standing.state == "succeeded"
    assert [output.data for output in standing.outputs] == job.pictures()
    assert standing.model_version == "gemini-3.1-flash-image-001"
    assert standing.details == {"id": job.job_id}


def test_tokens_are_counted_and_thoughts_are_output(vendor: GeminiVendor) -> None:
    reference, data = photograph("base", 1)
    job = job_for(PARAMETERS, references=(reference,))
    usage = attempt(case(), vendor, job, {reference.sha256: data}).usage
    assert (usage.input_text_tokens, usage.input_image_tokens, usage.output_tokens) == (8, 258, 1220)


def test_tokens_that_are_not_told_are_not_made_up(vendor: GeminiVendor) -> None:
    vendor.refusals = [Reply(200, {"candidates": []})]
    usage = attempt(case(), vendor).usage
    assert (usage.input_text_tokens, usage.input_image_tokens, usage.output_tokens) == (None, None, None)


@pytest.mark.parametrize(
    ("finish", "code"),
    [
        ("SAFETY", "content_filtered"),
        ("PROHIBITED_CONTENT", "content_filtered"),
        ("BLOCKLIST", "content_filtered"),
        ("SPII", "content_filtered"),
        ("RECITATION", "content_filtered"),
        ("IMAGE_SAFETY", "content_filtered"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filtered"),
        ("IMAGE_RECITATION", "content_filtered"),
        ("NO_IMAGE", "output_invalid"),
        ("IMAGE_OTHER", "output_invalid"),
        ("MAX_TOKENS", "output_invalid"),
        ("A_NEW_WORD", "output_invalid"),
    ],
)
def test_why_there_is_no_picture_stands_in_the_finish_reason(
    vendor: GeminiVendor, finish: str, code: str
) -> None:
    vendor.finish = finish
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", code)
    assert finish in standing.failure.message
    assert standing.usage.output_tokens == 100


def test_a_prompt_that_is_blocked_is_filtered(vendor: GeminiVendor) -> None:
    vendor.block = "OTHER"
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert standing.failure.code == "content_filtered"
    assert standing.failure.message == "the prompt was blocked: OTHER"


def test_words_alone_are_no_success(vendor: GeminiVendor) -> None:
    vendor.always = Behaviour(outcome="is empty")
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert (standing.failure.code, standing.outputs) == ("output_invalid", ())


def test_too_large_a_photograph_is_refused_before_anything_is_sent(vendor: GeminiVendor) -> None:
    reference, _ = photograph("base", 1)
    job = job_for(PARAMETERS, references=(reference,))
    with pytest.raises(ProviderRefused, match=r"base photograph has 7,000,001 bytes"):
        attempt(case(), vendor, job, {reference.sha256: b"x" * (LARGEST_INLINE + 1)})
    assert vendor.requests == []


def test_photographs_that_are_too_large_together_are_refused_before_anything_is_sent(
    vendor: GeminiVendor,
) -> None:
    sent = [photograph("base", 1)[0], photograph("side", 2)[0], photograph("logo", 3)[0]]
    job = job_for(PARAMETERS, references=tuple(sent))
    with pytest.raises(ProviderRefused, match="too large together"):
        attempt(case(), vendor, job, {each.sha256: b"x" * 6_000_000 for each in sent})
    assert vendor.requests == []


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (error(400, "INVALID_ARGUMENT", "Request is odd"), ProviderRefused, "invalid_request"),
        (error(400, "FAILED_PRECONDITION", "Enable billing"), AccountClosed, "auth"),
        (error(403, "PERMISSION_DENIED", "Not allowed"), AccountClosed, "auth"),
        (error(404, "NOT_FOUND", "No such model"), AccountClosed, "not_found"),
        (error(429, "RESOURCE_EXHAUSTED", "Quota"), ProviderBusy, "rate_limited"),
        (error(503, "UNAVAILABLE", "Overloaded"), ProviderBusy, "provider_unavailable"),
        (error(500, "INTERNAL", "Error"), SubmissionUnknown, "submit_unknown"),
        (error(504, "DEADLINE_EXCEEDED", "Error"), SubmissionUnknown, "submit_unknown"),
        (Reply(400, [1]), ProviderRefused, "invalid_request"),
    ],
)
def test_an_error_says_what_to_do_next(
    vendor: GeminiVendor, reply: Reply, kind: type[ProviderError], code: str
) -> None:
    vendor.refusals = [reply]
    with pytest.raises(kind) as raised:
        attempt(case(), vendor)
    assert raised.value.code == code
    assert vendor.jobs == []


@pytest.mark.parametrize(("headers", "pause"), [({}, 17.5), ({"Retry-After": "3"}, 3.0)])
def test_how_long_to_wait_stands_in_the_errors_details(
    vendor: GeminiVendor, headers: dict[str, str], pause: float
) -> None:
    vendor.refusals = [Reply(429, error(429, "RESOURCE_EXHAUSTED", "Quota", RETRY).body, headers)]
    with pytest.raises(ProviderBusy) as busy:
        attempt(case(), vendor)
    assert busy.value.retry_after == pause


def test_a_wrong_key_closes_the_account_though_google_calls_it_an_invalid_argument(
    vendor: GeminiVendor,
) -> None:
    job = job_for(PARAMETERS)
    vendor.key, real = "AIza-wrong-and-secret", vendor.key
    with case().wire(vendor) as wire:
        vendor.key = real
        with pytest.raises(AccountClosed) as closed:
            case().adapter.submit(wire, job, case().adapter.draft(job, {}), {})
    assert closed.value.code == "auth"
    assert "AIza" not in str(closed.value)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": "odd"},
        {"candidates": ["odd", {}]},
        {
            "candidates": [
                {"content": {"parts": ["odd", {"inlineData": "odd"}, {"inlineData": {"data": "%"}}]}}
            ]
        },
    ],
)
def test_an_answer_of_another_form_is_no_success(vendor: GeminiVendor, body: dict[str, Any]) -> None:
    vendor.refusals = [Reply(200, body)]
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert standing.failure.code == "output_invalid"


@pytest.mark.parametrize("fault", ["drop after", "truncate", "html", "wrong json", "502"])
def test_an_answer_that_is_lost_is_not_known_and_nothing_is_sent_again(
    vendor: GeminiVendor, fault: Fault
) -> None:
    vendor.faults = [fault]
    with pytest.raises(SubmissionUnknown):
        attempt(case(), vendor)
    assert len(vendor.requests) == 1


def test_it_is_waited_for_as_long_as_a_run_may_take(vendor: GeminiVendor) -> None:
    vendor.always = Behaviour(run_seconds=0.4)
    assert attempt(case(), vendor, timeouts={"submit": 0.1}).state == "succeeded"
