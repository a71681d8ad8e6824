"""What a profile may say to the diffusion engine: safe by default, and nothing is ignored silently."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asset_pipeline.candidates.parameters import parameters_as
from asset_pipeline.catalog.product import PhotographRole

Task = Literal["text-to-image", "image-to-image", "inpainting"]
Role = Literal["image", "mask", "control", "reference"]
"""What a picture is to the pipeline: its start, where it may paint, what guides it, what it resembles."""

Scalar = bool | int | float | str

SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
"""Those that draw all their noise from the picture's own generator (``DPMSolverSDEScheduler`` does not) and
take the sigmas that pipelines hand them (``FlowMatchHeunDiscreteScheduler`` does not)."""

OWN_ARGUMENTS = frozenset(
    {
        "callback_on_step_end",
        "callback_on_step_end_tensor_inputs",
        "control_guidance_end",
        "control_guidance_start",
        "control_image",
        "controlnet_conditioning_scale",
        "generator",
        "guidance_scale",
        "height",
        "image",
        "ip_adapter_image",
        "latents",
        "mask_image",
        "max_sequence_length",
        "negative_prompt",
        "num_images_per_prompt",
        "num_inference_steps",
        "output_type",
        "prompt",
        "return_dict",
        "strength",
        "true_cfg_scale",
        "width",
    }
)
"""Arguments of a pipeline that the engine fills in itself."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scheduler(_Frozen):
    """Another scheduler than the checkpoint's own, by the name of its diffusers class."""

    name: Literal[SCHEDULERS]  # type: ignore[valid-type] # mypy wants the names written twice
    options: dict[str, Scalar | None] = {}
    """Over the checkpoint's own configuration, as the class names them (``use_karras_sigmas`` ...)."""


class Lora(_Frozen):
    """A low-rank adaptation, a checkpoint of its own with one safetensors file."""

    model: str
    weight: float = Field(default=1.0, ge=-4.0, le=4.0)


class ControlNet(_Frozen):
    """A ControlNet; the picture that guides it has the role ``control``."""

    model: str
    scale: float = Field(default=1.0, ge=0.0, le=4.0)
    start: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of the steps after which it begins to count."""
    end: float = Field(default=1.0, ge=0.0, le=1.0)


class IpAdapter(_Frozen):
    """An IP-Adapter; the picture that the result resembles has the role ``reference``."""

    model: str
    scale: float = Field(default=0.6, ge=0.0, le=2.0)


class StepCache(_Frozen):
    """Leaves out parts of steps that change little; for transformers with many steps."""

    kind: Literal["first_block", "mag", "taylorseer"]
    options: dict[str, Scalar | list[int | float] | None] = {}
    """As diffusers' configuration of that kind names them (``threshold`` ...)."""


class Settings(_Frozen):
    """How a picture is drawn: the ``parameters`` of a profile."""

    model: str
    """The checkpoint: ``data/models/<model>.yaml``."""
    task: Task = "text-to-image"
    steps: int = Field(ge=1, le=500)
    guidance_scale: float | None = Field(default=None, ge=0.0, le=50.0)
    """None: the pipeline's own default."""
    true_cfg_scale: float | None = Field(default=None, ge=0.0, le=50.0)
    """Guidance by two passes, in pipelines whose ``guidance_scale`` means a distilled one (FLUX.1, Qwen)."""
    strength: float | None = Field(default=None, gt=0.0, le=1.0)
    """How much of the picture that it starts from is made anew."""
    max_sequence_length: int | None = Field(default=None, ge=1, le=4096)
    """How many tokens of a prompt are read, where a pipeline lets one choose."""
    arguments: dict[str, Scalar | list[int | float]] = {}
    """Other arguments of the pipeline's call, as diffusers names them (``guidance_rescale`` ...)."""
    scheduler: Scheduler | None = None
    loras: tuple[Lora, ...] = ()
    controlnet: ControlNet | None = None
    ip_adapter: IpAdapter | None = None

    variant: str | None = None
    """Which of a checkpoint's weight files: ``fp16`` reads ``*.fp16.safetensors``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: bfloat16 on a GPU that has it, else float16; float32 on a CPU."""
    offload: Literal["auto", "none", "model", "sequential"] = "auto"
    """``auto``: ``model`` where the checkpoint's ``memory_gb`` is more than the GPU has free, else ``none``.
    A CPU has nothing to offload."""
    attention: Literal[
        "auto",
        "native",
        "_native_cudnn",
        "_native_efficient",
        "_native_flash",
        "_native_math",
        "flash",
        "_flash_3",
        "sage",
        "xformers",
    ] = "auto"
    """By diffusers' names; those that fetch a kernel from the hub are left out: that is remote code."""
    compile: bool = False
    """Compile the blocks that repeat; costs seconds to minutes once for each shape."""
    step_cache: StepCache | None = None
    vae_tiling: bool = False
    """Decode in tiles: less memory for large pictures, and slightly other pixels."""
    max_batch: int = Field(default=16, ge=1, le=256)
    """Most pictures sampled together on a GPU, fewer if memory says so; on a CPU each is sampled alone."""

    native_sizes: tuple[tuple[int, int], ...] = ()
    """Widths and heights that the checkpoint was trained on. Other sizes are drawn at the one of the
    nearest shape, enlarged with Lanczos and cut to the frame; without any, at the size asked for."""
    references: dict[PhotographRole, Role] = {}
    """Which of a request's photographs the pipeline sees, as what: ``{base: image, style: reference}``."""
    may_drop: tuple[str, ...] = ()
    """What may be left unsaid where the pipeline has no words for it: ``negative_prompt``, ``references``,
    or a parameter of the asset type by its name. What is dropped is recorded with the picture."""

    @model_validator(mode="after")
    def _arguments_are_not_the_engines_own(self) -> "Settings":
        own = sorted(
            name
            for name in self.arguments
            if name in OWN_ARGUMENTS or name.endswith(("embeds", "embeds_mask"))
        )
        if own:
            raise ValueError(f"arguments: {', '.join(own)} are not for a profile to fill in")
        return self

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Settings":
        """The settings that a request's parameters say; those in ``may_drop`` that are none are left out.

        Raises:
            UnsupportedRequest: a parameter is unknown or wrong; all of them at once.
        """
        may_drop = parameters.get("may_drop") or ()
        known = {
            name: value
            for name, value in parameters.items()
            if name in cls.model_fields or name not in may_drop
        }
        return parameters_as(cls, known, "diffusers")
