"""Finds writing in a picture and reads it, with models that come in a wheel: nothing is downloaded."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from asset_pipeline.errors import MissingModel
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.reading.orientation import ORIENTATIONS, Orientation, uprighted
from asset_pipeline.reading.text_box import Corner, ReadWord, TextBox
from asset_pipeline.reading.wording import folded, is_of_word

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

WEIGHTS: Final[Mapping[str, str]] = {
    "PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}
"""The detector and the recogniser in rapidocr's wheel (Apache-2.0), by file name and SHA-256."""
LINE: Final = 48
"""Pixels of a line's height for the recogniser, as it was trained."""
NARROWEST: Final = 320
"""Pixels of width to which shorter lines are filled up with grey, as it was trained."""
WIDEST: Final = 3200
"""Pixels of width to which longer lines are squeezed: some 150 letters."""
THREADS: Final = min(4, os.cpu_count() or 1)
"""What was read is the same for any number of them."""


class Reader:
    """PP-OCRv6 (small): a detector for writing (DB, arXiv 1911.08947) and a recogniser for lines (CTC).

    A picture's boxes are found once; each is read in six orientations. The classifier for upside-down lines
    that OCR pipelines put between the two is left out, and so is their turning of tall boxes: both right in
    silence what is to be noticed. Each box is recognised by itself, so that its words do not depend on what
    else there is to read.
    """

    version: Final = f"1+{fingerprint(dict(WEIGHTS))[:12]}"

    def __init__(self) -> None:
        self._models: _Models | None = None
        self._alone = RLock()

    def load(self) -> None:
        """Bring the models into memory, once.

        Raises:
            MissingModel: they are not installed, or not those that were pinned.
        """
        with self._alone:
            self._loaded()

    def read(self, pixels: Pixels, longest: int) -> tuple[TextBox, ...]:
        """Every box with writing in a picture; from any thread.

        Args:
            pixels: height × width × 3, sRGB.
            longest: the pixels of the longer side at which the detector looks at the picture. It overlooks
                both what is small and what is large, so another size finds other boxes. The recogniser reads
                them at full size in any case.

        Raises:
            MissingModel: the models are not here.
        """
        with self._alone:
            models = self._loaded()
            return tuple(models.recognised(pixels, box) for box in models.found(pixels, longest))

    def _loaded(self) -> "_Models":
        if self._models is None:
            self._models = _Models()
        return self._models


class _Models:
    """The two networks in memory, on the processor."""

    def __init__(self) -> None:
        # they take a second to import, and most processes never read
        import cv2  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415
        import rapidocr  # noqa: PLC0415
        from rapidocr.ch_ppocr_det.utils import DBPostProcess  # noqa: PLC0415

        folder = Path(rapidocr.__file__).parent / "models"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        options.enable_cpu_mem_arena = False  # it would keep what the largest picture took
        self._detector, self._recogniser = (
            onnxruntime.InferenceSession(_verified(folder / name), options, ["CPUExecutionProvider"])
            for name in WEIGHTS
        )
        self._cv2 = cv2
        self._boxes = DBPostProcess(box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)
        letters = self._recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._letters = ["", *letters, " "]  # the recogniser's first class is that there is no letter

    def found(self, pixels: Pixels, longest: int) -> list[Values]:
        """The corners of each box, 4 × 2, from the top left one clockwise; boxes from top to bottom."""
        height, width = pixels.shape[:2]
        scale = longest / max(height, width)
        size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        way = self._cv2.INTER_AREA if scale < 1 else self._cv2.INTER_LINEAR
        seen = _normalised(np.asarray(self._cv2.resize(pixels, size, interpolation=way), np.uint8))
        boxes, _ = self._boxes(self._detector.run(None, {"x": seen[None]})[0], (height, width))
        corners = [np.asarray(box, np.float32) for box in boxes]
        return sorted(corners, key=lambda each: (each[0, 1], each[0, 0]))

    def recognised(self, pixels: Pixels, corners: Values) -> TextBox:
        """A box, read in each orientation."""
        top_left, top_right, bottom_right, bottom_left = corners
        width = round(max(*_lengths(top_right - top_left, bottom_right - bottom_left), 1))
        height = round(max(*_lengths(bottom_left - top_left, bottom_right - top_right), 1))
        flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        cut = self._cv2.warpPerspective(
            pixels,
            self._cv2.getPerspectiveTransform(corners, flat),
            (width, height),
            borderMode=self._cv2.BORDER_REPLICATE,
            flags=self._cv2.INTER_CUBIC,
        )
        flattened = np.asarray(cut, np.uint8)
        lines = [self._line(uprighted(flattened, stands)) for stands in ORIENTATIONS]
        widest = max(NARROWEST, *(line.shape[2] for line in lines))
        batch = np.zeros((len(lines), 3, LINE, widest), np.float32)
        for place, line in enumerate(lines):
            batch[place, :, :, : line.shape[2]] = line
        (probabilities,) = self._recogniser.run(None, {"x": batch})
        readings: dict[Orientation, tuple[ReadWord, ...]] = {
            stands: words_of_line(line, self._letters)
            for stands, line in zip(ORIENTATIONS, probabilities, strict=True)
        }
        one, two, three, four = (_corner(corner) for corner in corners)
        return TextBox((one, two, three, four), readings)

    def _line(self, cut: Pixels) -> Values:
        """A box as the recogniser sees it: 3 × 48 × width."""
        width = min(WIDEST, max(1, -(-LINE * cut.shape[1] // cut.shape[0])))
        return _normalised(np.asarray(self._cv2.resize(np.ascontiguousarray(cut), (width, LINE)), np.uint8))


def words_of_line(probabilities: Values, letters: Sequence[str]) -> tuple[ReadWord, ...]:
    """The words of a line by CTC's best path: a letter that goes on is one letter, if no blank comes between.

    A word's confidence is the product of its letters' probabilities: it falls when one of them is guessed,
    where a mean would hardly.

    Args:
        probabilities: places × letters.
        letters: the first stands for none.
    """
    classes, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    changes = np.concatenate([[True], classes[1:] != classes[:-1]])
    words: list[ReadWord] = []
    text, confidence = "", 1.0
    for place in [*np.flatnonzero(changes & (classes > 0)), None]:
        letter = " " if place is None else letters[classes[place]]
        if all(map(is_of_word, letter)):
            text, confidence = text + letter, confidence * float(sure[place])
            continue
        if folded(text):
            words.append(ReadWord(text, round(confidence, 4)))
        text, confidence = "", 1.0
    return tuple(words)


def _normalised(pixels: Pixels) -> Values:
    """The picture as the networks were trained: blue first, channels first, -1 to 1."""
    return np.ascontiguousarray((pixels[..., ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1))


def _lengths(*vectors: Values) -> list[float]:
    return [float(np.linalg.norm(vector)) for vector in vectors]


def _corner(corner: Any) -> Corner:
    return float(corner[0]), float(corner[1])


def _verified(path: Path) -> bytes:
    """The bytes of a model, if they are those that were pinned."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingModel(f"{path} cannot be read; install rapidocr's wheel again ({error})") from error
    if hashlib.sha256(data).hexdigest() != WEIGHTS[path.name]:
        raise MissingModel(f"{path} is not the model that was pinned; install rapidocr as in constraints.txt")
    return data
