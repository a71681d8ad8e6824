"""A project in a folder: the project's own asset types and profiles, and a catalog of drawn boxes."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent
CAMPAIGN = """\
title: Boxes
asset_types: [product_tile]
locales: [en-GB]
variations: {background: [warm sand, sage green]}
candidates_per_prompt: 2
approval: gates
channels: [web_tile]
"""


def write_project(
    folder: Path, *, products: int = 3, campaigns: dict[str, str] | None = None, seed: int = 1
) -> Path:
    """Write a project and return its data folder."""
    data = folder / "data"
    for name in ("catalog", "campaigns", "dagster"):
        (data / name).mkdir(parents=True)
    for name in ("asset_types", "profiles"):
        shutil.copytree(ROOT / "data" / name, data / name)
    for name in ("brand.yaml", "thresholds.yaml", "channels.yaml", "dagster/dagster.yaml"):
        shutil.copy(ROOT / "data" / name, data / name)
    for campaign_id, text in (campaigns or {"boxes": CAMPAIGN}).items():
        (data / "campaigns" / f"{campaign_id}.yaml").write_text(text)
    add_products(data, range(products), seed=seed)
    return data


def add_products(data: Path, numbers: range, *, seed: int = 1) -> None:
    """Append rows to the feed, each with a photograph of a box on white."""
    feed = data / "catalog" / "products.csv"
    rows = feed.read_text().splitlines() if feed.exists() else ["sku,name-en-GB,price,currency,photographs"]
    for number in numbers:
        draw_box(data / "catalog" / f"box-{number}.png", seed + number)
        rows.append(f"BOX-{number:04d},Box number {number},9.99,EUR,box-{number}.png")
    feed.write_text("\n".join(rows) + "\n")


def draw_box(path: Path, seed: int) -> None:
    """A rounded box in a colour of its own, drawn with soft edges, on white."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (1800, 1800), "white")
    colour = tuple(int(value) for value in random.integers(20, 190, 3))
    inset = int(random.integers(250, 500))
    ImageDraw.Draw(picture).rounded_rectangle((inset, 300, 1800 - inset, 1500), 120, fill=colour)
    ImageDraw.Draw(picture).rectangle((inset + 80, 700, 1720 - inset, 1000), fill=colour[::-1])
    picture.resize((900, 900), Image.Resampling.LANCZOS).save(path)
