"""RunPod's real worker loop behind a gateway of ours: a queue endpoint without RunPod."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asset_pipeline_tests.peers.painting import LEDGER, ledger_of
from asset_pipeline_tests.peers.process import ROOT, own_environment, program, running
from asset_pipeline_tests.peers.runpod_gateway import RunpodGateway, runpod_gateway

_HANDLER = Path(__file__).with_name("runpod_handler.py")


@dataclass(frozen=True)
class RunpodWorker:
    """An endpoint with one worker."""

    gateway: RunpodGateway
    ledger: Path
    pid: int

    @property
    def url(self) -> str:
        """The endpoint's address, as ``https://api.runpod.ai/v2/{endpoint}``."""
        return self.gateway.url

    @property
    def key(self) -> str:
        """The key that clients need."""
        return self.gateway.key

    @property
    def ran(self) -> list[dict[str, Any]]:
        """The jobs that the worker really began, in their order."""
        return ledger_of(self.ledger)


@contextmanager
def runpod_worker(folder: Path, *, concurrency: int = 4) -> Iterator[RunpodWorker]:
    """Run a gateway and its worker, whose files lie in `folder`, until the block ends.

    Args:
        folder: an empty folder.
        concurrency: how many jobs the worker does at once; a full worker looks for work once in a second.

    Raises:
        PeersNotInstalled: the worker's environment is not there.
    """
    ledger = folder / "ledger.jsonl"
    with runpod_gateway() as gateway:
        # The names in these addresses are the SDK's, which fills in its worker's and the job's.
        environment = own_environment(
            RUNPOD_WEBHOOK_GET_JOB=f"{gateway.worker_url}/job-take/$ID?gpu=none",
            RUNPOD_WEBHOOK_POST_OUTPUT=f"{gateway.worker_url}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            RUNPOD_WEBHOOK_PING=f"{gateway.worker_url}/ping/$RUNPOD_POD_ID",
            RUNPOD_POD_ID="worker1",
            RUNPOD_AI_API_KEY=gateway.key,
            RUNPOD_SKIP_GPU_CHECK="true",
            RUNPOD_SKIP_AUTO_SYSTEM_CHECKS="true",
            RUNPOD_LOG_LEVEL="INFO",
            WORKER_CONCURRENCY=str(concurrency),
            PYTHONPATH=str(ROOT),
            **{LEDGER: str(ledger)},
        )
        command = (program("python", "bin", "python"), _HANDLER)
        with running(command, folder, environment, lambda: bool(gateway.workers)) as pid:
            yield RunpodWorker(gateway, ledger, pid)
