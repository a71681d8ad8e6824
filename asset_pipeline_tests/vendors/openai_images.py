"""The images API as OpenAI, vLLM-Omni and SGLang-Diffusion serve it: its errors, its counted tokens."""

import base64
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asset_pipeline.providers.openai_images import OpenAIImages
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor

GPT_FIELDS = {
    *("background", "input_fidelity", "model", "moderation", "n", "output_compression", "output_format"),
    *("prompt", "quality", "safety_identifier", "size", "user"),
}
DIFFUSION_FIELDS = {
    *("flow_shift", "guidance_scale", "model", "n", "negative_prompt", "num_inference_steps"),
    *("output_compression", "output_format", "prompt", "response_format", "seed", "size", "true_cfg_scale"),
    "user",
}
MOST_PICTURES, LARGEST_SIDE, GRID, MOST_STRETCHED = 16, 3840, 16, 3
PNG = b"\x89PNG\r\n\x1a\n"
_NAME = re.compile(rb'name="([^"]*)"')
_FILE_NAME = re.compile(rb'filename="([^"]*)"')


@dataclass
class Form:
    """A multipart form as it arrived."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)
    """The field's name, the file's name, the bytes; in their order."""


def form_of(request: Request) -> Form:
    """Take a multipart form apart."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    form = Form()
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        (name,) = _NAME.findall(re.sub(_FILE_NAME, b"", head))
        file_names = _FILE_NAME.findall(head)
        if file_names:
            form.files.append((name.decode(), file_names[0].decode(), data.removesuffix(b"\r\n")))
        else:
            form.fields[name.decode()] = data.removesuffix(b"\r\n").decode()
    return form


def error(status: int, message: str, kind: str, code: str | None, param: str | None = None) -> Reply:
    return Reply(
        status,
        {"error": {"message": message, "type": kind, "param": param, "code": code}},
        {"x-request-id": "req_1", "x-should-retry": "false"},
    )


class OpenAIVendor(Vendor):
    """OpenAI itself: GPT image models, base64 alone, tokens counted."""

    name = "openai_images"
    host_path = "/v1"
    known = frozenset(GPT_FIELDS)
    models: frozenset[str] | None = frozenset({"gpt-image-2-2026-04-21", "gpt-image-1-mini"})

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Reply] = []
        """What the next submissions are answered before anything is accepted."""

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST"

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            return error(
                401, f"Incorrect API key provided: {given}.", "invalid_request_error", "invalid_api_key"
            )
        if request.method == "GET":
            return self.content(request)
        if request.path not in ("/v1/images/generations", "/v1/images/edits"):
            return error(404, f"Invalid URL (POST {request.path})", "invalid_request_error", None)
        if self.refusals:
            return self.refusals.pop(0)
        is_edit = request.path.endswith("edits")
        form = form_of(request) if is_edit else Form()
        fields: dict[str, Any] = {**form.fields} if is_edit else request.json()
        return self.objection(fields, form, is_edit=is_edit) or self.made(fields, form)

    def objection(self, fields: Mapping[str, Any], form: Form, *, is_edit: bool) -> Reply | None:
        kind = "invalid_request_error"
        if foreign := sorted(set(fields) - self.known):
            return error(400, f"Unknown parameter: '{foreign[0]}'.", kind, "unknown_parameter", foreign[0])
        if not fields.get("prompt"):
            return error(
                400, "Missing required parameter: 'prompt'.", kind, "missing_required_parameter", "prompt"
            )
        if self.models is not None and fields.get("model") not in self.models:
            return error(404, f"The model '{fields.get('model')}' does not exist", kind, "model_not_found")
        if not is_size(*size_of(fields)):
            return error(400, f"Invalid size '{fields['size']}'.", kind, "invalid_value", "size")
        pictures = [data for name, _, data in form.files if name.startswith("image")]
        is_odd = any(not data.startswith(PNG) for _, _, data in form.files)
        if is_edit and (is_odd or not 1 <= len(pictures) <= MOST_PICTURES):
            return error(400, "Invalid image file or mode.", kind, "invalid_image_file", "image")
        return None

    def made(self, fields: Mapping[str, Any], form: Form) -> Reply:
        width, height = size_of(fields)
        files = [(name, file_name, len(data)) for name, file_name, data in form.files]
        seed = int(fields.get("seed") or secrets.randbelow(2**31))
        job = self.accept(dict(fields), width=width, height=height, seed=seed, files=files)
        while job.state != "over":
            time.sleep(0.01)
        if job.behaviour.outcome == "fails":
            return error(500, "The server had an error while processing your request.", "server_error", None)
        if job.behaviour.outcome == "is filtered":
            job.price_usd = 0.0
            return self.filtered(fields)
        return Reply(200, self.body(job, fields), {"x-request-id": f"req_{job.job_id}"})

    def filtered(self, fields: Mapping[str, Any]) -> Reply:
        return error(
            400,
            f"Your request was rejected by the safety system: {fields['prompt']}",
            "image_generation_user_error",
            "moderation_blocked",
        )

    def body(self, job: Job, fields: Mapping[str, Any]) -> dict[str, Any]:
        text, images, output = len(fields["prompt"].split()), 300 * len(job.details["files"]), 272
        return {
            "created": int(job.accepted_at),
            "data": [{"b64_json": base64.b64encode(data).decode()} for data in job.pictures()],
            "background": "opaque",
            "output_format": "png",
            "quality": fields.get("quality", "medium"),
            "size": f"{job.width}x{job.height}",
            "usage": {
                "input_tokens": text + images,
                "input_tokens_details": {"text_tokens": text, "image_tokens": images},
                "output_tokens": output,
                "total_tokens": text + images + output,
            },
        }

    def content(self, request: Request) -> Reply:
        return error(404, f"Invalid URL (GET {request.path})", "invalid_request_error", None)


class VllmOmniVendor(OpenAIVendor):
    """A server of one's own: any model, a seed, base64 alone, errors of FastAPI."""

    known = frozenset(DIFFUSION_FIELDS)
    models = None

    def objection(self, fields: Mapping[str, Any], form: Form, *, is_edit: bool) -> Reply | None:
        if fields.get("response_format", "b64_json") != "b64_json":
            return Reply(422, {"detail": [wrong("response_format", "Input should be 'b64_json'", fields)]})
        steps = int(fields.get("num_inference_steps", 1))
        if steps > 200:
            return Reply(
                422, {"detail": [wrong("num_inference_steps", "Input should be at most 200", fields)]}
            )
        return super().objection(fields, form, is_edit=is_edit)

    def body(self, job: Job, fields: Mapping[str, Any]) -> dict[str, Any]:
        told = super().body(job, fields)
        return {name: told[name] for name in ("created", "data", "output_format", "size")} | {"metrics": {}}


class SGLangVendor(OpenAIVendor):
    """A server of one's own that takes any field and answers with an address of its own."""

    models = None

    def objection(self, fields: Mapping[str, Any], form: Form, *, is_edit: bool) -> Reply | None:
        return super().objection(
            {name: fields[name] for name in self.known & fields.keys()}, form, is_edit=is_edit
        )

    def body(self, job: Job, fields: Mapping[str, Any]) -> dict[str, Any]:
        data: list[dict[str, Any]] = []
        for number, picture in enumerate(job.pictures()):
            in_base64 = fields.get("response_format") == "b64_json"
            place = f"/v1/images/{job.job_id}/content?variant={number}"
            data.append(
                {
                    "b64_json": base64.b64encode(picture).decode() if in_base64 else None,
                    "url": None if in_base64 else place,
                    "revised_prompt": fields["prompt"],
                    "file_path": f"/tmp/{job.job_id}.png",  # noqa: S108  (what the real one says)
                }
            )
        return {
            "id": job.job_id,
            "created": int(job.accepted_at),
            "data": data,
            "peak_memory_mb": 20480.0,
            "inference_time_s": 1.5,
            "usage": None,
        }

    def content(self, request: Request) -> Reply:
        *folders, job_id, _ = request.path.split("/")
        job = self.job(job_id)
        if job is None or folders != ["", "v1", "images"]:
            return Reply(404, {"detail": "Image not found"})
        return Reply(200, job.pictures()[int(request.query.get("variant", "0"))])


def wrong(name: str, message: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """One line of FastAPI's answer to a request that it does not understand; it repeats the request."""
    return {"type": "value_error", "loc": ["body", name], "msg": message, "input": dict(fields)}


def size_of(fields: Mapping[str, Any]) -> tuple[int, int]:
    if fields.get("size", "auto") == "auto":
        return 1024, 1024
    width, height = str(fields["size"]).split("x")
    return int(width), int(height)


def is_size(width: int, height: int) -> bool:
    is_on_grid = width % GRID == 0 and height % GRID == 0 and max(width, height) <= LARGEST_SIDE
    return is_on_grid and max(width, height) <= MOST_STRETCHED * min(width, height)


GPT_PARAMETERS = {
    "model": "gpt-image-2-2026-04-21",
    "native": {"quality": "low", "output_format": "png"},
    "references": {"base": "image[]", "side": "image[]", "style": "image[]"},
    "sizes": {"grid": 16, "largest": 3840},
    "may_drop": ("seed", "negative_prompt"),
}
DIFFUSION_PARAMETERS = {
    "model": "Qwen/Qwen-Image",
    "version": "75e0b4be04f60ec59a75f475837eced720f823b6",
    "steps": 20,
    "guidance_scale": 4.0,
    "fields": {
        "seed": "seed",
        "negative_prompt": "negative_prompt",
        "steps": "num_inference_steps",
        "guidance_scale": "true_cfg_scale",
    },
    "native": {"response_format": "b64_json"},
    "references": {"base": "image[]"},
    "sizes": {"grid": 16},
    "may_drop": ("version",),
}


def case() -> Case:
    return Case(OpenAIImages(), OpenAIVendor, GPT_PARAMETERS)


def case_vllm_omni() -> Case:
    return Case(OpenAIImages(), VllmOmniVendor, DIFFUSION_PARAMETERS)


def case_sglang() -> Case:
    return Case(OpenAIImages(), SGLangVendor, {**DIFFUSION_PARAMETERS, "native": {}})
