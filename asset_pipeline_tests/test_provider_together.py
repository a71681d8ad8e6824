"""What Together is told, and what its answers mean."""

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
from asset_pipeline_tests.vendors.attempts import attempt, photograph
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.server import Behaviour, Fault, Reply, serving
from asset_pipeline_tests.vendors.together import PARAMETERS, TogetherVendor, case, error


@pytest.fixture
def vendor() -> Iterator[TogetherVendor]:
    together = TogetherVendor()
    with serving(together):
        yield together


def test_a_picture_is_asked_for_in_togethers_words_and_in_base64() -> None:
    job = job_for({**PARAMETERS, "guidance_scale": 2.5}, negative_prompt="hands")
    draft = case().adapter.draft(job, {})
    assert draft.url == "images/generations"
    assert draft.payload == {
        "model": "black-forest-labs/FLUX.2-dev",
        "prompt": "a mug on a table",
        "negative_prompt": "hands",
        "width": 128,
        "height": 64,
        "seed": 7,
        "steps": 28,
        "guidance_scale": 2.5,
        "output_format": "png",
        "response_format": "base64",
    }
    assert draft.dropped == ()


def test_a_word_that_the_profile_takes_away_is_dropped_by_name() -> None:
    fields = {"negative_prompt": "", "guidance_scale": "guidance"}
    job = job_for(
        {**PARAMETERS, "fields": fields, "guidance_scale": 3.0, "sampler": "euler", "version": "1"},
        negative_prompt="hands",
    )
    draft = case().adapter.draft(job, {})
    assert draft.payload["guidance"] == 3.0
    assert "negative_prompt" not in draft.payload
    assert draft.dropped == ("negative_prompt", "sampler", "version")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": ""}, "model"),
        ({"native": {"response_format": "url"}}, "response_format"),
        ({"native": {"seed": 3}}, "seed"),
    ],
)
def test_what_means_nothing_to_together_is_refused_with_its_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedRequest, match=named):
        case().adapter.draft(job_for({**PARAMETERS, **changes}), {})


def test_a_picture_comes_with_the_answer(vendor: TogetherVendor) -> None:
    standing = attempt(case(), vendor)
    (job,) = vendor.jobs
    assert standing.state == "succeeded"
    assert [output.data for output in standing.outputs] == job.pictures()
    assert standing.model_version == "black-forest-labs/FLUX.2-dev"
    assert standing.usage.images == 1
    assert standing.details == {"id": job.job_id}


def test_a_model_that_answers_with_an_address_all_the_same_is_understood(vendor: TogetherVendor) -> None:
    vendor.heeds_format = False
    (output,) = attempt(case(), vendor).outputs
    with case().wire(vendor) as wire:
        assert wire.fetch(output.url or "") == vendor.jobs[0].pictures()[0]


def test_photographs_travel_as_data_uris_the_main_view_first(vendor: TogetherVendor) -> None:
    style, base = photograph("style", 1)[0], photograph("base", 2)[0]
    job = job_for(PARAMETERS, references=(style, base))
    sent = {style.sha256: "data:image/png;base64,c3R5bGU=", base.sha256: "data:image/png;base64,YmFzZQ=="}
    with case().wire(vendor) as wire:
        draft = case().adapter.draft(job, sent)
        assert case().adapter.submit(wire, job, draft, {}).state == "succeeded"
    assert vendor.jobs[0].payload["reference_images"] == [sent[base.sha256], sent[style.sha256]]


def test_a_filter_that_blocks_is_no_reason_to_try_again(vendor: TogetherVendor) -> None:
    vendor.always = Behaviour(outcome="is filtered")
    with pytest.raises(ProviderRefused) as refused:
        attempt(case(), vendor)
    assert refused.value.code == "content_filtered"
    assert "a mug on a table" not in str(refused.value)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (error(402, "Add credit", "insufficient_funds"), AccountClosed, "insufficient_funds"),
        (error(403, "Not for you", "forbidden"), AccountClosed, "auth"),
        (error(404, "No such model", "x", "model"), AccountClosed, "not_found"),
        (error(429, "Slow down", "rate_limit"), ProviderBusy, "rate_limited"),
        (error(503, "Overloaded, our safety margin is used up", "x"), ProviderBusy, "provider_unavailable"),
        (error(500, "Internal", "server_error"), SubmissionUnknown, "submit_unknown"),
        (error(400, "width must be a multiple of 16", "x", "width"), ProviderRefused, "invalid_request"),
        (Reply(400, {"error": "odd"}), ProviderRefused, "invalid_request"),
    ],
)
def test_an_error_says_what_to_do_next(
    vendor: TogetherVendor, reply: Reply, kind: type[ProviderError], code: str
) -> None:
    vendor.refusals = [reply]
    with pytest.raises(kind) as raised:
        attempt(case(), vendor)
    assert raised.value.code == code
    assert vendor.jobs == []


def test_a_prompt_about_safety_is_not_taken_for_a_filters_refusal(vendor: TogetherVendor) -> None:
    vendor.refusals = [error(400, "steps is too large for: a safety helmet", "x")]
    with pytest.raises(ProviderRefused) as refused:
        attempt(case(), vendor, job_for(PARAMETERS, prompt="a safety helmet"))
    assert refused.value.code == "invalid_request"


def test_a_wrong_key_closes_the_account_and_is_not_repeated(vendor: TogetherVendor) -> None:
    vendor.key, real = "tgp-wrong-and-secret", vendor.key
    with case().wire(vendor) as wire:
        vendor.key = real
        job = job_for(PARAMETERS)
        with pytest.raises(AccountClosed) as closed:
            case().adapter.submit(wire, job, case().adapter.draft(job, {}), {})
    assert closed.value.code == "auth"
    assert "tgp-wrong" not in str(closed.value)


@pytest.mark.parametrize("body", [{"data": []}, {}, {"data": ["odd", {"b64_json": "%%%"}, {"index": 0}]}])
def test_an_answer_of_success_without_a_picture_is_no_success(
    vendor: TogetherVendor, body: dict[str, Any]
) -> None:
    vendor.refusals = [Reply(200, body)]
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", "output_invalid")


@pytest.mark.parametrize("fault", ["drop after", "truncate", "html", "wrong json", "502"])
def test_an_answer_that_is_lost_is_not_known_and_nothing_is_sent_again(
    vendor: TogetherVendor, fault: Fault
) -> None:
    vendor.faults = [fault]
    with pytest.raises(SubmissionUnknown):
        attempt(case(), vendor)
    assert len(vendor.requests) == 1


def test_it_is_waited_for_as_long_as_a_run_may_take(vendor: TogetherVendor) -> None:
    vendor.always = Behaviour(run_seconds=0.4)
    assert attempt(case(), vendor, timeouts={"submit": 0.1}).state == "succeeded"
