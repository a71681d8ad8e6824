"""The model that Cog's server runs; it is loaded by its path, in the peers' environment."""

import hashlib
import tempfile
import time
from pathlib import Path as LocalPath

from cog import Input, Path  # type: ignore[import-not-found]

from asset_pipeline_tests.peers.painting import Painting

_STEP = 0.02
"""Seconds; a prediction is cancelled between two lines of Python, and not within a long sleep."""


def run(  # noqa: PLR0913, PLR0917 - the inputs of a model
    prompt: str = Input(description="What to draw"),
    negative_prompt: str = Input(default=""),
    width: int = Input(default=64, ge=8, le=2048),
    height: int = Input(default=64, ge=8, le=2048),
    seed: int = Input(default=0),
    seconds: float = Input(default=0.0),
    image: Path | None = Input(default=None),  # noqa: B008 - how Cog declares inputs
) -> Path:
    """Draw a picture."""
    painting = Painting.of(prompt, width, height, seed)
    reference = image and hashlib.sha256(LocalPath(image).read_bytes()).hexdigest()
    painting.begin(negative_prompt=negative_prompt, image=reference)
    print(f"Using seed: {seed}")  # noqa: T201
    until = time.monotonic() + max(seconds, painting.seconds)
    while time.monotonic() < until:
        time.sleep(_STEP)
    file = LocalPath(tempfile.mkdtemp(), "output.png")
    file.write_bytes(painting.png())
    return Path(file)
