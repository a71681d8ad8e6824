import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.store.store import Store
from asset_pipeline_tests.peers.cog_server import CogServer
from asset_pipeline_tests.peers.cog_server import cog_server as start_cog_server
from asset_pipeline_tests.peers.lossy_wire import LossyWire
from asset_pipeline_tests.peers.lossy_wire import lossy_wire as start_lossy_wire
from asset_pipeline_tests.peers.replicate_validator import ReplicateValidator
from asset_pipeline_tests.peers.replicate_validator import replicate_validator as start_replicate_validator
from asset_pipeline_tests.peers.runpod_worker import RunpodWorker
from asset_pipeline_tests.peers.runpod_worker import runpod_worker as start_runpod_worker
from asset_pipeline_tests.s3_server import BUCKET, S3Server, s3_server

pytest.register_assert_rewrite("asset_pipeline_tests.dialect_promises")

BACKENDS = ["local", pytest.param("s3", marks=pytest.mark.s3)]


@dataclass(frozen=True)
class Address:
    """Where a store is; every process opens its own."""

    root: str
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> Store:
        return Store(self.root, self.storage_options)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, started when the first test asks for it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_address(s3: S3Server) -> Address:
    """An empty root on the S3 server."""
    return Address(f"s3://{BUCKET}/{secrets.token_hex(8)}", s3.storage_options)


@pytest.fixture
def local_address(tmp_path: Path) -> Address:
    """An empty root on this disk."""
    return Address(str(tmp_path / "store"))


@pytest.fixture(params=BACKENDS)
def address(request: pytest.FixtureRequest) -> Address:
    """An empty root, once on this disk and once on the S3 server."""
    found: Address = request.getfixturevalue(f"{request.param}_address")
    return found


@pytest.fixture
def store(address: Address) -> Store:
    """An empty store, once on this disk and once on the S3 server."""
    return address.open()


@pytest.fixture
def local_store(local_address: Address) -> Store:
    """An empty store on this disk, for rooms to whom the backend makes no difference."""
    return local_address.open()


@pytest.fixture(scope="session")
def cog_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    """Cog's real server; all tests of a process share it, so its ledger holds others' predictions as well."""
    with start_cog_server(tmp_path_factory.mktemp("cog")) as server:
        yield server


@pytest.fixture(scope="session")
def runpod_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodWorker]:
    """RunPod's real worker behind a gateway of ours; shared, as Cog's server is."""
    with start_runpod_worker(tmp_path_factory.mktemp("runpod")) as worker:
        yield worker


@pytest.fixture(scope="session")
def replicate_validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicateValidator]:
    """Prism with Replicate's description of its API."""
    with start_replicate_validator(tmp_path_factory.mktemp("prism")) as validator:
        yield validator


@pytest.fixture(scope="session")
def lossy_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LossyWire]:
    """mitmproxy, which each test leads to the server of its choice."""
    with start_lossy_wire(tmp_path_factory.mktemp("wire")) as wire:
        yield wire
