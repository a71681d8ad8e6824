"""Step 7: the trained weights as the project ships them: ``python -m training.publish <work> <models>``.

``<models>/sample-diffusion`` is an ordinary diffusers pipeline, ``<models>/sample-clip`` an ordinary
open_clip model, both in half precision. What was not trained stays as it is.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from training.alignment import MEAN, SPREAD


def publish_diffusion(work: Path, folder: Path) -> None:
    """Put the pipeline together and save it."""
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(work / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(work / "told_text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(work / "unet"),
        scheduler=DDIMScheduler.from_pretrained(work / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    _without_weights(folder)
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*/config.json"):
        described = json.loads(path.read_text())
        described.pop("_name_or_path", None)  # where it was trained says nothing to anybody
        path.write_text(json.dumps(described, indent=2) + "\n")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


def publish_clip(work: Path, folder: Path) -> None:
    """Save the alignment model with its tokenizer."""
    _without_weights(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = torch.load(work / "clip.pt", weights_only=True, map_location="cpu")
    save_file(
        {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in weights.items()
        },
        folder / "open_clip_model.safetensors",
    )
    (folder / "open_clip_model.safetensors").chmod(0o644)
    configuration = {
        "model_cfg": json.loads((work / "clip.json").read_text()),
        "preprocess_cfg": {"mean": MEAN, "std": SPREAD, "interpolation": "bicubic", "resize_mode": "squash"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(configuration, indent=2) + "\n")
    CLIPTokenizer.from_pretrained(work / "tokenizer").save_pretrained(folder)


def _without_weights(folder: Path) -> None:
    """Remove an earlier model, but for its card."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "README.md":
            path.unlink()


if __name__ == "__main__":
    trained, models = Path(sys.argv[1]), Path(sys.argv[2])
    if (trained / "told_text_encoder").exists():
        publish_diffusion(trained, models / "sample-diffusion")
    if (trained / "clip.pt").exists():
        publish_clip(trained, models / "sample-clip")
