"""What a checkpoint's pipeline has words for, and how a drawing is said in them.

Read from the checkpoint's configuration and tokenizers; no weights are loaded. Nothing is truncated, resized
or ignored silently: what cannot be said is refused here, before a picture is begun.
"""

import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.attention_dispatch import attention_backend
from diffusers.models.cache_utils import CacheMixin
from diffusers.pipelines import auto_pipeline
from PIL import Image

from asset_pipeline.candidates.request import Pixels
from asset_pipeline.diffusion.drawing import Drawing
from asset_pipeline.diffusion.settings import Role, Settings, Task
from asset_pipeline.errors import MissingModel, UnsupportedRequest

_TASKS: Mapping[Task, Mapping[str, type]] = {
    "text-to-image": auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
    "image-to-image": auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    "inpainting": auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
}
_TASK_ROLES: Mapping[Task, frozenset[Role]] = {
    "text-to-image": frozenset(),
    "image-to-image": frozenset({"image"}),
    "inpainting": frozenset({"image", "mask"}),
}
_PACKED = ("Chroma", "Flux", "ZImage")
"""Families that pack 2 × 2 latents into a token without saying so in their configuration."""
_CHAT = ("Flux2Klein", "ZImage")
"""Families that put a prompt into their tokenizer's chat template."""
_INPAINTING_CHANNELS = 9
"""Of a UNet that is told what is around the hole: four of noise, four of the picture, one of the mask."""
_LEAST_REFERENCE = 64
"""Pixels; FLUX.2 takes no smaller picture, and there is nothing to resemble in one."""
_AFTER_PROMPT = {"QwenImage": 5}
"""Tokens that a pipeline's own template adds after the prompt: ``<|im_end|>\\n<|im_start|>assistant\\n``."""


class Vocabulary:
    """The words of one pipeline: a checkpoint, a task, and what is added to it."""

    def __init__(self, settings: Settings, folder: Path, controlnet: Path | None) -> None:
        """Read what `folder` says of itself.

        Raises:
            MissingModel: the folder is no pipeline in diffusers' format.
            UnsupportedRequest: the pipeline has no words for the settings; all of them at once.
        """
        self._settings = settings
        self._folder = folder
        self._index = read_config(settings.model, folder / "model_index.json")
        self._components = {
            name: entry
            for name, entry in self._index.items()
            if isinstance(entry, list) and len(entry) == 2 and entry[1] is not None  # noqa: PLR2004 - library, class
        }
        self.controlnet_class = _controlnet_class(settings, controlnet)
        self.pipeline_class = self._pipeline_class()
        self._words = inspect.signature(self.pipeline_class.__call__).parameters
        wrong = list(self._objections_to_settings())
        if wrong:
            raise UnsupportedRequest(f"{self._name}: {'; '.join(wrong)}")

    @property
    def _name(self) -> str:
        return f"{self._settings.model} ({self.pipeline_class.__name__})"

    @cached_property
    def denoiser(self) -> str:
        """The name of the component that most time is spent in."""
        return "transformer" if "transformer" in self._components else "unet"

    @cached_property
    def text_models(self) -> dict[str, Any]:
        """The classes of the components that transformers loads, by their names."""
        classes = {name: self._class_of(name) for name in self._components}
        return {
            name: kind
            for name, kind in classes.items()
            if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
        }

    @cached_property
    def multiple(self) -> int:
        """What a picture's width and height must divide by."""
        vae = self._config("vae")
        channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
        halvings = len(channels) - 1 if channels else len(vae.get("temperal_downsample", ()))
        patch = self._config(self.denoiser).get("patch_size")
        packed = 2 if self.pipeline_class.__name__.startswith(_PACKED) else 1
        return int(2**halvings * max(patch if isinstance(patch, int) else 1, packed))

    @cached_property
    def hears_negative_prompt(self) -> bool:
        """Whether a negative prompt changes the picture: there is guidance by a second pass."""
        if "negative_prompt" not in self._words:
            return False
        word = "true_cfg_scale" if "true_cfg_scale" in self._words else "guidance_scale"
        scale = getattr(self._settings, word)
        effective = self._words[word].default if scale is None else scale
        return bool(effective > (0.0 if self.pipeline_class.__name__.startswith("ZImage") else 1.0))

    @cached_property
    def roles(self) -> frozenset[Role]:
        """The pictures that the pipeline needs."""
        asked: set[Role] = set(_TASK_ROLES[self._settings.task])
        if self._settings.controlnet:
            asked.add("control")
        if self._settings.ip_adapter:
            asked.add("reference")
        return frozenset(asked)

    @cached_property
    def takes_reference(self) -> bool:
        """Whether it can be shown a picture that the result shall resemble, without an IP-Adapter."""
        return (
            self._settings.task == "text-to-image"
            and self._settings.controlnet is None
            and "image" in self._words
            and "strength" not in self._words
        )

    def drops(self, drawing: Drawing) -> tuple[str, ...]:
        """What the profile allows to be left unsaid, and will be."""
        unheard = bool(drawing.negative_prompt) and not self.hears_negative_prompt
        return ("negative_prompt",) if unheard and "negative_prompt" in self._settings.may_drop else ()

    def check(self, drawing: Drawing) -> None:
        """Refuse what the pipeline has no words for.

        Raises:
            UnsupportedRequest: with every reason.
        """
        wrong = list(self._objections_to(drawing))
        if wrong:
            raise UnsupportedRequest(f"{self._name}: {'; '.join(wrong)}")

    def tokens(self, text: str) -> tuple[int, int]:
        """How many tokens a text is, template and marks included, and how many the pipeline reads.

        Where several encoders read it, the one that reads most decides: the others give a summary only
        (FLUX.1 and SD 3.5 give CLIP's first 77 tokens beside all of T5's).
        """
        readers = [self._reader(name, text) for name in self._tokenizers]
        return max(readers, key=lambda reader: reader[1]) if readers else (0, sys.maxsize)

    def say(self, drawings: Sequence[Drawing]) -> dict[str, Any]:
        """The arguments of the pipeline's call for drawings of one size; each has its own generator.

        The generators are the CPU's wherever the model runs: the same seed is the same noise everywhere.
        """
        settings, first = self._settings, drawings[0]
        said: dict[str, Any] = {
            **settings.arguments,
            "prompt": [each.prompt for each in drawings],
            "width": first.width,
            "height": first.height,
            "num_inference_steps": settings.steps,
            "generator": [torch.Generator("cpu").manual_seed(each.seed) for each in drawings],
            "output_type": "pt",
        }
        for word in ("guidance_scale", "true_cfg_scale", "strength", "max_sequence_length"):
            if getattr(settings, word) is not None:
                said[word] = getattr(settings, word)
        if self.hears_negative_prompt and ("true_cfg_scale" in self._words or first.negative_prompt):
            # These pipelines guide by a second pass only if they are given a negative prompt, even if empty.
            said["negative_prompt"] = [each.negative_prompt for each in drawings]
        if settings.controlnet:
            said["controlnet_conditioning_scale"] = settings.controlnet.scale
            said["control_guidance_start"] = settings.controlnet.start
            said["control_guidance_end"] = settings.controlnet.end
        for role in first.images:
            pictures = [_picture(each.images[role], role) for each in drawings]
            said[self._word_for(role)] = pictures if len(pictures) > 1 else pictures[0]
        return {
            word: value for word, value in said.items() if word in self._words or word in settings.arguments
        }

    def _word_for(self, role: Role) -> str:
        if role == "mask":
            return "mask_image"
        if role == "control" and "control_image" in self._words:
            return "control_image"
        if role == "reference" and self._settings.ip_adapter:
            return "ip_adapter_image"
        return "image"

    def _pipeline_class(self) -> Any:
        """The class that does the task with this checkpoint's components."""
        own, name, task = self._index.get("_class_name"), self._settings.model, self._settings.task
        own_class = getattr(diffusers, own, None) if isinstance(own, str) else None
        foreign = [
            library
            for library, _ in self._components.values()
            if library not in ("diffusers", "transformers") and not hasattr(diffusers.pipelines, library)
        ]
        if own_class is None or foreign:
            raise UnsupportedRequest(
                f"{name}: needs code that diffusers {diffusers.__version__} does not have "
                f"({', '.join([str(own), *foreign])}); code that comes with a checkpoint is never run"
            )
        families = [
            family for classes in _TASKS.values() for family in classes if classes[family] is own_class
        ]
        family = families[0] if families else ""
        if self.controlnet_class is not None:
            union = "-union" if "Union" in self.controlnet_class.__name__ else ""
            family = f"{family}-controlnet{union}"
        chosen = _TASKS[task].get(family)
        if chosen is None and not families and self.controlnet_class is None and task == "text-to-image":
            chosen = own_class
        if chosen is None:
            can = ", ".join(each for each in _TASKS if family in _TASKS[each]) or "nothing of the kind"
            added = " with this ControlNet" if self.controlnet_class else ""
            raise UnsupportedRequest(
                f"{name} ({own}): there is no {task} pipeline for it{added} (it can: {can})"
            )
        return chosen

    def _class_of(self, component: str) -> Any:
        library, name = self._components.get(component, ("diffusers", ""))
        return getattr(transformers if library == "transformers" else diffusers, name, None)

    def _config(self, component: str) -> dict[str, Any]:
        if component not in self._components:
            return {}
        return read_config(self._settings.model, self._folder / component / "config.json")

    def _objections_to_settings(self) -> Iterator[str]:
        settings, words = self._settings, self._words
        denoiser = self._class_of(self.denoiser)
        for word in ("guidance_scale", "true_cfg_scale", "strength", "max_sequence_length"):
            if getattr(settings, word) is not None and word not in words:
                yield f"it has no {word}"
        for word in sorted(settings.arguments.keys() - words.keys()):
            yield f"it has no argument {word}"
        lacks = {
            "its checkpoint is distilled and would ignore guidance_scale": self._ignores_guidance(),
            f"{settings.steps} steps at strength {settings.strength} are no step at all": (
                settings.strength is not None and int(settings.steps * settings.strength) < 1
            ),
            "its checkpoint was trained for inpainting and does nothing else": (
                settings.task != "inpainting"
                and self._config("unet").get("in_channels") == _INPAINTING_CHANNELS
            ),
            "it takes no LoRA": settings.loras and not hasattr(self.pipeline_class, "load_lora_weights"),
            "it takes no IP-Adapter": (
                settings.ip_adapter and not hasattr(self.pipeline_class, "load_ip_adapter")
            ),
            f"its {self.denoiser} has no step caches": (
                settings.step_cache and not issubclass(denoiser, CacheMixin)
            ),
            f"its {self.denoiser} has no repeated blocks to compile": (
                settings.compile and not getattr(denoiser, "_repeated_blocks", None)
            ),
            f"its {self.denoiser} has no choice of attention": (
                settings.attention != "auto"
                and not hasattr(sys.modules[denoiser.__module__], "dispatch_attention_fn")
            ),
            "its autoencoder does not decode in tiles": (
                settings.vae_tiling and not hasattr(self._class_of("vae"), "enable_tiling")
            ),
        }
        yield from (reason for reason, applies in lacks.items() if applies)
        if settings.attention != "auto":
            try:
                with attention_backend(settings.attention):
                    pass
            except (RuntimeError, ValueError) as error:
                yield f"attention {settings.attention}: {error}"
        if settings.scheduler:
            yield from self._objections_to_scheduler(settings.scheduler.name, settings.scheduler.options)
        for width, height in settings.native_sizes:
            if width % self.multiple or height % self.multiple:
                yield f"native size {width} x {height} does not divide by {self.multiple}"

    def _objections_to_scheduler(self, name: str, options: Mapping[str, Any]) -> Iterator[str]:
        own = self._components["scheduler"][1]
        if own.startswith("FlowMatch") != name.startswith("FlowMatch"):
            yield f"{name} does not solve what {own} solves"
        unknown = options.keys() - inspect.signature(getattr(diffusers, name)).parameters.keys()
        if unknown:
            yield f"{name} has no {', '.join(sorted(unknown))}"

    def _ignores_guidance(self) -> bool:
        """Whether ``guidance_scale`` would go unheard: FLUX.1 schnell, Qwen-Image, FLUX.2 klein."""
        scale = self._settings.guidance_scale
        if scale is None:
            return False
        if "true_cfg_scale" in self._words:
            return not self._config(self.denoiser).get("guidance_embeds", False)
        return bool(self._index.get("is_distilled", False)) and scale > 1.0

    def _objections_to(self, drawing: Drawing) -> Iterator[str]:
        if drawing.width % self.multiple or drawing.height % self.multiple:
            yield f"{drawing.width} x {drawing.height} does not divide by {self.multiple}"
        yield from self._objections_to_pictures(drawing)
        texts = {"prompt": drawing.prompt}
        if drawing.negative_prompt and self.hears_negative_prompt:
            texts["negative prompt"] = drawing.negative_prompt
        elif drawing.negative_prompt and "negative_prompt" not in self._settings.may_drop:
            yield "it does not hear a negative prompt (the profile's may_drop can leave it unsaid)"
        for what, text in texts.items():
            count, limit = self.tokens(text)
            if count > limit:
                yield f"the {what} has {count} tokens, its text encoder reads {limit}"

    def _objections_to_pictures(self, drawing: Drawing) -> Iterator[str]:
        given = drawing.images.keys()
        taken = self.roles | ({"reference"} if self.takes_reference else set())
        for role in sorted(self.roles - given):
            yield f"it needs a picture as {role}"
        for role in sorted(given - taken):
            yield f"it takes no picture as {role}"
        for role in sorted(given):
            height, width = drawing.images[role].shape[:2]
            if role == "reference" and min(width, height) < _LEAST_REFERENCE:
                yield f"the reference is {width} x {height}, less than {_LEAST_REFERENCE} pixels"
            if role != "reference" and (width, height) != (drawing.width, drawing.height):
                yield f"the {role} is {width} x {height}, the drawing {drawing.width} x {drawing.height}"

    def _reader(self, name: str, text: str) -> tuple[int, int]:
        tokenizer, family = self._tokenizers[name], self.pipeline_class.__name__
        if family.startswith(_CHAT):
            # Without thinking the template is four tokens longer, so that this count never is too low.
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        added = sum(tokens for start, tokens in _AFTER_PROMPT.items() if family.startswith(start))
        count = len(tokenizer(text, truncation=False, verbose=False).input_ids) + added
        if "max_sequence_length" in self._words and not self._components[name][1].startswith("CLIP"):
            chosen = self._settings.max_sequence_length
            return count, int(self._words["max_sequence_length"].default if chosen is None else chosen)
        encoder = self._config(name.replace("tokenizer", "text_encoder"))
        return count, min(
            int(tokenizer.model_max_length), encoder.get("max_position_embeddings", sys.maxsize)
        )

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        return {
            name: self._class_of(name).from_pretrained(self._folder / name, local_files_only=True)
            for name in self._components
            if name.startswith("tokenizer")
        }


def read_config(model: str, path: Path) -> dict[str, Any]:
    """A configuration file of a checkpoint. Raises MissingModel if it is not there or not JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MissingModel(
            f"{model}: {path} cannot be read ({error}); a checkpoint must be in diffusers' format, "
            "as save_pretrained writes it"
        ) from error
    return dict(content)


def _controlnet_class(settings: Settings, folder: Path | None) -> Any:
    if settings.controlnet is None or folder is None:
        return None
    name = str(read_config(settings.controlnet.model, folder / "config.json").get("_class_name"))
    found = getattr(diffusers, name, None)
    if found is None or "ControlNet" not in name:
        raise UnsupportedRequest(f"{settings.controlnet.model}: {name} is no ControlNet")
    return found


def _picture(pixels: Pixels, role: Role) -> Image.Image:
    return Image.fromarray(pixels).convert("L" if role == "mask" else "RGB")
