"""Does the picture show what its prompt says?"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from asset_pipeline.checkpoints.held_model import HeldModel
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import MissingModel
from asset_pipeline.scores.score import Look, Measured, Pixels, measure_alone

BATCH: Final = 16
"""Images in a forward pass, always: a short batch is filled up, for an image's last digits depend on it."""
PROMPTS_KEPT: Final = 1024
"""Prompts whose embeddings are kept in memory, because the candidates of a prompt share them."""
EXCHANGES: Final = 4
"""How many others take the place of each thing that a prompt says."""
VOCABULARY: Final = tuple(
    tuple(kind.split(", "))
    for kind in (
        "light from the left, light from the right, light from above",
        "soft daylight, warm evening light, cool morning light",
        "close-up, centred, wide shot",
        "a wooden table, fresh snow, dark slate, a linen cloth, moss, a marble counter, sand, concrete",
        "a forest, a city at night, the sea, a kitchen, mountains, a sunset sky, autumn leaves",
        (
            "white, teal, red, charcoal, pale blue, orange, navy, beige, green, pink, black, yellow, purple, "
            "sage green, brown, lavender, terracotta, blue, mustard yellow, grey, blush pink, warm sand"
        ),
    )
)
"""What may stand in one another's place in a prompt; neighbours are unlike, and none begins another."""

Embeddings = npt.NDArray[np.float32]
"""Rows of unit length."""


class PromptAlignment:
    """The cosine similarity of the picture's and its prompt's embeddings by a CLIP model (arXiv 2103.00020).

    1 is the same direction, 0 is unrelated; what a good match has depends on the model, and values of two
    models cannot be compared. The details compare with prompts that say one thing differently: ``margin`` is
    how much nearer the picture is to its own prompt than to the nearest of them, ``rival``; below 0 it looks
    more like the rival. The margin says more than the value, which also depends on how much the prompt says.

    On the CPU the same picture and prompt have the same value, whatever is measured beside them.

    Failure modes: a CLIP model reads a bag of words: which thing has which property, how many there are, and
    what is *not* to be seen, it hardly knows. Words that it never met, such as product names, say nothing.
    Where the product's own pixels are composed in, the words about the place are what is measured.
    """

    dimension = "prompt_alignment"
    unit = "cosine similarity, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ()

    def __init__(self, checkpoints: Checkpoints, model: str = "sample-clip") -> None:
        self._held = HeldModel(checkpoints, model, _Clip)
        self.version = f"1+{self._held.weights}"

    def unable(self) -> str | None:
        """Load the model, or say why it cannot be."""
        return self._held.unable()

    def measure(self, look: Look) -> Measured:
        """Compare one image with its prompt."""
        return measure_alone(self, look)

    def reduce(self, look: Look) -> "Reduced":
        """The image at the model's size.

        Raises:
            MissingModel: the model is not here; ``unable`` says so before.
        """
        return Reduced(look.prompt, self._held.get().fit(look.pixels))

    def measure_reduced(self, reduced: Sequence["Reduced"]) -> list[Measured]:
        """Compare many images with their prompts; each prompt is embedded once in a process.

        Raises:
            MissingModel: the model is not here; ``unable`` says so before.
        """
        with self._held.lock:
            clip = self._held.get()
            batches = [reduced[start : start + BATCH] for start in range(0, len(reduced), BATCH)]
            return [
                _compared(image, each.prompt, clip)
                for batch in batches
                for image, each in zip(clip.embed_images([each.pixels for each in batch]), batch, strict=True)
            ]


@dataclass(frozen=True)
class Reduced:
    """What the model looks at."""

    prompt: str
    pixels: Pixels
    """The image at the model's size, rows × columns × 3."""


@dataclass(frozen=True)
class Exchange:
    """A prompt that says one thing differently."""

    prompt: str
    said: str
    rival: str


def exchanges(prompt: str) -> list[Exchange]:
    """The prompt with each thing that it says, one at a time, exchanged for others of its kind."""
    return [
        Exchange(prompt[: said.start()] + rival + prompt[said.end() :], said.group().lower(), rival)
        for said in _SAID.finditer(prompt)
        for rival in _RIVALS[said.group().lower()]
    ]


_RIVALS: Final = {
    word: (kind[place + 1 :] + kind[:place])[:EXCHANGES]
    for kind in VOCABULARY
    for place, word in enumerate(kind)
}
_SAID: Final = re.compile(rf"\b(?:{'|'.join(map(re.escape, _RIVALS))})\b", re.IGNORECASE)


def _compared(image: Embeddings, prompt: str, clip: "_Clip") -> Measured:
    if not prompt.strip():
        return Measured(reason="nobody knows what it was to show")
    length = clip.length(prompt)
    if length > clip.context_length:
        return Measured(reason=f"the prompt has {length} tokens, and the model reads {clip.context_length}")
    own, *others = (float(each) for each in clip.embed_prompt(prompt) @ image)
    details: dict[str, Any] = {}
    if others:
        nearest = int(np.argmax(others))
        rival = exchanges(prompt)[nearest]
        details = {"margin": round(own - others[nearest], 4), "said": rival.said, "rival": rival.rival}
    return Measured(round(own, 4), details=details)


class _Clip:
    """An open_clip model in memory, on the accelerator if CUDA has one; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        # torch takes seconds to import, and most processes never look at a picture
        import open_clip  # noqa: PLC0415
        import torch  # noqa: PLC0415

        _refuse_what_is_elsewhere(folder)
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._model = open_clip.create_model(
                f"local-dir:{folder}", device=self._device, require_pretrained=True
            ).eval()
            self._tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        except Exception as error:  # the readers of weights and tokenizers have no error in common
            raise MissingModel(f"{folder} does not load as an open_clip model: {error}") from error
        self._preprocessing = open_clip.get_model_preprocess_cfg(self._model)
        self.context_length = int(self._tokenizer.context_length)
        self.embed_prompt = lru_cache(PROMPTS_KEPT)(self._embed_prompt)

    def fit(self, pixels: Pixels) -> Pixels:
        """The image at the model's size, as open_clip's own preprocessing gives it."""
        return fitted(pixels, self._preprocessing)

    def embed_images(self, images: Sequence[Pixels]) -> Embeddings:
        """At most a batch of images × dimensions."""
        torch = self._torch
        filled = np.zeros((BATCH, *images[0].shape), np.uint8)
        filled[: len(images)] = images
        mean, deviation = (torch.tensor(self._preprocessing[name]).view(3, 1, 1) for name in ("mean", "std"))
        values = torch.from_numpy(filled).permute(0, 3, 1, 2).float().div(255).sub(mean).div(deviation)
        with torch.inference_mode():
            features = self._model.encode_image(values.to(self._device), normalize=True)
        return np.asarray(features[: len(images)].float().cpu().numpy())

    def length(self, prompt: str) -> int:
        """How many tokens the prompt has, with those that the model adds at its ends."""
        hugging_face = getattr(self._tokenizer, "tokenizer", None)
        if hugging_face is None:
            return len(self._tokenizer.encode(prompt)) + 2
        return len(hugging_face(self._tokenizer.clean_fn(prompt), verbose=False).input_ids)

    def _embed_prompt(self, prompt: str) -> Embeddings:
        """The prompt, then its exchanges, × dimensions."""
        texts = [prompt, *(each.prompt for each in exchanges(prompt))]
        with self._torch.inference_mode():
            tokens = self._tokenizer(texts).to(self._device)
            return np.asarray(self._model.encode_text(tokens, normalize=True).float().cpu().numpy())


def fitted(pixels: Pixels, preprocessing: Mapping[str, Any]) -> Pixels:
    """An image at a model's size, the same pixels as by ``open_clip.image_transform(..., is_train=False)``.

    Args:
        pixels: height × width × 3, sRGB.
        preprocessing: open_clip's: ``size`` (rows, columns), ``interpolation`` (bilinear, bicubic),
            ``resize_mode`` (shortest: cut to the middle, longest: padded, squash: stretched), ``fill_color``.
    """
    height, width = pixels.shape[:2]
    rows, columns = preprocessing["size"]
    mode = preprocessing["resize_mode"]
    if mode == "squash":
        size = columns, rows
    elif mode == "shortest" and rows == columns:
        shorter = min(height, width)  # torchvision rounds the longer side down, open_clip to the nearest
        size = int(columns * width / shorter), int(rows * height / shorter)
    else:
        ratio = (max if mode == "longest" else min)(height / rows, width / columns)
        size = max(1, round(width / ratio)), max(1, round(height / ratio))
    bilinear = preprocessing["interpolation"] == "bilinear"
    resized = Image.fromarray(pixels).resize(
        size, Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC
    )
    left, top = (
        -((outer - inner) // 2) if inner < outer else round((inner - outer) / 2)
        for inner, outer in zip(size, (columns, rows), strict=True)
    )
    frame = Image.new("RGB", (columns, rows), (preprocessing["fill_color"],) * 3)
    frame.paste(resized, (-left, -top))
    return np.array(frame, np.uint8)


def _refuse_what_is_elsewhere(folder: Path) -> None:
    """Refuse a configuration that would fetch a part of the model, or its code, from a hub.

    Raises:
        MissingModel: it would, or it is no configuration of open_clip's.
    """
    path = folder / "open_clip_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        text, vision = config["text_cfg"], config["vision_cfg"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingModel(f"{path} is no configuration of an open_clip model: {error!r}") from error
    if (
        text.get("hf_model_name")
        or ":" in (vision.get("timm_model_name") or "")
        or "trust_remote_code" in text.get("tokenizer_kwargs", {})
    ):
        raise MissingModel(f"{path} names parts that are fetched from a hub; use a model that is complete")
