"""Replicate's own client takes the pretended Replicate for Replicate."""

from asset_pipeline_tests.peers.sdk import run_sdk
from asset_pipeline_tests.vendors.replicate import VERSION, PretendedReplicate
from asset_pipeline_tests.vendors.server import Behaviour, serving

SCRIPT = """
import io, json, os, replicate
from replicate.exceptions import ReplicateError
client = replicate.Client(api_token=os.environ["THE_KEY"], base_url=os.environ["BASE"])
client.poll_interval = 0.05
given = {"prompt": "a mug", "width": 64, "height": 64, "seed": 5}
version = os.environ["VERSION"]
pinned = client.predictions.create(version=version, input=given)
official = client.models.predictions.create(("acme", "mugs"), input=given)
deployed = client.deployments.predictions.create(("acme", "fast-mugs"), input=given)
pinned.wait()
official.cancel()
uploaded = client.files.create(io.BytesIO(b"a photograph"), filename="a.png")
page = client.predictions.list()
listed = [each.id for each in page.results]
while page.next:
    page = client.predictions.list(page.next)
    listed += [each.id for each in page.results]
try:
    client.predictions.create(version="0" * 64, input=given)
except ReplicateError as error:
    refused = error.status
print(json.dumps({
    "pinned": [pinned.status, pinned.version == version, len(pinned.output)],
    "official": official.reload() or [official.status, official.version],
    "deployed": [deployed.status, deployed.model],
    "listed": listed,
    "refused": refused,
    "file": uploaded.urls["get"],
}))
"""


def test_replicates_client_creates_waits_cancels_lists_and_uploads() -> None:
    with serving(PretendedReplicate()) as vendor:
        assert isinstance(vendor, PretendedReplicate)
        vendor.behaviours = [
            Behaviour(run_seconds=0.2),
            Behaviour(run_seconds=60),
            Behaviour(queue_seconds=60),
        ]
        jobs = vendor.jobs
        told = run_sdk(SCRIPT, THE_KEY=vendor.key, BASE=vendor.url, VERSION=VERSION)
    assert told["pinned"] == ["succeeded", True, 1]
    assert told["official"] == ["canceled", "hidden"]
    assert told["deployed"] == ["starting", "acme/mugs"]
    assert told["listed"] == [job.job_id for job in reversed(jobs)]
    assert told["refused"] == 422
    assert list(vendor.files.values()) == [b"a photograph"]
    assert told["file"].startswith(vendor.base_url)
