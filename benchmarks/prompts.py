"""100,000 products put into words, beside a plain loop that renders, spells JSON and hashes.

    python benchmarks/prompts.py [--products 100000] [--rounds 3]

Time is the processor's, the best of some rounds, so that other work on the machine counts for little. The
plain loop does the least that names words by their content: Jinja's ``Template.render``, ``json.dumps`` and
SHA-256, for the same template and a dictionary of the same words. Ours is ``write_prompts``: sandbox,
negative prompt, locale, references, fallbacks, and a validated prompt for each row. Memory is what the
process grows by while the prompts are read as a stream and let go.
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2
import psutil

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.catalog.product import Photograph, Product, Text
from asset_pipeline.prompts.asset_type import AssetType, load_asset_types
from asset_pipeline.prompts.brand import Brand, load_brand
from asset_pipeline.prompts.prompt import Prompt, write_prompts

DATA = Path(__file__).parent.parent / "data"
ASSET_TYPE = "product_tile"
LOOK_AT_MEMORY_EVERY = 1000


def product(number: int) -> Product:
    """A product with what feeds usually bring."""
    return Product(
        sku=f"SKU-{number:06d}",
        texts={
            "en-GB": Text(
                name=f"Stoneware Mug {number}", description="A generous mug with a bare clay foot."
            ),
            "de-DE": Text(name=f"Steinzeugbecher {number}", description="Ein großzügiger Becher."),
        },
        categories=("Kitchen", "Mugs"),
        brand="Fjordell",
        price="24.90",
        currency="EUR",
        attributes={"colour": "slate blue", "material": "stoneware", "capacity": "350 ml"},
        photographs=(
            Photograph(
                role="base",
                reference=f"photographs/{number}.png",
                sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                media_type="image/png",
                width=1600,
                height=1600,
            ),
        ),
        feed="products.csv",
        row=number + 2,
        source_sha256=hashlib.sha256(str(-number).encode()).hexdigest(),
    )


def ours(products: Mapping[str, Product], kind: AssetType, brand: Brand) -> tuple[int, int]:
    """Write the prompts as a stream; return how many, and the most bytes that the process grew by."""
    campaign = Campaign(
        title="Benchmark", asset_types=(ASSET_TYPE,), locales=("en-GB",), max_prompts=max(1, len(products))
    )
    process = psutil.Process()
    before, most, written = process.memory_info().rss, 0, 0
    for answer in write_prompts(products, campaign, {ASSET_TYPE: kind}, brand):
        written += isinstance(answer, Prompt)
        if written % LOOK_AT_MEMORY_EVERY == 0:
            most = max(most, process.memory_info().rss - before)
    return written, most


def plain(products: Mapping[str, Product], kind: AssetType, brand: Brand) -> tuple[int, int]:
    """What a person would write: render, spell as JSON, hash."""
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(  # noqa: S701
        kind.template
    )
    words = {"brand": {"style": brand.style}, **kind.variables}
    named = 0
    for each in products.values():
        described = {"name": each.texts["en-GB"].name, "attributes": each.attributes}
        text = template.render(product=described, **words)
        content = {"sku": each.sku, "text": text, "width": kind.width, "height": kind.height}
        named += bool(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest())
    return named, 0


def best_seconds(task: Callable[[], tuple[int, int]], rounds: int) -> tuple[float, float, int]:
    """The least processor time of some rounds, the wall time of that one, and the most memory of any."""
    times, most = [], 0
    for _ in range(rounds):
        gc.collect()
        wall, processor = time.perf_counter(), time.process_time()
        _, grown = task()
        times.append((time.process_time() - processor, time.perf_counter() - wall))
        most = max(most, grown)
    return *min(times), most


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    kind, brand = load_asset_types(DATA)[ASSET_TYPE], load_brand(DATA)
    products = {f"{number:064x}": product(number) for number in range(given.products)}
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}; {given.products:,} products, template {ASSET_TYPE}"
    )
    rows = {
        "plain loop": best_seconds(lambda: plain(products, kind, brand), given.rounds),
        "write_prompts": best_seconds(lambda: ours(products, kind, brand), given.rounds),
    }
    for name, (processor, wall, grown) in rows.items():
        each = processor / max(1, given.products) * 1e6
        print(
            f"{name:14} {processor:6.2f} s processor  {wall:6.2f} s wall  {each:5.1f} µs each"
            f"  memory +{grown / 2**20:.1f} MiB"
        )
    print(f"ratio          {rows['write_prompts'][0] / rows['plain loop'][0]:.2f}")


if __name__ == "__main__":
    main()
