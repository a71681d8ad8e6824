"""What the models of the peers draw, and what they can be told to do instead.

It runs in the peers' own environments as well, so that it needs nothing but Python's library.

Words in square brackets in a prompt are orders, which reach a model through any adapter: ``[seconds 2]``
makes it slow, ``[fail CUDA out of memory]`` makes it fail with these words, ``[crash]`` ends its process. A
workflow can also be told ``[warn no VAE]``: a picture, and an error beside it.
"""

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEDGER = "PEER_LEDGER"
"""The environment variable that names the file to which each picture that is begun adds a line."""
_ORDER = re.compile(r"\[([a-z]+)(?: ([^\]]*))?\]")
_BANDS = 16


@dataclass(frozen=True)
class Painting:
    """What a model was asked for."""

    prompt: str
    width: int = 64
    height: int = 64
    seed: int = 0
    orders: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, prompt: str, width: int = 64, height: int = 64, seed: int = 0) -> "Painting":
        """With the orders that stand in the prompt."""
        orders = {name: words or "" for name, words in _ORDER.findall(prompt)}
        return cls(prompt, width, height, seed, orders)

    @property
    def seconds(self) -> float:
        """How long the model takes."""
        return float(self.orders.get("seconds", 0))

    def begin(self, **told: Any) -> None:
        """Write down that work began, which is what is paid for, and follow the orders to crash or to fail.

        Raises:
            RuntimeError: the prompt orders a failure.
        """
        entry = {"prompt": self.prompt, "width": self.width, "height": self.height, "seed": self.seed, **told}
        with Path(os.environ[LEDGER]).open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(entry) + "\n")
        if "crash" in self.orders:
            os._exit(3)
        if "fail" in self.orders:
            raise RuntimeError(self.orders["fail"] or "the model failed")

    def png(self) -> bytes:
        """Stripes in two directions, the same for the same prompt, size and seed."""
        digest = hashlib.sha256(f"{self.prompt}\n{self.seed}".encode()).digest()
        rows = [b"\0" + self._row(digest, band) for band in range(_BANDS)]
        lines = b"".join(rows[y * _BANDS // self.height] for y in range(self.height))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)

    def _row(self, digest: bytes, band: int) -> bytes:
        pixels = bytearray()
        for x in range(self.width):
            start = (x * _BANDS // self.width) + band
            pixels += bytes(digest[(start + 7 * channel) % len(digest)] for channel in range(3))
        return bytes(pixels)


def ledger_of(file: Path) -> list[dict[str, Any]]:
    """The pictures that were begun, in their order."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
