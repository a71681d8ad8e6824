"""Our fields in a vendor's words: what every mapper relies on."""

import pytest

from asset_pipeline.candidates.jobs.mapping import labels, say
from asset_pipeline.errors import UnsupportedRequest
from asset_pipeline_tests.vendors.case import job_for

GRAPH = {"graph": {"6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1]}}}}


def test_a_path_into_what_the_profile_says_leaves_the_profile_as_it_is() -> None:
    job = job_for({"native": GRAPH, "fields": {"prompt": "graph.6.inputs.text"}})
    first, second = say(job, {}), say(job, {})
    assert first == second
    assert first.payload["graph"]["6"]["inputs"] == {"clip": ["4", 1], "text": "a mug on a table"}
    assert job.parameters.native == GRAPH


def test_a_field_is_never_said_twice() -> None:
    with pytest.raises(UnsupportedRequest, match="twice"):
        say(job_for({"native": {"seed": 1}}), {"seed": "seed"})


def test_what_a_deployment_is_called_is_named_as_unsaid() -> None:
    assert labels(job_for({"model": "sdxl", "version": "3"})) == ("model", "version")
    assert labels(job_for({})) == ()
