"""The worker that RunPod's own SDK runs: a plain image model, and worker-comfyui where a workflow comes.

https://github.com/runpod-workers/worker-sdxl and https://github.com/runpod-workers/worker-comfyui (5.8)
"""

import asyncio
import base64
import os
from collections.abc import Mapping
from typing import Any

import runpod  # type: ignore[import-not-found]

from asset_pipeline_tests.peers.painting import Painting

_DRAWS = {"SaveImage", "SaveImageWebsocket"}


async def handle(job: Mapping[str, Any]) -> dict[str, Any]:
    """Draw what a job asks for; what it raises is a failed job."""
    told = job["input"]
    if "workflow" in told:
        return await _comfy(job["id"], told["workflow"])
    painting = Painting.of(told["prompt"], told.get("width", 64), told.get("height", 64), told.get("seed", 0))
    painting.begin(id=job["id"])
    await asyncio.sleep(max(told.get("seconds", 0), painting.seconds))
    image = f"data:image/png;base64,{base64.b64encode(painting.png()).decode()}"
    return {"images": [image], "image_url": image, "seed": painting.seed}


async def _comfy(job_id: str, workflow: Mapping[str, Any]) -> dict[str, Any]:
    """In worker-comfyui's words; a node of the class ``Missing`` is one that the server does not have."""
    for number, node in workflow.items():
        if node["class_type"] == "Missing":
            reason = f"• Node {number} (errors): [{{'type': 'missing_node_type'}}]"
            return {"error": f"Workflow validation failed:\n{reason}"}
    painting = _painting(workflow)
    try:
        painting.begin(id=job_id)
    except RuntimeError as error:
        return {"error": "Job processing failed", "details": [f"Workflow execution error: {error}"]}
    await asyncio.sleep(painting.seconds)
    if not any(node["class_type"] in _DRAWS for node in workflow.values()):
        return {"status": "success_no_images", "images": []}
    data = base64.b64encode(painting.png()).decode()
    answer: dict[str, Any] = {"images": [{"filename": "ComfyUI_00001_.png", "type": "base64", "data": data}]}
    if "warn" in painting.orders:
        answer["errors"] = [painting.orders["warn"]]
    return answer


def _painting(workflow: Mapping[str, Any]) -> Painting:
    """What a workflow draws: the first text, size and seed in it."""
    inputs: dict[str, Any] = {}
    for node in workflow.values():
        for name, value in node["inputs"].items():
            if isinstance(value, str | int | float):
                inputs.setdefault("seed" if name == "noise_seed" else name, value)
    size = inputs.get("width", 64), inputs.get("height", 64)
    return Painting.of(str(inputs.get("text", "")), *size, inputs.get("seed", 0))


if __name__ == "__main__":
    at_once = int(os.environ["WORKER_CONCURRENCY"])
    runpod.serverless.start({"handler": handle, "concurrency_modifier": lambda _: at_once})
