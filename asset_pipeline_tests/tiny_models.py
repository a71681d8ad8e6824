"""Checkpoints of real classes with random weights and few of them, saved as their makers save them.

Each function fills a folder, in diffusers' format. Tokenizers are built in place: every byte is a token, so
that a prompt's length in tokens is about its length in letters.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel

from asset_pipeline.checkpoints.checkpoint import describe_folder

# Their makers annotate some of them, and mypy would ask for the rest.
diffusers: Any = importlib.import_module("diffusers")
transformers: Any = importlib.import_module("transformers")

BYTES = sorted(ByteLevel.alphabet())
WIDTH = 32
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Build = Callable[[Path], None]

diffusers.utils.logging.set_verbosity_error()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def write_model(data: Path, name: str, build: Build) -> None:
    """Make the model ``name`` of a project."""
    build(data / "models" / name)
    describe(data, name)


def describe(data: Path, name: str) -> None:
    """Say what the model is made of now, as ``data/models/<name>.yaml``."""
    files = describe_folder(data / "models" / name)
    description = {
        "title": name,
        "source": "random weights",
        "license": "none",
        "files": {path: file.model_dump() for path, file in files.items()},
    }
    (data / "models" / f"{name}.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")


def stable_diffusion(folder: Path, seed: int = 0, *, tiny_vae: bool = False) -> None:
    """A StableDiffusionPipeline, 8 pixels to a latent; with the sample checkpoint's AutoencoderTiny."""
    torch.manual_seed(seed)
    diffusers.StableDiffusionPipeline(
        vae=autoencoder_tiny() if tiny_vae else vae(4),
        text_encoder=clip_text(transformers.CLIPTextModel),
        tokenizer=clip_tokenizer(),
        unet=unet(cross_attention_dim=WIDTH),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def stable_diffusion_xl(folder: Path) -> None:
    torch.manual_seed(0)
    diffusers.StableDiffusionXLPipeline(
        vae=vae(4),
        text_encoder=clip_text(transformers.CLIPTextModel),
        text_encoder_2=clip_text(transformers.CLIPTextModelWithProjection),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            use_linear_projection=True,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    ).save_pretrained(folder)


def stable_diffusion_3(folder: Path) -> None:
    torch.manual_seed(0)
    diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=16,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=2 * WIDTH,
            out_channels=16,
            pos_embed_max_size=32,
            qk_norm="rms_norm",
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(16, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip_text(transformers.CLIPTextModelWithProjection),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text(transformers.CLIPTextModelWithProjection),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_text(2 * WIDTH),
        tokenizer_3=t5_tokenizer(),
    ).save_pretrained(folder)


def flux(folder: Path, *, guidance_embeds: bool) -> None:
    """A FluxPipeline: FLUX.1 dev hears a guidance scale, schnell does not."""
    torch.manual_seed(0)
    diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            shift=3.0 if guidance_embeds else 1.0, use_dynamic_shifting=guidance_embeds
        ),
        vae=vae(16, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip_text(transformers.CLIPTextModel),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5_text(WIDTH),
        tokenizer_2=t5_tokenizer(),
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=guidance_embeds,
            axes_dims_rope=(4, 4, 8),
        ),
    ).save_pretrained(folder)


def flux2_klein(folder: Path) -> None:
    torch.manual_seed(0)
    text = qwen3_text(layers=28)
    diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=diffusers.AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
            mid_block_add_attention=False,
        ),
        text_encoder=text,
        tokenizer=qwen_tokenizer(),
        transformer=diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * text.config.hidden_size,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=True,
    ).save_pretrained(folder)


def qwen_image(folder: Path) -> None:
    torch.manual_seed(0)
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
            "rope_theta": 1000000.0,
            "vocab_size": len(BYTES) + 8,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
    )
    diffusers.QwenImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=qwen_tokenizer(),
        transformer=diffusers.QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        ),
    ).save_pretrained(folder)


def z_image(folder: Path) -> None:
    torch.manual_seed(0)
    diffusers.ZImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(16, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=qwen3_text(layers=2),
        tokenizer=qwen_tokenizer(),
        transformer=diffusers.ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[8, 4, 4],
            axes_lens=[1024, 64, 64],
        ),
    ).save_pretrained(folder)


def controlnet(folder: Path, pipeline: Path) -> None:
    """A ControlNet for the UNet of a Stable Diffusion pipeline."""
    torch.manual_seed(1)
    denoiser = diffusers.UNet2DConditionModel.from_pretrained(pipeline / "unet")
    made = diffusers.ControlNetModel.from_unet(denoiser, conditioning_channels=3)
    for name, weights in made.named_parameters():
        if "controlnet" in name:
            torch.nn.init.normal_(weights, std=0.5)
    made.save_pretrained(folder)


def lora(folder: Path, pipeline: Path) -> None:
    """A LoRA for the UNet of a Stable Diffusion pipeline, in peft's format."""
    torch.manual_seed(2)
    denoiser = diffusers.UNet2DConditionModel.from_pretrained(pipeline / "unet")
    tensors = {}
    for name, module in denoiser.named_modules():
        if name.endswith(("to_q", "to_v")):
            tensors[f"unet.{name}.lora_A.weight"] = torch.randn(2, module.in_features)
            tensors[f"unet.{name}.lora_B.weight"] = torch.randn(module.out_features, 2)
    folder.mkdir(parents=True)
    diffusers.StableDiffusionPipeline.write_lora_layers(
        tensors,
        folder,
        is_main_process=True,
        weight_name="lora.safetensors",
        save_function=None,
        safe_serialization=True,
    )


def ip_adapter(folder: Path, pipeline: Path) -> None:
    """An IP-Adapter with its image encoder, in the format of h94/IP-Adapter."""
    torch.manual_seed(3)
    denoiser = diffusers.UNet2DConditionModel.from_pretrained(pipeline / "unet")
    encoder = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            projection_dim=WIDTH,
            image_size=32,
            patch_size=8,
        )
    )
    encoder.save_pretrained(folder / "image_encoder")
    context = denoiser.config.cross_attention_dim
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * context, WIDTH) * 0.2,
        "image_proj.proj.bias": torch.zeros(4 * context),
        "image_proj.norm.weight": torch.ones(context),
        "image_proj.norm.bias": torch.zeros(context),
    }
    # The layers are numbered as the original code numbered them: the odd ones are the cross attentions.
    crossing = [name for name in denoiser.attn_processors if "attn2" in name]
    for number, name in enumerate(crossing):
        module = denoiser.get_submodule(name.removesuffix(".processor"))
        for kind in ("k", "v"):
            tensors[f"ip_adapter.{2 * number + 1}.to_{kind}_ip.weight"] = torch.randn(
                module.inner_dim, context
            )
    save_file(tensors, folder / "ip-adapter.safetensors")


def vae(latent_channels: int, **options: Any) -> Any:
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=32,
        mid_block_add_attention=False,
        **options,
    ).eval()


def autoencoder_tiny() -> Any:
    return diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )


def unet(**options: Any) -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **options,
    )


def clip_tokenizer() -> Any:
    vocabulary = [*BYTES, *(f"{byte}</w>" for byte in BYTES), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(
        vocab={token: index for index, token in enumerate(vocabulary)}, merges=[], model_max_length=77
    )


def clip_text(kind: Any) -> Any:
    return kind(
        transformers.CLIPTextConfig(
            vocab_size=2 * len(BYTES) + 2,
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=2 * len(BYTES),
            eos_token_id=2 * len(BYTES) + 1,
            pad_token_id=2 * len(BYTES) + 1,
        )
    )


def t5_tokenizer() -> Any:
    letters = [chr(code) for code in range(33, 127)]
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        *((letter, -3.0) for letter in letters),
    ]
    return transformers.T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def t5_text(width: int) -> Any:
    return transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=128, d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )


def qwen_tokenizer() -> Any:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = transformers.Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate([*BYTES, *special])},
        merges=[],
        additional_special_tokens=special[1:],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def qwen3_text(layers: int) -> Any:
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=len(BYTES) + 8,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
        )
    )
