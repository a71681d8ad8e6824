"""Prompt embeddings, made once for each prompt, whatever batch it comes in."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Row = tuple[Any, ...]
"""What a pipeline's ``encode_prompt`` returns for one prompt."""


class RememberedPrompts:
    """Stands in for a pipeline's ``encode_prompt``: each prompt is encoded alone and remembered.

    Encoded alone, a prompt's embeddings do not depend on its batch either.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._rows: OrderedDict[tuple[Any, ...], Row] = OrderedDict()
        self.made = 0
        self.reused = 0

    def forget(self) -> None:
        """Forget every embedding: the encoder is another one now."""
        self._rows.clear()

    def listen_to(self, pipeline: Any) -> None:
        """Put this memory before the pipeline's encoder, if it has one that can be asked by words alone."""
        encode = getattr(pipeline, "encode_prompt", None)
        if encode is None:
            return
        signature = inspect.signature(encode)

        def remembering(*args: Any, **kwargs: Any) -> Row:
            asked = signature.bind(*args, **kwargs).arguments
            prompts = asked.get("prompt")
            if not isinstance(prompts, list) or not all(map(_is_a_word, asked.values())):
                return tuple(encode(*args, **kwargs))
            return _joined(
                [self._row(encode, _alone(asked, prompts, index)) for index in range(len(prompts))]
            )

        pipeline.encode_prompt = remembering

    def _row(self, encode: Callable[..., Any], asked: Mapping[str, Any]) -> Row:
        key = tuple(
            (name, tuple(value) if isinstance(value, list) else value) for name, value in asked.items()
        )
        if key in self._rows:
            self.reused += 1
            self._rows.move_to_end(key)
            return self._rows[key]
        self.made += 1
        row = self._rows[key] = tuple(encode(**asked))
        if len(self._rows) > self._keep:
            self._rows.popitem(last=False)
        return row


def _is_a_word(value: Any) -> bool:
    """Whether an argument can be part of a name in the memory; pictures and tensors cannot."""
    if isinstance(value, list | tuple):
        return all(map(_is_a_word, value))
    return value is None or isinstance(value, str | int | float | torch.device)


def _alone(asked: Mapping[str, Any], prompts: Sequence[str], index: int) -> dict[str, Any]:
    """The arguments for one prompt: a list of as many words as there are prompts goes with them."""

    def goes_with_them(value: Any) -> bool:
        return isinstance(value, list) and len(value) == len(prompts) and isinstance(value[index], str | None)

    return {name: [value[index]] if goes_with_them(value) else value for name, value in asked.items()}


def _joined(rows: Sequence[Row]) -> Row:
    """What the pipeline would have returned for all prompts at once."""
    if len(rows) == 1:
        return rows[0]
    if len({row[0].shape[1] for row in rows if isinstance(row[0], torch.Tensor)}) > 1:
        rows = _padded(rows)
    return tuple(map(_together, zip(*rows, strict=True)))


def _together(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, list):
        return [each for part in parts for each in part]
    if isinstance(first, torch.Tensor) and first.shape[0] == 1:
        return torch.cat(list(parts))
    return first


def _padded(rows: Sequence[Row]) -> list[Row]:
    """Embeddings of different lengths with their masks, as Qwen-Image pads them: zeros behind, masked out.

    A mask of None means that every token counts.
    """
    longest = max(row[0].shape[1] for row in rows)
    padded = []
    for embeddings, mask in rows:
        length = embeddings.shape[1]
        counts = embeddings.new_ones((1, length), dtype=torch.long) if mask is None else mask
        padded.append(
            (
                torch.nn.functional.pad(embeddings, (0, 0, 0, longest - length)),
                torch.nn.functional.pad(counts, (0, longest - length)),
            )
        )
    return padded
