"""What a ComfyUI server tells over its websocket while it draws: a live signal, and never the truth.

https://docs.comfy.org/development/comfyui-server/comms_messages
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

_LARGEST_MESSAGE = 64 * 2**20
_LONGEST_OPENING = 2.0
_ENDS = {"execution_success", "execution_error", "execution_interrupted"}


def listen(
    base_url: str,
    headers: Mapping[str, str],
    client_id: str,
    prompt_id: str,
    seconds: float,
    told: Callable[[float], None],
) -> bool:
    """Wait for a job, and tell meanwhile which share of the node at work is done.

    Args:
        base_url: the server.
        headers: those that authorise.
        client_id: the client that submitted the job; a server tells nobody else.
        prompt_id: the job.
        seconds: how long to wait at most.
        told: is told shares between 0 and 1.

    Returns:
        Whether the job is said to have ended. False after `seconds`, or at once if nobody can be heard.
    """
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/ws?clientId={quote(client_id)}"
    until = time.monotonic() + seconds
    try:
        with connect(
            url,
            additional_headers=dict(headers),
            open_timeout=min(seconds, _LONGEST_OPENING),
            max_size=_LARGEST_MESSAGE,
        ) as line:
            while (left := until - time.monotonic()) > 0:
                heard = line.recv(timeout=left)
                if isinstance(heard, str) and _hear(json.loads(heard), prompt_id, told):
                    return True
    except (OSError, ValueError, WebSocketException):  # TimeoutError is an OSError
        return False
    return False


def _hear(message: Any, prompt_id: str, told: Callable[[float], None]) -> bool:
    """Understand one message; whether it is the job's last."""
    data = message.get("data") if isinstance(message, dict) else None
    if not isinstance(data, dict) or data.get("prompt_id") != prompt_id:
        return False
    if message["type"] == "progress" and data.get("max"):
        told(min(1.0, data.get("value", 0) / data["max"]))
    return message["type"] in _ENDS
