"""Providers as they deliver: each signs in its own way, with the tests' secrets; and a server to send to."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from asset_pipeline.web.application import MOST_HELD, application, server_for
from asset_pipeline.web.receiver import Receiver


def whsec(key: bytes) -> str:
    """A secret in the spelling of Standard Webhooks."""
    return f"whsec_{base64.b64encode(key).decode()}"


STANDARD_KEY = b"0123456789abcdefghijklmn"
OLD_KEY = b"zyxwvutsrqponmlkjihgfedc"
RUNFLOW_SECRET = "whsec_plain_secret_of_a_test"  # noqa: S105 - of these tests alone
FAL_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key of a test").digest())
OTHER_FAL_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"another key of a test").digest())
ENVIRON = {
    "ASSET_PIPELINE_WEBHOOK_REPLICATE": f"{whsec(STANDARD_KEY)}, {whsec(OLD_KEY)}",
    "ASSET_PIPELINE_WEBHOOK_SALAD": whsec(STANDARD_KEY),
    "ASSET_PIPELINE_WEBHOOK_RUNFLOW": RUNFLOW_SECRET,
    "ASSET_PIPELINE_WEBHOOK_RUNPOD": "on",
    "ASSET_PIPELINE_WEBHOOK_COG": "on",
    "ASSET_PIPELINE_WEBHOOK_COMFY_DEPLOY": "on",
}


def key_set(*keys: Ed25519PrivateKey) -> bytes:
    """The public halves as fal publishes them."""
    listed = [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("="),
        }
        for key in keys
    ]
    return json.dumps({"keys": listed}).encode()


@dataclass(frozen=True)
class Letter:
    """A delivery on its way."""

    provider: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def standard(
    provider: str, body: Any, when: datetime, *, delivery_id: str = "msg_1", key: bytes = STANDARD_KEY
) -> Letter:
    """As Replicate and Salad deliver."""
    raw, seconds = json.dumps(body).encode(), str(int(when.timestamp()))
    signature = hmac.digest(key, f"{delivery_id}.{seconds}.".encode() + raw, "sha256")
    return Letter(
        provider,
        raw,
        {
            "webhook-id": delivery_id,
            "webhook-timestamp": seconds,
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        },
    )


def fal(
    body: Any, when: datetime, *, request_id: str = "request-1", key: Ed25519PrivateKey = FAL_KEY
) -> Letter:
    """As fal delivers."""
    raw, seconds = json.dumps(body).encode(), str(int(when.timestamp()))
    message = f"{request_id}\nuser-1\n{seconds}\n{hashlib.sha256(raw).hexdigest()}"
    return Letter(
        "fal",
        raw,
        {
            "x-fal-webhook-request-id": request_id,
            "x-fal-webhook-user-id": "user-1",
            "x-fal-webhook-timestamp": seconds,
            "x-fal-webhook-signature": key.sign(message.encode()).hex(),
        },
    )


def runflow(body: Any, *, secret: str = RUNFLOW_SECRET) -> Letter:
    """As Runflow delivers."""
    raw = json.dumps(body).encode()
    return Letter("runflow", raw, {"runflow-signature": hmac.digest(secret.encode(), raw, "sha256").hex()})


def unsigned(provider: str, body: Any) -> Letter:
    """As RunPod, Cog and Comfy Deploy deliver."""
    return Letter(provider, json.dumps(body).encode())


@contextmanager
def serving(receiver: Receiver, *, most_held: int = MOST_HELD) -> Iterator[str]:
    """A server with the receiver on a free port of this machine: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = server_for(application(receiver, most_held=most_held), "127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
