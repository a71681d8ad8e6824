"""What the pretended ComfyUI says of itself, by version, and how it lists jobs."""

from typing import Any

from asset_pipeline_tests.comfyui_nodes import Files, node_classes

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")


def object_info(files: Files, name: str | None, *, is_old: bool) -> dict[str, Any]:
    """The classes that are installed, or the one; nothing for one that is not."""
    newer: dict[str, Any] = {"is_input_list": False, "has_intermediate_output": False, "search_aliases": []}
    return {
        each: {
            "input": {"required": node.required},
            "input_order": {"required": list(node.required)},
            "output": list(node.output),
            "output_is_list": [False] * len(node.output),
            "output_name": list(node.output),
            "name": each,
            "display_name": each if is_old else node.display_name,
            "description": "",
            "python_module": "nodes",
            "category": "image",
            "output_node": node.is_output,
            **({} if is_old else newer),
        }
        for each, node in node_classes(files).items()
        if name in {None, each}
    }


def features(*, is_old: bool) -> dict[str, Any]:
    old: dict[str, Any] = {"supports_preview_metadata": True, "max_upload_size": 100 * 2**20}
    newer = {"extension": {"manager": {"supports_v4": True}}, "node_replacements": True, "assets": False}
    return old if is_old else old | newer


def system_stats(version: str, *, is_old: bool) -> dict[str, Any]:
    system: dict[str, Any] = {
        "os": "posix" if is_old else "linux",
        "ram_total": 2**34,
        "ram_free": 2**33,
        "comfyui_version": version,
        "required_frontend_version": "1.27.10",
        "installed_templates_version": None,
        "required_templates_version": "0.1.95",
        "python_version": "3.11.7",
        "pytorch_version": "2.15.0",
        "embedded_python": False,
        "argv": ["main.py", "--cpu"],
    }
    if not is_old:
        package = {"name": "comfy-kitchen", "installed": "0.2.10", "required": "0.2.10"}
        system["comfy_package_versions"] = [package, package | {"installed": None}]
    memory = dict.fromkeys(("vram_total", "vram_free", "torch_vram_total", "torch_vram_free"), 2**33)
    return {"system": system, "devices": [{"name": "cpu", "type": "cpu", "index": None, **memory}]}


def finished_job(prompt_id: str, item: dict[str, Any]) -> dict[str, Any]:
    """A line of the history as ``/api/jobs`` tells it."""
    number, _, graph, extra, _ = item["prompt"]
    events = dict(item["status"]["messages"])
    status = "completed" if item["status"]["completed"] else "failed"
    images = [(key, image) for key, out in item["outputs"].items() for image in out.get("images", ())]
    job = {
        "id": prompt_id,
        "status": "cancelled" if "execution_interrupted" in events else status,
        "priority": number,
        "create_time": extra["create_time"],
        "execution_start_time": events["execution_start"]["timestamp"],
        "execution_end_time": next(reversed(events.values()))["timestamp"],
        "outputs_count": len(images),
        "outputs": item["outputs"],
        "execution_status": item["status"],
        "workflow": {"prompt": graph, "extra_data": extra},
    }
    if "execution_error" in events:
        job["execution_error"] = events["execution_error"]
    if images:
        key, image = next((each for each in images if each[1]["type"] == "output"), images[0])
        job["preview_output"] = {**image, "nodeId": key, "mediaType": "images"}
    return job


def listing(jobs: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """The answer to ``GET /api/jobs``: a page of those of a status, without what they hold."""
    wanted = [each for each in query.get("status", "").split(",") if each] or STATUSES
    if unknown := [each for each in wanted if each not in STATUSES]:
        valid = f"Valid values: {', '.join(STATUSES)}"
        return 400, {"error": f"Invalid status value(s): {', '.join(unknown)}. {valid}"}
    heavy = {"outputs", "execution_status", "workflow"}
    listed = [
        {name: value for name, value in job.items() if name not in heavy}
        for job in jobs
        if job["status"] in wanted
    ]
    limit, offset = int(query["limit"]) if "limit" in query else None, int(query.get("offset", 0))
    page = listed[offset : None if limit is None else offset + limit]
    has_more = offset + len(page) < len(listed)
    pagination = {"offset": offset, "limit": limit, "total": len(listed), "has_more": has_more}
    return 200, {"jobs": page, "pagination": pagination}
