"""Servers that answer with the picture, each in a form of its own: Hugging Face, ViewComfy and others."""

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any

from asset_pipeline.providers.synchronous import Synchronous
from asset_pipeline_tests.vendors.case import Case
from asset_pipeline_tests.vendors.server import Job, Reply, Request, Vendor


class OwnServer(Vendor):
    """What an operator writes with LitServe: one route, its own fields, JSON with the picture in it."""

    name = "synchronous"
    path = "/predict"
    """Where it takes requests."""
    known: Mapping[str, type] = {
        "prompt": str,
        "negative_prompt": str,
        "width": int,
        "height": int,
        "seed": int,
        "steps": int,
        "image": str,
        "revision": str,
    }

    def is_submission(self, request: Request) -> bool:
        return request.method == "POST"

    def is_known(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"

    def answer(self, request: Request) -> Reply:
        if not self.is_known(request):
            return Reply(401, {"detail": "Invalid or missing credentials"})
        if request.method == "GET" and request.path.startswith("/files/"):
            job = self.job(request.path.split("/")[2])
            return Reply(404, {"detail": "Not Found"}) if job is None else Reply(200, job.pictures()[0])
        if request.path != self.path:
            return Reply(404, {"detail": "Not Found"})
        body = request.json()
        return self.objection(request, body) or self.made(body)

    def objection(self, request: Request, body: Mapping[str, Any]) -> Reply | None:
        del request
        wrong = [
            {"type": "odd", "loc": ["body", name], "msg": "Input should be another", "input": body[name]}
            for name in body
            if not isinstance(body[name], self.known.get(name, tuple))
        ]
        return Reply(422, {"detail": wrong}) if wrong else None

    def asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Width, height and seed of a request."""
        return body

    def made(self, body: Mapping[str, Any]) -> Reply:
        asked = self.asked(body)
        job = self.accept(body, width=asked["width"], height=asked["height"], seed=asked["seed"])
        while job.state != "over":
            time.sleep(0.01)
        if job.behaviour.outcome == "fails":
            return self.broken(job)
        return self.shown(job)

    def broken(self, job: Job) -> Reply:
        return Reply(200, {"error": job.behaviour.error, "images": []})

    def shown(self, job: Job) -> Reply:
        if job.behaviour.outcome == "is filtered":
            return Reply(200, {"error": "blanked by the safety checker", "images": []})
        return Reply(
            200,
            {
                "images": [base64.encodebytes(data).decode() for data in job.pictures()],
                "info": {"seed": job.seed, "seconds": 1.25, "revision": "main@1"},
            },
        )


class FileServer(OwnServer):
    """The same, and pictures lie at addresses."""

    def shown(self, job: Job) -> Reply:
        places = [f"{self.url}/files/{job.job_id}/{number}" for number in range(len(job.pictures()))]
        return Reply(200, {"images": places})


class HuggingFace(OwnServer):
    """An inference endpoint: the answer is the picture; 503 while it loads, with the time that it takes."""

    path = "/"

    def __init__(self) -> None:
        super().__init__()
        self.is_loading = False

    def objection(self, request: Request, body: Mapping[str, Any]) -> Reply | None:
        if self.is_loading:
            return Reply(503, {"error": "Model is currently loading", "estimated_time": 20.0})
        if request.headers.get("accept") != "image/png":
            return Reply(400, {"error": "Content type not supported: accept one of image/png, image/jpeg"})
        if foreign := sorted(set(body) - {"inputs", "parameters"}):
            return Reply(400, {"error": f"unexpected: {foreign[0]}"})
        return None if body.get("inputs") else Reply(400, {"error": ["Error in `inputs`: field required"]})

    def asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        parameters: Mapping[str, Any] = body["parameters"]
        return parameters

    def broken(self, job: Job) -> Reply:
        return Reply(500, {"error": job.behaviour.error})

    def shown(self, job: Job) -> Reply:
        pictures = job.pictures()
        return Reply(200, pictures[0] if pictures else b"", {"Content-Type": "image/png"})


class ComfyPack(OwnServer):
    """A packed workflow behind BentoML: its named parameters in, bytes of no declared type out."""

    path = "/generate"

    def shown(self, job: Job) -> Reply:
        pictures = job.pictures()
        return Reply(200, pictures[0] if pictures else b"", {"Content-Type": "application/octet-stream"})


class ViewComfy(OwnServer):
    """A deployed workflow: inputs by node in one object, a client's id and secret as headers."""

    path = "/"
    known: Mapping[str, type] = {
        "6-inputs-text": str,
        "7-inputs-text": str,
        "5-inputs-width": int,
        "5-inputs-height": int,
        "3-inputs-seed": int,
        "10-inputs-image": str,
    }

    def __init__(self) -> None:
        super().__init__()
        self.client_id = f"client-{secrets.token_hex(6)}"

    def is_known(self, request: Request) -> bool:
        given = request.headers.get("client_id"), request.headers.get("client_secret")
        return given == (self.client_id, self.key)

    def objection(self, request: Request, body: Mapping[str, Any]) -> Reply | None:
        if not body.get("params"):
            return Reply(400, {"detail": "params cannot be empty"})
        return super().objection(request, body["params"])

    def asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        params = body["params"]
        return {
            name: params[f"{node}-inputs-{name}"] for node, name in ((5, "width"), (5, "height"), (3, "seed"))
        }

    def shown(self, job: Job) -> Reply:
        outputs = [
            {
                "filename": f"ComfyUI_{number:05}_.png",
                "content_type": "image/png",
                "data": base64.b64encode(data).decode(),
                "size": len(data),
            }
            for number, data in enumerate(job.pictures(), 1)
        ]
        told = {"prompt_id": job.job_id, "status": "success", "completed": True, "prompt": job.payload}
        return Reply(200, {**told, "execution_time_seconds": 2.5, "outputs": outputs})


class SaladComfy(OwnServer):
    """comfyui-api of Salad, asked without a webhook: a whole graph in, a list of base64 out."""

    path = "/prompt"

    def objection(self, request: Request, body: Mapping[str, Any]) -> Reply | None:
        del request
        graph = body.get("prompt")
        if not isinstance(graph, dict) or not all("class_type" in node for node in graph.values()):
            return Reply(400, {"error": "Invalid prompt", "location": "prompt"})
        return None

    def asked(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        graph = body["prompt"]
        return {**graph["5"]["inputs"], "seed": graph["3"]["inputs"]["seed"]}

    def shown(self, job: Job) -> Reply:
        pictures = job.pictures()
        names = [f"{job.job_id}_{number}.png" for number in range(len(pictures))]
        images = [base64.b64encode(data).decode() for data in pictures]
        return Reply(200, {"id": job.job_id, "images": images, "filenames": names, "stats": {}})


OWN_PARAMETERS: dict[str, Any] = {
    "version": "1.4.0",
    "steps": 20,
    "fields": {
        "prompt": "prompt",
        "negative_prompt": "negative_prompt",
        "width": "width",
        "height": "height",
        "seed": "seed",
        "steps": "steps",
        "version": "revision",
    },
    "references": {"base": "image"},
}
OWN_SETTINGS = {
    "submit": "predict",
    "outputs": "images[]",
    "error": "error",
    "seed": "info.seed",
    "seconds": "info.seconds",
    "model_version": "info.revision",
}
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"steps": 20, "model": ["4", 0]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1]}},
    "10": {"class_type": "LoadImage", "inputs": {}},
}


def case() -> Case:
    return Case(Synchronous(), OwnServer, OWN_PARAMETERS, {"settings": OWN_SETTINGS})


def case_files() -> Case:
    settings = {"submit": "predict", "outputs": "images[]"}
    return Case(Synchronous(), FileServer, OWN_PARAMETERS, {"settings": settings})


def case_hugging_face() -> Case:
    parameters = {
        "steps": 20,
        "guidance_scale": 3.5,
        "fields": {
            "prompt": "inputs",
            "negative_prompt": "parameters.negative_prompt",
            "width": "parameters.width",
            "height": "parameters.height",
            "seed": "parameters.seed",
            "steps": "parameters.num_inference_steps",
            "guidance_scale": "parameters.guidance_scale",
        },
    }
    return Case(Synchronous(), HuggingFace, parameters)


def case_comfy_pack() -> Case:
    fields = {"prompt": "prompt", "width": "width", "height": "height", "seed": "seed"}
    return Case(
        Synchronous(), ComfyPack, {"fields": fields}, {"settings": {"submit": "generate", "outputs": ""}}
    )


def case_view_comfy() -> Case:
    fields = {
        "prompt": "params.6-inputs-text",
        "negative_prompt": "params.7-inputs-text",
        "width": "params.5-inputs-width",
        "height": "params.5-inputs-height",
        "seed": "params.3-inputs-seed",
    }
    settings = {"outputs": "outputs[].data", "seconds": "execution_time_seconds", "photographs": "base64"}
    parameters = {"fields": fields, "references": {"base": "params.10-inputs-image"}}
    return Case(Synchronous(), ViewComfy, parameters, {"settings": settings})


def case_salad() -> Case:
    fields = {
        "prompt": "prompt.6.inputs.text",
        "width": "prompt.5.inputs.width",
        "height": "prompt.5.inputs.height",
        "seed": "prompt.3.inputs.seed",
    }
    parameters = {
        "fields": fields,
        "native": {"prompt": GRAPH},
        "references": {"base": "prompt.10.inputs.image"},
    }
    settings = {"submit": "prompt", "outputs": "images[]", "photographs": "base64"}
    return Case(Synchronous(), SaladComfy, parameters, {"settings": settings})
