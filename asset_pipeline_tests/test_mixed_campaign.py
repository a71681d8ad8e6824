"""A campaign that this machine and a Cog server share: what is confidential never leaves it."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from asset_pipeline import definitions
from asset_pipeline.candidates.records import load_attempts, load_candidates, load_spent_usd
from asset_pipeline_tests.peers.cog_server import CogServer
from asset_pipeline_tests.small_project import draw_box, write_project

CAMPAIGN = """\
title: Boxes
asset_types: [product_tile]
locales: [en-GB]
profile: studio
alternatives: [painter]
approval: human
budget_usd: 1.0
sensitivity: public
"""
STUDIO = """\
provider: packshot
title: Here
parameters: {mode: studio}
price: {unit: image, usd: 0.02, source: what the machine costs}
"""
PAINTER = """\
provider: cog
title: There
parameters:
  model: painter
  fields: {{negative_prompt: negative_prompt}}
  may_drop: [model, references, mode]
endpoint: {{base_url: "{url}", polling: {{first: 0.1}}, limits: {{concurrency: 1}}}}
price: {{unit: image, usd: 0.005, source: what the server costs}}
is_remote: true
sensitivities: [public]
"""
SECRET, PUBLIC = "BOX-0000", ("BOX-0001", "BOX-0002")


@pytest.fixture
def data(tmp_path: Path, cog_server: CogServer) -> Path:
    data = write_project(tmp_path, products=0, campaigns={"boxes": CAMPAIGN})
    rows = ["sku,name-en-GB,price,currency,photographs,sensitivity"]
    for number, sensitivity in enumerate(("confidential", "", "public")):
        draw_box(data / "catalog" / f"box-{number}.png", number)
        rows.append(f"BOX-{number:04d},{tmp_path.name} {number},9.99,EUR,box-{number}.png,{sensitivity}")
    (data / "catalog" / "products.csv").write_text("\n".join(rows) + "\n")
    (data / "profiles" / "studio.yaml").write_text(STUDIO)
    (data / "profiles" / "painter.yaml").write_text(PAINTER.format(url=cog_server.url))
    return data


def asked(data: Path, *arguments: str) -> str:
    environ = os.environ | {
        "ASSET_PIPELINE_DATA": str(data),
        "DAGSTER_HOME": str(data / "dagster"),
        "COLUMNS": "250",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "asset_pipeline.cli", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_what_is_confidential_is_made_here_and_the_rest_by_the_cheaper_server(
    data: Path, tmp_path: Path, cog_server: CogServer
) -> None:
    assert "makes 3 product_tile with studio (1), painter (2); 3 products are new" in asked(
        data, "plan", "boxes"
    )
    environ = {"ASSET_PIPELINE_DATA": str(data)}
    places = definitions.Places.of(environ)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("campaigns", ["boxes"])
        job = definitions.build(places, environ).resolve_job_def("campaign")
        assert job.execute_in_process(partition_key="boxes", instance=instance).success
    store = definitions.open_store(places, definitions.s3_resource(environ))
    made = {each.sku: each for each in load_candidates(store, "boxes")}
    assert {sku: each.profile for sku, each in made.items()} == {
        SECRET: "studio",
        **dict.fromkeys(PUBLIC, "painter"),
    }
    assert all(each.image_sha256 for each in made.values())
    assert made[PUBLIC[0]].provider == "cog"
    seen = [words for ran in cog_server.ran if tmp_path.name in (words := str(ran["prompt"]))]
    assert len(seen) == len(PUBLIC)
    assert not any(f"{tmp_path.name} 0" in words for words in seen)
    assert load_spent_usd(store, "boxes") == pytest.approx(0.02 + 2 * 0.005)
    assert load_attempts(store, "boxes")[made[PUBLIC[0]].candidate_id].result

    secret = asked(data, "route", "explain", SECRET)
    assert "studio: " in secret
    assert "the profile is not cleared for confidential material" in secret
    public = asked(data, "route", "explain", made[PUBLIC[0]].prompt_id)
    assert "painter: " in public
    assert "eligible, but not the cheapest" in public
