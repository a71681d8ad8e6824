"""fal's own client takes the pretended fal for fal."""

from asset_pipeline_tests.peers.sdk import run_sdk
from asset_pipeline_tests.vendors.fal import MODEL, PretendedFal
from asset_pipeline_tests.vendors.server import Behaviour, serving

SCRIPT = """
import json, os, time, fal_client
from fal_client import client as module
module.QUEUE_URL_FORMAT = os.environ["BASE"] + "/"
client = fal_client.SyncClient(key=os.environ["THE_KEY"])
given = {"prompt": "a mug", "image_size": "square", "seed": 5}
model = os.environ["MODEL"]
drawn = client.submit(model, given)
seen = [type(event).__name__ for event in drawn.iter_events(interval=0.05)]
result = drawn.get()
waiting = client.submit(model, given, priority="low", start_timeout=30)
state = waiting.status()
waiting.cancel()
try:
    client.submit(model, given).get()
except fal_client.FalClientHTTPError as error:
    failed = [error.status_code, error.error_type]
print(json.dumps({
    "seen": seen,
    "seed": result["seed"],
    "images": len(result["images"]),
    "waiting": [type(state).__name__, state.position],
    "cancelled": type(waiting.status()).__name__,
    "failed": failed,
}))
"""


def test_fals_client_submits_follows_cancels_and_reads_an_error() -> None:
    with serving(PretendedFal()) as vendor:
        assert isinstance(vendor, PretendedFal)
        vendor.behaviours = [
            Behaviour(run_seconds=0.3),
            Behaviour(queue_seconds=60),
            Behaviour(outcome="fails", error="out of memory"),
        ]
        told = run_sdk(SCRIPT, THE_KEY=vendor.key, BASE=vendor.url, MODEL=MODEL)
        low = vendor.jobs[1].details["headers"]
    assert told["seen"][-1] == "Completed"
    assert (told["seed"], told["images"]) == (5, 1)
    assert (told["waiting"], told["cancelled"]) == (["Queued", 2], "Completed")
    assert told["failed"] == [500, None]
    assert (low["x-fal-queue-priority"], low["x-fal-request-timeout"]) == ("low", "30.0")
    assert len(vendor.jobs) == 3
