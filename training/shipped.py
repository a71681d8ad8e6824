"""Instead of steps 2 and 3, train the shipped model further: ``python -m training.shipped <models> <work>``.

Puts the shipped autoencoder, tokenizer, text encoder and denoiser where the training steps look for them.
Then go on with step 4, or with step 2 if the autoencoder is to learn more too; step 3 would begin anew.
"""

import sys
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline


def unpack(folder: Path, work: Path) -> None:
    """Save the parts of a published pipeline, in single precision, as training saves them."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    pipeline.vae.save_pretrained(work / "vae")
    pipeline.tokenizer.save_pretrained(work / "tokenizer")
    pipeline.text_encoder.save_pretrained(work / "text_encoder")
    pipeline.unet.save_pretrained(work / "unet")


if __name__ == "__main__":
    unpack(Path(sys.argv[1]) / "sample-diffusion", Path(sys.argv[2]))
