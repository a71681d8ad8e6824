"""What the images API is told, and what its answers mean: OpenAI, vLLM-Omni, SGLang-Diffusion."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.job import Ticket
from asset_pipeline.candidates.jobs.mapping import refused_drops
from asset_pipeline.errors import (
    AccountClosed,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline_tests.vendors.attempts import attempt, photograph
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.openai_images import (
    DIFFUSION_PARAMETERS,
    GPT_PARAMETERS,
    OpenAIVendor,
    case,
    case_sglang,
    case_vllm_omni,
    error,
)
from asset_pipeline_tests.vendors.server import Behaviour, Fault, Reply, serving

SERVERS = [
    pytest.param(case(), id="openai"),
    pytest.param(case_vllm_omni(), id="vllm-omni"),
    pytest.param(case_sglang(), id="sglang"),
]


@pytest.fixture
def vendor() -> Iterator[OpenAIVendor]:
    openai = OpenAIVendor()
    with serving(openai):
        yield openai


def of_gpt(**changes: Any) -> dict[str, Any]:
    return {**GPT_PARAMETERS, **changes}


def test_a_picture_is_asked_for_in_the_words_of_the_api() -> None:
    draft = case().adapter.draft(job_for(of_gpt(), negative_prompt="hands"), {})
    assert draft.url == "images/generations"
    assert draft.payload == {
        "model": "gpt-image-2-2026-04-21",
        "prompt": "a mug on a table",
        "size": "128x64",
        "quality": "low",
        "output_format": "png",
    }
    assert draft.dropped == ("negative_prompt", "seed")


def test_what_gpt_image_models_have_no_word_for_is_named() -> None:
    job = job_for(of_gpt(steps=20, guidance_scale=3.0, strength=0.5, sampler="euler"))
    dropped = case().adapter.draft(job, {}).dropped
    assert refused_drops(dropped, job.parameters.may_drop) == [
        "steps",
        "guidance_scale",
        "sampler",
        "strength",
    ]


def test_a_server_of_ones_own_hears_what_the_profile_has_words_for() -> None:
    draft = case_vllm_omni().adapter.draft(job_for(DIFFUSION_PARAMETERS, negative_prompt="hands"), {})
    assert draft.payload == {
        "model": "Qwen/Qwen-Image",
        "prompt": "a mug on a table",
        "negative_prompt": "hands",
        "size": "128x64",
        "seed": 7,
        "num_inference_steps": 20,
        "true_cfg_scale": 4.0,
        "response_format": "b64_json",
    }
    assert draft.dropped == ("version",)


def test_a_size_that_the_provider_chooses_itself_is_named_as_dropped() -> None:
    native = {"size": "auto"}
    draft = case().adapter.draft(job_for(of_gpt(native=native, fields={"width": "", "height": ""})), {})
    assert draft.payload["size"] == "auto"
    assert {"width", "height"} <= set(draft.dropped)
    with pytest.raises(UnsupportedRequest, match="size"):
        case().adapter.draft(job_for(of_gpt(native=native)), {})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"references": {"base": "image_url"}}, "references: image_url"),
        ({"fields": {"width": ""}}, "fields: width and height"),
        ({"native": {"stream": True, "partial_images": 2}}, "native: partial_images, stream"),
    ],
)
def test_what_the_adapter_cannot_send_is_refused_with_its_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedRequest, match=named):
        case().adapter.draft(job_for(of_gpt(**changes)), {})


@pytest.mark.parametrize("served", SERVERS)
def test_a_picture_comes_with_the_answer(served: Case) -> None:
    with serving(served.vendor()) as vendor:
        standing = attempt(served, vendor)
        (job,) = vendor.jobs
        (output,) = standing.outputs
        assert standing.state == "succeeded"
        assert standing.usage.images == 1
        with served.wire(vendor) as wire:
            data = output.data if output.url is None else wire.fetch(output.url)
        assert data == job.pictures()[0]


@pytest.mark.parametrize("served", SERVERS)
def test_photographs_travel_as_files_of_a_form_the_main_view_first(served: Case) -> None:
    parameters = {
        **served.parameters,
        "references": {"base": "image[]", "style": "image[]", "detail": "mask"},
        "may_drop": ("seed",),
    }
    style, detail, base = photograph("style", 1), photograph("detail", 2), photograph("base", 3)
    sent = (style, detail, base)
    job = job_for(parameters, references=tuple(reference for reference, _ in sent))
    with serving(served.vendor()) as vendor:
        standing = attempt(served, vendor, job, {reference.sha256: data for reference, data in sent})
        (made,) = vendor.jobs
        assert standing.state == "succeeded"
        assert vendor.requests[0] == "POST /v1/images/edits"
        assert made.details["files"] == [
            ("image[]", "base.png", len(base[1])),
            ("image[]", "style.png", len(style[1])),
            ("mask", "detail.png", len(detail[1])),
        ]
        assert made.payload["size"] == "128x64"
        assert made.payload["prompt"] == "a mug on a table"


def test_a_draft_holds_no_photograph() -> None:
    reference, _ = photograph("base", 1)
    draft = case().adapter.draft(job_for(of_gpt(), references=(reference,)), {})
    assert draft.payload["image"] == [f"sha256:{reference.sha256}"]


def test_a_photograph_without_a_place_is_named() -> None:
    reference, _ = photograph("logo", 1)
    draft = case().adapter.draft(job_for(of_gpt(), references=(reference,)), {})
    assert draft.url == "images/generations"
    assert "references.logo" in draft.dropped


def test_fields_of_a_form_that_are_no_text_are_json() -> None:
    reference, data = photograph("base", 1)
    native = {"flow_shift": 3.0, "extra_params": {"cache": True}}
    job = job_for({**DIFFUSION_PARAMETERS, "native": native}, references=(reference,))
    with serving(case_sglang().vendor()) as vendor:
        attempt(case_sglang(), vendor, job, {reference.sha256: data})
        sent = vendor.jobs[0].payload
    assert (sent["seed"], sent["flow_shift"], sent["extra_params"]) == ("7", "3.0", '{"cache": true}')


def test_tokens_are_counted_by_what_they_stand_for(vendor: OpenAIVendor) -> None:
    reference, data = photograph("base", 1)
    job = job_for(of_gpt(), references=(reference,))
    usage = attempt(case(), vendor, job, {reference.sha256: data}).usage
    assert (usage.input_text_tokens, usage.input_image_tokens, usage.output_tokens) == (5, 300, 272)


def test_sglang_says_how_long_it_drew_and_vllm_omni_says_nothing_of_the_cost() -> None:
    with serving(case_sglang().vendor()) as vendor:
        assert attempt(case_sglang(), vendor).usage.seconds == 1.5
    with serving(case_vllm_omni().vendor()) as vendor:
        usage = attempt(case_vllm_omni(), vendor).usage
        assert (usage.seconds, usage.output_tokens) == (None, None)


def test_what_the_answer_says_of_the_picture_is_kept(vendor: OpenAIVendor) -> None:
    details = attempt(case(), vendor).details
    assert details["quality"] == "low"
    assert details["size"] == "128x64"
    assert details["request_id"] == f"req_{vendor.jobs[0].job_id}"


@pytest.mark.parametrize("served", SERVERS)
def test_a_filter_that_blocks_is_no_reason_to_try_again(served: Case) -> None:
    with serving(served.vendor()) as vendor:
        vendor.always = Behaviour(outcome="is filtered")
        with pytest.raises(ProviderRefused) as refused:
            attempt(served, vendor)
    assert refused.value.code == "content_filtered"
    assert "a mug on a table" not in str(refused.value)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (
            error(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            AccountClosed,
            "insufficient_funds",
        ),
        (
            error(400, "Billing hard limit has been reached", "billing", "billing_hard_limit_reached"),
            AccountClosed,
            "insufficient_funds",
        ),
        (
            error(400, "Rejected", "image_generation_user_error", None),
            ProviderRefused,
            "content_filtered",
        ),
        (error(404, "The model does not exist", "x", "model_not_found"), AccountClosed, "not_found"),
        (error(403, "Verify your organization", "x", None), AccountClosed, "auth"),
        (error(503, "Overloaded", "server_error", None), ProviderBusy, "provider_unavailable"),
        (error(500, "An error", "server_error", None), SubmissionUnknown, "submit_unknown"),
        (Reply(400, {"error": "odd"}), ProviderRefused, "invalid_request"),
        (Reply(400, ["odd"]), ProviderRefused, "invalid_request"),
    ],
)
def test_an_error_says_what_to_do_next(
    vendor: OpenAIVendor, reply: Reply, kind: type[ProviderError], code: str
) -> None:
    vendor.refusals = [reply]
    with pytest.raises(kind) as raised:
        attempt(case(), vendor)
    assert raised.value.code == code
    assert vendor.key not in str(raised.value)
    assert vendor.jobs == []


@pytest.mark.parametrize(
    ("headers", "pause"),
    [({"Retry-After": "7"}, 7.0), ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5), ({}, None)],
)
def test_a_provider_that_is_asked_too_often_says_for_how_long_to_wait(
    vendor: OpenAIVendor, headers: dict[str, str], pause: float | None
) -> None:
    body = error(429, "Rate limit reached", "requests", "rate_limit_exceeded").body
    vendor.refusals = [Reply(429, body, headers)]
    with pytest.raises(ProviderBusy) as busy:
        attempt(case(), vendor)
    assert (busy.value.code, busy.value.retry_after) == ("rate_limited", pause)


def test_a_wrong_key_closes_the_account_and_is_not_repeated(vendor: OpenAIVendor) -> None:
    with serving(OpenAIVendor()) as other:
        other.key = "sk-wrong-and-secret"
        other.url = vendor.url
        with pytest.raises(AccountClosed) as closed:
            attempt(case(), other)
    assert closed.value.code == "auth"
    assert "sk-wrong" not in str(closed.value)


def test_an_error_that_repeats_the_request_is_shown_without_it() -> None:
    job = job_for({**DIFFUSION_PARAMETERS, "steps": 300})
    with (
        serving(case_vllm_omni().vendor()) as vendor,
        pytest.raises(ProviderRefused, match=r"body\.num_inference_steps: Input should be") as refused,
    ):
        attempt(case_vllm_omni(), vendor, job)
    assert "mug" not in str(refused.value)


@pytest.mark.parametrize(
    "body", [{"data": []}, {"data": None}, {}, {"data": [{}, "odd", {"b64_json": "%%"}]}]
)
def test_an_answer_of_success_without_a_picture_is_no_success(
    vendor: OpenAIVendor, body: dict[str, Any]
) -> None:
    vendor.refusals = [Reply(200, body)]
    standing = attempt(case(), vendor)
    assert standing.state == "failed"
    assert standing.failure is not None
    assert standing.failure.code == "output_invalid"
    assert standing.outputs == ()


@pytest.mark.parametrize(
    "fault", ["drop before", "drop after", "truncate", "html", "wrong json", "500", "502"]
)
def test_an_answer_that_is_lost_is_not_known_and_nothing_is_sent_again(
    vendor: OpenAIVendor, fault: Fault
) -> None:
    vendor.faults = [fault]
    with pytest.raises(SubmissionUnknown):
        attempt(case(), vendor)
    assert len(vendor.requests) == 1


def test_a_job_whose_answer_was_lost_cannot_be_found_cancelled_or_asked_for(vendor: OpenAIVendor) -> None:
    adapter, job = case().adapter, job_for(of_gpt())
    with case().wire(vendor) as wire:
        assert adapter.find(wire, job, datetime.now(UTC)) is None
        assert adapter.look(wire, job, Ticket(job_id="x")).state == "lost"
        assert not adapter.cancel(wire, job, Ticket(job_id="x"))
        with pytest.raises(UnsupportedRequest, match="with the submission"):
            adapter.upload(wire, photograph("base", 1)[0], b"")
    assert adapter.heard(job, {}, {}) is None
    assert vendor.requests == []


def test_it_is_waited_for_as_long_as_a_run_may_take(vendor: OpenAIVendor) -> None:
    vendor.always = Behaviour(run_seconds=0.4)
    assert attempt(case(), vendor, timeouts={"submit": 0.1}).state == "succeeded"
    with pytest.raises(SubmissionUnknown):
        attempt(case(), vendor, timeouts={"run": 0.1})


def test_an_answer_may_come_in_several_lines_and_with_several_pictures(vendor: OpenAIVendor) -> None:
    vendor.always = Behaviour(outputs=2)
    assert len(attempt(case(), vendor).outputs) == 2
    vendor.refusals = [Reply(200, {"data": [{"b64_json": "data:image/png;base64,iVBO\nRw0K"}]})]
    assert attempt(case(), vendor).outputs[0].data == b"\x89PNG\r\n"
