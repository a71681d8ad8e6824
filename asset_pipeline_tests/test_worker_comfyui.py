import base64
import json
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import UnsupportedRequest
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.workflows.worker_comfyui import worker_input, worker_result
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.server import picture

DATA = Path(__file__).parent.parent / "data"
PICTURE = picture(32, 16, 3)
ENCODED = base64.b64encode(PICTURE).decode()
BASE = ImageReference(role="base", sha256=sha256_of(PICTURE), media_type="image/png", width=32, height=16)
SIDE = ImageReference(role="side", sha256="5" * 64, media_type="image/jpeg", width=32, height=16)
IMAGE = {"workflow": "image-to-image", "references": {"base": "photograph"}}
PLACE = "https://bucket.example/a.png"
REQUEST = job_for({}, prompt="the secret mug").request


def test_a_worker_is_sent_the_filled_graph_and_the_photographs_that_it_loads() -> None:
    job = job_for(IMAGE, references=(BASE, SIDE))
    sent = worker_input(DATA, job, {BASE.sha256: f"data:image/png;base64,{ENCODED}"})
    name = f"{BASE.sha256}.png"
    assert sent.payload["images"] == [{"name": name, "image": f"data:image/png;base64,{ENCODED}"}]
    assert sent.payload["workflow"]["10"]["inputs"]["image"] == name
    assert sent.payload["workflow"]["6"]["inputs"]["text"] == "a mug on a table"
    assert sent.filled.dropped == ("references.side",)
    assert sent.filled.details["workflow"] == "image-to-image"


def test_words_alone_need_no_photographs() -> None:
    sent = worker_input(DATA, job_for({"workflow": "text-to-image"}), {})
    assert set(sent.payload) == {"workflow"}
    json.dumps(sent.payload)


def test_a_profile_without_a_workflow_is_refused() -> None:
    with pytest.raises(UnsupportedRequest, match="workflow: the profile names none"):
        worker_input(DATA, job_for({}), {})


@pytest.mark.parametrize(
    ("output", "inline", "places"),
    [
        ({"images": [{"filename": "a.png", "type": "base64", "data": ENCODED}]}, 1, []),
        ({"images": [{"type": "base64", "data": f"data:image/png;base64,{ENCODED}"}]}, 1, []),
        ({"images": [{"type": "s3_url", "data": PLACE}]}, 0, [PLACE]),
        ({"message": ENCODED, "status": "success"}, 1, []),
        ({"message": PLACE}, 0, [PLACE]),
    ],
)
def test_a_workers_pictures_are_read_in_every_form_that_it_gives_them(
    output: dict[str, Any], inline: int, places: list[str]
) -> None:
    result = worker_result(output, None, REQUEST)
    assert result.failure is None
    assert [each.data for each in result.outputs if each.data] == [PICTURE] * inline
    assert [each.url for each in result.outputs if each.url] == places
    assert {each.seed for each in result.outputs} == {7}


def test_errors_beside_pictures_are_kept() -> None:
    output = {"images": [{"data": ENCODED}], "errors": ["node 12 wrote nothing for the secret mug"]}
    result = worker_result(output, None, REQUEST)
    assert (len(result.outputs), result.failure) == (1, None)
    assert result.errors == ("node 12 wrote nothing for [prompt]",)


@pytest.mark.parametrize(
    ("output", "error", "code", "said"),
    [
        ({"status": "success_no_images", "images": []}, None, "output_invalid", "success_no_images"),
        ({"images": [{"type": "base64", "data": "%%%"}]}, None, "output_invalid", "no picture"),
        (["unexpected"], None, "output_invalid", "no picture"),
        (None, "Workflow validation failed:\n• Node 3 (errors): [...]", "invalid_request", "Node 3"),
        (
            None,
            "Workflow validation failed:\n• Node 4 (ckpt_name): 'a.safetensors' not in list",
            "not_found",
            "lacks a model file",
        ),
        ({"details": ["CUDA out of memory"]}, "Job processing failed", "model_error", "CUDA out of memory"),
        (None, "the secret mug could not be drawn", "model_error", "[prompt] could not be drawn"),
    ],
)
def test_why_a_worker_brought_no_picture(output: Any, error: str | None, code: str, said: str) -> None:
    failure = worker_result(output, error, REQUEST).failure
    assert failure is not None
    assert failure.code == code
    assert said in failure.message
