"""From verified files to a pipeline that is ready to draw. Only safetensors, no code but diffusers' own."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.mag_cache import MagCacheConfig
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig
from safetensors import SafetensorError

from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.diffusion.settings import IpAdapter, Lora, Settings, StepCache
from asset_pipeline.diffusion.vocabulary import Vocabulary
from asset_pipeline.errors import MissingModel

_STEP_CACHES: Mapping[str, Any] = {
    "first_block": FirstBlockCacheConfig,
    "mag": MagCacheConfig,
    "taylorseer": TaylorSeerCacheConfig,
}
_SAFE = {"use_safetensors": True, "local_files_only": True}


def choose_device() -> torch.device:
    """Where pictures are drawn: a CUDA or ROCm GPU, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(device: torch.device, wanted: str) -> torch.dtype:
    """The precision that a profile wants, or what the device does well.

    A CPU draws in float32: bfloat16 takes 2.6 times as long without AMX or AVX512-BF16. float16 is the last
    choice, because some autoencoders overflow in it.
    """
    if wanted != "auto":
        return getattr(torch, wanted)  # type: ignore[no-any-return] # one of three names of a Literal
    if device.type == "cpu":
        return torch.float32
    has_bfloat16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16


def load(
    settings: Settings,
    vocabulary: Vocabulary,
    checkpoints: Checkpoints,
    device: torch.device,
    *,
    beside: Any | None = None,
) -> Any:
    """A pipeline on its device.

    Args:
        settings: what is loaded, and how.
        vocabulary: of the same settings.
        checkpoints: where the files are.
        device: where it shall draw.
        beside: a pipeline of the same checkpoint for another task, whose weights are shared.

    Raises:
        MissingModel: files are missing, broken, or are not what their configuration says.
    """
    dtype = choose_dtype(device, settings.dtype)
    if beside is not None:
        # Handed over one by one, because from_pipe leaves behind what it does not expect (AutoencoderTiny).
        expected = inspect.signature(vocabulary.pipeline_class.__init__).parameters
        parts = {name: part for name, part in beside.components.items() if name in expected}
        pipeline = vocabulary.pipeline_class.from_pipe(beside, dtype=dtype, **parts)
    else:
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        pipeline = _from_files(settings, vocabulary, checkpoints, dtype)
        _adapt(pipeline, settings, checkpoints, dtype)
        _set_up(pipeline, settings, getattr(pipeline, vocabulary.denoiser))
        if device.type == "cpu":
            _steady(pipeline)
        _place(pipeline, settings, checkpoints, device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def offloading(settings: Settings, checkpoints: Checkpoints, device: torch.device) -> str:
    """How much of the pipeline waits in main memory: ``none``, ``model`` or ``sequential``."""
    if device.type == "cpu":
        return "none"
    if settings.offload != "auto":
        return settings.offload
    needed = checkpoints.checkpoint(settings.model).memory_gb
    if device.type != "cuda" or needed is None:
        return "none"
    return "model" if needed * 1e9 > torch.cuda.mem_get_info(device)[0] else "none"


def _from_files(
    settings: Settings, vocabulary: Vocabulary, checkpoints: Checkpoints, dtype: torch.dtype
) -> Any:
    with _in_our_words(settings.model):
        folder = checkpoints.folder(settings.model)
        parts = {
            name: _whole(kind, folder / name, dtype=dtype, variant=settings.variant)
            for name, kind in vocabulary.text_models.items()
        }
    if settings.controlnet and vocabulary.controlnet_class:
        with _in_our_words(settings.controlnet.model):
            parts["controlnet"] = vocabulary.controlnet_class.from_pretrained(
                checkpoints.folder(settings.controlnet.model), dtype=dtype, **_SAFE
            )
    if "add_watermarker" in inspect.signature(vocabulary.pipeline_class.__init__).parameters:
        parts["add_watermarker"] = False  # else the pixels would depend on which packages are installed
    with _in_our_words(settings.model):
        pipeline = vocabulary.pipeline_class.from_pretrained(
            folder, dtype=dtype, variant=settings.variant, trust_remote_code=False, **_SAFE, **parts
        )
        _require_weights(pipeline)
    return pipeline


def _adapt(pipeline: Any, settings: Settings, checkpoints: Checkpoints, dtype: torch.dtype) -> None:
    """Add LoRAs and the IP-Adapter to the pipeline's own weights."""
    for lora in settings.loras:
        with _in_our_words(lora.model):
            _add_lora(pipeline, lora, checkpoints.folder(lora.model))
    if settings.loras:
        pipeline.set_adapters(
            [_adapter(lora) for lora in settings.loras], [lora.weight for lora in settings.loras]
        )
    if settings.ip_adapter:
        folder = checkpoints.folder(settings.ip_adapter.model)
        with _in_our_words(settings.ip_adapter.model):
            _add_ip_adapter(pipeline, settings.ip_adapter, folder, dtype)


def _set_up(pipeline: Any, settings: Settings, denoiser: Any) -> None:
    if settings.vae_tiling:
        pipeline.vae.enable_tiling()
    if settings.step_cache:
        denoiser.enable_cache(_step_cache(settings.step_cache, settings.steps))
    if settings.compile:
        denoiser.compile_repeated_blocks()


def _whole(kind: Any, folder: Path, **options: Any) -> Any:
    """A model of transformers, which makes up the weights that its file lacks: here that is a ValueError."""
    model, loaded = kind.from_pretrained(folder, output_loading_info=True, **options, **_SAFE)
    if loaded["missing_keys"]:
        raise ValueError(f"{folder.name} lacks {', '.join(sorted(loaded['missing_keys'])[:3])}")
    return model


def _steady(pipeline: Any) -> None:
    """Make the pixels independent of the number of threads.

    oneDNN sums the channels of a 1 × 1 convolution in an order that depends on it; as a matrix product the
    sums do not. Nothing else that these pipelines are made of does so (other convolutions, linear layers,
    attention, norms: measured with torch 2.15 in float32).
    """
    for model in pipeline.components.values():
        for module in model.modules() if isinstance(model, torch.nn.Module) else ():
            if isinstance(module, torch.nn.Conv2d) and _is_product(module):
                module.forward = partial(_as_product, module)  # type: ignore[method-assign]


def _is_product(convolution: torch.nn.Conv2d) -> bool:
    return (
        convolution.kernel_size == convolution.stride == (1, 1)
        and convolution.padding in ((0, 0), "valid")
        and convolution.groups == 1
    )


def _as_product(convolution: torch.nn.Conv2d, pixels: torch.Tensor) -> torch.Tensor:
    product = torch.matmul(convolution.weight.flatten(1), pixels.flatten(2))
    if convolution.bias is not None:
        product += convolution.bias[:, None]
    return product.reshape(*product.shape[:2], *pixels.shape[2:])


def _require_weights(pipeline: Any) -> None:
    """Raise ValueError if a model of diffusers lacks weights, which it then leaves without values."""
    for component, model in pipeline.components.items():
        if isinstance(model, torch.nn.Module):
            lacking = [name for name, tensor in model.named_parameters() if tensor.is_meta]
            if lacking:
                raise ValueError(f"{component} lacks {', '.join(lacking[:3])}")


def _place(pipeline: Any, settings: Settings, checkpoints: Checkpoints, device: torch.device) -> None:
    match offloading(settings, checkpoints, device):
        case "model":
            pipeline.enable_model_cpu_offload(device=device)
        case "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        case _:
            pipeline.to(device)


def _adapter(lora: Lora) -> str:
    """A LoRA's name inside peft, which allows no dots."""
    return lora.model.replace(".", "_")


def _add_lora(pipeline: Any, lora: Lora, folder: Path) -> None:
    """Load a LoRA. Raises ValueError if no part of the pipeline took any of its weights."""
    pipeline.load_lora_weights(
        folder, weight_name=_only_weights(lora.model, folder).name, adapter_name=_adapter(lora), **_SAFE
    )
    if not any(_adapter(lora) in names for names in pipeline.get_list_adapters().values()):
        raise ValueError(f"its weights belong to no part of {type(pipeline).__name__}")


def _add_ip_adapter(pipeline: Any, adapter: IpAdapter, folder: Path, dtype: torch.dtype) -> None:
    """Load the adapter's weights, and the image encoder in the folder ``image_encoder`` if there is one."""
    encoder = folder / "image_encoder"
    if encoder.is_dir() and pipeline.image_encoder is None:
        pipeline.register_modules(
            image_encoder=_image_encoder_class(encoder).from_pretrained(encoder, dtype=dtype, **_SAFE)
        )
    pipeline.load_ip_adapter(
        str(folder),
        subfolder="",
        weight_name=_only_weights(adapter.model, folder).name,
        local_files_only=True,
    )
    pipeline.set_ip_adapter_scale(adapter.scale)


def _image_encoder_class(folder: Path) -> Any:
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return getattr(transformers, config.architectures[0])


def _only_weights(name: str, folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise MissingModel(f"{name}: {folder} must hold exactly one safetensors file, it holds {len(found)}")
    return found[0]


def _step_cache(cache: StepCache, steps: int) -> Any:
    options = dict(cache.options)
    if cache.kind == "mag":
        options["num_inference_steps"] = steps
    return _STEP_CACHES[cache.kind](**options)


@contextmanager
def _in_our_words(name: str) -> Iterator[None]:
    """Turn what loading raises into one error that names the checkpoint; out of memory stays what it is."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise MissingModel(
            f"the model {name} cannot be loaded: {error}; only whole safetensors files that fit their "
            "configuration are loaded: fetch it again, or convert it with save_pretrained and pin it anew"
        ) from error
