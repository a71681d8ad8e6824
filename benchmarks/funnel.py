"""A funnel beside making all at once: at most 240 pictures, 60 to keep, twenty prompts, real pictures.

    python benchmarks/funnel.py [--profile packshot|sample-diffusion] [--make 240] [--keep 60] [--both]

``packshot``: pack shots of 512 px, whose size in the frame chance decides; the gate asks for the larger half.
``sample-diffusion``: products that the shipped checkpoint draws, at 128 px; the gate is the prompt alignment,
which the prompt decides more than chance does. Each at an invented price of $0.002 a picture.

Everything is real: the campaign's job from the feed to the exports in a process of its own, with the scorers
and the store of the project. Then it is run a second time, which must make nothing. What making all at once
costs is known without doing it; ``--both`` does it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.records import load_candidates, load_spent_usd
from asset_pipeline.candidates.waves import Wave, load_waves
from asset_pipeline.scores.records import load_judgements
from asset_pipeline.selection.records import load_choices
from asset_pipeline.store.store import Store
from asset_pipeline_tests.small_project import write_project

DATA = Path(__file__).parent.parent / "data"
CAMPAIGN = "products"
PRICE_USD = 0.002


@dataclass(frozen=True)
class Kind:
    """What is made, and what passes."""

    asset_type: Mapping[str, Any]
    variations: Mapping[str, list[str]]
    products: int
    parameters: Mapping[str, Any]
    """Over the profile's own."""
    gate: Mapping[str, Any]
    """About half of the pictures of these prompts reach it."""


KINDS = {
    "packshot": Kind(
        asset_type={
            "width": 512,
            "height": 512,
            "template": "{{ product.name }} on a {{ background }} background, light from the left",
            "references": ["base"],
        },
        variations={"background": ["warm sand", "sage green", "pale blue", "terracotta", "light grey"]},
        products=4,
        parameters={},
        gate={"product_fill": {"min": 64}},
    ),
    "sample-diffusion": Kind(
        asset_type={
            "width": 128,
            "height": 128,
            "template": "a {{ colour }} {{ kind }} on a marble counter, a forest in the background, "
            "light from the left, daylight",
        },
        variations={
            "colour": ["red", "navy", "green", "white"],
            "kind": ["sneaker", "teapot", "desk lamp", "mug", "watch"],
        },
        products=1,
        parameters={"steps": 10},  # half of the profile's own, to save time
        gate={"prompt_alignment": {"min": 0.75}},
    ),
}
PROMPTS = 20


@dataclass(frozen=True)
class Project:
    """A project with one campaign."""

    folder: Path
    profile: str
    how_many: dict[str, object]

    def __post_init__(self) -> None:
        """Write what people write."""
        kind = KINDS[self.profile]
        campaign = {
            "title": "Products",
            "asset_types": ["measured"],
            "locales": ["en-GB"],
            "variations": kind.variations,
            "profile": "priced",
            "approval": "gates",
            "budget_usd": 1.0,
            **self.how_many,
        }
        campaigns = {CAMPAIGN: yaml.safe_dump(campaign)}
        data = write_project(self.folder, products=kind.products, campaigns=campaigns)
        (data / "models").symlink_to(DATA / "models")
        profile = yaml.safe_load((DATA / "profiles" / f"{self.profile}.yaml").read_text())
        priced = {
            "parameters": profile["parameters"] | kind.parameters,
            "price": {"unit": "image", "usd": PRICE_USD, "source": "this benchmark"},
        }
        variables = {name: values[0] for name, values in kind.variations.items()}
        for path, content in (
            ("profiles/priced.yaml", profile | priced),
            ("asset_types/measured.yaml", {"title": "Measured", "variables": variables, **kind.asset_type}),
            ("thresholds.yaml", {"default": {"file_check": {"min": 1}, **kind.gate}}),
        ):
            (data / path).write_text(yaml.safe_dump(content))

    @property
    def store(self) -> Store:
        """Its facts."""
        return Store(str(self.folder / "data" / "store"))

    def run(self) -> float:
        """Run the campaign in a process of its own; return the seconds that it took."""
        data = self.folder / "data"
        environ = os.environ | {"ASSET_PIPELINE_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
        began = time.monotonic()
        command = [sys.executable, "-m", "asset_pipeline.cli", "run", CAMPAIGN]
        with (self.folder / "run.log").open("ab") as log:
            done = subprocess.run(command, env=environ, stdout=log, stderr=log, check=False)
        if done.returncode:
            sys.exit((self.folder / "run.log").read_text()[-4000:])
        return time.monotonic() - began

    def tell(self, name: str, seconds: float) -> None:
        """Print what a run came to."""
        candidates, judged = load_candidates(self.store, CAMPAIGN), load_judgements(self.store, CAMPAIGN)
        made = sum(each.image_sha256 is not None for each in candidates)
        passed = sum(judged[each.candidate_id].passes for each in candidates if each.candidate_id in judged)
        kept = sum(choice.state == "approved" for choice in load_choices(self.store, CAMPAIGN))
        spent = load_spent_usd(self.store, CAMPAIGN)
        print(
            f"{name:18} made {made}, passed {passed} ({passed / max(1, made):.0%}), kept {kept}, "
            f"${spent:.3f}, ${spent / max(1, kept):.4f} for each kept, {seconds:.0f} s"
        )

    @property
    def attempts(self) -> int:
        """How many pictures were ever begun."""
        return sum(name.endswith(".submitting") for name in self.store.events.names(ATTEMPTS, CAMPAIGN))


def main() -> None:
    """Print both ways, the funnel's rounds, and its second run; fail if that makes or records anything."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--profile", choices=KINDS, default="packshot")
    arguments.add_argument("--make", type=int, default=240)
    arguments.add_argument("--keep", type=int, default=60)
    arguments.add_argument("--both", action="store_true")
    options = arguments.parse_args()
    each, keep = options.make // PROMPTS, -(-options.keep // PROMPTS)
    with tempfile.TemporaryDirectory() as folder:
        funnel = Project(
            Path(folder) / "funnel", options.profile, {"funnel": f"{options.make} -> {options.keep}"}
        )
        funnel.tell("funnel", funnel.run())
        waves = load_waves(funnel.store, CAMPAIGN)
        tell_rounds(waves)
        before = funnel.attempts
        funnel.tell("the funnel again", funnel.run())
        made, recorded = funnel.attempts - before, len(load_waves(funnel.store, CAMPAIGN)) - len(waves)
        print(f"  new of it: {made} pictures, {recorded} waves")
        if options.both:
            at_once = Project(
                Path(folder) / "at-once", options.profile, {"candidates_per_prompt": each, "keep": keep}
            )
            at_once.tell("all at once", at_once.run())
        else:
            print(f"{'all at once':18} would make {each * PROMPTS} for ${each * PROMPTS * PRICE_USD:.3f}")
    sys.exit(int(made + recorded > 0))


def tell_rounds(waves: Sequence[Wave]) -> None:
    """Print what each round came to, and what ended the prompts."""
    for seen in waves[-1].seen:
        print(
            f"  wave {seen.wave}: asked for {seen.asked_for:3d}, made {seen.made:3d}, "
            f"passed {seen.passed:3d}, rate {seen.passed / max(1, seen.made):.2f}, ${seen.cost_usd:.3f}"
        )
    stops = Counter(stop.by for wave in waves for stop in wave.stops)
    print(
        "  " + ", ".join(f"{count} of {PROMPTS} prompts ended by {by}" for by, count in stops.most_common())
    )


if __name__ == "__main__":
    main()
