"""Where people are to be seen: do they have faces?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from asset_pipeline.checkpoints.held_model import HeldModel
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import MissingModel
from asset_pipeline.scores.score import Look, Measured, Pixels

SIDE: Final = 640
"""The square that is searched, in pixels; larger pictures are reduced to it."""
FOUND: Final = 0.5
"""The least confidence that is taken for a face at all."""
OVERLAP: Final = 0.3
"""From which overlap (intersection over union) two finds are one face; the value of OpenCV's own samples."""
TINY: Final = 0.03
"""Faces lower than this share of the picture's longer side are passers-by: counted and not judged."""
MOST: Final = 100
"""Faces at most."""
WITHOUT_FACE: Final = 0.0
"""The value of a picture of people in which no face is found: it was looked for, and there is none."""
BOX, CONFIDENCE = slice(0, 4), 14
"""What is where in a row of OpenCV's detections; between them lie ten numbers of landmarks."""


class Faces:
    """How sure a detector is of the picture's surest face, 0 to 1; 0 where it finds none.

    Only for asset types that show people (``people: true``); to others it does not apply. Faces lower than
    3 % of the picture's longer side do not count. ``faces``, ``tiny``, ``least_sure`` and ``boxes`` (left,
    top, width, height, confidence; in shares of the picture) are details.

    The detector is YuNet (Wu, Peng and Yu, Machine Intelligence Research 20, 2023), from OpenCV Zoo (MIT), as
    the checkpoint ``yunet`` (0.2 MB of ONNX that ships with the project), through OpenCV's
    ``FaceDetectorYN``; 16 ms for a picture and core.

    Measured with these weights on changed copies of one photograph of one person (skimage's ``astronaut``):
    0.93 as it is, 0.94 and 0.89 with the face 53 and 25 pixels high, 0.15 at 14 pixels; 0.75 under a blur of
    10 pixels; 0.69 upside down; below 0.5 on a cup, a cat and a rocket. Not measured on a set of people, nor
    on what models draw.

    Failure modes: that there is a face, not that it is right: distorted ones (eyes away, upside down in its
    place, a whirl) came out at 0.84 to 0.92. People who turn away have no face. Faces on labels, posters and
    screens, and of dolls, are faces. How sure it is differs with pose, light and probably with skin tone and
    age, which nobody measured here, so a threshold on it should warn and not block.
    """

    dimension = "faces"
    unit = "confidence, 0 to 1"
    better = "higher"
    expects: tuple[str, ...] = ("people",)
    promises: tuple[str, ...] = ("faces",)

    def __init__(self, checkpoints: Checkpoints, model: str = "yunet") -> None:
        self._held = HeldModel(checkpoints, model, _detector)
        self.version = f"1+{self._held.weights}"

    def unable(self) -> str | None:
        """Load the detector, or say why it cannot be."""
        return self._held.unable()

    def measure(self, look: Look) -> Measured:
        """Look for faces in one picture."""
        reduced = self.reduce(look)
        if isinstance(reduced, Measured):
            return reduced
        if reason := self.unable():
            return Measured(reason=reason)
        return self.measure_reduced([reduced])[0]

    def reduce(self, look: Look) -> "Reduced | Measured":
        """The picture at the detector's size, in the left upper corner of a black square."""
        if not look.expectation.people:
            return Measured(reason="its asset type shows no people", applies=False)
        height, width = look.pixels.shape[:2]
        if not look.pixels.size:
            return Measured(reason="it has no pixels")
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        pixels = np.ascontiguousarray(look.pixels)
        if max(height, width) > SIDE:
            scale = SIDE / max(height, width)
            reduced = max(1, round(width * scale)), max(1, round(height * scale))
            pixels = np.asarray(cv2.resize(pixels, reduced, interpolation=cv2.INTER_AREA), np.uint8)
        size = pixels.shape[1], pixels.shape[0]
        square[: size[1], : size[0]] = pixels[..., ::-1]
        return Reduced(square, size)

    def measure_reduced(self, reduced: Sequence["Reduced"]) -> list[Measured]:
        """Look for faces in many pictures, one at a time.

        Raises:
            MissingModel: the detector is not here; ``unable`` says so before.
        """
        with self._held.lock:
            detector = self._held.get()
            return [_judged(detector.detect(each.square)[1], each.size) for each in reduced]


@dataclass(frozen=True)
class Reduced:
    """What the detector looks at."""

    square: Pixels
    """``SIDE`` × ``SIDE`` × 3, blue first, as OpenCV has it; the picture in its left upper corner."""
    size: tuple[int, int]
    """The picture's width and height in it."""


def _judged(rows: npt.NDArray[np.float32] | None, size: tuple[int, int]) -> Measured:
    """What the detections say of a picture of that size."""
    least = TINY * max(size)
    found = [] if rows is None else sorted(rows, key=lambda row: -float(row[CONFIDENCE]))
    faces = [row for row in found if row[BOX][3] >= least]
    details = {
        "faces": len(faces),
        "tiny": len(found) - len(faces),
        "boxes": [
            [*(round(float(part) / size[place % 2], 3) for place, part in enumerate(row[BOX])), _sure(row)]
            for row in faces
        ],
    }
    if not faces:
        return Measured(WITHOUT_FACE, details=details)
    return Measured(_sure(faces[0]), details=details | {"least_sure": _sure(faces[-1])})


def _sure(row: npt.NDArray[np.float32]) -> float:
    return round(float(row[CONFIDENCE]), 4)


def _detector(folder: Path) -> Any:
    """OpenCV's detector with the checkpoint's one ONNX file.

    Raises:
        MissingModel: there is none, or OpenCV cannot use it.
    """
    try:
        (path,) = folder.glob("*.onnx")
    except ValueError as error:
        raise MissingModel(f"{folder} has to hold one .onnx file") from error
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of a choice nobody makes here
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (SIDE, SIDE), FOUND, OVERLAP, MOST)
    except cv2.error as error:
        raise MissingModel(f"{path} does not load as a face detector: {error}") from error
    finally:
        cv2.utils.logging.setLogLevel(level)
