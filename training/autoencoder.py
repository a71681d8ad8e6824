"""Step 2: the autoencoder: ``python -m training.autoencoder <pictures> <work> [minutes]``.

128 × 128 pixels become 16 × 16 places of four numbers, and pictures again. It is trained on differences of
pixels, of their gradients, without which textures blur, and of the hue of larger places, without which pale
green and pale pink become sand: four numbers are few, and brightness takes them all.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from training.pictures import batches, load
from training.session import DEVICE, Averaged, autocast, train

BATCH = 16
CROP = 80
NOISE = 0.05


def build() -> AutoencoderTiny:
    """An untrained autoencoder."""
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        num_encoder_blocks=(1, 2, 4, 4),
        num_decoder_blocks=(4, 4, 2, 1),
        latent_channels=4,
    )


def start(work: Path) -> AutoencoderTiny:
    """The autoencoder that is there to go on from, or an untrained one."""
    return AutoencoderTiny.from_pretrained(work / "vae") if (work / "vae").exists() else build()


def hue(pictures: torch.Tensor) -> torch.Tensor:
    """Red less green and blue less green of places of 8 × 8 pixels."""
    places = torch.nn.functional.avg_pool2d(pictures, 8)
    return places[:, ::2] - places[:, 1:2]


def gradients(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences between neighbours, across and down."""
    return pictures[..., :, 1:] - pictures[..., :, :-1], pictures[..., 1:, :] - pictures[..., :-1, :]


def losses(
    model: AutoencoderTiny, pictures: torch.Tensor
) -> Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]]:
    """A loss for each batch of random crops."""
    random = torch.Generator().manual_seed(0)
    for places in batches(len(pictures), BATCH, 0):
        top, left = (int(value) for value in torch.randint(0, 128 - CROP + 1, (2,), generator=random))
        batch = pictures[torch.from_numpy(places), top : top + CROP, left : left + CROP]
        batch = batch.permute(0, 3, 1, 2).to(DEVICE).float() / 127.5 - 1
        batch = batch.contiguous(memory_format=torch.channels_last)

        def loss(batch: torch.Tensor = batch) -> tuple[torch.Tensor, dict[str, float]]:
            with autocast():
                latents = model.encode(batch).latents
                # So that latents that are a little off, as a denoiser's are, still decode well.
                roughened = latents + NOISE * latents.detach().std() * torch.randn_like(latents)
                decoded = model.decode(roughened).sample
            decoded, latents = decoded.float(), latents.float()
            slope = torch.stack(
                [
                    (ours - theirs).abs().mean()
                    for ours, theirs in zip(gradients(decoded), gradients(batch), strict=True)
                ]
            ).sum()
            squared = ((decoded - batch) ** 2).mean()
            measured = {"psnr": -10 * torch.log10(squared / 4).item(), "spread": latents.std().item()}
            pixel = (decoded - batch).abs().mean()
            off = (hue(decoded) - hue(batch)).abs().mean()
            measured["hue"] = 127.5 * off.item()
            return pixel + 0.7 * slope + 4 * squared + 2 * off + 1e-3 * (latents**2).mean(), measured

        yield loss


def main(pictures: Path, work: Path, minutes: float) -> None:
    """Train, measure on held-out pictures, and save as ``work/vae``."""
    torch.manual_seed(0)
    work.mkdir(parents=True, exist_ok=True)
    model = start(work).to(DEVICE, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-3)
    average = Averaged(model, 0.998)
    train("autoencoder", work, model, optimiser, minutes,
          losses(model, torch.from_numpy(load(pictures, "train-").pixels)), average)  # fmt: skip
    average.copy_to(model)
    model.eval()
    held_out = torch.from_numpy(load(pictures, "test-").pixels[::8]).permute(0, 3, 1, 2).float() / 127.5 - 1
    latents, errors = [], []
    with torch.inference_mode():
        for batch in torch.split(held_out, 32):
            mean = model.encode(batch.to(DEVICE)).latents
            latents.append(mean.cpu())
            errors.append(((model.decode(mean).sample.clamp(-1, 1).cpu() - batch) ** 2).mean(dim=(1, 2, 3)))
    psnr = -10 * torch.log10(torch.cat(errors) / 4)
    everything = torch.cat(latents)
    model.register_to_config(scaling_factor=float(1 / everything.std()))
    sys.stdout.write(
        f"held-out: {psnr.mean():.2f} dB, scaling {model.config.scaling_factor:.4f}, "
        f"means {everything.mean(dim=(0, 2, 3)).tolist()}, spreads {everything.std(dim=(0, 2, 3)).tolist()}\n"
    )
    model.save_pretrained(work / "vae")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 10.0)
