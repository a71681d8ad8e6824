"""Any server that answers with the picture: what it is told by configuration, and what its answers mean."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from asset_pipeline.candidates.endpoint import Endpoint
from asset_pipeline.candidates.jobs.job import Job, Standing
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.errors import (
    AccountClosed,
    ProviderBusy,
    ProviderRefused,
    SubmissionUnknown,
    UnsupportedRequest,
)
from asset_pipeline_tests.vendors.attempts import attempt, photograph
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.server import Behaviour, Fault, Reply, Request, Vendor, serving
from asset_pipeline_tests.vendors.synchronous import (
    OWN_PARAMETERS,
    OWN_SETTINGS,
    ComfyPack,
    HuggingFace,
    OwnServer,
    ViewComfy,
    case,
    case_comfy_pack,
    case_files,
    case_hugging_face,
    case_salad,
    case_view_comfy,
)

SERVERS = [
    pytest.param(case(), id="own server"),
    pytest.param(case_files(), id="own server with addresses"),
    pytest.param(case_hugging_face(), id="hugging face"),
    pytest.param(case_comfy_pack(), id="comfy-pack"),
    pytest.param(case_view_comfy(), id="viewcomfy"),
    pytest.param(case_salad(), id="salad"),
]
WITH_PHOTOGRAPHS = [SERVERS[0], SERVERS[4], SERVERS[5]]


@pytest.fixture
def vendor() -> Iterator[OwnServer]:
    server = OwnServer()
    with serving(server):
        yield server


def attempt_at(
    served: Case, vendor: Vendor, job: Job | None = None, photographs: Mapping[str, bytes] | None = None
) -> Standing:
    """As `attempt`; with the headers of the endpoint's ``headers_env`` where a server wants those."""
    if not isinstance(vendor, ViewComfy):
        return attempt(served, vendor, job, photographs)
    job = job or job_for(served.parameters)
    headers = {"client_id": vendor.client_id, "client_secret": vendor.key}
    endpoint = Endpoint.model_validate({"base_url": vendor.base_url, **served.endpoint})
    with Wire("synchronous", endpoint, headers) as wire:
        return served.adapter.submit(wire, job, served.adapter.draft(job, {}), photographs or {})


@pytest.mark.parametrize("served", SERVERS)
def test_a_picture_comes_with_the_answer_whatever_its_form(served: Case) -> None:
    with serving(served.vendor()) as vendor:
        standing = attempt_at(served, vendor)
        (job,) = vendor.jobs
        (output,) = standing.outputs
        assert standing.state == "succeeded"
        assert standing.usage.images == 1
        with served.wire(vendor) as wire:
            assert (wire.fetch(output.url) if output.url else output.data) == job.pictures()[0]
        assert len(vendor.requests) == 1 + bool(output.url)


@pytest.mark.parametrize("served", WITH_PHOTOGRAPHS)
def test_a_photograph_lies_where_the_profile_says_as_the_server_reads_it(served: Case) -> None:
    reference, data = photograph("base", 1)
    job = job_for(served.parameters, references=(reference,))
    draft = served.adapter.draft(job, {})
    with serving(served.vendor()) as vendor:
        attempt_at(served, vendor, job, {reference.sha256: data})
        sent = str(vendor.jobs[0].payload)
    in_base64 = base64.b64encode(data).decode()
    assert in_base64 not in str(draft.payload)
    assert f"'{in_base64}'" in sent or f"'data:image/png;base64,{in_base64}'" in sent
    assert ("data:image/png" in sent) == (served.endpoint["settings"].get("photographs") != "base64")


def test_the_body_is_made_of_the_profiles_own_words() -> None:
    draft = case().adapter.draft(job_for(OWN_PARAMETERS, negative_prompt="hands"), {})
    assert draft.payload == {
        "prompt": "a mug on a table",
        "negative_prompt": "hands",
        "width": 128,
        "height": 64,
        "seed": 7,
        "steps": 20,
        "revision": "1.4.0",
    }
    assert draft.dropped == ()


def test_viewcomfys_inputs_lie_in_one_object() -> None:
    draft = case_view_comfy().adapter.draft(job_for(case_view_comfy().parameters), {})
    assert draft.payload == {
        "params": {
            "6-inputs-text": "a mug on a table",
            "5-inputs-width": 128,
            "5-inputs-height": 64,
            "3-inputs-seed": 7,
        }
    }


def test_a_graph_is_completed_and_the_profiles_own_stays_as_it_is() -> None:
    parameters = case_salad().parameters
    first = case_salad().adapter.draft(job_for(parameters), {})
    again = case_salad().adapter.draft(job_for(parameters), {})
    assert first == again
    assert first.payload["prompt"]["6"]["inputs"] == {"clip": ["4", 1], "text": "a mug on a table"}


def test_what_the_profile_gives_no_word_for_is_named() -> None:
    job = job_for({"model": "flux", "version": "1", "sampler": "euler", "fields": {"prompt": "prompt"}})
    assert case().adapter.draft(job, {}).dropped == ("width", "height", "seed", "sampler", "model", "version")


def test_an_answer_says_seed_seconds_and_what_drew(vendor: OwnServer) -> None:
    standing = attempt(case(), vendor)
    assert standing.outputs[0].seed == 7
    assert standing.usage.seconds == 1.25
    assert standing.model_version == "main@1"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"outputs": "images[0]"}, "endpoint.settings.outputs: .*outputs"),
        ({"outputs": "images..data"}, "endpoint.settings.outputs"),
        ({"outputs": "images[]", "seed": "."}, "endpoint.settings.seed"),
        ({"outputs": "images[]", "photographs": "hex"}, "endpoint.settings.photographs"),
        ({"outputs": "images[]", "picture": "image"}, "endpoint.settings.picture"),
        ({"outputs": 3}, "endpoint.settings.outputs"),
        ({"submit": "https://elsewhere.example/predict"}, "endpoint.settings.submit: .*base_url"),
        ({"submit": "//elsewhere.example/predict"}, "endpoint.settings.submit"),
        ({"seconds": "time"}, "endpoint.settings: .*seconds without outputs"),
    ],
)
def test_a_setting_that_is_wrong_is_told_by_its_name_before_anything_is_sent(
    vendor: OwnServer, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(AccountClosed, match=named) as closed:
        attempt(case(), vendor, settings=settings)
    assert closed.value.code == "invalid_request"
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"native": {"prompt": "mine"}}, "prompt"),
        ({"fields": {**OWN_PARAMETERS["fields"], "seed": "prompt.seed"}}, r"prompt\.seed"),
    ],
)
def test_a_body_that_says_something_twice_is_refused_with_the_fields_name(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnsupportedRequest, match=named):
        case().adapter.draft(job_for({**OWN_PARAMETERS, **changes}), {})


def test_a_model_that_loads_is_busy_for_as_long_as_it_says() -> None:
    vendor = HuggingFace()
    vendor.is_loading = True
    with serving(vendor), pytest.raises(ProviderBusy, match="currently loading") as busy:
        attempt(case_hugging_face(), vendor)
    assert (busy.value.code, busy.value.retry_after) == ("provider_unavailable", 20.0)
    assert vendor.jobs == []


def test_a_pause_that_stands_in_the_headers_holds() -> None:
    vendor = HuggingFace()
    vendor.faults, vendor.retry_after = ["503"], "4"
    with serving(vendor), pytest.raises(ProviderBusy) as busy:
        attempt(case_hugging_face(), vendor)
    assert busy.value.retry_after == 4.0


def test_a_server_that_says_what_went_wrong_is_quoted(vendor: OwnServer) -> None:
    vendor.always = Behaviour(outcome="fails", error="CUDA out of memory for: a mug on a table")
    standing = attempt(case(), vendor)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", "model_error")
    assert standing.failure.message == "CUDA out of memory for: [prompt]"


def test_a_filter_is_known_by_its_words(vendor: OwnServer) -> None:
    vendor.always = Behaviour(outcome="is filtered")
    failure = attempt(case(), vendor).failure
    assert failure is not None
    assert failure.code == "content_filtered"


@pytest.mark.parametrize("served", SERVERS)
def test_no_picture_is_no_success(served: Case) -> None:
    with serving(served.vendor()) as vendor:
        vendor.always = Behaviour(outcome="is empty")
        standing = attempt_at(served, vendor)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", "output_invalid")
    assert "endpoint.settings.outputs" in standing.failure.message


def test_a_place_where_no_pictures_are_is_told_by_the_settings_name(vendor: OwnServer) -> None:
    for place in ("pictures[]", "info.revision"):
        failure = attempt(case(), vendor, settings={**OWN_SETTINGS, "outputs": place}).failure
        assert failure is not None
        assert (failure.code, place in failure.message) == ("output_invalid", True)


def test_json_in_the_place_of_a_picture_is_an_answer_without_one(vendor: OwnServer) -> None:
    failure = attempt(case(), vendor, settings={"submit": "predict"}).failure
    assert failure is not None
    assert failure.code == "output_invalid"
    assert "where is the picture in it" in failure.message


@pytest.mark.parametrize("served", [SERVERS[0], SERVERS[2]])
@pytest.mark.parametrize("fault", ["drop after", "truncate", "html", "wrong json", "500", "502"])
def test_an_answer_that_is_lost_is_not_known_and_nothing_is_sent_again(served: Case, fault: Fault) -> None:
    with serving(served.vendor()) as vendor:
        vendor.faults = [fault]
        with pytest.raises(SubmissionUnknown):
            attempt(served, vendor)
        assert len(vendor.requests) == 1


def test_a_wrong_secret_closes_the_account_and_is_not_repeated() -> None:
    vendor = ViewComfy()
    with serving(vendor):
        vendor.key = "secret-of-the-vendor"
        headers = {"client_id": vendor.client_id, "client_secret": "wrong-secret"}
        endpoint = Endpoint.model_validate({"base_url": vendor.base_url, **case_view_comfy().endpoint})
        job = job_for(case_view_comfy().parameters)
        draft = case_view_comfy().adapter.draft(job, {})
        with Wire("synchronous", endpoint, headers) as wire, pytest.raises(AccountClosed) as closed:
            case_view_comfy().adapter.submit(wire, job, draft, {})
    assert closed.value.code == "auth"
    assert "wrong-secret" not in str(closed.value)


def test_a_request_that_is_refused_is_shown_without_what_was_in_it(vendor: OwnServer) -> None:
    job = job_for({**OWN_PARAMETERS, "native": {"mood": "calm and secret"}})
    with pytest.raises(ProviderRefused, match=r"body\.mood: Input should be another") as refused:
        attempt(case(), vendor, job)
    assert "calm" not in str(refused.value)


def test_it_is_waited_for_as_long_as_a_run_may_take(vendor: OwnServer) -> None:
    vendor.always = Behaviour(run_seconds=0.4)
    assert attempt(case(), vendor, timeouts={"submit": 0.1}).state == "succeeded"
    with pytest.raises(SubmissionUnknown):
        attempt(case(), vendor, timeouts={"run": 0.1})


def test_a_server_that_shows_pictures_is_asked_for_a_picture() -> None:
    class Listening(ComfyPack):
        accepts = ""

        def objection(self, request: Request, body: Mapping[str, Any]) -> Reply | None:
            self.accepts = request.headers["accept"]
            return super().objection(request, body)

    vendor = Listening()
    with serving(vendor):
        attempt(case_comfy_pack(), vendor)
    assert vendor.accepts == "image/png"
