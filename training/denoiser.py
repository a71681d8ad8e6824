"""Step 4: the denoiser: ``python -m training.denoiser <pictures> <work> [minutes]``.

A small U-Net learns to take noise from the autoencoder's latents, told by a caption what is below it. The
text reaches it twice: token by token through cross-attention, and as a whole beside the time. It predicts
velocity on a noise schedule that ends in pure noise, so that very dark and very bright pictures come out as
such (Salimans and Ho, 2022; Lin et al., "Common diffusion noise schedules and sample steps are flawed",
2023).
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from training.pictures import Pictures, batches, load
from training.session import DEVICE, Averaged, autocast, train
from training.text_encoder import WIDTH, tokens_of

BATCH = 48
UNTOLD = 0.10
"""The share of pictures shown without their caption, so that guidance has something to lead away from."""
WIDE_EVERY = 12
"""One batch of so many is of wide places."""


def build() -> UNet2DConditionModel:
    """An untrained denoiser."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        block_out_channels=(96, 192),
        layers_per_block=1,
        attention_head_dim=6,
        cross_attention_dim=WIDTH,
        norm_num_groups=16,
        addition_embed_type="text",
        addition_embed_type_num_heads=6,
        encoder_hid_dim=WIDTH,
        resnet_time_scale_shift="scale_shift",
    )


def start(work: Path) -> UNet2DConditionModel:
    """The denoiser that is there to go on from, or an untrained one."""
    return UNet2DConditionModel.from_pretrained(work / "unet") if (work / "unet").exists() else build()


def schedule() -> DDIMScheduler:
    """The noise schedule, in training and when pictures are drawn."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


class Told(torch.nn.Module):
    """The denoiser and the text encoder that tells it what to draw, trained together."""

    def __init__(self, denoiser: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.text_encoder = text_encoder

    def forward(self, noisy: torch.Tensor, time: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The velocity at a time."""
        words = self.text_encoder(tokens).last_hidden_state
        velocity: torch.Tensor = self.denoiser(noisy, time, encoder_hidden_states=words).sample
        return velocity


@torch.inference_mode()
def encode(autoencoder: AutoencoderTiny, pictures: Pictures) -> torch.Tensor:
    """Pictures as latents, scaled to a spread of one."""
    latents = []
    for start in range(0, len(pictures.pixels), 64):
        batch = torch.from_numpy(pictures.pixels[start : start + 64]).permute(0, 3, 1, 2).to(DEVICE)
        batch = batch.contiguous(memory_format=torch.channels_last).float() / 127.5 - 1
        with autocast():
            found = autoencoder.encode(batch).latents
        latents.append((found.float() * autoencoder.config.scaling_factor).cpu())
    return torch.cat(latents)


def losses(
    model: Told,
    latents: tuple[torch.Tensor, torch.Tensor],
    tokens: tuple[torch.Tensor, torch.Tensor],
    untold: torch.Tensor,
) -> Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]]:
    """The squared error of the velocity, on square pictures and now and then on wide ones."""
    noise_of = schedule()
    random = np.random.default_rng()
    square, wide = batches(len(latents[0]), BATCH, 1), batches(len(latents[1]), BATCH, 2)
    step = 0
    while True:
        step += 1
        shape = int(step % WIDE_EVERY == 0)
        index = torch.from_numpy(next((square, wide)[shape]))
        clean = latents[shape][index].to(DEVICE)
        said = tokens[shape][
            index, torch.from_numpy(random.integers(tokens[shape].shape[1], size=BATCH))
        ].clone()
        said[torch.rand(BATCH) < UNTOLD] = untold
        said = said.to(DEVICE)
        # Stratified, so that every batch sees every stage of the noise.
        time = ((torch.randperm(BATCH) + torch.rand(BATCH)) / BATCH * 1000).long().clamp(0, 999).to(DEVICE)
        noise = torch.randn_like(clean)
        noisy = noise_of.add_noise(clean, noise, time).contiguous(memory_format=torch.channels_last)
        velocity = noise_of.get_velocity(clean, noise, time)

        def loss(
            noisy: torch.Tensor = noisy,
            time: torch.Tensor = time,
            said: torch.Tensor = said,
            velocity: torch.Tensor = velocity,
        ) -> tuple[torch.Tensor, dict[str, float]]:
            with autocast():
                predicted = model(noisy, time, said)
            error = ((predicted.float() - velocity) ** 2).mean(dim=(1, 2, 3))
            early = error[time >= 700]  # where the layout is decided
            return error.mean(), {"early": early.mean().item()}

        yield loss


def main(folder: Path, work: Path, minutes: float) -> None:
    """Train, and save as ``work/unet``, ``work/text_encoder`` and ``work/scheduler``."""
    torch.manual_seed(2)
    autoencoder = AutoencoderTiny.from_pretrained(work / "vae").to(DEVICE, memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    encoded = work / "latents.pt"
    if not encoded.exists():
        parts = [load(folder, "train-"), load(folder, "train-", wide=True)]
        torch.save(
            {
                "latents": [encode(autoencoder, each) for each in parts],
                "tokens": [
                    tokens_of(tokenizer, [words for captions in each.captions for words in captions])
                    .reshape(len(each.captions), -1, tokenizer.model_max_length)
                    for each in parts
                ],
            },
            encoded,
        )  # fmt: skip
    saved = torch.load(encoded, weights_only=True)
    model = Told(start(work), CLIPTextModel.from_pretrained(work / "text_encoder")).to(DEVICE)
    model.denoiser.to(memory_format=torch.channels_last)
    count = sum(weights.numel() for weights in model.denoiser.parameters())
    sys.stdout.write(f"{count / 1e6:.2f} million weights\n")
    optimiser = torch.optim.AdamW(
        [
            {"params": model.denoiser.parameters(), "lr": 1.2e-3},
            {"params": model.text_encoder.parameters(), "lr": 3e-4},
        ],
        betas=(0.9, 0.98),
        weight_decay=1e-3,
    )
    average = Averaged(model, 0.9985)
    train("denoiser", work, model, optimiser, minutes,
          losses(model, tuple(saved["latents"]), tuple(saved["tokens"]), tokens_of(tokenizer, [""])[0]),
          average)  # fmt: skip
    publish(model, average, work)


def publish(model: Told, average: Averaged, work: Path) -> None:
    """Save the averaged weights."""
    average.copy_to(model)
    model.denoiser.save_pretrained(work / "unet")
    model.text_encoder.save_pretrained(work / "told_text_encoder")
    schedule().save_pretrained(work / "scheduler")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 46.0)
