"""Google's generateContent with models that draw: texts, drafts and pictures in one answer."""

import base64
import binascii
import re
import time
from collections.abc import Mapping
from typing import Any

from asset_pipeline.providers.gemini import Gemini
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor, picture

MODELS = {"gemini-2.5-flash-image": 3, "gemini-3.1-flash-image": 14, "gemini-3-pro-image": 14}
"""With the photographs that each takes."""
RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"}
KNOWN = {"contents", "generationConfig", "safetySettings", "systemInstruction", "tools", "toolConfig"}
_PATH = re.compile(r"/v1beta/models/([\w.-]+):generateContent")
TOKENS_PER_PHOTOGRAPH, TOKENS_PER_PICTURE, THOUGHT = 258, 1120, 100


def error(status: int, kind: str, message: str, *details: Mapping[str, Any]) -> Reply:
    return Reply(
        status, {"error": {"code": status, "message": message, "status": kind, "details": list(details)}}
    )


class GeminiVendor(Vendor):
    """Thinks before it draws, and answers 200 whatever comes of it."""

    name = "gemini"
    host_path = "/v1beta"

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Reply] = []
        """What the next submissions are answered before anything is accepted."""
        self.finish = "STOP"
        self.block: str | None = None

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST"

    def answer(self, request: Request) -> Reply:
        if request.headers.get("x-goog-api-key") != self.key:
            return error(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
            )
        found = _PATH.fullmatch(request.path)
        if found is None or found[1] not in MODELS:
            return error(404, "NOT_FOUND", f"{request.path} is not found for API version v1beta")
        if self.refusals:
            return self.refusals.pop(0)
        body = request.json()
        return self.objection(found[1], body) or self.made(found[1], body)

    def objection(self, model: str, body: Mapping[str, Any]) -> Reply | None:
        config = body.get("generationConfig", {})
        image = config.get("imageConfig", {})
        photographs = [part["inlineData"] for part in parts_of(body) if "inlineData" in part]
        complaint = None
        if foreign := sorted(set(body) - KNOWN):
            complaint = f'Invalid JSON payload received. Unknown name "{foreign[0]}": Cannot find field.'
        elif not -(2**31) <= config.get("seed", 0) < 2**31:
            complaint = f"Invalid value at 'generation_config.seed' (TYPE_INT32), {config['seed']}"
        elif "IMAGE" not in config.get("responseModalities", ()):
            complaint = "The requested combination of response modalities is not supported"
        elif image.get("aspectRatio", "1:1") not in RATIOS or (
            "imageSize" in image and model.startswith("gemini-2.5")
        ):
            complaint = "Invalid image config"
        elif len(photographs) > MODELS[model] or not all(is_picture(each["data"]) for each in photographs):
            complaint = "Unable to process input image"
        return None if complaint is None else error(400, "INVALID_ARGUMENT", complaint)

    def made(self, model: str, body: Mapping[str, Any]) -> Reply:
        config = body["generationConfig"]
        across, down = config.get("imageConfig", {}).get("aspectRatio", "1:1").split(":")
        job = self.accept(body, width=int(across) * 16, height=int(down) * 16, seed=config.get("seed", 0))
        while job.state != "over":
            time.sleep(0.01)
        if job.behaviour.outcome == "fails":
            return error(500, "INTERNAL", "An internal error has occurred.")
        return Reply(200, self.body(model, job))

    def body(self, model: str, job: Job) -> dict[str, Any]:
        photographs = sum("inlineData" in part for part in parts_of(job.payload))
        text = sum(len(part.get("text", "").split()) for part in parts_of(job.payload))
        is_filtered = job.behaviour.outcome == "is filtered"
        finish = "IMAGE_SAFETY" if is_filtered else self.finish
        pictures = job.pictures() if finish == "STOP" and self.block is None else []
        given = [{"modality": "TEXT", "tokenCount": text}]
        if photographs:
            given.append({"modality": "IMAGE", "tokenCount": photographs * TOKENS_PER_PHOTOGRAPH})
        usage = {
            "promptTokenCount": text + photographs * TOKENS_PER_PHOTOGRAPH,
            "candidatesTokenCount": len(pictures) * TOKENS_PER_PICTURE,
            "thoughtsTokenCount": THOUGHT,
            "totalTokenCount": text
            + photographs * TOKENS_PER_PHOTOGRAPH
            + len(pictures) * TOKENS_PER_PICTURE,
            "promptTokensDetails": given,
        }
        told = {"modelVersion": f"{model}-001", "responseId": job.job_id, "usageMetadata": usage}
        if self.block is not None:
            return {**told, "promptFeedback": {"blockReason": self.block}}
        parts: list[dict[str, Any]] = [
            {"text": "A draft first.", "thought": True},
            {"inlineData": as_inline(picture(16, 16, 99)), "thought": True, "thoughtSignature": "c2ln"},
            {"text": "Here it is."},
        ]
        parts += [{"inlineData": as_inline(data), "thoughtSignature": "c2ln"} for data in pictures]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
        return {**told, "candidates": [candidate]}


def as_inline(data: bytes) -> dict[str, str]:
    return {"mimeType": "image/png", "data": base64.b64encode(data).decode()}


def is_picture(data: str) -> bool:
    """Whether it is a PNG in base64, of either alphabet: Google's own client sends the one for addresses."""
    try:
        return base64.urlsafe_b64decode(data.replace("+", "-").replace("/", "_")).startswith(b"\x89PNG")
    except binascii.Error:
        return False


def parts_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [part for content in body.get("contents", ()) for part in content["parts"]]


PARAMETERS = {
    "model": "gemini-3.1-flash-image",
    "native": {"generationConfig": {"imageConfig": {"imageSize": "1K"}}},
    "references": {"base": "[product, main view]", "side": "[product, side view]", "logo": "[logo]"},
    "sizes": {"ratios": ["1:1", "3:2", "16:9", "9:16", "21:9"]},
    "may_drop": ["negative_prompt"],
}


def case() -> Case:
    return Case(Gemini(), GeminiVendor, PARAMETERS)
