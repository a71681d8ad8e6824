"""The pretended ComfyUI, in its newest version, as a vendor among the others."""

from pathlib import Path
from tempfile import TemporaryDirectory

from asset_pipeline.providers.comfyui import ComfyUI
from asset_pipeline_tests.comfyui_fake import ComfyUI as Server
from asset_pipeline_tests.vendors.case import Case

DATA = Path(__file__).parents[2] / "data"


class ComfyUIVendor(Server):
    """A server with a folder of its own."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        super().__init__("0.38.1", Path(self._folder.name))


def case() -> Case:
    """The adapter with the vendor it is tried on."""
    return Case(ComfyUI(DATA), ComfyUIVendor, {"workflow": "text-to-image", "steps": 4})
