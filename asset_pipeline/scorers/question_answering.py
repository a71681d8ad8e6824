"""Would a model that looks at the picture say that it shows what its prompt says?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from asset_pipeline.checkpoints.held_model import HeldModel
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import MissingModel
from asset_pipeline.scores.score import Look, Measured, Pixels, measure_alone

QUESTION: Final = 'Does this figure show "{prompt}"? Please answer yes or no.'
"""The question of VQAScore (arXiv 2404.01291, section 3)."""
YES: Final = ("Yes", "yes", " Yes", " yes")
NO: Final = ("No", "no", " No", " no")
"""How the answer may begin, each one token."""
LONGEST: Final = 512
"""The longer side of what the model is shown, in pixels; its own preparation takes it from there."""
TOGETHER: Final = 8
"""Pictures of one prompt and size that a GPU looks at together. A CPU gains nothing by it, and takes one."""
QUESTIONS_KEPT: Final = 1024
"""Prompts whose questions are kept, because the candidates of a prompt share them."""


class QuestionAnswering:
    """The probability that a vision-language model answers yes, 0 to 1 (VQAScore, arXiv 2404.01291).

    It is asked, in its own chat format, 'Does this figure show "..."? Please answer yes or no.'; the value is
    what it gives to an answer that begins with yes; the probability of no is in the details. The paper finds
    that this follows people's judgement of compositions (what has which property, how many, what is where)
    better than the similarity of a CLIP model, which reads a bag of words.

    The model is any that transformers loads as image-text-to-text, from pinned safetensors and without code
    of its own; licence and cost are the model's. It computes in bfloat16 where the processor multiplies in it
    (CUDA that says so; a CPU with AVX512-BF16 or AMX), else in float32; ``dtype`` in the details says which,
    and values of the two differ a little. On the CPU a picture is looked at alone, so that its value does not
    depend on its company; on a GPU the last digits do.

    Failure modes: it is as good as its model; no model was measured here but tiny random ones. Of a long
    prompt it may believe the whole for a part. Values of two models cannot be compared, and a threshold
    holds for one. The picture is reduced to 512 pixels: what is too small there is not seen.
    """

    dimension = "question_answering"
    unit = "probability"
    better = "higher"
    expects: tuple[str, ...] = ()

    def __init__(self, checkpoints: Checkpoints, model: str) -> None:
        self._held = HeldModel(checkpoints, model, _Answering)
        self.version = f"1+{self._held.weights}"

    def unable(self) -> str | None:
        """Load the model, or say why it cannot be."""
        return self._held.unable()

    def measure(self, look: Look) -> Measured:
        """Ask about one image."""
        return measure_alone(self, look)

    def reduce(self, look: Look) -> "Shown | Measured":
        """The image at 512 pixels, with its prompt."""
        if not look.prompt.strip():
            return Measured(reason="nobody knows what it was to show")
        if not look.pixels.size:
            return Measured(reason="it has no pixels")
        image = Image.fromarray(look.pixels)
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        return Shown(look.prompt, np.asarray(image, np.uint8))

    def measure_reduced(self, reduced: Sequence["Shown"]) -> list[Measured]:
        """Ask about many images.

        Raises:
            MissingModel: the model is not here; ``unable`` says so before.
        """
        with self._held.lock:
            answering = self._held.get()
            found: dict[int, Measured] = {}
            for places in alike(reduced, answering.together):
                shown = [reduced[place] for place in places]
                answers = answering.ask(shown[0].prompt, [each.pixels for each in shown])
                found |= dict(zip(places, answers, strict=True))
            return [found[place] for place in range(len(reduced))]


def question_answering(checkpoints: Checkpoints, model: str) -> tuple[QuestionAnswering]:
    """The scorer alone, as a process of its own is told what to make."""
    return (QuestionAnswering(checkpoints, model),)


@dataclass(frozen=True)
class Shown:
    """What the model looks at."""

    prompt: str
    pixels: Pixels
    """The image, its longer side at most 512 pixels."""


def alike(reduced: Sequence[Shown], together: int) -> Iterator[list[int]]:
    """The places of images to ask about at once: those of one prompt and size, so that none is padded."""
    places: dict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
    for place, each in enumerate(reduced):
        places[each.prompt, each.pixels.shape].append(place)
    for same in places.values():
        yield from (same[start : start + together] for start in range(0, len(same), together))


class _Answering:
    """A vision-language model in memory, on the accelerator if CUDA has one; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        # torch takes seconds to import, and most processes never look at a picture
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        transformers.utils.logging.disable_progress_bar()
        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = torch.bfloat16 if _multiplies_bfloat16(torch, self._device.type) else torch.float32
        self.together = TOGETHER if self._device.type == "cuda" else 1
        only_these = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._processor = transformers.AutoProcessor.from_pretrained(folder, **only_these)
            model, loaded = transformers.AutoModelForImageTextToText.from_pretrained(
                folder, dtype=self._dtype, use_safetensors=True, output_loading_info=True, **only_these
            )
            if loaded["missing_keys"]:  # transformers would fill them with random numbers
                raise ValueError(f"the files lack {', '.join(sorted(loaded['missing_keys'])[:3])}")  # noqa: TRY301
            self._model = model.to(self._device).eval()
            tokenizer = self._processor.tokenizer
            self._yes, self._no = _answers(tokenizer, YES), _answers(tokenizer, NO)
            self._control = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
            self._question("anything")
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # configurations, weights, tokenizers and templates fail in as many ways
            raise MissingModel(f"{folder} does not load as a vision-language model: {error}") from error
        self.question = lru_cache(QUESTIONS_KEPT)(self._question)

    def ask(self, prompt: str, images: Sequence[Pixels]) -> list[Measured]:
        """Ask about images of one prompt and size."""
        if control := next((token for token in self._control if token in prompt), None):
            return [
                Measured(reason=f"the prompt holds {control}, which the model takes for a command")
            ] * len(images)
        torch = self._torch
        try:
            inputs = self._processor(
                text=[self.question(prompt)] * len(images),
                images=[[Image.fromarray(each)] for each in images],
                return_tensors="pt",
            )
        except ValueError as error:
            height, width = images[0].shape[:2]
            reason = f"the model's preparation refuses a picture of {width} × {height}: {error}"
            return [Measured(reason=reason)] * len(images)
        with torch.inference_mode():
            answer = self._model.generate(
                **inputs.to(self._device, dtype=self._dtype),  # numbers of tokens stay whole
                max_new_tokens=1,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
            chances = answer.logits[0].float().softmax(dim=-1).cpu()
        yes, no = (chances[:, tokens].sum(dim=-1).tolist() for tokens in (self._yes, self._no))
        name = str(self._dtype).removeprefix("torch.")
        return [
            Measured(round(min(1.0, one), 6), details={"no": round(min(1.0, other), 6), "dtype": name})
            for one, other in zip(yes, no, strict=True)
        ]

    def _question(self, prompt: str) -> str:
        """The question about a prompt in the model's own chat format."""
        content = [{"type": "image"}, {"type": "text", "text": QUESTION.format(prompt=prompt)}]
        asked = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return str(asked)


def _answers(tokenizer: Any, spellings: Sequence[str]) -> list[int]:
    """The tokens that each are one of these answers.

    Raises:
        ValueError: the tokenizer has none.
    """
    spelled = (tokenizer.encode(each, add_special_tokens=False) for each in spellings)
    tokens = sorted({each[0] for each in spelled if len(each) == 1 and each[0] != tokenizer.unk_token_id})
    if not tokens:
        raise ValueError(f"its tokenizer has no token for {spellings[0]!r}")
    return tokens


def _multiplies_bfloat16(torch: Any, device: str) -> bool:
    """Whether the processor itself multiplies in bfloat16; emulated it is slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
