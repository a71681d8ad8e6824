"""A vendor's own client, in the environment where it is installed."""

import json
import subprocess
from typing import Any

from asset_pipeline_tests.peers.process import own_environment, program

_SECONDS = 60


def run_sdk(script: str, **environment: str) -> Any:
    """Run a script in the peers' Python and return the JSON of the last line that it prints.

    Args:
        script: Python's text; it may use cog, runpod, replicate, openai, together, fal_client, google.genai
            and standardwebhooks.
        environment: the variables that it finds, besides the path and the home folder.

    Raises:
        PeersNotInstalled: the environment is not there.
        RuntimeError: the script failed; with the end of what it said.
    """
    ended = subprocess.run(
        [program("python", "bin", "python"), "-c", script],
        env=own_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"the script ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])
