"""Together's images API: one request, one answer with the picture."""

import base64
import time
from collections.abc import Mapping
from typing import Any

from asset_pipeline.providers.together import Together
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Reply, Request, Vendor

KNOWN = {
    *("disable_safety_checker", "guidance_scale", "height", "image_loras", "image_url", "model", "n"),
    *("negative_prompt", "output_format", "prompt", "reference_images", "response_format", "seed", "steps"),
    "width",
}
MODELS = {"black-forest-labs/FLUX.2-dev", "black-forest-labs/FLUX.1-schnell"}


def error(status: int, message: str, kind: str, param: str | None = None, code: str | None = None) -> Reply:
    return Reply(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


class TogetherVendor(Vendor):
    """Refuses fields that it does not know, formats that it has not, and photographs that are none."""

    name = "together"
    host_path = "/v1"

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Reply] = []
        """What the next submissions are answered before anything is accepted."""
        self.heeds_format = True
        """Whether the model does what ``response_format`` says."""

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST"

    def answer(self, request: Request) -> Reply:
        if request.method == "GET" and request.path.startswith("/files/"):
            job = self.job(request.path.split("/")[2])
            return Reply(404, {}) if job is None else Reply(200, job.pictures()[0])
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "Invalid API key provided", "invalid_request_error", code="invalid_api_key")
        if request.path != "/v1/images/generations":
            return error(404, "Unknown path", "invalid_request_error")
        if self.refusals:
            return self.refusals.pop(0)
        fields = request.json()
        return self.objection(fields) or self.made(fields)

    def objection(self, fields: Mapping[str, Any]) -> Reply | None:
        kind = "invalid_request_error"
        if foreign := sorted(set(fields) - KNOWN):
            return error(400, f"Unrecognized field {foreign[0]}", kind, foreign[0])
        if fields.get("model") not in MODELS:
            return error(
                404, f"Unable to access model {fields.get('model')}", kind, "model", "model_not_available"
            )
        if fields.get("output_format", "jpeg") not in ("jpeg", "png"):
            return error(400, "output_format must be jpeg or png", kind, "output_format")
        photographs = [fields.get("image_url"), *fields.get("reference_images", ())]
        if any(each and not each.startswith(("data:image/", "https://")) for each in photographs):
            return error(400, "An image must be a URL", kind, "image_url")
        return None

    def made(self, fields: Mapping[str, Any]) -> Reply:
        width, height = fields.get("width", 1024), fields.get("height", 768)
        job = self.accept(dict(fields), width=width, height=height, seed=fields.get("seed", 0))
        while job.state != "over":
            time.sleep(0.01)
        if job.behaviour.outcome == "fails":
            return error(500, "Internal server error", "server_error")
        if job.behaviour.outcome == "is filtered":
            job.price_usd = 0.0
            message = f"NSFW content detected in the prompt: {fields['prompt']}"
            return error(422, message, "invalid_request_error", "prompt")
        in_base64 = fields.get("response_format") == "base64" and self.heeds_format
        data = [
            {"index": number, "type": "b64_json", "b64_json": base64.b64encode(picture).decode()}
            if in_base64
            else {"index": number, "type": "url", "url": f"{self.url}/files/{job.job_id}/{number}.png"}
            for number, picture in enumerate(job.pictures())
        ]
        return Reply(200, {"id": job.job_id, "model": fields["model"], "object": "list", "data": data})


PARAMETERS = {
    "model": "black-forest-labs/FLUX.2-dev",
    "steps": 28,
    "native": {"output_format": "png"},
    "references": {"base": "reference_images[]", "style": "reference_images[]"},
    "sizes": {"grid": 16},
}


def case() -> Case:
    return Case(Together(), TogetherVendor, PARAMETERS)
