"""Starting a peer, waiting until it answers, and ending it with all the processes that it started."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers"
START_SECONDS = 60.0


class PeersNotInstalled(RuntimeError):
    """The environments of the peers are not there; the message says how to make them."""


def program(*parts: str) -> Path:
    """A program of an environment, for example ``program("python", "bin", "python")``.

    Raises:
        PeersNotInstalled: it is not there.
    """
    found = PEERS.joinpath(*parts)
    if not found.exists():
        raise PeersNotInstalled(f"{found.relative_to(ROOT)} is not there: run `make .peers/installed` first")
    return found


def own_environment(**variables: str) -> dict[str, str]:
    """What a peer sees of this process's environment, which is little, and `variables`."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
    return {**kept, **variables}


def free_port() -> int:
    """A port that nobody listens on now; the system does not hand it out again at once."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], answers: Callable[[], bool]
) -> Iterator[int]:
    """Run a peer in `folder` until the block ends; the block begins when it `answers`, and gets its number.

    Raises:
        RuntimeError: it ended, or did not answer in time; with the end of its log.
    """
    log = folder / "log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait(process, answers, log)
            yield process.pid
        finally:
            # Its own session is its own group, which outlives a leader that died.
            _end_group(process.pid)


def _end_group(number: int) -> None:
    try:
        os.killpg(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if answers():
                return
        except (httpx.TransportError, OSError):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{Path(str(process.args[0])).name} did not start:\n{log.read_text()[-2000:]}")  # type: ignore[index]
