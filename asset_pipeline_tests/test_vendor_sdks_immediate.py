"""Do the vendors' own clients understand the vendors that the tests pretend? OpenAI, Together, Google.

And does what servers of one's own are made of understand the form that we send?
"""

import base64
from typing import Any

from asset_pipeline_tests.peers.sdk import run_sdk
from asset_pipeline_tests.vendors.attempts import attempt, photograph
from asset_pipeline_tests.vendors.case import job_for
from asset_pipeline_tests.vendors.gemini import GeminiVendor
from asset_pipeline_tests.vendors.openai_images import OpenAIVendor, SGLangVendor, case_sglang
from asset_pipeline_tests.vendors.server import Reply, Request, Vendor, picture, serving
from asset_pipeline_tests.vendors.together import TogetherVendor

OPENAI = """
import base64, io, json, os
from openai import BadRequestError, OpenAI
client = OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["KEY"], max_retries=0)
words = {"model": "gpt-image-2-2026-04-21", "prompt": "a mug", "size": "128x64", "quality": "low"}
made = client.images.generate(**words)
photograph = ("base.png", base64.b64decode(os.environ["PHOTOGRAPH"]), "image/png")
edited = client.images.edit(image=[photograph, photograph], mask=photograph, **words)
try:
    client.images.generate(**{**words, "size": "100x100"})
except BadRequestError as error:
    refused = {"code": error.code, "param": error.param, "type": error.type}
print(json.dumps({
    "made": made.data[0].b64_json,
    "usage": [made.usage.input_tokens_details.text_tokens, edited.usage.input_tokens_details.image_tokens],
    "edited": edited.data[0].b64_json,
    "refused": refused,
}))
"""

TOGETHER = """
import json, os
from together import BadRequestError, Together
host = os.environ["BASE_URL"].removesuffix("/v1")
client = Together(base_url=host, api_key=os.environ["KEY"], max_retries=0)
words = {"model": "black-forest-labs/FLUX.2-dev", "prompt": "a mug", "width": 128, "height": 64, "seed": 3}
made = client.images.generate(response_format="base64", output_format="png", **words)
placed = client.images.generate(response_format="url", **words)
try:
    client.images.generate(image_url="not a picture", **words)
except BadRequestError as error:
    refused = error.status_code
print(json.dumps({
    "made": made.data[0].b64_json, "model": made.model, "url": placed.data[0].url, "refused": refused,
}))
"""

GEMINI = """
import base64, json, os
from google import genai
from google.genai import errors, types
host = os.environ["BASE_URL"].removesuffix("/v1beta")
options = types.HttpOptions(base_url=host, api_version="v1beta")
client = genai.Client(api_key=os.environ["KEY"], http_options=options)
photograph = types.Part.from_bytes(data=base64.b64decode(os.environ["PHOTOGRAPH"]), mime_type="image/png")
config = types.GenerateContentConfig(
    response_modalities=["TEXT", "IMAGE"], seed=3, image_config=types.ImageConfig(aspect_ratio="3:2")
)
contents = ["[base]", photograph, "a mug"]
made = client.models.generate_content(model="gemini-3.1-flash-image", contents=contents, config=config)
parts = made.candidates[0].content.parts
pictures = [part.inline_data.data for part in parts if part.inline_data and not part.thought]
try:
    client.models.generate_content(model="gemini-9", contents=contents, config=config)
except errors.ClientError as error:
    refused = [error.code, error.status]
print(json.dumps({
    "made": [base64.b64encode(each).decode() for each in pictures],
    "version": made.model_version,
    "finish": made.candidates[0].finish_reason.value,
    "tokens": made.usage_metadata.prompt_token_count,
    "refused": refused,
}))
"""

FORM = """
import asyncio, base64, hashlib, json, os
from starlette.requests import Request
async def receive():
    return {"type": "http.request", "body": base64.b64decode(os.environ["BODY"])}
headers = [(b"content-type", os.environ["CONTENT_TYPE"].encode())]
async def read():
    form = await Request({"type": "http", "method": "POST", "headers": headers}, receive).form()
    told = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            told.append([name, value])
        else:
            sha256 = hashlib.sha256(await value.read()).hexdigest()
            told.append([name, value.filename, value.content_type, sha256])
    return told
print(json.dumps(asyncio.run(read())))
"""


class Keeping(SGLangVendor):
    """Keeps what it was sent."""

    sent: Request

    def answer(self, request: Request) -> Reply:
        self.sent = request
        return super().answer(request)


def ran(script: str, vendor: Vendor) -> Any:
    photograph = base64.b64encode(picture(32, 32, 1)).decode()
    return run_sdk(script, BASE_URL=vendor.base_url, KEY=vendor.key, PHOTOGRAPH=photograph)


def test_openais_client_generates_edits_and_reads_errors() -> None:
    with serving(OpenAIVendor()) as vendor:
        told = ran(OPENAI, vendor)
    assert told["made"]
    assert told["edited"]
    assert told["usage"] == [2, 900]
    assert told["refused"] == {"code": "invalid_value", "param": "size", "type": "invalid_request_error"}
    assert [name for name, _, _ in vendor.jobs[1].details["files"]] == ["image[]", "image[]", "mask"]


def test_togethers_client_generates_in_both_formats_and_reads_errors() -> None:
    with serving(TogetherVendor()) as vendor:
        told = ran(TOGETHER, vendor)
    assert base64.b64decode(told["made"]) == vendor.jobs[0].pictures()[0]
    assert told["model"] == "black-forest-labs/FLUX.2-dev"
    assert told["url"].startswith(f"{vendor.url}/files/")
    assert told["refused"] == 400


def test_googles_client_finds_the_picture_and_reads_errors() -> None:
    with serving(GeminiVendor()) as vendor:
        told = ran(GEMINI, vendor)
    assert [base64.b64decode(each) for each in told["made"]] == vendor.jobs[0].pictures()
    assert told["version"] == "gemini-3.1-flash-image-001"
    assert (told["finish"], told["tokens"]) == ("STOP", 3 + 258)
    assert told["refused"] == [404, "NOT_FOUND"]


def test_starlette_reads_our_form_as_it_was_meant() -> None:
    (base, data), (mask, cut) = photograph("base", 1), photograph("detail", 2)
    references = {"base": "image[]", "detail": "mask"}
    job = job_for(
        {**case_sglang().parameters, "references": references, "native": {"extra": {"tiled": True}}},
        prompt="ein Becher, grün\nauf Holz",
        references=(base, mask),
    )
    vendor = Keeping()
    with serving(vendor):
        attempt(case_sglang(), vendor, job, {base.sha256: data, mask.sha256: cut})
    body = base64.b64encode(vendor.sent.body).decode()
    told = run_sdk(FORM, BODY=body, CONTENT_TYPE=vendor.sent.headers["content-type"])
    assert sorted(told) == sorted(
        [
            ["extra", '{"tiled": true}'],
            ["prompt", "ein Becher, grün\nauf Holz"],
            ["size", "128x64"],
            ["seed", "7"],
            ["num_inference_steps", "20"],
            ["true_cfg_scale", "4.0"],
            ["image[]", "base.png", "image/png", base.sha256],
            ["mask", "detail.png", "image/png", mask.sha256],
            ["model", "Qwen/Qwen-Image"],
        ]
    )
