"""RunPod's own client takes the pretended RunPod for RunPod."""

from asset_pipeline_tests.peers.sdk import run_sdk
from asset_pipeline_tests.vendors.runpod import ENDPOINT, RunpodVendor
from asset_pipeline_tests.vendors.server import Behaviour, serving

SCRIPT = """
import json, os, runpod
runpod.api_key, runpod.endpoint_url_base = os.environ["THE_KEY"], os.environ["BASE"]
endpoint = runpod.Endpoint(os.environ["ENDPOINT"])
given = {"input": {"prompt": "a mug", "width": 64, "height": 64}}
job, other = endpoint.run(given), endpoint.run(given)
print(json.dumps({
    "images": len(job.output(timeout=10)["images"]),
    "status": job.status(),
    "synchronous": len(endpoint.run_sync(given)["images"]),
    "canceled": other.cancel(),
    "after": other.status(),
}))
"""


def test_runpods_client_submits_follows_and_cancels() -> None:
    with serving(RunpodVendor()) as vendor:
        vendor.behaviours = [
            Behaviour(run_seconds=0.2),
            Behaviour(run_seconds=60),
            Behaviour(run_seconds=0.2),
        ]
        told = run_sdk(SCRIPT, THE_KEY=vendor.key, BASE=f"{vendor.url}/v2", ENDPOINT=ENDPOINT)
        other = vendor.jobs[1].job_id
    assert told == {
        "images": 1,
        "status": "COMPLETED",
        "synchronous": 1,
        "canceled": {"id": other, "status": "CANCELLED"},
        "after": "CANCELLED",
    }
    assert len(vendor.jobs) == 3
